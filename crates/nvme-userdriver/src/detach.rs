//! A driver that releases the pages of its shadow doorbells before it shuts down or resets, as SPDK does: no command may be executed again.

use std::time::Duration;

use nvme_spec::{NvmOpcode, SubmissionQueueEntry};

use crate::checks::{compare, Blocks, TRANSFER_BYTES};
use crate::controller::{Controller, ENTRIES};
use crate::mapping::DmaMemory;

/// Transfers written in a round: old data, then new data to the same blocks. More commands than a queue has entries.
const TRANSFERS: usize = ENTRIES as usize - 20;

/// What is in the pages afterwards, in turns: zeros mostly, as of an allocator that clears, or what one leaves there for debugging.
const CONTENTS: [u8; 4] = [0x00, 0x00, 0x6B, 0x01];

/// Commands for the first blocks, from or to the buffer's transfers from `first` on.
fn commands(opcode: NvmOpcode, blocks: &Blocks, data: &DmaMemory, first: usize) -> Vec<SubmissionQueueEntry> {
    let command = |transfer| {
        let address = data.address((first + transfer) * TRANSFER_BYTES);
        blocks.one(opcode, transfer, address)
    };
    (0..TRANSFERS).map(command).collect()
}

fn content(round: u64, is_new: bool) -> Vec<u8> {
    crate::checks::pattern(2 * round + u64::from(is_new), TRANSFERS * TRANSFER_BYTES)
}

/// The blocks hold the new data of `round`.
fn check(controller: &mut Controller, blocks: &Blocks, data: &DmaMemory, round: u64) -> Result<(), String> {
    let first = 2 * TRANSFERS;
    controller.execute_io(&commands(NvmOpcode::READ, blocks, data, first))?;
    let found = data.read(first * TRANSFER_BYTES, TRANSFERS * TRANSFER_BYTES);
    compare(&content(round, true), &found)
}

/// Attaches, works, and detaches or resets `rounds` times. Of every fourth round the format is the drive's last but some admin commands, so that its entry is among
/// those that a wrong tail would have executed again.
///
/// # Errors
/// What went wrong, and in which round.
pub fn attach_and_detach(
    controller: &mut Controller,
    blocks: &Blocks,
    data: &DmaMemory,
    rounds: u64,
    format_index: u8,
) -> Result<(), String> {
    for round in 0..rounds {
        one_round(controller, blocks, data, round, format_index)
            .map_err(|error| format!("round {round}: {error}"))?;
        if (round + 1) % 20 == 0 {
            println!("{} rounds", round + 1);
        }
    }
    Ok(())
}

fn one_round(
    controller: &mut Controller,
    blocks: &Blocks,
    data: &DmaMemory,
    round: u64,
    format_index: u8,
) -> Result<(), String> {
    // An entry of each place of the admin queue is an old command.
    controller.get_features(ENTRIES / 2)?;
    controller.get_features(ENTRIES / 2)?;
    if round % 4 == 0 {
        controller.format(blocks.nsid, format_index)?;
        controller.get_features((round % 50) as u16)?;
    }
    controller.set_up_shadow_doorbells()?;
    controller.create_io_queues()?;
    data.write(0, &content(round, false));
    data.write(TRANSFERS * TRANSFER_BYTES, &content(round, true));
    // The old data is, for the most part, in entries that a tail of 0 would have the device fetch after the new data.
    controller.execute_io(&commands(NvmOpcode::WRITE, blocks, data, 0))?;
    controller.execute_io(&commands(NvmOpcode::WRITE, blocks, data, TRANSFERS))?;
    check(controller, blocks, data, round)?;
    let is_reset = round % 2 == 1;
    let mut outstanding = Vec::new();
    if is_reset {
        let reads = commands(NvmOpcode::READ, blocks, data, 3 * TRANSFERS);
        outstanding = controller.submit_io(reads.get(..round as usize % 16).unwrap_or_default());
    } else {
        controller.delete_io_queues()?;
    }
    controller.release_shadow_doorbells(CONTENTS[(round / 2) as usize % CONTENTS.len()]);
    if round % 3 != 0 {
        // Else the device has next to no time in which it could do something wrong.
        std::thread::sleep(Duration::from_millis(3));
    }
    controller.only_completes(&mut outstanding)?;
    if is_reset {
        controller.disable()?;
    } else {
        controller.shut_down()?;
        controller.only_completes(&mut Vec::new())?;
        controller.disable()?;
    }
    controller.enable()?;
    controller.create_io_queues()?;
    check(controller, blocks, data, round)?;
    controller.delete_io_queues()
}
