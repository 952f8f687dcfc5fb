//! What the fuzz targets have in common: a drive with a namespace of each kind, a host that does what an input says, and an oracle. See README.md.

mod drive;
mod oracle;
mod pointer;
pub mod seeds;
mod session;
pub mod step;
pub mod storm;
mod tally;
mod trace_reader;
mod trail;

use zerocopy::FromBytes;

use session::Session;
use step::{Header, Step};
use storm::{Access, Act};

/// Words of a pointer's script in an input for [`data_pointers`].
pub const SCRIPT_WORDS: usize = 8;

/// Steps of an input at most: what comes after them says nothing.
const STEPS_MAX: usize = 512;

/// The input's header, and the rest.
fn take_header(input: &[u8]) -> (Header, &[u8]) {
    Header::read_from_prefix(input).unwrap_or((Header::default(), &[]))
}

/// Commands from a host that keeps its queues in order.
///
/// # Panics
/// If the device does what it must not do.
pub fn commands(input: &[u8]) {
    run_steps(input, 0);
}

/// As [`commands`], with lists and segments that the input writes itself.
///
/// # Panics
/// If the device does what it must not do.
pub fn data_pointers(input: &[u8]) {
    run_steps(input, SCRIPT_WORDS);
}

fn run_steps(input: &[u8], script_words: usize) {
    let (header, steps) = take_header(input);
    let mut session = Session::new(header);
    let steps = steps
        .chunks_exact(size_of::<Step>() + 2 * script_words)
        .take(STEPS_MAX);
    for _ in 0..header.rounds(steps.len()) {
        for chunk in steps.clone() {
            let (step, script) = Step::read_from_prefix(chunk).expect("the size of a step, at least");
            let words = script
                .chunks_exact(2)
                .map(|word| u16::from_le_bytes([word[0], word[1]]));
            session.take(&step, &words.collect::<Vec<u16>>());
        }
    }
    session.finish();
}

/// A host that does anything, and then one that behaves well.
///
/// # Panics
/// If the device does what it must not do.
pub fn registers(input: &[u8]) {
    let (header, acts) = take_header(input);
    let mut session = Session::new(header);
    session.put_something_away();
    let acts = acts.chunks_exact(size_of::<Act>()).take(STEPS_MAX);
    for _ in 0..header.rounds(acts.len()) {
        let acts = acts
            .clone()
            .map(|act| Act::read_from_bytes(act).expect("the size of an act"));
        session.endure(acts);
        session.put_something_away();
    }
    session.finish();
}

/// Configuration space.
///
/// # Panics
/// If the device does what it must not do.
pub fn config_space(input: &[u8]) {
    let (header, accesses) = take_header(input);
    let mut session = Session::new(header);
    session.put_something_away();
    for access in accesses.chunks_exact(size_of::<Access>()).take(STEPS_MAX) {
        session.configure(&Access::read_from_bytes(access).expect("the size of an access"));
    }
    session.endure(std::iter::empty());
    session.put_something_away();
    session.finish();
}

/// The simulator's reader of traces: no device.
///
/// # Panics
/// If it does what it must not do.
pub fn traces(input: &[u8]) {
    tally::count(trace_reader::read(input));
}
