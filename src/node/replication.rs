//! This node's role in replication: master or replica, the state of its link to a master, and role
//! changes.
//!
//! A role changes under all shard locks and begins a generation. Work of an older generation, such
//! as a link with bytes left to apply or a client in WAIT, ends at its next check.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Node;
use super::admission::Condition;
use super::client::Handle;
use crate::keyspace::{Locked, ShardSet};
use crate::replication::{Peer, Replicas};
use crate::settings::{MasterAddress, Settings};
use crate::telemetry::log::{Role, log, set_role};

/// The state of the link to the master, in ROLE's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LinkState {
    #[default]
    Connect,
    Connecting,
    Handshake,
    Sync,
    Connected,
}

impl LinkState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Connecting => "connecting",
            Self::Handshake => "handshake",
            Self::Sync => "sync",
            Self::Connected => "connected",
        }
    }
}

/// A full resync in progress, on the receiving side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SyncProgress {
    /// `None` while unknown; 0 if the master does not send it.
    pub(crate) total_bytes: Option<u64>,
    pub(crate) read_bytes: u64,
}

/// A master whose data this replica refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedMaster {
    /// Its replication id.
    pub(crate) id: String,
    pub(crate) reason: String,
}

/// The link to the master as shown in INFO, ROLE and the admin server. Times are Unix milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct LinkStatus {
    pub(crate) state: LinkState,
    pub(crate) last_io_ms: i64,
    /// Since when it is down; 0: it was never up since this node is a replica.
    pub(crate) down_since_ms: i64,
    pub(crate) sync: Option<SyncProgress>,
    /// Bytes of the stream received, applied or not.
    pub(crate) read_offset: u64,
    pub(crate) refused: Option<RefusedMaster>,
    /// The last time mark and its arrival, if the master sends any.
    pub(crate) mark: Option<(TimeMark, i64)>,
}

/// A time mark: sent by a limpid master between the commands of its stream, in Unix milliseconds by
/// its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeMark {
    /// When the stream before the mark was all that the master had.
    pub(crate) at_ms: i64,
    /// Time of its last write.
    pub(crate) written_ms: i64,
}

/// A master without writes for this long before a mark is idle: nothing in transit is a write.
const IDLE_MS: i64 = 200;
/// A mark overdue by this much shows that more is in transit.
const OVERDUE_MS: i64 = 400;

impl TimeMark {
    /// Parses `at,written` and a line end.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (at, written) = std::str::from_utf8(text).ok()?.trim().split_once(',')?;
        Some(Self { at_ms: at.parse().ok()?, written_ms: written.parse().ok()? })
    }
}

impl LinkStatus {
    /// The age of the applied data in seconds; `None` if the master sends no marks, or while the
    /// link is down.
    pub(crate) fn lag_seconds(&self, now_ms: i64) -> Option<f64> {
        let (mark, arrived_ms) = self.mark.filter(|_| self.state == LinkState::Connected)?;
        let overdue = now_ms - arrived_ms > OVERDUE_MS;
        let idle = mark.at_ms - mark.written_ms > IDLE_MS;
        let lag_ms = match (overdue, idle) {
            (true, _) => now_ms - mark.at_ms,
            (false, true) => 0,
            (false, false) => arrived_ms - mark.at_ms,
        };
        Some(lag_ms.max(0) as f64 / 1000.0)
    }
}

/// A planned handover to a replica, in INFO's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Failover {
    #[default]
    None,
    /// Writes wait until the target has caught up.
    WaitForSync {
        /// `None`: the first replica to catch up.
        target: Option<MasterAddress>,
        /// Unix milliseconds; `None`: no deadline.
        deadline_ms: Option<i64>,
        /// Fail over at the deadline regardless.
        force: bool,
    },
    /// This node has asked the target to become master.
    InProgress { target: MasterAddress },
}

impl Failover {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::None => "no-failover",
            Self::WaitForSync { .. } => "waiting-for-sync",
            Self::InProgress { .. } => "failover-in-progress",
        }
    }
}

/// The state of replication.
#[derive(Debug, Default)]
pub(crate) struct Replication {
    pub(crate) replicas: Replicas,
    link: Mutex<LinkStatus>,
    failover: Mutex<Failover>,
    generation: AtomicU64,
    /// The master that the data came from.
    synced_from: Mutex<Option<MasterAddress>>,
    /// REPLICAOF was sent since: accept any data of the master.
    consent: AtomicBool,
    /// Keys to which clients of this replica gave an expiry, with their databases: the master does
    /// not know them, so this node must expire them.
    own_expiring: Mutex<BTreeSet<(usize, Box<[u8]>)>>,
    /// Replicas that count for `min-replicas-to-write`, as used for writes; `None`: the check is
    /// off.
    good_replicas: Mutex<Option<usize>>,
    /// The link's handle, for CLIENT LIST.
    pub(crate) link_handle: Mutex<Option<Arc<Handle>>>,
}

impl Peer for Handle {
    fn wake(&self) {
        self.look();
    }

    fn disconnect(&self) {
        self.kill();
    }

