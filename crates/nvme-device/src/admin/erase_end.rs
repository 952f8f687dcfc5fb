//! The end of an erase: its namespaces are there again, or for the first time, or gone.

use nvme_spec::{FormatCompletionEvent, SelfTestResult};

use crate::admin::{sanitize, self_test};
use crate::core::Core;
use crate::erase::ErasePurpose;
use crate::limits::NAMESPACES_MAX;

/// An erase is over: its namespaces are there again, or for the first time, or gone.
pub(crate) fn erase_is_done(core: &mut Core, purpose: ErasePurpose, now_ns: u64) {
    match purpose {
        ErasePurpose::Sanitize => return sanitize::sanitize_is_done(core, now_ns),
        ErasePurpose::Format { nsid } => {
            let event = FormatCompletionEvent {
                nsid: nsid.into(),
                ..FormatCompletionEvent::zeroed()
            };
            core.admin.record(&event, now_ns);
        }
        ErasePurpose::Create | ErasePurpose::Delete => {}
    }
    for nsid in 1..=NAMESPACES_MAX {
        if !core.queue_set.io.namespaces.is_erasing(nsid) {
            continue;
        }
        // The list of changed zones is a new one, or none.
        core.admin.events.forget_zone_notice(nsid);
        let was_attached = core.queue_set.io.namespaces.is_attached(nsid);
        core.queue_set.io.namespaces.set_erasing(nsid, false);
        if purpose == ErasePurpose::Delete {
            core.queue_set.io.with_streams(nsid, |streams, namespace| {
                streams.enable(nsid, &mut namespace.streams, false);
            });
            core.queue_set.io.namespaces.remove(nsid);
            self_test::end_self_test(core, now_ns, SelfTestResult::ABORTED_BY_NAMESPACE_REMOVAL);
        }
        if was_attached {
            core.admin.namespace_has_changed(nsid);
        }
    }
}
