//! Strings: all their commands, with valid and invalid options.

use super::{Command, Generator, Together, row};
use crate::pair::Unit;
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const GENERATORS: &[Generator] = &[
    row(60, Command(|w| words!["GET", w.key()])),
    row(70, Command(set)),
    row(8, Together(set_in_the_past)),
    row(12, Command(|w| words!["GETSET", w.key(), w.value()])),
    row(12, Command(|w| words!["GETDEL", w.key()])),
    row(20, Command(getex)),
    row(10, Command(|w| words!["SETEX", w.key(), ttl(w, 1), w.value()])),
    row(10, Command(|w| words!["PSETEX", w.key(), ttl(w, 1_000), w.value()])),
    row(12, Command(|w| words!["SETNX", w.key(), w.value()])),
    row(14, Command(|w| pairs(w, "MSET"))),
    row(10, Command(|w| pairs(w, "MSETNX"))),
    row(14, Command(mget)),
    row(25, Command(|w| words!["APPEND", w.key(), w.value()])),
    row(12, Command(|w| words!["STRLEN", w.key()])),
    row(18, Command(|w| words!["SETRANGE", w.key(), offset(w), w.value()])),
    row(18, Command(|w| words!["GETRANGE", w.key(), index(w), index(w)])),
    row(8, Command(|w| words!["SUBSTR", w.key(), index(w), index(w)])),
    row(18, Command(|w| words!["INCR", w.key()])),
    row(18, Command(|w| words!["DECR", w.key()])),
    row(20, Command(|w| words!["INCRBY", w.key(), w.number()])),
    row(20, Command(|w| words!["DECRBY", w.key(), w.number()])),
    row(25, Command(|w| words!["INCRBYFLOAT", w.key(), w.float()])),
    row(8, Command(|w| words!["SET", w.key(), w.integer()])),
    row(8, Command(|w| words!["SET", w.key(), w.float()])),
    row(8, Command(|w| words!["SET", w.key(), w.letters()])),
    row(20, Command(lcs)),
];

fn set(w: &mut World) -> Words {
    let mut words = words!["SET", w.key(), w.value()];
    let most = *w.random.pick(&[0, 0, 1, 1, 2, 4]);
    for _ in 0..most {
        words.extend(option(w, "KEEPTTL"));
    }
    words
}

fn getex(w: &mut World) -> Words {
    let mut words = words!["GETEX", w.key()];
    for _ in 0..*w.random.pick(&[0, 1, 1, 1, 2]) {
        words.extend(option(w, "PERSIST"));
    }
    words
}

/// An option of SET or GETEX, sometimes of the other command.
fn option(w: &mut World, own: &str) -> Words {
    match w.random.below(14) {
        0 => words!["EX", ttl(w, 1)],
        1 => words!["PX", ttl(w, 1_000)],
        2 => words!["EXAT", w.far_secs()],
        3 => words!["PXAT", w.far_secs() * 1_000 + 7],
        4 | 5 => words!["NX"],
        6 | 7 => words!["XX"],
        8..10 => words!["GET"],
        10 | 11 => words![own],
        12 => {
            let name = *w.random.pick(&["EX", "PX", "EXAT", "PXAT"]);
            words![name, w.odd_number()]
        }
        _ => words![w.anything()],
    }
}

/// Mostly a valid relative time, in units of `per_sec` to the second; or none, or an odd one.
fn ttl(w: &mut World, per_sec: i64) -> Vec<u8> {
    let secs = match w.random.below(12) {
        0 => 0,
        1 => -1,
        2 => i64::MAX / per_sec,
        3 => i64::MIN / per_sec,
        4 => i64::MAX / 1_000,
        5 => return w.odd_number(),
        _ => w.ttl_secs(),
    };
    secs.saturating_mul(per_sec).to_string().into_bytes()
}

/// SET keeps such a key until the next access, so an access follows at once.
fn set_in_the_past(w: &mut World) -> Unit {
    let key = w.key();
    let past = *w.random.pick(&[1, 1_000, 999_999_999]);
    let value = w.value();
    let set = match w.random.below(2) {
        0 => words!["SET", key.clone(), value, "EXAT", past],
        _ => words!["SET", key.clone(), value, "PXAT", past],
    };
    Unit::one_each(vec![set, words!["GET", key]])
}

fn pairs(w: &mut World, name: &str) -> Words {
    let mut words = words![name];
    for _ in 0..w.random.between(1, 4) {
        words.extend([w.key(), w.value()]);
    }
    words
}

fn mget(w: &mut World) -> Words {
    [words!["MGET"], w.keys(5)].concat()
}

fn offset(w: &mut World) -> Vec<u8> {
    match w.random.below(20) {
        0 => w.odd_number(),
        1 => w.random.pick(&[&b"536870912"[..], b"9223372036854775807", b"4294967296"]).to_vec(),
        2 => (w.random.below(50_000)).to_string().into_bytes(),
        _ => w.small().to_string().into_bytes(),
    }
}

fn index(w: &mut World) -> Vec<u8> {
    match w.random.below(8) {
        0 => w.number(),
        _ => w.small().to_string().into_bytes(),
    }
}

fn lcs(w: &mut World) -> Words {
    let mut words = words!["LCS", w.key(), w.key()];
    for _ in 0..w.random.below(4) {
        match w.random.below(8) {
            0..2 => words.push(b"LEN".to_vec()),
            2..5 => words.push(b"IDX".to_vec()),
            5 => words.push(b"WITHMATCHLEN".to_vec()),
            6 => words.extend(words!["MINMATCHLEN", w.random.below(6) as i64 - 1]),
            _ => words.extend(words!["MINMATCHLEN", w.number()]),
        }
    }
    words
}
