//! CLIENT: inspects and controls connections.

mod kill;
mod listing;
mod tracking;

use super::command::{Group::Connection, Locks, NO_KEYS, at_least, command, container, exactly};
use super::connection::{is_printable, set_name};
use super::{Args, Command, Context, Failure, Flag::*, Handled};
use crate::node::client::{Handle, ReplyMode};
use crate::number::parse_i64;
use crate::text::until_nul;

pub(super) use listing::info_of;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[container("CLIENT", SUBCOMMANDS, Connection)
    .docs("2.4.0", "Depends on the subcommand", "", "Tells of connections and steers them.")];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    command("CACHING", tracking::caching, exactly(3), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("6.0.0", "O(1)", "<YES | NO>", "Has the next command's keys be tracked, or not."),
    command("GETNAME", getname, exactly(2), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("2.6.9", "O(1)", "", "Gives the connection's name."),
    command("GETREDIR", tracking::getredir, exactly(2), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("6.0.0", "O(1)", "", "Gives the number of the connection that is told of changed keys in this one's place."),
    command("HELP", help, exactly(2), &[Loading, Stale], NO_KEYS, Connection)
        .docs("5.0.0", "O(1)", "", "Tells of the subcommands."),
    command("ID", id, exactly(2), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("5.0.0", "O(1)", "", "Gives the connection's number, which no other ever had."),
    command("INFO", listing::info, exactly(2), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .tips(&["nondeterministic_output"])
        .docs("6.2.0", "O(1)", "", "Tells of this connection."),
    command("KILL", kill::kill, at_least(3), &[Admin, NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("2.4.0", "O(N) in the number of connections", "<ip:port | <[ID client-id] [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] [USER username] [ADDR ip:port] [LADDR ip:port] [SKIPME yes/no]>>", "Ends connections."),
    command("LIST", listing::list, at_least(2), &[Admin, NoScript, Loading, Stale], NO_KEYS, Connection)
        .tips(&["nondeterministic_output"])
        .docs("2.4.0", "O(N) in the number of connections", "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]", "Tells of all connections, or of some."),
    command("NO-EVICT", no_evict, exactly(3), &[Admin, NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("7.0.0", "O(1)", "<ON | OFF>", "Keeps the connection when others are closed to save memory."),
    command("NO-TOUCH", no_touch, exactly(3), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("7.2.0", "O(1)", "<ON | OFF>", "Has the connection's commands not count as accesses of their keys."),
    command("PAUSE", pause, at_least(3), &[Admin, NoScript, Loading, Stale], NO_KEYS, Connection)
        .locking(Locks::All)
        .docs("2.9.50", "O(1)", "timeout [WRITE | ALL]", "Holds back commands for some milliseconds: all, or those that write."),
    command("REPLY", reply, exactly(3), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("3.2.0", "O(1)", "<ON | OFF | SKIP>", "Has the connection get replies, none, or not the next one."),
    command("SETINFO", setinfo, exactly(4), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("7.2.0", "O(1)", "<LIB-NAME libname | LIB-VER libver>", "Says which library the client uses."),
    command("SETNAME", setname, exactly(3), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("2.6.9", "O(1)", "connection-name", "Names the connection."),
    command("TRACKING", tracking::tracking, at_least(3), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("6.0.0", "O(1), and O(N) in the number of the connection's prefixes", "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]", "Has the connection be told when keys change that it may have in a cache."),
    command("TRACKINGINFO", tracking::trackinginfo, exactly(2), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("6.2.0", "O(1)", "", "Tells how the connection tracks keys."),
    command("UNBLOCK", unblock, at_least(3), &[Admin, NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("5.0.0", "O(1)", "client-id [TIMEOUT | ERROR]", "Ends the wait of a client that waits in a command."),
    command("UNPAUSE", unpause, exactly(2), &[Admin, NoScript, Loading, Stale], NO_KEYS, Connection)
        .locking(Locks::All)
        .docs("6.2.0", "O(N) in the number of clients held back", "", "Ends a pause."),
];

const HELP: &[&str] = &[
    "CACHING (YES|NO)",
    "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made from the specified address",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made to specified local address",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Kill connections by type.",
    "    * USER <username>",
    "      Kill connections authenticated by <username>.",
    "    * SKIPME (YES|NO)",
    "      Skip killing current connection (default: yes).",
    "LIST [options ...]",
    "    Return information about client connections. Options:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Return clients of specified type.",
    "UNPAUSE",
    "    Stop the current client pause, resuming traffic.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Control server assisted client side caching.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
];

/// True for the word `yes`, false for `no`; any other argument is an error.
fn yes_or_no(arg: &[u8], yes: &str, no: &str) -> Result<bool, Failure> {
    if arg.eq_ignore_ascii_case(yes.as_bytes()) {
        Ok(true)
    } else if arg.eq_ignore_ascii_case(no.as_bytes()) {
        Ok(false)
    } else {
        Err(Failure::Syntax)
    }
}

fn id(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.reply.integer(ctx.client.handle.origin.id.cast_signed());
    Ok(())
}

fn getname(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let shown = ctx.client.handle.shown.lock();
    if shown.name.is_empty() {
        ctx.reply.null();
    } else {
        ctx.reply.bulk(&shown.name);
    }
    Ok(())
}

fn setname(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    set_name(ctx.client, args.at(2))?;
    ctx.reply.ok();
    Ok(())
}

fn setinfo(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (attribute, value) = (args.at(2), args.at(3));
    let (is_name, is_version) = (args.is(2, "LIB-NAME"), args.is(2, "LIB-VER"));
    if !is_name && !is_version {
        return Err(Failure::Bytes(
            [b"ERR Unrecognized option '", until_nul(attribute), b"'"].concat(),
        ));
    }
    if !is_printable(value) {
        let reason = b" cannot contain spaces, newlines or special characters.";
        return Err(Failure::Bytes([b"ERR ", attribute, reason].concat()));
    }
    let mut shown = ctx.client.handle.shown.lock();
    let field = if is_name { &mut shown.library_name } else { &mut shown.library_version };
    *field = value.to_vec();
    ctx.reply.ok();
    Ok(())
}

fn pause(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let all = match args.get(3) {
        _ if args.len() > 4 => return Err(wrong_arity(args)),
        None => true,
        Some(mode) => yes_or_no(mode, "ALL", "WRITE")
            .map_err(|_| Failure::err("CLIENT PAUSE mode must be WRITE or ALL"))?,
    };
    let timeout = parse_i64(args.at(2));
    let timeout_ms =
        timeout.ok_or_else(|| Failure::err("timeout is not an integer or out of range"))?;
    if timeout_ms < 0 {
        return Err(Failure::err("timeout is negative"));
    }
    let now_ms = ctx.node.clock.unix_ms();
    let until_ms = now_ms.checked_add(timeout_ms);
    let until_ms = until_ms.ok_or_else(|| Failure::err("timeout is out of range"))?;
    ctx.node.admission.pause(&ctx.keys.locked, all, until_ms, now_ms);
    ctx.reply.ok();
    Ok(())
}

fn unpause(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.node.admission.unpause(&ctx.keys.locked);
    ctx.reply.ok();
    Ok(())
}

/// Sends no reply to this command itself, unless it is ON. To a monitor, lines are replies.
fn reply(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if ctx.client.monitor && (args.is(2, "ON") || args.is(2, "OFF")) {
        ctx.node.monitors.remove(ctx.client.handle.origin.id);
        if args.is(2, "ON") {
            ctx.node.monitors.add(&ctx.client.handle);
        }
    }
    if args.is(2, "ON") {
        ctx.client.reply_mode = ReplyMode::On;
        ctx.reply.ok();
    } else if args.is(2, "OFF") {
        ctx.client.reply_mode = ReplyMode::Off;
    } else if args.is(2, "SKIP") {
        if ctx.client.reply_mode != ReplyMode::Off {
            ctx.client.reply_mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(Failure::Syntax);
    }
    Ok(())
}

fn no_evict(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let on = yes_or_no(args.at(2), "ON", "OFF")?;
    ctx.client.handle.shown.lock().no_evict = on;
    ctx.reply.ok();
    Ok(())
}

fn no_touch(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.client.no_touch = yes_or_no(args.at(2), "ON", "OFF")?;
    ctx.client.unpublished = true;
    ctx.reply.ok();
    Ok(())
}

fn unblock(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let error = match args.get(3) {
        _ if args.len() > 4 => return Err(wrong_arity(args)),
        None => false,
        Some(reason) => !yes_or_no(reason, "TIMEOUT", "ERROR")
            .map_err(|_| Failure::err("CLIENT UNBLOCK reason should be TIMEOUT or ERROR"))?,
    };
    let id = Context::integer(args.at(2))?;
    let handle = u64::try_from(id).ok().and_then(|id| ctx.node.clients.get(id));
    let waits =
        |handle: &Handle| handle.claim_key_wait().unwrap_or_else(|| handle.shown.lock().waiting);
    let waiting = handle.filter(|handle| waits(handle));
    if let Some(handle) = &waiting {
        handle.unblock(error);
    }
    ctx.reply.integer(waiting.is_some().into());
    Ok(())
}

fn wrong_arity(args: &Args<'_>) -> Failure {
    Failure::UnknownSubcommandOrArity { sent: args.at(1).to_vec(), container: "CLIENT" }
}

fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, HELP);
    Ok(())
}
