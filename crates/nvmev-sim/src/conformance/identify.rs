//! Identify: what must be there, and what must agree.

use nvme_spec::{
    namespace_id_type, CommandSet, IdentifyCns, IdentifyController, IdentifyIndependentNamespace,
    IdentifyKeyValueNamespace, IdentifyNamespace, IdentifyZonedNamespace, Status, NSID_BROADCAST,
};

use super::subject::{descriptors_of, INVALID_FIELD, PAGE_BYTES, SUCCESS};
use super::{Finding, Kind, Obstacle, Subject};
use crate::host::commands;

/// NSFEAT.THINP.
const THIN_PROVISIONING: u8 = 1;
/// NSFEAT.UIDREUSE.
const NSFEAT_IDENTIFIERS_NOT_REUSED: u8 = 1 << 3;
/// Structures that an I/O controller of version 2.0 must have (NVMe Base 2.0 figure 273), and, with command sets, those of a command set.
const MANDATORY: [IdentifyCns; 6] = [
    IdentifyCns::CONTROLLER,
    IdentifyCns::ACTIVE_NAMESPACE_LIST,
    IdentifyCns::NAMESPACE_DESCRIPTORS,
    IdentifyCns::COMMAND_SET_CONTROLLER,
    IdentifyCns::COMMAND_SET_INDEPENDENT_NAMESPACE,
    IdentifyCns::IO_COMMAND_SET,
];

/// Every mandatory structure can be had (NVMe Base 2.0 §5.17, figure 273).
pub(super) fn the_mandatory_structures_are_there(subject: &mut Subject<'_>) -> Finding {
    for cns in MANDATORY {
        let nsid = match cns {
            IdentifyCns::ACTIVE_NAMESPACE_LIST | IdentifyCns::IO_COMMAND_SET => 0,
            _ => subject.nsid,
        };
        subject.identify(cns, nsid, subject.command_set)?;
    }
    subject.identify(
        IdentifyCns::COMMAND_SET_NAMESPACE,
        subject.nsid,
        subject.command_set,
    )?;
    subject.identify(
        IdentifyCns::COMMAND_SET_ACTIVE_NAMESPACE_LIST,
        0,
        subject.command_set,
    )?;
    Ok(())
}

/// Fields of Identify Controller have values that they can have (NVMe Base 2.0 figure 275).
pub(super) fn the_controller_structure_is_sound(subject: &mut Subject<'_>) -> Finding {
    let controller: IdentifyController = subject.identify_as(IdentifyCns::CONTROLLER, 0, CommandSet::NVM)?;
    let texts = [
        &controller.serial_number[..],
        &controller.model_number,
        &controller.firmware_revision,
    ];
    for text in texts {
        ensure!(
            text.iter().all(|byte| (0x20..0x7F).contains(byte)),
            "SN, MN or FR is not ASCII padded with spaces: {text:x?}"
        );
    }
    ensure!(
        controller.cntrltype == 1,
        "CNTRLTYPE is {}, not an I/O controller's",
        controller.cntrltype
    );
    let name = controller.subnqn;
    let end = name.iter().position(|&byte| byte == 0);
    ensure!(
        name.starts_with(b"nqn.") && end.is_some_and(|end| end <= 223),
        "SUBNQN is no NVMe qualified name with a null behind it"
    );
    for (what, sizes, required) in [("SQES", controller.sqes, 6), ("CQES", controller.cqes, 4)] {
        let (least, most) = (sizes & 0xF, sizes >> 4);
        ensure!(least == required && most >= least, "{what} is {sizes:#x}");
    }
    ensure!(controller.npss_z < 32, "NPSS is {}", controller.npss_z);
    let power = controller.psd[0].maximum_power_centiwatts.get();
    ensure!(power > 0, "power state 0 has no maximum power");
    ensure!(
        controller.lpa & 1 << 5 == 0 || controller.lpa & 1 << 2 != 0,
        "LPA has no extended data"
    );
    let (warning, critical) = (controller.wctemp_kelvin.get(), controller.cctemp_kelvin.get());
    ensure!(
        warning <= critical,
        "WCTEMP, {warning} K, is above CCTEMP, {critical} K"
    );
    let slots = controller.frmw >> 1 & 0b111;
    ensure!(slots >= 1, "FRMW has {slots} firmware slots, not 1 to 7");
    let has_self_test = controller.oacs.get() & 1 << 4 != 0;
    ensure!(
        has_self_test == (controller.edstt_minutes.get() > 0),
        "OACS and EDSTT disagree about Device Self-test"
    );
    let has_copy = controller.oncs.get() & 1 << 8 != 0;
    ensure!(
        !has_copy || controller.ocfs.get() & 1 != 0,
        "OCFS lacks format 0, which Copy must have"
    );
    Ok(())
}

