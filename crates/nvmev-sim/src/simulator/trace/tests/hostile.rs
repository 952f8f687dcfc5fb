//! Whatever a file holds, it is run as far as it can be understood, and never ends a run by one of its lines.

use proptest::prelude::*;

use super::*;

const SOUND: [&str; 5] = [
    "0, 4096, 512",
    "fio version 2 iolog\n/x read 0 512",
    "fio version 3 iolog\n7 /x read 0 512",
    "1,h,0,Read,0,512,1",
    "8,0 1 1 0.000000000 7 D R 8 + 8 [x]",
];

/// Lines as the formats have them, to be changed.
const LINES: [&str; 18] = [
    "1, 8192, 4096",
    "/x write 4096 4096",
    "/x wait 100 0",
    "/x trim 0 1048576",
    "/x datasync 0 0",
    "9 /x write 4096 4096",
    "18446744073709551615 /x read 4096 4096",
    "Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime",
    "128166372003061629,hm,1,Write,8192,4096,26",
    "18446744073709551615,hm,1,Write,8192,4096,26",
    "  8,0    1        1     0.000000000   700  D  WS 4096 + 8 [writer]",
    "  8,16   1        2     9.999999999   700  D FWFS 4096 + 8 [writer]",
    "  8,0    1        2     0.001000000    71  D  FN [kworker/1:1H]",
    "  8,16   1        2     0.331614356   184  D   R 36 (12 00 00 00 24 00 ..) [prober]",
    "  8,0    1        2     0.001000000    71  D  DE 0 + 4194304 [x]",
    "  8,0    1        2     18446744073.709551615    71  D  R 36028797018963967 + 4294967295 [x]",
    "CPU0 (sda):",
    "",
];

/// Runs a trace to its end or to a bound, and checks what is always so.
fn survive(bytes: &[u8], options: TraceOptions) -> Result<(), TestCaseError> {
    let Ok(mut trace) = reader(bytes, options) else {
        return Ok(());
    };
    let (mut last_ns, mut commands) = (0, 0);
    // A long command is many.
    while commands < 20_000 {
        match trace.next_io() {
            Ok(Some(io)) => {
                commands += 1;
                prop_assert!(io.offset_bytes + io.len_bytes <= GIB, "{io:?}");
                prop_assert!(io.offset_bytes % 512 == 0 && io.len_bytes % 512 == 0, "{io:?}");
                prop_assert_eq!(io.len_bytes == 0, io.action == Action::Flush);
                if let Some(at_ns) = io.at_ns {
                    prop_assert!(at_ns >= last_ns);
                    last_ns = at_ns;
                }
            }
            Ok(None) => break,
            Err(error) => {
                prop_assert_eq!(error.line, 0, "{}", error);
                prop_assert!(error.reason.starts_with("there is no command"), "{}", error);
                break;
            }
        }
    }
    let report = trace.report();
    prop_assert_eq!(report.commands, commands);
    for remark in &report.remarks {
        prop_assert!(
            remark.first_line >= 1 && remark.first_line <= report.lines + 1,
            "{:?}",
            remark
        );
        prop_assert!(remark.lines <= report.lines + 1, "{:?}", remark);
    }
    Ok(())
}

fn options() -> impl Strategy<Value = TraceOptions> {
    let formats = prop_oneof![
        4 => Just(None),
        1 => Just(Some(TraceFormat::IologV1)),
        1 => Just(Some(TraceFormat::IologV2)),
        1 => Just(Some(TraceFormat::IologV3)),
        1 => Just(Some(TraceFormat::Msr)),
        1 => Just(Some(TraceFormat::Blkparse)),
    ];
    (formats, any::<bool>(), 1..100_000_u64, any::<Option<u64>>()).prop_map(
        |(format, is_skipped, speed_milli, time_unit_ns)| TraceOptions {
            format,
            beyond: if is_skipped { Beyond::Skip } else { Beyond::Wrap },
            speed_milli,
            time_unit_ns,
            ..TraceOptions::default()
        },
    )
}

/// Lines of the formats, each with some of its bytes replaced, taken out or doubled.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (0..3_u8, any::<prop::sample::Index>(), any::<u8>());
    let line = (0..LINES.len(), prop::collection::vec(change, 0..4)).prop_map(|(line, changes)| {
        let mut bytes = LINES[line].as_bytes().to_vec();
        for (kind, place, byte) in changes {
            if bytes.is_empty() {
                break;
            }
            let place = place.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => drop(bytes.remove(place)),
                _ => bytes.insert(place, bytes[place]),
            }
        }
        bytes.push(b'\n');
        bytes
    });
    (0..SOUND.len(), prop::collection::vec(line, 0..30), 0..3_usize).prop_map(|(sound, lines, cut)| {
        let mut bytes = format!("{}\n", SOUND[sound]).into_bytes();
        bytes.extend(lines.concat());
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600), options in options()) {
        survive(&bytes, options)?;
    }

    #[test]
    fn any_bytes_behind_a_sound_line_are_survived(
        sound in 0..SOUND.len(),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut trace = format!("{}\n", SOUND[sound]).into_bytes();
        trace.extend(&bytes);
        let (ios, _) = run(&trace, TraceOptions::default()).map_err(TestCaseError::fail)?;
        prop_assert!(!ios.is_empty());
    }

    #[test]
    fn changed_lines_are_survived(bytes in mutated(), options in options()) {
        survive(&bytes, options)?;
    }

    #[test]
    fn damaged_compression_is_survived(
        lines in mutated(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &lines).unwrap();
        let mut packed = encoder.finish().unwrap();
        for (place, byte) in damage {
            let place = place.index(packed.len());
            packed[place] = byte;
        }
        survive(&packed, TraceOptions::default())?;
    }
}
