//! Eviction: keeps memory within `maxmemory` by removing keys that the policy allows.
//!
//! Like Redis it looks at some random keys for each one that it removes and keeps the best
//! candidates of earlier looks in a pool. Unlike Redis it scores a candidate again before it removes
//! it, as the key may have been used since.
//!
//! One thread evicts at a time, or several would remove keys for the same excess; others wait for it
//! only when memory is far beyond the limit. No lock of a shard is held between two keys. A slice
//! has a time budget; the periodic thread continues what a command has left.

use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::Engine;
use super::caller::Caller;
use super::serve::Server;
use super::write::{Right, begin_write, broadcast, may_evict, settle};
use crate::commands::effects::Effects;
use crate::commands::{Random, access};
use crate::heap;
use crate::keyspace::access::{Access, Aging, idle_s};
use crate::keyspace::{EntryRef, Sample, ShardSet};
use crate::node::Node;
use crate::node::client::Client;
use crate::node::memory::Uncounted;
use crate::node::stats::WorkerStats;
use crate::settings::{EvictionPolicy, Memory, Settings};

/// Candidates kept between looks.
const POOL: usize = 16;
/// Keys removed between two looks at the clock.
const KEYS_BETWEEN_LOOKS: usize = 16;
/// Slices between two looks for databases that have keys by now: one takes some microseconds.
const RUNS_BETWEEN_LOOKS: usize = 64;
/// Candidates that were used since they were looked at, after which any is taken.
const REFRESHED_MAX: usize = 16;
/// Beyond the limit by more than this part of it, a command waits for the thread that evicts.
const TOLERATED_PART: u64 = 128;

/// Whether there is memory for more data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Enough,
    /// Not yet: there is more to evict.
    Soon,
    /// Nothing is left that may be evicted.
    Full,
}

/// Removes keys to make room.
#[derive(Debug, Default)]
pub(crate) struct Evictor(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// In ascending order of score: the next to go last.
    pool: Vec<Candidate>,
    /// The policy by which the pool was scored.
    policy: EvictionPolicy,
    /// Databases that had keys to evict when last looked at.
    databases: Vec<usize>,
    /// Counts picks without a score, which take turns among the databases.
    turns: usize,
    runs: usize,
    random: Random,
    effects: Effects,
}

#[derive(Debug)]
struct Candidate {
    score: u64,
    database: usize,
    key: Box<[u8]>,
}

/// The outcome of one try to evict a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Try {
    /// So many bytes.
    Removed(u64),
    /// The key has gone or was used.
    Missed,
    /// There are no more keys.
    NoneLeft,
    /// This node may no longer evict.
    NoRight,
}

/// What counts for this round.
struct Round<'n> {
    node: &'n Node,
    /// Those of the thread that evicts.
    stats: &'n WorkerStats,
    memory: &'n Memory,
    access: Access,
    uncounted: Uncounted,
}

impl Round<'_> {
    fn excess(&self) -> u64 {
        let used = self.node.host().used_bytes();
        used.saturating_sub(self.uncounted.bytes(self.node)).saturating_sub(self.limit())
    }

    fn limit(&self) -> u64 {
        self.memory.maxmemory_bytes
    }
}

/// The time that one command may spend, in nanoseconds, by `maxmemory-eviction-tenacity`: as Redis
/// has it.
fn budget_nanos(tenacity: u32) -> u64 {
    match tenacity {
        0..=10 => u64::from(tenacity) * 50_000,
        100.. => u64::MAX,
        _ => (500_000.0 * 1.15_f64.powi(tenacity.cast_signed() - 10)) as u64,
    }
}

/// How much an entry deserves to go. `None`: the policy spares it.
fn score(policy: EvictionPolicy, entry: EntryRef<'_>, access: Access) -> Option<u64> {
    if policy.is_volatile() && entry.expire_at_ms().is_none() {
        return None;
    }
    Some(match (policy, access.aging) {
        (EvictionPolicy::VolatileTtl, _) => {
            let at = entry.expire_at_ms().unwrap_or(i64::MAX);
            i64::MAX.abs_diff(at)
        }
        (EvictionPolicy::VolatileRandom | EvictionPolicy::AllKeysRandom, _) => 0,
        (_, Aging::Frequency(frequency)) => {
            u64::from(u8::MAX - frequency.counter(entry.access(), access.now_s))
        }
        (_, Aging::Idle) => idle_s(entry.access(), access.now_s).into(),
    })
}

