//! List commands: pushing, popping, and what is done by index. Searching, moving and waiting have
//! separate files, but their rows are here.

mod moving;
mod popping;
mod search;
mod waiting;

use std::sync::atomic::Ordering;

use super::command::{
    Group::List, at_least, command, exactly, key_range, numbered_keys, one_key, two_keys,
};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag::*};
use crate::node::Node;
use crate::settings::{EventClasses, Settings};
use crate::types::list::{self, Direction, Limits, ListRef};
use crate::types::{Encoding, Place, Remains, Type, ValueRef};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("BLMOVE", waiting::blmove, exactly(6), &[Write, DenyOom, NoScript, Blocking],
        two_keys(&[Rw, Access, Delete], &[Rw, Insert]), List)
        .docs("6.2.0", "O(1)", "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
            "Moves an element from an end of one list to an end of another and gives it; waits while there is none."),
    command("BLMPOP", waiting::blmpop, at_least(5), &[Write, Blocking, MovableKeys],
        numbered_keys(&[Rw, Access, Delete], 2), List)
        .docs("7.0.0", "O(N+M) where N is the number of keys and M the number of elements returned",
            "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
            "Takes elements from an end of the first list that has any; waits while none has."),
    command("BLPOP", waiting::blpop, at_least(3), &[Write, NoScript, Blocking],
        key_range(&[Rw, Access, Delete], 1, -2, 1), List)
        .docs("2.0.0", "O(N) where N is the number of keys", "key [key ...] timeout",
            "Takes the first element of the first list that has any; waits while none has."),
    command("BRPOP", waiting::brpop, at_least(3), &[Write, NoScript, Blocking],
        key_range(&[Rw, Access, Delete], 1, -2, 1), List)
        .docs("2.0.0", "O(N) where N is the number of keys", "key [key ...] timeout",
            "Takes the last element of the first list that has any; waits while none has."),
    command("BRPOPLPUSH", waiting::brpoplpush, exactly(4), &[Write, DenyOom, NoScript, Blocking],
        two_keys(&[Rw, Access, Delete], &[Rw, Insert]), List)
        .docs("2.2.0", "O(1)", "source destination timeout",
            "Moves the last element of a list to the start of another and gives it; waits while there is none."),
    command("LINDEX", lindex, exactly(3), &[ReadOnly], one_key(&[Ro, Access]), List)
        .docs("1.0.0", "O(N) within a node, O(log N) among nodes", "key index",
            "Gives the element at an index; negative ones count from the end."),
    command("LINSERT", search::linsert, exactly(5), &[Write, DenyOom], one_key(&[Rw, Insert]), List)
        .docs("2.2.0", "O(N) where N is the number of elements up to the pivot",
            "key <BEFORE | AFTER> pivot element",
            "Inserts an element beside the first one that is equal to the pivot."),
    command("LLEN", llen, exactly(2), &[ReadOnly, Fast], one_key(&[Ro]), List)
        .docs("1.0.0", "O(1)", "key", "Gives the number of elements of a list."),
    command("LMOVE", moving::lmove, exactly(5), &[Write, DenyOom],
        two_keys(&[Rw, Access, Delete], &[Rw, Insert]), List)
        .docs("6.2.0", "O(1)", "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
            "Moves an element from an end of one list to an end of another and gives it."),
    command("LMPOP", popping::lmpop, at_least(4), &[Write, MovableKeys],
        numbered_keys(&[Rw, Access, Delete], 1), List)
        .docs("7.0.0", "O(N+M) where N is the number of keys and M the number of elements returned",
            "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
            "Takes elements from an end of the first list that has any."),
    command("LPOP", popping::lpop, at_least(2), &[Write, Fast], one_key(&[Rw, Access, Delete]), List)
        .docs("1.0.0", "O(N) where N is the number of elements returned", "key [count]",
            "Takes the first element or elements of a list."),
    command("LPOS", search::lpos, at_least(3), &[ReadOnly], one_key(&[Ro, Access]), List)
        .docs("6.0.6", "O(N) where N is the number of elements looked at",
            "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
            "Gives the indexes of elements that are equal to one."),
    command("LPUSH", lpush, at_least(3), &[Write, DenyOom, Fast], one_key(&[Rw, Insert]), List)
        .docs("1.0.0", "O(N) where N is the number of elements added", "key element [element ...]",
            "Adds elements at the start of a list, creating it when it is missing."),
    command("LPUSHX", lpushx, at_least(3), &[Write, DenyOom, Fast], one_key(&[Rw, Insert]), List)
        .docs("2.2.0", "O(N) where N is the number of elements added", "key element [element ...]",
            "Adds elements at the start of a list that exists."),
    command("LRANGE", lrange, exactly(4), &[ReadOnly], one_key(&[Ro, Access]), List)
        .docs("1.0.0", "O(N) where N is the number of elements returned", "key start stop",
            "Gives the elements between two indexes, both included; negative ones count from the end."),
    command("LREM", search::lrem, exactly(4), &[Write], one_key(&[Rw, Delete]), List)
        .docs("1.0.0", "O(N) where N is the length of the list", "key count element",
            "Removes elements that are equal to one: from the start, from the end if the count is negative, or all if it is 0."),
    command("LSET", lset, exactly(4), &[Write, DenyOom], one_key(&[Rw, Update]), List)
        .docs("1.0.0", "O(N) within a node, O(log N) among nodes", "key index element",
            "Replaces the element at an index; negative ones count from the end."),
    command("LTRIM", ltrim, exactly(4), &[Write], one_key(&[Rw, Delete]), List)
        .docs("1.0.0", "O(N) where N is the number of elements removed", "key start stop",
            "Removes all elements but those between two indexes, which stay; negative ones count from the end."),
    command("RPOP", popping::rpop, at_least(2), &[Write, Fast], one_key(&[Rw, Access, Delete]), List)
        .docs("1.0.0", "O(N) where N is the number of elements returned", "key [count]",
            "Takes the last element or elements of a list."),
    command("RPOPLPUSH", moving::rpoplpush, exactly(3), &[Write, DenyOom],
        two_keys(&[Rw, Access, Delete], &[Rw, Insert]), List)
        .docs("1.2.0", "O(1)", "source destination",
            "Moves the last element of a list to the start of another and gives it."),
    command("RPUSH", rpush, at_least(3), &[Write, DenyOom, Fast], one_key(&[Rw, Insert]), List)
        .docs("1.0.0", "O(N) where N is the number of elements added", "key element [element ...]",
            "Adds elements at the end of a list, creating it when it is missing."),
    command("RPUSHX", rpushx, at_least(3), &[Write, DenyOom, Fast], one_key(&[Rw, Insert]), List)
        .docs("2.2.0", "O(N) where N is the number of elements added", "key element [element ...]",
            "Adds elements at the end of a list that exists."),
];

