//! Set commands: members, one set at a time, and moves between two. Random members and the
//! combination of several sets have separate files, but their rows are here.

mod combine;
mod random;

use super::command::{
    Begin, Find, Group::Set, KeyPlaces, at_least, command, exactly, key_range, numbered_keys,
    one_key, two_keys,
};
use super::scan::{self, ScanOptions};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag, KeyFlag::*, Keys};
use crate::keyspace::Key;
use crate::settings::{Collections, EventClasses};
use crate::types::Type;
use crate::types::listpack::Item;
use crate::types::members::{self, SetRef};

/// A destination, and behind it all the sources.
const fn stored(destination: &'static [KeyFlag]) -> KeyPlaces {
    let sources = Find::Range { last: -1, step: 1, limit: 0 };
    one_key(destination).and(&[Ro, Access], Begin::Index(2), sources)
}

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("SADD", sadd, at_least(3), &[Write, DenyOom, Fast], one_key(&[Rw, Insert]), Set)
        .member(2)
        .docs("1.0.0", "O(N) where N is the number of given members", "key member [member ...]",
            "Adds members to a set, creating it when it is missing."),
    command("SCARD", scard, exactly(2), &[ReadOnly, Fast], one_key(&[Ro]), Set)
        .docs("1.0.0", "O(1)", "key", "Gives the number of a set's members."),
    command("SDIFF", combine::sdiff, at_least(2), &[ReadOnly], key_range(&[Ro, Access], 1, -1, 1), Set)
        .docs("1.0.0", "O(N) where N is the number of members in all the sets", "key [key ...]",
            "Gives the members of the first set that none of the others has.")
        .tips(&["nondeterministic_output_order"]),
    command("SDIFFSTORE", combine::sdiffstore, at_least(3), &[Write, DenyOom], stored(&[Ow, Update]), Set)
        .docs("1.0.0", "O(N) where N is the number of members in all the sets", "destination key [key ...]",
            "Stores the members of the first source that none of the others has."),
    command("SINTER", combine::sinter, at_least(2), &[ReadOnly], key_range(&[Ro, Access], 1, -1, 1), Set)
        .docs("1.0.0", "O(N*M) where N is the size of the smallest set and M the number of sets", "key [key ...]",
            "Gives the members that all the sets have.")
        .tips(&["nondeterministic_output_order"]),
    command("SINTERCARD", combine::sintercard, at_least(3), &[ReadOnly, MovableKeys],
        numbered_keys(&[Ro, Access], 1), Set)
        .docs("7.0.0", "O(N*M) where N is the size of the smallest set and M the number of sets",
            "numkeys key [key ...] [LIMIT limit]",
            "Counts the members that all the sets have, up to a limit."),
    command("SINTERSTORE", combine::sinterstore, at_least(3), &[Write, DenyOom], stored(&[Rw, Update]), Set)
        .docs("1.0.0", "O(N*M) where N is the size of the smallest set and M the number of sets",
            "destination key [key ...]", "Stores the members that all the sources have."),
    command("SISMEMBER", sismember, exactly(3), &[ReadOnly, Fast], one_key(&[Ro]), Set)
        .member(2)
        .docs("1.0.0", "O(1)", "key member", "Tells whether a set has a member."),
    command("SMEMBERS", smembers, exactly(2), &[ReadOnly], one_key(&[Ro, Access]), Set)
        .docs("1.0.0", "O(N) where N is the number of members", "key", "Gives all the members of a set.")
        .tips(&["nondeterministic_output_order"]),
    command("SMISMEMBER", smismember, at_least(3), &[ReadOnly, Fast], one_key(&[Ro, Access]), Set)
        .member(2)
        .docs("6.2.0", "O(N) where N is the number of given members", "key member [member ...]",
            "Tells for each of some members whether a set has it."),
    command("SMOVE", smove, exactly(4), &[Write, Fast], two_keys(&[Rw, Access, Delete], &[Rw, Insert]), Set)
        .docs("1.0.0", "O(1)", "source destination member", "Takes a member from one set and adds it to another."),
    command("SPOP", random::spop, at_least(2), &[Write, Fast], one_key(&[Rw, Access, Delete]), Set)
        .docs("1.0.0", "O(1), or O(N) where N is the given count", "key [count]",
            "Removes random members from a set and gives them.")
        .tips(&["nondeterministic_output"]),
    command("SRANDMEMBER", random::srandmember, at_least(2), &[ReadOnly], one_key(&[Ro, Access]), Set)
        .docs("1.0.0", "O(1), or O(N) where N is the given count, whatever its sign", "key [count]",
            "Gives random members of a set; a negative count allows repetitions.")
        .tips(&["nondeterministic_output"]),
    command("SREM", srem, at_least(3), &[Write, Fast], one_key(&[Rw, Delete]), Set)
        .member(2)
        .docs("1.0.0", "O(N) where N is the number of given members", "key member [member ...]",
            "Removes members from a set, and the key once none is left."),
    command("SSCAN", sscan, at_least(3), &[ReadOnly], one_key(&[Ro, Access]), Set)
        .docs("2.8.0", "O(1) per call, O(N) for a whole walk over N members",
            "key cursor [MATCH pattern] [COUNT count]", "Walks over the members of a set, a few per call.")
        .tips(&["nondeterministic_output"]),
    command("SUNION", combine::sunion, at_least(2), &[ReadOnly], key_range(&[Ro, Access], 1, -1, 1), Set)
        .docs("1.0.0", "O(N) where N is the number of members in all the sets", "key [key ...]",
            "Gives the members that at least one of the sets has.")
        .tips(&["nondeterministic_output_order"]),
    command("SUNIONSTORE", combine::sunionstore, at_least(3), &[Write, DenyOom], stored(&[Ow, Update]), Set)
        .docs("1.0.0", "O(N) where N is the number of members in all the sets", "destination key [key ...]",
            "Stores the members that at least one of the sources has."),
];

