//! Format NVM, Namespace Management and Attachment, and Sanitize, on namespaces of every kind.

mod format;
mod management;
mod sanitize;

use nvme_device::NamespaceConfig;
use nvme_spec::{
    IdentifyCns, KeyValueOpcode, LogPageId, NamespaceAttachmentSelect, NamespaceToCreate, NvmOpcode, Status,
    SubmissionQueueEntry,
};
use nvmev_sim::host::{commands, key_value, TestHost};
use ssd_model::profiles;
use zerocopy::{FromZeros, IntoBytes};

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const MIB: u64 = 1 << 20;
const CSI_NVM: u8 = 0;
const CSI_KEY_VALUE: u8 = 1;
const CSI_ZONED: u8 = 2;

/// Identifiers of the namespaces of a [`Drive`].
const NVM: u32 = 1;
const CONVENTIONAL: u32 = 2;
const ZONED: u32 = 3;
const KEY_VALUE: u32 = 4;
const KEY_VALUE_LBAS: u32 = 5;
/// Those that have LBAs which can be written anywhere.
const RANDOM_WRITABLE: [u32; 3] = [NVM, CONVENTIONAL, KEY_VALUE_LBAS];

const KINDS: [(&str, &str); 5] = [
    ("optane", ""),
    ("tlc-ssd", ""),
    (
        "zn540",
        "mdts=5,zone.size_kib=1024,zone.dies_per_zone=2,zone.max_open=3,zone.max_active=4,reference_quirks=false",
    ),
    ("kv-prototype", "key_value.value_bytes_max=65536"),
    (
        "kv-prototype",
        "key_value.command_set=nvm,key_value.value_bytes_max=65536",
    ),
];

/// A device with a namespace of each kind, of 8 MiB, one after the other, and 2 workers.
struct Drive {
    host: TestHost,
    buffer: u64,
}

impl Drive {
    fn new() -> Self {
        let mut host = TestHost::with_namespaces(
            KINDS
                .into_iter()
                .enumerate()
                .map(|(index, (name, changes))| {
                    let mut profile = *profiles::by_name(name).unwrap();
                    profile.set_list(changes).unwrap();
                    profile.validate().unwrap();
                    NamespaceConfig {
                        kind: profile.kind,
                        mdts: 5,
                        lba_bytes: 512,
                        media_offset: index as u64 * 8 * MIB,
                        media_len_bytes: 8 * MIB,
                    }
                })
                .collect(),
            2,
        );
        host.enable();
        host.create_io_queues(1, 64);
        host.create_io_queues(2, 64);
        let buffer = host.pages(1);
        Self { host, buffer }
    }

    fn admin(&mut self, entry: SubmissionQueueEntry) -> Status {
        self.host.admin(entry).status()
    }

    /// One page of data to or from `slba`, in LBAs of 512 bytes if the namespace has such.
    fn io(&mut self, opcode: NvmOpcode, nsid: u32, slba: u64, lbas: u32) -> Status {
        let buffer = self.buffer;
        self.host
            .execute(1, commands::read_write(opcode, nsid, slba, lbas, buffer, 0))
            .status()
    }

    fn write(&mut self, nsid: u32, slba: u64, byte: u8) -> Status {
        self.host.machine.set_ram(self.buffer, &[byte; 4096]);
        self.io(NvmOpcode::WRITE, nsid, slba, 8)
    }

    /// What 4096 bytes from `slba` on are, if they are all the same.
    fn read(&mut self, nsid: u32, slba: u64) -> Result<u8, Status> {
        self.host.machine.set_ram(self.buffer, &[0xEE; 4096]);
        match self.io(NvmOpcode::READ, nsid, slba, 8) {
            SUCCESS => {
                let data = self.host.machine.ram(self.buffer, 4096);
                assert!(data.iter().all(|&byte| byte == data[0]));
                Ok(data[0])
            }
            status => Err(status),
        }
    }

    /// Stores or looks for the key "key".
    fn key(&mut self, opcode: KeyValueOpcode, nsid: u32) -> Status {
        let entry = SubmissionQueueEntry {
            prp1: self.buffer.into(),
            ..key_value::standard(opcode, nsid, b"key", 0, 512)
        };
        self.host.execute(1, entry).status()
    }

    fn identify(&mut self, cns: IdentifyCns, nsid: u32, csi: u8) -> Vec<u8> {
        let page = self.host.pages(1);
        assert_eq!(self.admin(commands::identify(cns, nsid, csi, page)), SUCCESS);
        let data = self.host.machine.ram(page, 4096);
        self.host.forget_pages(self.host.next_page() - 4096);
        data
    }

    /// The identifiers of a list.
    fn list(&mut self, cns: IdentifyCns) -> Vec<u32> {
        let data = self.identify(cns, 0, 0);
        let dwords = data
            .chunks(4)
            .map(|dword| u32::from_le_bytes(dword.try_into().unwrap()));
        dwords.take_while(|&nsid| nsid != 0).collect()
    }

    /// TNVMCAP and UNVMCAP.
    fn capacities(&mut self) -> (u64, u64) {
        let data = self.identify(IdentifyCns::CONTROLLER, 0, 0);
        let at = |offset: usize| u64::from_le_bytes(data[offset..offset + 8].try_into().unwrap());
        (at(280), at(296))
    }

    fn log(&mut self, log: LogPageId, len_bytes: u32) -> Vec<u8> {
        let page = self.host.pages(1);
        assert_eq!(
            self.admin(commands::get_log_page(log, 0, 0, len_bytes, page)),
            SUCCESS
        );
        let data = self.host.machine.ram(page, len_bytes as usize);
        self.host.forget_pages(self.host.next_page() - 4096);
        data
    }

    /// Creates a namespace; its identifier.
    fn create(&mut self, csi: u8, size: u64, capacity_lbas: u64, flbas: u8) -> Result<u32, Status> {
        self.create_as(csi, |asked| {
            asked.nsze = size.into();
            asked.ncap_lbas = capacity_lbas.into();
            asked.flbas = flbas;
        })
    }

    fn create_as(&mut self, csi: u8, fill: impl Fn(&mut NamespaceToCreate)) -> Result<u32, Status> {
        let mut asked = NamespaceToCreate::new_zeroed();
        fill(&mut asked);
        let buffer = self.buffer;
        self.host.machine.set_ram(buffer, &[0; 4096]);
        self.host.machine.set_ram(buffer, asked.as_bytes());
        let completion = self.host.admin(commands::create_namespace(csi, buffer));
        match completion.status() {
            SUCCESS => Ok(completion.dw0.get()),
            status => Err(status),
        }
    }

    fn set_attached(&mut self, nsid: u32, select: NamespaceAttachmentSelect) -> Status {
        // One controller, number 0.
        self.set_attached_to(nsid, select, &[1, 0])
    }

    fn set_attached_to(&mut self, nsid: u32, select: NamespaceAttachmentSelect, list: &[u16]) -> Status {
        let buffer = self.buffer;
        self.host.machine.set_ram(buffer, &[0; 4096]);
        self.host.machine.set_ram(buffer, list.as_bytes());
        self.admin(commands::attach_namespace(nsid, select, buffer))
    }

    fn attach(&mut self, nsid: u32) -> Status {
        self.set_attached(nsid, NamespaceAttachmentSelect::ATTACH)
    }

    fn detach(&mut self, nsid: u32) -> Status {
        self.set_attached(nsid, NamespaceAttachmentSelect::DETACH)
    }
}
