//! Another host that does anything, and what is to be believed after it.

use nvme_spec::registers::{self, csts};
use nvme_spec::SubmissionQueueEntry;
use zerocopy::FromBytes;

use super::{describe, Session};
use crate::storm::{Access, Act};
use crate::trail;

impl Session {
    /// Lets another host do what it wants, and watches what the device takes for commands.
    pub fn endure(&mut self, acts: impl Iterator<Item = Act>) {
        self.settle();
        self.lose_all();
        self.host.machine.watch_fetches();
        for act in acts {
            act.perform(&mut self.host, &self.traits);
            self.note_admin_queue();
            act.pass(&mut self.host);
            self.suspect_fetches();
        }
        self.settle_stranger();
    }

    /// Does something to configuration space.
    pub fn configure(&mut self, access: &Access) {
        access.perform(&mut self.host);
        self.commands += 1;
        if access.width & 0x80 == 0 {
            self.host.step();
        }
    }

    /// The other host is gone; what it left comes to its end, or does not.
    fn settle_stranger(&mut self) {
        // A function level reset that is under way comes first.
        self.host.run();
        self.host.switch_on();
        self.host.set_register(registers::CC, 0);
        self.host.settle();
        self.suspect_fetches();
        let csts = self.host.register(registers::CSTS);
        assert_eq!(csts & (csts::RDY | csts::CFS), 0, "the controller is disabled");
        self.bring_up();
        self.relearn();
    }

    /// Where admin commands may be fetched from, from now on.
    fn note_admin_queue(&mut self) {
        let low = self.host.register(registers::ASQ);
        let high = self.host.register(registers::ASQ + 4);
        let base = u64::from(low) | u64::from(high) << 32;
        let entries = u64::from(self.host.register(registers::AQA) & 0xFFF) + 1;
        let queue = (base, base.saturating_add(64 * entries));
        if !self.admin_queues.contains(&queue) {
            self.admin_queues.push(queue);
        }
    }

    /// What the device has read that was as long as a command may have been one.
    fn suspect_fetches(&mut self) {
        for fetch in self.host.machine.take_fetches() {
            let entry = SubmissionQueueEntry::read_from_bytes(&fetch.bytes).expect("64 bytes");
            let mut queues = self.admin_queues.iter();
            let is_admin = queues.any(|&(start, end)| (start..end).contains(&fetch.address));
            trail::note(|| {
                format!(
                    "    read {:#x}: {} {}",
                    fetch.address,
                    self.oracle.name(&entry, is_admin),
                    describe(&entry)
                )
            });
            self.oracle.suspect(&entry, is_admin, &self.host.machine);
            self.commands += 1;
        }
    }
}
