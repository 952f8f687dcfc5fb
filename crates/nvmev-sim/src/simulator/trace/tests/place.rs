//! Where commands go: devices, the end of the drive, and its largest transfer.

use super::*;

const KIB: u64 = 1024;

fn reads(text: &str, options: TraceOptions) -> (Vec<(u64, u64)>, TraceReport) {
    let (ios, report) = run(text.as_bytes(), options).unwrap();
    (
        ios.iter().map(|io| (io.offset_bytes, io.len_bytes)).collect(),
        report,
    )
}

#[test]
fn requests_longer_than_a_transfer_are_split_as_the_block_layer_does() {
    let text = "fio version 3 iolog\n5 /x write 4096 300000\n7 /x read 0 131072\n9 /x trim 0 10485760\n";
    let (ios, report) = run(text.as_bytes(), TraceOptions::default()).unwrap();
    // 300000 bytes from 4096 on end in the block up to 304128.
    let write = Action::Write(false);
    let expected = [
        io(0, write, 4096, 128 * KIB),
        io(0, write, 4096 + 128 * KIB, 128 * KIB),
        io(0, write, 4096 + 256 * KIB, 304_128 - 4096 - 256 * KIB),
        io(2_000, Action::Read, 0, 128 * KIB),
        io(4_000, Action::Trim, 0, 10 << 20),
    ];
    assert_eq!(ios, expected);
    assert_eq!(remarks(&report), [(Reason::Widened, 1, 2), (Reason::Split, 1, 2)]);
    assert_eq!(report.commands, 5);
    let options = TraceOptions {
        transfer_bytes_max: 32 << 20,
        ..TraceOptions::default()
    };
    assert_eq!(run(text.as_bytes(), options).unwrap().0.len(), 3);
}

#[test]
fn only_the_first_piece_waits_and_only_it_has_the_flush() {
    let ios = read("fio version 2 iolog\n/x wait 7 0\n/x read 0 262144\n");
    assert_eq!(ios.iter().map(|io| io.wait_ns).collect::<Vec<_>>(), [7000, 0]);
    let ios = read("8,0 0 1 0.000000000 7 D FWFS 0 + 512 [x]\n");
    let actions: Vec<Action> = ios.iter().map(|io| io.action).collect();
    assert_eq!(actions, [Action::Flush, Action::Write(true), Action::Write(true)]);
}

#[test]
fn commands_beyond_the_end_are_moved_left_out_or_refused() {
    let text = "fio version 2 iolog\n/x read 1073741312 1024\n/x read 5000000000 4096\n/x read 0 512\n";
    let with = |beyond| TraceOptions {
        beyond,
        ..TraceOptions::default()
    };
    let (wrapped, report) = reads(text, with(Beyond::Wrap));
    assert_eq!(remarks(&report), [(Reason::Moved, 2, 2)]);
    // Modulo the places where they fit as a whole: GIB - 1024 + 512, and GIB - 4096 + 512.
    assert_eq!(wrapped[0], (0, 1024));
    assert_eq!(wrapped[1], (5_000_000_000 % (GIB - 4096 + 512) / 512 * 512, 4096));
    assert_eq!(wrapped[2], (0, 512));
    let (left, report) = reads(text, with(Beyond::Skip));
    assert_eq!(left, [(0, 512)]);
    assert_eq!(remarks(&report), [(Reason::Beyond, 2, 2)]);
    let error = run(text.as_bytes(), with(Beyond::Error)).unwrap_err();
    assert!(error.starts_with("t:2: the command ends at byte 1073742336, the namespace at 1073741824"));
}

#[test]
fn what_is_longer_than_the_drive_covers_it_once() {
    let text = "fio version 2 iolog\n/x write 512 5368709120\n/x trim 4096 99999999999488\n";
    let (ios, report) = run(text.as_bytes(), TraceOptions::default()).unwrap();
    let written: u64 = ios
        .iter()
        .filter(|io| io.action != Action::Trim)
        .map(|io| io.len_bytes)
        .sum();
    assert_eq!(written, GIB);
    assert!(ios.iter().all(|io| io.offset_bytes + io.len_bytes <= GIB));
    assert_eq!(*ios.last().unwrap(), io(None, Action::Trim, 0, GIB));
    assert_eq!(remarks(&report), [(Reason::Moved, 2, 2), (Reason::Split, 1, 2)]);
}