/// NN and MNAN bound the lists, which ascend and name what the structures describe, attached or not (NVMe Base 2.0 §5.17.2.2, §3.2.1).
pub(super) fn lists_name_what_structures_describe(subject: &mut Subject<'_>) -> Finding {
    let (namespaces, allowed) = (subject.controller.nn.get(), subject.controller.mnan.get());
    ensure!(
        namespaces > 0 && allowed <= namespaces,
        "MNAN is {allowed}, and NN {namespaces}"
    );
    let csi = subject.command_set;
    let active = subject.namespace_list(IdentifyCns::ACTIVE_NAMESPACE_LIST, 0, csi)?;
    ensure!(
        active.contains(&subject.nsid),
        "the active namespaces are {active:?}"
    );
    ensure!(active.is_sorted(), "the list does not ascend: {active:?}");
    ensure!(
        active.iter().all(|&nsid| nsid <= namespaces),
        "{active:?} goes beyond NN, {namespaces}"
    );
    ensure!(
        allowed == 0 || active.len() <= allowed as usize,
        "{active:?} is more than MNAN, {allowed}"
    );
    let after = subject.namespace_list(IdentifyCns::ACTIVE_NAMESPACE_LIST, active[0], csi)?;
    ensure!(
        after[..] == active[1..],
        "after {}, the list is {after:?}",
        active[0]
    );
    let of_set = subject.namespace_list(IdentifyCns::COMMAND_SET_ACTIVE_NAMESPACE_LIST, 0, csi)?;
    ensure!(
        of_set.contains(&subject.nsid) && of_set.iter().all(|nsid| active.contains(nsid)),
        "of command set {csi:?} there are {of_set:?}, and in all {active:?}"
    );
    if subject.controller.oacs.get() & 1 << 3 != 0 {
        let allocated = subject.namespace_list(IdentifyCns::ALLOCATED_NAMESPACE_LIST, 0, csi)?;
        ensure!(
            active.iter().all(|nsid| allocated.contains(nsid)),
            "the active namespaces {active:?} are not all allocated: {allocated:?}"
        );
        let controllers = subject.identify(IdentifyCns::NAMESPACE_CONTROLLER_LIST, subject.nsid, csi)?;
        let id = subject.controller.cntlid.get().to_le_bytes();
        let is_listed = controllers[2..]
            .chunks_exact(2)
            .take(controllers[0].into())
            .any(|listed| listed == id);
        ensure!(is_listed, "the namespace's controllers do not include this one");
    }
    for nsid in 1..=namespaces.min(64) {
        let independent = subject.identify(
            IdentifyCns::COMMAND_SET_INDEPENDENT_NAMESPACE,
            nsid,
            CommandSet::NVM,
        )?;
        let is_there = independent.iter().any(|&byte| byte != 0);
        ensure!(
            is_there == active.contains(&nsid),
            "the structure of namespace {nsid} is there: {is_there}; the active namespaces are {active:?}"
        );
    }
    Ok(())
}

