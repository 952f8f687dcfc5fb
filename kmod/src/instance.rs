// SPDX-License-Identifier: GPL-2.0-only
//! A loaded module: from parameters to a device on a PCI bus, and back.

use alloc::sync::Arc;

use module_params::cpus::DISPATCHER_COUNT_MAX;
use module_params::{MemorySource, RawParams};
use nvme_device::{
    Device, DeviceConfig, HostMemory, Identity, NamespaceConfig, BAR_SIZE_BYTES, DISPATCHERS_MAX,
};

use crate::dma::Dma;
use crate::error::LoadError;
use crate::host::{Irqs, KernelHost, Peers};
use crate::hotplug::Machine;
use crate::log::info;
use crate::memory::{DeviceMemory, Mapping, LEFT_FOR_KERNEL_BYTES};
use crate::namespaces;
use crate::node::OnNode;
use crate::pci::PciBus;
use crate::places::Places;
use crate::power::NoHibernation;
use crate::procfs::ProcFolder;
use crate::running::Running;
use crate::shim;
use crate::thread::{StartError, Threads};

const _: () = assert!(DISPATCHER_COUNT_MAX == DISPATCHERS_MAX);

/// Refuses what would take all of the kernel's memory for tables: programs would be killed for it.
fn check_tables<'a>(plan: &[NamespaceConfig], memory: MemorySource) -> Result<(), LoadError<'a>> {
    let mut needed: u64 = 0;
    for namespace in plan {
        let table_bytes = namespace.table_bytes().map_err(nvme_device::SetupError::from)?;
        needed = needed.saturating_add(table_bytes);
    }
    let available = shim::nvmev_memory_available();
    let taken = match memory {
        MemorySource::Taken { size_bytes } => size_bytes.next_multiple_of(shim::nvmev_block_bytes().max(1)),
        MemorySource::Reserved { .. } => 0,
    };
    // Too much to take is refused with another line.
    if taken < available && needed > (available - taken).saturating_sub(LEFT_FOR_KERNEL_BYTES) {
        return Err(LoadError::Tables { needed, available });
    }
    Ok(())
}

/// Says where the data is, or that it is nowhere.
fn describe_storage(memory: &DeviceMemory) {
    match memory.storage() {
        Some((start, bytes)) => info!(
            "Storage: {start:#010x}-{:#010x} ({} MiB)",
            start + bytes,
            bytes >> 20
        ),
        None => info!(
            "Storage: none (data=none): NOTHING THAT IS WRITTEN IS KEPT, reads return zeros, and no file system can be used"
        ),
    }
}

/// Everything that is there while the module is loaded.
///
/// The fields are dropped in this order, which is the only safe one: the driver leaves while the threads still answer it;
/// then nothing runs any more that uses what the later fields hold.
pub struct Instance {
    _pci: PciBus,
    _threads: Threads,
    _proc: ProcFolder,
    /// Interrupts and mappings.
    _running: Arc<Running>,
    _memory: DeviceMemory,
    _power: NoHibernation,
}

impl Instance {
    /// Brings the device up.
    ///
    /// # Errors
    /// If anything is missing; what was done until then is undone.
    pub fn load<'a>(params: &RawParams<'a>) -> Result<Self, LoadError<'a>> {
        let settings = module_params::params::validate(params, &Machine::new()).map_err(LoadError::Param)?;
        // Before memory is taken: what cannot become a drive is refused in one line.
        let plan = namespaces::plan(&settings)?;
        check_tables(&plan, settings.memory)?;
        let kernel = |what| move |error| LoadError::Kernel { what, error };
        // From before there is any memory that an image would not hold.
        let power = NoHibernation::new().map_err(kernel("the guard against hibernation"))?;
        let node = settings
            .cpus
            .as_slice()
            .first()
            .map_or(0, |&cpu| shim::nvmev_cpu_node(cpu));
        let on_node = OnNode::enter(node);

        let memory = DeviceMemory::acquire(settings.memory, settings.has_medium, node)?;
        let mut bar = Mapping::bar(&memory, BAR_SIZE_BYTES as u64)?;
        bar.clear();
        let mut storage = Mapping::storage(&memory)?;
        // Not before the memory is there: a load that is refused says one line, why.
        info!("Version {}", env!("CARGO_PKG_VERSION"));
        if let Some(far) = memory.node().filter(|&taken_from| taken_from != node) {
            info!("Memory: of node {far}; node {node}, that of the first CPU, has not enough in one piece");
        }
        if let Some(storage) = storage.as_mut().filter(|_| memory.is_taken()) {
            storage.clear();
        }
        describe_storage(&memory);

        let irqs = Irqs::new().ok_or(LoadError::Kernel {
            what: "the interrupts",
            error: shim::ENOMEM,
        })?;
        let peers = Peers::new(memory.bar_start()).ok_or(LoadError::Kernel {
            what: "the access to other devices' memory",
            error: shim::ENOMEM,
        })?;
        let dma = Dma::new(
            settings.dma,
            &memory,
            settings.cpus.worker_count(settings.dispatcher_count),
        );
        let host = KernelHost::new(bar, storage, irqs, peers, dma);
        namespaces::describe(&plan, settings.namespaces.as_slice())?;
        let nvm = namespaces::first_nvm(&plan);
        let names = settings
            .namespaces
            .as_slice()
            .iter()
            .map(|request| request.profile);
        let namespaces = names.zip(plan.iter().map(|namespace| namespace.media_len_bytes));
        let identity = Identity::derive_for_namespaces(
            namespaces,
            settings.storage_bytes,
            settings.lba_bytes,
            settings.serial,
        );
        let config = DeviceConfig {
            identity,
            dispatcher_count: settings.dispatcher_count,
            worker_count: settings.cpus.worker_count(settings.dispatcher_count),
            namespaces: plan,
            media_bytes: settings.storage_bytes,
            has_medium: settings.has_medium,
            has_shadow_doorbells: settings.has_shadow_doorbells,
            hash_seed: shim::nvmev_random(),
        };
        let Device {
            controller,
            dispatchers,
            workers,
            shared,
        } = Device::new(config, host.bar())?;

        shared.lateness().set_bound_ns(settings.lateness_bound_ns);
        let places = Places::new(&settings.cpus, settings.dispatcher_count);
        let running = Arc::new(Running::new(host, shared, nvm, settings.idle_timeout_ns, places));
        let proc = ProcFolder::new(running.clone()).ok_or(LoadError::Kernel {
            what: "the folder /proc/nvmev",
            error: shim::ENOMEM,
        })?;
        let threads =
            Threads::start(running.clone(), controller, dispatchers, workers).map_err(
                |error| match error {
                    StartError::Offline(cpu) => LoadError::CpuLeft(cpu),
                    StartError::Kernel(error) => kernel("the threads")(error),
                },
            )?;
        // All tables are made, and the threads want those CPUs for themselves.
        drop(on_node);
        let pci = PciBus::new(running.clone(), memory.bar_start(), node).map_err(LoadError::Bus)?;
        info!("Virtual PCI bus created (node {node})");
        info!("Virtual NVMe device created");
        Ok(Self {
            _pci: pci,
            _threads: threads,
            _proc: proc,
            _running: running,
            _memory: memory,
            _power: power,
        })
    }
}
