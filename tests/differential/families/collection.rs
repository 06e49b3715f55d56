//! What all types have in common: keys by type, and values dumped by one server and restored by the
//! other.

use super::expiry::size_after_expiry;
use super::{Command, Family, Generator, Steps, Together, row};
use crate::pair::Unit;
use crate::pool::ValueType::{self, Bits, Geo, Hash, HyperLogLog, List, Set, SortedSet, Stream};
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
    row(2, Steps(expires_when_looked_at)),
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

/// How to make a value of each type under a key `k`, and commands that look at it; `t` is another
/// key, of a value of the same type.
const LOOKS: &[(ValueType, &str, &[&str])] = &[
    (
        List,
        "RPUSH k a b c",
        &[
            "LRANGE k 0 -1",
            "RPUSH k d",
            "LPUSHX k d",
            "LPOP k",
            "LLEN k",
            "LSET k 0 x",
            "LTRIM k 0 0",
            "LINSERT k BEFORE a x",
            "LREM k 0 a",
            "LPOS k a",
            "LMOVE k t LEFT LEFT",
            "LMOVE t k LEFT LEFT",
            "RPOPLPUSH t k",
            "LMPOP 2 k t LEFT",
            "SORT k ALPHA STORE t",
        ],
    ),
    (
        Set,
        "SADD k a b c",
        &[
            "SMEMBERS k",
            "SADD k d",
            "SREM k a",
            "SCARD k",
            "SPOP k 1000000",
            "SMOVE k t a",
            "SMOVE t k a",
            "SUNIONSTORE t k",
            "SINTERSTORE t k t",
            "SDIFF t k",
            "SINTERCARD 2 k t",
            "SUNIONSTORE k k t",
            "SRANDMEMBER k",
            "SSCAN k 0",
        ],
    ),
    (
        Hash,
        "HSET k a 1 b 2",
        &[
            "HGETALL k",
            "HSET k c 3",
            "HSETNX k a 3",
            "HDEL k a",
            "HLEN k",
            "HINCRBY k a 1",
            "HINCRBYFLOAT k a 0.5",
            "HMGET k a b",
            "HEXISTS k a",
            "HRANDFIELD k",
            "HSCAN k 0",
        ],
    ),
    (
        SortedSet,
        "ZADD k 1 a 2 b 3 c",
        &[
            "ZRANGE k 0 -1",
            "ZADD k XX 5 a",
            "ZADD k 1 d",
            "ZINCRBY k 1 a",
            "ZREM k a",
            "ZCARD k",
            "ZPOPMIN k",
            "ZMPOP 2 k t MAX",
            "ZRANGESTORE t k 0 -1",
            "ZUNIONSTORE t 2 k t",
            "ZINTERSTORE k 2 t t",
            "ZREMRANGEBYRANK k 0 0",
            "ZSCORE k a",
            "ZSCAN k 0",
        ],
    ),
    (
        Stream,
        "XADD k 1-1 f v",
        &[
            "XRANGE k - +",
            "XADD k 1-1 f w",
            "XADD k NOMKSTREAM 2-1 f w",
            "XLEN k",
            "XDEL k 1-1",
            "XTRIM k MAXLEN 0",
            "XREAD STREAMS k 0",
            "XGROUP CREATE k g 0",
            "XINFO STREAM k",
            "XSETID k 5-5",
            "XREADGROUP GROUP g c STREAMS k >",
            "XACK k g 1-1",
        ],
    ),
    (
        Bits,
        "SET k abc",
        &[
            "SETBIT k 1 1",
            "GETBIT k 1",
            "BITCOUNT k",
            "BITPOS k 1",
            "BITOP NOT t k",
            "BITFIELD k INCRBY u8 0 1",
            "BITFIELD k GET u8 0",
            "BITFIELD_RO k GET u8 0",
        ],
    ),
    (
        HyperLogLog,
        "PFADD k a b c",
        &["PFADD k a", "PFCOUNT k", "PFCOUNT k t", "PFMERGE t k", "PFMERGE k t"],
    ),
    (
        Geo,
        "GEOADD k 13 38 a 14 39 b",
        &[
            "GEOPOS k a",
            "GEODIST k a b",
            "GEOADD k 13 38 c",
            "GEOADD k XX 1 1 a",
            "GEOSEARCHSTORE t k FROMLONLAT 13 38 BYRADIUS 500 km",
            "GEORADIUS k 13 38 500 km STORE t",
        ],
    ),
];

/// Without active expiry: a command on a collection finds it expired and removes it.
fn expires_when_looked_at(session: &mut Session) -> Outcome {
    session.drain()?;
    let w = &mut session.world;
    let known: Vec<_> = LOOKS.iter().filter(|(of, ..)| w.types.contains(of)).collect();
    if known.is_empty() {
        return Ok(());
    }
    let (of, make, looks) = **w.random.pick(&known);
    let (key, other) = (w.typed_key(of), b"~other".to_vec());
    let filled = |command: &str, key: &[u8]| -> Words {
        let word = |word: &str| match word {
            "k" => key.to_vec(),
            "t" => other.clone(),
            word => word.as_bytes().to_vec(),
        };
        command.split(' ').map(word).collect()
    };
    let look = filled(looks[w.random.below(looks.len())], &key);
    let batch = vec![
        words!["SELECT", "0"],
        words!["DEBUG", "SET-ACTIVE-EXPIRE", "0"],
        words!["DEL", key.clone(), other.clone()],
        filled(make, &key),
        filled(make, &other),
        words!["PEXPIRE", key.clone(), "5"],
        words!["DBSIZE"],
    ];
    session.step(Who::A, &[Unit::one_each(batch)])?;
    session.compare_each_side(Who::A, words!["DBSIZE"], size_after_expiry)?;
    let batch = vec![
        look,
        words!["DBSIZE"],
        words!["DEBUG", "DIGEST-VALUE", key, other.clone()],
        words!["DEL", other],
        words!["DEBUG", "SET-ACTIVE-EXPIRE", "1"],
    ];
    session.step(Who::A, &[Unit::one_each(batch)])?;
    session.drain()
}
