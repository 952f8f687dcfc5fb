//! Each kind of line of each format, with what it must come to. The expected counts are from the formats' documentation: blkparse(1) and the kernel's
//! blk_fill_rwbs for RWBS, fio's HOWTO for iologs, and the readme of the MSR Cambridge traces.

use super::*;

/// What a line must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// These actions, one after the other.
    Run(&'static [Action]),
    /// It belongs to the format and asks for nothing.
    Nothing,
    LeftOut(Reason),
}

use Expected::{LeftOut, Nothing, Run};

const READ: Action = Action::Read;
const WRITE: Action = Action::Write(false);
const WRITE_FUA: Action = Action::Write(true);
const TRIM: Action = Action::Trim;
const FLUSH: Action = Action::Flush;

/// Checks each line by itself, behind a `sound` line that is one read, and then all of them together.
fn check(heading: &str, sound: &str, lines: &[(&str, Expected)]) {
    let (mut all, mut actions, mut left_out) = (format!("{heading}{sound}\n"), vec![READ], Vec::new());
    for (line, expected) in lines {
        let text = format!("{heading}{sound}\n{line}\n");
        let (ios, report) = run(text.as_bytes(), TraceOptions::default()).unwrap();
        let run_actions: Vec<Action> = ios.iter().skip(1).map(|io| io.action).collect();
        let reasons: Vec<Reason> = report.remarks.iter().map(|remark| remark.reason).collect();
        let (wanted, reason) = match expected {
            Run(wanted) => (*wanted, None),
            Nothing => (&[][..], None),
            LeftOut(reason) => (&[][..], Some(*reason)),
        };
        assert_eq!(run_actions, wanted, "{line:?}");
        assert_eq!(reasons, reason.into_iter().collect::<Vec<_>>(), "{line:?}");
        all.push_str(line);
        all.push('\n');
        actions.extend(wanted);
        left_out.extend(reason);
    }
    let (ios, report) = run(all.as_bytes(), TraceOptions::default()).unwrap();
    assert_eq!(ios.iter().map(|io| io.action).collect::<Vec<_>>(), actions);
    let counted: u64 = report.remarks.iter().map(|remark| remark.lines).sum();
    assert_eq!(counted, left_out.len() as u64);
    for remark in &report.remarks {
        let count = left_out.iter().filter(|reason| **reason == remark.reason).count();
        assert_eq!(remark.lines, count as u64, "{remark}");
    }
}

