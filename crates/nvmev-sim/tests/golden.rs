//! The public golden traces against our models, and proof that the check notices what it should.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use lzma_rust2::XzReader;
use nvmev_sim::golden::{
    check, check_file, check_paths, check_with, find_traces, Answer, Checksum, Kind, Outcome, Report,
    Request, Subject, Tally, TraceHeader, Verdict,
};
use proptest::prelude::*;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The text of trace `name`.
fn unpacked(name: &str) -> String {
    let file = File::open(golden().join(format!("{name}.csv.xz"))).expect("the trace is in the repository");
    let mut text = String::new();
    XzReader::new(file, true)
        .read_to_string(&mut text)
        .expect("the trace can be unpacked");
    text
}

/// `text` with its only `from` changed to `to`.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from}");
    text.replacen(from, to, 1)
}

fn report(text: &str) -> Report {
    check("trace.csv", text.as_bytes()).expect("the trace is in the format")
}

fn first_difference(text: &str) -> String {
    match report(text).verdict {
        Verdict::Different(difference) => difference.to_string(),
        verdict => panic!("the verdict is {verdict}"),
    }
}

fn error(text: &str) -> String {
    check("trace.csv", text.as_bytes())
        .expect_err("the trace is not in the format")
        .to_string()
}

#[test]
fn every_public_trace_agrees_in_every_row_but_those_of_defects() {
    let traces = find_traces(&golden()).expect("the folder is in the repository");
    let mut equal = Vec::new();
    let mut not_to_be_matched = Vec::new();
    for trace in &traces {
        let report = check_file(trace).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            report.input_sums.equal, report.input_sums.total,
            "{}: {report}",
            report.name
        );
        match report.verdict {
            Verdict::Equal => {
                // Of long phases only some requests are rows; the checksums are over all of them.
                assert_eq!(report.rows.equal, report.rows.total, "{}", report.name);
                assert!(report.rows.total > 0 && report.rows.total <= report.requests);
                assert_eq!(report.output_sums.equal, report.output_sums.total);
                equal.push((report.name, report.requests));
            }
            Verdict::NotToBeMatched => not_to_be_matched.push(report.name),
            Verdict::Different(difference) => panic!("{}: {difference}", report.name),
        }
    }
    // Names and numbers of requests as the set's own table has them.
    let built = [
        ("conv_10g_mixed_aligned", 46_280),
        ("conv_10g_randrd", 148_280),
        ("conv_1g_mixed_aligned", 13_828),
        ("conv_1g_mixed_unaligned", 13_828),
        ("conv_1g_randrd", 119_828),
        ("conv_1g_randwr_paced", 2_004_828),
        ("conv_1g_randwr_unpaced", 1_804_828),
        ("conv_1g_seq", 23_312),
        ("conv_1g_unwritten", 6_003),
        ("conv_4095m_mdts", 19_308),
        ("conv_4095m_mixed_aligned", 25_308),
        ("conv_4095m_randrd", 231_308),
        ("conv_4095m_randwr_paced", 2_816_308),
        ("conv_4095m_randwr_unpaced", 2_416_308),
        ("conv_4095m_seq", 77_232),
        ("conv_4095m_x_mixed_unaligned", 25_308),
        ("conv_8191m_randwr_paced", 4_531_620),
        ("kv_custom", 5_000),
        ("optane_4k", 5_000),
        ("optane_custom", 10_054),
        ("optane_default", 10_043),
        ("zn540_append", 4_778),
        ("zn540_mgmt", 5_022),
        ("zn540_read", 18_192),
        ("zn540_write", 10_001),
        ("zn540_zonefill", 17_225),
        ("znsp_append", 3_762),
        ("znsp_mgmt", 5_457),
        ("znsp_read", 15_120),
        ("znsp_write", 5_385),
        ("znsp_x_window", 916),
    ];
    assert_eq!(equal, built.map(|(name, requests)| (name.to_owned(), requests)));
    let defects = [
        "zn540_x_leak_stall",
        "zn540_x_mgmt_leak",
        "zn540_x_sub4k",
        "znsp_x_append_retry",
    ];
    assert_eq!(not_to_be_matched, defects);
    assert_eq!(traces.len(), 35);
}

