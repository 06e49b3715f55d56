//! Sorted set commands: the rows, and what reads single members.

mod add;

use super::command::{Group::SortedSet, at_least, command, exactly, one_key};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag::*, Keys};
use crate::keyspace::Key;
use crate::number::double::DoubleText;
use crate::resp::Output;
use crate::types::sorted_set::SortedSetRef;
use crate::types::{Type, ValueRef};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("ZADD", add::zadd, at_least(4), &[Write, DenyOom, Fast], one_key(&[Rw, Update]), SortedSet)
        .docs("1.2.0", "O(log(N)) per element, where N is the size of the sorted set",
            "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
            "Adds members with their scores, or gives members new scores."),
    command("ZCARD", zcard, exactly(2), &[ReadOnly, Fast], one_key(&[Ro]), SortedSet)
        .docs("1.2.0", "O(1)", "key", "Counts the members."),
    command("ZINCRBY", add::zincrby, exactly(4), &[Write, DenyOom, Fast],
        one_key(&[Rw, Access, Update]), SortedSet)
        .docs("1.2.0", "O(log(N)) where N is the size of the sorted set", "key increment member",
            "Adds to the score of a member; one that is missing counts as 0."),
    command("ZRANGE", zrange, exactly(4), &[ReadOnly], one_key(&[Ro, Access]), SortedSet)
        .docs("1.2.0", "O(log(N)+M) where N is the size of the sorted set and M that of the reply",
            "key start stop", "Lists the members of a range."),
    command("ZSCORE", zscore, exactly(3), &[ReadOnly, Fast], one_key(&[Ro, Access]), SortedSet)
        .docs("1.2.0", "O(1)", "key member", "Gives the score of a member."),
];

/// The sorted set that a command reads.
#[inline]
fn read<'k>(keys: &'k mut Keys<'_>, key: Key<'_>) -> Result<Option<SortedSetRef<'k>>, Failure> {
    Ok(keys.read_of(key, Type::SortedSet)?.map(view))
}

/// A value whose type is checked.
#[inline]
fn view(value: ValueRef<'_>) -> SortedSetRef<'_> {
    match value {
        ValueRef::SortedSet(set) => set,
        _ => unreachable!("the value's type is checked"),
    }
}

#[inline]
fn reply_score(reply: &mut Output, score: f64) {
    reply.double(DoubleText::new(score).as_bytes());
}

fn zcard(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let len = read(&mut ctx.keys, key)?.map_or(0, SortedSetRef::len);
    ctx.reply.count(len);
    Ok(())
}

fn zscore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    match read(&mut ctx.keys, key)?.and_then(|set| set.score(args.at(2))) {
        Some(score) => reply_score(ctx.reply, score),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn zrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (start, stop) = (Context::integer(args.at(2))?, Context::integer(args.at(3))?);
    let key = ctx.keys.at(args, 1);
    let Some(set) = read(&mut ctx.keys, key)? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let len = set.len() as i64;
    let from_start = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let (start, stop) = (from_start(start).max(0), from_start(stop).min(len - 1));
    let count = (stop - start + 1).max(0) as usize;
    ctx.reply.array(count);
    for (member, _) in set.iter_from(start as usize).take(count) {
        Context::reply_item(ctx.reply, member);
    }
    Ok(())
}
