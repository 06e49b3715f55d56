//! A RESP3 client subscribed to the events of its own commands: which messages come before a
//! command's reply, and which after it.
#![allow(clippy::useless_vec, reason = "the words of a command are a vector wherever they stand")]

use crate::session::ARGS;
use crate::support::connection::Connection;
use crate::support::reply::Reply;
use crate::support::server::Server;
use crate::{subject, words};

/// The data before each command: `k` without and `t` with an expiry, `n` a number.
const BEFORE: &[&[&str]] = &[
    &["FLUSHALL"],
    &["SET", "k", "v"],
    &["SET", "t", "v", "EX", "5000"],
    &["SET", "n", "20000"],
    &["CONFIG", "SET", "notify-keyspace-events", "KEAmn"],
    &["CONFIG", "RESETSTAT"],
];

const COMMANDS: &[&str] = &[
    "SET k w",
    "SET k w GET",
    "SET missing w GET",
    "SET k w GET NX",
    "SET missing w GET XX",
    "SET k w EX 1000",
    "SET t w GET EX 1000",
    "SET t w KEEPTTL GET",
    "SETNX missing w",
    "SETNX k w",
    "SETEX k 1000 w",
    "PSETEX k 1000000 w",
    "GETSET k w",
    "GETSET missing w",
    "GETDEL k",
    "GETDEL missing",
    "GETEX k EX 1000",
    "GETEX k EXAT 1",
    "GETEX t PERSIST",
    "GETEX k PERSIST",
    "GETEX missing EX 10",
    "GET missing",
    "STRLEN missing",
    "GETRANGE missing 0 1",
    "MSET k w x w",
    "MSETNX y w x w",
    "MSETNX k w x w",
    "APPEND k w",
    "APPEND missing w",
    "SETRANGE k 3 w",
    "SETRANGE missing 3 w",
    "INCR n",
    "DECR missing",
    "INCRBY n 5",
    "DECRBY n 5",
    "INCRBYFLOAT n 0.5",
    "EXPIRE k 1000",
    "PEXPIRE k 1000000",
    "EXPIREAT k 4000000000",
    "PEXPIREAT t 4000000000000",
    "EXPIRE k -1",
    "EXPIREAT k 1",
    "EXPIRE k 1000 XX",
    "EXPIRE missing 1000",
    "PERSIST t",
    "PERSIST k",
    "TTL missing",
    "TYPE missing",
    "EXISTS missing k missing",
    "TOUCH missing k",
    "DEL k t missing",
    "UNLINK k t missing",
    "RENAME k t",
    "RENAME k x",
    "RENAME missing x",
    "RENAMENX k x",
    "RENAMENX k t",
    "COPY k x",
    "COPY t k REPLACE",
    "COPY missing x",
    "MOVE k 1",
    "MOVE missing 1",
    "DUMP missing",
    "OBJECT ENCODING missing",
    "OBJECT FREQ missing",
    "DEBUG DIGEST-VALUE missing k",
    "DEBUG OBJECT missing",
    "MEMORY USAGE missing",
    "FLUSHDB",
    "FLUSHALL",
    "SWAPDB 0 1",
    "SCAN 0 COUNT 1000 TYPE nosuch",
    "PUBLISH __keyspace@0__:k by-hand",
    "PUBLISH elsewhere by-hand",
    "SET k w EX 0",
    "GETEX k EX 0",
    "INCR k",
    "LCS k missing",
    "WATCH missing",
];

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn messages_and_replies_come_in_the_same_order() {
    let servers = [Server::redis(ARGS), Server::start(subject(), ARGS)];
    let mut clients = servers.each_ref().map(|server| {
        let mut connection = server.connect();
        for words in [&words!["HELLO", "3"][..], &words!["PSUBSCRIBE", "__key*__:*"]] {
            call(&mut connection, words);
        }
        (connection, server.connect())
    });
    let mut differences = Vec::new();
    for command in COMMANDS {
        let [redis, limpid] = clients.each_mut().map(|(connection, helper)| {
            for words in BEFORE {
                let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
                helper.call(&words).unwrap();
            }
            // Discard the messages that the set-up caused.
            until_pong(connection);
            let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
            connection.send(&words).unwrap();
            let got = until_pong(connection);
            call(connection, &words!["UNWATCH"]);
            got
        });
        if redis != limpid {
            let show = |replies: &[Reply]| -> String {
                replies.iter().map(|reply| format!("\n    {reply}")).collect()
            };
            let (redis, limpid) = (show(&redis), show(&limpid));
            differences.push(format!("{command}\n  redis:{redis}\n  limpid:{limpid}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Sends a command and discards the first reply or message.
fn call(connection: &mut Connection, words: &[Vec<u8>]) {
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    connection.call(&words).unwrap();
}

/// Sends a PING and reads everything up to its reply.
fn until_pong(connection: &mut Connection) -> Vec<Reply> {
    connection.send(&[b"PING", b"so far"]).unwrap();
    let mut replies = Vec::new();
    loop {
        match connection.read_reply().unwrap() {
            Reply::Bulk(text) if text == b"so far" => return replies,
            reply => replies.push(reply),
        }
    }
}
