//! Places: sorted sets whose scores are positions.

use super::{Command, Exact, Family, Generator, Together, row};
use crate::pair::Unit;
use crate::pool::ValueType::Geo;
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const FAMILY: Family =
    Family { name: "geo", generators: GENERATORS, commands: COMMANDS, of: Some(Geo) };

const GENERATORS: &[Generator] = &[
    row(60, Command(|w| [words!["GEOADD", w.key_of(Geo)], added(w, 5)].concat())),
    row(10, Exact(|w| [words!["GEOADD", key_of_apart(w)], apart(w)].concat())),
    row(2, Exact(|w| [words!["ZREM", key_of_apart(w)], places(w)].concat())),
    row(1, Exact(|w| words!["DEL", key_of_apart(w)])),
    row(20, Command(distance)),
    row(14, Command(|w| [words!["GEOHASH", key(w)], places(w)].concat())),
    row(14, Command(|w| [words!["GEOPOS", key(w)], places(w)].concat())),
    row(50, Command(search)),
    row(16, Command(search_and_store)),
    row(30, Command(radius)),
    row(12, Together(nearest)),
];

const COMMANDS: &[&str] = &[
    "GEOADD",
    "GEODIST",
    "GEOHASH",
    "GEOPOS",
    "GEORADIUS",
    "GEORADIUS_RO",
    "GEORADIUSBYMEMBER",
    "GEORADIUSBYMEMBER_RO",
    "GEOSEARCH",
    "GEOSEARCHSTORE",
];

/// Keys of places that are never equally far from anywhere. Nothing else writes them.
fn key_of_apart(w: &mut World) -> Vec<u8> {
    format!("~geo:{}", w.random.below(2)).into_bytes()
}

fn place(w: &mut World) -> Vec<u8> {
    let places: &[&[u8]] = &[b"Rome", b"Oslo", b"Bern", b"Riga", b"Kyiv", b"Bonn", b"Lviv", b""];
    if w.takes(93) { w.random.pick(places).to_vec() } else { w.member() }
}

fn places(w: &mut World) -> Words {
    (0..w.random.between(1, 4)).map(|_| place(w)).collect()
}

fn key(w: &mut World) -> Vec<u8> {
    if w.takes(30) { key_of_apart(w) } else { w.key_of(Geo) }
}

fn longitude(w: &mut World) -> Vec<u8> {
    coordinate(w, 180.0, &[b"180", b"-180", b"180.0001", b"-180.1"])
}

fn latitude(w: &mut World) -> Vec<u8> {
    coordinate(w, 85.0, &[b"85.05112878", b"-85.05112878", b"85.05112879", b"-86"])
}

/// Near Sicily, anywhere up to `most`, or at the edge.
fn coordinate(w: &mut World, most: f64, edges: &[&[u8]]) -> Vec<u8> {
    let fraction = (w.random.next() % 2_000_001) as f64 / 1_000_000.0 - 1.0;
    match w.random.below(20) {
        0 => match w.random.below(3) {
            0 => w.float(),
            _ => w.random.pick(edges).to_vec(),
        },
        1..6 => format!("{:.6}", fraction * most).into_bytes(),
        6..8 => w.random.pick(&[&b"0"[..], b"13.361389", b"38.115556", b"15.087269"]).to_vec(),
        _ => format!("{:.6}", 14.0 + fraction * 3.0).into_bytes(),
    }
}

fn added(w: &mut World, most: usize) -> Words {
    let mut words = if w.takes(30) { w.some_of(2, &["NX", "XX", "CH"]) } else { Vec::new() };
    for _ in 0..w.random.between(1, most) {
        words.extend([longitude(w), latitude(w), place(w)]);
    }
    words
}

/// Valid positions, as good as never drawn twice.
fn apart(w: &mut World) -> Words {
    let mut words = Vec::new();
    for _ in 0..w.random.between(1, 8) {
        let mut random = |most: f64| {
            let fraction = (w.random.next() >> 11) as f64 / (1_u64 << 53) as f64;
            format!("{:.9}", 14.0 + (fraction - 0.5) * most).into_bytes()
        };
        let spread = [0.01, 1.0, 20.0];
        let at = (random(0.0).len() + words.len()) % spread.len();
        let (longitude, latitude) = (random(spread[at]), random(spread[at]));
        words.extend([longitude, latitude, place(w)]);
    }
    words
}

fn unit(w: &mut World) -> Vec<u8> {
    w.one_of(&["m", "km", "ft", "mi", "M", "Km"])
}

