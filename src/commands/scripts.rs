//! Scripts and functions. The engine implements EVAL and FCALL: they run commands.

use std::sync::atomic::Ordering;

use super::command::{
    EngineCommand, Group::Scripting, NO_KEYS, Source, at_least, command, container, exactly,
    numbered_keys,
};
use super::{
    Args, Command, Context, Failure, Flag::*, Handled, KeyFlag, KeyFlag::Access, KeyFlag::Ro,
    KeyFlag::Rw, KeyFlag::Update, Locks,
};
use crate::glob;
use crate::node::host::Clock;
use crate::node::scripts::{DebugMode, Kind, Scripts, Unkillable, log_from_script};
use crate::rdb;
use crate::scripting::{
    ENGINE, Interpreters, Library, Loader, LogLevel, Registered, RestorePolicy, parse_sha,
};

/// Time in which the code of a library must have registered its functions.
const LOAD_NANOS_MAX: u64 = 500_000_000;

const CHANGES: &[KeyFlag] = &[Rw, Access, Update];
const READS: &[KeyFlag] = &[Ro, Access];
const UNKNOWN_USE: &str =
    "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE";
const UNKNOWN_READ: &str =
    "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS";

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("EVAL", unreachable, at_least(3), &[NoScript, Stale, SkipMonitor, MayReplicate, NoMandatoryKeys, MovableKeys], numbered_keys(CHANGES, 2).note(UNKNOWN_USE), Scripting)
        .by_engine(EngineCommand::Script(Source::Text))
        .docs("2.6.0", "That of the script", "script numkeys [key ...] [arg ...]", "Runs a Lua script."),
    command("EVALSHA", unreachable, at_least(3), &[NoScript, Stale, SkipMonitor, MayReplicate, NoMandatoryKeys, MovableKeys], numbered_keys(CHANGES, 2), Scripting)
        .by_engine(EngineCommand::Script(Source::Digest))
        .docs("2.6.0", "That of the script", "sha1 numkeys [key ...] [arg ...]", "Runs a Lua script that the server knows by its digest."),
    command("EVALSHA_RO", unreachable, at_least(3), &[ReadOnly, NoScript, Stale, SkipMonitor, NoMandatoryKeys, MovableKeys], numbered_keys(READS, 2), Scripting)
        .by_engine(EngineCommand::Script(Source::Digest))
        .docs("7.0.0", "That of the script", "sha1 numkeys [key ...] [arg ...]", "Runs a Lua script that the server knows by its digest, and that only reads."),
    command("EVAL_RO", unreachable, at_least(3), &[ReadOnly, NoScript, Stale, SkipMonitor, NoMandatoryKeys, MovableKeys], numbered_keys(READS, 2).note(UNKNOWN_READ), Scripting)
        .by_engine(EngineCommand::Script(Source::Text))
        .docs("7.0.0", "That of the script", "script numkeys [key ...] [arg ...]", "Runs a Lua script that only reads."),
    command("FCALL", unreachable, at_least(3), &[NoScript, Stale, SkipMonitor, MayReplicate, NoMandatoryKeys, MovableKeys], numbered_keys(CHANGES, 2).note(UNKNOWN_USE), Scripting)
        .by_engine(EngineCommand::Script(Source::Function))
        .docs("7.0.0", "That of the function", "function numkeys [key ...] [arg ...]", "Calls a function of a library."),
    command("FCALL_RO", unreachable, at_least(3), &[ReadOnly, NoScript, Stale, SkipMonitor, NoMandatoryKeys, MovableKeys], numbered_keys(READS, 2).note(UNKNOWN_READ), Scripting)
        .by_engine(EngineCommand::Script(Source::Function))
        .docs("7.0.0", "That of the function", "function numkeys [key ...] [arg ...]", "Calls a function of a library that only reads."),
    container("FUNCTION", FUNCTION, Scripting)
        .docs("7.0.0", "Depends on the subcommand", "", "Loads, shows and removes libraries of functions."),
    container("SCRIPT", SCRIPT, Scripting)
        .docs("2.6.0", "Depends on the subcommand", "", "Loads, shows and removes scripts."),
];

