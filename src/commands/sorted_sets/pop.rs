//! Taking the least or greatest elements: ZPOPMIN, ZPOPMAX, ZMPOP, and those that wait for some:
//! BZPOPMIN, BZPOPMAX, BZMPOP.

use super::{count_further, reply_score, view};
use crate::commands::blocking::{self, Readiness, Serve, deadline_of_seconds};
use crate::commands::{Args, Context, Failure, Handled, Keys};
use crate::keyspace::Key;
use crate::node::Node;
use crate::number::{Decimal, parse_i64};
use crate::resp::{Output, Protocol};
use crate::settings::EventClasses;
use crate::types::listpack::Item;
use crate::types::{Place, Type, sorted_set};

/// Which elements are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Least,
    Greatest,
}

impl End {
    fn command(self) -> &'static [u8] {
        match self {
            Self::Least => b"ZPOPMIN",
            Self::Greatest => b"ZPOPMAX",
        }
    }

    fn event(self) -> &'static str {
        match self {
            Self::Least => "zpopmin",
            Self::Greatest => "zpopmax",
        }
    }

    /// Removes `count` elements, of which there are so many, and passes them on in order from this
    /// end.
    fn take(self, place: &mut dyn Place, count: usize, mut each: impl FnMut(Item<'_>, f64)) {
        let set = view(place.view());
        let len = set.len();
        match self {
            Self::Least => sorted_set::remove_ranks(place, 0, count, each),
            Self::Greatest if count == 1 => sorted_set::remove_ranks(place, len - 1, 1, each),
            Self::Greatest => {
                let greatest = set.iter_before(len).take(count);
                greatest.for_each(|(member, score)| each(member, score));
                sorted_set::remove_ranks(place, len - count, count, |_, _| {});
            }
        }
    }
}

/// How popped elements are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Members and scores in turn.
    Flat,
    /// The key, and then members and scores in turn.
    KeyAndFlat,
    Pairs,
    /// The key, and an array of pairs.
    KeyAndPairs,
}

/// Pops up to `count` elements of a key that was found to hold a sorted set; returns how many. The
/// change is for the caller to record.
fn pop(
    keys: &mut Keys<'_>,
    reply: &mut Output,
    key: Key<'_>,
    end: End,
    count: usize,
    form: Form,
) -> usize {
    keys.edit(key, |place| {
        let count = count.min(view(place.view()).len());
        match form {
            Form::Flat => reply.array(2 * count),
            Form::Pairs => reply.array(count),
            Form::KeyAndFlat => {
                reply.array(2 * count + 1);
                reply.bulk(key.bytes);
            }
            Form::KeyAndPairs => {
                reply.array(2);
                reply.bulk(key.bytes);
                reply.array(count);
            }
        }
        end.take(place, count, |member, score| {
            if matches!(form, Form::Pairs | Form::KeyAndPairs) {
                reply.array(2);
            }
            Context::reply_item(reply, member);
            reply_score(reply, score);
        });
        count
    })
}

/// Records that elements were popped.
fn note_popped(keys: &mut Keys<'_>, key: Key<'_>, end: End, count: usize) {
    keys.shrunk(key, EventClasses::SORTED_SET, end.event());
    count_further(keys, count);
}

pub(super) fn zpopmin(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    pop_at_once(ctx, args, End::Least)
}

pub(super) fn zpopmax(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    pop_at_once(ctx, args, End::Greatest)
}

fn pop_at_once(ctx: &mut Context<'_>, args: &Args<'_>, end: End) -> Handled {
    if args.len() > 3 {
        return Err(Failure::Syntax);
    }
    let count = args.get(2).map(Context::count).transpose()?;
    let key = ctx.keys.at(args, 1);
    let found = ctx.keys.write_of(key, Type::SortedSet)?.is_some();
    if !found || count == Some(0) {
        ctx.reply.array(0);
        return Ok(());
    }
    let pairs = count.is_some() && ctx.reply.protocol == Protocol::Resp3;
    let form = if pairs { Form::Pairs } else { Form::Flat };
    let popped = pop(&mut ctx.keys, ctx.reply, key, end, count.unwrap_or(1), form);
    ctx.replied_before_events();
    note_popped(&mut ctx.keys, key, end, popped);
    Ok(())
}

/// What ZMPOP and BZMPOP ask for.
#[derive(Clone, Copy, Debug)]
struct ManyPop {
    end: End,
    count: usize,
}

/// A number that must be greater than zero.
fn positive(arg: &[u8], what: &str) -> Result<usize, Failure> {
    let number = parse_i64(arg).and_then(|number| usize::try_from(number).ok());
    let number = number.filter(|number| *number > 0);
    number.ok_or_else(|| Failure::err(format_args!("{what} should be greater than 0")))
}

