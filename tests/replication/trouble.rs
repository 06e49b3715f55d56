//! Links that are slow, silent, damaged or cut at a bad moment: no data is lost, no partial state
//! is visible, and replication recovers by itself.

use crate::load::Load;
use crate::nodes::{
    args, ask, await_link, count, follow, info, is_linked, limpid, limpid_with, number, ok, settle,
    syncs, until, with_replicas,
};
use crate::proxy::Proxy;
use crate::support::server::Program::Limpid;
use crate::support::server::Server;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// A master, and a replica behind a proxy, with some data.
fn linked(master: Server, replica: Server) -> (Server, Server, Proxy) {
    let link = Proxy::to(master.port());
    ok(&master, "SET a 1");
    follow(&replica, link.port());
    settle(&master, &replica);
    (master, replica, link)
}

/// A replica repairs any damage of the stream that it detects.
#[test]
fn a_damaged_stream_is_asked_for_again() {
    let (master, replica, link) = linked(limpid(), limpid());
    // The first byte of the stream is the array's type byte.
    link.corrupt(0);
    ok(&master, "SET a 2");
    until("the byte has passed", || link.has_corrupted());
    for turn in 0..50 {
        ok(&master, &format!("SET key:{turn} {turn}"));
    }
    settle(&master, &replica);
    let after = syncs(&master);
    assert_eq!((after.full, after.partial), (1, 1), "{}", replica.log_text());
}

#[test]
fn a_slow_link_loses_nothing() {
    let (master, replica, link) = linked(limpid(), limpid());
    link.delay(Duration::from_millis(20));
    let load = Load::start(master.port(), 5);
    load.await_commands(3000);
    load.stop();
    settle(&master, &replica);
    let after = syncs(&master);
    assert_eq!((after.full, after.partial), (1, 0));
}

/// Makes the replica need a full resync, with other data by then. `interfere` comes before the
/// first byte of it; `connections` is how often the replica may try.
fn begin_another_history(
    master: &Server,
    link: &Proxy,
    connections: Option<usize>,
    interfere: impl FnOnce(),
) {
    link.cut();
    until("the replica has left", || count(master, "connected_slaves") == 0);
    ok(master, "FLUSHALL");
    ok(master, "DEBUG POPULATE 20000 new 100");
    ok(master, "DEBUG CHANGE-REPL-ID");
    interfere();
    link.reopen(connections);
}

/// A full resync damaged in transit changes nothing, and the next one succeeds.
fn damaged(full_sync: &str) {
    let replica = limpid_with(&["--replica-full-sync", full_sync]);
    let (master, replica, link) = linked(limpid(), replica);
    for number in 0..1000 {
        ok(&master, &format!("SET old:{number} 1"));
    }
    settle(&master, &replica);
    // The next full resync has to wait, however soon the replica asks for it.
    begin_another_history(&master, &link, Some(1), || link.corrupt(300_000));
    assert!(replica.wait_for_log("The old data stay", SOON).is_some(), "{}", replica.log_text());
    assert_eq!(ask(&replica, "DBSIZE"), "integer 1001");
    assert_eq!(ask(&replica, "EXISTS old:1 new:1"), "integer 1");
    link.heal();
    await_link(&replica);
    assert_eq!(ask(&replica, "DBSIZE"), "integer 20000");
    ok(&master, "SET a 2");
    settle(&master, &replica);
}

#[test]
fn a_damaged_full_resync_leaves_the_old_data_and_the_next_one_comes() {
    damaged("beside");
}

#[test]
fn a_damaged_full_resync_that_is_spooled_leaves_the_old_data_too() {
    damaged("spool");
}

/// A full resync cut in the middle changes nothing, and the next one succeeds.
fn cut_in_the_middle(full_sync: &str) {
    let replica = limpid_with(&["--replica-full-sync", full_sync]);
    let (master, replica, link) = linked(limpid(), replica);
    begin_another_history(&master, &link, None, || link.hold_after(150_000));
    until("a part has come", || {
        info(&replica, "master_sync_read_bytes").is_some_and(|bytes| bytes.len() >= 6)
    });
    assert_eq!(info(&replica, "master_sync_in_progress").as_deref(), Some("1"));
    link.cut();
    until("the link is down", || info(&replica, "master_sync_in_progress").as_deref() == Some("0"));
    assert_eq!(ask(&replica, "GET a"), "bulk \"1\"");
    assert_eq!(ask(&replica, "DBSIZE"), "integer 1");
    link.heal();
    await_link(&replica);
    assert_eq!(ask(&replica, "DBSIZE"), "integer 20000");
    settle(&master, &replica);
}

#[test]
fn a_full_resync_that_is_cut_begins_again() {
    cut_in_the_middle("beside");
}

#[test]
fn a_full_resync_that_is_spooled_and_cut_begins_again() {
    cut_in_the_middle("spool");
}

/// Writes continue during a long full resync.
#[test]
fn a_slow_full_resync_under_load_ends() {
    let (master, replica, link) = linked(limpid(), limpid());
    begin_another_history(&master, &link, None, || link.delay(Duration::from_millis(5)));
    let load = Load::start(master.port(), 11);
    until("it synchronises", || syncs(&master).full == 2);
    load.await_commands(5000);
    await_link(&replica);
    load.stop();
    link.heal();
    settle(&master, &replica);
    assert_eq!(syncs(&master).full, 2);
}

