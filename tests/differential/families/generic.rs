//! Commands on keys of any type: removing, moving, listing, DUMP and RESTORE.

use super::{Command, Exact, Generator, Steps, row};
use crate::mangle::is_deterministic;
use crate::payload;
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::support::connection::{Connection, Words};
use crate::support::reply::{ReadError, Reply};
use crate::words;
use crate::world::World;

pub(super) const GENERATORS: &[Generator] = &[
    row(25, Command(|w| [words!["DEL"], w.keys(4)].concat())),
    row(15, Command(|w| [words!["UNLINK"], w.keys(4)].concat())),
    row(20, Command(|w| [words!["EXISTS"], w.keys(4)].concat())),
    row(15, Command(|w| [words!["TOUCH"], w.keys(4)].concat())),
    row(15, Command(|w| words!["TYPE", w.key()])),
    row(10, Command(|w| words!["KEYS", w.pattern()])),
    row(6, Steps(scan_to_the_end)),
    row(6, Command(scan_page)),
    row(4, Steps(random_key)),
    row(1, Exact(|w| words!["RANDOMKEY", w.anything()])),
    row(20, Command(|w| words!["RENAME", w.key(), w.key()])),
    row(20, Command(|w| words!["RENAMENX", w.key(), w.key()])),
    row(35, Command(copy)),
    row(25, Command(|w| words!["MOVE", w.key(), w.database()])),
    row(8, Command(|w| words!["SWAPDB", w.database(), w.database()])),
    row(30, Command(object)),
    row(25, Command(|w| words!["DUMP", w.key()])),
    row(45, Command(restore)),
    row(10, Command(|_| words!["DBSIZE"])),
    row(2, Command(flush)),
];

fn copy(w: &mut World) -> Words {
    let mut words = words!["COPY", w.key(), w.key()];
    for _ in 0..w.random.below(4) {
        match w.random.below(6) {
            0..3 => words.push(b"REPLACE".to_vec()),
            3..5 => words.extend(words!["DB", w.database()]),
            _ => words.push(w.anything()),
        }
    }
    words
}

fn object(w: &mut World) -> Words {
    match w.random.below(20) {
        0..8 => words!["OBJECT", "ENCODING", w.key()],
        8..12 => words!["OBJECT", "REFCOUNT", w.key()],
        12..16 => words!["OBJECT", "IDLETIME", w.key()],
        16 | 17 => words!["OBJECT", "FREQ", w.key()],
        18 => words!["OBJECT", "HELP"],
        _ => words!["OBJECT", w.anything(), w.key()],
    }
}

/// Rare, as it removes all data built up so far.
fn flush(w: &mut World) -> Words {
    let name = *w.random.pick(&["FLUSHDB", "FLUSHDB", "FLUSHALL"]);
    match w.random.below(6) {
        0 => words![name, "ASYNC"],
        1 => words![name, "SYNC"],
        2 => words![name, w.anything()],
        3 => words![name, "ASYNC", "SYNC"],
        _ => words![name],
    }
}

/// Compares only that the reply is a page: each server chooses the keys on it.
fn scan_page(w: &mut World) -> Words {
    let cursor = match w.random.below(4) {
        0 => w.number(),
        1 => w.odd_number(),
        _ => b"0".to_vec(),
    };
    [words!["SCAN", &cursor[..]], scan_options(w, 30)].concat()
}

fn scan_options(w: &mut World, odd_percent: usize) -> Words {
    let mut words = Vec::new();
    for _ in 0..w.random.below(4) {
        let is_odd = w.random.percent(odd_percent);
        match w.random.below(3) {
            0 => words.extend(words!["MATCH", w.pattern()]),
            1 if is_odd => words.extend(words!["COUNT", w.number()]),
            1 => words.extend(words!["COUNT", w.random.between(1, 50) as i64]),
            2 if is_odd => words.push(w.anything()),
            _ => {
                let kind = *w.random.pick(&["string", "STRING", "list", "hash", "zset", "nosuch"]);
                words.extend(words!["TYPE", kind]);
            }
        }
    }
    words
}

/// Scans from cursor 0 to cursor 0, on each side with its own cursors: the keys found, as a set.
fn scan_to_the_end(session: &mut Session) -> Outcome {
    const PAGES_MAX: usize = 10_000;
    let options = scan_options(&mut session.world, 0);
    let scan = |connection: &mut Connection| -> Result<Reply, ReadError> {
        let mut keys = Vec::new();
        let mut cursor = b"0".to_vec();
        for _ in 0..PAGES_MAX {
            let words = [words!["SCAN", &cursor[..]], options.clone()].concat();
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let reply = connection.call(&words)?;
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
        Ok(Reply::Simple(b"no end".to_vec()))
    };
    let words = [words!["SCAN", "<all>"], options.clone()].concat();
    session.compare_each_side(Who::A, words, scan)?;
    Ok(())
}

/// The key may differ, but there must be one, and it must exist.
fn random_key(session: &mut Session) -> Outcome {
    let look = |connection: &mut Connection| {
        let reply = connection.call(&[b"RANDOMKEY"])?;
        match reply.text() {
            Some(key) => connection.call(&[b"EXISTS", key]),
            None => Ok(reply),
        }
    };
    session.compare_each_side(Who::A, words!["RANDOMKEY-EXISTS"], look)?;
    Ok(())
}

fn restore(w: &mut World) -> Words {
    let payload = payload::any(w);
    let mut words = words!["RESTORE", w.key()];
    let absolute = w.random.percent(25);
    let ttl = match (w.random.below(10), absolute) {
        (0..6, _) => 0,
        (6, _) => -1,
        (7, true) => *w.random.pick(&[1, 1_000, 999_999_999_999]),
        (_, true) => w.far_secs() * 1_000,
        (_, false) => w.ttl_secs() * 1_000,
    };
    words.extend(words![ttl, payload]);
    if absolute {
        words.push(b"ABSTTL".to_vec());
    }
    if w.random.percent(50) {
        words.push(b"REPLACE".to_vec());
    }
    for _ in 0..w.random.below(3) {
        match w.random.below(10) {
            0..6 => words.push(b"replace".to_vec()),
            6 => words.extend(words!["IDLETIME", w.random.below(100_000) as i64]),
            7 => words.extend(words!["FREQ", w.random.below(300) as i64 - 20]),
            8 => words.extend(words!["IDLETIME", w.odd_number()]),
            _ => words.push(w.anything()),
        }
    }
    if !is_deterministic(&words) {
        words[2] = b"0".to_vec();
    }
    words
}
