// SPDX-License-Identifier: GPL-2.0-only
//! A loaded module: from parameters to a device on a PCI bus, and back.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use module_params::params::BAR_AREA_BYTES;
use module_params::{Cpus, NvmOverrides, ParamError, RawParams};
use nvme_device::{Device, DeviceConfig, Host, Identity, NamespaceConfig, BAR_SIZE_BYTES};
use ssd_model::conventional::Geometry;
use ssd_model::{namespace_bytes, profiles};
use ssd_profile::{NvmParameters, ParameterError, Profile, ProfileKind, SetError};

use crate::host::{Irqs, KernelHost};
use crate::log::info;
use crate::memory::{DeviceMemory, Mapping, MemoryError};
use crate::pci::PciBus;
use crate::procfs::ProcFolder;
use crate::running::{times_of, with_times, Running};
use crate::shim;
use crate::thread::Threads;

/// The device to be unless `profile=` names another.
const PROFILE_DEFAULT: &str = "optane";

/// Why the module was not loaded.
pub enum LoadError<'a> {
    /// A parameter is wrong by itself.
    Param(ParamError<'a>),
    /// There is no such profile.
    Profile(&'a str),
    /// `profile_set=` cannot be done.
    ProfileSet(SetError<'a>),
    /// Parameters that no device can have.
    Parameter(ParameterError),
    /// No memory for the device's content.
    Memory(MemoryError),
    /// The core refused.
    Setup(nvme_device::SetupError),
    /// The kernel refused.
    Kernel { what: &'static str, error: i32 },
}

impl LoadError<'_> {
    /// What insmod is told.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Param(_) | Self::Profile(_) | Self::ProfileSet(_) | Self::Parameter(_) => shim::EINVAL,
            Self::Setup(nvme_device::SetupError::Model(error)) if !error.is_lack_of_memory() => shim::EINVAL,
            Self::Memory(_) | Self::Setup(_) => shim::ENOMEM,
            Self::Kernel { error, .. } => *error,
        }
    }
}

impl fmt::Display for LoadError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Param(error) => error.fmt(f),
            Self::Profile(name) => {
                write!(f, "profile={name}: there is no such profile; choose one of")?;
                let mut separator = " ";
                for profile in profiles::all() {
                    write!(f, "{separator}{}", profile.name)?;
                    separator = ", ";
                }
                Ok(())
            }
            Self::ProfileSet(error) => write!(f, "profile_set: {error}"),
            Self::Parameter(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
            Self::Setup(error) => error.fmt(f),
            Self::Kernel { what, error } => write!(f, "{what} could not be made (error {error})"),
        }
    }
}

impl From<MemoryError> for LoadError<'_> {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error)
    }
}

impl From<nvme_device::SetupError> for LoadError<'_> {
    fn from(error: nvme_device::SetupError) -> Self {
        Self::Setup(error)
    }
}

/// The machine's CPUs.
struct Machine;

impl Cpus for Machine {
    fn limit(&self) -> u32 {
        shim::nvmev_cpu_limit()
    }
    fn is_online(&self, cpu: u32) -> bool {
        shim::nvmev_cpu_is_online(cpu) != 0
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
}

impl Instance {
    /// Brings the device up.
    ///
    /// # Errors
    /// If anything is missing; what was done until then is undone.
    pub fn load<'a>(params: &RawParams<'a>) -> Result<Self, LoadError<'a>> {
        let settings = module_params::params::validate(params, &Machine).map_err(LoadError::Param)?;
        let name = settings.profile.unwrap_or(PROFILE_DEFAULT);
        let mut profile = *profiles::by_name(name).ok_or(LoadError::Profile(name))?;
        if let Some(list) = settings.profile_set {
            profile.set_list(list).map_err(LoadError::ProfileSet)?;
        }
        let nvm = apply_times(&mut profile, &settings.nvm);
        profile.validate().map_err(LoadError::Parameter)?;
        // Before memory is taken: what cannot become a drive is refused in one line.
        namespace_bytes(
            &profile.kind,
            settings.memory.size_bytes().saturating_sub(BAR_AREA_BYTES),
        )
        .map_err(nvme_device::SetupError::from)?;
        let node = settings
            .cpus
            .as_slice()
            .first()
            .map_or(0, |&cpu| shim::nvmev_cpu_node(cpu));

