//! The device as a check sees it: commands with a buffer, and what the device says of itself.

use nvme_spec::registers::{self, csts};
use nvme_spec::{
    CommandSet, CompletionQueueEntry, FeatureId, FeatureSelect, IdentifyCns, IdentifyController,
    IdentifyNamespace, IdentifyNvmController, IdentifyZonedNamespace, LogPageId, NvmOpcode, Status,
    SubmissionQueueEntry, ZoneDescriptor, ZoneReceiveAction, ZoneSendAction, ZoneState, NSID_BROADCAST,
    NSSR_RESET,
};
use zerocopy::FromBytes;

use super::{Finding, Obstacle};
use crate::host::{commands, TestHost};

pub(super) const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
pub(super) const INVALID_FIELD: Status = Status::INVALID_FIELD_IN_COMMAND;
pub(super) const PAGE_BYTES: usize = 4096;
/// Pages of the buffer if there is no MDTS.
const BUFFER_PAGES: usize = 64;
const QUEUE_ENTRIES: u16 = 64;
/// Bytes of the head of a report of zones, and of each descriptor in it.
const ZONE_UNIT_BYTES: usize = 64;

/// What kind of namespace it is, as far as a host can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// LBAs (NVM command set).
    Lbas,
    /// Zones of LBAs.
    Zones,
    /// Pairs of keys and values.
    Pairs,
    /// LBAs, and pairs by vendor specific commands.
    LbasAndPairs,
}

/// The device, and what it said of itself.
pub struct Subject<'a> {
    pub(super) host: &'a mut TestHost,
    /// The namespace that is checked.
    pub nsid: u32,
    /// Its kind.
    pub kind: Kind,
    pub(super) command_set: CommandSet,
    /// Of the beginning: checks that change it look again.
    pub(super) controller: Box<IdentifyController>,
    /// 0 without LBAs, as the other two.
    pub(super) lba_bytes: usize,
    pub(super) size_lbas: u64,
    pub(super) zone_lbas: u64,
    buffer: u64,
    first_page: u64,
}

fn dword(bytes: &[u8], index: usize) -> u32 {
    bytes[index * 4..][..4]
        .try_into()
        .map(u32::from_le_bytes)
        .expect("4 bytes")
}

impl<'a> Subject<'a> {
    pub(super) fn new(host: &'a mut TestHost, nsid: u32) -> Result<Self, Obstacle> {
        let first_page = host.next_page();
        let controller = IdentifyController::read_from_bytes(&[0; PAGE_BYTES]).expect("a page");
        let mut subject = Self {
            host,
            nsid,
            kind: Kind::Lbas,
            command_set: CommandSet::NVM,
            controller: Box::new(controller),
            lba_bytes: 0,
            size_lbas: 0,
            zone_lbas: 0,
            buffer: 0,
            first_page,
        };
        subject.reset_subsystem();
        subject.bring_up();
        *subject.controller = subject.identify_as(IdentifyCns::CONTROLLER, 0, CommandSet::NVM)?;
        subject.find_kind()?;
        Ok(subject)
    }

    fn find_kind(&mut self) -> Finding {
        let descriptors = self.identify(IdentifyCns::NAMESPACE_DESCRIPTORS, self.nsid, CommandSet::NVM)?;
        let command_set = descriptors_of(&descriptors).find(|(kind, _)| *kind == 4);
        ensure!(
            command_set.is_some(),
            "no descriptor says which command set it is"
        );
        self.command_set = CommandSet(command_set.map_or(0, |(_, id)| id[0]));
        // The effects log is no help: it is that of all namespaces of a command set.
        let configuration = self.get_feature(FeatureId::KEY_VALUE_CONFIGURATION, FeatureSelect::CURRENT);
        let has_pairs = configuration.status() == SUCCESS;
        self.kind = match self.command_set {
            CommandSet::NVM if has_pairs => Kind::LbasAndPairs,
            CommandSet::NVM => Kind::Lbas,
            CommandSet::ZONED => Kind::Zones,
            CommandSet::KEY_VALUE => Kind::Pairs,
            other => return Err(Obstacle::Failed(format!("an unknown command set: {other:?}"))),
        };
        if self.kind == Kind::Pairs {
            return Ok(());
        }
        let namespace = self.namespace()?;
        let format = usize::from(namespace.flbas & 0xF);
        self.lba_bytes = 1 << namespace.lbaf[format].lba_data_size_log2.min(16);
        self.size_lbas = namespace.nsze_lbas.get();
        if self.kind == Kind::Zones {
            let zoned: IdentifyZonedNamespace =
                self.identify_as(IdentifyCns::COMMAND_SET_NAMESPACE, self.nsid, CommandSet::ZONED)?;
            self.zone_lbas = zoned.lbafe[format].zone_size_lbas.get();
        }
        Ok(())
    }

