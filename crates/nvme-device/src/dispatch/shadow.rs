//! Shadow doorbells of the queues of a set. [`crate::queue::shadow`] has the rules.

use nvme_spec::registers::{cq_head_doorbell, sq_tail_doorbell};

use crate::dispatch::queue_set::QueueSet;
use crate::host::{HostMemory, MemoryFault};
use crate::pci::bar::Bar;
use crate::queue::shadow::{
    is_fetching, AdminShadows, DoorbellBuffers, Setup, ShadowDoorbells, COMMANDS_BY_REGISTER, DOORBELL_BYTES,
    EVENT_INDEX_NEVER, HEAD, LAST_PAIR_OFFSET, TAIL,
};

impl QueueSet {
    /// From now on, before a host is there, there is no Doorbell Buffer Config.
    pub fn withhold_shadow_doorbells(&mut self) {
        self.shadow_doorbells.is_offered = false;
    }

    /// Whether there is Doorbell Buffer Config.
    pub fn has_shadow_doorbells(&self) -> bool {
        self.shadow_doorbells.is_offered
    }

    /// Has the marks of this drive differ from another one's, which has another seed.
    pub fn seed_shadow_doorbells(&mut self, seed: u64) {
        self.shadow_doorbells.seed = seed;
    }

    /// Looks at `buffers` from now on. The doorbells there begin where those of the queues are: whatever the host had in the buffers, it changes
    /// a doorbell by writing to it.
    ///
    /// # Errors
    /// If the buffers are not in memory.
    pub fn use_shadow_doorbells<H: HostMemory>(
        &mut self,
        buffers: DoorbellBuffers,
        host: &H,
    ) -> Result<(), MemoryFault> {
        // Of all that is in them before anything is changed: both buffers are in a page each.
        for buffer in [buffers.shadows, buffers.event_indices] {
            let mut word = [0; DOORBELL_BYTES as usize];
            host.read(buffer, &mut word)?;
            host.read(buffer.wrapping_add(LAST_PAIR_OFFSET), &mut word)?;
        }
        (0..self.queues_end).for_each(|cqid| self.look_at_head(cqid, Bar(host.bar())));
        let mark = self.shadow_doorbells.next_mark();
        let mut setup = Setup {
            buffers,
            mark: mark | EVENT_INDEX_NEVER,
            admin_words: [mark; 2],
            admin: AdminShadows::Used,
        };
        if let (Some(Some(submission)), Some(Some(completion))) = (
            self.submission_queues.first_mut(),
            self.completion_queues.first_mut(),
        ) {
            let indices = [
                submission.begin_shadow_doorbell(),
                completion.begin_shadow_doorbell(),
            ];
            setup.admin_words = indices.map(|index| mark | u32::from(index));
            setup.admin = AdminShadows::Unknown {
                commands: 0,
                consumed: completion.promised(),
            };
        }
        setup.write_marks(host)?;
        self.shadow_doorbells.look_again();
        for qid in 1..self.queues_end {
            let index = usize::from(qid);
            if let Some(Some(queue)) = self.submission_queues.get_mut(index) {
                let tail = queue.begin_shadow_doorbell();
                setup.write_shadow(qid, TAIL, tail, host)?;
                self.shadow_doorbells.set_seen(qid, TAIL, tail.into());
            }
            if let Some(Some(queue)) = self.completion_queues.get_mut(index) {
                let head = queue.begin_shadow_doorbell();
                setup.write_shadow(qid, HEAD, head, host)?;
                self.shadow_doorbells.set_seen(qid, HEAD, head.into());
            }
        }
        self.shadow_doorbells.setup = Some(setup);
        self.shadow_doorbells.is_lost = false;
        Ok(())
    }

    /// A submission queue is there from now on; its tail is 0.
    pub(crate) fn begin_submission_shadow<H: HostMemory>(&mut self, sqid: u16, host: &H) {
        self.begin_shadow(sqid, TAIL, host);
    }

    /// A completion queue is there from now on; its head is 0.
    pub(crate) fn begin_completion_shadow<H: HostMemory>(&mut self, cqid: u16, host: &H) {
        self.begin_shadow(cqid, HEAD, host);
    }

    fn begin_shadow<H: HostMemory>(&mut self, qid: u16, which: usize, host: &H) {
        self.shadow_doorbells.set_seen(qid, which, 0);
        let Some(setup) = self.shadow_doorbells.setup else {
            return;
        };
        let begun = match setup.has_pages(qid, host) {
            Ok(true) => setup.write_shadow(qid, which, 0, host),
            Ok(false) => {
                self.abandon_shadow_doorbells(Bar(host.bar()));
                Ok(())
            }
            Err(fault) => Err(fault),
        };
        self.deferred.is_broken |= begun.is_err();
    }

