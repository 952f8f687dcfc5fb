//! Times: of each format, sorted, and waited for.

use super::super::order::EVENTS_MAX;
use super::*;

#[test]
fn an_iolog_of_version_2_has_no_times_but_waits() {
    let text = "fio version 2 iolog\n/dev/x add\n/dev/x open\n/dev/x write 8192 4096\n/dev/x wait 250 0\n/dev/x wait 50\n/dev/x read 0 512\n\
                /dev/x datasync\n/dev/x trim 0 65536\n/dev/x wait 9 0\n/dev/x read 0 0\n/dev/x wait 1 0\n/dev/x read 512 512\n/dev/x close\n";
    let waits = |wait_ns, io| Io { wait_ns, ..io };
    let expected = [
        io(None, Action::Write(false), 8192, 4096),
        waits(300_000, io(None, Action::Read, 0, 512)),
        io(None, Action::Flush, 0, 0),
        io(None, Action::Trim, 0, 65536),
        // What is left out has waited, too.
        waits(10_000, io(None, Action::Read, 512, 512)),
    ];
    assert_eq!(read(text), expected);
    let half_as_fast = TraceOptions {
        speed_milli: 500,
        ..TraceOptions::default()
    };
    assert_eq!(run(text.as_bytes(), half_as_fast).unwrap().0[1].wait_ns, 600_000);
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
    assert_eq!(read(text), expected);
    for (speed_milli, time_unit_ns, at_ns) in [
        (2000, None, 9_993_500),
        (1000, Some(1), 19_987),
        (1000, Some(1_000_000), 19_987_000_000),
        (10_000, Some(1_000_000_000), 1_998_700_000_000),
    ] {
        let options = TraceOptions {
            speed_milli,
            time_unit_ns,
            ..TraceOptions::default()
        };
        assert_eq!(run(text.as_bytes(), options).unwrap().0[1].at_ns, Some(at_ns));
    }
}

#[test]
fn msr_traces_count_100_ns_unless_said_otherwise() {
    let text = "128166372003061629,usr,0,Read,14609920,24576,41286\n128166372016382155,usr,0,Write,1317376,8192,1963\n";
    let expected = [
        io(0, Action::Read, 14_609_920, 24576),
        io(1_332_052_600, Action::Write(false), 1_317_376, 8192),
    ];
    assert_eq!(read(text), expected);
    let in_ns = TraceOptions {
        time_unit_ns: Some(1),
        ..TraceOptions::default()
    };
    assert_eq!(run(text.as_bytes(), in_ns).unwrap().0[1].at_ns, Some(13_320_526));
}

#[test]
fn blkparse_may_have_fewer_digits_behind_the_point() {
    let text = "8,0 0 1 1.5 7 D R 0 + 8 [x]\n8,0 0 1 1.500001 7 D R 0 + 8 [x]\n8,0 0 1 2.000000000 7 D R 0 + 8 [x]\n";
    let times: Vec<_> = read(text).iter().map(|io| io.at_ns).collect();
    assert_eq!(times, [Some(0), Some(1_000), Some(500_000_000)]);
}

/// A trace whose commands have these times, in µs, and their number as their place.
fn with_times(times: impl IntoIterator<Item = u64>) -> String {
    let lines = times.into_iter().zip(0_u64..);
    let lines = lines.map(|(time, number)| format!("{time} /x read {} 512\n", number % 1000 * 512));
    format!("fio version 3 iolog\n{}", lines.collect::<String>())
}

#[test]
fn lines_out_of_order_are_sorted() {
    let sorted = with_times([100, 105, 105, 200]);
    let ios = read(&with_times([105, 200, 100, 105]));
    let times: Vec<_> = ios.iter().map(|io| io.at_ns).collect();
    assert_eq!(times, read(&sorted).iter().map(|io| io.at_ns).collect::<Vec<_>>());
    // Of the same time, in the order of the lines: numbers 0 and 3.
    let places: Vec<u64> = ios.iter().map(|io| io.offset_bytes / 512).collect();
    assert_eq!(places, [2, 0, 3, 1]);
    // As far as the window goes, backwards.
    let backwards = with_times((0..EVENTS_MAX as u64).rev());
    let (ios, report) = run(backwards.as_bytes(), strict()).unwrap();
    assert!(ios.windows(2).all(|pair| pair[0].at_ns < pair[1].at_ns));
    assert!(report.remarks.is_empty());
}

#[test]
fn what_comes_later_than_that_is_counted_and_runs_at_once() {
    let count = EVENTS_MAX as u64 + 10;
    // The last three lines are from before the beginning.
    let text = with_times((1000..1000 + count).chain([5, 6, 7]));
    let (ios, report) = run(text.as_bytes(), TraceOptions::default()).unwrap();
    assert_eq!(ios.len() as u64, count + 3);
    assert_eq!(remarks(&report), [(Reason::Late, 3, count + 2)]);
    assert!(ios.windows(2).all(|pair| pair[0].at_ns <= pair[1].at_ns));
    assert_eq!(
        (ios[0].at_ns, ios.last().unwrap().at_ns),
        (Some(0), Some((count - 1) * 1000))
    );
    let error = run(text.as_bytes(), strict()).unwrap_err();
    assert!(error.contains("out of order by more than the 65536"), "{error}");
}
