//! The keyspace: databases of keys in 256 shards, each behind a short lock.
//!
//! A key's shard and place follow from a keyed hash of its bytes that leaves out the database, so
//! that moving a key between databases stays within its shard. Callers lock a [`ShardSet`] and
//! access keys through [`Locked`]; every change goes through its few primitives, where a running
//! snapshot keeps the old value ([`snapshot`]).
//!
//! Does not know clients, replication or time: expiry times are data here, and the layer above acts
//! on them.

pub(crate) mod access;
mod editor;
mod flushed;
pub(crate) mod graveyard;
mod interests;
mod prefetching;
mod raw;
mod sample;
mod scan;
pub(crate) mod snapshot;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ahash::RandomState;
use parking_lot::Mutex;
use std::hash::{BuildHasher, Hasher};

pub(crate) use editor::Editor;
pub(crate) use flushed::Flushed;
pub(crate) use interests::{Mark, Noted, Ticket, Tracked, Tracker, Waiter};
pub(crate) use raw::entry::{Content, Copies, Entry, EntryRef, INLINE_BYTES_MAX};
use raw::shard::{Held, Shards, View};
pub(crate) use raw::shard::{SHARDS, ShardSet};
use raw::table::{Detached, Only, TableMut};
pub(crate) use sample::Sample;
pub(crate) use scan::Cursor;

use crate::number;
use crate::types::{Chunks, Encoding, Object, Remains, Value, hashing};
use graveyard::{Burial, Displaced, Graveyard};
use interests::Interests;
use snapshot::Retention;

/// Longest string in bytes that Redis embeds in its object (OBJECT ENCODING embstr).
const EMBSTR_BYTES_MAX: usize = 44;

/// All the databases.
#[derive(Debug)]
pub(crate) struct Keyspace {
    shards: Shards<ShardState>,
    hasher: RandomState,
    /// The number of a snapshot's walk among the unlocked readers.
    walker: usize,
    /// Which tables each database has: SWAPDB exchanges two of these. Changes only under all the
    /// shard locks.
    mapping: Box<[AtomicUsize]>,
    graveyard: Arc<Graveyard>,
    tracked: Tracked,
    /// Marks to forget once a script no longer holds the locks.
    unwatched: Mutex<Vec<Unwatched>>,
}

/// A key's database, its name, and the mark of a transaction that watched it.
type Unwatched = (usize, Box<[u8]>, Mark);

/// What a shard's lock guards besides its tables.
#[derive(Debug, Default)]
struct ShardState {
    interests: Interests,
    /// The place of the last waiter that came.
    last_ticket: Ticket,
    /// New and changed entries carry this epoch.
    epoch: u8,
    /// Receives old values while a snapshot runs.
    retention: Option<Arc<Retention>>,
}

impl ShardState {
    /// Retains an entry removed from its table if a snapshot needs it, or leaves it to be freed.
    #[inline]
    fn displace(&self, tables: usize, old: Entry, displaced: &mut Displaced) {
        let unwanted = match &self.retention {
            Some(retention) if old.view().epoch() != self.epoch => retention.retain(tables, old),
            _ => Some(old),
        };
        unwanted.into_iter().for_each(|entry| displaced.add(entry));
    }

    /// Keeps a copy of an entry that is about to change in place.
    fn before_change(&self, tables: usize, entry: &mut Entry, displaced: &mut Displaced) {
        if entry.view().epoch() != self.epoch {
            if let Some(retention) = &self.retention {
                let unwanted = retention.retain(tables, entry.view().copied());
                unwanted.into_iter().for_each(|entry| displaced.add(entry));
            }
            entry.set_epoch(self.epoch);
        }
    }
}

/// A key with its hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) hash: u64,
}

impl Key<'_> {
    #[inline]
    pub(crate) fn shard(self) -> usize {
        (self.hash >> 56) as usize
    }
}

