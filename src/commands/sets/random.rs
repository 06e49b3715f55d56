//! Random members: SPOP removes them, SRANDMEMBER only shows them.

use std::collections::HashSet;

use super::read;
use crate::commands::{Args, Context, Failure, Handled};
use crate::keyspace::Key;
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

fn show_many(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let count = Context::integer(args.at(2))?;
    if count == i64::MIN {
        let range = "value must between -9223372036854775807 and 9223372036854775807";
        return Err(Failure::err(format_args!("value is out of range, {range}")));
    }
    let key = ctx.keys.at(args, 1);
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let set = read(&mut ctx.keys, key)?.filter(|_| wanted > 0);
    let Some(set) = set else {
        ctx.reply.array(0);
        return Ok(());
    };
    let random = &mut || ctx.random.next();
    if count < 0 {
        ctx.reply.array(wanted);
        let limits = &ctx.settings.clients.output_buffer_limits;
        let limit = if ctx.client.is_subscribed() { limits.pubsub } else { limits.normal };
        for _ in 0..wanted {
            let member = set.random(random).expect("a set has a member");
            Context::reply_item(ctx.reply, member);
            // The number is the client's, and may be huge.
            if limit.hard_bytes != 0 && ctx.reply.len() as u64 > limit.hard_bytes {
                ctx.client.closing = true;
                break;
            }
        }
        return Ok(());
    }
    let wanted = wanted.min(set.len());
    ctx.reply.array(wanted);
    choose(set, wanted, random, |member| Context::reply_item(ctx.reply, member));
    Ok(())
}

/// Passes `wanted` different members on, each as likely as any other: by ranks where they are few,
/// else by a walk over the set, which takes each member with the odds that are left for it.
fn choose(
    set: SetRef<'_>,
    wanted: usize,
    random: &mut dyn FnMut() -> u64,
    mut each: impl FnMut(Item<'_>),
) {
    let len = set.len();
    if wanted < len / 8 {
        return ranks(len, wanted, random)
            .into_iter()
            .for_each(|rank| each(set.nth(rank).expect("a rank below the length")));
    }
    let mut missing = wanted;
    for (passed, member) in set.iter().enumerate() {
        if uniform(len - passed, random) < missing {
            missing -= 1;
            each(member);
        }
    }
}

/// Different ranks below `len`, of which they are a small part.
fn ranks(len: usize, wanted: usize, random: &mut dyn FnMut() -> u64) -> Vec<usize> {
    let mut drawn = HashSet::with_capacity(wanted);
    let mut ranks = Vec::with_capacity(wanted);
    while ranks.len() < wanted {
        let rank = uniform(len, random);
        if drawn.insert(rank) {
            ranks.push(rank);
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Random;
    use crate::types::listpack::{self, Listpack};

    #[test]
    fn every_member_is_chosen_equally_often() {
        let mut packed = listpack::EMPTY.to_vec();
        (0..100).for_each(|number| listpack::push_back_int(&mut packed, number));
        let table = SetRef::Packed(Listpack::new(&packed)).to_table();
        let mut random = Random::new(7);
        for set in [SetRef::Packed(Listpack::new(&packed)), SetRef::Table(&table)] {
            for wanted in [1, 5, 12, 13, 50, 99, 100] {
                let mut counts = [0_usize; 100];
                for _ in 0..2000 {
                    let mut chosen = Vec::new();
                    let each = |member: Item<'_>| chosen.push(member.integer().unwrap() as usize);
                    choose(set, wanted, &mut || random.next(), each);
                    chosen.iter().for_each(|member| counts[*member] += 1);
                    chosen.sort_unstable();
                    chosen.dedup();
                    assert_eq!(chosen.len(), wanted);
                }
                // Six standard deviations of a binomial distribution.
                let expected = 20.0 * wanted as f64;
                let deviation = (expected * (1.0 - wanted as f64 / 100.0)).sqrt();
                for count in counts {
                    assert!((count as f64 - expected).abs() <= 6.0 * deviation, "{counts:?}");
                }
            }
        }
    }
}
