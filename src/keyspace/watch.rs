//! Watched keys of one shard: which marks a change of a key sets.
//!
//! A mark is a flag that a transaction looks at before it runs. Whose it is, is not known here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Key, Keyspace, Locked, ShardSet};

/// Set when a watched key changed.
pub(crate) type Mark = Arc<AtomicBool>;

/// Marks by key; each with the database in which the key is watched.
pub(super) type Watches = HashMap<Box<[u8]>, Vec<(usize, Mark)>>;

impl Locked<'_> {
    /// Whether a change of any key of this shard could concern a watcher.
    #[inline]
    pub(crate) fn is_watched(&self, shard: usize) -> bool {
        !self.held.state(shard).watches.is_empty()
    }

    /// Sets `mark` when the key changes.
    pub(crate) fn watch(&mut self, database: usize, key: Key<'_>, mark: &Mark) {
        let watches = &mut self.held.state_mut(key.shard()).watches;
        watches.entry(key.bytes.into()).or_default().push((database, Arc::clone(mark)));
    }

    pub(crate) fn unwatch(&mut self, database: usize, key: Key<'_>, mark: &Mark) {
        let watches = &mut self.held.state_mut(key.shard()).watches;
        if let Some(marks) = watches.get_mut(key.bytes) {
            marks.retain(|(db, other)| *db != database || !Arc::ptr_eq(other, mark));
            if marks.is_empty() {
                watches.remove(key.bytes);
            }
        }
    }

    /// Sets the marks of a key that changed.
    pub(crate) fn mark_watchers(&self, database: usize, key: Key<'_>) {
        let Some(marks) = self.held.state(key.shard()).watches.get(key.bytes) else { return };
        for (_, mark) in marks.iter().filter(|(db, _)| *db == database) {
            mark.store(true, Ordering::Relaxed);
        }
    }

    /// Sets the marks of the watched keys of a database which exist in one of `among`, when
    /// databases are flushed or swapped; needs all the locks.
    pub(crate) fn mark_watchers_of_database(&self, database: usize, among: &[usize]) {
        for shard in ShardSet::ALL.iter() {
            for (bytes, marks) in &self.held.state(shard).watches {
                let key = self.keyspace.key(bytes);
                if among.iter().all(|&database| self.get(database, key).is_none()) {
                    continue;
                }
                for (_, mark) in marks.iter().filter(|(db, _)| *db == database) {
                    mark.store(true, Ordering::Relaxed);
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
