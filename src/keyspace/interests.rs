//! Who cares for the keys of one shard: transactions that watch them, clients that wait for them,
//! clients that have them in a cache. A change of a key looks here once.
//!
//! A watcher is a mark, a flag that a transaction checks before it runs. A waiter is served by
//! whoever makes its key ready. A tracker is told of the next change of a key, and then forgets
//! the key. This module knows the owners of none of them.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use indexmap::IndexMap;

use super::{EntryRef, Key, Keyspace, Locked, ShardSet};

/// Set when a watched key changed.
pub(crate) type Mark = Arc<AtomicBool>;

/// Waits for a key. The layer above knows what for.
pub(crate) trait Waiter: Any + fmt::Debug + Send + Sync {
    /// Whether the caller may serve or end the wait; true for one caller alone.
    fn claim(&self) -> bool;

    /// Whether changes of a key that was there concern it, too.
    fn serves_any_change(&self) -> bool;
}

/// A waiter's place: those who come later have greater ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Ticket {
    const MAX: Self = Self(u64::MAX);

    /// The place behind this one.
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Has keys in a cache, and is told of their next change. The layer above knows how.
pub(crate) trait Tracker: Any + fmt::Debug + Send + Sync {
    /// The client's number; one tracker has it.
    fn client(&self) -> u64;
}

/// Interests by key; any of them can be drawn by its index.
pub(super) type Interests = IndexMap<Box<[u8]>, Interest>;

/// Interest in the keys of one name, in any database.
#[derive(Debug, Default)]
pub(super) struct Interest {
    watchers: Vec<Watcher>,
    /// By database, in the order of their arrival.
    waiters: BTreeMap<(usize, Ticket), Arc<dyn Waiter>>,
    /// How many of these any change concerns.
    any_change: usize,
    /// In the order of their clients' numbers; of a key in whatever database, as in Redis.
    trackers: Vec<Arc<dyn Tracker>>,
}

/// How many keys clients have in their caches, in all the shards.
#[derive(Debug, Default)]
pub(crate) struct Tracked {
    /// Distinct keys.
    keys: AtomicUsize,
    /// Pairs of key and client.
    items: AtomicUsize,
}

impl Tracked {
    pub(crate) fn keys(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    pub(crate) fn items(&self) -> usize {
        self.items.load(Ordering::Relaxed)
    }
}

/// Who must be told of a change.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Noted {
    /// Somebody waits for the key.
    pub(crate) awaited: bool,
    /// These have it in a cache.
    pub(crate) trackers: Vec<Arc<dyn Tracker>>,
}

/// A key with its trackers, which are forgotten.
pub(crate) type Forgotten = (Box<[u8]>, Vec<Arc<dyn Tracker>>);

/// Forgotten trackers of whole shards: perhaps many, and so not to be freed under locks.
#[derive(Debug)]
pub(super) struct Untracked {
    shards: Vec<Interests>,
}

impl Untracked {
    /// The number of keys.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|interests| interests.len()).sum()
    }
}

impl Interest {
    fn is_empty(&self) -> bool {
        self.watchers.is_empty() && self.waiters.is_empty() && self.trackers.is_empty()
    }

    fn is_awaited(&self, database: usize) -> bool {
        self.from(database, Ticket::default()).next().is_some()
    }

    /// The waiters of a database from a place on.
    fn from(
        &self,
        database: usize,
        from: Ticket,
    ) -> impl Iterator<Item = (Ticket, &Arc<dyn Waiter>)> {
        let range = (database, from)..=(database, Ticket::MAX);
        self.waiters.range(range).map(|((_, ticket), waiter)| (*ticket, waiter))
    }

