//! The command line of `nvmev kv`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Which commands to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CommandSetChoice {
    /// The Key Value Command Set where the namespace speaks it and the key fits (16 bytes); else, and for lists, the vendor specific one
    Auto,
    /// The Key Value Command Set of NVMe
    Standard,
    /// The vendor specific commands of Samsung's KV SSD: keys up to 255 bytes
    Vendor,
}

/// Store, retrieve and list pairs of a key-value namespace, through the kernel's passthrough
///
/// DEVICE is the namespace's character device (/dev/ng0n1), or its block device if it has one. A KEY is text in which \xNN stands for a byte
/// and \\ for a backslash; with --hex it is hexadecimal digits.
#[derive(Debug, clap::Subcommand)]
pub enum KvCommand {
    /// Store a value: a file's content, or what comes from standard input
    Put {
        #[command(flatten)]
        target: KeyTarget,
        /// File with the value; - or nothing is standard input
        file: Option<PathBuf>,
        /// Only if the key does not exist
        #[arg(long, conflicts_with = "if_exists")]
        if_absent: bool,
        /// Only if the key exists
        #[arg(long)]
        if_exists: bool,
    },
    /// Retrieve a value
    Get {
        #[command(flatten)]
        target: KeyTarget,
        /// File to write the value to; - or nothing is standard output
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Delete a pair
    Del {
        #[command(flatten)]
        target: KeyTarget,
        /// A key that does not exist is no error
        #[arg(long)]
        if_exists: bool,
    },
    /// Say whether a key exists: yes and status 0, or no and status 1
    Exists {
        #[command(flatten)]
        target: KeyTarget,
    },
    /// List the keys, one in each line, in no particular order
    List {
        #[command(flatten)]
        device: DeviceArguments,
        /// Only keys that begin like this
        #[arg(short, long, default_value = "")]
        prefix: String,
        /// Show the length of each value before its key
        #[arg(short, long)]
        sizes: bool,
    },
    /// Measure how many pairs are stored, retrieved, listed and deleted in a second; all are checked, and gone afterwards
    Bench {
        #[command(flatten)]
        device: DeviceArguments,
        /// Number of keys
        #[arg(short, long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
        keys: u32,
        /// Length of a value
        #[arg(short, long, default_value_t = 4096)]
        value_bytes: u32,
        /// Commands under way at a time
        #[arg(short, long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
        threads: u32,
        /// The result as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Where, and in which way.
#[derive(Args, Debug)]
pub struct DeviceArguments {
    /// The namespace, such as /dev/ng0n1
    pub device: PathBuf,
    /// Keys are hexadecimal digits, here and in the output
    #[arg(long)]
    pub hex: bool,
    /// Which commands to send
    #[arg(long, value_enum, default_value_t = CommandSetChoice::Auto)]
    pub set: CommandSetChoice,
}

/// A key of a device.
#[derive(Args, Debug)]
pub struct KeyTarget {
    #[command(flatten)]
    pub device: DeviceArguments,
    /// The key
    pub key: String,
}