/// Before a command: whether memory is so short that one that needs more must be refused. Evicts
/// within the time budget.
#[inline]
pub(super) fn is_short(caller: &Caller<'_>, client: &Client) -> bool {
    let limit = caller.settings.memory.maxmemory_bytes;
    if limit == 0 {
        return false;
    }
    let node = caller.node;
    let within = node.host().used_bytes() <= limit && !node.stats.eviction.is_exceeded();
    !within && make_room_for(caller, client) == Room::Full
}

#[cold]
fn make_room_for(caller: &Caller<'_>, client: &Client) -> Room {
    if !client.is_trusted(&caller.node.acl) {
        // Its command is refused anyway.
        return Room::Enough;
    }
    let end = caller.node.log.offset();
    let room = make_room(caller.engine, &caller.settings, caller.stats);
    if caller.node.log.offset() != end {
        caller.note_logged();
    }
    room
}

/// Continues in the background what a command has left. Returns whether there is more to do.
pub(crate) fn go_on(engine: &Engine) -> bool {
    let node = &engine.node;
    if !node.evicting.swap(false, Ordering::Relaxed) {
        return false;
    }
    let settings = node.settings.load();
    if settings.memory.maxmemory_bytes != 0 {
        make_room(engine, &settings, &node.background);
    }
    node.evicting.load(Ordering::Relaxed)
}

/// Evicts until memory is within the limit, the time is up or nothing is left.
fn make_room(engine: &Engine, settings: &Settings, stats: &WorkerStats) -> Room {
    let node = &*engine.node;
    if !may_evict(node) {
        return Room::Enough;
    }
    let (memory, access) = (&settings.memory, access(settings, node.clock.unix_ms()));
    let mut round = Round { node, stats, memory, access, uncounted: node.uncounted() };
    let excess = round.excess();
    let room = if excess == 0 {
        Room::Enough
    } else if round.uncounted.has_flushes(node) {
        // New keys would go for memory that is about to be free.
        Room::Soon
    } else if memory.policy == EvictionPolicy::NoEviction {
        Room::Full
    } else if excess > memory.maxmemory_bytes / TOLERATED_PART {
        engine.evictor.0.lock().run(&mut round, excess)
    } else {
        match engine.evictor.0.try_lock() {
            Some(mut state) => state.run(&mut round, excess),
            None => Room::Soon,
        }
    };
    node.stats.eviction.note(room != Room::Enough, node.clock.nanos());
    room
}