#[test]
fn the_devices_of_a_trace_are_counted_and_one_can_be_chosen() {
    let blkparse = "8,0 0 1 0.0 7 D R 0 + 8 [x]\n8,16 0 1 0.1 7 D R 8 + 8 [x]\n8,16 0 1 0.2 7 D FN [x]\n8,0 0 1 0.3 7 Q R 0 + 8 [x]\n";
    let iolog = "fio version 2 iolog\n/a add\n/b b add\n/a read 0 512\n/b b read 512 512\n/b b sync\n";
    let msr = "1,hm,0,Read,0,512,1\n2,prn,1,Read,512,512,1\n3,prn,1,Write,512,512,1\n";
    for (text, first, second, also, name) in [
        (blkparse, "8,0", "8,16", "8,16", "devices"),
        (iolog, "/a", "/b b", "/b b", "files"),
        (msr, "hm,0", "prn,1", "prn", "disks"),
    ] {
        let device = |name: &str, commands| DeviceReport {
            name: name.to_owned(),
            commands,
        };
        let mut trace = reader(text.as_bytes(), TraceOptions::default()).unwrap();
        while trace.next_io().unwrap().is_some() {}
        let report = trace.report();
        assert_eq!(report.devices, [device(first, 1), device(second, 2)]);
        assert_eq!((report.commands, report.devices_run), (3, 2));
        let merged = format!("2 {name} ({first}; {second}) were merged into one drive");
        assert!(trace.warnings()[0].starts_with(&merged), "{:?}", trace.warnings());

        for chosen in [second, also] {
            let only = TraceOptions {
                device: Some(chosen.to_owned()),
                is_strict: true,
                ..TraceOptions::default()
            };
            let mut trace = reader(text.as_bytes(), only).unwrap();
            while trace.next_io().unwrap().is_some() {}
            assert_eq!((trace.report().commands, trace.report().devices_run), (2, 1));
            assert!(trace.warnings().is_empty());
        }
        let error = run(text.as_bytes(), strict()).unwrap_err();
        assert!(error.contains(&merged), "{error}");
        let none = TraceOptions {
            device: Some(String::from("8")),
            ..TraceOptions::default()
        };
        let error = run(text.as_bytes(), none).unwrap_err();
        assert!(
            error.contains(&format!("the {name} of this trace: {first}; {second}")),
            "{error}"
        );
    }
}

#[test]
fn a_trace_of_very_many_files_is_read_and_the_first_ones_are_told_apart() {
    let lines: String = (0..3000).map(|file| format!("/f{file} read 0 512\n")).collect();
    let text = format!("fio version 2 iolog\n{lines}");
    let counts = |device: Option<&str>| {
        let options = TraceOptions {
            device: device.map(str::to_owned),
            ..TraceOptions::default()
        };
        let mut trace = reader(text.as_bytes(), options).unwrap();
        while trace.next_io().unwrap().is_some() {}
        (trace.report(), trace.warnings())
    };
    let (report, warnings) = counts(None);
    assert_eq!((report.commands, report.devices.len()), (3000, 1001));
    assert_eq!(
        (report.devices[999].commands, report.devices[1000].commands),
        (1, 2000)
    );
    assert!(
        warnings[0].contains("(/f0; /f1; /f2; /f3; /f4; /f5; /f6; /f7; 993 more)"),
        "{warnings:?}"
    );
    // The chosen one is found however late it comes.
    let (report, warnings) = counts(Some("/f2500"));
    assert_eq!((report.commands, report.devices_run), (1, 1));
    assert!(warnings.is_empty(), "{warnings:?}");
}
