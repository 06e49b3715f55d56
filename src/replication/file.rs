//! The append only file as a second sink of the log, and what waits for it under `always`.

use std::collections::VecDeque;
use std::sync::Arc;

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
    /// Under `always`: log offsets from which on bytes wait until the file is released up to an
    /// offset of its own.
    unreleased: VecDeque<Boundary>,
}

#[derive(Clone, Copy, Debug)]
struct Boundary {
    log: u64,
    file: u64,
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
        if file.policy() != Policy::Always {
            return;
        }
        let end = file.appended();
        let full = self.unreleased.len() >= BOUNDARIES_MAX;
        match self.unreleased.back_mut() {
            Some(last) if full || last.file == end => last.file = end,
            _ => self.unreleased.push_back(Boundary { log: from, file: end }),
        }
    }

    /// The log offset up to which replicas may be fed, if the log ends at `end`.
    pub(super) fn feedable(&mut self, file: Option<&Arc<Aof>>, end: u64) -> u64 {
        if self.unreleased.is_empty() {
            return end;
        }
        let released = file.map_or(u64::MAX, |file| file.released());
        while self.unreleased.front().is_some_and(|first| first.file <= released) {
            self.unreleased.pop_front();
        }
        self.unreleased.front().map_or(end, |first| first.log)
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

    /// The file's offset that must be released before anybody learns of what was appended so far; 0
    /// if nothing must.
    #[inline]
    pub(crate) fn unreleased(&self) -> u64 {
        self.recording_file().map_or(0, |file| unreleased(file))
    }

    /// The offset up to which replicas may be fed: the end, unless the file has not released it.
    pub(crate) fn feedable(&self) -> u64 {
        if !self.sinks().has_file() {
            return self.offset();
        }
        let mut state = self.state.lock();
        let end = state.end;
        state.file.feedable(self.file.get(), end)
    }
}

fn unreleased(file: &Aof) -> u64 {
    if file.policy() != Policy::Always {
        return 0;
    }
    let end = file.appended();
    if file.released() >= end { 0 } else { end }
}