fn distance(w: &mut World) -> Words {
    let mut words = words!["GEODIST", key(w), place(w), place(w)];
    if w.takes(60) {
        words.push(unit(w));
    }
    words
}

fn length(w: &mut World) -> Vec<u8> {
    match w.random.below(20) {
        0 => w.float(),
        1 => b"0".to_vec(),
        2 => b"-1".to_vec(),
        _ => w.random.pick(&[&b"1"[..], b"50", b"200", b"500.5", b"3000", b"20000"]).to_vec(),
    }
}

/// Where from, and how far: the core of GEOSEARCH.
fn area(w: &mut World) -> Words {
    let from = match w.random.below(2) {
        0 => words!["FROMMEMBER", place(w)],
        _ => words!["FROMLONLAT", longitude(w), latitude(w)],
    };
    let by = match w.random.below(2) {
        0 => words!["BYRADIUS", length(w), unit(w)],
        _ => words!["BYBOX", length(w), length(w), unit(w)],
    };
    let mut parts = vec![from, by];
    if w.takes(3) {
        parts.remove(w.random.below(2));
    }
    if w.takes(2) {
        parts.push(words!["BYRADIUS", "1", "km"]);
    }
    if w.takes(30) {
        parts.reverse();
    }
    parts.concat()
}

/// Options of a search, without those that choose.
fn shown(w: &mut World) -> Words {
    let mut words = w.some_of(3, &["WITHCOORD", "WITHDIST", "WITHHASH"]);
    if w.takes(50) {
        words.push(w.one_of(&["ASC", "DESC"]));
    }
    words
}

fn limit(w: &mut World) -> Words {
    let mut words = words!["COUNT", w.count()];
    if w.takes(3) {
        words.push(w.anything());
    }
    words
}

fn search(w: &mut World) -> Words {
    let key = key(w);
    let may_choose = key.starts_with(b"~");
    let mut words = [words!["GEOSEARCH", key], area(w), shown(w)].concat();
    if may_choose && w.takes(40) {
        words.extend(limit(w));
    }
    words
}

fn search_and_store(w: &mut World) -> Words {
    let source = key(w);
    let target =
        if w.takes(10) && !source.starts_with(b"~") { source.clone() } else { w.key_of(Geo) };
    let mut words = [words!["GEOSEARCHSTORE", target, source], area(w)].concat();
    if w.takes(30) {
        words.push(w.one_of(&["ASC", "DESC", "WITHDIST"]));
    }
    if w.takes(30) {
        words.push(b"STOREDIST".to_vec());
    }
    words
}

/// The older forms.
fn radius(w: &mut World) -> Words {
    let read_only = w.takes(40);
    let suffix = if read_only { "_RO" } else { "" };
    let key = key(w);
    let may_choose = key.starts_with(b"~");
    let mut words = match w.random.below(2) {
        0 => {
            let name = format!("GEORADIUS{suffix}");
            words![&name[..], key, longitude(w), latitude(w), length(w), unit(w)]
        }
        _ => {
            let name = format!("GEORADIUSBYMEMBER{suffix}");
            words![&name[..], key, place(w), length(w), unit(w)]
        }
    };
    match w.random.below(4) {
        0 => words.extend(words![*w.random.pick(&["STORE", "STOREDIST"]), w.key_of(Geo)]),
        1 if may_choose => words.extend([limit(w), shown(w)].concat()),
        _ => words.extend(shown(w)),
    }
    words
}

/// The nearest of some, stored; and a choice of any, in number.
fn nearest(w: &mut World) -> Unit {
    let (key, target) = (key_of_apart(w), w.typed_key(Geo));
    let any = [
        words!["GEOSEARCHSTORE", "~any", key.clone(), "FROMLONLAT", "14", "14"],
        words!["BYRADIUS", "3000", "km", "COUNT", w.random.between(1, 5) as i64, "ANY"],
    ];
    let mut store = [words!["GEOSEARCHSTORE", target.clone(), key.clone()], area(w)].concat();
    store.extend(words!["COUNT", w.random.between(1, 5) as i64]);
    if w.takes(30) {
        store.push(b"STOREDIST".to_vec());
    }
    Unit::one_each(vec![
        [words!["GEOADD", key], apart(w)].concat(),
        store,
        words!["ZRANGE", target, "0", "-1", "WITHSCORES"],
        any.concat(),
        words!["DEL", "~any"],
    ])
}
