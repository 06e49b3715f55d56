//! One request: resolved, admitted, then run, queued or refused.

use super::caller::{Caller, Tools};
use super::write::{self, Right, Writing, begin_write};
use super::{admission, call, evict, script, sweep, tracking, transaction};
use crate::commands::effects::{Effects, Terms};
use crate::commands::registry::Registered;
use crate::commands::{Args, EngineCommand, Failure, Random, Run};
use crate::node::client::{Client, ReplyMode};
use crate::resp::{Bookmark, Output};
use crate::text::until_nul;
use admission::Verdict;

/// Whether a request is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Done,
    /// It waits until a pause ends.
    Wait,
    /// It comes from no client: the connection must end without any reply.
    Abort,
}

/// Runs one request, or queues it, or refuses it.
#[inline]
pub(super) fn run(
    caller: &mut Caller<'_>,
    client: &mut Client,
    output: &mut Output,
    effects: &mut Effects,
    random: &mut Random,
    command: Option<usize>,
    args: &Args<'_>,
) -> Flow {
    let resolved = resolve(caller, command, args);
    let exec =
        resolved.as_ref().is_ok_and(|found| found.row.run_by_engine() == Some(EngineCommand::Exec));
    if client.handle.has_pushes() {
        output.append(&client.handle.take_pushes());
    }
    let tracks = client.tracking.is_some();
    if tracks {
        // The setting may have changed.
        tracking::forget_excess(caller, client, random, output);
    }
    let start = output.bookmark();
    let mut tools = Tools { client, output, effects, random, pushed: None, scripts: None };
    let (flow, registered) = match resolved {
        Ok(registered) => (admit_and_call(caller, &mut tools, registered, args), Some(registered)),
        Err(_) if is_cross_protocol(args) => return Flow::Abort,
        Err((registered, failure)) => {
            caller.last_command = Some(registered.map_or(0, |registered| registered.id + 1));
            call::refuse(caller, &mut tools, registered, args.len(), &failure);
            (Flow::Done, registered)
        }
    };
    if flow != Flow::Done {
        return flow;
    }
    let Tools { client, output, effects, random, pushed, .. } = tools;
    if client.reply_mode != ReplyMode::On && client.waiting.is_none() {
        apply_reply_mode(client, output, start);
    }
    // Messages that this command caused precede its reply, as in Redis, or the part of it written
    // after they were published.
    let before = client.replied.take().map_or(start, |replied| replied.reply_end);
    match pushed {
        // A transaction's messages follow its array, which contains its own confirmations.
        Some(pushes) if exec => output.append(&pushes),
        Some(pushes) => output.insert(before, &pushes),
        None => {}
    }
    if effects.tells_own() {
        tracking::tell_own(caller.node, client, effects, output);
    }
    if tracks {
        tracking::end_command(caller, client, random, output, registered);
    }
    Flow::Done
}

/// Drops the reply to a command, from `start` on, if the client has asked for none.
#[cold]
pub(super) fn apply_reply_mode(client: &mut Client, output: &mut Output, start: Bookmark) {
    match client.reply_mode {
        ReplyMode::On => {}
        ReplyMode::SkipNext => client.reply_mode = ReplyMode::Skip,
        ReplyMode::Skip => {
            output.truncate(start);
            client.reply_mode = ReplyMode::On;
        }
        ReplyMode::Off => output.truncate(start),
    }
}

/// Finds the row, also among a container's subcommands, and checks the arity.
#[inline]
fn resolve<'e>(
    caller: &Caller<'e>,
    command: Option<usize>,
    args: &Args<'_>,
) -> Result<&'e Registered, (Option<&'e Registered>, Failure)> {
    let Some(command) = command else { return Err((None, unknown_command(args))) };
    let mut registered = &caller.engine.registry.commands()[command];
    if registered.is_container() && args.len() > 1 {
        registered = registered.subcommand(args.at(1)).ok_or_else(|| {
            let (sent, container) = (args.at(1).to_vec(), args.at(0).to_vec());
            (None, Failure::UnknownSubcommand { sent, container })
        })?;
    }
    if registered.row.arity.allows(args.len()) {
        Ok(registered)
    } else {
        Err((Some(registered), Failure::Arity(registered.name.clone())))
    }
}

