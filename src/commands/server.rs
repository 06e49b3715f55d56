//! Commands on the server and on whole databases.

use super::command::{Group::Server, Locks, NO_KEYS, at_least, command, exactly};
use super::{Args, Category, Command, Context, Failure, Flag::*, Handled};
use crate::keyspace::EntryRef;
use crate::node::client::{Waiting, WaitsFor};
use crate::node::host::{BackgroundSave, FileRewrite, Shutdown};
use crate::node::shutdown::Begun;

pub(super) const COMMANDS: &[Command] = &[
    command("SAVE", save, exactly(1), &[Admin, NoScript, NoAsyncLoading, NoMulti], NO_KEYS, Server)
        .locking(Locks::All)
        .docs(
            "1.0.0",
            "O(N) in the number of keys",
            "",
            "Saves the data set to disk, holding everything meanwhile.",
        ),
    command("BGSAVE", bgsave, at_least(1), &[Admin, NoScript, NoAsyncLoading], NO_KEYS, Server)
        .locking(Locks::All)
        .docs(
            "1.0.0",
            "O(1)",
            "[SCHEDULE]",
            "Saves the data set of this instant to disk in the background.",
        ),
    command(
        "BGREWRITEAOF",
        bgrewriteaof,
        exactly(1),
        &[Admin, NoScript, NoAsyncLoading],
        NO_KEYS,
        Server,
    )
    .locking(Locks::All)
    .docs("1.0.0", "O(1)", "", "Rewrites the append only file in the background."),
    command("LASTSAVE", lastsave, exactly(1), &[Loading, Stale, Fast], NO_KEYS, Server)
        .categories(&[Category::Admin, Category::Dangerous])
        .tips(&["nondeterministic_output"])
        .docs("1.0.0", "O(1)", "", "Tells when the data set was last saved, as Unix time."),
    command(
        "SHUTDOWN",
        shutdown,
        at_least(1),
        &[Admin, NoScript, Loading, Stale, NoMulti, AllowBusy],
        NO_KEYS,
        Server,
    )
    .locking(Locks::All)
    .docs(
        "1.0.0",
        "O(N) when saving, in the number of keys",
        "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
        "Saves if that is due, and ends the server.",
    ),
    command("TIME", time, exactly(1), &[Loading, Stale, Fast], NO_KEYS, Server)
        .tips(&["nondeterministic_output"])
        .docs("2.6.0", "O(1)", "", "Tells the server's time in seconds and microseconds."),
    command("FLUSHDB", flushdb, at_least(1), &[Write], NO_KEYS, Server)
        .locking(Locks::All)
        .categories(&[Category::Keyspace, Category::Dangerous])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs(
            "1.0.0",
            "O(N) in the number of keys",
            "[ASYNC | SYNC]",
            "Removes all the keys of the selected database.",
        ),
    command("FLUSHALL", flushall, at_least(1), &[Write], NO_KEYS, Server)
        .locking(Locks::All)
        .categories(&[Category::Keyspace, Category::Dangerous])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs(
            "1.0.0",
            "O(N) in the number of keys",
            "[ASYNC | SYNC]",
            "Removes all the keys of all databases.",
        ),
    command("DBSIZE", dbsize, exactly(1), &[ReadOnly, Fast], NO_KEYS, Server)
        .categories(&[Category::Keyspace])
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"])
        .docs("1.0.0", "O(1)", "", "Counts the keys of the selected database."),
    command("SWAPDB", swapdb, exactly(3), &[Write, Fast], NO_KEYS, Server)
        .locking(Locks::All)
        .categories(&[Category::Keyspace, Category::Dangerous])
        .docs(
            "4.0.0",
            "O(N) in the number of watched keys",
            "index1 index2",
            "Exchanges the keys of two databases.",
        ),
];

fn save(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    if ctx.node.persistence.get().running_save().is_some() {
        return Err(Failure::err("Background save already in progress"));
    }
    // The reason is only logged, as in Redis.
    ctx.node.host().save(&mut ctx.keys.locked).map_err(|_| Failure::Other("ERR".into()))?;
    ctx.reply.ok();
    Ok(())
}

fn bgsave(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let schedule = match args.len() {
        1 => false,
        2 if args.is(1, "SCHEDULE") => true,
        _ => return Err(Failure::Syntax),
    };
    match ctx.node.host().background_save(&mut ctx.keys.locked) {
        BackgroundSave::Started => ctx.reply.simple("Background saving started"),
        BackgroundSave::Busy if schedule => {
            ctx.node.persistence.update(|saving| saving.scheduled = true);
            ctx.reply.simple("Background saving scheduled");
        }
        BackgroundSave::Busy if ctx.node.persistence.get().running_rewrite().is_some() => {
            return Err(Failure::err(
                "Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE \
                 in order to schedule a BGSAVE whenever possible.",
            ));
        }
        BackgroundSave::Busy => {
            return Err(Failure::err("Background save already in progress"));
        }
    }
    Ok(())
}

fn bgrewriteaof(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let within = ctx.within();
    match ctx.node.host().rewrite_file(&mut ctx.keys.locked, within) {
        FileRewrite::Started => {
            ctx.reply.simple("Background append only file rewriting started");
        }
        FileRewrite::Scheduled => {
            if let Some(file) = ctx.node.log.file() {
                file.forget_failures();
            }
            ctx.reply.simple("Background append only file rewriting scheduled");
        }
        FileRewrite::Running => {
            let text = "Background append only file rewriting already in progress";
            return Err(Failure::err(text));
        }
        FileRewrite::Failed => {
            return Err(Failure::err(
                "Can't execute an AOF background rewriting. Please check the server logs for more \
                 information.",
            ));
        }
    }
    Ok(())
}

