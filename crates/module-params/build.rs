//! Reads `kmod/parameters.h`, the list of the module's parameters, and writes the structure that `src/list.rs` includes. Runs
//! on the building machine, also when the crate itself is built for the kernel.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

/// The line before the first parameter. Each line of a list but the last one ends with a backslash.
const BEGIN: &str = "#define NVMEV_PARAMETERS(PARAM) \\";

/// A line of the list.
struct Parameter<'a> {
    name: &'a str,
    description: &'a str,
}

fn main() -> ExitCode {
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), Box<dyn Error>> {
    let path = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../kmod/parameters.h");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", path.display());
    let header = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parameters = parse(&header).map_err(|error| format!("{}: {error}", path.display()))?;
    fs::write(
        Path::new(&env::var("OUT_DIR")?).join("parameters.rs"),
        structure(&parameters)?,
    )?;
    Ok(())
}

/// The parameters in the order of the list.
fn parse(header: &str) -> Result<Vec<Parameter<'_>>, String> {
    let mut lines = header.lines().skip_while(|line| *line != BEGIN).skip(1);
    let mut parameters = Vec::new();
    loop {
        let line = lines
            .next()
            .ok_or_else(|| format!("there is no list that begins with {BEGIN}"))?;
        let (entry, goes_on) = match line.strip_suffix(" \\") {
            Some(entry) => (entry, true),
            None => (line, false),
        };
        parameters.push(
            parse_entry(entry.trim()).ok_or_else(|| format!("not PARAM(name, \"description\"): {entry}"))?,
        );
        if !goes_on {
            return Ok(parameters);
        }
    }
}

/// Reads `PARAM(name, "description")`. The description has no escapes: C and Rust must read the same text.
fn parse_entry(entry: &str) -> Option<Parameter<'_>> {
    let (name, description) = entry
        .strip_prefix("PARAM(")?
        .strip_suffix("\")")?
        .split_once(", \"")?;
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let is_plain = !description.contains(['"', '\\']);
    (is_name && !name.is_empty() && is_plain).then_some(Parameter { name, description })
}

/// The source of `ParameterList`.
fn structure(parameters: &[Parameter<'_>]) -> Result<String, std::fmt::Error> {
    let (mut fields, mut mapped, mut none) = (String::new(), String::new(), String::new());
    for Parameter { name, description } in parameters {
        writeln!(fields, "    #[doc = \"{description}.\"]\n    pub {name}: T,")?;
        writeln!(mapped, "            {name}: make(\"{name}\", self.{name}),")?;
        writeln!(none, "        {name}: None,")?;
    }
    Ok(format!(
        "/// Something of each of the module's parameters, laid out as `struct nvmev_params` in C.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParameterList<T> {{
{fields}}}

impl<T> ParameterList<T> {{
    /// Makes something else of each parameter, given its name.
    pub fn map<U>(self, mut make: impl FnMut(&'static str, T) -> U) -> ParameterList<U> {{
        ParameterList {{
{mapped}        }}
    }}
}}

impl<T> ParameterList<Option<T>> {{
    /// Nothing of any parameter.
    pub const NONE: Self = Self {{
{none}    }};
}}
"
    ))
}
