//! HyperLogLog commands, on strings whose bytes `types::hyperloglog` reads and changes.

use std::borrow::Cow;

use super::command::{
    Begin, Find, Group::HyperLogLog, NO_KEYS, at_least, command, exactly, key_range, one_key,
};
use super::{Args, Command, Context, Expired, Failure, Flag::*, Handled, KeyFlag::*, Keys};
use crate::keyspace::{Content, INLINE_BYTES_MAX, Key};
use crate::settings::EventClasses;
use crate::text::until_nul;
use crate::types::hyperloglog::{self, Corrupted, Registers};
use crate::types::{Buffer, Chunks, Encoding, Object, StringView};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("PFADD", pfadd, at_least(2), &[Write, DenyOom, Fast], one_key(&[Rw, Insert]), HyperLogLog)
        .docs("2.8.9", "O(1) for each element", "key [element [element ...]]",
            "Adds elements to a HyperLogLog, which counts distinct ones approximately."),
    command("PFCOUNT", pfcount, at_least(2), &[ReadOnly, MayReplicate],
        key_range(&[Rw, Access], 1, -1, 1)
            .note("RW because it may change the internal representation of the key, and propagate to replicas"),
        HyperLogLog)
        .docs("2.8.9", "O(1) for one key, which keeps its count; O(N) for the union of N keys", "key [key ...]",
            "Estimates how many distinct elements were added to HyperLogLogs, taken together."),
    command("PFDEBUG", pfdebug, exactly(3), &[Write, DenyOom, Admin],
        NO_KEYS.and(&[Rw, Access], Begin::Index(2), ONE), HyperLogLog)
        .docs("2.8.9", "O(N) where N is the number of registers", "subcommand key",
            "Shows how a HyperLogLog is stored, or makes it dense."),
    command("PFMERGE", pfmerge, at_least(2), &[Write, DenyOom],
        one_key(&[Rw, Access, Insert]).and(&[Ro, Access], Begin::Index(2), Find::Range { last: -1, step: 1, limit: 0 }),
        HyperLogLog)
        .docs("2.8.9", "O(N) where N is the number of keys", "destkey [sourcekey [sourcekey ...]]",
            "Adds what HyperLogLogs have counted to another."),
    command("PFSELFTEST", pfselftest, exactly(1), &[Admin], NO_KEYS, HyperLogLog)
        .docs("2.8.9", "O(1), some ten milliseconds", "",
            "Checks that HyperLogLogs work on this machine."),
];

const ONE: Find = Find::Range { last: 0, step: 1, limit: 0 };

const INVALID: Failure =
    Failure::Other(Cow::Borrowed("WRONGTYPE Key is not a valid HyperLogLog string value."));

impl From<Corrupted> for Failure {
    fn from(_: Corrupted) -> Self {
        Self::Other(Cow::Borrowed("INVALIDOBJ Corrupted HLL object detected"))
    }
}

/// The bytes of a HyperLogLog. None is longer than a chunk: a longer string with the right
/// beginning counts as corrupted.
fn checked(string: StringView<'_>) -> Result<&[u8], Failure> {
    let (bytes, rest): (&[u8], _) = match string {
        StringView::Int(_) => return Err(INVALID),
        StringView::Bytes(bytes) => (bytes, &[][..]),
        StringView::Chunks(chunks) => match chunks.chunks() {
            [first, rest @ ..] => (first, rest),
            [] => return Err(INVALID),
        },
    };
    match () {
        () if !hyperloglog::is_valid(bytes) => Err(INVALID),
        () if !rest.is_empty() => Err(Corrupted.into()),
        () => Ok(bytes),
    }
}

/// Changes the HyperLogLog of a key that was found alive. As in Redis, the string is raw from then
/// on.
fn edit<R>(keys: &mut Keys<'_>, key: Key<'_>, change: impl FnOnce(&mut dyn Buffer) -> R) -> R {
    keys.edit(key, |place| {
        if let Some(Object::String(chunks)) = place.object_mut() {
            return chunks.edit_whole(|bytes| change(bytes));
        }
        if place.encoding() != Encoding::Raw {
            let bytes = place.bytes().to_vec();
            place.become_packed(Encoding::Raw, &bytes);
        }
        let result = change(place);
        if place.bytes().len() > INLINE_BYTES_MAX {
            let chunks = Chunks::from_slice(place.bytes());
            place.become_object(Object::String(chunks));
        }
        result
    })
}

/// Bytes up to which runs stay sparse.
fn sparse_max_bytes(ctx: &Context<'_>) -> usize {
    usize::try_from(ctx.settings.collections.hll_sparse_bytes_max).unwrap_or(usize::MAX)
}

fn pfadd(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (key, max_bytes) = (ctx.keys.at(args, 1), sparse_max_bytes(ctx));
    let keys = &mut ctx.keys;
    let found = keys.write_string(key)?.map(checked).transpose()?.is_some();
    let add = |bytes: &mut dyn Buffer| {
        let mut changes = 0;
        for element in args.from(2) {
            match hyperloglog::add(bytes, element, max_bytes) {
                Ok(changed) => changes += u64::from(changed),
                Err(corrupted) => return Err(corrupted),
            }
        }
        Ok(changes)
    };
    let changes = if found {
        edit(keys, key, add)
    } else {
        let mut bytes = hyperloglog::new();
        let changes = add(&mut bytes);
        // Redis marks the count of one that it has just created, too.
        hyperloglog::outdate(&mut bytes);
        keys.store(key, Content::raw(&bytes), None);
        changes.map(|changes| changes + 1)
    };
    // Redis keeps what it added before it met damage, and does not tell of it.
    let changes = changes.inspect_err(|_| keys.keep_to_ourselves())?;
    match changes.checked_sub(1) {
        None => keys.keep_to_ourselves(),
        Some(more) => {
            keys.changed(key, EventClasses::STRING, "pfadd");
            keys.changed_much(more);
        }
    }
    ctx.reply.integer(i64::from(changes > 0));
    Ok(())
}

