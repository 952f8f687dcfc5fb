//! Zone Management Receive: reports of zones (NVMe ZNS 1.1 §3.4.2).

use nvme_spec::{
    zone_attributes, Cdw13ZoneReceive, Status, SubmissionQueueEntry, ZoneDescriptor, ZoneReceiveAction,
    ZoneReportHeader, ZoneState, ZONE_TYPE_SEQUENTIAL_WRITE_REQUIRED,
};
use ssd_model::zoned::{Zone, ZonedModel};
use zerocopy::{FromZeros, IntoBytes};

use crate::command::request::Limits;
use crate::data_pointer::role::Role;
use crate::data_pointer::{write_zeros, DataPointer};
use crate::host::{HostMemory, MemoryFault};
use crate::namespace::zoned::Zoned;
use crate::namespace::Namespace;

/// Bytes of the report's head, and of a descriptor.
const UNIT_BYTES: usize = 64;

/// A Zone Management Receive, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiveRequest {
    slba: u64,
    dwords_z: u32,
    action: ZoneReceiveAction,
    option: u8,
    is_partial: bool,
}

impl ReceiveRequest {
    /// Takes any entry apart. Total and pure.
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        let cdw13 = Cdw13ZoneReceive(entry.cdw13.get());
        Self {
            slba: entry.slba(),
            dwords_z: entry.cdw12.get(),
            action: cdw13.action(),
            option: cdw13.option(),
            is_partial: cdw13.is_partial(),
        }
    }

    /// The first LBA, for the error log.
    pub fn slba(&self) -> u64 {
        self.slba
    }

    /// Writes the report into the host's memory.
    ///
    /// # Errors
    /// The command's status.
    pub fn execute<H: HostMemory>(
        self,
        namespace: &Namespace,
        limits: Limits,
        pointer: DataPointer,
        host: &H,
    ) -> Result<(), Status> {
        let (Some(zoned), Some(model)) = (&namespace.zoned, namespace.model.zoned()) else {
            return Err(Status::INVALID_COMMAND_OPCODE);
        };
        let lba_log2 = namespace.lba_log2;
        let extension_bytes = match self.action {
            ZoneReceiveAction::REPORT_ZONES => 0,
            ZoneReceiveAction::EXTENDED_REPORT_ZONES if zoned.zone.descriptor_extension_bytes > 0 => {
                zoned.zone.descriptor_extension_bytes as usize
            }
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        };
        let wanted = Wanted::new(self.option)?;
        let len_bytes = limits.dwords_z(self.dwords_z)?;
        let (first, _) = self
            .slba
            .checked_mul(1 << lba_log2)
            .and_then(|offset_bytes| zoned.geometry.locate(offset_bytes))
            .ok_or(Status::LBA_OUT_OF_RANGE)?;
        let room = len_bytes.saturating_sub(UNIT_BYTES) / (UNIT_BYTES + extension_bytes);
        let mut report = Report {
            zoned,
            model,
            lba_log2,
            with_extensions: extension_bytes > 0,
            wanted,
            next_zone: first,
            room,
            unit: [0; UNIT_BYTES],
            unit_of: None,
            used: 0,
            position: 0,
        };
        let matching = model
            .zones()
            .iter()
            .skip(first as usize)
            .filter(|zone| wanted.has(zone));
        let zones = if self.is_partial {
            matching.take(room).count()
        } else {
            matching.count()
        };
        report.put(&ZoneReportHeader {
            zones: (zones as u64).into(),
            reserved8: [0; 56],
        });
        pointer.for_each_piece(Role::Destination, host, len_bytes, |address, offset, len| {
            report.skip_to(offset);
            report.write(host, address, len)
        })
    }
}

/// The zones that a reporting option asks for (ZNS 1.1 figure 34).
#[derive(Clone, Copy)]
enum Wanted {
    All,
    InState(ZoneState),
    /// Those to which an attribute draws attention.
    WithAttribute,
}

impl Wanted {
    fn new(option: u8) -> Result<Self, Status> {
        Ok(Self::InState(match option {
            0 => return Ok(Self::All),
            1 => ZoneState::Empty,
            2 => ZoneState::ImplicitlyOpened,
            3 => ZoneState::ExplicitlyOpened,
            4 => ZoneState::Closed,
            5 => ZoneState::Full,
            6 => ZoneState::ReadOnly,
            7 => ZoneState::Offline,
            9 => return Ok(Self::WithAttribute),
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        }))
    }

