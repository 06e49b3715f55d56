//! The append only file as a second sink of the log, and what waits for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use super::batch::{Batch, Target};
use super::log::{Log, Sinks};
use crate::aof::{Aof, Policy, timestamp};

/// Most boundaries kept; beyond them the last one moves.
const BOUNDARIES_MAX: usize = 1024;

/// What the log knows of the file, under its own lock.
#[derive(Debug, Default)]
pub(super) struct FileSink {
    /// The database that a reader of the file has selected.
    selected: Option<usize>,
    /// Whether records carry the time (`aof-timestamp-enabled`), and the last one, in Unix seconds.
    stamps: bool,
    stamped_s: i64,
    /// Bytes of a unit that is more than one record.
    unit: Vec<u8>,
    /// Log offsets from which on bytes wait until the file is released up to an offset of its own.
    unreleased: VecDeque<Boundary>,
}

#[derive(Clone, Copy, Debug)]
struct Boundary {
    log: u64,
    file: u64,
}

/// What somebody has done who waits for the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum By {
    Writing,
    /// Saw what others wrote. Unless the policy is `always`, a slow disk does not make them wait.
    #[default]
    Reading,
}

/// What the file must be released up to before somebody learns of what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unreleased {
    /// An offset of the file; 0: nothing waits.
    offset: u64,
    by: By,
}

impl Unreleased {
    /// Whether there is something to wait for.
    #[inline]
    pub(crate) fn is_some(self) -> bool {
        self.offset != 0
    }

    /// Whether a file that is released up to an offset makes this wait no longer.
    pub(crate) fn is_over(self, file: &Aof) -> bool {
        file.released() >= self.offset || self.is_spared(file)
    }

    /// Whether the disk is slow and this does not wait for it.
    pub(crate) fn is_spared(self, file: &Aof) -> bool {
        self.by == By::Reading && file.is_slow() && file.policy() != Policy::Always
    }

    pub(crate) fn offset(self) -> u64 {
        self.offset
    }
}

/// The time of a record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecordTime {
    /// Monotonic nanoseconds, by the clock that the file uses.
    pub(crate) nanos: u64,
    pub(crate) unix_ms: i64,
}

impl FileSink {
    pub(super) fn set_stamps(&mut self, on: bool) {
        self.stamps = on;
    }

    /// The next record selects its database.
    pub(super) fn forget_selected(&mut self) {
        self.selected = None;
    }

    /// Appends what goes to the file.
    pub(super) fn append(&mut self, file: &Aof, batch: &Batch, time: RecordTime) {
        let unit = &mut self.unit;
        unit.clear();
        let mut selected = self.selected;
        batch.write(Target::File, &mut selected, |bytes| unit.extend_from_slice(bytes));
        if unit.is_empty() {
            return;
        }
        self.selected = selected;
        let now_s = time.unix_ms / 1000;
        if self.stamps && self.stamped_s < now_s {
            self.stamped_s = now_s;
            file.append(&[timestamp(now_s).as_bytes(), unit], time.nanos);
        } else {
            file.append(&[unit], time.nanos);
        }
        // Do not keep the memory of one huge command.
        self.unit.shrink_to(1 << 20);
    }

    /// Notes that log bytes from `from` on were appended, whose effects the file has by now.
    pub(super) fn hold_back(&mut self, file: &Aof, from: u64) {
        let end = file.appended();
        let full = self.unreleased.len() >= BOUNDARIES_MAX;
        match self.unreleased.back_mut() {
            Some(last) if full || last.file == end => last.file = end,
            _ => self.unreleased.push_back(Boundary { log: from, file: end }),
        }
    }

    /// The log offset up to which replicas may be fed, if the log ends at `end`.
    /// Notes in `starved` that they lack something.
    pub(super) fn feedable(
        &mut self,
        file: Option<&Arc<Aof>>,
        end: u64,
        starved: &AtomicBool,
    ) -> u64 {
        if self.unreleased.is_empty() {
            return end;
        }
        let mut forget = || {
            let released = file.map_or(u64::MAX, |file| file.released());
            while self.unreleased.front().is_some_and(|first| first.file <= released) {
                self.unreleased.pop_front();
            }
            self.unreleased.front().map(|first| first.log)
        };
        if forget().is_none() {
            return end;
        }
        starved.store(true, Ordering::Relaxed);
        // Whoever releases looks at this afterwards, so what was released before is seen here.
        fence(Ordering::SeqCst);
        forget().unwrap_or(end)
    }

    /// The log begins anew: its offsets before mean nothing any more.
    pub(super) fn forget_boundaries(&mut self) {
        self.unreleased.clear();
    }
}

impl Log {
    /// Sets the append only file. Called once, before the first command.
    pub(crate) fn set_file(&self, file: Arc<Aof>) {
        assert!(self.file.set(file).is_ok(), "a log has one append only file");
    }

    /// The append only file, whether it is on or not; `None` where there are no files.
    pub(crate) fn file(&self) -> Option<&Arc<Aof>> {
        self.file.get()
    }

    #[inline]
    pub(super) fn file_if_on(&self, sinks: Sinks) -> Option<&Arc<Aof>> {
        if sinks.has_file() { self.file.get() } else { None }
    }

    /// The append only file, if it is on.
    #[inline]
    pub(crate) fn recording_file(&self) -> Option<&Arc<Aof>> {
        self.file_if_on(self.sinks())
    }

    /// Lets the file begin anew, by `begin`: the next record selects its database. Called under all
    /// the shard locks.
    pub(crate) fn begin_file<R>(&self, stamps: bool, begin: impl FnOnce() -> R) -> R {
        let mut state = self.state.lock();
        let begun = begin();
        state.file.set_stamps(stamps);
        state.file.forget_selected();
        self.set_sink(Sinks::FILE, true);
        begun
    }

    /// Ends the file, by `end`: nothing is recorded any more. Called under all the shard locks.
    pub(crate) fn end_file<R>(&self, end: impl FnOnce() -> R) -> R {
        let _state = self.state.lock();
        self.set_sink(Sinks::FILE, false);
        end()
    }

    /// Sets whether the file's records carry the time.
    pub(crate) fn set_stamps(&self, on: bool) {
        self.state.lock().file.set_stamps(on);
    }

    /// What must be released before somebody learns of what was appended so far.
    #[inline]
    pub(crate) fn unreleased(&self, by: By) -> Unreleased {
        self.recording_file().map_or_else(Unreleased::default, |file| unreleased(file, by))
    }

    /// Whether replicas could not be fed all that there was since the last call.
    pub(crate) fn take_starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed) && self.starved.swap(false, Ordering::Relaxed)
    }

    /// The offset up to which replicas may be fed: the end, unless the file has not released it.
    pub(crate) fn feedable(&self) -> u64 {
        if !self.sinks().has_file() {
            return self.offset();
        }
        let mut state = self.state.lock();
        let end = state.end;
        state.file.feedable(self.file.get(), end, &self.starved)
    }
}

fn unreleased(file: &Aof, by: By) -> Unreleased {
    let unreleased = Unreleased { offset: file.appended(), by };
    if unreleased.is_over(file) { Unreleased::default() } else { unreleased }
}
