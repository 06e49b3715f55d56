//! Who cares for the keys of one shard: transactions that watch them, clients that wait for them.
//! A change of a key looks here once.
//!
//! A watcher is a mark, a flag that a transaction checks before it runs. A waiter is served by
//! whoever makes its key ready. This module knows the owners of neither.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{EntryRef, Key, Keyspace, Locked, ShardSet};

/// Set when a watched key changed.
pub(crate) type Mark = Arc<AtomicBool>;

/// Waits for a key. The layer above knows what for.
pub(crate) trait Waiter: Any + fmt::Debug + Send + Sync {
    /// Whether the caller may serve or end the wait; true for one caller alone.
    fn claim(&self) -> bool;
}

/// Interests by key.
pub(super) type Interests = HashMap<Box<[u8]>, Interest>;

/// Interest in the keys of one name, in any database.
#[derive(Debug, Default)]
pub(super) struct Interest {
    watchers: Vec<Watcher>,
    /// In the order of their arrival.
    waiters: VecDeque<(usize, Arc<dyn Waiter>)>,
}

impl Interest {
    fn is_empty(&self) -> bool {
        self.watchers.is_empty() && self.waiters.is_empty()
    }

    fn is_awaited(&self, database: usize) -> bool {
        self.waiters.iter().any(|(other, _)| *other == database)
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
                interests.remove(key.bytes);
            }
        }
    }

    /// Adds a waiter behind those who wait for the key already.
    pub(crate) fn wait_for(&mut self, database: usize, key: Key<'_>, waiter: Arc<dyn Waiter>) {
        self.interest(key).waiters.push_back((database, waiter));
    }

    /// Whether somebody waits for the key.
    pub(crate) fn is_awaited(&self, database: usize, key: Key<'_>) -> bool {
        let interest = self.held.state(key.shard()).interests.get(key.bytes);
        interest.is_some_and(|interest| interest.is_awaited(database))
    }

    /// Forgets a waiter of a key.
    pub(crate) fn stop_waiting(&mut self, database: usize, key: Key<'_>, waiter: &dyn Waiter) {
        self.lose_interest(key, |interest| {
            interest.waiters.retain(|(other, waiting)| {
                *other != database || !std::ptr::addr_eq(Arc::as_ptr(waiting), waiter)
            });
        });
    }

    /// The nth of those who wait for a key.
    pub(crate) fn waiter(
        &self,
        database: usize,
        key: Key<'_>,
        nth: usize,
    ) -> Option<Arc<dyn Waiter>> {
        let interest = self.held.state(key.shard()).interests.get(key.bytes)?;
        let mut waiters = interest.waiters.iter().filter(|(other, _)| *other == database);
        waiters.nth(nth).map(|(_, waiter)| Arc::clone(waiter))
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

    /// Sets the marks of a key that changed. Returns whether somebody waits for the key.
    pub(crate) fn note_change(&self, database: usize, key: Key<'_>) -> bool {
        self.note_where(database, key, |_| true)
    }

    /// The same for a key that is removed because it has expired.
    pub(crate) fn note_expiry(&self, database: usize, key: Key<'_>) -> bool {
        self.note_where(database, key, |watcher| watcher.alive)
    }

    fn note_where(&self, database: usize, key: Key<'_>, wanted: impl Fn(&Watcher) -> bool) -> bool {
        let Some(interest) = self.held.state(key.shard()).interests.get(key.bytes) else {
            return false;
        };
        for watcher in interest.watchers.iter().filter(|watcher| watcher.database == database) {
            if wanted(watcher) {
                watcher.mark.store(true, Ordering::Relaxed);
            }
        }
        interest.is_awaited(database)
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
            for bytes in self.held.state(shard).interests.keys() {
                let key = self.keyspace.key(bytes);
                if among.iter().any(|&database| self.get(database, key).is_some_and(&alive)) {
                    self.note_change(database, key);
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
