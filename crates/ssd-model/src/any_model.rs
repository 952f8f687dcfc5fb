//! A model of any kind, chosen at run time.

use ssd_profile::{KeyValueCommandSet, ProfileKind};

use crate::conventional::{ConventionalModel, Geometry, PAGE_BYTES};
use crate::key_value;
use crate::nand::Nand;
use crate::nvm::NvmModel;
use crate::zoned::{ZonedGeometry, ZonedModel};
use crate::{Accepted, Command, FlashReport, Model, Refusal, SetupError};

/// The smallest logical block, bytes.
const BLOCK_BYTES_MIN: u64 = 512;

/// A model of any kind. A namespace holds one; the choice is a match on a local enum, not a virtual call. Within the project every match
/// lists them all, so that a new one cannot be forgotten.
#[derive(Clone, Debug)]
pub enum AnyModel {
    /// A drive without flash, see [`crate::nvm`]; also how a key-value drive is timed.
    Nvm(NvmModel),
    /// Flash behind a translation layer, see [`crate::conventional`].
    Conventional(ConventionalModel),
    /// Flash in zones, see [`crate::zoned`].
    Zoned(ZonedModel),
}

/// Bytes of the namespace that a drive of `kind` makes of `capacity_bytes`: what over-provisioning leaves of it.
///
/// # Errors
/// [`SetupError`] when a parameter is out of range, or the capacity is nothing that the drive can have.
pub fn namespace_bytes(kind: &ProfileKind, capacity_bytes: u64) -> Result<u64, SetupError> {
    match kind {
        ProfileKind::Nvm(_) => has_room(capacity_bytes).map(|()| capacity_bytes),
        ProfileKind::Conventional(parameters) => {
            Ok(Geometry::new(parameters, capacity_bytes)?.namespace_bytes)
        }
        ProfileKind::Zoned(parameters) => {
            Ok(ZonedGeometry::new(parameters, capacity_bytes)?.namespace_bytes())
        }
        ProfileKind::KeyValue(parameters) => {
            let bytes = key_value::usable_bytes(parameters, capacity_bytes)?;
            Ok(match parameters.command_set {
                KeyValueCommandSet::WithoutLbas => bytes,
                KeyValueCommandSet::WithLbas => bytes - bytes % u64::from(key_value::PAGE_BYTES),
            })
        }
    }
}

/// Checks that a drive without flash, whose data are all that takes room, has room for a logical block.
fn has_room(capacity_bytes: u64) -> Result<(), SetupError> {
    if capacity_bytes < BLOCK_BYTES_MIN {
        return Err(SetupError::TooSmall {
            capacity_bytes,
            needed_bytes: BLOCK_BYTES_MIN,
            key: None,
        });
    }
    Ok(())
}

/// Bytes of memory for the tables that grow with the capacity, of a drive of `kind` with `capacity_bytes`.
///
/// # Errors
/// As [`namespace_bytes`].
pub fn table_bytes(kind: &ProfileKind, capacity_bytes: u64) -> Result<u64, SetupError> {
    match kind {
        ProfileKind::Nvm(_) => Ok(0),
        ProfileKind::Conventional(parameters) => Ok(Geometry::new(parameters, capacity_bytes)?.table_bytes()),
        ProfileKind::Zoned(parameters) => Ok(ZonedGeometry::new(parameters, capacity_bytes)?.table_bytes()),
        ProfileKind::KeyValue(parameters) => {
            Ok(key_value::table_sizes(parameters, capacity_bytes)?.memory_bytes)
        }
    }
}

impl AnyModel {
    /// Sets up a model of `kind` for a drive of `capacity_bytes`, of which [`namespace_bytes`] are the namespace's.
    ///
    /// # Errors
    /// [`SetupError`] when a parameter is out of range, the capacity is nothing that the drive can have, or memory for the tables is lacking.
    pub fn new(kind: &ProfileKind, capacity_bytes: u64) -> Result<Self, SetupError> {
        match kind {
            ProfileKind::Nvm(parameters) => {
                has_room(capacity_bytes)?;
                Ok(Self::Nvm(NvmModel::new(*parameters)?))
            }
            ProfileKind::Conventional(parameters) => Ok(Self::Conventional(ConventionalModel::new(
                parameters,
                capacity_bytes,
            )?)),
            ProfileKind::Zoned(parameters) => Ok(Self::Zoned(ZonedModel::new(parameters, capacity_bytes)?)),
            ProfileKind::KeyValue(parameters) => {
                key_value::usable_bytes(parameters, capacity_bytes)?;
                Ok(Self::Nvm(NvmModel::new(parameters.timing)?))
            }
        }
    }

    /// What the flash did so far; nothing for a drive without flash. Takes time in proportion to the number of lines: not for
    /// the path of an I/O.
    pub fn flash_report(&self) -> Option<FlashReport> {
        match self {
            Self::Nvm(_) => None,
            Self::Conventional(model) => Some(model.report()),
            Self::Zoned(model) => Some(model.report()),
        }
    }

    /// The flash array and the time for which data was on the link to the host, ns, for how busy the drive's parts are; nothing for a drive without
    /// flash.
    pub fn parts(&self) -> Option<(&Nand, u64)> {
        match self {
            Self::Nvm(_) => None,
            Self::Conventional(model) => Some((model.nand(), model.link_busy_ns())),
            Self::Zoned(model) => Some((model.nand(), model.link_busy_ns())),
        }
    }

