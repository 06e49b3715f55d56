//! HyperLogLogs: their commands, and their bytes as the strings that they are.

use super::{Command, Exact, Family, Generator, Together, row};
use crate::pair::Unit;
use crate::pool::ValueType::HyperLogLog;
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const FAMILY: Family = Family {
    name: "hyperloglog",
    generators: GENERATORS,
    commands: COMMANDS,
    of: Some(HyperLogLog),
};

const GENERATORS: &[Generator] = &[
    row(50, Command(|w| [words!["PFADD", w.key_of(HyperLogLog)], w.members(8)].concat())),
    row(6, Command(|w| words!["PFADD", w.key_of(HyperLogLog)])),
    row(20, Command(|w| [words!["PFADD", w.key_of(HyperLogLog)], w.many_members()].concat())),
    row(30, Command(|w| [words!["PFCOUNT"], w.keys_of(HyperLogLog, 4)].concat())),
    row(30, Command(merge)),
    row(14, Command(|w| words!["GET", w.key_of(HyperLogLog)])),
    row(8, Command(|w| words!["STRLEN", w.key_of(HyperLogLog)])),
    row(8, Command(debug)),
    row(3, Together(many_and_dense)),
    row(3, Together(damaged)),
    row(1, Exact(limits)),
];

const COMMANDS: &[&str] = &["PFADD", "PFCOUNT", "PFMERGE"];

/// The target may be one of the sources.
fn merge(w: &mut World) -> Words {
    let target = w.key_of(HyperLogLog);
    let mut words = [words!["PFMERGE", target.clone()], w.keys_of(HyperLogLog, 4)].concat();
    match w.random.below(10) {
        0 => words.truncate(2),
        1 => words[2] = target,
        _ => {}
    }
    words
}

fn debug(w: &mut World) -> Words {
    let sub = w.one_of(&["ENCODING", "DECODE", "GETREG", "TODENSE"]);
    words!["PFDEBUG", sub, w.key_of(HyperLogLog)]
}

/// Past the size of the sparse form.
fn many_and_dense(w: &mut World) -> Unit {
    let key = w.typed_key(HyperLogLog);
    let from = w.random.below(100_000);
    let mut commands = Vec::new();
    for chunk in 0..6 {
        let mut words = words!["PFADD", key.clone()];
        for number in 0..300 {
            words.push((from + chunk * 300 + number).to_string().into_bytes());
        }
        commands.push(words);
        commands.push(words!["PFCOUNT", key.clone()]);
        commands.push(words!["STRLEN", key.clone()]);
    }
    commands.push(words!["GET", key.clone()]);
    if w.takes(70) {
        commands.push(words!["DEL", key]);
    }
    Unit::one_each(commands)
}

/// A header or an end that is none.
fn damaged(w: &mut World) -> Unit {
    let key = b"~hll".to_vec();
    let damage = match w.random.below(5) {
        0 => words!["SETRANGE", key.clone(), "0", "hyll"],
        1 => words!["SETRANGE", key.clone(), "4", "\u{2}"],
        2 => words!["SETRANGE", key.clone(), "5", "abc"],
        3 => words!["SETRANGE", key.clone(), "8", "12345678"],
        _ => words!["SET", key.clone(), "HYLL"],
    };
    Unit::one_each(vec![
        [words!["PFADD", key.clone()], w.members(8)].concat(),
        damage,
        words!["PFCOUNT", key.clone()],
        words!["PFADD", key.clone(), w.member()],
        words!["PFMERGE", w.typed_key(HyperLogLog), key.clone()],
        words!["GET", key.clone()],
        words!["DEL", key],
    ])
}

fn limits(w: &mut World) -> Words {
    let bytes = *w.random.pick(&["3000", "0", "100", "15000"]);
    words!["CONFIG", "SET", "hll-sparse-max-bytes", bytes]
}
