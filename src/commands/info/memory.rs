//! INFO memory: memory use by purpose.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::look::Look;
use super::reading::{Row, Value, bytes, field, gauge, only};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    bytes("used_memory", |look| look.memory().allocated.into())
        .is(gauge("memory_used_bytes", "Bytes allocated.")),
    bytes("used_memory_rss", |look| look.memory().resident.into())
        .is(gauge("memory_used_rss_bytes", "Bytes resident.")),
    bytes("used_memory_peak", |look| look.usage().peak.into())
        .is(gauge("memory_used_peak_bytes", "Most bytes allocated.")),
    field("used_memory_peak_perc", |look| format!("{:.2}%", ratio(look.memory().allocated, look.usage().peak) * 100.0).into()),
    field("used_memory_overhead", |look| look.usage().overhead.into())
        .is(gauge("memory_used_overhead_bytes", "Bytes that are no keys and values: of the start, of tables, clients, the replication log, a snapshot.")),
    field("used_memory_startup", |look| look.usage().startup.into())
        .is(gauge("memory_used_startup_bytes", "Bytes allocated when serving began.")),
    field("used_memory_dataset", |look| look.usage().dataset.into())
        .is(gauge("memory_used_dataset_bytes", "Bytes of keys and values.")),
    field("used_memory_dataset_perc", |look| format!("{:.2}%", ratio(look.usage().dataset, look.usage().beyond_start()) * 100.0).into()),
    field("allocator_allocated", |look| look.memory().allocator_allocated.into())
        .is(gauge("allocator_allocated_bytes", "Bytes allocated, as the allocator counts.")),
    field("allocator_active", |look| look.memory().active.into())
        .is(gauge("allocator_active_bytes", "Bytes in the allocator's active pages.")),
    field("allocator_resident", |look| look.memory().allocator_resident.into())
        .is(gauge("allocator_resident_bytes", "Bytes of the allocator that are resident.")),
    bytes("total_system_memory", |look| look.memory().total_system.into())
        .is(gauge("total_system_memory_bytes", "Memory of the machine.")),
    field("used_memory_vm_eval", |look| figure(&look.scripts().script_bytes))
        .is(gauge("memory_used_vm_eval_bytes", "Bytes of the interpreter of scripts.")),
    bytes("used_memory_lua", |look| figure(&look.scripts().script_bytes))
        .is(gauge("memory_used_lua_bytes", "Bytes of the interpreter of scripts, by its older name.")),
    field("used_memory_scripts_eval", |look| figure(&look.scripts().script_overhead_bytes))
        .is(gauge("memory_used_scripts_eval_bytes", "Bytes of the texts and names of scripts.")),
    field("number_of_cached_scripts", |look| figure(&look.scripts().scripts))
        .is(gauge("number_of_cached_scripts", "Scripts that the server knows.")),
    field("number_of_functions", |look| figure(&look.scripts().functions))
        .is(gauge("number_of_functions", "Functions of all libraries.")),
    field("number_of_libraries", |look| figure(&look.scripts().libraries))
        .is(gauge("number_of_libraries", "Libraries of functions.")),
    field("used_memory_vm_functions", |look| figure(&look.scripts().function_bytes))
        .is(gauge("memory_used_vm_functions_bytes", "Bytes of the interpreter of functions.")),
    bytes("used_memory_vm_total", |look| vm_total(look).into())
        .is(gauge("memory_used_vm_total_bytes", "Bytes of both interpreters.")),
    field("used_memory_functions", |look| figure(&look.scripts().function_overhead_bytes))
        .is(gauge("memory_used_functions_bytes", "Bytes of the texts and names of libraries.")),
    bytes("used_memory_scripts", |look| script_overhead(look).into())
        .is(gauge("memory_used_scripts_bytes", "Bytes of the texts and names of scripts and libraries.")),
    bytes("maxmemory", |look| look.settings.memory.maxmemory_bytes.into())
        .is(gauge("memory_max_bytes", "The setting maxmemory; 0: none.")),
    field("maxmemory_policy", |look| policy(look).into()),
    field("allocator_frag_ratio", |look| two_decimals(ratio(look.memory().active, look.memory().allocator_allocated)))
        .is(gauge("allocator_frag_ratio", "Active over allocated bytes.")),
    field("allocator_frag_bytes", |look| difference(look.memory().active, look.memory().allocator_allocated))
        .is(gauge("allocator_frag_bytes", "Active minus allocated bytes.")),
    field("allocator_rss_ratio", |look| two_decimals(ratio(look.memory().allocator_resident, look.memory().active)))
        .is(gauge("allocator_rss_ratio", "Resident over active bytes.")),
    field("allocator_rss_bytes", |look| difference(look.memory().allocator_resident, look.memory().active))
        .is(gauge("allocator_rss_bytes", "Resident minus active bytes.")),
    field("rss_overhead_ratio", |look| two_decimals(ratio(look.memory().resident, look.memory().allocator_resident))),
    field("rss_overhead_bytes", |look| difference(look.memory().resident, look.memory().allocator_resident)),
    field("mem_fragmentation_ratio", |look| two_decimals(ratio(look.memory().resident, look.memory().allocated)))
        .is(gauge("mem_fragmentation_ratio", "Resident over allocated bytes.")),
    field("mem_fragmentation_bytes", |look| difference(look.memory().resident, look.memory().allocated))
        .is(gauge("mem_fragmentation_bytes", "Resident minus allocated bytes.")),
    field("mem_snapshot_retained", retained)
        .is(gauge("limpid_snapshot_retained_bytes", "Memory that the running snapshot retains.")),
    field("mem_not_counted_for_evict", |look| look.node.uncounted().bytes(look.node).into())
        .is(gauge("mem_not_counted_for_eviction_bytes", "Memory that maxmemory does not count: what replicas have yet to be sent, what a snapshot retains, what waits to be freed.")),
    // The backlog and the replicas' pending output share their bytes.
    field("mem_replication_backlog", |look| look.usage().backlog.into())
        .is(gauge("mem_replication_backlog_bytes", "Memory of the backlog.")),
    field("mem_total_replication_buffers", held)
        .is(gauge("mem_total_replication_buffers_bytes", "Memory of what replicas have yet to be sent and of the backlog.")),
    field("mem_clients_normal", |look| look.usage().clients_normal.into())
        .is(gauge("mem_clients_normal", "Memory of clients, without replicas.")),
    field("mem_clients_slaves", |look| look.usage().clients_replicas.into())
        .is(gauge("mem_clients_slaves", "Memory of the connections of replicas, and of what they have yet to be sent beyond the backlog.")),
    field("mem_allocator", |_| "jemalloc".into()),
    field("lazyfree_pending_objects", |look| look.node.keyspace.graveyard().waiting_keys().into())
        .is(gauge("lazyfree_pending_objects", "Removed keys whose values wait to be freed.")),
    field("lazyfreed_objects", |look| look.node.keyspace.graveyard().freed_keys().into())
        .is(gauge("lazyfreed_objects", "Keys whose values were freed after their removal.")),
    only(gauge("limpid_replication_log_bytes", "Memory of the replication log, with what replicas have yet to be sent."), held),
    only(gauge("config_maxmemory", "The setting."), |look| look.settings.memory.maxmemory_bytes.into()),
];

fn figure(figure: &AtomicUsize) -> Value {
    figure.load(Ordering::Relaxed).into()
}

fn vm_total(look: &Look<'_>) -> usize {
    let figures = look.scripts();
    figures.script_bytes.load(Ordering::Relaxed) + figures.function_bytes.load(Ordering::Relaxed)
}

fn script_overhead(look: &Look<'_>) -> usize {
    let figures = look.scripts();
    let scripts = figures.script_overhead_bytes.load(Ordering::Relaxed);
    scripts + figures.function_overhead_bytes.load(Ordering::Relaxed)
}

/// `maxmemory-policy`.
pub(super) fn policy(look: &Look<'_>) -> String {
    look.settings.memory.policy.name().to_owned()
}

pub(crate) fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

fn two_decimals(value: f64) -> Value {
    Value::Decimal(value, 2)
}

fn difference(a: u64, b: u64) -> Value {
    (i128::from(a) - i128::from(b)).into()
}

fn retained(look: &Look<'_>) -> Value {
    look.usage().retained.into()
}

fn held(look: &Look<'_>) -> Value {
    look.usage().log.into()
}
