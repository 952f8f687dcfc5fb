//! Traces good and bad, each with the exact message.

use proptest::prelude::*;

use super::*;

const GIB: u64 = 1 << 30;

fn read_with(text: &str, options: TraceOptions) -> Result<Vec<Io>, String> {
    let mut trace =
        TraceReader::new("t", text.as_bytes(), None, GIB, options).map_err(|error| error.to_string())?;
    let mut ios = Vec::new();
    while let Some(io) = trace.next_io().map_err(|error| error.to_string())? {
        ios.push(io);
    }
    Ok(ios)
}

fn read(text: &str) -> Result<Vec<Io>, String> {
    read_with(text, TraceOptions::default())
}

fn io(at_ns: impl Into<Option<u64>>, action: Action, offset_bytes: u64, len_bytes: u64) -> Io {
    Io {
        at_ns: at_ns.into(),
        action,
        offset_bytes,
        len_bytes,
    }
}

#[test]
fn an_iolog_of_version_2_has_no_times() {
    let text = "fio version 2 iolog\n/dev/x add\n/dev/x open\n/dev/x write 8192 4096\n/a name with spaces read 0 512\n\
                /dev/x datasync\n/dev/x trim 0 65536\n/dev/x close\n";
    let expected = [
        io(None, Action::Write(false), 8192, 4096),
        io(None, Action::Read, 0, 512),
        io(None, Action::Flush, 0, 0),
        io(None, Action::Trim, 0, 65536),
    ];
    assert_eq!(read(text).unwrap(), expected);
}

#[test]
fn an_iolog_of_version_3_has_times_from_its_first_command_on() {
    // As fio 3.33 wrote it here.
    let text = "fio version 3 iolog\n21 /tmp/f add\n185 /tmp/f open\n189 /tmp/f write 61440 4096\n20176 /tmp/f write 774144 4096\n\
                380233 /tmp/f close\n";
    let expected = [
        io(0, Action::Write(false), 61440, 4096),
        io(19_987_000, Action::Write(false), 774_144, 4096),
    ];
    assert_eq!(read(text).unwrap(), expected);
    let twice_as_fast = TraceOptions {
        speed_milli: 2000,
        ..TraceOptions::default()
    };
    assert_eq!(read_with(text, twice_as_fast).unwrap()[1].at_ns, Some(9_993_500));
}

#[test]
fn msr_traces_count_100_ns() {
    let text = "128166372003061629,usr,0,Read,7014609920,24576,41286\n128166372016382155,usr,0,Write,1317441536,8192,1963\n";
    let large = TraceReader::new("t", text.as_bytes(), None, 16 << 30, TraceOptions::default());
    let mut large = large.unwrap();
    assert_eq!(large.format(), TraceFormat::Msr);
    assert_eq!(
        large.next_io().unwrap(),
        Some(io(0, Action::Read, 7_014_609_920, 24576))
    );
    let second = io(1_332_052_600, Action::Write(false), 1_317_441_536, 8192);
    assert_eq!(large.next_io().unwrap(), Some(second));
    assert_eq!((large.next_io().unwrap(), large.beyond()), (None, 0));
}

#[test]
fn blkparse_counts_issued_events_and_leaves_the_summary_out() {
    let text = "  8,0    3        1     0.000000000   697  G   W 223490 + 8 [kjournald]\n\
                \x20 8,0    3        2     0.000001829   697  D   W 223490 + 8 [kjournald]\n\
                \x20 8,0    3        3     0.250000000   697  D  RM 100 + 16 [a b]\n\
                \x20 8,0    3        4     0.300000000     0  C   W 223490 + 8 [0]\n\
                \x20 8,0    3        5     0.400000000   697  D FWS [x]\n\
                \x20 8,0    3        6     0.500000000   697  D WFS 8 + 8 [x]\n\
                \x20 8,0    3        7     0.600000000   697  D DS 16 + 8 [x]\n\
                CPU3 (sda):\n Reads Queued:           0,        0KiB\n";
    let expected = [
        io(0, Action::Write(false), 223_490 * 512, 4096),
        io(249_998_171, Action::Read, 51_200, 8192),
        io(399_998_171, Action::Flush, 0, 0),
        io(499_998_171, Action::Write(true), 4096, 4096),
        io(599_998_171, Action::Trim, 8192, 4096),
    ];
    assert_eq!(read(text).unwrap(), expected);
}

#[test]
fn a_line_that_is_wrong_is_named_with_its_reason() {
    for (text, message) in [
        ("", "t: the trace is empty"),
        ("hello\n", "t:1: this is no fio iolog"),
        (
            "fio version 2 iolog\n/x open\n",
            "t: there is no command in this trace",
        ),
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
        ("8,0 1 1 0.5 7 D W 8 + 8 [x]\n", "t:1: the time is \"0.5\""),
        (
            "8,0 1 1 0.000000000 7 D W 8 [x]\n",
            "t:1: SECTOR + SECTORS is missing",
        ),
        (
            "8,0 1 1 0.000000000 7 D X 8 + 8 [x]\n",
            "t:1: what the event does is \"X\"",
        ),
        (
            "fio version 2 iolog\n/x read 0 99999999\n",
            "t:2: a command of 99999999 bytes: at most 33554432",
        ),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(message), "{text:?}: {error}");
    }
}

#[test]
fn commands_beyond_the_end_are_wrapped_left_out_or_refused() {
    let text = "fio version 2 iolog\n/x read 1073741312 1024\n/x read 5000000000 4096\n/x read 0 512\n";
    let with = |beyond| TraceOptions {
        beyond,
        ..TraceOptions::default()
    };
    let wrapped = read(text).unwrap();
    assert_eq!(wrapped.len(), 3);
    assert!(wrapped
        .iter()
        .all(|io| io.offset_bytes + io.len_bytes <= GIB && io.offset_bytes % 512 == 0));
    assert_eq!(read_with(text, with(Beyond::Skip)).unwrap().len(), 1);
    let error = read_with(text, with(Beyond::Error)).unwrap_err();
    assert!(error.starts_with("t:2: the command ends at byte 1073742336, the namespace at 1073741824"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(lines in proptest::collection::vec("[ -~]{0,60}", 0..20), head in 0..5_usize) {
        let heads = ["fio version 2 iolog\n", "fio version 3 iolog\n", "1,h,0,Read,0,512,1\n", "8,0 1 1 0.000000000 7 D R 8 + 8\n", ""];
        let _ = read(&format!("{}{}", heads[head], lines.join("\n")));
    }

    #[test]
    fn any_event_like_text_is_read_or_refused(words in proptest::collection::vec("[0-9A-Z+.,]{1,9}", 0..12)) {
        let _ = blkparse::parse(&format!("8,0 {}", words.join(" ")), 'D');
        let _ = iolog::parse_v3(&words.join(" "), u64::MAX);
        let _ = msr::parse(&words.join(","));
    }
}
