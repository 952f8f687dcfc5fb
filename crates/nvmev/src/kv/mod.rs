//! `nvmev kv`: a client for key-value namespaces, through the kernel's passthrough.

mod arguments;
mod bench;
mod client;
mod device;
mod key;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use nvme_spec::Status;

use crate::error::CommandError;
pub use arguments::KvCommand;
use arguments::{DeviceArguments, KeyTarget};
use client::{Client, ClientError, Condition, Listing};
use device::{KernelNamespace, Namespace};

/// Does what `command` asks, on a namespace of the running kernel.
pub fn run(command: &KvCommand, output: &mut dyn Write) -> Result<(), CommandError> {
    run_on(command, output, |device| {
        KernelNamespace::open(&device.device).map_err(CommandError::Failed)
    })
}

/// Does what `command` asks, on what `open` makes of its device.
fn run_on<N: Namespace>(
    command: &KvCommand,
    output: &mut dyn Write,
    open: impl Fn(&DeviceArguments) -> Result<N, CommandError>,
) -> Result<(), CommandError> {
    let client = |device: &DeviceArguments| {
        let name = device.device.display().to_string();
        Client::new(open(device)?, device.set).map_err(|error| failed(&error, &name))
    };
    match command {
        KvCommand::Put {
            target,
            file,
            if_absent,
            if_exists,
        } => {
            let key = key_of(target)?;
            let value = read_value(file.as_deref())?;
            let condition = match (if_absent, if_exists) {
                (true, _) => Condition::IfAbsent,
                (_, true) => Condition::IfExists,
                _ => Condition::Always,
            };
            let client = client(&target.device)?;
            client.put(&key, &value, condition).map_err(|error| {
                let longest = client.value_bytes_max(&key);
                put_failed(&error, &target.key, value.len(), longest)
            })
        }
        KvCommand::Get { target, output: file } => {
            let key = key_of(target)?;
            let value = client(&target.device)?
                .get(&key)
                .map_err(|error| failed(&error, &target.key))?;
            match file.as_deref().filter(|path| *path != Path::new("-")) {
                Some(path) => fs::write(path, value)
                    .map_err(|error| CommandError::Failed(format!("{}: {error}", path.display()))),
                None => Ok(output.write_all(&value)?),
            }
        }
        KvCommand::Del { target, if_exists } => {
            let key = key_of(target)?;
            let deleted = client(&target.device)?.delete(&key);
            match deleted.map_err(|error| failed(&error, &target.key))? {
                false if !if_exists => {
                    let error = ClientError::Status(Status::KEY_DOES_NOT_EXIST);
                    Err(failed(&error, &target.key))
                }
                _ => Ok(()),
            }
        }
        KvCommand::Exists { target } => {
            let key = key_of(target)?;
            let exists = client(&target.device)?.exists(&key);
            match exists.map_err(|error| failed(&error, &target.key))? {
                true => Ok(writeln!(output, "yes")?),
                false => {
                    writeln!(output, "no")?;
                    Err(CommandError::No)
                }
            }
        }
        KvCommand::List {
            device,
            prefix,
            sizes,
        } => {
            let prefix = key::parse(prefix, device.hex).map_err(CommandError::Usage)?;
            list(&client(device)?, &prefix, device.hex, *sizes, output)
        }
        KvCommand::Bench {
            device,
            keys,
            value_bytes,
            threads,
            json,
        } => {
            let load = bench::Load {
                keys: *keys,
                value_bytes: *value_bytes,
                threads: *threads,
            };
            let result = bench::run(&client(device)?, &load)
                .map_err(|error| failed(&error, &device.device.display().to_string()))?;
            result.show(*json, output)
        }
    }
}

fn key_of(target: &KeyTarget) -> Result<Vec<u8>, CommandError> {
    key::parse_nonempty(&target.key, target.device.hex).map_err(CommandError::Usage)
}

