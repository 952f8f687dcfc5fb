//! The link between two dispatchers, through which commands are forwarded.

use alloc::vec::Vec;

use nvme_spec::SubmissionQueueEntry;

use crate::command::id::CommandRef;
use crate::command::wait::{Progress, Wait};
use crate::limits::BURST_MAX;
use crate::ring::{ring, Consumer, Producer};
use crate::setup::SetupError;

/// Commands, and replies, that can be under way from one queue set to another. What finds no room
/// waits where it is.
const ROOM: usize = 16 * BURST_MAX;

/// A command for another queue set.
#[derive(Clone, Copy)]
pub(crate) struct ForwardedCommand {
    pub entry: SubmissionQueueEntry,
    pub command: CommandRef,
    pub progress: Progress,
    /// Whether it is the first that its queue holds.
    pub is_first: bool,
}

/// The outcome of forwarded commands of one queue.
#[derive(Clone, Copy)]
pub(crate) struct ForwardReply {
    pub sqid: u16,
    /// How many were started.
    pub taken: u16,
    /// What the next one waits for, if it has to. Those behind it were dropped: their queue still holds
    /// them.
    pub wait: Option<Wait>,
}

/// One queue set's end of the link to another one.
pub(crate) struct PeerLink {
    pub commands_out: Producer<ForwardedCommand>,
    pub commands_in: Consumer<ForwardedCommand>,
    pub replies_out: Producer<ForwardReply>,
    pub replies_in: Consumer<ForwardReply>,
    /// A command of the peer had to wait, and so have those that came with it.
    pub is_refusing: bool,
}

impl PeerLink {
    fn pair() -> Result<[Self; 2], SetupError> {
        let ((to_second, from_first), (to_first, from_second)) = (ring(ROOM)?, ring(ROOM)?);
        let ((back_to_second, back_from_first), (back_to_first, back_from_second)) =
            (ring(ROOM)?, ring(ROOM)?);
        Ok([
            Self {
                commands_out: to_second,
                commands_in: from_second,
                replies_out: back_to_second,
                replies_in: back_from_second,
                is_refusing: false,
            },
            Self {
                commands_out: to_first,
                commands_in: from_first,
                replies_out: back_to_first,
                replies_in: back_from_first,
                is_refusing: false,
            },
        ])
    }

    /// The peer's next command that is not behind one that has to wait. Those of a queue come together.
    pub fn next_command(&mut self) -> Option<ForwardedCommand> {
        loop {
            let forwarded = self.commands_in.pop()?;
            self.is_refusing &= !forwarded.is_first;
            if !self.is_refusing {
                return Some(forwarded);
            }
        }
    }
}

/// For each of `count` queue sets, its links to the others; nothing to itself.
pub(crate) fn peer_links(count: usize) -> Result<Vec<Vec<Option<PeerLink>>>, SetupError> {
    let mut all: Vec<Vec<Option<PeerLink>>> = Vec::new();
    all.try_reserve_exact(count)?;
    for _ in 0..count {
        let mut own = Vec::new();
        own.try_reserve_exact(count)?;
        for other in &mut all {
            let [of_other, of_own] = PeerLink::pair()?;
            other.push(Some(of_other));
            own.push(Some(of_own));
        }
        own.push(None);
        all.push(own);
    }
    Ok(all)
}
