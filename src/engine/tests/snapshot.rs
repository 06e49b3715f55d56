//! Snapshots under concurrent writes: each equals the state at exactly its offset of the log.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::fixture::Fixture;
use super::super::{Engine, Executor};
use crate::commands::Random;
use crate::commands::debug::digest::{self, Hash};
use crate::keyspace::snapshot::{Snapshot, WalkStep};
use crate::keyspace::{EntryRef, ShardSet};
use crate::node::client::{Client, Handle, Origin};
use crate::resp::Parser;
use crate::settings::Settings;

const WRITERS: usize = 2;
const ROUNDS: u64 = 24;
/// Batches that pass between two snapshots.
const BATCHES_BETWEEN: u64 = 200;

/// Contents of the databases: digests of values, with expiries.
type State = BTreeMap<(usize, Vec<u8>), (Hash, Option<i64>)>;

fn add(state: &mut State, database: usize, entry: EntryRef<'_>) {
    let value = digest::of_entry(entry);
    let old = state.insert((database, entry.key().to_vec()), (value, entry.expire_at_ms()));
    assert!(old.is_none(), "each key comes out once");
}

/// A batch of random requests, each of which changes something or tries to.
fn requests(random: &mut Random) -> String {
    let mut batch = String::new();
    for _ in 0..1 + random.next() % 20 {
        let (a, b) = (random.next() % 300, random.next() % 300);
        let database = random.next() % 4;
        let value = random.next() % 1000;
        let line = match random.next() % 48 {
            0..8 => format!("SET k{a} {value}"),
            8 => format!("SET k{a} {} PXAT 9999999999{value:03}", "long".repeat(3000)),
            9 => format!("APPEND k{a} {value}"),
            10 => format!("SETRANGE k{a} {value} x"),
            11 => format!("INCR n{a}"),
            12 | 13 => format!("DEL k{a} k{b}"),
            14 => format!("MOVE k{a} {database}"),
            15 => format!("RENAME k{a} k{b}"),
            16 => format!("COPY k{a} k{b} DB {database} REPLACE"),
            17 => format!("PEXPIREAT k{a} 9999999999{value:03}"),
            18 => format!("PERSIST k{a}"),
            19 => format!("MULTI\r\nSET k{a} {value}\r\nSELECT {database}\r\nDEL k{b}\r\nEXEC"),
            20 => format!("MSET k{a} {value} k{b} {value}"),
            21 => format!("SELECT {database}"),
            22 if value < 50 => format!("SWAPDB {database} {}", value % 4),
            23 if value < 20 => "FLUSHDB".into(),
            23 if value < 25 => "FLUSHALL".into(),
            23 => format!("GETDEL k{a}"),
            _ => on_collection(random, a, b),
        };
        write!(batch, "{line}\r\n").expect("writing to memory");
    }
    batch
}

/// A request that changes a collection: these grow past every limit, and shrink again.
fn on_collection(random: &mut Random, a: u64, b: u64) -> String {
    let key = random.next() % 8;
    let value = random.next() % 1000;
    match random.next() % 24 {
        0 | 1 => format!("RPUSH l{key} {value} element:{a} element:{b}"),
        2 => format!("LPUSH l{key} {} {value}", "long".repeat(200)),
        3 => format!("LPOP l{key} {}", value % 20),
        4 => format!("LSET l{key} {} {value}", value % 50),
        5 => format!("LTRIM l{key} {} -1", value % 5),
        6 => format!("LINSERT l{key} BEFORE element:{a} {value}"),
        7 | 8 => format!("SADD s{key} {a} {b}"),
        9 => format!("SADD s{key} member:{a} member:{b}"),
        10 => format!("SREM s{key} {a} member:{a} {b}"),
        11 => format!("SPOP s{key} {}", value % 3),
        12 | 13 => format!("HSET h{key} field:{a} {value} field:{b} {a}"),
        14 => format!("HDEL h{key} field:{a} field:{b}"),
        15 => format!("HINCRBY h{key} field:{a} 7"),
        16 | 17 => format!("ZADD z{key} {value} member:{a} {a}.5 member:{b}"),
        18 => format!("ZREM z{key} member:{a} member:{b}"),
        19 => format!("ZPOPMIN z{key} {}", value % 3),
        20 => format!("XADD x{key} MAXLEN ~ 100 * field {value} other {a}"),
        21 => format!("XREADGROUP GROUP g c{} COUNT 3 STREAMS x{key} >", value % 3),
        22 => format!("XGROUP CREATE x{key} g 0 MKSTREAM"),
        _ => format!("SETBIT b{key} {} 1", value * 500),
    }
}

