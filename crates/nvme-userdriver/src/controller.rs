//! An NVMe controller: registers and queues (NVMe Base 2.0 §3.1.3, §3.3, §3.5).

use std::time::{Duration, Instant};

use nvme_spec::registers::{self, cq_head_doorbell, csts, sq_tail_doorbell};
use nvme_spec::{
    AdminOpcode, CompletionQueueEntry, FeatureId, IdentifyCns, Status, SubmissionQueueEntry, NSSR_RESET,
};
use nvmev_sim::host::commands;
use zerocopy::{FromBytes, IntoBytes};

use crate::function::PciFunction;
use crate::mapping::DmaMemory;
use crate::shadow::ShadowDoorbells;

/// Entries of each queue: a submission queue is a page.
pub const ENTRIES: u16 = 64;
const PAGE_BYTES: usize = 4096;
/// No wait is longer.
const LIMIT: Duration = Duration::from_secs(20);
/// EN, all command sets, entries of 64 and 16 bytes.
const CC_ENABLE: u32 = 4 << 20 | 6 << 16 | 6 << 4 | 1;
const CC_SHUTDOWN_NORMAL: u32 = 1 << 14;

/// A submission queue and its completion queue.
struct QueuePair {
    qid: u16,
    /// Where they are in the controller's memory.
    sq_offset: usize,
    cq_offset: usize,
    tail: u16,
    head: u16,
    phase: bool,
}

/// A controller that this program drives.
pub struct Controller {
    /// The function it is.
    pub function: PciFunction,
    /// The queues' pages, then one for what admin commands transfer, and those of shadow doorbells.
    memory: DmaMemory,
    shadow_doorbells: Option<ShadowDoorbells>,
    pairs: [QueuePair; 2],
    next_cid: u16,
}

/// Ways to reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// CC.EN.
    Controller,
    /// NSSR.
    Subsystem,
    /// Initiate Function Level Reset.
    Function,
}

/// Ways to keep the device from memory for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Bus Master Enable is 0.
    BusMaster,
    /// The power state is D3hot.
    D3hot,
}

fn told(error: std::io::Error) -> String {
    error.to_string()
}

const ADMIN: usize = 0;
const IO: usize = 1;
const ADMIN_DATA_OFFSET: usize = 4 * PAGE_BYTES;

const SHADOWS_OFFSET: usize = 5 * PAGE_BYTES;
const EVENT_INDICES_OFFSET: usize = 6 * PAGE_BYTES;

/// Memory for queues, for the data of admin commands, and for shadow doorbells.
pub const MEMORY_BYTES: usize = 7 * PAGE_BYTES;

impl Controller {
    /// Enables the controller and makes an I/O queue pair; `memory`, of at least [`MEMORY_BYTES`], is for the queues.
    ///
    /// # Errors
    /// What the controller did not do.
    pub fn start(function: PciFunction, memory: DmaMemory) -> Result<Self, String> {
        let pair = |qid: u16| QueuePair {
            qid,
            sq_offset: usize::from(qid) * 2 * PAGE_BYTES,
            cq_offset: usize::from(qid) * 2 * PAGE_BYTES + PAGE_BYTES,
            tail: 0,
            head: 0,
            phase: true,
        };
        let mut controller = Self {
            function,
            memory,
            shadow_doorbells: None,
            pairs: [pair(0), pair(1)],
            next_cid: 0,
        };
        controller.enable()?;
        controller.create_io_queues()?;
        Ok(controller)
    }

    /// Enables the controller, which has no I/O queues then.
    ///
    /// # Errors
    /// What the controller did not do.
    pub fn enable(&mut self) -> Result<(), String> {
        self.disable()?;
        let entries_z = u32::from(ENTRIES - 1);
        let bar = &self.function.bar;
        bar.store(registers::AQA, entries_z << 16 | entries_z);
        for (register, offset) in [
            (registers::ASQ, self.pairs[ADMIN].sq_offset),
            (registers::ACQ, self.pairs[ADMIN].cq_offset),
        ] {
            let address = self.memory.address(offset);
            bar.store(register, address as u32);
            bar.store(register + 4, (address >> 32) as u32);
        }
        bar.store(registers::CC, CC_ENABLE);
        self.wait_for_status("ready", csts::RDY | csts::CFS, csts::RDY)
    }

