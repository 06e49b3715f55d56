//! Commands on places: members of sorted sets whose scores are positions. `options` parses
//! arguments; `types::geo` knows positions, distances and areas.

mod options;

use super::command::{
    Begin, Find, Group::Geo, KeyPlaces, at_least, command, key_range, one_key, two_keys,
};
use super::keyspec::Others;
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag::*, sorted_sets};
use crate::keyspace::Key;
use crate::number::Decimal;
use crate::resp::{Output, Span};
use crate::settings::EventClasses;
use crate::types::geo::search::{self, Found, Shape};
use crate::types::geo::{self, Point, Unit};
use crate::types::listpack::Item;
use crate::types::sorted_set::{self, SortedSetRef};
use crate::types::{Encoding, Type, Value, ValueRef};
use options::{Addition, Details, Locate, Search, Searcher, StoredScore, Storing};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("GEOADD", geoadd, at_least(5), &[Write, DenyOom], one_key(&[Rw, Update]), Geo)
        .docs("3.2.0", "O(log(N)) for each place, where N is the size of the sorted set",
            "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
            "Adds places, or moves them."),
    command("GEODIST", geodist, at_least(4), &[ReadOnly], one_key(&[Ro, Access]), Geo)
        .docs("3.2.0", "O(1)", "key member1 member2 [M | KM | FT | MI]", "Gives the distance between two places."),
    command("GEOHASH", geohash, at_least(2), &[ReadOnly], one_key(&[Ro, Access]), Geo)
        .docs("3.2.0", "O(1) for each place", "key member [member ...]",
            "Gives the standard geohash strings of places."),
    command("GEOPOS", geopos, at_least(2), &[ReadOnly], one_key(&[Ro, Access]), Geo)
        .docs("3.2.0", "O(1) for each place", "key member [member ...]",
            "Gives the longitudes and latitudes of places."),
    command("GEORADIUS", georadius, at_least(6), &[Write, DenyOom, MovableKeys], stored(6), Geo)
        .docs("3.2.0", AROUND,
            "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC | DESC] [STORE key] [STOREDIST key]",
            "Finds the places around a position, or stores them; GEOSEARCH is its successor."),
    command("GEORADIUSBYMEMBER", georadiusbymember, at_least(5), &[Write, DenyOom, MovableKeys], stored(5), Geo)
        .docs("3.2.0", AROUND,
            "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC | DESC] [STORE key] [STOREDIST key]",
            "Finds the places around another, or stores them; GEOSEARCH is its successor."),
    command("GEORADIUSBYMEMBER_RO", georadiusbymember_ro, at_least(5), &[ReadOnly], one_key(&[Ro, Access]), Geo)
        .docs("3.2.10", AROUND,
            "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC | DESC]",
            "Finds the places around another; GEOSEARCH is its successor."),
    command("GEORADIUS_RO", georadius_ro, at_least(6), &[ReadOnly], one_key(&[Ro, Access]), Geo)
        .docs("3.2.10", AROUND,
            "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC | DESC]",
            "Finds the places around a position; GEOSEARCH is its successor."),
    command("GEOSEARCH", geosearch, at_least(7), &[ReadOnly], one_key(&[Ro, Access]), Geo)
        .docs("6.2.0", AROUND,
            "key <FROMMEMBER member | FROMLONLAT longitude latitude> \
             <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> \
             [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
            "Finds the places in a circle or a box."),
    command("GEOSEARCHSTORE", geosearchstore, at_least(8), &[Write, DenyOom],
        two_keys(&[Ow, Update], &[Ro, Access]), Geo)
        .docs("6.2.0", AROUND,
            "destination source <FROMMEMBER member | FROMLONLAT longitude latitude> \
             <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> \
             [ASC | DESC] [COUNT count [ANY]] [STOREDIST]",
            "Stores the places in a circle or a box."),
];

