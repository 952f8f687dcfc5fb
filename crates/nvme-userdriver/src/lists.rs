//! PRP lists and SGL segments that lie beside the data, wherever that is, and addresses that nobody has.

use nvme_spec::{NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::sgl;
use zerocopy::IntoBytes;

use crate::checks::{compare, pattern, Blocks, TRANSFER_BYTES};
use crate::controller::Controller;
use crate::mapping::DmaMemory;

/// Pages of a transfer, in an order in which no two can be joined; the page before them has the list.
const PAGES: usize = 16;

/// How a transfer's pages are described.
#[derive(Clone, Copy, Debug)]
enum Description {
    Prps,
    Sgl,
}

/// Writes and reads a long transfer, described by each kind of list, and compares.
///
/// # Errors
/// What went wrong.
pub fn check_lists(controller: &mut Controller, blocks: &Blocks, data: &DmaMemory) -> Result<(), String> {
    for (round, description) in [Description::Prps, Description::Sgl].into_iter().enumerate() {
        let wanted = pattern(1000 + round as u64, PAGES * TRANSFER_BYTES);
        data.write(TRANSFER_BYTES, &wanted);
        let command = |opcode| describe(blocks.long(opcode, PAGES), description, data);
        controller.execute_io(&[command(NvmOpcode::WRITE)])?;
        data.write(TRANSFER_BYTES, &vec![0; wanted.len()]);
        controller.execute_io(&[command(NvmOpcode::READ)])?;
        compare(&wanted, &data.read(TRANSFER_BYTES, wanted.len()))
            .map_err(|error| format!("{description:?}: {error}"))?;
    }
    Ok(())
}

fn describe(entry: SubmissionQueueEntry, description: Description, data: &DmaMemory) -> SubmissionQueueEntry {
    let pages = (1..=PAGES).rev().map(|page| data.address(page * TRANSFER_BYTES));
    match description {
        Description::Prps => {
            let pages: Vec<u64> = pages.collect();
            let (first, list) = pages.split_first().expect("more than one page");
            data.write(0, list.as_bytes());
            SubmissionQueueEntry {
                prp1: (*first).into(),
                prp2: data.address(0).into(),
                ..entry
            }
        }
        Description::Sgl => {
            let blocks: Vec<_> = pages
                .map(|address| sgl::data_block(address, TRANSFER_BYTES as u32))
                .collect();
            data.write(0, blocks.as_bytes());
            entry.with_sgl1(sgl::last_segment(data.address(0), blocks.len()))
        }
    }
}

/// Reads and writes at an address that nobody has: each command must say so, and the one after it must succeed.
///
/// # Errors
/// What the controller did instead.
pub fn check_refused(controller: &mut Controller, blocks: &Blocks, address: u64) -> Result<(), String> {
    for opcode in [NvmOpcode::READ, NvmOpcode::WRITE] {
        let entry = SubmissionQueueEntry {
            prp1: address.into(),
            ..blocks.long(opcode, 1)
        };
        let status = controller.status_of_io(entry)?;
        if status != Status::DATA_TRANSFER_ERROR {
            return Err(format!("{opcode:?} at {address:#x} ended with {status:?}"));
        }
    }
    Ok(())
}
