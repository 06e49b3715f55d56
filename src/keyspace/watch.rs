//! Watched keys of one shard: which marks a change of a key sets.
//!
//! A mark is a flag that a transaction checks before it runs. This module does not know its owner.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{EntryRef, Key, Keyspace, Locked, ShardSet};

/// Set when a watched key changed.
pub(crate) type Mark = Arc<AtomicBool>;

/// Watchers by key.
pub(super) type Watches = HashMap<Box<[u8]>, Vec<Watcher>>;

/// A watcher of a key in one database.
#[derive(Debug)]
pub(super) struct Watcher {
    database: usize,
    mark: Mark,
    /// Whether the key existed, and had not expired, when the watch began. If not, its removal on
    /// expiry changes nothing for this watcher.
    alive: bool,
}

impl Locked<'_> {
    /// Whether a change of any key of this shard could concern a watcher.
    #[inline]
    pub(crate) fn is_watched(&self, shard: usize) -> bool {
        !self.held.state(shard).watches.is_empty()
    }

    /// Sets `mark` when the key changes. `alive`: whether it exists and has not expired.
    pub(crate) fn watch(&mut self, database: usize, key: Key<'_>, mark: &Mark, alive: bool) {
        let watches = &mut self.held.state_mut(key.shard()).watches;
        let watcher = Watcher { database, mark: Arc::clone(mark), alive };
        watches.entry(key.bytes.into()).or_default().push(watcher);
    }

    pub(crate) fn unwatch(&mut self, database: usize, key: Key<'_>, mark: &Mark) {
        let watches = &mut self.held.state_mut(key.shard()).watches;
        if let Some(marks) = watches.get_mut(key.bytes) {
            marks.retain(|watcher| {
                watcher.database != database || !Arc::ptr_eq(&watcher.mark, mark)
            });
            if marks.is_empty() {
                watches.remove(key.bytes);
            }
        }
    }

    /// Sets the marks of a key that changed.
    pub(crate) fn mark_watchers(&self, database: usize, key: Key<'_>) {
        self.mark_where(database, key, |_| true);
    }

    /// Sets the marks of a key that is removed because it has expired.
    pub(crate) fn mark_watchers_of_expired(&self, database: usize, key: Key<'_>) {
        self.mark_where(database, key, |watcher| watcher.alive);
    }

    fn mark_where(&self, database: usize, key: Key<'_>, wanted: impl Fn(&Watcher) -> bool) {
        let Some(watchers) = self.held.state(key.shard()).watches.get(key.bytes) else { return };
        for watcher in watchers.iter().filter(|watcher| watcher.database == database) {
            if wanted(watcher) {
                watcher.mark.store(true, Ordering::Relaxed);
            }
        }
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
            for bytes in self.held.state(shard).watches.keys() {
                let key = self.keyspace.key(bytes);
                if among.iter().any(|&database| self.get(database, key).is_some_and(&alive)) {
                    self.mark_watchers(database, key);
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
            let mut set = ShardSet::default();
            set.insert(key.shard());
            self.lock(set).locked().unwatch(database, key, mark);
        }
    }
}
