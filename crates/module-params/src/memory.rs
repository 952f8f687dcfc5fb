//! Where the drive's memory comes from, and whether there is any for its data: `size=`, `memmap_start=`, `memmap_size=`, `data=`.

use crate::error::{ParamError, Problem};
use crate::limits::MEMORY_ALIGNMENT;
use crate::size::parse_size;

/// The registers' area at the beginning of the device's memory, as in NVMeVirt: what is left is the storage.
pub const BAR_AREA_BYTES: u64 = 1 << 20;
/// Below this, a file system hardly fits on the device.
pub const MEMORY_BYTES_MIN: u64 = 16 << 20;

/// Where the device's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemorySource {
    /// A range that was kept from the kernel at boot with `memmap=SIZE$START`.
    Reserved {
        /// Physical address of its first byte.
        start: u64,
        /// Its length.
        size_bytes: u64,
    },
    /// So much, taken from the running kernel.
    Taken {
        /// How much.
        size_bytes: u64,
    },
}

impl MemorySource {
    /// How much memory the device has, registers included.
    pub fn size_bytes(&self) -> u64 {
        match *self {
            Self::Reserved { size_bytes, .. } | Self::Taken { size_bytes } => size_bytes,
        }
    }

    /// What is left of it beside the registers. Without a medium that may be nothing.
    pub fn storage_bytes(&self) -> u64 {
        self.size_bytes().saturating_sub(BAR_AREA_BYTES)
    }
}

/// The parameters, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryPlan {
    pub source: MemorySource,
    pub storage_bytes: u64,
    pub has_medium: bool,
}

/// The parameters as they were given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawMemory<'a> {
    pub start: Option<&'a str>,
    pub range: Option<&'a str>,
    pub size: Option<&'a str>,
    pub data: Option<&'a str>,
}

impl<'a> RawMemory<'a> {
    /// Checks them against each other.
    ///
    /// # Errors
    /// The first one that is wrong.
    pub fn validate(self) -> Result<MemoryPlan, ParamError<'a>> {
        match self.data.map(str::trim) {
            None | Some("memory") => self.with_medium(),
            Some("none") => self.without_medium(),
            Some(_) => Err(refuse("data", self.data, Problem::Data)),
        }
    }

    /// The medium is what the registers leave of the memory.
    fn with_medium(self) -> Result<MemoryPlan, ParamError<'a>> {
        let reserved = self.reserved(MEMORY_BYTES_MIN);
        let source = match (self.start.or(self.range), self.size) {
            (None, None) => return Err(refuse("size", None, Problem::NoMemory)),
            (None, Some(size)) => MemorySource::Taken {
                size_bytes: size_of_at_least("size", size, MEMORY_BYTES_MIN)?,
            },
            (Some(_), Some(_)) => return Err(refuse("size", self.size, Problem::BothMemories)),
            (Some(_), None) => reserved?,
        };
        Ok(MemoryPlan {
            source,
            storage_bytes: source.storage_bytes(),
            has_medium: true,
        })
    }

    /// The registers alone have memory, and `size=` says how large the drive is.
    fn without_medium(self) -> Result<MemoryPlan, ParamError<'a>> {
        let Some(size) = self.size else {
            return Err(refuse("data", self.data, Problem::Needs { other: "size" }));
        };
        let storage_bytes = size_of_at_least("size", size, MEMORY_BYTES_MIN)?;
        let source = match self.start.or(self.range) {
            None => MemorySource::Taken {
                size_bytes: BAR_AREA_BYTES,
            },
            Some(_) => self.reserved(BAR_AREA_BYTES)?,
        };
        Ok(MemoryPlan {
            source,
            storage_bytes,
            has_medium: false,
        })
    }

    /// The range that was kept from the kernel at boot.
    fn reserved(self, min_bytes: u64) -> Result<MemorySource, ParamError<'a>> {
        let refuse_start = |problem| Err(refuse("memmap_start", self.start, problem));
        let (Some(start), Some(range)) = (self.start, self.range) else {
            return match self.start {
                Some(_) => refuse_start(Problem::Needs { other: "memmap_size" }),
                None => Err(refuse(
                    "memmap_size",
                    self.range,
                    Problem::Needs {
                        other: "memmap_start",
                    },
                )),
            };
        };
        let start = aligned_size("memmap_start", start)?;
        let size_bytes = size_of_at_least("memmap_size", range, min_bytes)?;
        if start == 0 {
            return refuse_start(Problem::Zero);
        }
        if start.checked_add(size_bytes).is_none() {
            return refuse_start(Problem::BeyondAddressSpace);
        }
        Ok(MemorySource::Reserved { start, size_bytes })
    }
}

fn refuse<'a>(parameter: &'static str, value: Option<&'a str>, problem: Problem<'a>) -> ParamError<'a> {
    ParamError {
        parameter,
        value,
        problem,
    }
}

fn size_of_at_least<'a>(
    parameter: &'static str,
    value: &'a str,
    min_bytes: u64,
) -> Result<u64, ParamError<'a>> {
    let bytes = aligned_size(parameter, value)?;
    if bytes < min_bytes {
        return Err(refuse(parameter, Some(value), Problem::TooSmall { min_bytes }));
    }
    Ok(bytes)
}

