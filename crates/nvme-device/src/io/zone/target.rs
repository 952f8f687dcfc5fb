//! A zoned namespace as a command sees it: what is timed, in which order, and where its data is.

use nvme_spec::{zone_attributes, Status, ZoneState};
use ssd_model::zoned::ZonedModel;
use ssd_model::{Command, Model, Refusal, ZoneAction};

use crate::command::job::{Placed, Zeroing};
use crate::command::lba::ByteRange;
use crate::command::transfer::Extents;
use crate::data_pointer::DataPointer;
use crate::host::HostMemory;
use crate::limits::LOOK_AGAIN_NS;
use crate::namespace::zoned::Zoned;
use crate::namespace::Namespace;

/// The namespace that a command is for.
pub(crate) struct Target<'a> {
    pub lba_log2: u8,
    pub zoned: &'a mut Zoned,
    pub model: &'a mut ZonedModel,
    /// The worker that completes the command.
    pub worker: usize,
}

/// A zone before a command changes it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    write_pointer: u64,
    readable_bytes: u64,
    has_zrwa: bool,
}

fn look_again(now_ns: u64) -> Refusal {
    Refusal::Busy {
        retry_at_ns: now_ns.saturating_add(LOOK_AGAIN_NS),
    }
}

impl Target<'_> {
    /// `namespace`, if it is zoned, for a command that goes through ring number `ring`.
    #[inline]
    pub fn of(namespace: &mut Namespace, ring: usize) -> Option<Target<'_>> {
        Some(Target {
            lba_log2: namespace.lba_log2,
            zoned: namespace.zoned.as_mut()?,
            model: namespace.model.zoned_mut()?,
            worker: ring,
        })
    }

    /// Takes a command on that reads, writes or flushes; `range` is where.
    pub fn submit(&mut self, now_ns: u64, command: &Command, range: ByteRange) -> Result<Placed, Refusal> {
        match command {
            Command::Read { .. } => self.read(now_ns, command, range),
            Command::Write { .. } | Command::WriteZeroes { .. } | Command::Append { .. } => {
                self.write(now_ns, command, range)
            }
            _ => Ok(Placed {
                done_at_ns: self.model.submit(now_ns, command)?.done_at_ns,
                result: 0,
                extents: Extents::NONE,
                zone: None,
                clears_on_failure: false,
                zeroing: None,
            }),
        }
    }

    /// Whether `range` can be read now, without reading it.
    ///
    /// # Errors
    /// If it cannot, or not before data has been moved.
    pub fn check_read(&mut self, now_ns: u64, range: ByteRange) -> Result<(), Refusal> {
        self.wait_to_read(now_ns, range)?;
        self.model
            .check_read(range.offset_bytes, range.len_bytes)
            .map_err(Refusal::Failed)
    }

    /// A read overtakes no transfer of the data that it wants.
    fn wait_to_read(&mut self, now_ns: u64, range: ByteRange) -> Result<(), Refusal> {
        let geometry = self.zoned.geometry;
        let end = range.offset_bytes + u64::from(range.len_bytes);
        let mut at = range.offset_bytes;
        while let Some((zone, in_zone)) = geometry.locate(at).filter(|_| at < end) {
            let in_zone_end = (in_zone + (end - at)).min(geometry.zone_bytes);
            let write_pointer = self.before(zone).write_pointer;
            if !self
                .zoned
                .order
                .can_read(zone, self.worker, in_zone_end, write_pointer)
            {
                return Err(look_again(now_ns));
            }
            at += in_zone_end - in_zone;
        }
        Ok(())
    }

    fn read(&mut self, now_ns: u64, command: &Command, range: ByteRange) -> Result<Placed, Refusal> {
        self.wait_to_read(now_ns, range)?;
        let accepted = self.model.submit(now_ns, command)?;
        Ok(Placed {
            done_at_ns: accepted.done_at_ns,
            result: 0,
            extents: self
                .zoned
                .readable_extents(self.model, range.offset_bytes, range.len_bytes),
            zone: None,
            clears_on_failure: false,
            zeroing: None,
        })
    }

    fn write(&mut self, now_ns: u64, command: &Command, range: ByteRange) -> Result<Placed, Refusal> {
        let Some((zone, _)) = self.zoned.geometry.locate(range.offset_bytes) else {
            return Err(Refusal::Failed(Status::LBA_OUT_OF_RANGE));
        };
        // A zone that cannot be written at all says so before anything else is wrong (ZNS 1.1 §2.1.1.2).
        self.model.zones().check_writable(zone).map_err(Refusal::Failed)?;
        let before = self.before(zone);
        let order = &mut self.zoned.order;
        let is_in_order = !before.has_zrwa || order.is_in_order(zone, self.worker, before.write_pointer);
        if !is_in_order || !order.may_begin(zone, before.write_pointer) {
            return Err(look_again(now_ns));
        }
        let accepted = self.model.submit(now_ns, command)?;
        let zeroing = self.grown(zone, before);
        let moved = self.zoned.order.begin(zone, self.worker, before.write_pointer);
        let is_append = matches!(command, Command::Append { .. });
        Ok(Placed {
            done_at_ns: accepted.done_at_ns,
            result: if is_append {
                accepted.result >> self.lba_log2
            } else {
                0
            },
            extents: self.zoned.written_extents(accepted.result, range.len_bytes),
            zone: moved,
            // A random write area was filled with zeros before, and what was written to it since then stays.
            clears_on_failure: !before.has_zrwa,
            zeroing,
        })
    }

    /// The zone as it is now.
    pub(crate) fn before(&self, zone: u32) -> Before {
        let zones = self.model.zones();
        zones.get(zone).map_or_else(Before::default, |state| Before {
            write_pointer: state.write_pointer,
            readable_bytes: zones.readable_bytes(zone),
            has_zrwa: state.attributes & zone_attributes::ZRWA_VALID != 0,
        })
    }

    /// Makes sure that an action overtakes no transfer of data that it must not overtake.
    pub(crate) fn wait_for_order(
        &mut self,
        zone: u32,
        action: ZoneAction,
        now_ns: u64,
    ) -> Result<(), Refusal> {
        let write_pointer = self.before(zone).write_pointer;
        let is_in_order = match action {
            ZoneAction::Reset => self.zoned.order.is_quiet(zone, write_pointer),
            ZoneAction::Open { with_zrwa: true }
            | ZoneAction::SetExtension { with_zrwa: true }
            | ZoneAction::FlushZrwa { .. } => self.zoned.order.is_in_order(zone, self.worker, write_pointer),
            _ => true,
        };
        if is_in_order {
            Ok(())
        } else {
            Err(look_again(now_ns))
        }
    }

    /// Fetches a descriptor extension for `zone` if that can get one.
    pub(crate) fn fetch_extension<H: HostMemory>(
        &mut self,
        zone: u32,
        pointer: DataPointer,
        host: &H,
    ) -> Result<(), Refusal> {
        let extension = self.zoned.extension_mut(zone);
        if extension.is_empty() {
            return Err(Refusal::Failed(Status::INVALID_FIELD_IN_COMMAND));
        }
        // Another state's extension stays as it is: the model refuses the command.
        let state = self.model.zones().get(zone).map(|zone| zone.state);
        if state == Some(ZoneState::Empty) {
            pointer.read(host, extension).map_err(|status| {
                extension.fill(0);
                Refusal::Failed(status)
            })?;
        }
        Ok(())
    }

    /// Whether `zone` has a descriptor extension.
    pub(crate) fn has_extension(&self, zone: u32) -> bool {
        let attributes = self.model.zones().get(zone).map_or(0, |zone| zone.attributes);
        attributes & zone_attributes::DESCRIPTOR_EXTENSION_VALID != 0
    }

    /// Forgets the extension of `zone`, which is about to be reset.
    pub(crate) fn clear_extension(&mut self, zone: u32) {
        if self.has_extension(zone) {
            self.zoned.extension_mut(zone).fill(0);
        }
    }

    /// An extension that is not valid is all zeros.
    pub(crate) fn clear_invalid_extension(&mut self, zone: u32) {
        if !self.has_extension(zone) {
            self.zoned.extension_mut(zone).fill(0);
        }
    }

    /// What a random write area has come to cover since `before`: it is to be filled with zeros before anything is written there.
    pub(crate) fn grown(&mut self, zone: u32, before: Before) -> Option<Zeroing> {
        let now = self.before(zone);
        if !now.has_zrwa || now.readable_bytes <= before.readable_bytes {
            return None;
        }
        let moved = self.zoned.order.begin(zone, self.worker, before.write_pointer);
        let (media_offset, len_bytes) =
            self.zoned
                .media_range(zone, before.readable_bytes, now.readable_bytes);
        Some(Zeroing {
            media_offset,
            len_bytes,
            zone: moved,
        })
    }
}
