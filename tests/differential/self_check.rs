//! Whether a subject that differs is found out: redis-server against one that was made to differ.

use crate::session::{Plan, Session};
use crate::support::server::Program;

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
    let report = Session::start(plan(vec!["--notify-keyspace-events", "KE$"])).run().unwrap_err();
    assert!(report.contains("no further message") || report.contains("pmessage"), "{report}");
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
    let args = vec!["--rename-command", "GETRANGE", "", "--rename-command", "APPEND", ""];
    let plan = Plan { collects: true, ..plan(args) };
    let summary = Session::start(plan).run().unwrap_err();
    for name in ["getrange", "append"] {
        let line = summary.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains("-ERR unknown command")), "{summary}");
    }
}
