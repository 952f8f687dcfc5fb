//! `nvmev sim` as a user runs it.

mod refusals;
mod traces;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn nvmev(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nvmev"))
        .args(arguments)
        .output()
        .expect("the command runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The JSON that a simulation prints.
fn json(arguments: &[&str]) -> serde_json::Value {
    let mut all = vec!["sim", "--quiet", "--json"];
    all.splice(1..1, arguments.iter().copied());
    let output = nvmev(&all);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A file for one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, content).expect("the folder is there");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a plain name")
    }
}

const FILL: [&str; 6] = ["--profile", "970pro", "--size", "64M", "--precondition", "seq"];

#[test]
fn a_read_alone_takes_what_the_model_says() {
    let mut arguments = FILL.to_vec();
    arguments.extend(["--workload", "randread:bs=4k,qd=1,count=20000"]);
    let result = json(&arguments);
    let read = &result["phases"][0]["directions"][0];
    assert_eq!(
        (read["name"].as_str(), read["commands"].as_u64()),
        (Some("read"), Some(20_000))
    );
    // MODELS.md §5: firmware 21,500 ns; array 29,760 or 41,760 ns; 32 units at 152 ns and then at 36 ns. With one-shot pages as large as
    // blocks, every page is the first of its cell.
    let expected = 21_500 + 29_760 + 32 * 152 + 32 * 36;
    assert!(
        read["latency_ns"]["p50"].as_u64().unwrap().abs_diff(expected) <= 64,
        "{read}"
    );
    assert!((read["latency_ns"]["mean"].as_f64().unwrap() - expected as f64).abs() < 64.0);
}

#[test]
fn the_same_arguments_give_the_same_bytes_and_another_seed_gives_others() {
    let run = |seed: &str| {
        let mut arguments = vec!["sim", "--quiet", "--seed", seed, "--json"];
        arguments.splice(1..1, FILL);
        arguments.splice(
            1..1,
            [
                "--workload",
                "randrw:bs=4k,qd=16,count=20000",
                "--workload",
                "randwrite:qd=4,count=5000",
            ],
        );
        nvmev(&arguments).stdout
    };
    assert_eq!(run("1"), run("1"));
    assert_ne!(run("1"), run("2"));
}

#[test]
fn amounts_add_up_in_every_pacing() {
    for pacing in ["qd=32", "qd=4,queues=4", "rate=20000"] {
        let workload = format!("randwrite:bs=8k,{pacing},count=10000");
        let result = json(&["--profile", "tlc-ssd", "--size", "64M", "--workload", &workload]);
        let phase = &result["phases"][0];
        assert_eq!(phase["directions"][0]["commands"], 10_000, "{pacing}");
        assert_eq!(phase["directions"][0]["bytes"], 10_000 * 8192, "{pacing}");
        assert_eq!(phase["flash"]["host_pages"], 20_000, "{pacing}");
        let points = phase["series"]["points"].as_array().unwrap();
        let sum = |key: &str| {
            points
                .iter()
                .map(|point| point[key].as_u64().unwrap())
                .sum::<u64>()
        };
        assert_eq!(
            (sum("commands"), sum("written_bytes")),
            (10_000, 10_000 * 8192),
            "{pacing}"
        );
        assert_eq!(
            Some(sum("gc_copied_pages")),
            phase["flash"]["gc_copied_pages"].as_u64(),
            "{pacing}"
        );
    }
}

#[test]
fn an_open_loop_does_not_wait_and_its_latencies_say_so() {
    // Far more than the drive can write: the queue grows, and with it the latency.
    let result = json(&[
        "--profile",
        "970pro",
        "--size",
        "64M",
        "--workload",
        "write:bs=128k,rate=100000,count=5000",
    ]);
    let latency = &result["phases"][0]["directions"][0]["latency_ns"];
    assert!(latency["max"].as_u64().unwrap() > 10 * latency["p50"].as_u64().unwrap() / 8);
    assert!(latency["max"].as_u64().unwrap() > 100_000_000);
}

#[test]
fn a_full_buffer_holds_up_one_queue_and_not_the_others() {
    let p99 = |queues: &str| {
        let workload = format!("rw:bs=256k,rwmixread=50,{queues},count=4000");
        let mut arguments = FILL.to_vec();
        arguments.extend(["--workload", &workload]);
        let result = json(&arguments);
        assert!(result["phases"][0]["flash"]["buffer_stalls"].as_u64().unwrap() > 0);
        result["phases"][0]["directions"][0]["latency_ns"]["p50"]
            .as_u64()
            .unwrap()
    };
    assert!(p99("qd=1,queues=32") < p99("qd=32,queues=1"));
}

#[test]
fn trimming_makes_room_for_garbage_collection() {
    let waf = |trim: bool| {
        let mut arguments = vec!["--profile", "tlc-ssd", "--size", "64M", "--precondition", "seq"];
        if trim {
            arguments.extend(["--workload", "trim:bs=1m,span=50%"]);
        }
        arguments.extend(["--workload", "randwrite:bs=4k,qd=16,offset=32m,size=4x"]);
        let result = json(&arguments);
        result["phases"].as_array().unwrap().last().unwrap()["flash"]["write_amplification"]
            .as_f64()
            .unwrap()
    };
    let (with, without) = (waf(true), waf(false));
    assert!(with < without, "{with} {without}");
}

