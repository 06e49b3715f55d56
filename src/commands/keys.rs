//! Commands on keys of any type: removing, renaming, finding.

use super::command::{
    Category, Group::Generic, Locks, NO_KEYS, at_least, command, exactly, key_range, one_key,
    two_keys,
};
use super::scan::{is_alive, reply_keys};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag::*, Keys};
use crate::glob;
use crate::keyspace::{Cursor, Entry};
use crate::settings::EventClasses;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("COPY", copy, at_least(3), &[Write, DenyOom], two_keys(&[Ro, Access], &[Ow, Update]), Generic)
        .docs("6.2.0", "O(N) for collections of N items, O(1) for strings",
            "source destination [DB destination-db] [REPLACE]",
            "Copies a key's value and expiry to another key."),
    command("DEL", del, at_least(2), &[Write], key_range(&[Rm, Delete], 1, -1, 1), Generic)
        .docs("1.0.0", "O(N) where N is the number of keys", "key [key ...]", "Removes keys.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    command("EXISTS", exists, at_least(2), &[ReadOnly, Fast], key_range(&[Ro], 1, -1, 1), Generic)
        .docs("1.0.0", "O(N) where N is the number of keys", "key [key ...]",
            "Counts how many of the keys are there; one named twice counts twice.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    command("KEYS", keys, exactly(2), &[ReadOnly], NO_KEYS, Generic)
        .locking(Locks::All)
        .categories(&[Category::Keyspace, Category::Dangerous])
        .docs("1.0.0", "O(N) where N is the number of keys in the database", "pattern",
            "Lists all keys that match a pattern.")
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    command("MOVE", move_key, exactly(3), &[Write, Fast], one_key(&[Rw, Access, Update]), Generic)
        .docs("1.0.0", "O(1)", "key db", "Moves a key to another database, unless it is there already."),
    command("RANDOMKEY", randomkey, exactly(1), &[ReadOnly], NO_KEYS, Generic)
        .locking(Locks::OneByOne)
        .docs("1.0.0", "O(1)", "", "Gives a key picked at random.")
        .tips(&["request_policy:all_shards", "nondeterministic_output"]),
    command("RENAME", rename, exactly(3), &[Write], two_keys(&[Rw, Access, Delete], &[Ow, Update]), Generic)
        .docs("1.0.0", "O(1)", "key newkey", "Renames a key, in place of what had the new name."),
    command("RENAMENX", renamenx, exactly(3), &[Write, Fast],
        two_keys(&[Rw, Access, Delete], &[Ow, Insert]), Generic)
        .docs("1.0.0", "O(1)", "key newkey", "Renames a key, unless the new name is taken."),
    command("TOUCH", touch, at_least(2), &[ReadOnly, Fast], key_range(&[Ro], 1, -1, 1), Generic)
        .docs("3.2.1", "O(N) where N is the number of keys", "key [key ...]",
            "Marks keys as just used, and counts how many of them are there.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    command("TYPE", type_of, exactly(2), &[ReadOnly, Fast], one_key(&[Ro]), Generic)
        .docs("1.0.0", "O(1)", "key", "Gives the type of what a key holds."),
    command("UNLINK", del, at_least(2), &[Write, Fast], key_range(&[Rm, Delete], 1, -1, 1), Generic)
        .docs("4.0.0", "O(N) where N is the number of keys", "key [key ...]", "Removes keys, as DEL does.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
];

fn del(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let mut removed = 0;
    for index in 1..args.len() {
        let key = ctx.keys.at(args, index);
        if ctx.keys.has(key) {
            ctx.keys.remove(key);
            ctx.keys.changed(key, EventClasses::GENERIC, "del");
            removed += 1;
        }
    }
    ctx.reply.count(removed);
    Ok(())
}

fn exists(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let mut found = 0;
    for index in 1..args.len() {
        let key = ctx.keys.at(args, index);
        found += usize::from(ctx.keys.peek(key).is_some());
    }
    ctx.reply.count(found);
    Ok(())
}

fn touch(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let mut found = 0;
    for index in 1..args.len() {
        let key = ctx.keys.at(args, index);
        found += usize::from(ctx.keys.read(key).is_some());
    }
    ctx.reply.count(found);
    Ok(())
}

fn type_of(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let name = ctx.keys.peek(key).map(|entry| entry.encoding().kind().name());
    ctx.reply.simple(name.unwrap_or("none"));
    Ok(())
}

fn rename(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let from = ctx.keys.at(args, 1);
    ctx.keys.write(from).ok_or(Failure::NoSuchKey)?;
    if args.at(1) != args.at(2) {
        rename_found(&mut ctx.keys, args);
    }
    ctx.reply.ok();
    Ok(())
}

fn renamenx(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (from, to) = (ctx.keys.at(args, 1), ctx.keys.at(args, 2));
    ctx.keys.write(from).ok_or(Failure::NoSuchKey)?;
    let free = args.at(1) != args.at(2) && !ctx.keys.is_taken(to);
    if free {
        rename_found(&mut ctx.keys, args);
    }
    ctx.reply.integer(i64::from(free));
    Ok(())
}

/// Renames an existing key to a different name.
fn rename_found(keys: &mut Keys<'_>, args: &Args<'_>) {
    let (from, to) = (keys.at(args, 1), keys.at(args, 2));
    if keys.has(to) {
        keys.remove(to);
    }
    let entry = keys.take(from).expect("found under the same lock");
    let expire_at_ms = entry.view().expire_at_ms();
    keys.put_in(keys.database, to, entry, expire_at_ms);
    keys.changed(from, EventClasses::GENERIC, "rename_from");
    keys.changed_too(keys.database, to, EventClasses::GENERIC, "rename_to");
}

fn move_key(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let target = ctx.database(args.at(2))?;
    let keys = &mut ctx.keys;
    if target == keys.database {
        return Err(Failure::SameObject);
    }
    let key = keys.at(args, 1);
    let moves = keys.write(key).is_some() && !keys.is_taken_in(target, key);
    if moves {
        let entry = keys.take(key).expect("found under the same lock");
        let expire_at_ms = entry.view().expire_at_ms();
        keys.put_in(target, key, entry, expire_at_ms);
        keys.changed(key, EventClasses::GENERIC, "move_from");
        keys.changed_too(target, key, EventClasses::GENERIC, "move_to");
    }
    ctx.reply.integer(i64::from(moves));
    Ok(())
}

fn copy(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (mut target, mut replace) = (ctx.keys.database, false);
    let mut index = 3;
    while index < args.len() {
        if args.is(index, "REPLACE") {
            replace = true;
        } else if args.is(index, "DB") && index + 1 < args.len() {
            index += 1;
            target = ctx.database(args.at(index))?;
        } else {
            return Err(Failure::Syntax);
        }
        index += 1;
    }
    let keys = &mut ctx.keys;
    if target == keys.database && args.at(1) == args.at(2) {
        return Err(Failure::SameObject);
    }
    let (from, to) = (keys.at(args, 1), keys.at(args, 2));
    let found = keys.read(from).is_some();
    let taken = found && keys.is_taken_in(target, to);
    if !found || taken && !replace {
        ctx.reply.integer(0);
        return Ok(());
    }
    let source = keys.locked.get(keys.database, from).expect("found under the same lock");
    let expire_at_ms = source.expire_at_ms();
    let mut entry = Entry::new(to.bytes, source.content(), expire_at_ms);
    entry.set_access(keys.access().of_new());
    if taken {
        keys.remove_in(target, to);
    }
    keys.put_in(target, to, entry, expire_at_ms);
    keys.changed_in(target, to, EventClasses::GENERIC, "copy_to");
    ctx.reply.integer(1);
    Ok(())
}

fn keys(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let pattern = args.at(1);
    let mut found: Vec<Box<[u8]>> = Vec::new();
    let (database, now_ms) = (ctx.keys.database, ctx.keys.now_ms);
    ctx.keys.locked.for_each(database, |entry| {
        let matches = pattern == b"*" || glob::matches(pattern, entry.key());
        if matches && is_alive(entry, now_ms) {
            found.push(entry.key().into());
        }
    });
    reply_keys(ctx, &found);
    Ok(())
}

/// Random keys that RANDOMKEY tries before it takes the first live one. Only reached where most
/// keys have expired and await removal.
const RANDOM_TRIES: usize = 100;

fn randomkey(ctx: &mut Context<'_>, _: &Args<'_>) -> Handled {
    let (database, now_ms) = (ctx.keys.database, ctx.keys.now_ms);
    let (locked, random) = (&mut ctx.keys.locked, &mut *ctx.random);
    let mut expired = Vec::new();
    let mut picked = (0..RANDOM_TRIES).find_map(|_| {
        let random = [random.next(), random.next()];
        let (key, expire_at_ms) = locked.random_key(database, random)?;
        if expire_at_ms.is_none_or(|at| at >= now_ms) {
            return Some(key);
        }
        expired.push(key);
        None
    });
    if picked.is_none() {
        locked.scan(database, Cursor(0), usize::MAX, |entry| {
            if !is_alive(entry, now_ms) {
                expired.push(entry.key().into());
            } else if picked.is_none() {
                picked = Some(entry.key().into());
            }
        });
    }
    ctx.keys.met_expired(expired);
    match picked {
        Some(key) => ctx.reply.bulk(&key),
        None => ctx.reply.null(),
    }
    Ok(())
}
