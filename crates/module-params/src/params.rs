//! The module's parameters: from text to a value that is valid as a whole, or to a sentence that says what to change.

use core::fmt;

use crate::cpus::{CpuList, CpuListError, Cpus};
use crate::dma::DmaChoice;
use crate::memory::{MemoryPlan, MemorySource, RawMemory, MEMORY_ALIGNMENT};
use crate::namespaces::{NamespaceList, NamespaceListError, ProfileSet, ProfileSetError};
use crate::proc_text::Times;
use crate::size::{Bytes, SizeError};

/// A serial number's field in Identify Controller (NVMe Base 2.0 §5.17.2.1).
pub const SERIAL_LEN_MAX: usize = 20;
/// How long a thread polls in vain before it begins to sleep, unless `idle_timeout_us=` says otherwise.
pub const IDLE_TIMEOUT_US_DEFAULT: u32 = 10_000;
/// How late a completion may be posted without being a miss, unless `lateness_bound_ns=` says otherwise.
pub const LATENESS_BOUND_NS_DEFAULT: u32 = 1000;

/// The device to be unless `profile=` or `ns=` names another.
pub const PROFILE_DEFAULT: &str = "optane";

/// The parameters as they were given. A parameter that is not there is `None`.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    missing_docs,
    reason = "the fields are the parameters; `Settings` and the README say what they mean"
)]
pub struct RawParams<'a> {
    pub memmap_start: Option<&'a str>,
    pub memmap_size: Option<&'a str>,
    pub size: Option<&'a str>,
    pub data: Option<&'a str>,
    pub cpus: Option<&'a str>,
    pub dispatchers: Option<&'a str>,
    pub profile: Option<&'a str>,
    pub ns: Option<&'a str>,
    pub profile_set: Option<&'a str>,
    pub lba_size: Option<&'a str>,
    pub serial: Option<&'a str>,
    pub read_time: Option<&'a str>,
    pub read_delay: Option<&'a str>,
    pub read_trailing: Option<&'a str>,
    pub write_time: Option<&'a str>,
    pub write_delay: Option<&'a str>,
    pub write_trailing: Option<&'a str>,
    pub nr_io_units: Option<&'a str>,
    pub io_unit_shift: Option<&'a str>,
    pub idle_timeout_us: Option<&'a str>,
    pub lateness_bound_ns: Option<&'a str>,
    pub shadow_doorbells: Option<&'a str>,
    pub dma: Option<&'a str>,
    pub debug: Option<&'a str>,
}

/// The timing of an NVM device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NvmTimes {
    /// Of reads.
    pub read: Times,
    /// Of writes.
    pub write: Times,
    /// Units that work in parallel.
    pub io_units: u32,
    /// Size of a unit, as a power of two.
    pub io_unit_shift: u32,
}

/// Timing parameters that replace the profile's where they are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are the module's parameters of the same names"
)]
pub struct NvmOverrides {
    pub read_time: Option<u32>,
    pub read_delay: Option<u32>,
    pub read_trailing: Option<u32>,
    pub write_time: Option<u32>,
    pub write_delay: Option<u32>,
    pub write_trailing: Option<u32>,
    pub nr_io_units: Option<u32>,
    pub io_unit_shift: Option<u32>,
}

impl NvmOverrides {
    /// The profile's timing with what the user gave instead.
    pub fn apply(&self, profile: NvmTimes) -> NvmTimes {
        let Self {
            read_time,
            read_delay,
            read_trailing,
            write_time,
            write_delay,
            write_trailing,
            nr_io_units,
            io_unit_shift,
        } = *self;
        NvmTimes {
            read: Times {
                delay_ns: read_delay.unwrap_or(profile.read.delay_ns),
                time_ns: read_time.unwrap_or(profile.read.time_ns),
                trailing_ns: read_trailing.unwrap_or(profile.read.trailing_ns),
            },
            write: Times {
                delay_ns: write_delay.unwrap_or(profile.write.delay_ns),
                time_ns: write_time.unwrap_or(profile.write.time_ns),
                trailing_ns: write_trailing.unwrap_or(profile.write.trailing_ns),
            },
            io_units: nr_io_units.unwrap_or(profile.io_units),
            io_unit_shift: io_unit_shift.unwrap_or(profile.io_unit_shift),
        }
    }

