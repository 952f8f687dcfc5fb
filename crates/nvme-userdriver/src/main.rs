//! A driver in user space, for tests in a VM: the function is bound to uio_pci_generic, BAR 0 is mapped through sysfs, memory is huge pages
//! whose physical address /proc/self/pagemap tells, and interrupts come through /dev/uioN.
//!
//! It enables the controller, identifies it, writes to a namespace, reads back and compares; then it resets, or takes the way to memory away,
//! with commands outstanding, and looks whether anything is written afterwards. The data may also be somewhere else than in RAM, for example in another function's BAR
//! (`--data-address` and `--data-file`). It knows one queue pair, pages of 4 KiB, and no IOMMU.

mod checks;
mod controller;
mod detach;
mod function;
mod lists;
mod mapping;
mod shadow;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nvme_spec::{IdentifyCns, IdentifyController, IdentifyNamespace};

use checks::{Blocks, TRANSFER_BYTES};
use controller::{Controller, Pause, Reset, MEMORY_BYTES};
use function::{PciFunction, Wait};
use lists::{check_lists, check_refused};
use mapping::{DmaMemory, Mapping, HUGE_PAGE_BYTES};

/// Drive an NVMe function from user space: identify, write, read back, compare. The namespace's first blocks are overwritten.
#[derive(Parser)]
#[command(name = "nvme-userdriver")]
struct Arguments {
    /// The PCI function, bound to uio_pci_generic, for example 0001:10:00.0
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
    /// The queues are there, too, at its beginning
    #[arg(long, requires = "data_address")]
    queues_in_data: bool,
    /// Physical addresses that the device must not transfer data with: all it does is to try these
    #[arg(long, value_parser = address, num_args = 1..)]
    refused: Vec<u64>,
    /// Instead of all else, attach and then detach or reset this often, with shadow doorbells whose pages are released before, as SPDK does; the
    /// namespace is formatted
    #[arg(long, default_value_t = 0)]
    detach: u64,
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
    let (queues, data) = memory(arguments)?;
    let function = PciFunction::open(&arguments.function, arguments.wait)?;
    let mut controller = Controller::start(function, queues)?;
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
    if arguments.detach > 0 {
        controller.delete_io_queues()?;
        let format_index = namespace.flbas & 0xF;
        detach::attach_and_detach(&mut controller, &blocks, &data, arguments.detach, format_index)?;
        println!(
            "attached and detached or reset {} times: no stray completion, no command repeated",
            arguments.detach
        );
        controller.shut_down()?;
        return controller.disable();
    }
    for &address in &arguments.refused {
        check_refused(&mut controller, &blocks, address)?;
        println!("nothing can be transferred at {address:#x}");
    }
    if !arguments.refused.is_empty() {
        return controller.stop();
    }
    for round in 0..arguments.rounds {
        checks::write_and_verify(&mut controller, &blocks, &data, round)?;
    }
    println!(
        "{} transfers of {TRANSFER_BYTES} bytes written, read back and equal, at {:#x}, {} interrupts",
        arguments.rounds * (data.len() / TRANSFER_BYTES) as u64,
        data.address(0),
        controller.function.interrupts
    );
    check_lists(&mut controller, &blocks, &data)?;
    println!("PRP lists and SGLs beside the data lead to it");
    for reset in [Reset::Controller, Reset::Subsystem, Reset::Function] {
        checks::reset(&mut controller, &blocks, &data, reset)?;
        println!("{reset:?} reset with commands outstanding: silence, and the data is there");
    }
    for pause in [Pause::BusMaster, Pause::D3hot] {
        checks::pause(&mut controller, &blocks, &data, pause)?;
        println!("{pause:?} with commands outstanding: silence, and then they complete");
    }
    controller.stop()?;
    println!("shut down");
    Ok(())
}

/// Memory for the queues, and for data.
fn memory(arguments: &Arguments) -> Result<(DmaMemory, DmaMemory), String> {
    let (Some(address), Some(file)) = (arguments.data_address, &arguments.data_file) else {
        return Ok((DmaMemory::huge_page()?, DmaMemory::huge_page()?));
    };
    let foreign = |offset: u64, len: u64| -> Result<DmaMemory, String> {
        let mapping = Mapping::of_file(file, arguments.data_offset + offset, len as usize)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(DmaMemory::foreign(mapping, address + offset))
    };
    if arguments.queues_in_data {
        let queues_bytes = MEMORY_BYTES as u64;
        let data_bytes = arguments.data_bytes.saturating_sub(queues_bytes);
        return Ok((foreign(0, queues_bytes)?, foreign(queues_bytes, data_bytes)?));
    }
    Ok((DmaMemory::huge_page()?, foreign(0, arguments.data_bytes)?))
}
