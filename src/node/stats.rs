//! Counters: one set per worker, summed on read.
//!
//! Each counter has one writing thread at a time, so adding needs no read-modify-write and no
//! shared cache line.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::client::Handle;
use super::memory::EvictionStats;
pub(crate) use crate::telemetry::counter::{Counter, SharedCounter};
use crate::telemetry::counter::{Distribution, Histogram, SharedHistogram};

/// Call statistics of one command.
#[derive(Debug, Default)]
pub(crate) struct CommandStats {
    pub(crate) calls: Counter,
    pub(crate) nanos: Counter,
    /// Refused before running.
    pub(crate) rejected: Counter,
    /// Ran and failed.
    pub(crate) failed: Counter,
    /// Durations of calls.
    pub(crate) latency: Histogram,
}

/// Durations and their sum.
#[derive(Debug, Default)]
pub(crate) struct Timed {
    histogram: Histogram,
    nanos: Counter,
}

impl Timed {
    #[inline]
    pub(crate) fn observe(&self, nanos: u64) {
        self.histogram.observe(nanos);
        self.nanos.add(nanos);
    }

    pub(crate) fn add_to(&self, all: &mut Distribution) {
        all.add(&self.histogram, self.nanos.get());
    }
}

/// The counters of one worker.
#[derive(Debug, Default)]
pub(crate) struct WorkerStats {
    /// By the id of the row.
    pub(crate) commands: Vec<CommandStats>,
    pub(crate) keyspace_hits: Counter,
    pub(crate) keyspace_misses: Counter,
    pub(crate) expired_keys: Counter,
    pub(crate) dirty: Counter,
    /// Payloads that RESTORE checked.
    pub(crate) payloads_checked: Counter,
    pub(crate) read_bytes: Counter,
    pub(crate) written_bytes: Counter,
    /// The part of the bytes read that came from a master.
    pub(crate) master_read_bytes: Counter,
    pub(crate) reads: Counter,
    pub(crate) writes: Counter,
    /// How long small requests waited after being read for others to be read too.
    pub(crate) queued: Timed,
    /// Time from the end of a batch until the kernel has its replies, which may wait for other
    /// connections' batches.
    pub(crate) writing: Timed,
    pub(crate) error_replies: Counter,
    /// Error replies by their first word.
    pub(crate) errors: Mutex<BTreeMap<String, u64>>,
}

/// Most distinct first words of errors with separate counts, since clients could invent them.
const ERROR_WORDS_MAX: usize = 128;

impl WorkerStats {
    /// For commands with ids below `commands`.
    pub(crate) fn new(commands: usize) -> Self {
        let commands = (0..commands).map(|_| CommandStats::default()).collect();
        Self { commands, ..Self::default() }
    }

    /// Counts an error reply, given as it follows the `-`.
    pub(crate) fn error(&self, text: &[u8]) {
        self.error_replies.add(1);
        let word = text.split(|&byte| byte == b' ').next().unwrap_or_default();
        let word = String::from_utf8_lossy(word);
        let mut errors = self.errors.lock();
        if let Some(count) = errors.get_mut(word.as_ref()) {
            *count += 1;
        } else if errors.len() < ERROR_WORDS_MAX {
            errors.insert(word.into_owned(), 1);
        }
    }

    /// Counts an error reply to a client that waited; its command was counted when the wait began.
    pub(crate) fn failed_wait(&self, client: &Handle, text: &[u8]) {
        self.error(text);
        let last = client.last_command.load(Ordering::Relaxed);
        if let Some(command) = last.checked_sub(1).and_then(|id| self.commands.get(id)) {
            command.failed.add(1);
        }
    }

    /// Resets what CONFIG RESETSTAT resets.
    pub(crate) fn reset(&self) {
        for command in &self.commands {
            command.calls.reset();
            command.nanos.reset();
            command.rejected.reset();
            command.failed.reset();
            command.latency.reset();
        }
        let counters = [
            &self.keyspace_hits,
            &self.keyspace_misses,
            &self.expired_keys,
            &self.payloads_checked,
            &self.read_bytes,
            &self.written_bytes,
            &self.master_read_bytes,
            &self.reads,
            &self.writes,
            &self.error_replies,
        ];
        counters.into_iter().for_each(Counter::reset);
        self.errors.lock().clear();
    }
}

/// Why a replica got a full resync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FullResyncReason {
    /// It has no data, or says so.
    New,
    /// Its data are of another history.
    UnknownHistory,
    /// Its offset is older than the backlog.
    BeyondBacklog,
    /// It used SYNC, which has no partial resync.
    Sync,
}

