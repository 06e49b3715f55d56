//! How often regular work is done: often while there is any, seldom while the server rests. Whoever
//! runs commands ends a rest.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

/// The rest of the thread that does the regular work.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    resting: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Pace {
    /// The regular work is done on this thread from now on.
    pub(crate) fn begin(&self) {
        // A second server in one process (tests) has a node of its own.
        self.thread.get_or_init(std::thread::current);
    }

    /// The thread is about to rest, or has rested.
    pub(crate) fn set_resting(&self, resting: bool) {
        self.resting.store(resting, Ordering::Relaxed);
    }

    /// Ends a rest, as commands have run. To miss one does no harm: rests are short.
    #[inline]
    pub(crate) fn note_work(&self) {
        if self.resting.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Has the thread look around at once.
    #[cold]
    pub(crate) fn wake(&self) {
        self.resting.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}
