//! What a timing model is asked, and what it answers.

use nvme_spec::Status;

/// What a model is asked to time. Addresses and lengths are in bytes: LBA formats are the device's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read `len_bytes` at `offset_bytes` of the namespace.
    Read {
        /// First byte.
        offset_bytes: u64,
        /// Number of bytes.
        len_bytes: u32,
    },
    /// Write `len_bytes` at `offset_bytes` of the namespace.
    Write {
        /// First byte.
        offset_bytes: u64,
        /// Number of bytes.
        len_bytes: u32,
        /// Force unit access: done only when on the medium.
        fua: bool,
    },
    /// Make everything acknowledged so far durable.
    Flush,
    /// Forget `len_bytes` at `offset_bytes` of the namespace: they read as zeros from now on.
    Deallocate {
        /// First byte.
        offset_bytes: u64,
        /// Number of bytes; the device limits them, so that one command's work is bounded.
        len_bytes: u64,
    },
    /// Write zeros to `len_bytes` at `offset_bytes` of the namespace, without a transfer of data.
    WriteZeroes {
        /// First byte.
        offset_bytes: u64,
        /// Number of bytes; at most the largest transfer.
        len_bytes: u32,
        /// Force unit access, see [`Command::Write`].
        fua: bool,
        /// The zeros need not be on flash: the bytes may be deallocated instead.
        deallocate: bool,
    },
    /// Write `len_bytes` where the zone that begins at `offset_bytes` is written next; the result is the first byte's address.
    Append {
        /// First byte of the zone.
        offset_bytes: u64,
        /// Number of bytes.
        len_bytes: u32,
        /// Force unit access, see [`Command::Write`].
        fua: bool,
    },
    /// Change the state of the zone that begins at `offset_bytes`.
    ZoneSend {
        /// First byte of the zone.
        offset_bytes: u64,
        /// What to do with it.
        action: ZoneAction,
    },
    /// Change the state of all zones in which `action` means something.
    ZoneSendAll {
        /// What to do with them.
        action: ZoneAction,
    },
}

/// A Zone Send Action (NVMe ZNS 1.1 §3.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneAction {
    /// Open Zone.
    Open {
        /// With a random write area.
        with_zrwa: bool,
    },
    /// Close Zone.
    Close,
    /// Finish Zone.
    Finish,
    /// Reset Zone.
    Reset,
    /// Offline Zone.
    Offline,
    /// Set Zone Descriptor Extension: what this does to the zone's state.
    SetExtension {
        /// With a random write area.
        with_zrwa: bool,
    },
    /// Flush Explicit ZRWA Zone.
    FlushZrwa {
        /// Up to so many bytes from the zone's start.
        len_bytes: u64,
    },
}

/// A command that a model took on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Time at which the command is done, ns. May lie before `now` (MODELS.md Q10): the device then completes at once.
    pub done_at_ns: u64,
    /// Command-specific result (dwords 0 and 1 of the completion).
    pub result: u64,
}

/// Why a model did not take a command on. The two are never the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No buffer space now: ask again at `retry_at_ns`. Nothing in the model has changed.
    Busy {
        /// Earliest time at which asking again can succeed, ns. MUST be later than the `now_ns` of the refused call.
        retry_at_ns: u64,
    },
    /// The command is wrong and ends with this status, at once.
    Failed(Status),
    /// The command is wrong, and it takes its time nevertheless.
    FailedLate {
        /// Its status.
        status: Status,
        /// When it ends, ns; see [`Accepted::done_at_ns`].
        done_at_ns: u64,
    },
}

/// A timing model. `Flush` and `Deallocate` MUST NOT be refused as `Busy`. `submit` MUST be deterministic in (state, now_ns, command); a `Busy` answer MUST leave the timing
/// state as it was. `submit` MUST NOT panic, allocate, or loop without a bound fixed at set-up, whatever its arguments.
/// A caller SHOULD pass times that never go back; an earlier time is taken as it is.
pub trait Model {
    /// Takes `command` on at `now_ns`.
    ///
    /// # Errors
    /// See [`Refusal`].
    fn submit(&mut self, now_ns: u64, command: &Command) -> Result<Accepted, Refusal>;

    /// A read or a write that begins at `offset_bytes` will probably be submitted soon, after others of which this was said. What is looked up for
    /// it can be looked at now: a processor waits once for the memory of all of them, and not for one after the other as they are submitted. Changes
    /// nothing and MUST NOT panic, whatever the arguments.
    fn anticipate(&self, _offset_bytes: u64, _is_write: bool) {}
}