#[test]
fn what_a_trace_is_is_in_it_and_not_in_its_name() {
    let renamed = |name: &str, other: &str| {
        let from = format!("#trace,{name}\n");
        report(&changed(&unpacked(name), &from, &format!("#trace,{other}\n")))
    };
    let kind_and_verdict = |report: &Report| (report.kind, report.verdict.clone());
    for other in ["optane_custom", "zn540_x_sub4k", "anything"] {
        let report = renamed("kv_custom", other);
        assert_eq!(kind_and_verdict(&report), (Kind::KeyValue, Verdict::Equal));
        assert_eq!(report.rows.equal, report.requests);
    }
    for other in ["kv_custom", "zn540_x_leak_stall"] {
        let report = renamed("optane_4k", other);
        assert_eq!(kind_and_verdict(&report), (Kind::Nvm, Verdict::Equal));
    }
    for defect in ["zn540_x_sub4k", "zn540_x_leak_stall"] {
        let report = renamed(defect, "zn540_read");
        assert_eq!(kind_and_verdict(&report), (Kind::Zoned, Verdict::NotToBeMatched));
    }
}

#[test]
fn the_traces_of_a_folder_are_told_by_what_is_in_them() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden_by_content");
    let _absent = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("sub.csv")).expect("the folder for tests is writable");
    fs::copy(golden().join("optane_4k.csv.xz"), folder.join("packed.bin")).expect("a copy");
    fs::write(folder.join("plain"), unpacked("kv_custom")).expect("a file");
    fs::write(folder.join("README.md"), "# trace, and no trace").expect("a file");
    fs::write(folder.join("empty"), "").expect("a file");
    // Called a trace, and none: to be reported.
    fs::write(folder.join("broken.csv.xz"), "nothing").expect("a file");
    let names: Vec<String> = find_traces(&folder)
        .expect("traces")
        .iter()
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["broken.csv.xz", "packed.bin", "plain"]);
    let mut output = Vec::new();
    let summary = check_paths(&[folder], &mut output).expect("a Vec takes everything");
    assert_eq!((summary.equal, summary.different, summary.unreadable), (2, 0, 1));
}

#[test]
fn a_flipped_output_is_found_in_its_row_and_column() {
    let text = unpacked("optane_4k");
    let line = "\n4999,1006542165,2,462720,8,0,1006542165,7500,0,0,0,0\n";
    let cases = [
        (
            "4999,1006542165,2,462720,8,0,1006542166,7500,0,0,0,0",
            "column accepted_start_ns: the file has 1006542166, the replay 1006542165",
        ),
        (
            "4999,1006542165,2,462720,8,0,1006542165,-7500,0,0,0,0",
            "column latency_ns: the file has -7500, the replay 7500",
        ),
        (
            "4999,1006542165,2,462720,8,0,1006542165,7500,2,0,0,0",
            "column status: the file has 2, the replay 0",
        ),
        (
            "4999,1006542165,2,462720,8,0,1006542165,7500,0,9,0,0",
            "column result: the file has 9, the replay 0",
        ),
    ];
    for (flipped, difference) in cases {
        let text = changed(&text, line, &format!("\n{flipped}\n"));
        assert_eq!(first_difference(&text), format!("request 4999, {difference}"));
        assert_eq!(
            report(&text).rows,
            Tally {
                equal: 4_999,
                total: 5_000
            }
        );
    }
}

#[test]
fn a_flipped_input_is_found_by_the_checksum() {
    let text = changed(
        &unpacked("optane_4k"),
        "\n4999,1006542165,2,462720,",
        "\n4999,1006542165,2,462784,",
    );
    let difference = first_difference(&text);
    assert!(
        difference.starts_with("request 4999, checksum IN: the file has 77277708df1f3e9a"),
        "{difference}"
    );
}

