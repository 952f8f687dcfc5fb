//! The command as a user runs it.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};

fn nvmev(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nvmev"));
    command.args(arguments);
    command
}

fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = nvmev(arguments).output().expect("the command runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn list_has_a_heading_and_a_line_per_profile() {
    let (status, stdout, stderr) = output(&["profile", "list"]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with("NAME "), "{stdout}");
    assert!(stdout.lines().any(|line| line.starts_with("optane ")), "{stdout}");
}

#[test]
fn show_prints_the_file() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles/optane.toml");
    let file = std::fs::read_to_string(file).expect("the profile is in the repository");
    assert_eq!(
        output(&["profile", "show", "optane"]),
        (Some(0), file, String::new())
    );
}

#[test]
fn an_unknown_profile_is_a_usage_error_that_names_the_known_ones() {
    let (status, stdout, stderr) = output(&["profile", "show", "opptane"]);
    assert_eq!((status, stdout.as_str()), (Some(2), ""));
    assert!(
        stderr.starts_with("nvmev: no profile is called \"opptane\"; known profiles: "),
        "{stderr}"
    );
    assert!(
        stderr.contains("optane\n") || stderr.contains("optane, "),
        "{stderr}"
    );
}

#[test]
fn wrong_usage_ends_with_status_2_and_help_with_0() {
    for arguments in [
        &[][..],
        &["profile"],
        &["profile", "show"],
        &["profile", "list", "extra"],
        &["nothing"],
    ] {
        let (status, stdout, stderr) = output(arguments);
        assert_eq!((status, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(stderr.contains("Usage: nvmev"), "{arguments:?}: {stderr}");
    }
    for arguments in [&["--help"][..], &["--version"], &["profile", "--help"]] {
        let (status, stdout, stderr) = output(arguments);
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(stdout.contains("nvmev"), "{arguments:?}: {stdout}");
    }
}

#[test]
fn a_reader_that_has_left_is_no_error() {
    for arguments in [
        &["profile", "list"][..],
        &["profile", "show", "optane"],
        &["--help"],
    ] {
        let (reader, writer) = UnixStream::pair().expect("a pair of sockets, closed as a pipe would be");
        drop(reader);
        let mut child = nvmev(arguments)
            .stdout(OwnedFd::from(writer))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let mut stderr = String::new();
        child
            .stderr
            .take()
            .expect("piped")
            .read_to_string(&mut stderr)
            .expect("text");
        let status = child.wait().expect("the command ends");
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let output = nvmev(&["profile", "list"])
        .stdout(full)
        .output()
        .expect("the command runs");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert!(
        stderr.starts_with("nvmev: the output could not be written: "),
        "{stderr}"
    );
}
