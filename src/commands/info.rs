//! INFO: what the server tells of itself, in sections of `field:value` lines.
//!
//! Every field is measured or counted; one that limpid cannot have yet is left out.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::command::{Group::Server, NO_KEYS, at_least, command};
use super::registry::Registry;
use super::{Args, Category, Command, Context, Flag::*, Handled};
use crate::node::Node;
use crate::node::client::{Client, Handle};
use crate::node::pubsub::Kind;
use crate::node::replication::LinkState;
use crate::replication::Phase;

pub(super) const COMMANDS: &[Command] =
    &[command("INFO", info, at_least(1), &[Loading, Stale], NO_KEYS, Server)
        .categories(&[Category::Dangerous])
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .docs(
            "1.0.0",
            "O(1)",
            "[section [section ...]]",
            "Tells the server's state and statistics, all or by section.",
        )];

/// Writes a section's fields.
type Fields = fn(&mut Lines, &Node, &Registry);

/// A section of INFO.
struct Section {
    title: &'static str,
    /// Part of a plain INFO.
    default: bool,
    fields: Fields,
}

/// All sections in their order. INFO's arguments are their titles in lower case.
const SECTIONS: &[Section] = &[
    Section { title: "Server", default: true, fields: server },
    Section { title: "Clients", default: true, fields: clients },
    Section { title: "Memory", default: true, fields: memory },
    Section { title: "Persistence", default: true, fields: persistence },
    Section { title: "Stats", default: true, fields: stats },
    Section { title: "Replication", default: true, fields: replication },
    Section { title: "CPU", default: true, fields: cpu },
    Section { title: "Modules", default: true, fields: modules },
    Section { title: "Commandstats", default: false, fields: commandstats },
    Section { title: "Errorstats", default: true, fields: errorstats },
    Section { title: "Latencystats", default: false, fields: latencystats },
    Section { title: "Cluster", default: true, fields: cluster },
    Section { title: "Keyspace", default: true, fields: keyspace },
];

/// Lines of a section: names and values.
struct Lines(Vec<(String, String)>);

impl Lines {
    fn field(&mut self, name: &str, value: impl Display) {
        self.0.push((name.to_owned(), value.to_string()));
    }

    /// A number of bytes, also in a form for people.
    fn bytes(&mut self, name: &str, bytes: u64) {
        self.field(name, bytes);
        self.field(&format!("{name}_human"), human(bytes));
    }
}

/// As Redis writes sizes for people.
fn human(bytes: u64) -> String {
    let units = [("B", 1_u64), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];
    let (unit, size) = units.into_iter().rev().find(|(_, size)| bytes >= *size).unwrap_or(units[0]);
    if size == 1 { format!("{bytes}B") } else { format!("{:.2}{unit}", bytes as f64 / size as f64) }
}

