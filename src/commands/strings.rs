//! String commands: reading and writing whole strings. Parts of strings, numbers and LCS have
//! separate files, but their rows are here.

mod lcs;
mod numbers;
mod options;
mod parts;

use super::command::{Group::String, at_least, command, exactly, key_range, one_key};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag, KeyFlag::*, Keys};
use crate::keyspace::{Content, Key};
use crate::number::Decimal;
use crate::settings::EventClasses;
use options::{Condition, Lifetime, SetOptions, Unit};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("APPEND", parts::append, exactly(3), &[Write, DenyOom, Fast], one_key(&[Rw, Insert]), String)
        .docs("2.0.0", "O(1) amortized, for an appended value that is short", "key value",
            "Adds to the end of a string, creating it when it is missing."),
    command("DECR", numbers::decr, exactly(2), &[Write, DenyOom, Fast], one_key(&[Rw, Access, Update]), String)
        .docs("1.0.0", "O(1)", "key", "Takes one from the integer that a key holds; a missing key counts as 0."),
    command("DECRBY", numbers::decrby, exactly(3), &[Write, DenyOom, Fast], one_key(&[Rw, Access, Update]), String)
        .docs("1.0.0", "O(1)", "key decrement",
            "Takes a number from the integer that a key holds; a missing key counts as 0."),
    command("GET", get, exactly(2), &[ReadOnly, Fast], one_key(&[Ro, Access]), String)
        .docs("1.0.0", "O(1)", "key", "Gives the string that a key holds."),
    command("GETDEL", getdel, exactly(2), &[Write, Fast], one_key(&[Rw, Access, Delete]), String)
        .docs("6.2.0", "O(1)", "key", "Gives the string that a key holds, and removes the key."),
    command("GETEX", getex, at_least(2), &[Write, Fast], one_key(&[Rw, Access, Update])
            .note("RW and UPDATE because it changes the TTL"), String)
        .docs("6.2.0", "O(1)",
            "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
            "Gives the string that a key holds, and sets or takes away the key's expiry."),
    command("GETRANGE", parts::getrange, exactly(4), &[ReadOnly], one_key(&[Ro, Access]), String)
        .docs("2.4.0", "O(N) where N is the length of what is returned", "key start end",
            "Gives a part of a string, its bounds included; negative ones count from the end."),
    command("GETSET", getset, exactly(3), &[Write, DenyOom, Fast], one_key(&[Rw, Access, Update]), String)
        .docs("1.0.0", "O(1)", "key value", "Sets a key to a string, and gives the one it held before."),
    command("INCR", numbers::incr, exactly(2), &[Write, DenyOom, Fast], one_key(&[Rw, Access, Update]), String)
        .docs("1.0.0", "O(1)", "key", "Adds one to the integer that a key holds; a missing key counts as 0."),
    command("INCRBY", numbers::incrby, exactly(3), &[Write, DenyOom, Fast], one_key(&[Rw, Access, Update]), String)
        .docs("1.0.0", "O(1)", "key increment",
            "Adds a number to the integer that a key holds; a missing key counts as 0."),
    command("INCRBYFLOAT", numbers::incrbyfloat, exactly(3), &[Write, DenyOom, Fast],
        one_key(&[Rw, Access, Update]), String)
        .docs("2.6.0", "O(1)", "key increment",
            "Adds to the number that a key holds, which may have a fraction; a missing key counts as 0."),
    command("LCS", lcs::lcs, at_least(3), &[ReadOnly], key_range(&[Ro, Access], 1, 1, 1), String)
        .docs("7.0.0", "O(N*M) where N and M are the lengths of the strings",
            "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
            "Finds the longest sequence of bytes that two strings have in common, gaps allowed."),
    command("MGET", mget, at_least(2), &[ReadOnly, Fast], key_range(&[Ro, Access], 1, -1, 1), String)
        .docs("1.0.0", "O(N) where N is the number of keys", "key [key ...]",
            "Gives the strings that keys hold, and null for keys that hold none.")
        .tips(&["request_policy:multi_shard"]),
    command("MSET", mset, at_least(3), &[Write, DenyOom], key_range(&[Ow, Update], 1, -1, 2), String)
        .docs("1.0.1", "O(N) where N is the number of keys", "key value [key value ...]",
            "Sets keys to strings, all at once.")
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    command("MSETNX", msetnx, at_least(3), &[Write, DenyOom], key_range(&[Ow, Insert], 1, -1, 2), String)
        .docs("1.0.1", "O(N) where N is the number of keys", "key value [key value ...]",
            "Sets keys to strings, all at once, unless one of the keys is there already.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"]),
    command("PSETEX", psetex, exactly(4), &[Write, DenyOom], one_key(&[Ow, Update]), String)
        .docs("2.6.0", "O(1)", "key milliseconds value",
            "Sets a key to a string that expires after some milliseconds."),
    command("SET", set, at_least(3), &[Write, DenyOom], one_key(&[Rw, Access, Update, VariableFlags])
            .note("RW and ACCESS due to the optional `GET` argument")
            .found_by(keys_of_set), String)
        .docs("1.0.0", "O(1)",
            "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
             PXAT unix-time-milliseconds | KEEPTTL]",
            "Sets a key to a string, whatever it held before, unless a condition forbids it."),
    command("SETEX", setex, exactly(4), &[Write, DenyOom], one_key(&[Ow, Update]), String)
        .docs("2.0.0", "O(1)", "key seconds value", "Sets a key to a string that expires after some seconds."),
    command("SETNX", setnx, exactly(3), &[Write, DenyOom, Fast], one_key(&[Ow, Insert]), String)
        .docs("1.0.0", "O(1)", "key value", "Sets a key to a string unless the key is there already."),
    command("SETRANGE", parts::setrange, exactly(4), &[Write, DenyOom], one_key(&[Rw, Update]), String)
        .docs("2.2.0", "O(M) where M is the length of the value", "key offset value",
            "Overwrites a part of a string; zeros fill what lies before it where the string is shorter."),
    command("STRLEN", parts::strlen, exactly(2), &[ReadOnly, Fast], one_key(&[Ro]), String)
        .docs("2.2.0", "O(1)", "key", "Gives the length of a string in bytes."),
    command("SUBSTR", parts::getrange, exactly(4), &[ReadOnly], one_key(&[Ro, Access]), String)
        .docs("1.0.0", "O(N) where N is the length of what is returned", "key start end",
            "Gives a part of a string, as GETRANGE does."),
];

