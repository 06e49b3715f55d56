//! Snapshots without fork: the state at one instant, read while writes go on.
//!
//! [`Snapshot::cut`] takes all the locks for an instant and begins an epoch. From then on a change
//! to an entry of an older epoch first gives the old value to the [`Retention`], and the walk
//! visits the shards a segment at a time, taking the entries of older epochs and stamping them.
//! So each key that existed at the cut comes out exactly once with its value of that instant,
//! through the walk or through the retention, whichever meets it first.
//!
//! FLUSHALL hands over whole tables; SWAPDB changes which tables a database has, so this module
//! identifies databases by their tables and translates them by the mapping of the cut.
//!
//! A snapshot that is given up still stamps what is left, so that every entry carries the current
//! epoch when the next one begins: an epoch is one byte, and a stale one must not come round.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::raw::table::Only;
use super::{Copies, Detached, Entry, EntryRef, Keyspace, Locked, SHARDS, ShardSet};
use crate::heap;

/// Old values kept for a running snapshot.
#[derive(Debug)]
pub(crate) struct Retention {
    queue: Mutex<Queue>,
    bytes: AtomicUsize,
    peak_bytes: AtomicUsize,
    bytes_max: usize,
    given_up: AtomicBool,
    /// Bytes retained when they exceeded the limit, else 0.
    dropped_at_bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Queue {
    entries: Vec<(usize, Entry)>,
    tables: Vec<(usize, Detached)>,
}

impl Retention {
    /// Keeps an entry as it was at the cut; returns it if the snapshot does not need it.
    pub(super) fn retain(&self, tables: usize, entry: Entry) -> Option<Entry> {
        if self.given_up.load(Ordering::Relaxed) {
            return Some(entry);
        }
        let bytes = entry.view().allocated_bytes();
        let bytes = {
            // Counted before the walk can take it: it would subtract what has not been added.
            let mut queue = self.queue.lock();
            queue.entries.push((tables, entry));
            self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
        };
        self.peak_bytes.fetch_max(bytes, Ordering::Relaxed);
        if bytes > self.bytes_max {
            self.dropped_at_bytes.store(bytes, Ordering::Relaxed);
            self.given_up.store(true, Ordering::Relaxed);
        }
        None
    }

    /// Keeps a whole table. Its entries of the current epoch came after the cut.
    pub(super) fn retain_table(&self, tables: usize, table: Detached) {
        self.queue.lock().tables.push((tables, table));
    }

    /// Whether whole tables of flushed databases wait to be saved; their bytes are not known.
    pub(crate) fn has_tables(&self) -> bool {
        !self.queue.lock().tables.is_empty()
    }

    /// Bytes of single old values that wait to be saved.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The peak of those bytes.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.peak_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Ends the snapshot soon, without a result.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

/// Why a snapshot ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// Requested by SHUTDOWN or a flush.
    Asked,
    /// Old values of changed keys took more memory than allowed; bytes.
    RetainedTooMuch(usize),
}

/// Sizes of a database at the cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DatabaseSize {
    pub(crate) database: usize,
    pub(crate) keys: usize,
    pub(crate) expires: usize,
}

/// A snapshot being read.
#[derive(Debug)]
pub(crate) struct Snapshot {
    keyspace: Arc<Keyspace>,
    retention: Arc<Retention>,
    epoch: u8,
    /// Database by tables, as of the cut.
    database_of: Vec<usize>,
    sizes: Vec<DatabaseSize>,
    /// The walk: databases in `sizes`, and the next hash within.
    position: (usize, u64),
    /// Kept between steps to save allocations.
    slice: Copies,
}

/// How a step of the walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WalkStep {
    More,
    Done,
}

impl Snapshot {
    /// Begins a snapshot of the state under `locked`, which holds all the locks. At most
    /// `retained_bytes_max` bytes of old values are kept. One snapshot runs at a time.
    pub(crate) fn cut(
        keyspace: &Arc<Keyspace>,
        locked: &mut Locked<'_>,
        retained_bytes_max: usize,
    ) -> Self {
        assert_eq!(locked.set(), ShardSet::ALL, "a cut is one instant for all the shards");
        let retention = Arc::new(Retention {
            queue: Mutex::default(),
            bytes: AtomicUsize::new(0),
            peak_bytes: AtomicUsize::new(0),
            bytes_max: retained_bytes_max,
            given_up: AtomicBool::new(false),
            dropped_at_bytes: AtomicUsize::new(0),
        });
        let epoch = locked.held.state(0).epoch.wrapping_add(1);
        for shard in 0..SHARDS {
            let state = locked.held.state_mut(shard);
            assert!(state.retention.is_none(), "one snapshot runs at a time");
            state.retention = Some(Arc::clone(&retention));
            state.epoch = epoch;
        }
        let mut database_of = vec![0; keyspace.databases()];
        let mut sizes = Vec::new();
        for database in 0..keyspace.databases() {
            database_of[keyspace.tables(database)] = database;
            let (keys, expires) = (keyspace.len(database), keyspace.expires(database));
            if keys > 0 {
                sizes.push(DatabaseSize { database, keys, expires });
            }
        }
        let keyspace = Arc::clone(keyspace);
        let (position, slice) = ((0, 0), Copies::default());
        Self { keyspace, retention, epoch, database_of, sizes, position, slice }
    }

