//! Sorted set commands: the rows, and what concerns single members. Ranges, pops, combinations and
//! random members have separate files.

mod add;
mod bounds;
mod combine;
mod pop;
mod random;
mod range;

use super::command::{
    Group::SortedSet, KeyPlaces, at_least, command, exactly, key_range, numbered_keys, one_key,
    two_keys,
};
use super::scan::{self, ScanOptions};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag::*, Keys};
use crate::keyspace::Key;
use crate::number::double::{self, DoubleText};
use crate::resp::Output;
use crate::settings::EventClasses;
use crate::types::sorted_set::{self, SortedSetRef};
use crate::types::{Type, Value, ValueRef};

/// A destination, and behind it as many sources as a number says.
const STORED: KeyPlaces = one_key(&[Ow, Update]).and_numbered(&[Ro, Access], 2);

pub(super) use add::zadd;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("BZMPOP", pop::bzmpop, at_least(5), &[Write, Blocking, MovableKeys],
        numbered_keys(&[Rw, Access, Delete], 2), SortedSet)
        .docs("7.0.0", "O(K) + O(M*log(N)) where K is the number of keys, N the size of the sorted set and M the number of elements taken",
            "timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
            "Takes the least or greatest elements of the first sorted set that there is, or waits for one."),
    command("BZPOPMAX", pop::bzpopmax, at_least(3), &[Write, NoScript, Blocking, Fast],
        key_range(&[Rw, Access, Delete], 1, -2, 1), SortedSet)
        .docs("5.0.0", "O(log(N)) where N is the size of the sorted set", "key [key ...] timeout",
            "Takes the greatest element of the first sorted set that there is, or waits for one."),
    command("BZPOPMIN", pop::bzpopmin, at_least(3), &[Write, NoScript, Blocking, Fast],
        key_range(&[Rw, Access, Delete], 1, -2, 1), SortedSet)
        .docs("5.0.0", "O(log(N)) where N is the size of the sorted set", "key [key ...] timeout",
            "Takes the least element of the first sorted set that there is, or waits for one."),
    command("ZADD", zadd, at_least(4), &[Write, DenyOom, Fast], one_key(&[Rw, Update]), SortedSet)
        .member(3)
        .docs("1.2.0", "O(log(N)) per element, where N is the size of the sorted set",
            "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
            "Adds members with their scores, or gives members new scores."),
    command("ZCARD", zcard, exactly(2), &[ReadOnly, Fast], one_key(&[Ro]), SortedSet)
        .docs("1.2.0", "O(1)", "key", "Counts the members of a sorted set."),
    command("ZCOUNT", range::zcount, exactly(4), &[ReadOnly, Fast], one_key(&[Ro, Access]), SortedSet)
        .docs("2.0.0", "O(log(N)) where N is the size of the sorted set", "key min max",
            "Counts the members whose scores lie in a range."),
    command("ZDIFF", combine::zdiff, at_least(3), &[ReadOnly, MovableKeys],
        numbered_keys(&[Ro, Access], 1), SortedSet)
        .docs("6.2.0", "O(L + (N-K)log(N)) where L is the size of all sources, N that of the first and K that of the result",
            "numkeys key [key ...] [WITHSCORES]",
            "Gives the elements of the first source whose members no other source has."),
    command("ZDIFFSTORE", combine::zdiffstore, at_least(4), &[Write, DenyOom, MovableKeys], STORED, SortedSet)
        .docs("6.2.0", "O(L + (N-K)log(N)) where L is the size of all sources, N that of the first and K that of the result",
            "destination numkeys key [key ...]",
            "Stores the elements of the first source whose members no other source has."),
    command("ZINCRBY", add::zincrby, exactly(4), &[Write, DenyOom, Fast],
        one_key(&[Rw, Access, Update]), SortedSet)
        .member(3)
        .docs("1.2.0", "O(log(N)) where N is the size of the sorted set", "key increment member",
            "Adds to the score of a member; one that is missing counts as 0."),
    command("ZINTER", combine::zinter, at_least(3), &[ReadOnly, MovableKeys],
        numbered_keys(&[Ro, Access], 1), SortedSet)
        .docs("6.2.0", "O(N*K) + O(M*log(M)) where N is the size of the smallest source, K the number of sources and M the size of the result",
            "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
            "Gives the members that all sources have."),
    command("ZINTERCARD", combine::zintercard, at_least(3), &[ReadOnly, MovableKeys],
        numbered_keys(&[Ro, Access], 1), SortedSet)
        .docs("7.0.0", "O(N*K) where N is the size of the smallest source and K the number of sources",
            "numkeys key [key ...] [LIMIT limit]", "Counts the members that all sources have, up to a limit."),
    command("ZINTERSTORE", combine::zinterstore, at_least(4), &[Write, DenyOom, MovableKeys], STORED, SortedSet)
        .docs("2.0.0", "O(N*K) + O(M*log(M)) where N is the size of the smallest source, K the number of sources and M the size of the result",
            "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
            "Stores the members that all sources have."),
    command("ZLEXCOUNT", range::zlexcount, exactly(4), &[ReadOnly, Fast], one_key(&[Ro, Access]), SortedSet)
        .docs("2.8.9", "O(log(N)) where N is the size of the sorted set", "key min max",
            "Counts the members in a range of members, where all scores are equal."),
    command("ZMPOP", pop::zmpop, at_least(4), &[Write, MovableKeys],
        numbered_keys(&[Rw, Access, Delete], 1), SortedSet)
        .docs("7.0.0", "O(K) + O(M*log(N)) where K is the number of keys, N the size of the sorted set and M the number of elements taken",
            "numkeys key [key ...] <MIN | MAX> [COUNT count]",
            "Takes the least or greatest elements of the first sorted set that there is."),
    command("ZMSCORE", zmscore, at_least(3), &[ReadOnly, Fast], one_key(&[Ro, Access]), SortedSet)
        .docs("6.2.0", "O(N) where N is the number of members named", "key member [member ...]",
            "Gives the scores of members, and null for those that are missing."),
    command("ZPOPMAX", pop::zpopmax, at_least(2), &[Write, Fast], one_key(&[Rw, Access, Delete]), SortedSet)
        .docs("5.0.0", "O(M*log(N)) where N is the size of the sorted set and M the number of elements taken",
            "key [count]", "Takes the elements with the greatest scores."),
    command("ZPOPMIN", pop::zpopmin, at_least(2), &[Write, Fast], one_key(&[Rw, Access, Delete]), SortedSet)
        .docs("5.0.0", "O(M*log(N)) where N is the size of the sorted set and M the number of elements taken",
            "key [count]", "Takes the elements with the least scores."),
    command("ZRANDMEMBER", random::zrandmember, at_least(2), &[ReadOnly], one_key(&[Ro, Access]), SortedSet)
        .docs("6.2.0", "O(N) where N is the number of members given", "key [count [WITHSCORES]]",
            "Gives members that are chosen at random.")
        .tips(&["nondeterministic_output"]),
    command("ZRANGE", range::zrange, at_least(4), &[ReadOnly], one_key(&[Ro, Access]), SortedSet)
        .docs("1.2.0", "O(log(N)+M) where N is the size of the sorted set and M that of the reply",
            "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
            "Gives the members in a range of ranks, scores or members."),
    command("ZRANGEBYLEX", range::zrangebylex, at_least(4), &[ReadOnly], one_key(&[Ro, Access]), SortedSet)
        .docs("2.8.9", "O(log(N)+M) where N is the size of the sorted set and M that of the reply",
            "key min max [LIMIT offset count]",
            "Gives the members in a range of members, where all scores are equal."),
    command("ZRANGEBYSCORE", range::zrangebyscore, at_least(4), &[ReadOnly], one_key(&[Ro, Access]), SortedSet)
        .docs("1.0.5", "O(log(N)+M) where N is the size of the sorted set and M that of the reply",
            "key min max [WITHSCORES] [LIMIT offset count]", "Gives the members whose scores lie in a range."),
    command("ZRANGESTORE", range::zrangestore, at_least(5), &[Write, DenyOom],
        two_keys(&[Ow, Update], &[Ro, Access]), SortedSet)
        .docs("6.2.0", "O(log(N)+M) where N is the size of the sorted set and M that of the result",
            "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
            "Stores the elements in a range of ranks, scores or members."),
    command("ZRANK", zrank, exactly(3), &[ReadOnly, Fast], one_key(&[Ro, Access]), SortedSet)
        .member(2)
        .docs("2.0.0", "O(log(N)) where N is the size of the sorted set", "key member",
            "Counts the members before a member."),
    command("ZREM", zrem, at_least(3), &[Write, Fast], one_key(&[Rw, Delete]), SortedSet)
        .member(2)
        .docs("1.2.0", "O(M*log(N)) where N is the size of the sorted set and M the number of members named",
            "key member [member ...]", "Removes members, and the key once none is left."),
    command("ZREMRANGEBYLEX", range::zremrangebylex, exactly(4), &[Write], one_key(&[Rw, Delete]), SortedSet)
        .docs("2.8.9", "O(log(N)+M) where N is the size of the sorted set and M the number of members removed",
            "key min max", "Removes the members in a range of members, where all scores are equal."),
    command("ZREMRANGEBYRANK", range::zremrangebyrank, exactly(4), &[Write], one_key(&[Rw, Delete]), SortedSet)
        .docs("2.0.0", "O(log(N)+M) where N is the size of the sorted set and M the number of members removed",
            "key start stop", "Removes the members in a range of ranks."),
    command("ZREMRANGEBYSCORE", range::zremrangebyscore, exactly(4), &[Write], one_key(&[Rw, Delete]), SortedSet)
        .docs("1.2.0", "O(log(N)+M) where N is the size of the sorted set and M the number of members removed",
            "key min max", "Removes the members whose scores lie in a range."),
    command("ZREVRANGE", range::zrevrange, at_least(4), &[ReadOnly], one_key(&[Ro, Access]), SortedSet)
        .docs("1.2.0", "O(log(N)+M) where N is the size of the sorted set and M that of the reply",
            "key start stop [WITHSCORES]", "Gives the members in a range of ranks, the greatest first."),
    command("ZREVRANGEBYLEX", range::zrevrangebylex, at_least(4), &[ReadOnly], one_key(&[Ro, Access]), SortedSet)
        .docs("2.8.9", "O(log(N)+M) where N is the size of the sorted set and M that of the reply",
            "key max min [LIMIT offset count]",
            "Gives the members in a range of members, the greatest first, where all scores are equal."),
    command("ZREVRANGEBYSCORE", range::zrevrangebyscore, at_least(4), &[ReadOnly], one_key(&[Ro, Access]), SortedSet)
        .docs("2.2.0", "O(log(N)+M) where N is the size of the sorted set and M that of the reply",
            "key max min [WITHSCORES] [LIMIT offset count]",
            "Gives the members whose scores lie in a range, the greatest first."),
    command("ZREVRANK", zrevrank, exactly(3), &[ReadOnly, Fast], one_key(&[Ro, Access]), SortedSet)
        .member(2)
        .docs("2.0.0", "O(log(N)) where N is the size of the sorted set", "key member",
            "Counts the members behind a member."),
    command("ZSCAN", zscan, at_least(3), &[ReadOnly], one_key(&[Ro, Access]), SortedSet)
        .docs("2.8.0", "O(1) per call, O(N) for a whole walk over N members",
            "key cursor [MATCH pattern] [COUNT count]",
            "Walks over the members of a sorted set with their scores, a few per call.")
        .tips(&["nondeterministic_output"]),
    command("ZSCORE", zscore, exactly(3), &[ReadOnly, Fast], one_key(&[Ro, Access]), SortedSet)
        .member(2)
        .docs("1.2.0", "O(1)", "key member", "Gives the score of a member."),
    command("ZUNION", combine::zunion, at_least(3), &[ReadOnly, MovableKeys],
        numbered_keys(&[Ro, Access], 1), SortedSet)
        .docs("6.2.0", "O(N) + O(M*log(M)) where N is the size of all sources and M that of the result",
            "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
            "Gives the members that at least one source has."),
    command("ZUNIONSTORE", combine::zunionstore, at_least(4), &[Write, DenyOom, MovableKeys], STORED, SortedSet)
        .docs("2.0.0", "O(N) + O(M*log(M)) where N is the size of all sources and M that of the result",
            "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
            "Stores the members that at least one source has."),
];

