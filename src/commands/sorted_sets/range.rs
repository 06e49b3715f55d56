//! Ranges: shown, stored, counted and removed.

use std::ops::Range;

use super::bounds::{Bounds, By, Direction, Window};
use super::{read, reply_score, view};
use crate::commands::{Args, Context, Failure, Handled};
use crate::resp::Protocol;
use crate::settings::Collections;
use crate::types::listpack::Item;
use crate::types::sorted_set::{self, SortedSetRef};
use crate::types::{Type, Value};

/// What a command's name says of its range; the rest is said by options.
#[derive(Clone, Copy, Debug)]
struct Named {
    by: Option<By>,
    direction: Option<Direction>,
}

/// A range that a command asks for.
#[derive(Clone, Copy, Debug)]
struct Query<'a> {
    bounds: Bounds<'a>,
    direction: Direction,
    window: Window,
    scores: bool,
}

impl<'a> Query<'a> {
    /// Parses the bounds at `first` and the options behind them.
    fn parse(
        args: &Args<'a>,
        first: usize,
        named: Named,
        shows_scores: bool,
    ) -> Result<Self, Failure> {
        let Named { mut by, mut direction } = named;
        let (mut window, mut scores, mut index) = (Window::ALL, false, first + 2);
        while index < args.len() {
            if shows_scores && args.is(index, "WITHSCORES") {
                scores = true;
            } else if args.is(index, "LIMIT") && index + 2 < args.len() {
                window.offset = Context::integer(args.at(index + 1))?;
                window.count = Context::integer(args.at(index + 2))?;
                index += 2;
            } else if direction.is_none() && args.is(index, "REV") {
                direction = Some(Direction::Backward);
            } else if by.is_none() && args.is(index, "BYLEX") {
                by = Some(By::Member);
            } else if by.is_none() && args.is(index, "BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(Failure::Syntax);
            }
            index += 1;
        }
        let by = by.unwrap_or(By::Rank);
        if by == By::Rank && window.count != -1 {
            return Err(Failure::err(
                "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if by == By::Member && scores {
            let text = "syntax error, WITHSCORES not supported in combination with BYLEX";
            return Err(Failure::err(text));
        }
        if by == By::Rank {
            window = Window::ALL;
        }
        let direction = direction.unwrap_or(Direction::Forward);
        let bounds = Bounds::of_args(by, args, first, direction)?;
        Ok(Self { bounds, direction, window, scores })
    }

    /// The elements in the direction of the walk, and their number.
    fn elements<'s>(
        &self,
        set: SortedSetRef<'s>,
    ) -> (impl Iterator<Item = (Item<'s>, f64)>, usize) {
        let ranks = self.ranks(set);
        let elements = match self.direction {
            Direction::Forward => set.iter_from(ranks.start),
            Direction::Backward => set.iter_before(ranks.end),
        };
        (elements.take(ranks.len()), ranks.len())
    }

    /// A sorted set of the elements. As in Redis they come one by one, and only a range of ranks
    /// has a known length: a listpack forgets the sign of a zero, even if it becomes a tree later.
    fn copied(&self, set: SortedSetRef<'_>, limits: &Collections) -> Value {
        let (elements, len) = self.elements(set);
        let known = if matches!(self.bounds, Bounds::Ranks(..)) { len } else { 0 };
        let mut copy = sorted_set::empty_for(known, limits);
        for (member, score) in elements {
            member.with_bytes(|member| sorted_set::insert(&mut copy, member, score, limits));
        }
        copy
    }

    /// The ranks of what is asked for.
    fn ranks(&self, set: SortedSetRef<'_>) -> Range<usize> {
        self.window.of(self.bounds.ranks(set, self.direction), self.direction)
    }
}

pub(super) fn zrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    show(ctx, args, Named { by: None, direction: None })
}

pub(super) fn zrevrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    show(ctx, args, Named { by: Some(By::Rank), direction: Some(Direction::Backward) })
}

pub(super) fn zrangebyscore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    show(ctx, args, Named { by: Some(By::Score), direction: Some(Direction::Forward) })
}

pub(super) fn zrevrangebyscore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    show(ctx, args, Named { by: Some(By::Score), direction: Some(Direction::Backward) })
}

pub(super) fn zrangebylex(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    show(ctx, args, Named { by: Some(By::Member), direction: Some(Direction::Forward) })
}

pub(super) fn zrevrangebylex(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    show(ctx, args, Named { by: Some(By::Member), direction: Some(Direction::Backward) })
}

fn show(ctx: &mut Context<'_>, args: &Args<'_>, named: Named) -> Handled {
    let query = Query::parse(args, 2, named, true)?;
    let key = ctx.keys.at(args, 1);
    let Some(set) = read(&mut ctx.keys, key)? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let pairs = query.scores && ctx.reply.protocol == Protocol::Resp3;
    let flat = query.scores && !pairs;
    let (elements, len) = query.elements(set);
    ctx.reply.array(if flat { 2 * len } else { len });
    if query.scores {
        elements.for_each(|(member, score)| {
            if pairs {
                ctx.reply.array(2);
            }
            Context::reply_item(ctx.reply, member);
            reply_score(ctx.reply, score);
        });
    } else {
        elements.for_each(|(member, _)| Context::reply_item(ctx.reply, member));
    }
    Ok(())
}

pub(super) fn zrangestore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let query = Query::parse(args, 3, Named { by: None, direction: None }, false)?;
    let (target, source) = (ctx.keys.at(args, 1), ctx.keys.at(args, 2));
    let limits = &ctx.settings.collections;
    let value = read(&mut ctx.keys, source)?.map(|set| query.copied(set, limits));
    super::store(ctx, target, value, "zrangestore");
    Ok(())
}

pub(super) fn zcount(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    count(ctx, args, By::Score)
}

pub(super) fn zlexcount(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    count(ctx, args, By::Member)
}

fn count(ctx: &mut Context<'_>, args: &Args<'_>, by: By) -> Handled {
    let bounds = Bounds::parse(by, args.at(2), args.at(3))?;
    let key = ctx.keys.at(args, 1);
    let set = read(&mut ctx.keys, key)?;
    ctx.reply.count(set.map_or(0, |set| bounds.ranks(set, Direction::Forward).len()));
    Ok(())
}

pub(super) fn zremrangebyrank(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    remove(ctx, args, By::Rank, "zremrangebyrank")
}

pub(super) fn zremrangebyscore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    remove(ctx, args, By::Score, "zremrangebyscore")
}

pub(super) fn zremrangebylex(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    remove(ctx, args, By::Member, "zremrangebylex")
}

fn remove(ctx: &mut Context<'_>, args: &Args<'_>, by: By, event: &'static str) -> Handled {
    let bounds = Bounds::parse(by, args.at(2), args.at(3))?;
    let key = ctx.keys.at(args, 1);
    let removed = ctx.keys.update(key, Type::SortedSet, |place| {
        let ranks = bounds.ranks(view(place.view()), Direction::Forward);
        sorted_set::remove_ranks(place, ranks.start, ranks.len(), |_, _| {});
        ranks.len()
    })?;
    let removed = removed.unwrap_or(0);
    super::note_removed(&mut ctx.keys, key, event, removed);
    ctx.reply.count(removed);
    Ok(())
}
