//! What looks for an element: LINSERT, LPOS, LREM.

use std::ops::ControlFlow;

use super::{Direction, limits, list_of};
use crate::commands::{Args, Context, Failure, Handled};
use crate::number::parse_i64;
use crate::settings::EventClasses;
use crate::types::Type;
use crate::types::list::{self, Side};

pub(super) fn linsert(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let side = match () {
        () if args.is(2, "AFTER") => Side::After,
        () if args.is(2, "BEFORE") => Side::Before,
        () => return Err(Failure::Syntax),
    };
    let key = ctx.keys.at(args, 1);
    let Some(value) = ctx.keys.write_of(key, Type::List)? else {
        ctx.reply.integer(0);
        return Ok(());
    };
    let Some(index) = list_of(value).find(args.at(3)) else {
        ctx.reply.integer(-1);
        return Ok(());
    };
    let limits = limits(ctx.node, ctx.settings);
    let len = ctx.keys.edit(key, |place| list::insert(place, index, side, args.at(4), limits));
    ctx.keys.changed(key, EventClasses::LIST, "linsert");
    ctx.reply.count(len);
    Ok(())
}

/// A signed number of elements or matches: negative ones are those from the end.
fn directed(number: i64) -> (usize, Direction) {
    let direction = if number < 0 { Direction::Backward } else { Direction::Forward };
    (usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX), direction)
}

pub(super) fn lrem(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (most, direction) = directed(Context::integer(args.at(2))?);
    let most = if most == 0 { usize::MAX } else { most };
    let key = ctx.keys.at(args, 1);
    let removed = ctx
        .keys
        .update(key, Type::List, |place| list::remove_equal(place, args.at(3), most, direction))?;
    let removed = removed.unwrap_or(0);
    if removed > 0 {
        ctx.keys.shrunk(key, EventClasses::LIST, "lrem");
        ctx.keys.changed_much(removed as u64 - 1);
    }
    ctx.reply.count(removed);
    Ok(())
}

/// The options of LPOS.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// The first match that counts, from 1 on.
    rank: usize,
    /// False for a rank of -2^63, which Redis negates to itself: then all matches count.
    ranked: bool,
    direction: Direction,
    /// How many matches, as an array; one alone without it.
    count: Option<usize>,
    /// How many elements are looked at.
    most: usize,
}

impl Wanted {
    fn parse(args: &Args<'_>) -> Result<Self, Failure> {
        let mut wanted = Self {
            rank: 1,
            ranked: true,
            direction: Direction::Forward,
            count: None,
            most: usize::MAX,
        };
        let mut at = 3;
        while at < args.len() {
            let value = args.get(at + 1).ok_or(Failure::Syntax)?;
            if args.is(at, "RANK") {
                let rank = Context::integer(value)?;
                wanted.ranked = rank != i64::MIN;
                (wanted.rank, wanted.direction) = directed(rank);
                if wanted.rank == 0 {
                    return Err(Failure::err(
                        "RANK can't be zero: use 1 to start from the first match, 2 from the \
                         second ... or use negative to start from the end of the list",
                    ));
                }
            } else if args.is(at, "COUNT") {
                wanted.count = Some(at_least_zero(value, "COUNT")?);
            } else if args.is(at, "MAXLEN") {
                wanted.most = unlimited_if_zero(at_least_zero(value, "MAXLEN")?);
            } else {
                return Err(Failure::Syntax);
            }
            at += 2;
        }
        Ok(wanted)
    }
}

fn at_least_zero(arg: &[u8], option: &str) -> Result<usize, Failure> {
    let number = parse_i64(arg).and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| Failure::err(format_args!("{option} can't be negative")))
}

fn unlimited_if_zero(number: usize) -> usize {
    if number == 0 { usize::MAX } else { number }
}

pub(super) fn lpos(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let wanted = Wanted::parse(args)?;
    let key = ctx.keys.at(args, 1);
    let mut found = Vec::new();
    if let Some(value) = ctx.keys.read_of(key, Type::List)? {
        let list = list_of(value);
        let most = match wanted.count {
            Some(count) if wanted.ranked => unlimited_if_zero(count),
            Some(_) => usize::MAX,
            None => 1,
        };
        let mut matches = 0;
        list.visit_equal(args.at(2), wanted.direction, wanted.most, |steps| {
            matches += 1;
            if matches >= wanted.rank || !wanted.ranked {
                found.push(match wanted.direction {
                    Direction::Forward => steps,
                    Direction::Backward => list.len() - 1 - steps,
                });
            }
            if found.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
    match (wanted.count, found.first()) {
        (Some(_), _) => {
            ctx.reply.array(found.len());
            found.iter().for_each(|index| ctx.reply.count(*index));
        }
        (None, Some(index)) => ctx.reply.count(*index),
        (None, None) => ctx.reply.null(),
    }
    Ok(())
}