impl ManyPop {
    /// Parses the number of keys at `index` and what follows; returns the keys as well.
    fn parse<'a>(
        ctx: &Context<'_>,
        args: &Args<'a>,
        index: usize,
    ) -> Result<(Self, Vec<Key<'a>>), Failure> {
        let number = positive(args.at(index), "numkeys")?;
        let first = index + 1;
        let end_at = first.checked_add(number).filter(|at| *at < args.len());
        let end_at = end_at.ok_or(Failure::Syntax)?;
        let end = match () {
            () if args.is(end_at, "MIN") => End::Least,
            () if args.is(end_at, "MAX") => End::Greatest,
            () => return Err(Failure::Syntax),
        };
        let count = match args.len() - end_at - 1 {
            0 => 1,
            1 => return Err(Failure::Syntax),
            _ if !args.is(end_at + 1, "COUNT") => return Err(Failure::Syntax),
            words => {
                let count = positive(args.at(end_at + 2), "count")?;
                if words > 2 {
                    return Err(Failure::Syntax);
                }
                count
            }
        };
        let keys = (first..end_at).map(|index| ctx.keys.at(args, index)).collect();
        Ok((Self { end, count }, keys))
    }

    /// Pops from the first of the keys that exists; false if none does.
    fn run(self, ctx: &mut Context<'_>, keys: &[Key<'_>]) -> Result<bool, Failure> {
        for key in keys {
            if ctx.keys.write_of(*key, Type::SortedSet)?.is_some() {
                let popped = self.take(&mut ctx.keys, ctx.reply, *key);
                ctx.replied_before_events();
                note_popped(&mut ctx.keys, *key, self.end, popped);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Pops and sets what is logged; returns the number of elements.
    fn take(self, keys: &mut Keys<'_>, reply: &mut Output, key: Key<'_>) -> usize {
        let popped = pop(keys, reply, key, self.end, self.count, Form::KeyAndPairs);
        let count = Decimal::new(i64::try_from(popped).unwrap_or(i64::MAX));
        keys.log_instead(&[&[self.end.command(), key.bytes, count.as_bytes()]]);
        popped
    }
}

pub(super) fn zmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (pop, keys) = ManyPop::parse(ctx, args, 1)?;
    if !pop.run(ctx, &keys)? {
        ctx.reply.null_array();
    }
    Ok(())
}

pub(super) fn bzmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (pop, keys) = ManyPop::parse(ctx, args, 2)?;
    let deadline_ms = deadline_of_seconds(ctx.node, args.at(1))?;
    if !pop.run(ctx, &keys)? {
        blocking::block(ctx, &keys, deadline_ms, Box::new(pop));
    }
    Ok(())
}

pub(super) fn bzpopmin(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    pop_or_wait(ctx, args, End::Least)
}

pub(super) fn bzpopmax(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    pop_or_wait(ctx, args, End::Greatest)
}

fn pop_or_wait(ctx: &mut Context<'_>, args: &Args<'_>, end: End) -> Handled {
    let last = args.len() - 1;
    let deadline_ms = deadline_of_seconds(ctx.node, args.at(last))?;
    let keys: Vec<Key<'_>> = (1..last).map(|index| ctx.keys.at(args, index)).collect();
    for key in &keys {
        if ctx.keys.write_of(*key, Type::SortedSet)?.is_some() {
            OnePop(end).take(&mut ctx.keys, ctx.reply, *key);
            ctx.replied_before_events();
            note_popped(&mut ctx.keys, *key, end, 1);
            return Ok(());
        }
    }
    blocking::block(ctx, &keys, deadline_ms, Box::new(OnePop(end)));
    Ok(())
}

/// What BZPOPMIN and BZPOPMAX ask for.
#[derive(Clone, Copy, Debug)]
struct OnePop(End);

impl OnePop {
    /// Pops and sets what is logged.
    fn take(self, keys: &mut Keys<'_>, reply: &mut Output, key: Key<'_>) {
        pop(keys, reply, key, self.0, 1, Form::KeyAndFlat);
        keys.log_instead(&[&[self.0.command(), key.bytes]]);
    }
}

/// Whether a key holds a sorted set, which is never empty.
fn readiness(keys: &mut Keys<'_>, key: Key<'_>) -> Readiness {
    match keys.write(key) {
        Some(entry) if entry.encoding().kind() == Type::SortedSet => Readiness::Ready,
        Some(_) => Readiness::NotForThis,
        None => Readiness::Empty,
    }
}

impl Serve for OnePop {
    fn readiness(&self, keys: &mut Keys<'_>, key: Key<'_>) -> Readiness {
        readiness(keys, key)
    }

    fn serve(&self, _: &Node, keys: &mut Keys<'_>, key: Key<'_>, reply: &mut Output) -> Handled {
        self.take(keys, reply, key);
        note_popped(keys, key, self.0, 1);
        Ok(())
    }
}

impl Serve for ManyPop {
    fn readiness(&self, keys: &mut Keys<'_>, key: Key<'_>) -> Readiness {
        readiness(keys, key)
    }

    fn serve(&self, _: &Node, keys: &mut Keys<'_>, key: Key<'_>, reply: &mut Output) -> Handled {
        let popped = self.take(keys, reply, key);
        note_popped(keys, key, self.end, popped);
        Ok(())
    }
}
