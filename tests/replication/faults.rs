//! Faulty links: aborted or damaged full resyncs, invalid streams, and replicas that read nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::handshake::{Script, listen};
use crate::nodes::{
    SOON, ask, await_link, count, info, limpid, limpid_with, number, ok, until, words,
};
use crate::support::connection::Connection;
use crate::support::now;
use crate::support::server::Server;

const KEYS: i64 = 500;
const ABORTED: u64 = 1000;
/// Timeout for all rounds of a test.
const LONG: Duration = Duration::from_secs(300);
const ID: &str = "0123456789abcdef0123456789abcdef01234567";

/// Pseudo-random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

/// The RDB of a server with other data.
fn rdb() -> Vec<u8> {
    let server = limpid();
    ok(&server, "DEBUG POPULATE 400 other 40");
    ok(&server, "SAVE");
    std::fs::read(server.dir().join("dump.rdb")).unwrap()
}

/// A full resync from a master, damaged or truncated at random.
fn damaged(random: &mut Random, rdb: &[u8]) -> Vec<u8> {
    let mut rdb = rdb.to_vec();
    let kind = random.below(4);
    match kind {
        0 => {
            let at = random.below(rdb.len());
            rdb[at] ^= 1 << random.below(8);
        }
        1 => {
            let version = b"0013009900810000";
            let at = 4 * random.below(version.len() / 4);
            rdb[5..9].copy_from_slice(&version[at..at + 4]);
        }
        2 => {
            // The length header matches the truncated RDB.
            rdb.truncate(random.below(rdb.len()));
        }
        _ => {}
    }
    let mark = "m".repeat(40);
    let mut bytes = match random.below(2) {
        0 => [format!("${}\r\n", rdb.len()).as_bytes(), &rdb].concat(),
        _ => [format!("$EOF:{mark}\r\n").as_bytes(), &rdb, mark.as_bytes()].concat(),
    };
    if kind == 3 {
        bytes.truncate(random.below(bytes.len() - 1));
    }
    bytes
}

/// Reads keys until stopped; returns how many.
fn read_on(replica: &Server, over: &Arc<AtomicBool>) -> thread::JoinHandle<u64> {
    let (mut client, over) = (replica.connect(), Arc::clone(over));
    thread::spawn(move || {
        let mut read = 0;
        while !over.load(Ordering::Relaxed) {
            let key = format!("key:{}", read % KEYS as u64);
            let reply = client.call(&[b"GET", key.as_bytes()]).unwrap();
            let value = format!("value:{}", read % KEYS as u64);
            assert_eq!(reply.to_string(), format!("bulk \"{value}\""), "{key}");
            read += 1;
        }
        read
    })
}

