//! Metrics with labels, and those that no field of INFO has.

use super::family::{Families, Kind::Counter, Kind::Gauge};
use crate::commands::registry::Registry;
use crate::engine::Engine;
use crate::node::Node;
use crate::node::replication::LinkState;
use crate::replication::Phase;
use crate::telemetry::counter::Distribution;

/// Looks up a field of INFO.
type Field<'a, 'f> = &'a dyn Fn(&str) -> Option<&'f str>;

pub(super) fn add(families: &mut Families, engine: &Engine, field: Field<'_, '_>) {
    let node = &*engine.node;
    families.add(Gauge, "up", "Whether the server answers.", &[], 1.0);
    instance(families, node, field);
    databases(families, node);
    commands(families, node, &engine.registry);
    errors(families, node);
    slowlog(families, node);
    config(families, node);
    replicas(families, node);
    master(families, node, field);
    own(families, node);
}

fn instance(families: &mut Families, node: &Node, field: Field<'_, '_>) {
    let told = |name| field(name).unwrap_or_default();
    let replid = node.log.ids().id;
    let labels = [
        ("role", told("role")),
        ("redis_version", told("redis_version")),
        ("redis_build_id", told("redis_build_id")),
        ("redis_mode", told("redis_mode")),
        ("os", told("os")),
        ("maxmemory_policy", told("maxmemory_policy")),
        ("tcp_port", told("tcp_port")),
        ("run_id", told("run_id")),
        ("process_id", told("process_id")),
        ("master_replid", &replid),
    ];
    families.add(Gauge, "instance_info", "What this server is.", &labels, 1.0);
    let start = (node.identity.started_ms / 1000) as f64;
    families.add(Gauge, "start_time_seconds", "When the process started.", &[], start);
}

fn databases(families: &mut Families, node: &Node) {
    for index in 0..node.keyspace.databases() {
        let name = format!("db{index}");
        let labels = [("db", name.as_str())];
        let (keys, expiring) = (node.keyspace.len(index), node.keyspace.expires(index));
        families.add(Gauge, "db_keys", "Keys.", &labels, keys as f64);
        families.add(Gauge, "db_keys_expiring", "Keys with an expiry.", &labels, expiring as f64);
        if keys > 0 {
            let ttl = node.average_ttl_ms(index) as f64 / 1000.0;
            families.add(Gauge, "db_avg_ttl_seconds", "Average time to live.", &labels, ttl);
        }
    }
}

fn commands(families: &mut Families, node: &Node, registry: &Registry) {
    for registered in registry.all() {
        let sum = |of: fn(&crate::node::stats::CommandStats) -> u64| -> f64 {
            node.counted().map(|stats| of(&stats.commands[registered.id])).sum::<u64>() as f64
        };
        let (calls, rejected, failed) = (
            sum(|stats| stats.calls.get()),
            sum(|stats| stats.rejected.get()),
            sum(|stats| stats.failed.get()),
        );
        if calls + rejected + failed == 0.0 {
            continue;
        }
        let seconds = (sum(|stats| stats.nanos.get()) / 1000.0).floor() / 1e6;
        let labels = [("cmd", registered.name.as_str())];
        families.add(Counter, "commands_total", "Calls.", &labels, calls);
        let help = "Time in calls.";
        families.add(Counter, "commands_duration_seconds_total", help, &labels, seconds);
        let help = "Calls refused before they ran.";
        families.add(Counter, "commands_rejected_calls_total", help, &labels, rejected);
        let help = "Calls that ended in an error.";
        families.add(Counter, "commands_failed_calls_total", help, &labels, failed);
        let latency = node.latency(registered.id);
        if latency.count() > 0 {
            let help = "How long calls took, in microseconds.";
            families.histogram_usec("commands_latencies_usec", help, &labels, &latency);
            let help = "Percentiles of how long calls took, in microseconds.";
            families.summary_usec("latency_percentiles_usec", help, &labels, &latency);
        }
    }
}

