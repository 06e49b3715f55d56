//! Walking over keys: SCAN's cursor, random keys, whole databases, and the sweeper's search.
//!
//! Keys are visited in hash order, the order of the table at any size. A cursor is the top 48 bits
//! of the hash to continue from: it stays valid while tables grow and shrink, each key present
//! throughout is visited exactly once, and COUNT is exact.

use std::ops::ControlFlow;

use super::raw::table::Only;
use super::{EntryRef, Key, Locked, SHARDS, ShardSet};

/// Low bits of a hash that a cursor omits. Keys that differ only in these are visited together.
const CURSOR_SHIFT: u32 = 16;

/// A position in a scan; 0 is both the beginning and the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor(pub(crate) u64);

impl Cursor {
    /// The shard where a scan continues; `None` for a number that no scan returned.
    pub(crate) fn shard(self) -> Option<usize> {
        let shard = self.0 >> (64 - CURSOR_SHIFT - 8);
        (shard < SHARDS as u64).then_some(shard as usize)
    }
}

/// First hash of a shard.
fn first_hash(shard: usize) -> u64 {
    (shard as u64) << 56
}

/// Keys whose expiry lies in the future.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Alive {
    pub(crate) keys: usize,
    /// The sum of their remaining times to live, in milliseconds.
    pub(crate) left_ms: i128,
}

