//! The slow log, and commands that were served after a wait: what is recorded without their caller.

use crate::commands::blocking::KeyWait;
use crate::node::Node;
use crate::node::client::Handle;
use crate::node::slowlog::SlowCommand;
use crate::node::stats::WorkerStats;
use crate::settings::Settings;

#[inline]
pub(super) fn is_slow(settings: &Settings, nanos: u64) -> bool {
    let threshold = settings.slowlog.slower_than_us;
    threshold >= 0 && nanos / 1000 >= threshold.unsigned_abs()
}

/// Records a command that was served after a wait; `serving_nanos` is the time that this took.
pub(super) fn served(node: &Node, stats: &WorkerStats, wait: &KeyWait, serving_nanos: u64) {
    let Some(asked) = wait.asked() else { return };
    let nanos = asked.nanos + serving_nanos;
    stats.commands[asked.command].nanos.add(nanos);
    stats.commands[asked.command].latency.observe(nanos);
    let settings = node.settings.load();
    if let Some(args) = &asked.args
        && is_slow(&settings, nanos)
    {
        log_slow(node, &settings, args.clone(), wait.handle(), nanos / 1000);
    }
}

pub(super) fn log_slow(
    node: &Node,
    settings: &Settings,
    args: Vec<Vec<u8>>,
    client: &Handle,
    duration_us: u64,
) {
    let command = SlowCommand {
        id: 0,
        at_s: node.clock.unix_ms() / 1000,
        duration_us,
        args,
        address: client.origin.address.clone(),
        client_name: client.shown.lock().name.clone(),
    };
    let len_max = usize::try_from(settings.slowlog.max_len).unwrap_or(usize::MAX);
    node.slowlog.add(command, len_max);
}
