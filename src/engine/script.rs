//! Running a script: the commands that it calls, and what becomes of others when it runs for long.
//!
//! A script begins under the locks of the keys that it declares. When it reaches for another key, it
//! takes all the locks that it lacks ([`Guard::extend`](crate::keyspace::Guard::extend)), and the
//! next run of the same script begins with all of them. Scripts run one at a time, so no two do this
//! together.
//!
//! Once a script runs for longer than `busy-reply-threshold`, those who wait for its locks give up
//! and answer -BUSY, and the clients of its own worker move to others.

mod debugging;
mod reply;
mod running;

use super::caller::{Caller, Tools};
use super::write::{Right, Writing, begin_write};
use super::{admission, call, monitor, observe, tracking};
use reply::Reply;
use running::{Beginning, Rights, Running, Title};

use crate::commands::effects::Terms;
use crate::commands::registry::Registered;
use crate::commands::{Args, EngineCommand, Failure, Flag, Run, Source};
use crate::keyspace::ShardSet;
use crate::node::admission::Condition;
use crate::node::client::Client;
use crate::node::scripts::{Kind, Scripts};
use crate::number;
use crate::scripting::{Input, ScriptFlags, ScriptId, Sha, parse_sha};
use crate::telemetry::crash;

/// Runs a command that needs the scripts. False when the node's state changed in between, and
/// admission must check again.
pub(super) fn execute<'e>(
    caller: &mut Caller<'e>,
    tools: &mut Tools<'_>,
    registered: &'e Registered,
    args: &Args<'_>,
    epoch: u64,
) -> bool {
    let Some(mut scripts) = caller.node.scripts.enter() else { return false };
    if let (Some(mode), Run::Engine(EngineCommand::Script(source))) =
        (tools.client.debugs, registered.row.run)
        && source != Source::Function
    {
        let how = (source, mode);
        return debugging::execute(caller, tools, &mut scripts, registered, how, args, epoch);
    }
    let found = match registered.row.run {
        // Compiled before anybody has to wait.
        Run::Engine(EngineCommand::Script(source)) => match find(&mut scripts, source, args) {
            Ok(found) => Some(found),
            Err(failure) => {
                end_failed(caller, tools, registered, args, &failure);
                return true;
            }
        },
        _ => None,
    };
    let set = match &found {
        Some(found) if scripts.is_wide(found.name()) => ShardSet::ALL,
        _ => caller.lock_set(registered, args),
    };
    let Some(mut writing) = begin_write(caller.node, set, Right::Admitted(epoch)) else {
        return false;
    };
    if !caller.covers_moves(set) {
        return false;
    }
    writing.begin(tools.effects, Terms::of(&caller.settings));
    match &found {
        Some(found) => {
            evaluate(caller, tools, &mut writing, &mut scripts, registered, found, args);
        }
        None => call_with(caller, tools, &mut writing, &mut scripts, registered, args),
    }
    caller.settle(tools.effects);
    if tools.effects.any_ready() {
        if !caller.covers_moves(writing.set()) {
            writing.extend();
        }
        caller.server(tools.client).serve_ready(&mut writing, tools.effects);
    }
    let set = writing.set();
    caller.note_offset(tools.client, set);
    tools.take_pushes();
    drop(writing);
    drop(scripts);
    caller.node.keyspace.unwatch_the_rest();
    true
}

/// Runs one within a transaction, under the locks held.
pub(super) fn run<'e>(
    caller: &mut Caller<'e>,
    tools: &mut Tools<'_>,
    writing: &mut Writing<'_>,
    scripts: &mut Scripts,
    registered: &'e Registered,
    args: &Args<'_>,
) {
    let Run::Engine(EngineCommand::Script(source)) = registered.row.run else {
        call_with(caller, tools, writing, scripts, registered, args);
        return;
    };
    match find(scripts, source, args) {
        Ok(found) => evaluate(caller, tools, writing, scripts, registered, &found, args),
        Err(failure) => end_failed(caller, tools, registered, args, &failure),
    }
}

