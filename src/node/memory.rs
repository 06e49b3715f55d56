//! What `maxmemory` does not count, and for how long memory has been beyond it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Node;
use crate::keyspace::snapshot::Retention;
use crate::telemetry::counter::SharedCounter;

/// Memory that removing keys cannot free, or that is about to be freed: counting it would evict
/// ever more.
#[derive(Debug)]
pub(crate) struct Uncounted {
    /// The log of writes beyond the size of the backlog: what replicas have yet to be sent.
    log_bytes: usize,
    /// What waits to be written to the append only file.
    file_bytes: usize,
    /// The running snapshot, which keeps old values of changed and removed keys.
    retention: Option<Arc<Retention>>,
}

impl Uncounted {
    /// The bytes now. The log is as of the beginning.
    pub(crate) fn bytes(&self, node: &Node) -> u64 {
        let retained = self.retention.as_ref().map_or(0, |retention| retention.bytes());
        // An eviction sends these itself, and they are gone in a moment.
        let passing = node.keyspace.graveyard().waiting_bytes() + node.tracking.waiting_bytes();
        (self.log_bytes + self.file_bytes + retained + passing) as u64
    }
}

impl Uncounted {
    /// Whether whole databases that were flushed wait to be freed: how much that is, is not known.
    pub(crate) fn has_flushes(&self, node: &Node) -> bool {
        node.keyspace.graveyard().has_flushes()
            || self.retention.as_ref().is_some_and(|retention| retention.has_tables())
    }
}

impl Node {
    /// What `maxmemory` does not count.
    pub(crate) fn uncounted(&self) -> Uncounted {
        let log_bytes = if self.log.has_backlog() {
            let window = self.log.window();
            window.held_bytes.saturating_sub(window.bytes_max)
        } else {
            0
        };
        let log_bytes = log_bytes + self.replication.replicas.output_bytes();
        let file_bytes = self.log.recording_file().map_or(0, |file| file.readings().buffer_length);
        Uncounted { log_bytes, file_bytes, retention: self.persistence.retention() }
    }
}

/// Figures of eviction.
#[derive(Debug, Default)]
pub(crate) struct EvictionStats {
    /// Keys evicted.
    pub(crate) keys: SharedCounter,
    /// Microseconds for which memory was beyond the limit, without the current time.
    exceeded_us: SharedCounter,
    /// When memory exceeded the limit, as the clock's nanoseconds; 0: it does not.
    since_nanos: AtomicU64,
}

impl EvictionStats {
    /// Whether memory was beyond the limit when last looked at.
    #[inline]
    pub(crate) fn is_exceeded(&self) -> bool {
        self.since_nanos.load(Ordering::Relaxed) != 0
    }

    /// Records whether memory is beyond the limit.
    pub(crate) fn note(&self, exceeded: bool, now_nanos: u64) {
        if exceeded {
            // Two threads may both record it, at almost the same time.
            if !self.is_exceeded() {
                self.since_nanos.store(now_nanos.max(1), Ordering::Relaxed);
            }
            return;
        }
        let since = self.since_nanos.swap(0, Ordering::Relaxed);
        if since != 0 {
            self.exceeded_us.add(now_nanos.saturating_sub(since) / 1000);
        }
    }

    /// Milliseconds beyond the limit: this time, and in all.
    pub(crate) fn exceeded_ms(&self, now_nanos: u64) -> [u64; 2] {
        let current_us = match self.since_nanos.load(Ordering::Relaxed) {
            0 => 0,
            since => now_nanos.saturating_sub(since) / 1000,
        };
        [current_us / 1000, (self.exceeded_us.get() + current_us) / 1000]
    }

    pub(crate) fn reset(&self) {
        self.keys.reset();
        self.exceeded_us.reset();
        self.since_nanos.store(0, Ordering::Relaxed);
    }
}