    /// Makes the I/O queue pair.
    ///
    /// # Errors
    /// What the controller did not do.
    pub fn create_io_queues(&mut self) -> Result<(), String> {
        let (qid, entries) = (self.pairs[IO].qid, u32::from(ENTRIES));
        let (sq, cq) = (self.pairs[IO].sq_offset, self.pairs[IO].cq_offset);
        self.admin(commands::create_cq(qid, entries, 0, self.memory.address(cq)))?;
        self.admin(commands::create_sq(qid, qid, entries, self.memory.address(sq)))?;
        Ok(())
    }

    /// Has the device look at shadow doorbells.
    ///
    /// # Errors
    /// What the controller did not do.
    pub fn set_up_shadow_doorbells(&mut self) -> Result<(), String> {
        let shadow_doorbells = ShadowDoorbells {
            shadows_offset: SHADOWS_OFFSET,
            event_indices_offset: EVENT_INDICES_OFFSET,
        };
        shadow_doorbells.release(&self.memory, 0);
        self.admin(commands::doorbell_buffer_config(
            self.memory.address(SHADOWS_OFFSET),
            self.memory.address(EVENT_INDICES_OFFSET),
        ))?;
        self.shadow_doorbells = Some(shadow_doorbells);
        Ok(())
    }

    /// Has something else in the pages of shadow doorbells, which the device is not told of.
    pub fn release_shadow_doorbells(&mut self, content: u8) {
        if let Some(shadow_doorbells) = self.shadow_doorbells.take() {
            shadow_doorbells.release(&self.memory, content);
        }
    }

    /// Looks at both queues: whatever is completed is one of these commands. Nothing is said to the device.
    ///
    /// # Errors
    /// A completion of another command.
    pub fn only_completes(&mut self, outstanding: &mut Vec<u16>) -> Result<(), String> {
        for index in [ADMIN, IO] {
            while let Some(completion) = self.take(index) {
                let at = outstanding.iter().position(|&cid| cid == completion.cid.get());
                match at {
                    Some(at) if index == IO => drop(outstanding.swap_remove(at)),
                    _ => return Err(format!("a stray completion of queue {index}: {completion:?}")),
                }
            }
        }
        Ok(())
    }

    /// So many admin commands at once that change nothing: fewer than the queue has entries.
    ///
    /// # Errors
    /// What the controller did not do.
    pub fn get_features(&mut self, count: u16) -> Result<(), String> {
        for _ in 0..count {
            self.submit(ADMIN, commands::get_features(FeatureId::ARBITRATION, 0, 0, 0));
        }
        self.ring(ADMIN);
        for _ in 0..count {
            self.complete(ADMIN)?;
        }
        Ok(())
    }

    /// Formats a namespace.
    ///
    /// # Errors
    /// What the controller did not do.
    pub fn format(&mut self, nsid: u32, format_index: u8) -> Result<(), String> {
        self.admin(commands::format_nvm(nsid, format_index.into(), 0))?;
        Ok(())
    }

    /// Clears CC.EN, waits until CSTS.RDY is 0, and has empty queues.
    ///
    /// # Errors
    /// What the controller did not do.
    pub fn disable(&mut self) -> Result<(), String> {
        let cc = self.function.bar.load(registers::CC);
        self.function.bar.store(registers::CC, cc & !1);
        self.wait_for_status("disabled", csts::RDY, 0)?;
        for pair in &mut self.pairs {
            (pair.tail, pair.head, pair.phase) = (0, 0, true);
            self.memory.write(pair.cq_offset, &[0; PAGE_BYTES]);
        }
        Ok(())
    }

    /// Deletes the I/O queues and shuts down.
    ///
    /// # Errors
    /// What the controller did not do.
    pub fn stop(mut self) -> Result<(), String> {
        self.delete_io_queues()?;
        self.shut_down()?;
        self.disable()
    }

    /// Deletes the I/O queue pair.
    ///
    /// # Errors
    /// What the controller did not do.
    pub fn delete_io_queues(&mut self) -> Result<(), String> {
        let qid = self.pairs[IO].qid;
        self.admin(commands::delete_queue(
            AdminOpcode::DELETE_IO_SUBMISSION_QUEUE,
            qid,
        ))?;
        self.admin(commands::delete_queue(
            AdminOpcode::DELETE_IO_COMPLETION_QUEUE,
            qid,
        ))?;
        let pair = &mut self.pairs[IO];
        (pair.tail, pair.head, pair.phase) = (0, 0, true);
        self.memory.write(pair.cq_offset, &[0; PAGE_BYTES]);
        Ok(())
    }

    /// Writes CC.SHN and waits until the shutdown is complete.
    ///
    /// # Errors
    /// What the controller did not do.
    pub fn shut_down(&mut self) -> Result<(), String> {
        let cc = self.function.bar.load(registers::CC);
        self.function.bar.store(registers::CC, cc | CC_SHUTDOWN_NORMAL);
        self.wait_for_status("shut down", csts::SHST_MASK, csts::SHST_COMPLETE)
    }