#[inline]
fn admit_and_call<'e>(
    caller: &mut Caller<'e>,
    tools: &mut Tools<'_>,
    registered: &'e Registered,
    args: &Args<'_>,
) -> Flow {
    caller.last_command = Some(registered.id + 1);
    loop {
        let epoch = caller.epoch(tools.client);
        caller.memory_short = evict::is_short(caller, tools.client);
        let calm = caller.node.admission.is_calm() && !caller.memory_short;
        if !(calm && tools.client.is_plain()) {
            match admission::judge(caller, tools.client, registered, args) {
                Verdict::Run => {}
                Verdict::Queue(script) => {
                    transaction::queue(tools, registered, script, args);
                    return Flow::Done;
                }
                Verdict::Refuse(failure) => {
                    call::refuse(caller, tools, Some(registered), args.len(), &failure);
                    if registered.row.run_by_engine() == Some(EngineCommand::Exec) {
                        // Monitors have seen MULTI, and now see that its transaction is over.
                        transaction::show(caller, tools, args);
                    }
                    return Flow::Done;
                }
                Verdict::Over => return Flow::Done,
                Verdict::Wait => return Flow::Wait,
                Verdict::Abort => return Flow::Abort,
            }
        }
        if !matches!(registered.row.run, Run::Handler(_)) {
            let done = match registered.row.run_by_engine() {
                Some(EngineCommand::Exec) => {
                    transaction::execute(caller, tools, registered, args, epoch)
                }
                _ => script::execute(caller, tools, registered, args, epoch),
            };
            if done || refused_while_busy(caller, tools, registered, args) {
                return Flow::Done;
            }
            continue;
        }
        let set = caller.lock_set(registered, args);
        let Some(mut writing) = begin_write(caller.node, set, Right::Admitted(epoch)) else {
            if refused_while_busy(caller, tools, registered, args) {
                return Flow::Done;
            }
            continue;
        };
        if !caller.covers_moves(set) {
            continue;
        }
        call_locked(caller, tools, &mut writing, registered, args);
        caller.note_offset(tools.client, set);
        tools.take_pushes();
        drop(writing);
        #[cfg(test)]
        interleave::run();
        if !tools.effects.met_expired.is_empty() {
            sweep::remove_met(caller, tools);
            tools.take_pushes();
        }
        return Flow::Done;
    }
}

/// Deals with a command that did not get its locks because a script holds them for long: one that
/// may be sent meanwhile is refused after all, or ends the process. What the master sent waits.
#[cold]
fn refused_while_busy(
    caller: &Caller<'_>,
    tools: &mut Tools<'_>,
    registered: &Registered,
    args: &Args<'_>,
) -> bool {
    let Some(busy) = caller.node.scripts.busy() else { return false };
    if tools.client.master.is_some() {
        caller.node.clock.sleep_ms(1);
        return false;
    }
    let unsaved = || args.from(1).any(|arg| arg.eq_ignore_ascii_case(b"NOSAVE"));
    if registered.name == "shutdown" && unsaved() {
        caller.node.host().end_at_once();
    }
    let failure = Failure::Other(busy.kind.busy_text().into());
    call::refuse(caller, tools, Some(registered), args.len(), &failure);
    true
}

/// Runs a command under its locks, and applies its effects.
#[inline]
fn call_locked<'e>(
    caller: &mut Caller<'e>,
    tools: &mut Tools<'_>,
    writing: &mut Writing<'_>,
    registered: &'e Registered,
    args: &Args<'_>,
) {
    writing.begin(tools.effects, Terms::of(&caller.settings));
    let start = tools.output.bookmark();
    call::run(caller, tools, writing.locked(), registered, args);
    if tools.client.replied.is_some() {
        publish_before_reply(caller, tools, start);
    }
    caller.settle(tools.effects);
    if tools.effects.any_ready() {
        caller.server(tools.client).serve_ready(writing, tools.effects);
    }
}

/// Publishes the events that a command raised before it replied, so that their messages precede its
/// reply so far.
#[cold]
fn publish_before_reply(caller: &Caller<'_>, tools: &mut Tools<'_>, start: Bookmark) {
    let Some(replied) = &mut tools.client.replied else { return };
    let later = tools.effects.told.split_off(replied.events);
    write::tell(caller.node, tools.effects);
    tools.effects.told = later;
    let handle = &tools.client.handle;
    if tools.client.reply_mode != ReplyMode::On {
        // There is no reply left for them to precede.
        tools.client.replied = None;
    } else if handle.has_pushes() {
        let pushes = handle.take_pushes();
        tools.output.insert(start, &pushes);
        replied.reply_end = replied.reply_end.later_by(&pushes);
    }
}

/// Whether this is a line of HTTP: a web page may make the browser of someone with access to the
/// server send commands in a request's body.
fn is_cross_protocol(args: &Args<'_>) -> bool {
    args.is(0, "POST") || args.is(0, "Host:")
}

/// Redis's error for an unknown command, with the start of its arguments.
fn unknown_command(args: &Args<'_>) -> Failure {
    fn until_nul_within(bytes: &[u8], max: usize) -> &[u8] {
        until_nul(&bytes[..bytes.len().min(max)])
    }
    let mut shown = Vec::new();
    for arg in args.from(1) {
        if shown.len() >= 128 {
            break;
        }
        let room = 128 - shown.len();
        shown.push(b'\'');
        shown.extend_from_slice(until_nul_within(arg, room));
        shown.extend_from_slice(b"' ");
    }
    let name = until_nul_within(args.at(0), 128);
    let text = [b"ERR unknown command '", name, b"', with args beginning with: ", &shown];
    Failure::Bytes(text.concat())
}

/// What tests have happen between a command's unlock and its reply.
#[cfg(test)]
pub(super) mod interleave {
    use std::cell::RefCell;

    thread_local! {
        static ACT: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    }

    /// Has this thread call `act` after its next command's unlock.
    pub(crate) fn at_next_unlock(act: impl FnOnce() + 'static) {
        ACT.set(Some(Box::new(act)));
    }

    pub(super) fn run() {
        if let Some(act) = ACT.take() {
            act();
        }
    }
}