    fn is_ending(&self) -> bool {
        self.is_killed()
    }
}

impl Replication {
    pub(crate) fn link(&self) -> LinkStatus {
        self.link.lock().clone()
    }

    pub(crate) fn update_link<R>(&self, change: impl FnOnce(&mut LinkStatus) -> R) -> R {
        change(&mut self.link.lock())
    }

    pub(crate) fn failover(&self) -> Failover {
        self.failover.lock().clone()
    }

    pub(crate) fn set_failover(&self, failover: Failover) {
        *self.failover.lock() = failover;
    }

    /// Increments with each change of role.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn synced_from(&self) -> Option<MasterAddress> {
        self.synced_from.lock().clone()
    }

    /// Records the master that the data came from.
    pub(crate) fn set_synced_from(&self, master: Option<MasterAddress>) {
        *self.synced_from.lock() = master;
        self.consent.store(false, Ordering::Relaxed);
        self.link.lock().refused = None;
    }

    /// Whether an operator has accepted the master's data since the last resync.
    pub(crate) fn has_consent(&self) -> bool {
        self.consent.load(Ordering::Relaxed)
    }

    pub(crate) fn give_consent(&self) {
        self.consent.store(true, Ordering::Relaxed);
        self.link.lock().refused = None;
    }

    /// Records that a client gave a key of this replica an expiry.
    pub(crate) fn note_own_expiring(&self, database: usize, key: &[u8]) {
        self.own_expiring.lock().insert((database, key.into()));
    }

    /// Up to `count` keys after a given one, ordered by database and bytes.
    pub(crate) fn own_expiring(
        &self,
        behind: Option<&(usize, Box<[u8]>)>,
        max: usize,
    ) -> Vec<(usize, Box<[u8]>)> {
        let from = behind.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        let keys = self.own_expiring.lock();
        keys.range((from, Bound::Unbounded)).take(max).cloned().collect()
    }

    /// Forgets a key that is gone or no longer expires.
    pub(crate) fn forget_own_expiring(&self, key: &(usize, Box<[u8]>)) {
        self.own_expiring.lock().remove(key);
    }

    pub(crate) fn forget_all_own_expiring(&self) {
        self.own_expiring.lock().clear();
    }

    pub(crate) fn good_replicas(&self) -> Option<usize> {
        *self.good_replicas.lock()
    }

    pub(crate) fn own_expiring_len(&self) -> usize {
        self.own_expiring.lock().len()
    }

    fn begin_generation(&self) {
        // A master expires all keys, and another master's data do not include these.
        self.own_expiring.lock().clear();
        self.generation.fetch_add(1, Ordering::AcqRel);
        if let Some(handle) = &*self.link_handle.lock() {
            handle.kill();
        }
    }
}

impl Node {
    pub(crate) fn is_replica(&self) -> bool {
        self.admission.has(Condition::Replica)
    }

    /// The node's master, if it is a replica.
    pub(crate) fn master(&self) -> Option<MasterAddress> {
        // In this order: a node gets an address before it becomes a replica, and loses it after.
        self.is_replica().then(|| self.settings.load().replication.master.clone()).flatten()
    }

    /// The state of the link. Reads "up" where admission does, so that the state shown always
    /// agrees with whether commands are refused.
    pub(crate) fn link(&self) -> LinkStatus {
        let up = self.is_replica() && !self.admission.has(Condition::MasterDown);
        let mut link = self.replication.link();
        if up {
            (link.state, link.sync) = (LinkState::Connected, None);
        } else if link.state == LinkState::Connected {
            link.state = LinkState::Connect;
        }
        link
    }

    /// Marks the link as up: the data equal the master's, up to the log's end.
    pub(crate) fn link_up(&self, locked: &Locked<'_>) {
        self.stats.link_ups.add(1);
        self.replication.update_link(|link| {
            link.state = LinkState::Connected;
            link.sync = None;
            link.refused = None;
            link.read_offset = self.log.offset();
        });
        self.admission.set(locked, Condition::MasterDown, false);
    }

    /// Marks the link as down.
    pub(crate) fn link_down(&self, locked: &Locked<'_>) {
        let now_ms = self.clock.unix_ms();
        self.admission.set(locked, Condition::MasterDown, true);
        self.replication.update_link(|link| {
            if link.state == LinkState::Connected {
                self.stats.link_losses.add(1);
                link.down_since_ms = now_ms;
            }
            link.state = LinkState::Connect;
            link.sync = None;
        });
    }

    /// Logs a command that concerns no key, unless another node writes the log. False if a script
    /// holds the locks for long: then it was not logged.
    pub(crate) fn log_bare(&self, args: &[&[u8]]) -> bool {
        let mut set = ShardSet::default();
        set.insert(0);
        // Under a lock: otherwise the role could change in between, and a log that copies a
        // master's stream would get extra bytes.
        let Some(_shard) = self.keyspace.lock_unless_busy(set) else { return false };
        if self.log.has_backlog() && !self.is_replica() {
            self.log.append_bare(args);
        }
        true
    }

