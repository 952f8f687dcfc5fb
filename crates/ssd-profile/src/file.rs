//! Profiles in TOML files. Unknown and missing keys are errors: a misspelt one would otherwise do nothing, silently.

use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use toml::{Table, Value};

use crate::{Profile, ProfileKind, DESCRIPTION_LEN_MAX, NAME_LEN_MAX};

/// A profile that owns its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFile {
    name: String,
    description: String,
    mdts: u32,
    kind: ProfileKind,
}

impl ProfileFile {
    /// Reads and checks a profile.
    ///
    /// # Errors
    /// A text that names the key, the value and the rule; or the parser's message, with line and column.
    pub fn parse(source: &str) -> Result<Self, String> {
        let table: Table = source
            .parse()
            .map_err(|error: toml::de::Error| error.to_string())?;
        let mut values = BTreeMap::new();
        flatten("", &table, &mut values)?;
        let mut take = |key: &str| {
            values
                .remove(key)
                .ok_or_else(|| format!("{key} is missing: give it a value"))
        };
        let (name, description, kind) = (take("name")?, take("description")?, take("kind")?);
        let kind = ProfileKind::blank(&kind)
            .ok_or_else(|| format!("kind is {kind:?}: choose {}", ProfileKind::NAMES.join(" or ")))?;
        check_texts(&name, &description)?;
        let mut profile = Profile {
            name: &name,
            description: &description,
            mdts: 0,
            kind,
        };
        let mut missing = Vec::new();
        profile.for_each_field(|key, _| {
            if !values.contains_key(key) {
                missing.push(key);
            }
        });
        if let Some(key) = missing.first() {
            return Err(format!("{key} is missing: give it a value"));
        }
        for (key, value) in &values {
            profile.set(key, value).map_err(|error| error.to_string())?;
        }
        profile.validate().map_err(|error| error.to_string())?;
        let Profile { mdts, kind, .. } = profile;
        Ok(Self {
            name,
            description,
            mdts,
            kind,
        })
    }

    /// The profile.
    pub fn profile(&self) -> Profile<'_> {
        Profile {
            name: &self.name,
            description: &self.description,
            mdts: self.mdts,
            kind: self.kind,
        }
    }
}

/// `[nand] program_ns = 1` becomes `nand.program_ns` with the value `1`; an array's values have slashes between them.
fn flatten(prefix: &str, table: &Table, into: &mut BTreeMap<String, String>) -> Result<(), String> {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        if let Value::Table(inner) = value {
            flatten(&format!("{key}."), inner, into)?;
        } else {
            let text = text(value).ok_or_else(|| {
                format!(
                    "{key} is of type {}: give a whole number, true, false, a text, or an array of whole numbers",
                    value.type_str()
                )
            })?;
            into.insert(key, text);
        }
    }
    Ok(())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(switch) => Some(switch.to_string()),
        Value::Array(values) => {
            let numbers: Option<Vec<String>> = values
                .iter()
                .map(|value| value.as_integer().map(|number| number.to_string()))
                .collect();
            numbers.map(|numbers| numbers.join("/"))
        }
        _ => None,
    }
}

fn check_texts(name: &str, description: &str) -> Result<(), String> {
    let name_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > NAME_LEN_MAX || !name.chars().all(name_char) {
        return Err(format!(
            "name is {name:?}: use 1 to {NAME_LEN_MAX} lower-case letters, digits and hyphens"
        ));
    }
    let printable = description.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if description.is_empty() || description.len() > DESCRIPTION_LEN_MAX || !printable {
        return Err(format!(
            "description is {description:?}: use 1 to {DESCRIPTION_LEN_MAX} printable ASCII characters"
        ));
    }
    Ok(())
}

/// What the profile's file must be called: its name is how the user asks for it.
///
/// # Errors
/// If `stem`, the file's name without `.toml`, is another.
pub fn check_file_name(profile: &Profile<'_>, stem: &str) -> Result<(), String> {
    if profile.name == stem {
        return Ok(());
    }
    Err(format!(
        "name is {:?} in a file called {stem}.toml: make them the same",
        profile.name
    ))
}
