//! Commands of replicas and operators, and their effects: a failed command has changed nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::fixture::Fixture;
use crate::keyspace::{Locked, ShardSet};
use crate::node::Node;
use crate::node::admission::Condition;
use crate::settings::{MasterAddress, Settings};

fn follow(node: &Node) {
    let master = MasterAddress { host: "127.0.0.1".into(), port: 1 };
    node.follow(&node.keyspace.lock(ShardSet::ALL).locked(), master);
}

#[test]
fn a_failover_is_taken_over_only_where_the_master_may_hand_it_over() {
    let mut fixture = Fixture::new();
    follow(fixture.node());
    let id = fixture.node().log.ids().id;
    for _ in 0..10 {
        fixture.node().log.append_verbatim(b"*1\r\n$4\r\nPING\r\n", 0);
    }
    let mismatch = "-ERR PSYNC FAILOVER replid must match my replid.";
    let behind = "-ERR PSYNC FAILOVER offset must not be before my offset 140.";
    let other = "1".repeat(40);
    for (id, offset, refusal) in [
        (&*other, "141", mismatch),
        ("?", "-1", mismatch),
        (&*id, "abc", "-ERR value is not an integer or out of range"),
        (&*id, "99999999999999999999", "-ERR value is not an integer or out of range"),
        (&*id, "-1", behind),
        (&*id, "0", behind),
        (&*id, "-9223372036854775808", behind),
        (&*id, "140", behind),
    ] {
        let reply = fixture.run("replica", &format!("PSYNC {id} {offset} FAILOVER"));
        assert_eq!(reply, refusal, "{id} {offset}");
        assert!(fixture.node().is_replica(), "after {id} {offset}");
        assert_eq!(fixture.node().log.ids().id, *fixture.node().log.ids().id);
        assert!(fixture.node().log.ids().earlier.is_none(), "after {id} {offset}");
    }
    fixture.run("replica", "REPLCONF capa psync2");
    let reply = fixture.run("replica", &format!("PSYNC {id} 141 FAILOVER"));
    assert!(reply.starts_with("+CONTINUE "), "{reply}");
    assert!(!fixture.node().is_replica());
}

#[test]
fn a_replica_that_announces_something_wrong_has_announced_nothing() {
    let mut fixture = Fixture::new();
    let refusal = "-ERR Unrecognized REPLCONF option: other";
    let command = "REPLCONF listening-port 7777 capa eof ip-address a.b other 1";
    assert_eq!(fixture.run("replica", command), refusal);
    let announced = &fixture.client("replica").announced;
    assert_eq!((announced.port, announced.eof, announced.ip.clone()), (0, false, None));
}

/// The requested fields of INFO.
fn info(fixture: &mut Fixture, fields: &[&str]) -> Vec<String> {
    let text = fixture.run("looker", "INFO everything");
    let value = |field: &&str| {
        let start = format!(" {field}:");
        let rest = text.split_once(&start).map_or("(none)", |(_, rest)| rest);
        rest.split(' ').next().unwrap_or_default().to_owned()
    };
    fields.iter().map(value).collect()
}

#[test]
fn what_info_says_of_a_state_is_what_commands_are_answered() {
    let mut settings = Settings::default();
    settings.replication.serve_stale_data = false;
    let mut fixture = Fixture::with(settings, &[]);
    let engine = Arc::clone(&fixture.engine);
    let node = &engine.node;
    let agree = |fixture: &mut Fixture, at: &str| {
        let fields = ["loading", "role", "master_link_status", "rdb_last_bgsave_status"];
        let said = info(fixture, &fields);
        let get = fixture.run("a", "GET key");
        let set = fixture.run("a", "SET key 1");
        assert_eq!(said[0] == "1", get.starts_with("-LOADING"), "{at}: {said:?} {get}");
        assert_eq!(said[1] == "slave", set.starts_with("-READONLY"), "{at}: {said:?} {set}");
        assert_eq!(said[2] == "down", get.starts_with("-MASTERDOWN"), "{at}: {said:?} {get}");
        assert_eq!(said[3] == "err", set.starts_with("-MISCONF"), "{at}: {said:?} {set}");
        let role = fixture.run("a", "ROLE");
        assert_eq!(said[1] == "slave", role.contains(" slave "), "{at}: {said:?} {role}");
        let up = said[2] == "up";
        assert_eq!(up, role.contains(" connected "), "{at}: {said:?} {role}");
    };
    agree(&mut fixture, "at the start");
    let set = |state, on| {
        node.admission.set(&node.keyspace.lock(ShardSet::ALL).locked(), state, on);
    };
    set(Condition::Loading, true);
    agree(&mut fixture, "while the data of the file are loaded");
    set(Condition::Loading, false);
    set(Condition::SaveFailed, true);
    agree(&mut fixture, "after a save has failed");
    set(Condition::SaveFailed, false);
    follow(node);
    agree(&mut fixture, "on a new replica");
    node.link_up(&node.keyspace.lock(ShardSet::ALL).locked());
    agree(&mut fixture, "with the link up");
    node.link_down(&node.keyspace.lock(ShardSet::ALL).locked());
    agree(&mut fixture, "with the link down");
    node.promote(&node.keyspace.lock(ShardSet::ALL).locked());
    agree(&mut fixture, "after the promotion");
}

