//! FAILOVER: a master hands its role over, and no acknowledged write is lost.

use crate::nodes::{
    ask, follow, freeze, info, is_linked, limpid, number, ok, percentiles, say, settle, start,
    syncs, until, until_some, with_replicas,
};
use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::Reply;
use crate::support::server::Program::{self, Limpid, Redis};
use crate::support::server::Server;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const RUNS: u64 = 50;

/// Writes to whichever of two servers accepts it, until stopped.
#[derive(Debug, Default)]
struct Writing {
    over: AtomicBool,
    /// All lower numbers are acknowledged.
    acknowledged: AtomicU64,
}

impl Writing {
    fn run(&self, ports: [u16; 2]) {
        let mut at = 0;
        let mut client = Connection::tcp(ports[at]).unwrap();
        while !self.over.load(Ordering::Relaxed) {
            let number = self.acknowledged.load(Ordering::Relaxed);
            let (key, value) = (format!("n:{number}"), number.to_string());
            match client.call(&[b"SET", key.as_bytes(), value.as_bytes()]) {
                Ok(Reply::Simple(_)) => {
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Reply::Error(text)) if !text.starts_with(b"READONLY") => {
                    panic!("refused: {}", String::from_utf8_lossy(&text));
                }
                _ => {
                    at = 1 - at;
                    client = Connection::tcp(ports[at]).unwrap();
                }
            }
        }
    }
}

/// The time of the first write that a server accepts after `began`.
fn first_write(server: &Server, began: Instant) -> Duration {
    let mut client = server.connect();
    until_some("a write is taken", || {
        let taken = say(&mut client, "SET probe 1") == "simple \"OK\"";
        taken.then(|| began.elapsed())
    })
}

