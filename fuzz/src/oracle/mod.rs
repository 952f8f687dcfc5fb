//! The oracle: it sees what is sent and what comes back, and knows what must not be.
//!
//! What was acknowledged is there. What a command that failed may have touched is unknown, unless its status says that nothing was done; so is what two
//! commands had to do with at once, and everything that a command may have changed that the oracle does not know.

pub mod content;
mod expectation;
mod meaning;
mod pairs;
mod rules;
mod status;
mod zones;

use nvme_spec::{
    AdminOpcode, CompletionQueueEntry, KeyValueOpcode, NvmOpcode, Status, SubmissionQueueEntry,
    NSID_BROADCAST,
};
use nvmev_sim::host::Machine;

use crate::drive::{Kind, Traits};
use crate::pointer::{walk, Broken, Walked};
use content::{Lba, Namespace, Pair};
pub use meaning::Transfer;
use meaning::{Area, Context, Meaning};
use rules::Rule;

/// Features that change nothing that the oracle relies on.
const HARMLESS_FEATURES: [u8; 16] = [1, 2, 4, 5, 6, 7, 8, 9, 0xA, 0xB, 0xC, 0xE, 0x16, 0x19, 0x20, 0x81];

/// What ends a command early.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interference {
    /// An Abort names it.
    pub is_aborted: bool,
    /// Its submission queue is being deleted.
    pub is_deleted: bool,
}

/// A command on its way.
pub struct Sent {
    /// What was sent.
    pub entry: SubmissionQueueEntry,
    /// Whether it went to the admin queue.
    pub is_admin: bool,
    /// What may end it early.
    pub interference: Interference,
    rule: Option<&'static Rule>,
    meaning: Meaning,
    transfer: Transfer,
    /// Where its data is.
    walked: Result<Walked, Broken>,
    /// What it takes from there.
    data: Option<Vec<u8>>,
    namespace: Option<usize>,
    /// Another command had to do with the same at the same time.
    is_raced: bool,
}

/// See the module's description.
pub struct Oracle {
    /// The namespaces, from nsid 1 on.
    pub namespaces: Vec<Namespace>,
    /// Nothing was done that the oracle does not know: then it expects exact status codes.
    pub is_strict: bool,
}

impl Oracle {
    /// For a new drive.
    pub fn new(namespaces: &[Traits]) -> Self {
        Self {
            namespaces: namespaces.iter().copied().map(Namespace::new).collect(),
            is_strict: true,
        }
    }

    fn index(&self, nsid: u32) -> Option<usize> {
        let index = nsid.checked_sub(1)? as usize;
        (index < self.namespaces.len()).then_some(index)
    }

