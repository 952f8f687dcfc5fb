//! The command line: one declaration from which parser, help and usage errors follow.

use std::path::PathBuf;

use clap::Parser;
use clap_complete::Shell;

use crate::kv::KvCommand;
use crate::lateness::LatenessArguments;
use crate::profile::ProfileCommand;
use crate::sim::SimArguments;

/// NVMeVirt: software-defined NVMe drives.
#[derive(Debug, Parser)]
#[command(name = "nvmev", version, about, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub subcommand: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Show the drives that can be emulated
    #[command(subcommand)]
    Profile(ProfileCommand),
    Sim(Box<SimArguments>),
    #[command(subcommand)]
    Kv(KvCommand),
    Lateness(LatenessArguments),
    Completions(CompletionsArguments),
    Manual(ManualArguments),
}

/// Print the completions for a shell
///
/// The package nvmev installs them. Without it: `nvmev completions bash >~/.local/share/bash-completion/completions/nvmev`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArguments {
    /// Which shell
    pub shell: Shell,
}

/// Write the man pages of this command and its subcommands
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct ManualArguments {
    /// An existing folder to write them to
    pub folder: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