#[test]
fn hands_over_fifty_times_while_a_client_writes() {
    let (master, mut replicas) = with_replicas(limpid(), vec![limpid()]);
    let nodes = [master, replicas.pop().unwrap()];
    let full = || nodes.iter().map(|node| syncs(node).full).sum::<i64>();
    let before = full();
    let writing = Writing::default();
    let ports = [nodes[0].port(), nodes[1].port()];
    let mut times = Vec::new();
    thread::scope(|scope| {
        let writer = scope.spawn(|| writing.run(ports));
        for run in 0..RUNS {
            let (old, new) = (&nodes[run as usize % 2], &nodes[1 - run as usize % 2]);
            let seen = writing.acknowledged.load(Ordering::Relaxed);
            until("the client writes", || {
                assert!(!writer.is_finished(), "the writer has failed");
                writing.acknowledged.load(Ordering::Relaxed) > seen + 20
            });
            let began = now();
            ok(old, &format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 10000", new.port()));
            times.push(first_write(new, began));
            until("the old master follows", || {
                info(old, "master_failover_state").as_deref() == Some("no-failover")
                    && is_linked(old)
            });
        }
        writing.over.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
    assert_eq!(full(), before, "no full resync");
    let (last, other) = (&nodes[RUNS as usize % 2], &nodes[1 - RUNS as usize % 2]);
    settle(last, other);
    let mut client = last.connect();
    for number in 0..writing.acknowledged.load(Ordering::Relaxed) {
        assert_eq!(say(&mut client, &format!("GET n:{number}")), format!("bulk \"{number}\""));
    }
    let (p50, p99, max) = percentiles(&mut times);
    println!("first write after FAILOVER: {p50:.1} ms (p50), {p99:.1} ms (p99), {max:.1} ms");
    assert!(p99 <= 100.0, "99 of 100 failovers are over within {p99} ms");
}

/// A master with a stopped, lagging replica.
fn with_a_stopped_replica() -> (Server, Server) {
    let (master, mut replicas) = with_replicas(limpid(), vec![limpid()]);
    let replica = replicas.pop().unwrap();
    ok(&master, "SET a 1");
    settle(&master, &replica);
    freeze(&replica);
    ok(&master, "SET a 2");
    (master, replica)
}

fn state(server: &Server) -> String {
    info(server, "master_failover_state").unwrap()
}

#[test]
fn can_be_aborted() {
    let (master, replica) = with_a_stopped_replica();
    let mut writer = master.connect();
    ok(&master, "FAILOVER");
    assert_eq!(state(&master), "waiting-for-sync");
    assert_eq!(ask(&master, "FAILOVER"), "error \"ERR FAILOVER already in progress.\"");
    // Writes wait, reads do not.
    writer.send_raw(b"SET a 3\r\n").unwrap();
    assert_eq!(ask(&master, "GET a"), "bulk \"2\"");
    assert!(writer.read_for(Duration::from_millis(50)).unwrap().is_empty());
    ok(&master, "FAILOVER ABORT");
    assert_eq!(writer.read_reply().unwrap().to_string(), "simple \"OK\"");
    assert_eq!(state(&master), "no-failover");
    assert_eq!(ask(&master, "FAILOVER ABORT"), "error \"ERR No failover in progress.\"");
    replica.signal("CONT");
    settle(&master, &replica);
    assert_eq!(syncs(&master).full, 1);
}

#[test]
fn ends_with_its_timeout() {
    let (master, replica) = with_a_stopped_replica();
    let began = now();
    ok(&master, "FAILOVER TIMEOUT 300");
    // The next write waits for it.
    ok(&master, "SET a 3");
    // The server's clock counts whole milliseconds, and one had begun.
    assert!(began.elapsed() >= Duration::from_millis(299), "{:?}", began.elapsed());
    assert_eq!(state(&master), "no-failover");
    assert_eq!(info(&master, "role").as_deref(), Some("master"));
    replica.signal("CONT");
    settle(&master, &replica);
}

#[test]
fn forced_goes_on_without_what_the_target_lacks() {
    let (master, replica) = with_a_stopped_replica();
    ok(&master, &format!("FAILOVER TO 127.0.0.1 {} FORCE TIMEOUT 200", replica.port()));
    until("it is in progress", || state(&master) == "failover-in-progress");
    replica.signal("CONT");
    until("the target is master", || info(&replica, "role").as_deref() == Some("master"));
    until("the old master follows it", || state(&master) == "no-failover" && is_linked(&master));
    ok(&replica, "SET a 4");
    settle(&replica, &master);
}

#[test]
fn aborted_in_progress_it_leaves_a_master() {
    let (master, replica) = with_a_stopped_replica();
    ok(&master, &format!("FAILOVER TO 127.0.0.1 {} FORCE TIMEOUT 100", replica.port()));
    until("it is in progress", || state(&master) == "failover-in-progress");
    ok(&master, "FAILOVER ABORT");
    assert_eq!(state(&master), "no-failover");
    assert_eq!(info(&master, "role").as_deref(), Some("master"));
    ok(&master, "SET a 3");
}

/// Compares with Redis's replies: on a master with a replica, on one without, and on a replica.
#[test]
#[ignore = "needs redis-server 7.0.15"]
fn is_refused_with_the_texts_of_redis() {
    let sides = [Redis, Limpid].map(|program| {
        let (master, replicas) = with_replicas(start(program), vec![start(program)]);
        let alone = start(program);
        let mut said = Vec::new();
        for command in [
            "FAILOVER ABORT",
            "FAILOVER TO 127.0.0.1 1",
            "FAILOVER TO localhost 1 TIMEOUT 10",
            "FAILOVER TO 127.0.0.1",
            "FAILOVER TO 127.0.0.1 x",
            "FAILOVER TO 127.0.0.1 1 FORCE",
            "FAILOVER TO 127.0.0.1 1 TO 127.0.0.1 2",
            "FAILOVER FORCE",
            "FAILOVER FORCE TIMEOUT 10",
            "FAILOVER TIMEOUT",
            "FAILOVER TIMEOUT 0",
            "FAILOVER TIMEOUT -1",
            "FAILOVER TIMEOUT x",
            "FAILOVER TIMEOUT 10 TIMEOUT 10",
            "FAILOVER ABORT TIMEOUT 10",
            "FAILOVER NOSUCH",
            "FAILOVER TO 127.0.0.1 99999",
            "FAILOVER TO 127.0.0.1 -1",
        ] {
            for (name, server) in
                [("master", &master), ("replica", &replicas[0]), ("alone", &alone)]
            {
                said.push(format!("{name}: {command}: {}", ask(server, command)));
            }
        }
        said.push(ask(&alone, "FAILOVER"));
        said.push(ask(&alone, "FAILOVER TIMEOUT 10"));
        said
    });
    for (redis, limpid) in sides[0].iter().zip(&sides[1]) {
        assert_eq!(redis, limpid);
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn hands_over_to_redis_and_back() {
    let (limpid, replicas) = with_replicas(limpid(), vec![start(Redis)]);
    let redis = &replicas[0];
    for turn in 0..3 {
        for (old, new) in [(&limpid, redis), (redis, &limpid)] {
            ok(old, &format!("SET a {turn}"));
            ok(old, &format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 20000", new.port()));
            until("the other is master", || info(new, "role").as_deref() == Some("master"));
            until("the old master follows", || state(old) == "no-failover" && is_linked(old));
            number(new, "INCR count");
        }
    }
    settle(&limpid, redis);
    assert_eq!(number(&limpid, "DBSIZE"), 2);
    assert_eq!(syncs(&limpid).full + syncs(redis).full, 1);
}

/// Another replica of the old master continues with the old or the new one, without a full resync.
fn keeps_a_third(third: Program) {
    let (master, replicas) = with_replicas(limpid(), vec![limpid(), start(third)]);
    let (new, third) = (&replicas[0], &replicas[1]);
    ok(&master, "SET a 1");
    settle(&master, third);
    ok(&master, &format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 20000", new.port()));
    until("the old master follows", || state(&master) == "no-failover" && is_linked(&master));
    until("the third is attached again", || syncs(&master).partial == 1 && is_linked(third));
    ok(new, "SET a 2");
    settle(new, &master);
    settle(&master, third);
    follow(third, new.port());
    ok(new, "SET a 3");
    settle(new, third);
    assert_eq!(syncs(&master).full + syncs(new).full, 2);
}

#[test]
fn keeps_a_third_limpid() {
    keeps_a_third(Limpid);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn keeps_a_third_redis() {
    keeps_a_third(Redis);
}

#[test]
fn ends_the_wait_of_a_client() {
    let (master, replica) = with_a_stopped_replica();
    let mut client = master.connect();
    say(&mut client, "SET a 3");
    client.send_raw(b"WAIT 1 0\r\n").unwrap();
    until("the client waits", || info(&master, "blocked_clients").as_deref() == Some("1"));
    ok(&master, &format!("FAILOVER TO 127.0.0.1 {} FORCE TIMEOUT 100", replica.port()));
    let reply = client.read_reply().unwrap().to_string();
    assert!(reply.starts_with("error \"UNBLOCKED force unblock"), "{reply}");
    replica.signal("CONT");
    until("the old master follows", || state(&master) == "no-failover" && is_linked(&master));
}

/// Transactions with writes wait as a whole, and are then refused as a whole.
#[test]
fn refuses_transactions_as_a_whole() {
    let (master, mut replicas) = with_replicas(limpid(), vec![limpid()]);
    let replica = replicas.pop().unwrap();
    let mut client = master.connect();
    for command in ["MULTI", "SET a 1", "SET b 1"] {
        say(&mut client, command);
    }
    freeze(&replica);
    ok(&master, "SET c 1");
    ok(&master, "FAILOVER");
    client.send_raw(b"EXEC\r\n").unwrap();
    assert!(client.read_for(Duration::from_millis(50)).unwrap().is_empty());
    replica.signal("CONT");
    let reply = client.read_reply().unwrap().to_string();
    assert!(reply.contains("READONLY"), "{reply}");
    until("the old master follows", || state(&master) == "no-failover" && is_linked(&master));
    settle(&replica, &master);
    assert_eq!(number(&replica, "DBSIZE"), 1);
}
