//! Streams: all their commands, with ids given rather than taken from the clock; groups, their
//! consumers and pending entries.

use super::{Command, Exact, Family, Generator, Steps, Together, row};
use crate::pair::Unit;
use crate::pool::ValueType::Stream;
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::soundness::IDLE_MS_BETWEEN;
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const FAMILY: Family =
    Family { name: "stream", generators: GENERATORS, commands: COMMANDS, of: Some(Stream) };

const GENERATORS: &[Generator] = &[
    row(70, Command(add)),
    row(6, Together(add_many)),
    row(3, Steps(add_now)),
    row(8, Command(|w| words!["XLEN", w.key_of(Stream)])),
    row(30, Command(range)),
    row(20, Command(|w| [words!["XDEL", w.key_of(Stream)], ids(w, 4)].concat())),
    row(16, Command(trim)),
    row(24, Command(read)),
    row(60, Command(group)),
    row(60, Command(read_group)),
    row(24, Command(|w| [words!["XACK", w.key_of(Stream), group_name(w)], ids(w, 12)].concat())),
    row(24, Command(claim)),
    row(24, Command(claim_idle)),
    row(24, Command(pending)),
    row(40, Command(info)),
    row(12, Command(set_id)),
    row(24, Together(group_from_the_start)),
    row(1, Command(|w| words![*w.random.pick(&["XINFO", "XGROUP"]), "HELP"])),
    row(1, Exact(limits)),
];

const COMMANDS: &[&str] = &[
    "XACK",
    "XADD",
    "XAUTOCLAIM",
    "XCLAIM",
    "XDEL",
    "XGROUP",
    "XGROUP CREATE",
    "XGROUP CREATECONSUMER",
    "XGROUP DELCONSUMER",
    "XGROUP DESTROY",
    "XGROUP SETID",
    "XINFO",
    "XINFO CONSUMERS",
    "XINFO GROUPS",
    "XINFO STREAM",
    "XLEN",
    "XPENDING",
    "XRANGE",
    "XREAD",
    "XREADGROUP",
    "XREVRANGE",
    "XSETID",
    "XTRIM",
];

const ODD_IDS: &[&[u8]] = &[
    b"0",
    b"0-0",
    b"0-1",
    b"1-",
    b"-1",
    b"-",
    b"+",
    b"$",
    b">",
    b"1-*",
    b"0-*",
    b"*-1",
    b"1-1-1",
    b"abc",
    b"",
    b"1-a",
    b"01-1",
    b" 1-1",
    b"1.5",
    b"18446744073709551615",
    b"18446744073709551615-18446744073709551615",
    b"18446744073709551616",
    b"18446744073709551615-*",
    b"(1-1",
    b"(-",
    b"(+",
    b"(18446744073709551615-18446744073709551615",
];

/// An id that is above all drawn before, in most streams.
fn next_id(w: &mut World) -> Vec<u8> {
    w.stream_clock += *w.random.pick(&[0, 1, 1, 1, 2]);
    match w.random.below(50) {
        0 => {
            // The largest ids end a stream: seldom.
            let odd = w.random.pick(ODD_IDS).to_vec();
            if odd.starts_with(b"1844") && w.takes(90) { b"0-0".to_vec() } else { odd }
        }
        1..3 => known_id(w),
        3..18 => format!("{}-{}", w.stream_clock, w.random.below(1_000)).into_bytes(),
        18..22 => w.stream_clock.to_string().into_bytes(),
        _ => format!("{}-*", w.stream_clock).into_bytes(),
    }
}

/// An id that may be in a stream, most likely one of the newer.
fn known_id(w: &mut World) -> Vec<u8> {
    let back = *w.random.pick(&[3, 10, 30, 100, 1_000]);
    let ms = w.stream_clock.saturating_sub(w.random.below(back) as u64);
    match w.random.below(8) {
        0 => ms.to_string().into_bytes(),
        1 => format!("{ms}-{}", w.random.below(1_000)).into_bytes(),
        2 => format!("{ms}-{}", w.random.below(3)).into_bytes(),
        // As the server numbers the first.
        _ => format!("{ms}-0").into_bytes(),
    }
}

fn id(w: &mut World) -> Vec<u8> {
    match w.random.below(20) {
        0 => w.random.pick(ODD_IDS).to_vec(),
        1..4 => b"0".to_vec(),
        _ => known_id(w),
    }
}

fn ids(w: &mut World, most: usize) -> Words {
    (0..w.random.between(1, most)).map(|_| id(w)).collect()
}

fn fields(w: &mut World) -> Words {
    // Entries with the fields of the first are stored without their names.
    if w.takes(50) {
        return words!["name", w.member(), "value", w.member()];
    }
    let count = *w.random.pick(&[1, 1, 2, 3, 5]);
    let mut words: Words = (0..2 * count).map(|_| w.member()).collect();
    if w.takes(2) {
        words.pop();
    }
    words.retain(|word| word != b"*");
    words
}

