//! This node's place in replication: master or replica, how its link to a master is, and the
//! changes between the two.
//!
//! A role changes under all the shard locks and begins a generation. What an older generation has
//! under way, a link that still has bytes to apply or a client in WAIT, ends when it looks.

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

/// How the link to the master is, in ROLE's words.
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

/// A full resync that is being received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SyncProgress {
    /// `None` while it is not known; 0 if it is never told.
    pub(crate) total_bytes: Option<u64>,
    pub(crate) read_bytes: u64,
}

/// A master whose data this replica has refused to take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedMaster {
    /// Its replication id.
    pub(crate) id: String,
    pub(crate) reason: String,
}

/// What INFO, ROLE and the admin server show of the link to the master. Times are Unix
/// milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct LinkStatus {
    pub(crate) state: LinkState,
    pub(crate) last_io_ms: i64,
    /// Since when it is not connected; 0: it never was since this node is a replica.
    pub(crate) down_since_ms: i64,
    pub(crate) sync: Option<SyncProgress>,
    /// Bytes of the stream that have arrived, applied or not.
    pub(crate) read_offset: u64,
    pub(crate) refused: Option<RefusedMaster>,
    /// The last time mark, if the master sends any, and when it arrived.
    pub(crate) mark: Option<(TimeMark, i64)>,
}

/// What a master that is a limpid says of time between the commands of its stream, in Unix
/// milliseconds by its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeMark {
    /// When it had all of the stream before the mark, and nothing more.
    pub(crate) at_ms: i64,
    /// When it last wrote.
    pub(crate) written_ms: i64,
}

/// A master that has not written for so long before a mark is idle: what is on the way is no
/// write.
const IDLE_MS: i64 = 200;
/// A mark that is late by so much says that more is on the way.
const OVERDUE_MS: i64 = 400;

impl TimeMark {
    /// Reads `at,written` and a line's end.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (at, written) = std::str::from_utf8(text).ok()?.trim().split_once(',')?;
        Some(Self { at_ms: at.parse().ok()?, written_ms: written.parse().ok()? })
    }
}

impl LinkStatus {
    /// How old, in seconds, what is applied is; `None` when the master does not tell, or while
    /// the link is not up.
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
    /// Writes wait until the target has everything.
    WaitForSync {
        /// `None`: whichever replica is first.
        target: Option<MasterAddress>,
        /// Unix milliseconds; `None`: no end.
        deadline_ms: Option<i64>,
        /// Go on at the deadline all the same.
        force: bool,
    },
    /// The target was asked to step in.
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
    /// The master whose data this is.
    synced_from: Mutex<Option<MasterAddress>>,
    /// REPLICAOF was sent since: whatever the master has is taken.
    consent: AtomicBool,
    /// Keys with an expiry that clients wrote to this replica, with their databases: its master
    /// does not know them, so this node must end them.
    own_expiring: Mutex<BTreeSet<(usize, Box<[u8]>)>>,
    /// Replicas near enough for `min-replicas-to-write`, as writes are judged by; `None`: they are
    /// not.
    good_replicas: Mutex<Option<usize>>,
    /// The handle of the link, as CLIENT LIST shows it.
    pub(crate) link_handle: Mutex<Option<Arc<Handle>>>,
}

impl Peer for Handle {
    fn wake(&self) {
        self.look();
    }

    fn disconnect(&self) {
        self.kill();
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

    /// Grows with each change of role.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn synced_from(&self) -> Option<MasterAddress> {
        self.synced_from.lock().clone()
    }

    /// The data is now this master's.
    pub(crate) fn set_synced_from(&self, master: Option<MasterAddress>) {
        *self.synced_from.lock() = master;
        self.consent.store(false, Ordering::Relaxed);
        self.link.lock().refused = None;
    }

    /// Whether an operator has said, since the last resync, that the master's data is wanted.
    pub(crate) fn has_consent(&self) -> bool {
        self.consent.load(Ordering::Relaxed)
    }

    pub(crate) fn give_consent(&self) {
        self.consent.store(true, Ordering::Relaxed);
        self.link.lock().refused = None;
    }

    /// A client has given a key of this replica an expiry.
    pub(crate) fn note_own_expiring(&self, database: usize, key: &[u8]) {
        self.own_expiring.lock().insert((database, key.into()));
    }