fn errors(families: &mut Families, node: &Node) {
    let mut all = std::collections::BTreeMap::<String, u64>::new();
    for stats in node.counted() {
        for (word, count) in &*stats.errors.lock() {
            *all.entry(word.clone()).or_default() += count;
        }
    }
    for (word, count) in all {
        let labels = [("err", word.as_str())];
        families.add(Counter, "errors_total", "Error replies by kind.", &labels, count as f64);
    }
}

fn slowlog(families: &mut Families, node: &Node) {
    let length = node.slowlog.len() as f64;
    families.add(Gauge, "slowlog_length", "Entries of the slow log.", &[], length);
    let newest = node.slowlog.newest(1);
    let (id, us) = newest.first().map_or((0, 0), |last| (last.id, last.duration_us));
    let help = "The id of the slow log's last entry.";
    families.add(Gauge, "slowlog_last_id", help, &[], id as f64);
    let help = "How long the last slow command took.";
    families.add(Gauge, "last_slow_execution_duration_seconds", help, &[], us as f64 / 1e6);
    for (event, spike, _) in node.spikes.latest() {
        let labels = [("event_name", event)];
        let help = "When the event last took longer than the threshold.";
        families.add(Gauge, "latency_spike_last", help, &labels, spike.at_s as f64);
        let help = "How long it took.";
        let seconds = spike.ms as f64 / 1000.0;
        families.add(Gauge, "latency_spike_duration_seconds", help, &labels, seconds);
    }
}

fn config(families: &mut Families, node: &Node) {
    let settings = node.settings.load();
    let value = |name: &'static str| {
        let exact = |pattern: &[u8], name: &[u8]| pattern == name;
        let found = settings.get(&[name.as_bytes()], &exact);
        found.first().and_then(|(_, value)| value.parse::<f64>().ok())
    };
    for (name, metric) in [
        ("maxclients", "config_maxclients"),
        ("maxmemory", "config_maxmemory"),
        ("repl-backlog-size", "config_repl_backlog_size"),
    ] {
        if let Some(value) = value(name) {
            families.add(Gauge, metric, "The setting.", &[], value);
        }
    }
    let limits = &settings.clients.output_buffer_limits;
    let classes = [("normal", limits.normal), ("slave", limits.replica), ("pubsub", limits.pubsub)];
    for (class, limit) in classes {
        for (kind, bytes) in [("hard", limit.hard_bytes), ("soft", limit.soft_bytes)] {
            let labels = [("class", class), ("limit", kind)];
            let metric = "config_client_output_buffer_limit_bytes";
            families.add(Gauge, metric, "The setting.", &labels, bytes as f64);
        }
        let labels = [("class", class), ("limit", "soft")];
        let metric = "config_client_output_buffer_limit_overcome_seconds";
        families.add(Gauge, metric, "The setting.", &labels, limit.soft_secs as f64);
    }
}

fn replicas(families: &mut Families, node: &Node) {
    let (now_ms, now_nanos) = (node.clock.unix_ms(), node.clock.nanos());
    let offset = node.log.offset();
    let replicas = &node.replication.replicas;
    for replica in replicas.views() {
        let port = replica.port.to_string();
        let labels = [
            ("slave_ip", replica.ip.as_str()),
            ("slave_port", port.as_str()),
            ("slave_state", replica.phase.name()),
        ];
        let help = "What the replica has acknowledged.";
        let acked = replica.acked as f64;
        families.add(Gauge, "connected_slave_offset_bytes", help, &labels, acked);
        let online = replica.phase == Phase::Online;
        let age_s = if online { (now_ms / 1000 - replica.acked_ms / 1000).max(0) } else { 0 };
        let help = "Whole seconds since the replica's last acknowledgement.";
        families.add(Gauge, "connected_slave_lag_seconds", help, &labels, age_s as f64);
        let labels = [("replica_ip", replica.ip.as_str()), ("replica_port", port.as_str())];
        let help = "From a write to the replica's acknowledgement.";
        let propagation = &replica.propagation;
        families.histogram_of("limpid_replica_propagation_seconds", help, &labels, propagation);
        if !online {
            continue;
        }
        let help = "Bytes of the stream that the replica has not acknowledged.";
        let behind = offset.saturating_sub(replica.acked) as f64;
        families.add_own(Gauge, "limpid_replica_lag_bytes", help, &labels, behind);
        let help = "Age of the oldest write that the replica has not acknowledged.";
        let lag = replicas.lag_seconds(replica.acked, now_nanos);
        families.add_own(Gauge, "limpid_replica_lag_seconds", help, &labels, lag);
    }
}

