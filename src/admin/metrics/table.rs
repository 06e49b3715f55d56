//! Fields of INFO that are metrics as they are: one row each. Names, types and units are those of
//! redis_exporter; a field that INFO does not have now gives no metric.

use super::family::{Families, Kind, Kind::Counter, Kind::Gauge};

/// How a field's text becomes a number.
#[derive(Clone, Copy, Debug)]
enum Reads {
    Number,
    /// `ok` and `up` are 1, others 0.
    Status,
}

use Reads::{Number, Status};

/// A row: field, metric without the prefix, type, how it reads, help.
type Row = (&'static str, &'static str, Kind, Reads, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("uptime_in_seconds", "uptime_in_seconds", Gauge, Number, "Seconds since the start."),
    ("process_id", "process_id", Gauge, Number, "The process's id."),
    ("connected_clients", "connected_clients", Gauge, Number, "Client connections, without replicas."),
    ("blocked_clients", "blocked_clients", Gauge, Number, "Clients that wait in a command or a pause."),
    ("maxclients", "max_clients", Gauge, Number, "Most client connections."),
    ("client_recent_max_input_buffer", "client_recent_max_input_buffer_bytes", Gauge, Number, "The largest input buffer of a client."),
    ("client_recent_max_output_buffer", "client_recent_max_output_buffer_bytes", Gauge, Number, "The largest output buffer of a client."),
    ("used_memory", "memory_used_bytes", Gauge, Number, "Bytes allocated."),
    ("used_memory_rss", "memory_used_rss_bytes", Gauge, Number, "Bytes resident."),
    ("used_memory_peak", "memory_used_peak_bytes", Gauge, Number, "Most bytes allocated."),
    ("used_memory_startup", "memory_used_startup_bytes", Gauge, Number, "Bytes allocated when serving began."),
    ("maxmemory", "memory_max_bytes", Gauge, Number, "The setting maxmemory; 0: none."),
    ("total_system_memory", "total_system_memory_bytes", Gauge, Number, "Memory of the machine."),
    ("allocator_allocated", "allocator_allocated_bytes", Gauge, Number, "Bytes allocated, as the allocator counts."),
    ("allocator_active", "allocator_active_bytes", Gauge, Number, "Bytes in the allocator's active pages."),
    ("allocator_resident", "allocator_resident_bytes", Gauge, Number, "Bytes of the allocator that are resident."),
    ("allocator_frag_ratio", "allocator_frag_ratio", Gauge, Number, "Active over allocated bytes."),
    ("allocator_frag_bytes", "allocator_frag_bytes", Gauge, Number, "Active minus allocated bytes."),
    ("allocator_rss_ratio", "allocator_rss_ratio", Gauge, Number, "Resident over active bytes."),
    ("allocator_rss_bytes", "allocator_rss_bytes", Gauge, Number, "Resident minus active bytes."),
    ("mem_fragmentation_ratio", "mem_fragmentation_ratio", Gauge, Number, "Resident over allocated bytes."),
    ("mem_fragmentation_bytes", "mem_fragmentation_bytes", Gauge, Number, "Resident minus allocated bytes."),
    ("mem_total_replication_buffers", "mem_total_replication_buffers_bytes", Gauge, Number, "Memory of what replicas have yet to be sent and of the backlog."),
    ("mem_clients_normal", "mem_clients_normal", Gauge, Number, "Memory of clients, without replicas."),
    ("mem_clients_slaves", "mem_clients_slaves", Gauge, Number, "Memory of the connections of replicas."),
    ("mem_replication_backlog", "mem_replication_backlog_bytes", Gauge, Number, "Memory of the replication log."),
    ("loading", "loading_dump_file", Gauge, Number, "Whether the data set is being loaded."),
    ("async_loading", "async_loading", Gauge, Number, "Whether a full resync is being taken while old data are served."),
    ("rdb_changes_since_last_save", "rdb_changes_since_last_save", Gauge, Number, "Changes since the last save."),
    ("rdb_bgsave_in_progress", "rdb_bgsave_in_progress", Gauge, Number, "Whether a snapshot is being written."),
    ("rdb_last_save_time", "rdb_last_save_timestamp_seconds", Gauge, Number, "When the last good save was."),
    ("rdb_last_bgsave_status", "rdb_last_bgsave_status", Gauge, Status, "Whether the last background save was good."),
    ("rdb_last_bgsave_time_sec", "rdb_last_bgsave_duration_sec", Gauge, Number, "How long the last background save took; -1: there was none."),
    ("rdb_current_bgsave_time_sec", "rdb_current_bgsave_duration_sec", Gauge, Number, "How long the running one has taken; -1: none runs."),
    ("rdb_saves", "rdb_saves_total", Counter, Number, "Good background saves."),
    ("rdb_last_cow_size", "rdb_last_cow_size_bytes", Gauge, Number, "Most memory that the last snapshot retained."),
    ("rdb_last_load_keys_expired", "rdb_last_load_expired_keys", Gauge, Number, "Keys left out at the last load, as they had expired."),
    ("rdb_last_load_keys_loaded", "rdb_last_load_loaded_keys", Gauge, Number, "Keys of the last load."),
    ("aof_enabled", "aof_enabled", Gauge, Number, "Whether there is an append-only file."),
    ("total_connections_received", "connections_received_total", Counter, Number, "Connections accepted."),
    ("total_commands_processed", "commands_processed_total", Counter, Number, "Commands run."),
    ("total_net_input_bytes", "net_input_bytes_total", Counter, Number, "Bytes read."),
    ("total_net_output_bytes", "net_output_bytes_total", Counter, Number, "Bytes written."),
    ("total_net_repl_input_bytes", "net_repl_input_bytes_total", Counter, Number, "Bytes read from a master."),
    ("total_net_repl_output_bytes", "net_repl_output_bytes_total", Counter, Number, "Bytes written to replicas."),
    ("rejected_connections", "rejected_connections_total", Counter, Number, "Connections turned away."),
    ("expired_keys", "expired_keys_total", Counter, Number, "Keys removed as they had expired."),
    ("slave_expires_tracked_keys", "slave_expires_tracked_keys", Gauge, Number, "Keys with an expiry that clients wrote to this replica."),
    ("expired_stale_perc", "expired_stale_percentage", Gauge, Number, "Of the keys with an expiry that were looked at last, how many had expired."),
    ("expired_time_cap_reached_count", "expired_time_cap_reached_total", Counter, Number, "Searches for expired keys that ended with their time."),
    ("expire_cycle_cpu_milliseconds", "expire_cycle_cpu_time_ms_total", Counter, Number, "Time spent looking for expired keys."),
    ("keyspace_hits", "keyspace_hits_total", Counter, Number, "Reads that found their key."),
    ("keyspace_misses", "keyspace_misses_total", Counter, Number, "Reads that did not."),
    ("pubsub_channels", "pubsub_channels", Gauge, Number, "Channels with subscribers."),
    ("pubsub_patterns", "pubsub_patterns", Gauge, Number, "Patterns with subscribers."),
    ("pubsubshard_channels", "pubsubshard_channels", Gauge, Number, "Shard channels with subscribers."),
    ("sync_full", "replica_resyncs_full", Gauge, Number, "Full resyncs that replicas asked for."),
    ("sync_partial_ok", "replica_partial_resync_accepted", Gauge, Number, "Partial resyncs granted."),
    ("sync_partial_err", "replica_partial_resync_denied", Gauge, Number, "Partial resyncs that had to be full ones."),
    ("total_error_replies", "total_error_replies", Counter, Number, "Error replies."),
    ("total_reads_processed", "total_reads_processed", Counter, Number, "Reads from sockets."),
    ("total_writes_processed", "total_writes_processed", Counter, Number, "Writes to sockets."),
    ("connected_slaves", "connected_slaves", Gauge, Number, "Attached replicas."),
    ("master_repl_offset", "master_repl_offset", Gauge, Number, "Bytes of the replication stream so far."),
    ("second_repl_offset", "second_repl_offset", Gauge, Number, "Up to where the earlier history is shared; -1: there is none."),
    ("repl_backlog_active", "repl_backlog_is_active", Gauge, Number, "Whether there is a backlog."),
    ("repl_backlog_size", "replication_backlog_bytes", Gauge, Number, "The setting repl-backlog-size."),
    ("repl_backlog_first_byte_offset", "repl_backlog_first_byte_offset", Gauge, Number, "The first offset in the backlog."),
    ("repl_backlog_histlen", "repl_backlog_history_bytes", Gauge, Number, "Bytes in the backlog."),
    ("slave_priority", "slave_priority", Gauge, Number, "The setting replica-priority."),
    ("used_cpu_sys", "cpu_sys_seconds_total", Counter, Number, "Processor time in the kernel."),
    ("used_cpu_user", "cpu_user_seconds_total", Counter, Number, "Processor time outside of it."),
    ("cluster_enabled", "cluster_enabled", Gauge, Number, "Whether cluster mode is on."),
];

/// Adds the rows whose fields there are.
pub(super) fn add<'f>(families: &mut Families, field: &dyn Fn(&str) -> Option<&'f str>) {
    for &(name, metric, kind, reads, help) in ROWS {
        let Some(text) = field(name) else { continue };
        let value = match reads {
            Number => text.parse().ok(),
            Status => Some(f64::from(u8::from(matches!(text, "ok" | "up")))),
        };
        if let Some(value) = value {
            families.add(kind, metric, help, &[], value);
        }
    }
}
