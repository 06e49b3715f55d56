//! The file and what is on its way into it. Whoever holds the pen writes: mostly a worker at the end
//! of its turn, which costs one system call and no change of threads; the writer's own thread when a
//! write may take longer.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::Batch;
use crate::aof::files::OutFile;
use crate::aof::handle::{Aof, Policy};
use crate::aof::host::Timed;
use crate::aof::queue::Taken;

/// A worker writes again what others have appended meanwhile, so many times at most.
const ROUNDS_MAX: usize = 4;

/// The file being written.
#[derive(Debug)]
pub(in crate::aof) struct Open {
    pub(super) file: Arc<dyn OutFile>,
    /// Bytes of whole units in it.
    pub(super) size: u64,
}

/// The file, and records taken from the queue.
#[derive(Debug, Default)]
pub(in crate::aof) struct Pen {
    pub(super) open: Option<Open>,
    pub(super) batch: Batch,
    /// Offset up to which all is written.
    pub(super) written: u64,
    /// Offset up to which all is on the disk.
    pub(super) durable: u64,
}

impl Pen {
    /// The file has bytes that were not synced.
    pub(super) fn is_unsynced(&self) -> bool {
        self.durable < self.written
    }

    /// Writes the batch to its end. An error leaves the rest of it. `by` names the thread.
    pub(super) fn write(&mut self, aof: &Aof, by: usize) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let began = aof.pace.begin(by, aof.host.nanos());
        let kind = aof.kind_of_write();
        let written = self.batch.write_to(open.file.as_ref());
        let took_ns = aof.pace.end(began, aof.host.nanos());
        aof.host.took(kind, took_ns);
        written?;
        self.written = self.batch.end();
        self.grew(aof, self.batch.bytes() as u64);
        aof.queue.recycle(mem::take(&mut self.batch).into_blocks());
        Ok(())
    }

    /// Counts bytes that are in the file for good.
    pub(super) fn grew(&mut self, aof: &Aof, bytes: u64) {
        if let Some(open) = &mut self.open {
            open.size += bytes;
        }
        aof.counters.incr_size.fetch_add(bytes, Ordering::Relaxed);
        aof.counters.current_size.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Drops the batch, as if it were written.
    pub(super) fn forget_batch(&mut self, aof: &Aof) {
        let batch = mem::take(&mut self.batch);
        self.written = self.written.max(batch.end());
        self.durable = self.written;
        aof.queue.recycle(batch.into_blocks());
        aof.queue.taken_is_durable();
        aof.tell_room();
    }
}

/// Whether the disk made a caller wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Took {
    NoTime,
    Long,
}

/// What is left after a worker's write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Others may have appended more.
    Perhaps,
    /// What only the writer's thread can do.
    Writers,
}

impl Aof {
    /// Writes what is queued, by the calling thread if that takes no time: then all that was appended
    /// before is released when this returns. Otherwise the writer's thread does, and it is released
    /// later; under `always` always so. Called without locks; `by` names the thread for
    /// [`Self::look_at_write`].
    pub(crate) fn flush(&self, by: usize) -> Took {
        let mut took = Took::NoTime;
        let is_empty = || self.queue.held_bytes() == 0;
        if is_empty() {
            return took;
        }
        if self.policy() == Policy::Always {
            if self.gathering.join() {
                self.queue.end_gathering();
            } else {
                self.kick();
            }
            return took;
        }
        for _ in 0..ROUNDS_MAX {
            if is_empty() {
                return took;
            }
            if !self.may_write_here() {
                break;
            }
            // Whoever has the pen looks into the queue again after putting it down, which comes after
            // this or makes it succeed.
            fence(Ordering::SeqCst);
            let Some(mut pen) = self.pen.try_lock() else { return took };
            let left = self.write_here(&mut pen, by);
            drop(pen);
            fence(Ordering::SeqCst);
            if self.is_slow() {
                took = Took::Long;
            }
            match left {
                Left::Nothing => return took,
                Left::Perhaps => self.tell_progress(),
                Left::Writers => {
                    self.queue.nudge();
                    return took;
                }
            }
        }
        self.kick();
        took
    }

    fn write_here(&self, pen: &mut Pen, by: usize) -> Left {
        if !pen.batch.is_empty() {
            return Left::Writers;
        }
        let run = match self.queue.take_bytes() {
            Taken::Nothing => return Left::Nothing,
            // It was woken for it.
            Taken::Marked => return Left::Writers,
            Taken::Bytes(run) => run,
        };
        pen.batch = Batch::new(run.blocks, run.end);
        if pen.open.is_none() {
            return Left::Writers;
        }
        let has_timer = pen.is_unsynced() && self.policy() == Policy::EverySec;
        if pen.write(self, by).is_err() {
            // It tries again, and deals with the failure.
            return Left::Writers;
        }
        self.set_progress(pen.written, pen.durable);
        self.tell_room();
        if !has_timer && self.policy() != Policy::No {
            // From now on it has a sync to do.
            self.queue.nudge();
        }
        Left::Perhaps
    }

    /// Whether a write is unlikely to wait for the disk.
    fn may_write_here(&self) -> bool {
        !self.is_slow() && !self.is_failing() && !self.counters.syncing.load(Ordering::Relaxed)
    }

    fn kind_of_write(&self) -> Timed {
        if self.counters.syncing.load(Ordering::Relaxed) {
            Timed::WriteBesideSync
        } else if self.rewriting.load(Ordering::Relaxed) {
            Timed::WriteBesideRewrite
        } else {
            Timed::Write
        }
    }
}
