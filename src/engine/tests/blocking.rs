//! Clients that wait for lists: who is served, by what, in which order; and that nothing is lost or
//! served twice where several workers race.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::engine::batch::After;
use crate::engine::fixture::Fixture;
use crate::engine::{Engine, Executor};
use crate::keyspace::ShardSet;
use crate::node::client::{Client, Handle, Origin};
use crate::resp::Parser;
use crate::settings::{LocalAccess, MasterAddress, Settings};

#[test]
fn who_came_first_is_served_first() {
    Fixture::new().transcript(
        "
        a: BLPOP k 0 -> <wait>
        b: BRPOP other k 0 -> <wait>
        c: BLMPOP 0 2 other k LEFT COUNT 2 -> <wait>
        p: RPUSH k 1 2 3 4 5 -> :5
        a: (reads) -> *2 $1 k $1 1
        b: (reads) -> *2 $1 k $1 5
        c: (reads) -> *2 $1 k *2 $1 2 $1 3
        p: LRANGE k 0 -1 -> *1 $1 4
        p: RPUSH other x -> :1
        p: LLEN other -> :1
        ",
    );
}

#[test]
fn nobody_is_served_what_expired_within_the_transaction_that_made_it() {
    let mut settings = Settings::default();
    settings.security.enable_debug_command = LocalAccess::Yes;
    let mut fixture = Fixture::with(settings, &[]);
    fixture.node().sweeping.store(false, Ordering::Relaxed);
    fixture.transcript(
        "
        a: BLPOP k 0 -> <wait>
        p: MULTI -> +OK
        p: RPUSH k v -> +QUEUED
        p: PEXPIRE k 100 -> +QUEUED
        p: DEBUG SLEEP 0.2 -> +QUEUED
        p: EXEC -> *3 :1 :1 +OK
        a: (reads) -> <wait>
        p: RPUSH k w -> :1
        a: (reads) -> *2 $1 k $1 w
        ",
    );
}

#[test]
fn a_group_behind_those_who_wait_for_lists_hears_that_its_stream_is_gone() {
    Fixture::new().transcript(
        "
        a: BLPOP k 0 -> <wait>
        b: BLPOP k 0 -> <wait>
        p: XADD k 1-1 f v -> $3 1-1
        p: XGROUP CREATE k g $ -> +OK
        c: XREADGROUP GROUP g c BLOCK 0 STREAMS k > -> <wait>
        d: XREADGROUP GROUP g d BLOCK 0 STREAMS k > -> <wait>
        p: MULTI -> +OK
        p: DEL k -> +QUEUED
        p: RPUSH k 1 -> +QUEUED
        p: EXEC -> *2 :1 :1
        a: (reads) -> *2 $1 k $1 1
        b: (reads) -> <wait>
        c: (reads) -> -UNBLOCKED the stream key no longer exists
        d: (reads) -> -UNBLOCKED the stream key no longer exists
        p: RPUSH k 2 -> :1
        b: (reads) -> *2 $1 k $1 2
        ",
    );
}

#[test]
fn a_chain_of_moves_is_served_to_its_end() {
    Fixture::new().transcript(
        "
        a: BLMOVE k1 k2 LEFT RIGHT 0 -> <wait>
        b: BLMOVE k2 k3 LEFT RIGHT 0 -> <wait>
        c: BRPOPLPUSH k3 k4 0 -> <wait>
        d: BLPOP k4 0 -> <wait>
        p: RPUSH k1 v -> :1
        a: (reads) -> $1 v
        b: (reads) -> $1 v
        c: (reads) -> $1 v
        d: (reads) -> *2 $2 k4 $1 v
        p: EXISTS k1 k2 k3 k4 -> :0
        # A ring comes to rest once all have been served.
        a: BLMOVE k1 k2 LEFT RIGHT 0 -> <wait>
        b: BLMOVE k2 k1 LEFT RIGHT 0 -> <wait>
        p: RPUSH k1 v -> :1
        a: (reads) -> $1 v
        b: (reads) -> $1 v
        p: LRANGE k1 0 -1 -> *1 $1 v
        ",
    );
}

