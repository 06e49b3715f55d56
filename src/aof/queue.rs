//! The queue of records between the log and the writer's thread.
//!
//! Bytes lie in blocks, so that a growing queue copies nothing, and blocks are used again. A marker
//! stands between bytes and tells the writer what to do once all before it is written: so the place
//! where a new file begins is exact, whatever the writer's lag.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::files::OutFile;

/// Bytes in one block.
const BLOCK_BYTES: usize = 64 * 1024;
/// Free blocks that are kept.
const FREE_BLOCKS_MAX: usize = 32;

/// The outcome of a marker, for the thread that waits for it.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    outcome: Mutex<Option<Result<(), String>>>,
    resolved: Condvar,
}

impl Ticket {
    pub(super) fn resolve(&self, outcome: Result<(), String>) {
        self.outcome.lock().get_or_insert(outcome);
        self.resolved.notify_all();
    }

    #[cfg(test)]
    pub(super) fn outcome(&self) -> Option<Result<(), String>> {
        self.outcome.lock().clone()
    }

    pub(super) fn wait(&self) -> Result<(), String> {
        let mut outcome = self.outcome.lock();
        loop {
            match &*outcome {
                Some(outcome) => return outcome.clone(),
                None => self.resolved.wait(&mut outcome),
            }
        }
    }
}

/// A new file for the bytes after a marker.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) file: Box<dyn OutFile>,
    pub(super) name: Vec<u8>,
    /// Whether the manifest lists it from now on, rather than when the first base stands.
    pub(super) listed: bool,
    pub(super) ticket: Arc<Ticket>,
}

/// What to do between two bytes.
#[derive(Debug)]
pub(super) enum Marker {
    /// Begin with a file of this size, at the start.
    Install(Box<dyn OutFile>, u64),
    /// Go on in a new file.
    Switch(Switch),
    /// Sync and close the file.
    Close(Arc<Ticket>),
    /// Forget the file: no manifest will list it.
    Discard,
    /// End the thread.
    End,
}

impl Marker {
    /// True if what is before it may be dropped when it cannot be written.
    fn ends(&self) -> bool {
        matches!(self, Self::Close(_) | Self::Discard | Self::End)
    }
}

/// Bytes up to a marker, or to the end.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) blocks: Vec<Vec<u8>>,
    /// Offset after the last byte.
    pub(super) end: u64,
    /// When the first byte was appended, in nanoseconds.
    since: Option<u64>,
    pub(super) marker: Option<Marker>,
}

/// What [`Queue::take_bytes`] found.
#[derive(Debug)]
pub(super) enum Taken {
    Nothing,
    /// A marker comes first.
    Marked,
    Bytes(Run),
}

#[derive(Debug, Default)]
struct QueueState {
    /// Runs that a marker ends.
    sealed: VecDeque<Run>,
    /// Bytes after the last marker.
    open: Run,
    free: Vec<Vec<u8>>,
    /// While a sync runs beside the writes: when the first byte was appended that it does not cover.
    after_sync: Option<Option<u64>>,
    recording: bool,
    /// The writer shall look at what the settings say now.
    nudged: bool,
    /// The writer is gone, for this reason: markers fail at once.
    gone: Option<String>,
}

impl QueueState {
    fn has_work(&self) -> bool {
        self.nudged || !self.sealed.is_empty() || !self.open.blocks.is_empty()
    }

    fn is_urgent(&self) -> bool {
        self.nudged || self.sealed.iter().any(|run| run.marker.as_ref().is_some_and(Marker::ends))
    }

    /// When the first byte was appended of those that wait.
    fn queued_since(&self) -> Option<u64> {
        self.sealed.iter().find_map(|run| run.since).or(self.open.since)
    }

    fn copy(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.open.blocks.last().is_none_or(|block| block.len() == BLOCK_BYTES) {
                let block = self.free.pop();
                self.open.blocks.push(block.unwrap_or_else(|| Vec::with_capacity(BLOCK_BYTES)));
            }
            let block = self.open.blocks.last_mut().expect("just pushed");
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - block.len()));
            block.extend_from_slice(now);
            bytes = later;
        }
    }
}