    fn rule(&self, entry: &SubmissionQueueEntry, is_admin: bool) -> Option<&'static Rule> {
        if is_admin {
            return rules::admin_rule(entry.opcode);
        }
        let kind = self
            .index(entry.nsid.get())
            .map(|index| self.namespaces[index].traits.kind);
        rules::io_rule(kind.unwrap_or(Kind::Lbas), entry.opcode)
    }

    /// The name of a command.
    pub fn name(&self, entry: &SubmissionQueueEntry, is_admin: bool) -> String {
        let opcode = entry.opcode;
        let kind = self
            .index(entry.nsid.get())
            .map(|index| self.namespaces[index].traits.kind);
        match kind {
            _ if is_admin => format!("{:?}", AdminOpcode(opcode)),
            Some(Kind::Pairs) => format!("{:?}", KeyValueOpcode(opcode)),
            Some(Kind::PairsAndLbas) if opcode >= 0x80 => format!("{:?}", KeyValueOpcode(opcode)),
            _ => format!("{:?}", NvmOpcode(opcode)),
        }
    }

    /// Whether it may do anything to the device.
    pub fn is_unknown(&self, entry: &SubmissionQueueEntry, is_admin: bool) -> bool {
        self.rule(entry, is_admin).is_none()
    }

    /// The data that a command moves.
    pub fn transfer(&self, entry: &SubmissionQueueEntry, is_admin: bool, machine: &Machine) -> Transfer {
        let index = self.index(entry.nsid.get()).unwrap_or(0);
        let context = Context {
            namespace: &self.namespaces[index],
            entry,
            machine,
        };
        self.rule(entry, is_admin)
            .map_or(Transfer::Unknown, |rule| (rule.transfer)(&context))
    }

    /// Takes a command down that is about to be sent, with those that are on their way.
    pub fn note<'a>(
        &self,
        entry: SubmissionQueueEntry,
        is_admin: bool,
        machine: &Machine,
        others: impl Iterator<Item = &'a mut Sent>,
    ) -> Sent {
        let rule = self.rule(&entry, is_admin);
        let namespace = if is_admin {
            None
        } else {
            self.index(entry.nsid.get())
        };
        let transfer = self.transfer(&entry, is_admin, machine);
        let meaning = match (rule, namespace) {
            (Some(rule), Some(index)) => (rule.meaning)(&Context {
                namespace: &self.namespaces[index],
                entry: &entry,
                machine,
            }),
            (Some(_), None) => Meaning::Nothing,
            (None, _) => Meaning::Anything,
        };
        let len = transfer.len().unwrap_or(usize::MAX);
        let walked = if len <= 1 << 20 {
            walk(&entry, machine, len)
        } else {
            Err(Broken)
        };
        let data = match (transfer, &walked) {
            (Transfer::FromHost(_), Ok(walked)) if !walked.is_shared() => Some(walked.gather(machine)),
            _ => None,
        };
        let mut sent = Sent {
            entry,
            is_admin,
            interference: Interference::default(),
            rule,
            meaning,
            transfer,
            walked,
            data,
            namespace,
            is_raced: false,
        };
        for other in others {
            if sent.meets(other) {
                sent.is_raced = true;
                other.is_raced = true;
            }
        }
        sent
    }

    /// A command's end.
    ///
    /// # Panics
    /// If it is not one that the command can have.
    pub fn judge(&mut self, sent: &Sent, completion: &CompletionQueueEntry, machine: &Machine) {
        let status = completion.status();
        assert!(
            self.is_legal(sent, status),
            "{:?} is no status of {:?}",
            status,
            sent.entry
        );
        if sent.is_cut_short(status) {
            return self.lose(sent);
        }
        if let Some(expected) = self.expected(sent) {
            assert!(
                expected.contains(&status.0),
                "{:?} came to {status:?} and not to one of {:x?}",
                sent.entry,
                expected
            );
        }
        if status.is_success() {
            self.apply(sent, completion, machine);
        } else if !status::is_untouched(status) || may_have_begun(sent, status) {
            self.lose(sent);
        }
        self.check_presence(sent, status);
    }

    fn is_legal(&self, sent: &Sent, status: Status) -> bool {
        let has_data = sent.transfer != Transfer::None;
        let of_rule = match sent.rule {
            Some(rule) => rule.statuses.contains(&status.0),
            None => status::is_defined(status),
        };
        status::is_general(status, has_data)
            || of_rule
            || sent.is_cut_short(status)
            || (!self.is_strict && status::is_defined(status))
    }

    /// What an unfinished command may have changed is unknown.
    pub fn lose(&mut self, sent: &Sent) {
        if sent.is_admin {
            if sent.rule.is_none() {
                self.forget_all();
            }
            return;
        }
        let Some(index) = sent.namespace else {
            if sent.rule.is_none() && sent.entry.nsid.get() == NSID_BROADCAST {
                self.forget_all();
            }
            return;
        };
        let namespace = &mut self.namespaces[index];
        for area in sent.meaning.changes() {
            match area {
                Area::Lbas(range) => namespace.fill(range, &Lba::Unknown),
                Area::Key(key) => namespace.set_pair(&key, Pair::Unknown),
                Area::Pairs => namespace.forget_pairs(),
                Area::All => {
                    namespace.forget_lbas();
                    namespace.forget_pairs();
                    self.is_strict = false;
                }
            }
        }
    }

    /// The device may have taken this for a command, whatever became of it.
    pub fn suspect(&mut self, entry: &SubmissionQueueEntry, is_admin: bool, machine: &Machine) {
        if is_admin {
            let sent = self.note(*entry, true, machine, std::iter::empty());
            self.lose(&sent);
        }
        let sent = self.note(*entry, false, machine, std::iter::empty());
        if matches!(sent.meaning, Meaning::Deallocate(_) | Meaning::Copy(_)) {
            // Its list may have been another one.
            if let Some(index) = sent.namespace {
                self.namespaces[index].forget_lbas();
            }
        }
        self.lose(&sent);
    }

    /// Nothing is known of the drive any more.
    fn forget_all(&mut self) {
        self.is_strict = false;
        for namespace in &mut self.namespaces {
            namespace.forget_lbas();
            namespace.forget_pairs();
        }
    }

    fn apply(&mut self, sent: &Sent, completion: &CompletionQueueEntry, machine: &Machine) {
        if sent.is_admin {
            return self.apply_admin(sent);
        }
        let Some(index) = sent.namespace else {
            assert!(
                sent.rule.is_none() || sent.entry.opcode == NvmOpcode::FLUSH.0,
                "a command succeeded for a namespace that is not there: {:?}",
                sent.entry
            );
            return self.lose(sent);
        };
        if sent.is_raced {
            return match &sent.meaning {
                Meaning::Append(zone, lbas) => {
                    check_append(sent, zone, *lbas, completion).map_or((), |_| self.lose(sent))
                }
                _ => self.lose(sent),
            };
        }
        let namespace = &mut self.namespaces[index];
        let result = u64::from(completion.dw0.get()) | u64::from(completion.dw1.get()) << 32;
        match &sent.meaning {
            Meaning::Nothing | Meaning::Flush | Meaning::Exist(_) => {}
            Meaning::Read(lbas) => {
                if let Some(data) = sent.received(machine) {
                    compare_read(namespace, lbas.clone(), &data, self.is_strict, &sent.entry);
                }
            }
            Meaning::Verify(lbas) | Meaning::Compare(lbas) => {
                for lba in lbas.clone() {
                    let content = namespace.lba(lba);
                    assert!(
                        *content != Lba::Unreadable,
                        "LBA {lba} can be read: {:?}",
                        sent.entry
                    );
                }
            }
            Meaning::Write(lbas) => match &sent.data {
                Some(data) => namespace.write(lbas.clone(), data),
                None => namespace.fill(lbas.clone(), &Lba::Unknown),
            },
            Meaning::Append(zone, lbas) => {
                let range = check_append(sent, zone, *lbas, completion).expect("it has a place");
                match &sent.data {
                    Some(data) => namespace.write(range, data),
                    None => namespace.fill(range, &Lba::Unknown),
                }
            }
            Meaning::Zero(lbas) | Meaning::ResetZones(lbas) => namespace.fill(lbas.clone(), &Lba::Zeros),
            Meaning::Spoil(lbas) => namespace.fill(lbas.clone(), &Lba::Unreadable),
            Meaning::Loosen(lbas) => namespace.fill(lbas.clone(), &Lba::Unknown),
            Meaning::Deallocate(ranges) => match ranges {
                Some(ranges) => ranges
                    .iter()
                    .for_each(|range| namespace.fill(range.clone(), &Lba::Zeros)),
                // Through an SGL of a kind that the walker does not follow.
                None => namespace.forget_lbas(),
            },
            Meaning::Copy(None) => namespace.forget_lbas(),
            Meaning::Copy(Some((sources, destination))) => {
                let destination_area = Area::Lbas(destination.clone());
                let overlaps =
                    |source: &std::ops::Range<u64>| Area::Lbas(source.clone()).overlaps(&destination_area);
                let bytes: Option<Vec<Vec<u8>>> = sources
                    .iter()
                    .map(|source| namespace.bytes(source.clone()))
                    .collect();
                match bytes.filter(|_| !sources.iter().any(overlaps)) {
                    Some(bytes) => namespace.write(destination.clone(), &bytes.concat()),
                    None => namespace.fill(destination.clone(), &Lba::Unknown),
                }
            }
            Meaning::Store(key) => {
                let pair = sent.data.clone().map_or(Pair::Unknown, Pair::Value);
                namespace.set_pair(key, pair);
            }
            Meaning::AppendValue(key) => {
                let pair = match (namespace.pair(key), &sent.data) {
                    (Pair::Absent, Some(data)) => Pair::Value(data.clone()),
                    (Pair::Value(value), Some(data)) => Pair::Value([&value[..], data].concat()),
                    _ => Pair::Unknown,
                };
                namespace.set_pair(key, pair);
            }
            Meaning::Delete(key) => namespace.set_pair(key, Pair::Absent),
            Meaning::Retrieve { key, is_plain, .. } => {
                if let (Pair::Value(value), true) = (namespace.pair(key), is_plain) {
                    assert_eq!(result, value.len() as u64, "the value's length: {:?}", sent.entry);
                    if let Some(data) = sent.received(machine) {
                        let len = data.len().min(value.len());
                        assert!(data[..len] == value[..len], "another value: {:?}", sent.entry);
                    }
                }
            }
            Meaning::ChangePairs | Meaning::Anything => self.lose(sent),
        }
    }

    fn apply_admin(&mut self, sent: &Sent) {
        let is_harmful_feature = AdminOpcode(sent.entry.opcode) == AdminOpcode::SET_FEATURES
            && !HARMLESS_FEATURES.contains(&(sent.entry.cdw10.get() as u8));
        if sent.rule.is_none() {
            self.forget_all();
        } else if is_harmful_feature {
            self.is_strict = false;
        }
    }

    /// Whether a key is there or not, when the answer says so.
    fn check_presence(&self, sent: &Sent, status: Status) {
        let (Some(index), false) = (sent.namespace, sent.is_raced) else {
            return;
        };
        let (Meaning::Exist(key) | Meaning::Retrieve { key, .. }) = &sent.meaning else {
            return;
        };
        let pair = self.namespaces[index].pair(key);
        if status.is_success() {
            assert!(*pair != Pair::Absent, "there is no such key: {:?}", sent.entry);
        } else if matches!(
            status,
            Status::KEY_DOES_NOT_EXIST | Status::VENDOR_KEY_DOES_NOT_EXIST
        ) {
            assert!(
                !matches!(pair, Pair::Value(_)),
                "there is such a key: {:?}",
                sent.entry
            );
        }
    }
}