#[test]
fn a_move_to_another_type_is_an_error_and_leaves_the_element_to_the_next() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        p: SET text x -> +OK
        a: BLMOVE k text LEFT RIGHT 0 -> <wait>
        b: BLPOP k 0 -> <wait>
        p: RPUSH k 1 -> :1
        a: (reads) -> -WRONGTYPE Operation against a key holding the wrong kind of value
        b: (reads) -> *2 $1 k $1 1
        ",
    );
    assert!(fixture.run("p", "INFO errorstats").contains("errorstat_WRONGTYPE:count=1"));
}

#[test]
fn a_transaction_serves_when_it_ends() {
    Fixture::new().transcript(
        "
        a: BLPOP k 0 -> <wait>
        p: MULTI -> +OK
        p: RPUSH k 1 -> +QUEUED
        p: DEL k -> +QUEUED
        p: RPUSH k 2 -> +QUEUED
        p: LLEN k -> +QUEUED
        p: EXEC -> *4 :1 :1 :1 :1
        a: (reads) -> *2 $1 k $1 2
        p: LLEN k -> :0
        # Within one, nobody waits.
        a: MULTI -> +OK
        a: BLPOP k 0 -> +QUEUED
        a: BLMOVE k k LEFT LEFT 0 -> +QUEUED
        a: BRPOPLPUSH k k 0 -> +QUEUED
        a: BLMPOP 0 1 k LEFT -> +QUEUED
        a: EXEC -> *4 *-1 $-1 $-1 *-1
        ",
    );
}

#[test]
fn whatever_adds_a_list_serves() {
    Fixture::new().transcript(
        "
        p: RPUSH list 1 -> :1
        a: BLPOP k 0 -> <wait>
        p: RENAME list k -> +OK
        a: (reads) -> *2 $1 k $1 1
        p: RPUSH list 2 -> :1
        a: BLPOP k 0 -> <wait>
        p: COPY list k -> :1
        a: (reads) -> *2 $1 k $1 2
        a: SELECT 1 -> +OK
        a: BLPOP list 0 -> <wait>
        p: SWAPDB 0 1 -> +OK
        a: (reads) -> *2 $4 list $1 2
        ",
    );
}

#[test]
fn a_key_of_another_type_serves_nobody_and_does_not_end_the_wait() {
    Fixture::new().transcript(
        "
        a: BLPOP k 0 -> <wait>
        p: SET k text -> +OK
        a: (reads) -> <wait>
        p: DEL k -> :1
        p: SADD k m -> :1
        a: (reads) -> <wait>
        p: DEL k -> :1
        p: LPUSH k v -> :1
        a: (reads) -> *2 $1 k $1 v
        ",
    );
}

#[test]
fn time_ends_a_wait() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        a: BLPOP k 0.5 -> <wait>
        b: BLMOVE k k LEFT LEFT 0.5 -> <wait>
        ",
    );
    fixture.clock.advance_ms(499);
    fixture.transcript("a: (reads) -> <wait>");
    fixture.clock.advance_ms(2);
    fixture.transcript(
        "
        a: (reads) -> *-1
        b: (reads) -> *-1
        p: RPUSH k 1 -> :1
        p: LLEN k -> :1
        ",
    );
}

