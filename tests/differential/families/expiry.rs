//! Expiry: setting, querying, removing; and keys that expire during a wait.

use super::{Command, Generator, Steps, row};
use crate::pair::Unit;
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::support::connection::{Connection, Words};
use crate::support::reply::{ReadError, Reply};
use crate::words;
use crate::world::World;

pub(super) const GENERATORS: &[Generator] = &[
    row(25, Command(|w| expire(w, "EXPIRE", 1))),
    row(25, Command(|w| expire(w, "PEXPIRE", 1_000))),
    row(20, Command(|w| expire_at(w, "EXPIREAT", 1))),
    row(20, Command(|w| expire_at(w, "PEXPIREAT", 1_000))),
    row(20, Command(|w| words!["TTL", w.key()])),
    row(20, Command(|w| words!["PTTL", w.key()])),
    row(15, Command(|w| words!["EXPIRETIME", w.key()])),
    row(15, Command(|w| words!["PEXPIRETIME", w.key()])),
    row(20, Command(|w| words!["PERSIST", w.key()])),
    row(1, Steps(expires_by_itself)),
    row(1, Steps(expires_when_looked_at)),
];

fn expire(w: &mut World, name: &str, per_sec: i64) -> Words {
    let secs = match w.random.below(12) {
        0 | 1 => w.past_secs().min(0),
        2 => i64::MAX / per_sec,
        3 => i64::MIN / per_sec,
        _ => w.ttl_secs(),
    };
    let words = words![name, w.key(), secs.saturating_mul(per_sec)];
    [words, conditions(w)].concat()
}

fn expire_at(w: &mut World, name: &str, per_sec: i64) -> Words {
    let secs = match w.random.below(12) {
        0 | 1 => w.past_secs(),
        2 => i64::MAX / per_sec,
        3 => i64::MIN / per_sec,
        _ => w.far_secs(),
    };
    let words = words![name, w.key(), secs.saturating_mul(per_sec)];
    [words, conditions(w)].concat()
}

fn conditions(w: &mut World) -> Words {
    match w.random.below(10) {
        0..4 => Vec::new(),
        4..8 => {
            let one = *w.random.pick(&["NX", "XX", "GT", "LT"]);
            words![one]
        }
        _ => w.some_of(3, &["NX", "XX", "GT", "LT", "EX"]),
    }
}

/// Nobody accesses the key: the server removes it and publishes the event.
fn expires_by_itself(session: &mut Session) -> Outcome {
    session.drain()?;
    let key = session.world.key();
    let ms = session.world.random.between(1, 30) as i64;
    let set = match session.world.random.below(3) {
        0 => vec![words!["SET", key.clone(), "v", "PX", ms]],
        1 => vec![words!["PSETEX", key.clone(), ms, "v"]],
        _ => vec![words!["SET", key.clone(), "v"], words!["PEXPIRE", key.clone(), ms]],
    };
    let batch = [vec![words!["SELECT", "0"]], set].concat();
    session.step(Who::A, &[Unit::one_each(batch)])?;
    let until_expired = |connection: &mut Connection| -> Result<Vec<Reply>, ReadError> {
        let mut messages = Vec::new();
        loop {
            let message = connection.read_reply()?;
            let items = message.items().unwrap_or_default();
            let is_last = items.get(2).and_then(Reply::text) == Some(b"__keyevent@0__:expired");
            messages.push(message);
            if is_last {
                return Ok(messages);
            }
        }
    };
    session.compare_observed(until_expired)?;
    session.step(Who::A, &[Unit::one(words!["EXISTS", key])])?;
    Ok(())
}

/// Without active expiry: an access finds the key expired and removes it.
fn expires_when_looked_at(session: &mut Session) -> Outcome {
    session.drain()?;
    let key = session.world.key();
    let looks: &[Words] = &[
        words!["GET", key.clone()],
        words!["EXISTS", key.clone()],
        words!["TTL", key.clone()],
        words!["APPEND", key.clone(), ""],
        words!["STRLEN", key.clone()],
        words!["TYPE", key.clone()],
        words!["OBJECT", "ENCODING", key.clone()],
    ];
    let look = session.world.random.pick(looks).clone();
    let batch = vec![
        words!["SELECT", "0"],
        words!["DEBUG", "SET-ACTIVE-EXPIRE", "0"],
        words!["SET", key, "v", "PX", 5_i64],
        words!["DBSIZE"],
    ];
    session.step(Who::A, &[Unit::one_each(batch)])?;
    session.compare_each_side(Who::A, words!["DBSIZE"], size_after_expiry)?;
    let batch = vec![look, words!["DBSIZE"], words!["DEBUG", "SET-ACTIVE-EXPIRE", "1"]];
    session.step(Who::A, &[Unit::one_each(batch)])?;
    session.drain()
}

/// Waits until a key with a time to live of 5 ms has expired, without a look at it: PTTL would remove
/// it. The time must have passed on both servers before either is asked for the key.
pub(super) fn size_after_expiry(connection: &mut Connection) -> Result<Reply, ReadError> {
    let now = |reply: Reply| match &reply.items().unwrap_or_default()[..] {
        [Reply::Bulk(secs), Reply::Bulk(micros)] => {
            let number = |text: &[u8]| String::from_utf8_lossy(text).parse().unwrap_or(0);
            number(secs) * 1_000_000 + number(micros)
        }
        _ => i64::MAX,
    };
    let start = now(connection.call(&[b"TIME"])?);
    while now(connection.call(&[b"TIME"])?) < start.saturating_add(6_000) {}
    connection.call(&[b"DBSIZE"])
}
