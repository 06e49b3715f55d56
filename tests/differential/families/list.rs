//! Lists: all their commands; lists that grow over several nodes, and shrink to nothing.

use super::{Command, Exact, Family, Generator, Together, row};
use crate::pair::Unit;
use crate::pool::ValueType::List;
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const FAMILY: Family =
    Family { name: "list", generators: GENERATORS, commands: COMMANDS, of: Some(List) };

const GENERATORS: &[Generator] = &[
    row(40, Command(push)),
    row(12, Command(|w| [words![end(w, "PUSH"), w.key_of(List)], w.many_members()].concat())),
    row(6, Command(push_if_there)),
    row(30, Command(pop)),
    row(8, Command(|w| words!["LLEN", w.key_of(List)])),
    row(20, Command(|w| words!["LINDEX", w.key_of(List), w.index()])),
    row(20, Command(|w| words!["LSET", w.key_of(List), w.index(), w.member()])),
    row(20, Command(insert)),
    row(20, Command(|w| words!["LRANGE", w.key_of(List), w.index(), w.index()])),
    row(10, Command(|w| words!["LRANGE", w.key_of(List), "0", "-1"])),
    row(14, Command(|w| words!["LTRIM", w.key_of(List), w.index(), w.index()])),
    row(6, Command(|w| words!["LTRIM", w.key_of(List), "0", w.random.below(300) as i64])),
    row(20, Command(|w| words!["LREM", w.key_of(List), remove_count(w), w.member()])),
    row(24, Command(position)),
    row(24, Command(|w| [words!["LMOVE"], two_keys(w), two_ends(w)].concat())),
    row(12, Command(|w| [words!["RPOPLPUSH"], two_keys(w)].concat())),
    row(16, Command(|w| [words!["LMPOP"], many_pop(w)].concat())),
    row(6, Command(blocking_pop)),
    row(4, Command(|w| [words!["BLMOVE"], two_keys(w), two_ends(w), vec![w.timeout()]].concat())),
    row(3, Command(|w| [words!["BRPOPLPUSH"], two_keys(w), vec![w.timeout()]].concat())),
    row(4, Command(|w| [words!["BLMPOP", w.timeout()], many_pop(w)].concat())),
    row(4, Together(over_a_threshold)),
    row(2, Together(down_to_nothing)),
    row(1, Exact(limits)),
];

const COMMANDS: &[&str] = &[
    "BLMOVE",
    "BLMPOP",
    "BLPOP",
    "BRPOP",
    "BRPOPLPUSH",
    "LINDEX",
    "LINSERT",
    "LLEN",
    "LMOVE",
    "LMPOP",
    "LPOP",
    "LPOS",
    "LPUSH",
    "LPUSHX",
    "LRANGE",
    "LREM",
    "LSET",
    "LTRIM",
    "RPOP",
    "RPOPLPUSH",
    "RPUSH",
    "RPUSHX",
];

/// A command's name with its end before it.
fn end(w: &mut World, rest: &str) -> Vec<u8> {
    let end = if w.takes(50) { "L" } else { "R" };
    format!("{end}{rest}").into_bytes()
}

fn push(w: &mut World) -> Words {
    [words![end(w, "PUSH"), w.key_of(List)], w.members(6)].concat()
}

fn push_if_there(w: &mut World) -> Words {
    [words![end(w, "PUSHX"), w.key_of(List)], w.members(3)].concat()
}

fn pop(w: &mut World) -> Words {
    let mut words = words![end(w, "POP"), w.key_of(List)];
    if w.takes(50) {
        words.push(w.count());
    }
    words
}

fn insert(w: &mut World) -> Words {
    let place = w.one_of(&["BEFORE", "AFTER"]);
    words!["LINSERT", w.key_of(List), place, w.member(), w.member()]
}

fn remove_count(w: &mut World) -> Vec<u8> {
    match w.random.below(12) {
        0 => w.number(),
        1..5 => b"0".to_vec(),
        _ => (w.random.below(7) as i64 - 3).to_string().into_bytes(),
    }
}

