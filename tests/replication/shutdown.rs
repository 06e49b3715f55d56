//! SHUTDOWN of a master: it waits for its replicas, unless told not to.

use crate::nodes::{ask, info, limpid_with, ok, say, settle, start, until, with_replicas, words};
use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::ReadError;
use crate::support::server::Program::{Limpid, Redis};
use crate::support::server::Server;
use std::time::Duration;

/// Timeout for the end of a process.
const ENDING: Duration = Duration::from_secs(20);
/// How long to check that a waiting server does nothing.
const WHILE: Duration = Duration::from_millis(200);

/// A master whose stopped replica lacks a write.
fn lagging(more: &[&str]) -> (Server, Server) {
    let (master, mut replicas) = with_replicas(limpid_with(more), vec![crate::nodes::limpid()]);
    let replica = replicas.pop().unwrap();
    ok(&master, "SET a 1");
    settle(&master, &replica);
    crate::nodes::freeze(&replica);
    ok(&master, "SET a 2");
    (master, replica)
}

/// Sends SHUTDOWN and checks that it waits.
fn begin(master: &mut Server, command: &str) -> Connection {
    let mut client = master.connect();
    client.send(&words(command)).unwrap();
    assert!(client.read_for(WHILE).unwrap().is_empty());
    assert!(master.is_running());
    client
}

#[test]
fn waits_until_a_lagging_replica_has_everything() {
    let (mut master, replica) = lagging(&["--shutdown-timeout", "30"]);
    let mut client = begin(&mut master, "SHUTDOWN NOSAVE");
    // Reads continue, writes wait.
    assert_eq!(ask(&master, "GET a"), "bulk \"2\"");
    let mut writer = master.connect();
    writer.send(&words("SET a 3")).unwrap();
    assert!(writer.read_for(WHILE).unwrap().is_empty());
    replica.signal("CONT");
    assert!(master.wait_for_end(ENDING).is_some_and(|status| status.success()));
    assert_eq!(client.read_reply(), Err(ReadError::Closed));
    assert_eq!(writer.read_reply(), Err(ReadError::Closed), "what it held back was not done");
    assert_eq!(ask(&replica, "GET a"), "bulk \"2\"");
    // Whether or not it has acknowledged the request for its acknowledgement.
    let in_sync = "1 of 1 replicas are in sync when shutting down";
    assert!(master.wait_for_log(in_sync, ENDING).is_some());
}

#[test]
fn can_be_aborted() {
    let (mut master, replica) = lagging(&["--shutdown-timeout", "30"]);
    let mut client = begin(&mut master, "SHUTDOWN");
    let mut writer = master.connect();
    writer.send(&words("SET a 3")).unwrap();
    assert!(writer.read_for(WHILE).unwrap().is_empty());
    ok(&master, "SHUTDOWN ABORT");
    let aborted = "error \"ERR Errors trying to SHUTDOWN. Check logs.\"";
    assert_eq!(client.read_reply().unwrap().to_string(), aborted);
    assert_eq!(writer.read_reply().unwrap().to_string(), "simple \"OK\"");
    assert_eq!(ask(&master, "SHUTDOWN ABORT"), "error \"ERR No shutdown in progress.\"");
    assert_eq!(say(&mut client, "PING"), "simple \"PONG\"");
    replica.signal("CONT");
    settle(&master, &replica);
}

#[test]
fn goes_on_without_the_replica_after_its_timeout() {
    let (mut master, _replica) = lagging(&["--shutdown-timeout", "1"]);
    let began = now();
    let _client = begin(&mut master, "SHUTDOWN");
    assert!(master.wait_for_end(ENDING).is_some_and(|status| status.success()));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(5), "{took:?}");
    assert!(master.wait_for_log("Lagging replica", ENDING).is_some());
}

#[test]
fn does_not_wait_when_told_so() {
    for (command, timeout) in [("SHUTDOWN NOW", "30"), ("SHUTDOWN", "0")] {
        let (mut master, _replica) = lagging(&["--shutdown-timeout", timeout]);
        let mut client = master.connect();
        client.send(&words(command)).unwrap();
        let began = now();
        assert!(master.wait_for_end(ENDING).is_some_and(|status| status.success()));
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_signal_waits_as_well() {
    let (mut master, replica) = lagging(&["--shutdown-timeout", "30"]);
    master.signal("TERM");
    assert!(master.wait_for_log("Waiting for replicas before shutting down", ENDING).is_some());
    assert!(master.is_running());
    replica.signal("CONT");
    assert!(master.wait_for_end(ENDING).is_some_and(|status| status.success()));
    assert_eq!(ask(&replica, "GET a"), "bulk \"2\"");
}

#[test]
fn follows_a_wait_of_the_same_client() {
    let (mut master, replica) = lagging(&["--shutdown-timeout", "30"]);
    let mut client = master.connect();
    say(&mut client, "SET a 3");
    assert_eq!(say(&mut client, "WAIT 1 50"), "integer 0");
    client.send(&words("SHUTDOWN NOSAVE")).unwrap();
    assert!(client.read_for(WHILE).unwrap().is_empty());
    assert!(master.is_running());
    replica.signal("CONT");
    assert!(master.wait_for_end(ENDING).is_some_and(|status| status.success()));
    assert_eq!(ask(&replica, "GET a"), "bulk \"3\"");
}

#[test]
fn a_client_that_leaves_does_not_end_it() {
    let (mut master, replica) = lagging(&["--shutdown-timeout", "30"]);
    drop(begin(&mut master, "SHUTDOWN NOSAVE"));
    until("the client has left", || info(&master, "connected_clients").as_deref() == Some("1"));
    replica.signal("CONT");
    assert!(master.wait_for_end(ENDING).is_some_and(|status| status.success()));
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn is_refused_with_the_texts_of_redis() {
    let said = |program| {
        let server = start(program);
        let mut client = server.connect();
        let commands = [
            "SHUTDOWN ABORT",
            "SHUTDOWN ABORT NOW",
            "SHUTDOWN SAVE NOSAVE",
            "SHUTDOWN x",
            "SHUTDOWN NOW NOSUCH",
            "MULTI",
            "SHUTDOWN",
            "EXEC",
        ];
        commands.map(|command| format!("{command}: {}", say(&mut client, command)))
    };
    let (redis, limpid) = (said(Redis), said(Limpid));
    assert_eq!(redis, limpid);
}