#[test]
fn who_is_unblocked_or_killed_is_not_served_any_more() {
    let mut fixture = Fixture::new();
    let ids = ["a", "b", "c"].map(|name| fixture.client(name).handle.origin.id);
    fixture.transcript(
        "
        a: BLPOP k 0 -> <wait>
        b: BLPOP k 0 -> <wait>
        c: BLPOP k 0 -> <wait>
        d: BLPOP k 0 -> <wait>
        ",
    );
    assert_eq!(fixture.run("p", &format!("CLIENT UNBLOCK {}", ids[0])), ":1");
    assert_eq!(fixture.run("p", &format!("CLIENT UNBLOCK {}", ids[0])), ":0");
    assert_eq!(fixture.run("p", &format!("CLIENT UNBLOCK {} ERROR", ids[1])), ":1");
    assert_eq!(fixture.run("p", &format!("CLIENT KILL ID {}", ids[2])), ":1");
    fixture.transcript(
        "
        p: RPUSH k 1 -> :1
        a: (reads) -> *-1
        b: (reads) -> -UNBLOCKED client unblocked via CLIENT UNBLOCK
        d: (reads) -> *2 $1 k $1 1
        p: LLEN k -> :0
        a: BLPOP k 0 -> <wait>
        p: RPUSH k 2 -> :1
        a: (reads) -> *2 $1 k $1 2
        ",
    );
    assert_eq!(fixture.node().blocked.clients(), 1, "the killed one's connection has not gone");
    fixture.disconnect("c");
    assert_eq!(fixture.node().blocked.clients(), 0);
}

#[test]
fn who_waits_while_the_node_becomes_a_replica_is_sent_away() {
    let mut fixture = Fixture::new();
    fixture.transcript("a: BLPOP k 0 -> <wait>");
    let master = MasterAddress { host: "127.0.0.1".into(), port: 1 };
    let mut guard = fixture.engine.node.keyspace.lock(ShardSet::ALL);
    fixture.engine.node.follow(&guard.locked(), master);
    drop(guard);
    let text = "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> \
                replica?)";
    assert_eq!(fixture.send("a", b""), text);
    assert!(fixture.client("a").closing);
}

/// A worker with its clients, on a thread of its own.
struct Worker {
    executor: Executor,
    clients: Vec<Client>,
    /// What the clients were given.
    received: Vec<String>,
}

impl Worker {
    fn new(engine: &Arc<Engine>, index: usize, clients: usize) -> Self {
        let client = |number: usize| {
            let id = (100 * (index + 1) + number) as u64;
            let handle = Handle::new(Origin { id, ..Origin::default() });
            Client::new(Arc::new(handle), &engine.node.acl)
        };
        Self {
            executor: Executor::new(Arc::clone(engine), index, index as u64 + 1),
            clients: (0..clients).map(client).collect(),
            received: Vec::new(),
        }
    }

    /// Runs a line; whether the client then waits.
    fn run(&mut self, client: usize, line: &str) -> bool {
        let line = format!("{line}\r\n");
        let client = &mut self.clients[client];
        let ran = self.executor.run(client, &mut Parser::default(), line.as_bytes());
        assert_eq!(ran.consumed, line.len(), "{line}");
        self.note_replies();
        ran.after == After::Block
    }

    /// Looks at a wait; whether it goes on.
    fn still_waits(&mut self, client: usize) -> bool {
        let over = self.executor.answer_waiting(&mut self.clients[client]);
        self.note_replies();
        !over
    }

    /// Elements are the bulk strings that begin with `v`.
    fn note_replies(&mut self) {
        let mut bytes = Vec::new();
        self.executor.output.take(|piece| bytes.extend_from_slice(&piece));
        self.executor.output.clear();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.starts_with('-'), "{text}");
        let elements = text.split("\r\n").filter(|line| line.starts_with('v'));
        self.received.extend(elements.map(str::to_owned));
    }
}