/// Counters outside of workers.
#[derive(Debug, Default)]
pub(crate) struct ServerStats {
    pub(crate) connections_received: SharedCounter,
    /// Refused because of maxclients.
    pub(crate) connections_rejected: SharedCounter,
    /// Microseconds that the sweeper took.
    pub(crate) expire_cycle_us: SharedCounter,
    /// Sweeper rounds that ended by timeout, with work left.
    pub(crate) expire_cycles_cut: SharedCounter,
    /// Share of expired keys among those with an expiry in the sweeper's last round, in 1/10,000.
    pub(crate) expired_stale_permyriad: AtomicU64,
    /// Clients disconnected because of their output limit.
    pub(crate) output_limit_disconnections: SharedCounter,
    pub(crate) query_limit_disconnections: SharedCounter,
    /// Clients disconnected because of maxmemory-clients.
    pub(crate) evicted_clients: SharedCounter,
    /// Resyncs that replicas requested.
    pub(crate) sync_full: SharedCounter,
    /// By [`FullResyncReason`].
    pub(crate) full_resyncs: [SharedCounter; 4],
    pub(crate) sync_partial_ok: SharedCounter,
    pub(crate) sync_partial_err: SharedCounter,
    /// Durations of WAIT, by whether enough replicas acknowledged in the end.
    pub(crate) waits_met: SharedHistogram,
    pub(crate) waits_timed_out: SharedHistogram,
    /// Replicas disconnected because they lagged too far behind.
    pub(crate) replicas_cut: SharedCounter,
    /// How often the link to a master came up, and went down after being up.
    pub(crate) link_ups: SharedCounter,
    pub(crate) link_losses: SharedCounter,
    /// Masters that this replica refused because they had lost their data.
    pub(crate) masters_refused: SharedCounter,
    /// Connections to the admin server.
    pub(crate) admin_connections: AtomicU64,
    /// Admin connections closed to make room for others.
    pub(crate) admin_connections_cut: SharedCounter,
    /// Handshakes of TLS that failed, also for lack of time.
    pub(crate) tls_handshakes_failed: SharedCounter,
    /// Handshakes of TLS ended to make room for others.
    pub(crate) tls_handshakes_cut: SharedCounter,
    /// Unix milliseconds of the last log line on a likely HTTP attack; 0: none yet.
    pub(crate) attack_logged_ms: AtomicI64,
    /// Rates over the last few seconds.
    pub(crate) rates: Mutex<Rates>,
    pub(crate) eviction: EvictionStats,
    pub(crate) peak_memory_bytes: AtomicU64,
    /// Allocated bytes when the server began to serve.
    pub(crate) startup_memory_bytes: AtomicU64,
}

impl ServerStats {
    pub(crate) fn reset(&self) {
        let counters = [
            &self.connections_received,
            &self.connections_rejected,
            &self.expire_cycle_us,
            &self.expire_cycles_cut,
            &self.output_limit_disconnections,
            &self.query_limit_disconnections,
            &self.evicted_clients,
            &self.sync_full,
            &self.sync_partial_ok,
            &self.sync_partial_err,
            &self.replicas_cut,
            &self.link_ups,
            &self.link_losses,
        ];
        self.full_resyncs.iter().for_each(SharedCounter::reset);
        counters.into_iter().for_each(SharedCounter::reset);
        self.waits_met.reset();
        self.waits_timed_out.reset();
        self.eviction.reset();
        self.peak_memory_bytes.store(0, Ordering::Relaxed);
    }
}

/// Totals of which there are rates: commands, bytes read, bytes written, bytes read from a master,
/// bytes written to replicas.
pub(crate) const RATES: usize = 5;

/// Samples of some totals, 0.1 s apart, for INFO's instantaneous rates.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    samples: std::collections::VecDeque<(i64, [u64; RATES])>,
}

/// Samples that a rate spans.
const SAMPLES: usize = 16;
/// Least microseconds between two samples.
const APART_US: u64 = 90_000;

impl Rates {
    /// Adds a sample at a Unix time in microseconds, unless the last one is too near.
    pub(crate) fn sample(&mut self, at_us: i64, totals: [u64; RATES]) {
        if self.samples.back().is_some_and(|last| at_us.abs_diff(last.0) < APART_US) {
            return;
        }
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((at_us, totals));
    }

    /// The rates of the totals per second.
    pub(crate) fn per_second(&self) -> [f64; RATES] {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return [0.0; RATES];
        };
        let seconds = (last.0 - first.0) as f64 / 1e6;
        if seconds <= 0.0 {
            return [0.0; RATES];
        }
        std::array::from_fn(|i| last.1[i].saturating_sub(first.1[i]) as f64 / seconds)
    }
}