const AROUND: &str = "O(N+log(M)) where N is the number of places around, M that of all";

/// The source, and a target behind an option; options begin at `from`.
const fn stored(from: i32) -> KeyPlaces {
    const ONE: Find = Find::Range { last: 0, step: 1, limit: 0 };
    key_range(&[Ro, Access], 1, 0, 1)
        .and(&[Ow, Update], Begin::Keyword { word: "STORE", from }, ONE)
        .and(&[Ow, Update], Begin::Keyword { word: "STOREDIST", from }, ONE)
        .locked_by(possible_targets)
}

/// An option may come more than once, of which the last counts; a specification finds the first.
fn possible_targets(args: &Args<'_>, each: &mut dyn FnMut(usize)) -> Others {
    each(1);
    for index in 2..args.len().saturating_sub(1) {
        if args.is(index, "STORE") || args.is(index, "STOREDIST") {
            each(index + 1);
        }
    }
    Others::None
}

/// GEOADD is the ZADD of the scores, and replicas get that.
fn geoadd(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let addition = Addition::parse(args.from(2))?;
    let scores: Vec<Decimal> =
        addition.members.iter().map(|(score, _)| Decimal::new(score.cast_signed())).collect();
    let mut words: Vec<&[u8]> = vec![b"zadd", args.at(1)];
    words.extend(&addition.options);
    for (score, (_, member)) in scores.iter().zip(&addition.members) {
        words.extend([score.as_bytes(), member]);
    }
    let buffer = words.concat();
    let mut start = 0;
    let span = |word: &&[u8]| {
        let span = Span { start, len: word.len() as u32 };
        start += span.len;
        span
    };
    let spans: Vec<Span> = words.iter().map(span).collect();
    let dirty = ctx.keys.effects.dirty;
    sorted_sets::zadd(ctx, &Args::new(&buffer, &spans, None))?;
    if ctx.keys.effects.dirty != dirty {
        ctx.keys.log_instead(&[&words]);
    }
    Ok(())
}

/// The positions of members, `None` for those that are missing.
fn positions<'a>(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    members: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Option<Point>>, Failure> {
    let key = ctx.keys.at(args, 1);
    let set = ctx.keys.read_of(key, Type::SortedSet)?.and_then(ValueRef::sorted_set);
    let position = |member| set?.score(member).map(Point::from_score);
    Ok(members.map(position).collect())
}

