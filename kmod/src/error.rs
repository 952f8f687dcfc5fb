// SPDX-License-Identifier: GPL-2.0-only
//! Why the module was not loaded.

use core::fmt;

use module_params::namespaces::NamespaceListError;
use module_params::pci_domain::PlaceError;
use module_params::ParamError;
use ssd_model::profiles;
use ssd_profile::{ParameterError, SetError};

use crate::memory::MemoryError;
use crate::shim;

/// Why a namespace cannot be.
pub enum NamespaceError {
    /// Parameters that no device can have.
    Parameter(ParameterError),
    /// `data=none`, of a key-value drive.
    KeysWithoutData,
    /// Nothing that the drive can be, with this memory.
    Model(ssd_model::SetupError),
}

impl fmt::Display for NamespaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(error) => error.fmt(f),
            Self::KeysWithoutData => f.write_str(
                "data=none: a key-value drive has its keys among its data and cannot find anything without; load it with \
                 data=memory",
            ),
            Self::Model(error) => error.fmt(f),
        }
    }
}

/// Why the module was not loaded.
pub enum LoadError<'a> {
    /// A parameter is wrong by itself.
    Param(ParamError<'a>),
    /// There is no such profile.
    Profile(&'a str),
    /// `profile_set=` cannot be done.
    ProfileSet(SetError<'a>),
    /// `ns=` wants more memory than there is.
    Namespaces(NamespaceListError<'a>),
    /// A namespace that cannot be, by its profile's name; its number, if there are several.
    Namespace {
        nsid: Option<u32>,
        profile: &'a str,
        error: NamespaceError,
    },
    /// No memory for the device's content.
    Memory(MemoryError),
    /// No memory for what the device has to know of its content.
    Tables { needed: u64, available: u64 },
    /// No PCI bus.
    Bus(PlaceError),
    /// The core refused.
    Setup(nvme_device::SetupError),
    /// A CPU of `cpus=` went offline while the module was loaded.
    CpuLeft(u32),
    /// The kernel refused.
    Kernel { what: &'static str, error: i32 },
}

impl LoadError<'_> {
    /// What insmod is told.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Param(_)
            | Self::Profile(_)
            | Self::ProfileSet(_)
            | Self::CpuLeft(_)
            | Self::Namespaces(_)
            | Self::Namespace { .. } => shim::EINVAL,
            Self::Setup(nvme_device::SetupError::Model(error)) if !error.is_lack_of_memory() => shim::EINVAL,
            Self::Memory(_) | Self::Tables { .. } | Self::Setup(_) => shim::ENOMEM,
            Self::Kernel { error, .. } | Self::Bus(PlaceError::Kernel(error)) => *error,
            Self::Bus(PlaceError::NoDomain) => shim::EADDRINUSE,
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
            Self::Namespaces(error) => write!(f, "ns: {error}"),
            Self::Namespace { nsid, profile, error } => {
                if let Some(nsid) = nsid {
                    write!(f, "namespace {nsid} ({profile}): ")?;
                }
                error.fmt(f)
            }
            Self::Memory(error) => error.fmt(f),
            Self::Tables { needed, available } => write!(
                f,
                "the tables of a drive of this size and kind take {} MiB of the kernel's memory, beside what size= takes, \
                 and of all that is available, {} MiB, some must be left; choose a smaller size, or another profile",
                needed.div_ceil(1 << 20),
                available >> 20
            ),
            Self::Bus(error) => error.fmt(f),
            Self::Setup(error) => error.fmt(f),
            Self::CpuLeft(cpu) => write!(
                f,
                "cpus=: CPU {cpu} went offline while the module was loaded; bring it online again, or choose other CPUs"
            ),
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
