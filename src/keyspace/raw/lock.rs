//! The lock of a shard: taken once per command, so optimised for the uncontended case.
//!
//! Acquiring it is one atomic exchange and releasing it a plain store; a lock with a wait queue
//! needs a second exchange, which on the hot path costs as much as the rest of the look-up. A
//! waiter spins for about as long as a command takes, then yields, then sleeps in growing steps:
//! only operations on the whole server (SAVE, DEBUG SLEEP) and long scripts hold a lock for long, and
//! there a millisecond more does not matter.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Rounds of plain spinning.
const SPINS: u32 = 128;
/// Rounds that yield to other threads.
const YIELDS: u32 = 64;
const SLEEP_MAX: Duration = Duration::from_millis(1);

/// The pauses of a thread that waits, each as long as the one before or longer.
#[derive(Debug)]
pub(super) struct Pause {
    turn: u32,
    sleep: Duration,
}

impl Default for Pause {
    fn default() -> Self {
        Self { turn: 0, sleep: Duration::from_micros(20) }
    }
}

impl Pause {
    pub(super) fn next(&mut self) {
        self.turn = self.turn.saturating_add(1);
        if self.turn < SPINS {
            std::hint::spin_loop();
        } else if self.turn < SPINS + YIELDS {
            std::thread::yield_now();
        } else {
            std::thread::sleep(self.sleep);
            self.sleep = (self.sleep * 2).min(SLEEP_MAX);
        }
    }
}

#[derive(Debug)]
pub(super) struct Lock(AtomicBool);

impl Lock {
    pub(super) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Takes the lock if it is free.
    #[inline]
    pub(super) fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    /// Waits for the lock and takes it, or gives up when `gives_up` says so; false in that case.
    #[cold]
    pub(super) fn wait(&self, gives_up: impl Fn() -> bool) -> bool {
        let mut pause = Pause::default();
        loop {
            // A load leaves the cache line with the holder; an exchange takes it away.
            if !self.0.load(Ordering::Relaxed) && self.try_lock() {
                return true;
            }
            if gives_up() {
                return false;
            }
            pause.next();
        }
    }

    /// # Safety
    /// The caller holds the lock.
    #[inline]
    pub(super) unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}
