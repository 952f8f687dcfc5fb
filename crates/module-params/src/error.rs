//! What is wrong with a parameter, in a sentence that says what to change.

use core::fmt;

use crate::cpus::CpuListError;
use crate::limits::{MEMORY_ALIGNMENT, SERIAL_LEN_MAX};
use crate::namespaces::{NamespaceListError, ProfileSetError};
use crate::size::{Bytes, SizeError};

/// A parameter that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamError<'a> {
    /// Its name.
    pub parameter: &'static str,
    /// What was given for it.
    pub value: Option<&'a str>,
    /// What is wrong and what to do.
    pub problem: Problem<'a>,
}

/// See [`ParamError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each one's sentence is in its Display, below")]
pub enum Problem<'a> {
    NoMemory,
    BothMemories,
    Data,
    ProfileAndNamespaces,
    Namespaces(NamespaceListError<'a>),
    ProfileSet(ProfileSetError<'a>),
    Needs { other: &'static str },
    Size(SizeError),
    TooSmall { min_bytes: u64 },
    Unaligned,
    Zero,
    BeyondAddressSpace,
    Cpus(CpuListError),
    NotANumber,
    NotASwitch,
    Dma,
    LbaSize,
    Serial,
}

impl fmt::Display for ParamError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parameter)?;
        if let Some(value) = self.value {
            write!(f, "={}", value.trim_end())?;
        }
        f.write_str(": ")?;
        match self.problem {
            Problem::NoMemory => f.write_str(
                "no memory given; load with size=1G to take it from the running kernel, or with memmap_start= and \
                 memmap_size= for a range reserved at boot",
            ),
            Problem::BothMemories => f.write_str("give either size=, or memmap_start= and memmap_size=, not both"),
            Problem::Data => f.write_str(
                "not a place for data; write memory, or none for a drive that keeps nothing and reads as zeros",
            ),
            Problem::ProfileAndNamespaces => {
                f.write_str("give either profile=, for one namespace, or ns=, which names a profile for each; not both")
            }
            Problem::Namespaces(error) => error.fmt(f),
            Problem::ProfileSet(error) => error.fmt(f),
            Problem::Needs { other } => write!(f, "needs {other}= beside it"),
            Problem::Size(error) => error.fmt(f),
            Problem::TooSmall { min_bytes } => {
                write!(f, "too small; at least {} are needed", Bytes(min_bytes))
            }
            Problem::Unaligned => write!(f, "not a multiple of {}", Bytes(MEMORY_ALIGNMENT)),
            Problem::Zero => f.write_str("address 0 cannot be used"),
            Problem::BeyondAddressSpace => f.write_str("the range ends beyond 64-bit addresses"),
            Problem::Cpus(error) => error.fmt(f),
            Problem::NotANumber => write!(f, "not a number from 0 to {}", u32::MAX),
            Problem::NotASwitch => f.write_str("write 1 for yes or 0 for no"),
            Problem::Dma => f.write_str(
                "write off, any, or the name of a DMA device or channel as in /sys/class/dma, such as dma0 or dma0chan1",
            ),
            Problem::LbaSize => f.write_str("a logical block has 512 or 4096 bytes"),
            Problem::Serial => write!(f, "a serial number has 1 to {SERIAL_LEN_MAX} printable ASCII characters"),
        }
    }
}
