//! INFO stats: counters since the start or since CONFIG RESETSTAT.

use std::sync::atomic::Ordering;

use super::look::Look;
use super::reading::{
    Each, Part, Row, Value, counter, field, gauge, histogram, only, part_only, unshown,
};
use crate::node::pubsub::Kind;
use crate::node::spikes::Spike;
use crate::node::stats::{FullResyncReason, Timed, WorkerStats};
use crate::replication::FeedStats;
use crate::telemetry::counter::Distribution;
use crate::telemetry::traces;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    field("total_connections_received", |look| look.node.stats.connections_received.get().into())
        .is(counter("connections_received_total", "Connections accepted.")),
    field("total_commands_processed", commands)
        .is(counter("commands_processed_total", "Commands run.")),
    field("instantaneous_ops_per_sec", |look| (look.rates()[0] as u64).into()),
    field("total_net_input_bytes", |look| look.node.sum(|stats| &stats.read_bytes).into())
        .is(counter("net_input_bytes_total", "Bytes read.")),
    field("total_net_output_bytes", |look| (look.node.sum(|stats| &stats.written_bytes) + fed(look).bytes.get()).into())
        .is(counter("net_output_bytes_total", "Bytes written.")),
    field("total_net_repl_input_bytes", |look| look.node.sum(|stats| &stats.master_read_bytes).into())
        .is(counter("net_repl_input_bytes_total", "Bytes read from a master.")),
    field("total_net_repl_output_bytes", |look| fed(look).bytes.get().into())
        .is(counter("net_repl_output_bytes_total", "Bytes written to replicas.")),
    field("instantaneous_input_kbps", |look| Value::Decimal(look.rates()[1] / 1024.0, 2)),
    field("instantaneous_output_kbps", |look| Value::Decimal(look.rates()[2] / 1024.0, 2)),
    field("instantaneous_input_repl_kbps", |look| Value::Decimal(look.rates()[3] / 1024.0, 2)),
    field("instantaneous_output_repl_kbps", |look| Value::Decimal(look.rates()[4] / 1024.0, 2)),
    field("rejected_connections", |look| look.node.stats.connections_rejected.get().into())
        .is(counter("rejected_connections_total", "Connections turned away.")),
    field("expired_keys", |look| look.node.sum(|stats| &stats.expired_keys).into())
        .is(counter("expired_keys_total", "Keys removed as they had expired.")),
    // There are no forks: what stands for them is that a snapshot begins.
    field("total_forks", |look| look.saving().cuts.into())
        .is(counter("limpid_snapshots_total", "Snapshots begun.")),
    field("latest_fork_usec", |look| (look.saving().last_cut_nanos / 1000).into())
        .is(gauge("latest_fork_seconds", "How long the last snapshot held the data to begin.").per(1e6)),
    field("migrate_cached_sockets", |look| look.node.migrations.cached.load(Ordering::Relaxed).into())
        .is(gauge("migrate_cached_sockets_total", "Connections kept for further migrations.")),
    field("slave_expires_tracked_keys", |look| look.node.replication.own_expiring_len().into())
        .is(gauge("slave_expires_tracked_keys", "Keys with an expiry that clients wrote to this replica.")),
    field("expired_stale_perc", |look| Value::Decimal(look.node.stats.expired_stale_permyriad.load(Ordering::Relaxed) as f64 / 100.0, 2))
        .is(gauge("expired_stale_percentage", "Of the keys with an expiry that were looked at last, how many had expired.")),
    field("expired_time_cap_reached_count", |look| look.node.stats.expire_cycles_cut.get().into())
        .is(counter("expired_time_cap_reached_total", "Searches for expired keys that ended with their time.")),
    field("expire_cycle_cpu_milliseconds", |look| (look.node.stats.expire_cycle_us.get() / 1000).into())
        .is(counter("expire_cycle_cpu_time_ms_total", "Time spent looking for expired keys.")),
    field("evicted_clients", |look| look.node.stats.evicted_clients.get().into())
        .is(counter("evicted_clients_total", "Clients disconnected as all clients together used more than maxmemory-clients.")),
    field("evicted_keys", |look| look.node.stats.eviction.keys.get().into())
        .is(counter("evicted_keys_total", "Keys removed to keep memory within maxmemory.")),
    field("total_eviction_exceeded_time", |look| exceeded_ms(look)[1].into())
        .is(counter("eviction_exceeded_time_ms_total", "How long memory exceeded maxmemory, in all.")),
    field("current_eviction_exceeded_time", |look| exceeded_ms(look)[0].into())
        .is(gauge("current_eviction_exceeded_time_ms", "How long memory has exceeded maxmemory, this time.")),
    field("keyspace_hits", |look| look.node.sum(|stats| &stats.keyspace_hits).into())
        .is(counter("keyspace_hits_total", "Reads that found their key.")),
    field("keyspace_misses", |look| look.node.sum(|stats| &stats.keyspace_misses).into())
        .is(counter("keyspace_misses_total", "Reads that did not.")),
    field("pubsub_channels", |look| look.node.pubsub.count(Kind::Channel).into())
        .is(gauge("pubsub_channels", "Channels with subscribers.")),
    field("pubsub_patterns", |look| look.node.pubsub.patterns().into())
        .is(gauge("pubsub_patterns", "Patterns with subscribers.")),
    field("pubsubshard_channels", |look| look.node.pubsub.count(Kind::ShardChannel).into())
        .is(gauge("pubsubshard_channels", "Shard channels with subscribers.")),
    field("tracking_total_keys", |look| look.node.keyspace.tracked().keys().into())
        .is(gauge("tracking_total_keys", "Keys in clients' caches.")),
    field("tracking_total_items", |look| look.node.keyspace.tracked().items().into())
        .is(gauge("tracking_total_items", "Keys in clients' caches, each as often as there are clients that have it.")),
    field("tracking_total_prefixes", |look| look.node.tracking.prefixes().into())
        .is(gauge("tracking_total_prefixes", "Prefixes of keys of whose changes clients are told.")),
    field("total_error_replies", |look| look.node.sum(|stats| &stats.error_replies).into())
        .is(counter("total_error_replies", "Error replies.")),
    field("dump_payload_sanitizations", |look| look.node.sum(|stats| &stats.payloads_checked).into())
        .is(counter("dump_payload_sanitizations", "Payloads that RESTORE checked.")),
    field("total_reads_processed", |look| look.node.sum(|stats| &stats.reads).into())
        .is(counter("total_reads_processed", "Reads from sockets.")),
    field("total_writes_processed", |look| (look.node.sum(|stats| &stats.writes) + fed(look).sends.get()).into())
        .is(counter("total_writes_processed", "Writes to sockets.")),
    field("replica_sends", |look| fed(look).sends.get().into())
        .is(counter("limpid_replica_sends_total", "Sends to replicas.")),
    field("replica_sends_refused", |look| fed(look).refused.get().into())
        .is(counter("limpid_replica_sends_refused_total", "Sends to replicas for which their sockets had no room.")),
    field("sync_full", |look| look.node.stats.sync_full.get().into())
        .is(gauge("replica_resyncs_full", "Full resyncs that replicas asked for.")),
    field("sync_full_new", |look| full_resyncs(look, FullResyncReason::New))
        .is(counter("limpid_full_resyncs_total", "Full resyncs that replicas asked for, by what made them necessary.").label("reason", "new")),
    field("sync_full_unknown_history", |look| full_resyncs(look, FullResyncReason::UnknownHistory))
        .is(counter("limpid_full_resyncs_total", "Full resyncs that replicas asked for, by what made them necessary.").label("reason", "unknown_history")),
    field("sync_full_beyond_backlog", |look| full_resyncs(look, FullResyncReason::BeyondBacklog))
        .is(counter("limpid_full_resyncs_total", "Full resyncs that replicas asked for, by what made them necessary.").label("reason", "beyond_backlog")),
    field("sync_full_by_sync", |look| full_resyncs(look, FullResyncReason::Sync))
        .is(counter("limpid_full_resyncs_total", "Full resyncs that replicas asked for, by what made them necessary.").label("reason", "by_sync")),
    field("sync_partial_ok", |look| look.node.stats.sync_partial_ok.get().into())
        .is(gauge("replica_partial_resync_accepted", "Partial resyncs granted.")),
    field("sync_partial_err", |look| look.node.stats.sync_partial_err.get().into())
        .is(gauge("replica_partial_resync_denied", "Partial resyncs that had to be full ones.")),
    field("client_query_buffer_limit_disconnections", |look| look.node.stats.query_limit_disconnections.get().into())
        .is(counter("limpid_limit_disconnections_total", "Clients disconnected as a buffer grew past its limit.").label("limit", "query")),
    field("client_output_buffer_limit_disconnections", |look| look.node.stats.output_limit_disconnections.get().into())
        .is(counter("limpid_limit_disconnections_total", "Clients disconnected as a buffer grew past its limit.").label("limit", "output")),
    field("replicas_cut_by_output_limit", |look| look.node.stats.replicas_cut.get().into())
        .is(counter("limpid_replicas_cut_total", "Replicas disconnected as they were further behind than their output limit allows.")),
    only(histogram("limpid_wait_seconds", "How long WAIT took.").label("outcome", "met"), |look| Value::durations(look.node.stats.waits_met.distribution())),
    only(histogram("limpid_wait_seconds", "How long WAIT took.").label("outcome", "timeout"), |look| Value::durations(look.node.stats.waits_timed_out.distribution())),
    only(histogram("limpid_queue_seconds", "How long small requests that were read waited to run."), |look| timed(look, |stats| &stats.queued)),
    only(histogram("limpid_write_seconds", "From the end of a batch of commands until the kernel had its replies."), |look| timed(look, |stats| &stats.writing)),
    only(counter("limpid_masters_refused_total", "Full resyncs refused, as the master seemed to have lost its data."), |look| look.node.stats.masters_refused.get().into()),
    only(counter("limpid_trace_spans_delivered_total", "Spans that the trace collector took."), |_| traces::delivered_and_lost().map(|(delivered, _)| delivered).into()),
    only(counter("limpid_trace_spans_lost_total", "Spans lost: the trace collector did not take them, or too many waited for it."), |_| traces::delivered_and_lost().map(|(_, lost)| lost).into()),
    only(gauge("slowlog_length", "Entries of the slow log."), |look| look.node.slowlog.len().into()),
    only(gauge("slowlog_last_id", "The id of the slow log's last entry."), |look| look.node.slowlog.newest(1).first().map_or(0, |last| last.id).into()),
    only(gauge("last_slow_execution_duration_seconds", "How long the last slow command took.").per(1e6),
        |look| look.node.slowlog.newest(1).first().map_or(0, |last| last.duration_us).into()),
    Row::Each(&SPIKES),
];

