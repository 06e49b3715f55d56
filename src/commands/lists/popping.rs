//! Taking elements from an end of a list: LPOP, RPOP, LMPOP, and the part of it that commands which
//! wait use too.

use super::{Direction, end_named, list_of};
use crate::commands::{Args, Context, Failure, Handled, Keys};
use crate::keyspace::Key;
use crate::number::{Decimal, parse_i64};
use crate::resp::Output;
use crate::settings::EventClasses;
use crate::types::{Remains, Type, list};

/// The command that removes an element at an end.
pub(super) fn pop_command(end: Direction) -> &'static [u8] {
    match end {
        Direction::Forward => b"LPOP",
        Direction::Backward => b"RPOP",
    }
}

/// The event of elements removed at an end.
fn popped(end: Direction) -> &'static str {
    match end {
        Direction::Forward => "lpop",
        Direction::Backward => "rpop",
    }
}

/// Records that elements were removed from an end of a list.
#[inline]
pub(super) fn note_popped(keys: &mut Keys<'_>, key: Key<'_>, end: Direction, count: usize) {
    keys.shrunk(key, EventClasses::LIST, popped(end));
    keys.changed_much(count as u64 - 1);
}

pub(super) fn lpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    pop(ctx, args, Direction::Forward)
}

pub(super) fn rpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    pop(ctx, args, Direction::Backward)
}

#[inline]
fn pop(ctx: &mut Context<'_>, args: &Args<'_>, end: Direction) -> Handled {
    let key = ctx.keys.at(args, 1);
    match args.len() {
        2 => {}
        3 => return pop_count(ctx, key, end, Context::count(args.at(2))?),
        _ => {
            let name = String::from_utf8_lossy(pop_command(end)).to_ascii_lowercase();
            return Err(Failure::Arity(name));
        }
    }
    let reply = &mut *ctx.reply;
    let found = ctx.keys.update(key, Type::List, |place| {
        list::pop_with(place, end, |item| Context::reply_item(reply, item));
    })?;
    if found.is_none() {
        ctx.reply.null();
        return Ok(());
    }
    ctx.replied_before_events();
    note_popped(&mut ctx.keys, key, end, 1);
    Ok(())
}

fn pop_count(ctx: &mut Context<'_>, key: Key<'_>, end: Direction, most: usize) -> Handled {
    if ctx.keys.write_of(key, Type::List)?.is_none() {
        ctx.reply.null_array();
    } else if most == 0 {
        ctx.reply.array(0);
    } else {
        let count = pop_many(&mut ctx.keys, ctx.reply, key, end, most);
        ctx.replied_before_events();
        note_popped(&mut ctx.keys, key, end, count);
    }
    Ok(())
}

/// Replies with up to `most` elements from an end of a list, which was found there, and removes
/// them. Returns how many; the change is for the caller to record.
pub(super) fn pop_many(
    keys: &mut Keys<'_>,
    reply: &mut Output,
    key: Key<'_>,
    end: Direction,
    most: usize,
) -> usize {
    let (count, removed) = keys.edit(key, |place| {
        let list = list::view(place);
        let len = list.len();
        let count = most.min(len);
        let (start, first) = match end {
            Direction::Forward => (0, 0),
            Direction::Backward => (len - count, len.saturating_sub(1)),
        };
        reply.array(count);
        list.visit_some(first, end, count, |item| Context::reply_item(reply, item));
        (count, list::remove_range(place, start, count))
    });
    if let Some(part) = removed {
        keys.bury(Remains::List(part));
    }
    count
}

/// The arguments of LMPOP from `numkeys` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct ManyPop {
    /// Index of the first key, and the number of keys.
    first: usize,
    keys: usize,
    pub(super) end: Direction,
    pub(super) most: usize,
}

impl ManyPop {
    /// Parses them; `numkeys` is at this index.
    ///
    /// # Errors
    /// As for Redis: first the number of keys, then the end, then the options.
    pub(super) fn parse(args: &Args<'_>, at: usize) -> Result<Self, Failure> {
        let positive = |arg: &[u8]| {
            let number = parse_i64(arg).filter(|number| *number > 0);
            number.and_then(|number| usize::try_from(number).ok())
        };
        let keys = positive(args.at(at))
            .ok_or_else(|| Failure::err("numkeys should be greater than 0"))?;
        let end_at = at.checked_add(keys).and_then(|at| at.checked_add(1));
        let end = end_at.and_then(|at| Some((at, args.get(at)?)));
        let (end_at, end) = end.ok_or(Failure::Syntax)?;
        let end = end_named(end)?;
        let mut most = None;
        let mut option = end_at + 1;
        while option < args.len() {
            let value = args.get(option + 1);
            let (Some(value), None, true) = (value, most, args.is(option, "COUNT")) else {
                return Err(Failure::Syntax);
            };
            let count = positive(value);
            most = Some(count.ok_or_else(|| Failure::err("count should be greater than 0"))?);
            option += 2;
        }
        Ok(Self { first: at + 1, keys, end, most: most.unwrap_or(1) })
    }

    pub(super) fn keys<'b>(self, ctx: &Context<'_>, args: &Args<'b>) -> Vec<Key<'b>> {
        (self.first..self.first + self.keys).map(|index| ctx.keys.at(args, index)).collect()
    }

    /// Takes elements from the first list that has any; false if none has.
    pub(super) fn run(self, ctx: &mut Context<'_>, keys: &[Key<'_>]) -> Result<bool, Failure> {
        for key in keys {
            if ctx.keys.write_of(*key, Type::List)?.is_some_and(|value| !list_of(value).is_empty())
            {
                let count = self.serve(&mut ctx.keys, ctx.reply, *key);
                ctx.replied_before_events();
                note_popped(&mut ctx.keys, *key, self.end, count);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes elements from a list that was found there; returns how many. The change is for the
    /// caller to record.
    pub(super) fn serve(self, keys: &mut Keys<'_>, reply: &mut Output, key: Key<'_>) -> usize {
        reply.array(2);
        reply.bulk(key.bytes);
        let count = pop_many(keys, reply, key, self.end, self.most);
        let logged = Decimal::new(count as i64);
        keys.log_instead(&[&[pop_command(self.end), key.bytes, logged.as_bytes()]]);
        count
    }
}

pub(super) fn lmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let pop = ManyPop::parse(args, 1)?;
    let keys = pop.keys(ctx, args);
    if !pop.run(ctx, &keys)? {
        ctx.reply.null_array();
    }
    Ok(())
}
