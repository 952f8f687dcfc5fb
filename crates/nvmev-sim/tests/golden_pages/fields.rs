//! Which field is where in a data structure: offset, bytes and name as in the figure that each table is named after. What no table names is reserved, and
//! must be zero. A field of an array is there for those elements that have a meaning here.

/// How a field is shown beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A little-endian number.
    Number,
    /// Characters.
    Text,
    /// The bytes alone: they are no number.
    Bytes,
}

/// A field: offset, bytes, name, and how it is shown.
pub type Field = (usize, usize, &'static str, Shown);

use Shown::{Bytes, Number, Text};

/// NVMe Base 2.0 figure 275.
pub const CONTROLLER: &[Field] = &[
    (0, 2, "VID", Number),
    (2, 2, "SSVID", Number),
    (4, 20, "SN", Text),
    (24, 40, "MN", Text),
    (64, 8, "FR", Text),
    (72, 1, "RAB", Number),
    (73, 3, "IEEE", Bytes),
    (76, 1, "CMIC", Number),
    (77, 1, "MDTS", Number),
    (78, 2, "CNTLID", Number),
    (80, 4, "VER", Number),
    (84, 4, "RTD3R", Number),
    (88, 4, "RTD3E", Number),
    (92, 4, "OAES", Number),
    (96, 4, "CTRATT", Number),
    (100, 2, "RRLS", Number),
    (111, 1, "CNTRLTYPE", Number),
    (112, 16, "FGUID", Bytes),
    (128, 2, "CRDT1", Number),
    (130, 2, "CRDT2", Number),
    (132, 2, "CRDT3", Number),
    (253, 1, "NVMSR", Number),
    (254, 1, "VWCI", Number),
    (255, 1, "MEC", Number),
    (256, 2, "OACS", Number),
    (258, 1, "ACL", Number),
    (259, 1, "AERL", Number),
    (260, 1, "FRMW", Number),
    (261, 1, "LPA", Number),
    (262, 1, "ELPE", Number),
    (263, 1, "NPSS", Number),
    (264, 1, "AVSCC", Number),
    (265, 1, "APSTA", Number),
    (266, 2, "WCTEMP", Number),
    (268, 2, "CCTEMP", Number),
    (270, 2, "MTFA", Number),
    (272, 4, "HMPRE", Number),
    (276, 4, "HMMIN", Number),
    (280, 16, "TNVMCAP", Number),
    (296, 16, "UNVMCAP", Number),
    (312, 4, "RPMBS", Number),
    (316, 2, "EDSTT", Number),
    (318, 1, "DSTO", Number),
    (319, 1, "FWUG", Number),
    (320, 2, "KAS", Number),
    (322, 2, "HCTMA", Number),
    (324, 2, "MNTMT", Number),
    (326, 2, "MXTMT", Number),
    (328, 4, "SANICAP", Number),
    (332, 4, "HMMINDS", Number),
    (336, 2, "HMMAXD", Number),
    (338, 2, "NSETIDMAX", Number),
    (340, 2, "ENDGIDMAX", Number),
    (342, 1, "ANATT", Number),
    (343, 1, "ANACAP", Number),
    (344, 4, "ANAGRPMAX", Number),
    (348, 4, "NANAGRPID", Number),
    (352, 4, "PELS", Number),
    (356, 2, "DOMAIN_ID", Number),
    (368, 16, "MEGCAP", Number),
    (512, 1, "SQES", Number),
    (513, 1, "CQES", Number),
    (514, 2, "MAXCMD", Number),
    (516, 4, "NN", Number),
    (520, 2, "ONCS", Number),
    (522, 2, "FUSES", Number),
    (524, 1, "FNA", Number),
    (525, 1, "VWC", Number),
    (526, 2, "AWUN", Number),
    (528, 2, "AWUPF", Number),
    (530, 1, "ICSVSCC", Number),
    (531, 1, "NWPC", Number),
    (532, 2, "ACWU", Number),
    (534, 2, "OCFS", Number),
    (536, 4, "SGLS", Number),
    (540, 4, "MNAN", Number),
    (544, 16, "MAXDNA", Number),
    (560, 4, "MAXCNA", Number),
    (768, 256, "SUBNQN", Text),
    (2048, 2, "PSD0.MP", Number),
    (2051, 1, "PSD0.MXPS_NOPS", Number),
    (2052, 4, "PSD0.ENLAT", Number),
    (2056, 4, "PSD0.EXLAT", Number),
    (2060, 1, "PSD0.RRT", Number),
    (2061, 1, "PSD0.RRL", Number),
    (2062, 1, "PSD0.RWT", Number),
    (2063, 1, "PSD0.RWL", Number),
    (2064, 2, "PSD0.IDLP", Number),
    (2066, 1, "PSD0.IPS", Number),
    (2068, 2, "PSD0.ACTP", Number),
    (2070, 1, "PSD0.APW_APS", Number),
    (2080, 2, "PSD1.MP", Number),
    (2083, 1, "PSD1.MXPS_NOPS", Number),
    (2084, 4, "PSD1.ENLAT", Number),
    (2088, 4, "PSD1.EXLAT", Number),
    (2112, 2, "PSD2.MP", Number),
    (2115, 1, "PSD2.MXPS_NOPS", Number),
    (2116, 4, "PSD2.ENLAT", Number),
    (2120, 4, "PSD2.EXLAT", Number),
];

/// NVM CS 1.0 figure 97.
pub const NAMESPACE: &[Field] = &[
    (0, 8, "NSZE", Number),
    (8, 8, "NCAP", Number),
    (16, 8, "NUSE", Number),
    (24, 1, "NSFEAT", Number),
    (25, 1, "NLBAF", Number),
    (26, 1, "FLBAS", Number),
    (27, 1, "MC", Number),
    (28, 1, "DPC", Number),
    (29, 1, "DPS", Number),
    (30, 1, "NMIC", Number),
    (31, 1, "RESCAP", Number),
    (32, 1, "FPI", Number),
    (33, 1, "DLFEAT", Number),
    (34, 2, "NAWUN", Number),
    (36, 2, "NAWUPF", Number),
    (38, 2, "NACWU", Number),
    (40, 2, "NABSN", Number),
    (42, 2, "NABO", Number),
    (44, 2, "NABSPF", Number),
    (46, 2, "NOIOB", Number),
    (48, 16, "NVMCAP", Number),
    (64, 2, "NPWG", Number),
    (66, 2, "NPWA", Number),
    (68, 2, "NPDG", Number),
    (70, 2, "NPDA", Number),
    (72, 2, "NOWS", Number),
    (74, 2, "MSSRL", Number),
    (76, 4, "MCL", Number),
    (80, 1, "MSRC", Number),
    (92, 4, "ANAGRPID", Number),
    (99, 1, "NSATTR", Number),
    (100, 2, "NVMSETID", Number),
    (102, 2, "ENDGID", Number),
    (104, 16, "NGUID", Bytes),
    (120, 8, "EUI64", Bytes),
    (128, 2, "LBAF0.MS", Number),
    (130, 1, "LBAF0.LBADS", Number),
    (131, 1, "LBAF0.RP", Number),
    (132, 2, "LBAF1.MS", Number),
    (134, 1, "LBAF1.LBADS", Number),
    (135, 1, "LBAF1.RP", Number),
];

/// NVMe Base 2.0 figure 277, for the four descriptors that there are.
pub const DESCRIPTORS: &[Field] = &[
    (0, 1, "NIDT", Number),
    (1, 1, "NIDL", Number),
    (4, 8, "NID (EUI64)", Bytes),
    (12, 1, "NIDT", Number),
    (13, 1, "NIDL", Number),
    (16, 16, "NID (NGUID)", Bytes),
    (32, 1, "NIDT", Number),
    (33, 1, "NIDL", Number),
    (36, 16, "NID (UUID)", Bytes),
    (52, 1, "NIDT", Number),
    (53, 1, "NIDL", Number),
    (56, 1, "NID (CSI)", Number),
];

/// NVMe Base 2.0 figure 280.
pub const INDEPENDENT_NAMESPACE: &[Field] = &[
    (0, 1, "NSFEAT", Number),
    (1, 1, "NMIC", Number),
    (2, 1, "RESCAP", Number),
    (3, 1, "FPI", Number),
    (4, 4, "ANAGRPID", Number),
    (8, 1, "NSATTR", Number),
    (10, 2, "NVMSETID", Number),
    (12, 2, "ENDGID", Number),
    (14, 1, "NSTAT", Number),
];

/// NVM CS 1.0 figure 100.
pub const NVM_CONTROLLER: &[Field] = &[
    (0, 1, "VSL", Number),
    (1, 1, "WZSL", Number),
    (2, 1, "WUSL", Number),
    (3, 1, "DMRL", Number),
    (4, 4, "DMRSL", Number),
    (8, 8, "DMSL", Number),
];

/// NVM CS 1.0 figure 99: protection information, of which there is none.
pub const NVM_NAMESPACE: &[Field] = &[(0, 8, "LBSTM", Number), (8, 1, "PIC", Number)];

/// ZNS 1.1 figure 50.
pub const ZONED_CONTROLLER: &[Field] = &[(0, 1, "ZASL", Number)];

/// ZNS 1.1 figure 48; NUMZRWA to ZRWACAP as in TP 4076.
pub const ZONED_NAMESPACE: &[Field] = &[
    (0, 2, "ZOC", Number),
    (2, 2, "OZCS", Number),
    (4, 4, "MAR", Number),
    (8, 4, "MOR", Number),
    (12, 4, "RRL", Number),
    (16, 4, "FRL", Number),
    (44, 4, "NUMZRWA", Number),
    (48, 2, "ZRWAFG", Number),
    (50, 2, "ZRWAS", Number),
    (52, 1, "ZRWACAP", Number),
    (2816, 8, "LBAFE0.ZSZE", Number),
    (2824, 1, "LBAFE0.ZDES", Number),
    (2832, 8, "LBAFE1.ZSZE", Number),
    (2840, 1, "LBAFE1.ZDES", Number),
];

/// KV CS 1.0 figure 36, figure 37.
pub const KEY_VALUE_NAMESPACE: &[Field] = &[
    (0, 8, "NSZE", Number),
    (16, 8, "NUSE", Number),
    (24, 1, "NSFEAT", Number),
    (25, 1, "NKVF", Number),
    (26, 1, "NMIC", Number),
    (27, 1, "RESCAP", Number),
    (28, 1, "FPI", Number),
    (32, 4, "NOVG", Number),
    (36, 4, "ANAGRPID", Number),
    (43, 1, "NSATTR", Number),
    (44, 2, "NVMSETID", Number),
    (46, 2, "ENDGID", Number),
    (48, 16, "NGUID", Bytes),
    (64, 8, "EUI64", Bytes),
    (72, 2, "KVF0.KML", Number),
    (75, 1, "KVF0.AO", Number),
    (76, 4, "KVF0.VML", Number),
    (80, 4, "KVF0.MNK", Number),
];

/// NVMe Base 2.0 figure 290: the only combination of I/O command sets.
pub const IO_COMMAND_SETS: &[Field] = &[(0, 8, "IOCSC0", Number)];

/// NVMe Base 2.0 figure 207.
pub const SMART: &[Field] = &[
    (0, 1, "CRITICAL_WARNING", Number),
    (1, 2, "COMPOSITE_TEMPERATURE", Number),
    (3, 1, "AVSP", Number),
    (4, 1, "AVSPT", Number),
    (5, 1, "PUSED", Number),
    (6, 1, "EGCWS", Number),
    (32, 16, "DUR", Number),
    (48, 16, "DUW", Number),
    (64, 16, "HRC", Number),
    (80, 16, "HWC", Number),
    (96, 16, "CBT", Number),
    (112, 16, "PWRC", Number),
    (128, 16, "POH", Number),
    (144, 16, "UPL", Number),
    (160, 16, "MDIE", Number),
    (176, 16, "NEILE", Number),
    (192, 4, "WCTT", Number),
    (196, 4, "CCTT", Number),
    (200, 2, "TSEN1", Number),
    (216, 4, "TMT1TC", Number),
    (220, 4, "TMT2TC", Number),
    (224, 4, "TTTMT1", Number),
    (228, 4, "TTTMT2", Number),
];

/// NVMe Base 2.0 §5.16.1.4, for the slots that there are.
pub const FIRMWARE_SLOT: &[Field] = &[
    (0, 1, "AFI", Number),
    (8, 8, "FRS1", Text),
    (16, 8, "FRS2", Text),
    (24, 8, "FRS3", Text),
];

/// NVMe Base 2.0 §5.16.1.21.
pub const SANITIZE: &[Field] = &[
    (0, 2, "SPROG", Number),
    (2, 2, "SSTAT", Number),
    (4, 4, "SCDW10", Number),
    (8, 4, "ETO", Number),
    (12, 4, "ETBE", Number),
    (16, 4, "ETCE", Number),
    (20, 4, "ETOND", Number),
    (24, 4, "ETBEND", Number),
    (28, 4, "ETCEND", Number),
];

/// NVMe Base 2.0 §5.16.1.5; §5.17.2.2 for the lists that Identify has.
pub const NAMESPACE_LIST: &[Field] = &[(0, 4, "NSID", Number), (4, 4, "NSID", Number)];

/// NVMe Base 2.0 §4.4.1.
pub const CONTROLLER_LIST: &[Field] = &[(0, 2, "NUMIDS", Number), (2, 2, "CNTLID", Number)];

/// ZNS 1.1 figure 46.
pub const CHANGED_ZONE_LIST: &[Field] = &[(0, 2, "NRZID", Number), (8, 8, "ZONE_ID", Number)];
