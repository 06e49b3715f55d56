//! Frees the values that changes displace: never a large one under a shard's lock.
//!
//! The thread that changes keys collects displaced values beside the locks ([`Displaced`]) and
//! releases them after unlocking. It frees small amounts itself; larger ones go to the
//! [`Graveyard`], which a dedicated thread frees slice by slice. Short values are stored in their
//! entries and freed at once: queueing them would take as long.
//!
//! A value type takes part through [`Object::free_some`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

use super::interests::Untracked;
use super::{Entry, Flushed};
use crate::heap;
use crate::types::{Freed, Object, Remains};

/// The thread that displaces values frees up to this many bytes itself.
const FREED_AT_ONCE_BYTES: usize = 1 << 20;
/// Likewise keys of flushed databases.
const FREED_AT_ONCE_KEYS: usize = 1000;
/// Values up to this size do not count as freed later: Redis, too, frees small ones in the command.
const COUNTED_BYTES_MIN: usize = 4096;
/// While this many bytes wait, threads that displace more free it: the freeing thread keeps up.
const WAITING_BYTES_MAX: usize = 256 << 20;
/// How much is freed between two yields of the processor.
const SLICE: Freed = Freed { bytes: 4 << 20, objects: 1024 };

/// Something to free.
#[derive(Debug)]
enum Dead {
    Entry(Entry),
    /// Parts of a value that stays.
    Remains(Remains),
    Tables(Flushed),
    Trackers(Untracked),
}

impl Dead {
    fn keys(&self) -> usize {
        match self {
            Self::Entry(_) => 1,
            Self::Remains(_) | Self::Trackers(_) => 0,
            Self::Tables(flushed) => flushed.len(),
        }
    }