/// The sorted set of a key that the command reads.
#[inline]
fn read<'k>(keys: &'k mut Keys<'_>, key: Key<'_>) -> Result<Option<SortedSetRef<'k>>, Failure> {
    Ok(keys.read_of(key, Type::SortedSet)?.map(view))
}

/// A value whose type is checked.
#[inline]
fn view(value: ValueRef<'_>) -> SortedSetRef<'_> {
    value.sorted_set().expect("the value's type is checked")
}

#[inline]
fn reply_score(reply: &mut Output, score: f64) {
    reply.double(DoubleText::new(score).as_bytes());
}

/// Replies with a score, or null.
#[inline]
fn reply_score_or_null(reply: &mut Output, score: Option<f64>) {
    match score {
        Some(score) => reply_score(reply, score),
        None => reply.null(),
    }
}

/// Counts further elements of a change that [`Keys::changed`] has counted as one.
fn count_further(keys: &mut Keys<'_>, elements: usize) {
    keys.changed_much(elements.saturating_sub(1) as u64);
}

/// Records that elements were removed, if any were.
fn note_removed(keys: &mut Keys<'_>, key: Key<'_>, event: &'static str, elements: usize) {
    if elements > 0 {
        keys.shrunk(key, EventClasses::SORTED_SET, event);
        count_further(keys, elements);
    }
}

/// Makes a key hold a result, or removes it if there is none; replies with the number of elements.
fn store(ctx: &mut Context<'_>, target: Key<'_>, result: Option<Value>, event: &'static str) {
    let len = result.as_ref().map_or(0, |result| view(result.view()).len());
    let was_there = ctx.keys.has(target);
    if let (1.., Some(result)) = (len, result) {
        ctx.keys.store_owned(target, result, None);
        ctx.reply.count(len);
        ctx.replied_before_events();
        ctx.keys.changed(target, EventClasses::SORTED_SET, event);
        return;
    }
    ctx.reply.integer(0);
    ctx.replied_before_events();
    if was_there {
        ctx.keys.remove(target);
        ctx.keys.changed(target, EventClasses::GENERIC, "del");
    }
}

fn zcard(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let len = read(&mut ctx.keys, key)?.map_or(0, SortedSetRef::len);
    ctx.reply.count(len);
    Ok(())
}

fn zscore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let score = read(&mut ctx.keys, key)?.and_then(|set| set.score(args.at(2)));
    reply_score_or_null(ctx.reply, score);
    Ok(())
}

