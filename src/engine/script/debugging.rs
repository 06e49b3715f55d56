//! EVAL of a client that has said SCRIPT DEBUG: a session of the debugger on its connection.
//!
//! A forked session runs in a process of its own, on a copy of all data: it holds up nobody, and its
//! changes are gone when it ends. A synchronous one runs here, under all locks; as with any script
//! that runs for long, others are told that the server is busy, and SCRIPT KILL ends it.

use std::time::Duration;

use super::super::caller::{Caller, Tools};
use super::super::observe;
use super::super::write::{Right, Writing, begin_write};
use super::reply::Reply;
use super::running::{Beginning, Running, Title};
use super::{What, end_failed, find, refused, rights, unknown};

use crate::commands::effects::Terms;
use crate::commands::registry::Registered;
use crate::commands::{Args, Failure, Flag, Source};
use crate::keyspace::ShardSet;
use crate::node::scripts::{DebugMode, Kind, Scripts};
use crate::scripting::{Debugged, Input, Terminal, debug, parse_sha};
use crate::telemetry::log::log;

/// Runs a session. False when the node's state changed in between, and admission must check again.
pub(super) fn execute<'e>(
    caller: &mut Caller<'e>,
    tools: &mut Tools<'_>,
    scripts: &mut Scripts,
    registered: &'e Registered,
    (source, mode): (Source, DebugMode),
    args: &Args<'_>,
    epoch: u64,
) -> bool {
    if source == Source::Digest {
        let failure = match parse_sha(args.at(1)) {
            Some(_) => Failure::err("Please use EVAL instead of EVALSHA for debugging"),
            None => unknown(),
        };
        end_failed(caller, tools, registered, args, &failure);
        return true;
    }
    let node = caller.node;
    let Some(mut writing) = begin_write(node, ShardSet::ALL, Right::Admitted(epoch)) else {
        return false;
    };
    let mut terminal = match node.host().debug_session(&tools.client.handle.origin, mode) {
        Ok(Some(terminal)) => terminal,
        Ok(None) => {
            // Another process has the connection now.
            tools.output.clear();
            tools.client.closing = true;
            return true;
        }
        Err(reason) => {
            drop(writing);
            end_failed(caller, tools, registered, args, &Failure::err(reason));
            return true;
        }
    };
    // The replies to what the client sent before.
    tools.output.take(|bytes| terminal.write(&bytes));
    writing.begin(tools.effects, Terms::of(&caller.settings));
    let failure =
        run(caller, tools, &mut writing, scripts, registered, (args, mode), &mut *terminal);
    if mode == DebugMode::Forked {
        tools.output.take(|bytes| terminal.write(&bytes));
        node.host().end_debugged();
        return true;
    }
    log!(Warning, "Synchronous debugging session of a script ended");
    observe::command(caller, tools, registered, args, failure.as_ref());
    // Its end tells the client that the session is over.
    tools.client.closing = true;
    caller.settle(tools.effects);
    if tools.effects.any_ready() {
        caller.server(tools.client).serve_ready(&mut writing, tools.effects);
    }
    caller.note_offset(tools.client, ShardSet::ALL);
    tools.take_pushes();
    true
}

/// Runs the script and answers, with the locks of all keys. Returns why it failed.
fn run<'e>(
    caller: &mut Caller<'e>,
    tools: &mut Tools<'_>,
    writing: &mut Writing<'_>,
    scripts: &mut Scripts,
    registered: &'e Registered,
    (args, mode): (&Args<'_>, DebugMode),
    terminal: &mut dyn Terminal,
) -> Option<Failure> {
    let environment = scripts.environment;
    let read_only = registered.row.flags.has(Flag::ReadOnly);
    let found = find(scripts, Source::Text, args);
    let found = found.and_then(|found| match refused(caller, tools.client, &found, read_only) {
        Some(failure) => Err(failure),
        None => Ok(found),
    });
    let found = match found {
        Ok(found) => found,
        Err(failure) => {
            terminal.write(b"*1\r\n+<endsession>\r\n");
            tools.output.error(&failure.text());
            return Some(failure);
        }
    };
    let What::Script(_, sha) = &found.what else { unreachable!("a function is not debugged") };
    let words: Vec<&[u8]> = args.from(3).collect();
    let (keys, rest) = words.split_at(found.keys);
    let name = std::str::from_utf8(sha).expect("a digest is hexadecimal");
    let rights = rights(caller, tools.client, &found, read_only);
    let title = Title { kind: Kind::Script, name, command: args };
    let script = Debugged {
        body: args.at(1),
        name,
        input: Input { keys, args: rest },
        late_after: late_after(caller.settings.scripts.busy_reply_threshold_ms),
        environment,
    };
    let (effects, random) = (&mut *tools.effects, &mut *tools.random);
    let mut reply = Reply { output: tools.output, stats: caller.stats, failure: None };
    let beginning = Beginning { rights, title, work: scripts.take_workspace() };
    let mut running = Running::begin(caller, tools.client, effects, random, writing, beginning);
    running.is_aside = mode == DebugMode::Forked;
    let outcome = debug(&script, &mut running, &mut reply, terminal);
    scripts.return_workspace(running.end(tools.client));
    let mut failure = reply.failure.map(Failure::Bytes);
    if let Err(reason) = outcome {
        let reason = Failure::err(reason);
        tools.output.error(&reason.text());
        failure = Some(reason);
    }
    failure
}

/// After how long a script without a stop counts as one without end.
fn late_after(threshold_ms: u64) -> Duration {
    match threshold_ms {
        0 => Duration::from_secs(5),
        ms => Duration::from_millis(ms),
    }
}