    /// Resets while whatever was submitted is outstanding, and tells whether the device wrote to its queues or to `data` afterwards.
    ///
    /// # Errors
    /// What the controller did not do.
    pub fn reset_and_listen(&mut self, reset: Reset, data: &DmaMemory) -> Result<bool, String> {
        match reset {
            Reset::Controller => self.disable()?,
            Reset::Subsystem => {
                self.function.bar.store(registers::NSSR, NSSR_RESET);
                self.wait_for_status("reset", csts::RDY | csts::NSSRO, csts::NSSRO)?;
            }
            Reset::Function => {
                self.function.reset().map_err(told)?;
                self.wait_for_answer()?;
            }
        }
        let is_silent = self.is_silent(data);
        self.function.switch_on().map_err(told)?;
        self.enable()?;
        self.create_io_queues()?;
        Ok(is_silent)
    }

    /// Fills the queues and `data` with what nobody would write, and tells whether it is still there a while later.
    fn is_silent(&self, data: &DmaMemory) -> bool {
        const POISON: u8 = 0xA5;
        let queues = self.pairs[IO].cq_offset + PAGE_BYTES;
        self.memory.write(0, &vec![POISON; queues]);
        data.write(0, &vec![POISON; data.len()]);
        std::thread::sleep(Duration::from_millis(300));
        let is_poison = |bytes: Vec<u8>| bytes.iter().all(|&byte| byte == POISON);
        is_poison(self.memory.read(0, queues)) && is_poison(data.read(0, data.len()))
    }

