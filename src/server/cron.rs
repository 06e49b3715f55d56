//! Regular work, ten times a second: expired keys, save points, idle clients, rates, and which
//! workers serve.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::balance::Balancer;
use super::role_file::RoleFile;
use super::upkeep::Upkeep;
use crate::engine::{Engine, Sweeper};
use crate::keyspace::ShardSet;
use crate::node::admission::State;
use crate::node::host::BackgroundSave;
use crate::telemetry::log::log;

/// Between two rounds.
const INTERVAL: Duration = Duration::from_millis(100);
/// How soon after a failed save the next one may begin by itself, in milliseconds.
const RETRY_MS: i64 = 5000;

/// Runs for ever.
pub(super) async fn run(engine: Arc<Engine>, mut balancer: Balancer) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut sweeper = Sweeper::default();
    let role_file = RoleFile::default();
    let mut replication = Upkeep::new(engine.node.clock.unix_ms());
    loop {
        interval.tick().await;
        sweeper.round(&engine);
        // What it removed went into the log.
        engine.node.feed_replicas();
        end_pause(&engine);
        sample(&engine);
        save_when_due(&engine);
        disconnect_idle(&engine);
        replication.round(&engine.node);
        engine.node.look_at_standing();
        role_file.round(&engine.node);
        balancer.round(&engine);
    }
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
    let totals = [commands, node.sum(|s| &s.read_bytes), written];
    node.stats.rates.lock().sample(node.clock.unix_us(), totals);
    let allocated = node.host().memory().allocated;
    node.stats.peak_memory_bytes.fetch_max(allocated, Ordering::Relaxed);
}

/// Begins a save in the background when a save point is reached, or one was asked for.
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
    let failed = node.admission.has(State::SaveFailed);
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
            shown.subscriptions() > 0 || shown.replica || shown.master || shown.waiting
        };
        let idle_ms = now_ms - handle.active_ms.load(Ordering::Relaxed);
        if !spared && idle_ms > i64::from(timeout_s) * 1000 {
            log!(Verbose, "Closing idle client");
            handle.kill();
        }
    }
}