impl Content<'_> {
    /// A string as SET stores it: an integer if it spells one.
    #[inline]
    pub(crate) fn encode(bytes: &[u8]) -> Content<'_> {
        if bytes.len() <= 20
            && let Some(value) = number::parse_i64(bytes)
        {
            return Content::Int(value);
        }
        Self::unencoded(bytes)
    }

    /// A string as it is, embedded if short.
    pub(crate) fn unencoded(bytes: &[u8]) -> Content<'_> {
        if bytes.len() <= EMBSTR_BYTES_MAX {
            Content::Packed(Encoding::Embstr, bytes)
        } else {
            Self::raw(bytes)
        }
    }

    /// A string that will be changed in place.
    pub(crate) fn raw(bytes: &[u8]) -> Content<'_> {
        if bytes.len() <= INLINE_BYTES_MAX {
            Content::Packed(Encoding::Raw, bytes)
        } else {
            Content::Object(Box::new(Object::String(Chunks::from_slice(bytes))))
        }
    }

    /// An owned value in the form in which it is stored.
    pub(crate) fn with<R>(value: Value, store: impl FnOnce(Content<'_>) -> R) -> R {
        match value {
            Value::String(bytes) => store(Content::encode(&bytes)),
            Value::Packed(encoding, bytes) => store(Content::Packed(encoding, &bytes)),
            Value::Object(object) => store(Content::Object(object)),
        }
    }
}

impl Keyspace {
    /// Empty databases, for `readers` threads that prefetch. The seeds key the hash and must be
    /// unknown to clients.
    pub(crate) fn new(databases: usize, readers: usize, seeds: [u64; 4]) -> Self {
        hashing::seed(seeds);
        let [a, b, c, d] = seeds;
        Self {
            // One more for the walk of a snapshot.
            shards: Shards::new(databases, readers + 1),
            walker: readers,
            hasher: RandomState::with_seeds(a, b, c, d),
            mapping: (0..databases).map(AtomicUsize::new).collect(),
            graveyard: Arc::default(),
            tracked: Tracked::default(),
            unwatched: Mutex::default(),
        }
    }

    /// An empty keyspace whose keys can replace this one's, by [`Locked::adopt`].
    pub(crate) fn beside(&self) -> Self {
        let beside = Self {
            shards: Shards::new(self.databases(), 1),
            walker: 0,
            hasher: self.hasher.clone(),
            mapping: (0..self.databases()).map(AtomicUsize::new).collect(),
            graveyard: Arc::clone(&self.graveyard),
            tracked: Tracked::default(),
            unwatched: Mutex::default(),
        };
        let epoch = {
            let mut guard = self.shards.lock(ShardSet::ALL);
            guard.view().state(0).epoch
        };
        {
            let mut guard = beside.shards.lock(ShardSet::ALL);
            let mut view = guard.view();
            (0..SHARDS).for_each(|shard| view.state_mut(shard).epoch = epoch);
        }
        beside
    }

