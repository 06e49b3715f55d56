//! Transactions. The engine implements EXEC: it runs commands.

use super::command::{
    EngineCommand, Group::Transactions, NO_KEYS, at_least, command, exactly, key_range,
};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag::Ro};
use crate::node::client::{Multi, Watched};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("DISCARD", discard, exactly(1), &[NoScript, Loading, Stale, Fast, AllowBusy], NO_KEYS, Transactions)
        .docs("2.0.0", "O(N) in the number of queued commands", "", "Drops the commands that were queued, and ends the transaction."),
    command("EXEC", discard, exactly(1), &[NoScript, Loading, Stale, SkipSlowlog], NO_KEYS, Transactions)
        .by_engine(EngineCommand::Exec)
        .docs("1.2.0", "That of the queued commands", "", "Runs the commands that were queued, unless a watched key changed."),
    command("MULTI", multi, exactly(1), &[NoScript, Loading, Stale, Fast, AllowBusy], NO_KEYS, Transactions)
        .docs("1.2.0", "O(1)", "", "Begins a transaction: commands are queued until EXEC."),
    command("UNWATCH", unwatch, exactly(1), &[NoScript, Loading, Stale, Fast, AllowBusy], NO_KEYS, Transactions)
        .docs("2.2.0", "O(1)", "", "Stops watching all keys."),
    command("WATCH", watch, at_least(2), &[NoScript, Loading, Stale, Fast, AllowBusy], key_range(&[Ro], 1, -1, 1), Transactions)
        .docs("2.2.0", "O(1) for each key", "key [key ...]", "Has the next EXEC run only if none of these keys changes before."),
];

fn multi(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    if ctx.client.multi.is_some() {
        return Err(Failure::err("MULTI calls can not be nested"));
    }
    ctx.client.multi = Some(Multi::default());
    ctx.client.unpublished = true;
    ctx.reply.ok();
    Ok(())
}

fn discard(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    if ctx.client.multi.take().is_none() {
        return Err(Failure::err("DISCARD without MULTI"));
    }
    ctx.client.unpublished = true;
    ctx.client.forget_watches(ctx.keys.keyspace());
    ctx.reply.ok();
    Ok(())
}

/// Within EXEC this does nothing: the watches end before the first command runs.
fn unwatch(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.client.forget_watches(ctx.keys.keyspace());
    ctx.reply.ok();
    Ok(())
}

fn watch(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if ctx.client.multi.is_some() {
        return Err(Failure::err("WATCH inside MULTI is not allowed"));
    }
    let database = ctx.keys.database;
    for index in 1..args.len() {
        let key = ctx.keys.at(args, index);
        let same = |other: &Watched| other.database == database && *other.key == *key.bytes;
        if ctx.client.watched.iter().any(same) {
            continue;
        }
        // An expired key counts as missing, whether or not it is already removed.
        let expiry = ctx.keys.locked.get(database, key).map(|entry| entry.expire_at_ms());
        let alive = expiry.is_some_and(|at| at.is_none_or(|at| !ctx.keys.is_past(at)));
        ctx.keys.locked.watch(database, key, &ctx.client.watch_mark, alive);
        let expire_at_ms = expiry.flatten().filter(|_| alive);
        let watched = Watched { database, key: key.bytes.into(), expire_at_ms };
        ctx.client.names_bytes += watched.memory_bytes();
        ctx.client.watched.push(watched);
    }
    ctx.client.unpublished = true;
    ctx.reply.ok();
    Ok(())
}
