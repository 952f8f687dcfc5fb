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

#[test]
fn lateness_says_whether_the_emulator_kept_up() {
    let folder = std::env::temp_dir().join(format!("nvmev-lateness-{}", std::process::id()));
    let text = |misses: u32| {
        format!(
            "bound_ns 1000\ncount 4\nmisses {misses}\np50_ns 111\np90_ns 1200\np99_ns 1200\np99_9_ns 1200\nmax_ns 1200\n\
             bucket 96 111 3\nbucket 1024 1279 1\n"
        )
    };
    let lateness = |content: &str, arguments: &[&str]| {
        std::fs::write(&folder, content).expect("a temporary file");
        let file = folder.to_str().expect("a plain name");
        output(&[&["lateness", "--file", file], arguments].concat())
    };
    let (status, stdout, stderr) = lateness(&text(1), &[]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(
        stdout.ends_with("not always keep up: 1 (25.000 %) were more than 1000 ns late.\n"),
        "{stdout}"
    );
    assert!(lateness(&text(0), &[]).1.contains("The emulator kept up"));
    let (status, stdout, _) = lateness(&text(1), &["--json", "--reset"]);
    let value: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((status, &value["misses"]), (Some(0), &1.into()));
    assert_eq!(value["buckets"][1]["to_ns"], 1279);
    let written = std::fs::read_to_string(&folder).expect("a temporary file");
    assert_eq!(written, "0\n", "reset");
    assert_eq!(lateness("something else", &[]).0, Some(1));
    std::fs::remove_file(&folder).expect("a temporary file");
    let file = folder.to_str().expect("a plain name");
    let (status, _, stderr) = output(&["lateness", "--file", file]);
    assert_eq!(status, Some(1));
    assert!(stderr.contains("is the module loaded?"), "{stderr}");
}

#[test]
fn every_shell_gets_completions_with_the_subcommands() {
    for shell in ["bash", "zsh", "fish"] {
        let (status, stdout, stderr) = output(&["completions", shell]);
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "{shell}");
        for word in ["profile", "sim", "kv", "lateness", "completions"] {
            assert!(stdout.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(output(&["completions", "cmd"]).0, Some(2));
}

#[test]
fn there_is_a_man_page_for_each_subcommand() {
    let folder = std::env::temp_dir().join(format!("nvmev-manual-{}", std::process::id()));
    let path = folder.to_str().expect("a name without surprises");
    // A folder that is not there is not made: it may be a typing error.
    assert_eq!(output(&["manual", path]).0, Some(1));
    std::fs::create_dir(&folder).expect("a folder");
    assert_eq!(output(&["manual", path]), (Some(0), String::new(), String::new()));
    for (name, says) in [
        ("nvmev", "nvmev\\-sim(1)"),
        ("nvmev-sim", "\\-\\-profile"),
        ("nvmev-profile-show", "Print one profile as TOML"),
        ("nvmev-kv-get", "nvmev\\-kv\\-get"),
    ] {
        let page = std::fs::read_to_string(folder.join(format!("{name}.1"))).expect(name);
        assert!(page.contains(says), "{name}: {page}");
    }
    // It is for packagers, and nobody else is told.
    assert!(!folder.join("nvmev-manual.1").exists());
    std::fs::remove_dir_all(&folder).expect("it is ours");
}
