//! Ranges as commands give them, by rank, by score or by member, and the ranks that they stand for.

use std::ops::Range;

use crate::commands::{Args, Context, Failure};
use crate::number::double;
use crate::types::listpack::Item;
use crate::types::sorted_set::SortedSetRef;

/// From which end a range is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

/// What a range is given by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Rank,
    Score,
    Member,
}

/// A range of elements.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bounds<'a> {
    /// From rank to rank, both included; negative ones count from the end. Ranks are counted in the
    /// direction of the walk.
    Ranks(i64, i64),
    Scores(ScoreRange),
    Members(MemberRange<'a>),
}

impl<'a> Bounds<'a> {
    /// Parses the least and the greatest as arguments.
    pub(super) fn parse(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Self, Failure> {
        Ok(match by {
            By::Rank => Self::Ranks(Context::integer(min)?, Context::integer(max)?),
            By::Score => Self::Scores(ScoreRange::parse(min, max)?),
            By::Member => Self::Members(MemberRange::parse(min, max)?),
        })
    }

    /// The bounds that the arguments at `index` and behind it are, in the order of a walk.
    pub(super) fn of_args(
        by: By,
        args: &Args<'a>,
        index: usize,
        direction: Direction,
    ) -> Result<Self, Failure> {
        let (from, to) = (args.at(index), args.at(index + 1));
        match direction {
            Direction::Backward if by != By::Rank => Self::parse(by, to, from),
            _ => Self::parse(by, from, to),
        }
    }

    /// The ranks of the elements in the range, counted from the least element.
    pub(super) fn ranks(self, set: SortedSetRef<'_>, direction: Direction) -> Range<usize> {
        match self {
            Self::Ranks(start, stop) => {
                let (ranks, len) = (clamped(start, stop, set.len()), set.len());
                match direction {
                    Direction::Forward => ranks,
                    Direction::Backward => len - ranks.end..len - ranks.start,
                }
            }
            Self::Scores(range) => range.ranks(set),
            Self::Members(range) => range.ranks(set, direction),
        }
    }
}

/// Ranks of which negative ones count from the end, as a part of `len`.
fn clamped(start: i64, stop: i64, len: usize) -> Range<usize> {
    let signed = i64::try_from(len).expect("a length fits");
    let from_start = |rank: i64| if rank < 0 { rank.saturating_add(signed) } else { rank };
    let (start, stop) = (from_start(start).max(0), from_start(stop).min(signed - 1));
    match (usize::try_from(start), usize::try_from(stop)) {
        (Ok(start), Ok(stop)) if start <= stop => start..stop + 1,
        _ => 0..0,
    }
}

/// A bound that belongs to its range or does not.
#[derive(Clone, Copy, Debug)]
struct ScoreBound {
    score: f64,
    open: bool,
}

impl ScoreBound {
    fn parse(arg: &[u8]) -> Option<Self> {
        let (open, number) = match arg {
            [b'(', number @ ..] => (true, number),
            _ => (false, arg),
        };
        Some(Self { score: double::parse_bound(number)?, open })
    }
}

/// A range of scores.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScoreRange {
    min: ScoreBound,
    max: ScoreBound,
}

impl ScoreRange {
    fn parse(min: &[u8], max: &[u8]) -> Result<Self, Failure> {
        let bounds = (ScoreBound::parse(min), ScoreBound::parse(max));
        let (Some(min), Some(max)) = bounds else {
            return Err(Failure::err("min or max is not a float"));
        };
        Ok(Self { min, max })
    }

    fn ranks(self, set: SortedSetRef<'_>) -> Range<usize> {
        let rank = |bound: ScoreBound, after: bool| match after {
            true => set.rank_after_score(bound.score),
            false => set.rank_of_score(bound.score),
        };
        let start = rank(self.min, self.min.open);
        start..rank(self.max, !self.max.open).max(start)
    }
}

#[derive(Clone, Copy, Debug)]
enum MemberBound<'a> {
    /// `-`: before all members.
    Least,
    /// `+`: behind all members.
    Greatest,
    Closed(&'a [u8]),
    Open(&'a [u8]),
}

impl<'a> MemberBound<'a> {
    fn parse(arg: &'a [u8]) -> Option<Self> {
        Some(match arg {
            // Redis looks for the end of a C string.
            [b'-'] | [b'-', 0, ..] => Self::Least,
            [b'+'] | [b'+', 0, ..] => Self::Greatest,
            [b'[', member @ ..] => Self::Closed(member),
            [b'(', member @ ..] => Self::Open(member),
            _ => return None,
        })
    }
}

/// A range of members, for a sorted set whose scores are all equal.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemberRange<'a> {
    min: MemberBound<'a>,
    max: MemberBound<'a>,
}

