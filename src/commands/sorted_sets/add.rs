//! ZADD and ZINCRBY.

use std::ops::Range;

use crate::commands::{Args, Context, Failure, Handled};
use crate::number::double;
use crate::settings::{Collections, EventClasses};
use crate::types::sorted_set::{self, Inserted};
use crate::types::{Encoding, Place};

/// ZADD's options.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    /// NX: only new members.
    missing_only: bool,
    /// XX: only members that are there.
    existing_only: bool,
    /// GT: only a score greater than the member's own.
    greater_only: bool,
    /// LT: only a score less than that.
    less_only: bool,
    /// CH: the reply counts changed scores too.
    changes: bool,
    /// INCR: the score is added to the member's own, and the reply is the sum.
    increments: bool,
}

impl Options {
    /// Parses the options; returns the index of the first score as well.
    fn parse(args: &Args<'_>, increments: bool) -> Result<(Self, usize), Failure> {
        let (mut options, mut index) = (Self { increments, ..Self::default() }, 2);
        while index < args.len() {
            let option = match args.at(index).len() {
                2 if args.is(index, "NX") => &mut options.missing_only,
                2 if args.is(index, "XX") => &mut options.existing_only,
                2 if args.is(index, "GT") => &mut options.greater_only,
                2 if args.is(index, "LT") => &mut options.less_only,
                2 if args.is(index, "CH") => &mut options.changes,
                4 if args.is(index, "INCR") => &mut options.increments,
                _ => break,
            };
            *option = true;
            index += 1;
        }
        let words = args.len() - index;
        if words == 0 || !words.is_multiple_of(2) {
            return Err(Failure::Syntax);
        }
        options.check(words / 2)?;
        Ok((options, index))
    }

    fn check(self, elements: usize) -> Result<(), Failure> {
        let Self { missing_only, existing_only, greater_only, less_only, .. } = self;
        if missing_only && existing_only {
            let text = "XX and NX options at the same time are not compatible";
            return Err(Failure::err(text));
        }
        if missing_only && (greater_only || less_only) || greater_only && less_only {
            let text = "GT, LT, and/or NX options at the same time are not compatible";
            return Err(Failure::err(text));
        }
        if self.increments && elements > 1 {
            let text = "INCR option supports a single increment-element pair";
            return Err(Failure::err(text));
        }
        Ok(())
    }

    /// Whether nothing depends on the score that a member has.
    fn are_none(self) -> bool {
        !(self.missing_only
            || self.existing_only
            || self.greater_only
            || self.less_only
            || self.increments)
    }
}

/// What was done with all the elements.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    added: usize,
    changed: usize,
    /// The last element's score, unless an option left the element as it was.
    score: Option<f64>,
}

pub(in crate::commands) fn zadd(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    add(ctx, args, false)
}

pub(super) fn zincrby(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    add(ctx, args, true)
}

fn score(arg: &[u8]) -> Result<f64, Failure> {
    double::parse(arg).ok_or(Failure::NotFloat)
}

fn add(ctx: &mut Context<'_>, args: &Args<'_>, increments: bool) -> Handled {
    let (options, first) = Options::parse(args, increments)?;
    let first_score = score(args.at(first))?;
    for index in (first + 2..args.len()).step_by(2) {
        score(args.at(index))?;
    }
    let key = ctx.keys.at(args, 1);
    let limits = &ctx.settings.collections;
    let outcome = ctx.keys.upsert(key, Encoding::SortedSetPack, |place| {
        insert_all(place, args, first..args.len(), first_score, options, limits)
    })??;
    let changes = outcome.added + outcome.changed;
    match outcome.score {
        Some(score) if options.increments => super::reply_score(ctx.reply, score),
        None if options.increments => ctx.reply.null(),
        _ => ctx.reply.count(if options.changes { changes } else { outcome.added }),
    }
    if changes > 0 {
        ctx.replied_before_events();
        let name = if options.increments { "zincr" } else { "zadd" };
        ctx.keys.changed(key, EventClasses::SORTED_SET, name);
        super::count_further(&mut ctx.keys, changes);
    }
    Ok(())
}

/// Inserts the scores and members at these indices.
fn insert_all(
    place: &mut dyn Place,
    args: &Args<'_>,
    indices: Range<usize>,
    first_score: f64,
    options: Options,
    limits: &Collections,
) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    for index in indices.clone().step_by(2) {
        let score = if index == indices.start { first_score } else { score(args.at(index))? };
        let member = args.at(index + 1);
        outcome.score = wanted_score(place, member, score, options)?;
        let Some(score) = outcome.score else { continue };
        match sorted_set::insert(place, member, score, limits) {
            Inserted::New => outcome.added += 1,
            Inserted::Moved => outcome.changed += 1,
            Inserted::Same => {}
        }
    }
    Ok(outcome)
}

/// The score that a member shall get; `None` if it shall stay as it is.
#[inline]
fn wanted_score(
    place: &dyn Place,
    member: &[u8],
    score: f64,
    options: Options,
) -> Result<Option<f64>, Failure> {
    if options.are_none() {
        return Ok(Some(score));
    }
    let Some(old) = super::view(place.view()).score(member) else {
        return Ok((!options.existing_only).then_some(score));
    };
    if options.missing_only {
        return Ok(None);
    }
    let score = if options.increments { old + score } else { score };
    if score.is_nan() {
        return Err(Failure::err("resulting score is not a number (NaN)"));
    }
    let refused = options.less_only && score >= old || options.greater_only && score <= old;
    Ok((!refused).then_some(score))
}