fn aborted_full_syncs(more: &[&str], rounds: u64) {
    let replica = limpid_with(more);
    ok(&replica, &format!("DEBUG POPULATE {KEYS}"));
    let digest = ask(&replica, "DEBUG DIGEST");
    let (listener, port) = listen();
    let over = Arc::new(AtomicBool::new(false));
    let reader = read_on(&replica, &over);
    let played = Arc::new(AtomicU64::new(0));
    let master = {
        let (rdb, played) = (rdb(), Arc::clone(&played));
        thread::spawn(move || {
            let mut random = Random(7);
            for round in 0..rounds {
                let (mut script, _) = Script::meet(&listener, &[b"+OK\r\n", b"+OK\r\n"]);
                let bytes = damaged(&mut random, &rdb);
                script.send(format!("+FULLRESYNC {ID} {round}\r\n").as_bytes());
                // The replica may have closed the link already.
                drop(script.link.send_raw(&bytes));
                played.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let follow = format!("REPLICAOF 127.0.0.1 {port}");
    ok(&replica, &follow);
    let deadline = now() + LONG;
    while !master.is_finished() {
        // Skips the wait before the next try.
        assert!(ask(&replica, &follow).starts_with("simple \"OK"), "it is asked to try again");
        assert!(now() < deadline, "{} of {rounds}", played.load(Ordering::Relaxed));
        thread::sleep(Duration::from_millis(2));
    }
    master.join().unwrap();
    over.store(true, Ordering::Relaxed);
    let read = reader.join().unwrap();
    assert!(read > rounds, "{read} reads");
    assert_eq!(number(&replica, "DBSIZE"), KEYS);
    assert_eq!(ask(&replica, "DEBUG DIGEST"), digest);
    assert_eq!(played.load(Ordering::Relaxed), rounds);
}

#[test]
fn full_syncs_that_break_or_are_damaged_lose_nothing() {
    aborted_full_syncs(&["--replica-full-sync", "beside"], ABORTED);
}

#[test]
fn spooled_full_syncs_that_break_or_are_damaged_lose_nothing() {
    aborted_full_syncs(&["--replica-full-sync", "spool"], ABORTED / 4);
}

#[test]
fn random_bytes_on_a_link_change_nothing_and_it_is_made_again() {
    let (listener, port) = listen();
    let replica = limpid();
    ok(&replica, &format!("REPLICAOF 127.0.0.1 {port}"));
    let rdb = rdb();
    let mut random = Random(11);
    let mut digest = None;
    for round in 0..100 {
        let (mut script, heard) = Script::meet(&listener, &[b"+OK\r\n", b"+OK\r\n"]);
        let partial = heard[3].starts_with(&format!("PSYNC {ID} "));
        if partial {
            script.send(b"+CONTINUE\r\n");
        } else {
            script.send(format!("+FULLRESYNC {ID} 0\r\n${}\r\n", rdb.len()).as_bytes());
            script.send(&rdb);
        }
        await_link(&replica);
        let digest = digest.get_or_insert_with(|| ask(&replica, "DEBUG DIGEST"));
        // Random bytes may begin a command that never ends, so a line terminates them.
        let len = random.below(3000) + 1;
        let bytes = [&b"\x01"[..], &random.bytes(len), b"\r\n"].concat();
        drop(script.link.send_raw(&bytes));
        until("the link is given up", || {
            info(&replica, "master_link_status").as_deref() == Some("down")
        });
        assert_eq!(ask(&replica, "DEBUG DIGEST"), *digest, "round {round}");
        let again = format!("REPLICAOF 127.0.0.1 {port}");
        assert!(ask(&replica, &again).starts_with("simple \"OK"), "it is asked to try again");
    }
}

/// The replica's pending bytes may grow up to its limit, and no further.
#[test]
fn a_replica_that_takes_nothing_is_cut_at_its_limit_and_memory_comes_back() {
    const LIMIT: i64 = 8 << 20;
    let master = limpid_with(&[
        "--client-output-buffer-limit",
        "replica 8mb 0 0",
        "--repl-backlog-size",
        "1mb",
    ]);
    let mut idle = Connection::tcp(master.port()).unwrap();
    for command in ["REPLCONF listening-port 1", "REPLCONF capa psync2", "PSYNC ? -1"] {
        idle.send(&words(command)).unwrap();
    }
    until("it is online", || info(&master, "slave0").is_some_and(|is| is.contains("online")));
    let most = Mutex::new(0);
    let value = "v".repeat(64 * 1024);
    let mut client = master.connect();
    until("it is cut", || {
        assert_eq!(
            client.call(&[b"SET", b"a", value.as_bytes()]).unwrap().to_string(),
            "simple \"OK\""
        );
        let mut most = most.lock().unwrap();
        *most = count(&master, "mem_replication_backlog").max(*most);
        count(&master, "connected_slaves") == 0
    });
    let most = *most.lock().unwrap();
    // Checked ten times a second, the limit may be exceeded in between.
    assert!(most < 4 * LIMIT, "{most} bytes");
    assert_eq!(count(&master, "client_output_buffer_limit_disconnections"), 1);
    assert_eq!(count(&master, "replicas_cut_by_output_limit"), 1);
    ok(&master, "SET a 1");
    until("memory comes back", || {
        client.call(&[b"SET", b"a", value.as_bytes()]).unwrap();
        count(&master, "mem_replication_backlog") < 2 << 20
    });
    drop(idle);
}

/// What is written after a replica was killed is not for it, even in the same transaction.
#[test]
fn a_replica_that_was_killed_gets_nothing_more() {
    let (master, replica) = (limpid_with(&["--repl-backlog-size", "1mb"]), limpid());
    ok(&replica, &format!("REPLICAOF 127.0.0.1 {}", master.port()));
    await_link(&replica);
    let mut client = master.connect();
    let value = "v".repeat(100_000);
    client.send(&[b"MULTI"]).unwrap();
    client.send(&words("CLIENT KILL TYPE replica")).unwrap();
    client.send(&words("INFO replication")).unwrap();
    // More than the backlog holds.
    for number in 0..40 {
        client.send(&[b"SET", format!("k{number}").as_bytes(), value.as_bytes()]).unwrap();
    }
    client.send(&[b"EXEC"]).unwrap();
    (0..43).for_each(|_| drop(client.read_reply().unwrap()));
    let replies = client.read_reply().unwrap().to_string();
    assert!(replies.contains("connected_slaves:0"), "{replies}");
    until("it lacks what was written", || count(&master, "sync_full") == 2);
    until("it has it", || number(&replica, "DBSIZE") == 40);
}

/// A full resync to a slow receiver costs disk, not memory, and completes.
#[test]
fn a_slow_receiver_of_a_full_resync_gets_it_whole() {
    let master = limpid();
    ok(&master, "DEBUG POPULATE 60 big 1000000");
    let mut slow = Connection::tcp(master.port()).unwrap();
    slow.set_timeout(Duration::from_secs(20)).unwrap();
    for command in ["REPLCONF listening-port 1", "REPLCONF capa eof", "PSYNC ? -1"] {
        slow.send(&words(command)).unwrap();
    }
    // The snapshot is walked to its end while the receiver reads nothing.
    let done = master.wait_for_log("Background saving terminated with success", SOON);
    assert!(done.is_some(), "{}", master.log_text());
    assert_eq!(count(&master, "sync_full"), 1);
    let replica = limpid();
    ok(&replica, &format!("REPLICAOF 127.0.0.1 {}", master.port()));
    await_link(&replica);
    assert_eq!(number(&replica, "DBSIZE"), 60);
    // The slow one has been waiting all along.
    for _ in 0..3 {
        slow.read_line().unwrap();
    }
    let line = loop {
        let line = slow.read_line().unwrap();
        if line.starts_with(b"$EOF:") {
            break line;
        }
    };
    let mark = line[5..45].to_vec();
    let mut bytes = Vec::new();
    while !bytes.ends_with(&mark) {
        bytes.extend(slow.read_for(Duration::from_millis(20)).unwrap());
    }
    assert!(bytes.starts_with(b"REDIS0010"));
}

/// With a delay like the default's, replicas wait for one another, but not for ever.
#[test]
fn replicas_that_come_together_share_one_snapshot() {
    let master = limpid_with(&["--repl-diskless-sync-delay", "3600"]);
    ok(&master, "DEBUG POPULATE 10");
    let replicas = [limpid(), limpid()];
    for replica in &replicas {
        ok(replica, &format!("REPLICAOF 127.0.0.1 {}", master.port()));
    }
    // However long the second one took.
    until("both wait", || count(&master, "connected_slaves") == 2);
    ok(&master, "CONFIG SET repl-diskless-sync-delay 2");
    replicas.iter().for_each(await_link);
    assert!(master.wait_for_log("Starting BGSAVE for SYNC", SOON).is_some());
    let log = master.log_text();
    assert_eq!(log.matches("Starting BGSAVE for SYNC").count(), 1, "{log}");
}
