//! What a profile's file holds. Unknown keys are errors: a misspelt one would otherwise do nothing, silently.

use serde::Deserialize;

use crate::parameters::{NvmParameters, Timing};

/// Longest name: it is typed as a module parameter and becomes part of the device's model number.
const NAME_LEN_MAX: usize = 24;
/// Longest description: it stands in one line of a table and of the kernel's log.
const DESCRIPTION_LEN_MAX: usize = 80;
/// MDTS: from two pages to 2^13 pages of 4 KiB, 32 MiB. 0 would mean "no limit", which no drive here has.
const MDTS: std::ops::RangeInclusive<u8> = 1..=13;

/// A profile's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileFile {
    name: String,
    description: String,
    mdts: u8,
    kind: Kind,
    nvm: Option<NvmTable>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Nvm,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NvmTable {
    io_units: u32,
    io_unit_shift: u32,
    read: TimingTable,
    write: TimingTable,
    reference_quirks: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimingTable {
    delay_ns: u32,
    time_ns: u32,
    trailing_ns: u32,
}

impl ProfileFile {
    /// Checks the values; `stem` is the file's name without `.toml`.
    pub fn validate(&self, stem: &str) -> Result<(), String> {
        let Self {
            name,
            description,
            mdts,
            kind,
            nvm,
        } = self;
        let name_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > NAME_LEN_MAX || !name.chars().all(name_char) {
            return Err(format!(
                "name is {name:?}: use 1 to {NAME_LEN_MAX} lower-case letters, digits and hyphens"
            ));
        }
        if name != stem {
            return Err(format!(
                "name is {name:?} in a file called {stem}.toml: make them the same"
            ));
        }
        let printable = description.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        if description.is_empty() || description.len() > DESCRIPTION_LEN_MAX || !printable {
            return Err(format!(
                "description is {description:?}: use 1 to {DESCRIPTION_LEN_MAX} printable ASCII characters"
            ));
        }
        if !MDTS.contains(mdts) {
            return Err(format!(
                "mdts is {mdts}: choose a value from {} to {}",
                MDTS.start(),
                MDTS.end()
            ));
        }
        match (kind, nvm) {
            (Kind::Nvm, Some(table)) => table.parameters().validate().map_err(|error| error.to_string()),
            (Kind::Nvm, None) => Err("kind is \"nvm\", but there is no [nvm] table".to_owned()),
        }
    }

    /// The profile as a Rust expression of type `Profile`.
    pub fn to_rust(&self) -> String {
        let Self {
            name,
            description,
            mdts,
            kind: Kind::Nvm,
            nvm,
        } = self;
        let kind = nvm.as_ref().map_or_else(String::new, |table| {
            // `Debug` of plain structures is their Rust expression but for the paths, which the `use` supplies.
            let parameters = table.parameters();
            format!("{{ use crate::nvm::{{NvmParameters, Timing}}; ProfileKind::Nvm({parameters:?}) }}")
        });
        format!("Profile {{ name: {name:?}, description: {description:?}, mdts: {mdts}, kind: {kind} }}")
    }
}

impl NvmTable {
    fn parameters(&self) -> NvmParameters {
        let Self {
            io_units,
            io_unit_shift,
            read,
            write,
            reference_quirks,
        } = self;
        NvmParameters {
            io_units: *io_units,
            io_unit_shift: *io_unit_shift,
            read: read.timing(),
            write: write.timing(),
            reference_quirks: *reference_quirks,
        }
    }
}

impl TimingTable {
    fn timing(&self) -> Timing {
        let Self {
            delay_ns,
            time_ns,
            trailing_ns,
        } = *self;
        Timing {
            delay_ns,
            time_ns,
            trailing_ns,
        }
    }
}
