//! What is said of files that cannot be run, of lines that are left out, and by `--strict`.

use super::*;

#[test]
fn a_strict_run_ends_at_the_line_and_says_why() {
    for (text, message) in [
        ("fio version 2 iolog\n/x write 0\n", "t:2: the action is \"0\""),
        (
            "fio version 2 iolog\n/x write\n",
            "t:2: offset and length are missing",
        ),
        (
            "fio version 2 iolog\n\n/x erase 0 512\n",
            "t:3: the action is \"erase\": it must be add, open",
        ),
        (
            "fio version 2 iolog\n/x read 0 0\n",
            "t:2: commands of zero bytes (--strict)",
        ),
        (
            "fio version 3 iolog\nx /x write 0 512\n",
            "t:2: the time is \"x\": it must be a whole number",
        ),
        (
            "fio version 3 iolog\n1\n",
            "t:2: \"1\" is not of the form TIME FILE ACTION",
        ),
        (
            "1,h,0,Read,0,512,1\n1,h,0,Trim,0,512,1\n",
            "t:2: the type is \"Trim\": it must be Read or Write",
        ),
        ("1,h,0,Read,0,512,1\n1,h,0\n", "t:2: 3 fields instead of the 7"),
        ("1,h,0,Read,-8,512,1\n", "t:1: the offset is \"-8\""),
        (
            "8,0 1 1 0.0000000005 7 D W 8 + 8 [x]\n",
            "t:1: the time is \"0.0000000005\"",
        ),
        (
            "8,0 1 1 0.000000000 7 D W 8 [x]\n",
            "t:1: passthrough commands, which name no blocks",
        ),
        (
            "8,0 1 1 0.000000000 7 D X 8 + 8 [x]\n",
            "t:1: what the event does is \"X\"",
        ),
    ] {
        let error = run(text.as_bytes(), strict()).unwrap_err();
        assert!(error.starts_with(message), "{text:?}: {error}");
    }
}

#[test]
fn a_file_of_no_known_format_is_refused_with_those_that_are() {
    for text in [
        "hello\n",
        "a,b,c,d,e,f,g\n1,2,3,4,5,6,7\n",
        "fio version 4 iolog\n/x read 0 512\n",
        "{\"at\":0}\n",
        "1,2\n",
        "2, 0, 512\n",
        "8,0\n",
        "\u{0}\u{1}\u{2}",
    ] {
        let error = run(text.as_bytes(), TraceOptions::default()).unwrap_err();
        for known in [
            "fio version 2 iolog",
            "MSR Cambridge CSV",
            "blkparse",
            "zstd",
            "--trace-format",
        ] {
            assert!(error.contains(known), "{text:?}: {error}");
        }
    }
    // What blktrace records, before blkparse made text of it.
    let error = run(b"\x07tae\x01\0\0\0\0\0\0\0", TraceOptions::default()).unwrap_err();
    assert!(error.contains("blkparse -i"), "{error}");
    for empty in ["", "\n \n", "\u{feff}"] {
        assert_eq!(
            run(empty.as_bytes(), TraceOptions::default()).unwrap_err(),
            "t: the trace is empty"
        );
    }
}

#[test]
fn a_format_is_found_behind_what_comes_before_it() {
    let event = "8,0 1 1 0.000000000 7 D R 8 + 8 [x]\n";
    let text = format!("$ blktrace -d /dev/sda -o - | blkparse -i -\n\n{event}");
    let (ios, report) = run(text.as_bytes(), TraceOptions::default()).unwrap();
    assert_eq!(ios.len(), 1);
    assert_eq!(remarks(&report), [(Reason::Malformed, 1, 1)]);
    assert_eq!(report.lines, 3);
}

#[test]
fn a_given_format_is_believed() {
    let text = "hello\nsomething else entirely\n";
    for format in [
        TraceFormat::IologV1,
        TraceFormat::IologV2,
        TraceFormat::IologV3,
        TraceFormat::Msr,
        TraceFormat::Blkparse,
    ] {
        let options = TraceOptions {
            format: Some(format),
            ..TraceOptions::default()
        };
        let error = run(text.as_bytes(), options).unwrap_err();
        let begin = "t: there is no command in this trace; 2 lines left out: not in the trace's format (first: line 1: ";
        assert!(error.starts_with(begin), "{format:?}: {error}");
    }
}

#[test]
fn lines_that_are_left_out_are_said_by_reason_with_the_first() {
    let text = "8,0 1 1 0.000000000 7 D R 8 + 8 [x]\n8,0 1 1 0.000000000 7 D R 36 (12 ..) [x]\nwhat\n8,0 1 1 0.0 7 D R 512 [x]\n8,0 1 1 0.0 7 D R 8 + 0 [x]\n";
    let mut trace = reader(text.as_bytes(), TraceOptions::default()).unwrap();
    while trace.next_io().unwrap().is_some() {}
    assert_eq!(
        trace.warnings(),
        [
            "2 lines left out: passthrough commands, which name no blocks (first: line 2)",
            "1 line left out: not in the trace's format (first: line 3: \"what\" is no event of blkparse)",
            "1 line left out: commands of zero bytes (first: line 5)",
        ]
    );
}

#[test]
fn a_last_line_that_is_cut_off_is_named_as_that() {
    // One that only has no line break is whole.
    assert_eq!(read("fio version 2 iolog\n/x read 0 512").len(), 1);
    assert_eq!(read("8,0 1 1 0.0 7 D R 8 + 8 [x]").len(), 1);
    for (text, line) in [
        ("fio version 2 iolog\n/x read 0 512\n/x wri", 3),
        ("1,h,0,Read,0,512,1\n2,h,0,Wri", 2),
        ("8,0 1 1 0.0 7 D R 8 + 8 [x]\n8,0 1 2 0.1 7 D R 8 +", 2),
        ("8,0 1 1 0.0 7 D R 8 + 8 [x]\n8,", 2),
        ("8,0 1 1 0.0 7 D R 8 + 8 [x]\n8,0 1 2 0.1 7 D R 8", 2),
        // There may have been more digits.
        ("8,0 1 1 0.0 7 D R 8 + 8 [x]\n8,0 1 2 0.1 7 D R 8 + 1", 2),
    ] {
        let (ios, report) = run(text.as_bytes(), TraceOptions::default()).unwrap();
        assert_eq!(ios.len(), 1, "{text}");
        assert_eq!(remarks(&report), [(Reason::CutOff, 1, line)], "{text}");
    }
}

#[test]
fn a_line_longer_than_any_is_left_out_and_the_next_one_is_run() {
    let long = "x".repeat(200_000);
    let text = format!("fio version 2 iolog\n/{long} read 0 512\n/x read 0 512\n");
    let (ios, report) = run(text.as_bytes(), TraceOptions::default()).unwrap();
    assert_eq!(ios.len(), 1);
    assert_eq!(remarks(&report), [(Reason::LongLine, 1, 2)]);
}

#[test]
fn compressed_data_that_ends_too_soon_gives_what_there_is() {
    let lines: String = (0..50_000)
        .map(|number| format!("/x read {} 512\n", number * 512))
        .collect();
    let text = format!("fio version 2 iolog\n{lines}");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(run(&packed, strict()).unwrap().0.len(), 50_000);
    let cut = &packed[..packed.len() / 2];
    let (ios, report) = run(cut, TraceOptions::default()).unwrap();
    assert!((1000..50_000).contains(&ios.len()));
    assert!(report
        .remarks
        .iter()
        .any(|remark| remark.reason == Reason::Unreadable));
    assert!(run(cut, strict()).unwrap_err().contains("--strict"));
}