/// The limits of lists that are made now.
#[inline]
pub(super) fn limits(node: &Node, settings: &Settings) -> Limits {
    let collections = &settings.collections;
    let depth = usize::try_from(collections.list_compress_depth).unwrap_or(usize::MAX);
    Limits::new(i64::from(collections.list_node_size), depth)
        .with_plain_bytes_min(node.list_plain_bytes_min.load(Ordering::Relaxed))
}

/// A value that was found to be a list.
#[inline]
fn list_of(value: ValueRef<'_>) -> ListRef<'_> {
    value.list().expect("its type was looked at")
}

/// An end of a list, as arguments name it.
fn end_named(arg: &[u8]) -> Result<Direction, Failure> {
    match arg {
        _ if arg.eq_ignore_ascii_case(b"LEFT") => Ok(Direction::Forward),
        _ if arg.eq_ignore_ascii_case(b"RIGHT") => Ok(Direction::Backward),
        _ => Err(Failure::Syntax),
    }
}

/// The event of elements added at an end.
fn pushed(end: Direction) -> &'static str {
    match end {
        Direction::Forward => "lpush",
        Direction::Backward => "rpush",
    }
}

fn lpush(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    push(ctx, args, Direction::Forward, IfMissing::Make)
}

fn rpush(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    push(ctx, args, Direction::Backward, IfMissing::Make)
}

fn lpushx(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    push(ctx, args, Direction::Forward, IfMissing::Leave)
}

fn rpushx(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    push(ctx, args, Direction::Backward, IfMissing::Leave)
}

/// What a push does where there is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IfMissing {
    Make,
    Leave,
}

#[inline]
fn push(ctx: &mut Context<'_>, args: &Args<'_>, end: Direction, missing: IfMissing) -> Handled {
    let key = ctx.keys.at(args, 1);
    let limits = limits(ctx.node, ctx.settings);
    let values = args.from(2);
    let count = values.len() as u64;
    let add = |place: &mut dyn Place| list::push_all(place, end, values, limits);
    let len = match missing {
        IfMissing::Make => Some(ctx.keys.upsert(key, Encoding::ListPack, add)?),
        IfMissing::Leave => ctx.keys.update(key, Type::List, add)?,
    };
    let Some(len) = len else {
        ctx.reply.integer(0);
        return Ok(());
    };
    ctx.reply.count(len);
    ctx.replied_before_events();
    ctx.keys.changed(key, EventClasses::LIST, pushed(end));
    ctx.keys.changed_much(count - 1);
    Ok(())
}