#[rustfmt::skip]
const FUNCTION: &[Command] = &[
    command("DELETE", unreachable, exactly(3), &[Write, NoScript], NO_KEYS, Scripting)
        .with_scripts(function_delete).locking(Locks::All)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs("7.0.0", "O(1)", "library-name", "Removes a library and its functions."),
    command("DUMP", unreachable, exactly(2), &[NoScript], NO_KEYS, Scripting)
        .with_scripts(function_dump)
        .docs("7.0.0", "O(N) in the number of functions", "", "Gives all libraries as a payload for FUNCTION RESTORE."),
    command("FLUSH", unreachable, at_least(2), &[Write, NoScript], NO_KEYS, Scripting)
        .with_scripts(function_flush).locking(Locks::All)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs("7.0.0", "O(N) in the number of functions", "[ASYNC | SYNC]", "Removes all libraries."),
    command("HELP", function_help, exactly(2), &[Loading, Stale], NO_KEYS, Scripting)
        .docs("7.0.0", "O(1)", "", "Tells of the subcommands."),
    command("KILL", function_kill, exactly(2), &[NoScript, AllowBusy], NO_KEYS, Scripting)
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
        .docs("7.0.0", "O(1)", "", "Ends a function that runs for long and has written nothing."),
    command("LIST", unreachable, at_least(2), &[NoScript], NO_KEYS, Scripting)
        .with_scripts(function_list)
        .tips(&["nondeterministic_output_order"])
        .docs("7.0.0", "O(N) in the number of functions", "[LIBRARYNAME library-name-pattern] [WITHCODE]", "Shows libraries and their functions."),
    command("LOAD", unreachable, at_least(3), &[Write, DenyOom, NoScript], NO_KEYS, Scripting)
        .with_scripts(function_load).locking(Locks::All)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs("7.0.0", "O(1) besides the code's own work", "[REPLACE] function-code", "Makes a library from its code."),
    command("RESTORE", unreachable, at_least(3), &[Write, DenyOom, NoScript], NO_KEYS, Scripting)
        .with_scripts(function_restore).locking(Locks::All)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs("7.0.0", "O(N) in the number of functions", "serialized-value [FLUSH | APPEND | REPLACE]", "Makes libraries from a payload of FUNCTION DUMP."),
    command("STATS", function_stats, exactly(2), &[NoScript, AllowBusy], NO_KEYS, Scripting)
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .docs("7.0.0", "O(1)", "", "Shows the function that runs for long, and figures of the engine."),
];

#[rustfmt::skip]
const SCRIPT: &[Command] = &[
    command("DEBUG", script_debug, exactly(3), &[NoScript], NO_KEYS, Scripting)
        .docs("3.2.0", "O(1)", "<YES | SYNC | NO>", "Has the connection's scripts run in the debugger."),
    command("EXISTS", unreachable, at_least(3), &[NoScript], NO_KEYS, Scripting)
        .with_scripts(script_exists)
        .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"])
        .docs("2.6.0", "O(N) in the number of digests", "sha1 [sha1 ...]", "Tells which scripts the server knows."),
    command("FLUSH", unreachable, at_least(2), &[NoScript], NO_KEYS, Scripting)
        .with_scripts(script_flush)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("2.6.0", "O(N) in the number of scripts", "[ASYNC | SYNC]", "Forgets all scripts."),
    command("HELP", script_help, exactly(2), &[Loading, Stale], NO_KEYS, Scripting)
        .docs("5.0.0", "O(1)", "", "Tells of the subcommands."),
    command("KILL", script_kill, exactly(2), &[NoScript, AllowBusy], NO_KEYS, Scripting)
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
        .docs("2.6.0", "O(1)", "", "Ends a script that runs for long and has written nothing."),
    command("LOAD", unreachable, exactly(3), &[NoScript, Stale], NO_KEYS, Scripting)
        .with_scripts(script_load)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("2.6.0", "O(N) in the script's length in bytes", "script", "Compiles a script, to be run by its digest."),
];

