//! Periodic work on a separate thread: expired keys, save points, idle clients, rates, and which
//! workers serve. As often as `hz` has it while there is work; once a second, for anything timed in
//! seconds, while the server rests.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::aof::Rewrites;
use super::balance::Balancer;
use super::role_file::RoleFile;
use super::saver::Saver;
use super::upkeep::Upkeep;
use super::worker::Workers;
use crate::engine::{Engine, Sweeper, fit_in_background, go_on_evicting};
use crate::heap;
use crate::keyspace::ShardSet;
use crate::node::admission::Condition;
use crate::node::host::BackgroundSave;
use crate::telemetry::log::log;

/// `hz` rounds take this long.
const SECOND: Duration = Duration::from_secs(1);
/// Time in which a round evicts at most.
const EVICTING_MAX: Duration = Duration::from_millis(100);
/// Interval of rounds while the server rests.
const REST: Duration = Duration::from_secs(1);
/// How long there is no traffic before the server rests: the rates in INFO are 0 by then.
const CALM_SECONDS: u32 = 2;
/// Delay after a failed save before the next automatic one, in milliseconds.
const RETRY_MS: i64 = 5000;

/// State kept from round to round.
#[derive(Debug)]
pub(super) struct Cron {
    engine: Arc<Engine>,
    workers: Arc<Workers>,
    balancer: Balancer,
    sweeper: Sweeper,
    replication: Upkeep,
    role_file: RoleFile,
    saver: Arc<Saver>,
    rewrites: Rewrites,
    /// Bytes read from clients and a master so far, and rounds since that number changed.
    read_bytes: u64,
    calm_rounds: u32,
}

impl Cron {
    pub(super) fn new(engine: Arc<Engine>, workers: Arc<Workers>, saver: Arc<Saver>) -> Self {
        Self {
            balancer: Balancer::new(Arc::clone(&workers)),
            sweeper: Sweeper::default(),
            replication: Upkeep::new(engine.node.clock.unix_ms()),
            role_file: RoleFile::default(),
            saver,
            rewrites: Rewrites::default(),
            read_bytes: 0,
            calm_rounds: 0,
            engine,
            workers,
        }
    }

    /// Works until `ended` is true. [`Pace::wake`](crate::node::pace::Pace::wake) makes it check.
    pub(super) fn run(mut self, ended: &watch::Receiver<bool>) {
        let engine = Arc::clone(&self.engine);
        let (clock, pace) = (&engine.node.clock, &engine.node.pace);
        pace.begin();
        while !*ended.borrow() {
            let began = clock.nanos();
            if !engine.node.cron_paused.load(Ordering::Relaxed) {
                self.round();
            }
            let hz = engine.node.settings.load().process.hz;
            if self.has_work(hz) {
                let spent = Duration::from_nanos(clock.nanos().saturating_sub(began));
                std::thread::park_timeout((SECOND / hz).saturating_sub(spent));
            } else {
                pace.set_resting(true);
                std::thread::park_timeout(REST);
                pace.set_resting(false);
            }
        }
    }

    fn round(&mut self) {
        let engine = &self.engine;
        engine.node.watch_file();
        evict(engine);
        self.sweeper.round(engine);
        // Its removals went into the log.
        engine.node.feed_replicas();
        end_pause(engine);
        sample(engine);
        save_when_due(engine);
        self.rewrites.round(engine, &self.saver);
        disconnect_idle(engine);
        fit_in_background(&engine.node);
        self.replication.round(&engine.node);
        engine.node.look_at_standing();
        self.role_file.round(&engine.node);
        self.balancer.round(engine);
        heap::tell();
    }

    /// Whether the next round is due as soon as possible.
    fn has_work(&mut self, hz: u32) -> bool {
        let node = &self.engine.node;
        let read_bytes = node.sum(|stats| &stats.read_bytes);
        let traffic = std::mem::replace(&mut self.read_bytes, read_bytes) != read_bytes;
        self.calm_rounds = if traffic { 0 } else { self.calm_rounds.saturating_add(1) };
        self.calm_rounds < CALM_SECONDS * hz
            || self.workers.in_use() > 1
            || node.replication.replicas.len() > 0
            || node.admission.is_paused()
            || node.persistence.get().scheduled
            || node.log.file().is_some_and(|file| file.rewrite_scheduled())
            || node.log.file().is_some_and(|file| file.is_slow())
            || !node.standing.is_confirmed()
            || node.standing.is_unwritten()
            || node.evicting.load(Ordering::Relaxed)
            || may_expire(&self.engine)
    }
}