    fn mark_watchers(&self, database: usize, wanted: impl Fn(&Watcher) -> bool) {
        for watcher in self.watchers.iter().filter(|watcher| watcher.database == database) {
            if wanted(watcher) {
                watcher.mark.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl Tracked {
    /// A key with so many trackers is forgotten.
    fn forget(&self, trackers: usize) {
        self.keys.fetch_sub(1, Ordering::Relaxed);
        self.items.fetch_sub(trackers, Ordering::Relaxed);
    }
}

/// A watcher of a key in one database.
#[derive(Debug)]
struct Watcher {
    database: usize,
    mark: Mark,
    /// Whether the key existed, and had not expired, when the watch began. If not, its removal on
    /// expiry changes nothing for this watcher.
    alive: bool,
}

impl Locked<'_> {
    /// Whether a change of any key of this shard could concern anybody.
    #[inline]
    pub(crate) fn has_interests(&self, shard: usize) -> bool {
        !self.held.state(shard).interests.is_empty()
    }

    /// Sets `mark` when the key changes. `alive`: whether it exists and has not expired.
    pub(crate) fn watch(&mut self, database: usize, key: Key<'_>, mark: &Mark, alive: bool) {
        let watcher = Watcher { database, mark: Arc::clone(mark), alive };
        self.interest(key).watchers.push(watcher);
    }

    pub(crate) fn unwatch(&mut self, database: usize, key: Key<'_>, mark: &Mark) {
        self.lose_interest(key, |interest| {
            interest.watchers.retain(|watcher| {
                watcher.database != database || !Arc::ptr_eq(&watcher.mark, mark)
            });
        });
    }

    fn interest(&mut self, key: Key<'_>) -> &mut Interest {
        self.held.state_mut(key.shard()).interests.entry(key.bytes.into()).or_default()
    }

    fn lose_interest(&mut self, key: Key<'_>, lose: impl FnOnce(&mut Interest)) {
        let interests = &mut self.held.state_mut(key.shard()).interests;
        if let Some(interest) = interests.get_mut(key.bytes) {
            lose(interest);
            if interest.is_empty() {
                interests.swap_remove(key.bytes);
            }
        }
    }

    /// Adds a waiter behind those who wait for the key already.
    pub(crate) fn wait_for(
        &mut self,
        database: usize,
        key: Key<'_>,
        waiter: Arc<dyn Waiter>,
    ) -> Ticket {
        let last = &mut self.held.state_mut(key.shard()).last_ticket;
        *last = last.next();
        let ticket = *last;
        let interest = self.interest(key);
        interest.any_change += usize::from(waiter.serves_any_change());
        interest.waiters.insert((database, ticket), waiter);
        ticket
    }

    /// Whether somebody waits for the key.
    pub(crate) fn is_awaited(&self, database: usize, key: Key<'_>) -> bool {
        let interest = self.held.state(key.shard()).interests.get(key.bytes);
        interest.is_some_and(|interest| interest.is_awaited(database))
    }

    /// Whether any change of the key, in any database, concerns somebody who waits for it.
    pub(crate) fn is_any_change_awaited(&self, key: Key<'_>) -> bool {
        let interest = self.held.state(key.shard()).interests.get(key.bytes);
        interest.is_some_and(|interest| interest.any_change > 0)
    }

    /// Forgets a waiter of a key, if it is there.
    pub(crate) fn stop_waiting(&mut self, database: usize, key: Key<'_>, ticket: Ticket) {
        self.lose_interest(key, |interest| {
            if let Some(waiter) = interest.waiters.remove(&(database, ticket)) {
                interest.any_change -= usize::from(waiter.serves_any_change());
            }
        });
    }

    /// The first of those who wait for a key, from a place on.
    pub(crate) fn waiter(
        &self,
        database: usize,
        key: Key<'_>,
        from: Ticket,
    ) -> Option<(Ticket, Arc<dyn Waiter>)> {
        let interest = self.held.state(key.shard()).interests.get(key.bytes)?;
        let first = interest.from(database, from).next();
        first.map(|(ticket, waiter)| (ticket, Arc::clone(waiter)))
    }

    /// The keys of a database for which somebody waits; needs all the locks.
    pub(crate) fn awaited_keys(&self, database: usize) -> Vec<Box<[u8]>> {
        let mut keys = Vec::new();
        for shard in ShardSet::ALL.iter() {
            for (key, interest) in &self.held.state(shard).interests {
                if interest.is_awaited(database) {
                    keys.push(key.clone());
                }
            }
        }
        keys
    }

    /// Sets the marks of a key that changed, and forgets its trackers: the caller tells them.
    pub(crate) fn note_change(&mut self, database: usize, key: Key<'_>) -> Noted {
        self.note_where(database, key, |_| true)
    }

    /// The same for a key that is removed because it has expired.
    pub(crate) fn note_expiry(&mut self, database: usize, key: Key<'_>) -> Noted {
        self.note_where(database, key, |watcher| watcher.alive)
    }

    fn note_where(
        &mut self,
        database: usize,
        key: Key<'_>,
        wanted: impl Fn(&Watcher) -> bool,
    ) -> Noted {
        let interests = &mut self.held.state_mut(key.shard()).interests;
        let Some(interest) = interests.get_mut(key.bytes) else { return Noted::default() };
        interest.mark_watchers(database, wanted);
        let awaited = interest.is_awaited(database);
        let trackers = std::mem::take(&mut interest.trackers);
        if !trackers.is_empty() {
            if interest.is_empty() {
                interests.swap_remove(key.bytes);
            }
            self.keyspace.tracked.forget(trackers.len());
        }
        Noted { awaited, trackers }
    }

    /// Tells a client's tracker of the next change of a key.
    pub(crate) fn track(&mut self, key: Key<'_>, tracker: &Arc<dyn Tracker>) {
        let tracked = &self.keyspace.tracked;
        let interests = &mut self.held.state_mut(key.shard()).interests;
        let trackers = match interests.get_mut(key.bytes) {
            Some(interest) => &mut interest.trackers,
            None => &mut interests.entry(key.bytes.into()).or_default().trackers,
        };
        let at = trackers.binary_search_by_key(&tracker.client(), |tracker| tracker.client());
        if let Err(at) = at {
            if trackers.is_empty() {
                tracked.keys.fetch_add(1, Ordering::Relaxed);
                // Most keys are in one client's cache.
                trackers.reserve_exact(1);
            }
            tracked.items.fetch_add(1, Ordering::Relaxed);
            trackers.insert(at, Arc::clone(tracker));
        }
    }

    /// Forgets the trackers of some key of a locked shard, the first that is tracked from the
    /// `random`th on. Returns the key with them; `None` if none is tracked.
    pub(crate) fn untrack_any(&mut self, shard: usize, random: u64) -> Option<Forgotten> {
        let interests = &mut self.held.state_mut(shard).interests;
        let len = interests.len();
        let first = usize::try_from(random).unwrap_or(usize::MAX).checked_rem(len)?;
        let is_tracked = |index: &usize| !interests[*index].trackers.is_empty();
        let index = (first..len).chain(0..first).find(is_tracked)?;
        let (key, interest) = interests.get_index_mut(index)?;
        let (key, trackers) = (key.clone(), std::mem::take(&mut interest.trackers));
        if interest.is_empty() {
            interests.swap_remove_index(index);
        }
        self.keyspace.tracked.forget(trackers.len());
        Some((key, trackers))
    }

    /// Forgets all trackers; needs all the locks.
    pub(crate) fn untrack_all(&mut self) {
        if self.keyspace.tracked.keys() == 0 {
            return;
        }
        let mut untracked = Untracked { shards: Vec::new() };
        for shard in ShardSet::ALL.iter() {
            let interests = &mut self.held.state_mut(shard).interests;
            let mut all = std::mem::take(interests);
            let others =
                |interest: &Interest| !interest.watchers.is_empty() || !interest.waiters.is_empty();
            let kept: Vec<Box<[u8]>> = all
                .iter()
                .filter(|(_, interest)| others(interest))
                .map(|(key, _)| key.clone())
                .collect();
            for key in kept {
                let mut interest = all.swap_remove(&key).expect("found above");
                interest.trackers = Vec::new();
                interests.insert(key, interest);
            }
            untracked.shards.push(all);
        }
        let tracked = &self.keyspace.tracked;
        tracked.keys.store(0, Ordering::Relaxed);
        tracked.items.store(0, Ordering::Relaxed);
        self.displaced.add_trackers(untracked);
    }

    /// Sets the marks of the watched keys of a database which exist in one of `among`, when
    /// databases are flushed or swapped; needs all the locks. `alive` decides which entries count
    /// as existing.
    pub(crate) fn mark_watchers_of_database(
        &self,
        database: usize,
        among: &[usize],
        alive: impl Fn(EntryRef<'_>) -> bool,
    ) {
        for shard in ShardSet::ALL.iter() {
            for (bytes, interest) in &self.held.state(shard).interests {
                if interest.watchers.is_empty() {
                    continue;
                }
                let key = self.keyspace.key(bytes);
                if among.iter().any(|&database| self.get(database, key).is_some_and(&alive)) {
                    interest.mark_watchers(database, |_| true);
                }
            }
        }
    }
}

impl Keyspace {
    /// Forgets a mark, when its transaction is over.
    pub(crate) fn unwatch<'a>(
        &self,
        watched: impl Iterator<Item = (usize, &'a [u8])>,
        mark: &Mark,
    ) {
        for (database, bytes) in watched {
            let key = self.key(bytes);
            match self.lock_unless_busy(ShardSet::of(key.shard())) {
                Some(mut guard) => guard.locked().unwatch(database, key, mark),
                None => self.unwatched.lock().push((database, bytes.into(), Arc::clone(mark))),
            }
        }
    }

    /// Forgets the marks that [`Keyspace::unwatch`] could not, as a script held the locks for long.
    pub(crate) fn unwatch_the_rest(&self) {
        let rest = std::mem::take(&mut *self.unwatched.lock());
        for (database, key, mark) in rest {
            self.unwatch(std::iter::once((database, &*key)), &mark);
        }
    }
}
