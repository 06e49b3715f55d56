//! Steps that make random choices or walk over a collection: each server chooses for itself, so
//! what it chose is checked and then made equal.

use super::is_selected;
use crate::pair::Unit;
use crate::pool::ValueType;
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::support::connection::{Connection, Words};
use crate::support::reply::{ReadError, Reply};
use crate::words;
use crate::world::World;
use std::cell::RefCell;

/// Published before and after a choice: the replication streams differ in between.
pub(crate) const CHOICE: &str = "~choice";

const PAGES_MAX: usize = 10_000;

/// Sends a command built at run time.
fn call(connection: &mut Connection, words: &Words) -> Result<Reply, ReadError> {
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    connection.call(&words)
}

/// SPOP: as many members go on both sides, each side's own choice. Afterwards the subject gets back
/// what only it lost, and loses what only the reference lost.
pub(crate) fn pop_at_random(session: &mut Session, key: Vec<u8>) -> Outcome {
    let mut pop = words!["SPOP", key.clone()];
    if session.world.takes(60) {
        pop.push(session.world.random.between(1, 8).to_string().into_bytes());
    }
    if is_selected("tracking") {
        // What makes the sides equal is told to the subject's trackers only.
        session.step(Who::Subscriber, &[Unit::any(words!["CLIENT", "TRACKING", "OFF"])])?;
    }
    session.command(Who::A, words!["PUBLISH", CHOICE, "begin"])?;
    let popped = [RefCell::new(Vec::new()), RefCell::new(Vec::new())];
    let send = |side: usize| {
        let (pop, popped) = (&pop, &popped);
        move |connection: &mut Connection| {
            let reply = call(connection, pop)?;
            *popped[side].borrow_mut() = leaves(&reply);
            Ok(reply)
        }
    };
    // Not the command's own name: only the shape counts here.
    let shown = [words!["SPOP-RANDOM"], pop[1..].to_vec()].concat();
    session.compare_sides(Who::A, shown, send(0), send(1))?;
    session.command(Who::A, words!["SCARD", key.clone()])?;
    let [left, right] = popped.map(RefCell::into_inner);
    let only = |one: &[Vec<u8>], other: &[Vec<u8>]| -> Words {
        one.iter().filter(|member| !other.contains(member)).cloned().collect()
    };
    let (back, gone) = (only(&right, &left), only(&left, &right));
    if !back.is_empty() || !gone.is_empty() {
        make_equal(&mut session.pair(Who::A).right, &key, back, gone).expect("the subject answers");
    }
    session.command(Who::A, words!["PUBLISH", CHOICE, "end"])?;
    let look = vec![words!["SCARD", key.clone()], words!["DEBUG", "DIGEST-VALUE", key]];
    session.step(Who::A, &[Unit::one_each(look)])?;
    session.drain()
}

/// Adds and removes members of a set without an event, and without a change of encoding.
fn make_equal(
    connection: &mut Connection,
    key: &[u8],
    back: Words,
    gone: Words,
) -> Result<(), ReadError> {
    const LIMIT: &str = "set-max-intset-entries";
    let set = |name: &str, value: &[u8]| words!["CONFIG", "SET", name, value];
    let limit = call(connection, &words!["CONFIG", "GET", LIMIT])?;
    let limit = limit.items().and_then(|items| items.get(1)?.text().map(<[u8]>::to_vec));
    call(connection, &set("notify-keyspace-events", b""))?;
    call(connection, &set(LIMIT, b"1000000"))?;
    for (name, members) in [("SADD", back), ("SREM", gone)] {
        if !members.is_empty() {
            call(connection, &[words![name, key], members].concat())?;
        }
    }
    call(connection, &set(LIMIT, &limit.unwrap_or_else(|| b"512".to_vec())))?;
    call(connection, &set("notify-keyspace-events", b"KEA"))?;
    Ok(())
}

/// The texts of a reply, at any depth.
fn leaves(reply: &Reply) -> Vec<Vec<u8>> {
    match reply {
        Reply::Bulk(text) | Reply::Double(text) => vec![text.clone()],
        other => other.items().unwrap_or_default().iter().flat_map(leaves).collect(),
    }
}

