//! Shards: the lock of each, and the state that only its holder may touch.
//!
//! [`Shards::lock`] takes the locks of a [`ShardSet`] in ascending order and returns a [`Held`],
//! which gives access to tables and state. Accessing a shard outside the set panics: the set
//! follows from the command's row, and a handler that reaches further is a bug there.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::entry::EntryRef;
use super::lock::{Lock, Pause};
use super::reclaim::Reclaim;
use super::table::{Counts, Garbage, Head, Position, Staying, TableMut, same_bytes};

#[cfg(debug_assertions)]
thread_local! {
    /// Number of lock sets that this thread holds.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// Panics in builds with debug assertions if called under a shard's lock: a guard for slow work.
#[inline]
pub(super) fn assert_unlocked() {
    #[cfg(debug_assertions)]
    if HELD.get() > 0 && !std::thread::panicking() {
        panic!("a large value is freed under a shard's lock");
    }
}

#[inline]
fn count_held(more: bool) {
    #[cfg(debug_assertions)]
    HELD.set(if more { HELD.get() + 1 } else { HELD.get() - 1 });
    #[cfg(not(debug_assertions))]
    let _ = more;
}

/// Shards of a keyspace: the top eight bits of a key's hash.
pub(crate) const SHARDS: usize = 256;

/// A set of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardSet([u64; SHARDS / 64]);

impl ShardSet {
    pub(crate) const ALL: Self = Self([u64::MAX; SHARDS / 64]);

    /// One shard.
    #[inline]
    pub(crate) fn of(shard: usize) -> Self {
        let mut set = Self::default();
        set.insert(shard);
        set
    }

    #[inline]
    pub(crate) fn insert(&mut self, shard: usize) {
        self.0[shard / 64] |= 1 << (shard % 64);
    }

    #[inline]
    pub(crate) fn contains(&self, shard: usize) -> bool {
        self.0[shard / 64] & (1 << (shard % 64)) != 0
    }

    /// The first shard in ascending order for which `test` fails; locking runs it for every command.
    #[inline]
    fn first_that_fails(self, mut test: impl FnMut(usize) -> bool) -> Option<usize> {
        for (word, mut bits) in self.0.into_iter().enumerate() {
            while bits != 0 {
                let shard = word * 64 + bits.trailing_zeros() as usize;
                if !test(shard) {
                    return Some(shard);
                }
                bits &= bits - 1;
            }
        }
        None
    }

    /// Whether it has all the shards of another.
    pub(crate) fn includes(self, other: Self) -> bool {
        self.0.iter().zip(other.0).all(|(own, other)| other & !own == 0)
    }

    /// Those of its shards that stand before one.
    fn before(self, shard: usize) -> Self {
        let mut before = Self::default();
        self.iter().take_while(|&each| each < shard).for_each(|each| before.insert(each));
        before
    }

    /// Visits the shards in ascending order.
    #[inline]
    fn for_each(self, mut each: impl FnMut(usize)) {
        for (word, mut bits) in self.0.into_iter().enumerate() {
            while bits != 0 {
                each(word * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }

    /// In ascending order.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                bits &= bits - 1;
                Some(word * 64 + bit)
            })
        })
    }
}

#[repr(align(64))]
struct Shard<S> {
    lock: Lock,
    cell: UnsafeCell<S>,
}

// SAFETY: the cell is reached only through `Held`, which holds the lock.
unsafe impl<S: Send> Sync for Shard<S> {}

/// All the shards with the heads of their tables.
pub(crate) struct Shards<S> {
    shards: Box<[Shard<S>]>,
    /// By database, then shard. Outside the cells because unlocked readers start here.
    heads: Box<[Head]>,
    /// Indexed like `heads`.
    counts: Box<[Counts]>,
    databases: usize,
    reclaim: Arc<Reclaim<Garbage>>,
    /// Somebody who holds locks takes all the others as well: who waits for one drops what it holds.
    extending: AtomicBool,
    /// Locks are held for long, and who can do without gives up.
    busy: AtomicBool,
}

impl<S: Default> Shards<S> {
    /// Empty tables; `readers` threads may prefetch.
    pub(crate) fn new(databases: usize, readers: usize) -> Self {
        let shard = |_| Shard { lock: Lock::new(), cell: UnsafeCell::new(S::default()) };
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            heads: (0..SHARDS * databases).map(|_| Head::new()).collect(),
            counts: (0..SHARDS * databases).map(|_| Counts::default()).collect(),
            databases,
            reclaim: Arc::new(Reclaim::new(readers)),
            extending: AtomicBool::new(false),
            busy: AtomicBool::new(false),
        }
    }
}

