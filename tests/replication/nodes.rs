//! Servers that replicate: starting them, querying them, and waiting for them.

use crate::sentinel::stock_periods;
use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::ReadError;
use crate::support::server::{Program, Server};
use std::thread;
use std::time::Duration;

/// Timeout of any wait.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Interval between checks of a condition.
const LOOK: Duration = Duration::from_millis(2);

/// No saving, no delay for further replicas, and no PING in the stream.
const ARGS: &[&str] = &[
    "--save",
    "",
    "--enable-debug-command",
    "yes",
    "--repl-diskless-sync-delay",
    "0",
    "--repl-backlog-size",
    "64mb",
    "--repl-ping-replica-period",
    "3600",
];

/// The arguments of all servers, and some more.
pub(crate) fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [ARGS, more].concat()
}

pub(crate) fn start(program: Program) -> Server {
    Server::start(program, ARGS)
}

pub(crate) fn limpid() -> Server {
    start(Program::Limpid)
}

pub(crate) fn limpid_with(more: &[&str]) -> Server {
    Server::start(Program::Limpid, &args(more))
}

/// The words of a command; an empty word is `""`.
pub(crate) fn words(command: &str) -> Vec<&[u8]> {
    let word = |word| if word == "\"\"" { "" } else { word };
    command.split(' ').map(|text| word(text).as_bytes()).collect()
}

/// The reply to a command on a connection, with its type: `simple "OK"`.
pub(crate) fn say(client: &mut Connection, command: &str) -> String {
    match client.call(&words(command)) {
        Ok(reply) => reply.to_string(),
        Err(error) => panic!("{command}: {error:?}"),
    }
}

/// The same over a new connection.
pub(crate) fn ask(server: &Server, command: &str) -> String {
    say(&mut server.connect(), command)
}

/// Sends a command that must succeed.
pub(crate) fn ok(server: &Server, command: &str) {
    assert_eq!(ask(server, command), "simple \"OK\"", "{command}");
}

/// The integer reply to a command.
pub(crate) fn number(server: &Server, command: &str) -> i64 {
    let reply = ask(server, command);
    let digits = reply.strip_prefix("integer ").unwrap_or_else(|| panic!("{command}: {reply}"));
    digits.parse().unwrap()
}

/// The text reply to a command. Sentinels kill connections; then it asks again.
pub(crate) fn told(server: &Server, words: &[&[u8]]) -> String {
    until_some("an answer", || match server.call(words) {
        Ok(reply) => Some(String::from_utf8_lossy(reply.text().unwrap()).into_owned()),
        Err(ReadError::Closed) => None,
        Err(error) => panic!("{error:?}"),
    })
}

/// The text of a section of INFO.
pub(crate) fn info_text(server: &Server, section: &str) -> String {
    told(server, &[b"INFO", section.as_bytes()])
}

/// The value of a field of INFO.
pub(crate) fn info(server: &Server, field: &str) -> Option<String> {
    let prefix = format!("{field}:");
    let text = info_text(server, "everything");
    text.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
}

/// The numeric value of a field of INFO.
pub(crate) fn count(server: &Server, field: &str) -> i64 {
    let value = info(server, field).unwrap_or_else(|| panic!("INFO has {field}"));
    value.parse().unwrap()
}

/// Waits until a condition holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    until_some(what, || holds().then_some(()));
}

/// Waits until `found` returns a value.
pub(crate) fn until_some<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let limit = if stock_periods() { SOON * 6 } else { SOON };
    let deadline = now() + limit;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(now() < deadline, "awaited in vain: {what}");
        thread::sleep(LOOK);
    }
}

/// Makes a server follow a port, and waits until the link is up.
pub(crate) fn follow(replica: &Server, master: u16) {
    ok(replica, &format!("REPLICAOF 127.0.0.1 {master}"));
    await_link(replica);
}

/// Waits until the link to the master is up.
pub(crate) fn await_link(replica: &Server) {
    until("the link to the master is up", || is_linked(replica));
}

pub(crate) fn is_linked(replica: &Server) -> bool {
    info(replica, "master_link_status").as_deref() == Some("up")
}

/// Number of full and partial resyncs that a server has served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syncs {
    pub(crate) full: i64,
    pub(crate) partial: i64,
}

pub(crate) fn syncs(server: &Server) -> Syncs {
    Syncs { full: count(server, "sync_full"), partial: count(server, "sync_partial_ok") }
}

/// Stops a server with SIGSTOP, until it is sent CONT.
pub(crate) fn freeze(server: &Server) {
    server.signal("STOP");
    let stopped = |task: &std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // The state follows the name, which is in brackets.
        stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with('T'))
    };
    until("all its threads have stopped", || {
        let mut tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
        tasks.all(|task| stopped(&task.unwrap()))
    });
}

/// Waits until a replica has caught up with its master, and checks that the data are equal.
pub(crate) fn settle(master: &Server, replica: &Server) {
    until("the replica has all", || {
        info(master, "master_repl_offset") == info(replica, "slave_repl_offset")
    });
    let digest = |server| told(server, &[b"DEBUG", b"DIGEST"]);
    until("the data are the same", || digest(master) == digest(replica));
}

/// A master whose replicas are attached and online.
pub(crate) fn with_replicas(master: Server, replicas: Vec<Server>) -> (Server, Vec<Server>) {
    for replica in &replicas {
        follow(replica, master.port());
    }
    until("all replicas are online", || {
        info_text(&master, "replication").matches("state=online").count() == replicas.len()
    });
    (master, replicas)
}

/// The median and the hundredth-largest of some times, in milliseconds.
pub(crate) fn percentiles(times: &mut [Duration]) -> (f64, f64, f64) {
    times.sort_unstable();
    let at = |part: f64| {
        let index = (times.len() as f64 * part).ceil() as usize;
        times[index.clamp(1, times.len()) - 1].as_secs_f64() * 1000.0
    };
    (at(0.5), at(0.99), at(1.0))
}