#[test]
fn lines_of_blkparse() {
    let event = |text: &'static str| -> &'static str { text };
    check(
        "",
        "  8,0    0        1     0.000000000   100  D   R 0 + 8 [sound]",
        &[
            // Reads and writes, with all that tells more of them.
            (
                event("  8,0    3       11     0.009507758   697  D   W 223490 + 8 [kjournald]"),
                Run(&[WRITE]),
            ),
            ("8,0 3 12 0.010000000 697 D RA 16 + 256 [x]", Run(&[READ])),
            ("8,0 3 13 0.010000000 697 D RM 24 + 8 [x]", Run(&[READ])),
            ("8,0 3 14 0.010000000 697 D RSM 24 + 8 [x]", Run(&[READ])),
            ("8,0 3 15 0.010000000 697 D WS 24 + 8 [x]", Run(&[WRITE])),
            ("8,0 3 16 0.010000000 697 D WSM 24 + 8 [x]", Run(&[WRITE])),
            ("8,0 3 17 0.010000000 697 D WFS 24 + 8 [x]", Run(&[WRITE_FUA])),
            ("8,0 3 18 0.010000000 697 D WFSM 24 + 8 [x]", Run(&[WRITE_FUA])),
            // F before the rest is a flush before it.
            ("8,0 3 19 0.010000000 697 D FWS 24 + 8 [x]", Run(&[FLUSH, WRITE])),
            (
                "8,0 3 20 0.010000000 697 D FWFS 24 + 8 [x]",
                Run(&[FLUSH, WRITE_FUA]),
            ),
            (
                "8,0 3 21 0.010000000 697 D FWFSM 24 + 8 [x]",
                Run(&[FLUSH, WRITE_FUA]),
            ),
            // Flushes without data: of the kernel (FN), of the tracepoints (FF), and as empty writes.
            ("8,0 3 22 0.010000000 71 D FN [kworker/1:1H]", Run(&[FLUSH])),
            ("8,0 3 23 0.010000000 71 D FF [kworker/1:1H]", Run(&[FLUSH])),
            ("8,0 3 24 0.010000000 71 D F [x]", Run(&[FLUSH])),
            ("8,0 3 25 0.010000000 71 D FS [x]", Run(&[FLUSH])),
            ("8,0 3 26 0.010000000 71 D FWS [x]", Run(&[FLUSH])),
            ("8,0 3 27 0.010000000 71 D FWS 0 + 0 [x]", Run(&[FLUSH])),
            ("8,0 3 28 0.010000000 71 D FN 0 + 0 [x]", Run(&[FLUSH])),
            // Discards.
            ("8,0 3 29 0.010000000 697 D D 2048 + 2048 [fstrim]", Run(&[TRIM])),
            ("8,0 3 30 0.010000000 697 D DS 2048 + 2048 [fstrim]", Run(&[TRIM])),
            (
                "8,0 3 31 0.010000000 697 D DE 2048 + 2048 [blkdiscard]",
                Run(&[TRIM]),
            ),
            // Names of processes hold anything.
            ("8,0 3 32 0.010000000 697 D R 8 + 8 [a b]", Run(&[READ])),
            ("8,0 3 33 0.010000000 697 D R 8 + 8 [8 + 16]", Run(&[READ])),
            ("8,0 3 34 0.010000000 697 D R 8 + 8 []", Run(&[READ])),
            ("8,0 3 35 0.010000000 697 D FN [0 + 8]", Run(&[FLUSH])),
            (
                "259,12 127 4000000000 0.010000000 4194303 D R 8 + 8 [x]",
                Run(&[READ]),
            ),
            // Commands of user space.
            (
                "8,0 1 2 0.010000000 184 D R 36 (12 00 00 00 24 00 ..) [prober]",
                LeftOut(Reason::Passthrough),
            ),
            (
                "8,0 1 2 0.010000000 184 D W 512 (3b 00 ..) [prober]",
                LeftOut(Reason::Passthrough),
            ),
            (
                "8,0 1 3 0.010000000 184 D N 0 (00 ..) [kworker/1:0]",
                LeftOut(Reason::Passthrough),
            ),
            (
                "8,0 1 4 0.010000000 184 D R 512 [prober]",
                LeftOut(Reason::Passthrough),
            ),
            (
                "8,0 1 5 0.010000000 184 D RS 4096 [nvme]",
                LeftOut(Reason::Passthrough),
            ),
            // What has no data and is no flush, and what has none of what it should have.
            ("8,0 1 6 0.010000000 184 D N [x]", LeftOut(Reason::NoData)),
            ("8,0 1 7 0.010000000 184 D NS [x]", LeftOut(Reason::NoData)),
            (
                "8,0 1 8 0.010000000 184 D W 64 + 0 [x]",
                LeftOut(Reason::ZeroLength),
            ),
            ("8,0 1 9 0.010000000 184 D R [x]", LeftOut(Reason::ZeroLength)),
            (
                "8,0 1 10 0.010000000 184 D ZR 524288 + 8 [x]",
                LeftOut(Reason::OtherCommand),
            ),
            (
                "8,0 1 11 0.010000000 184 D ZRA 0 + 8 [x]",
                LeftOut(Reason::OtherCommand),
            ),
            (
                "8,0 1 12 0.010000000 184 D WZS 8 + 8 [x]",
                LeftOut(Reason::OtherCommand),
            ),
            (
                "8,0 1 13 0.010000000 184 D R 18446744073709551615 + 8 [x]",
                LeftOut(Reason::OutOfRange),
            ),
            (
                "8,0 1 13 0.010000000 184 D R 36028797018963967 + 8 [x]",
                LeftOut(Reason::OutOfRange),
            ),
            // What is not in the format.
            (
                "8,0 1 14 0.010000000 184 D R -8 + 8 [x]",
                LeftOut(Reason::Malformed),
            ),
            (
                "8,0 1 15 0.010000000 184 D X 8 + 8 [x]",
                LeftOut(Reason::Malformed),
            ),
            ("8,0 1 16 0.010000000 184 D", LeftOut(Reason::Malformed)),
            (
                "8,0 1 17 0,010000000 184 D R 8 + 8 [x]",
                LeftOut(Reason::Malformed),
            ),
            ("8,0 1 18", LeftOut(Reason::Malformed)),
            ("$ blkparse -i sda", LeftOut(Reason::Malformed)),
            // Other actions, messages, and what surrounds the events.
            (
                "  8,0    3        1     0.010000000   697  G   W 223490 + 8 [kjournald]",
                Nothing,
            ),
            (
                "  8,0    3        4     0.010000000     0  C   W 223490 + 8 [0]",
                Nothing,
            ),
            (
                "  8,0    3        5     0.010000000   697  P   N [kjournald]",
                Nothing,
            ),
            ("  8,0    3        6     0.010000000   697  UT   N [x] 1", Nothing),
            (
                "  8,0    3        7     0.010000000   697  A   W 223490 + 8 <- (8,1) 223427",
                Nothing,
            ),
            (
                "  8,0    0        0     0.010000000     0  m   N cfq697 dispatched a request",
                Nothing,
            ),
            ("Input file sda.blktrace.0 added", Nothing),
            ("CPU3 (sda):", Nothing),
            (
                " Reads Queued:           0,        0KiB\t Writes Queued:          77,      335KiB",
                Nothing,
            ),
            (
                " Read Dispatches:        0,        0KiB\t Write Dispatches:        7,       34KiB",
                Nothing,
            ),
            (
                " IO unplugs:             2        \t Timer unplugs:           0",
                Nothing,
            ),
            ("Total (sda):", Nothing),
            ("Throughput (R/W): 0KiB/s / 92KiB/s", Nothing),
            ("Events (sda): 91 entries", Nothing),
            ("Skips: 0 forward (0 -   0.0%)", Nothing),
            ("", Nothing),
        ],
    );
}

