//! Any command with random arguments in any number; and unknown command names.

use super::{Exact, Generator, row, selected};
use crate::mangle::{is_deterministic, recased};
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const GENERATORS: &[Generator] =
    &[row(60, Exact(any_arguments)), row(12, Exact(unknown)), row(8, Exact(unknown_subcommand))];

/// Commands of the other families, except those that end the run or silence a client when they succeed.
const NAMES: &[&str] = &[
    "APPEND",
    "AUTH",
    "CLIENT",
    "CLIENT GETNAME",
    "CLIENT ID",
    "CLIENT INFO",
    "CLIENT NO-EVICT",
    "CLIENT UNBLOCK",
    "CLIENT UNPAUSE",
    "COMMAND COUNT x",
    "COMMAND GETKEYS",
    "CONFIG",
    "CONFIG SET timeout",
    "CONFIG RESETSTAT x",
    "COPY",
    "DBSIZE",
    "DEBUG OBJECT",
    "DEBUG DIGEST-VALUE",
    "DECR",
    "DECRBY",
    "DEL",
    "DUMP",
    "ECHO",
    "EXISTS",
    "EXPIRE",
    "EXPIREAT",
    "EXPIRETIME",
    "FLUSHALL x",
    "FLUSHDB x",
    "GET",
    "GETDEL",
    "GETEX",
    "GETRANGE",
    "GETSET",
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
    "INCR",
    "INCRBY",
    "INCRBYFLOAT",
    "KEYS",
    "LASTSAVE",
    "LCS",
    "MEMORY USAGE",
    "MGET",
    "MOVE",
    "MSET",
    "MSETNX",
    "OBJECT",
    "OBJECT ENCODING",
    "OBJECT FREQ",
    "OBJECT HELP",
    "OBJECT IDLETIME",
    "OBJECT REFCOUNT",
    "PERSIST",
    "PEXPIRE",
    "PEXPIREAT",
    "PEXPIRETIME",
    "PING",
    "PSETEX",
    "PTTL",
    "PUBLISH",
    "PUBSUB",
    "PUBSUB CHANNELS",
    "PUBSUB NUMPAT",
    "PUBSUB NUMSUB",
    "RENAME",
    "RENAMENX",
    "RESTORE",
    "SADD",
    "SCAN",
    "SCARD",
    "SDIFF",
    "SDIFFSTORE",
    "SELECT",
    "SET",
    "SETEX",
    "SETNX",
    "SETRANGE",
    "SINTER",
    "SINTERCARD",
    "SINTERSTORE",
    "SISMEMBER",
    "SLOWLOG",
    "SLOWLOG LEN x",
    "SLOWLOG RESET x",
    "SMEMBERS",
    "SMISMEMBER",
    "SMOVE",
    "SPOP",
    "SPUBLISH",
    "SRANDMEMBER",
    "SREM",
    "SSCAN",
    "STRLEN",
    "SUBSTR",
    "SUNION",
    "SUNIONSTORE",
    "SWAPDB",
    "TIME",
    "TOUCH",
    "TTL",
    "TYPE",
    "UNLINK",
    "ZADD",
    "ZCARD",
    "ZCOUNT",
    "ZDIFF",
    "ZDIFFSTORE",
    "ZINCRBY",
    "ZINTER",
    "ZINTERCARD",
    "ZINTERSTORE",
    "ZLEXCOUNT",
    "ZMPOP",
    "ZMSCORE",
    "ZPOPMAX",
    "ZPOPMIN",
    "ZRANDMEMBER",
    "ZRANGE",
    "ZRANGEBYLEX",
    "ZRANGEBYSCORE",
    "ZRANGESTORE",
    "ZRANK",
    "ZREM",
    "ZREMRANGEBYLEX",
    "ZREMRANGEBYRANK",
    "ZREMRANGEBYSCORE",
    "ZREVRANGE",
    "ZREVRANGEBYLEX",
    "ZREVRANGEBYSCORE",
    "ZREVRANK",
    "ZSCAN",
    "ZSCORE",
    "ZUNION",
    "ZUNIONSTORE",
];

fn any_arguments(w: &mut World) -> Words {
    loop {
        let more = selected().iter().flat_map(|family| family.commands);
        let names: Vec<&str> = NAMES.iter().chain(more).copied().collect();
        let name = *w.random.pick(&names);
        let mut words: Words = name.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        for _ in 0..w.random.below(6) {
            words.push(w.anything());
        }
        let words = recased(w, words);
        if is_deterministic(&words) {
            return words;
        }
    }
}

/// The error shows the name and as many arguments as fit.
fn unknown(w: &mut World) -> Words {
    let names: &[&[u8]] = &[
        b"NOSUCH",
        b"",
        b"get ",
        b"GE",
        b"foo\r\nbar",
        b"\xff\0",
        b"'quoted'",
        &[b'n'; 200],
        b"client|id",
    ];
    let mut words = words![*w.random.pick(names)];
    for _ in 0..w.random.below(6) {
        words.push(w.anything());
    }
    words
}

fn unknown_subcommand(w: &mut World) -> Words {
    let containers =
        ["CLIENT", "COMMAND", "CONFIG", "DEBUG", "MEMORY", "OBJECT", "PUBSUB", "SLOWLOG"];
    let subs: &[&[u8]] = &[b"NOSUCH", b"", b"foo\r\nbar", b"\xff", &[b'n'; 200], b"get|set"];
    let mut words = words![*w.random.pick(&containers), *w.random.pick(subs)];
    for _ in 0..w.random.below(3) {
        words.push(w.anything());
    }
    words
}
