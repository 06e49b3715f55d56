//! Hash commands. Numbers and random fields have separate files, but their rows are here.

mod numbers;
mod random;

use super::command::{Group::Hash, at_least, command, exactly, one_key};
use super::scan::{self, ScanOptions};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag::*, Keys};
use crate::keyspace::Key;
use crate::resp::Output;
use crate::settings::EventClasses;
use crate::types::hash::{self, HashRef, Inserted};
use crate::types::listpack::Item;
use crate::types::{Encoding, Type, ValueRef};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("HDEL", hdel, at_least(3), &[Write, Fast], one_key(&[Rw, Delete]), Hash)
        .member(2)
        .docs("2.0.0", "O(N) where N is the number of fields named", "key field [field ...]",
            "Removes fields from a hash, and the hash when it has none left."),
    command("HEXISTS", hexists, exactly(3), &[ReadOnly, Fast], one_key(&[Ro]), Hash)
        .member(2)
        .docs("2.0.0", "O(1)", "key field", "Tells whether a hash has a field."),
    command("HGET", hget, exactly(3), &[ReadOnly, Fast], one_key(&[Ro, Access]), Hash)
        .member(2)
        .docs("2.0.0", "O(1)", "key field", "Gives the value of a hash's field."),
    command("HGETALL", hgetall, exactly(2), &[ReadOnly], one_key(&[Ro, Access]), Hash)
        .docs("2.0.0", "O(N) where N is the number of fields", "key", "Gives all the fields of a hash with their values.")
        .tips(&["nondeterministic_output_order"]),
    command("HINCRBY", numbers::hincrby, exactly(4), &[Write, DenyOom, Fast],
        one_key(&[Rw, Access, Update]), Hash)
        .member(2)
        .docs("2.0.0", "O(1)", "key field increment",
            "Adds a number to the integer that a hash's field holds; a missing field counts as 0."),
    command("HINCRBYFLOAT", numbers::hincrbyfloat, exactly(4), &[Write, DenyOom, Fast],
        one_key(&[Rw, Access, Update]), Hash)
        .docs("2.6.0", "O(1)", "key field increment",
            "Adds to the number that a hash's field holds, which may have a fraction; a missing field counts as 0."),
    command("HKEYS", hkeys, exactly(2), &[ReadOnly], one_key(&[Ro, Access]), Hash)
        .docs("2.0.0", "O(N) where N is the number of fields", "key", "Gives all the fields of a hash.")
        .tips(&["nondeterministic_output_order"]),
    command("HLEN", hlen, exactly(2), &[ReadOnly, Fast], one_key(&[Ro]), Hash)
        .docs("2.0.0", "O(1)", "key", "Gives the number of a hash's fields."),
    command("HMGET", hmget, at_least(3), &[ReadOnly, Fast], one_key(&[Ro, Access]), Hash)
        .member(2)
        .docs("2.0.0", "O(N) where N is the number of fields named", "key field [field ...]",
            "Gives the values of some fields of a hash, and null for those that it lacks."),
    command("HMSET", hmset, at_least(4), &[Write, DenyOom, Fast], one_key(&[Rw, Update]), Hash)
        .docs("2.0.0", "O(N) where N is the number of fields named", "key field value [field value ...]",
            "Sets fields of a hash to values. HSET does the same and gives their number."),
    command("HRANDFIELD", random::hrandfield, at_least(2), &[ReadOnly], one_key(&[Ro, Access]), Hash)
        .docs("6.2.0", "O(N) where N is the number of fields given", "key [count [WITHVALUES]]",
            "Gives fields of a hash that are chosen at random.")
        .tips(&["nondeterministic_output"]),
    command("HSCAN", hscan, at_least(3), &[ReadOnly], one_key(&[Ro, Access]), Hash)
        .docs("2.8.0", "O(1) per call, O(N) for a whole walk over N fields",
            "key cursor [MATCH pattern] [COUNT count]",
            "Walks over the fields of a hash with their values, a few per call.")
        .tips(&["nondeterministic_output"]),
    command("HSET", hset, at_least(4), &[Write, DenyOom, Fast], one_key(&[Rw, Update]), Hash)
        .member(2)
        .docs("2.0.0", "O(N) where N is the number of fields named", "key field value [field value ...]",
            "Sets fields of a hash to values, and creates the hash when it is missing."),
    command("HSETNX", hsetnx, exactly(4), &[Write, DenyOom, Fast], one_key(&[Rw, Insert]), Hash)
        .member(2)
        .docs("2.0.0", "O(1)", "key field value", "Sets a field of a hash to a value unless the field is there already."),
    command("HSTRLEN", hstrlen, exactly(3), &[ReadOnly, Fast], one_key(&[Ro]), Hash)
        .member(2)
        .docs("3.2.0", "O(1)", "key field", "Gives the length in bytes of the value of a hash's field."),
    command("HVALS", hvals, exactly(2), &[ReadOnly], one_key(&[Ro, Access]), Hash)
        .docs("2.0.0", "O(N) where N is the number of fields", "key", "Gives the values of all the fields of a hash.")
        .tips(&["nondeterministic_output_order"]),
];

/// The hash of a key that the command reads.
#[inline]
fn read<'k>(keys: &'k mut Keys<'_>, key: Key<'_>) -> Result<Option<HashRef<'k>>, Failure> {
    Ok(keys.read_of(key, Type::Hash)?.and_then(ValueRef::hash))
}