#[test]
fn a_flipped_checksum_is_found() {
    let text = unpacked("optane_4k");
    let flipped = changed(
        &text,
        "#sum,2499,3c8942c47285958a,83c6156a9ccbe243",
        "#sum,2499,3c8942c47285958a,83c6156a9ccbe244",
    );
    assert_eq!(
        first_difference(&flipped),
        "request 2499, checksum OUT: the file has 83c6156a9ccbe244, the replay 83c6156a9ccbe243"
    );
    assert_eq!(report(&flipped).output_sums, Tally { equal: 2, total: 3 });
    let flipped = changed(&text, "in=77277708df1f3e9a", "in=07277708df1f3e9a");
    assert_eq!(
        first_difference(&flipped),
        "request 4999, checksum IN: the file has 07277708df1f3e9a, the replay 77277708df1f3e9a"
    );
    let flipped = changed(&text, "last_start=1003906393", "last_start=1003906394");
    assert_eq!(
        first_difference(&flipped),
        "request 2499, last_start of #accept: the file has 1003906394, the replay 1003906393"
    );
}

#[test]
fn a_flipped_checksum_is_found_without_a_replay_too() {
    let text = changed(
        &unpacked("zn540_x_sub4k"),
        "#sum,4600,3fa349c39b8bfec2",
        "#sum,4600,3fa349c39b8bfec3",
    );
    assert!(first_difference(&text).starts_with("request 4600, checksum IN"));
}

#[test]
fn another_model_is_found_by_each_of_its_parameters() {
    let text = unpacked("optane_custom");
    let mutations = [
        ("io_units=8", "io_units=7"),
        ("io_unit_shift=12", "io_unit_shift=13"),
        ("read_delay_ns=3000", "read_delay_ns=3001"),
        ("read_time_ns=700", "read_time_ns=699"),
        ("read_trailing_ns=100", "read_trailing_ns=0"),
        ("write_delay_ns=5000", "write_delay_ns=4999"),
        ("write_time_ns=900", "write_time_ns=901"),
        ("write_trailing_ns=200", "write_trailing_ns=100"),
    ];
    for (parameter, mutation) in mutations {
        let report = report(&changed(&text, parameter, mutation));
        assert!(
            matches!(report.verdict, Verdict::Different(_)),
            "{mutation}: {report}"
        );
        assert!(report.rows.equal < report.rows.total, "{mutation}: {report}");
    }
}

#[test]
fn damaged_text_is_an_error_with_its_line() {
    let text = unpacked("optane_4k");
    let cut = |at: &str| text[..text.find(at).expect("it is there")].to_owned();
    let cases = [
        (
            String::new(),
            "trace.csv:1: expected #trace, but the file ends here: it is truncated",
        ),
        (
            cut("#phase"),
            "expected #param or #phase, but the file ends here: it is truncated",
        ),
        (
            cut("\n1000,"),
            "trace.csv:1016: expected the row of request 1000, but the file ends here: it is truncated",
        ),
        (
            cut("#accept,4999"),
            "expected #accept,4999, but the file ends here: it is truncated",
        ),
        (
            cut("#end"),
            "expected #phase or #end, but the file ends here: it is truncated",
        ),
        (
            changed(&text, "\n1000,", "\n1001,"),
            "trace.csv:1017: expected the row of request 1000, found that of 1001",
        ),
        (
            changed(&text, "#sum,2499,", "#sum,2498,"),
            "expected #sum,2499, found #sum",
        ),
        (
            changed(&text, "#accept,2499,", "#accept,2500,"),
            "expected #accept,2499, found #accept",
        ),
        (
            changed(&text, "#param,io_units=8\n", ""),
            "no kind of drive has these parameters",
        ),
        (
            changed(&text, "#param,read_time_ns=700\n", ""),
            "the model needs #param,read_time_ns, which is missing",
        ),
        (changed(&text, "io_units=8", "io_units=0"), "nvm.io_units is 0"),
        (
            changed(&text, "read_time_ns=700", "read_time_ns=5000000000"),
            "at most 4294967295 is possible",
        ),
        (
            changed(&text, "io_unit_shift=12", "io_units=8"),
            "#param,io_units is there twice",
        ),
        (
            changed(&text, "first=2500", "first=2501"),
            "expected phase 1 with first=2500, found another",
        ),
        (
            changed(&text, "requests=5000", "requests=5001"),
            "#end counts 5001 requests, the file has 5000",
        ),
        (
            changed(
                &text,
                "2,462720,8,0,1006542165,7500",
                "9,462720,8,0,1006542165,7500",
            ),
            "request 4999: opcode 9 is none",
        ),
        (
            format!("{text}#trace,again\n"),
            "expected nothing after #end, found #trace",
        ),
        (
            format!("#trace,{}\n", "x".repeat(20_000)),
            "trace.csv:1: the line is longer than 16384 bytes",
        ),
    ];
    for (text, reason) in cases {
        let error = error(&text);
        assert!(error.contains(reason), "expected: {reason}\nfound: {error}");
    }
}

