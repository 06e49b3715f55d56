//! Storing the keys of a load in batches. A key's place in the keyspace is far from the one before, so
//! those of a batch are fetched together; and while one batch is stored, the next one is read.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::{There, store};
use crate::commands::access;
use crate::keyspace::access::Access;
use crate::keyspace::{Key, Keyspace, ShardSet};
use crate::node::Node;
use crate::rdb::KeyRecord;

/// A batch is full with so many keys, or so many bytes of the stream.
const KEYS_MAX: usize = 64;
const STREAM_BYTES_MAX: u64 = 64 * 1024;
/// Batches that wait to be stored. With the one that is stored and the one that is read, they bound
/// what a load holds besides the keyspace.
const WAITING_MAX: usize = 2;

/// A key that was read.
pub(super) struct Found {
    pub(super) database: usize,
    pub(super) record: KeyRecord,
    /// Where the stream stands behind it.
    pub(super) at: u64,
}

impl Found {
    /// Names where the stream stands in the reason why the key is refused.
    pub(super) fn refusal(at: u64, reason: &str) -> String {
        format!("at byte {at}: {reason}")
    }
}

/// Stores keys in a keyspace, each under its own shard's lock.
struct Storer<'k> {
    keyspace: &'k Keyspace,
    access: Access,
    hashes: Vec<u64>,
}

impl<'k> Storer<'k> {
    fn new(node: &Node, keyspace: &'k Keyspace) -> Self {
        let access = access(&node.settings.load(), node.clock.unix_ms());
        Self { keyspace, access, hashes: Vec::with_capacity(KEYS_MAX) }
    }

    fn store(&mut self, batch: Vec<Found>) -> Result<(), String> {
        self.hashes.clear();
        self.hashes.extend(batch.iter().map(|found| self.keyspace.hash(&found.record.key)));
        for (found, &hash) in batch.iter().zip(&self.hashes) {
            self.keyspace.fetch_slots(found.database, Key { bytes: &found.record.key, hash });
        }
        for (Found { database, record, at }, &hash) in batch.into_iter().zip(&self.hashes) {
            let shard = Key { bytes: &record.key, hash }.shard();
            let mut guard = self.keyspace.lock(ShardSet::of(shard));
            store(&mut guard.locked(), (database, hash), record, self.access, There::Refused)
                .map_err(|reason| Found::refusal(at, &reason))?;
        }
        Ok(())
    }

    fn store_all(&mut self, batches: &Receiver<Vec<Found>>) -> Result<(), String> {
        batches.iter().try_for_each(|batch| self.store(batch))
    }
}

/// Gathers keys into batches, and passes these on.
struct Batches<'p> {
    batch: Vec<Found>,
    /// Where the stream stood when the batch began.
    begun_at: u64,
    pass: &'p mut dyn FnMut(Vec<Found>) -> Result<(), String>,
}

impl<'p> Batches<'p> {
    fn new(pass: &'p mut dyn FnMut(Vec<Found>) -> Result<(), String>) -> Self {
        Self { batch: Vec::with_capacity(KEYS_MAX), begun_at: 0, pass }
    }

    fn push(&mut self, found: Found) -> Result<(), String> {
        let at = found.at;
        self.batch.push(found);
        if self.batch.len() < KEYS_MAX && at - self.begun_at < STREAM_BYTES_MAX {
            return Ok(());
        }
        self.begun_at = at;
        self.pass_on()
    }

    fn pass_on(&mut self) -> Result<(), String> {
        (self.pass)(std::mem::replace(&mut self.batch, Vec::with_capacity(KEYS_MAX)))
    }
}

/// Runs `read`, which gives each key it finds to its argument, and stores the keys meanwhile.
///
/// # Errors
/// Those of `read`, or why a key is refused, whichever comes first in the stream.
pub(super) fn stored<R>(
    node: &Node,
    keyspace: &Keyspace,
    read: impl FnOnce(&mut dyn FnMut(Found) -> Result<(), String>) -> Result<R, String>,
) -> Result<R, String> {
    let read_into = |pass: &mut dyn FnMut(Vec<Found>) -> Result<(), String>| {
        let mut batches = Batches::new(pass);
        let outcome = read(&mut |found| batches.push(found))?;
        batches.pass_on()?;
        Ok(outcome)
    };
    thread::scope(|scope| {
        let (sender, receiver): (SyncSender<_>, _) = sync_channel(WAITING_MAX);
        let mut storer = Storer::new(node, keyspace);
        let work = move || storer.store_all(&receiver);
        let Ok(thread) = thread::Builder::new().name("storer".into()).spawn_scoped(scope, work)
        else {
            // No thread is to be had: one thing after the other.
            let mut storer = Storer::new(node, keyspace);
            return read_into(&mut |batch| storer.store(batch));
        };
        // Who stores has ended only for a reason of his own, given below.
        let outcome = read_into(&mut |batch| sender.send(batch).map_err(|_| String::new()));
        drop(sender);
        match thread.join() {
            Ok(stored) => stored.and(outcome),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
