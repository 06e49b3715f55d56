//! Every writer acts by the role and the pauses of that very instant: a change between its check
//! and its locks, or between two of its steps, stops it without a trace.

use std::sync::{Arc, OnceLock};

use crate::engine::fixture::Fixture;
use crate::engine::{Applier, Engine, Executor, Sweeper};
use crate::keyspace::{Locked, ShardSet};
use crate::node::Node;
use crate::node::client::{Handle, Origin};
use crate::settings::{MasterAddress, Settings};

const KEYS: usize = 2000;

fn with_locks(engine: &Arc<Engine>, act: impl FnOnce(&Node, &Locked<'_>)) {
    let mut guard = engine.node.keyspace.lock(ShardSet::ALL);
    act(&engine.node, &guard.locked());
}

fn follow(engine: &Arc<Engine>) {
    let master = MasterAddress { host: "127.0.0.1".into(), port: 1 };
    with_locks(engine, |node, locked| node.follow(locked, master));
}

fn pause_writes(engine: &Arc<Engine>) {
    with_locks(engine, |node, locked| {
        let now_ms = node.clock.unix_ms();
        node.admission.pause(locked, false, now_ms + 10_000, now_ms);
    });
}

/// A master whose log is read, with keys that have all expired.
fn with_expired_keys() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.node().log.start(1 << 30);
    for key in 0..KEYS {
        fixture.run("a", &format!("SET key:{key} 1 PX 1"));
    }
    fixture.clock.advance_ms(10);
    fixture
}

/// Calls `act` in between, at a clock read. Records the log's offset just after it.
fn interrupt(
    fixture: &Fixture,
    looks: usize,
    act: impl FnOnce(&Arc<Engine>) + Send + 'static,
) -> Arc<OnceLock<u64>> {
    let (noted, engine) = (Arc::new(OnceLock::new()), Arc::clone(&fixture.engine));
    let note = Arc::clone(&noted);
    fixture.clock.interrupt(looks, move || {
        act(&engine);
        note.set(engine.node.log.offset()).expect("it happens once");
    });
    noted
}

#[test]
fn a_change_of_role_or_a_pause_ends_a_round_of_the_sweeper_at_once() {
    for act in [follow, pause_writes] {
        let fixture = with_expired_keys();
        // The round reads the clock when it begins, then after each few segments.
        let offset = interrupt(&fixture, 3, act);
        Sweeper::default().round(&fixture.engine);
        let swept = fixture.node().sum(|stats| &stats.expired_keys);
        assert_eq!(Some(&fixture.node().log.offset()), offset.get(), "after {swept} keys");
        assert_eq!(fixture.node().keyspace.len(0) as u64 + swept, KEYS as u64);
        assert!((1..KEYS as u64 / 2).contains(&swept), "{swept} keys before it");
    }
}

#[test]
fn keys_that_a_walk_has_met_expired_stay_when_the_role_or_a_pause_came_in_between() {
    for act in [follow, pause_writes] {
        let mut fixture = with_expired_keys();
        // Clock reads: the batch begins; the command ends and holds no lock any more.
        let offset = interrupt(&fixture, 2, act);
        assert_eq!(fixture.run("a", "SCAN 0 COUNT 100000"), "*2 $1 0 *0");
        assert_eq!(Some(&fixture.node().log.offset()), offset.get());
        assert_eq!(fixture.node().keyspace.len(0), KEYS);
    }
}

#[test]
fn a_replica_that_was_promoted_ends_its_clients_keys_in_its_log() {
    let mut settings = Settings::default();
    settings.replication.read_only = false;
    let mut fixture = Fixture::with(settings, &[]);
    follow(&fixture.engine);
    for key in 0..200 {
        fixture.run("a", &format!("SET key:{key} 1 PX 1"));
    }
    fixture.clock.advance_ms(10);
    let promote = |engine: &Arc<Engine>| with_locks(engine, Node::promote);
    interrupt(&fixture, 2, promote);
    let mut sweeper = Sweeper::default();
    sweeper.round(&fixture.engine);
    assert!(fixture.clock.was_interrupted());
    let left = fixture.node().keyspace.len(0);
    assert!((1..200).contains(&left), "{left} keys are the master's to end");
    let before = fixture.node().log.offset();
    sweeper.round(&fixture.engine);
    assert_eq!(fixture.node().keyspace.len(0), 0);
    let stream = fixture.node().log.bytes_from(before).expect("the backlog has it");
    let deletions = stream.windows(3).filter(|window| window == b"DEL").count();
    assert_eq!(deletions, left, "each that a replica of this master may have");
}

#[test]
fn what_a_former_master_sent_stays_out_of_the_log_of_a_master() {
    let commands: [&[u8]; 4] = [
        b"*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n",
        b"*1\r\n$7\r\nUNKNOWN\r\n*1\r\n$4\r\nPING\r\n",
    ];
    for command in commands {
        let fixture = Fixture::new();
        follow(&fixture.engine);
        let handle = Arc::new(Handle::new(Origin::default()));
        let generation = fixture.node().replication.generation();
        let mut applier = Applier::new(handle, generation, 0);
        let mut executor = Executor::new(Arc::clone(&fixture.engine), 0, 1);
        // Clock reads: the batch begins; the command ends.
        let promote = |engine: &Arc<Engine>| with_locks(engine, Node::promote);
        let offset = interrupt(&fixture, 2, promote);
        let shown = command.escape_ascii();
        let end = executor.apply(&mut applier, command);
        assert!(end.is_err(), "{shown}: the link is no link of this master");
        assert_eq!(Some(&fixture.node().log.offset()), offset.get(), "{shown}");
    }
}