impl<S> Shards<S> {
    pub(crate) fn databases(&self) -> usize {
        self.databases
    }

    pub(crate) fn reclaim(&self) -> &Arc<Reclaim<Garbage>> {
        &self.reclaim
    }

    #[inline]
    pub(crate) fn head(&self, shard: usize, database: usize) -> &Head {
        &self.heads[database * SHARDS + shard]
    }

    /// Counts of one table; exact for the holder of the lock.
    pub(crate) fn counts(&self, shard: usize, database: usize) -> &Counts {
        &self.counts[database * SHARDS + shard]
    }

    /// Takes the locks of a set, lowest first. A thread holds at most one set at a time.
    #[inline]
    pub(crate) fn lock(&self, set: ShardSet) -> Held<'_, S> {
        let locked = self.take(set, false);
        debug_assert!(locked, "who does not give up gets them");
        count_held(true);
        Held { shards: self, set }
    }

    /// The same, but gives up while locks are held for long: see [`Shards::set_busy`].
    #[inline]
    pub(crate) fn lock_unless_busy(&self, set: ShardSet) -> Option<Held<'_, S>> {
        self.take(set, true).then(|| {
            count_held(true);
            Held { shards: self, set }
        })
    }

    /// Takes the lock of one shard, unless somebody else has it.
    #[inline]
    pub(crate) fn lock_if_free(&self, shard: usize) -> Option<Held<'_, S>> {
        self.shards[shard].lock.try_lock().then(|| {
            count_held(true);
            Held { shards: self, set: ShardSet::of(shard) }
        })
    }

    /// Makes those give up who wait for a lock by [`Shards::lock_unless_busy`].
    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Release);
    }

    /// Takes all the locks of a set; false if it gave up, and holds none.
    #[inline]
    fn take(&self, set: ShardSet, gives_up: bool) -> bool {
        match set.first_that_fails(|shard| self.shards[shard].lock.try_lock()) {
            None => true,
            Some(taken) => self.wait_for(set, taken, gives_up),
        }
    }

    /// Goes on from the first lock that somebody else has.
    #[cold]
    fn wait_for(&self, set: ShardSet, mut taken: usize, gives_up: bool) -> bool {
        loop {
            let held = set.before(taken);
            let has_some = held != ShardSet::default();
            let gives_way = || has_some && self.extending.load(Ordering::Acquire);
            let stops = || gives_up && self.busy.load(Ordering::Acquire);
            let next = if self.shards[taken].lock.wait(|| gives_way() || stops()) {
                set.first_that_fails(|shard| shard <= taken || self.shards[shard].lock.try_lock())
            } else {
                // SAFETY: these were taken above or by the caller, each once.
                held.for_each(|shard| unsafe { self.shards[shard].lock.unlock() });
                if stops() {
                    return false;
                }
                let mut pause = Pause::default();
                while self.extending.load(Ordering::Acquire) {
                    pause.next();
                }
                set.first_that_fails(|shard| self.shards[shard].lock.try_lock())
            };
            match next {
                None => return true,
                Some(shard) => taken = shard,
            }
        }
    }
}

impl<S> Drop for Shards<S> {
    fn drop(&mut self) {
        for (head, counts) in self.heads.iter().zip(&self.counts) {
            // SAFETY: `&mut self`: access is exclusive.
            let mut table = unsafe { TableMut::new(head, counts, &self.reclaim) };
            table.detach().free(&self.reclaim);
        }
    }
}

impl<S> fmt::Debug for Shards<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards").field("databases", &self.databases).finish_non_exhaustive()
    }
}

/// The locks of a set of shards; released when this drops.
#[derive(Debug)]
pub(crate) struct Held<'k, S> {
    shards: &'k Shards<S>,
    set: ShardSet,
}

impl<S> Held<'_, S> {
    /// Access to the locked shards; one view at a time, as it borrows the guard mutably.
    #[allow(clippy::needless_pass_by_ref_mut, reason = "one view at a time is what makes it sound")]
    #[inline]
    pub(crate) fn view(&mut self) -> View<'_, S> {
        View { shards: self.shards, set: self.set, last: Cell::new(None) }
    }

    pub(crate) fn set(&self) -> ShardSet {
        self.set
    }

    /// Takes all the locks that it lacks. Others who wait for locks drop what they hold, so this
    /// cannot deadlock, unless two do it at a time: the caller prevents that.
    pub(crate) fn extend(&mut self) {
        if self.set == ShardSet::ALL {
            return;
        }
        let others = self.shards.extending.swap(true, Ordering::AcqRel);
        assert!(!others, "only one extends its locks at a time");
        for shard in (0..SHARDS).filter(|&shard| !self.set.contains(shard)) {
            let lock = &self.shards.shards[shard].lock;
            let locked = lock.try_lock() || lock.wait(|| false);
            debug_assert!(locked, "it waits without end");
        }
        self.set = ShardSet::ALL;
        self.shards.extending.store(false, Ordering::Release);
    }
}