    /// Takes the way to memory away while whatever was submitted is outstanding, and gives it back; tells whether the device wrote to its queues
    /// or to `data` meanwhile. In D3hot a doorbell is rung for commands that are not there.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn pause_and_listen(&mut self, pause: Pause, data: &DmaMemory) -> Result<bool, String> {
        let function = &self.function;
        match pause {
            Pause::BusMaster => function.take_bus().map_err(told)?,
            Pause::D3hot => function.enter_d3hot().map_err(told)?,
        }
        // What is being moved just now is let through.
        std::thread::sleep(Duration::from_millis(50));
        let queues = self.pairs[IO].cq_offset + PAGE_BYTES;
        let seen = || (self.memory.read(0, queues), data.read(0, data.len()));
        let before = seen();
        if pause == Pause::D3hot {
            let tail = (self.pairs[IO].tail + 5) % ENTRIES;
            function
                .bar
                .store(sq_tail_doorbell(self.pairs[IO].qid), tail.into());
            function.bar.store(registers::CC, 0);
        }
        std::thread::sleep(Duration::from_millis(300));
        let is_silent = seen() == before;
        function.enter_d0().map_err(told)?;
        self.function.switch_on().map_err(told)?;
        Ok(is_silent)
    }

    /// Identify into a copy of the page.
    ///
    /// # Errors
    /// What the controller did not do.
    pub fn identify<T: FromBytes>(&mut self, cns: IdentifyCns, nsid: u32) -> Result<T, String> {
        let address = self.memory.address(ADMIN_DATA_OFFSET);
        self.admin(commands::identify(cns, nsid, 0, address))?;
        let bytes = self.memory.read(ADMIN_DATA_OFFSET, PAGE_BYTES);
        T::read_from_bytes(&bytes).map_err(|_| "an Identify structure is not 4096 bytes".to_owned())
    }

    fn admin(&mut self, entry: SubmissionQueueEntry) -> Result<CompletionQueueEntry, String> {
        let cid = self.submit(ADMIN, entry);
        self.ring(ADMIN);
        let completion = self.complete(ADMIN)?;
        if completion.cid.get() != cid || completion.status() != Status::SUCCESSFUL_COMPLETION {
            return Err(format!("{entry:?} (cid {cid}) was answered by {completion:?}"));
        }
        Ok(completion)
    }

    /// Submits I/O commands, all at once; returns their identifiers, which count up.
    pub fn submit_io(&mut self, entries: &[SubmissionQueueEntry]) -> Vec<u16> {
        let cids = entries.iter().map(|&entry| self.submit(IO, entry)).collect();
        self.ring(IO);
        cids
    }

    /// Submits I/O commands and waits until all have succeeded.
    ///
    /// # Errors
    /// What went wrong.
    pub fn execute_io(&mut self, entries: &[SubmissionQueueEntry]) -> Result<(), String> {
        let outstanding = self.submit_io(entries);
        self.complete_io(outstanding)
    }

    /// Waits until these commands have succeeded; there are no others.
    ///
    /// # Errors
    /// What went wrong.
    pub fn complete_io(&mut self, mut outstanding: Vec<u16>) -> Result<(), String> {
        while !outstanding.is_empty() {
            let completion = self.complete(IO)?;
            let at = outstanding.iter().position(|&cid| cid == completion.cid.get());
            let at = at.ok_or_else(|| format!("a completion of no command: {completion:?}"))?;
            outstanding.swap_remove(at);
            if completion.status() != Status::SUCCESSFUL_COMPLETION {
                return Err(format!("an I/O command failed: {completion:?}"));
            }
        }
        Ok(())
    }

    /// Carries out one I/O command, which may fail.
    ///
    /// # Errors
    /// If another command completes, or none.
    pub fn status_of_io(&mut self, entry: SubmissionQueueEntry) -> Result<Status, String> {
        let cids = self.submit_io(&[entry]);
        let completion = self.complete(IO)?;
        if cids != [completion.cid.get()] {
            return Err(format!("a completion of no command: {completion:?}"));
        }
        Ok(completion.status())
    }

    fn submit(&mut self, index: usize, entry: SubmissionQueueEntry) -> u16 {
        let cid = self.next_cid;
        self.next_cid = self.next_cid.wrapping_add(1);
        let entry = SubmissionQueueEntry {
            cid: cid.into(),
            ..entry
        };
        let pair = &mut self.pairs[index];
        let offset = pair.sq_offset + usize::from(pair.tail) * size_of::<SubmissionQueueEntry>();
        self.memory.write(offset, entry.as_bytes());
        pair.tail = (pair.tail + 1) % ENTRIES;
        cid
    }

    fn ring(&self, index: usize) {
        let pair = &self.pairs[index];
        self.set_doorbell(sq_tail_doorbell(pair.qid), pair.tail);
    }

    fn set_doorbell(&self, register: usize, value: u16) {
        let rings = self
            .shadow_doorbells
            .is_none_or(|shadow_doorbells| shadow_doorbells.write(&self.memory, register, value));
        if rings {
            self.function.bar.store(register, value.into());
        }
    }

    /// The next completion of a queue.
    fn complete(&mut self, index: usize) -> Result<CompletionQueueEntry, String> {
        let start = Instant::now();
        loop {
            if let Some(completion) = self.reap(index) {
                return Ok(completion);
            }
            let left = LIMIT.saturating_sub(start.elapsed());
            if left.is_zero() || !self.function.wait(left).map_err(told)? {
                // What a lost interrupt looks like, and what a lost completion does.
                let late = self.reap(index);
                return Err(format!(
                    "nothing came in {LIMIT:?}; a look at the queue finds {late:?}"
                ));
            }
        }
    }

    fn reap(&mut self, index: usize) -> Option<CompletionQueueEntry> {
        let entry = self.take(index)?;
        let pair = &self.pairs[index];
        self.set_doorbell(cq_head_doorbell(pair.qid), pair.head);
        Some(entry)
    }

    /// The next completion of a queue. The head doorbell is not written.
    fn take(&mut self, index: usize) -> Option<CompletionQueueEntry> {
        let pair = &mut self.pairs[index];
        let offset = pair.cq_offset + usize::from(pair.head) * size_of::<CompletionQueueEntry>();
        // The last dword has the phase: with it, all of the entry is there.
        let is_new = (self.memory.load(offset + 12) >> 16 & 1 != 0) == pair.phase;
        if !is_new {
            return None;
        }
        let bytes = self.memory.read(offset, size_of::<CompletionQueueEntry>());
        let entry = CompletionQueueEntry::read_from_bytes(&bytes).ok()?;
        pair.head += 1;
        if pair.head == ENTRIES {
            (pair.head, pair.phase) = (0, !pair.phase);
        }
        Some(entry)
    }

    fn wait_for_answer(&self) -> Result<(), String> {
        let start = Instant::now();
        while !self.function.answers().map_err(told)? {
            if start.elapsed() > LIMIT {
                return Err("the function does not answer after its reset".to_owned());
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    fn wait_for_status(&self, what: &str, mask: u32, wanted: u32) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let status = self.function.bar.load(registers::CSTS);
            if status & mask == wanted {
                return Ok(());
            }
            if start.elapsed() > LIMIT {
                return Err(format!("the controller is not {what}: CSTS is {status:#x}"));
            }
            std::thread::yield_now();
        }
    }
}