/// Small limits, so that all forms occur.
fn settings() -> Settings {
    let mut settings = Settings::default();
    let limits = &mut settings.collections;
    limits.hash_pack_entries_max = 30;
    limits.sorted_set_pack_entries_max = 30;
    limits.set_intset_entries_max = 20;
    limits.list_node_size = 16;
    limits.stream_node_entries_max = 10;
    settings
}

fn run(executor: &mut Executor, client: &mut Client, mut input: &[u8]) {
    let mut parser = Parser::default();
    while !input.is_empty() {
        let ran = executor.run(client, &mut parser, input);
        assert!(ran.consumed > 0, "only whole requests are sent");
        input = &input[ran.consumed..];
        executor.output.clear();
    }
}

fn client(engine: &Engine) -> Client {
    Client::new(Arc::new(Handle::new(Origin::default())), &engine.node.acl)
}

fn write_until(engine: &Arc<Engine>, index: usize, stop: &AtomicBool, batches: &AtomicU64) {
    let mut executor = Executor::new(Arc::clone(engine), index, index as u64);
    let mut random = Random::new(77 + index as u64);
    let mut client = client(engine);
    while !stop.load(Ordering::Relaxed) {
        run(&mut executor, &mut client, requests(&mut random).as_bytes());
        batches.fetch_add(1, Ordering::Relaxed);
    }
}

/// Cuts a snapshot and reads it, with its offset; `None` if given up on the way.
fn snapshot(engine: &Engine, give_up_after: Option<usize>) -> Option<(u64, State)> {
    let node = &engine.node;
    let (mut snapshot, offset) = {
        let mut guard = node.keyspace.lock(ShardSet::ALL);
        let snapshot = Snapshot::cut(&node.keyspace, &mut guard.locked(), usize::MAX);
        (snapshot, node.log.offset())
    };
    let mut state = State::new();
    for step in 0.. {
        if give_up_after == Some(step) {
            snapshot.retention().give_up();
        }
        match snapshot.step(|database, entry| add(&mut state, database, entry)) {
            Ok(WalkStep::More) => {}
            Ok(WalkStep::Done) => break,
            Err(_) => return None,
        }
    }
    Some((offset, state))
}

/// The state after the log up to an offset.
fn replayed(log: &[u8]) -> State {
    let fixture = Fixture::new();
    let mut executor = Executor::new(Arc::clone(&fixture.engine), 0, 1);
    run(&mut executor, &mut client(&fixture.engine), log);
    let mut state = State::new();
    let mut guard = fixture.node().keyspace.lock(ShardSet::ALL);
    for database in 0..fixture.node().keyspace.databases() {
        guard.locked().for_each(database, |entry| add(&mut state, database, entry));
    }
    state
}

#[test]
fn a_snapshot_under_concurrent_writes_is_the_state_at_its_offset() {
    let fixture = Fixture::with_workers(settings(), &[], WRITERS);
    let engine = &fixture.engine;
    {
        let _guard = engine.node.keyspace.lock(ShardSet::ALL);
        engine.node.log.start(usize::MAX);
    }
    let (stop, batches) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut taken = Vec::new();
    let mut given_up = 0;
    std::thread::scope(|scope| {
        for index in 0..WRITERS {
            let (stop, batches) = (&stop, &batches);
            scope.spawn(move || write_until(engine, index, stop, batches));
        }
        for round in 0..ROUNDS {
            while batches.load(Ordering::Relaxed) < (round + 1) * BATCHES_BETWEEN {
                std::thread::yield_now();
            }
            // Every third is given up on its way.
            let give_up_after = (round % 3 == 2).then_some(round as usize * 10);
            match snapshot(engine, give_up_after) {
                Some(snapshot) => taken.push(snapshot),
                None => given_up += 1,
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(taken.len() >= 16 && given_up >= 4, "{} taken, {given_up} given up", taken.len());
    let log = engine.node.log.bytes_from(0).expect("all of it is kept");
    for (offset, state) in taken {
        let expected = replayed(&log[..offset as usize]);
        assert!(state == expected, "at offset {offset}: {} keys", expected.len());
    }
}
