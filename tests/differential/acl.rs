//! What users may do: users and requests from a seed, and whether ACL DRYRUN permits them.

use std::collections::BTreeSet;

use crate::random::Random;
use crate::session::ARGS;
use crate::support::connection::{Connection, Words};
use crate::support::reply::Reply;
use crate::support::server::Server;
use crate::{number, subject};

const USERS: usize = 200;
const REQUESTS_PER_USER: usize = 100;

/// Arguments: keys, words that lead to keys, and numbers of keys.
const ARGUMENTS: &[&str] = &[
    "a",
    "b",
    "ab",
    "ba",
    "c",
    "",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "GET",
    "SET",
    "STORE",
    "STOREDIST",
    "STREAMS",
    "KEYS",
    "BY",
    "LIMIT",
    "COUNT",
    "GROUP",
    "INCRBY",
    "OVERFLOW",
    "u8",
    "LEFT",
    "OBJECT",
    "COPY",
    "AUTH",
    "REPLACE",
    "w_*",
    "#",
    "a*",
    "EX",
    "WEIGHTS",
];

/// Rules besides those about single commands.
const RULES: &[&str] = &[
    "~a*",
    "~b",
    "~*",
    "%R~a*",
    "%W~b*",
    "%RW~c",
    "resetkeys",
    "allkeys",
    "&a*",
    "&b",
    "&*",
    "resetchannels",
    "+@all",
    "-@all",
    "+@read",
    "-@write",
    "+@keyspace",
    "-@dangerous",
    "+@fast",
    "-@slow",
    "+@scripting",
    "-@scripting",
    "+@pubsub",
    "-@admin",
    "+@connection",
    "+select|0",
    "clearselectors",
    "(~c +@all)",
    "(%R~b +@read &b)",
    "(+@write ~*)",
    "on",
    "nopass",
];

/// The full names of all commands.
pub(crate) fn names(client: &mut Connection) -> BTreeSet<Vec<u8>> {
    let listed = client.call(&[b"COMMAND", b"LIST"]).unwrap().items().unwrap();
    listed.iter().map(|name| name.text().unwrap().to_vec()).collect()
}

fn rules(random: &mut Random, names: &[Vec<u8>]) -> Words {
    let mut words: Words = [&b"ACL"[..], b"SETUSER", b"bob", b"reset"].map(<[u8]>::to_vec).into();
    for _ in 0..1 + random.below(6) {
        words.push(match random.below(4) {
            0 => {
                let sign = if random.below(2) == 0 { b"+" } else { b"-" };
                [&sign[..], random.pick(names).as_slice()].concat()
            }
            _ => random.pick(RULES).as_bytes().to_vec(),
        });
    }
    words
}

fn request(random: &mut Random, names: &[Vec<u8>]) -> Words {
    let mut words: Words = [&b"ACL"[..], b"DRYRUN", b"bob"].map(<[u8]>::to_vec).into();
    let name = random.pick(names);
    words.extend(name.split(|&byte| byte == b'|').map(<[u8]>::to_vec));
    for _ in 0..random.below(8) {
        words.push(random.pick(ARGUMENTS).as_bytes().to_vec());
    }
    words
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn users_may_do_what_they_may_do_in_redis() {
    let seed = number("LIMPID_DIFF_SEED").unwrap_or(1);
    let mut random = Random::new(seed);
    let servers = [Server::redis(ARGS), Server::start(subject(), ARGS)];
    let mut clients = servers.each_ref().map(Server::connect);
    let [redis, limpid] = clients.each_mut().map(names);
    let common: Vec<Vec<u8>> = redis.intersection(&limpid).cloned().collect();
    assert!(common.len() > 300, "{} commands in common", common.len());
    let (mut differences, mut permitted, mut denied) = (Vec::new(), 0, 0);
    for _ in 0..USERS {
        let rules = rules(&mut random, &common);
        let ask = |words: &Words, clients: &mut [Connection; 2]| {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            clients.each_mut().map(|client| client.call(&words).unwrap())
        };
        let [left, right] = ask(&rules, &mut clients);
        if left != right {
            differences.push(format!("{}: {left} and {right}", shown(&rules)));
        }
        for _ in 0..REQUESTS_PER_USER {
            let request = request(&mut random, &common);
            let [left, right] = ask(&request, &mut clients);
            match &left {
                Reply::Simple(_) => permitted += 1,
                Reply::Bulk(_) => denied += 1,
                _ => {}
            }
            if left != right && !is_explained(&request, &left, &right, &mut clients[1]) {
                let (rules, request) = (shown(&rules), shown(&request));
                differences.push(format!("{rules}\n  {request}: {left} and {right}"));
            }
        }
    }
    assert!(permitted > 1000 && denied > 1000, "{permitted} permitted, {denied} denied");
    assert!(differences.is_empty(), "redis and limpid:\n{}", differences.join("\n"));
}

/// Redis takes a request for one without keys where one of several specifications of them finds
/// none: also `PFMERGE key`, which runs. And it looks for STREAMS where the command itself does not.
fn is_explained(request: &Words, redis: &Reply, limpid: &Reply, client: &mut Connection) -> bool {
    let is_ok = |reply: &Reply| matches!(reply, Reply::Simple(_));
    let name = String::from_utf8_lossy(&request[3]).into_owned();
    match name.as_str() {
        "zunionstore" | "zinterstore" | "zdiffstore" | "pfmerge" => is_ok(redis) && !is_ok(limpid),
        "xread" | "xreadgroup" => {
            let words: Vec<&[u8]> = request[3..].iter().map(Vec::as_slice).collect();
            is_ok(limpid) && matches!(client.call(&words).unwrap(), Reply::Error(_))
        }
        _ => false,
    }
}

fn shown(words: &Words) -> String {
    words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
}