fn add(w: &mut World) -> Words {
    let mut words = words!["XADD", w.key_of(Stream)];
    if w.takes(12) {
        words.push(b"NOMKSTREAM".to_vec());
    }
    if w.takes(25) {
        words.extend(threshold(w));
    }
    words.push(next_id(w));
    words.extend(fields(w));
    words
}

/// Up to the entries of a node and past.
fn add_many(w: &mut World) -> Unit {
    let key = w.typed_key(Stream);
    let long = w.takes(20);
    let commands = (0..w.random.between(50, 150)).map(|_| {
        let value = if long { vec![b'v'; 300] } else { w.member() };
        words!["XADD", key.clone(), next_id(w), "name", value]
    });
    Unit::one_each(commands.collect())
}

/// A stream with an id of the clock.
pub(crate) const NOW: &str = "~stream";

/// The only entry with an id of the clock; its stream goes at once.
fn add_now(session: &mut Session) -> Outcome {
    let key = NOW.as_bytes().to_vec();
    // Not the command's own name: only the shape of the reply counts here.
    let add = words!["XADD", key.clone(), "*", "f", "v"];
    session.compare_each_side(Who::A, words!["XADD-NOW", key.clone()], |connection| {
        let words: Vec<&[u8]> = add.iter().map(Vec::as_slice).collect();
        connection.call(&words)
    })?;
    let rest = vec![
        words!["XLEN", key.clone()],
        words!["XADD", key.clone(), "1-1", "f", "v"],
        words!["XDEL", key.clone(), "1-1"],
        words!["DEL", key],
    ];
    session.step(Who::A, &[Unit::one_each(rest)])?;
    Ok(())
}

/// MAXLEN or MINID with a threshold, exact or about, and a limit.
fn threshold(w: &mut World) -> Words {
    let by_len = w.takes(60);
    let mut words = words![if by_len { "MAXLEN" } else { "MINID" }];
    let sign = *w.random.pick(&["", "", "=", "~", "~"]);
    if !sign.is_empty() {
        words.push(sign.as_bytes().to_vec());
    }
    words.push(match (w.random.below(12), by_len) {
        (0, true) => w.number(),
        (1 | 2, true) => b"0".to_vec(),
        (3..6, true) => w.random.below(300).to_string().into_bytes(),
        (_, true) => w.random.below(30).to_string().into_bytes(),
        (_, false) => id(w),
    });
    if w.takes(if sign == "~" { 40 } else { 3 }) {
        let limit = match w.random.below(6) {
            0 => w.number(),
            1 => b"0".to_vec(),
            _ => w.random.pick(&[&b"1"[..], b"50", b"100", b"101", b"250"]).to_vec(),
        };
        words.extend(words!["LIMIT", limit]);
    }
    words
}

fn trim(w: &mut World) -> Words {
    [words!["XTRIM", w.key_of(Stream)], threshold(w)].concat()
}

fn bound(w: &mut World, end: &str) -> Vec<u8> {
    match w.random.below(10) {
        0..5 => end.as_bytes().to_vec(),
        5 => [b"(", &id(w)[..]].concat(),
        _ => id(w),
    }
}

fn count(w: &mut World) -> Words {
    if w.takes(50) { words!["COUNT", w.count()] } else { Vec::new() }
}

fn range(w: &mut World) -> Words {
    let (low, high) = (bound(w, "-"), bound(w, "+"));
    let words = match w.random.below(2) {
        0 => words!["XRANGE", w.key_of(Stream), low, high],
        _ => words!["XREVRANGE", w.key_of(Stream), high, low],
    };
    [words, count(w)].concat()
}

/// STREAMS, keys, and as many ids, or nearly.
fn streams(w: &mut World, last: &str) -> Words {
    let keys = w.keys_of(Stream, 3);
    let mut ids: Words = Vec::new();
    for _ in 0..keys.len() {
        ids.push(if w.takes(50) { last.as_bytes().to_vec() } else { id(w) });
    }
    if w.takes(2) {
        ids.pop();
    }
    [words!["STREAMS"], keys, ids].concat()
}

/// Mostly none; or one of a few milliseconds.
fn block(w: &mut World) -> Words {
    match w.random.below(20) {
        0 => words!["BLOCK", *w.random.pick(&["1", "2", "3"])],
        1 if w.takes(30) => words!["BLOCK", *w.random.pick(&["-1", "abc", "", "1.5"])],
        _ => Vec::new(),
    }
}

fn read(w: &mut World) -> Words {
    [words!["XREAD"], count(w), block(w), streams(w, "$")].concat()
}

fn group_name(w: &mut World) -> Vec<u8> {
    let odd: &[&[u8]] = &[b"h", b"h", b"", b"none"];
    if w.takes(88) { b"g".to_vec() } else { w.random.pick(odd).to_vec() }
}

fn consumer(w: &mut World) -> Vec<u8> {
    w.random.pick(&[&b"alice"[..], b"alice", b"bob", b"carol", b"", b"\xff\0"]).to_vec()
}