fn get(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    reply_old(ctx, key).map(drop)
}

/// Replies with a key's string; returns whether the key exists.
#[inline]
fn reply_old(ctx: &mut Context<'_>, key: Key<'_>) -> Result<bool, Failure> {
    let string = ctx.keys.read_string(key)?;
    let found = string.is_some();
    match string {
        Some(string) => Context::reply_string(ctx.reply, string),
        None => ctx.reply.null(),
    }
    Ok(found)
}

fn getdel(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    if reply_old(ctx, key)? {
        ctx.replied_before_events();
        remove_for_good(&mut ctx.keys, key);
    }
    Ok(())
}

/// Removes a key and logs a DEL in place of the command.
fn remove_for_good(keys: &mut Keys<'_>, key: Key<'_>) {
    keys.remove(key);
    keys.changed(key, EventClasses::GENERIC, "del");
    keys.log_instead(&[&[b"DEL", key.bytes]]);
}

fn getex(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let lifetime = options::getex_lifetime(args)?;
    let key = ctx.keys.at(args, 1);
    if !reply_old(ctx, key)? {
        return Ok(());
    }
    let expire_at_ms = lifetime.expire_at_ms(&ctx.keys, "getex")?;
    ctx.replied_before_events();
    let keys = &mut ctx.keys;
    match (lifetime, expire_at_ms) {
        (Lifetime::Until(..), Some(at)) if keys.is_elapsed(at) => remove_for_good(keys, key),
        (_, Some(at)) => {
            keys.set_expiry(key, Some(at));
            keys.changed(key, EventClasses::GENERIC, "expire");
            keys.log_instead(&[&[b"PEXPIREAT", key.bytes, Decimal::new(at).as_bytes()]]);
        }
        (Lifetime::Persist, None) if keys.expire_at_ms(key).is_some() => {
            keys.set_expiry(key, None);
            keys.changed(key, EventClasses::GENERIC, "persist");
            keys.log_instead(&[&[b"PERSIST", key.bytes]]);
        }
        _ => {}
    }
    Ok(())
}

fn getset(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    reply_old(ctx, key)?;
    ctx.replied_before_events();
    overwrite(&mut ctx.keys, key, args.at(2));
    ctx.keys.log_instead(&[&[b"SET", key.bytes, args.at(2)]]);
    Ok(())
}

/// Sets a key to a string without expiry.
#[inline]
fn overwrite(keys: &mut Keys<'_>, key: Key<'_>, value: &[u8]) {
    // Removes an expired key first, so that replicas get its DEL.
    keys.has(key);
    keys.store(key, Content::encode(value), None);
    keys.changed(key, EventClasses::STRING, "set");
}

