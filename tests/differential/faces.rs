//! HELP of all containers, and features that both servers lack or leave off: the same texts.

use crate::session::ARGS;
use crate::subject;
use crate::support::reply::Reply;
use crate::support::server::Server;

/// Subcommands of DEBUG that limpid does not have, and so does not list.
const LACKING: &[(&str, &str)] = &[
    ("CLUSTERLINK ", "there is no cluster"),
    ("DROP-CLUSTER-PACKET-FILTER ", "there is no cluster"),
    ("CRASH-AND-RECOVER ", "what starts the process starts it again"),
    ("RESTART ", "what starts the process starts it again"),
    ("HTSTATS ", "there are no hash tables of Redis's"),
    ("HTSTATS-KEY ", "there are no hash tables of Redis's"),
    ("SDSLEN ", "there are no strings of Redis's"),
    ("STRUCTSIZE", "there are no structures in C"),
    ("MALLCTL ", "the allocator's settings are fixed"),
    ("MALLCTL-STR ", "the allocator's settings are fixed"),
];

/// Redis's DEBUG HELP without what limpid lacks: the line of a subcommand, and the indented ones
/// below it.
fn without_lacking(help: &Reply) -> Reply {
    let Reply::Array(lines) = help else { return help.clone() };
    let mut lacks = false;
    let lines = lines.iter().filter(|line| {
        let text = String::from_utf8_lossy(line.text().unwrap_or_default()).into_owned();
        if !text.starts_with(' ') {
            let found = LACKING.iter().find(|(start, _)| text.starts_with(start));
            debug_assert!(found.is_none_or(|(_, reason)| !reason.is_empty()));
            lacks = found.is_some();
        }
        !lacks
    });
    Reply::Array(lines.cloned().collect())
}

const REQUESTS: &[&str] = &[
    "CLIENT HELP",
    "COMMAND HELP",
    "CONFIG HELP",
    "DEBUG HELP",
    "LATENCY HELP",
    "MEMORY HELP",
    "MODULE HELP",
    "OBJECT HELP",
    "PUBSUB HELP",
    "SLOWLOG HELP",
    "XGROUP HELP",
    "XINFO HELP",
    "xinfo help",
    "OBJECT HELP x",
    "DEBUG HELP x",
    "DEBUG",
    "DEBUG ERROR x",
    "DEBUG LOG x",
    "DEBUG RELOAD FOO",
    "DEBUG CLUSTERLINK KILL all x",
    "DEBUG PAUSE-CRON",
    "CLUSTER",
    "CLUSTER FOO",
    "CLUSTER HELP",
    "CLUSTER INFO",
    "CLUSTER INFO x",
    "CLUSTER MYID",
    "CLUSTER KEYSLOT",
    "CLUSTER KEYSLOT a",
    "CLUSTER ADDSLOTS",
    "CLUSTER ADDSLOTS 1 x",
    "CLUSTER SETSLOT 1",
    "CLUSTER SETSLOT 1 STABLE",
    "CLUSTER MEET a",
    "CLUSTER RESET",
    "CLUSTER SLAVES x",
    "ASKING",
    "ASKING x",
    "READONLY",
    "READONLY x",
    "READWRITE",
    "MODULE",
    "MODULE LIST",
    "MODULE LIST x",
    "MODULE LOAD",
    "MODULE LOAD /x",
    "MODULE LOADEX /x",
    "MODULE UNLOAD x",
    "MODULE FOO",
    "LOLWUT",
    "LOLWUT x",
    "LOLWUT VERSION 1",
    "LOLWUT VERSION x",
    "LOLWUT VERSION 5 x",
    "LOLWUT VERSION 6 1 x",
    "LATENCY GRAPH x",
    "LATENCY GRAPH",
    "LATENCY DOCTOR x",
    "LATENCY HISTORY x",
    "LATENCY RESET x",
    "FAILOVER",
    "FAILOVER TO",
    "FAILOVER TO a",
    "FAILOVER TO a 1",
    "FAILOVER TO a x",
    "FAILOVER ABORT",
    "FAILOVER ABORT ABORT",
    "FAILOVER TIMEOUT",
    "FAILOVER TIMEOUT 0",
    "FAILOVER TIMEOUT x",
    "FAILOVER FORCE",
    "FAILOVER TO a 1 FORCE",
    "FAILOVER x",
    "ROLE",
    "ROLE x",
    "SELECT",
    "SELECT x",
    "SELECT -1",
    "SELECT 16",
    "SELECT 2147483648",
    "SWAPDB 0",
    "SWAPDB x 1",
    "SWAPDB 0 x",
    "SWAPDB 0 16",
    "SWAPDB -1 0",
    "SWAPDB 2147483648 0",
    "LASTSAVE x",
    "MIGRATE",
    "MIGRATE h 1 k 0",
    "MIGRATE h 1 k 0 10",
    "MIGRATE h 1 k x 10",
    "MIGRATE h 1 k 0 x",
    "MIGRATE h 1 k 0 10 FOO",
    "MIGRATE h 1 k 0 10 AUTH",
    "MIGRATE h 1 k 0 10 AUTH2 x",
    "MIGRATE h 1 k 0 10 KEYS a",
    "COMMAND GETKEYS MIGRATE h 1 k 0 10 AUTH KEYS",
    "COMMAND GETKEYS MIGRATE h 1 k 0 10 KEYS a",
    "COMMAND GETKEYS XREAD STREAMS s t 0",
    "COMMAND GETKEYS XREAD COUNT STREAMS s 0",
    "COMMAND GETKEYS XREAD a b STREAMS s 0",
    "COMMAND GETKEYS XREADGROUP GROUP g a STREAMS s t > > >",
    "COMMAND GETKEYS XREADGROUP GROUP g STREAMS STREAMS s >",
    "COMMAND GETKEYS XREADGROUP GROUP g STREAMS COUNT 1 s >",
    "COMMAND GETKEYS XREADGROUP a b c d STREAMS s",
    "COMMAND GETKEYSANDFLAGS MIGRATE h 1 k 0 10",
    "RESTORE-ASKING k 0 x",
    "RESTORE-ASKING k",
];

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn the_same_texts() {
    let servers = [Server::redis(ARGS), Server::start(subject(), ARGS)];
    let mut differences = Vec::new();
    for request in REQUESTS {
        let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let [redis, limpid] = servers.each_ref().map(|server| server.call(&words).unwrap());
        let redis = if *request == "DEBUG HELP" { without_lacking(&redis) } else { redis };
        if redis != limpid {
            differences.push(format!("{request}:\n  {redis}\n  {limpid}"));
        }
    }
    assert!(differences.is_empty(), "redis and limpid:\n{}", differences.join("\n"));
}
