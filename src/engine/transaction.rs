//! MULTI's queue and EXEC: the commands of a transaction under the union of their locks.

use std::sync::atomic::Ordering;

use super::call::{Caller, Tools};
use crate::commands::registry::Registered;
use crate::commands::{Args, Locks};
use crate::keyspace::{Guard, Locked, ShardSet};
use crate::node::client::{Client, Multi, Queued, Watched};
use crate::resp::Span;

/// Queues a command of a transaction.
pub(super) fn queue(tools: &mut Tools<'_>, registered: &Registered, args: &Args<'_>) {
    tools.output.simple("QUEUED");
    let doomed = tools.client.watch_mark.load(Ordering::Relaxed);
    let multi = tools.client.multi.as_mut().expect("only a transaction queues");
    if doomed || multi.broken {
        // EXEC will not run it.
        return;
    }
    let mut buffer = Vec::with_capacity(args.total_bytes());
    let span = |arg: &[u8]| {
        let start = u32::try_from(buffer.len()).expect("a request's length fits");
        buffer.extend_from_slice(arg);
        Span { start, len: u32::try_from(arg.len()).expect("a request's length fits") }
    };
    let spans = args.from(0).map(span).collect();
    tools.client.unpublished = true;
    multi.bytes += buffer.len();
    multi.queued.push(Queued { command: registered.id, buffer: buffer.into_boxed_slice(), spans });
}

/// Runs EXEC. False when the node's state changed in between, and admission must look again.
pub(super) fn execute<'e>(
    caller: &mut Caller<'e>,
    tools: &mut Tools<'_>,
    exec: &'e Registered,
    epoch: u64,
) -> bool {
    let Some(multi) = &tools.client.multi else {
        caller.fail(tools, exec, "ERR EXEC without MULTI");
        return true;
    };
    if multi.broken {
        forget(caller, tools.client);
        let text = "EXECABORT Transaction discarded because of previous errors.";
        caller.fail(tools, exec, text);
        return true;
    }
    let mut guard = caller.node.keyspace.lock(union(caller, tools.client, multi));
    if caller.node.admission.epoch() != epoch {
        return false;
    }
    let multi = tools.client.multi.take().expect("looked at above");
    tools.client.unpublished = true;
    let stale = is_stale(caller, tools.client);
    unwatch(tools.client, &mut guard.locked());
    if stale {
        tools.output.null_array();
    } else {
        run_all(caller, tools, &mut guard, &multi);
    }
    caller.note_offset(tools.client);
    drop(guard);
    caller.count(exec);
    true
}

fn run_all(caller: &mut Caller<'_>, tools: &mut Tools<'_>, guard: &mut Guard<'_>, multi: &Multi) {
    caller.begin(tools.effects);
    tools.client.in_exec = Some((multi.queued.len(), multi.bytes));
    tools.output.array(multi.queued.len());
    for queued in &multi.queued {
        let args = Args::new(&queued.buffer, &queued.spans, None);
        let registered = caller.row(queued.command);
        caller.call(tools, guard.locked(), registered, &args);
        caller.publish(tools.effects);
        // Within a transaction there is one reply, and all messages follow it.
        tools.client.replied = None;
    }
    tools.client.in_exec = None;
    // CLIENT INFO within the transaction has shown it to others.
    tools.client.unpublished = true;
    caller.settle(tools.effects);
}

/// The shards of all the queued commands and watched keys.
fn union(caller: &Caller<'_>, client: &Client, multi: &Multi) -> ShardSet {
    let keyspace = &caller.node.keyspace;
    let mut set = ShardSet::default();
    for watched in &client.watched {
        set.insert(keyspace.key(&watched.key).shard());
    }
    for queued in &multi.queued {
        let registered = caller.row(queued.command);
        if registered.row.locks != Locks::Keys {
            return ShardSet::ALL;
        }
        let args = Args::new(&queued.buffer, &queued.spans, None);
        for shard in caller.lock_set(registered, &args).iter() {
            set.insert(shard);
        }
    }
    set
}

/// Whether a watched key changed, or expired since. Had its expiry been changed, the mark would
/// be set.
fn is_stale(caller: &Caller<'_>, client: &Client) -> bool {
    let expired = |watched: &Watched| watched.expire_at_ms.is_some_and(|at| at < caller.now_ms);
    client.watch_mark.load(Ordering::Relaxed) || client.watched.iter().any(expired)
}

fn unwatch(client: &mut Client, locked: &mut Locked<'_>) {
    for Watched { database, key, .. } in client.watched.drain(..) {
        locked.unwatch(database, locked.key(&key), &client.watch_mark);
    }
    client.watch_mark.store(false, Ordering::Relaxed);
}

/// Drops a transaction that will not run.
pub(super) fn forget(caller: &Caller<'_>, client: &mut Client) {
    client.multi = None;
    client.unpublished = true;
    client.forget_watches(&caller.node.keyspace);
}
