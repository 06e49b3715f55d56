//! CLIENT PAUSE: which commands wait, for how long, and what ends it.

use crate::session::ARGS;
use crate::subject;
use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::{ReadError, Reply};
use crate::support::server::{Program, Server};
use std::thread;
use std::time::Duration;

/// Maximum time of a command that does not wait.
const SHORT: Duration = Duration::from_millis(200);
/// How often this time passes at most until one that does not wait is answered.
const LOOKS_MAX: usize = 20;

/// Commands, each with those that must precede it on the connection.
const COMMANDS: &[&[&str]] = &[
    &["PING"],
    &["GET k"],
    &["SET k v"],
    &["DEL nosuch"],
    &["GET"],
    &["NOSUCH"],
    &["PUBLISH a b"],
    &["SPUBLISH a b"],
    &["FLUSHALL"],
    &["EXPIRE nosuch 1"],
    &["GETEX k"],
    &["MULTI"],
    &["MULTI", "GET k"],
    &["MULTI", "SET k v"],
    &["MULTI", "GET k", "EXEC"],
    &["MULTI", "SET k v", "EXEC"],
    &["MULTI", "PUBLISH a b", "EXEC"],
    &["MULTI", "SET k v", "DISCARD"],
    &["WATCH k"],
    &["CLIENT GETNAME"],
    &["CLIENT LIST ID 99999999"],
    &["CONFIG GET timeout"],
    &["INFO nosuch"],
    &["SELECT 1"],
    &["SUBSCRIBE a"],
    &["CLIENT PAUSE 1000000 WRITE"],
    &["RESTORE k 0 garbage"],
    &["COPY nosuch k"],
    &["SCAN 0"],
    &["DEBUG SLEEP 0"],
];

fn servers() -> [Server; 2] {
    [Server::redis(ARGS), Server::start(subject(), ARGS)]
}

fn call(connection: &mut Connection, command: &str) -> Result<Reply, ReadError> {
    let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
    connection.call(&words)
}

/// Whether the server has a client that waits.
fn waits(other: &mut Connection) -> bool {
    let info = call(other, "INFO clients").unwrap();
    let info = String::from_utf8_lossy(info.text().unwrap()).into_owned();
    !info.contains("blocked_clients:0\r")
}

/// Whether a command's reply comes at once or after the pause; and the reply.
fn outcome(server: &Server, pause: &str, commands: &[&str]) -> (bool, String) {
    let (mut own, mut other) = (server.connect(), server.connect());
    let (last, before) = commands.split_last().unwrap();
    call(&mut other, "SET k v").unwrap();
    for command in before {
        call(&mut own, command).unwrap();
    }
    call(&mut other, &format!("CLIENT PAUSE {pause}")).unwrap();
    own.set_timeout(SHORT).unwrap();
    let mut at_once = call(&mut own, last);
    for _ in 0..LOOKS_MAX {
        let is_late = at_once == Err(ReadError::TimedOut);
        // In a pause of writes the server says whether it is that, or a slow machine.
        if !is_late || !pause.ends_with("WRITE") || waits(&mut other) {
            break;
        }
        at_once = own.read_reply();
    }
    let is_held = at_once.is_err();
    // In a pause of all commands, Redis delays this as well.
    call(&mut other, "CLIENT UNPAUSE").unwrap();
    own.set_timeout(SHORT * 20).unwrap();
    let reply = if is_held { own.read_reply() } else { at_once };
    call(&mut other, "CLIENT UNPAUSE").unwrap();
    (is_held, format!("{reply:?}"))
}

