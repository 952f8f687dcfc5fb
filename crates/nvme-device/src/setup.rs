//! Setting up: errors, and memory that can be refused.

use alloc::boxed::Box;
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, DerefMut};

use crate::limits::{BAR_SIZE_BYTES, DISPATCHERS_MAX, NAMESPACES_MAX};

/// A table of `len` values, or an error where a `Vec` of the standard library would abort.
pub(crate) fn table<T>(len: usize, value: impl Fn() -> T) -> Result<Vec<T>, TryReserveError> {
    let mut table = Vec::new();
    table.try_reserve_exact(len)?;
    table.extend((0..len).map(|_| value()));
    Ok(table)
}

/// Why a device could not be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// The BAR's memory is too small.
    BarSize {
        /// Its size.
        bytes: usize,
    },
    /// A device needs a worker.
    NoWorkers,
    /// There are fewer dispatchers than one, or more than there can be.
    Dispatchers {
        /// How many.
        count: usize,
    },
    /// A device needs a namespace.
    NoNamespace,
    /// More namespaces than identifiers.
    TooManyNamespaces {
        /// How many.
        count: usize,
    },
    /// The namespaces do not fit on the medium.
    MediaSize {
        /// Its size.
        bytes: u64,
        /// Where the last namespace ends.
        needed_bytes: u64,
    },
    /// A key-value namespace, of a device that keeps nothing of what is written.
    NoMediumForKeys,
    /// Not an LBA size on offer.
    LbaSize(u32),
    /// A namespace without room for one LBA, or beyond 2^64.
    NamespaceSize {
        /// The namespace.
        nsid: u32,
        /// Its size.
        bytes: u64,
    },
    /// The timing model could not be built.
    Model(ssd_model::SetupError),
    /// Not enough memory for the device's tables.
    OutOfMemory,
}

impl From<TryReserveError> for SetupError {
    fn from(_: TryReserveError) -> Self {
        Self::OutOfMemory
    }
}

impl From<ssd_model::SetupError> for SetupError {
    fn from(error: ssd_model::SetupError) -> Self {
        Self::Model(error)
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BarSize { bytes } => write!(f, "the BAR has {bytes} bytes, but needs {BAR_SIZE_BYTES}"),
            Self::NoWorkers => f.write_str("the device has no I/O worker; give it at least one"),
            Self::Dispatchers { count } => {
                write!(f, "{count} dispatchers cannot be; there are from 1 to {DISPATCHERS_MAX}")
            }
            Self::NoNamespace => f.write_str("the device has no namespace; give it at least one"),
            Self::TooManyNamespaces { count } => {
                write!(
                    f,
                    "{count} namespaces are too many; there can be {NAMESPACES_MAX}"
                )
            }
            Self::MediaSize { bytes, needed_bytes } => {
                write!(
                    f,
                    "the namespaces take {needed_bytes} bytes of a medium of {bytes}; make them smaller"
                )
            }
            Self::NoMediumForKeys => f.write_str(
                "a key-value namespace has its keys on the medium, and this device keeps nothing that is written",
            ),
            Self::LbaSize(bytes) => write!(f, "LBA size {bytes} is not on offer; use 512 or 4096"),
            Self::NamespaceSize { nsid, bytes } => {
                write!(f, "namespace {nsid} would have {bytes} bytes; it needs at least one LBA and must end below 2^64")
            }
            Self::Model(error) => error.fmt(f),
            Self::OutOfMemory => f.write_str("not enough kernel memory for the device's tables"),
        }
    }
}

impl core::error::Error for SetupError {}

/// A value on the heap: a `Box` that can be refused.
#[derive(Debug)]
pub(crate) struct TryBox<T>(Box<[T; 1]>);

impl<T> TryBox<T> {
    /// Puts a value there.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(value: T) -> Result<Self, SetupError> {
        let mut place = Vec::new();
        place.try_reserve_exact(1)?;
        place.push(value);
        let place: Result<Box<[T; 1]>, _> = place.into_boxed_slice().try_into();
        place.map(Self).map_err(|_| SetupError::OutOfMemory)
    }
}

impl<T> Deref for TryBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let [value] = &*self.0;
        value
    }
}

impl<T> DerefMut for TryBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        let [value] = &mut *self.0;
        value
    }
}