impl Locked<'_> {
    /// Runs `with` with a shard locked: either it already is, or no shard is and this locks it.
    fn with_shard<R>(&mut self, shard: usize, with: impl FnOnce(&mut Locked<'_>) -> R) -> R {
        if self.set().contains(shard) {
            return with(self);
        }
        assert_eq!(self.set(), ShardSet::default(), "locks are taken in ascending order");
        let mut set = ShardSet::default();
        set.insert(shard);
        with(&mut self.keyspace.lock(set).locked())
    }

    /// Visits the segment with hash `from`; returns where the shard's next one begins.
    fn segment(
        &mut self,
        database: usize,
        from: u64,
        only: Only,
        mut each: impl FnMut(EntryRef<'_>),
    ) -> Option<u64> {
        let tables = self.keyspace.tables(database);
        let (mut table, _) = self.held.table((from >> 56) as usize, tables);
        table.visit_segment(from, only, |entry| {
            each(entry.view());
            ControlFlow::Continue(())
        })
    }

    /// Continues a scan: visits at least `count` keys, if there are so many, and returns the cursor
    /// to continue from.
    pub(crate) fn scan(
        &mut self,
        database: usize,
        cursor: Cursor,
        count: usize,
        mut each: impl FnMut(EntryRef<'_>),
    ) -> Cursor {
        let Some(first) = cursor.shard() else { return Cursor(0) };
        let mut from = cursor.0 << CURSOR_SHIFT;
        let mut left = count;
        for shard in first..SHARDS {
            from = from.max(first_hash(shard));
            let stopped = self.with_shard(shard, |locked| {
                locked.scan_shard(database, from, &mut left, &mut each)
            });
            if let Some(at) = stopped {
                return Cursor(at >> CURSOR_SHIFT);
            }
        }
        Cursor(0)
    }

    /// The part of a scan within one locked shard; returns the hash where it stopped.
    fn scan_shard(
        &mut self,
        database: usize,
        mut from: u64,
        left: &mut usize,
        each: &mut impl FnMut(EntryRef<'_>),
    ) -> Option<u64> {
        let keyspace = self.keyspace;
        loop {
            if *left == 0 {
                return Some(from);
            }
            let mut hashes = Vec::with_capacity(64);
            let next = self.segment(database, from, Only::All, |entry| {
                let hash = keyspace.hash(entry.key());
                if hash >= from {
                    hashes.push(hash >> CURSOR_SHIFT);
                }
            });
            hashes.sort_unstable();
            // The last key to visit now, and the first to leave for the next call.
            let last = hashes.get(left.saturating_sub(1)).or_else(|| hashes.last()).copied();
            let rest = hashes.iter().find(|&&hash| Some(hash) > last).copied();
            self.segment(database, from, Only::All, |entry| {
                let hash = keyspace.hash(entry.key());
                if hash >= from && Some(hash >> CURSOR_SHIFT) <= last {
                    *left = left.saturating_sub(1);
                    each(entry);
                }
            });
            match (rest, next) {
                (Some(hash), _) => return Some(hash << CURSOR_SHIFT),
                (None, Some(hash)) => from = hash,
                (None, None) => return None,
            }
        }
    }

    /// The keys in each segment of a database's tables, and those of them with an expiry; needs all
    /// the locks.
    pub(crate) fn segment_lens(&mut self, database: usize) -> Vec<(usize, usize)> {
        let mut lens = Vec::new();
        let tables = self.keyspace.tables(database);
        for shard in 0..SHARDS {
            let is_there = self.keyspace.shards.counts(shard, tables).table_bytes() > 0;
            let mut from = is_there.then(|| first_hash(shard));
            while let Some(at) = from {
                let (mut keys, mut expiring) = (0, 0);
                from = self.segment(database, at, Only::All, |entry| {
                    keys += 1;
                    expiring += usize::from(entry.expire_at_ms().is_some());
                });
                lens.push((keys, expiring));
            }
        }
        lens
    }

    /// Visits every key of a database; needs all the locks.
    pub(crate) fn for_each(&mut self, database: usize, mut each: impl FnMut(EntryRef<'_>)) {
        for shard in 0..SHARDS {
            let mut from = Some(first_hash(shard));
            while let Some(at) = from {
                from = self.segment(database, at, Only::All, &mut each);
            }
        }
    }

    /// A key picked with two random numbers, expired or not, and when it expires: the first number
    /// chooses a shard by its share of the keys, the second one of the keys within it. `None` when
    /// that shard has none.
    pub(crate) fn random_key(
        &mut self,
        database: usize,
        random: [u64; 2],
    ) -> Option<(Box<[u8]>, Option<i64>)> {
        let keyspace = self.keyspace;
        let tables = keyspace.tables(database);
        let sizes = || (0..SHARDS).map(|shard| keyspace.shards.counts(shard, tables).keys() as u64);
        let total: u64 = sizes().sum();
        let mut nth = if total == 0 { return None } else { random[0] % total };
        let mut shard = 0;
        for (index, size) in sizes().enumerate() {
            shard = index;
            if nth < size {
                break;
            }
            nth -= size;
        }
        self.with_shard(shard, |locked| {
            // Segments may be empty: from a random one on, take the first that is not.
            let start = first_hash(shard) | (random[1] >> 8);
            let mut from = Some(start);
            let mut wrapped = false;
            loop {
                let at = from.or_else(|| (!wrapped).then(|| first_hash(shard)))?;
                wrapped |= from.is_none();
                let mut keys = Vec::new();
                from = locked.segment(database, at, Only::All, |entry| {
                    keys.push((entry.key().into(), entry.expire_at_ms()));
                });
                if !keys.is_empty() {
                    let at = (random[1] % keys.len() as u64) as usize;
                    return Some(keys.swap_remove(at));
                }
            }
        })
    }

    /// Finds keys that expired before `now_ms` in the segment of a locked shard with hash `from`.
    /// Returns the number of other keys with an expiry, the sum of their times to live, and where
    /// to continue in this shard.
    pub(crate) fn expired_in_segment(
        &mut self,
        database: usize,
        from: u64,
        now_ms: i64,
        expired: &mut Vec<Box<[u8]>>,
    ) -> (Alive, Option<u64>) {
        let mut alive = Alive::default();
        let next = self.segment(database, from, Only::Expiring, |entry| {
            match entry.expire_at_ms().map(|at| at.saturating_sub(now_ms)) {
                Some(left_ms) if left_ms >= 0 => {
                    alive.keys += 1;
                    alive.left_ms += i128::from(left_ms);
                }
                _ => expired.push(entry.key().into()),
            }
        });
        (alive, next)
    }

    /// The key of a locked shard with its hash.
    pub(crate) fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        self.keyspace.key(bytes)
    }
}