fn call_with<'e>(
    caller: &mut Caller<'e>,
    tools: &mut Tools<'_>,
    writing: &mut Writing<'_>,
    scripts: &mut Scripts,
    registered: &'e Registered,
    args: &Args<'_>,
) {
    let mut tools = Tools {
        client: tools.client,
        output: tools.output,
        effects: tools.effects,
        random: tools.random,
        pushed: None,
        scripts: Some(scripts),
    };
    call::run(caller, &mut tools, writing.locked(), registered, args);
}

/// A script to run.
#[derive(Debug)]
struct Found {
    what: What,
    flags: ScriptFlags,
    /// Number of keys among the arguments.
    keys: usize,
}

#[derive(Debug)]
enum What {
    Script(ScriptId, Sha),
    Function(String),
}

impl Found {
    fn name(&self) -> &[u8] {
        match &self.what {
            What::Script(_, sha) => sha,
            What::Function(name) => name.as_bytes(),
        }
    }
}

/// Number of keys that a command of scripts declares.
fn key_count(args: &Args<'_>, bad: Failure) -> Result<usize, Failure> {
    let count = number::parse_i64(args.at(2)).ok_or(bad)?;
    let count =
        usize::try_from(count).map_err(|_| Failure::err("Number of keys can't be negative"))?;
    if count > args.len() - 3 {
        return Err(Failure::err("Number of keys can't be greater than number of args"));
    }
    Ok(count)
}

/// There is no such script.
fn unknown() -> Failure {
    Failure::Other("NOSCRIPT No matching script. Please use EVAL.".into())
}

/// Finds a script, or compiles it.
fn find(scripts: &mut Scripts, source: Source, args: &Args<'_>) -> Result<Found, Failure> {
    let name = args.at(1);
    let both = scripts.interpreters().map_err(Failure::err)?;
    if source == Source::Function {
        let function = both.libraries.function(name);
        let function = function.ok_or_else(|| Failure::err("Function not found"))?;
        let (what, flags) = (What::Function(function.name().to_owned()), function.flags());
        let keys = key_count(args, Failure::err("Bad number of keys provided"))?;
        return Ok(Found { what, flags, keys });
    }
    let sha = match source {
        Source::Digest => Some(parse_sha(name).ok_or_else(unknown)?),
        _ => None,
    };
    let keys = key_count(args, Failure::NotInteger)?;
    let id = match sha {
        Some(sha) => both.scripts.find(&sha).ok_or_else(unknown)?,
        None => both.scripts.load(name).map_err(Failure::Bytes)?,
    };
    let script = both.scripts.script(id);
    Ok(Found { what: What::Script(id, *script.sha()), flags: script.flags(), keys })
}

/// Why a script may not run now, by what it declares.
fn refused(caller: &Caller<'_>, client: &Client, found: &Found, ro: bool) -> Option<Failure> {
    let flags = found.flags;
    let (node, settings) = (caller.node, &caller.settings);
    if node.admission.has(Condition::MasterDown)
        && !settings.replication.serve_stale_data
        && !flags.contains(ScriptFlags::ALLOW_STALE)
        && client.master.is_none()
    {
        return Some(Failure::Other(admission::MASTERDOWN.into()));
    }
    if flags.contains(ScriptFlags::COMPAT) || flags.contains(ScriptFlags::NO_WRITES) {
        return None;
    }
    if let Some(text) = admission::refused_as_script_write(caller, client) {
        return Some(Failure::Other(text));
    }
    if ro {
        return Some(Failure::err("Can not execute a script with write flag using *_ro command."));
    }
    let short = caller.memory_short && !flags.contains(ScriptFlags::ALLOW_OOM);
    (short && client.master.is_none()).then(|| Failure::Other(admission::OOM.into()))
}