fn master(families: &mut Families, node: &Node, field: Field<'_, '_>) {
    let settings = node.settings.load();
    let Some(master) = &settings.replication.master else { return };
    let port = master.port.to_string();
    let labels = [("master_host", master.host.as_str()), ("master_port", port.as_str())];
    let link = node.replication.link();
    let up = f64::from(u8::from(link.state == LinkState::Connected));
    families.add(Gauge, "master_link_up", "Whether the link to the master is up.", &labels, up);
    for (name, metric, help) in [
        (
            "master_last_io_seconds_ago",
            "master_last_io_seconds_ago",
            "Since the master was heard of.",
        ),
        (
            "master_sync_in_progress",
            "master_sync_in_progress",
            "Whether a full resync is under way.",
        ),
        ("slave_repl_offset", "slave_repl_offset", "What of the stream is applied."),
    ] {
        if let Some(value) = field(name).and_then(|value| value.parse().ok()) {
            families.add(Gauge, metric, help, &labels, value);
        }
    }
    let read_only = if settings.replication.read_only { "1" } else { "0" };
    let info = [labels[0], labels[1], ("read_only", read_only)];
    families.add(Gauge, "slave_info", "Whom this replica follows.", &info, 1.0);
    if let Some(lag) = link.lag_seconds(node.clock.unix_ms()) {
        let help = "How old what this replica has applied is.";
        families.add_own(Gauge, "limpid_replication_lag_seconds", help, &labels, lag);
    }
    let refusing = f64::from(u8::from(link.refused.is_some()));
    let help = "Whether the master is refused, as it seems to have lost its data.";
    families.add_own(Gauge, "limpid_master_refused", help, &labels, refusing);
}

fn own(families: &mut Families, node: &Node) {
    let labels = [("version", env!("CARGO_PKG_VERSION"))];
    families.add_own(Gauge, "limpid_build_info", "The version.", &labels, 1.0);
    let stats = &node.stats;
    for (outcome, waits) in [("met", &stats.waits_met), ("timeout", &stats.waits_timed_out)] {
        let labels = [("outcome", outcome)];
        let help = "How long WAIT took.";
        families.histogram_of("limpid_wait_seconds", help, &labels, &waits.distribution());
    }
    let (mut queued, mut writing) = (Distribution::default(), Distribution::default());
    for worker in node.counted() {
        worker.queued.add_to(&mut queued);
        worker.writing.add_to(&mut writing);
    }
    let help = "How long small requests that were read waited to run.";
    families.histogram_of("limpid_queue_seconds", help, &[], &queued);
    let help = "How long it took to hand replies to the kernel.";
    families.histogram_of("limpid_write_seconds", help, &[], &writing);
    let refused = stats.masters_refused.get() as f64;
    let help = "Full resyncs refused, as the master seemed to have lost its data.";
    families.add_own(Counter, "limpid_masters_refused_total", help, &[], refused);
    let running = node.persistence.get().running;
    let retained = running.map_or(0, |running| running.retention.bytes()) as f64;
    let help = "Memory that the running snapshot retains.";
    families.add_own(Gauge, "limpid_snapshot_retained_bytes", help, &[], retained);
    let held = node.log.window().held_bytes as f64;
    let help = "Memory of the replication log, with what replicas have yet to be sent.";
    families.add_own(Gauge, "limpid_replication_log_bytes", help, &[], held);
    let (cut, query) = (&stats.output_limit_disconnections, &stats.query_limit_disconnections);
    for (limit, count) in [("output", cut), ("query", query)] {
        let labels = [("limit", limit)];
        let help = "Clients disconnected as a buffer grew past its limit.";
        let name = "limpid_limit_disconnections_total";
        families.add_own(Counter, name, help, &labels, count.get() as f64);
    }
}