const FUNCTION_HELP: &[&str] = &[
    "LOAD [REPLACE] <FUNCTION CODE>",
    "    Make a library from its code; with REPLACE, in place of one of that name.",
    "DELETE <LIBRARY NAME>",
    "    Remove a library.",
    "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
    "    Show all libraries, or those whose name matches, and their functions;",
    "    with WITHCODE, their code as well.",
    "STATS",
    "    Show the function that runs for long, and figures of the engine.",
    "KILL",
    "    End the function that runs for long, if it has written nothing.",
    "FLUSH [ASYNC|SYNC]",
    "    Remove all libraries. Either way the memory is freed at once.",
    "DUMP",
    "    All libraries as a payload for FUNCTION RESTORE.",
    "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
    "    Make libraries from a payload. FLUSH removes all others before, REPLACE those of",
    "    the same names; APPEND, the default, fails if there are such.",
];

const SCRIPT_HELP: &[&str] = &[
    "DEBUG (YES|SYNC|NO)",
    "    Have EVAL run scripts in the debugger: in a process of its own, whose changes are",
    "    lost, or while all others wait.",
    "EXISTS <sha1> [<sha1> ...]",
    "    For each digest, whether the server knows the script.",
    "FLUSH [ASYNC|SYNC]",
    "    Forget all scripts. Either way the memory is freed at once.",
    "KILL",
    "    End the script that runs for long, if it has written nothing.",
    "LOAD <script>",
    "    Compile a script, to be run by its digest.",
];

/// Stands where the engine or another kind of handler runs the command.
fn unreachable(_ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    unreachable!("the row names another handler")
}

fn script_help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, SCRIPT_HELP);
    Ok(())
}

fn function_help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, FUNCTION_HELP);
    Ok(())
}

fn both(scripts: &mut Scripts) -> Result<&mut Interpreters, Failure> {
    scripts.interpreters().map_err(Failure::err)
}

fn script_debug(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    // The session speaks past what has not been sent.
    if ctx.reply.len() > 0 || ctx.client.handle.output_bytes.load(Ordering::Relaxed) > 0 {
        return Err(Failure::err("SCRIPT DEBUG must be called outside a pipeline"));
    }
    ctx.client.debugs = match args.at(2).to_ascii_lowercase().as_slice() {
        b"no" => None,
        b"yes" => Some(DebugMode::Forked),
        b"sync" => Some(DebugMode::Sync),
        _ => return Err(Failure::err("Use SCRIPT DEBUG YES/SYNC/NO")),
    };
    ctx.reply.ok();
    Ok(())
}

fn script_load(ctx: &mut Context<'_>, scripts: &mut Scripts, args: &Args<'_>) -> Handled {
    let loaded = &mut both(scripts)?.scripts;
    let id = loaded.load(args.at(2)).map_err(Failure::Bytes)?;
    let sha = *loaded.script(id).sha();
    ctx.node.scripts.show_figures(scripts);
    ctx.reply.bulk(&sha);
    Ok(())
}

fn script_exists(ctx: &mut Context<'_>, scripts: &mut Scripts, args: &Args<'_>) -> Handled {
    let known = &both(scripts)?.scripts;
    ctx.reply.array(args.len() - 2);
    for name in args.from(2) {
        let is_known = parse_sha(name).is_some_and(|sha| known.find(&sha).is_some());
        ctx.reply.integer(is_known.into());
    }
    Ok(())
}

/// Checks the optional word of FLUSH.
fn check_flush(args: &Args<'_>, text: &'static str) -> Handled {
    match args.len() {
        2 => Ok(()),
        3 if args.is(2, "SYNC") || args.is(2, "ASYNC") => Ok(()),
        _ => Err(Failure::err(text)),
    }
}

fn script_flush(ctx: &mut Context<'_>, scripts: &mut Scripts, args: &Args<'_>) -> Handled {
    check_flush(args, "SCRIPT FLUSH only support SYNC|ASYNC option")?;
    scripts.flush().map_err(Failure::err)?;
    ctx.node.scripts.show_figures(scripts);
    ctx.reply.ok();
    Ok(())
}

fn script_kill(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    kill(ctx, Kind::Script)
}

fn function_kill(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    kill(ctx, Kind::Function)
}