fn info(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let wanted: Vec<Vec<u8>> = args.from(1).map(<[u8]>::to_ascii_lowercase).collect();
    let text = text(&sections(ctx.node, ctx.registry, &wanted));
    ctx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// A section's title with its fields, names and values.
pub(crate) type Told = (&'static str, Vec<(String, String)>);

/// The sections that are wanted, by title in lower case, or by `default`, `all`, `everything`;
/// nothing wanted means the default ones. Takes no shard lock.
pub(crate) fn sections(node: &Node, registry: &Registry, wanted: &[Vec<u8>]) -> Vec<Told> {
    let asked = |word: &str| wanted.iter().any(|section| section == word.as_bytes());
    let all = asked("all") || asked("everything");
    let default = wanted.is_empty() || asked("default");
    let told = |section: &Section| {
        let mut lines = Lines(Vec::new());
        (section.fields)(&mut lines, node, registry);
        (section.title, lines.0)
    };
    let is_wanted = |section: &&Section| {
        all || default && section.default || asked(&section.title.to_ascii_lowercase())
    };
    SECTIONS.iter().filter(is_wanted).map(told).collect()
}

/// The text of INFO.
pub(crate) fn text(sections: &[Told]) -> String {
    let mut text = String::new();
    for (title, fields) in sections {
        let gap = if text.is_empty() { "" } else { "\r\n" };
        write!(text, "{gap}# {title}\r\n").expect("writing to memory");
        for (name, value) in fields {
            write!(text, "{name}:{value}\r\n").expect("writing to memory");
        }
    }
    text
}

fn server(lines: &mut Lines, node: &Node, _: &Registry) {
    let identity = &node.identity;
    let now_us = node.clock.unix_us();
    let uptime_s = (now_us / 1000 - identity.started_ms) / 1000;
    lines.field("redis_version", super::REDIS_VERSION);
    lines.field("limpid_version", env!("CARGO_PKG_VERSION"));
    lines.field("redis_mode", "standalone");
    lines.field("os", &identity.operating_system);
    lines.field("arch_bits", usize::BITS);
    lines.field("multiplexing_api", "epoll");
    lines.field("process_id", identity.process_id);
    lines.field("run_id", &identity.run_id);
    lines.field("tcp_port", identity.port);
    lines.field("server_time_usec", now_us);
    lines.field("uptime_in_seconds", uptime_s);
    lines.field("uptime_in_days", uptime_s / 86400);
    lines.field("lru_clock", (now_us / 1_000_000) & 0xff_ffff);
    if let Some(left_ms) = node.shutdown.left_ms(now_us / 1000) {
        lines.field("shutdown_in_milliseconds", left_ms);
    }
    lines.field("executable", &identity.executable);
    let file = identity.config_file.as_ref();
    lines.field("config_file", file.map(|path| path.display().to_string()).unwrap_or_default());
    lines.field("worker_threads", node.applier);
}

fn clients(lines: &mut Lines, node: &Node, _: &Registry) {
    let all = node.clients.all();
    let max = |of: fn(&Handle) -> usize| all.iter().map(|handle| of(handle)).max().unwrap_or(0);
    let replicas = all.iter().filter(|handle| handle.shown.lock().replica).count();
    lines.field("connected_clients", all.len() - replicas);
    lines.field("maxclients", node.settings.load().clients.maxclients);
    let input = max(|handle| handle.input_bytes.load(Ordering::Relaxed));
    let output = max(|handle| handle.output_bytes.load(Ordering::Relaxed));
    lines.field("client_recent_max_input_buffer", input);
    lines.field("client_recent_max_output_buffer", output);
    let waiting = node.admission.waiting() + node.replication.replicas.waiting();
    lines.field("blocked_clients", waiting);
}

fn memory(lines: &mut Lines, node: &Node, _: &Registry) {
    let memory = node.host().memory();
    let peak = node.stats.peak_memory_bytes.fetch_max(memory.allocated, Ordering::Relaxed);
    let peak = peak.max(memory.allocated);
    let ratio = |a: u64, b: u64| if b == 0 { 0.0 } else { a as f64 / b as f64 };
    let retained = node.persistence.get().running.map_or(0, |running| running.retention.bytes());
    lines.bytes("used_memory", memory.allocated);
    lines.bytes("used_memory_rss", memory.resident);
    lines.bytes("used_memory_peak", peak);
    lines.field("used_memory_peak_perc", format!("{:.2}%", ratio(memory.allocated, peak) * 100.0));
    lines.field("used_memory_startup", node.stats.startup_memory_bytes.load(Ordering::Relaxed));
    let settings = node.settings.load();
    let same = |pattern: &[u8], name: &[u8]| pattern == name;
    for (name, field) in [("maxmemory", "maxmemory"), ("maxmemory-policy", "maxmemory_policy")] {
        for (_, value) in settings.get(&[name.as_bytes()], &same) {
            lines.field(field, value);
        }
    }
    lines.field("allocator_allocated", memory.allocated);
    lines.field("allocator_active", memory.active);
    lines.field("allocator_resident", memory.allocator_resident);
    lines.bytes("total_system_memory", memory.total_system);
    lines.bytes("maxmemory", 0);
    lines.field("maxmemory_policy", "noeviction");
    let difference = |a: u64, b: u64| a.cast_signed() - b.cast_signed();
    lines.field("allocator_frag_ratio", format!("{:.2}", ratio(memory.active, memory.allocated)));
    lines.field("allocator_frag_bytes", difference(memory.active, memory.allocated));
    let resident = memory.allocator_resident;
    lines.field("allocator_rss_ratio", format!("{:.2}", ratio(resident, memory.active)));
    lines.field("allocator_rss_bytes", difference(resident, memory.active));
    lines.field("rss_overhead_ratio", format!("{:.2}", ratio(memory.resident, resident)));
    lines.field("rss_overhead_bytes", difference(memory.resident, resident));
    let fragmentation = ratio(memory.resident, memory.allocated);
    lines.field("mem_fragmentation_ratio", format!("{fragmentation:.2}"));
    lines.field("mem_fragmentation_bytes", difference(memory.resident, memory.allocated));
    lines.field("mem_snapshot_retained", retained);
    let held = node.log.window().held_bytes;
    lines.field("mem_replication_backlog", held);
    // The backlog and what replicas have yet to be sent are the same bytes.
    lines.field("mem_total_replication_buffers", held);
    let (replicas, others): (Vec<_>, Vec<_>) =
        node.clients.all().into_iter().partition(|handle| handle.shown.lock().replica);
    let bytes = |handles: &[Arc<Handle>]| -> usize {
        let own = size_of::<Handle>() + size_of::<Client>();
        let buffers = |handle: &Arc<Handle>| {
            let load = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
            own + load(&handle.input_bytes) + load(&handle.output_bytes)
        };
        handles.iter().map(buffers).sum()
    };
    lines.field("mem_clients_normal", bytes(&others));
    lines.field("mem_clients_slaves", bytes(&replicas));
    lines.field("mem_allocator", "jemalloc");
}

fn persistence(lines: &mut Lines, node: &Node, _: &Registry) {
    let saving = node.persistence.get();
    let now_ms = node.clock.unix_ms();
    lines.field("loading", u8::from(saving.loading.is_some()));
    // Beside the old data, which are served meanwhile.
    lines.field("async_loading", u8::from(node.replication.link().sync.is_some()));
    let running = saving.running.as_ref();
    lines.field("current_cow_peak", saving.retained_peak_bytes);
    lines.field("current_cow_size", running.map_or(0, |running| running.retention.bytes()));
    lines.field("current_save_keys_processed", running.map_or(0, |running| running.keys_saved));
    lines.field("current_save_keys_total", running.map_or(0, |running| running.keys_total));
    lines.field("rdb_changes_since_last_save", node.dirty().saturating_sub(saving.saved_dirty));
    lines.field("rdb_bgsave_in_progress", u8::from(running.is_some()));
    lines.field("rdb_last_save_time", saving.saved_ms / 1000);
    lines.field("rdb_last_bgsave_status", if saving.last_ok { "ok" } else { "err" });
    lines.field("rdb_last_bgsave_time_sec", saving.last_duration_ms.map_or(-1, |ms| ms / 1000));
    let current = running.map_or(-1, |running| (now_ms - running.started_ms) / 1000);
    lines.field("rdb_current_bgsave_time_sec", current);
    lines.field("rdb_saves", saving.saves);
    lines.field("rdb_last_cow_size", saving.retained_peak_bytes);
    lines.field("rdb_last_load_keys_expired", saving.keys_expired_at_load);
    lines.field("rdb_last_load_keys_loaded", saving.keys_loaded);
    lines.field("aof_enabled", 0);
    if let Some(loading) = saving.loading {
        let percent = loading.loaded_bytes as f64 * 100.0 / loading.total_bytes.max(1) as f64;
        let seconds = (now_ms - loading.started_ms).max(1) as f64 / 1000.0;
        let rate = loading.loaded_bytes as f64 / seconds;
        let left = loading.total_bytes.saturating_sub(loading.loaded_bytes) as f64;
        lines.field("loading_start_time", loading.started_ms / 1000);
        lines.field("loading_total_bytes", loading.total_bytes);
        lines.field("loading_loaded_bytes", loading.loaded_bytes);
        lines.field("loading_loaded_perc", format!("{percent:.2}"));
        lines.field("loading_eta_seconds", (left / rate.max(1.0)) as u64);
    }
}

fn stats(lines: &mut Lines, node: &Node, _: &Registry) {
    let commands: u64 =
        node.counted().flat_map(|stats| &stats.commands).map(|command| command.calls.get()).sum();
    let [ops, input, output] = node.stats.rates.lock().per_second();
    let server = &node.stats;
    lines.field("total_connections_received", server.connections_received.get());
    lines.field("total_commands_processed", commands);
    lines.field("instantaneous_ops_per_sec", ops as u64);
    lines.field("total_net_input_bytes", node.sum(|stats| &stats.read_bytes));
    lines.field("total_net_output_bytes", node.sum(|stats| &stats.written_bytes));
    lines.field("total_net_repl_input_bytes", node.sum(|stats| &stats.master_read_bytes));
    lines.field("total_net_repl_output_bytes", node.sum(|stats| &stats.replicas_written_bytes));
    lines.field("instantaneous_input_kbps", format!("{:.2}", input / 1024.0));
    lines.field("instantaneous_output_kbps", format!("{:.2}", output / 1024.0));
    lines.field("rejected_connections", server.connections_rejected.get());
    lines.field("expired_keys", node.sum(|stats| &stats.expired_keys));
    lines.field("slave_expires_tracked_keys", node.replication.own_expiring_len());
    let stale = server.expired_stale_permyriad.load(Ordering::Relaxed) as f64 / 100.0;
    lines.field("expired_stale_perc", format!("{stale:.2}"));
    lines.field("expired_time_cap_reached_count", server.expire_cycles_cut.get());
    lines.field("expire_cycle_cpu_milliseconds", server.expire_cycle_us.get() / 1000);
    lines.field("keyspace_hits", node.sum(|stats| &stats.keyspace_hits));
    lines.field("keyspace_misses", node.sum(|stats| &stats.keyspace_misses));
    lines.field("pubsub_channels", node.pubsub.count(Kind::Channel));
    lines.field("pubsub_patterns", node.pubsub.count(Kind::Pattern));
    lines.field("pubsubshard_channels", node.pubsub.count(Kind::ShardChannel));
    lines.field("total_error_replies", node.sum(|stats| &stats.error_replies));
    lines.field("total_reads_processed", node.sum(|stats| &stats.reads));
    lines.field("total_writes_processed", node.sum(|stats| &stats.writes));
    lines.field("sync_full", server.sync_full.get());
    lines.field("sync_partial_ok", server.sync_partial_ok.get());
    lines.field("sync_partial_err", server.sync_partial_err.get());
    let cut = server.query_limit_disconnections.get();
    lines.field("client_query_buffer_limit_disconnections", cut);
    let cut = server.output_limit_disconnections.get();
    lines.field("client_output_buffer_limit_disconnections", cut);
}

/// As in Redis, a replica that has no history yet shows offset 1.
const NO_OFFSET: u64 = 1;

fn replication(lines: &mut Lines, node: &Node, _: &Registry) {
    let settings = node.settings.load();
    let now_ms = node.clock.unix_ms();
    if let Some(master) = &settings.replication.master {
        lines.field("role", "slave");
        lines.field("master_host", &master.host);
        lines.field("master_port", master.port);
        link(lines, node, now_ms);
        lines.field("slave_priority", settings.replication.priority);
        lines.field("slave_read_only", u8::from(settings.replication.read_only));
        lines.field("replica_announced", u8::from(settings.replication.announced));
    } else {
        lines.field("role", "master");
    }
    let views = node.replication.replicas.views();
    lines.field("connected_slaves", views.len());
    let (min, lag_max_s) = (
        settings.replication.min_replicas_to_write,
        settings.replication.min_replicas_max_lag_secs,
    );
    if min > 0 && lag_max_s > 0 {
        let good = node.replication.replicas.good(lag_max_s.into(), now_ms);
        lines.field("min_slaves_good_slaves", good);
    }
    for (index, replica) in views.iter().enumerate() {
        let lag = match replica.phase {
            Phase::Online => (now_ms / 1000 - replica.acked_ms / 1000).max(0),
            _ => 0,
        };
        lines.field(
            &format!("slave{index}"),
            format_args!(
                "ip={},port={},state={},offset={},lag={lag}",
                replica.ip,
                replica.port,
                replica.phase.name(),
                replica.acked
            ),
        );
    }
    lines.field("master_failover_state", node.replication.failover().name());
    let (ids, window) = (node.log.ids(), node.log.window());
    let (earlier, shared) = ids.earlier.map_or_else(
        || ("0".repeat(40), -1),
        |(id, shared)| (id, i64::try_from(shared + 1).unwrap_or(i64::MAX)),
    );
    lines.field("master_replid", ids.id);
    lines.field("master_replid2", earlier);
    lines.field("master_repl_offset", node.log.offset());
    lines.field("second_repl_offset", shared);
    let active = node.log.is_recording();
    lines.field("repl_backlog_active", u8::from(active));
    lines.field("repl_backlog_size", settings.replication.backlog_size_bytes);
    let first = if active { window.first + 1 } else { 0 };
    lines.field("repl_backlog_first_byte_offset", first);
    lines.field("repl_backlog_histlen", window.end - window.first);
}

fn link(lines: &mut Lines, node: &Node, now_ms: i64) {
    let link = node.replication.link();
    let connected = link.state == LinkState::Connected;
    lines.field("master_link_status", if connected { "up" } else { "down" });
    let last_io = if connected { (now_ms - link.last_io_ms).max(0) / 1000 } else { -1 };
    lines.field("master_last_io_seconds_ago", last_io);
    lines.field("master_sync_in_progress", u8::from(link.sync.is_some()));
    let applied = if node.log.is_recording() { node.log.offset() } else { NO_OFFSET };
    lines.field("slave_read_repl_offset", link.read_offset.max(applied));
    lines.field("slave_repl_offset", applied);
    if let Some(sync) = link.sync {
        let total = sync.total_bytes.map_or(-1, i128::from);
        let percent = match total {
            0 => 0.0,
            total => sync.read_bytes as f64 / total as f64 * 100.0,
        };
        lines.field("master_sync_total_bytes", total);
        lines.field("master_sync_read_bytes", sync.read_bytes);
        lines.field("master_sync_left_bytes", total - i128::from(sync.read_bytes));
        lines.field("master_sync_perc", format!("{percent:.2}"));
        let idle_s = (now_ms - link.last_io_ms).max(0) / 1000;
        lines.field("master_sync_last_io_seconds_ago", idle_s);
    }
    if !connected {
        let down = match link.down_since_ms {
            0 => -1,
            since => (now_ms - since).max(0) / 1000,
        };
        lines.field("master_link_down_since_seconds", down);
    }
    if let Some(refused) = link.refused {
        lines.field("master_refused_replid", refused.id);
    }
}

fn cpu(lines: &mut Lines, node: &Node, _: &Registry) {
    let [user, system] = node.host().processor_seconds();
    lines.field("used_cpu_sys", format!("{system:.6}"));
    lines.field("used_cpu_user", format!("{user:.6}"));
}

/// There are none, and tools find that said.
fn modules(_: &mut Lines, _: &Node, _: &Registry) {}

fn commandstats(lines: &mut Lines, node: &Node, registry: &Registry) {
    for registered in registry.all() {
        let sum = |of: fn(&crate::node::stats::CommandStats) -> u64| -> u64 {
            node.counted().map(|stats| of(&stats.commands[registered.id])).sum()
        };
        let (calls, nanos) = (sum(|stats| stats.calls.get()), sum(|stats| stats.nanos.get()));
        let (rejected, failed) =
            (sum(|stats| stats.rejected.get()), sum(|stats| stats.failed.get()));
        if calls + rejected + failed == 0 {
            continue;
        }
        let per_call = nanos as f64 / 1000.0 / calls.max(1) as f64;
        lines.field(
            &format!("cmdstat_{}", registered.name),
            format_args!(
                "calls={calls},usec={},usec_per_call={per_call:.2},rejected_calls={rejected},\
                 failed_calls={failed}",
                nanos / 1000
            ),
        );
    }
}

/// Percentiles of each command's latency, right to a factor of two: they come from the buckets.
fn latencystats(lines: &mut Lines, node: &Node, registry: &Registry) {
    for registered in registry.all() {
        let latency = node.latency(registered.id);
        let quantile = |share| latency.quantile_us(share);
        if let (Some(p50), Some(p99), Some(p999)) = (quantile(0.5), quantile(0.99), quantile(0.999))
        {
            lines.field(
                &format!("latency_percentiles_usec_{}", registered.name),
                format_args!("p50={p50:.3},p99={p99:.3},p99.9={p999:.3}"),
            );
        }
    }
}

fn errorstats(lines: &mut Lines, node: &Node, _: &Registry) {
    let mut all = std::collections::BTreeMap::new();
    for stats in node.counted() {
        for (word, count) in &*stats.errors.lock() {
            *all.entry(word.clone()).or_insert(0) += count;
        }
    }
    for (word, count) in all {
        lines.field(&format!("errorstat_{word}"), format_args!("count={count}"));
    }
}

fn cluster(lines: &mut Lines, _: &Node, _: &Registry) {
    lines.field("cluster_enabled", 0);
}

fn keyspace(lines: &mut Lines, node: &Node, _: &Registry) {
    for database in 0..node.keyspace.databases() {
        let keys = node.keyspace.len(database);
        if keys > 0 {
            let expires = node.keyspace.expires(database);
            lines.field(
                &format!("db{database}"),
                format_args!(
                    "keys={keys},expires={expires},avg_ttl={}",
                    node.average_ttl_ms(database)
                ),
            );
        }
    }
}
