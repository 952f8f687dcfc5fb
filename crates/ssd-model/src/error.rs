//! Why a model could not be set up.

use core::fmt;

use ssd_profile::ParameterError;

/// Why a model could not be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// A parameter has a value that the model cannot work with.
    Parameter(ParameterError),
    /// The namespace has no room for data.
    NoCapacity,
    /// The drive has more pages than the mapping can name.
    TooLarge {
        /// The capacity asked for, bytes.
        capacity_bytes: u64,
    },
    /// A key-value drive has more units than its table can name.
    TooManyUnits {
        /// The capacity asked for, bytes.
        capacity_bytes: u64,
    },
    /// There is no room for anything beside what the drive needs for itself.
    TooSmall {
        /// The capacity asked for, bytes.
        capacity_bytes: u64,
        /// The smallest one that works, bytes.
        needed_bytes: u64,
        /// The parameter that makes it so large, if one does.
        key: Option<&'static str>,
    },
    /// The system has no memory for the model's tables.
    OutOfMemory {
        /// What the table that could not be allocated needs, bytes.
        needed_bytes: usize,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(error) => error.fmt(formatter),
            Self::NoCapacity => formatter.write_str("the namespace's capacity is 0 bytes: give it room for data"),
            Self::TooLarge { capacity_bytes } => write!(
                formatter,
                "{capacity_bytes} bytes are more than the tables can address: make the drive smaller, or set \
                 ftl.partitions (of a zoned drive: zone.capacity_kib) higher"
            ),
            Self::TooManyUnits { capacity_bytes } => write!(
                formatter,
                "{capacity_bytes} bytes are more than the tables can address: make the drive smaller, or set \
                 key_value.unit_bytes higher"
            ),
            Self::TooSmall {
                capacity_bytes,
                needed_bytes,
                key,
            } => {
                write!(
                    formatter,
                    "{capacity_bytes} bytes are too few: give the drive {} at least",
                    Size(*needed_bytes)
                )?;
                match key {
                    Some(key) => write!(formatter, ", or set {key} lower"),
                    None => Ok(()),
                }
            }
            Self::OutOfMemory { needed_bytes } => write!(
                formatter,
                "no memory for a table of {needed_bytes} bytes of the timing model: free some, or use fewer namespaces"
            ),
        }
    }
}

impl core::error::Error for SetupError {}

impl SetupError {
    /// Whether trying again with more memory could help; otherwise the parameters have to change.
    pub fn is_lack_of_memory(&self) -> bool {
        matches!(self, Self::OutOfMemory { .. })
    }
}

impl From<ParameterError> for SetupError {
    fn from(error: ParameterError) -> Self {
        Self::Parameter(error)
    }
}

/// Bytes, also in the largest unit of which they are a multiple, as sizes are given.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        write!(formatter, "{bytes}")?;
        let unit = [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')]
            .into_iter()
            .find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift);
        match unit {
            Some((shift, name)) => write!(formatter, " ({}{name})", bytes >> shift),
            None => Ok(()),
        }
    }
}