#[test]
fn a_row_that_its_phase_does_not_generate_is_an_error() {
    let text = changed(&unpacked("conv_1g_seq"), "\n100,", "\n100,9");
    let error = error(&text);
    assert!(
        error.contains("the row's inputs are not those its phase generates"),
        "{error}"
    );
}

#[test]
fn files_that_cannot_be_read_are_named_and_fail_the_check() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden_unreadable");
    let empty = folder.join("empty");
    fs::create_dir_all(&empty).expect("the folder for tests is writable");
    let packed = fs::read(golden().join("optane_4k.csv.xz")).expect("the trace is in the repository");
    fs::write(folder.join("cut.csv.xz"), &packed[..packed.len() / 2]).expect("writable");
    fs::write(folder.join("text.csv.xz"), "#trace,text\n").expect("writable");
    fs::write(folder.join("whole.csv.xz"), &packed).expect("writable");

    let mut output = Vec::new();
    let paths = [folder.clone(), folder.join("missing.csv.xz"), empty];
    let summary = check_paths(&paths, &mut output).expect("a Vec takes everything");
    let output = String::from_utf8(output).expect("text");
    assert!(!summary.is_ok());
    assert_eq!((summary.equal, summary.unreadable), (1, 4), "{output}");
    let lines = [
        "cut.csv.xz    UNREADABLE\n",
        "the file is damaged or truncated",
        "text.csv.xz   UNREADABLE\n",
        "whole.csv.xz  equal ",
        "missing.csv.xz: No such file",
        "empty: no trace (a file that begins with #trace) in this folder\n",
        "1 equal, 0 different, 4 unreadable, 0 not to be matched: FAILED\n",
    ];
    for line in lines {
        assert!(output.contains(line), "{line:?} is not in\n{output}");
    }
}

/// A drive whose buffer is full until a time, and then takes 10 ns per request.
struct FullUntil(u64);

impl Subject for FullUntil {
    fn submit(&mut self, now_ns: u64, _: &Request) -> Result<Answer, String> {
        Ok(if now_ns < self.0 {
            // Two releases: the first is not enough.
            Answer::Busy {
                retry_at_ns: if now_ns < 150 { 150 } else { self.0 },
            }
        } else {
            Answer::Done {
                done_at_ns: now_ns + 10,
                status: 0,
                result: 0,
            }
        })
    }
}

fn full_until(time_ns: u64) -> impl Fn(&TraceHeader) -> Result<Box<dyn Subject>, String> {
    move |_| Ok(Box::new(FullUntil(time_ns)))
}

