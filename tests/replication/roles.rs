//! Changes of role and restarts: nodes with a common history continue by partial resync.

use crate::load::Load;
use crate::nodes::{
    args, ask, await_link, follow, info, ok, settle, start, syncs, until, with_replicas,
};
use crate::support::server::Program::{self, Limpid, Redis};
use crate::support::server::Server;
use std::time::Duration;
use tempfile::TempDir;

/// Timeout for the end of a process.
const ENDING: Duration = Duration::from_secs(20);

/// Promotes one of two replicas; the other one and the old master follow it.
fn a_promotion_keeps_all(master: Program, promoted: Program, other: Program) {
    let replicas = vec![start(promoted), start(other)];
    let (old, mut replicas) = with_replicas(start(master), replicas);
    let (other, promoted) = (replicas.pop().unwrap(), replicas.pop().unwrap());
    let load = Load::start(old.port(), 3);
    load.await_commands(1000);
    load.stop();
    // Keys that the old master removes by itself later would diverge its history.
    ok(&old, "DEBUG SET-ACTIVE-EXPIRE 0");
    settle(&old, &promoted);
    settle(&old, &other);
    let old_id = info(&old, "master_replid");

    ok(&promoted, "REPLICAOF NO ONE");
    assert_eq!(info(&promoted, "role").as_deref(), Some("master"));
    assert_eq!(info(&promoted, "master_replid2"), old_id);
    assert_ne!(info(&promoted, "master_replid"), old_id);
    follow(&other, promoted.port());
    let after = syncs(&promoted);
    assert_eq!((after.full, after.partial), (0, 1), "{}", promoted.log_text());
    follow(&old, promoted.port());
    let after = syncs(&promoted);
    assert_eq!((after.full, after.partial), (0, 2), "{}", promoted.log_text());

    let load = Load::start(promoted.port(), 4);
    load.await_commands(1000);
    load.stop();
    settle(&promoted, &old);
    settle(&promoted, &other);
    assert_eq!(info(&old, "master_replid"), info(&promoted, "master_replid"));
}

