//! A server's state besides keys: clients, subscriptions, statistics, saving.
//!
//! No sockets and no threads: the outer layer drives it through the engine, and provides the time
//! ([`Clock`]) and other services ([`Host`]).

pub(crate) mod acl;
pub(crate) mod admission;
mod blocked;
pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod client_memory;
pub(crate) mod clients;
mod failover;
pub(crate) mod file;
pub(crate) mod host;
pub(crate) mod memory;
pub(crate) mod migration;
pub(crate) mod monitors;
mod multi;
mod origin;
pub(crate) mod pace;
pub(crate) mod persistence;
pub(crate) mod pubsub;
mod pushes;
pub(crate) mod replication;
pub(crate) mod scripts;
pub(crate) mod shutdown;
pub(crate) mod slowlog;
pub(crate) mod spikes;
pub(crate) mod standing;
pub(crate) mod stats;
pub(crate) mod tracking;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use crate::acl::Commands;
use crate::keyspace::Keyspace;
use crate::replication::Log;
use crate::settings::Settings;
use crate::telemetry::counter::Distribution;
use crate::types::list::PLAIN_BYTES_MIN;
use acl::Acl;
use admission::Admission;
use blocked::Blocked;
use certificates::Certificates;
use client_memory::ClientMemory;
use clients::Clients;
use host::{Clock, Host};
use migration::Migrations;
use monitors::Monitors;
use persistence::Persistence;
use pubsub::PubSub;
use replication::Replication;
use shutdown::PendingShutdown;
use slowlog::Slowlog;
use spikes::Spikes;
use standing::Standing;
use stats::{Counter, ServerStats, WorkerStats};
use tracking::Tracking;

/// Constants of a process.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// 40 hexadecimal digits, new at every start.
    pub(crate) run_id: String,
    /// Unix time in milliseconds.
    pub(crate) started_ms: i64,
    pub(crate) process_id: u32,
    /// The file of the settings, as an absolute path; CONFIG REWRITE writes it.
    pub(crate) config_file: Option<std::path::PathBuf>,
    pub(crate) executable: String,
    /// Name, release and machine of the operating system.
    pub(crate) operating_system: String,
}

/// One server.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) keyspace: Arc<Keyspace>,
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) clients: Clients,
    pub(crate) client_memory: ClientMemory,
    pub(crate) pubsub: PubSub,
    pub(crate) monitors: Monitors,
    pub(crate) tracking: Tracking,
    pub(crate) slowlog: Slowlog,
    pub(crate) spikes: Spikes,
    pub(crate) stats: ServerStats,
    pub(crate) workers: Vec<WorkerStats>,
    /// Index of the last worker, the link to a master: it applies the stream.
    pub(crate) applier: usize,
    /// Index of the worker before it, which serves the clients of those that are stuck in a script.
    pub(crate) relief: usize,
    /// How often periodic work runs.
    pub(crate) pace: pace::Pace,
    /// Statistics of the periodic thread: the sweeper's work, and commands run without a client.
    pub(crate) background: WorkerStats,
    pub(crate) migrations: Migrations,
    pub(crate) log: Log,
    /// Who waits for the append only file.
    pub(crate) file_waiters: file::FileWaiters,
    /// Microseconds before each of its writes; DEBUG can set it.
    pub(crate) file_delay_us: Arc<AtomicU64>,
    pub(crate) admission: Admission,
    pub(crate) acl: Acl,
    pub(crate) persistence: Persistence,
    pub(crate) replication: Replication,
    /// Clients that wait for keys.
    pub(crate) blocked: Blocked,
    pub(crate) scripts: scripts::Gate,
    /// Whether the role is confirmed.
    pub(crate) standing: Standing,
    pub(crate) shutdown: PendingShutdown,
    /// Those that TLS uses.
    pub(crate) certificates: Certificates,
    pub(crate) identity: Identity,
    pub(crate) clock: Arc<dyn Clock>,
    /// A running average of the sweeper's samples, by database.
    average_ttl_ms: Box<[AtomicI64]>,
    /// Whether the sweeper looks for expired keys; DEBUG can stop it.
    pub(crate) sweeping: AtomicBool,
    /// Whether periodic work stands still: DEBUG PAUSE-CRON.
    pub(crate) cron_paused: AtomicBool,
    /// Whether there is more to evict, in the background.
    pub(crate) evicting: AtomicBool,
    /// Whether RESTORE skips checksums; DEBUG can enable that.
    pub(crate) restores_unchecked: AtomicBool,
    /// Length in bytes from which a list's element stands alone in its node: DEBUG
    /// QUICKLIST-PACKED-THRESHOLD.
    pub(crate) list_plain_bytes_min: AtomicU32,
    host: OnceLock<Arc<dyn Host>>,
}

