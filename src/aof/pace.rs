//! How quick the writes into the file are, and so who should make them.
//!
//! A write into the kernel's memory takes microseconds, unless the disk is so far behind that the
//! kernel makes writers wait. From then on only the writer's thread writes, and nobody waits for it
//! who has not written.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// A write of this time is slow. A thread that others keep from running may take some milliseconds
/// as well.
const SLOW_NS: u64 = 30_000_000;
/// Writes must have been quick for this long after a slow one.
const CALM_NS: u64 = 1_000_000_000;

#[derive(Debug, Default)]
pub(super) struct Pace {
    slow: AtomicBool,
    /// When the last slow write ended, in nanoseconds.
    slow_ns: AtomicU64,
    /// When the write began that runs, in nanoseconds; 0 for none.
    began_ns: AtomicU64,
    /// Who makes it.
    by: AtomicUsize,
}

impl Pace {
    pub(super) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }

    /// A write begins; `by` names who makes it.
    pub(super) fn begin(&self, by: usize, now_ns: u64) -> u64 {
        self.by.store(by, Ordering::Relaxed);
        self.began_ns.store(now_ns.max(1), Ordering::Relaxed);
        now_ns
    }

    /// It has ended; returns how long it took, in nanoseconds.
    pub(super) fn end(&self, began_ns: u64, now_ns: u64) -> u64 {
        self.began_ns.store(0, Ordering::Relaxed);
        let took_ns = now_ns.saturating_sub(began_ns);
        if took_ns >= SLOW_NS {
            self.note_slow(now_ns);
        } else if self.is_slow() && now_ns >= self.slow_ns.load(Ordering::Relaxed) + CALM_NS {
            self.slow.store(false, Ordering::Relaxed);
        }
        took_ns
    }

    /// Looks at the write that runs: who makes it, if it is slow.
    pub(super) fn look(&self, now_ns: u64) -> Option<usize> {
        let began_ns = self.began_ns.load(Ordering::Relaxed);
        let slow = began_ns != 0 && now_ns.saturating_sub(began_ns) >= SLOW_NS;
        if slow {
            self.note_slow(now_ns);
        }
        slow.then(|| self.by.load(Ordering::Relaxed))
    }

    fn note_slow(&self, now_ns: u64) {
        self.slow_ns.store(now_ns, Ordering::Relaxed);
        self.slow.store(true, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_quick_writes_makes_up_for_a_slow_one() {
        let pace = Pace::default();
        let mut now = 1;
        let mut write = |took_ns: u64, rest_ns: u64| {
            let began = pace.begin(0, now);
            assert_eq!(pace.end(began, now + took_ns), took_ns);
            now += took_ns + rest_ns;
            pace.is_slow()
        };
        assert!(!write(SLOW_NS - 1, 0));
        assert!(write(SLOW_NS, CALM_NS / 2));
        assert!(write(1, 0), "not yet");
        assert!(write(SLOW_NS, CALM_NS - 1), "again");
        assert!(write(0, 1));
        assert!(!write(0, 0));
    }

    #[test]
    fn a_write_that_does_not_end_is_noticed() {
        let pace = Pace::default();
        assert_eq!(pace.look(SLOW_NS), None);
        let began = pace.begin(3, 5);
        assert_eq!((pace.look(5 + SLOW_NS - 1), pace.is_slow()), (None, false));
        assert_eq!((pace.look(5 + SLOW_NS), pace.is_slow()), (Some(3), true));
        pace.end(began, 6 + SLOW_NS);
        assert_eq!((pace.look(100 * SLOW_NS), pace.is_slow()), (None, true));
    }
}
