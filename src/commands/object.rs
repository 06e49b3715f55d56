//! Internals of keys: OBJECT, DUMP and RESTORE.

use std::sync::atomic::Ordering;

use super::command::{
    Category,
    Group::{Generic, Server},
    NO_KEYS, at_least, command, container, exactly, key_range, one_key,
};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag::*, Keys};
use crate::keyspace::EntryRef;
use crate::keyspace::access::{Access, Aging, idle_s};
use crate::number::Decimal;
use crate::rdb::{self, PayloadChecksum};
use crate::settings::{EventClasses, Memory};
use crate::telemetry::log::log;
use crate::types::{StringView, Value, ValueRef};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("DUMP", dump, exactly(2), &[ReadOnly], one_key(&[Ro, Access]), Generic)
        .docs("2.6.0", "O(1) to find the key and O(N) for the size of its value", "key",
            "Gives a key's value in the form that RESTORE takes.")
        .tips(&["nondeterministic_output"]),
    container("OBJECT", OBJECT_SUBCOMMANDS, Generic)
        .docs("2.2.3", "Depends on the subcommand.", "", "Says how a key's value is kept."),
    command("RESTORE", restore, at_least(4), &[Write, DenyOom], one_key(&[Ow, Update]), Generic)
        .categories(&[Category::Keyspace, Category::Dangerous])
        .docs("2.6.0", "O(1) to make the key and O(N) for the size of its value",
            "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
            "Makes a key of a value that DUMP has given."),
    command("RESTORE-ASKING", restore, at_least(4), &[Write, DenyOom, Asking], one_key(&[Ow, Update]), Server)
        .categories(&[Category::Keyspace, Category::Dangerous])
        .docs("3.0.0", "O(1) to make the key and O(N) for the size of its value",
            "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
            "RESTORE for a slot that moves to this node."),
];

#[rustfmt::skip]
const OBJECT_SUBCOMMANDS: &[Command] = &[
    command("ENCODING", encoding, exactly(3), &[ReadOnly], key_range(&[Ro], 2, 0, 1), Generic)
        .docs("2.2.3", "O(1)", "key", "Gives the encoding in which a key's value is kept.")
        .tips(&["nondeterministic_output"]),
    command("FREQ", freq, exactly(3), &[ReadOnly], key_range(&[Ro], 2, 0, 1), Generic)
        .docs("4.0.0", "O(1)", "key", "Gives how often a key is used, on a logarithmic scale.")
        .tips(&["nondeterministic_output"]),
    command("HELP", object_help, exactly(2), &[Loading, Stale], NO_KEYS, Generic)
        .docs("6.2.0", "O(1)", "", "Lists the subcommands."),
    command("IDLETIME", idletime, exactly(3), &[ReadOnly], key_range(&[Ro], 2, 0, 1), Generic)
        .docs("2.2.3", "O(1)", "key", "Gives how many seconds ago a key was last used.")
        .tips(&["nondeterministic_output"]),
    command("REFCOUNT", refcount, exactly(3), &[ReadOnly], key_range(&[Ro], 2, 0, 1), Generic)
        .docs("2.2.3", "O(1)", "key", "Gives how many references to a key's value there are.")
        .tips(&["nondeterministic_output"]),
];

/// In Redis, the integers from 0 to below this are shared objects.
const SHARED_INTEGERS: i64 = 10_000;
/// Reference count of a shared object, whose references are not counted.
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

fn encoding(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 2);
    match ctx.keys.inspect(key) {
        Some(entry) => ctx.reply.bulk(entry.encoding().name().as_bytes()),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn refcount(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 2);
    let memory = &ctx.settings.memory;
    match ctx.keys.inspect(key).map(|entry| reference_count(entry, memory)) {
        Some(count) => ctx.reply.integer(count),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// The count in Redis, which shares small integers where it needs no access bits of each.
pub(super) fn reference_count(entry: EntryRef<'_>, memory: &Memory) -> i64 {
    let by_access = memory.policy.is_lru() || memory.policy.is_lfu();
    let shares = memory.maxmemory_bytes == 0 || !by_access;
    match entry.value() {
        ValueRef::String(StringView::Int(0..SHARED_INTEGERS)) if shares => SHARED_REFCOUNT,
        _ => 1,
    }
}

const NOT_LFU: &str = "An LFU maxmemory policy is not selected, access frequency not tracked. \
Please note that when switching between policies at runtime LRU and LFU data will take some time \
to adjust.";
const IS_LFU: &str = "An LFU maxmemory policy is selected, idle time not tracked. Please note that \
when switching between policies at runtime LRU and LFU data will take some time to adjust.";

fn idletime(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 2);
    let Access { aging, now_s } = ctx.keys.access();
    match ctx.keys.inspect(key).map(EntryRef::access) {
        None => ctx.reply.null(),
        Some(_) if aging != Aging::Idle => return Err(Failure::err(IS_LFU)),
        Some(bits) => ctx.reply.integer(idle_s(bits, now_s).into()),
    }
    Ok(())
}

fn freq(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 2);
    let Access { aging, now_s } = ctx.keys.access();
    let Some(bits) = ctx.keys.inspect(key).map(EntryRef::access) else {
        ctx.reply.null();
        return Ok(());
    };
    let Aging::Frequency(frequency) = aging else { return Err(Failure::err(NOT_LFU)) };
    ctx.reply.integer(frequency.counter(bits, now_s).into());
    Ok(())
}

