//! The command against the device itself, in the test host: what a user types, and what comes out.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Parser;
use nvme_spec::{Status, SubmissionQueueEntry};
use nvmev_sim::host::key_value::KeyValueDriver;
use nvmev_sim::host::TestHost;
use ssd_model::profiles;

use super::device::{Data, Namespace};
use crate::arguments::{Arguments, Subcommand};
use crate::error::CommandError;

/// A device in the test host, as the kernel would hand commands on to it.
#[derive(Clone)]
struct SimulatedNamespace(Arc<Mutex<KeyValueDriver>>);

impl SimulatedNamespace {
    fn new(settings: &'static str) -> Self {
        let mut profile = *profiles::by_name("kv-prototype").expect("a built-in profile");
        profile.set_list(settings).expect("known keys");
        let host = TestHost::new(&profile, 8 << 20, 512, 1);
        Self(Arc::new(Mutex::new(KeyValueDriver::new(host))))
    }

    fn send(&self, is_admin: bool, entry: &SubmissionQueueEntry, data: Data<'_>) -> (Status, u64) {
        let mut driver = self.0.lock().expect("no test panics with it");
        let entry = SubmissionQueueEntry {
            nsid: 1.into(),
            ..*entry
        };
        if is_admin {
            let Data::FromDevice(buffer) = data else {
                panic!("Identify reads")
            };
            let page = driver.host.pages(1);
            let entry = SubmissionQueueEntry {
                prp1: page.into(),
                ..entry
            };
            let completion = driver.host.admin(entry);
            buffer.copy_from_slice(&driver.host.machine.ram(page, buffer.len()));
            return (completion.status(), 0);
        }
        match data {
            Data::None => driver.execute(entry),
            Data::ToDevice(bytes) => driver.send(entry, bytes),
            Data::FromDevice(buffer) => {
                let (status, result, bytes) = driver.receive(entry, buffer.len());
                buffer.copy_from_slice(&bytes);
                (status, result)
            }
        }
    }
}

impl Namespace for SimulatedNamespace {
    fn io(&self, entry: &SubmissionQueueEntry, data: Data<'_>) -> io::Result<(Status, u64)> {
        Ok(self.send(false, entry, data))
    }

    fn admin(&self, entry: &SubmissionQueueEntry, data: Data<'_>) -> io::Result<(Status, u64)> {
        Ok(self.send(true, entry, data))
    }
}

/// What `nvmev kv` with these words says, or how it fails.
fn kv(drive: &SimulatedNamespace, words: &[&str]) -> Result<String, CommandError> {
    let line = ["nvmev", "kv"].iter().chain(words);
    let arguments = Arguments::try_parse_from(line).expect("a command line that can be read");
    let Subcommand::Kv(command) = arguments.subcommand else {
        panic!("kv is kv")
    };
    let mut output = Vec::new();
    super::run_on(&command, &mut output, |_| Ok(drive.clone()))?;
    Ok(String::from_utf8(output).expect("text"))
}

fn said(drive: &SimulatedNamespace, words: &[&str]) -> String {
    kv(drive, words).unwrap_or_else(|error| panic!("{words:?}: {:?}", error.message()))
}

fn message(drive: &SimulatedNamespace, words: &[&str]) -> String {
    kv(drive, words)
        .expect_err("it fails")
        .message()
        .unwrap_or_default()
}

/// A file of this test process.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("nvmev-kv-{}-{name}", std::process::id()));
        fs::write(&path, content).expect("the folder for temporary files is writable");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a plain path")
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

#[test]
fn what_was_put_is_got_listed_and_deleted_in_both_sets() {
    let drive = SimulatedNamespace::new("");
    let value: Vec<u8> = (0..9_001u32).map(|at| at as u8).collect();
    let (input, output) = (
        TemporaryFile::new("value", &value),
        TemporaryFile::new("output", b""),
    );
    for set in ["auto", "standard", "vendor"] {
        let keys = ["a", "sixteen bytes ok", r"a\x00b", r"\\"];
        for key in keys {
            said(&drive, &["put", "/dev/x", key, input.path(), "--set", set]);
            said(&drive, &["get", "/dev/x", key, "-o", output.path(), "--set", set]);
            assert!(fs::read(&output.0).expect("it was written") == value);
            assert_eq!(
                said(&drive, &["exists", "/dev/x", key, "--set", set]),
                "yes
"
            );
        }
        let listed = said(&drive, &["list", "/dev/x", "--set", set, "--sizes"]);
        let listed: BTreeSet<&str> = listed.lines().map(str::trim).collect();
        let wanted: Vec<String> = keys.iter().map(|key| format!("9001 {key}")).collect();
        assert_eq!(listed, wanted.iter().map(String::as_str).collect());
        let starting_with_a = said(&drive, &["list", "/dev/x", "--set", set, "--prefix", "a"]);
        assert_eq!(
            starting_with_a.lines().collect::<BTreeSet<_>>(),
            ["a", r"a\x00b"].into()
        );
        for key in keys {
            said(&drive, &["del", "/dev/x", key, "--set", set]);
            assert!(matches!(
                kv(&drive, &["exists", "/dev/x", key, "--set", set]),
                Err(CommandError::No)
            ));
        }
        assert_eq!(said(&drive, &["list", "/dev/x", "--set", set]), "");
    }
}