fn read_value(file: Option<&Path>) -> Result<Vec<u8>, CommandError> {
    let read = match file.filter(|path| *path != Path::new("-")) {
        Some(path) => fs::read(path).map_err(|error| format!("{}: {error}", path.display())),
        None => {
            let mut value = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut value);
            read.map(|_| value)
                .map_err(|error| format!("standard input: {error}"))
        }
    };
    read.map_err(CommandError::Failed)
}

fn list<N: Namespace>(
    client: &Client<N>,
    prefix: &[u8],
    is_hex: bool,
    sizes: bool,
    output: &mut dyn Write,
) -> Result<(), CommandError> {
    let listing = client.for_each_key(prefix, sizes, |bytes, size| {
        let shown = key::show(bytes, is_hex);
        match size {
            Some(len) => writeln!(output, "{len:>10} {shown}")?,
            None => writeln!(output, "{shown}")?,
        }
        Ok::<_, CommandError>(())
    })?;
    if listing == Listing::WithoutLongKeys {
        // The list is what was asked for; this is beside it.
        drop(writeln!(
            io::stderr(),
            "nvmev: keys of more than 16 bytes are left out: other processes have iterators of these keys open, or have left them open"
        ));
    }
    Ok(())
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        Self::Failed(reason(&error))
    }
}

fn failed(error: &ClientError, subject: &str) -> CommandError {
    CommandError::Failed(format!("{subject}: {}", reason(error)))
}

fn put_failed(error: &ClientError, key: &str, len: usize, longest: usize) -> CommandError {
    let can_be_length = match error {
        ClientError::Status(status) => matches!(
            *status,
            Status::INVALID_VALUE_SIZE | Status::VENDOR_INVALID_VALUE_SIZE | Status::INVALID_FIELD_IN_COMMAND
        ),
        // The kernel hands on no more than a drive's largest transfer.
        ClientError::Io(error) => error.kind() == io::ErrorKind::InvalidInput,
        ClientError::NotPossible(_) => false,
    };
    if can_be_length && len > longest {
        return CommandError::Failed(format!(
            "{key}: the value has {len} bytes: this drive takes up to {longest} in one command with this key"
        ));
    }
    failed(error, key)
}

/// What a status means to a user.
fn reason(error: &ClientError) -> String {
    let status = match error {
        ClientError::Status(status) => *status,
        ClientError::Io(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return format!(
                "{error}: the value is longer than the kernel moves for this drive in one command"
            );
        }
        ClientError::Io(error) => return error.to_string(),
        ClientError::NotPossible(reason) => return (*reason).to_owned(),
    };
    let text = match status {
        Status::KEY_DOES_NOT_EXIST | Status::VENDOR_KEY_DOES_NOT_EXIST => "there is no such key",
        Status::KEY_EXISTS | Status::VENDOR_KEY_EXISTS => "the key exists already",
        Status::CAPACITY_EXCEEDED | Status::VENDOR_CAPACITY_EXCEEDED => {
            "the drive has no room for it: delete other pairs"
        }
        Status::INVALID_VALUE_SIZE | Status::VENDOR_INVALID_VALUE_SIZE => {
            "the value is longer than this drive takes in one command"
        }
        Status::INVALID_KEY_SIZE | Status::VENDOR_INVALID_KEY_SIZE => "the drive has no keys of this length",
        Status::INVALID_COMMAND_OPCODE => {
            "the drive does not know the command: it has no key-value namespace here, or not this command set (--set)"
        }
        Status::INVALID_NAMESPACE_OR_FORMAT => "the namespace is not there any more",
        Status::VENDOR_ITERATOR_EXISTS => {
            "an iterator of the same keys is open: another process lists them, or one that was killed has left it open; \
             use --set standard, or `nvme reset` the controller"
        }
        Status::VENDOR_NO_ITERATOR_AVAILABLE => {
            "all iterators of the drive are open: close some, or `nvme reset` the controller"
        }
        Status::DATA_TRANSFER_ERROR => "the data could not be transferred",
        other => return format!("the drive answered with status {:#05x} ({other:?})", other.0),
    };
    text.to_owned()
}