    /// Up to so many keys behind one, in the order of databases and bytes.
    pub(crate) fn own_expiring(
        &self,
        behind: Option<&(usize, Box<[u8]>)>,
        max: usize,
    ) -> Vec<(usize, Box<[u8]>)> {
        let from = behind.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        let keys = self.own_expiring.lock();
        keys.range((from, Bound::Unbounded)).take(max).cloned().collect()
    }

    /// The key is gone, or does not expire any more.
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
        // A master ends all keys, and another master's data know nothing of these.
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

    /// The master that this node follows, if it is a replica.
    pub(crate) fn master(&self) -> Option<MasterAddress> {
        // In this order: who becomes a replica has an address before, and after it is none again.
        self.is_replica().then(|| self.settings.load().replication.master.clone()).flatten()
    }

    /// How the link to the master is. Whether it is up is read where admission reads it: no view
    /// says so while commands are refused for it, nor the other way round.
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

    /// The link is up: the data are the master's, up to the log's end.
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

    /// The link is not up any more.
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

    /// Puts a command that concerns no key into the stream, unless that is another node's to do.
    pub(crate) fn log_bare(&self, args: &[&[u8]]) {
        let mut set = ShardSet::default();
        set.insert(0);
        // Under a lock: else the role could change in between, and the log, which then holds what
        // a master sends, would have bytes of its own.
        let _shard = self.keyspace.lock(set);
        if self.log.is_recording() && !self.is_replica() {
            self.log.append_bare(args);
        }
    }

    /// Hands online replicas what they lack of the log, as far as their sockets have room, with the
    /// question how far they are, if somebody wants to know. Called without locks.
    pub(crate) fn feed_replicas(&self) {
        let replicas = &self.replication.replicas;
        if replicas.take_ack_wanted() {
            self.log_bare(&[b"REPLCONF", b"GETACK", b"*"]);
        }
        replicas.feed(&self.log, self.clock.unix_ms());
    }

    fn store_master(&self, locked: &Locked<'_>, master: Option<MasterAddress>) {
        let mut settings = Settings::clone(&self.settings.load());
        settings.replication.master = master;
        self.settings.store(Arc::new(settings));
        self.admission.changed(locked);
    }

    /// Becomes a master with the data there is. Replicas of the old master go on from where they
    /// are.
    pub(crate) fn promote(&self, locked: &Locked<'_>) {
        self.standing.confirm("this node was told to be one");
        if !self.is_replica() {
            return;
        }
        let _span = tracing::info_span!("role.change", to = "master").entered();
        self.replication.begin_generation();
        self.log.continue_history(self.host().new_id());
        // Who reads on from here may have another database selected.
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

    /// Follows a master. Its own history is kept: if the master knows it, a partial resync will do.
    pub(crate) fn follow(&self, locked: &Locked<'_>, master: MasterAddress) {
        let _span = tracing::info_span!("role.change", to = "replica").entered();
        self.replication.begin_generation();
        let now_ms = self.clock.unix_ms();
        if !self.is_replica() {
            // What was written while nobody read is in no log: nobody can share this history.
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

    /// Begins as a replica, before anything is loaded.
    pub(crate) fn begin_as_replica(&self, locked: &Locked<'_>, master: &MasterAddress) {
        set_role(Role::Replica);
        log!(Notice, "Following the master {master}");
        self.admission.set(locked, Condition::MasterDown, true);
        self.admission.set(locked, Condition::Replica, true);
    }

    /// How many replicas are near enough for `min-replicas-to-write`; `None` when that asks for none.
    /// A replica counts its own, too, though it refuses no write for them.
    fn count_good_replicas(&self) -> Option<usize> {
        let settings = self.settings.load();
        let replication = &settings.replication;
        let lag_s = replication.min_replicas_max_lag_secs;
        let judged = replication.min_replicas_to_write > 0 && lag_s > 0;
        judged.then(|| self.replication.replicas.good(lag_s.into(), self.clock.unix_ms()))
    }

    /// Counts good replicas anew, for writes and for INFO. Takes all the locks if the count is
    /// another, so none may be held.
    pub(crate) fn look_at_good_replicas(&self) {
        if self.count_good_replicas() != self.replication.good_replicas() {
            self.judge_replicas(&self.keyspace.lock(ShardSet::ALL).locked());
        }
    }

    /// Makes writes be refused while there are too few good replicas.
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
