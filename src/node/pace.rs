//! How often periodic work runs: often while there is any, seldom while the server is idle. Threads
//! that run commands end an idle period.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

/// The idle state of the periodic thread.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    resting: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Pace {
    /// Makes this thread the periodic thread.
    pub(crate) fn begin(&self) {
        // A second server in one process (tests) has a node of its own.
        self.thread.get_or_init(std::thread::current);
    }

    /// Set before the thread idles and cleared afterwards.
    pub(crate) fn set_resting(&self, resting: bool) {
        self.resting.store(resting, Ordering::Relaxed);
    }

    /// Ends an idle period, as commands have run. Missing one is harmless: idle periods are short.
    #[inline]
    pub(crate) fn note_work(&self) {
        if self.resting.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Wakes the thread at once.
    #[cold]
    pub(crate) fn wake(&self) {
        self.resting.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}