fn zmscore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let set = read(&mut ctx.keys, key)?;
    ctx.reply.array(args.len() - 2);
    for member in args.from(2) {
        reply_score_or_null(ctx.reply, set.and_then(|set| set.score(member)));
    }
    Ok(())
}

fn zrank(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    rank(ctx, args, |rank, _| rank)
}

fn zrevrank(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    rank(ctx, args, |rank, len| len - 1 - rank)
}

/// Replies with what a member's rank is among so many.
fn rank(ctx: &mut Context<'_>, args: &Args<'_>, of: fn(usize, usize) -> usize) -> Handled {
    let key = ctx.keys.at(args, 1);
    let set = read(&mut ctx.keys, key)?;
    match set.and_then(|set| Some(of(set.rank(args.at(2))?, set.len()))) {
        Some(rank) => ctx.reply.count(rank),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn zrem(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let removed = ctx.keys.update(key, Type::SortedSet, |place| {
        args.from(2).filter(|member| sorted_set::remove(place, member).is_some()).count()
    })?;
    let removed = removed.unwrap_or(0);
    note_removed(&mut ctx.keys, key, "zrem", removed);
    ctx.reply.count(removed);
    Ok(())
}

fn zscan(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let from = scan::cursor(args.at(2))?;
    let key = ctx.keys.at(args, 1);
    // Redis looks at the options only if there is a sorted set.
    let Some(set) = read(&mut ctx.keys, key)? else {
        ctx.reply.array(2);
        ctx.reply.bulk(b"0");
        ctx.reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(args, 3)?;
    let is_packed = matches!(set, SortedSetRef::Packed(_));
    let (mut found, mut elements) = (Output::new(ctx.reply.protocol), 0);
    let next = set.scan(from.0, options.count, |member, score| {
        if member.with_bytes(|member| options.matches(member)) {
            Context::reply_item(&mut found, member);
            match double::integral(score).filter(|_| is_packed) {
                // Redis shows what the listpack holds, which differs from 2^53 on.
                Some(integer) => found.bulk_integer(integer),
                None => found.bulk(DoubleText::new(score).as_bytes()),
            }
            elements += 1;
        }
    });
    ctx.reply.array(2);
    ctx.reply.bulk(next.to_string().as_bytes());
    ctx.reply.array(2 * elements);
    ctx.reply.append(&found);
    Ok(())
}