/// NSZE, NCAP, NUSE ascend from last to first, NVMCAP covers NCAP, and with what is unallocated there is no more than TNVMCAP (NVM CS 1.0 figure 97, NVMe
/// Base 2.0 figure 275).
pub(super) fn capacities_add_up(subject: &mut Subject<'_>) -> Finding {
    let total = u128::from_le_bytes(subject.controller.tnvmcap_bytes);
    let unallocated = u128::from_le_bytes(subject.controller.unvmcap_bytes);
    ensure!(
        total > 0 && unallocated <= total,
        "of {total} bytes, {unallocated} are unallocated"
    );
    let used = if subject.has_lbas() {
        let namespace = subject.namespace()?;
        let [size, capacity, used] =
            [namespace.nsze_lbas, namespace.ncap_lbas, namespace.nuse_lbas].map(|lbas| lbas.get());
        ensure!(
            used <= capacity && capacity <= size && capacity > 0,
            "NSZE, NCAP, NUSE are {size}, {capacity}, {used}"
        );
        ensure!(
            namespace.nsfeat & THIN_PROVISIONING != 0 || subject.kind == Kind::Zones || capacity == size,
            "without thin provisioning, NCAP is {capacity} and NSZE {size}"
        );
        let allocated = u128::from_le_bytes(namespace.nvmcap_bytes);
        let needed = u128::from(capacity) * subject.lba_bytes as u128;
        ensure!(
            allocated >= needed,
            "NVMCAP is {allocated}, and NCAP {needed} bytes"
        );
        allocated
    } else {
        let namespace: IdentifyKeyValueNamespace = subject.identify_as(
            IdentifyCns::COMMAND_SET_NAMESPACE,
            subject.nsid,
            CommandSet::KEY_VALUE,
        )?;
        let (size, used) = (namespace.nsze_bytes.get(), namespace.nuse_bytes.get());
        ensure!(used <= size && size > 0, "NSZE is {size}, and NUSE {used}");
        size.into()
    };
    ensure!(
        used + unallocated <= total,
        "{used} bytes allocated and {unallocated} unallocated are more than TNVMCAP, {total}"
    );
    Ok(())
}

/// FLBAS names one of the NLBAF formats, which are the same for all namespaces, and have LBAs of 512 bytes or more (NVM CS 1.0 figure 97, figure 98).
pub(super) fn lba_formats_are_sound(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    let namespace = subject.namespace()?;
    let formats = usize::from(namespace.nlbaf_z) + 1;
    let index = usize::from(namespace.flbas & 0xF | namespace.flbas >> 1 & 0b11_0000);
    ensure!(
        index < formats && formats <= 64,
        "FLBAS is {index} of {formats} formats"
    );
    for (at, format) in namespace.lbaf.iter().enumerate() {
        let log2 = format.lba_data_size_log2;
        ensure!(
            (at < formats) == (log2 >= 9),
            "format {at} of {formats} has LBAs of 2^{log2} bytes"
        );
    }
    let common: IdentifyNamespace =
        subject.identify_as(IdentifyCns::NAMESPACE, NSID_BROADCAST, CommandSet::NVM)?;
    ensure!(
        common.nlbaf_z == namespace.nlbaf_z && common.nsze_lbas.get() == 0,
        "what all namespaces have in common has NLBAF {} and NSZE {}",
        common.nlbaf_z,
        common.nsze_lbas.get()
    );
    let (source, copy, count) = (
        namespace.mssrl_lbas.get(),
        namespace.mcl_lbas.get(),
        u32::from(namespace.msrc_z) + 1,
    );
    let has_copy = subject.controller.oncs.get() & 1 << 8 != 0;
    ensure!(
        !has_copy || source > 0 && copy >= source.into() && u32::from(source).saturating_mul(count) >= copy,
        "MSSRL is {source}, MCL {copy}, for {count} ranges"
    );
    Ok(())
}