fn compare_outcomes(pause: &str, all: &[&[&str]]) {
    let [redis, limpid] = servers();
    let mut differences = Vec::new();
    for commands in all {
        let (redis, limpid) = thread::scope(|scope| {
            let redis = scope.spawn(|| outcome(&redis, pause, commands));
            let limpid = outcome(&limpid, pause, commands);
            (redis.join().unwrap(), limpid)
        });
        if redis != limpid {
            differences.push(format!("{commands:?}:\n  {redis:?}\n  {limpid:?}"));
        }
    }
    assert!(differences.is_empty(), "redis and limpid:\n{}", differences.join("\n"));
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn the_same_commands_wait_for_the_end_of_a_pause_of_writes() {
    compare_outcomes("1000000 WRITE", COMMANDS);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn the_same_commands_wait_for_the_end_of_a_pause_of_all() {
    let is_client = |commands: &[&str]| commands.iter().any(|command| command.contains("PAUSE"));
    let others: Vec<_> = COMMANDS.iter().copied().filter(|c| !is_client(c)).collect();
    compare_outcomes("500 ALL", &others);
}

/// In Redis, UNPAUSE waits for the end of a pause of all commands, so nothing ends it early.
#[test]
#[ignore = "needs redis-server 7.0.15"]
fn what_ends_a_pause_does_not_wait_for_its_end() {
    let [redis, limpid] = servers();
    for command in ["CLIENT UNPAUSE", "CLIENT PAUSE 0"] {
        assert!(outcome(&redis, "500 ALL", &[command]).0);
        if limpid.program() == Program::Limpid {
            assert!(!outcome(&limpid, "1000000 ALL", &[command]).0);
        }
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn the_data_stays_as_it_is_while_paused() {
    const LOOKS: &[&str] =
        &["GET k", "EXISTS k", "TTL k", "DBSIZE", "KEYS *", "SCAN 0 COUNT 100", "DBSIZE"];
    let outcomes = servers().map(|server| {
        let mut own = server.connect();
        // Otherwise Redis's active expiry would remove the key meanwhile.
        call(&mut own, "DEBUG SET-ACTIVE-EXPIRE 0").unwrap();
        let mut call = |command: &str| call(&mut own, command).unwrap();
        call("SET k v PX 20");
        call("CLIENT PAUSE 1000 WRITE");
        let start = now();
        while start.elapsed() < Duration::from_millis(100) {
            call("PING");
        }
        let paused: Vec<_> = LOOKS.iter().map(|command| call(command).to_string()).collect();
        // If all keys have expired, Redis never returns from RANDOMKEY.
        if server.program() == Program::Limpid {
            assert!(matches!(call("RANDOMKEY"), Reply::NullBulk));
        }
        // It waits for the end of the pause.
        let waited = call("SET other v").to_string();
        let is_after = start.elapsed() >= Duration::from_millis(900);
        (paused, waited, is_after, call("DBSIZE"), call("GET k"), call("DBSIZE"))
    });
    let [redis, limpid] = outcomes;
    assert_eq!(redis, limpid);
}

/// Overlapping pauses: whose end and kind take effect.
#[test]
#[ignore = "needs redis-server 7.0.15"]
fn later_pauses_change_earlier_ones_alike() {
    const PAUSES: &[&[&str]] = &[
        &["300 WRITE"],
        &["300 ALL"],
        &["300"],
        &["0 ALL"],
        &["0 WRITE"],
        &["300 WRITE", "600 WRITE"],
        &["600 WRITE", "300 WRITE"],
        &["600 WRITE", "0 WRITE"],
        &["300 WRITE", "600 ALL"],
        &["600 WRITE", "300 ALL"],
    ];
    let servers = servers();
    for pauses in PAUSES {
        let [redis, limpid] = servers.each_ref().map(|server| {
            let mut pauser = server.connect();
            // Sent together, or the second would wait for the end of the first.
            let commands: Vec<u8> = pauses
                .iter()
                .flat_map(|pause| format!("CLIENT PAUSE {pause}\r\n").into_bytes())
                .collect();
            let start = now();
            pauser.send_raw(&[b"MULTI\r\n", &commands[..], b"EXEC\r\n"].concat()).unwrap();
            for _ in 0..pauses.len() + 2 {
                pauser.read_reply().unwrap();
            }
            let read = |command: &str| {
                call(&mut server.connect(), command).unwrap();
                // Rounded to steps that a loaded machine does not blur.
                (start.elapsed().as_millis() + 120) / 300
            };
            (read("GET k"), read("SET k v"))
        });
        assert_eq!(redis, limpid, "{pauses:?}");
    }
}