fn kill(ctx: &mut Context<'_>, kind: Kind) -> Handled {
    let text = match ctx.node.scripts.kill(kind) {
        Ok(()) => {
            ctx.reply.ok();
            return Ok(());
        }
        Err(Unkillable::NoneRuns) => "NOTBUSY No scripts in execution right now.",
        Err(Unkillable::FromMaster) => {
            "UNKILLABLE The busy script was sent by a master instance in the context of \
             replication and cannot be killed."
        }
        Err(Unkillable::HasWritten) => {
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You \
             can either wait the script termination or kill the server in a hard way using the \
             SHUTDOWN NOSAVE command."
        }
        Err(Unkillable::Other(kind)) => kind.busy_text(),
    };
    Err(Failure::Other(text.into()))
}

/// Bounds the time in which a library's code may run.
struct Bounded<'c> {
    clock: &'c dyn Clock,
    /// `None`: a master has loaded it before.
    deadline_nanos: Option<u64>,
}

impl<'c> Bounded<'c> {
    fn new(ctx: &Context<'c>) -> Self {
        let clock = &*ctx.node.clock;
        let bounded = ctx.client.master.is_none();
        Self { clock, deadline_nanos: bounded.then(|| clock.nanos() + LOAD_NANOS_MAX) }
    }
}

impl Loader for Bounded<'_> {
    fn expired(&mut self) -> bool {
        self.deadline_nanos.is_some_and(|deadline| self.clock.nanos() > deadline)
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        log_from_script(level, text);
    }
}

/// An error of the libraries, whose text has no code.
fn failed(text: Vec<u8>) -> Failure {
    Failure::Bytes([b"ERR ", &text[..]].concat())
}

/// Records a change of the libraries.
fn changed(ctx: &mut Context<'_>, scripts: &Scripts) {
    ctx.node.scripts.show_libraries(scripts);
    ctx.keys.changed_no_key();
}

fn function_load(ctx: &mut Context<'_>, scripts: &mut Scripts, args: &Args<'_>) -> Handled {
    let mut replace = false;
    for (index, option) in args.from(2).enumerate().take(args.len() - 3) {
        if !option.eq_ignore_ascii_case(b"REPLACE") {
            return Err(failed([b"Unknown option given: ", args.at(index + 2)].concat()));
        }
        replace = true;
    }
    let code = args.at(args.len() - 1);
    let name =
        both(scripts)?.libraries.load(code, replace, &mut Bounded::new(ctx)).map_err(failed)?;
    changed(ctx, scripts);
    ctx.reply.bulk(name.as_bytes());
    Ok(())
}

fn function_delete(ctx: &mut Context<'_>, scripts: &mut Scripts, args: &Args<'_>) -> Handled {
    if !both(scripts)?.libraries.delete(args.at(2)) {
        return Err(Failure::err("Library not found"));
    }
    changed(ctx, scripts);
    ctx.reply.ok();
    Ok(())
}

fn function_flush(ctx: &mut Context<'_>, scripts: &mut Scripts, args: &Args<'_>) -> Handled {
    if args.len() > 3 {
        let sent = args.at(1).to_vec();
        return Err(Failure::UnknownSubcommandOrArity { sent, container: "FUNCTION" });
    }
    check_flush(args, "FUNCTION FLUSH only supports SYNC|ASYNC option")?;
    both(scripts)?.libraries.flush().map_err(Failure::err)?;
    changed(ctx, scripts);
    ctx.reply.ok();
    Ok(())
}

fn function_dump(ctx: &mut Context<'_>, scripts: &mut Scripts, _args: &Args<'_>) -> Handled {
    let codes = both(scripts)?.libraries.iter().map(Library::code);
    ctx.reply.bulk(&rdb::dump_libraries(codes));
    Ok(())
}

