//! Runs one command under its locks, or answers it with an error.

use super::caller::{Caller, Tools};
use super::{observe, tracking};
use crate::commands::registry::Registered;
use crate::commands::{Args, Context, EngineCommand, Expired, Failure, Flag, Keys, Run};
use crate::keyspace::Locked;
use crate::node::client::{Client, ReplyMode};
use crate::resp::{Output, ProtocolError};
use crate::telemetry::crash;
use crate::telemetry::log::log;

/// Runs a handler under locks and counts it.
#[inline]
pub(super) fn run<'e>(
    caller: &mut Caller<'e>,
    tools: &mut Tools<'_>,
    locked: Locked<'_>,
    registered: &'e Registered,
    args: &Args<'_>,
) {
    crash::begin_command(registered.path);
    let start = tools.output.bookmark();
    let dirty = tools.effects.dirty;
    let database = tools.client.database;
    let expired = expired(caller, tools.client, registered);
    let mut context = Context {
        node: caller.node,
        registry: &caller.engine.registry,
        settings: &caller.settings,
        keys: Keys {
            locked,
            database,
            now_ms: caller.now_ms,
            touch: !tools.client.no_touch,
            expired,
            stats: caller.stats,
            effects: tools.effects,
        },
        client: tools.client,
        reply: tools.output,
        random: tools.random,
    };
    let handled = match registered.row.run {
        Run::Handler(handler) => handler(&mut context, args),
        Run::Scripts(handler) => {
            let scripts = tools.scripts.as_mut().expect("locked before the command");
            handler(&mut context, scripts, args)
        }
        Run::Subcommands | Run::Engine(_) => {
            unreachable!("containers resolve to subcommands, and the engine runs its own")
        }
    };
    let failure = handled.err();
    if expired.is_ours() && failure.is_none() && caller.node.is_replica() {
        note_own_expiring(&context.keys, caller, registered, args);
    }
    if context.client.tracking.is_some() && registered.row.flags.has(Flag::ReadOnly) {
        tracking::remember(&mut context, registered, args);
    }
    tools.effects.end_command(database, args, dirty);
    if let Some(failure) = &failure {
        tools.output.truncate(start);
        let text = failure.text();
        tools.output.error(&text);
        caller.stats.error(&text);
        caller.stats.commands[registered.id].failed.add(1);
        log_error_to_replica(tools.client, &registered.name, &text);
    }
    if registered.row.flags.has(Flag::Admin) {
        // CONFIG SET applies to its own entry in the slow log, too.
        caller.settings = caller.node.settings.load();
    }
    if tools.client.monitor {
        // It sees what follows MONITOR in its batch.
        caller.monitored = caller.node.monitors.any();
    }
    observe::command(caller, tools, registered, args, failure.as_ref());
    tools.effects.redacted.clear();
}

/// How the command treats the expired keys that it meets.
#[inline]
fn expired(caller: &Caller<'_>, client: &Client, registered: &Registered) -> Expired {
    let admission = &caller.node.admission;
    if admission.is_calm() {
        Expired::Remove
    } else if client.master.is_some() {
        Expired::Ignore
    } else if caller.node.is_replica() && !registered.row.flags.has(Flag::Write) {
        // On a replica only the master ends keys, except those that a client may overwrite.
        Expired::Hide
    } else if admission.is_paused_at(caller.node.clock.unix_ms()) {
        Expired::Defer
    } else {
        Expired::Remove
    }
}

/// This node itself ends keys to which a client of this replica gave an expiry.
#[cold]
fn note_own_expiring(
    keys: &Keys<'_>,
    caller: &Caller<'_>,
    registered: &Registered,
    args: &Args<'_>,
) {
    registered.row.keys.for_each(args, |index, _| {
        let key = args.key(&caller.node.keyspace, index);
        let entry = keys.locked.get(keys.database, key);
        if entry.is_some_and(|entry| entry.expire_at_ms().is_some()) {
            caller.node.replication.note_own_expiring(keys.database, key.bytes);
        }
    });
}

/// Answers with an error a command that the engine itself runs.
pub(super) fn fail(
    caller: &mut Caller<'_>,
    tools: &mut Tools<'_>,
    registered: &Registered,
    text: &'static str,
) {
    tools.output.error(text.as_bytes());
    caller.stats.error(text.as_bytes());
    caller.stats.commands[registered.id].failed.add(1);
    observe::count(caller, registered);
    observe::refused(caller, tools.client, Some(registered), 1, text.as_bytes());
}

/// Answers with an error without running anything.
#[cold]
pub(super) fn refuse(
    caller: &Caller<'_>,
    tools: &mut Tools<'_>,
    registered: Option<&Registered>,
    args: usize,
    failure: &Failure,
) {
    let mut text = failure.text();
    if let Some(registered) = registered {
        caller.stats.commands[registered.id].rejected.add(1);
        if registered.row.run_by_engine() == Some(EngineCommand::Exec) {
            tools.client.forget_transaction(&caller.node.keyspace);
            let reason = text.strip_prefix(b"ERR ").unwrap_or(&text);
            let abort = b"EXECABORT Transaction discarded because of: ";
            text = [&abort[..], reason].concat().into();
        }
    }
    tools.output.error(&text);
    caller.stats.error(&text);
    let name = registered.map_or("<unknown>", |registered| &registered.name);
    log_error_to_replica(tools.client, name, &text);
    observe::refused(caller, tools.client, registered, args, &text);
    if let Some(multi) = &mut tools.client.multi {
        multi.broken = true;
    }
}

/// A replica sends nothing that fails, unless one of the two has gone astray.
#[cold]
fn log_error_to_replica(client: &Client, command: &str, text: &[u8]) {
    if client.replica.is_some() {
        let text = String::from_utf8_lossy(text);
        log!(
            Warning,
            "== CRITICAL == This master is sending an error to its replica: '{text}' after \
             processing the command '{command}'"
        );
    }
}

/// Answers invalid bytes, after which the connection ends.
#[cold]
pub(super) fn protocol_error(
    caller: &Caller<'_>,
    client: &mut Client,
    output: &mut Output,
    error: &ProtocolError,
) {
    let text = error.text();
    if client.reply_mode == ReplyMode::On {
        output.error(&text);
    }
    caller.stats.error(&text);
    observe::refused(caller, client, None, 0, &text);
    client.closing = true;
}