fn geohash(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let points = positions(ctx, args, args.from(2))?;
    ctx.reply.array(points.len());
    for point in points {
        match point {
            Some(point) => ctx.reply.bulk(&point.text()),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

fn geopos(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let points = positions(ctx, args, args.from(2))?;
    ctx.reply.array(points.len());
    for point in points {
        match point {
            Some(point) => reply_point(ctx.reply, point),
            None => ctx.reply.null_array(),
        }
    }
    Ok(())
}

fn reply_point(reply: &mut Output, point: Point) {
    reply.array(2);
    for degrees in [point.longitude, point.latitude] {
        reply.double(geo::coordinate_text(degrees).as_bytes());
    }
}

fn reply_distance(reply: &mut Output, distance: f64) {
    reply.bulk(geo::distance_text(distance).as_bytes());
}

fn geodist(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let unit = match args.len() {
        4 => Unit::Metres,
        5 => options::unit(args.at(4))?,
        _ => return Err(Failure::Syntax),
    };
    let points = positions(ctx, args, args.from(2).take(2))?;
    match points[..] {
        [Some(from), Some(to)] => {
            reply_distance(ctx.reply, from.distance_m(to) / unit.metres());
        }
        _ => ctx.reply.null(),
    }
    Ok(())
}

fn georadius(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    search(ctx, args, Searcher::Radius(Storing::Allowed))
}

fn georadius_ro(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    search(ctx, args, Searcher::Radius(Storing::ReadOnly))
}

fn georadiusbymember(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    search(ctx, args, Searcher::RadiusByMember(Storing::Allowed))
}

fn georadiusbymember_ro(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    search(ctx, args, Searcher::RadiusByMember(Storing::ReadOnly))
}

fn geosearch(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    search(ctx, args, Searcher::Search)
}

fn geosearchstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    search(ctx, args, Searcher::SearchStore)
}

fn search(ctx: &mut Context<'_>, args: &Args<'_>, searcher: Searcher) -> Handled {
    let source = ctx.keys.at(args, if searcher == Searcher::SearchStore { 2 } else { 1 });
    let set = ctx.keys.read_of(source, Type::SortedSet)?.and_then(ValueRef::sorted_set);
    let locate = |member: &[u8]| set?.score(member).map(Point::from_score);
    let locate: Locate<'_> = &locate;
    let locate = set.is_some().then_some(locate);
    let search = Search::parse(searcher, args.at(0), args.from(1), locate)?;
    let mut found = match (set, &search.shape) {
        (Some(set), Some(shape)) => {
            members(set, shape, search.any.then_some(search.count).flatten())
        }
        _ => Vec::new(),
    };
    let wanted = search.returned(found.len());
    if let Some(order) = search.effective_order() {
        search::sort(&mut found, order, wanted);
    }
    found.truncate(wanted);
    let Some((target, score)) = search.store else {
        reply_found(ctx.reply, &found, &search);
        return Ok(());
    };
    let mut result = Value::empty(Encoding::SortedSetPack);
    for Found { member, score: position, distance_m, .. } in &found {
        let score = match score {
            StoredScore::Position => *position,
            StoredScore::Distance => distance_m / search.unit.metres(),
        };
        let limits = &ctx.settings.collections;
        member.with_bytes(|member| sorted_set::insert(&mut result, member, score, limits));
    }
    let event = if searcher == Searcher::SearchStore { "geosearchstore" } else { "georadiusstore" };
    store(ctx, ctx.keys.key(target), result, event);
    Ok(())
}

/// Stores a result and replies with its size.
fn store(ctx: &mut Context<'_>, target: Key<'_>, result: Value, event: &'static str) {
    let len = result.view().sorted_set().map_or(0, SortedSetRef::len);
    ctx.keys.store_result(target, result, EventClasses::SORTED_SET, event);
    // Each member counts as a change.
    ctx.keys.changed_much((len as u64).saturating_sub(1));
    ctx.reply.count(len);
}

/// The members within a shape, by area and score; at most `most`, whichever come first.
fn members<'s>(set: SortedSetRef<'s>, shape: &Shape, most: Option<u64>) -> Vec<Found<Item<'s>>> {
    let mut found = Vec::new();
    let is_full = |found: &Vec<_>| most.is_some_and(|most| found.len() as u64 >= most);
    for range in shape.score_ranges() {
        let start = set.rank_of_score(range.start);
        for (member, score) in set.iter_from(start).take_while(|(_, score)| *score < range.end) {
            if is_full(&found) {
                return found;
            }
            let point = Point::from_score(score);
            if let Some(distance_m) = shape.distance_m(point) {
                found.push(Found { member, score, point, distance_m });
            }
        }
    }
    found
}

fn reply_found(reply: &mut Output, found: &[Found<Item<'_>>], search: &Search<'_>) {
    let Details { distance, hash, coordinates } = search.details;
    let details = [distance, hash, coordinates].into_iter().filter(|shown| *shown).count();
    reply.array(found.len());
    for Found { member, score, point, distance_m } in found {
        if details > 0 {
            reply.array(1 + details);
        }
        Context::reply_item(reply, *member);
        if distance {
            reply_distance(reply, distance_m / search.unit.metres());
        }
        if hash {
            // An integer: the areas have no other scores than 0 to 2^52.
            reply.integer(*score as i64);
        }
        if coordinates {
            reply_point(reply, *point);
        }
    }
}
