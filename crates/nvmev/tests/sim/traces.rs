//! Recorded traces.

use super::{json, nvmev, text, Scratch};

#[test]
fn a_trace_is_run_and_a_wrong_line_is_named() {
    let good = Scratch::new(
        "good.log",
        "fio version 3 iolog\n1 /x add\n2 /x open\n100 /x write 0 4096\n2100 /x read 0 4096\n3100 /x datasync\n4100 /x close\n",
    );
    let result = json(&["--size", "64M", "--trace", good.path()]);
    let phase = &result["phases"][0];
    assert_eq!(phase["directions"].as_array().unwrap().len(), 2);
    assert_eq!(phase["flushes"], 1);
    assert!(phase["duration_ns"].as_u64().unwrap() >= 3_000_000);

    let trace = &phase["trace"];
    assert_eq!(
        (
            trace["format"].as_str(),
            trace["commands"].as_u64(),
            trace["lines"].as_u64()
        ),
        (Some("iolog-v3"), Some(3), Some(7))
    );
    assert_eq!(phase["flush"]["commands"], 1);

    let bad = Scratch::new(
        "bad.log",
        "fio version 2 iolog\n/x add\n/x write 0 4096\n/x wrte 0 4096\n",
    );
    // What was left out is said with -q, too, and is part of the JSON.
    let run = |more: &[&str]| {
        let mut arguments = vec!["sim", "-q", "--size", "64M", "--trace", bad.path()];
        arguments.extend(more);
        nvmev(&arguments)
    };
    let output = run(&["--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(
        said.ends_with(
            "bad.log: 1 line left out: not in the trace's format (first: line 4: the action is \"wrte\": it must be add, open, \
             close, wait, read, write, trim, sync or datasync)\n"
        ),
        "{said}"
    );
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let remark = &result["phases"][0]["trace"]["remarks"][0];
    assert_eq!(
        (
            remark["reason"].as_str(),
            remark["lines"].as_u64(),
            remark["first_line"].as_u64()
        ),
        (Some("malformed"), Some(1), Some(4))
    );
    let output = run(&["--strict"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("bad.log:4: the action is \"wrte\""),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn one_device_of_a_trace_is_run() {
    let trace = Scratch::new(
        "two-disks.csv",
        "1000,hm,0,Write,0,4096,26\n2000,hm,1,Read,0,4096,26\n3000,hm,1,Read,4096,4096,26\n",
    );
    let arguments = [
        "sim",
        "-q",
        "--profile",
        "optane",
        "--size",
        "64M",
        "--trace",
        trace.path(),
    ];
    let all = nvmev(&arguments);
    assert!(
        text(&all.stderr).contains("2 disks (hm,0; hm,1) were merged"),
        "{}",
        text(&all.stderr)
    );
    let one = nvmev(&[&arguments[..], &["--trace-device", "hm,1", "--json"]].concat());
    assert_eq!(text(&one.stderr), "");
    let result: serde_json::Value = serde_json::from_slice(&one.stdout).expect("JSON");
    let directions = result["phases"][0]["directions"].as_array().expect("directions");
    assert_eq!(
        (directions.len(), directions[0]["commands"].as_u64()),
        (1, Some(2))
    );
    let devices = result["phases"][0]["trace"]["devices"]
        .as_array()
        .expect("devices");
    assert_eq!((devices.len(), devices[0]["name"].as_str()), (2, Some("hm,0")));
}

#[test]
fn the_waits_of_an_iolog_take_their_time() {
    let lines = "/x write 0 4096\n/x wait 20000 0\n/x write 4096 4096\n/x wait 30000 0\n/x write 8192 4096\n";
    let trace = Scratch::new("waits.log", &format!("fio version 2 iolog\n{lines}"));
    let duration_ns = |more: &[&str]| {
        let all = [
            &["--profile", "tlc-ssd", "--size", "64M", "--trace", trace.path()],
            more,
        ]
        .concat();
        let result = json(&all);
        let write = &result["phases"][0]["directions"][0];
        assert_eq!(write["commands"], 3);
        // Waiting is no latency.
        assert!(write["latency_ns"]["max"].as_u64().expect("a time") < 100_000);
        result["phases"][0]["duration_ns"].as_u64().expect("a time")
    };
    assert!((50_000_000..50_100_000).contains(&duration_ns(&[])));
    assert!((50_000_000..50_100_000).contains(&duration_ns(&["--qd", "8"])));
    assert!((5_000_000..5_100_000).contains(&duration_ns(&["--speed", "10"])));
}

#[test]
fn a_request_longer_than_mdts_is_split_for_the_drive() {
    let trace = Scratch::new("long.log", "fio version 2 iolog\n/x write 0 1048576\n");
    // MDTS of 970pro and optane: 128 KiB; with mdts=8, 2^8 pages of 4 KiB.
    for (set, commands) in [("mdts=5", 8), ("mdts=8", 1), ("mdts=1", 128)] {
        let result = json(&[
            "--profile",
            "optane",
            "--size",
            "64M",
            "--set",
            set,
            "--trace",
            trace.path(),
        ]);
        let write = &result["phases"][0]["directions"][0];
        assert_eq!(write["commands"], commands, "{set}");
        assert_eq!(write["bytes"], 1 << 20, "{set}");
        assert_eq!(write["errors"], 0, "{set}");
    }
}