/// A value, or null.
#[inline]
fn reply_value(reply: &mut Output, value: Option<Item<'_>>) {
    match value {
        Some(value) => Context::reply_item(reply, value),
        None => reply.null(),
    }
}

fn hget(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let hash = read(&mut ctx.keys, key)?;
    reply_value(ctx.reply, hash.and_then(|hash| hash.get(args.at(2))));
    Ok(())
}

fn hmget(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let hash = read(&mut ctx.keys, key)?;
    ctx.reply.array(args.len() - 2);
    for field in args.from(2) {
        reply_value(ctx.reply, hash.and_then(|hash| hash.get(field)));
    }
    Ok(())
}

fn hgetall(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let hash = read(&mut ctx.keys, key)?;
    ctx.reply.map(hash.map_or(0, HashRef::len));
    if let Some(hash) = hash {
        hash.visit(|item| Context::reply_item(ctx.reply, item));
    }
    Ok(())
}

fn hkeys(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    reply_each(ctx, args, |(field, _)| field)
}

fn hvals(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    reply_each(ctx, args, |(_, value)| value)
}

/// Replies with one of the two strings of each field.
fn reply_each(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    pick: for<'h> fn((Item<'h>, Item<'h>)) -> Item<'h>,
) -> Handled {
    let key = ctx.keys.at(args, 1);
    let hash = read(&mut ctx.keys, key)?;
    ctx.reply.array(hash.map_or(0, HashRef::len));
    let picked = hash.into_iter().flat_map(HashRef::iter).map(pick);
    picked.for_each(|item| Context::reply_item(ctx.reply, item));
    Ok(())
}

fn hlen(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let hash = read(&mut ctx.keys, key)?;
    ctx.reply.count(hash.map_or(0, HashRef::len));
    Ok(())
}

fn hstrlen(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let value = read(&mut ctx.keys, key)?.and_then(|hash| hash.get(args.at(2)));
    ctx.reply.count(value.map_or(0, Item::len));
    Ok(())
}

fn hexists(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let found = read(&mut ctx.keys, key)?.is_some_and(|hash| hash.contains(args.at(2)));
    ctx.reply.integer(i64::from(found));
    Ok(())
}

fn hscan(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let from = scan::cursor(args.at(2))?;
    let key = ctx.keys.at(args, 1);
    let hash = read(&mut ctx.keys, key)?;
    // Redis looks at the options only if there is a hash.
    let Some(hash) = hash else {
        ctx.reply.array(2);
        ctx.reply.bulk(b"0");
        ctx.reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(args, 3)?;
    let (mut found, mut fields) = (Output::new(ctx.reply.protocol), 0);
    let next = hash.scan(from.0, options.count, |field, value| {
        if field.with_bytes(|field| options.matches(field)) {
            Context::reply_item(&mut found, field);
            Context::reply_item(&mut found, value);
            fields += 1;
        }
    });
    ctx.reply.array(2);
    ctx.reply.bulk(next.to_string().as_bytes());
    ctx.reply.array(2 * fields);
    ctx.reply.append(&found);
    Ok(())
}

fn hset(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    set_fields(ctx, args, "hset", Output::count)
}

fn hmset(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    set_fields(ctx, args, "hmset", |reply, _| reply.ok())
}

/// Sets fields and replies, given the number of new ones.
fn set_fields(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    name: &'static str,
    reply: fn(&mut Output, usize),
) -> Handled {
    if !args.len().is_multiple_of(2) {
        return Err(Failure::Arity(name.into()));
    }
    let (key, limits) = (ctx.keys.at(args, 1), &ctx.settings.collections);
    let added = ctx.keys.upsert(key, Encoding::HashPack, |place| {
        // A long string among the last makes a table before the first is set, as in Redis.
        hash::prepare(place, args.from(2), limits);
        let pairs = (2..args.len()).step_by(2).map(|index| (args.at(index), args.at(index + 1)));
        pairs
            .filter(|(field, value)| hash::set(place, field, value, limits) == Inserted::New)
            .count()
    })?;
    reply(ctx.reply, added);
    ctx.replied_before_events();
    changed(&mut ctx.keys, key, "hset", args.len() / 2 - 1);
    Ok(())
}

/// Records the change of so many fields, at least one.
#[inline]
fn changed(keys: &mut Keys<'_>, key: Key<'_>, event: &'static str, fields: usize) {
    keys.changed(key, EventClasses::HASH, event);
    keys.changed_much(fields as u64 - 1);
}

fn hsetnx(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (key, limits) = (ctx.keys.at(args, 1), &ctx.settings.collections);
    let (field, value) = (args.at(2), args.at(3));
    let added = ctx.keys.upsert(key, Encoding::HashPack, |place| {
        let missing = place.view().hash().is_some_and(|hash| !hash.contains(field));
        if missing {
            hash::set(place, field, value, limits);
        }
        missing
    })?;
    ctx.reply.integer(i64::from(added));
    if added {
        ctx.replied_before_events();
        changed(&mut ctx.keys, key, "hset", 1);
    }
    Ok(())
}

fn hdel(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let removed = ctx.keys.update(key, Type::Hash, |place| {
        args.from(2).filter(|field| hash::delete(place, field)).count()
    })?;
    let removed = removed.unwrap_or(0);
    if removed > 0 {
        ctx.keys.shrunk(key, EventClasses::HASH, "hdel");
        ctx.keys.changed_much(removed as u64 - 1);
    }
    ctx.reply.count(removed);
    Ok(())
}
