//! Several sorted sets at once: union, intersection and difference, shown, counted or stored. Sets
//! may be among the sources; their members have the score 1.
//!
//! All keys are prepared first, then the sources are looked at together where they stand.

use super::{reply_score, store};
use crate::commands::{Args, Context, Failure, Handled, Keys};
use crate::keyspace::Key;
use crate::number::{double, parse_i64};
use crate::resp::{Output, Protocol};
use crate::types::listpack::Item;
use crate::types::members::SetRef;
use crate::types::sorted_set::{self, SortedSetRef};
use crate::types::table::FieldTable;
use crate::types::{Object, Type, Value, ValueRef};

type Element<'k> = (Item<'k>, f64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of the scores that a member has in several sources.
#[derive(Clone, Copy, Debug)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, score: f64, other: f64) -> f64 {
        match self {
            Self::Sum => number(score + other),
            Self::Min if other < score => other,
            Self::Max if other > score => other,
            Self::Min | Self::Max => score,
        }
    }
}

/// A score, or 0 where the calculation gave no number: of infinities.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What the command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Elements,
    /// The number of elements.
    Cardinality,
    /// To store the elements.
    Stored,
}

#[derive(Debug)]
struct Options {
    /// One per source.
    weights: Vec<f64>,
    aggregate: Aggregate,
    scores: bool,
    /// Where elements are only counted: when to stop; 0 for never.
    limit: usize,
}

impl Options {
    fn parse(
        args: &Args<'_>,
        first: usize,
        sources: usize,
        operation: Operation,
        wanted: Wanted,
    ) -> Result<Self, Failure> {
        let mut options = Self {
            weights: vec![1.0; sources],
            aggregate: Aggregate::Sum,
            scores: false,
            limit: 0,
        };
        let weighs = operation != Operation::Difference && wanted != Wanted::Cardinality;
        let mut index = first;
        while index < args.len() {
            let behind = args.len() - index - 1;
            if weighs && behind >= sources && args.is(index, "WEIGHTS") {
                for weight in &mut options.weights {
                    index += 1;
                    *weight = double::parse(args.at(index))
                        .ok_or_else(|| Failure::err("weight value is not a float"))?;
                }
            } else if weighs && behind >= 1 && args.is(index, "AGGREGATE") {
                index += 1;
                options.aggregate = match () {
                    () if args.is(index, "SUM") => Aggregate::Sum,
                    () if args.is(index, "MIN") => Aggregate::Min,
                    () if args.is(index, "MAX") => Aggregate::Max,
                    () => return Err(Failure::Syntax),
                };
            } else if wanted == Wanted::Elements && args.is(index, "WITHSCORES") {
                options.scores = true;
            } else if wanted == Wanted::Cardinality && behind >= 1 && args.is(index, "LIMIT") {
                index += 1;
                options.limit = Context::count(args.at(index))
                    .map_err(|_| Failure::err("LIMIT can't be negative"))?;
            } else {
                return Err(Failure::Syntax);
            }
            index += 1;
        }
        Ok(options)
    }
}

/// A value that elements come from.
#[derive(Clone, Copy, Debug)]
enum Source<'k> {
    SortedSet(SortedSetRef<'k>),
    Set(SetRef<'k>),
    Missing,
}

impl<'k> Source<'k> {
    fn look(keys: &'k Keys<'_>, key: Key<'_>) -> Self {
        match keys.look(key).map(|entry| entry.value()) {
            Some(ValueRef::SortedSet(set)) => Self::SortedSet(set),
            Some(ValueRef::Set(set)) => Self::Set(set),
            _ => Self::Missing,
        }
    }

    fn len(self) -> usize {
        match self {
            Self::SortedSet(set) => set.len(),
            Self::Set(set) => set.len(),
            Self::Missing => 0,
        }
    }

    fn score(self, member: Item<'_>) -> Option<f64> {
        match self {
            Self::SortedSet(set) => member.with_bytes(|member| set.score(member)),
            Self::Set(set) => set.contains_item(member).then_some(1.0),
            Self::Missing => None,
        }
    }

    fn elements(self) -> impl Iterator<Item = Element<'k>> {
        let (sorted, set) = match self {
            Self::SortedSet(set) => (Some(set.iter_from(0)), None),
            Self::Set(set) => (None, Some(set.iter().map(|member| (member, 1.0)))),
            Self::Missing => (None, None),
        };
        sorted.into_iter().flatten().chain(set.into_iter().flatten())
    }
}

/// The members that all sources have. The smallest comes first.
fn intersection<'k>(
    sources: &[(Source<'k>, f64)],
    aggregate: Aggregate,
) -> impl Iterator<Item = Element<'k>> {
    let ((first, weight), others) = sources.split_first().expect("there is a source");
    first.elements().filter_map(move |(member, score)| {
        others
            .iter()
            .try_fold(number(weight * score), |score, (source, weight)| {
                Some(aggregate.of(score, source.score(member)? * weight))
            })
            .map(|score| (member, score))
    })
}

/// The members of the first source that no other has.
fn difference<'k>(sources: &[(Source<'k>, f64)]) -> impl Iterator<Item = Element<'k>> {
    let ((first, _), others) = sources.split_first().expect("there is a source");
    first
        .elements()
        .filter(|(member, _)| others.iter().all(|(source, _)| source.score(*member).is_none()))
}

