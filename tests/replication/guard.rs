//! The guard: a master that restarted without its data wipes no replica, but an intended wipe
//! works.

use std::net::TcpListener;

use crate::handshake::{EMPTY_RDB, Script, listen};
use crate::nodes::{ask, count, info, is_linked, limpid, limpid_with, number, ok, until};
use crate::support::server::Server;

/// Number of keys in the lost data set.
const KEYS: i64 = 200;

/// The replication id of a numbered history.
fn id(number: u64) -> String {
    format!("{number:040x}")
}

/// An RDB with this many keys.
fn rdb(keys: i64) -> Vec<u8> {
    if keys == 0 {
        return EMPTY_RDB.to_vec();
    }
    let server = limpid();
    ok(&server, &format!("DEBUG POPULATE {keys}"));
    ok(&server, "SAVE");
    std::fs::read(server.dir().join("dump.rdb")).unwrap()
}

/// A master played by the test.
struct Master {
    listener: TcpListener,
    port: u16,
}

impl Master {
    fn new() -> Self {
        let (listener, port) = listen();
        Self { listener, port }
    }

    /// Performs the handshake and offers the replica a full resync.
    fn offer(&self, history: u64, rdb: &[u8]) -> Script {
        let (mut script, _) = Script::meet(&self.listener, &[b"+OK\r\n", b"+OK\r\n"]);
        script.send(format!("+FULLRESYNC {} 1000\r\n${}\r\n", id(history), rdb.len()).as_bytes());
        // A refusing replica may close before it has read everything.
        drop(script.link.send_raw(rdb));
        script
    }

    /// Offers a full resync that the replica must refuse by hanging up.
    fn offer_in_vain(&self, history: u64, rdb: &[u8]) {
        let mut script = self.offer(history, rdb);
        let (said, closed) = script.link.read_to_end();
        assert!(closed, "it stays, and says {}", said.escape_ascii());
    }
}

/// A replica that has loaded [`KEYS`] keys of history 1, and its link.
fn linked(replica: Server) -> (Master, Server, Script) {
    let master = Master::new();
    ok(&replica, &format!("REPLICAOF 127.0.0.1 {}", master.port));
    let link = master.offer(1, &rdb(KEYS));
    // One that loads in place answers LOADING until then.
    until("it follows", || is_linked(&replica));
    assert_eq!(number(&replica, "DBSIZE"), KEYS);
    (master, replica, link)
}

/// The same, and its link is lost.
fn following(replica: Server) -> (Master, Server) {
    let (master, replica, _link) = linked(replica);
    (master, replica)
}

fn refused(replica: &Server) -> Option<String> {
    info(replica, "master_refused_replid")
}

#[test]
fn an_empty_master_of_an_unknown_history_is_refused_and_the_survivor_can_be_promoted() {
    let (master, replica) = following(limpid());
    master.offer_in_vain(2, &rdb(0));
    until("it is refused", || refused(&replica) == Some(id(2)));
    assert_eq!(number(&replica, "DBSIZE"), KEYS);
    let said = replica.wait_for_log("Refused to synchronise", std::time::Duration::from_secs(5));
    assert!(said.is_some_and(|line| line.contains("REPLICAOF NO ONE")));
    // The same history stays refused, whatever its data by now.
    let (mut script, _) = Script::meet(&master.listener, &[b"+OK\r\n", b"+OK\r\n"]);
    script.send(format!("+FULLRESYNC {} 1000\r\n", id(2)).as_bytes());
    assert!(script.link.read_to_end().1);
    ok(&replica, "REPLICAOF NO ONE");
    assert_eq!(number(&replica, "DBSIZE"), KEYS);
    ok(&replica, "SET a 1");
}

#[test]
fn a_master_with_a_small_share_of_the_keys_is_refused_and_one_with_more_is_not() {
    let (master, replica) = following(limpid());
    master.offer_in_vain(2, &rdb(KEYS / 10 - 1));
    until("it is refused", || refused(&replica) == Some(id(2)));
    assert_eq!(number(&replica, "DBSIZE"), KEYS);
    let _link = master.offer(3, &rdb(KEYS / 10));
    until("it is taken over", || is_linked(&replica));
    assert_eq!(number(&replica, "DBSIZE"), KEYS / 10);
    assert_eq!(refused(&replica), None);
}

#[test]
fn a_known_history_that_is_empty_was_flushed_on_purpose() {
    let (master, replica) = following(limpid());
    let _link = master.offer(1, &rdb(0));
    until("it is taken over", || number(&replica, "DBSIZE") == 0);
}

#[test]
fn another_master_and_the_same_one_named_again_are_what_an_operator_wants() {
    let (master, replica) = following(limpid());
    master.offer_in_vain(2, &rdb(0));
    until("it is refused", || refused(&replica) == Some(id(2)));
    let again = format!("REPLICAOF 127.0.0.1 {}", master.port);
    assert_eq!(ask(&replica, &again), "simple \"OK Already connected to specified master\"");
    let _link = master.offer(2, &rdb(0));
    until("it is taken over", || number(&replica, "DBSIZE") == 0);

    let (_master, replica) = following(limpid());
    let other = Master::new();
    ok(&replica, &format!("REPLICAOF 127.0.0.1 {}", other.port));
    let _link = other.offer(2, &rdb(0));
    until("it is taken over", || number(&replica, "DBSIZE") == 0);
}

#[test]
fn the_guard_can_be_switched_off() {
    let (master, replica) = following(limpid_with(&["--replica-empty-master-guard", "no"]));
    let _link = master.offer(2, &rdb(0));
    until("it is taken over", || number(&replica, "DBSIZE") == 0);
}

#[test]
fn the_guard_holds_over_a_restart_of_the_replica() {
    let folder = tempfile::TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap().to_owned();
    let (master, replica, link) = linked(limpid_with(&["--dir", &dir]));
    ok(&replica, "SAVE");
    // In this order: without its link it would connect again before its end.
    drop(replica);
    drop(link);
    let port = master.port.to_string();
    let replica = limpid_with(&["--dir", &dir, "--replicaof", "127.0.0.1", &port]);
    master.offer_in_vain(2, &rdb(0));
    until("it is refused", || refused(&replica) == Some(id(2)));
    assert_eq!(number(&replica, "DBSIZE"), KEYS);
}

#[test]
fn a_spooled_resync_is_guarded_as_well() {
    let (master, replica) = following(limpid_with(&["--replica-full-sync", "spool"]));
    master.offer_in_vain(2, &rdb(0));
    until("it is refused", || refused(&replica) == Some(id(2)));
    assert_eq!(number(&replica, "DBSIZE"), KEYS);
}

/// Each restart begins another history, and the replica retries soon enough to see them all.
#[test]
#[ignore = "takes a minute"]
fn a_hundred_restarts_of_an_empty_master_wipe_nothing() {
    let (master, replica) = following(limpid());
    let empty = rdb(0);
    for history in 2..102 {
        master.offer_in_vain(history, &empty);
        assert_eq!(number(&replica, "DBSIZE"), KEYS);
    }
    until("the last is refused", || refused(&replica) == Some(id(101)));
    assert_eq!(count(&replica, "master_link_down_since_seconds").signum(), 1);
}