    /// Sends online replicas the log they lack, as far as their sockets have room, and a GETACK if
    /// anyone waits for acknowledgements. Called without locks.
    pub(crate) fn feed_replicas(&self) {
        if let Some(file) = self.log.recording_file() {
            // What was appended without a batch.
            file.kick();
        }
        let replicas = &self.replication.replicas;
        if replicas.take_ack_wanted() {
            let offset = self.log.offset();
            if self.log_bare(&[b"REPLCONF", b"GETACK", b"*"]) {
                replicas.note_asked(offset);
            } else {
                replicas.want_ack_soon();
            }
        }
        replicas.feed(&self.log, self.clock.unix_ms());
    }

    fn store_master(&self, locked: &Locked<'_>, master: Option<MasterAddress>) {
        let mut settings = Settings::clone(&self.settings.load());
        settings.replication.master = master;
        self.settings.store(Arc::new(settings));
        self.admission.changed(locked);
    }

    /// Becomes a master with the current data. Replicas of the old master continue at their
    /// offsets.
    pub(crate) fn promote(&self, locked: &Locked<'_>) {
        self.standing.confirm("this node was told to be one");
        if !self.is_replica() {
            return;
        }
        let _span = tracing::info_span!("role.change", to = "master").entered();
        self.replication.begin_generation();
        self.log.continue_history(self.host().new_id());
        // Replicas that continue from here may have another database selected.
        self.log.forget_selected();
        self.replication.replicas.disconnect_all();
        self.replication.replicas.note_none(self.clock.unix_ms());
        self.replication.update_link(|link| *link = LinkStatus::default());
        self.replication.set_synced_from(None);
        self.admission.set(locked, Condition::Replica, false);
        self.store_master(locked, None);
        set_role(Role::Master);
        self.admission.set(locked, Condition::MasterDown, false);
        let ids = self.log.ids();
        if let Some((earlier, shared)) = ids.earlier {
            log!(
                Warning,
                "Setting secondary replication ID to {earlier}, valid up to offset: {}. New \
                 replication ID is {}",
                shared + 1,
                ids.id
            );
        }
        self.host().look_at_role();
    }

    /// Follows a master. Keeps its own history: if the master knows it, a partial resync is enough.
    pub(crate) fn follow(&self, locked: &Locked<'_>, master: MasterAddress) {
        let _span = tracing::info_span!("role.change", to = "replica").entered();
        self.replication.begin_generation();
        let now_ms = self.clock.unix_ms();
        if !self.is_replica() {
            // Writes without a reader are not in the log: no other node can share this history.
            self.log.start(self.backlog_bytes_max());
        }
        self.replication.update_link(|link| {
            let was_up = link.state == LinkState::Connected;
            let down_since_ms = if was_up { now_ms } else { link.down_since_ms };
            *link = LinkStatus { down_since_ms, ..LinkStatus::default() };
        });
        self.store_master(locked, Some(master));
        set_role(Role::Replica);
        self.admission.set(locked, Condition::MasterDown, true);
        self.admission.set(locked, Condition::Replica, true);
        self.judge_replicas(locked);
        for client in self.replication.replicas.waiters() {
            if let Some(handle) = self.clients.get(client) {
                handle.look();
            }
        }
        self.host().look_at_role();
    }

    /// Starts as a replica, before loading anything.
    pub(crate) fn begin_as_replica(&self, locked: &Locked<'_>, master: &MasterAddress) {
        set_role(Role::Replica);
        log!(Notice, "Following the master {master}");
        self.admission.set(locked, Condition::MasterDown, true);
        self.admission.set(locked, Condition::Replica, true);
    }

    /// The number of replicas that count for `min-replicas-to-write`; `None` if that is off. A
    /// replica counts its own replicas too, though it refuses no write for them.
    fn count_good_replicas(&self) -> Option<usize> {
        let settings = self.settings.load();
        let replication = &settings.replication;
        let lag_s = replication.min_replicas_max_lag_secs;
        let judged = replication.min_replicas_to_write > 0 && lag_s > 0;
        judged.then(|| self.replication.replicas.good(lag_s.into(), self.clock.unix_ms()))
    }

    /// Recounts good replicas, for writes and INFO. Takes all locks if the count changed, so the
    /// caller must hold none. While a script holds some for long, the count is left as it is.
    pub(crate) fn look_at_good_replicas(&self) {
        if self.count_good_replicas() != self.replication.good_replicas()
            && let Some(mut guard) = self.keyspace.lock_unless_busy(ShardSet::ALL)
        {
            self.judge_replicas(&guard.locked());
        }
    }

    /// Refuses writes while there are too few good replicas.
    pub(crate) fn judge_replicas(&self, locked: &Locked<'_>) {
        let good = self.count_good_replicas();
        let needed = self.settings.load().replication.min_replicas_to_write as usize;
        *self.replication.good_replicas.lock() = good;
        let too_few = good.is_some_and(|good| good < needed) && !self.is_replica();
        self.admission.set(locked, Condition::TooFewReplicas, too_few);
    }

    pub(crate) fn backlog_bytes_max(&self) -> usize {
        let bytes = self.settings.load().replication.backlog_size_bytes;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}
