//! What is refused, and with which words.

use std::fs;
use std::path::Path;

use super::{nvmev, text, Scratch};

#[test]
fn wrong_arguments_say_what_is_wrong() {
    for (arguments, status, message) in [
        (&["--workload", "randwrte"][..], 2, "\"randwrte\" is no kind"),
        (&[], 2, "there is nothing to do"),
        (
            &["--profile", "980pro", "--workload", "read"],
            2,
            "no profile is called \"980pro\"",
        ),
        (
            &["--size", "big", "--workload", "read"],
            2,
            "--size: \"big\" is no size",
        ),
        (
            &["--set", "nand.dies=4", "--workload", "read"],
            2,
            "--set: nand.dies is no parameter",
        ),
        (
            &["--set", "nand.channels=x", "--workload", "read"],
            2,
            "nand.channels is x: choose a value from 1 to 64",
        ),
        (
            &["--set", "nand.channels=0", "--workload", "read"],
            2,
            "nand.channels is 0: choose a value from 1 to 64",
        ),
        (
            &["--set", "ftl.partitions=3", "--workload", "read"],
            2,
            "nand.channels is 8: choose a multiple of 3 (ftl.partitions)",
        ),
        (
            &["--precondition", "zeros", "--workload", "read"],
            2,
            "choose seq or rand",
        ),
        (
            &["--size", "64M", "--workload", "randread:time=1s"],
            2,
            "commands take no time on this drive",
        ),
        (&["--trace", "/nowhere"], 1, "/nowhere cannot be read"),
    ] {
        let mut all = vec!["sim"];
        all.extend(arguments);
        let output = nvmev(&all);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
}

#[test]
fn key_value_drives_are_refused_with_the_reason() {
    for set in ["nvm.io_units=8", "key_value.command_set=nvm"] {
        let output = nvmev(&[
            "sim",
            "--profile",
            "kv-prototype",
            "--set",
            set,
            "--size",
            "64M",
            "--workload",
            "read:count=1",
        ]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(text(&output.stdout), "");
        assert!(text(&output.stderr).contains("key-value drives are not simulated"));
    }
}

#[test]
fn outputs_are_opened_before_the_run_and_stay_as_they_are_if_it_fails() {
    // A run that takes for ever, were it not refused.
    let forever = ["sim", "-q", "--size", "64M", "--workload", "randwrite:time=1000h"];
    for option in ["--json", "--plot"] {
        let output = nvmev(&[&forever[..], &[option, "/nowhere/file"]].concat());
        assert_eq!(output.status.code(), Some(1), "{option}");
        assert!(
            text(&output.stderr).contains("/nowhere/file could not be written"),
            "{option}"
        );
    }
    let output = nvmev(&[&forever[..], &["--trace", "/nowhere"]].concat());
    assert!(text(&output.stderr).contains("/nowhere cannot be read"));

    let old = Scratch::new("old.json", "what was there before, which is longer than nothing");
    let trace = Scratch::new("fails.log", "fio version 2 iolog\n/x read 0 0\n");
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new.svg");
    let fails = [
        "sim",
        "-q",
        "--size",
        "64M",
        "--trace",
        trace.path(),
        "--json",
        old.path(),
        "--plot",
        new.to_str().expect("a plain name"),
    ];
    let output = nvmev(&fails);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no command in this trace"));
    assert!(fs::read_to_string(old.path())
        .expect("a file")
        .starts_with("what was there"));
    assert!(!new.exists());
    // A run that does not replaces all of it.
    let output = nvmev(&[
        "sim",
        "-q",
        "--size",
        "64M",
        "--workload",
        "write:count=1",
        "--json",
        old.path(),
    ]);
    assert!(output.status.success());
    let content = fs::read_to_string(old.path()).expect("a file");
    serde_json::from_str::<serde_json::Value>(&content).expect("JSON and nothing else");

    for files in [
        ["--json", old.path(), "--plot", old.path()],
        ["--trace", trace.path(), "--json", trace.path()],
    ] {
        let output = nvmev(
            &[
                &["sim", "--size", "64M", "--workload", "write:count=1"],
                &files[..],
            ]
            .concat(),
        );
        assert_eq!(output.status.code(), Some(2), "{files:?}");
        assert!(text(&output.stderr).contains("are the same file"), "{files:?}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    for (arguments, message) in [
        (
            &["--workload", "randread:rate=5,qd=4"][..],
            "rate= and qd= contradict",
        ),
        (&["--workload", "read:bs=4k,bs=8k"], "bs is there twice"),
        (&["--workload", "read:bs=4k,,qd=8"], "an entry is empty"),
        (
            &["--trace", "x", "--qd", "4", "--speed", "2"],
            "cannot be used with",
        ),
        (&["--workload", "read", "--qd", "4"], "--trace <FILE>"),
        (&["--workload", "read", "--strict"], "--trace <FILE>"),
        (&["--trace", "-", "--trace", "-"], "--trace - is there twice"),
        (
            &["--workload", "read", "--set", "mdts=5,mdts=6"],
            "--set: mdts is there twice",
        ),
        (
            &["--workload", "read", "--set", "mdts=5", "--set", "mdts=5"],
            "--set: mdts is there twice",
        ),
        (
            &["--workload", "read", "--set", "mdts=5,,nand.channels=8"],
            "--set: an entry is empty",
        ),
        (
            &["--workload", "read", "--set", "mdts=5,"],
            "--set: an entry is empty",
        ),
        (
            &["--workload", "read", "--set", "mdts=5", "--set", ""],
            "--set: an entry is empty",
        ),
    ] {
        let output = nvmev(&[&["sim", "--size", "64M"], arguments].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
}

#[test]
fn the_smallest_size_that_works_is_named_and_works() {
    for (profile, set, smallest, workload) in [
        ("zn540", "mdts=5", "2147483648 (2G)", "append:count=1"),
        (
            "zn540",
            "zone.size_kib=1048576",
            "1073741824 (1G)",
            "append:count=1",
        ),
        (
            "zn540",
            "zone.capacity_kib=1048576",
            "1073741824 (1G)",
            "append:count=1",
        ),
        ("970pro", "mdts=5", "4383", "write:count=1"),
        (
            "970pro",
            "ftl.over_provisioning_percent=20",
            "4916",
            "write:count=1",
        ),
        ("tlc-ssd", "mdts=5", "4096 (4K)", "write:count=1"),
        ("optane", "mdts=5", "512", "write:bs=512,count=1"),
    ] {
        let run = |size: u64| {
            let size = size.to_string();
            nvmev(&[
                "sim",
                "-q",
                "--profile",
                profile,
                "--set",
                set,
                "--size",
                &size,
                "--workload",
                workload,
            ])
        };
        let smallest_bytes: u64 = smallest
            .split(' ')
            .next()
            .expect("a number")
            .parse()
            .expect("a number");
        for size in [0, 1, smallest_bytes / 3, smallest_bytes - 1] {
            let output = run(size);
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{profile} {size}: {error}");
            let message = format!("{size} bytes are too few: give the drive {smallest} at least");
            assert!(error.contains(&message), "{profile} {size}: {error}");
        }
        let output = run(smallest_bytes);
        assert!(output.status.success(), "{profile}: {}", text(&output.stderr));
    }
}