#[test]
fn a_promotion_among_limpids_is_partial_for_all() {
    a_promotion_keeps_all(Limpid, Limpid, Limpid);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_promotion_is_partial_for_all_in_every_mix() {
    for mix in 1..7 {
        let program = |bit: u32| if mix >> bit & 1 == 1 { Redis } else { Limpid };
        a_promotion_keeps_all(program(0), program(1), program(2));
    }
}

/// A replica of a replica continues when the one in the middle is promoted.
fn a_promotion_in_the_middle_keeps_who_is_behind(middle: Program, behind: Program) {
    let (head, replicas) = with_replicas(start(Limpid), vec![start(middle)]);
    let behind = start(behind);
    follow(&behind, replicas[0].port());
    ok(&head, "SET a 1");
    settle(&head, &replicas[0]);
    settle(&replicas[0], &behind);
    let before = syncs(&replicas[0]);
    ok(&replicas[0], "REPLICAOF NO ONE");
    until("who is behind is attached again", || {
        syncs(&replicas[0]).partial == before.partial + 1 && ask(&behind, "ROLE").contains("\"conn")
    });
    await_link(&behind);
    ok(&replicas[0], "SET a 2");
    settle(&replicas[0], &behind);
    assert_eq!(syncs(&replicas[0]).full, before.full);
    // A new history that the middle adopts reaches its replicas as well.
    follow(&replicas[0], head.port());
    ok(&head, "SET a 3");
    settle(&head, &replicas[0]);
    await_link(&behind);
    settle(&replicas[0], &behind);
}

#[test]
fn a_promoted_limpid_keeps_its_replicas() {
    a_promotion_in_the_middle_keeps_who_is_behind(Limpid, Limpid);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_promoted_server_keeps_its_replicas_across_programs() {
    a_promotion_in_the_middle_keeps_who_is_behind(Limpid, Redis);
    a_promotion_in_the_middle_keeps_who_is_behind(Redis, Limpid);
}

/// A replica that was shut down continues from the file that it wrote.
fn a_replica_restarts_from_its_file(master: Program, replica: Program) {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap();
    let master = start(master);
    let port = master.port().to_string();
    let with_dir = args(&["--dir", dir, "--replicaof", "127.0.0.1", &port]);
    let mut old = Server::start(replica, &with_dir);
    await_link(&old);
    let load = Load::start(master.port(), 6);
    load.await_commands(1000);
    // During writes: the file's data match its offset.
    drop(old.connect().send(&[b"SHUTDOWN", b"SAVE"]));
    assert!(old.wait_for_end(ENDING).is_some_and(|status| status.success()));
    load.await_commands(1000);
    let new = Server::start(replica, &with_dir);
    await_link(&new);
    load.stop();
    settle(&master, &new);
    assert_eq!((syncs(&master).full, syncs(&master).partial), (1, 1), "{}", new.log_text());
}

#[test]
fn a_limpid_goes_on_from_its_file() {
    a_replica_restarts_from_its_file(Limpid, Limpid);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_replica_goes_on_from_its_file_across_programs() {
    a_replica_restarts_from_its_file(Limpid, Redis);
    a_replica_restarts_from_its_file(Redis, Limpid);
}

/// A master that was shut down with its replicas caught up restarts and resumes them.
fn a_master_restarts(replicas: &[Program]) {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap();
    let with_dir = args(&["--dir", dir]);
    let replicas = replicas.iter().map(|&program| start(program)).collect();
    let (mut master, replicas) = with_replicas(Server::start(Limpid, &with_dir), replicas);
    let load = Load::start(master.port(), 8);
    load.await_commands(1000);
    load.stop();
    drop(master.connect().send(&[b"SHUTDOWN", b"SAVE"]));
    assert!(master.wait_for_end(ENDING).is_some_and(|status| status.success()));
    let master = Server::start_on(Limpid, master.port(), &with_dir);
    replicas.iter().for_each(await_link);
    let load = Load::start(master.port(), 9);
    load.await_commands(500);
    load.stop();
    replicas.iter().for_each(|replica| settle(&master, replica));
    let after = syncs(&master);
    assert_eq!((after.full, after.partial), (0, 2), "{}", master.log_text());
}

#[test]
fn a_master_that_was_shut_down_knows_its_limpids() {
    a_master_restarts(&[Limpid, Limpid]);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_master_that_was_shut_down_knows_its_redis_replicas() {
    a_master_restarts(&[Redis, Limpid]);
}

/// A master that restarts without data does not empty its replicas.
#[test]
fn a_master_that_comes_back_empty_is_refused_until_an_operator_says_so() {
    let (mut master, replicas) = with_replicas(start(Limpid), vec![start(Limpid)]);
    for number in 0..100 {
        ok(&master, &format!("SET key:{number} 1"));
    }
    settle(&master, &replicas[0]);
    let port = master.port();
    master.kill();
    let master = Server::start_on(Limpid, port, &args(&[]));
    let refused = replicas[0].wait_for_log("Refused to synchronise", ENDING);
    assert!(refused.is_some(), "{}", replicas[0].log_text());
    assert_eq!(ask(&replicas[0], "DBSIZE"), "integer 100");
    assert_eq!(info(&replicas[0], "master_link_status").as_deref(), Some("down"));
    assert_eq!(info(&replicas[0], "master_refused_replid"), info(&master, "master_replid"));
    // Repeating the same REPLICAOF confirms the operator's intention.
    let again = ask(&replicas[0], &format!("REPLICAOF 127.0.0.1 {port}"));
    assert_eq!(again, "simple \"OK Already connected to specified master\"");
    await_link(&replicas[0]);
    assert_eq!(ask(&replicas[0], "DBSIZE"), "integer 0");
}
