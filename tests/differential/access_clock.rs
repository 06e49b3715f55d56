//! Which commands count as an access of a key: OBJECT IDLETIME before and after each.

use crate::session::ARGS;
use crate::support::reply::Reply;
use crate::support::server::Server;
use crate::{canonical, families, subject};
use std::thread;
use std::time::Duration;

/// How long the keys stay unused: well above the difference allowed between two correct servers.
const IDLE_SECS: u64 = 6;

/// Each command uses its own keys: `a#` and `b#` exist, `x#` does not, `#` is the command's number.
/// The values are not integers, which Redis shares between keys.
const COMMANDS: &[&str] = &[
    "GET a#",
    "MGET a# b# x#",
    "STRLEN a#",
    "GETRANGE a# 0 1",
    "SUBSTR a# 0 1",
    "GETEX a#",
    "GETEX a# EX 10000",
    "GETEX a# PERSIST",
    "GETSET a# w",
    "SET a# w",
    "SET a# w NX",
    "SET a# w NX GET",
    "SET a# w XX",
    "SET a# w GET",
    "SET a# w KEEPTTL",
    "SETNX a# w",
    "SETNX x# w",
    "SETEX a# 10000 w",
    "MSET a# w b# w",
    "MSETNX x# w a# w b# w",
    "MSETNX a# w b# w",
    "APPEND a# w",
    "SETRANGE a# 1 w",
    "SETRANGE a# 1 ",
    "INCR a#",
    "INCRBY a# 5",
    "INCRBYFLOAT a# 5",
    "LCS a# b#",
    "EXISTS a# b#",
    "TOUCH a# b#",
    "TYPE a#",
    "TTL a#",
    "PTTL a#",
    "EXPIRETIME a#",
    "PEXPIRETIME a#",
    "PERSIST a#",
    "EXPIRE a# 10000",
    "EXPIRE a# 10000 XX",
    "PEXPIREAT a# 4000000000000 GT",
    "RENAME a# x#",
    "RENAME a# b#",
    "RENAME a# a#",
    "RENAMENX a# b#",
    "RENAMENX a# x#",
    "RENAMENX a# a#",
    "COPY a# x#",
    "COPY a# b#",
    "COPY a# b# REPLACE",
    "MOVE a# 2",
    "MOVE a# 1",
    "COPY a# a# DB 1",
    "COPY a# a# DB 1 REPLACE",
    "DUMP a#",
    "RESTORE a# 0 garbage",
    "RESTORE a# 0 garbage REPLACE",
    "OBJECT ENCODING a#",
    "OBJECT REFCOUNT a#",
    "OBJECT IDLETIME a#",
    "OBJECT FREQ a#",
    "DEBUG OBJECT a#",
    "DEBUG DIGEST-VALUE a#",
    "MEMORY USAGE a#",
    "WATCH a#",
    "DEL x#",
    "KEYS a#",
    "SCAN 0 COUNT 100000 MATCH a# TYPE string",
];

/// Commands of a family on keys that a command with `#` for the key makes.
type OfFamily = (&'static str, &'static str, &'static [&'static str]);