#[test]
fn keys_can_be_hexadecimal_and_long() {
    let drive = SimulatedNamespace::new("");
    let (first, second) = ("00ff10".repeat(20), "00ff1011".repeat(60));
    for (key, value) in [(&first, &b"first"[..]), (&second, b"second")] {
        let input = TemporaryFile::new("long", value);
        said(&drive, &["put", "/dev/x", key, input.path(), "--hex"]);
        assert_eq!(said(&drive, &["get", "/dev/x", key, "--hex"]).as_bytes(), value);
        assert_eq!(
            said(&drive, &["exists", "/dev/x", key, "--hex"]),
            "yes
"
        );
    }
    let listed = said(&drive, &["list", "/dev/x", "--hex", "--set", "vendor", "--sizes"]);
    assert!(
        listed.contains(&format!(
            "         5 {first}
"
        )),
        "{listed}"
    );
    assert!(
        listed.contains(&format!(
            "         6 {second}
"
        )),
        "{listed}"
    );
    let all = said(&drive, &["list", "/dev/x", "--hex"]);
    assert_eq!(all.lines().collect::<BTreeSet<_>>(), [&first[..], &second].into());
    assert_eq!(
        said(&drive, &["list", "/dev/x", "--hex", "--set", "standard"]),
        "",
        "the Key Value Command Set knows no such keys"
    );
    let some = said(
        &drive,
        &["list", "/dev/x", "--hex", "--sizes", "--prefix", &first[..50]],
    );
    assert_eq!(some, format!("         5 {first}\n"));
    said(&drive, &["del", "/dev/x", &first, "--hex"]);
    let gone = message(&drive, &["get", "/dev/x", &first, "--hex"]);
    assert!(gone.ends_with("there is no such key"), "{gone}");
    assert_eq!(said(&drive, &["get", "/dev/x", &second, "--hex"]), "second");
}

#[test]
fn conditions_and_failures_are_said_in_words() {
    let drive = SimulatedNamespace::new("");
    let input = TemporaryFile::new("small", b"value");
    let put = |more: &[&'static str]| {
        let words = [&["put", "/dev/x", "key", input.path()], more].concat();
        kv(&drive, &words)
    };
    let words = |result: Result<String, CommandError>| match result {
        Ok(_) => "done".to_owned(),
        Err(error) => error.message().unwrap_or_default(),
    };
    assert_eq!(words(put(&["--if-exists"])), "key: there is no such key");
    assert_eq!(words(put(&["--if-absent"])), "done");
    assert_eq!(words(put(&["--if-absent"])), "key: the key exists already");
    assert_eq!(
        words(put(&["--if-absent", "--set", "vendor"])),
        "key: the key exists already"
    );
    assert_eq!(words(put(&["--if-exists"])), "done");
    assert!(words(put(&["--if-exists", "--set", "vendor"])).contains("--if-exists is for"));
    assert_eq!(
        message(&drive, &["get", "/dev/x", "other"]),
        "other: there is no such key"
    );
    assert_eq!(
        message(&drive, &["del", "/dev/x", "other"]),
        "other: there is no such key"
    );
    assert_eq!(said(&drive, &["del", "/dev/x", "other", "--if-exists"]), "");
    assert!(message(&drive, &["get", "/dev/x", ""]).contains("the key is empty"));
    assert!(message(&drive, &["get", "/dev/x", "x", "--hex"]).contains("odd number"));
    assert!(message(&drive, &["put", "/dev/x", "key", "/no/such/file"]).starts_with("/no/such/file: "));
    let long = message(
        &drive,
        &["get", "/dev/x", "a key of more than 16", "--set", "standard"],
    );
    assert!(long.contains("use --set vendor"), "{long}");
    let large = TemporaryFile::new("large", &vec![0; 128 << 10 | 1]);
    assert_eq!(
        message(&drive, &["put", "/dev/x", "key", large.path()]),
        "key: the value has 131073 bytes: this drive takes up to 131072 in one command with this key"
    );
    // It fills up.
    let large = TemporaryFile::new("fill", &vec![0; 128 << 10]);
    let full = (0..100)
        .map(|number| kv(&drive, &["put", "/dev/x", &number.to_string(), large.path()]))
        .find_map(Result::err)
        .and_then(|error| error.message())
        .unwrap_or_default();
    assert!(full.contains("the drive has no room"), "{full}");
}

