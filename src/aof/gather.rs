//! Group commit under `always`: how long the writer waits for more before it syncs.
//!
//! Clients that wait for a reply write again only when they have it. Those that a sync has released
//! are back a moment later; a sync that begins before that takes two groups turns, each of which
//! waits for the syncs of both. So the writer waits for as many as there were, if not for long.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// It waits no longer than this part of what the last sync took,
const PART: u64 = 4;
/// and no longer than this, in nanoseconds.
const GATHER_NS_MAX: u64 = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// Callers that wait for the next sync.
    waiting: AtomicUsize,
    /// How many there were when the last one ended: those that it released, too.
    expected: AtomicUsize,
    /// When the writer has waited for long enough, in nanoseconds.
    until_ns: AtomicU64,
}

impl Gathering {
    /// Somebody waits from now on; true if the writer need not wait for more.
    pub(super) fn join(&self) -> bool {
        let waiting = self.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        waiting >= self.expected.load(Ordering::SeqCst)
    }

    /// Whether all are there that are expected.
    pub(super) fn is_complete(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) >= self.expected.load(Ordering::SeqCst)
    }

    /// How long the writer may wait for them yet, in nanoseconds; 0: not at all.
    pub(super) fn left_ns(&self, now_ns: u64) -> u64 {
        let left_ns = self.until_ns.load(Ordering::Relaxed).saturating_sub(now_ns);
        if left_ns == 0 || self.is_complete() { 0 } else { left_ns }
    }

    /// A sync begins; returns how many wait for it. What they wait for is taken from the queue after
    /// this.
    pub(super) fn begin(&self) -> usize {
        self.waiting.swap(0, Ordering::SeqCst)
    }

    /// It has ended, and released so many.
    pub(super) fn end(&self, released: usize, took_ns: u64, now_ns: u64) {
        let expected = released + self.waiting.load(Ordering::SeqCst);
        self.expected.store(expected, Ordering::SeqCst);
        self.until_ns.store(now_ns + (took_ns / PART).min(GATHER_NS_MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_a_sync_released_are_waited_for() {
        let gathering = Gathering::default();
        assert_eq!(gathering.left_ns(0), 0, "nobody is expected");
        assert!(gathering.join());
        assert_eq!(gathering.begin(), 1);
        gathering.join();
        gathering.join();
        gathering.end(1, 400, 1000);
        assert_eq!((gathering.left_ns(1000), gathering.left_ns(1100)), (100, 0));
        assert!(gathering.join(), "all three");
        assert_eq!(gathering.left_ns(1000), 0);
        assert_eq!(gathering.begin(), 3);
        gathering.end(3, u64::MAX / 2, 2000);
        assert_eq!(gathering.left_ns(2000), GATHER_NS_MAX);
        assert!(!gathering.join());
    }

    #[test]
    fn one_client_alone_is_never_waited_for() {
        let gathering = Gathering::default();
        for now_ns in [0, 1000, 2000] {
            assert!(gathering.join());
            assert_eq!(gathering.left_ns(now_ns), 0);
            let released = gathering.begin();
            gathering.end(released, 800, now_ns);
        }
    }
}