/// Sets a key to a string with an expiry.
fn overwrite_until(keys: &mut Keys<'_>, key: Key<'_>, value: &[u8], expire_at_ms: i64) {
    keys.has(key);
    keys.store(key, Content::encode(value), Some(expire_at_ms));
    keys.changed(key, EventClasses::STRING, "set");
    keys.event(key, EventClasses::GENERIC, "expire");
    let at = Decimal::new(expire_at_ms);
    keys.log_instead(&[&[b"SET", key.bytes, value, b"PXAT", at.as_bytes()]]);
}

/// SET's key, which it reads with the option GET.
fn keys_of_set(args: &Args<'_>, each: &mut dyn FnMut(usize, &'static [KeyFlag])) {
    let reads = (3..args.len()).any(|index| args.is(index, "GET"));
    each(1, if reads { &[Rw, Access, Update] } else { &[Ow, Update] });
}

fn set(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if args.len() > 3 {
        return set_with_options(ctx, args);
    }
    let key = ctx.keys.at(args, 1);
    overwrite(&mut ctx.keys, key, args.at(2));
    ctx.reply.ok();
    Ok(())
}

fn set_with_options(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let options = SetOptions::parse(args)?;
    let expire_at_ms = options.lifetime.expire_at_ms(&ctx.keys, "set")?;
    let (key, value) = (ctx.keys.at(args, 1), args.at(2));
    if options.get {
        reply_old(ctx, key)?;
        ctx.replied_before_events();
    }
    let forbidden = match options.condition {
        Some(Condition::Missing) => ctx.keys.is_taken(key),
        Some(Condition::Exists) => !ctx.keys.has(key),
        None => false,
    };
    if forbidden {
        if !options.get {
            ctx.reply.null();
        }
        return Ok(());
    }
    match (options.lifetime, expire_at_ms) {
        (_, Some(at)) => overwrite_until(&mut ctx.keys, key, value, at),
        (Lifetime::Keep, None) => {
            ctx.keys.has(key);
            ctx.keys.store_value(key, Content::encode(value));
            ctx.keys.changed(key, EventClasses::STRING, "set");
        }
        _ => overwrite(&mut ctx.keys, key, value),
    }
    if !options.get {
        ctx.reply.ok();
    } else if expire_at_ms.is_none() {
        // Replicas do not need the old value.
        let is_get = |arg: &&[u8]| arg.eq_ignore_ascii_case(b"GET");
        let rest = args.from(3).filter(|arg| !is_get(arg));
        let logged: Vec<&[u8]> = args.from(0).take(3).chain(rest).collect();
        ctx.keys.log_instead(&[&logged]);
    }
    Ok(())
}

fn setex(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    set_for_a_while(ctx, args, Unit::Seconds, "setex")
}

fn psetex(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    set_for_a_while(ctx, args, Unit::Milliseconds, "psetex")
}

fn set_for_a_while(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    unit: Unit,
    name: &'static str,
) -> Handled {
    let lifetime = Lifetime::For(unit, args.at(2));
    let key = ctx.keys.at(args, 1);
    if let Some(at) = lifetime.expire_at_ms(&ctx.keys, name)? {
        overwrite_until(&mut ctx.keys, key, args.at(3), at);
    }
    ctx.reply.ok();
    Ok(())
}

fn setnx(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let missing = !ctx.keys.is_taken(key);
    if missing {
        overwrite(&mut ctx.keys, key, args.at(2));
    }
    ctx.reply.integer(i64::from(missing));
    Ok(())
}

fn mget(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply.array(args.len() - 1);
    for index in 1..args.len() {
        let key = ctx.keys.at(args, index);
        match ctx.keys.read_string(key) {
            Ok(Some(string)) => Context::reply_string(ctx.reply, string),
            Ok(None) | Err(_) => ctx.reply.null(),
        }
    }
    Ok(())
}

/// Keys and values of MSET, by their indices.
fn pairs(args: &Args<'_>, name: &'static str) -> Result<impl Iterator<Item = usize>, Failure> {
    if args.len().is_multiple_of(2) {
        return Err(Failure::Arity(name.into()));
    }
    Ok((1..args.len()).step_by(2))
}

fn mset(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    for index in pairs(args, "mset")? {
        let key = ctx.keys.at(args, index);
        overwrite(&mut ctx.keys, key, args.at(index + 1));
    }
    ctx.reply.ok();
    Ok(())
}

fn msetnx(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let taken = pairs(args, "msetnx")?.any(|index| {
        let key = ctx.keys.at(args, index);
        ctx.keys.is_taken(key)
    });
    if !taken {
        for index in pairs(args, "msetnx")? {
            let key = ctx.keys.at(args, index);
            overwrite(&mut ctx.keys, key, args.at(index + 1));
        }
    }
    ctx.reply.integer(i64::from(!taken));
    Ok(())
}