fn position(w: &mut World) -> Words {
    let mut words = words!["LPOS", w.key_of(List), w.member()];
    for _ in 0..w.random.below(4) {
        let name = w.one_of(&["RANK", "COUNT", "MAXLEN"]);
        words.push(name);
        words.push(match w.random.below(8) {
            0 => w.number(),
            1 => b"0".to_vec(),
            _ => (w.random.below(9) as i64 - 3).to_string().into_bytes(),
        });
    }
    words
}

/// Two keys, sometimes the same.
fn two_keys(w: &mut World) -> Words {
    let source = w.key_of(List);
    match w.random.below(6) {
        0 => words![source.clone(), source],
        _ => words![source, w.key_of(List)],
    }
}

fn two_ends(w: &mut World) -> Words {
    (0..2).map(|_| w.one_of(&["LEFT", "RIGHT"])).collect()
}

/// The arguments of LMPOP.
fn many_pop(w: &mut World) -> Words {
    let mut words = w.counted_keys_of(&[List], 4);
    words.push(w.one_of(&["LEFT", "RIGHT"]));
    if w.takes(50) {
        words.extend(words!["COUNT", w.count()]);
    }
    words
}

fn blocking_pop(w: &mut World) -> Words {
    let name = *w.random.pick(&["BLPOP", "BRPOP"]);
    [words![name], w.keys_of(List, 4), vec![w.timeout()]].concat()
}

/// Elements up to a node's 8 KB, and past; read from both ends and in the middle.
fn over_a_threshold(w: &mut World) -> Unit {
    let key = w.typed_key(List);
    let len = *w.random.pick(&[1, 63, 64, 1_000, 4_090, 8_170, 8_190, 8_200, 20_000]);
    let count = (20_000 / len).clamp(3, 300);
    let elements =
        |w: &mut World| -> Words { (0..count).map(|_| w.random.text(len, b"abcd")).collect() };
    let middle = count as i64 / 2;
    let mut commands = vec![
        [words![end(w, "PUSH"), key.clone()], elements(w)].concat(),
        words!["LINSERT", key.clone(), "BEFORE", w.member(), w.member()],
        words!["LSET", key.clone(), middle, w.random.text(len * 2, b"xy")],
        words!["LINDEX", key.clone(), middle],
        words!["LRANGE", key.clone(), middle - 1, middle + 1],
        words!["LSET", key.clone(), middle, "small"],
        words!["LTRIM", key.clone(), "1", "-2"],
        words!["OBJECT", "ENCODING", key.clone()],
        words!["DEBUG", "DIGEST-VALUE", key.clone()],
    ];
    if w.takes(50) {
        commands.push(words!["DEL", key]);
    }
    Unit::one_each(commands)
}

fn down_to_nothing(w: &mut World) -> Unit {
    let key = w.typed_key(List);
    let first = words![end(w, "POP"), key.clone(), w.random.between(1, 200) as i64];
    let last = match w.random.below(3) {
        0 => words!["LTRIM", key.clone(), "1", "0"],
        1 => words!["LMPOP", "1", key.clone(), "LEFT", "COUNT", "100000"],
        _ => words![end(w, "POP"), key.clone(), "100000"],
    };
    Unit::one_each(vec![first, last, words!["EXISTS", key]])
}

/// Node sizes, in bytes and elements, and how many nodes stay uncompressed.
fn limits(w: &mut World) -> Words {
    let (name, values): (&str, &[&str]) = *w.random.pick(&[
        ("list-max-listpack-size", &["-2", "-1", "-5", "2", "4", "16", "128"][..]),
        ("list-compress-depth", &["0", "0", "1", "2"]),
        ("list-max-ziplist-size", &["-2", "8"]),
    ]);
    words!["CONFIG", "SET", name, *w.random.pick(values)]
}
