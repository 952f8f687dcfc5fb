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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::state::self_test::EXTENDED_MINUTES;
    use crate::admin::test_drive::{done, TestDrive, FAST, INVALID, POWER_ON_NS, UNALLOCATED};

    const MINUTE_NS: u64 = 60_000_000_000;

    fn test(drive: &mut TestDrive, nsid: u32, code: SelfTestCode, now_ns: u64) -> Result<u64, Status> {
        done(device_self_test(
            drive.core(),
            DeviceSelfTest { nsid, code },
            now_ns,
        ))
    }

    fn is_under_way(drive: &mut TestDrive, now_ns: u64) -> bool {
        let core = drive.core();
        let powered_ns = core.admin.powered_ns(now_ns);
        core.admin.self_test.settle(powered_ns);
        core.admin.self_test.operation.is_some()
    }

    #[test]
    fn one_operation_is_under_way_at_a_time_and_comes_to_its_end() {
        for code in [SelfTestCode::SHORT, SelfTestCode::EXTENDED] {
            let mut drive = TestDrive::new();
            assert_eq!(test(&mut drive, NSID_BROADCAST, code, POWER_ON_NS), Ok(0));
            let second = test(&mut drive, 0, SelfTestCode::SHORT, POWER_ON_NS);
            assert_eq!(second, Err(Status::DEVICE_SELF_TEST_IN_PROGRESS));
            // A short one takes up to two minutes (NVMe Base 2.0 §8.6.1), an extended one what Identify says.
            let (at_least_ns, at_most_ns) = match code {
                SelfTestCode::SHORT => (0, 2 * MINUTE_NS),
                _ => (
                    u64::from(EXTENDED_MINUTES) * MINUTE_NS - 1,
                    u64::from(EXTENDED_MINUTES) * MINUTE_NS,
                ),
            };
            assert!(is_under_way(&mut drive, POWER_ON_NS + at_least_ns));
            assert!(!is_under_way(&mut drive, POWER_ON_NS + at_most_ns));
        }
    }

    #[test]
    fn an_operation_can_be_aborted() {
        let mut drive = TestDrive::new();
        assert_eq!(
            test(&mut drive, FAST, SelfTestCode::ABORT, POWER_ON_NS),
            Ok(0),
            "there is none"
        );
        assert_eq!(test(&mut drive, FAST, SelfTestCode::EXTENDED, POWER_ON_NS), Ok(0));
        assert_eq!(
            test(&mut drive, FAST, SelfTestCode::ABORT, POWER_ON_NS + 1),
            Ok(0)
        );
        assert!(!is_under_way(&mut drive, POWER_ON_NS + 1));
    }

    #[test]
    fn a_namespace_or_a_code_that_there_is_not_is_refused() {
        let mut drive = TestDrive::new();
        let unallocated = test(&mut drive, UNALLOCATED, SelfTestCode::SHORT, POWER_ON_NS);
        assert_eq!(unallocated, Err(Status::INVALID_FIELD_IN_COMMAND));
        let invalid = test(&mut drive, INVALID, SelfTestCode::SHORT, POWER_ON_NS);
        assert_eq!(invalid, Err(Status::INVALID_NAMESPACE_OR_FORMAT));
        let unknown = test(&mut drive, 0, SelfTestCode(3), POWER_ON_NS);
        assert_eq!(unknown, Err(Status::INVALID_FIELD_IN_COMMAND));
        assert!(!is_under_way(&mut drive, POWER_ON_NS));
    }
}