fn fed<'l>(look: &Look<'l>) -> &'l FeedStats {
    &look.node.replication.replicas.stats
}

fn commands(look: &Look<'_>) -> Value {
    let all = look.node.counted().flat_map(|stats| &stats.commands);
    all.map(|command| command.calls.get()).sum::<u64>().into()
}

fn exceeded_ms(look: &Look<'_>) -> [u64; 2] {
    look.node.stats.eviction.exceeded_ms(look.node.clock.nanos())
}

fn full_resyncs(look: &Look<'_>, reason: FullResyncReason) -> Value {
    look.node.stats.full_resyncs[reason as usize].get().into()
}

fn timed(look: &Look<'_>, of: fn(&WorkerStats) -> &Timed) -> Value {
    let mut all = Distribution::default();
    look.node.counted().for_each(|stats| of(stats).add_to(&mut all));
    Value::durations(all)
}

/// The last spike of each event over the latency threshold.
static SPIKES: Each<(&'static str, Spike, i64)> = Each {
    items: |look| look.node.spikes.latest(),
    field: unshown,
    labels: |(event, ..)| vec![("event_name", (*event).to_owned())],
    parts: SPIKE,
};

#[rustfmt::skip]
const SPIKE: &[Part<(&str, Spike, i64)>] = &[
    part_only(gauge("latency_spike_last", "When the event last took longer than the threshold."), |_, (_, spike, _)| spike.at_s.into()),
    part_only(gauge("latency_spike_duration_seconds", "How long it took.").per(1e3), |_, (_, spike, _)| spike.ms.into()),
];
