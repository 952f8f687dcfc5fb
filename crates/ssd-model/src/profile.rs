//! The table of known drives.

use crate::nvm::NvmParameters;

/// A drive that can be emulated: `profiles/NAME.toml`, checked when this crate was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What the user calls it: lower-case letters, digits and hyphens.
    pub name: &'static str,
    /// One line about it for people.
    pub description: &'static str,
    /// Largest data transfer as Identify Controller states it: 2^mdts pages of 4 KiB.
    pub mdts: u8,
    /// Which model times its commands, with that model's parameters.
    pub kind: ProfileKind,
}

/// A kind of drive with its parameters. More kinds follow; within the project every match lists them all, so that a
/// new one cannot be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileKind {
    /// A drive without flash, see [`crate::nvm`].
    Nvm(NvmParameters),
}

impl ProfileKind {
    /// The kind's name as `kind =` in a profile has it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Nvm(_) => "nvm",
        }
    }
}

// `PROFILES` and `SOURCES`: same length, same order, sorted by name.
include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

impl Profile {
    /// All known drives, sorted by name.
    pub const fn all() -> &'static [Profile] {
        PROFILES
    }

    /// The drive called `name`, exactly as written in its file.
    pub fn by_name(name: &str) -> Option<&'static Profile> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    /// The text of the file that this profile was made from; empty for a profile that is not in the table.
    pub fn source_toml(&self) -> &'static str {
        let same_name = |(profile, _): &(&Profile, &&'static str)| profile.name == self.name;
        PROFILES
            .iter()
            .zip(SOURCES)
            .find(same_name)
            .map_or("", |(_, source)| source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optane_is_as_models_md_section_4_has_it() {
        let profile = Profile::by_name("optane").expect("optane is a shipped profile");
        assert_eq!(profile.mdts, 5);
        let ProfileKind::Nvm(parameters) = profile.kind;
        assert_eq!((parameters.io_units, parameters.io_unit_shift), (8, 12));
        for timing in [parameters.read, parameters.write] {
            assert_eq!((timing.delay_ns, timing.time_ns, timing.trailing_ns), (1, 1, 0));
        }
        assert!(parameters.reference_quirks);
    }

    #[test]
    fn profiles_are_sorted_named_once_and_carry_their_source() {
        assert!(Profile::all().windows(2).all(|pair| pair[0].name < pair[1].name));
        for profile in Profile::all() {
            assert_eq!(Profile::by_name(profile.name), Some(profile));
            assert!(profile.source_toml().contains(profile.name));
        }
        assert_eq!(Profile::by_name("Optane"), None);
        assert_eq!(
            Profile {
                name: "other",
                ..Profile::all()[0]
            }
            .source_toml(),
            ""
        );
    }
}