/// The queue. Its lock is held for copies only, never while a file is written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    wake: Condvar,
    /// The writer sleeps until something is appended. Changes under the lock.
    sleeping: AtomicBool,
    /// Offset after the last byte appended. Changes under the lock.
    end: AtomicU64,
    /// Bytes appended and not yet written.
    held_bytes: AtomicUsize,
    /// When the oldest byte was appended that is not on the disk, in nanoseconds; 0 for none.
    undurable_since: AtomicU64,
}

impl Queue {
    /// Appends a unit of records; returns the offset after it. While nothing is recorded, that is
    /// the offset before.
    pub(super) fn append(&self, parts: &[&[u8]], now_ns: u64) -> u64 {
        let mut state = self.state.lock();
        if !state.recording {
            return state.open.end;
        }
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes == 0 {
            return state.open.end;
        }
        for part in parts {
            state.copy(part);
        }
        state.open.end += bytes as u64;
        self.end.store(state.open.end, Ordering::Release);
        state.open.since.get_or_insert(now_ns);
        if let Some(first) = &mut state.after_sync {
            first.get_or_insert(now_ns);
        }
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.undurable_since.load(Ordering::Relaxed) == 0 {
            self.undurable_since.store(now_ns.max(1), Ordering::Relaxed);
        }
        state.open.end
    }

    /// Wakes the writer if it sleeps.
    pub(super) fn kick(&self) {
        // Whoever appended before took the lock after the writer had set this under it, or else
        // the writer saw the bytes.
        if self.held_bytes() != 0 && self.sleeping.load(Ordering::Relaxed) {
            self.wake.notify_one();
        }
    }

    /// Wakes the writer out of [`Self::gather`].
    pub(super) fn end_gathering(&self) {
        drop(self.state.lock());
        self.wake.notify_one();
    }

    /// Waits for a time, or until it is enough, or something else is to do.
    pub(super) fn gather(&self, time: Duration, is_enough: impl Fn() -> bool) {
        let mut state = self.state.lock();
        if !is_enough() && !state.is_urgent() {
            self.wake.wait_for(&mut state, time);
        }
    }

    /// Makes the writer look around.
    pub(super) fn nudge(&self) {
        self.state.lock().nudged = true;
        self.wake.notify_one();
    }

    /// Places a marker after all bytes so far; says whether bytes after it are recorded. Returns the
    /// offset of the marker.
    pub(super) fn mark(&self, marker: Marker, recording: bool) -> u64 {
        let mut state = self.state.lock();
        state.recording = recording;
        let end = state.open.end;
        if let Some(reason) = state.gone.clone() {
            state.recording = false;
            drop(state);
            Self::fail(marker, &reason);
            return end;
        }
        let mut run = mem::take(&mut state.open);
        state.open.end = end;
        run.marker = Some(marker);
        state.sealed.push_back(run);
        self.wake.notify_one();
        end
    }

    fn fail(marker: Marker, reason: &str) {
        match marker {
            Marker::Switch(switch) => switch.ticket.resolve(Err(reason.to_owned())),
            Marker::Close(ticket) => ticket.resolve(Err(reason.to_owned())),
            Marker::Install(..) | Marker::Discard | Marker::End => {}
        }
    }

    /// Takes what the writer has to do next; `None` for nothing.
    pub(super) fn take(&self) -> Option<Run> {
        let mut state = self.state.lock();
        state.nudged = false;
        if let Some(run) = state.sealed.pop_front() {
            return Some(run);
        }
        if state.open.blocks.is_empty() {
            return None;
        }
        let end = state.open.end;
        let run = mem::take(&mut state.open);
        state.open.end = end;
        Some(run)
    }

