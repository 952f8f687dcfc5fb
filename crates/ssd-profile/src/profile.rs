//! A drive's name and parameters.

mod check;

pub(crate) use check::check_each;

use core::fmt;
use core::ops::RangeInclusive;

use nvme_spec::CommandSet;

use crate::{
    ConventionalParameters, Field, KeyValueCommandSet, KeyValueParameters, NvmParameters, ParameterError,
    SetError, ZonedParameters,
};

/// MDTS: from two pages to 2^13 pages of 4 KiB, 32 MiB. 0 would mean "no limit", which no drive here has.
pub const MDTS: RangeInclusive<u32> = 1..=13;

/// Longest name: it is typed as a module parameter and becomes part of the device's model number.
pub const NAME_LEN_MAX: usize = 24;

/// Longest description: it stands in one line of a table and of the kernel's log.
pub const DESCRIPTION_LEN_MAX: usize = 80;

/// A drive that can be emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile<'a> {
    /// What the user calls it: lower-case letters, digits and hyphens.
    pub name: &'a str,
    /// One line about it for people.
    pub description: &'a str,
    /// Largest data transfer as Identify Controller states it: 2^mdts pages of 4 KiB.
    pub mdts: u32,
    /// Which model times its commands, with that model's parameters.
    pub kind: ProfileKind,
}

/// A kind of drive with its parameters. Within the project every match lists them all, so that a new one cannot be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileKind {
    /// A drive without flash.
    Nvm(NvmParameters),
    /// Flash behind a translation layer.
    Conventional(ConventionalParameters),
    /// Flash in zones that are written from beginning to end.
    Zoned(ZonedParameters),
    /// Values under keys instead of LBAs.
    KeyValue(KeyValueParameters),
}

impl ProfileKind {
    /// The kinds' names as `kind =` in a profile has them.
    pub const NAMES: [&'static str; 4] = ["nvm", "conventional", "zoned", "key-value"];

    /// The kind's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Nvm(_) => Self::NAMES[0],
            Self::Conventional(_) => Self::NAMES[1],
            Self::Zoned(_) => Self::NAMES[2],
            Self::KeyValue(_) => Self::NAMES[3],
        }
    }

    /// The kind called `name`, with parameters that are all to be set.
    pub fn blank(name: &str) -> Option<Self> {
        match name {
            "nvm" => Some(Self::Nvm(NvmParameters::default())),
            "conventional" => Some(Self::Conventional(ConventionalParameters::default())),
            "zoned" => Some(Self::Zoned(ZonedParameters::default())),
            "key-value" => Some(Self::KeyValue(KeyValueParameters::default())),
            _ => None,
        }
    }

    /// The parameters of the NVM model, if that times the drive: a drive without flash.
    pub const fn nvm(&self) -> Option<&NvmParameters> {
        match self {
            Self::Nvm(timing) | Self::KeyValue(KeyValueParameters { timing, .. }) => Some(timing),
            Self::Conventional(_) | Self::Zoned(_) => None,
        }
    }

    /// As [`ProfileKind::nvm`], to be changed.
    pub const fn nvm_mut(&mut self) -> Option<&mut NvmParameters> {
        match self {
            Self::Nvm(timing) | Self::KeyValue(KeyValueParameters { timing, .. }) => Some(timing),
            Self::Conventional(_) | Self::Zoned(_) => None,
        }
    }

    /// The parameters of a zoned drive.
    pub const fn zoned(&self) -> Option<&ZonedParameters> {
        match self {
            Self::Zoned(parameters) => Some(parameters),
            Self::Nvm(_) | Self::Conventional(_) | Self::KeyValue(_) => None,
        }
    }

    /// The parameters of a key-value drive.
    pub const fn key_value(&self) -> Option<&KeyValueParameters> {
        match self {
            Self::KeyValue(parameters) => Some(parameters),
            Self::Nvm(_) | Self::Conventional(_) | Self::Zoned(_) => None,
        }
    }

    /// The I/O command set of a namespace on the drive.
    pub fn command_set(&self) -> CommandSet {
        match self {
            Self::Nvm(_) | Self::Conventional(_) => CommandSet::NVM,
            Self::Zoned(_) => CommandSet::ZONED,
            Self::KeyValue(parameters) => match parameters.command_set {
                KeyValueCommandSet::WithoutLbas => CommandSet::KEY_VALUE,
                KeyValueCommandSet::WithLbas => CommandSet::NVM,
            },
        }
    }

    /// Whether hosts address the drive by LBA. Otherwise they can only address it by key.
    pub fn has_lbas(&self) -> bool {
        self.command_set() != CommandSet::KEY_VALUE
    }

    /// Whether the drive cannot work without memory for its data: keys are found by reading them there.
    pub const fn needs_medium(&self) -> bool {
        self.key_value().is_some()
    }

    /// The limit of Zone Append, as log2 of pages of 4 KiB (ZASL, NVMe ZNS 1.1 figure 51); `None`: no limit of its own, or no zones.
    pub const fn append_limit(&self) -> Option<u32> {
        match self.zoned() {
            Some(parameters) if parameters.zone.zasl > 0 => Some(parameters.zone.zasl),
            _ => None,
        }
    }

    /// Bytes of a zone that can be written; `None`: there are no zones.
    pub fn zone_capacity_bytes(&self) -> Option<u64> {
        let parameters = self.zoned()?;
        Some(u64::from(parameters.zone.usable_kib()) << 10)
    }
}