/// What a script may do; `ro`: its command may not write.
fn rights(caller: &Caller<'_>, client: &Client, found: &Found, ro: bool) -> Rights {
    let declares = |flag| !found.flags.contains(ScriptFlags::COMPAT) && found.flags.contains(flag);
    let short = caller.memory_short && !declares(ScriptFlags::ALLOW_OOM) && client.master.is_none();
    Rights { read_only: ro || declares(ScriptFlags::NO_WRITES), short_of_memory: short }
}

/// Runs a script, and counts and answers the command that asked for it.
fn evaluate<'e>(
    caller: &mut Caller<'e>,
    tools: &mut Tools<'_>,
    writing: &mut Writing<'_>,
    scripts: &mut Scripts,
    registered: &'e Registered,
    found: &Found,
    args: &Args<'_>,
) {
    crash::begin_command(registered.path);
    let read_only = registered.row.flags.has(Flag::ReadOnly);
    if let Some(failure) = refused(caller, tools.client, found, read_only) {
        end_failed(caller, tools, registered, args, &failure);
        return;
    }
    show(caller, tools, args);
    let rights = rights(caller, tools.client, found, read_only);
    let began_nanos = caller.last_nanos;
    let words: Vec<&[u8]> = args.from(3).collect();
    let (keys, rest) = words.split_at(found.keys);
    let input = Input { keys, args: rest };
    let title = match &found.what {
        What::Script(_, sha) => {
            let name = std::str::from_utf8(sha).expect("a digest is hexadecimal");
            Title { kind: Kind::Script, name, command: args }
        }
        What::Function(name) => Title { kind: Kind::Function, name, command: args },
    };
    let was_all = writing.set() == ShardSet::ALL;
    let (effects, random) = (&mut *tools.effects, &mut *tools.random);
    let mut reply = Reply { output: tools.output, stats: caller.stats, failure: None };
    let tracker = tracking::tracker_of(tools.client).map(|tracker| (tracker, registered));
    let beginning = Beginning { rights, title, work: scripts.take_workspace() };
    let mut running = Running::begin(caller, tools.client, effects, random, writing, beginning);
    running.tracker = tracker;
    let both = scripts.interpreters().expect("made to find the script");
    match &found.what {
        What::Script(id, _) => both.scripts.run(*id, input, &mut running, &mut reply),
        What::Function(name) => {
            let done = both.libraries.run(name.as_bytes(), input, &mut running, &mut reply);
            debug_assert!(done, "it was found");
        }
    }
    scripts.return_workspace(running.end(tools.client));
    let failure = reply.failure.map(Failure::Bytes);
    if !was_all && writing.set() == ShardSet::ALL {
        scripts.note_wide(found.name());
    }
    caller.node.scripts.show_figures(scripts);
    // Its time includes that of the commands that it called.
    caller.last_nanos = began_nanos;
    if failure.is_some() {
        caller.stats.commands[registered.id].failed.add(1);
    }
    observe::command(caller, tools, registered, args, failure.as_ref());
}

/// Shows a script's command to monitors, before the commands that it calls.
fn show(caller: &Caller<'_>, tools: &mut Tools<'_>, args: &Args<'_>) {
    if caller.monitored {
        monitor::tell(caller, tools, args);
    }
}

/// Answers with an error a command whose script did not run.
#[cold]
fn end_failed(
    caller: &mut Caller<'_>,
    tools: &mut Tools<'_>,
    registered: &Registered,
    args: &Args<'_>,
    failure: &Failure,
) {
    if matches!(registered.row.run, Run::Engine(EngineCommand::Script(_))) {
        show(caller, tools, args);
    }
    let text = failure.text();
    tools.output.error(&text);
    caller.stats.error(&text);
    caller.stats.commands[registered.id].failed.add(1);
    observe::command(caller, tools, registered, args, Some(failure));
}