/// State changes while clients look: admission found everything in order for a transaction that
/// ran, so INFO within it must agree.
#[test]
fn what_info_says_within_a_transaction_is_what_let_the_transaction_run() {
    let mut settings = Settings::default();
    settings.replication.serve_stale_data = false;
    let mut fixture = Fixture::with_workers(settings, &[], 2);
    let engine = Arc::clone(&fixture.engine);
    let ended = AtomicBool::new(false);
    let (mut ran, mut refused, mut wrong) = (0, 0, Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let node = &engine.node;
            let locked = |act: &dyn Fn(&Locked<'_>)| {
                act(&node.keyspace.lock(ShardSet::ALL).locked());
                std::thread::yield_now();
            };
            while !ended.load(Ordering::Relaxed) {
                follow(node);
                locked(&|locked| node.link_up(locked));
                locked(&|locked| node.link_down(locked));
                locked(&|locked| node.link_up(locked));
                locked(&|locked| node.promote(locked));
                locked(&|locked| node.admission.set(locked, Condition::Loading, true));
                locked(&|locked| node.admission.set(locked, Condition::Loading, false));
                locked(&|locked| node.admission.set(locked, Condition::SaveFailed, true));
                locked(&|locked| node.admission.set(locked, Condition::SaveFailed, false));
            }
        });
        while (ran < 2000 || refused < 100) && wrong.is_empty() {
            for (command, never) in [
                ("GET key", &["loading:1", "master_link_status:down"][..]),
                ("SET key 1", &["loading:1", "role:slave", "rdb_last_bgsave_status:err"][..]),
            ] {
                if fixture.run("a", "MULTI") != "+OK" {
                    refused += 1;
                    continue;
                }
                let queued = fixture.run("a", command).starts_with("+QUEUED")
                    && fixture.run("a", "INFO").starts_with("+QUEUED");
                let reply = fixture.run("a", "EXEC");
                if !queued || !reply.starts_with('*') {
                    refused += 1;
                    continue;
                }
                ran += 1;
                let said = never.iter().filter(|said| reply.contains(**said));
                wrong.extend(said.map(|said| format!("{said} after {command}")));
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn too_few_good_replicas_are_counted_once_for_writes_and_for_info() {
    let mut fixture = Fixture::new();
    assert_eq!(info(&mut fixture, &["min_slaves_good_slaves"]), ["(none)"]);
    assert_eq!(fixture.run("a", "CONFIG SET min-replicas-to-write 1"), "+OK");
    assert_eq!(info(&mut fixture, &["min_slaves_good_slaves"]), ["0"]);
    let refused = "-NOREPLICAS Not enough good replicas to write.";
    assert_eq!(fixture.run("a", "SET key 1"), refused);
    assert_eq!(fixture.run("a", "CONFIG SET min-replicas-to-write 0"), "+OK");
    assert_eq!(info(&mut fixture, &["min_slaves_good_slaves"]), ["(none)"]);
    assert_eq!(fixture.run("a", "SET key 1"), "+OK");
}

#[test]
fn figures_of_keys_go_with_the_keys() {
    for (ends, database) in
        [("PERSIST key", 0), ("DEL key", 0), ("FLUSHDB", 0), ("FLUSHALL", 0), ("SWAPDB 0 1", 1)]
    {
        let mut fixture = Fixture::new();
        fixture.run("a", "SET other 1");
        fixture.run("a", "SET key 1 PX 100000");
        crate::engine::Sweeper::default().round(&fixture.engine);
        let figures = |fixture: &mut Fixture, index: usize| {
            info(fixture, &[&format!("db{index}")]).pop().unwrap_or_default()
        };
        assert_eq!(figures(&mut fixture, 0), "keys=2,expires=1,avg_ttl=100000");
        fixture.run("a", ends);
        fixture.run("a", "SET other 1");
        if database == 1 {
            assert_eq!(figures(&mut fixture, 1), "keys=2,expires=1,avg_ttl=100000");
        }
        let left = figures(&mut fixture, 0);
        assert!(left.ends_with(",expires=0,avg_ttl=0"), "after {ends}: {left}");
        // Nor do they affect what follows.
        fixture.run("a", "SET key 1 PX 500");
        crate::engine::Sweeper::default().round(&fixture.engine);
        assert!(figures(&mut fixture, 0).ends_with(",expires=1,avg_ttl=500"), "after {ends}");
    }
}