    pub(crate) fn databases(&self) -> usize {
        self.shards.databases()
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    #[inline]
    pub(crate) fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: self.hash(bytes) }
    }

    /// Which tables a database has.
    #[inline]
    fn tables(&self, database: usize) -> usize {
        self.mapping[database].load(Ordering::Relaxed)
    }

    /// Locks a set of shards. A thread that already holds a [`Guard`] must not call this.
    #[inline]
    pub(crate) fn lock(&self, set: ShardSet) -> Guard<'_> {
        let burial = Burial::new(&self.graveyard);
        Guard { keyspace: self, held: self.shards.lock(set), burial }
    }

    /// Counts of what clients have in their caches. Takes no lock.
    pub(crate) fn tracked(&self) -> &Tracked {
        &self.tracked
    }

    /// The same, but gives up while a script holds locks for long.
    #[inline]
    pub(crate) fn lock_unless_busy(&self, set: ShardSet) -> Option<Guard<'_>> {
        let burial = Burial::new(&self.graveyard);
        let held = self.shards.lock_unless_busy(set)?;
        Some(Guard { keyspace: self, held, burial })
    }

    /// Makes those give up, or no longer, who lock by [`Keyspace::lock_unless_busy`].
    pub(crate) fn set_busy(&self, busy: bool) {
        self.shards.set_busy(busy);
    }

    /// Frees what is removed.
    pub(crate) fn graveyard(&self) -> &Arc<Graveyard> {
        &self.graveyard
    }

    /// Keys of a database, expired ones that wait for removal included. Takes no lock.
    pub(crate) fn len(&self, database: usize) -> usize {
        let tables = self.tables(database);
        (0..SHARDS).map(|shard| self.shards.counts(shard, tables).keys()).sum()
    }

    /// Keys of a database that have an expiry. Takes no lock.
    pub(crate) fn expires(&self, database: usize) -> usize {
        let tables = self.tables(database);
        (0..SHARDS).map(|shard| self.shards.counts(shard, tables).expires()).sum()
    }

    /// Keys of a database in one shard that have an expiry. Takes no lock.
    pub(crate) fn shard_expires(&self, shard: usize, database: usize) -> usize {
        self.shards.counts(shard, self.tables(database)).expires()
    }

    /// Overhead of a database's keys in bytes: the tables with the heads of entries, and expiries.
    /// Takes no lock.
    pub(crate) fn overhead_bytes(&self, database: usize) -> [usize; 2] {
        let tables = self.tables(database);
        let mut bytes = [0; 2];
        for counts in (0..SHARDS).map(|shard| self.shards.counts(shard, tables)) {
            bytes[0] += counts.table_bytes() + counts.keys() * raw::entry::HEADER;
            bytes[1] += counts.expires() * raw::entry::EXPIRY;
        }
        bytes
    }

    /// Bytes of all the entries. Takes all the locks.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let mut guard = self.lock(ShardSet::ALL);
        let mut locked = guard.locked();
        let mut bytes = 0;
        for database in 0..self.databases() {
            locked.for_each(database, |entry| bytes += entry.allocated_bytes());
        }
        bytes
    }

    /// Bytes of directories and segments of all the tables. Takes all the locks.
    #[cfg(test)]
    pub(crate) fn table_bytes(&self) -> usize {
        let mut guard = self.shards.lock(ShardSet::ALL);
        let mut view = guard.view();
        let mut bytes = 0;
        for database in 0..self.databases() {
            for shard in 0..SHARDS {
                bytes += view.table(shard, database).0.allocated_bytes();
            }
        }
        bytes
    }

    /// Frees memory of tables that no reader sees any more; called between batches.
    #[inline]
    pub(crate) fn collect(&self) {
        self.shards.reclaim().collect();
    }
}

/// Holds the locks of some shards until it drops.
#[derive(Debug)]
pub(crate) struct Guard<'k> {
    keyspace: &'k Keyspace,
    // Dropped in this order: displaced values, after the locks are released.
    held: Held<'k, ShardState>,
    burial: Burial<'k>,
}

impl Guard<'_> {
    /// Locks all the shards that are not locked yet. Only one thread may do so at a time.
    pub(crate) fn extend(&mut self) {
        self.held.extend();
    }

    /// Which shards are locked.
    pub(crate) fn set(&self) -> ShardSet {
        self.held.set()
    }

    /// The locked keys.
    #[inline]
    pub(crate) fn locked(&mut self) -> Locked<'_> {
        Locked {
            keyspace: self.keyspace,
            held: self.held.view(),
            displaced: &mut self.burial.displaced,
        }
    }
}

/// Locked shards: the only way to read and change keys.
#[derive(Debug)]
pub(crate) struct Locked<'k> {
    keyspace: &'k Keyspace,
    held: View<'k, ShardState>,
    displaced: &'k mut Displaced,
}

