//! SLOWLOG: the latest slow commands.

use super::command::{Group::Server, NO_KEYS, at_least, command, container, exactly};
use super::{Args, Command, Context, Failure, Flag::*, Handled};
use crate::number::parse_i64;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[container("SLOWLOG", SUBCOMMANDS, Server)
    .docs("2.2.12", "Depends on the subcommand", "", "Shows and empties the log of slow commands.")];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    command("GET", get, at_least(2), &[Admin, Loading, Stale], NO_KEYS, Server)
        .tips(&["request_policy:all_nodes", "nondeterministic_output"])
        .docs("2.2.12", "O(N) in the number of entries", "[count]", "Gives the newest entries: ten, or as many as asked for; -1: all."),
    command("HELP", help, exactly(2), &[Loading, Stale], NO_KEYS, Server)
        .docs("6.2.0", "O(1)", "", "Tells of the subcommands."),
    command("LEN", len, exactly(2), &[Admin, Loading, Stale], NO_KEYS, Server)
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"])
        .docs("2.2.12", "O(1)", "", "Counts the entries."),
    command("RESET", reset, exactly(2), &[Admin, Loading, Stale], NO_KEYS, Server)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("2.2.12", "O(N) in the number of entries", "", "Empties the log."),
];

const HELP: &[&str] = &[
    "GET [<count>]",
    "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
    "    Entries are made of:",
    "    id, timestamp, time in microseconds, arguments array, client IP and port,",
    "    client name",
    "LEN",
    "    Return the length of the slowlog.",
    "RESET",
    "    Reset the slowlog.",
];

/// Default number of entries for GET.
const COUNT: i64 = 10;

fn get(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if args.len() > 3 {
        return Err(Failure::UnknownSubcommandOrArity {
            sent: args.at(1).to_vec(),
            container: "SLOWLOG",
        });
    }
    let count = args.get(2).map_or(Some(COUNT), parse_i64).filter(|&count| count >= -1);
    let count = count.ok_or_else(|| Failure::err("count should be greater than or equal to -1"))?;
    let entries = ctx.node.slowlog.newest(usize::try_from(count).unwrap_or(usize::MAX));
    ctx.reply.array(entries.len());
    for entry in entries {
        ctx.reply.array(6);
        ctx.reply.integer(entry.id.cast_signed());
        ctx.reply.integer(entry.at_s);
        ctx.reply.integer(entry.duration_us.cast_signed());
        ctx.reply.array(entry.args.len());
        entry.args.iter().for_each(|arg| ctx.reply.bulk(arg));
        ctx.reply.bulk(entry.address.as_bytes());
        ctx.reply.bulk(&entry.client_name);
    }
    Ok(())
}

fn len(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.reply.count(ctx.node.slowlog.len());
    Ok(())
}

fn reset(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.node.slowlog.clear();
    ctx.reply.ok();
    Ok(())
}

fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, HELP);
    Ok(())
}