fn group(w: &mut World) -> Words {
    let key = w.key_of(Stream);
    let id = if w.takes(50) { b"$".to_vec() } else { id(w) };
    let mut words = match w.random.below(24) {
        0..14 => words!["XGROUP", "CREATE", key, group_name(w), id],
        14..18 => words!["XGROUP", "SETID", key, group_name(w), id],
        18 => return words!["XGROUP", "DESTROY", key, group_name(w)],
        19 | 20 => return words!["XGROUP", "DELCONSUMER", key, group_name(w), consumer(w)],
        21 | 22 => return words!["XGROUP", "CREATECONSUMER", key, group_name(w), consumer(w)],
        _ => return words!["XGROUP", w.anything(), key, group_name(w)],
    };
    if words[1] == b"CREATE" && w.takes(60) {
        words.push(b"MKSTREAM".to_vec());
    }
    if w.takes(20) {
        words.extend(words!["ENTRIESREAD", w.count()]);
    }
    words
}

/// A group that has all entries before it.
fn group_from_the_start(w: &mut World) -> Unit {
    let (key, name) = (w.typed_key(Stream), group_name(w));
    Unit::one_each(vec![
        words!["XGROUP", "CREATE", key.clone(), name.clone(), "0", "MKSTREAM"],
        words!["XREADGROUP", "GROUP", name.clone(), consumer(w), "STREAMS", key.clone(), ">"],
        words!["XPENDING", key.clone(), name],
        words!["XINFO", "GROUPS", key],
    ])
}

fn read_group(w: &mut World) -> Words {
    let mut words = words!["XREADGROUP", "GROUP", group_name(w), consumer(w)];
    words.extend(count(w));
    words.extend(block(w));
    if w.takes(15) {
        words.push(b"NOACK".to_vec());
    }
    [words, streams(w, ">")].concat()
}

/// All entries, those of 1970, or none.
fn idle_time(w: &mut World) -> Vec<u8> {
    match w.random.below(10) {
        0 => w.odd_number(),
        1 => b"-1".to_vec(),
        2 => b"9223372036854775807".to_vec(),
        3 | 4 => IDLE_MS_BETWEEN.to_string().into_bytes(),
        _ => b"0".to_vec(),
    }
}

fn claim(w: &mut World) -> Words {
    let mut words = words!["XCLAIM", w.key_of(Stream), group_name(w), consumer(w), idle_time(w)];
    words.extend(ids(w, 12));
    for _ in 0..w.random.below(4) {
        match w.random.below(8) {
            0 => words.extend(words!["IDLE", *w.random.pick(&["0", "1", "5000", "0", "-1"])]),
            1 | 2 => words.extend(words!["TIME", *w.random.pick(&["1", "1000", "1", "1", "x"])]),
            3 | 4 => words.extend(words!["RETRYCOUNT", w.random.below(4) as i64]),
            5 => words.push(b"FORCE".to_vec()),
            6 => words.push(b"JUSTID".to_vec()),
            _ => words.extend(words!["LASTID", id(w)]),
        }
    }
    words
}

fn claim_idle(w: &mut World) -> Words {
    let mut words =
        words!["XAUTOCLAIM", w.key_of(Stream), group_name(w), consumer(w), idle_time(w)];
    words.push(if w.takes(60) { b"0-0".to_vec() } else { bound(w, "-") });
    words.extend(count(w));
    if w.takes(30) {
        words.push(w.one_of(&["JUSTID"]));
    }
    words
}

fn pending(w: &mut World) -> Words {
    let mut words = words!["XPENDING", w.key_of(Stream), group_name(w)];
    if w.takes(70) {
        if w.takes(30) {
            words.extend(words!["IDLE", idle_time(w)]);
        }
        words.extend([bound(w, "-"), bound(w, "+"), w.count()]);
        if w.takes(40) {
            words.push(consumer(w));
        }
    }
    words
}

fn info(w: &mut World) -> Words {
    let key = w.key_of(Stream);
    match w.random.below(8) {
        0 | 1 => words!["XINFO", "STREAM", key],
        2 => words!["XINFO", "STREAM", key, "FULL"],
        3 => [words!["XINFO", "STREAM", key, "FULL"], count(w)].concat(),
        4 | 5 => words!["XINFO", "GROUPS", key],
        6 => words!["XINFO", "CONSUMERS", key, group_name(w)],
        _ => words!["XINFO", *w.random.pick(&["STREAM", "GROUPS", "CONSUMERS"]), key, w.anything()],
    }
}

fn set_id(w: &mut World) -> Words {
    let mut words = words!["XSETID", w.key_of(Stream), next_id(w)];
    // A larger sequence number would be above the ids to come.
    words[2].retain(|byte| !b"*-".contains(byte));
    if w.takes(40) {
        words.extend(words!["ENTRIESADDED", w.count()]);
    }
    if w.takes(30) {
        words.extend(words!["MAXDELETEDID", id(w)]);
    }
    words
}

fn limits(w: &mut World) -> Words {
    let (name, values): (&str, &[&str]) = *w.random.pick(&[
        ("stream-node-max-entries", &["100", "3", "10", "0"][..]),
        ("stream-node-max-bytes", &["4096", "256", "0"]),
    ]);
    words!["CONFIG", "SET", name, *w.random.pick(values)]
}