fn llen(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let len = ctx.keys.read_of(key, Type::List)?.map_or(0, |value| list_of(value).len());
    ctx.reply.count(len);
    Ok(())
}

/// The index that an argument means in a list of `len`; `None` if no element has it.
fn index_of(index: i64, len: usize) -> Option<usize> {
    let index = match usize::try_from(index) {
        Ok(index) => index,
        Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
    };
    (index < len).then_some(index)
}

fn lindex(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let Some(value) = ctx.keys.read_of(key, Type::List)? else {
        ctx.reply.null();
        return Ok(());
    };
    let list = list_of(value);
    let index = index_of(Context::integer(args.at(2))?, list.len());
    let reply = &mut *ctx.reply;
    let found = index.and_then(|index| list.with(index, |item| Context::reply_item(reply, item)));
    if found.is_none() {
        ctx.reply.null();
    }
    Ok(())
}

fn lset(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let value = ctx.keys.write_of(key, Type::List)?.ok_or(Failure::NoSuchKey)?;
    let index = index_of(Context::integer(args.at(2))?, list_of(value).len());
    let index = index.ok_or_else(|| Failure::err("index out of range"))?;
    let limits = limits(ctx.node, ctx.settings);
    ctx.keys.edit(key, |place| list::set(place, index, args.at(3), limits));
    ctx.reply.ok();
    ctx.replied_before_events();
    ctx.keys.changed(key, EventClasses::LIST, "lset");
    Ok(())
}

/// Indexes of a list's elements between two arguments: the first, and how many.
fn range_of(start: i64, stop: i64, len: usize) -> Option<(usize, usize)> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let from_start = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let start = from_start(start).max(0);
    let stop = from_start(stop).min(len - 1);
    if start > stop {
        return None;
    }
    Some((usize::try_from(start).ok()?, usize::try_from(stop - start + 1).ok()?))
}

fn lrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (start, stop) = (Context::integer(args.at(2))?, Context::integer(args.at(3))?);
    let key = ctx.keys.at(args, 1);
    let list = ctx.keys.read_of(key, Type::List)?.map(list_of);
    let range = list.and_then(|list| Some((list, range_of(start, stop, list.len())?)));
    let Some((list, (start, count))) = range else {
        ctx.reply.array(0);
        return Ok(());
    };
    let reply = &mut *ctx.reply;
    reply.array(count);
    list.visit_some(start, Direction::Forward, count, |item| Context::reply_item(reply, item));
    Ok(())
}

fn ltrim(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (start, stop) = (Context::integer(args.at(2))?, Context::integer(args.at(3))?);
    let key = ctx.keys.at(args, 1);
    if let Some(value) = ctx.keys.write_of(key, Type::List)? {
        let len = list_of(value).len();
        let (start, count) = range_of(start, stop, len).unwrap_or((len, 0));
        let behind = start + count;
        let removed = ctx.keys.edit(key, |place| {
            let back = list::remove_range(place, behind, len - behind);
            [back, list::remove_range(place, 0, start)]
        });
        removed.into_iter().flatten().for_each(|part| ctx.keys.bury(Remains::List(part)));
        if count == len {
            // Redis raises the event and marks watchers although nothing is different.
            ctx.keys.changed_too(ctx.keys.database, key, EventClasses::LIST, "ltrim");
        } else {
            ctx.keys.shrunk(key, EventClasses::LIST, "ltrim");
            ctx.keys.changed_much((len - count) as u64 - 1);
        }
    }
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{index_of, range_of};

    #[test]
    fn negative_indexes_count_from_the_end() {
        for (index, len, expected) in [
            (0, 3, Some(0)),
            (2, 3, Some(2)),
            (3, 3, None),
            (-1, 3, Some(2)),
            (-3, 3, Some(0)),
            (-4, 3, None),
            (0, 0, None),
            (i64::MIN, 3, None),
            (i64::MAX, 3, None),
        ] {
            assert_eq!(index_of(index, len), expected, "{index} of {len}");
        }
    }

    #[test]
    fn ranges_are_cut_to_the_list() {
        for (start, stop, len, expected) in [
            (0, -1, 3, Some((0, 3))),
            (1, 1, 3, Some((1, 1))),
            (-2, 9, 3, Some((1, 2))),
            (-9, 0, 3, Some((0, 1))),
            (2, 1, 3, None),
            (3, 5, 3, None),
            (0, -4, 3, None),
            (0, -1, 0, None),
            (i64::MIN, i64::MAX, 3, Some((0, 3))),
            (i64::MAX, i64::MIN, 3, None),
        ] {
            assert_eq!(range_of(start, stop, len), expected, "{start} to {stop} of {len}");
        }
    }
}
