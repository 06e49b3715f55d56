//! Which commands count as an access of a key: OBJECT IDLETIME before and after each.

use crate::session::ARGS;
use crate::support::reply::Reply;
use crate::support::server::Server;
use crate::{canonical, subject};
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
    for number in 0..COMMANDS.len() {
        both(&numbered("SET a# value", number));
        both(&numbered("SET b# value", number));
        both(&numbered("SELECT 1", number));
        both(&numbered("SET a# other", number));
        both(&numbered("SELECT 0", number));
    }
    thread::sleep(Duration::from_secs(IDLE_SECS));
    for (number, command) in COMMANDS.iter().enumerate() {
        both(&numbered(command, number));
    }
    let mut differences = Vec::new();
    for (number, command) in COMMANDS.iter().enumerate() {
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
