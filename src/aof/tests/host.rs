//! The server around, for tests: a clock that tests move, and what was told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::aof::host::{Host, Level, Progress, State, Timed};

#[derive(Debug, Default)]
pub(super) struct TestHost {
    pub(super) now_ns: AtomicU64,
    pub(super) lines: Mutex<Vec<String>>,
    pub(super) states: Mutex<Vec<State>>,
    pub(super) progress: Mutex<Progress>,
    pub(super) rooms: AtomicU64,
}

impl TestHost {
    pub(super) fn new() -> Arc<Self> {
        let host = Self::default();
        host.now_ns.store(1, Ordering::Relaxed);
        Arc::new(host)
    }

    pub(super) fn pass(&self, ns: u64) {
        self.now_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// True if a line with this text was logged.
    pub(super) fn logged(&self, text: &str) -> bool {
        self.lines.lock().iter().any(|line| line.contains(text))
    }
}

impl Host for TestHost {
    fn nanos(&self) -> u64 {
        self.now_ns.load(Ordering::Relaxed)
    }

    fn log(&self, _: Level, line: fmt::Arguments<'_>) {
        self.lines.lock().push(line.to_string());
    }

    fn advanced(&self, progress: Progress) {
        *self.progress.lock() = progress;
    }

    fn room(&self) {
        self.rooms.fetch_add(1, Ordering::Relaxed);
    }

    fn took(&self, _: Timed, _: u64) {}

    fn state_changed(&self, state: &State) {
        self.states.lock().push(state.clone());
    }
}