#[test]
fn lines_of_iologs() {
    let lines: &[(&str, Expected)] = &[
        ("/dev/x add", Nothing),
        ("/dev/x open", Nothing),
        ("/dev/x close", Nothing),
        ("/dev/x read 4096 4096", Run(&[READ])),
        ("/dev/x write 8192 512", Run(&[WRITE])),
        ("/dev/x trim 0 1048576", Run(&[TRIM])),
        ("/dev/x sync 0 0", Run(&[FLUSH])),
        ("/dev/x sync", Run(&[FLUSH])),
        ("/dev/x datasync 4096 0", Run(&[FLUSH])),
        ("/dev/x sync_file_range 0 4096", Run(&[FLUSH])),
        ("/dev/x\tread\t4096\t4096", Run(&[READ])),
        ("/dev/x read 4096 4096   ", Run(&[READ])),
        ("", Nothing),
        ("/dev/x write 0 0", LeftOut(Reason::ZeroLength)),
        ("/dev/x trim 4096 0", LeftOut(Reason::ZeroLength)),
        (
            "/dev/x read 18446744073709551615 512",
            LeftOut(Reason::OutOfRange),
        ),
        ("/dev/x read 99999999999999999999 512", LeftOut(Reason::Malformed)),
        ("/dev/x write 0", LeftOut(Reason::Malformed)),
        ("/dev/x write", LeftOut(Reason::Malformed)),
        ("/dev/x erase 0 512", LeftOut(Reason::Malformed)),
        ("/dev/x write -512 512", LeftOut(Reason::Malformed)),
        ("write", LeftOut(Reason::Malformed)),
    ];
    let sound = "/dev/x read 0 512";
    check("fio version 2 iolog\n", sound, lines);
    check("FIO version 2 iolog\r\n", sound, lines);
    // Version 3 has a time before each, and no waits.
    let with_times: Vec<(String, Expected)> = lines
        .iter()
        .filter(|(line, _)| !line.is_empty())
        .map(|(line, expected)| (format!("700 {line}"), *expected))
        .collect();
    let mut lines: Vec<(&str, Expected)> = with_times
        .iter()
        .map(|(line, expected)| (line.as_str(), *expected))
        .collect();
    lines.push(("800 /dev/x wait 500000 0", LeftOut(Reason::Wait)));
    lines.push(("soon /dev/x read 0 512", LeftOut(Reason::Malformed)));
    lines.push(("900", LeftOut(Reason::Malformed)));
    check("fio version 3 iolog\n", "700 /dev/x read 0 512", &lines);
    check(
        "",
        "0, 4096, 512",
        &[
            ("1, 0, 4096", Run(&[WRITE])),
            ("0,0,512", Run(&[READ])),
            ("1, 0, 0", LeftOut(Reason::ZeroLength)),
            ("2, 0, 512", LeftOut(Reason::Malformed)),
            ("1, 0", LeftOut(Reason::Malformed)),
        ],
    );
}

