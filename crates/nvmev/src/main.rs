//! The `nvmev` command: what can be done with the models without a kernel module, a client for key-value drives, and a reader of what the
//! module says of its own exactness.
//!
//! How it is built: [`arguments`] declares the command line, one enum variant per subcommand; each subcommand is a
//! module with a `run` that gets its parsed arguments and where to write, and does the work. This file decides what an
//! error looks like and with which status the command ends: 0 done, 1 failed, 2 wrong usage.
//!
//! What is not here: only `kv` talks to a device, through the kernel's passthrough, and only `lateness` to the module, through `/proc`.
#![deny(unsafe_code)]

mod arguments;
mod error;
mod kv;
mod lateness;
mod manual;
mod profile;
mod sim;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Subcommand};
use error::CommandError;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut output = BufWriter::new(io::stdout().lock());
    let result = run(&arguments, &mut output).and_then(|()| Ok(output.flush()?));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(message) = error.message() {
                // Nobody is left to tell if this fails too; the exit status still says it.
                drop(writeln!(io::stderr(), "nvmev: {message}"));
            }
            error.exit_code()
        }
    }
}

fn run(arguments: &Arguments, output: &mut dyn Write) -> Result<(), CommandError> {
    match &arguments.subcommand {
        Subcommand::Profile(command) => profile::run(command, output),
        Subcommand::Sim(arguments) => sim::run(arguments, output),
        Subcommand::Kv(command) => kv::run(command, output),
        Subcommand::Lateness(arguments) => lateness::run(arguments, output),
        Subcommand::Completions(arguments) => manual::print_completions(arguments, output),
        Subcommand::Manual(arguments) => manual::write_pages(arguments),
    }
}
