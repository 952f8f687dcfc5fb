//! The module's parameters: from text to a value that is valid as a whole, or to a sentence that says what to change.

use crate::cpus::{CpuList, Cpus};
use crate::dma::DmaChoice;
use crate::error::{ParamError, Problem};
use crate::limits::SERIAL_LEN_MAX;
use crate::list::{Parameter, ParameterList, RawParams};
use crate::memory::{MemoryPlan, MemorySource, RawMemory};
use crate::namespaces::{NamespaceList, ProfileSet};
use crate::nvm::NvmOverrides;

/// How long a thread polls in vain before it begins to sleep, unless `idle_timeout_us=` says otherwise.
pub const IDLE_TIMEOUT_US_DEFAULT: u32 = 10_000;
/// How late a completion may be posted without being a miss, unless `lateness_bound_ns=` says otherwise.
pub const LATENESS_BOUND_NS_DEFAULT: u32 = 1000;

/// The device to be unless `profile=` or `ns=` names another.
pub const PROFILE_DEFAULT: &str = "optane";

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

/// The CPUs, and how many of them are for dispatchers.
fn threads<'a>(
    cpus: Parameter<'a>,
    dispatchers: Parameter<'a>,
    machine: &impl Cpus,
) -> Result<(CpuList, usize), ParamError<'a>> {
    let count = dispatchers.number()?.unwrap_or(1) as usize;
    let list = match cpus.text {
        Some(list) => CpuList::parse(list, machine),
        None => CpuList::choose(machine, count),
    }
    .map_err(|error| cpus.refuse(Problem::Cpus(error)))?;
    list.check_dispatchers(count)
        .map_err(|error| dispatchers.refuse(Problem::Cpus(error)))?;
    Ok((list, count))
}

/// Checks the parameters against each other and against the machine's CPUs.
///
/// # Errors
/// The first parameter that is wrong.
// A frame of its own: all parameters with their names are on a kernel stack, which has 16 KiB.
#[inline(never)]
pub fn validate<'a>(raw: &RawParams<'a>, machine: &impl Cpus) -> Result<Settings<'a>, ParamError<'a>> {
    // Every field is named, so that a new one cannot be forgotten.
    let ParameterList {
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
    } = raw.map(Parameter::new);
    let namespaces = namespaces(profile, ns)?;
    let MemoryPlan {
        source,
        storage_bytes,
        has_medium,
    } = RawMemory {
        start: memmap_start.text,
        range: memmap_size.text,
        size: size.text,
        data: data.text,
    }
    .validate()?;
    debug.number()?;
    let (cpus, dispatcher_count) = threads(cpus, dispatchers, machine)?;
    let idle_timeout_us = idle_timeout_us.number()?.unwrap_or(IDLE_TIMEOUT_US_DEFAULT);
    Ok(Settings {
        memory: source,
        storage_bytes,
        has_medium,
        cpus,
        dispatcher_count,
        namespaces,
        profile_set: changes(profile_set, &namespaces)?,
        lba_bytes: lba_bytes(lba_size)?,
        serial: checked_serial(serial)?,
        nvm: NvmOverrides {
            read_time: read_time.number()?,
            read_delay: read_delay.number()?,
            read_trailing: read_trailing.number()?,
            write_time: write_time.number()?,
            write_delay: write_delay.number()?,
            write_trailing: write_trailing.number()?,
            nr_io_units: nr_io_units.number()?,
            io_unit_shift: io_unit_shift.number()?,
        },
        idle_timeout_ns: (idle_timeout_us != 0).then_some(u64::from(idle_timeout_us) * 1000),
        lateness_bound_ns: lateness_bound_ns
            .number()?
            .unwrap_or(LATENESS_BOUND_NS_DEFAULT)
            .into(),
        has_shadow_doorbells: shadow_doorbells.switch()?.unwrap_or(true),
        dma: dma.text.map_or(Ok(DmaChoice::Off), DmaChoice::parse)?,
    })
}

fn namespaces<'a>(profile: Parameter<'a>, ns: Parameter<'a>) -> Result<NamespaceList<'a>, ParamError<'a>> {
    match (profile.text, ns.text) {
        (Some(_), Some(_)) => Err(ns.refuse(Problem::ProfileAndNamespaces)),
        (profile, None) => Ok(NamespaceList::one(profile.map_or(PROFILE_DEFAULT, str::trim))),
        (None, Some(list)) => {
            NamespaceList::parse(list).map_err(|error| ns.refuse(Problem::Namespaces(error)))
        }
    }
}

fn changes<'a>(
    profile_set: Parameter<'a>,
    namespaces: &NamespaceList<'a>,
) -> Result<ProfileSet<'a>, ParamError<'a>> {
    let count = namespaces.as_slice().len() as u32;
    // The error has the entry that is wrong, of a list that can be long.
    let refuse = |error| Parameter::new(profile_set.name, None).refuse(Problem::ProfileSet(error));
    ProfileSet::new(profile_set.text.unwrap_or(""), count).map_err(refuse)
}

fn lba_bytes(lba_size: Parameter<'_>) -> Result<u32, ParamError<'_>> {
    match lba_size.number()? {
        None | Some(512) => Ok(512),
        Some(4096) => Ok(4096),
        Some(_) => Err(lba_size.refuse(Problem::LbaSize)),
    }
}

fn checked_serial(serial: Parameter<'_>) -> Result<Option<&str>, ParamError<'_>> {
    let is_valid = |text: &str| {
        let is_printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        !text.trim().is_empty() && text.len() <= SERIAL_LEN_MAX && is_printable
    };
    match serial.text {
        Some(text) if !is_valid(text) => Err(serial.refuse(Problem::Serial)),
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nvm::NvmTimes;
    use crate::proc_text::Times;
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

    const SIZE: RawParams<'_> = RawParams {
        size: Some("1G"),
        ..RawParams::NONE
    };

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