    /// Takes the bytes that are queued, for a thread that only writes; what a marker ends is for the
    /// writer's own.
    pub(super) fn take_bytes(&self) -> Taken {
        let mut state = self.state.lock();
        if !state.sealed.is_empty() {
            return Taken::Marked;
        }
        if state.open.blocks.is_empty() {
            return Taken::Nothing;
        }
        let end = state.open.end;
        let run = mem::take(&mut state.open);
        state.open.end = end;
        Taken::Bytes(run)
    }

    /// Returns written blocks.
    pub(super) fn recycle(&self, blocks: Vec<Vec<u8>>) {
        let bytes: usize = blocks.iter().map(Vec::len).sum();
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let mut state = self.state.lock();
        let room = FREE_BLOCKS_MAX.saturating_sub(state.free.len());
        let mut blocks = blocks.into_iter();
        for mut block in blocks.by_ref().take(room) {
            block.clear();
            state.free.push(block);
        }
        drop(state);
        // What is left is freed here, without the lock.
        drop(blocks);
    }

    /// All that was taken is on the disk.
    pub(super) fn taken_is_durable(&self) {
        let mut state = self.state.lock();
        state.after_sync = None;
        self.note_undurable(state.queued_since());
    }

    /// A sync begins of all that was taken; others go on meanwhile.
    pub(super) fn begin_sync(&self) {
        let mut state = self.state.lock();
        state.after_sync = Some(state.queued_since());
    }

    /// The sync has ended, well or not.
    pub(super) fn end_sync(&self, synced: bool) {
        let mut state = self.state.lock();
        if let Some(first) = state.after_sync.take().filter(|_| synced) {
            self.note_undurable(first);
        }
    }

    fn note_undurable(&self, since: Option<u64>) {
        self.undurable_since.store(since.map_or(0, |since| since.max(1)), Ordering::Relaxed);
    }

    /// Whether the writer would not sleep.
    #[cfg(test)]
    pub(super) fn wakes(&self) -> bool {
        self.state.lock().has_work()
    }

    /// Sleeps until something is appended, or for a time. Urgent sleep goes on beside bytes.
    pub(super) fn wait(&self, time: Option<Duration>, only_urgent: bool) {
        let mut state = self.state.lock();
        let work = if only_urgent { state.is_urgent() } else { state.has_work() };
        // One look around follows.
        state.nudged = false;
        if work {
            return;
        }
        if !only_urgent {
            self.sleeping.store(true, Ordering::Relaxed);
        }
        match time {
            Some(time) => drop(self.wake.wait_for(&mut state, time)),
            None => self.wake.wait(&mut state),
        }
        state.nudged = false;
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// True if a marker waits before which bytes may be dropped.
    pub(super) fn is_ending(&self) -> bool {
        let state = self.state.lock();
        state.sealed.iter().any(|run| run.marker.as_ref().is_some_and(Marker::ends))
    }

    /// Fails the switches that wait: the bytes after them stay in the file before.
    pub(super) fn abandon_switches(&self, reason: &str) {
        let mut state = self.state.lock();
        for run in &mut state.sealed {
            if matches!(run.marker, Some(Marker::Switch(_)))
                && let Some(marker) = run.marker.take()
            {
                Self::fail(marker, reason);
            }
        }
    }

    /// The writer ends: nothing is recorded any more, and markers fail.
    pub(super) fn abandon(&self, reason: &str) {
        let mut state = self.state.lock();
        state.recording = false;
        state.gone = Some(reason.to_owned());
        let runs = mem::take(&mut state.sealed);
        drop(state);
        for marker in runs.into_iter().filter_map(|run| run.marker) {
            Self::fail(marker, reason);
        }
    }

    /// Offset after the last byte appended.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// How long the oldest byte that is not on the disk has waited, in nanoseconds.
    pub(super) fn lag_ns(&self, now_ns: u64) -> u64 {
        match self.undurable_since.load(Ordering::Relaxed) {
            0 => 0,
            since => now_ns.saturating_sub(since),
        }
    }
}