const OBJECT_HELP: &[&str] = &[
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
];

fn object_help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, OBJECT_HELP);
    Ok(())
}

fn dump(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    match ctx.keys.read(key) {
        Some(entry) => ctx.reply.bulk(&rdb::dump(entry.value())),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// Options of RESTORE.
#[derive(Debug, Default)]
struct RestoreOptions {
    replace: bool,
    /// The TTL is a Unix time.
    absolute: bool,
    idle_s: Option<u64>,
    freq: Option<u8>,
}

impl RestoreOptions {
    fn parse(args: &Args<'_>) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut index = 4;
        while index < args.len() {
            let value = args.get(index + 1);
            if args.is(index, "REPLACE") {
                options.replace = true;
            } else if args.is(index, "ABSTTL") {
                options.absolute = true;
            } else if let (true, Some(value), None) =
                (args.is(index, "IDLETIME"), value, options.freq)
            {
                let idle_s = Context::integer(value)?;
                let idle_s = u64::try_from(idle_s);
                let invalid = |_| Failure::err("Invalid IDLETIME value, must be >= 0");
                options.idle_s = Some(idle_s.map_err(invalid)?);
                index += 1;
            } else if let (true, Some(value), None) =
                (args.is(index, "FREQ"), value, options.idle_s)
            {
                let freq = Context::integer(value)?;
                let invalid = |_| Failure::err("Invalid FREQ value, must be >= 0 and <= 255");
                options.freq = Some(u8::try_from(freq).map_err(invalid)?);
                index += 1;
            } else {
                return Err(Failure::Syntax);
            }
            index += 1;
        }
        Ok(options)
    }
}

fn restore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let options = RestoreOptions::parse(args)?;
    let key = ctx.keys.at(args, 1);
    if !options.replace && ctx.keys.is_taken(key) {
        return Err(Failure::BusyKey);
    }
    let ttl = Context::integer(args.at(2))?;
    if ttl < 0 {
        return Err(Failure::err("Invalid TTL value, must be >= 0"));
    }
    let checksum = match ctx.node.restores_unchecked.load(Ordering::Relaxed) {
        true => PayloadChecksum::Ignored,
        false => PayloadChecksum::Compared,
    };
    let limits = &ctx.settings.collections;
    ctx.keys.stats.payloads_checked.add(1);
    let value = rdb::restore(args.at(3), checksum, limits).map_err(|error| {
        if error.is_payload_footer() {
            return Failure::BadPayload;
        }
        log!(Verbose, "RESTORE refused a payload: {error}");
        Failure::BadData
    })?;
    let base_ms = if options.absolute { 0 } else { ctx.keys.now_ms };
    let expire_at_ms = (ttl > 0).then(|| ttl.wrapping_add(base_ms));
    put_restored(&mut ctx.keys, args, &options, value, expire_at_ms);
    ctx.reply.ok();
    Ok(())
}

fn put_restored(
    keys: &mut Keys<'_>,
    args: &Args<'_>,
    options: &RestoreOptions,
    value: Value,
    expire_at_ms: Option<i64>,
) {
    let key = keys.at(args, 1);
    // Replaces an expired key too: its removal is part of this command.
    let removed = options.replace && keys.remove(key);
    if expire_at_ms.is_some_and(|at| keys.is_elapsed(at)) {
        if removed {
            keys.changed(key, EventClasses::GENERIC, "del");
            keys.log_instead(&[&[b"DEL", key.bytes]]);
        }
        return;
    }
    keys.store_owned(key, value, expire_at_ms);
    keys.set_usage(key, options.idle_s, options.freq);
    keys.changed(key, EventClasses::GENERIC, "restore");
    if let (Some(at), false) = (expire_at_ms, options.absolute) {
        let at = Decimal::new(at);
        let mut logged: Vec<&[u8]> = args.from(0).collect();
        logged[2] = at.as_bytes();
        logged.push(b"ABSTTL");
        keys.log_instead(&[&logged]);
    }
}
