//! The one way to change keys and the log: under locks, with a right that holds under them.
//!
//! Role, pauses and loading change only under all the locks. A right found valid under a lock stays
//! valid until the unlock; whoever locks repeatedly checks each time.

use crate::commands::effects::{Effects, KeyEvent, Terms, Told};
use crate::commands::{Expired, Keys};
use crate::keyspace::{Guard, Locked, ShardSet};
use crate::node::Node;
use crate::node::admission::Condition;
use crate::node::stats::WorkerStats;
use crate::replication::RecordTime;
use crate::settings::EventClasses;

/// The right to write.
#[derive(Clone, Copy, Debug)]
pub(super) enum Right {
    /// Admission passed the command in this epoch.
    Admitted(u64),
    /// A master ends expired keys, unless clients are paused.
    Expiry,
    /// A replica ends expired keys to which its own clients gave the expiry, likewise.
    OwnExpiry,
    /// A key makes room, unless clients are paused or this is a replica that leaves the limit of
    /// memory to its master.
    Eviction,
    /// The link of this generation brought it.
    Link(u64),
}

impl Right {
    #[inline]
    fn holds(self, node: &Node) -> bool {
        match self {
            Self::Admitted(epoch) => node.admission.epoch() == epoch,
            Self::Expiry => may_expire(node) && !node.is_replica(),
            Self::OwnExpiry => may_expire(node) && node.is_replica(),
            Self::Eviction => may_evict(node),
            Self::Link(generation) => node.replication.generation() == generation,
        }
    }
}

fn may_expire(node: &Node) -> bool {
    !node.admission.has(Condition::Loading) && !node.admission.is_paused()
}

/// Whether this node may remove keys to make room.
pub(super) fn may_evict(node: &Node) -> bool {
    let ignores = || node.settings.load().replication.ignore_maxmemory;
    // While a script runs for long, others change nothing.
    may_expire(node) && !node.admission.has(Condition::Busy) && !(node.is_replica() && ignores())
}

/// Locks under which keys may be changed, until it drops.
#[derive(Debug)]
pub(super) struct Writing<'n> {
    node: &'n Node,
    guard: Guard<'n>,
    /// Whether to collect changes: the append only file takes them, or somebody may read the log, and
    /// the changes are not the master's.
    logging: bool,
}

/// Locks shards to write. `None`: the right has ended, or a script holds the locks for long; nothing
/// may be changed.
#[inline]
pub(super) fn begin_write(node: &Node, set: ShardSet, right: Right) -> Option<Writing<'_>> {
    let guard = node.keyspace.lock_unless_busy(set)?;
    right.holds(node).then(|| {
        let logging = node.log.sinks().collect(|| node.is_replica());
        Writing { node, guard, logging }
    })
}

impl Writing<'_> {
    /// Which shards are locked.
    pub(super) fn set(&self) -> ShardSet {
        self.guard.set()
    }

    /// Locks all the others; for scripts, which run one at a time.
    pub(super) fn extend(&mut self) {
        self.guard.extend();
    }

    #[inline]
    pub(super) fn locked(&mut self) -> Locked<'_> {
        self.guard.locked()
    }

    /// Prepares to collect the effects of a command or a transaction.
    #[inline]
    pub(super) fn begin(&self, effects: &mut Effects, terms: Terms) {
        effects.begin(self.logging, terms);
        effects.broadcasting = self.node.tracking.prefixes() != 0;
    }

    /// The keys of a database; expired ones are removed when met.
    pub(super) fn expiring<'k>(
        &'k mut self,
        database: usize,
        stats: &'k WorkerStats,
        effects: &'k mut Effects,
    ) -> Keys<'k> {
        self.begin(effects, Terms::of(&self.node.settings.load()));
        Keys {
            now_ms: self.node.clock.unix_ms(),
            locked: self.guard.locked(),
            database,
            touch: false,
            expired: Expired::Remove,
            stats,
            effects,
        }
    }
}

/// Applies collected effects: the log, the count of changes, events, invalid cached keys. The
/// caller holds the locks: who reads a key later is told later.
#[inline]
pub(super) fn settle(node: &Node, stats: &WorkerStats, effects: &mut Effects) {
    if effects.dirty != 0 {
        stats.dirty.add(effects.dirty);
    }
    if !effects.log.is_empty() {
        node.log.append(&effects.log, node.is_replica(), || record_time(node));
        effects.log.clear();
    }
    if !effects.told.is_empty() {
        tell(node, effects);
    }
    if !effects.changed.is_empty() {
        for (key, actor) in effects.changed.drain(..) {
            node.tracking.collect(&mut effects.broadcasts, key, actor);
        }
    }
}

#[cold]
fn record_time(node: &Node) -> RecordTime {
    RecordTime { nanos: node.clock.nanos(), unix_ms: node.clock.unix_ms() }
}

/// Tells clients of what was collected so far.
#[cold]
pub(super) fn tell(node: &Node, effects: &mut Effects) {
    let classes = effects.terms.classes;
    for told in effects.told.drain(..) {
        match told {
            Told::Event(event) => publish(node, classes, &event),
            Told::Invalid(key, trackers) => {
                trackers.iter().for_each(|tracker| tracker.tell_of_key(&node.clients, &key, None));
            }
        }
    }
}

fn publish(node: &Node, classes: EventClasses, event: &KeyEvent) {
    let (database, name) = (event.database, event.name.as_bytes());
    if classes.contains(EventClasses::KEYSPACE) {
        let mut channel = format!("__keyspace@{database}__:").into_bytes();
        channel.extend_from_slice(&event.key);
        node.pubsub.publish(&channel, name);
    }
    if classes.contains(EventClasses::KEYEVENT) {
        let channel = format!("__keyevent@{database}__:{}", event.name);
        node.pubsub.publish(channel.as_bytes(), &event.key);
    }
}

/// Sends the broadcasts that no batch of a client will send.
#[inline]
pub(super) fn broadcast(node: &Node, effects: &mut Effects) {
    if !effects.broadcasts.is_empty() {
        node.tracking.broadcast(&mut effects.broadcasts, &node.clients, None);
    }
}