#[test]
fn a_drive_with_lbas_is_spoken_to_in_the_vendors_commands() {
    let drive = SimulatedNamespace::new("key_value.command_set=nvm");
    let input = TemporaryFile::new("lbas", b"value");
    said(&drive, &["put", "/dev/x", "key", input.path()]);
    assert_eq!(said(&drive, &["get", "/dev/x", "key"]), "value");
    assert_eq!(
        said(&drive, &["list", "/dev/x", "-s"]),
        "         5 key
"
    );
    said(&drive, &["del", "/dev/x", "key"]);
    assert_eq!(
        message(&drive, &["del", "/dev/x", "key"]),
        "key: there is no such key"
    );
}

#[test]
fn the_benchmark_checks_its_pairs_and_leaves_none() {
    let drive = SimulatedNamespace::new("");
    for set in ["standard", "vendor"] {
        let words = [
            "bench", "/dev/x", "-k", "300", "-v", "1001", "-t", "3", "--set", set,
        ];
        let table = said(&drive, &words);
        assert!(
            table.starts_with(
                "300 keys, values of 1001 bytes, 3 threads
"
            ),
            "{table}"
        );
        assert_eq!(table.lines().count(), 6, "{table}");
        assert_eq!(said(&drive, &["list", "/dev/x"]), "");
    }
    let json = said(&drive, &["bench", "/dev/x", "-k", "10", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["phases"][1]["commands"], 10);
}

/// Long keys are found by going through pairs, whatever lies beside them; a value that no command can move is not.
#[test]
fn long_keys_are_found_beside_large_values() {
    let drive = SimulatedNamespace::new("");
    let large = TemporaryFile::new("beside", &vec![7; 128 << 10]);
    for number in 0..6 {
        said(&drive, &["put", "/dev/x", &format!("abcd{number}"), large.path()]);
    }
    let long_key = |number| format!("abcd{number} and more than 16 bytes");
    let small = TemporaryFile::new("beside-small", b"small");
    for number in 0..8 {
        said(&drive, &["put", "/dev/x", &long_key(number), small.path()]);
    }
    for number in 0..8 {
        assert_eq!(said(&drive, &["get", "/dev/x", &long_key(number)]), "small");
    }
    let listed = said(&drive, &["list", "/dev/x", "-s"]);
    assert_eq!(
        listed.lines().filter(|line| line.contains("131072 abcd")).count(),
        6
    );
    assert_eq!(listed.lines().filter(|line| line.contains("5 abcd")).count(), 8);
    assert_eq!(
        message(&drive, &["put", "/dev/x", &long_key(9), large.path()]),
        format!(
            "{}: the value has 131072 bytes: this drive takes up to {} in one command with this key",
            long_key(9),
            (128 << 10) - 512 - 64 - 64
        )
    );
}

/// While somebody else lists with an iterator, a list has the keys that it can have.
#[test]
fn a_list_does_without_iterators_that_are_taken() {
    let drive = SimulatedNamespace::new("");
    let small = TemporaryFile::new("iterated", b"small");
    said(&drive, &["put", "/dev/x", "short", small.path()]);
    said(
        &drive,
        &["put", "/dev/x", "longer than sixteen bytes", small.path()],
    );
    let handle = drive.0.lock().expect("no test panics with it").open(0, 0, 0);
    assert_eq!(handle, Ok(1));
    assert_eq!(said(&drive, &["list", "/dev/x", "-s"]), "         5 short\n");
    assert!(message(&drive, &["list", "/dev/x", "--set", "vendor"])
        .contains("an iterator of the same keys is open"));
    drive.0.lock().expect("no test panics with it").close(1);
    assert_eq!(said(&drive, &["list", "/dev/x"]).lines().count(), 2);
}
