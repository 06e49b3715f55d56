//! The lock of a shard: taken once per command, so optimised for the uncontended case.
//!
//! Acquiring it is one atomic exchange and releasing it a plain store; a lock with a wait queue
//! needs a second exchange, which on the hot path costs as much as the rest of the look-up. A
//! waiter spins for about as long as a command takes, then yields, then sleeps in growing steps:
//! only operations on the whole server (SAVE, DEBUG SLEEP) hold a lock for long, and there a
//! millisecond more does not matter.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Rounds of plain spinning.
const SPINS: u32 = 128;
/// Rounds that yield to other threads.
const YIELDS: u32 = 64;
const SLEEP_MAX: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Lock(AtomicBool);

impl Lock {
    pub(super) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    #[inline]
    pub(super) fn lock(&self) {
        if self.0.swap(true, Ordering::Acquire) {
            self.wait();
        }
    }

    #[cold]
    fn wait(&self) {
        let mut turn = 0_u32;
        let mut sleep = Duration::from_micros(20);
        loop {
            // A load leaves the cache line with the holder; an exchange takes it away.
            if !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Acquire) {
                return;
            }
            turn = turn.saturating_add(1);
            if turn < SPINS {
                std::hint::spin_loop();
            } else if turn < SPINS + YIELDS {
                std::thread::yield_now();
            } else {
                std::thread::sleep(sleep);
                sleep = (sleep * 2).min(SLEEP_MAX);
            }
        }
    }

    /// # Safety
    /// The caller holds the lock.
    #[inline]
    pub(super) unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}
