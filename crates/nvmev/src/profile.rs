//! `nvmev profile`: the drives that can be emulated.

use std::io::{self, Write};

use ssd_model::Profile;

use crate::arguments::ProfileCommand;
use crate::error::CommandError;

/// Does what `command` asks.
pub fn run(command: &ProfileCommand, output: &mut dyn Write) -> Result<(), CommandError> {
    match command {
        ProfileCommand::List => Ok(list(Profile::all(), output)?),
        ProfileCommand::Show { name } => {
            let profile = Profile::by_name(name).ok_or_else(|| unknown(name))?;
            Ok(output.write_all(profile.source_toml().as_bytes())?)
        }
    }
}

/// A table with a heading, columns as wide as their widest entry.
fn list(profiles: &[Profile], output: &mut dyn Write) -> io::Result<()> {
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
fn transfer_size(mdts: u8) -> String {
    match 4_u64.checked_shl(mdts.into()) {
        Some(kib) if kib < 1024 => format!("{kib} KiB"),
        Some(kib) => format!("{} MiB", kib / 1024),
        None => "unlimited".to_owned(),
    }
}

fn unknown(name: &str) -> CommandError {
    let known: Vec<&str> = Profile::all().iter().map(|profile| profile.name).collect();
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
        let optane = Profile::all()[0];
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