    /// An admin command was fetched: whether the host told of it by the register alone shows what it has the shadows of queue 0 for.
    pub(crate) fn note_admin_command<H: HostMemory>(&mut self, host: &H) {
        let Some(Setup {
            buffers,
            admin_words,
            admin: AdminShadows::Unknown { commands, consumed },
            ..
        }) = &mut self.shadow_doorbells.setup
        else {
            return;
        };
        let queue = self.completion_queues.first();
        if !matches!(queue, Some(Some(queue)) if queue.has_consumed(*consumed)) {
            return;
        }
        // A driver that writes them does so before it rings.
        let mut words = [0; 2];
        match host.load(buffers.shadows, &mut words) {
            Ok(()) if words == *admin_words => *commands += 1,
            Ok(()) => return,
            Err(_) => self.deferred.is_broken = true,
        }
        if *commands >= COMMANDS_BY_REGISTER {
            if let Some(setup) = &mut self.shadow_doorbells.setup {
                setup.admin = AdminShadows::Unused;
            }
        }
    }

    /// Takes over what the host has written to the shadow doorbells.
    pub(crate) fn poll_shadow_doorbells<H: HostMemory>(&mut self, host: &H) {
        let ShadowDoorbells {
            setup: Some(setup),
            read,
            ..
        } = &mut self.shadow_doorbells
        else {
            return;
        };
        let read = read.get_mut(..self.queues_end.into()).unwrap_or_default();
        if host.load(setup.buffers.shadows, read.as_flattened_mut()).is_err() {
            self.deferred.is_broken = true;
            return;
        }
        let mut from = 0;
        while let Some((qid, read)) = self.shadow_doorbells.next_changed(from, self.queues_end) {
            match self.take_shadows(qid, read, host) {
                Ok(true) => from = qid + 1,
                Ok(false) => return self.abandon_shadow_doorbells(Bar(host.bar())),
                Err(_) => {
                    self.deferred.is_broken = true;
                    return;
                }
            }
        }
    }

    /// Takes over what was read from the shadows of `qid`, unless the pages turn out not to be the host's doorbells any more: whether they are.
    fn take_shadows<H: HostMemory>(
        &mut self,
        qid: u16,
        read: [u32; 2],
        host: &H,
    ) -> Result<bool, MemoryFault> {
        let Some(setup) = &mut self.shadow_doorbells.setup else {
            return Ok(true);
        };
        if !setup.has_pages(qid, host)? {
            return Ok(false);
        }
        let mut is_written = [true; 2];
        if qid == 0 {
            is_written = core::array::from_fn(|which| read.get(which) != setup.admin_words.get(which));
            if is_written != [false; 2] {
                match setup.admin {
                    AdminShadows::Unused => return Ok(false),
                    AdminShadows::Unknown { .. } if read == [0; 2] => return Ok(false),
                    AdminShadows::Unknown { .. } | AdminShadows::Used => setup.admin = AdminShadows::Used,
                }
            }
        }
        let [tail, head] = read;
        let index = usize::from(qid);
        let submission_queue = self.submission_queues.get_mut(index).and_then(Option::as_mut);
        let completion_queue = self.completion_queues.get_mut(index).and_then(Option::as_mut);
        let new_tail = submission_queue.filter(|queue| is_written[TAIL] && queue.shadow_doorbell() != tail);
        let mut seen = read;
        if let Some(queue) = completion_queue.filter(|_| is_written[HEAD]) {
            let posted = self.shared.cq_posted(qid);
            match queue.ring_shadow_doorbell(head, posted) {
                Ok(()) => {}
                Err(_) if new_tail.is_some() => return Ok(false),
                Err(_) => self.deferred.has_invalid_doorbell = true,
            }
            // A value that cannot be judged yet is looked at again.
            seen[HEAD] = queue.shadow_doorbell();
        }
        if let Some(queue) = new_tail {
            if is_fetching(Bar(host.bar())) {
                self.deferred.has_invalid_doorbell |= queue.ring_shadow_doorbell(tail).is_err();
                self.doorbells.set_busy(qid, queue.is_busy());
            } else {
                seen[TAIL] = queue.shadow_doorbell();
            }
        }
        if let Some(pair) = self.shadow_doorbells.seen.get_mut(index) {
            *pair = seen;
        }
        Ok(true)
    }

    /// The pages are gone: from now on the registers count.
    #[cold]
    pub(crate) fn abandon_shadow_doorbells(&mut self, bar: Bar<'_>) {
        self.shadow_doorbells.setup = None;
        self.shadow_doorbells.is_lost = true;
        for (qid, queue) in (0..).zip(&mut self.submission_queues) {
            if let Some(queue) = queue {
                queue.end_shadow_doorbell(bar.load(sq_tail_doorbell(qid)));
            }
        }
        for (qid, queue) in (0..).zip(&mut self.completion_queues) {
            if let Some(queue) = queue {
                queue.end_shadow_doorbell(bar.load(cq_head_doorbell(qid)));
            }
        }
    }
}
