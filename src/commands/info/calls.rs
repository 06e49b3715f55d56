//! INFO commandstats, latencystats and errorstats: calls per command, errors by their first word.

use std::collections::BTreeMap;

use super::look::Look;
use super::reading::{
    Each, Items, Part, Row, Series, Value, counter, histogram_usec, part, part_only, summary_usec,
};
use crate::node::stats::CommandStats;
use crate::telemetry::counter::Distribution;

pub(super) const COMMANDS: &[Row] = &[Row::Each(&CALLS)];
pub(super) const LATENCIES: &[Row] = &[Row::Each(&Percentiles)];
pub(super) const ERRORS: &[Row] = &[Row::Each(&ERROR_WORDS)];

/// The calls of one command.
#[derive(Debug)]
struct Calls {
    name: String,
    calls: u64,
    nanos: u64,
    rejected: u64,
    failed: u64,
    latency: Distribution,
}

/// The commands that were called.
fn called(look: &Look<'_>) -> Vec<Calls> {
    let one = |registered: &super::super::registry::Registered| {
        let sum = |of: fn(&CommandStats) -> u64| -> u64 {
            look.node.counted().map(|stats| of(&stats.commands[registered.id])).sum()
        };
        let calls = Calls {
            name: registered.name.clone(),
            calls: sum(|stats| stats.calls.get()),
            nanos: sum(|stats| stats.nanos.get()),
            rejected: sum(|stats| stats.rejected.get()),
            failed: sum(|stats| stats.failed.get()),
            latency: look.node.latency(registered.id),
        };
        (calls.calls + calls.rejected + calls.failed > 0).then_some(calls)
    };
    look.registry.all().filter_map(one).collect()
}

static CALLS: Each<Calls> = Each {
    items: called,
    field: |_, command| Some(format!("cmdstat_{}", command.name)),
    labels: |command| vec![("cmd", command.name.clone())],
    parts: CALL,
};

#[rustfmt::skip]
const CALL: &[Part<Calls>] = &[
    part("calls", |_, command: &Calls| command.calls.into())
        .is(counter("commands_total", "Calls.")),
    part("usec", |_, command: &Calls| (command.nanos / 1000).into())
        .is(counter("commands_duration_seconds_total", "Time in calls.").per(1e6)),
    part("usec_per_call", |_, command| Value::Decimal(command.nanos as f64 / 1000.0 / command.calls.max(1) as f64, 2)),
    part("rejected_calls", |_, command: &Calls| command.rejected.into())
        .is(counter("commands_rejected_calls_total", "Calls refused before they ran.")),
    part("failed_calls", |_, command: &Calls| command.failed.into())
        .is(counter("commands_failed_calls_total", "Calls that ended in an error.")),
    part_only(histogram_usec("commands_latencies_usec", "How long calls took, in microseconds."), latency),
    part_only(summary_usec("latency_percentiles_usec", "Percentiles of how long calls took, in microseconds."), latency),
];

fn latency(_: &Look<'_>, command: &Calls) -> Value {
    match command.latency.count() {
        0 => Value::Absent,
        _ => Value::durations(command.latency.clone()),
    }
}

/// Percentiles of each command's latency, accurate to a factor of two: computed from the buckets.
/// Latencies are always measured, for the metrics; `latency-tracking no` hides them here.
#[derive(Debug)]
struct Percentiles;

impl Items for Percentiles {
    fn fields(&self, look: &Look<'_>, fields: &mut Vec<(String, String)>) {
        let settings = &look.settings.slowlog;
        if !settings.latency_tracking {
            return;
        }
        for command in called(look) {
            let told = settings.latency_percentiles.0.iter().filter_map(|percentile| {
                let us = command.latency.quantile_us(percentile / 100.0)?;
                Some(format!("p{percentile}={us:.3}"))
            });
            let told: Vec<String> = told.collect();
            if !told.is_empty() {
                let name = format!("latency_percentiles_usec_{}", command.name);
                fields.push((name, told.join(",")));
            }
        }
    }

    /// The metrics have them by command, beside its other figures.
    fn series(&self, _: &Look<'_>, _: &mut dyn FnMut(Series<'_>)) {}
}

static ERROR_WORDS: Each<(String, u64)> = Each {
    items: |look| {
        let mut all = BTreeMap::<String, u64>::new();
        for stats in look.node.counted() {
            for (word, count) in &*stats.errors.lock() {
                *all.entry(word.clone()).or_default() += count;
            }
        }
        all.into_iter().collect()
    },
    field: |_, (word, _)| Some(format!("errorstat_{word}")),
    labels: |(word, _)| vec![("err", word.clone())],
    parts: &[part("count", |_, (_, count): &(String, u64)| (*count).into())
        .is(counter("errors_total", "Error replies by kind."))],
};
