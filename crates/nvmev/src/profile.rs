//! `nvmev profile`: the drives that can be emulated.

use std::fs;
use std::io::{self, Write};

use ssd_model::profiles;
use ssd_profile::file::ProfileFile;
use ssd_profile::Profile;

use crate::error::CommandError;

#[derive(Debug, clap::Subcommand)]
pub enum ProfileCommand {
    /// List all profiles
    List,
    /// Print one profile as TOML
    Show {
        /// Name of the profile, as `nvmev profile list` shows it
        name: String,
    },
    /// List the parameters of a profile with their values, as --set and the module's profile_set= take them
    Keys {
        /// Name of the profile
        #[arg(default_value = "970pro")]
        name: String,
    },
    /// Check a profile of your own
    Check {
        /// The file
        file: String,
    },
    /// Print the module's parameters that make a built-in profile into one of your own
    Params {
        /// The file
        file: String,
    },
}

/// Does what `command` asks.
pub fn run(command: &ProfileCommand, output: &mut dyn Write) -> Result<(), CommandError> {
    match command {
        ProfileCommand::List => Ok(list(profiles::all(), output)?),
        ProfileCommand::Show { name } => {
            let source = profiles::source_toml(name).ok_or_else(|| unknown(name))?;
            Ok(output.write_all(source.as_bytes())?)
        }
        ProfileCommand::Keys { name } => {
            let profile = profiles::by_name(name).ok_or_else(|| unknown(name))?;
            for (key, value) in fields(profile) {
                writeln!(output, "{key}={value}")?;
            }
            Ok(())
        }
        ProfileCommand::Check { file } => {
            let profile = read_file(file)?;
            Ok(writeln!(output, "{}: valid", profile.profile().name)?)
        }
        ProfileCommand::Params { file } => Ok(writeln!(
            output,
            "{}",
            module_parameters(&read_file(file)?.profile())
        )?),
    }
}

/// Reads a profile of the user's own.
pub fn read_file(path: &str) -> Result<ProfileFile, CommandError> {
    let source = fs::read_to_string(path)
        .map_err(|error| CommandError::Failed(format!("{path} cannot be read: {error}")))?;
    ProfileFile::parse(&source)
        .map_err(|reason| CommandError::Failed(format!("{path}: {}", reason.trim_end())))
}

/// All parameters, as text.
fn fields(profile: &Profile<'_>) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    profile.for_each_field(|key, value| fields.push((key, value.to_string())));
    fields
}

/// `profile=NAME profile_set=...`: the built-in profile of the same kind that has the fewest parameters to change.
fn module_parameters(wanted: &Profile<'_>) -> String {
    let differences = |base: &Profile<'_>| {
        let pairs = fields(base).into_iter().zip(fields(wanted));
        let changed = pairs
            .filter(|(old, new)| old != new)
            .map(|(_, (key, value))| format!("{key}={value}"));
        changed.collect::<Vec<_>>()
    };
    let (base, changed) = profiles::all()
        .iter()
        .filter(|base| base.kind.name() == wanted.kind.name())
        .map(|base| (base.name, differences(base)))
        .min_by_key(|(_, changed)| changed.len())
        .unwrap_or_default();
    if changed.is_empty() {
        format!("profile={base}")
    } else {
        format!("profile={base} profile_set={}", changed.join(","))
    }
}

/// A table with a heading, columns as wide as their widest entry.
fn list(profiles: &[Profile<'_>], output: &mut dyn Write) -> io::Result<()> {
    let heading = ["NAME", "KIND", "MDTS"].map(str::to_owned);
    let rows = profiles.iter().map(|profile| {
        [
            profile.name.to_owned(),
            profile.kind.name().to_owned(),
            transfer_size(profile.mdts),
        ]
    });
    let descriptions = profiles.iter().map(|profile| profile.description);
    let table: Vec<([String; 3], &str)> = std::iter::once(heading)
        .chain(rows)
        .zip(std::iter::once("DESCRIPTION").chain(descriptions))
        .collect();
    let width = |column: usize| {
        table
            .iter()
            .map(|(cells, _)| cells[column].len())
            .max()
            .unwrap_or(0)
    };
    let [name_width, kind_width, mdts_width] = [width(0), width(1), width(2)];
    for ([name, kind, mdts], description) in &table {
        writeln!(
            output,
            "{name:<name_width$}  {kind:<kind_width$}  {mdts:>mdts_width$}  {description}"
        )?;
    }
    Ok(())
}

/// The largest transfer for people: 2^mdts pages of 4 KiB.
fn transfer_size(mdts: u32) -> String {
    match 4_u64.checked_shl(mdts) {
        Some(kib) if kib < 1024 => format!("{kib} KiB"),
        Some(kib) => format!("{} MiB", kib / 1024),
        None => "unlimited".to_owned(),
    }
}

/// There is no such profile.
pub fn unknown(name: &str) -> CommandError {
    let known: Vec<&str> = profiles::all().iter().map(|profile| profile.name).collect();
    CommandError::Usage(format!(
        "no profile is called {name:?}; known profiles: {}",
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_the_list_are_aligned() {
        let optane = *profiles::by_name("optane").expect("a built-in profile");
        let profiles = [
            optane,
            Profile {
                name: "a-longer-name",
                description: "Another",
                mdts: 8,
                ..optane
            },
        ];
        let mut output = Vec::new();
        list(&profiles, &mut output).expect("a Vec takes everything");
        let expected = format!(
            "NAME           KIND     MDTS  DESCRIPTION\n\
             {:<13}  nvm   128 KiB  {}\n\
             a-longer-name  nvm     1 MiB  Another\n",
            optane.name, optane.description
        );
        assert_eq!(String::from_utf8(output).expect("text"), expected);
    }

    #[test]
    fn transfer_sizes_are_for_people() {
        assert_eq!(
            [0, 5, 8, 13].map(transfer_size),
            ["4 KiB", "128 KiB", "1 MiB", "32 MiB"]
        );
    }
}
