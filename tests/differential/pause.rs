//! CLIENT PAUSE: which commands wait, for how long, and what ends it.

use crate::session::ARGS;
use crate::subject;
use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::{ReadError, Reply};
use crate::support::server::Server;
use std::time::Duration;

/// Long enough that nothing but UNPAUSE ends it.
const LONG: &str = "1000000";
/// How long a command may take that does not wait.
const SHORT: Duration = Duration::from_millis(300);

/// Commands, and with them those that must have been sent before on the connection.
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
    &["CLIENT ID"],
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

/// Whether a command's reply comes at once, or only when the pause has ended; and the reply.
fn outcome(server: &Server, mode: &str, commands: &[&str]) -> (bool, String) {
    let (mut own, mut other) = (server.connect(), server.connect());
    let (last, before) = commands.split_last().unwrap();
    call(&mut other, "SET k v").unwrap();
    for command in before {
        call(&mut own, command).unwrap();
    }
    call(&mut other, &format!("CLIENT PAUSE {LONG} {mode}")).unwrap();
    own.set_timeout(SHORT).unwrap();
    let at_once = call(&mut own, last);
    let is_held = at_once.is_err();
    // In a pause of all commands this one runs, or nothing could end it.
    call(&mut other, "CLIENT UNPAUSE").unwrap();
    own.set_timeout(SHORT * 10).unwrap();
    let reply = if is_held { own.read_reply() } else { at_once };
    call(&mut other, "CLIENT UNPAUSE").unwrap();
    (is_held, format!("{reply:?}"))
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn the_same_commands_wait_for_the_end_of_a_pause() {
    let servers = servers();
    let mut differences = Vec::new();
    for (mode, commands) in
        ["WRITE", "ALL"].iter().flat_map(|mode| COMMANDS.iter().map(move |c| (mode, c)))
    {
        // A pause of all holds back what ends it as well, in Redis: that is left for a test below.
        let [redis, limpid] = servers.each_ref().map(|server| outcome(server, mode, commands));
        if redis != limpid {
            differences.push(format!("{mode}, {commands:?}:\n  {redis:?}\n  {limpid:?}"));
        }
    }
    assert!(differences.is_empty(), "redis and limpid:\n{}", differences.join("\n"));
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn the_data_stays_as_it_is_while_paused() {
    let outcomes = servers().map(|server| {
        let mut own = server.connect();
        let mut call = |command: &str| call(&mut own, command).unwrap();
        call("CONFIG SET notify-keyspace-events ");
        call("SET k v PX 20");
        call("CLIENT PAUSE 400 WRITE");
        let start = now();
        while start.elapsed() < Duration::from_millis(100) {
            call("PING");
        }
        let paused = [
            "GET k",
            "EXISTS k",
            "TTL k",
            "DBSIZE",
            "KEYS *",
            "SCAN 0 COUNT 100",
            "DBSIZE",
            "RANDOMKEY",
        ]
        .map(|command| call(command).to_string());
        // It waits for the end of the pause.
        let waited = call("SET other v").to_string();
        let is_after = start.elapsed() >= Duration::from_millis(350);
        (paused, waited, is_after, call("GET k").to_string(), call("DBSIZE").to_string())
    });
    let [redis, limpid] = outcomes;
    assert_eq!(redis, limpid);
}

/// Pauses of one after the other: which end and which kind holds.
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
            // Together, or the second would wait for the end of the first.
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
                // In steps that a loaded machine does not blur.
                (start.elapsed().as_millis() + 120) / 300
            };
            (read("GET k"), read("SET k v"))
        });
        assert_eq!(redis, limpid, "{pauses:?}");
    }
}