impl State {
    fn run(&mut self, round: &mut Round<'_>, excess: u64) -> Room {
        let node = round.node;
        let (began, budget) = (node.clock.nanos(), budget_nanos(round.memory.eviction_tenacity));
        if self.policy != round.memory.policy {
            self.policy = round.memory.policy;
            self.pool.clear();
        }
        self.runs = self.runs.wrapping_add(1);
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.databases.clear();
        }
        let (mut removed, mut freed) = (0_usize, 0);
        let mut refreshed = 0;
        let room = loop {
            // Read anew for each key: the memory of a small value is free by now, and what waits
            // for the thread that frees large ones does not count. But what an eviction itself
            // causes, as messages to clients, must not evict further keys.
            if freed >= excess || round.excess() == 0 {
                break Room::Enough;
            }
            match self.evict_one(round, refreshed < REFRESHED_MAX) {
                Try::Removed(bytes) => {
                    freed += bytes;
                    removed += 1;
                    refreshed = 0;
                    if removed % KEYS_BETWEEN_LOOKS == 0 {
                        node.feed_replicas();
                        if node.clock.nanos().saturating_sub(began) > budget {
                            break Room::Soon;
                        }
                        round.uncounted = node.uncounted();
                    }
                }
                Try::Missed => refreshed += 1,
                Try::NoneLeft => break Room::Full,
                Try::NoRight => break Room::Enough,
            }
        };
        if room == Room::Soon {
            node.evicting.store(true, Ordering::Relaxed);
            node.pace.note_work();
        }
        broadcast(node, &mut self.effects);
        // The next to evict must see what this thread has freed.
        heap::tell();
        note_spike(node, "eviction-cycle", began);
        room
    }

    /// Tries to evict the best candidate. `spares`: not if it was used since it was looked at.
    fn evict_one(&mut self, round: &Round<'_>, spares: bool) -> Try {
        let policy = round.memory.policy;
        let Candidate { score: then, database, key } = match self.pick(round) {
            Ok(candidate) => candidate,
            Err(why) => return why,
        };
        let node = round.node;
        let key = node.keyspace.key(&key);
        let Some(mut writing) = begin_write(node, ShardSet::of(key.shard()), Right::Eviction)
        else {
            return Try::NoRight;
        };
        let mut keys = writing.expiring(database, round.stats, &mut self.effects);
        let entry = keys.locked.get(database, key);
        let now = entry.and_then(|entry| score(policy, entry, round.access));
        let bytes = entry.map_or(0, |entry| entry.allocated_bytes() as u64);
        if now.is_none_or(|now| spares && now < then) {
            return Try::Missed;
        }
        let began = node.clock.nanos();
        keys.evict(database, key);
        keys.effects.end_sweep();
        settle(node, round.stats, keys.effects);
        if self.effects.any_ready() {
            let server = Server { stats: round.stats, ..Server::background(node) };
            server.serve_ready(&mut writing, &mut self.effects);
        }
        drop(writing);
        // Of a table that has become empty or sparse.
        node.keyspace.collect();
        node.stats.eviction.keys.add(1);
        note_spike(node, "eviction-del", began);
        Try::Removed(bytes)
    }

    /// The best candidate, after another look at some keys.
    ///
    /// # Errors
    /// [`Try::NoneLeft`] or [`Try::NoRight`].
    fn pick(&mut self, round: &Round<'_>) -> Result<Candidate, Try> {
        let policy = round.memory.policy;
        let volatile = policy.is_volatile();
        let by_chance =
            matches!(policy, EvictionPolicy::VolatileRandom | EvictionPolicy::AllKeysRandom);
        loop {
            if self.databases.is_empty() {
                let all = 0..round.node.keyspace.databases();
                let keyspace = &round.node.keyspace;
                self.databases.extend(all.filter(|&index| keyspace.has_sample(index, volatile)));
                if self.databases.is_empty() {
                    return Err(Try::NoneLeft);
                }
            }
            if by_chance {
                self.turns = self.turns.wrapping_add(1);
                let turn = self.turns % self.databases.len();
                self.look(round, turn, 1)?;
            } else {
                let samples = round.memory.samples;
                for turn in (0..self.databases.len()).rev() {
                    self.look(round, turn, samples as usize)?;
                }
            }
            if let Some(best) = self.pool.pop() {
                return Ok(best);
            }
        }
    }

    /// Looks at some keys of a database and takes the best ones into the pool. Forgets a database
    /// that has none.
    fn look(&mut self, round: &Round<'_>, turn: usize, count: usize) -> Result<(), Try> {
        let (policy, volatile) = (round.memory.policy, round.memory.policy.is_volatile());
        let Self { pool, databases, random, .. } = self;
        let database = databases[turn];
        let wanted = Sample { database, volatile, count, random: random.next() };
        let found = round.node.keyspace.sample(wanted, |entry| {
            if let Some(score) = score(policy, entry, round.access) {
                offer(pool, score, database, entry.key());
            }
        });
        if found.ok_or(Try::NoRight)? == 0 {
            databases.swap_remove(turn);
        }
        Ok(())
    }
}

/// Puts a key into the pool if it is better than the worst one there.
fn offer(pool: &mut Vec<Candidate>, score: u64, database: usize, key: &[u8]) {
    let at = pool.partition_point(|known| known.score < score);
    if at == 0 && pool.len() == POOL {
        return;
    }
    if pool.iter().any(|known| known.database == database && *known.key == *key) {
        return;
    }
    pool.insert(at, Candidate { score, database, key: key.into() });
    if pool.len() > POOL {
        pool.remove(0);
    }
}

/// Records an event for LATENCY if it took longer than the threshold.
pub(super) fn note_spike(node: &Node, event: &'static str, began_nanos: u64) {
    node.note_spike(event, node.clock.nanos().saturating_sub(began_nanos));
}

#[cfg(test)]
mod tests {
    use super::{Candidate, POOL, budget_nanos, offer};

    #[test]
    fn tenacity_gives_the_time_of_redis() {
        let us = |tenacity| budget_nanos(tenacity) / 1000;
        assert_eq!([0, 1, 10].map(us), [0, 50, 500]);
        assert_eq!([11, 20, 50].map(us), [575, 2022, 133_931]);
        assert_eq!(budget_nanos(100), u64::MAX);
        assert!((120..130).contains(&(us(99) / 1_000_000)), "about two minutes");
    }

    #[test]
    fn the_pool_keeps_the_best_each_once() {
        let mut pool: Vec<Candidate> = Vec::new();
        for score in 0..100 {
            offer(&mut pool, score % 50, 0, format!("key{}", score % 50).as_bytes());
        }
        let scores: Vec<u64> = pool.iter().map(|candidate| candidate.score).collect();
        assert_eq!(scores, (50 - POOL as u64..50).collect::<Vec<_>>());
    }
}