fn pfcount(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let count = if args.len() == 2 {
        let key = ctx.keys.at(args, 1);
        count_one(&mut ctx.keys, key)?
    } else {
        let mut registers = Registers::default();
        for index in 1..args.len() {
            let key = ctx.keys.at(args, index);
            if let Some(string) = ctx.keys.read_string(key)? {
                registers.merge(checked(string)?)?;
            }
        }
        registers.count()
    };
    ctx.reply.integer(count.cast_signed());
    Ok(())
}

/// The count of one key, which is stored in its header: a change, which replicas get as well.
fn count_one(keys: &mut Keys<'_>, key: Key<'_>) -> Result<u64, Failure> {
    let Some(string) = keys.read_string(key)? else { return Ok(0) };
    let bytes = checked(string)?;
    if let Some(count) = hyperloglog::cached_count(bytes) {
        make_raw(keys, key);
        return Ok(count);
    }
    let count = hyperloglog::count(bytes);
    make_raw(keys, key);
    let count = count?;
    // A replica's data stay its master's: it counts again each time.
    if keys.expired != Expired::Hide {
        edit(keys, key, |bytes| hyperloglog::cache_count(bytes, count));
        keys.changed_silently(key);
    }
    Ok(count)
}

/// Makes a string raw that Redis is about to look at as a HyperLogLog: no change to tell of.
fn make_raw(keys: &mut Keys<'_>, key: Key<'_>) {
    if keys.look(key).is_some_and(|entry| entry.encoding() == Encoding::Embstr) {
        edit(keys, key, |_| ());
        keys.keep_to_ourselves();
    }
}

fn pfmerge(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let max_bytes = sparse_max_bytes(ctx);
    let keys = &mut ctx.keys;
    let mut registers = Registers::default();
    let mut encoding = hyperloglog::Encoding::Sparse;
    for index in 1..args.len() {
        let key = keys.at(args, index);
        if let Some(string) = keys.read_string(key)? {
            let bytes = checked(string)?;
            if hyperloglog::encoding(bytes) == Some(hyperloglog::Encoding::Dense) {
                encoding = hyperloglog::Encoding::Dense;
            }
            registers.merge(bytes)?;
        }
    }
    let target = keys.at(args, 1);
    if keys.write_string(target)?.is_some() {
        let stored = edit(keys, target, |bytes| registers.store(bytes, encoding, max_bytes));
        stored.expect("the target was merged, so its registers are valid");
    } else {
        let mut bytes = hyperloglog::new();
        registers.store(&mut bytes, encoding, max_bytes)?;
        keys.store(target, Content::raw(&bytes), None);
    }
    keys.changed(target, EventClasses::STRING, "pfadd");
    ctx.reply.ok();
    Ok(())
}

fn pfdebug(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 2);
    let string = ctx.keys.write_string(key)?;
    checked(string.ok_or_else(|| Failure::err("The specified key does not exist"))?)?;
    make_raw(&mut ctx.keys, key);
    let string = ctx.keys.look(key).and_then(|entry| entry.value().string());
    let bytes = checked(string.expect("found above"))?;
    match () {
        () if args.is(1, "GETREG") => {
            let mut registers = Registers::default();
            registers.merge(bytes)?;
            make_dense(&mut ctx.keys, key)?;
            ctx.reply.array(registers.values().len());
            registers.values().iter().for_each(|&value| ctx.reply.integer(i64::from(value)));
        }
        () if args.is(1, "DECODE") => {
            let not_sparse = || Failure::err("HLL encoding is not sparse");
            let text = hyperloglog::describe(bytes).ok_or_else(not_sparse)?;
            ctx.reply.bulk(text.as_bytes());
        }
        () if args.is(1, "ENCODING") => {
            let encoding = hyperloglog::encoding(bytes).ok_or(INVALID)?;
            ctx.reply.simple(encoding.name());
        }
        () if args.is(1, "TODENSE") => {
            let converted = make_dense(&mut ctx.keys, key)?;
            ctx.reply.integer(i64::from(converted));
        }
        () => {
            let sent = until_nul(args.at(1));
            return Err(Failure::Bytes([b"ERR Unknown PFDEBUG subcommand '", sent, b"'"].concat()));
        }
    }
    Ok(())
}

/// Makes a HyperLogLog dense; returns whether it was not. Counts as a change of no key: Redis
/// neither fails transactions that watch the key nor raises an event.
fn make_dense(keys: &mut Keys<'_>, key: Key<'_>) -> Result<bool, Failure> {
    let converted = edit(keys, key, |bytes| hyperloglog::to_dense(bytes));
    match converted {
        Ok(true) => keys.changed_much(1),
        _ => keys.keep_to_ourselves(),
    }
    Ok(converted?)
}

fn pfselftest(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let failed = |text: String| Failure::Bytes([b"TESTFAILED ", text.as_bytes()].concat());
    hyperloglog::self_test().map_err(failed)?;
    ctx.reply.ok();
    Ok(())
}
