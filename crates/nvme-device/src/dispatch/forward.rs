//! Forwarding commands to the queue set that owns their namespace.
//!
//! A forwarded command stays among those that its submission queue holds. The peer gets a copy, and
//! replies how many commands it started and what the next one waits for. So when the controller
//! recalls the queue sets, copies that the peer has not looked at can be dropped.
//!
//! A queue forwards the commands of one burst at a time, to one queue set, and starts no others
//! meanwhile. Commands keep their order: behind one that waits, none is started.

use core::iter;

use crate::activity::Activity;
use crate::command::id::CommandRef;
use crate::command::reserved::Reserved;
use crate::command::wait::{Progress, Wait};
use crate::dispatch::peer::{ForwardReply, ForwardedCommand, PeerLink};
use crate::dispatch::queue_set::QueueSet;
use crate::dispatch::route::{Route, Serviced};
use crate::host::Host;
use crate::limits::{BURST_MAX, LOOK_AGAIN_NS};

impl QueueSet {
    /// Sends copies of the commands that queue `sqid` holds to queue set `other`, as far as they are for
    /// it. Returns the outcome of the service round.
    pub(crate) fn forward(&mut self, sqid: u16, other: usize) -> Serviced {
        let Some(Some(queue)) = self.submission_queues.get(usize::from(sqid)) else {
            return Serviced::Idle;
        };
        let (held, cqid) = (&queue.held, queue.cqid);
        let for_other = held
            .iter()
            .take_while(|entry| self.route_of(entry) == Route::QueueSet(other))
            .count();
        let first = held.first().map(|(_, wait)| wait.progress);
        let progress = first.into_iter().chain(iter::repeat(Progress::None));
        let forwarded = held.iter().zip(progress).enumerate().take(for_other);
        let forwarded = forwarded.map(|(index, (entry, progress))| ForwardedCommand {
            entry: *entry,
            command: CommandRef::of(entry, sqid, cqid),
            progress,
            is_first: index == 0,
        });
        let peer_link = self.others.get_mut(other).and_then(Option::as_mut);
        let sent = peer_link.map_or(0, |other| other.commands_out.push_all(forwarded));
        if let Some(queue) = self.submission_queue(sqid) {
            queue.held.send(sent);
        }
        Serviced::Fetched
    }

    /// Handles what other queue sets have sent.
    pub(crate) fn serve_peers<H: Host>(&mut self, now_ns: u64, host: &H, activity: &mut Activity) {
        for other in 0..self.others.len() {
            activity.progressed |= self.take_replies(other);
            activity.progressed |= self.serve_forwarded(other, now_ns, host);
        }
    }

    fn peer_link(&mut self, other: usize) -> Option<&mut PeerLink> {
        self.others.get_mut(other)?.as_mut()
    }

    /// Starts commands that queue set `other` has sent, at most a burst. Returns whether there were any.
    fn serve_forwarded<H: Host>(&mut self, other: usize, now_ns: u64, host: &H) -> bool {
        let count = self.anticipate_forwarded(other);
        let mut answer: Option<ForwardReply> = None;
        for _ in 0..count {
            let Some(forwarded) = self.peer_link(other).and_then(PeerLink::next_command) else {
                break;
            };
            let sqid = forwarded.command.sqid;
            if answer.is_some_and(|answer| answer.sqid != sqid) {
                self.answer(other, answer.take());
            }
            let result = self.start_forwarded(&forwarded, now_ns, host);
            let answer = answer.get_or_insert(ForwardReply {
                sqid,
                taken: 0,
                wait: None,
            });
            match result {
                Ok(()) => answer.taken += 1,
                Err(wait) => {
                    answer.wait = Some(wait);
                    if let Some(other) = self.peer_link(other) {
                        other.is_refusing = true;
                    }
                }
            }
        }
        self.answer(other, answer);
        count > 0
    }

    /// How many of the commands that queue set `other` has sent are to be started now. The models may look
    /// up what these need.
    fn anticipate_forwarded(&mut self, other: usize) -> usize {
        let Some(Some(other)) = self.others.get_mut(other) else {
            return 0;
        };
        let waiting = other.commands_in.count().min(BURST_MAX);
        if waiting == 0 {
            return 0;
        }
        let count = waiting.min(other.replies_out.free());
        if count > 1 {
            for index in 0..count {
                other.commands_in.peek(index, |forwarded| {
                    self.io.anticipate(iter::once(&forwarded.entry))
                });
            }
        }
        count
    }

    fn start_forwarded<H: Host>(
        &mut self,
        forwarded: &ForwardedCommand,
        now_ns: u64,
        host: &H,
    ) -> Result<(), Wait> {
        let ForwardedCommand {
            entry,
            command,
            progress,
            is_first: _,
        } = forwarded;
        if !self.has_worker_room(command.cqid) || !self.deferred.has_room() {
            return Err(Wait {
                retry_at_ns: now_ns.saturating_add(LOOK_AGAIN_NS),
                progress: *progress,
            });
        }
        let reserved = Reserved::held(*command);
        let started = self.start_io(entry, reserved, *progress, now_ns, host);
        // If it has to wait, its queue still holds it.
        started.map_err(|(_command, wait)| wait)
    }

    fn answer(&mut self, other: usize, answer: Option<ForwardReply>) {
        let Some(answer) = answer else { return };
        let sent = self.peer_link(other).map(|other| other.replies_out.push(answer));
        debug_assert!(matches!(sent, Some(Ok(()))), "room was looked for");
    }

    /// Takes the replies of queue set `other`. Returns whether there were any.
    fn take_replies(&mut self, other: usize) -> bool {
        let mut has_some = false;
        while let Some(reply) = self.peer_link(other).and_then(|other| other.replies_in.pop()) {
            has_some = true;
            self.take_reply(&reply);
        }
        has_some
    }

    fn take_reply(&mut self, reply: &ForwardReply) {
        let Some(queue) = self.submission_queue(reply.sqid) else {
            return;
        };
        queue.held.take_first(reply.taken.into());
        if let Some(wait) = reply.wait {
            queue.held.wait_for(wait);
            queue.held.call_back();
        }
        let is_busy = queue.is_busy();
        self.doorbells.set_busy(reply.sqid, is_busy);
        self.shared.statistics().queue(reply.sqid).turn_over();
    }

    /// The queue sets are with the controller: nothing is forwarded any more. What peers have not looked at, they forget in
    /// [`QueueSet::forget_forwarded`].
    pub(crate) fn end_forwarding(&mut self) {
        for other in 0..self.others.len() {
            self.take_replies(other);
        }
        for queue in self.submission_queues.iter_mut().flatten() {
            queue.held.call_back();
        }
    }

    /// Drops what peers have sent: their queues still hold the commands.
    pub(crate) fn forget_forwarded(&mut self) {
        for other in 0..self.others.len() {
            while self
                .peer_link(other)
                .and_then(|other| other.commands_in.pop())
                .is_some()
            {}
        }
    }
}
