//! Device Self-test and its log (NVMe Base 2.0 §5.9, §5.16.1.7, §8.6).
//!
//! An operation takes the time that Identify promises, and finds nothing: there is no hardware to be broken.

use alloc::vec::Vec;

use nvme_spec::{
    SelfTestCode, SelfTestLogHeader, SelfTestResult, SelfTestResultEntry, Status, SubmissionQueueEntry,
    NSID_BROADCAST, SELF_TEST_RESULTS,
};
use zerocopy::IntoBytes;

use super::log_pages::NANOSECONDS_PER_HOUR;
use super::{put, Outcome};
use crate::controller::Controller;
use crate::device::{table, SetupError};

const SHORT_NS: u64 = 10_000_000_000;

/// EDSTT: what an extended operation takes.
pub(super) const EXTENDED_MINUTES: u16 = 1;
const EXTENDED_NS: u64 = EXTENDED_MINUTES as u64 * 60_000_000_000;

/// An operation under way.
#[derive(Clone, Copy, Debug)]
struct Operation {
    code: SelfTestCode,
    started_ns: u64,
}

impl Operation {
    fn duration_ns(&self) -> u64 {
        if self.code == SelfTestCode::SHORT {
            SHORT_NS
        } else {
            EXTENDED_NS
        }
    }

    fn end_ns(&self) -> u64 {
        self.started_ns.saturating_add(self.duration_ns())
    }

    fn percent(&self, now_ns: u64) -> u8 {
        let passed_ns = now_ns.saturating_sub(self.started_ns).min(self.duration_ns());
        (passed_ns * 100 / self.duration_ns()) as u8
    }
}

/// The operation under way, if there is one, and how the last ones ended. All times are of [`AdminState::powered_ns`](super::AdminState::powered_ns).
pub(crate) struct SelfTest {
    operation: Option<Operation>,
    /// Newest first. Not in the structure itself, which passes over the small stacks of a kernel.
    results: Vec<SelfTestResultEntry>,
}

impl SelfTest {
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self {
            operation: None,
            results: table(SELF_TEST_RESULTS, SelfTestResultEntry::unused)?,
        })
    }

    /// A controller level reset ends a short operation; an extended one goes on.
    pub fn reset(&mut self, now_ns: u64) {
        self.settle(now_ns);
        if self
            .operation
            .is_some_and(|operation| operation.code == SelfTestCode::SHORT)
        {
            self.end(now_ns, SelfTestResult::ABORTED_BY_RESET);
        }
    }

    /// An operation whose time has come is over: nobody needs to know before somebody asks.
    pub fn settle(&mut self, now_ns: u64) {
        if let Some(end_ns) = self.operation.as_ref().map(Operation::end_ns) {
            if now_ns >= end_ns {
                self.end(end_ns, SelfTestResult::NO_ERROR);
            }
        }
    }

    fn end(&mut self, end_ns: u64, result: SelfTestResult) {
        let Some(operation) = self.operation.take() else {
            return;
        };
        self.results.rotate_right(1);
        if let Some(newest) = self.results.first_mut() {
            *newest = SelfTestResultEntry {
                code_and_result: operation.code.0 << 4 | result.0,
                power_on_hours: (end_ns / NANOSECONDS_PER_HOUR).into(),
                ..SelfTestResultEntry::zeroed()
            };
        }
    }

    /// Writes the log into `buffer`; returns its length.
    pub fn fill_log(&self, now_ns: u64, buffer: &mut [u8]) -> usize {
        let header = match &self.operation {
            Some(operation) => SelfTestLogHeader {
                current_operation: operation.code.0,
                percent_complete: operation.percent(now_ns),
                ..SelfTestLogHeader::default()
            },
            None => SelfTestLogHeader::default(),
        };
        put(buffer, 0, header.as_bytes());
        put(buffer, size_of::<SelfTestLogHeader>(), self.results.as_bytes());
        size_of::<SelfTestLogHeader>() + self.results.as_bytes().len()
    }
}

impl Controller {
    /// An operation under way, if there is one, ends with `result`.
    pub(super) fn end_self_test(&mut self, now_ns: u64, result: SelfTestResult) {
        let now_ns = self.admin.powered_ns(now_ns);
        self.admin.self_test.settle(now_ns);
        self.admin.self_test.end(now_ns, result);
    }

    /// Begins or aborts an operation.
    pub(super) fn device_self_test(
        &mut self,
        entry: &SubmissionQueueEntry,
        now_ns: u64,
    ) -> Result<Outcome, Status> {
        let nsid = entry.nsid.get();
        if !matches!(nsid, 0 | NSID_BROADCAST) {
            self.lane.io.namespaces.attached(nsid)?;
        }
        let now_ns = self.admin.powered_ns(now_ns);
        let self_test = &mut self.admin.self_test;
        self_test.settle(now_ns);
        match SelfTestCode((entry.cdw10.get() & 0xF) as u8) {
            SelfTestCode::ABORT => self_test.end(now_ns, SelfTestResult::ABORTED_BY_COMMAND),
            SelfTestCode::SHORT | SelfTestCode::EXTENDED if self_test.operation.is_some() => {
                return Err(Status::DEVICE_SELF_TEST_IN_PROGRESS);
            }
            code @ (SelfTestCode::SHORT | SelfTestCode::EXTENDED) => {
                self_test.operation = Some(Operation {
                    code,
                    started_ns: now_ns,
                });
            }
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        }
        Ok(Outcome::Done(0))
    }
}