#[test]
fn lines_of_msr_traces() {
    let lines = [
        (
            "128166372016382155,usr,0,Write,1317441,8192,1963",
            LeftOut(Reason::Widened),
        ),
        ("128166372016382155,usr,0,Write,13174272,8192,1963", Run(&[WRITE])),
        ("128166372016382155,usr,0,READ,13174272,8192,1963", Run(&[READ])),
        (
            "128166372016382155, usr, 0, write, 13174272, 8192, 1963",
            Run(&[WRITE]),
        ),
        (
            "\"128166372016382155\",\"usr\",\"0\",\"Write\",\"13174272\",\"8192\",\"1963\"",
            Run(&[WRITE]),
        ),
        ("128166372016382155,usr,0,R,13174272,8192,1963", Run(&[READ])),
        (
            "Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime",
            Nothing,
        ),
        ("", Nothing),
        (
            "128166372016382155,usr,0,Write,13174272,0,1963",
            LeftOut(Reason::ZeroLength),
        ),
        (
            "128166372016382155,usr,0,Trim,13174272,512,1963",
            LeftOut(Reason::Malformed),
        ),
        (
            "128166372016382155,usr,0,Write,13174272,512",
            LeftOut(Reason::Malformed),
        ),
        (
            "128166372016382155,usr,0,Write,13174272,512,1,1",
            LeftOut(Reason::Malformed),
        ),
        (
            "128166372016382155,usr,0,Write,-1,512,1",
            LeftOut(Reason::Malformed),
        ),
        ("never,usr,0,Write,0,512,1", LeftOut(Reason::Malformed)),
    ];
    let sound = "128166372016382155,usr,0,Read,0,512,1";
    // Widened is run, and counted.
    check("", sound, &lines[1..]);
    for heading in [
        "Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime\n",
        "timestamp,hostname,disknumber,type,offset,size,responsetime\r\n",
        "TIMESTAMP, HOST NAME, DISK NUMBER, TYPE, OFFSET, SIZE, RESPONSE TIME\n",
        "\u{feff}\"Timestamp\",\"Hostname\",\"DiskNumber\",\"Type\",\"Offset\",\"Size\",\"ResponseTime\"\n",
        "time_stamp,host,disk_no,op,offset_bytes,length,latency\n",
        "\n\n",
    ] {
        check(heading, sound, &lines[1..]);
    }
    let (ios, report) = run(
        format!("{sound}\n{}\n", lines[0].0).as_bytes(),
        TraceOptions::default(),
    )
    .unwrap();
    assert_eq!(remarks(&report), [(Reason::Widened, 1, 2)]);
    // 1317441 is in the block from 1317376 to 1317888; 1317441 + 8192 in the one up to 1325056 + 1024.
    assert_eq!(ios[1], io(0, WRITE, 1_317_376, 8704));
}

#[test]
fn names_that_are_not_utf_8_are_nothing_special() {
    let mut blkparse = b"8,0 0 1 0.000000000 1 D R 0 + 8 [".to_vec();
    blkparse.extend([0xFF, 0xC3, 0x28, b']', b'\n']);
    let mut iolog = b"fio version 2 iolog\n/mnt/".to_vec();
    iolog.extend([0xE9, b' ', 0x80]);
    iolog.extend(b" read 0 4096\n");
    let mut msr = b"1,".to_vec();
    msr.extend([0xFC, b',']);
    msr.extend(b"0,Read,0,4096,1\n");
    for trace in [blkparse, iolog, msr] {
        let (ios, report) = run(&trace, strict()).unwrap();
        assert_eq!((ios.len(), report.remarks.len()), (1, 0), "{trace:?}");
        assert_eq!((ios[0].action, ios[0].len_bytes), (READ, 4096));
    }
}

#[test]
fn the_ways_in_which_a_text_is_stored_make_no_difference() {
    let text = "fio version 3 iolog\n1 /x add\n5 /x write 0 4096\n9 /x read 4096 512\n";
    let expected = read(text);
    assert_eq!(expected.len(), 2);
    let crlf = text.replace('\n', "\r\n");
    let without_last_break = text.trim_end();
    let bom = format!("\u{feff}{text}");
    let utf_16: Vec<u16> = bom.encode_utf16().collect();
    let little: Vec<u8> = utf_16.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = utf_16.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let padded = format!("\n\n{text}\n\n");
    for stored in [
        crlf.as_bytes(),
        without_last_break.as_bytes(),
        bom.as_bytes(),
        &little,
        &big,
        padded.as_bytes(),
    ] {
        let (ios, report) = run(stored, strict()).unwrap();
        assert_eq!(ios, expected, "{stored:?}");
        assert!(report.remarks.is_empty());
    }
}
