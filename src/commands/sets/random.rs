//! Random members: SPOP removes them, SRANDMEMBER only shows them.

use super::read;
use crate::commands::draw::{self, Wanted};
use crate::commands::{Args, Context, Failure, Handled};
use crate::keyspace::Key;
use crate::resp::Output;
use crate::settings::EventClasses;
use crate::types::listpack::Item;
use crate::types::members::{self, SetRef};
use crate::types::{Type, uniform};

pub(super) fn spop(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    match args.len() {
        2 => pop_one(ctx, args),
        3 => pop_many(ctx, args),
        _ => Err(Failure::Syntax),
    }
}

fn pop_one(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let Some(len) = len_of(ctx, key)? else {
        ctx.reply.null();
        return Ok(());
    };
    let rank = uniform(len, &mut || ctx.random.next());
    let member = ctx.keys.edit(key, |set| members::take_nth(set, rank));
    ctx.keys.changed(key, EventClasses::SET, "spop");
    ctx.keys.log_instead(&[&[b"SREM", key.bytes, &member]]);
    ctx.reply.bulk(&member);
    ctx.replied_before_events();
    ctx.keys.remove_if_empty(key);
    Ok(())
}

/// The number of members of a set that the command is about to change.
fn len_of(ctx: &mut Context<'_>, key: Key<'_>) -> Result<Option<usize>, Failure> {
    let value = ctx.keys.write_of(key, Type::Set)?;
    Ok(value.and_then(|value| value.set()).map(SetRef::len))
}

fn pop_many(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let count = Context::count(args.at(2))?;
    let key = ctx.keys.at(args, 1);
    let len = len_of(ctx, key)?.unwrap_or(0);
    if len == 0 || count == 0 {
        ctx.reply.set(0);
    } else if count >= len {
        pop_all(ctx, key);
    } else {
        pop_some(ctx, key, count, len);
    }
    Ok(())
}

/// Replies with all the members and removes the key.
fn pop_all(ctx: &mut Context<'_>, key: Key<'_>) {
    ctx.keys.changed(key, EventClasses::SET, "spop");
    if let Some(set) = ctx.keys.look(key).and_then(|entry| entry.value().set()) {
        ctx.reply.set(set.len());
        set.iter().for_each(|member| Context::reply_item(ctx.reply, member));
        let further = set.len().saturating_sub(1);
        ctx.keys.changed_much(further as u64);
    }
    ctx.replied_before_events();
    ctx.keys.remove(key);
    ctx.keys.event(key, EventClasses::GENERIC, "del");
    ctx.keys.log_instead(&[&[b"DEL", key.bytes]]);
}

/// Removes `count` of `len` members, which are more. Replicas get a SREM for each, as Redis 7.0
/// sends them.
fn pop_some(ctx: &mut Context<'_>, key: Key<'_>, count: usize, len: usize) {
    let (random, reply) = (&mut *ctx.random, &mut *ctx.reply);
    reply.set(count);
    let logging = ctx.keys.effects.logging;
    let mut popped: Vec<Vec<u8>> = Vec::new();
    ctx.keys.edit(key, |set| {
        for left in (len - count + 1..=len).rev() {
            let member = members::take_nth(set, uniform(left, &mut || random.next()));
            reply.bulk(&member);
            if logging {
                popped.push(member);
            }
        }
    });
    ctx.keys.changed(key, EventClasses::SET, "spop");
    super::count_further(&mut ctx.keys, count);
    let commands: Vec<[&[u8]; 3]> =
        popped.iter().map(|member| [&b"SREM"[..], key.bytes, member]).collect();
    let commands: Vec<&[&[u8]]> = commands.iter().map(|command| &command[..]).collect();
    ctx.keys.log_instead(&commands);
}

pub(super) fn srandmember(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    match args.len() {
        2 => show_one(ctx, args),
        3 => show_many(ctx, args),
        _ => Err(Failure::Syntax),
    }
}

fn show_one(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let random = &mut *ctx.random;
    match read(&mut ctx.keys, key)?.and_then(|set| set.random(&mut || random.next())) {
        Some(member) => Context::reply_item(ctx.reply, member),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// Members as they are.
struct Plain;

impl draw::Form<Item<'_>> for Plain {
    fn begin(&self, reply: &mut Output, members: usize) {
        reply.array(members);
    }

    fn element(&self, reply: &mut Output, member: Item<'_>) {
        Context::reply_item(reply, member);
    }
}

fn show_many(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let wanted = Wanted::parse(args.at(2))?;
    let key = ctx.keys.at(args, 1);
    let bytes_max = ctx.reply_bytes_max();
    let (Some(set), Wanted::Distinct(1..) | Wanted::Any(_)) = (read(&mut ctx.keys, key)?, wanted)
    else {
        ctx.reply.array(0);
        return Ok(());
    };
    let random = &mut || ctx.random.next();
    if draw::reply(ctx.reply, set, wanted, &Plain, random, bytes_max).is_err() {
        ctx.client.closing = true;
    }
    Ok(())
}