/// Evicts in slices what commands have left, for as long as a round may take.
fn evict(engine: &Engine) {
    let began = engine.node.clock.nanos();
    while go_on_evicting(engine) {
        let spent = engine.node.clock.nanos().saturating_sub(began);
        if Duration::from_nanos(spent) > EVICTING_MAX {
            return;
        }
        // Workers that need memory as well come first.
        std::thread::yield_now();
    }
}

/// Whether there are keys that this node must end when they expire.
fn may_expire(engine: &Engine) -> bool {
    let node = &engine.node;
    if node.is_replica() {
        return !node.replication.own_expiring(None, 1).is_empty();
    }
    (0..node.keyspace.databases()).any(|database| node.keyspace.expires(database) > 0)
}

fn end_pause(engine: &Engine) {
    let node = &engine.node;
    let over = || {
        node.admission.is_paused_by_client()
            && node.admission.paused_until_ms() <= node.clock.unix_ms()
    };
    if over() {
        let mut guard = node.keyspace.lock(ShardSet::ALL);
        // A longer pause may have begun.
        if over() {
            node.admission.unpause(&guard.locked());
        }
    }
}

fn sample(engine: &Engine) {
    let node = &engine.node;
    let commands =
        node.counted().flat_map(|stats| &stats.commands).map(|command| command.calls.get()).sum();
    let written = node.sum(|s| &s.written_bytes) + node.replication.replicas.stats.bytes.get();
    let master = node.sum(|s| &s.master_read_bytes);
    let replicas = node.replication.replicas.stats.bytes.get();
    let totals = [commands, node.sum(|s| &s.read_bytes), written, master, replicas];
    node.stats.rates.lock().sample(node.clock.unix_us(), totals);
    let allocated = node.host().allocated();
    node.stats.peak_memory_bytes.fetch_max(allocated, Ordering::Relaxed);
    heap::adjust(allocated);
}

/// Begins a background save when a save point is reached, or one was requested.
fn save_when_due(engine: &Engine) {
    let node = &engine.node;
    let saving = node.persistence.get();
    if saving.running.is_some() {
        return;
    }
    let now_ms = node.clock.unix_ms();
    let changes = node.dirty().saturating_sub(saving.saved_dirty);
    let seconds = (now_ms - saving.saved_ms).max(0).unsigned_abs() / 1000;
    let settings = node.settings.load();
    let reached = |point: &&crate::settings::SavePoint| {
        changes >= point.changes && seconds > point.seconds && changes > 0
    };
    let failed = node.admission.has(Condition::SaveFailed);
    let may_retry = !failed || now_ms - saving.tried_ms > RETRY_MS;
    let point = settings.snapshot.save.iter().find(reached).filter(|_| may_retry);
    if point.is_none() && !saving.scheduled {
        return;
    }
    let mut guard = node.keyspace.lock(ShardSet::ALL);
    // It may be busy by now: the next round looks again.
    let began = node.host().background_save(&mut guard.locked()) == BackgroundSave::Started;
    if let (Some(point), true, false) = (point, began, failed) {
        log!(Notice, "{} changes in {} seconds. Saving...", point.changes, point.seconds);
    }
}

fn disconnect_idle(engine: &Engine) {
    let node = &engine.node;
    let timeout_s = node.settings.load().clients.timeout_secs;
    if timeout_s == 0 {
        return;
    }
    let now_ms = node.clock.unix_ms();
    for handle in node.clients.all() {
        let spared = {
            let shown = handle.shown.lock();
            shown.subscriptions() > 0
                || shown.replica
                || shown.monitor
                || shown.master
                || shown.waiting
        };
        let idle_ms = now_ms - handle.active_ms.load(Ordering::Relaxed);
        if !spared && idle_ms > i64::from(timeout_s) * 1000 {
            log!(Verbose, "Closing idle client");
            handle.kill();
        }
    }
}
