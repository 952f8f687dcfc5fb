//! A file that is taken for a trace, and the simulator's reader of it.

use std::io::Cursor;

use nvmev_sim::simulator::{Action, SimulatorError, Source, TraceInput, TraceOptions, TraceReader};

use crate::trail;

/// The drive that the trace is for, bytes.
const NAMESPACE_BYTES: u64 = 1 << 30;
/// Commands of a trace that are looked at: one long request can be very many.
const COMMANDS_MAX: u64 = 10_000;

/// Reads `input` to its end. Returns how many commands there were.
///
/// # Panics
/// If a line ends the run, or a command is none that the drive can take.
pub fn read(input: &[u8]) -> u64 {
    // What is refused is refused as a whole.
    let Ok(source) = TraceInput::new(Cursor::new(input.to_vec()), None) else {
        return 0;
    };
    let Ok(mut trace) = TraceReader::new("input", source, NAMESPACE_BYTES, TraceOptions::default()) else {
        return 0;
    };
    let (mut commands, mut last_ns) = (0, 0);
    while commands < COMMANDS_MAX {
        let io = match trace.next() {
            Ok(Some(io)) => io,
            Ok(None) => break,
            Err(SimulatorError::Trace(error)) => {
                assert!(error.line == 0 && commands == 0, "a line ends the run: {error}");
                break;
            }
            Err(error) => panic!("{error}"),
        };
        commands += 1;
        trail::note(|| format!("{io:?}"));
        assert!(
            io.offset_bytes + io.len_bytes <= NAMESPACE_BYTES,
            "beyond the end: {io:?}"
        );
        assert!(
            io.offset_bytes % 512 == 0 && io.len_bytes % 512 == 0,
            "no whole blocks: {io:?}"
        );
        assert_eq!(io.len_bytes == 0, io.action == Action::Flush, "{io:?}");
        if let Some(at_ns) = io.at_ns {
            assert!(at_ns >= last_ns, "back in time: {io:?}");
            last_ns = at_ns;
        }
    }
    let report = trace.report();
    assert_eq!(report.commands, commands);
    for remark in &report.remarks {
        trail::note(|| remark.to_string());
        assert!((1..=report.lines + 1).contains(&remark.first_line), "{remark}");
    }
    commands
}