/// Three generated writes, of which the first and the last are rows: arriving at 100, 100 and 300, accepted at 200, 200
/// and 300.
fn sampled_trace() -> String {
    let (mut input, mut output) = (Checksum::default(), Checksum::default());
    for (j, accepted_start_ns) in [200, 200, 300].into_iter().enumerate() {
        let j = j as u64;
        let arrival_ns = 100 + (j / 2) * 200;
        input.add_request(&Request {
            arrival_ns,
            opcode: 1,
            slba: j * 8,
            nlb: 8,
            fua: false,
            zsa: 0,
            all: false,
        });
        output.add_outcome(&Outcome {
            accepted_start_ns,
            latency_ns: 10,
            status: 0,
            result: 0,
        });
    }
    let (input, output) = (input.value(), output.value());
    format!(
        "#trace,sampled\n#param,io_units=1\n\
         #phase,0,first=0,count=3,every=2,kind=seq,t0=100,gap=200,burst=2,op=1,s0=0,nlb=8,fua=0\n\
         index,arrival_ns,opcode,slba,nlb,fua,accepted_start_ns,latency_ns,status,result,zsa,all\n\
         0,100,1,0,8,0,200,10,0,0,0,0\n\
         2,300,1,16,8,0,300,10,0,0,0,0\n\
         #sum,2,{input:016x},{output:016x}\n#state,2,x\n#accept,2,last_start=300\n\
         #end,requests=3,in={input:016x},out={output:016x}\n"
    )
}

#[test]
fn a_refused_request_is_put_again_at_each_release_and_holds_up_those_behind_it() {
    let report = check_with("sampled", sampled_trace().as_bytes(), full_until(200)).expect("in the format");
    assert_eq!(report.verdict, Verdict::Equal);
    assert_eq!((report.requests, report.rows), (3, Tally { equal: 2, total: 2 }));

    // Where the row that differs is not recorded, the checksum tells.
    let trace = sampled_trace().replace(",200,10,", ",250,10,");
    let report = check_with("sampled", trace.as_bytes(), full_until(250)).expect("in the format");
    let Verdict::Different(difference) = report.verdict else {
        panic!("{report}")
    };
    assert_eq!((difference.index, difference.column), (2, "checksum OUT"));
}

#[test]
fn a_request_that_is_never_accepted_is_a_difference_unless_the_trace_says_so() {
    let report =
        check_with("sampled", sampled_trace().as_bytes(), full_until(u64::MAX)).expect("in the format");
    let Verdict::Different(difference) = &report.verdict else {
        panic!("{report}")
    };
    assert_eq!((difference.index, difference.column), (0, "acceptance"));
    assert_eq!(report.rows, Tally { equal: 0, total: 2 });

    let head = sampled_trace();
    let head = &head[..head.find("\n0,").expect("the first row") + 1];
    for (trace, is_equal) in [
        (format!("{head}#stall,0,150\n#state,0\n"), true),
        (format!("{head}#stall,0,151\n"), false),
    ] {
        let report = check_with("stalled", trace.as_bytes(), full_until(u64::MAX)).expect("in the format");
        assert_eq!(report.verdict == Verdict::Equal, is_equal, "{report}");
    }
    let accepted = check_with(
        "stalled",
        format!("{head}#stall,0,150\n").as_bytes(),
        full_until(200),
    );
    let Verdict::Different(difference) = accepted.expect("in the format").verdict else {
        panic!("accepted")
    };
    assert_eq!((difference.index, difference.column), (0, "acceptance"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_to_a_packed_file_panics(at in 0..928_usize, bits in 1..=255_u8, length in 0..=928_usize) {
        let mut packed = fs::read(golden().join("zn540_x_leak_stall.csv.xz")).expect("the trace is in the repository");
        packed[at] ^= bits;
        packed.truncate(length);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden_damaged.csv.xz");
        fs::write(&path, &packed).expect("the folder for tests is writable");
        prop_assert!(check_file(&path).is_err(), "xz has checksums over everything");
    }

    #[test]
    fn no_damage_to_a_text_panics(line in 0..2_600_usize, at in 0..80_usize, byte in any::<u8>()) {
        let text = unpacked("kv_custom");
        let mut lines: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
        if let Some(place) = lines[line].get_mut(at) {
            *place = byte;
        }
        let _report_or_error = check("trace.csv", lines.join(&b'\n').as_slice());
    }
}