    /// Whether the user gave none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The parameters, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings<'a> {
    /// Where the memory comes from.
    pub memory: MemorySource,
    /// How large the drive is.
    pub storage_bytes: u64,
    /// Whether there is memory for what is written. If not, nothing of it is kept, and reads return zeros.
    pub has_medium: bool,
    /// Which CPUs to use.
    pub cpus: CpuList,
    /// How many of them, the first ones, are for dispatchers.
    pub dispatcher_count: usize,
    /// The namespaces. Whether there are profiles of their names, the models know.
    pub namespaces: NamespaceList<'a>,
    /// Parameters of profiles to change. What they mean, the profiles know.
    pub profile_set: ProfileSet<'a>,
    /// Bytes of a logical block: 512 or 4096.
    pub lba_bytes: u32,
    /// The serial number, if one was given.
    pub serial: Option<&'a str>,
    /// Timing.
    pub nvm: NvmOverrides,
    /// Polling in vain for so long, a thread begins to sleep; never if `None`.
    pub idle_timeout_ns: Option<u64>,
    /// A completion that is posted more than this after its time is counted as a miss.
    pub lateness_bound_ns: u64,
    /// Whether hosts can have shadow doorbells.
    pub has_shadow_doorbells: bool,
    /// What copies data.
    pub dma: DmaChoice<'a>,
}

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

/// The CPUs, and how many of them are for dispatchers.
fn threads<'a>(
    cpus: Option<&'a str>,
    dispatchers: Option<&'a str>,
    machine: &impl Cpus,
) -> Result<(CpuList, usize), ParamError<'a>> {
    let count = number("dispatchers", dispatchers)?.unwrap_or(1) as usize;
    let list = match cpus {
        Some(list) => CpuList::parse(list, machine),
        None => CpuList::choose(machine, count),
    }
    .map_err(|error| ParamError {
        parameter: "cpus",
        value: cpus,
        problem: Problem::Cpus(error),
    })?;
    list.check_dispatchers(count).map_err(|error| ParamError {
        parameter: "dispatchers",
        value: dispatchers,
        problem: Problem::Cpus(error),
    })?;
    Ok((list, count))
}

/// Checks the parameters against each other and against the machine's CPUs.
///
/// # Errors
/// The first parameter that is wrong.
pub fn validate<'a>(raw: &RawParams<'a>, machine: &impl Cpus) -> Result<Settings<'a>, ParamError<'a>> {
    // Every field is named, so that a new one cannot be forgotten.
    let RawParams {
        memmap_start,
        memmap_size,
        size,
        data,
        cpus,
        dispatchers,
        profile,
        ns,
        profile_set,
        lba_size,
        serial,
        read_time,
        read_delay,
        read_trailing,
        write_time,
        write_delay,
        write_trailing,
        nr_io_units,
        io_unit_shift,
        idle_timeout_us,
        lateness_bound_ns,
        shadow_doorbells,
        dma,
        debug,
    } = *raw;
    let namespaces = namespaces(profile, ns)?;
    let MemoryPlan {
        source,
        storage_bytes,
        has_medium,
    } = RawMemory {
        start: memmap_start,
        range: memmap_size,
        size,
        data,
    }
    .validate()?;
    number("debug", debug)?;
    let (cpus, dispatcher_count) = threads(cpus, dispatchers, machine)?;
    let idle_timeout_us = number("idle_timeout_us", idle_timeout_us)?.unwrap_or(IDLE_TIMEOUT_US_DEFAULT);
    Ok(Settings {
        memory: source,
        storage_bytes,
        has_medium,
        cpus,
        dispatcher_count,
        namespaces,
        profile_set: ProfileSet::new(profile_set.unwrap_or(""), namespaces.as_slice().len() as u32).map_err(
            |error| ParamError {
                parameter: "profile_set",
                value: None,
                problem: Problem::ProfileSet(error),
            },
        )?,
        lba_bytes: match number("lba_size", lba_size)? {
            None | Some(512) => 512,
            Some(4096) => 4096,
            Some(_) => {
                return Err(ParamError {
                    parameter: "lba_size",
                    value: lba_size,
                    problem: Problem::LbaSize,
                })
            }
        },
        serial: serial.map(checked_serial).transpose()?,
        nvm: NvmOverrides {
            read_time: number("read_time", read_time)?,
            read_delay: number("read_delay", read_delay)?,
            read_trailing: number("read_trailing", read_trailing)?,
            write_time: number("write_time", write_time)?,
            write_delay: number("write_delay", write_delay)?,
            write_trailing: number("write_trailing", write_trailing)?,
            nr_io_units: number("nr_io_units", nr_io_units)?,
            io_unit_shift: number("io_unit_shift", io_unit_shift)?,
        },
        idle_timeout_ns: (idle_timeout_us != 0).then_some(u64::from(idle_timeout_us) * 1000),
        lateness_bound_ns: number("lateness_bound_ns", lateness_bound_ns)?
            .unwrap_or(LATENESS_BOUND_NS_DEFAULT)
            .into(),
        has_shadow_doorbells: switch("shadow_doorbells", shadow_doorbells)?.unwrap_or(true),
        dma: dma.map_or(Ok(DmaChoice::Off), DmaChoice::parse)?,
    })
}