fn aligned_size<'a>(parameter: &'static str, value: &'a str) -> Result<u64, ParamError<'a>> {
    let error = |problem| refuse(parameter, Some(value), problem);
    let bytes = parse_size(value).map_err(|cause| error(Problem::Size(cause)))?;
    if bytes % MEMORY_ALIGNMENT != 0 {
        return Err(error(Problem::Unaligned));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};

    const NONE: RawMemory<'_> = RawMemory {
        start: None,
        range: None,
        size: None,
        data: None,
    };
    const SIZE: RawMemory<'_> = RawMemory {
        size: Some("1G"),
        ..NONE
    };
    const RANGE: RawMemory<'_> = RawMemory {
        start: Some("4G"),
        range: Some("1G"),
        ..NONE
    };

    fn refused(raw: RawMemory<'static>) -> String {
        raw.validate().unwrap_err().to_string()
    }

    #[test]
    fn memory_comes_from_one_place_and_is_large_enough() {
        let with_size = |size| RawMemory {
            size: Some(size),
            ..NONE
        };
        assert!(refused(NONE).starts_with("size: no memory given; load with size=1G"));
        assert_eq!(
            refused(RawMemory {
                range: Some("1G"),
                ..SIZE
            }),
            "size=1G: give either size=, or memmap_start= and memmap_size=, not both"
        );
        assert_eq!(
            refused(RawMemory { range: None, ..RANGE }),
            "memmap_start=4G: needs memmap_size= beside it"
        );
        assert_eq!(
            refused(RawMemory { start: None, ..RANGE }),
            "memmap_size=1G: needs memmap_start= beside it"
        );
        assert_eq!(
            refused(with_size("1M")),
            "size=1M: too small; at least 16M are needed"
        );
        assert_eq!(
            refused(with_size("20000001")),
            "size=20000001: not a multiple of 16K"
        );
        assert!(refused(with_size("lots")).starts_with("size=lots: not a size; write"));
        assert_eq!(
            refused(RawMemory {
                start: Some("0"),
                ..RANGE
            }),
            "memmap_start=0: address 0 cannot be used"
        );
        assert_eq!(
            refused(RawMemory {
                start: Some("0xffffffffffffc000"),
                ..RANGE
            }),
            "memmap_start=0xffffffffffffc000: the range ends beyond 64-bit addresses"
        );
    }

    #[test]
    fn data_is_kept_in_memory_unless_it_is_to_be_nowhere() {
        for data in [None, Some("memory"), Some(" memory\n")] {
            let plan = RawMemory { data, ..SIZE }.validate().unwrap();
            assert!(plan.has_medium);
            assert_eq!(plan.source, MemorySource::Taken { size_bytes: 1 << 30 });
            assert_eq!(plan.storage_bytes, (1 << 30) - BAR_AREA_BYTES);
        }
        for data in ["", "None", "file", "0", "memory,none"] {
            let error = refused(RawMemory {
                data: Some(data),
                ..SIZE
            });
            assert!(
                error.starts_with(&std::format!(
                    "data={data}: not a place for data; write memory, or none"
                )),
                "{error}"
            );
        }
    }

    #[test]
    fn a_drive_without_data_has_any_size_and_memory_for_its_registers_alone() {
        let without_data = |raw| RawMemory {
            data: Some("none\n"),
            size: Some("16T"),
            ..raw
        };
        assert_eq!(
            without_data(NONE).validate(),
            Ok(MemoryPlan {
                source: MemorySource::Taken {
                    size_bytes: BAR_AREA_BYTES
                },
                storage_bytes: 16 << 40,
                has_medium: false,
            })
        );
        let smallest = RawMemory {
            range: Some("1M"),
            ..RANGE
        };
        for (range, size_bytes) in [(RANGE, 1 << 30), (smallest, 1 << 20)] {
            assert_eq!(
                without_data(range).validate(),
                Ok(MemoryPlan {
                    source: MemorySource::Reserved {
                        start: 4 << 30,
                        size_bytes
                    },
                    storage_bytes: 16 << 40,
                    has_medium: false,
                })
            );
        }
    }

    #[test]
    fn a_drive_without_data_needs_a_size_and_whole_parameters() {
        let data = Some("none");
        assert_eq!(
            refused(RawMemory { data, ..NONE }),
            "data=none: needs size= beside it"
        );
        assert_eq!(
            refused(RawMemory { data, ..RANGE }),
            "data=none: needs size= beside it"
        );
        let without_data = RawMemory { data, ..SIZE };
        assert_eq!(
            refused(RawMemory {
                start: Some("4G"),
                ..without_data
            }),
            "memmap_start=4G: needs memmap_size= beside it"
        );
        assert_eq!(
            refused(RawMemory {
                range: Some("1G"),
                ..without_data
            }),
            "memmap_size=1G: needs memmap_start= beside it"
        );
        assert_eq!(
            refused(RawMemory {
                range: Some("512K"),
                start: Some("4G"),
                ..without_data
            }),
            "memmap_size=512K: too small; at least 1M are needed"
        );
        for (size, problem) in [
            ("8M", "size=8M: too small; at least 16M are needed"),
            ("17825793", "size=17825793: not a multiple of 16K"),
            ("16777216T", "size=16777216T: larger than 64 bits can hold"),
        ] {
            assert_eq!(
                refused(RawMemory {
                    size: Some(size),
                    ..without_data
                }),
                problem
            );
        }
    }
}