    /// The unit in which a translation layer maps addresses to flash, bytes; `None`: there is no such layer.
    pub const fn mapping_unit_bytes(&self) -> Option<u64> {
        match self {
            Self::Conventional(_) => Some(PAGE_BYTES),
            Self::Nvm(_) | Self::Zoned(_) => None,
        }
    }

    /// The model of a drive without flash.
    pub const fn nvm(&self) -> Option<&NvmModel> {
        match self {
            Self::Nvm(model) => Some(model),
            Self::Conventional(_) | Self::Zoned(_) => None,
        }
    }

    /// As [`AnyModel::nvm`], to be changed.
    pub const fn nvm_mut(&mut self) -> Option<&mut NvmModel> {
        match self {
            Self::Nvm(model) => Some(model),
            Self::Conventional(_) | Self::Zoned(_) => None,
        }
    }

    /// The model of a zoned drive.
    pub fn zoned(&self) -> Option<&ZonedModel> {
        match self {
            Self::Zoned(model) => Some(model),
            Self::Nvm(_) | Self::Conventional(_) => None,
        }
    }

    /// As [`AnyModel::zoned`], to be changed.
    pub fn zoned_mut(&mut self) -> Option<&mut ZonedModel> {
        match self {
            Self::Zoned(model) => Some(model),
            Self::Nvm(_) | Self::Conventional(_) => None,
        }
    }

    /// Starts counting anew; erase counts stay, as wear does.
    pub fn reset_statistics(&mut self) {
        match self {
            Self::Nvm(_) => {}
            Self::Conventional(model) => model.reset_statistics(),
            Self::Zoned(model) => model.reset_statistics(),
        }
    }
}

impl Model for AnyModel {
    #[inline]
    fn anticipate(&self, offset_bytes: u64, is_write: bool) {
        match self {
            Self::Conventional(model) => model.anticipate(offset_bytes, is_write),
            // Their tables are small, or there are none.
            Self::Nvm(_) | Self::Zoned(_) => {}
        }
    }

    fn submit(&mut self, now_ns: u64, command: &Command) -> Result<Accepted, Refusal> {
        match self {
            Self::Nvm(model) => model.submit(now_ns, command),
            Self::Conventional(model) => model.submit(now_ns, command),
            Self::Zoned(model) => model.submit(now_ns, command),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;
    use crate::profiles;

    #[test]
    fn every_profile_makes_a_model_that_answers() {
        for profile in profiles::all() {
            let mut model = AnyModel::new(&profile.kind, 8 << 30).expect("a shipped profile is valid");
            let read = Command::Read {
                offset_bytes: 0,
                len_bytes: 4096,
            };
            let accepted = model.submit(1_000, &read).expect("an idle drive takes a read on");
            assert!(accepted.done_at_ns >= 1_000, "{}", profile.name);
        }
    }

    #[test]
    fn to_anticipate_what_comes_or_does_not_changes_nothing() {
        for profile in profiles::all() {
            let model = || AnyModel::new(&profile.kind, 8 << 30).expect("a shipped profile is valid");
            let (mut told, mut untold) = (model(), model());
            let places = (0..2000u64).map(|index| index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            for (now_ns, place) in (0..).step_by(3_000).zip(places) {
                // So few that they are written again.
                let (offset_bytes, len_bytes) = ((place >> 8) % 300 * 4096, 4096);
                // The command's own place, another one inside, and one far outside.
                for anticipated in [offset_bytes, place % (8 << 30), place] {
                    told.anticipate(anticipated, false);
                    told.anticipate(anticipated, true);
                }
                let command = match place >> 63 {
                    0 => Command::Read {
                        offset_bytes,
                        len_bytes,
                    },
                    _ => Command::Write {
                        offset_bytes,
                        len_bytes,
                        fua: false,
                    },
                };
                assert_eq!(
                    told.submit(now_ns, &command),
                    untold.submit(now_ns, &command),
                    "{} at {now_ns} ns",
                    profile.name
                );
            }
            assert_eq!(told.flash_report(), untold.flash_report(), "{}", profile.name);
        }
    }

    #[test]
    fn the_smallest_size_is_named_and_works() {
        for profile in profiles::all() {
            let drive = |capacity_bytes| {
                let bytes = namespace_bytes(&profile.kind, capacity_bytes)?;
                AnyModel::new(&profile.kind, capacity_bytes)?;
                Ok(bytes)
            };
            let Err(SetupError::TooSmall {
                capacity_bytes: 0,
                needed_bytes,
                ..
            }) = drive(0)
            else {
                panic!("{}: {:?}", profile.name, drive(0));
            };
            let bytes = drive(needed_bytes).expect("it is large enough");
            assert!(bytes >= 512, "{}: {bytes}", profile.name);
            let refused = drive(needed_bytes - 1).map_err(|error| match error {
                SetupError::TooSmall { needed_bytes, .. } => needed_bytes,
                other => panic!("{}: {other}", profile.name),
            });
            assert_eq!(refused, Err(needed_bytes), "{}", profile.name);
        }
    }

    #[test]
    fn sizes_are_said_as_they_are_given() {
        let zoned = profiles::by_name("zn540").expect("a built-in profile");
        let error = AnyModel::new(&zoned.kind, 1 << 20).expect_err("a zone has 2 GiB");
        assert_eq!(
            error.to_string(),
            "1048576 bytes are too few: give the drive 2147483648 (2G) at least, or set zone.size_kib lower"
        );
        let conventional = profiles::by_name("970pro").expect("a built-in profile");
        let error = AnyModel::new(&conventional.kind, 4096).expect_err("7 % are kept");
        assert_eq!(
            error.to_string(),
            "4096 bytes are too few: give the drive 4383 at least"
        );
    }
}
