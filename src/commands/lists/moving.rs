//! Moving an element from a list to another: LMOVE, RPOPLPUSH, and the part of them that commands
//! which wait use too.

use super::popping::note_popped;
use super::{Direction, end_named, limits, pushed};
use crate::commands::{Args, Context, Failure, Handled, Keys};
use crate::keyspace::Key;
use crate::resp::Output;
use crate::settings::EventClasses;
use crate::types::list::{self, Limits};
use crate::types::{Encoding, Type};

/// From which end of a list, to which end of another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) from: Direction,
    pub(super) to: Direction,
}

impl Ends {
    /// Those of RPOPLPUSH.
    pub(super) const RIGHT_TO_LEFT: Self =
        Self { from: Direction::Backward, to: Direction::Forward };

    /// Those that two arguments name, the first at this index.
    pub(super) fn parse(args: &Args<'_>, at: usize) -> Result<Self, Failure> {
        Ok(Self { from: end_named(args.at(at))?, to: end_named(args.at(at + 1))? })
    }
}

pub(super) fn lmove(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let ends = Ends::parse(args, 3)?;
    move_or_null(ctx, args, ends)
}

pub(super) fn rpoplpush(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    move_or_null(ctx, args, Ends::RIGHT_TO_LEFT)
}

fn move_or_null(ctx: &mut Context<'_>, args: &Args<'_>, ends: Ends) -> Handled {
    let (source, target) = (ctx.keys.at(args, 1), ctx.keys.at(args, 2));
    if !run(ctx, source, target, ends)? {
        ctx.reply.null();
    }
    Ok(())
}

/// Moves an element and replies with it; false if the source is missing.
pub(super) fn run(
    ctx: &mut Context<'_>,
    source: Key<'_>,
    target: Key<'_>,
    ends: Ends,
) -> Result<bool, Failure> {
    let limits = limits(ctx.node, ctx.settings);
    if ctx.keys.write_of(source, Type::List)?.is_none() {
        return Ok(false);
    }
    move_one(&mut ctx.keys, ctx.reply, source, target, ends, limits)?;
    // Redis replies between the two events.
    ctx.replied_before_events();
    note_popped(&mut ctx.keys, source, ends.from, 1);
    Ok(true)
}

/// Moves an element from a list that was found there and replies with it. That it is gone from
/// there is for the caller to record.
pub(super) fn move_one(
    keys: &mut Keys<'_>,
    reply: &mut Output,
    source: Key<'_>,
    target: Key<'_>,
    ends: Ends,
    limits: Limits,
) -> Handled {
    const THERE: &str = "a list that is there has elements";
    let value = if source.bytes == target.bytes {
        keys.edit(source, |place| list::rotate(place, ends.from, ends.to, limits)).expect(THERE)
    } else {
        keys.write_of(target, Type::List)?;
        let value =
            keys.edit(source, |place| list::pop_with(place, ends.from, |item| item.to_vec()));
        let value = value.expect(THERE);
        keys.upsert(target, Encoding::ListPack, |place| {
            list::push_all(place, ends.to, std::iter::once(&value[..]), limits)
        })?;
        value
    };
    keys.changed_too(keys.database, target, EventClasses::LIST, pushed(ends.to));
    reply.bulk(&value);
    Ok(())
}