/// Each identifier in the descriptors is there once, and the one in the namespace's structure; the command set is among them (NVMe Base 2.0 figure 277).
pub(super) fn descriptors_and_structures_name_the_same_namespace(subject: &mut Subject<'_>) -> Finding {
    let bytes = subject.identify(IdentifyCns::NAMESPACE_DESCRIPTORS, subject.nsid, CommandSet::NVM)?;
    let descriptors: Vec<_> = descriptors_of(&bytes).collect();
    let kinds: Vec<u8> = descriptors.iter().map(|(kind, _)| *kind).collect();
    for (kind, id) in &descriptors {
        let len = match *kind {
            namespace_id_type::EUI64 => 8,
            namespace_id_type::NGUID | namespace_id_type::UUID => 16,
            namespace_id_type::COMMAND_SET => 1,
            _ => 0,
        };
        ensure!(
            id.len() == len,
            "a descriptor of type {kind} has {} bytes",
            id.len()
        );
        let same = kinds.iter().filter(|other| *other == kind).count();
        ensure!(same == 1, "there are {same} descriptors of type {kind}");
        let is_identifier = *kind == namespace_id_type::COMMAND_SET || id.iter().any(|&byte| byte != 0);
        ensure!(is_identifier, "the identifier of type {kind} is zero");
    }
    let (nguid, eui64) = if subject.has_lbas() {
        let namespace = subject.namespace()?;
        (namespace.nguid, namespace.eui64)
    } else {
        let namespace: IdentifyKeyValueNamespace = subject.identify_as(
            IdentifyCns::COMMAND_SET_NAMESPACE,
            subject.nsid,
            CommandSet::KEY_VALUE,
        )?;
        (namespace.nguid, namespace.eui64)
    };
    for (kind, id) in [
        (namespace_id_type::NGUID, &nguid[..]),
        (namespace_id_type::EUI64, &eui64),
    ] {
        let described = descriptors.iter().find(|(other, _)| *other == kind);
        let is_zero = id.iter().all(|&byte| byte == 0);
        ensure!(
            described.map_or(is_zero, |(_, described)| *described == id),
            "the identifier of type {kind} is {id:x?} in the structure, and {described:x?} in the descriptor"
        );
    }
    Ok(())
}

/// The structure of the namespace's command set is there and says what the general ones say; those of other command sets are refused (NVMe Base 2.0
/// §5.17.2.5, §5.17.2.8, ZNS 1.1 §4.1.5, KV CS 1.0 §4.1.5).
pub(super) fn structures_of_command_sets_fit_the_namespace(subject: &mut Subject<'_>) -> Finding {
    let sets = subject.identify(IdentifyCns::IO_COMMAND_SET, 0xFFFF, CommandSet::NVM)?;
    ensure!(
        sets[0] >> subject.command_set.0 & 1 != 0,
        "the namespace's command set is not among those of the controller: {:#b}",
        sets[0]
    );
    // A zoned namespace has the structure of the NVM command set, too, which holds nothing but protection information.
    for set in [
        CommandSet::NVM,
        CommandSet::KEY_VALUE,
        CommandSet::ZONED,
        CommandSet(0x3F),
    ] {
        let is_had = set == subject.command_set || set == CommandSet::NVM && subject.kind == Kind::Zones;
        let expected = if is_had {
            SUCCESS
        } else {
            Status::INVALID_IO_COMMAND_SET
        };
        let entry = commands::identify(
            IdentifyCns::COMMAND_SET_NAMESPACE,
            subject.nsid,
            set.0,
            subject.buffer(),
        );
        subject.admin_ends(
            &format!("Identify of the namespace for command set {set:?}"),
            entry,
            expected,
        )?;
    }
    let independent: IdentifyIndependentNamespace = subject.identify_as(
        IdentifyCns::COMMAND_SET_INDEPENDENT_NAMESPACE,
        subject.nsid,
        CommandSet::NVM,
    )?;
    ensure!(
        independent.nstat & 1 != 0,
        "NSTAT says that the namespace is not ready"
    );
    let identifiers_not_reused = |nsfeat: u8| nsfeat & NSFEAT_IDENTIFIERS_NOT_REUSED;
    let [nsfeat, capabilities @ ..] = if subject.has_lbas() {
        let namespace = subject.namespace()?;
        [namespace.nsfeat, namespace.nmic, namespace.rescap, namespace.fpi]
    } else {
        let entry = commands::identify(IdentifyCns::NAMESPACE, subject.nsid, 0, subject.buffer());
        let what = "Identify Namespace of a namespace without LBAs";
        subject.admin_ends(what, entry, Status::INVALID_FIELD_IN_COMMAND)?;
        let namespace: IdentifyKeyValueNamespace = subject.identify_as(
            IdentifyCns::COMMAND_SET_NAMESPACE,
            subject.nsid,
            CommandSet::KEY_VALUE,
        )?;
        [namespace.nsfeat, namespace.nmic, namespace.rescap, namespace.fpi]
    };
    ensure!(
        identifiers_not_reused(nsfeat) == identifiers_not_reused(independent.nsfeat)
            && capabilities == [independent.nmic, independent.rescap, independent.fpi],
        "NSFEAT, NMIC, RESCAP and FPI are {nsfeat:#x}, {capabilities:x?} in the structure of the command set, \
         and other in the independent one"
    );
    if subject.kind == Kind::Zones {
        let (namespace, zone_lbas) = (subject.namespace()?, subject.zone_lbas);
        ensure!(
            zone_lbas > 0 && subject.size_lbas % zone_lbas == 0,
            "NSZE, {}, is not a multiple of ZSZE, {zone_lbas}",
            subject.size_lbas
        );
        let zoned: IdentifyZonedNamespace = subject.identify_as(
            IdentifyCns::COMMAND_SET_NAMESPACE,
            subject.nsid,
            CommandSet::ZONED,
        )?;
        let (active_z, open_z) = (zoned.mar_z.get(), zoned.mor_z.get());
        ensure!(open_z <= active_z, "MOR is {open_z}, above MAR, {active_z}");
        for (index, extension) in zoned.lbafe.iter().enumerate() {
            let is_there = index <= usize::from(namespace.nlbaf_z);
            let zsze = extension.zone_size_lbas.get();
            ensure!(is_there == (zsze > 0), "LBA format {index} has ZSZE {zsze}");
        }
    }
    Ok(())
}

