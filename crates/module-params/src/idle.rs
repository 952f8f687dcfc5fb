//! When a polling thread may sleep, and for how long.
//!
//! A host's doorbell write wakes nobody, so the dispatcher has to look; but a device that nobody uses should cost next to
//! nothing. After some time without work a thread naps, at first so briefly that hardly anyone notices.

/// A sleep may end this much late; what is due sooner is waited for awake.
pub const WAKE_MARGIN_NS: u64 = 100_000;
/// Below this a sleep is not worth its cost.
pub const SLEEP_NS_MIN: u64 = 50_000;
/// The dispatcher's longest nap: what the first command after a pause may wait.
pub const NAP_NS_MAX: u64 = 1_000_000;
/// A worker is woken when there is work for it, so that it only looks up to be sure.
pub const WORKER_SLEEP_NS_MAX: u64 = 100_000_000;

/// Decides for one thread.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    timeout_ns: Option<u64>,
    nap_ns_first: u64,
    nap_ns_max: u64,
    worked_at_ns: u64,
    nap_ns: u64,
}

impl Idle {
    fn new(timeout_ns: Option<u64>, nap_ns_first: u64, nap_ns_max: u64, now_ns: u64) -> Self {
        Self {
            timeout_ns,
            nap_ns_first,
            nap_ns_max,
            worked_at_ns: now_ns,
            nap_ns: nap_ns_first,
        }
    }

    /// For a thread that finds its work only by looking. It never sleeps if `timeout_ns` is `None`.
    pub fn dispatcher(timeout_ns: Option<u64>, now_ns: u64) -> Self {
        Self::new(timeout_ns, SLEEP_NS_MIN, NAP_NS_MAX, now_ns)
    }

    /// For a thread that is woken when work comes. It never sleeps if `timeout_ns` is `None`.
    pub fn worker(timeout_ns: Option<u64>, now_ns: u64) -> Self {
        Self::new(timeout_ns, WORKER_SLEEP_NS_MAX, WORKER_SLEEP_NS_MAX, now_ns)
    }

    /// There was something to do.
    pub fn worked(&mut self, now_ns: u64) {
        self.worked_at_ns = now_ns;
        self.nap_ns = self.nap_ns_first;
    }

    /// There was nothing to do: how long to sleep now, or `None` to look again at once.
    pub fn sleep_ns(&mut self, now_ns: u64, next_event_ns: Option<u64>) -> Option<u64> {
        if now_ns.saturating_sub(self.worked_at_ns) < self.timeout_ns? {
            return None;
        }
        let until_event_ns = next_event_ns.map_or(u64::MAX, |event_ns| {
            event_ns.saturating_sub(now_ns).saturating_sub(WAKE_MARGIN_NS)
        });
        let sleep_ns = self.nap_ns.min(until_event_ns);
        if sleep_ns < SLEEP_NS_MIN {
            return None;
        }
        self.nap_ns = (self.nap_ns + self.nap_ns / 4).min(self.nap_ns_max);
        Some(sleep_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Option<u64> = Some(10_000_000);

    #[test]
    fn a_thread_stays_awake_until_the_timeout() {
        let mut idle = Idle::dispatcher(TIMEOUT, 5);
        assert_eq!(idle.sleep_ns(10_000_004, None), None);
        assert_eq!(idle.sleep_ns(10_000_005, None), Some(SLEEP_NS_MIN));
        idle.worked(20_000_000);
        assert_eq!(idle.sleep_ns(29_999_999, None), None);
        assert_eq!(Idle::dispatcher(None, 0).sleep_ns(u64::MAX, None), None);
    }

    #[test]
    fn naps_grow_and_begin_small_again_after_work() {
        let mut idle = Idle::dispatcher(TIMEOUT, 0);
        let naps: std::vec::Vec<_> = (0..20).filter_map(|_| idle.sleep_ns(1 << 30, None)).collect();
        assert_eq!(naps.len(), 20);
        assert!(naps.is_sorted());
        assert_eq!((naps[0], naps[19]), (SLEEP_NS_MIN, NAP_NS_MAX));
        idle.worked(2 << 30);
        assert_eq!(idle.sleep_ns(3 << 30, None), Some(SLEEP_NS_MIN));
    }

    #[test]
    fn a_sleeper_is_up_before_what_is_due() {
        let mut idle = Idle::worker(TIMEOUT, 0);
        let now = 1 << 30;
        assert_eq!(idle.sleep_ns(now, None), Some(WORKER_SLEEP_NS_MAX));
        assert_eq!(
            idle.sleep_ns(now, Some(now + 1_000_000)),
            Some(1_000_000 - WAKE_MARGIN_NS)
        );
        assert_eq!(
            idle.sleep_ns(now, Some(now + WAKE_MARGIN_NS + SLEEP_NS_MIN - 1)),
            None
        );
        assert_eq!(idle.sleep_ns(now, Some(now - 1)), None);
    }
}
