//! Device self-tests and their log (NVMe Base 2.0 §5.16.1.7, §8.6).

use alloc::vec::Vec;

use nvme_spec::{SelfTestCode, SelfTestLogHeader, SelfTestResult, SelfTestResultEntry, SELF_TEST_RESULTS};
use zerocopy::IntoBytes;

use crate::admin::page::put;
use crate::limits::NANOSECONDS_PER_HOUR;
use crate::setup::{table, SetupError};

const SHORT_NS: u64 = 10_000_000_000;

/// EDSTT: what an extended operation takes.
pub(crate) const EXTENDED_MINUTES: u16 = 1;
const EXTENDED_NS: u64 = EXTENDED_MINUTES as u64 * 60_000_000_000;

/// An operation under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub code: SelfTestCode,
    pub started_ns: u64,
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

/// The operation under way, if there is one, and how the last ones ended. All times are of [`AdminState::powered_ns`](crate::admin::state::admin_state::AdminState::powered_ns).
pub(crate) struct SelfTest {
    pub operation: Option<Operation>,
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

    pub fn end(&mut self, end_ns: u64, result: SelfTestResult) {
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
