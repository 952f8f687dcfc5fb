//! What commands take with them.

use nvme_spec::{KeyValueOpcode, NvmOpcode, SubmissionQueueEntry};
use nvmev_sim::host::{commands, key_value};

use super::Session;
use crate::drive::{self, Kind};
use crate::pointer;
use crate::step::Step;

impl Session {
    /// Fills the command's buffer with what it takes: lists that make sense where there is to be one, else data that nothing else has.
    pub(super) fn put_payload(&self, entry: &SubmissionQueueEntry, step: &Step, len: usize) {
        let machine = &self.host.machine;
        let Ok(walked) = pointer::walk(entry, machine, len.min(drive::TRANSFER_BYTES_MAX)) else {
            return;
        };
        let traits = (entry.nsid.get() as usize)
            .checked_sub(1)
            .and_then(|index| self.traits.get(index));
        let has_lbas = traits.is_some_and(|traits| traits.kind != Kind::Pairs);
        let range = |index: u64| {
            let lbas = u64::from(step.detail) / 16 + index % 2;
            let slba = u64::from(step.lba.get()) % 512 + index * u64::from(step.detail % 16);
            (slba, lbas as u32)
        };
        let list: Option<Vec<u8>> = match NvmOpcode(entry.opcode) {
            NvmOpcode::DATASET_MANAGEMENT if has_lbas => {
                let ranges: Vec<_> = (0..len as u64 / 16).map(range).collect();
                Some(commands::range_list(&ranges))
            }
            NvmOpcode::COPY if has_lbas => {
                let format = (entry.cdw12.get() >> 8 & 0xF) as u8;
                let ranges = (0..len as u64 / 32).map(|index| {
                    let (slba, lbas) = range(index);
                    (slba, lbas % 8 + 1)
                });
                Some(commands::copy_list(&ranges.collect::<Vec<_>>(), format))
            }
            NvmOpcode(0x85) if step.flags & 2 == 0 => {
                let key = [b'a' + step.detail % 24; 5];
                let value = [self.serial as u8; 100];
                let store = (KeyValueOpcode::VENDOR_STORE, 0, &key[..], &value[..]);
                let delete = (KeyValueOpcode::VENDOR_DELETE, 0, &key[..], &[][..]);
                Some(key_value::batch_payload(
                    &[store, delete, store][..usize::from(step.lbas) % 3 + 1],
                ))
            }
            _ => None,
        };
        let bytes = list.unwrap_or_else(|| data(self.serial, len.min(drive::TRANSFER_BYTES_MAX)));
        walked.scatter(machine, &bytes);
    }
}

/// Data that no other command has, each block of it another.
fn data(serial: u64, len: usize) -> Vec<u8> {
    const BLOCK_BYTES: usize = 512;
    let mut data = vec![serial as u8 | 1; len];
    for (index, block) in data.chunks_mut(BLOCK_BYTES).enumerate() {
        let stamp = (serial << 16 | index as u64 | 1 << 63).to_le_bytes();
        let room = block.len().min(stamp.len());
        block[..room].copy_from_slice(&stamp[..room]);
    }
    data
}
