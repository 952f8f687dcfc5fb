//! When a command of a namespace is done, and where its data is.

use ssd_model::{Command, Model, Refusal};

use crate::command::job::Placed;
use crate::command::lba::ByteRange;
use crate::io::zone::target::Target;
use crate::namespace::Namespace;

/// Whether a command that goes through ring number `ring` can read `range` now, without reading it.
///
/// # Errors
/// If it cannot, or not now.
pub(crate) fn check_read(
    namespace: &mut Namespace,
    now_ns: u64,
    ring: usize,
    range: ByteRange,
) -> Result<(), Refusal> {
    match Target::of(namespace, ring) {
        Some(mut target) => target.check_read(now_ns, range),
        None => Ok(()),
    }
}

/// Starts a command that goes through ring number `ring` and reads, writes or flushes `range`.
///
/// # Errors
/// If it cannot be started, or not now.
pub(crate) fn place(
    namespace: &mut Namespace,
    now_ns: u64,
    ring: usize,
    command: &Command,
    range: ByteRange,
) -> Result<Placed, Refusal> {
    if let Some(mut target) = Target::of(namespace, ring) {
        return target.submit(now_ns, command, range);
    }
    let accepted = namespace.model.submit(now_ns, command)?;
    Ok(Placed {
        done_at_ns: accepted.done_at_ns,
        result: accepted.result,
        extents: namespace.readable_extents(range),
        zone: None,
        clears_on_failure: false,
        zeroing: None,
    })
}