/// Both sides drop a link on which no bytes move, and reconnect later.
#[test]
fn a_silent_link_is_given_up_after_its_timeout() {
    let more = ["--repl-timeout", "2", "--repl-ping-replica-period", "1"];
    let (master, replica, link) = linked(limpid_with(&more), limpid_with(&more));
    link.hold();
    ok(&master, "SET a 2");
    assert!(replica.wait_for_log("MASTER timeout", SOON).is_some(), "{}", replica.log_text());
    assert!(master.wait_for_log("Disconnecting timedout replica", SOON).is_some());
    assert!(!is_linked(&replica));
    // The held bytes belong to links that have ended.
    link.cut();
    link.heal();
    await_link(&replica);
    settle(&master, &replica);
    assert_eq!(syncs(&master).full, 1, "{}", master.log_text());
}

/// A replica that reads nothing costs its master no more memory than its limit.
#[test]
fn a_replica_that_falls_too_far_behind_is_cut_and_begins_again() {
    let limits = ["--client-output-buffer-limit", "replica 2mb 0 0", "--repl-backlog-size", "1mb"];
    let (master, replica, link) = linked(limpid_with(&limits), limpid());
    link.hold();
    // Socket buffers between them take some megabytes.
    let mut client = master.connect();
    let value = vec![b'x'; 100_000];
    until("it is cut", || {
        client.call(&[b"SET", b"large", &value]).unwrap();
        count(&master, "connected_slaves") == 0
    });
    assert!(master.wait_for_log("overcoming of output buffer limits", SOON).is_some());
    link.cut();
    link.heal();
    await_link(&replica);
    settle(&master, &replica);
    assert_eq!(syncs(&master).full, 2);
}

/// Replicas that connect together share one snapshot.
#[test]
fn replicas_that_wait_together_get_one_snapshot() {
    let master = Server::start(
        Limpid,
        &["--save", "", "--enable-debug-command", "yes", "--repl-diskless-sync-delay", "3600"],
    );
    ok(&master, "SET a 1");
    let replicas = [limpid(), limpid(), limpid()];
    for replica in &replicas {
        ok(replica, &format!("REPLICAOF 127.0.0.1 {}", master.port()));
    }
    until("they wait", || count(&master, "connected_slaves") == 3);
    ok(&master, "CONFIG SET repl-diskless-sync-delay 1");
    replicas.iter().for_each(await_link);
    replicas.iter().for_each(|replica| settle(&master, replica));
    assert_eq!(syncs(&master).full, 3);
    assert!(master.wait_for_log("Starting BGSAVE for SYNC", SOON).is_some());
    let begun = master.log_text().matches("Starting BGSAVE for SYNC").count();
    assert_eq!(begun, 1, "{}", master.log_text());
}

/// Without replicas the backlog is freed after its timeout, and its history ends.
#[test]
fn the_backlog_ends_with_its_time() {
    let (master, replica, link) = linked(limpid_with(&["--repl-backlog-ttl", "1"]), limpid());
    let id = info(&master, "master_replid");
    link.cut();
    until("the backlog is freed", || count(&master, "repl_backlog_active") == 0);
    assert_ne!(info(&master, "master_replid"), id);
    ok(&master, "SET a 2");
    link.heal();
    await_link(&replica);
    settle(&master, &replica);
    assert_eq!(syncs(&master).full, 2);
}

/// A server that follows itself, or servers that follow each other, cause no harm.
#[test]
fn circles_keep_their_data() {
    let (one, two) = (limpid(), limpid());
    ok(&one, "SET a 1");
    ok(&one, &format!("REPLICAOF 127.0.0.1 {}", one.port()));
    assert!(one.wait_for_log("NOMASTERLINK", SOON).is_some(), "{}", one.log_text());
    assert_eq!(ask(&one, "GET a"), "bulk \"1\"");
    ok(&one, "REPLICAOF NO ONE");
    follow(&two, one.port());
    settle(&one, &two);
    ok(&one, &format!("REPLICAOF 127.0.0.1 {}", two.port()));
    // Each has the other's data, so they may follow each other.
    await_link(&one);
    assert_eq!(ask(&one, "GET a"), "bulk \"1\"");
    let offset = info(&one, "master_repl_offset");
    ok(&one, "REPLICAOF NO ONE");
    assert_eq!(info(&one, "master_repl_offset"), offset, "nothing went round");
    await_link(&two);
    ok(&one, "SET a 2");
    settle(&one, &two);
    assert_eq!(number(&two, "DBSIZE"), 1);
}

/// Repeated changes of the master during writes end in one state.
#[test]
fn masters_that_change_places_under_load_end_equal() {
    let (first, mut replicas) = with_replicas(limpid(), vec![limpid(), limpid()]);
    let (third, second) = (replicas.pop().unwrap(), replicas.pop().unwrap());
    for turn in 0..6 {
        let (old, new) = if turn % 2 == 0 { (&first, &second) } else { (&second, &first) };
        let load = Load::start(old.port(), 20 + turn);
        load.await_commands(300);
        ok(old, &format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 10000", new.port()));
        // The load's remaining writes are refused.
        until("the other is master", || info(new, "role").as_deref() == Some("master"));
        load.stop();
        // A link that was cut may look whole for an instant: who follows has the new master's history.
        let history = info(new, "master_replid");
        until("the others follow", || {
            [old, &third]
                .iter()
                .all(|node| is_linked(node) && info(node, "master_replid") == history)
        });
    }
    settle(&first, &second);
    settle(&first, &third);
    let full: i64 = [&first, &second, &third].map(|server| syncs(server).full).iter().sum();
    assert_eq!(full, 2, "{}", third.log_text());
}

/// Starts a server with the arguments of all the others here.
#[test]
fn a_replica_by_arguments_follows_from_its_start() {
    let master = limpid();
    ok(&master, "SET a 1");
    let port = master.port().to_string();
    let replica = Server::start(Limpid, &args(&["--replicaof", "127.0.0.1", &port]));
    await_link(&replica);
    settle(&master, &replica);
    assert_eq!(ask(&replica, "GET a"), "bulk \"1\"");
}