    pub(super) fn has_lbas(&self) -> bool {
        self.kind != Kind::Pairs
    }

    /// Enables the controller, which was powered on or reset, with a pair of I/O queues.
    pub(super) fn bring_up(&mut self) {
        self.host.forget_pages(self.first_page);
        self.host.enable();
        self.host.create_io_queues(1, QUEUE_ENTRIES);
        self.buffer = self
            .host
            .pages(self.transfer_pages_max().unwrap_or(BUFFER_PAGES) + 2);
    }

    /// A reset of the NVM subsystem, and whatever else it takes to have a ready controller and no zone in use.
    pub(super) fn restart(&mut self) -> Finding {
        self.host.settle();
        self.reset_subsystem();
        self.bring_up();
        self.reset_zones()
    }

    /// Makes all zones empty, if there are any.
    pub(super) fn reset_zones(&mut self) -> Finding {
        if self.kind == Kind::Zones {
            let entry = commands::zone_send(self.nsid, 0, ZoneSendAction::RESET, true);
            self.io_ends("a reset of all zones", entry, SUCCESS)?;
        }
        Ok(())
    }

    pub(super) fn reset_subsystem(&mut self) {
        self.host.set_register(registers::NSSR, NSSR_RESET);
        self.host.run();
    }

    pub(super) fn reset_controller(&mut self) {
        self.host.disable();
        self.bring_up();
    }

    pub(super) fn is_ready(&self) -> bool {
        self.host.register(registers::CSTS) & (csts::RDY | csts::CFS) == csts::RDY
    }

    /// MDTS in pages, if there is such a limit.
    pub(super) fn transfer_pages_max(&self) -> Option<usize> {
        let mdts = self.controller.mdts;
        (mdts > 0).then(|| 1 << mdts.min(8))
    }

    pub(super) fn transfer_lbas_max(&self) -> Option<u32> {
        Some((self.transfer_pages_max()? * PAGE_BYTES / self.lba_bytes) as u32)
    }

    // Commands.

    pub(super) fn admin(&mut self, entry: SubmissionQueueEntry) -> CompletionQueueEntry {
        self.host.admin(entry)
    }

    pub(super) fn io(&mut self, entry: SubmissionQueueEntry) -> CompletionQueueEntry {
        self.host.execute(1, entry)
    }

    /// Fails unless the admin command ends with `expected`; dword 0 if it does.
    pub(super) fn admin_ends(
        &mut self,
        what: &str,
        entry: SubmissionQueueEntry,
        expected: Status,
    ) -> Result<u32, Obstacle> {
        let completion = self.admin(entry);
        ended(what, completion, expected)
    }

    /// As [`Subject::admin_ends`], of an I/O command.
    pub(super) fn io_ends(
        &mut self,
        what: &str,
        entry: SubmissionQueueEntry,
        expected: Status,
    ) -> Result<u32, Obstacle> {
        let completion = self.io(entry);
        ended(what, completion, expected)
    }

    /// `entry` with the buffer behind it, of which `len_bytes` are used.
    pub(super) fn with_buffer(
        &mut self,
        entry: SubmissionQueueEntry,
        len_bytes: usize,
    ) -> SubmissionQueueEntry {
        let buffer = self.buffer;
        self.host.with_buffer(entry, buffer, len_bytes)
    }

    pub(super) fn buffer(&self) -> u64 {
        self.buffer
    }

    pub(super) fn fill(&mut self, bytes: &[u8]) {
        self.host.machine.set_ram(self.buffer, bytes);
    }

    pub(super) fn data(&self, len_bytes: usize) -> Vec<u8> {
        self.host.machine.ram(self.buffer, len_bytes)
    }

    // Admin commands.

    pub(super) fn identify(
        &mut self,
        cns: IdentifyCns,
        nsid: u32,
        csi: CommandSet,
    ) -> Result<Vec<u8>, Obstacle> {
        self.fill(&[0xA5; PAGE_BYTES]);
        let entry = commands::identify(cns, nsid, csi.0, self.buffer);
        self.admin_ends(
            &format!("Identify {cns:?} of namespace {nsid:#x}"),
            entry,
            SUCCESS,
        )?;
        Ok(self.data(PAGE_BYTES))
    }

    pub(super) fn identify_as<T: FromBytes>(
        &mut self,
        cns: IdentifyCns,
        nsid: u32,
        csi: CommandSet,
    ) -> Result<T, Obstacle> {
        let bytes = self.identify(cns, nsid, csi)?;
        Ok(T::read_from_bytes(&bytes).expect("each structure has a page"))
    }