/// SRANDMEMBER and its like: the choice is the server's, but it consists of members, without
/// repetition if the count is positive, each with its value.
pub(super) fn random_members(session: &mut Session, name: &str, key: Vec<u8>) -> Outcome {
    let w = &mut session.world;
    let mut pick = words![name, key.clone()];
    let mut with_values = false;
    let mut is_distinct = false;
    if w.takes(80) {
        let count = *w.random.pick(&[1, 2, 3, 5, 10, 100, 1_000, -1, -3, -10, -200]);
        is_distinct = count > 0;
        pick.extend(words![count]);
        with_values = name != "SRANDMEMBER" && w.takes(50);
    }
    let (look, option) = match name {
        "SRANDMEMBER" => ("SISMEMBER", ""),
        "HRANDFIELD" => ("HGET", "WITHVALUES"),
        _ => ("ZSCORE", "WITHSCORES"),
    };
    if with_values {
        pick.extend(words![option]);
    }
    let checked = |connection: &mut Connection| -> Result<Reply, ReadError> {
        let reply = call(connection, &pick)?;
        let found = leaves(&reply);
        let mut members = Vec::new();
        for entry in found.chunks(if with_values { 2 } else { 1 }) {
            let value = call(connection, &words![look, key.clone(), entry[0].clone()])?;
            let exists = match (&value, entry.get(1)) {
                (Reply::Integer(found), _) => *found == 1,
                (value, Some(shown)) => leaves(value).first() == Some(shown),
                (value, None) => !leaves(value).is_empty(),
            };
            if !exists {
                return Ok(Reply::Simple(b"what is no member".to_vec()));
            }
            members.push(entry[0].clone());
        }
        members.sort();
        if is_distinct && members.windows(2).any(|pair| pair[0] == pair[1]) {
            return Ok(Reply::Simple(b"one member twice".to_vec()));
        }
        Ok(reply)
    };
    session.compare_each_side(Who::A, pick.clone(), checked)?;
    Ok(())
}

/// SSCAN and its like from cursor 0 to cursor 0, on each side with its own cursors: the members
/// found, as a set; and in order where the encoding has one.
pub(super) fn scan_members(session: &mut Session, name: &str, key: Vec<u8>) -> Outcome {
    let w = &mut session.world;
    let mut options = Vec::new();
    if w.takes(40) {
        options.extend(words!["MATCH", *w.random.pick(&["*", "*1*", "m*", "[a-c]*", "?", "x*"])]);
    }
    if w.takes(60) {
        options.extend(words!["COUNT", w.random.between(1, 60) as i64]);
    }
    let entry_len = if name == "SSCAN" { 1 } else { 2 };
    let scan = |connection: &mut Connection| -> Result<Reply, ReadError> {
        let mut found = Vec::new();
        let mut cursor = b"0".to_vec();
        for _ in 0..PAGES_MAX {
            let words = [words![name, key.clone(), &cursor[..]], options.clone()].concat();
            let reply = call(connection, &words)?;
            let [Reply::Bulk(next), Reply::Array(page)] = &reply.items().unwrap_or_default()[..]
            else {
                return Ok(reply);
            };
            found.extend(page.chunks(entry_len).map(|entry| Reply::Array(entry.to_vec())));
            if next == b"0" {
                found.sort();
                found.dedup();
                return Ok(Reply::Set(found));
            }
            cursor.clone_from(next);
        }
        Ok(Reply::Simple(b"no end".to_vec()))
    };
    let walk = format!("{name}-TO-THE-END");
    session.compare_each_side(
        Who::A,
        [words![&walk[..], key.clone()], options.clone()].concat(),
        scan,
    )?;
    let encoding = session.command(Who::A, words!["OBJECT", "ENCODING", key.clone()])?;
    if matches!(
        (name, encoding.text().unwrap_or_default()),
        ("SSCAN", b"intset") | ("ZSCAN", b"listpack")
    ) {
        let page = [words![name, key.clone(), "0"], options].concat();
        let shown = [words![&format!("{name}-IN-ORDER")[..]], page[1..].to_vec()].concat();
        session.compare_each_side(Who::A, shown, |connection| call(connection, &page))?;
    }
    Ok(())
}

/// SSCAN and its like, with odd cursors and options: compared is only that the reply is a page.
pub(super) fn scan_page(w: &mut World, name: &str, of: ValueType) -> Words {
    let cursor = match w.random.below(8) {
        0 => w.number(),
        1 => w.odd_number(),
        _ => b"0".to_vec(),
    };
    let mut words = words![name, w.key_of(of), cursor];
    for _ in 0..w.random.below(3) {
        match w.random.below(8) {
            0 => words.push(w.anything()),
            1..4 => words.extend(words!["MATCH", w.pattern()]),
            4 => words.extend(words!["COUNT", w.number()]),
            _ => words.extend(words!["COUNT", w.random.between(1, 50) as i64]),
        }
    }
    words
}