/// The members that any source has, with the bytes of their scores.
fn union(sources: &[(Source<'_>, f64)], aggregate: Aggregate) -> FieldTable {
    let mut table = FieldTable::new();
    for (source, weight) in sources {
        for (member, score) in source.elements() {
            let score = number(weight * score);
            member.with_bytes(|member| {
                let old = table.get(member).map(score_of_bytes);
                let score = old.map_or(score, |old| aggregate.of(old, score));
                table.insert(member, &score.to_le_bytes());
            });
        }
    }
    table
}

fn score_of_bytes(bytes: &[u8]) -> f64 {
    f64::from_le_bytes(bytes.try_into().expect("a score has eight bytes"))
}

/// Sorts elements as a sorted set has them.
fn sort(elements: &mut [Element<'_>]) {
    elements.sort_unstable_by(|(member, score), (other, other_score)| {
        let by_score = score.partial_cmp(other_score).expect("scores are numbers");
        by_score
            .then_with(|| member.with_bytes(|member| other.with_bytes(|other| member.cmp(other))))
    });
}

pub(super) fn zunion(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    combine(ctx, args, Operation::Union, Wanted::Elements, "zunion")
}

pub(super) fn zinter(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    combine(ctx, args, Operation::Intersection, Wanted::Elements, "zinter")
}

pub(super) fn zdiff(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    combine(ctx, args, Operation::Difference, Wanted::Elements, "zdiff")
}

pub(super) fn zintercard(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    combine(ctx, args, Operation::Intersection, Wanted::Cardinality, "zintercard")
}

pub(super) fn zunionstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    combine(ctx, args, Operation::Union, Wanted::Stored, "zunionstore")
}

pub(super) fn zinterstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    combine(ctx, args, Operation::Intersection, Wanted::Stored, "zinterstore")
}

pub(super) fn zdiffstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    combine(ctx, args, Operation::Difference, Wanted::Stored, "zdiffstore")
}

/// Prepares as many keys as the argument at `index` says.
fn prepare<'b>(
    ctx: &mut Context<'_>,
    args: &Args<'b>,
    index: usize,
    name: &'static str,
) -> Result<Vec<Key<'b>>, Failure> {
    let number = parse_i64(args.at(index)).ok_or(Failure::NotInteger)?;
    let number = usize::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| {
        Failure::err(format_args!("at least 1 input key is needed for '{name}' command"))
    })?;
    let first = index + 1;
    if number > args.len() - first {
        return Err(Failure::Syntax);
    }
    let mut keys = Vec::with_capacity(number);
    for index in first..first + number {
        let key = ctx.keys.at(args, index);
        let kind = ctx.keys.read(key).map(|entry| entry.encoding().kind());
        if !matches!(kind, None | Some(Type::Set | Type::SortedSet)) {
            return Err(Failure::WrongType);
        }
        keys.push(key);
    }
    Ok(keys)
}

/// Runs a command: `name` is its name, and its event where it stores.
fn combine(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    operation: Operation,
    wanted: Wanted,
    name: &'static str,
) -> Handled {
    let number_at = if wanted == Wanted::Stored { 2 } else { 1 };
    let keys = prepare(ctx, args, number_at, name)?;
    let first = number_at + 1 + keys.len();
    let options = Options::parse(args, first, keys.len(), operation, wanted)?;
    let looked = keys.iter().map(|key| Source::look(&ctx.keys, *key));
    let mut sources: Vec<_> = looked.zip(options.weights.iter().copied()).collect();
    if operation != Operation::Difference {
        // Sums depend on the order, which is that of Redis.
        sources.sort_by_key(|(source, _)| source.len());
    }
    let mut table = FieldTable::new();
    let mut elements: Vec<Element<'_>> = match operation {
        Operation::Intersection if wanted == Wanted::Cardinality => {
            let limit = if options.limit == 0 { usize::MAX } else { options.limit };
            let number = intersection(&sources, options.aggregate).take(limit).count();
            ctx.reply.count(number);
            return Ok(());
        }
        Operation::Intersection => intersection(&sources, options.aggregate).collect(),
        Operation::Difference => difference(&sources).collect(),
        Operation::Union => {
            table = union(&sources, options.aggregate);
            let elements = table.iter();
            elements.map(|(member, score)| (Item::Bytes(member), score_of_bytes(score))).collect()
        }
    };
    sort(&mut elements);
    if wanted == Wanted::Stored {
        let limits = &ctx.settings.collections;
        let value = sorted_set::of_ordered(elements.into_iter(), limits);
        let target = ctx.keys.at(args, 1);
        store(ctx, target, Some(value), name);
    } else {
        show(ctx.reply, &elements, options.scores);
    }
    ctx.keys.locked.discard(Value::Object(Box::new(Object::Hash(table))));
    Ok(())
}

fn show(reply: &mut Output, elements: &[Element<'_>], scores: bool) {
    let flat = scores && reply.protocol == Protocol::Resp2;
    let pairs = scores && !flat;
    reply.array(if flat { 2 * elements.len() } else { elements.len() });
    for (member, score) in elements {
        if pairs {
            reply.array(2);
        }
        Context::reply_item(reply, *member);
        if scores {
            reply_score(reply, *score);
        }
    }
}