/// A reserved CNS is an Invalid Field; a namespace that is not there has a structure of zeros, one that cannot be is Invalid Namespace or Format (NVMe Base 2.0
/// §5.17.1, §5.17.2.1).
pub(super) fn unknown_structures_and_namespaces_are_refused(subject: &mut Subject<'_>) -> Finding {
    for cns in [0x0F, 0x1F, 0x7F, 0xFF] {
        let entry = commands::identify(IdentifyCns(cns), subject.nsid, 0, subject.buffer());
        subject.admin_ends(&format!("Identify with CNS {cns:#x}"), entry, INVALID_FIELD)?;
    }
    let beyond = subject.controller.nn.get() + 1;
    let invalid = Status::INVALID_NAMESPACE_OR_FORMAT;
    for (nsid, cns) in [
        (beyond, IdentifyCns::NAMESPACE),
        (0, IdentifyCns::NAMESPACE),
        (beyond, IdentifyCns::COMMAND_SET_NAMESPACE),
        (beyond, IdentifyCns::NAMESPACE_DESCRIPTORS),
        (NSID_BROADCAST, IdentifyCns::NAMESPACE_DESCRIPTORS),
        (0xFFFF_FFFE, IdentifyCns::ACTIVE_NAMESPACE_LIST),
        (NSID_BROADCAST, IdentifyCns::ACTIVE_NAMESPACE_LIST),
    ] {
        let entry = commands::identify(cns, nsid, 0, subject.buffer());
        subject.admin_ends(
            &format!("Identify {cns:?} of namespace {nsid:#x}"),
            entry,
            invalid,
        )?;
    }
    let absent = absent_namespace(subject)?;
    let structure = subject.identify(IdentifyCns::NAMESPACE, absent, CommandSet::NVM)?;
    ensure!(
        structure == [0; PAGE_BYTES],
        "the structure of namespace {absent}, which is not there, is not all zeros"
    );
    Ok(())
}

/// An identifier that a namespace could have, and none has.
pub(super) fn absent_namespace(subject: &mut Subject<'_>) -> Result<u32, Obstacle> {
    let active = subject.namespace_list(IdentifyCns::ACTIVE_NAMESPACE_LIST, 0, CommandSet::NVM)?;
    let absent = (1..=subject.controller.nn.get()).find(|nsid| !active.contains(nsid));
    absent.ok_or(Obstacle::NotApplicable("there is a namespace of each identifier"))
}