    fn has(self, zone: &Zone) -> bool {
        match self {
            Self::All => true,
            Self::InState(state) => state == zone.state,
            Self::WithAttribute => {
                zone.attributes & (zone_attributes::RESET_RECOMMENDED | zone_attributes::FINISH_RECOMMENDED)
                    != 0
            }
        }
    }
}

/// A report, put together unit by unit as the host's memory is filled: it may be longer than any buffer that we have.
struct Report<'a> {
    zoned: &'a Zoned,
    model: &'a ZonedModel,
    lba_log2: u8,
    with_extensions: bool,
    wanted: Wanted,
    next_zone: u32,
    /// Zones that there is room for yet.
    room: usize,
    /// The head or a descriptor, and the zone whose extension follows it.
    unit: [u8; UNIT_BYTES],
    unit_of: Option<u32>,
    /// How much of the unit, and of the extension behind it, has been written.
    used: usize,
    /// How much of the report comes before that.
    position: usize,
}

impl Report<'_> {
    fn put(&mut self, unit: &(impl IntoBytes + zerocopy::Immutable)) {
        for (slot, byte) in self.unit.iter_mut().zip(unit.as_bytes()) {
            *slot = *byte;
        }
        self.used = 0;
    }

    /// Writes the next `len` bytes of the report to `address`.
    fn write<H: HostMemory>(&mut self, host: &H, address: u64, len: usize) -> Result<(), MemoryFault> {
        let mut done = 0;
        while done < len {
            let address = address.wrapping_add(done as u64);
            let Some(part) = self.take(len - done) else {
                // Behind the last zone there are zeros.
                return write_zeros(host, address, len - done);
            };
            host.write(address, part)?;
            done += part.len();
        }
        Ok(())
    }

    /// Leaves out what comes before `position`.
    fn skip_to(&mut self, position: usize) {
        while self.position < position && self.take(position - self.position).is_some() {}
    }

    /// The next bytes, at most `len_max`, if there are any before the zeros.
    fn take(&mut self, len_max: usize) -> Option<&[u8]> {
        while self.left_of_zone().is_empty() {
            if !self.next() {
                return None;
            }
        }
        let len = self.left_of_zone().len().min(len_max);
        self.used += len;
        self.position += len;
        self.behind(self.used - len).get(..len)
    }

    fn left_of_zone(&self) -> &[u8] {
        self.behind(self.used)
    }

    /// What the unit, or the extension behind it, has from `used` on.
    fn behind(&self, used: usize) -> &[u8] {
        match self.unit.get(used..) {
            Some(left) if !left.is_empty() => left,
            _ => {
                let extension = match self.unit_of {
                    Some(zone) if self.with_extensions => self.zoned.extension(zone),
                    _ => &[],
                };
                extension.get(used - UNIT_BYTES..).unwrap_or_default()
            }
        }
    }

    /// Goes on to the next zone that is wanted; false at the end.
    fn next(&mut self) -> bool {
        if self.room == 0 {
            return false;
        }
        while let Some(zone) = self.model.zones().get(self.next_zone) {
            let number = self.next_zone;
            self.next_zone += 1;
            if self.wanted.has(zone) {
                self.room -= 1;
                self.unit_of = Some(number);
                let descriptor = self.descriptor(number, zone);
                self.put(&descriptor);
                return true;
            }
        }
        self.room = 0;
        false
    }

    fn descriptor(&self, number: u32, zone: &Zone) -> ZoneDescriptor {
        let geometry = &self.zoned.geometry;
        let start = geometry.zone_start(number);
        // Where there is nothing to write to, the pointer has no meaning.
        let write_pointer = if zone.state.is_active() || zone.state == ZoneState::Empty {
            (start + zone.write_pointer) >> self.lba_log2
        } else {
            u64::MAX
        };
        ZoneDescriptor {
            zone_type: ZONE_TYPE_SEQUENTIAL_WRITE_REQUIRED,
            zone_state: (zone.state as u8) << 4,
            attributes: zone.attributes,
            capacity_lbas: (geometry.zone_capacity_bytes >> self.lba_log2).into(),
            start_lba: (start >> self.lba_log2).into(),
            write_pointer: write_pointer.into(),
            ..ZoneDescriptor::new_zeroed()
        }
    }
}