/// The set of a key that the command reads, if there is one.
#[inline]
fn read<'k>(keys: &'k mut Keys<'_>, key: Key<'_>) -> Result<Option<SetRef<'k>>, Failure> {
    Ok(keys.read_of(key, Type::Set)?.and_then(|value| value.set()))
}

/// Counts further members of a change that [`Keys::changed`] has counted as one.
fn count_further(keys: &mut Keys<'_>, members: usize) {
    keys.changed_much(members.saturating_sub(1) as u64);
}

fn sadd(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (key, limits) = (ctx.keys.at(args, 1), &ctx.settings.collections);
    let added = ctx.keys.upsert(key, members::first_encoding(args.at(2)), |set| {
        args.from(2).filter(|member| members::add(set, member, limits)).count()
    })?;
    if added > 0 {
        ctx.keys.changed(key, EventClasses::SET, "sadd");
        count_further(&mut ctx.keys, added);
    }
    ctx.reply.count(added);
    Ok(())
}

fn srem(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let removed = ctx.keys.update(key, Type::Set, |set| {
        args.from(2).filter(|member| members::discard(set, member)).count()
    })?;
    let removed = removed.unwrap_or(0);
    if removed > 0 {
        ctx.keys.shrunk(key, EventClasses::SET, "srem");
        count_further(&mut ctx.keys, removed);
    }
    ctx.reply.count(removed);
    Ok(())
}

fn sismember(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let found = read(&mut ctx.keys, key)?.is_some_and(|set| set.contains(args.at(2)));
    ctx.reply.count(usize::from(found));
    Ok(())
}

fn smismember(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let set = read(&mut ctx.keys, key)?;
    ctx.reply.array(args.len() - 2);
    for member in args.from(2) {
        let found = set.is_some_and(|set| set.contains(member));
        ctx.reply.count(usize::from(found));
    }
    Ok(())
}

fn scard(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let len = read(&mut ctx.keys, key)?.map_or(0, SetRef::len);
    ctx.reply.count(len);
    Ok(())
}

fn smembers(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let set = read(&mut ctx.keys, key)?;
    ctx.reply.set(set.map_or(0, SetRef::len));
    for member in set.into_iter().flat_map(SetRef::iter) {
        Context::reply_item(ctx.reply, member);
    }
    Ok(())
}

fn smove(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (source, target, member) = (ctx.keys.at(args, 1), ctx.keys.at(args, 2), args.at(3));
    let kind = |keys: &mut Keys<'_>, key| keys.write(key).map(|entry| entry.encoding().kind());
    // Redis finds both before it decides: either may have expired.
    let (from, to) = (kind(&mut ctx.keys, source), kind(&mut ctx.keys, target));
    let moved = match (from, to) {
        (None, _) => false,
        (Some(Type::Set), None | Some(Type::Set)) if source.bytes == target.bytes => ctx
            .keys
            .look(source)
            .and_then(|entry| entry.value().set())
            .is_some_and(|set| set.contains(member)),
        (Some(Type::Set), None | Some(Type::Set)) => {
            move_member(&mut ctx.keys, (source, target), member, &ctx.settings.collections)
        }
        _ => return Err(Failure::WrongType),
    };
    ctx.reply.count(usize::from(moved));
    Ok(())
}

/// Moves a member between two keys that were prepared; false if the source does not have it.
fn move_member(
    keys: &mut Keys<'_>,
    (source, target): (Key<'_>, Key<'_>),
    member: &[u8],
    limits: &Collections,
) -> bool {
    if !keys.edit(source, |set| members::discard(set, member)) {
        return false;
    }
    keys.shrunk(source, EventClasses::SET, "srem");
    let first = members::first_encoding(member);
    let added = keys.upsert(target, first, |set| members::add(set, member, limits));
    if added.expect("its type was checked") {
        keys.changed(target, EventClasses::SET, "sadd");
    }
    true
}

fn sscan(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let cursor = scan::cursor(args.at(2))?;
    let key = ctx.keys.at(args, 1);
    let Some(set) = read(&mut ctx.keys, key)? else {
        ctx.reply.array(2);
        ctx.reply.bulk(b"0");
        ctx.reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(args, 3)?;
    let mut found: Vec<Box<[u8]>> = Vec::new();
    let next = set.scan(cursor.0, options.count, |member: Item<'_>| {
        member.with_bytes(|member| {
            if options.matches(member) {
                found.push(member.into());
            }
        });
    });
    ctx.reply.array(2);
    ctx.reply.bulk(next.to_string().as_bytes());
    scan::reply_keys(ctx, &found);
    Ok(())
}