fn namespaces<'a>(
    profile: Option<&'a str>,
    ns: Option<&'a str>,
) -> Result<NamespaceList<'a>, ParamError<'a>> {
    let refuse = |problem| ParamError {
        parameter: "ns",
        value: ns,
        problem,
    };
    match (profile, ns) {
        (Some(_), Some(_)) => Err(refuse(Problem::ProfileAndNamespaces)),
        (profile, None) => Ok(NamespaceList::one(profile.map_or(PROFILE_DEFAULT, str::trim))),
        (None, Some(list)) => NamespaceList::parse(list).map_err(|error| refuse(Problem::Namespaces(error))),
    }
}

fn switch<'a>(parameter: &'static str, value: Option<&'a str>) -> Result<Option<bool>, ParamError<'a>> {
    let refusal = ParamError {
        parameter,
        value,
        problem: Problem::NotASwitch,
    };
    value
        .map(|text| match text.trim() {
            "1" => Ok(true),
            "0" => Ok(false),
            _ => Err(refusal),
        })
        .transpose()
}

fn number<'a>(parameter: &'static str, value: Option<&'a str>) -> Result<Option<u32>, ParamError<'a>> {
    value
        .map(|text| {
            text.trim().parse().map_err(|_| ParamError {
                parameter,
                value,
                problem: Problem::NotANumber,
            })
        })
        .transpose()
}