/// Where an append went.
fn check_append(
    sent: &Sent,
    zone: &std::ops::Range<u64>,
    lbas: u64,
    completion: &CompletionQueueEntry,
) -> Option<std::ops::Range<u64>> {
    let at = u64::from(completion.dw0.get()) | u64::from(completion.dw1.get()) << 32;
    let range = at..at + lbas;
    assert!(
        zone.start <= range.start && range.end <= zone.end,
        "an append went to {range:?}: {:?}",
        sent.entry
    );
    Some(range)
}

/// As long as the largest LBA.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

fn compare_read(
    namespace: &mut Namespace,
    lbas: std::ops::Range<u64>,
    data: &[u8],
    is_strict: bool,
    entry: &SubmissionQueueEntry,
) {
    let lba_bytes = namespace.traits.lba_bytes as usize;
    for (lba, bytes) in lbas.zip(data.chunks_exact(lba_bytes)) {
        match namespace.lba(lba) {
            Lba::Data(known) => assert!(known[..] == *bytes, "LBA {lba} has other data: {entry:?}"),
            Lba::Zeros => assert!(*bytes == ZEROS[..lba_bytes], "LBA {lba} is not zero: {entry:?}"),
            Lba::Unreadable => panic!("LBA {lba} can be read: {entry:?}"),
            // From now on it stays what it is.
            Lba::Unknown if is_strict && namespace.traits.kind != Kind::Zones => {
                namespace.write(lba..lba + 1, bytes)
            }
            Lba::Unknown => {}
        }
    }
}