fn function_restore(ctx: &mut Context<'_>, scripts: &mut Scripts, args: &Args<'_>) -> Handled {
    let policy = match args.get(3).map(<[u8]>::to_ascii_lowercase).as_deref() {
        _ if args.len() > 4 => {
            let sent = args.at(1).to_vec();
            return Err(Failure::UnknownSubcommandOrArity { sent, container: "FUNCTION" });
        }
        None | Some(b"append") => RestorePolicy::Append,
        Some(b"replace") => RestorePolicy::Replace,
        Some(b"flush") => RestorePolicy::Flush,
        Some(_) => {
            return Err(Failure::err(
                "Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    };
    let codes = rdb::restore_libraries(args.at(2)).map_err(|error| {
        if error.is_payload_footer() {
            Failure::BadPayload
        } else {
            Failure::err(error.function_text())
        }
    })?;
    let codes = codes.iter().map(Vec::as_slice);
    both(scripts)?.libraries.restore(codes, policy, &mut Bounded::new(ctx)).map_err(failed)?;
    changed(ctx, scripts);
    ctx.reply.ok();
    Ok(())
}

fn function_list(ctx: &mut Context<'_>, scripts: &mut Scripts, args: &Args<'_>) -> Handled {
    let (mut with_code, mut pattern) = (false, None);
    let mut index = 2;
    while let Some(option) = args.get(index) {
        index += 1;
        if !with_code && option.eq_ignore_ascii_case(b"WITHCODE") {
            with_code = true;
        } else if pattern.is_none() && option.eq_ignore_ascii_case(b"LIBRARYNAME") {
            pattern = args.get(index);
            if pattern.is_none() {
                return Err(Failure::err("library name argument was not given"));
            }
            index += 1;
        } else {
            return Err(failed([b"Unknown argument ", option].concat()));
        }
    }
    let libraries: Vec<&Library> = both(scripts)?
        .libraries
        .iter()
        .filter(|library| pattern.is_none_or(|pattern| is_match(pattern, library)))
        .collect();
    ctx.reply.array(libraries.len());
    for library in libraries {
        ctx.reply.map(if with_code { 4 } else { 3 });
        ctx.reply.bulk(b"library_name");
        ctx.reply.bulk(library.name().as_bytes());
        ctx.reply.bulk(b"engine");
        ctx.reply.bulk(ENGINE.as_bytes());
        ctx.reply.bulk(b"functions");
        ctx.reply.array(library.functions().len());
        library.functions().iter().for_each(|function| reply_function(ctx, function));
        if with_code {
            ctx.reply.bulk(b"library_code");
            ctx.reply.bulk(library.code());
        }
    }
    Ok(())
}

fn is_match(pattern: &[u8], library: &Library) -> bool {
    glob::matches_any_case(pattern, library.name().as_bytes())
}

fn reply_function(ctx: &mut Context<'_>, function: &Registered) {
    ctx.reply.map(3);
    ctx.reply.bulk(b"name");
    ctx.reply.bulk(function.name().as_bytes());
    ctx.reply.bulk(b"description");
    match function.description() {
        Some(description) => ctx.reply.bulk(description),
        None => ctx.reply.null(),
    }
    ctx.reply.bulk(b"flags");
    ctx.reply.set(function.flags().names().count());
    function.flags().names().for_each(|name| ctx.reply.simple(name));
}

fn function_stats(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let gate = &ctx.node.scripts;
    let busy = gate.busy();
    if let Some(busy) = busy.as_ref().filter(|busy| busy.kind == Kind::Script) {
        return Err(Failure::Other(busy.kind.busy_text().into()));
    }
    ctx.reply.map(2);
    ctx.reply.bulk(b"running_script");
    match busy {
        None => ctx.reply.null(),
        Some(busy) => {
            ctx.reply.map(3);
            ctx.reply.bulk(b"name");
            ctx.reply.bulk(busy.name.as_bytes());
            ctx.reply.bulk(b"command");
            ctx.reply.array(busy.command.len());
            busy.command.iter().for_each(|arg| ctx.reply.bulk(arg));
            ctx.reply.bulk(b"duration_ms");
            let nanos = ctx.node.clock.nanos().saturating_sub(busy.began_nanos);
            ctx.reply.count(usize::try_from(nanos / 1_000_000).unwrap_or(usize::MAX));
        }
    }
    ctx.reply.bulk(b"engines");
    ctx.reply.map(1);
    ctx.reply.bulk(ENGINE.as_bytes());
    ctx.reply.map(2);
    ctx.reply.bulk(b"libraries_count");
    ctx.reply.count(gate.figures.libraries.load(Ordering::Relaxed));
    ctx.reply.bulk(b"functions_count");
    ctx.reply.count(gate.figures.functions.load(Ordering::Relaxed));
    Ok(())
}
