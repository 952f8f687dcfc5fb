//! Device Self-test and its log (NVMe Base 2.0 §5.9, §5.16.1.7, §8.6).
//!
//! An operation takes the time that Identify promises, and finds nothing: there is no hardware to be broken.

use nvme_spec::{
    Cdw10DeviceSelfTest, SelfTestCode, SelfTestResult, Status, SubmissionQueueEntry, NSID_BROADCAST,
};

use crate::admin::outcome::Outcome;
use crate::admin::state::self_test::Operation;
use crate::core::Core;

/// An operation under way, if there is one, ends with `result`.
pub(crate) fn end_self_test(core: &mut Core, now_ns: u64, result: SelfTestResult) {
    let now_ns = core.admin.powered_ns(now_ns);
    core.admin.self_test.settle(now_ns);
    core.admin.self_test.end(now_ns, result);
}

/// What to test, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceSelfTest {
    pub nsid: u32,
    pub code: SelfTestCode,
}

impl DeviceSelfTest {
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        Self {
            nsid: entry.nsid.get(),
            code: Cdw10DeviceSelfTest(entry.cdw10.get()).code(),
        }
    }
}

/// Begins or aborts an operation.
pub(crate) fn device_self_test(
    core: &mut Core,
    asked: DeviceSelfTest,
    now_ns: u64,
) -> Result<Outcome, Status> {
    let DeviceSelfTest { nsid, code } = asked;
    if !matches!(nsid, 0 | NSID_BROADCAST) {
        core.queue_set.io.namespaces.attached(nsid)?;
    }
    let now_ns = core.admin.powered_ns(now_ns);
    let self_test = &mut core.admin.self_test;
    self_test.settle(now_ns);
    match code {
        SelfTestCode::ABORT => self_test.end(now_ns, SelfTestResult::ABORTED_BY_COMMAND),
        SelfTestCode::SHORT | SelfTestCode::EXTENDED if self_test.operation.is_some() => {
            return Err(Status::DEVICE_SELF_TEST_IN_PROGRESS);
        }
        SelfTestCode::SHORT | SelfTestCode::EXTENDED => {
            self_test.operation = Some(Operation {
                code,
                started_ns: now_ns,
            });
        }
        _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
    }
    Ok(Outcome::Done(0))
}