impl Node {
    /// A node with empty databases. `commands` is what users may be permitted; `seeds` key the hash of
    /// keys; `log_id` identifies its history.
    pub(crate) fn new(
        settings: Settings,
        identity: Identity,
        commands: &'static Commands,
        clock: Arc<dyn Clock>,
        workers: Vec<WorkerStats>,
        seeds: [u64; 4],
        log_id: String,
    ) -> Self {
        let databases = settings.keyspace.databases as usize;
        let ids = workers.first().map_or(0, |worker| worker.commands.len());
        Self {
            keyspace: Arc::new(Keyspace::new(databases, workers.len(), seeds)),
            clients: Clients::default(),
            client_memory: ClientMemory::default(),
            pubsub: PubSub::default(),
            monitors: Monitors::default(),
            tracking: Tracking::default(),
            slowlog: Slowlog::default(),
            spikes: Spikes::default(),
            stats: ServerStats::default(),
            background: WorkerStats::new(ids),
            migrations: Migrations::new(ids),
            applier: workers.len().saturating_sub(1),
            relief: workers.len().saturating_sub(2),
            workers,
            average_ttl_ms: (0..databases).map(|_| AtomicI64::new(0)).collect(),
            sweeping: AtomicBool::new(true),
            cron_paused: AtomicBool::new(false),
            evicting: AtomicBool::new(false),
            restores_unchecked: AtomicBool::new(false),
            list_plain_bytes_min: AtomicU32::new(PLAIN_BYTES_MIN),
            log: Log::new(log_id),
            file_waiters: file::FileWaiters::default(),
            file_delay_us: Arc::default(),
            pace: pace::Pace::default(),
            admission: Admission::default(),
            acl: Acl::new(commands, &settings.security),
            persistence: Persistence::new(clock.unix_ms()),
            replication: Replication::default(),
            blocked: Blocked::default(),
            scripts: scripts::Gate::default(),
            standing: Standing::default(),
            shutdown: PendingShutdown::default(),
            certificates: Certificates::default(),
            identity,
            clock,
            settings: ArcSwap::from_pointee(settings),
            host: OnceLock::new(),
        }
    }

    /// Sets the outer layer's services. Called once, before the first command.
    pub(crate) fn set_host(&self, host: Arc<dyn Host>) {
        assert!(self.host.set(host).is_ok(), "a node has one host");
    }

    pub(crate) fn host(&self) -> &dyn Host {
        self.host.get().expect("set before the first command").as_ref()
    }

    /// Changes to the data set since the process started.
    pub(crate) fn dirty(&self) -> u64 {
        self.sum(|stats| &stats.dirty)
    }

    /// The average TTL of keys with an expiry, in milliseconds; 0 if unknown, or if there are none.
    pub(crate) fn average_ttl_ms(&self, database: usize) -> i64 {
        let known = self.average_ttl_ms[database].load(Ordering::Relaxed);
        if known != 0 && self.keyspace.expires(database) == 0 {
            // The average is of removed keys and must not affect later ones.
            self.forget_ttl(database);
            return 0;
        }
        known
    }

    /// Resets a database's average TTL: its keys are gone.
    pub(crate) fn forget_ttl(&self, database: usize) {
        self.average_ttl_ms[database].store(0, Ordering::Relaxed);
    }

    /// Swaps the averages of two databases that exchanged their keys.
    pub(crate) fn swap_ttl(&self, one: usize, two: usize) {
        let (one, two) = (&self.average_ttl_ms[one], &self.average_ttl_ms[two]);
        two.store(one.swap(two.load(Ordering::Relaxed), Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Adds a sample of the sweeper, weighted as in Redis.
    pub(crate) fn sample_ttl_ms(&self, database: usize, sample: i64) {
        let old = self.average_ttl_ms[database].load(Ordering::Relaxed);
        let new = if old == 0 { sample } else { old / 50 * 49 + sample / 50 };
        self.average_ttl_ms[database].store(new, Ordering::Relaxed);
    }

    /// All sets of counters.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &WorkerStats> {
        self.workers.iter().chain([&self.background, &self.migrations.stats])
    }

    /// A command's latency distribution.
    pub(crate) fn latency(&self, command: usize) -> Distribution {
        let mut all = Distribution::default();
        for stats in self.counted() {
            let stats = &stats.commands[command];
            all.add(&stats.latency, stats.nanos.get());
        }
        all
    }

    /// A counter's sum over all sets.
    pub(crate) fn sum(&self, counter: impl Fn(&WorkerStats) -> &Counter) -> u64 {
        self.counted().map(|stats| counter(stats).get()).sum()
    }
}
