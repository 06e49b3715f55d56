//! The sweeper: finds and removes expired keys that nobody asks for, and those that a walk over
//! keys has met.
//!
//! It walks the shards that have keys with expiries, in the order of hashes, a segment at a time
//! under that shard's lock. A round ends with its time; the next goes on from there.

use std::sync::atomic::Ordering;

use super::Engine;
use super::call::{Caller, Tools};
use crate::commands::Keys;
use crate::commands::effects::Effects;
use crate::keyspace::{SHARDS, ShardSet};
use crate::node::Node;
use crate::node::admission::State;

/// Time of a round while few of the keys that it meets have expired, in nanoseconds.
const CALM_NANOS: u64 = 500_000;
/// Time of a round while more than one in ten has.
const BUSY_NANOS: u64 = 25_000_000;
/// A replica's own keys that are looked at in a round.
const OWN_KEYS: usize = 1000;
/// Segments visited between two looks at the clock.
const SEGMENTS: usize = 16;

/// Where the walk is.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    database: usize,
    /// The next hash.
    from: u64,
    effects: Effects,
    /// The last of a replica's own keys that was looked at.
    own: Option<(usize, Box<[u8]>)>,
    /// Met and expired in this round.
    seen: usize,
    expired: usize,
}

impl Sweeper {
    /// One round.
    pub(crate) fn round(&mut self, engine: &Engine) {
        let node = &engine.node;
        let held_back = node.admission.has(State::Loading) || node.admission.is_paused();
        if held_back || !node.sweeping.load(Ordering::Relaxed) {
            return;
        }
        if node.is_replica() {
            // For its master's keys it waits for its master's word.
            self.sweep_own(node);
            return;
        }
        let start = node.clock.nanos();
        (self.seen, self.expired) = (0, 0);
        // Once round everything at most.
        for _ in 0..node.keyspace.databases() * SHARDS {
            let shard = (self.from >> 56) as usize;
            if node.keyspace.shard_expires(shard, self.database) == 0 {
                self.next_shard(node.keyspace.databases());
                continue;
            }
            loop {
                let more = self.segments(engine, shard);
                let spent = node.clock.nanos().saturating_sub(start);
                let busy = self.expired * 10 > self.seen;
                if spent > if busy { BUSY_NANOS } else { CALM_NANOS } {
                    node.stats.expire_cycle_us.add(spent / 1000);
                    node.stats.expire_cycles_cut.add(1);
                    self.note_stale(node);
                    return;
                }
                if !more {
                    break;
                }
            }
            self.next_shard(node.keyspace.databases());
        }
        node.stats.expire_cycle_us.add(node.clock.nanos().saturating_sub(start) / 1000);
        self.note_stale(node);
    }

    /// Notes which share of the keys that were met had expired.
    fn note_stale(&self, node: &Node) {
        let share = self.expired * 10_000 / self.seen.max(1);
        node.stats.expired_stale_permyriad.store(share as u64, Ordering::Relaxed);
    }

    /// A replica's own keys: those that its clients gave an expiry.
    fn sweep_own(&mut self, node: &Node) {
        let keys = node.replication.own_expiring(self.own.as_ref(), OWN_KEYS);
        self.own = keys.last().cloned();
        for own in keys {
            let (database, key) = (own.0, node.keyspace.key(&own.1));
            let mut set = ShardSet::default();
            set.insert(key.shard());
            let mut guard = node.keyspace.lock(set);
            self.effects.begin(false, node.settings.load().keyspace.notify_events);
            let mut keys = Keys {
                locked: guard.locked(),
                database,
                now_ms: node.clock.unix_ms(),
                touch: false,
                expire: true,
                frozen: false,
                unexpiring: false,
                stats: &node.background,
                effects: &mut self.effects,
            };
            // Looking for it ends it, if its time has come.
            let stays = keys.has(key) && keys.expire_at_ms(key).is_some();
            super::call::settle(node, &node.background, keys.effects);
            if !stays {
                node.replication.forget_own_expiring(&own);
            }
        }
    }

    fn next_shard(&mut self, databases: usize) {
        let shard = (self.from >> 56) + 1;
        if shard < SHARDS as u64 {
            self.from = shard << 56;
        } else {
            self.from = 0;
            self.database = (self.database + 1) % databases;
        }
    }

    /// Sweeps a few segments of a shard; false at its end.
    fn segments(&mut self, engine: &Engine, shard: usize) -> bool {
        let node = &engine.node;
        let mut set = ShardSet::default();
        set.insert(shard);
        let mut guard = node.keyspace.lock(set);
        let classes = node.settings.load().keyspace.notify_events;
        self.effects.begin(node.log.is_recording(), classes);
        let mut keys = Keys {
            locked: guard.locked(),
            database: self.database,
            now_ms: node.clock.unix_ms(),
            touch: false,
            expire: true,
            frozen: false,
            unexpiring: false,
            stats: &node.background,
            effects: &mut self.effects,
        };
        let mut next = Some(self.from);
        let mut expired = Vec::new();
        for _ in 0..SEGMENTS {
            let Some(from) = next else { break };
            let now_ms = keys.now_ms;
            let (alive, after) =
                keys.locked.expired_in_segment(self.database, from, now_ms, &mut expired);
            self.seen += alive.keys;
            if alive.keys > 0 {
                let average = alive.left_ms / alive.keys as i128;
                node.sample_ttl_ms(self.database, i64::try_from(average).unwrap_or(i64::MAX));
            }
            next = after;
        }
        self.seen += expired.len();
        self.expired += expired.len();
        for bytes in &expired {
            keys.remove_expired(self.database, keys.key(bytes));
            // Each is a unit of its own in the log.
            keys.effects.end_sweep();
            super::call::settle(node, &node.background, keys.effects);
        }
        if let Some(next) = next {
            self.from = next;
        }
        next.is_some()
    }
}

/// Removes the keys that a command met expired, each under its shard's lock and with its effects.
#[cold]
pub(super) fn remove_met(caller: &Caller<'_>, tools: &mut Tools<'_>) {
    for (database, bytes) in std::mem::take(&mut tools.effects.met_expired) {
        let key = caller.node.keyspace.key(&bytes);
        let mut set = ShardSet::default();
        set.insert(key.shard());
        let mut guard = caller.node.keyspace.lock(set);
        caller.begin(tools.effects);
        let mut keys = Keys {
            locked: guard.locked(),
            database,
            now_ms: caller.now_ms,
            touch: false,
            expire: true,
            frozen: false,
            unexpiring: false,
            stats: caller.stats,
            effects: tools.effects,
        };
        keys.has(key);
        keys.effects.end_sweep();
        caller.settle(tools.effects);
    }
}