#[test]
fn write_amplification_is_of_pages_and_of_bytes() {
    let flash = |profile: &str, block: &str| {
        let workload = format!("randwrite:bs={block},qd=4,count=4000");
        let all = [
            "--profile",
            profile,
            "--size",
            "64M",
            "--precondition",
            "seq",
            "--workload",
            &workload,
        ];
        json(&all)["phases"][0]["flash"].clone()
    };
    let numbers = |flash: &serde_json::Value| {
        ["write_amplification", "write_amplification_bytes"].map(|key| flash[key].as_f64().expect("a number"))
    };
    for profile in ["tlc-ssd", "970pro"] {
        let [pages, bytes] = numbers(&flash(profile, "4k"));
        assert!((pages - bytes).abs() < 1e-9, "{profile}: {pages} {bytes}");
        // Each command's page is eight times as large as the command.
        let [pages, bytes] = numbers(&flash(profile, "512"));
        assert!((pages * 8.0 - bytes).abs() < 1e-9, "{profile}: {pages} {bytes}");
    }
    // What is written in part is read; by the reference it is not.
    let read = |profile| {
        flash(profile, "512")["nand_read_bytes"]
            .as_u64()
            .expect("a number")
    };
    assert!(
        read("tlc-ssd") > read("970pro") + 3000 * 4096,
        "{} {}",
        read("tlc-ssd"),
        read("970pro")
    );
}

#[test]
fn the_three_victim_policies_and_set_are_taken() {
    for policy in ["greedy", "cost-benefit", "random"] {
        let set = format!("ftl.victim={policy}");
        let output = nvmev(&[
            "sim",
            "-q",
            "--profile",
            "tlc-ssd",
            "--size",
            "64M",
            "--set",
            &set,
            "--workload",
            "randwrite:qd=8,size=3x",
        ]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("write amplification"));
    }
}

#[test]
fn a_profile_of_ones_own_is_checked_simulated_and_turned_into_module_parameters() {
    let source = text(&nvmev(&["profile", "show", "tlc-ssd"]).stdout);
    let mine = source
        .replace("name = \"tlc-ssd\"", "name = \"mine\"")
        .replace("program_ns = 660000", "program_ns = 500000")
        .replace("victim = \"greedy\"", "victim = \"random\"");
    let good = Scratch::new("mine.toml", &mine);
    assert_eq!(
        text(&nvmev(&["profile", "check", good.path()]).stdout),
        "mine: valid\n"
    );
    assert_eq!(
        text(&nvmev(&["profile", "params", good.path()]).stdout),
        "profile=tlc-ssd profile_set=nand.program_ns=500000,ftl.victim=random\n"
    );
    let output = nvmev(&[
        "sim",
        "-q",
        "--profile-file",
        good.path(),
        "--size",
        "64M",
        "--workload",
        "write:bs=64k",
    ]);
    assert!(
        text(&output.stdout).starts_with("mine: capacity 64.00 MiB"),
        "{}",
        text(&output.stderr)
    );

    for (change, to, message) in [
        (
            "erase_ns = 3500000",
            "",
            "nand.erase_ns is missing: give it a value",
        ),
        (
            "erase_ns = 3500000",
            "erase_ns = -1",
            "nand.erase_ns is -1: choose a value from 0 to 4294967295",
        ),
        (
            "erase_ns = 3500000",
            "erase_ns = 3500000\nerase_us = 1",
            "nand.erase_us is no parameter of a drive of kind conventional",
        ),
        (
            "erase_ns = 3500000",
            "erase_ns = 3.5",
            "nand.erase_ns is of type float",
        ),
        (
            "cell_bits = 3",
            "cell_bits = 2",
            "nand.read_4k_ns is 3: give 2 of them (nand.cell_bits)",
        ),
        (
            "policy = \"pages\"",
            "policy = \"none\"",
            "write_buffer.policy is none: choose bytes or pages",
        ),
        (
            "size_bytes = 8388608",
            "size_bytes = 65536",
            "write_buffer.size_bytes is 65536: at least 630784 is needed",
        ),
        (
            "kind = \"conventional\"",
            "kind = \"tape\"",
            "kind is \"tape\": choose nvm or conventional or zoned",
        ),
    ] {
        let bad = Scratch::new("bad.toml", &mine.replacen(change, to, 1));
        let output = nvmev(&["profile", "check", bad.path()]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{to}: {error}");
        assert!(
            error.contains("bad.toml: ") && error.contains(message),
            "{to}: {error}"
        );
    }
}

#[test]
fn keys_are_listed_as_set_takes_them() {
    let keys = text(&nvmev(&["profile", "keys", "970pro"]).stdout);
    assert!(keys.contains("nand.read_4k_ns=29760/41760\n"));
    let list = keys.lines().collect::<Vec<_>>().join(",");
    let output = nvmev(&[
        "sim",
        "-q",
        "--size",
        "64M",
        "--set",
        &list,
        "--workload",
        "write:bs=64k,count=10",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_plot_has_three_charts() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plot.svg");
    let output = nvmev(&[
        "sim",
        "-q",
        "--size",
        "64M",
        "--workload",
        "randrw:qd=8,count=10000",
        "--plot",
        path.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let svg = fs::read_to_string(path).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for title in [
        "Throughput",
        "Latencies",
        "Garbage collection",
        "970pro, 0.06 GiB",
    ] {
        assert!(svg.contains(title), "{title}");
    }
}