const COLLECTIONS: &[OfFamily] = &[
    (
        "list",
        "RPUSH # a b c",
        &[
            "RPUSH a# x",
            "LPUSHX a# x",
            "LPUSHX x# x",
            "LPOP a#",
            "LPOP a# 0",
            "LLEN a#",
            "LINDEX a# 0",
            "LSET a# 0 x",
            "LSET a# 9 x",
            "LINSERT a# BEFORE a x",
            "LINSERT a# BEFORE z x",
            "LREM a# 0 a",
            "LREM a# 0 z",
            "LTRIM a# 0 1",
            "LRANGE a# 0 -1",
            "LPOS a# a",
            "LMOVE a# b# LEFT LEFT",
            "RPOPLPUSH a# b#",
            "LMPOP 2 x# a# LEFT",
            "BLPOP x# a# 0",
            "SORT a# ALPHA",
            "SORT a# ALPHA STORE b#",
            "SORT_RO a# ALPHA",
            "OBJECT ENCODING a#",
        ],
    ),
    (
        "set",
        "SADD # a b c",
        &[
            "SADD a# x",
            "SADD a# a",
            "SREM a# a",
            "SREM a# z",
            "SISMEMBER a# a",
            "SMISMEMBER a# a",
            "SCARD a#",
            "SMEMBERS a#",
            "SMOVE a# b# a",
            "SMOVE a# b# z",
            "SPOP a#",
            "SPOP a# 0",
            "SRANDMEMBER a#",
            "SRANDMEMBER a# 2",
            "SINTER a# b#",
            "SUNION a# b#",
            "SDIFF a# b#",
            "SUNIONSTORE x# a# b#",
            "SINTERSTORE b# a#",
            "SINTERCARD 2 a# b#",
            "SSCAN a# 0",
        ],
    ),
    (
        "hash",
        "HSET # a 1 b 2",
        &[
            "HSET a# c 3",
            "HSETNX a# a 3",
            "HGET a# a",
            "HMGET a# a",
            "HDEL a# a",
            "HDEL a# z",
            "HLEN a#",
            "HEXISTS a# a",
            "HSTRLEN a# a",
            "HKEYS a#",
            "HVALS a#",
            "HGETALL a#",
            "HINCRBY a# a 1",
            "HINCRBYFLOAT a# a 1",
            "HINCRBY a# a x",
            "HRANDFIELD a#",
            "HSCAN a# 0",
        ],
    ),
    (
        "sorted_set",
        "ZADD # 1 a 2 b",
        &[
            "ZADD a# 3 c",
            "ZADD a# XX 3 z",
            "ZINCRBY a# 1 a",
            "ZREM a# a",
            "ZREM a# z",
            "ZCARD a#",
            "ZCOUNT a# 0 9",
            "ZLEXCOUNT a# - +",
            "ZSCORE a# a",
            "ZMSCORE a# a",
            "ZRANK a# a",
            "ZRANGE a# 0 -1",
            "ZRANGE a# 0 9 BYSCORE",
            "ZREVRANGE a# 0 -1",
            "ZRANGEBYSCORE a# 0 9",
            "ZRANGESTORE x# a# 0 -1",
            "ZRANGESTORE b# a# 9 9",
            "ZREMRANGEBYRANK a# 0 0",
            "ZREMRANGEBYSCORE a# 8 9",
            "ZPOPMIN a#",
            "ZMPOP 2 x# a# MIN",
            "BZPOPMIN x# a# 0",
            "ZUNION 2 a# b#",
            "ZUNIONSTORE x# 2 a# b#",
            "ZINTERCARD 2 a# b#",
            "ZDIFF 2 a# b#",
            "ZRANDMEMBER a#",
            "ZSCAN a# 0",
        ],
    ),
    (
        "stream",
        "XADD # 1-1 f v",
        &[
            "XADD a# 2-1 f v",
            "XADD a# 1-1 f v",
            "XLEN a#",
            "XRANGE a# - +",
            "XREVRANGE a# + -",
            "XDEL a# 1-1",
            "XDEL a# 9-9",
            "XTRIM a# MAXLEN 9",
            "XREAD STREAMS a# 0",
            "XSETID a# 9-9",
            "XGROUP CREATE a# g 0",
            "XGROUP DESTROY a# g",
            "XREADGROUP GROUP g c STREAMS a# >",
            "XACK a# g 1-1",
            "XPENDING a# g",
            "XINFO STREAM a#",
            "XINFO GROUPS a#",
            "XCLAIM a# g c 0 1-1",
        ],
    ),
    (
        "bitmap",
        "SET # value",
        &[
            "SETBIT a# 1 1",
            "GETBIT a# 1",
            "BITCOUNT a#",
            "BITPOS a# 1",
            "BITOP NOT x# a#",
            "BITOP AND b# a# a#",
            "BITFIELD a# GET u8 0",
            "BITFIELD a# SET u8 0 1",
            "BITFIELD_RO a# GET u8 0",
        ],
    ),
    (
        "hyperloglog",
        "PFADD # a b",
        &[
            "PFADD a# c",
            "PFADD a# a",
            "PFCOUNT a#",
            "PFCOUNT a# b#",
            "PFMERGE a# b#",
            "PFMERGE x# a#",
        ],
    ),
    (
        "geo",
        "GEOADD # 13 38 a 15 37 b",
        &[
            "GEOADD a# 14 38 c",
            "GEOPOS a# a",
            "GEODIST a# a b",
            "GEOHASH a# a",
            "GEOSEARCH a# FROMLONLAT 13 38 BYRADIUS 1 km",
            "GEOSEARCHSTORE x# a# FROMLONLAT 13 38 BYRADIUS 1 km",
            "GEORADIUS a# 13 38 1 km STORE b#",
            "GEORADIUS_RO a# 13 38 1 km",
        ],
    ),
];

/// Commands, each with the one that makes its keys.
fn commands() -> Vec<(&'static str, &'static str)> {
    let selected = COLLECTIONS.iter().filter(|(family, ..)| families::is_selected(family));
    let others = selected
        .flat_map(|(_, make, commands)| commands.iter().map(move |command| (*make, *command)));
    COMMANDS.iter().map(|command| ("SET # value", *command)).chain(others).collect()
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn the_same_commands_count_as_accesses() {
    let servers = [Server::redis(ARGS), Server::start(subject(), ARGS)];
    let mut clients = servers.each_ref().map(Server::connect);
    let numbered = |words: &str, number: usize| -> Vec<Vec<u8>> {
        words.split(' ').map(|word| word.replace('#', &number.to_string()).into_bytes()).collect()
    };
    let mut both = |words: &[Vec<u8>]| {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        clients.each_mut().map(|client| client.call(&words).unwrap())
    };
    let commands = commands();
    for (number, (make, _)) in commands.iter().enumerate() {
        both(&numbered(&make.replace('#', "a#"), number));
        both(&numbered(&make.replace('#', "b#"), number));
        both(&numbered("SELECT 1", number));
        both(&numbered(&make.replace('#', "a#"), number));
        both(&numbered("SELECT 0", number));
    }
    thread::sleep(Duration::from_secs(IDLE_SECS));
    for (number, (_, command)) in commands.iter().enumerate() {
        both(&numbered(command, number));
    }
    let mut differences = Vec::new();
    for (number, (_, command)) in commands.iter().enumerate() {
        for (database, key) in [("0", "a#"), ("0", "b#"), ("0", "x#"), ("1", "a#")] {
            both(&numbered(&format!("SELECT {database}"), number));
            let [redis, limpid] = both(&numbered(&format!("OBJECT IDLETIME {key}"), number));
            let is_same = match (&redis, &limpid) {
                (Reply::Integer(redis), Reply::Integer(limpid)) => {
                    redis.abs_diff(*limpid) <= canonical::APART_SECS.unsigned_abs()
                }
                _ => redis == limpid,
            };
            if !is_same {
                differences.push(format!("{command}: {key} in {database}: {redis}, {limpid}"));
            }
        }
    }
    assert!(differences.is_empty(), "redis and limpid:\n{}", differences.join("\n"));
}