    pub(super) fn namespace(&mut self) -> Result<IdentifyNamespace, Obstacle> {
        self.identify_as(IdentifyCns::NAMESPACE, self.nsid, CommandSet::NVM)
    }

    pub(super) fn nvm_controller(&mut self) -> Result<IdentifyNvmController, Obstacle> {
        self.identify_as(IdentifyCns::COMMAND_SET_CONTROLLER, 0, CommandSet::NVM)
    }

    /// Identifiers that an Identify command lists.
    pub(super) fn namespace_list(
        &mut self,
        cns: IdentifyCns,
        after: u32,
        csi: CommandSet,
    ) -> Result<Vec<u32>, Obstacle> {
        let bytes = self.identify(cns, after, csi)?;
        let all = (0..1024).map(|index| dword(&bytes, index));
        Ok(all.take_while(|&nsid| nsid != 0).collect())
    }

    /// The namespace identifier that a log page wants.
    pub(super) fn log_nsid(&self, log: LogPageId) -> u32 {
        match log {
            LogPageId::CHANGED_ZONE_LIST => self.nsid,
            _ => NSID_BROADCAST,
        }
    }

    pub(super) fn log(&mut self, log: LogPageId, offset: u64, len_bytes: usize) -> Result<Vec<u8>, Status> {
        self.fill(&vec![0xA5; len_bytes]);
        let nsid = self.log_nsid(log);
        let entry = commands::get_log_page(log, nsid, offset, len_bytes as u32, self.buffer);
        match self.admin(entry).status() {
            SUCCESS => Ok(self.data(len_bytes)),
            status => Err(status),
        }
    }

    pub(super) fn log_dwords(&mut self, log: LogPageId, len_bytes: usize) -> Result<Vec<u32>, Obstacle> {
        let bytes = self
            .log(log, 0, len_bytes)
            .map_err(|status| Obstacle::Failed(format!("log page {log:?} cannot be read: {status:?}")))?;
        Ok((0..len_bytes / 4).map(|index| dword(&bytes, index)).collect())
    }

    /// An entry for each admin command, and then for each I/O command of `command_set`.
    pub(super) fn effects_log(&mut self, command_set: CommandSet) -> Result<Vec<u32>, Obstacle> {
        let log = LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS;
        let entry = commands::get_log_page(log, 0, 0, PAGE_BYTES as u32, self.buffer);
        let entry = SubmissionQueueEntry {
            cdw14: (u32::from(command_set.0) << 24).into(),
            ..entry
        };
        self.admin_ends("reading the effects log", entry, SUCCESS)?;
        let bytes = self.data(PAGE_BYTES);
        Ok((0..512).map(|index| dword(&bytes, index)).collect())
    }

    /// Get Features of a feature, which may be a namespace's.
    pub(super) fn get_feature(&mut self, feature: FeatureId, select: FeatureSelect) -> CompletionQueueEntry {
        let entry = commands::get_features(feature, select.0, 0, self.buffer);
        let nsid = self.feature_nsid(feature);
        self.admin(SubmissionQueueEntry { nsid, ..entry })
    }

    /// Set Features of a feature, which may be a namespace's; its data, if it has any, is in the buffer.
    pub(super) fn set_feature(
        &mut self,
        feature: FeatureId,
        is_saved: bool,
        cdw11: u32,
    ) -> CompletionQueueEntry {
        let entry = commands::set_features(feature, is_saved, cdw11, self.buffer);
        let nsid = self.feature_nsid(feature);
        self.admin(SubmissionQueueEntry { nsid, ..entry })
    }

    fn feature_nsid(&mut self, feature: FeatureId) -> zerocopy::little_endian::U32 {
        let of_controller = matches!(feature.0, 0x01 | 0x02 | 0x04 | 0x06..=0x19 | 0x80 | 0x81);
        if of_controller { 0 } else { self.nsid }.into()
    }

    // Commands about LBAs.

    /// `opcode` about LBAs, with the buffer as its data.
    pub(super) fn about_lbas(&mut self, opcode: NvmOpcode, slba: u64, lbas: u32) -> SubmissionQueueEntry {
        let entry = commands::read_write(opcode, self.nsid, slba, lbas, 0, 0);
        self.with_buffer(entry, lbas as usize * self.lba_bytes)
    }

