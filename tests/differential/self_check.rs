//! Checks that the comparison detects a difference: redis-server against one made to differ.

use crate::compare::{Kind, difference};
use crate::families::pop_at_random;
use crate::report::Who;
use crate::session::{Plan, Session};
use crate::support::connection::Connection;
use crate::support::reply::{ReadError, Reply};
use crate::support::server::{Program, Server};
use crate::words;
use std::time::Duration;

fn plan(subject_args: Vec<&'static str>) -> Plan {
    Plan {
        seed: 7,
        commands: 5_000,
        protocol: 2,
        batch_max: 20,
        subject: Program::Redis,
        subject_args,
        collects: false,
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_command_that_is_missing_is_found_out() {
    let report = Session::start(plan(vec!["--rename-command", "GETRANGE", ""])).run().unwrap_err();
    assert!(report.contains("unknown command"), "{report}");
    assert!(report.contains("seed 7"), "{report}");
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn events_that_are_missing_are_found_out() {
    let mut session = Session::start(plan(Vec::new()));
    session.greet().unwrap();
    session.command(Who::A, words!["SET", "k1", "v"]).unwrap();
    session.drain().unwrap();
    session.subject.call(&[b"CONFIG", b"SET", b"notify-keyspace-events", b"KE$"]).unwrap();
    session.command(Who::A, words!["DEL", "k1"]).unwrap();
    let mismatch = session.drain().unwrap_err();
    assert_eq!((mismatch.kind, &mismatch.sort[..]), (Kind::Message, "event del | nothing"));
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_protocol_not_spoken_is_found_out() {
    let plan = Plan { protocol: 3, ..plan(vec!["--rename-command", "HELLO", ""]) };
    let report = Session::start(plan).run().unwrap_err();
    assert!(report.contains("HELLO"), "{report}");
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_lost_write_is_found_out_by_the_digest() {
    let mut session = Session::start(plan(Vec::new()));
    session.reference.call(&[b"SET", b"kept", b"here only"]).unwrap();
    let report = session.compare_digests().unwrap_err().report;
    assert!(report.contains("\"kept\""), "{report}");
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn differences_are_gathered_by_sort() {
    let args = vec!["--rename-command", "GETRANGE", "", "--databases", "2"];
    let plan = Plan { collects: true, ..plan(args) };
    let summary = Session::start(plan).run().unwrap_err();
    let missing = summary.lines().next().unwrap();
    assert!(missing.starts_with("not there:") && missing.contains("getrange"), "{summary}");
    assert!(summary.contains("Type: simple | -ERR DB index is out of range"), "{summary}");
}

/// A choice that is no member, or one that is not made, would show.
#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_choice_that_is_not_made_is_found_out() {
    let mut session = Session::start(plan(Vec::new()));
    session.greet().unwrap();
    session.command(Who::A, words!["SADD", "chosen", "a", "b", "c", "d"]).unwrap();
    session.drain().unwrap();
    pop_at_random(&mut session, b"chosen".to_vec()).unwrap();
    session.compare_digests().unwrap();
    session.subject.call(&[b"SADD", b"chosen", b"ghost"]).unwrap();
    session.drain().unwrap_err();
    let mismatch = pop_at_random(&mut session, b"chosen".to_vec()).unwrap_err();
    assert_eq!(mismatch.name, "scard", "{}", mismatch.report);
}

#[test]
fn an_order_that_is_promised_is_compared() {
    let list = |items: &[&str]| {
        Reply::Array(items.iter().map(|item| Reply::Bulk(item.as_bytes().to_vec())).collect())
    };
    let kind = |words: &[&str], left: &[&str], right: &[&str]| {
        let words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        difference(&words, &[], &list(left), &list(right)).map(|(_, kind)| kind)
    };
    assert_eq!(kind(&["SMEMBERS", "k"], &["a", "b"], &["b", "a"]), None);
    assert_eq!(kind(&["SSCAN-IN-ORDER", "k"], &["a", "b"], &["b", "a"]), Some(Kind::Value));
    assert_eq!(kind(&["ZRANGE", "k"], &["a", "b"], &["b", "a"]), Some(Kind::Value));
    assert_eq!(kind(&["HGETALL", "k"], &["a", "1", "b", "2"], &["b", "2", "a", "1"]), None);
    let crossed = kind(&["HGETALL", "k"], &["a", "1", "b", "2"], &["a", "2", "b", "1"]);
    assert_eq!(crossed, Some(Kind::Value));
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_server_tells_when_it_serves_and_ends_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let server = Server::redis(&["--unixsocket", socket.to_str().unwrap()]);
    let waited = Duration::from_secs(5);
    assert!(server.wait_for_log("Ready to accept connections", waited).is_some());
    let mut connection = Connection::unix(&socket).unwrap();
    assert_eq!(connection.call(&[b"PING"]), Ok(Reply::Simple(b"PONG".to_vec())));
    assert!(server.terminate().success());
    assert_eq!(connection.read_reply(), Err(ReadError::Closed));
}
