//! Memory of clients: what each makes the server hold, and the end of the largest ones while all
//! together make it hold more than maxmemory-clients.
//!
//! Only while there is a limit does each connection count its memory, as it changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Node;
use super::client::Handle;
use crate::telemetry::log::log;

/// A lower limit would keep everybody out.
const LIMIT_BYTES_MIN: u64 = 128 * 1024;
/// Clients of like size are in one bucket: up to `1 << BUCKET_LOG_MIN` bytes, then by powers of two.
const BUCKET_LOG_MIN: u32 = 15;
pub(crate) const BUCKETS: usize = 19;
/// A limit that cannot be kept is logged this often at most, in milliseconds.
const LOGGED_EVERY_MS: i64 = 1000;

/// The memory of all clients.
#[derive(Debug, Default)]
pub(crate) struct ClientMemory {
    /// 0: no limit.
    limit_bytes: AtomicU64,
    /// Sum of what the clients have counted; of replicas and of the link to a master nothing.
    counted_bytes: AtomicI64,
    /// Held by whoever chooses clients to end.
    evicting: Mutex<()>,
    logged_ms: AtomicI64,
}

impl ClientMemory {
    /// Whether clients count their memory.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.limit_bytes.load(Ordering::Relaxed) != 0
    }

    fn add(&self, bytes: i64) -> i64 {
        self.counted_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    fn is_exceeded(&self) -> bool {
        let limit = self.limit_bytes.load(Ordering::Relaxed);
        let counted = self.counted_bytes.load(Ordering::Relaxed);
        limit != 0 && counted >= i64::try_from(limit).unwrap_or(i64::MAX)
    }
}

/// One bucket of DEBUG CLIENT-EVICTION.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) clients: usize,
    pub(crate) bytes: u64,
}

/// The bucket of a client.
fn bucket(bytes: u64) -> usize {
    let log = u64::BITS - bytes.leading_zeros();
    (log.saturating_sub(BUCKET_LOG_MIN) as usize).min(BUCKETS - 1)
}

/// The least size of clients in a bucket, and in the next one, in bytes.
pub(crate) fn bucket_bounds(bucket: usize) -> (u64, u64) {
    let bound = |bucket: usize| 1 << (bucket + BUCKET_LOG_MIN as usize);
    (bucket.checked_sub(1).map_or(0, bound), bound(bucket))
}

impl Node {
    /// Sets maxmemory-clients in bytes; 0: no limit. Counts all clients, who have perhaps counted
    /// nothing so far.
    pub(crate) fn limit_client_memory(&self, bytes: u64) {
        let limit = if bytes == 0 { 0 } else { bytes.max(LIMIT_BYTES_MIN) };
        self.client_memory.limit_bytes.store(limit, Ordering::Relaxed);
        self.clients.all().iter().for_each(|handle| self.note_client_memory(handle));
        self.evict_clients();
    }

    /// Counts a client's memory anew, and ends the largest clients if all use too much.
    pub(crate) fn count_client(&self, handle: &Handle) {
        self.note_client_memory(handle);
        if self.client_memory.is_exceeded() {
            self.evict_clients();
        }
    }

    fn note_client_memory(&self, handle: &Handle) {
        let counts = self.client_memory.is_limited() && !handle.is_killed() && {
            let shown = handle.shown.lock();
            !shown.replica && !shown.master
        };
        let bytes = if counts { handle.memory_bytes() as u64 } else { 0 };
        let before = handle.counted_bytes.swap(bytes, Ordering::Relaxed);
        if bytes != before {
            self.client_memory.add(bytes.cast_signed() - before.cast_signed());
        }
    }

    /// Forgets the memory of a client that leaves.
    pub(crate) fn uncount_client(&self, handle: &Handle) {
        let before = handle.counted_bytes.swap(0, Ordering::Relaxed);
        self.client_memory.add(-before.cast_signed());
    }

    /// The clients that may be ended, by size, and those of like size in the order in which they
    /// came.
    fn evictable(&self) -> [Vec<Arc<Handle>>; BUCKETS] {
        let mut buckets: [Vec<Arc<Handle>>; BUCKETS] = Default::default();
        for handle in self.clients.all() {
            let spared = {
                let shown = handle.shown.lock();
                shown.no_evict || shown.replica || shown.master
            };
            if !spared && !handle.is_killed() {
                buckets[bucket(handle.counted_bytes.load(Ordering::Relaxed))].push(handle);
            }
        }
        buckets
    }

    /// Ends clients, the largest first, until all together use less than the limit.
    #[cold]
    fn evict_clients(&self) {
        let Some(_alone) = self.client_memory.evicting.try_lock() else { return };
        if !self.client_memory.is_exceeded() {
            return;
        }
        for handle in self.evictable().iter().rev().flatten() {
            if !self.client_memory.is_exceeded() {
                return;
            }
            log!(Notice, "Evicting client: {}", handle.described());
            handle.kill();
            self.uncount_client(handle);
            self.stats.evicted_clients.add(1);
        }
        let (now_ms, logged_ms) = (self.clock.unix_ms(), &self.client_memory.logged_ms);
        if self.client_memory.is_exceeded()
            && now_ms - logged_ms.load(Ordering::Relaxed) >= LOGGED_EVERY_MS
        {
            logged_ms.store(now_ms, Ordering::Relaxed);
            log!(Warning, "Over client maxmemory after evicting all evictable clients");
        }
    }

    /// What DEBUG CLIENT-EVICTION shows; `None` without a limit.
    pub(crate) fn client_buckets(&self) -> Option<[Bucket; BUCKETS]> {
        self.client_memory.is_limited().then(|| {
            self.evictable().map(|handles| Bucket {
                clients: handles.len(),
                bytes: handles
                    .iter()
                    .map(|handle| handle.counted_bytes.load(Ordering::Relaxed))
                    .sum(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, bucket, bucket_bounds};

    #[test]
    fn buckets_double_in_size() {
        for (bytes, expected) in [
            (0, 0),
            (32_767, 0),
            (32_768, 1),
            (65_535, 1),
            (65_536, 2),
            (u64::from(u32::MAX) + 1, BUCKETS - 1),
            (u64::MAX, BUCKETS - 1),
        ] {
            assert_eq!(bucket(bytes), expected, "{bytes}");
        }
        assert_eq!(bucket_bounds(0), (0, 32_768));
        assert_eq!(bucket_bounds(2), (65_536, 131_072));
    }
}