        let memory = DeviceMemory::acquire(settings.memory, node)?;
        let mut bar = Mapping::bar(&memory, BAR_SIZE_BYTES as u64)?;
        bar.clear();
        let mut storage = Mapping::storage(&memory)?;
        // Not before the memory is there: a load that is refused says one line, why.
        info!("Version {}", env!("CARGO_PKG_VERSION"));
        if memory.is_taken() {
            storage.clear();
        }
        let bytes = memory.storage_bytes();
        let start = memory.storage_start();
        info!(
            "Storage: {start:#010x}-{:#010x} ({} MiB)",
            start + bytes,
            bytes >> 20
        );

        let irqs = Irqs::new().ok_or(LoadError::Kernel {
            what: "the interrupts",
            error: shim::ENOMEM,
        })?;
        let host = KernelHost::new(bar, storage, irqs);
        let namespace = NamespaceConfig {
            kind: profile.kind,
            mdts: profile.mdts as u8,
            lba_bytes: settings.lba_bytes,
            media_offset: 0,
            media_len_bytes: bytes,
        };
        let mut namespaces = Vec::new();
        namespaces
            .try_reserve_exact(1)
            .map_err(|_| nvme_device::SetupError::OutOfMemory)?;
        namespaces.push(namespace);
        for (index, namespace) in namespaces.iter().enumerate() {
            let size = namespace_bytes(&namespace.kind, namespace.media_len_bytes)
                .map_err(nvme_device::SetupError::from)?;
            info!("ns {}/{}: size {} MiB", index + 1, namespaces.len(), size >> 20);
            describe_flash(namespace)?;
        }
        let namespace_count = namespaces.len() as u32;
        let config = DeviceConfig {
            identity: Identity::derive(profile.name, bytes, settings.lba_bytes, settings.serial),
            worker_count: settings.cpus.worker_count(),
            namespaces,
        };
        let Device {
            mut controller,
            workers,
            shared,
        } = Device::new(config, host.bar())?;
        controller.set_nvm_parameters(nvm);

        let running = Arc::new(Running::new(
            host,
            shared.clone(),
            nvm,
            namespace_count,
            settings.idle_timeout_ns,
        ));
        let kernel = |what| move |error| LoadError::Kernel { what, error };
        let proc = ProcFolder::new(running.clone()).ok_or(LoadError::Kernel {
            what: "the folder /proc/nvmev",
            error: shim::ENOMEM,
        })?;
        let threads = Threads::start(running.clone(), &settings.cpus, controller, workers)
            .map_err(kernel("the threads"))?;
        let pci = PciBus::new(shared, running.host.irqs(), memory.bar_start(), node)
            .map_err(kernel("the virtual PCI bus"))?;
        info!("Virtual PCI bus created (node {node})");
        info!("Virtual NVMe device created");
        Ok(Self {
            _pci: pci,
            _threads: threads,
            _proc: proc,
            _running: running,
            _memory: memory,
        })
    }
}

/// Puts the timing parameters that NVMeVirt had into `profile`; the result is the timing that `/proc` shows, and can change, while
/// the device runs. A drive with flash has no such parameters: zeros, which `/proc` cannot change.
fn apply_times(profile: &mut Profile<'_>, given: &NvmOverrides) -> NvmParameters {
    match &mut profile.kind {
        ProfileKind::Nvm(parameters) => {
            *parameters = with_times(*parameters, given.apply(times_of(parameters)));
            *parameters
        }
        ProfileKind::Conventional(_) => {
            if !given.is_empty() {
                info!(
                    "profile {} has no use for read_time, write_time, nr_io_units and the like",
                    profile.name
                );
            }
            NvmParameters::default()
        }
    }
}

/// Says how a drive's flash is laid out, for whoever compares it with another.
fn describe_flash(namespace: &NamespaceConfig) -> Result<(), nvme_device::SetupError> {
    if let ProfileKind::Conventional(parameters) = &namespace.kind {
        let geometry = Geometry::new(parameters, namespace.media_len_bytes)?;
        info!(
            "FTL: capacity {} bytes, namespace {} bytes, {} partitions of {} pages, {} lines of {} KiB, blocks of {} KiB",
            namespace.media_len_bytes,
            geometry.namespace_bytes,
            geometry.partitions,
            geometry.physical_pages,
            geometry.lines,
            geometry.line_bytes() >> 10,
            geometry.block_bytes() >> 10
        );
    }
    Ok(())
}