impl Profile<'_> {
    /// Shows each parameter to `each`, with its key.
    fn fields(&mut self, each: &mut dyn FnMut(&'static str, Field<'_>)) {
        each("mdts", Field::Number(&mut self.mdts, MDTS));
        match &mut self.kind {
            ProfileKind::Nvm(parameters) => parameters.fields(each),
            ProfileKind::Conventional(parameters) => parameters.fields(each),
            ProfileKind::Zoned(parameters) => parameters.fields(each),
            ProfileKind::KeyValue(parameters) => parameters.fields(each),
        }
    }

    /// Shows each parameter to `each`: its key and its value as [`Profile::set`] takes it.
    pub fn for_each_field(&self, mut each: impl FnMut(&'static str, &dyn fmt::Display)) {
        let mut copy = *self;
        copy.fields(&mut |key, field| each(key, &field));
    }

    /// Sets the parameter `key`. The profile as a whole is to be checked afterwards, see [`Profile::validate`].
    ///
    /// # Errors
    /// If there is no such parameter, or its value cannot be read; then nothing has changed.
    pub fn set<'b>(&mut self, key: &'b str, value: &'b str) -> Result<(), SetError<'b>> {
        let kind = self.kind.name();
        let mut result = Err(SetError::UnknownKey { key, kind });
        self.fields(&mut |its_key, mut field| {
            if its_key == key {
                result = field
                    .parse(value)
                    .map_err(|rule| SetError::Value { key, value, rule });
            }
        });
        result
    }

    /// Sets what a list such as `nand.program_ns=200000,ftl.partitions=1` says, from left to right. A list without anything sets nothing.
    ///
    /// # Errors
    /// The first entry that cannot be set, is empty, or sets what an earlier one has set; those before it have been set.
    pub fn set_list<'b>(&mut self, list: &'b str) -> Result<(), SetError<'b>> {
        if list.trim().is_empty() {
            return Ok(());
        }
        let key_of = |entry: &'b str| entry.split_once('=').map_or(entry, |(key, _)| key).trim();
        for (index, entry) in list.split(',').map(str::trim).enumerate() {
            if entry.is_empty() {
                return Err(SetError::EmptyEntry);
            }
            let (key, value) = entry.split_once('=').ok_or(SetError::NoValue(entry))?;
            let key = key.trim();
            if list.split(',').take(index).any(|earlier| key_of(earlier) == key) {
                return Err(SetError::Twice(key));
            }
            self.set(key, value.trim())?;
        }
        Ok(())
    }

    /// Checks that a model can work with these values.
    ///
    /// # Errors
    /// [`ParameterError`] names the first value that breaks a rule, and the rule.
    pub fn validate(&self) -> Result<(), ParameterError> {
        let mut copy = *self;
        check_each(|each| copy.fields(each))?;
        match &self.kind {
            ProfileKind::Nvm(_) => Ok(()),
            ProfileKind::Conventional(parameters) => parameters.validate(self.transfer_bytes_max()),
            ProfileKind::Zoned(parameters) => parameters.validate(self.transfer_bytes_max()),
            ProfileKind::KeyValue(parameters) => parameters.validate(),
        }
    }

    /// Largest data transfer of a command, bytes. `mdts` is to be within [`MDTS`].
    pub const fn transfer_bytes_max(&self) -> u32 {
        match 4096_u32.checked_shl(self.mdts) {
            Some(bytes) => bytes,
            None => u32::MAX,
        }
    }
}