fn lastsave(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.reply.integer(ctx.node.persistence.get().saved_ms / 1000);
    Ok(())
}

fn shutdown(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let mut how = Shutdown::default();
    let mut abort = false;
    for arg in args.from(1) {
        match arg.to_ascii_uppercase().as_slice() {
            b"NOSAVE" => how.save = Some(false),
            b"SAVE" => how.save = Some(true),
            b"NOW" => how.now = true,
            b"FORCE" => how.force = true,
            b"ABORT" => abort = true,
            _ => return Err(Failure::Syntax),
        }
    }
    let both = |word: &str| args.from(1).any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    if (abort && args.len() != 2) || (both("SAVE") && both("NOSAVE")) {
        return Err(Failure::Syntax);
    }
    if abort {
        if !ctx.node.abort_shutdown(&ctx.keys.locked) {
            return Err(Failure::err("No shutdown in progress."));
        }
        ctx.reply.ok();
        return Ok(());
    }
    let begun = ctx.node.begin_shutdown(&mut ctx.keys.locked, how);
    match begun.map_err(|_| Failure::err("Errors trying to SHUTDOWN. Check logs."))? {
        Begun::Ending => ctx.client.closing = true,
        Begun::Waiting => {
            let generation = ctx.node.replication.generation();
            let what = WaitsFor::Shutdown;
            let began_nanos = ctx.node.clock.nanos();
            ctx.client.waiting = Some(Waiting { what, deadline_ms: None, generation, began_nanos });
            // Whoever sees it counted may end its wait.
            ctx.client.publish();
            ctx.node.shutdown.add_client();
        }
    }
    Ok(())
}

fn time(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let now_us = ctx.node.clock.unix_us();
    ctx.reply.array(2);
    ctx.reply.bulk_integer(now_us / 1_000_000);
    ctx.reply.bulk_integer(now_us % 1_000_000);
    Ok(())
}

/// Checks the argument of FLUSHDB and FLUSHALL. Either way, memory is freed after the command.
fn check_flush(args: &Args<'_>) -> Handled {
    match args.len() {
        1 => Ok(()),
        2 if args.is(1, "ASYNC") || args.is(1, "SYNC") => Ok(()),
        _ => Err(Failure::Syntax),
    }
}

/// Removing or adding an expired key is no change for watchers.
fn is_alive(entry: EntryRef<'_>, now_ms: i64) -> bool {
    entry.expire_at_ms().is_none_or(|at| at >= now_ms)
}

fn flush(ctx: &mut Context<'_>, database: usize) {
    let keys = &mut ctx.keys;
    let now_ms = keys.now_ms;
    keys.locked.mark_watchers_of_database(database, &[database], |entry| is_alive(entry, now_ms));
    keys.awaited_changed(database);
    let removed = ctx.node.keyspace.len(database) as u64;
    keys.locked.flush_later(database);
    ctx.node.forget_ttl(database);
    keys.changed_much(removed);
}

fn flushdb(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    check_flush(args)?;
    flush(ctx, ctx.keys.database);
    ctx.keys.invalidate_caches(ctx.node);
    // Logged even for an empty database, which may not be empty on replicas.
    ctx.keys.log_always();
    ctx.reply.ok();
    Ok(())
}

fn flushall(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    check_flush(args)?;
    for database in 0..ctx.node.keyspace.databases() {
        flush(ctx, database);
    }
    ctx.keys.invalidate_caches(ctx.node);
    ctx.node.replication.forget_all_own_expiring();
    ctx.keys.log_always();
    // A file of the keys that were removed must not come after this.
    ctx.node.host().give_up_save();
    let has_save_points = !ctx.node.settings.load().snapshot.save.is_empty();
    if has_save_points && ctx.node.host().save(&mut ctx.keys.locked).is_ok() {
        // The file has these changes, which count once the command ends. A failure is logged by
        // the saver; the flush itself succeeds, as in Redis.
        let dirty = ctx.keys.effects.dirty;
        ctx.node.persistence.update(|saving| saving.saved_dirty += dirty);
    }
    ctx.reply.ok();
    Ok(())
}

fn dbsize(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.reply.count(ctx.node.keyspace.len(ctx.keys.database));
    Ok(())
}

fn swapdb(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let index = |at: usize, which: &str| {
        let index = crate::number::parse_i64(args.at(at)).filter(|&i| i32::try_from(i).is_ok());
        index.ok_or_else(|| Failure::err(format_args!("invalid {which} DB index")))
    };
    let (one, two) = (index(1, "first")?, index(2, "second")?);
    let databases = ctx.node.keyspace.databases();
    let within = |index: i64| {
        usize::try_from(index)
            .ok()
            .filter(|&index| index < databases)
            .ok_or_else(|| Failure::err("DB index is out of range"))
    };
    let (one, two) = (within(one)?, within(two)?);
    if one != two {
        let now_ms = ctx.keys.now_ms;
        for database in [one, two] {
            let alive = |entry: EntryRef<'_>| is_alive(entry, now_ms);
            ctx.keys.locked.mark_watchers_of_database(database, &[one, two], alive);
        }
        ctx.keys.locked.swap(one, two);
        ctx.keys.awaited_changed(one);
        ctx.keys.awaited_changed(two);
        ctx.node.swap_ttl(one, two);
    }
    ctx.keys.changed_much(1);
    ctx.reply.ok();
    Ok(())
}
