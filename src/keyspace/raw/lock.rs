//! The lock of a shard: taken once per command, so made for the case that nobody else wants it.
//!
//! Taking it is one atomic exchange and giving it back a plain store, where a lock that keeps a
//! queue of waiters needs a second exchange: on the hot path that is as long as the rest of the
//! look-up. Who has to wait spins for about as long as a command takes, then lets other threads
//! run, then sleeps in growing steps: a lock is held long only by what holds the whole server
//! (SAVE, DEBUG SLEEP), where a millisecond more does not count.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Turns of plain spinning.
const SPINS: u32 = 128;
/// Turns in which other threads are let run.
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
            // Looking does not take the cache line away from the holder; trying does.
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