impl<'a> MemberRange<'a> {
    fn parse(min: &'a [u8], max: &'a [u8]) -> Result<Self, Failure> {
        let bounds = (MemberBound::parse(min), MemberBound::parse(max));
        let (Some(min), Some(max)) = bounds else {
            return Err(Failure::err("min or max not valid string range item"));
        };
        Ok(Self { min, max })
    }

    /// Whether no member can be in it.
    fn is_void(self) -> bool {
        use MemberBound::{Closed, Greatest, Least, Open};
        match (self.min, self.max) {
            (Greatest, _) | (_, Least) => true,
            (Least, _) | (_, Greatest) => false,
            (Closed(min), Closed(max)) => min > max,
            (Closed(min) | Open(min), Closed(max) | Open(max)) => min >= max,
        }
    }

    fn reaches_min(self, member: Item<'_>) -> bool {
        match self.min {
            MemberBound::Least => true,
            MemberBound::Greatest => false,
            MemberBound::Closed(min) => member.with_bytes(|member| member >= min),
            MemberBound::Open(min) => member.with_bytes(|member| member > min),
        }
    }

    fn keeps_max(self, member: Item<'_>) -> bool {
        match self.max {
            MemberBound::Least => false,
            MemberBound::Greatest => true,
            MemberBound::Closed(max) => member.with_bytes(|member| member <= max),
            MemberBound::Open(max) => member.with_bytes(|member| member < max),
        }
    }

    fn ranks(self, set: SortedSetRef<'_>, direction: Direction) -> Range<usize> {
        if self.is_void() {
            return 0..0;
        }
        if matches!(set, SortedSetRef::Packed(_)) {
            return self.walked_ranks(set, direction);
        }
        let start = match self.min {
            MemberBound::Least => 0,
            MemberBound::Greatest => set.len(),
            MemberBound::Closed(min) => set.rank_of_member(min),
            MemberBound::Open(min) => set.rank_after_member(min),
        };
        let end = match self.max {
            MemberBound::Least => 0,
            MemberBound::Greatest => set.len(),
            MemberBound::Closed(max) => set.rank_after_member(max),
            MemberBound::Open(max) => set.rank_of_member(max),
        };
        start..end.max(start)
    }

    /// The ranks by a walk. Where scores differ, Redis specifies no result; this is what it gives
    /// for a listpack.
    fn walked_ranks(self, set: SortedSetRef<'_>, direction: Direction) -> Range<usize> {
        let len = set.len();
        let least = set.iter_from(0).next();
        let greatest = set.iter_before(len).next();
        if !greatest.is_some_and(|(member, _)| self.reaches_min(member))
            || !least.is_some_and(|(member, _)| self.keeps_max(member))
        {
            return 0..0;
        }
        match direction {
            Direction::Forward => {
                let before = |(member, _): &(Item<'_>, f64)| !self.reaches_min(*member);
                let start = set.iter_from(0).take_while(before).count();
                let within = |(member, _): &(Item<'_>, f64)| self.keeps_max(*member);
                start..start + set.iter_from(start).take_while(within).count()
            }
            Direction::Backward => {
                let behind = |(member, _): &(Item<'_>, f64)| !self.keeps_max(*member);
                let end = len - set.iter_before(len).take_while(behind).count();
                let within = |(member, _): &(Item<'_>, f64)| self.reaches_min(*member);
                end - set.iter_before(end).take_while(within).count()..end
            }
        }
    }
}

/// LIMIT's offset and count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) offset: i64,
    /// Negative: no limit.
    pub(super) count: i64,
}

impl Window {
    pub(super) const ALL: Self = Self { offset: 0, count: -1 };

    /// The part of the ranks that the window shows, walked in this direction.
    pub(super) fn of(self, ranks: Range<usize>, direction: Direction) -> Range<usize> {
        let Ok(offset) = usize::try_from(self.offset) else { return 0..0 };
        let left = ranks.len().saturating_sub(offset);
        let count = usize::try_from(self.count).map_or(left, |count| count.min(left));
        match direction {
            _ if count == 0 => 0..0,
            Direction::Forward => ranks.start + offset..ranks.start + offset + count,
            Direction::Backward => ranks.end - offset - count..ranks.end - offset,
        }
    }
}
