//! MULTI's queue and EXEC: the commands of a transaction under the union of their locks.

use std::sync::atomic::Ordering;

use super::caller::{Caller, Tools};
use super::write::{self, Right, Writing, begin_write};
use super::{call, monitor, observe, permission, script};
use crate::acl;
use crate::commands::effects::Terms;
use crate::commands::registry::Registered;
use crate::commands::{Args, Locks, Run};
use crate::keyspace::{Locked, ShardSet};
use crate::node::client::{Client, Multi, Queued, Watched};
use crate::node::scripts::Scripts;
use crate::scripting::ScriptFlags;

/// Queues a command of a transaction, with what the script declares that it runs.
pub(super) fn queue(
    tools: &mut Tools<'_>,
    registered: &Registered,
    script: Option<ScriptFlags>,
    args: &Args<'_>,
) {
    tools.output.simple("QUEUED");
    let doomed = tools.client.watch_mark.load(Ordering::Relaxed);
    let multi = tools.client.multi.as_mut().expect("only a transaction queues");
    if doomed || multi.broken {
        // EXEC will not run it.
        return;
    }
    tools.client.unpublished = true;
    multi.push(registered.id, script, args.hashed(), args.from(0));
}

/// The arguments of a queued command.
fn args_of<'m>(multi: &'m Multi, queued: &Queued) -> Args<'m> {
    let (bytes, spans) = multi.arguments(queued);
    Args::new(bytes, spans, queued.hashed)
}

/// Runs EXEC. False when the node's state changed in between, and admission must check again.
pub(super) fn execute<'e>(
    caller: &mut Caller<'e>,
    tools: &mut Tools<'_>,
    exec: &'e Registered,
    args: &Args<'_>,
    epoch: u64,
) -> bool {
    match refused(tools.client) {
        Some(text) => {
            if tools.client.multi.is_some() {
                tools.client.forget_transaction(&caller.node.keyspace);
            }
            call::fail(caller, tools, exec, text);
            show(caller, tools, args);
            true
        }
        None => execute_queued(caller, tools, exec, args, epoch),
    }
}

/// Why EXEC cannot even look at its watched keys.
fn refused(client: &Client) -> Option<&'static str> {
    match &client.multi {
        None => Some("ERR EXEC without MULTI"),
        Some(multi) if multi.broken => {
            Some("EXECABORT Transaction discarded because of previous errors.")
        }
        Some(_) => None,
    }
}

/// Shows EXEC to monitors, after the commands of its transaction.
pub(super) fn show(caller: &Caller<'_>, tools: &mut Tools<'_>, args: &Args<'_>) {
    if caller.monitored {
        monitor::tell(caller, tools, args);
    }
}

fn execute_queued<'e>(
    caller: &mut Caller<'e>,
    tools: &mut Tools<'_>,
    exec: &'e Registered,
    args: &Args<'_>,
    epoch: u64,
) -> bool {
    let multi = tools.client.multi.as_ref().expect("looked at above");
    let needs_scripts =
        multi.queued.iter().any(|queued| caller.row(queued.command).row.needs_scripts());
    // Before the shards: see `node::scripts`.
    let mut scripts = match needs_scripts.then(|| caller.node.scripts.enter()) {
        None => None,
        Some(Some(scripts)) => Some(scripts),
        Some(None) => return false,
    };
    let set = union(caller, tools.client, multi);
    let Some(mut writing) = begin_write(caller.node, set, Right::Admitted(epoch)) else {
        return false;
    };
    if !caller.covers_moves(set) {
        return false;
    }
    let multi = tools.client.multi.take().expect("looked at above");
    tools.client.unpublished = true;
    let stale = is_stale(caller, tools.client);
    unwatch(tools.client, &mut writing.locked());
    if stale {
        tools.output.null_array();
    } else {
        run_all(caller, tools, &mut writing, scripts.as_deref_mut(), &multi);
    }
    show(caller, tools, args);
    caller.note_offset(tools.client, set);
    tools.take_pushes();
    drop(writing);
    observe::count(caller, exec);
    true
}

fn run_all(
    caller: &mut Caller<'_>,
    tools: &mut Tools<'_>,
    writing: &mut Writing<'_>,
    mut scripts: Option<&mut Scripts>,
    multi: &Multi,
) {
    writing.begin(tools.effects, Terms::of(&caller.settings));
    tools.client.in_exec = Some((multi.queued.len(), multi.bytes()));
    tools.output.array(multi.queued.len());
    for queued in &multi.queued {
        let args = args_of(multi, queued);
        let registered = caller.row(queued.command);
        if let Some(denial) =
            permission::denied(caller, tools.client, registered, &args, acl::Context::Multi)
        {
            let text = denial.error_at_exec();
            tools.output.error(text.as_bytes());
            caller.stats.error(text.as_bytes());
            continue;
        }
        match registered.row.run {
            Run::Handler(_) => call::run(caller, tools, writing.locked(), registered, &args),
            _ => {
                let scripts = scripts.as_deref_mut().expect("locked, as one of them needs them");
                script::run(caller, tools, writing, scripts, registered, &args);
            }
        }
        if !tools.effects.told.is_empty() {
            // Before the next one can publish.
            write::tell(caller.node, tools.effects);
        }
        // Within a transaction there is one reply, and all messages follow it.
        tools.client.replied = None;
    }
    tools.client.in_exec = None;
    // CLIENT INFO within the transaction has shown it to others.
    tools.client.unpublished = true;
    caller.settle(tools.effects);
    if tools.effects.any_ready() {
        if !caller.covers_moves(writing.set()) {
            // A script has reached further than its keys.
            writing.extend();
        }
        caller.server(tools.client).serve_ready(writing, tools.effects);
    }
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
        let args = args_of(multi, queued);
        for shard in caller.lock_set(registered, &args).iter() {
            set.insert(shard);
        }
    }
    caller.with_moves(set)
}

/// Whether a watched key changed or has expired. A change of its expiry would have set the mark.
fn is_stale(caller: &Caller<'_>, client: &Client) -> bool {
    let expired = |watched: &Watched| watched.expire_at_ms.is_some_and(|at| at < caller.now_ms);
    client.watch_mark.load(Ordering::Relaxed) || client.watched.iter().any(expired)
}

fn unwatch(client: &mut Client, locked: &mut Locked<'_>) {
    for watched in client.watched.drain(..) {
        client.names_bytes -= watched.memory_bytes();
        locked.unwatch(watched.database, locked.key(&watched.key), &client.watch_mark);
    }
    client.watch_mark.store(false, Ordering::Relaxed);
}
