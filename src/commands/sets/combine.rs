//! Several sets at once: intersection, union and difference, shown, counted or stored.
//!
//! All keys are prepared first, then the sets are looked at together where they stand. The form of
//! a stored result is what Redis 7.0 makes of it, which for a difference depends on how it is
//! computed: see [`difference`].

use super::SetRef;
use crate::commands::{Args, Context, Failure, Handled, Keys};
use crate::keyspace::Key;
use crate::settings::{Collections, EventClasses};
use crate::types::listpack::Item;
use crate::types::{Type, Value, members};

/// Prepares the keys among some arguments; those without a set are `None`.
fn prepare<'b>(
    ctx: &mut Context<'_>,
    args: &Args<'b>,
    at: std::ops::Range<usize>,
) -> Result<Vec<Option<Key<'b>>>, Failure> {
    at.map(|index| {
        let key = ctx.keys.at(args, index);
        Ok(ctx.keys.read_of(key, Type::Set)?.map(|_| key))
    })
    .collect()
}

/// The sets of prepared keys.
fn look<'k>(keys: &'k Keys<'_>, prepared: &[Option<Key<'_>>]) -> Vec<Option<SetRef<'k>>> {
    prepared.iter().map(|key| keys.look((*key)?)?.value().set()).collect()
}

/// The sets of prepared keys, smallest first; `None` if one is missing.
fn look_at_all<'k>(keys: &'k Keys<'_>, prepared: &[Option<Key<'_>>]) -> Option<Vec<SetRef<'k>>> {
    let mut sets: Vec<_> = look(keys, prepared).into_iter().collect::<Option<_>>()?;
    sets.sort_by_key(|set| set.len());
    Some(sets)
}

/// The members that all of the sets have.
fn intersection<'k>(sets: &[SetRef<'k>]) -> impl Iterator<Item = Item<'k>> {
    let (first, others) = sets.split_first().expect("the arity asks for a key");
    first.iter().filter(|member| others.iter().all(|set| set.contains_item(*member)))
}

pub(super) fn sinter(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let prepared = prepare(ctx, args, 1..args.len())?;
    let sets = look_at_all(&ctx.keys, &prepared);
    let common: Vec<_> = sets.iter().flat_map(|sets| intersection(sets)).collect();
    ctx.reply.set(common.len());
    common.into_iter().for_each(|member| Context::reply_item(ctx.reply, member));
    Ok(())
}

pub(super) fn sintercard(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let numkeys =
        crate::number::parse_i64(args.at(1)).and_then(|count| usize::try_from(count).ok());
    let numkeys = numkeys
        .filter(|count| *count > 0)
        .ok_or_else(|| Failure::err("numkeys should be greater than 0"))?;
    if numkeys > args.len() - 2 {
        return Err(Failure::err("Number of keys can't be greater than number of args"));
    }
    let mut limit = 0;
    for index in (2 + numkeys..args.len()).step_by(2) {
        let value = args.get(index + 1).filter(|_| args.is(index, "LIMIT"));
        limit = Context::count(value.ok_or(Failure::Syntax)?)
            .map_err(|_| Failure::err("LIMIT can't be negative"))?;
    }
    let prepared = prepare(ctx, args, 2..2 + numkeys)?;
    let sets = look_at_all(&ctx.keys, &prepared);
    let limit = if limit == 0 { usize::MAX } else { limit };
    let count = sets.map_or(0, |sets| intersection(&sets).take(limit).count());
    ctx.reply.count(count);
    Ok(())
}

pub(super) fn sinterstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let prepared = prepare(ctx, args, 2..args.len())?;
    let target = ctx.keys.at(args, 1);
    let Some(sets) = look_at_all(&ctx.keys, &prepared) else {
        // Here alone the event comes before the reply.
        if ctx.keys.has(target) {
            ctx.keys.remove(target);
            ctx.keys.changed(target, EventClasses::GENERIC, "del");
        }
        ctx.reply.integer(0);
        return Ok(());
    };
    let common: Vec<_> = intersection(&sets).collect();
    let limits = &ctx.settings.collections;
    let result = members::of_members(common.iter().copied(), common.len(), limits);
    store(ctx, target, result, "sinterstore");
    Ok(())
}

