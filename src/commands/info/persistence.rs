//! INFO persistence: saves and loads.

use super::look::Look;
use super::reading::{Row, Value, counter, field, gauge};
use crate::aof::Mode;
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
    field("current_fork_perc", |look| Value::Decimal(saved_percent(look), 2)),
    field("current_save_keys_processed", |look| look.saving().running.as_ref().map_or(0, |running| running.keys_saved).into()),
    field("current_save_keys_total", |look| look.saving().running.as_ref().map_or(0, |running| running.keys_total).into()),
    field("rdb_changes_since_last_save", |look| look.node.dirty().saturating_sub(look.saving().saved_dirty).into())
        .is(gauge("rdb_changes_since_last_save", "Changes since the last save.")),
    field("rdb_bgsave_in_progress", |look| look.saving().running_save().is_some().into())
        .is(gauge("rdb_bgsave_in_progress", "Whether a snapshot is being written.")),
    field("rdb_last_save_time", |look| (look.saving().saved_ms / 1000).into())
        .is(gauge("rdb_last_save_timestamp_seconds", "When the last good save was.")),
    field("rdb_last_bgsave_status", |look| Value::status(!look.node.admission.has(Condition::SaveFailed), ["ok", "err"]))
        .is(gauge("rdb_last_bgsave_status", "Whether the last background save was good.")),
    field("rdb_last_bgsave_time_sec", |look| look.saving().last_duration_ms.map_or(-1, |ms| ms / 1000).into())
        .is(gauge("rdb_last_bgsave_duration_sec", "How long the last background save took; -1: there was none.")),
    field("rdb_current_bgsave_time_sec", |look| look.saving().running_save().map_or(-1, |running| (look.now_ms() - running.started_ms) / 1000).into())
        .is(gauge("rdb_current_bgsave_duration_sec", "How long the running one has taken; -1: none runs.")),
    field("rdb_saves", |look| look.saving().saves.into())
        .is(counter("rdb_saves_total", "Good background saves.")),
    field("rdb_last_cow_size", |look| look.saving().retained_peak_bytes.into())
        .is(gauge("rdb_last_cow_size_bytes", "Most memory that the last snapshot retained.")),
    field("rdb_last_load_keys_expired", |look| look.saving().keys_expired_at_load.into())
        .is(gauge("rdb_last_load_expired_keys", "Keys left out at the last load, as they had expired.")),
    field("rdb_last_load_keys_loaded", |look| look.saving().keys_loaded.into())
        .is(gauge("rdb_last_load_loaded_keys", "Keys of the last load.")),
    field("aof_enabled", |look| (look.file().is_some_and(|file| file.mode() != Mode::Off)).into())
        .is(gauge("aof_enabled", "Whether there is an append-only file.")),
    field("aof_rewrite_in_progress", |look| look.saving().running_rewrite().is_some().into())
        .is(gauge("aof_rewrite_in_progress", "Whether the append-only file is being rewritten.")),
    field("aof_rewrite_scheduled", |look| look.file().is_some_and(|file| file.rewrite_scheduled()).into())
        .is(gauge("aof_rewrite_scheduled", "Whether a rewrite begins when it can.")),
    field("aof_last_rewrite_time_sec", |look| look.saving().last_rewrite_ms.map_or(-1, |ms| ms / 1000).into())
        .is(gauge("aof_last_rewrite_duration_sec", "How long the last rewrite took; -1: there was none.")),
    field("aof_current_rewrite_time_sec", |look| look.saving().running_rewrite().map_or(-1, |running| (look.now_ms() - running.started_ms) / 1000).into())
        .is(gauge("aof_current_rewrite_duration_sec", "How long the running one has taken; -1: none runs.")),
    field("aof_last_bgrewrite_status", |look| Value::status(look.file().is_none_or(|file| file.readings().last_rewrite_ok), ["ok", "err"]))
        .is(gauge("aof_last_bgrewrite_status", "Whether the last rewrite was good.")),
    field("aof_rewrites", |look| look.file().map_or(0, |file| file.readings().rewrites).into())
        .is(counter("aof_rewrites_total", "Rewrites begun.")),
    field("aof_rewrites_consecutive_failures", |look| look.file().map_or(0, |file| file.readings().consecutive_failures).into())
        .is(gauge("aof_rewrites_consecutive_failures", "Rewrites that have failed since the last good one.")),
    field("aof_last_write_status", |look| Value::status(look.file().is_none_or(|file| file.readings().last_write_ok), ["ok", "err"]))
        .is(gauge("aof_last_write_status", "Whether the append-only file can be written.")),
    field("aof_last_cow_size", |look| look.saving().rewrite_retained_peak_bytes.into())
        .is(gauge("aof_last_cow_size_bytes", "Most memory that the last rewrite's snapshot retained.")),
    field("aof_current_size", |look| look.readings().map(|file| file.current_size).into())
        .is(gauge("aof_current_size_bytes", "Size of the append-only file.")),
    field("aof_base_size", |look| look.readings().map(|file| file.base_size).into())
        .is(gauge("aof_base_size_bytes", "Its size after the last rewrite.")),
    field("aof_pending_rewrite", |look| look.readings().map(|file| u64::from(file.pending_rewrite)).into())
        .is(gauge("aof_pending_rewrite", "Whether a rewrite begins after the running save.")),
    field("aof_buffer_length", |look| look.readings().map(|file| file.buffer_length as u64).into())
        .is(gauge("aof_buffer_length", "Bytes that wait to be written to the append-only file.")),
    field("aof_pending_bio_fsync", |look| look.readings().map(|file| u64::from(file.pending_sync)).into())
        .is(gauge("aof_pending_bio_fsync", "Whether the append-only file is being synced.")),
    field("aof_delayed_fsync", |look| look.readings().map(|file| file.delayed_syncs).into())
        .is(counter("aof_delayed_fsync", "Syncs for which writes waited.")),
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
