//! What all types have in common: keys by type, and values dumped by one server and restored by the
//! other.

use super::{Command, Family, Generator, Steps, Together, row};
use crate::pair::Unit;
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::support::connection::{Connection, Words};
use crate::support::reply::{ReadError, Reply};
use crate::words;
use crate::world::World;
use std::cell::RefCell;

pub(super) const FAMILY: Family =
    Family { name: "collection", generators: GENERATORS, commands: &[], of: None };

const GENERATORS: &[Generator] = &[
    row(12, Steps(dump_and_restore)),
    row(10, Steps(scan_by_type)),
    row(14, Command(|w| words!["TYPE", any_typed_key(w)])),
    row(14, Command(|w| words!["OBJECT", "ENCODING", any_typed_key(w)])),
    row(12, Command(|w| words!["DUMP", any_typed_key(w)])),
    row(12, Command(|w| words!["COPY", any_typed_key(w), any_typed_key(w), "REPLACE"])),
    row(6, Command(|w| words!["RENAME", any_typed_key(w), any_typed_key(w)])),
    row(6, Command(|w| words!["DEL", any_typed_key(w)])),
    row(6, Command(|w| words!["UNLINK", any_typed_key(w)])),
    row(6, Command(|w| words!["EXPIRE", any_typed_key(w), w.ttl_secs()])),
    row(6, Command(|w| words!["MEMORY", "USAGE", any_typed_key(w), "SAMPLES", w.count()])),
    row(6, Together(look_at_all)),
];

/// A key with a payload whose order was the other server's.
pub(crate) const RESTORED: &str = "~restored";

fn any_typed_key(w: &mut World) -> Vec<u8> {
    if w.types.is_empty() {
        return w.key();
    }
    let of = *w.random.pick(&w.types);
    w.typed_key(of)
}

fn call(connection: &mut Connection, words: &Words) -> Result<Reply, ReadError> {
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    connection.call(&words)
}

/// Each server restores the payload of the other: the values must be equal to their own.
fn dump_and_restore(session: &mut Session) -> Outcome {
    let key = any_typed_key(&mut session.world);
    let payloads = [RefCell::new(Reply::Null), RefCell::new(Reply::Null)];
    let dump = |side: usize| {
        let (words, payloads) = (words!["DUMP", key.clone()], &payloads);
        move |connection: &mut Connection| {
            let reply = call(connection, &words)?;
            payloads[side].replace(reply.clone());
            Ok(reply)
        }
    };
    session.compare_sides(Who::A, words!["DUMP", key.clone()], dump(0), dump(1))?;
    let [left, right] = payloads.map(RefCell::into_inner);
    let (Reply::Bulk(left), Reply::Bulk(right)) = (left, right) else { return Ok(()) };
    let target = RESTORED.as_bytes().to_vec();
    let restore = |payload: Vec<u8>| {
        let words = words!["RESTORE", target.clone(), "0", payload, "REPLACE"];
        move |connection: &mut Connection| call(connection, &words)
    };
    let shown = words!["RESTORE", target.clone(), "0", "<the other's>", "REPLACE"];
    session.compare_sides(Who::A, shown, restore(right), restore(left))?;
    let look = vec![
        words!["DEBUG", "DIGEST-VALUE", target.clone(), key.clone()],
        words!["OBJECT", "ENCODING", target.clone()],
        words!["DEL", target],
    ];
    session.step(Who::A, &[Unit::one_each(look)])?;
    Ok(())
}

/// SCAN with TYPE, from cursor 0 to cursor 0: the keys found, as a set.
fn scan_by_type(session: &mut Session) -> Outcome {
    let kind = *session.world.random.pick(&["list", "set", "hash", "zset", "stream", "string"]);
    let scan = |connection: &mut Connection| -> Result<Reply, ReadError> {
        let mut keys = Vec::new();
        let mut cursor = b"0".to_vec();
        loop {
            let reply = call(connection, &words!["SCAN", &cursor[..], "TYPE", kind])?;
            let [Reply::Bulk(next), Reply::Array(page)] = &reply.items().unwrap_or_default()[..]
            else {
                return Ok(reply);
            };
            keys.extend_from_slice(page);
            if next == b"0" {
                keys.sort();
                keys.dedup();
                return Ok(Reply::Set(keys));
            }
            cursor.clone_from(next);
        }
    };
    session.compare_each_side(Who::A, words!["SCAN-BY-TYPE", kind], scan)?;
    Ok(())
}

fn look_at_all(w: &mut World) -> Unit {
    let key = any_typed_key(w);
    Unit::one_each(vec![
        words!["TYPE", key.clone()],
        words!["OBJECT", "ENCODING", key.clone()],
        words!["OBJECT", "REFCOUNT", key.clone()],
        words!["OBJECT", "FREQ", key.clone()],
        words!["DEBUG", "OBJECT", key.clone()],
        words!["DEBUG", "DIGEST-VALUE", key.clone()],
        words!["TTL", key],
    ])
}
