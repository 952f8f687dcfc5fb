//! Man pages and shell completions, from the declaration of the command line.

use std::io::Write;

use clap::CommandFactory;

use crate::arguments::{Arguments, CompletionsArguments, ManualArguments};
use crate::error::CommandError;

/// Writes a man page for the command and for each of its subcommands into a folder.
///
/// # Errors
/// If a file cannot be written.
pub fn write_pages(arguments: &ManualArguments) -> Result<(), CommandError> {
    Ok(clap_mangen::generate_to(Arguments::command(), &arguments.folder)?)
}

/// Prints what a shell reads to complete the command's arguments.
///
/// # Errors
/// If it cannot be written.
pub fn print_completions(
    arguments: &CompletionsArguments,
    output: &mut dyn Write,
) -> Result<(), CommandError> {
    // Into memory first: the generator does not report errors.
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "nvmev", &mut text);
    Ok(output.write_all(&text)?)
}
