//! Records a command after it has run: statistics, the slow log, monitors, latency spikes and
//! traces.

use std::sync::Arc;

use super::caller::{Caller, Tools};
use super::monitor;
use super::slow::{is_slow, log_slow};
use crate::commands::blocking::{Asked, KeyWait};
use crate::commands::registry::Registered;
use crate::commands::{Args, Failure, Flag};
use crate::node::client::{Client, Waiting, WaitsFor};
use crate::node::slowlog;
use crate::node::spikes::Spike;
use crate::telemetry::traces::{self, CommandSpan};

/// Records a command that a handler ran.
#[inline]
pub(super) fn command(
    caller: &mut Caller<'_>,
    tools: &mut Tools<'_>,
    registered: &Registered,
    args: &Args<'_>,
    failure: Option<&Failure>,
) {
    let (nanos, slow) = match &tools.client.waiting {
        Some(Waiting { what: WaitsFor::Keys(waiter), .. }) => {
            let wait = KeyWait::of(Arc::clone(waiter));
            (ask(caller, registered, args, &wait), false)
        }
        _ => {
            let nanos = count(caller, registered);
            let spike_ms = caller.settings.slowlog.spike_ms;
            if spike_ms > 0 && nanos / 1_000_000 >= spike_ms.unsigned_abs() {
                note_spike(caller, registered, nanos);
            }
            (nanos, is_slow(&caller.settings, nanos))
        }
    };
    if slow {
        note_slow(caller, tools, registered, args, nanos / 1000);
    }
    if caller.monitored && monitor::shows(registered) {
        monitor::tell(caller, tools, args);
    }
    if traces::is_on() && (failure.is_some() || slow || traces::is_sampled(tools.random.next())) {
        let error = failure.map(Failure::text);
        let ended = Ended { nanos, error: error.as_deref(), slow };
        trace(caller, tools.client, Some(registered), args.len(), ended);
    }
}

/// Counts a command that waits for keys, and returns its time. The rest follows when it is served; a
/// wait that ends otherwise takes no time, as in Redis.
#[cold]
fn ask(caller: &mut Caller<'_>, registered: &Registered, args: &Args<'_>, wait: &KeyWait) -> u64 {
    let nanos = lap(caller);
    caller.stats.commands[registered.id].calls.add(1);
    let is_logged = caller.settings.slowlog.slower_than_us >= 0;
    let args = is_logged.then(|| slowlog::shortened(args.from(0)));
    wait.ask(Asked { command: registered.id, args, nanos });
    nanos
}

/// Records a span of a command that was answered with an error before a handler ran, if tracing is
/// on. `registered` is `None` for an unknown command; its span omits the name that was sent.
#[cold]
pub(super) fn refused(
    caller: &Caller<'_>,
    client: &Client,
    registered: Option<&Registered>,
    args: usize,
    error: &[u8],
) {
    if traces::is_on() {
        let ended = Ended { nanos: 0, error: Some(error), slow: false };
        trace(caller, client, registered, args, ended);
    }
}

/// Counts a command and returns its time in nanoseconds: since the last one ended. Commands within
/// a transaction count separately, so EXEC's time is the remainder.
#[inline]
pub(super) fn count(caller: &mut Caller<'_>, registered: &Registered) -> u64 {
    let nanos = lap(caller);
    let command = &caller.stats.commands[registered.id];
    command.calls.add(1);
    command.nanos.add(nanos);
    command.latency.observe(nanos);
    nanos
}

/// The nanoseconds since the last command ended.
#[inline]
fn lap(caller: &mut Caller<'_>) -> u64 {
    let now = caller.node.clock.nanos();
    let nanos = now.saturating_sub(caller.last_nanos);
    caller.last_nanos = now;
    nanos
}

/// Adds a command to the data of LATENCY.
#[cold]
fn note_spike(caller: &Caller<'_>, registered: &Registered, nanos: u64) {
    let fast = registered.row.flags.has(Flag::Fast);
    let event = if fast { "fast-command" } else { "command" };
    let ms = i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX);
    caller.node.spikes.add(event, Spike { at_s: caller.node.clock.unix_ms() / 1000, ms });
}

#[cold]
fn note_slow(
    caller: &Caller<'_>,
    tools: &Tools<'_>,
    registered: &Registered,
    args: &Args<'_>,
    duration_us: u64,
) {
    if registered.row.flags.has(Flag::SkipSlowlog) {
        return;
    }
    let (client, redacted) = (&tools.client, &tools.effects.redacted);
    let shown = args
        .from(0)
        .enumerate()
        .map(|(index, arg)| if redacted.contains(&index) { &b"(redacted)"[..] } else { arg });
    let args = slowlog::shortened(shown);
    log_slow(caller.node, &caller.settings, args, &client.handle, duration_us);
}

/// How a command ended.
#[derive(Clone, Copy, Debug)]
struct Ended<'t> {
    nanos: u64,
    /// The error reply.
    error: Option<&'t [u8]>,
    slow: bool,
}

/// Records a span.
#[cold]
fn trace(
    caller: &Caller<'_>,
    client: &Client,
    registered: Option<&Registered>,
    args: usize,
    ended: Ended<'_>,
) {
    let name = registered.map_or("unknown", |registered| &registered.name);
    let words = 1 + usize::from(name.contains('|'));
    traces::command(&CommandSpan {
        name,
        arguments: args.saturating_sub(words),
        database: client.database,
        end_us: caller.node.clock.unix_us(),
        nanos: ended.nanos,
        error: ended.error,
        slow: ended.slow,
        peer: &client.handle.origin.address,
        port: caller.node.settings.load().client_port(),
    });
}
