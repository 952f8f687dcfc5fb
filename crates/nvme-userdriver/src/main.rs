//! A driver in user space, for tests in a VM: the function is bound to uio_pci_generic, BAR 0 is mapped through sysfs, memory is huge pages
//! whose physical address /proc/self/pagemap tells, and interrupts come through /dev/uioN.
//!
//! It enables the controller, identifies it, writes to a namespace, reads back and compares, resets with commands outstanding and looks
//! whether anything is written afterwards. The data may also be somewhere else than in RAM, for example in another function's BAR
//! (`--data-address` and `--data-file`). It knows one queue pair, pages of 4 KiB, and no IOMMU.

mod controller;
mod function;
mod mapping;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nvme_spec::{IdentifyCns, IdentifyController, IdentifyNamespace, NvmOpcode, SubmissionQueueEntry};
use nvmev_sim::host::commands;

use controller::{Controller, ENTRIES};
use function::{PciFunction, Wait};
use mapping::{DmaMemory, Mapping, HUGE_PAGE_BYTES};

/// What each command transfers.
const TRANSFER_BYTES: usize = 4096;

/// Drive an NVMe function from user space: identify, write, read back, compare. The namespace's first blocks are overwritten.
#[derive(Parser)]
#[command(name = "nvme-userdriver")]
struct Arguments {
    /// The PCI function, bound to uio_pci_generic, for example 10000:00:00.0
    function: String,
    /// How to notice completions
    #[arg(long, value_enum, default_value = "poll")]
    wait: Wait,
    /// The namespace
    #[arg(long, default_value_t = 1)]
    nsid: u32,
    /// Times that the data buffer is written and read back, each time to other blocks
    #[arg(long, default_value_t = 4)]
    rounds: u64,
    /// Where the device finds the data buffer, instead of in a huge page: a physical address, 0x...
    #[arg(long, value_parser = address, requires = "data_file")]
    data_address: Option<u64>,
    /// The file that lets this program see the same memory, for example /sys/bus/pci/devices/.../resource2
    #[arg(long, requires = "data_address")]
    data_file: Option<PathBuf>,
    /// Where in that file it begins, bytes
    #[arg(long, value_parser = address, default_value = "0")]
    data_offset: u64,
    /// How much of it is used, bytes: a multiple of 4096
    #[arg(long, value_parser = address, default_value_t = HUGE_PAGE_BYTES as u64)]
    data_bytes: u64,
}

fn address(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let address = parsed.map_err(|error| error.to_string())?;
    if address % TRANSFER_BYTES as u64 != 0 {
        return Err(format!("not a multiple of {TRANSFER_BYTES}"));
    }
    Ok(address)
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nvme-userdriver: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let data = data_memory(arguments)?;
    let function = PciFunction::open(&arguments.function, arguments.wait)?;
    let mut controller = Controller::start(function)?;
    let identity: IdentifyController = controller.identify(IdentifyCns::CONTROLLER, 0)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    println!(
        "controller: {}, serial number {}",
        text(&identity.model_number),
        text(&identity.serial_number)
    );
    let namespace: IdentifyNamespace = controller.identify(IdentifyCns::NAMESPACE, arguments.nsid)?;
    let format = namespace.lbaf[usize::from(namespace.flbas & 0xF)];
    let blocks = Blocks {
        nsid: arguments.nsid,
        lbas_per_transfer: (TRANSFER_BYTES >> format.lba_data_size_log2) as u32,
    };
    println!(
        "namespace {}: {} LBAs of {} bytes",
        arguments.nsid,
        namespace.nsze_lbas.get(),
        1u32 << format.lba_data_size_log2
    );
    for round in 0..arguments.rounds {
        write_and_verify(&mut controller, &blocks, &data, round)?;
    }
    println!(
        "{} transfers of {TRANSFER_BYTES} bytes written, read back and equal, at {:#x}, {} interrupts",
        arguments.rounds * (data.len() / TRANSFER_BYTES) as u64,
        data.address(0),
        controller.function.interrupts
    );
    check_reset(&mut controller, &blocks, &data)?;
    println!("a reset with commands outstanding is followed by silence");
    controller.stop()?;
    println!("shut down");
    Ok(())
}

fn data_memory(arguments: &Arguments) -> Result<DmaMemory, String> {
    let (Some(address), Some(file)) = (arguments.data_address, &arguments.data_file) else {
        return DmaMemory::huge_page();
    };
    let mapping = Mapping::of_file(file, arguments.data_offset, arguments.data_bytes as usize)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(DmaMemory::foreign(mapping, address))
}

/// The blocks of a namespace, in transfers.
struct Blocks {
    nsid: u32,
    lbas_per_transfer: u32,
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
            let slba = (round * per_round + transfer as u64) * u64::from(self.lbas_per_transfer);
            let address = data.address(transfer * TRANSFER_BYTES);
            commands::read_write(opcode, self.nsid, slba, self.lbas_per_transfer, address, 0)
        };
        transfers.map(command).collect()
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
fn pattern(round: u64, len: usize) -> Vec<u8> {
    let words = (0..len as u64 / 8).map(|word| (round << 32 | word).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    words.flat_map(u64::to_le_bytes).collect()
}

fn write_and_verify(
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

fn compare(wanted: &[u8], found: &[u8]) -> Result<(), String> {
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

/// A reset while reads are outstanding; then what was written before is still there.
fn check_reset(controller: &mut Controller, blocks: &Blocks, data: &DmaMemory) -> Result<(), String> {
    write_and_verify(controller, blocks, data, 0)?;
    let transfers = data.len() / TRANSFER_BYTES;
    controller.submit_io(&blocks.commands(
        NvmOpcode::READ,
        data,
        0,
        0..transfers.min(usize::from(ENTRIES) - 1),
    ));
    if !controller.reset_and_listen(data)? {
        return Err("memory was written after CSTS.RDY had become 0".to_owned());
    }
    for commands in blocks.portions(NvmOpcode::READ, data, 0) {
        controller.execute_io(&commands)?;
    }
    compare(&pattern(0, data.len()), &data.read(0, data.len()))
}
