//! Hashes: all their commands; from listpacks to tables, by the number of fields and by their length.

use super::picks::{random_members, scan_members, scan_page};
use super::{Command, Exact, Family, Generator, Steps, Together, row};
use crate::pair::Unit;
use crate::pool::ValueType::Hash;
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::support::connection::{Connection, Words};
use crate::words;
use crate::world::World;

pub(super) const FAMILY: Family =
    Family { name: "hash", generators: GENERATORS, commands: COMMANDS, of: Some(Hash) };

const GENERATORS: &[Generator] = &[
    row(50, Command(set)),
    row(12, Command(set_many)),
    row(14, Command(|w| words!["HSETNX", w.key_of(Hash), w.member(), w.member()])),
    row(20, Command(|w| words!["HGET", w.key_of(Hash), w.member()])),
    row(16, Command(|w| [words!["HMGET", w.key_of(Hash)], w.members(5)].concat())),
    row(24, Command(|w| [words!["HDEL", w.key_of(Hash)], w.members(5)].concat())),
    row(6, Command(|w| [words!["HDEL", w.key_of(Hash)], w.many_members()].concat())),
    row(8, Command(|w| words!["HLEN", w.key_of(Hash)])),
    row(10, Command(|w| words!["HEXISTS", w.key_of(Hash), w.member()])),
    row(10, Command(|w| words!["HSTRLEN", w.key_of(Hash), w.member()])),
    row(8, Command(|w| words!["HKEYS", w.key_of(Hash)])),
    row(8, Command(|w| words!["HVALS", w.key_of(Hash)])),
    row(14, Command(|w| words!["HGETALL", w.key_of(Hash)])),
    row(20, Command(|w| words!["HINCRBY", w.key_of(Hash), w.member(), increment(w)])),
    row(20, Command(|w| words!["HINCRBYFLOAT", w.key_of(Hash), w.member(), w.float()])),
    row(8, Command(|w| words!["HINCRBY", w.key_of(Hash), "count", increment(w)])),
    row(8, Command(|w| words!["HINCRBYFLOAT", w.key_of(Hash), "float", w.score()])),
    row(12, Command(random_fields)),
    row(8, Steps(pick)),
    row(6, Steps(scan)),
    row(5, Command(|w| scan_page(w, "HSCAN", Hash))),
    row(8, Steps(in_order)),
    row(4, Together(over_a_threshold)),
    row(1, Exact(limits)),
];

const COMMANDS: &[&str] = &[
    "HDEL",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HINCRBYFLOAT",
    "HKEYS",
    "HLEN",
    "HMGET",
    "HMSET",
    "HRANDFIELD",
    "HSCAN",
    "HSET",
    "HSETNX",
    "HSTRLEN",
    "HVALS",
];

fn set(w: &mut World) -> Words {
    let name = *w.random.pick(&["HSET", "HSET", "HSET", "HMSET"]);
    let mut words = words![name, w.key_of(Hash)];
    for _ in 0..w.random.between(1, 5) {
        words.extend([w.member(), w.member()]);
    }
    words
}

fn set_many(w: &mut World) -> Words {
    let mut words = words!["HSET", w.key_of(Hash)];
    for field in w.many_members() {
        words.extend([field, w.random.below(1_000).to_string().into_bytes()]);
    }
    words
}

fn increment(w: &mut World) -> Vec<u8> {
    match w.random.below(4) {
        0 => w.number(),
        _ => w.small().to_string().into_bytes(),
    }
}

fn random_fields(w: &mut World) -> Words {
    let mut words = words!["HRANDFIELD", w.key_of(Hash)];
    if w.takes(70) {
        words.push(w.count());
        if w.takes(50) {
            words.push(w.one_of(&["WITHVALUES"]));
        }
    }
    words
}

fn pick(session: &mut Session) -> Outcome {
    let key = session.world.key_of(Hash);
    random_members(session, "HRANDFIELD", key)
}

fn scan(session: &mut Session) -> Outcome {
    let key = session.world.key_of(Hash);
    scan_members(session, "HSCAN", key)
}

/// A small hash of the scenario's own keeps the order of insertion; one that was loaded from a table
/// would not.
fn in_order(session: &mut Session) -> Outcome {
    let key = b"~hash".to_vec();
    session.command(Who::A, words!["DEL", key.clone()])?;
    let w = &mut session.world;
    let mut batch = Vec::new();
    for _ in 0..w.random.between(3, 60) {
        let mut words = match w.random.below(8) {
            0 => words!["HDEL", "", w.member(), w.member()],
            1 => words!["HINCRBY", "", w.member(), w.small()],
            2 => words!["HINCRBYFLOAT", "", w.member(), "1.5"],
            3 => words!["HSETNX", "", w.member(), w.member()],
            _ => words!["HSET", "", w.member(), w.member(), w.member(), "v"],
        };
        words[1].clone_from(&key);
        batch.push(words);
    }
    session.step(Who::A, &[Unit::one_each(batch)])?;
    let encoding = session.command(Who::A, words!["OBJECT", "ENCODING", key.clone()])?;
    if encoding.text() != Some(b"listpack") {
        return Ok(());
    }
    for name in ["HGETALL", "HKEYS", "HVALS", "HSCAN", "DUMP"] {
        let read = |connection: &mut Connection| match name {
            "HSCAN" => connection.call(&[b"HSCAN", &key, b"0", b"COUNT", b"1"]),
            _ => connection.call(&[name.as_bytes(), &key]),
        };
        // Not the command's own name: the order counts here.
        let shown = format!("{name}-IN-ORDER");
        session.compare_each_side(Who::A, words![&shown[..], key.clone()], read)?;
    }
    Ok(())
}

fn over_a_threshold(w: &mut World) -> Unit {
    let key = w.typed_key(Hash);
    let encoding = || words!["OBJECT", "ENCODING", key.clone()];
    let mut fill = words!["HSET", key.clone()];
    for number in 0..*w.random.pick(&[2_i64, 127, 128, 511, 512]) {
        fill.extend(words![number, "v"]);
    }
    let len = *w.random.pick(&[1, 63, 64, 65]);
    let long = vec![b'x'; len];
    let (field, value) = if w.takes(50) { (long, b"v".to_vec()) } else { (b"f".to_vec(), long) };
    let mut commands = vec![
        words!["DEL", key.clone()],
        fill,
        encoding(),
        words!["HSET", key.clone(), field.clone(), value],
        encoding(),
        words!["HDEL", key.clone(), field],
        encoding(),
        words!["HGETALL", key.clone()],
    ];
    if w.takes(50) {
        let fields = (0..512_i64).map(|number| number.to_string().into_bytes()).collect();
        commands.push([words!["HDEL", key.clone()], fields].concat());
        commands.push(words!["EXISTS", key]);
    }
    Unit::one_each(commands)
}

fn limits(w: &mut World) -> Words {
    let (name, values): (&str, &[&str]) = *w.random.pick(&[
        ("hash-max-listpack-entries", &["128", "512", "4", "16", "0"][..]),
        ("hash-max-listpack-value", &["64", "4", "8192"]),
        ("hash-max-ziplist-entries", &["128"]),
    ]);
    words!["CONFIG", "SET", name, *w.random.pick(values)]
}
