//! Sets: all their commands; sets of integers, of other members, and from one to the other.

use super::picks::{pop_at_random, random_members, scan_members, scan_page};
use super::{Command, Exact, Family, Generator, Steps, Together, row};
use crate::pair::Unit;
use crate::pool::ValueType::Set;
use crate::session::{Outcome, Session};
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const FAMILY: Family =
    Family { name: "set", generators: GENERATORS, commands: COMMANDS, of: Some(Set) };

const GENERATORS: &[Generator] = &[
    row(40, Command(|w| [words!["SADD", w.key_of(Set)], w.members(6)].concat())),
    row(12, Command(|w| [words!["SADD", w.key_of(Set)], w.many_members()].concat())),
    row(12, Command(|w| [words!["SADD", w.key_of(Set)], integers(w)].concat())),
    row(25, Command(|w| [words!["SREM", w.key_of(Set)], w.members(6)].concat())),
    row(6, Command(|w| [words!["SREM", w.key_of(Set)], w.many_members()].concat())),
    row(12, Command(|w| words!["SISMEMBER", w.key_of(Set), w.member()])),
    row(12, Command(|w| [words!["SMISMEMBER", w.key_of(Set)], w.members(5)].concat())),
    row(8, Command(|w| words!["SCARD", w.key_of(Set)])),
    row(12, Command(|w| words!["SMEMBERS", w.key_of(Set)])),
    row(16, Command(move_one)),
    row(24, Command(combine)),
    row(30, Command(combine_and_store)),
    row(12, Command(cardinality)),
    row(4, Command(pop_all)),
    row(8, Command(|w| words!["SRANDMEMBER", w.key_of(Set)])),
    row(8, Command(|w| words!["SRANDMEMBER", w.key_of(Set), w.count()])),
    row(14, Steps(pop)),
    row(8, Steps(pick)),
    row(6, Steps(scan)),
    row(5, Command(|w| scan_page(w, "SSCAN", Set))),
    row(4, Together(over_a_threshold)),
    row(1, Exact(limits)),
];

const COMMANDS: &[&str] = &[
    "SADD",
    "SCARD",
    "SDIFF",
    "SDIFFSTORE",
    "SINTER",
    "SINTERCARD",
    "SINTERSTORE",
    "SISMEMBER",
    "SMEMBERS",
    "SMISMEMBER",
    "SMOVE",
    "SPOP",
    "SRANDMEMBER",
    "SREM",
    "SSCAN",
    "SUNION",
    "SUNIONSTORE",
];

/// Integers of one width, or of all.
fn integers(w: &mut World) -> Words {
    let bits = *w.random.pick(&[7, 8, 15, 16, 31, 32, 62]);
    let count = w.random.between(1, 40);
    let number = |w: &mut World| (w.random.next() % (1 << bits)) as i64 - (1_i64 << bits) / 2;
    (0..count).map(|_| number(w).to_string().into_bytes()).collect()
}

fn move_one(w: &mut World) -> Words {
    let source = w.key_of(Set);
    let target = if w.takes(10) { source.clone() } else { w.key_of(Set) };
    words!["SMOVE", source, target, w.member()]
}

fn combine(w: &mut World) -> Words {
    let name = *w.random.pick(&["SINTER", "SUNION", "SDIFF"]);
    [words![name], w.keys_of(Set, 4)].concat()
}

/// The target may be one of the sources, or of another type.
fn combine_and_store(w: &mut World) -> Words {
    let name = *w.random.pick(&["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]);
    [words![name, w.key_of(Set)], w.keys_of(Set, 4)].concat()
}

fn cardinality(w: &mut World) -> Words {
    let mut words = [words!["SINTERCARD"], w.counted_keys_of(&[Set], 4)].concat();
    if w.takes(50) {
        words.extend(words!["LIMIT", w.count()]);
    }
    words
}

/// No choice: all go, or none.
fn pop_all(w: &mut World) -> Words {
    let count = *w.random.pick(&["1000000", "1000000", "0", "-1", "abc", "9223372036854775807"]);
    words!["SPOP", w.key_of(Set), count]
}

fn pop(session: &mut Session) -> Outcome {
    let key = session.world.key_of(Set);
    pop_at_random(session, key)
}

fn pick(session: &mut Session) -> Outcome {
    let key = session.world.key_of(Set);
    random_members(session, "SRANDMEMBER", key)
}

fn scan(session: &mut Session) -> Outcome {
    let key = session.world.key_of(Set);
    scan_members(session, "SSCAN", key)
}

/// From integers to any members, by the number of members or by one that is no integer.
fn over_a_threshold(w: &mut World) -> Unit {
    let key = w.typed_key(Set);
    let encoding = || words!["OBJECT", "ENCODING", key.clone()];
    let from = w.random.below(1_000) as i64;
    let add = |numbers: std::ops::Range<i64>| -> Words {
        let members = numbers.map(|number| number.to_string().into_bytes()).collect();
        [words!["SADD", key.clone()], members].concat()
    };
    let count = *w.random.pick(&[10, 510, 511, 512]);
    let mut commands = vec![
        words!["DEL", key.clone()],
        add(from..from + count),
        encoding(),
        words!["SMEMBERS", key.clone()],
        words!["SADD", key.clone(), "-99999999999"],
        encoding(),
        words!["SADD", key.clone(), *w.random.pick(&["7777", "text", "01", ""])],
        encoding(),
        words!["SUNIONSTORE", key.clone(), key.clone(), w.typed_key(Set)],
        encoding(),
    ];
    if w.takes(50) {
        commands.push(words!["SPOP", key.clone(), "1000000"]);
        commands.push(words!["EXISTS", key]);
    }
    Unit::one_each(commands)
}

fn limits(w: &mut World) -> Words {
    words!["CONFIG", "SET", "set-max-intset-entries", *w.random.pick(&["512", "0", "4", "16"])]
}