/// Stores a result, or removes the key if there is none; replies with the number of members.
fn store(ctx: &mut Context<'_>, target: Key<'_>, result: Value, event: &'static str) {
    let len = result.view().set().map_or(0, SetRef::len);
    let was_there = ctx.keys.has(target);
    if len > 0 {
        ctx.keys.store_owned(target, result, None);
        ctx.reply.count(len);
        ctx.replied_before_events();
        ctx.keys.changed(target, EventClasses::SET, event);
        return;
    }
    ctx.keys.locked.discard(result);
    ctx.reply.integer(0);
    ctx.replied_before_events();
    if was_there {
        ctx.keys.remove(target);
        ctx.keys.changed(target, EventClasses::GENERIC, "del");
    }
}

/// Replies with a result that no key gets.
fn show(ctx: &mut Context<'_>, result: Value) {
    if let Some(set) = result.view().set() {
        ctx.reply.set(set.len());
        set.iter().for_each(|member| Context::reply_item(ctx.reply, member));
    }
    ctx.keys.locked.discard(result);
}

pub(super) fn sunion(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let prepared = prepare(ctx, args, 1..args.len())?;
    let result = union(look(&ctx.keys, &prepared), &ctx.settings.collections);
    show(ctx, result);
    Ok(())
}

pub(super) fn sunionstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let prepared = prepare(ctx, args, 2..args.len())?;
    let result = union(look(&ctx.keys, &prepared), &ctx.settings.collections);
    let target = ctx.keys.at(args, 1);
    store(ctx, target, result, "sunionstore");
    Ok(())
}

/// The members of all the sets. The largest set's table is shared, not copied.
fn union(sets: Vec<Option<SetRef<'_>>>, limits: &Collections) -> Value {
    let mut sets: Vec<_> = sets.into_iter().flatten().collect();
    if let Some(ints) = members::union_of_ints(&sets, limits) {
        return ints;
    }
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let (largest, others) = sets.split_first().expect("no sets are an intset");
    let mut union = members::hashed_copy_of(*largest);
    for member in others.iter().flat_map(|set| set.iter()) {
        member.with_bytes(|member| members::add(&mut union, member, limits));
    }
    union
}

pub(super) fn sdiff(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let prepared = prepare(ctx, args, 1..args.len())?;
    let result = difference(&prepared, &ctx.keys, &ctx.settings.collections);
    show(ctx, result);
    Ok(())
}

pub(super) fn sdiffstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let prepared = prepare(ctx, args, 2..args.len())?;
    let result = difference(&prepared, &ctx.keys, &ctx.settings.collections);
    let target = ctx.keys.at(args, 1);
    store(ctx, target, result, "sdiffstore");
    Ok(())
}

/// The members of the first set that none of the others has.
///
/// Redis asks the other sets for each member of the first, or it copies the first and removes the
/// members of the others: whichever looks like less work. A copy that was a hash table stays one,
/// however little is left, so the same choice is made here.
fn difference(prepared: &[Option<Key<'_>>], keys: &Keys<'_>, limits: &Collections) -> Value {
    let (first, rest) = prepared.split_first().expect("the arity asks for a key");
    let is_first = |key: &Option<Key<'_>>| match (key, first) {
        (Some(key), Some(first)) => key.bytes == first.bytes,
        _ => false,
    };
    let Some(minuend) =
        look(keys, &[*first]).pop().flatten().filter(|_| !rest.iter().any(is_first))
    else {
        return members::of_members(std::iter::empty(), 0, limits);
    };
    let mut others: Vec<_> = look(keys, rest).into_iter().flatten().collect();
    let len = minuend.len();
    let asking = len.saturating_mul(others.len() + 1) / 2;
    let removing = others.iter().map(|set| set.len()).fold(len, usize::saturating_add);
    if asking > removing {
        return without(minuend, &others, limits);
    }
    others.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let is_left = |member: &Item<'_>| !others.iter().any(|set| set.contains_item(*member));
    let left: Vec<_> = minuend.iter().filter(is_left).collect();
    members::of_members(left.iter().copied(), left.len(), limits)
}

/// A copy of a set, from which the members of others are removed.
fn without(minuend: SetRef<'_>, others: &[SetRef<'_>], limits: &Collections) -> Value {
    let mut copy = members::copy_of(minuend, limits);
    let mut left = minuend.len();
    for set in others {
        for member in set.iter() {
            left -= usize::from(member.with_bytes(|member| members::discard(&mut copy, member)));
        }
        if left == 0 {
            break;
        }
    }
    let small = copy.view().set().filter(|_| left <= members::PACKED_MEMBERS_MAX);
    match small {
        Some(set @ SetRef::Table(_)) => members::hashed_copy_of(set),
        _ => copy,
    }
}
