//! Storing the keys of a load in batches. A key's place in the keyspace is far from the one before, so
//! those of a batch are fetched together.

use super::{There, store};
use crate::commands::access;
use crate::keyspace::access::Access;
use crate::keyspace::{Key, Keyspace, ShardSet};
use crate::node::Node;
use crate::rdb::KeyRecord;

/// A batch is full with so many keys, or so many bytes of the stream.
const KEYS_MAX: usize = 64;
const STREAM_BYTES_MAX: u64 = 64 * 1024;

/// A key that was read.
pub(super) struct Found {
    pub(super) database: usize,
    pub(super) record: KeyRecord,
    /// Where the stream stands behind it.
    pub(super) at: u64,
}

impl Found {
    /// Names where the stream stands in the reason why a key is refused.
    pub(super) fn refusal(at: u64, reason: &str) -> String {
        format!("at byte {at}: {reason}")
    }
}

/// Stores keys in a keyspace, each under its own shard's lock.
pub(super) struct Storing<'k> {
    keyspace: &'k Keyspace,
    access: Access,
    batch: Vec<Found>,
    /// Where the stream stood when the batch began.
    begun_at: u64,
    hashes: Vec<u64>,
}

impl<'k> Storing<'k> {
    pub(super) fn new(node: &Node, keyspace: &'k Keyspace) -> Self {
        let access = access(&node.settings.load(), node.clock.unix_ms());
        let (batch, hashes) = (Vec::with_capacity(KEYS_MAX), Vec::with_capacity(KEYS_MAX));
        Self { keyspace, access, batch, begun_at: 0, hashes }
    }

    /// Stores a key with the batch that it belongs to.
    ///
    /// # Errors
    /// Why one of the batch is refused, and where the stream stood.
    pub(super) fn push(&mut self, found: Found) -> Result<(), String> {
        let at = found.at;
        self.batch.push(found);
        if self.batch.len() < KEYS_MAX && at - self.begun_at < STREAM_BYTES_MAX {
            return Ok(());
        }
        self.begun_at = at;
        self.store()
    }

    /// Stores what was pushed; the last of it must be stored so.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub(super) fn store(&mut self) -> Result<(), String> {
        let Self { keyspace, access, batch, hashes, .. } = self;
        hashes.clear();
        hashes.extend(batch.iter().map(|found| keyspace.hash(&found.record.key)));
        for (found, &hash) in batch.iter().zip(&*hashes) {
            keyspace.fetch_slots(found.database, Key { bytes: &found.record.key, hash });
        }
        for (Found { database, record, at }, &hash) in batch.drain(..).zip(&*hashes) {
            let shard = Key { bytes: &record.key, hash }.shard();
            let mut guard = keyspace.lock(ShardSet::of(shard));
            store(&mut guard.locked(), (database, hash), record, *access, There::Refused)
                .map_err(|reason| Found::refusal(at, &reason))?;
        }
        Ok(())
    }
}