/// The shards that a [`Held`] has locked.
#[derive(Debug)]
pub(crate) struct View<'a, S> {
    shards: &'a Shards<S>,
    set: ShardSet,
    /// The entry that was found last: commands look several times at the same one. Forgotten as soon
    /// as a table is given out to change: it is valid while no table gains or loses an entry.
    last: Cell<Option<Found>>,
}

/// An entry that was found.
#[derive(Clone, Copy, Debug)]
struct Found {
    database: usize,
    hash: u64,
    position: Position,
}

impl<S> View<'_, S> {
    pub(crate) fn set(&self) -> ShardSet {
        self.set
    }

    #[inline]
    fn cell(&self, shard: usize) -> *mut S {
        assert!(self.set.contains(shard), "shard {shard} is not among the locked ones");
        self.shards.shards[shard].cell.get()
    }

    /// Where the entry of a key is.
    #[inline]
    fn find(&self, database: usize, key: &[u8], hash: u64) -> Option<Position> {
        if let Some(last) = self.last.get()
            && (last.hash, last.database) == (hash, database)
            // SAFETY: the lock is held, and what is in `last` is valid.
            && same_bytes(unsafe { last.position.entry() }.key(), key)
        {
            return Some(last.position);
        }
        let shard = (hash >> 56) as usize;
        assert!(self.set.contains(shard), "shard {shard} is not among the locked ones");
        // SAFETY: the lock is held.
        let position = unsafe { self.shards.head(shard, database).find(key, hash)? };
        self.last.set(Some(Found { database, hash, position }));
        Some(position)
    }

    /// Prefetches the slots of a hash.
    pub(crate) fn prefetch(&self, database: usize, hash: u64) {
        let shard = (hash >> 56) as usize;
        assert!(self.set.contains(shard), "shard {shard} is not among the locked ones");
        // SAFETY: the lock is held.
        unsafe { self.shards.head(shard, database).prefetch_own_slots(hash) };
    }

    /// The entry of a key.
    #[inline]
    pub(crate) fn get(&self, database: usize, key: &[u8], hash: u64) -> Option<EntryRef<'_>> {
        // SAFETY: the lock is held for the life of `self`, and changing the table takes `&mut`.
        self.find(database, key, hash).map(|position| unsafe { position.entry() })
    }

    /// The entry of a key and the state of its shard, to change.
    #[inline]
    pub(crate) fn edit(
        &mut self,
        database: usize,
        key: &[u8],
        hash: u64,
    ) -> Option<(Staying<'_>, &mut S)> {
        let position = self.find(database, key, hash)?;
        let (table, state) = self.table_of((hash >> 56) as usize, database);
        // SAFETY: the position has just been found or is valid still. So it stays: the entry cannot
        // leave the table.
        let entry = Staying::new(unsafe { table.into_occupied_at(position, hash) });
        Some((entry, state))
    }

    #[inline]
    pub(crate) fn state(&self, shard: usize) -> &S {
        // SAFETY: the lock is held, and `&mut` to the state takes `&mut self`.
        unsafe { &*self.cell(shard) }
    }

    /// A table and the state of its shard, to change.
    #[inline]
    pub(crate) fn table(&mut self, shard: usize, database: usize) -> (TableMut<'_>, &mut S) {
        self.last.set(None);
        self.table_of(shard, database)
    }

    #[inline]
    fn table_of(&mut self, shard: usize, database: usize) -> (TableMut<'_>, &mut S) {
        let cell = self.cell(shard);
        let (head, counts) =
            (self.shards.head(shard, database), self.shards.counts(shard, database));
        // SAFETY: the lock is held and `&mut self` makes this the only way in.
        unsafe { (TableMut::new(head, counts, &self.shards.reclaim), &mut *cell) }
    }

    pub(crate) fn state_mut(&mut self, shard: usize) -> &mut S {
        // SAFETY: as above.
        unsafe { &mut *self.cell(shard) }
    }
}

impl<S> Drop for Held<'_, S> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this guard took the locks and releases each once.
        self.set.for_each(|shard| unsafe { self.shards.shards[shard].lock.unlock() });
        count_held(false);
    }
}