fn checked_serial(serial: &str) -> Result<&str, ParamError<'_>> {
    let printable = serial.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if serial.trim().is_empty() || serial.len() > SERIAL_LEN_MAX || !printable {
        return Err(ParamError {
            parameter: "serial",
            value: Some(serial),
            problem: Problem::Serial,
        });
    }
    Ok(serial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    struct Machine;

    impl Cpus for Machine {
        fn limit(&self) -> u32 {
            4
        }
        fn is_online(&self, _: u32) -> bool {
            true
        }
    }

    const SIZE: RawParams<'_> = raw();

    const fn raw() -> RawParams<'static> {
        RawParams {
            memmap_start: None,
            memmap_size: None,
            size: Some("1G"),
            data: None,
            cpus: None,
            dispatchers: None,
            profile: None,
            ns: None,
            profile_set: None,
            lba_size: None,
            serial: None,
            read_time: None,
            read_delay: None,
            read_trailing: None,
            write_time: None,
            write_delay: None,
            write_trailing: None,
            nr_io_units: None,
            io_unit_shift: None,
            idle_timeout_us: None,
            lateness_bound_ns: None,
            shadow_doorbells: None,
            dma: None,
            debug: None,
        }
    }

    fn refused(raw: RawParams<'static>) -> std::string::String {
        validate(&raw, &Machine).unwrap_err().to_string()
    }

    #[test]
    fn a_size_is_enough() {
        let settings = validate(&SIZE, &Machine).unwrap();
        assert_eq!(settings.memory, MemorySource::Taken { size_bytes: 1 << 30 });
        assert_eq!(settings.storage_bytes, (1 << 30) - (1 << 20));
        assert!(settings.has_medium);
        assert_eq!(settings.cpus.as_slice(), [2, 3]);
        assert_eq!(settings.lba_bytes, 512);
        assert_eq!(settings.idle_timeout_ns, Some(10_000_000));
        assert_eq!(settings.lateness_bound_ns, 1000);
        assert!(settings.has_shadow_doorbells);
        assert_eq!(settings.dma, DmaChoice::Off);
        assert!(settings.nvm.is_empty());
        assert_eq!(settings.namespaces, NamespaceList::one("optane"));
    }

    #[test]
    fn there_is_one_profile_or_a_list_of_namespaces() {
        let list = RawParams {
            ns: Some("zn540:512M,970pro"),
            profile_set: Some("1/zone.max_open=4"),
            ..SIZE
        };
        let settings = validate(&list, &Machine).unwrap();
        assert_eq!(settings.namespaces.as_slice().len(), 2);
        assert_eq!(
            refused(RawParams {
                profile: Some("optane"),
                ..list
            }),
            "ns=zn540:512M,970pro: give either profile=, for one namespace, or ns=, which names a profile for each; not both"
        );
        assert_eq!(
            refused(RawParams {
                ns: Some("a,b"),
                ..list
            }),
            "ns=a,b: more than one namespace is without a size; only one can have what the others leave"
        );
        assert_eq!(
            refused(RawParams {
                profile_set: Some("nand.channels=4"),
                ..list
            }),
            "profile_set: nand.channels=4 does not say for which namespace it is; write 1/nand.channels=4 for the first one"
        );
    }

    #[test]
    fn what_nvmevirt_was_loaded_with() {
        let settings = validate(
            &RawParams {
                size: None,
                memmap_start: Some("4G"),
                memmap_size: Some("1024M"),
                cpus: Some("1,2"),
                read_time: Some("5"),
                nr_io_units: Some("16"),
                debug: Some("1"),
                ..SIZE
            },
            &Machine,
        )
        .unwrap();
        assert_eq!(
            settings.memory,
            MemorySource::Reserved {
                start: 4 << 30,
                size_bytes: 1 << 30
            }
        );
        assert_eq!(settings.cpus.as_slice(), [1, 2]);
        let profile = NvmTimes {
            read: Times {
                delay_ns: 1,
                time_ns: 2,
                trailing_ns: 3,
            },
            write: Times {
                delay_ns: 4,
                time_ns: 5,
                trailing_ns: 6,
            },
            io_units: 8,
            io_unit_shift: 12,
        };
        let expected = NvmTimes {
            read: Times {
                delay_ns: 1,
                time_ns: 5,
                trailing_ns: 3,
            },
            io_units: 16,
            ..profile
        };
        assert_eq!(settings.nvm.apply(profile), expected);
    }

    #[test]
    fn other_parameters_are_checked() {
        assert_eq!(
            refused(RawParams {
                cpus: Some("1,1\n"),
                ..SIZE
            }),
            "cpus=1,1: CPU 1 is there twice; name each CPU once"
        );
        assert_eq!(
            refused(RawParams {
                lba_size: Some("1024"),
                ..SIZE
            }),
            "lba_size=1024: a logical block has 512 or 4096 bytes"
        );
        assert_eq!(
            refused(RawParams {
                read_time: Some("-1"),
                ..SIZE
            }),
            "read_time=-1: not a number from 0 to 4294967295"
        );
        for serial in ["", "   ", "123456789012345678901", "a\tb", "ä"] {
            assert!(refused(RawParams {
                serial: Some(serial),
                ..SIZE
            })
            .ends_with("has 1 to 20 printable ASCII characters"));
        }
        let settings = validate(
            &RawParams {
                serial: Some("A 1"),
                idle_timeout_us: Some("0"),
                lateness_bound_ns: Some("20000"),
                shadow_doorbells: Some("0\n"),
                ..SIZE
            },
            &Machine,
        )
        .unwrap();
        assert_eq!((settings.serial, settings.idle_timeout_ns), (Some("A 1"), None));
        assert_eq!(settings.lateness_bound_ns, 20_000);
        assert!(!settings.has_shadow_doorbells);
        assert_eq!(
            refused(RawParams {
                shadow_doorbells: Some("off"),
                ..SIZE
            }),
            "shadow_doorbells=off: write 1 for yes or 0 for no"
        );
    }

    #[test]
    fn engines_are_off_any_or_named() {
        let parse = |value| {
            validate(
                &RawParams {
                    dma: Some(value),
                    ..SIZE
                },
                &Machine,
            )
            .map(|settings| settings.dma)
        };
        assert_eq!(parse("off"), Ok(DmaChoice::Off));
        assert_eq!(parse("any\n"), Ok(DmaChoice::Any));
        assert_eq!(parse("dma0"), Ok(DmaChoice::Named("dma0")));
        assert_eq!(parse("dma12chan3"), Ok(DmaChoice::Named("dma12chan3")));
        for wrong in [
            "",
            "on",
            "1",
            "yes",
            "dma0 chan1",
            "dma0,dma1",
            "dma00000000000000000000000000000",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            refused(RawParams { dma: Some("on"), ..SIZE }),
            "dma=on: write off, any, or the name of a DMA device or channel as in /sys/class/dma, such as dma0 or dma0chan1"
        );
    }
}