impl Sent {
    /// Whether it waits for an event, and so needs no end.
    pub fn is_held(&self) -> bool {
        self.is_admin && AdminOpcode(self.entry.opcode) == AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST
    }

    fn meets(&self, other: &Self) -> bool {
        if self.namespace.is_none() || self.namespace != other.namespace {
            return false;
        }
        if matches!(
            (&self.meaning, &other.meaning),
            (Meaning::Append(..), Meaning::Append(..))
        ) {
            return false;
        }
        let meet = |a: &[Area], b: &[Area]| a.iter().any(|a| b.iter().any(|b| a.overlaps(b)));
        let (changes, other_changes) = (self.meaning.changes(), other.meaning.changes());
        meet(&changes, &other_changes)
            || meet(&changes, &other.meaning.reads())
            || meet(&self.meaning.reads(), &other_changes)
    }

    /// Whether the status says that it was ended early, and something was there to do so.
    fn is_cut_short(&self, status: Status) -> bool {
        match status {
            Status::COMMAND_ABORT_REQUESTED => self.interference.is_aborted,
            Status::COMMAND_ABORTED_SQ_DELETION => self.interference.is_deleted,
            Status::COMMAND_ABORTED_FAILED_FUSED | Status::COMMAND_ABORTED_MISSING_FUSED => {
                self.entry.fuse() != 0
            }
            _ => false,
        }
    }

    /// What the command has put into memory, if it is known where.
    fn received(&self, machine: &Machine) -> Option<Vec<u8>> {
        let walked = self.walked.as_ref().ok()?;
        let is_known = !walked.is_tangled() && !walked.is_shared();
        is_known.then(|| walked.gather(machine))
    }
}

/// Whether a command that failed may have been done in part: what is wrong with it is found before its first part, but not what others do
/// to its namespace later.
fn may_have_begun(sent: &Sent, status: Status) -> bool {
    matches!(sent.meaning, Meaning::Zero(_) | Meaning::Deallocate(_)) && status != Status::LBA_OUT_OF_RANGE
}
