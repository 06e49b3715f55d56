//! INFO persistence: saves and loads.

use super::look::Look;
use super::reading::{Row, Value, counter, field, gauge};
use crate::node::admission::Condition;
use crate::node::persistence::Loading;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    field("loading", |look| look.loading().is_some().into())
        .is(gauge("loading_dump_file", "Whether the data set is being loaded.")),
    // The old data are served meanwhile.
    field("async_loading", |look| look.node.link().sync.is_some().into())
        .is(gauge("async_loading", "Whether a full resync is being taken while old data are served.")),
    field("current_cow_peak", |look| look.saving().retained_peak_bytes.into()),
    field("current_cow_size", |look| look.saving().running.as_ref().map_or(0, |running| running.retention.bytes()).into()),
    // Measured when it is shown.
    field("current_cow_size_age", |_| 0.into()),
    field("current_fork_perc", |look| Value::Decimal(saved_percent(look), 2)),
    field("current_save_keys_processed", |look| look.saving().running.as_ref().map_or(0, |running| running.keys_saved).into()),
    field("current_save_keys_total", |look| look.saving().running.as_ref().map_or(0, |running| running.keys_total).into()),
    field("rdb_changes_since_last_save", |look| look.node.dirty().saturating_sub(look.saving().saved_dirty).into())
        .is(gauge("rdb_changes_since_last_save", "Changes since the last save.")),
    field("rdb_bgsave_in_progress", |look| look.saving().running.is_some().into())
        .is(gauge("rdb_bgsave_in_progress", "Whether a snapshot is being written.")),
    field("rdb_last_save_time", |look| (look.saving().saved_ms / 1000).into())
        .is(gauge("rdb_last_save_timestamp_seconds", "When the last good save was.")),
    field("rdb_last_bgsave_status", |look| Value::status(!look.node.admission.has(Condition::SaveFailed), ["ok", "err"]))
        .is(gauge("rdb_last_bgsave_status", "Whether the last background save was good.")),
    field("rdb_last_bgsave_time_sec", |look| look.saving().last_duration_ms.map_or(-1, |ms| ms / 1000).into())
        .is(gauge("rdb_last_bgsave_duration_sec", "How long the last background save took; -1: there was none.")),
    field("rdb_current_bgsave_time_sec", |look| look.saving().running.as_ref().map_or(-1, |running| (look.now_ms() - running.started_ms) / 1000).into())
        .is(gauge("rdb_current_bgsave_duration_sec", "How long the running one has taken; -1: none runs.")),
    field("rdb_saves", |look| look.saving().saves.into())
        .is(counter("rdb_saves_total", "Good background saves.")),
    field("rdb_last_cow_size", |look| look.saving().retained_peak_bytes.into())
        .is(gauge("rdb_last_cow_size_bytes", "Most memory that the last snapshot retained.")),
    field("rdb_last_load_keys_expired", |look| look.saving().keys_expired_at_load.into())
        .is(gauge("rdb_last_load_expired_keys", "Keys left out at the last load, as they had expired.")),
    field("rdb_last_load_keys_loaded", |look| look.saving().keys_loaded.into())
        .is(gauge("rdb_last_load_loaded_keys", "Keys of the last load.")),
    // There are no modules.
    field("module_fork_in_progress", |_| 0.into())
        .is(gauge("module_fork_in_progress", "Whether a module has forked.")),
    field("module_fork_last_cow_size", |_| 0.into())
        .is(gauge("module_fork_last_cow_size", "Memory of a module's last fork.")),
    field("aof_enabled", |_| 0.into())
        .is(gauge("aof_enabled", "Whether there is an append-only file.")),
    field("loading_start_time", |look| look.loading().map(|loading| loading.started_ms / 1000).into()),
    field("loading_total_bytes", |look| look.loading().map(|loading| loading.total_bytes).into()),
    field("loading_loaded_bytes", |look| look.loading().map(|loading| loading.loaded_bytes).into()),
    field("loading_loaded_perc", |look| of_loading(look, |loading, _| Value::Decimal(loaded_percent(loading), 2))),
    field("loading_eta_seconds", |look| of_loading(look, |loading, now_ms| left_seconds(loading, now_ms).into())),
];

fn of_loading(look: &Look<'_>, read: fn(&Loading, i64) -> Value) -> Value {
    look.loading().map_or(Value::Absent, |loading| read(&loading, look.now_ms()))
}

/// How much of the data the running snapshot has saved.
fn saved_percent(look: &Look<'_>) -> f64 {
    let running = look.saving().running.as_ref();
    let share = running.map(|running| running.keys_saved as f64 / running.keys_total.max(1) as f64);
    share.unwrap_or(0.0) * 100.0
}

fn loaded_percent(loading: &Loading) -> f64 {
    loading.loaded_bytes as f64 * 100.0 / loading.total_bytes.max(1) as f64
}

/// Estimated seconds left, at the rate so far.
fn left_seconds(loading: &Loading, now_ms: i64) -> u64 {
    let seconds = (now_ms - loading.started_ms).max(1) as f64 / 1000.0;
    let rate = loading.loaded_bytes as f64 / seconds;
    let left = loading.total_bytes.saturating_sub(loading.loaded_bytes) as f64;
    (left / rate.max(1.0)) as u64
}