    /// Bytes outside entries; `usize::MAX` for tables with many keys, or trackers of many.
    fn bytes(&self) -> usize {
        match self {
            Self::Entry(entry) => entry.view().object_bytes(),
            Self::Remains(remains) => remains.allocated_bytes(),
            Self::Tables(flushed) if flushed.len() > FREED_AT_ONCE_KEYS => usize::MAX,
            Self::Tables(flushed) => flushed.object_bytes(),
            Self::Trackers(untracked) if untracked.len() > FREED_AT_ONCE_KEYS => usize::MAX,
            Self::Trackers(_) => 0,
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    dead: VecDeque<Dead>,
    /// Threads that free the queue; without one, the displacing thread frees.
    attendants: usize,
    closed: bool,
}

/// Values that wait to be freed.
#[derive(Debug, Default)]
pub(crate) struct Graveyard {
    queue: Mutex<Queue>,
    changed: Condvar,
    waiting_bytes: AtomicUsize,
    waiting_keys: AtomicUsize,
    /// Flushed databases, of which the bytes are not known.
    waiting_flushes: AtomicUsize,
    /// By the freeing thread, and by those that displaced them.
    freed_keys: AtomicU64,
    freed_at_once_keys: AtomicU64,
}

impl Graveyard {
    /// Keys whose values wait to be freed.
    pub(crate) fn waiting_keys(&self) -> usize {
        self.waiting_keys.load(Ordering::Relaxed)
    }

    /// Bytes of single values that wait to be freed.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes.load(Ordering::Relaxed)
    }

    /// Whether flushed databases wait to be freed.
    pub(crate) fn has_flushes(&self) -> bool {
        self.waiting_flushes.load(Ordering::Relaxed) > 0
    }

    /// Keys whose values were freed after their removal.
    pub(crate) fn freed_keys(&self) -> u64 {
        let counters = [&self.freed_keys, &self.freed_at_once_keys];
        counters.into_iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    /// Resets what CONFIG RESETSTAT resets.
    pub(crate) fn reset(&self) {
        self.freed_keys.store(0, Ordering::Relaxed);
        self.freed_at_once_keys.store(0, Ordering::Relaxed);
    }

    /// Frees tables of a flushed database; large ones later. Called without locks.
    pub(crate) fn bury(&self, flushed: Flushed) {
        self.bury_all(vec![Dead::Tables(flushed)]);
    }

    /// The same while locks are held: this thread frees nothing, however little it is.
    pub(crate) fn leave(&self, flushed: Flushed) {
        self.enqueue(vec![Dead::Tables(flushed)], 0);
    }

    #[cold]
    fn bury_all(&self, dead: Vec<Dead>) {
        let bytes = dead.iter().map(Dead::bytes).fold(0, usize::saturating_add);
        let tables = bytes == usize::MAX;
        let outrun = self.waiting_bytes.load(Ordering::Relaxed) > WAITING_BYTES_MAX;
        if bytes <= FREED_AT_ONCE_BYTES || outrun && !tables {
            let large = dead.iter().filter(|dead| dead.bytes() > COUNTED_BYTES_MIN);
            let keys: usize = large.map(Dead::keys).sum();
            drop(dead);
            self.freed_at_once_keys.fetch_add(keys as u64, Ordering::Relaxed);
        } else {
            self.enqueue(dead, if tables { 0 } else { bytes });
        }
    }

    /// Queues dead values for the freeing thread, or frees them if there is none. `bytes` counts
    /// single values only.
    fn enqueue(&self, dead: Vec<Dead>, bytes: usize) {
        let keys = dead.iter().map(Dead::keys).sum();
        let mut queue = self.queue.lock();
        if queue.attendants == 0 {
            drop(queue);
            drop(dead);
            return;
        }
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.waiting_keys.fetch_add(keys, Ordering::Relaxed);
        let flushes = dead.iter().filter(|dead| matches!(dead, Dead::Tables(_))).count();
        self.waiting_flushes.fetch_add(flushes, Ordering::Relaxed);
        queue.dead.extend(dead);
        drop(queue);
        self.changed.notify_one();
    }

    /// Frees queued values for as long as the process runs.
    pub(crate) fn attend(&self) {
        self.queue.lock().attendants += 1;
        while let Some(dead) = self.next() {
            match dead {
                Dead::Entry(entry) => {
                    let mut object = entry.into_object();
                    let bytes = object.as_deref().map_or(0, Object::allocated_bytes);
                    let free_some = |most| {
                        object.as_mut().map_or_else(Freed::default, |object| object.free_some(most))
                    };
                    let left = self.free(bytes, free_some);
                    drop(object);
                    self.note(left, 1);
                }
                Dead::Remains(mut remains) => {
                    let left = self.free(remains.allocated_bytes(), |most| remains.free_some(most));
                    drop(remains);
                    self.note(left, 0);
                }
                Dead::Trackers(untracked) => drop(untracked),
                Dead::Tables(mut flushed) => {
                    while let Some(keys) = flushed.free_one() {
                        self.note(0, keys);
                        std::thread::yield_now();
                    }
                    self.waiting_flushes.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Waits for something to free; `None` at the end.
    fn next(&self) -> Option<Dead> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(dead) = queue.dead.pop_front() {
                return Some(dead);
            }
            if queue.closed {
                queue.attendants -= 1;
                return None;
            }
            self.changed.wait(&mut queue);
        }
    }

    /// Ends [`Graveyard::attend`]; a server's ends with the process.
    #[cfg(test)]
    fn close(&self) {
        self.queue.lock().closed = true;
        self.changed.notify_all();
    }

    /// Frees something of so many bytes in slices; returns how many of them were not freed so.
    fn free(&self, bytes: usize, mut free_some: impl FnMut(Freed) -> Freed) -> usize {
        let mut left = bytes;
        loop {
            let freed = free_some(SLICE);
            if freed == Freed::default() {
                return left;
            }
            let freed = freed.bytes.min(left);
            left -= freed;
            self.note(freed, 0);
            // The thread that removed it may need this processor.
            std::thread::yield_now();
        }
    }

    fn note(&self, bytes: usize, keys: usize) {
        // Before it no longer waits: eviction must not take it for neither.
        heap::tell();
        // Only this thread subtracts. Bytes of values in flushed tables were not counted.
        let waiting = self.waiting_bytes.load(Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(bytes.min(waiting), Ordering::Relaxed);
        self.waiting_keys.fetch_sub(keys, Ordering::Relaxed);
        self.freed_keys.fetch_add(keys as u64, Ordering::Relaxed);
    }
}

/// What the holder of some locks has displaced.
#[derive(Debug, Default)]
pub(super) struct Displaced(Vec<Dead>);

impl Displaced {
    /// Frees an entry; if it is large, after the locks are released.
    #[inline]
    pub(super) fn add(&mut self, entry: Entry) {
        if entry.has_object() {
            self.0.push(Dead::Entry(entry));
        }
    }

    /// Frees parts of a value after the locks are released.
    pub(super) fn add_remains(&mut self, remains: Remains) {
        self.0.push(Dead::Remains(remains));
    }

    /// Frees tables after the locks are released.
    pub(super) fn add_tables(&mut self, flushed: Flushed) {
        self.0.push(Dead::Tables(flushed));
    }

    /// Frees forgotten trackers after the locks are released.
    pub(super) fn add_trackers(&mut self, untracked: Untracked) {
        self.0.push(Dead::Trackers(untracked));
    }
}

/// Releases displaced values on drop, which is after the locks are released.
#[derive(Debug)]
pub(super) struct Burial<'k> {
    graveyard: &'k Graveyard,
    pub(super) displaced: Displaced,
}

impl<'k> Burial<'k> {
    #[inline]
    pub(super) const fn new(graveyard: &'k Graveyard) -> Self {
        Self { graveyard, displaced: Displaced(Vec::new()) }
    }
}

impl Drop for Burial<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.displaced.0.is_empty() {
            self.graveyard.bury_all(std::mem::take(&mut self.displaced.0));
        }
    }
}

#[cfg(all(test, not(limpid_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use crate::keyspace::{Content, Keyspace, ShardSet};
    use crate::types::Remains;
    use crate::types::stream::{BlockLimits, Precision, Stream, StreamId, Trim, Until};

    const LARGE_BYTES: usize = 8 << 20;

    fn keyspace() -> Arc<Keyspace> {
        Arc::new(Keyspace::new(2, 1, [1, 2, 3, 4]))
    }

    fn fill(keyspace: &Keyspace, keys: usize, bytes: usize) {
        let mut guard = keyspace.lock(ShardSet::ALL);
        let mut locked = guard.locked();
        let value = vec![7; bytes];
        for number in 0..keys {
            let name = format!("key{number}");
            locked.store(0, keyspace.key(name.as_bytes()), Content::raw(&value), None, 0);
        }
    }

    /// Runs `work` while a thread frees; returns how many keys that thread has freed in the end.
    fn attended(keyspace: &Arc<Keyspace>, work: impl FnOnce()) -> u64 {
        let graveyard = Arc::clone(keyspace.graveyard());
        let attendant = std::thread::spawn(move || graveyard.attend());
        while keyspace.graveyard().queue.lock().attendants == 0 {
            std::thread::yield_now();
        }
        work();
        keyspace.graveyard().close();
        attendant.join().expect("it ends");
        let graveyard = keyspace.graveyard();
        assert_eq!((graveyard.waiting_keys(), graveyard.queue.lock().dead.len()), (0, 0));
        graveyard.freed_keys.load(Ordering::Relaxed)
    }

    #[test]
    fn large_values_are_freed_by_the_thread_for_it() {
        let keyspace = keyspace();
        fill(&keyspace, 4, LARGE_BYTES);
        let freed = attended(&keyspace, || {
            let key = |name: &'static str| keyspace.key(name.as_bytes());
            let mut guard = keyspace.lock(ShardSet::ALL);
            let mut locked = guard.locked();
            assert!(locked.remove(0, key("key0")));
            locked.store(0, key("key1"), Content::Int(1), None, 0);
            let moved = locked.take(0, key("key2")).expect("it is there");
            assert!(locked.remove(0, key("key3")));
            locked.put(0, key("key3"), moved, None);
            assert_eq!(keyspace.graveyard().waiting_keys(), 0, "nothing leaves under the locks");
        });
        assert_eq!(freed, 3);
        assert_eq!(keyspace.len(0), 2);
    }

    #[test]
    fn a_flushed_database_is_freed_by_the_thread_for_it() {
        for (keys, bytes) in [(5000, 10), (2, LARGE_BYTES)] {
            let keyspace = keyspace();
            fill(&keyspace, keys, bytes);
            let freed = attended(&keyspace, || {
                let flushed = keyspace.lock(ShardSet::ALL).locked().flush(0);
                keyspace.graveyard().bury(flushed);
            });
            assert_eq!(freed, keys as u64);
        }
    }

    #[test]
    fn large_parts_of_a_value_are_freed_by_the_thread_for_it() {
        let limits = BlockLimits { bytes: 4096, entries: 100 };
        let mut stream = Stream::default();
        let value = [7; 1000];
        for number in 1..10_000 {
            let fields = std::iter::once((&b"f"[..], &value[..]));
            stream.append(StreamId::new(number, 0), fields, limits).unwrap();
        }
        let trimmed =
            stream.trim(Trim { until: Until::Length(0), precision: Precision::Exact, limit: 0 });
        assert!(trimmed.removed.allocated_bytes() > LARGE_BYTES);
        let keyspace = keyspace();
        attended(&keyspace, || {
            let mut guard = keyspace.lock(ShardSet::ALL);
            guard.locked().bury(Remains::Blocks(trimmed.removed));
            assert!(keyspace.graveyard().queue.lock().dead.is_empty(), "not under the locks");
        });
        assert_eq!(keyspace.graveyard().waiting_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_nobody_attends_to_is_freed_after_the_locks() {
        let keyspace = keyspace();
        fill(&keyspace, 1, LARGE_BYTES);
        // Freed under the lock, it would panic: see `raw::shard::assert_unlocked`.
        let mut guard = keyspace.lock(ShardSet::ALL);
        assert!(guard.locked().remove(0, keyspace.key(b"key0")));
        drop(guard);
        assert_eq!(keyspace.graveyard().waiting_keys(), 0);
    }
}