    pub(crate) fn retention(&self) -> &Arc<Retention> {
        &self.retention
    }

    /// The databases that had keys, in order.
    pub(crate) fn sizes(&self) -> &[DatabaseSize] {
        &self.sizes
    }

    /// Reads on: passes some entries with their databases at the cut to `each`. Holds no lock
    /// meanwhile.
    ///
    /// # Errors
    /// When the snapshot was given up. It has then ended.
    pub(crate) fn step(
        &mut self,
        mut each: impl FnMut(usize, EntryRef<'_>),
    ) -> Result<WalkStep, GivenUp> {
        self.check()?;
        let database = self.sizes.get(self.position.0).map_or(0, |size| size.database);
        // Once the walk has finished, the tables hold nothing of the cut: what was retained until
        // then is the rest.
        let walked = self.walk();
        self.slice.drain(|entry| each(database, entry));
        if walked == WalkStep::Done {
            self.end();
        }
        self.drain(&mut each);
        heap::tell();
        // Again: a snapshot given up meanwhile has dropped values.
        self.check()?;
        Ok(walked)
    }

    fn check(&self) -> Result<(), GivenUp> {
        if !self.retention.given_up.load(Ordering::Relaxed) {
            return Ok(());
        }
        let dropped = self.retention.dropped_at_bytes.load(Ordering::Relaxed);
        Err(if dropped > 0 { GivenUp::RetainedTooMuch(dropped) } else { GivenUp::Asked })
    }

    /// Takes the entries of the next segment and moves on.
    fn walk(&mut self) -> WalkStep {
        let Some(size) = self.sizes.get(self.position.0) else { return WalkStep::Done };
        let (from, epoch) = (self.position.1, self.epoch);
        let shard = (from >> 56) as usize;
        // The database may be swapped meanwhile; its tables of the cut are not.
        let tables = self
            .database_of
            .iter()
            .position(|&database| database == size.database)
            .expect("each database has tables");
        let mut set = ShardSet::default();
        set.insert(shard);
        let slice = &mut self.slice;
        // The lock is held while a segment's entries are copied, so they are prefetched first.
        {
            let inside = self.keyspace.shards.reclaim().enter(self.keyspace.walker);
            self.keyspace.shards.head(shard, tables).prefetch_segment(from, &inside);
        }
        let next = {
            let mut guard = self.keyspace.lock(set);
            let mut locked = guard.locked();
            let (mut table, _) = locked.held.table(shard, tables);
            table.visit_segment(from, Only::All, |mut entry| {
                if entry.view().epoch() != epoch {
                    slice.push(entry.view());
                    entry.set_epoch(epoch);
                }
                ControlFlow::Continue(())
            })
        };
        self.position = match next {
            Some(next) => (self.position.0, next),
            None if shard + 1 < SHARDS => (self.position.0, ((shard + 1) as u64) << 56),
            None => (self.position.0 + 1, 0),
        };
        WalkStep::More
    }

    /// Passes what was retained so far to `each`.
    fn drain(&self, each: &mut impl FnMut(usize, EntryRef<'_>)) {
        let Queue { entries, tables } = std::mem::take(&mut *self.retention.queue.lock());
        let mut bytes = 0;
        for (tables, entry) in entries {
            bytes += entry.view().allocated_bytes();
            each(self.database_of[tables], entry.view());
        }
        self.retention.bytes.fetch_sub(bytes, Ordering::Relaxed);
        for (tables, table) in tables {
            table.for_each(|entry| {
                if entry.epoch() != self.epoch {
                    each(self.database_of[tables], entry);
                }
            });
            table.free(self.keyspace.shards.reclaim());
        }
    }

    /// Ends retention, shard by shard: writes then ignore this snapshot.
    fn end(&self) {
        for shard in 0..SHARDS {
            let mut set = ShardSet::default();
            set.insert(shard);
            let mut guard = self.keyspace.lock(set);
            let mut locked = guard.locked();
            let state = locked.held.state_mut(shard);
            if state.retention.as_ref().is_some_and(|own| Arc::ptr_eq(own, &self.retention)) {
                state.retention = None;
            }
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // Stamp what the walk has not reached: see the module's doc.
        self.retention.give_up();
        while self.walk() == WalkStep::More {
            self.slice.clear();
        }
        self.end();
        for (_, table) in std::mem::take(&mut self.retention.queue.lock().tables) {
            table.free(self.keyspace.shards.reclaim());
        }
    }
}