impl<'k> Locked<'k> {
    pub(crate) fn keyspace(&self) -> &'k Keyspace {
        self.keyspace
    }

    pub(crate) fn set(&self) -> ShardSet {
        self.held.set()
    }

    /// The entry of a key, expired or not.
    #[inline]
    pub(crate) fn get(&self, database: usize, key: Key<'_>) -> Option<EntryRef<'_>> {
        self.held.get(self.keyspace.tables(database), key.bytes, key.hash)
    }

    /// Sets a key's access bits.
    pub(crate) fn touch(&mut self, database: usize, key: Key<'_>, access: u32) {
        let tables = self.keyspace.tables(database);
        if let Some((mut entry, _)) = self.held.edit(tables, key.bytes, key.hash) {
            entry.set_access(access);
        }
    }

    /// Sets a key's value, expiry and access bits, whatever it had before. True if the key is new.
    #[inline]
    pub(crate) fn store(
        &mut self,
        database: usize,
        key: Key<'_>,
        content: Content<'_>,
        expire_at_ms: Option<i64>,
        access: u32,
    ) -> bool {
        self.store_stamped(database, key, content, expire_at_ms, |_| access)
    }

    /// The same; `stamp` gives the access bits from those of the key's old value.
    #[inline]
    pub(crate) fn store_stamped(
        &mut self,
        database: usize,
        key: Key<'_>,
        content: Content<'_>,
        expire_at_ms: Option<i64>,
        stamp: impl FnOnce(Option<u32>) -> u32,
    ) -> bool {
        let tables = self.keyspace.tables(database);
        let Some((mut entry, state)) = self.held.edit(tables, key.bytes, key.hash) else {
            let (mut table, state) = self.held.table(key.shard(), tables);
            let mut entry = Entry::new(key.bytes, content, expire_at_ms);
            entry.set_epoch(state.epoch);
            entry.set_access(stamp(None));
            table.insert(entry, key.hash, &|key| self.keyspace.hash(key));
            return true;
        };
        let access = stamp(Some(entry.view().access()));
        let content = if state.retention.is_none() || entry.view().epoch() == state.epoch {
            match entry.overwrite(content, expire_at_ms) {
                Ok(()) => {
                    entry.set_epoch(state.epoch);
                    entry.set_access(access);
                    return false;
                }
                Err(content) => content,
            }
        } else {
            content
        };
        let mut new = Entry::new(key.bytes, content, expire_at_ms);
        new.set_epoch(state.epoch);
        new.set_access(access);
        let old = entry.replace(new);
        state.displace(tables, old, self.displaced);
        false
    }

    /// A key's value, to change in place; `None` if the key is missing.
    pub(crate) fn edit(&mut self, database: usize, key: Key<'_>) -> Option<Editor<'_>> {
        let tables = self.keyspace.tables(database);
        let (mut entry, state) = self.held.edit(tables, key.bytes, key.hash)?;
        state.before_change(tables, &mut entry, self.displaced);
        Some(Editor::new(entry))
    }

    /// Frees what a change took out of a value; if it is large, after the locks are released.
    pub(crate) fn bury(&mut self, remains: Remains) {
        self.displaced.add_remains(remains);
    }

    /// Sets or removes the expiry of a key; false if the key is missing.
    pub(crate) fn set_expiry(
        &mut self,
        database: usize,
        key: Key<'_>,
        expire_at_ms: Option<i64>,
    ) -> bool {
        let tables = self.keyspace.tables(database);
        let found = self.held.edit(tables, key.bytes, key.hash);
        let Some((mut entry, state)) = found else { return false };
        state.before_change(tables, &mut entry, self.displaced);
        entry.set_expiry(expire_at_ms);
        true
    }

    /// Removes a key; false if it was missing.
    pub(crate) fn remove(&mut self, database: usize, key: Key<'_>) -> bool {
        let tables = self.keyspace.tables(database);
        let (mut table, state) = self.held.table(key.shard(), tables);
        let Some(entry) = table.occupied(key.bytes, key.hash) else { return false };
        let old = entry.remove(&|key| self.keyspace.hash(key));
        state.displace(tables, old, self.displaced);
        true
    }

    /// Frees a value that no key holds; if it is large, after the locks are released.
    pub(crate) fn discard(&mut self, value: Value) {
        if matches!(value, Value::Object(_)) {
            Content::with(value, |content| self.displaced.add(Entry::new(b"", content, None)));
        }
    }

    /// Takes out a key's entry, for [`Locked::put`].
    pub(crate) fn take(&mut self, database: usize, key: Key<'_>) -> Option<Entry> {
        let tables = self.keyspace.tables(database);
        let (mut table, state) = self.held.table(key.shard(), tables);
        let mut entry = table.occupied(key.bytes, key.hash)?;
        state.before_change(tables, &mut entry, self.displaced);
        Some(entry.remove(&|key| self.keyspace.hash(key)))
    }

    /// Inserts an entry under a missing key, with another key and expiry than it had.
    pub(crate) fn put(
        &mut self,
        database: usize,
        key: Key<'_>,
        entry: Entry,
        expire_at_ms: Option<i64>,
    ) {
        let (mut table, state) = self.held.table(key.shard(), self.keyspace.tables(database));
        let mut entry = entry.rebuilt(Some(key.bytes), expire_at_ms);
        entry.set_epoch(state.epoch);
        table.insert(entry, key.hash, &|key| self.keyspace.hash(key));
    }

    /// Empties a database; needs all the locks. Dropping the result frees the memory.
    pub(crate) fn flush(&mut self, database: usize) -> Flushed {
        let tables = self.keyspace.tables(database);
        let mut flushed = Vec::new();
        for shard in 0..SHARDS {
            let (mut table, state) = self.held.table(shard, tables);
            let detached = table.detach();
            match &state.retention {
                Some(retention) => retention.retain_table(tables, detached),
                None => flushed.push(detached),
            }
        }
        let reclaim = Arc::clone(self.keyspace.shards.reclaim());
        Flushed { reclaim, tables: flushed }
    }

    /// Empties a database; needs all the locks. The memory is freed after they are released.
    pub(crate) fn flush_later(&mut self, database: usize) {
        let flushed = self.flush(database);
        self.displaced.add_tables(flushed);
    }

    /// Drops all keys and takes over those of another keyspace, made by [`Keyspace::beside`]; needs
    /// all the locks. Dropping the result frees the memory.
    pub(crate) fn adopt(&mut self, other: &Keyspace) -> Flushed {
        let reclaim = Arc::clone(self.keyspace.shards.reclaim());
        let mut flushed = Flushed { reclaim, tables: Vec::new() };
        let mut others = other.shards.lock(ShardSet::ALL);
        let mut others = others.view();
        for database in 0..self.keyspace.databases() {
            flushed.tables.append(&mut self.flush(database).tables);
            let (tables, other_tables) = (self.keyspace.tables(database), other.tables(database));
            for shard in 0..SHARDS {
                let (mut from, from_state) = others.table(shard, other_tables);
                let (mut table, state) = self.held.table(shard, tables);
                table.attach(from.detach());
                if from_state.epoch != state.epoch {
                    // A snapshot has begun meanwhile; these keys are not part of it.
                    stamp(&mut table, shard, state.epoch);
                }
            }
        }
        flushed
    }

    /// Exchanges two databases; needs all the locks.
    #[allow(clippy::needless_pass_by_ref_mut, reason = "it changes what the locks guard")]
    pub(crate) fn swap(&mut self, a: usize, b: usize) {
        assert_eq!(self.set(), ShardSet::ALL, "databases are swapped under all the locks");
        let (mapping, (to_a, to_b)) =
            (&self.keyspace.mapping, (self.keyspace.tables(b), self.keyspace.tables(a)));
        mapping[a].store(to_a, Ordering::Relaxed);
        mapping[b].store(to_b, Ordering::Relaxed);
    }
}

/// Stamps all the entries of a table with an epoch.
fn stamp(table: &mut TableMut<'_>, shard: usize, epoch: u8) {
    let mut next = Some((shard as u64) << 56);
    while let Some(from) = next {
        next = table.visit_segment(from, Only::All, |mut entry| {
            entry.set_epoch(epoch);
            ControlFlow::Continue(())
        });
    }
}

#[cfg(all(test, not(limpid_loom)))]
mod tests;
