//! The command line: one declaration from which parser, help and usage errors follow.

use clap::Parser;

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
}

#[derive(Debug, clap::Subcommand)]
pub enum ProfileCommand {
    /// List all profiles
    List,
    /// Print one profile as TOML
    Show {
        /// Name of the profile, as `nvmev profile list` shows it
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
