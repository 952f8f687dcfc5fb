//! The built-in drives: `profiles/*.toml`, checked and made into a table when this crate is built.

use ssd_profile::Profile;

/// The table, as the build script writes it: the `Debug` form of the profiles, for which every name must be in scope.
mod table {
    use ssd_profile::AllocationOrder::*;
    use ssd_profile::GeometryRule::*;
    use ssd_profile::KeyValueCommandSet::*;
    use ssd_profile::Mapping::*;
    use ssd_profile::ProfileKind::*;
    use ssd_profile::VictimPolicy::*;
    use ssd_profile::WriteBufferPolicy::*;
    use ssd_profile::WriteBufferScope::*;
    use ssd_profile::*;

    // `PROFILES` and `SOURCES`: same length, same order, sorted by name.
    include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

    pub(super) fn profiles() -> &'static [Profile<'static>] {
        PROFILES
    }

    pub(super) fn sources() -> &'static [&'static str] {
        SOURCES
    }
}

/// All built-in drives, sorted by name.
pub fn all() -> &'static [Profile<'static>] {
    table::profiles()
}

/// The built-in drive called `name`, exactly as written in its file.
pub fn by_name(name: &str) -> Option<&'static Profile<'static>> {
    all().iter().find(|profile| profile.name == name)
}

/// The file that the built-in drive called `name` was made from.
pub fn source_toml(name: &str) -> Option<&'static str> {
    let position = all().iter().position(|profile| profile.name == name)?;
    table::sources().get(position).copied()
}

#[cfg(test)]
mod tests {
    use ssd_profile::ProfileKind;

    use super::*;

    #[test]
    fn optane_is_as_models_md_section_4_has_it() {
        let profile = by_name("optane").expect("optane is a shipped profile");
        assert_eq!(profile.mdts, 5);
        let ProfileKind::Nvm(parameters) = profile.kind else {
            panic!("optane has no flash")
        };
        assert_eq!((parameters.io_units, parameters.io_unit_shift), (8, 12));
        for timing in [parameters.read, parameters.write] {
            assert_eq!((timing.delay_ns, timing.time_ns, timing.trailing_ns), (1, 1, 0));
        }
        assert!(parameters.reference_quirks);
    }

    #[test]
    fn profiles_are_sorted_named_once_and_carry_their_source() {
        assert!(all().windows(2).all(|pair| pair[0].name < pair[1].name));
        for profile in all() {
            assert_eq!(by_name(profile.name), Some(profile));
            assert!(source_toml(profile.name).is_some_and(|source| source.contains(profile.name)));
            assert_eq!(profile.validate(), Ok(()));
        }
        assert_eq!(by_name("Optane"), None);
        assert_eq!(source_toml("other"), None);
    }
}