    pub(super) fn write(&mut self, slba: u64, bytes: &[u8]) -> Finding {
        self.fill(bytes);
        let lbas = (bytes.len() / self.lba_bytes) as u32;
        let entry = self.about_lbas(NvmOpcode::WRITE, slba, lbas);
        self.io_ends(&format!("writing {lbas} LBAs at {slba}"), entry, SUCCESS)?;
        Ok(())
    }

    pub(super) fn read(&mut self, slba: u64, lbas: u32) -> Result<Vec<u8>, Obstacle> {
        let len_bytes = lbas as usize * self.lba_bytes;
        self.fill(&vec![0xA5; len_bytes]);
        let entry = self.about_lbas(NvmOpcode::READ, slba, lbas);
        self.io_ends(&format!("reading {lbas} LBAs at {slba}"), entry, SUCCESS)?;
        Ok(self.data(len_bytes))
    }

    /// `lbas` LBAs that are different from each other and for each `seed`.
    pub(super) fn pattern(&self, seed: u8, lbas: u32) -> Vec<u8> {
        let bytes = 0..lbas as usize * self.lba_bytes;
        bytes.map(|at| (at / 251 + at) as u8 ^ seed | 1).collect()
    }

    /// Where LBAs can be written: the beginning of the empty zone number `index`, or any other place without zones.
    pub(super) fn fresh_lba(&mut self, index: usize) -> Result<u64, Obstacle> {
        if self.kind != Kind::Zones {
            return Ok(index as u64 * u64::from(self.transfer_lbas_max().unwrap_or(8)));
        }
        let zones = self.zones()?;
        let is_empty = |zone: &&ZoneDescriptor| zone.zone_state >> 4 == ZoneState::Empty as u8;
        let mut empty = zones.iter().filter(is_empty);
        let zone = empty.nth(index);
        ensure!(
            zone.is_some(),
            "no {} zones are empty after a reset of all",
            index + 1
        );
        Ok(zone.map_or(0, |zone| zone.start_lba.get()))
    }

    // Zones.

    /// The head of a report of zones, and the descriptors that came with it.
    pub(super) fn report_zones(
        &mut self,
        slba: u64,
        option: u8,
        is_partial: bool,
        room: usize,
    ) -> Result<(u64, Vec<ZoneDescriptor>), Obstacle> {
        let len_bytes = ZONE_UNIT_BYTES * (room + 1);
        self.fill(&vec![0; len_bytes]);
        let action = ZoneReceiveAction::REPORT_ZONES;
        let entry = commands::zone_receive(
            self.nsid,
            slba,
            action,
            option,
            is_partial,
            len_bytes as u32,
            self.buffer,
        );
        self.io_ends("a report of zones", entry, SUCCESS)?;
        let bytes = self.data(len_bytes);
        let (head, descriptors) = bytes.split_at(ZONE_UNIT_BYTES);
        let count = u64::from(dword(head, 0)) | u64::from(dword(head, 1)) << 32;
        let descriptors = descriptors.chunks_exact(ZONE_UNIT_BYTES);
        let descriptors = descriptors
            .take(usize::try_from(count).unwrap_or(room))
            .map(|bytes| ZoneDescriptor::read_from_bytes(bytes).expect("64 bytes"));
        Ok((count, descriptors.collect()))
    }

    /// All zones, or the first 64.
    pub(super) fn zones(&mut self) -> Result<Vec<ZoneDescriptor>, Obstacle> {
        Ok(self.report_zones(0, 0, true, 64)?.1)
    }

    /// The zone that begins at `zslba`.
    pub(super) fn zone(&mut self, zslba: u64) -> Result<ZoneDescriptor, Obstacle> {
        let (_, zones) = self.report_zones(zslba, 0, true, 1)?;
        ensure!(zones.len() == 1, "the report from LBA {zslba} on has no zone");
        Ok(zones[0])
    }

    pub(super) fn send_to_zone(&mut self, zslba: u64, action: ZoneSendAction, expected: Status) -> Finding {
        let entry = commands::zone_send(self.nsid, zslba, action, false);
        self.io_ends(&format!("{action:?} of the zone at {zslba}"), entry, expected)?;
        Ok(())
    }
}

fn ended(what: &str, completion: CompletionQueueEntry, expected: Status) -> Result<u32, Obstacle> {
    let status = completion.status();
    ensure!(
        status == expected,
        "{what} ends with {status:?} instead of {expected:?}"
    );
    Ok(completion.dw0.get())
}

/// Type and identifier of each of the namespace identification descriptors.
pub(super) fn descriptors_of(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&[kind, len, _, _], rest) = bytes.split_first_chunk()?;
        if len == 0 {
            return None;
        }
        let (id, rest) = rest.split_at_checked(len.into())?;
        bytes = rest;
        Some((kind, id))
    })
}
