//! The sweeper: finds and removes expired keys that nobody accesses, and those that a walk over
//! keys has met.
//!
//! It walks the shards that have keys with expiries, in hash order, one segment at a time under
//! that shard's lock. A round has a time budget; the next continues from there.

use std::sync::atomic::Ordering;

use super::Engine;
use super::caller::{Caller, Tools};
use super::evict::note_spike;
use super::serve::Server;
use super::write::{Right, Writing, begin_write, broadcast, settle};
use crate::commands::effects::Effects;
use crate::keyspace::{SHARDS, ShardSet};
use crate::node::Node;

/// Time budget of a round while few of the keys that it meets have expired, in nanoseconds.
const CALM_NANOS: u64 = 500_000;
/// Time budget of a round while more than one in ten has.
const BUSY_NANOS: u64 = 25_000_000;
/// A replica's own keys checked per round.
const OWN_KEYS: usize = 1000;
/// Segments visited between two clock reads.
const SEGMENTS: usize = 16;

/// The position of the walk.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    database: usize,
    /// The next hash.
    from: u64,
    effects: Effects,
    /// The last of a replica's own keys that was checked.
    own: Option<(usize, Box<[u8]>)>,
    /// Keys met in this round, and how many of them had expired.
    seen: usize,
    expired: usize,
}

/// What ends a round early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Time,
    /// This node may no longer end keys.
    Right,
}

impl Sweeper {
    /// Runs one round. A pause or a change of role ends it anywhere.
    pub(crate) fn round(&mut self, engine: &Engine) {
        self.sweep(&engine.node);
        broadcast(&engine.node, &mut self.effects);
    }

    fn sweep(&mut self, node: &Node) {
        if !node.sweeping.load(Ordering::Relaxed) {
            return;
        }
        if node.is_replica() {
            // A replica leaves its master's keys to the master.
            self.sweep_own(node);
            return;
        }
        let start = node.clock.nanos();
        for database in 0..node.keyspace.databases() {
            // Forgets the average of keys that are gone.
            node.average_ttl_ms(database);
        }
        (self.seen, self.expired) = (0, 0);
        let cut = self.walk(node, start);
        node.stats.expire_cycle_us.add(node.clock.nanos().saturating_sub(start) / 1000);
        note_spike(node, "expire-cycle", start);
        node.stats.expire_cycles_cut.add(u64::from(cut == Some(Cut::Time)));
        if cut != Some(Cut::Right) {
            self.note_stale(node);
        }
    }

    /// Walks once around at most; returns what cut it short.
    fn walk(&mut self, node: &Node, start: u64) -> Option<Cut> {
        for _ in 0..node.keyspace.databases() * SHARDS {
            let shard = (self.from >> 56) as usize;
            if node.keyspace.shard_expires(shard, self.database) == 0 {
                self.next_shard(node.keyspace.databases());
                continue;
            }
            loop {
                let Some(more) = self.segments(node, shard) else { return Some(Cut::Right) };
                let spent = node.clock.nanos().saturating_sub(start);
                let busy = self.expired * 10 > self.seen;
                if spent > if busy { BUSY_NANOS } else { CALM_NANOS } {
                    return Some(Cut::Time);
                }
                if !more {
                    break;
                }
            }
            self.next_shard(node.keyspace.databases());
        }
        None
    }

    /// Records the share of expired keys among those met.
    fn note_stale(&self, node: &Node) {
        let share = self.expired * 10_000 / self.seen.max(1);
        node.stats.expired_stale_permyriad.store(share as u64, Ordering::Relaxed);
    }

    /// Checks a replica's own keys: those to which its clients gave an expiry.
    fn sweep_own(&mut self, node: &Node) {
        let start = node.clock.nanos();
        let keys = node.replication.own_expiring(self.own.as_ref(), OWN_KEYS);
        // After the last key the walk starts over.
        self.own = None;
        for (index, own) in keys.iter().enumerate() {
            let (database, key) = (own.0, node.keyspace.key(&own.1));
            let set = ShardSet::of(key.shard());
            let Some(mut writing) = begin_write(node, set, Right::OwnExpiry) else { return };
            let mut keys_there = writing.expiring(database, &node.background, &mut self.effects);
            // The lookup removes the key if it has expired.
            let stays = keys_there.has(key) && keys_there.expire_at_ms(key).is_some();
            keys_there.effects.end_sweep();
            settle(node, &node.background, keys_there.effects);
            serve_ready(node, &mut writing, &mut self.effects);
            if !stays {
                node.replication.forget_own_expiring(own);
            }
            drop(writing);
            self.own = Some(own.clone());
            let looks = (index + 1).is_multiple_of(SEGMENTS);
            if looks && node.clock.nanos().saturating_sub(start) > BUSY_NANOS {
                return;
            }
        }
        if keys.len() < OWN_KEYS {
            self.own = None;
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

    /// Sweeps a few segments of a shard; returns whether more are left, or `None` when this node
    /// may no longer end keys.
    fn segments(&mut self, node: &Node, shard: usize) -> Option<bool> {
        let set = ShardSet::of(shard);
        let mut writing = begin_write(node, set, Right::Expiry)?;
        let mut keys = writing.expiring(self.database, &node.background, &mut self.effects);
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
            // The log gets each removal as its own unit.
            keys.effects.end_sweep();
            settle(node, &node.background, keys.effects);
        }
        serve_ready(node, &mut writing, &mut self.effects);
        if let Some(next) = next {
            self.from = next;
        }
        Some(next.is_some())
    }
}

/// Removes the keys that a command met expired, each under its shard's lock and with its effects.
#[cold]
pub(super) fn remove_met(caller: &Caller<'_>, tools: &mut Tools<'_>) {
    for (database, bytes) in std::mem::take(&mut tools.effects.met_expired) {
        let key = caller.node.keyspace.key(&bytes);
        let set = ShardSet::of(key.shard());
        let Some(mut writing) = begin_write(caller.node, set, Right::Expiry) else { return };
        let mut keys = writing.expiring(database, caller.stats, tools.effects);
        keys.has(key);
        keys.effects.end_sweep();
        caller.settle(tools.effects);
        serve_ready(caller.node, &mut writing, tools.effects);
    }
}

/// Answers clients that wait for a key which has expired: those of a consumer group.
fn serve_ready(node: &Node, writing: &mut Writing<'_>, effects: &mut Effects) {
    if effects.any_ready() {
        Server::background(node).serve_ready(writing, effects);
    }
}