/// Runs `steps` steps on each of two workers at the same time: a client that does not wait does
/// what `command` says, for a number that is used once and a random one. Returns the workers.
fn race(
    engine: &Arc<Engine>,
    steps: usize,
    command: impl Fn(usize, u64) -> String + Send + Sync + 'static,
) -> Vec<Worker> {
    const CLIENTS: usize = 6;
    let (command, start) = (Arc::new(command), Arc::new(Barrier::new(2)));
    let (sender, receiver) = mpsc::channel();
    for index in 0..2 {
        let (command, start, sender) = (Arc::clone(&command), Arc::clone(&start), sender.clone());
        let mut worker = Worker::new(engine, index, CLIENTS);
        thread::spawn(move || {
            let mut waiting = [false; CLIENTS];
            let mut random = 0x9e37_79b9_u64 + index as u64;
            start.wait();
            for step in 0..steps {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                // One client of each only pushes, so that somebody always can.
                let client = if step % 3 == 0 { 0 } else { 1 + random as usize % (CLIENTS - 1) };
                waiting[client] = if waiting[client] {
                    worker.still_waits(client)
                } else {
                    let number = 2 * step + index;
                    let line = match client {
                        0 => format!("RPUSH k{} v{number}", random % 5),
                        _ => command(number, random),
                    };
                    worker.run(client, &line)
                };
            }
            sender.send(worker).unwrap();
        });
    }
    let patience = Duration::from_secs(60);
    (0..2).map(|_| receiver.recv_timeout(patience).expect("no deadlock")).collect()
}

/// Takes the replies that are still to come; the elements that are still in the lists.
fn rest(workers: &mut [Worker]) -> Vec<String> {
    for worker in workers.iter_mut() {
        for client in 0..worker.clients.len() {
            if worker.clients[client].waiting.is_some() {
                worker.still_waits(client);
            }
        }
    }
    let mut reader = Worker::new(&Arc::clone(workers[0].executor.engine()), 0, 1);
    for key in 0..5 {
        assert!(!reader.run(0, &format!("LRANGE k{key} 0 -1")), "it never waits");
    }
    reader.received
}

#[test]
fn nothing_is_lost_or_served_twice_where_workers_race() {
    let engine = Fixture::with_workers(Settings::default(), &[], 2).engine;
    let mut workers = race(&engine, 30_000, |number, random| match random % 8 {
        0 => format!("LPUSH k{} v{number}", random / 8 % 5),
        1 => format!("BRPOP k{} 0", random / 8 % 5),
        2 => format!("BLMPOP 0 2 k{} k{} LEFT", random / 8 % 5, random / 64 % 5),
        _ => format!("BLPOP k{} k{} 0", random / 8 % 5, random / 64 % 5),
    });
    let left = rest(&mut workers);
    let received: Vec<_> = workers.iter().flat_map(|worker| &worker.received).collect();
    let all: BTreeSet<_> = received.iter().copied().chain(&left).collect();
    assert_eq!(all.len(), received.len() + left.len(), "an element was given twice");
    let pushed = engine.node.sum(|stats| &stats.dirty) as usize - received.len();
    assert_eq!(all.len(), pushed, "an element was lost");
    assert!(received.len() > 5_000, "{} elements served", received.len());
}

#[test]
fn chains_of_moves_over_several_shards_do_not_deadlock() {
    let engine = Fixture::with_workers(Settings::default(), &[], 2).engine;
    let mut workers = race(&engine, 20_000, |_, random| {
        let (from, to) = (random / 8 % 5, random / 64 % 5);
        match random % 8 {
            0 => format!("BLPOP k{from} k{to} 0"),
            1 => format!("BRPOPLPUSH k{from} k{to} 0"),
            _ => format!("BLMOVE k{from} k{to} LEFT RIGHT 0"),
        }
    });
    let left: BTreeSet<_> = rest(&mut workers).into_iter().collect();
    let mut guard = engine.node.keyspace.lock(ShardSet::ALL);
    let locked = guard.locked();
    let len = |key: usize| {
        let name = format!("k{key}");
        let entry = locked.get(0, engine.node.keyspace.key(name.as_bytes()));
        entry.and_then(|entry| entry.value().list()).map_or(0, |list| list.len())
    };
    assert_eq!((0..5).map(len).sum::<usize>(), left.len(), "an element is there twice");
}
