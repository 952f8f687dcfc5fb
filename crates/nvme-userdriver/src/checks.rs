//! What this driver does with a namespace.

use nvme_spec::{NvmOpcode, SubmissionQueueEntry};
use nvmev_sim::host::commands;

use crate::controller::{Controller, Pause, Reset, ENTRIES};
use crate::mapping::DmaMemory;

/// What each command transfers.
pub const TRANSFER_BYTES: usize = 4096;

/// The blocks of a namespace, in transfers.
pub struct Blocks {
    /// The namespace.
    pub nsid: u32,
    /// LBAs in [`TRANSFER_BYTES`].
    pub lbas_per_transfer: u32,
}

impl Blocks {
    /// Commands for `count` transfers of the buffer from its transfer `first`, to or from the blocks of `round`.
    fn commands(
        &self,
        opcode: NvmOpcode,
        data: &DmaMemory,
        round: u64,
        transfers: std::ops::Range<usize>,
    ) -> Vec<SubmissionQueueEntry> {
        let per_round = (data.len() / TRANSFER_BYTES) as u64;
        let command = |transfer: usize| {
            let address = data.address(transfer * TRANSFER_BYTES);
            self.one(opcode, (round * per_round) as usize + transfer, address)
        };
        transfers.map(command).collect()
    }

    /// A command for the blocks of one transfer, whose data is at `address`.
    pub fn one(&self, opcode: NvmOpcode, transfer: usize, address: u64) -> SubmissionQueueEntry {
        let slba = transfer as u64 * u64::from(self.lbas_per_transfer);
        commands::read_write(opcode, self.nsid, slba, self.lbas_per_transfer, address, 0)
    }

    /// One command for `transfers` at a time, from the first block on, without its data pointer.
    pub fn long(&self, opcode: NvmOpcode, transfers: usize) -> SubmissionQueueEntry {
        let lbas = self.lbas_per_transfer * transfers as u32;
        commands::read_write(opcode, self.nsid, 0, lbas, 0, 0)
    }

    /// As [`Blocks::commands`] for all of the buffer, in portions that fit the queue.
    fn portions(&self, opcode: NvmOpcode, data: &DmaMemory, round: u64) -> Vec<Vec<SubmissionQueueEntry>> {
        let (count, portion) = (data.len() / TRANSFER_BYTES, usize::from(ENTRIES) - 1);
        let starts = (0..count).step_by(portion);
        starts
            .map(|start| self.commands(opcode, data, round, start..count.min(start + portion)))
            .collect()
    }
}

/// What is written in a round: no two words of it are equal.
pub fn pattern(round: u64, len: usize) -> Vec<u8> {
    let words = (0..len as u64 / 8).map(|word| (round << 32 | word).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    words.flat_map(u64::to_le_bytes).collect()
}

/// Writes the pattern of a round to its blocks, reads it back and compares.
///
/// # Errors
/// What went wrong.
pub fn write_and_verify(
    controller: &mut Controller,
    blocks: &Blocks,
    data: &DmaMemory,
    round: u64,
) -> Result<(), String> {
    let wanted = pattern(round, data.len());
    data.write(0, &wanted);
    for commands in blocks.portions(NvmOpcode::WRITE, data, round) {
        controller.execute_io(&commands)?;
    }
    data.write(0, &vec![0; data.len()]);
    for commands in blocks.portions(NvmOpcode::READ, data, round) {
        controller.execute_io(&commands)?;
    }
    compare(&wanted, &data.read(0, data.len()))
}

/// What is where it was to be.
///
/// # Errors
/// Where it is not.
pub fn compare(wanted: &[u8], found: &[u8]) -> Result<(), String> {
    match wanted
        .iter()
        .zip(found)
        .position(|(wanted, found)| wanted != found)
    {
        None => Ok(()),
        Some(at) => Err(format!(
            "byte {at:#x} was written as {:#04x} and read as {:#04x}",
            wanted[at], found[at]
        )),
    }
}

/// Writes a buffer, and leaves as many reads of it outstanding as the queue holds.
fn leave_outstanding(
    controller: &mut Controller,
    blocks: &Blocks,
    data: &DmaMemory,
) -> Result<Vec<u16>, String> {
    write_and_verify(controller, blocks, data, 0)?;
    let reads = blocks.portions(NvmOpcode::READ, data, 0);
    Ok(controller.submit_io(reads.first().map_or(&[], Vec::as_slice)))
}

/// What [`leave_outstanding`] wrote is there.
fn read_back(controller: &mut Controller, blocks: &Blocks, data: &DmaMemory) -> Result<(), String> {
    for commands in blocks.portions(NvmOpcode::READ, data, 0) {
        controller.execute_io(&commands)?;
    }
    compare(&pattern(0, data.len()), &data.read(0, data.len()))
}

fn only_if_silent(is_silent: bool) -> Result<(), String> {
    match is_silent {
        true => Ok(()),
        false => Err("the device wrote to memory when it must not".to_owned()),
    }
}

/// A reset while reads are outstanding; then what was written before is still there.
///
/// # Errors
/// What went wrong.
pub fn reset(
    controller: &mut Controller,
    blocks: &Blocks,
    data: &DmaMemory,
    reset: Reset,
) -> Result<(), String> {
    leave_outstanding(controller, blocks, data)?;
    only_if_silent(controller.reset_and_listen(reset, data)?)?;
    read_back(controller, blocks, data)
}

/// The way to memory is lost while reads are outstanding; when it is back, they complete.
///
/// # Errors
/// What went wrong.
pub fn pause(
    controller: &mut Controller,
    blocks: &Blocks,
    data: &DmaMemory,
    pause: Pause,
) -> Result<(), String> {
    let outstanding = leave_outstanding(controller, blocks, data)?;
    only_if_silent(controller.pause_and_listen(pause, data)?)?;
    controller.complete_io(outstanding)?;
    read_back(controller, blocks, data)
}
