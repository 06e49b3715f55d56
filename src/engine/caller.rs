//! State shared by the commands of a batch, and the tools of each command.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::Guard;

use super::Engine;
use super::serve::Server;
use super::write::{self, Right, begin_write};
use crate::commands::effects::{Effects, Terms};
use crate::commands::registry::Registered;
use crate::commands::{Args, Expired, Flag, Locks, Others, Random};
use crate::heap;
use crate::keyspace::ShardSet;
use crate::node::Node;
use crate::node::client::Client;
use crate::node::scripts::Scripts;
use crate::node::stats::WorkerStats;
use crate::replication::{By, Unreleased};
use crate::resp::Output;
use crate::settings::Settings;

/// State shared by the commands of a batch.
#[derive(Debug)]
pub(super) struct Caller<'e> {
    pub(super) engine: &'e Engine,
    pub(super) node: &'e Node,
    /// Settings as of `settings_epoch`; a change of settings begins another epoch.
    pub(super) settings: Guard<Arc<Settings>>,
    settings_epoch: u64,
    pub(super) stats: &'e WorkerStats,
    /// The number of the worker, of the link to a master among them.
    pub(super) worker: usize,
    /// Unix milliseconds at the start of the batch.
    pub(super) now_ms: i64,
    began_nanos: u64,
    /// When the last command ended, and so the next one begins.
    pub(super) last_nanos: u64,
    /// The id of the batch's last command, and one; 0 of an unknown one.
    pub(super) last_command: Option<usize>,
    /// Whether there are monitors; as of the start of the batch, and after a command that may add
    /// one.
    pub(super) monitored: bool,
    /// Nothing is left to evict, and the command that runs found too little memory.
    pub(super) memory_short: bool,
    /// Something was logged.
    logged: Cell<bool>,
}

/// What a command runs with besides its arguments.
#[derive(Debug)]
pub(super) struct Tools<'t> {
    pub(super) client: &'t mut Client,
    pub(super) output: &'t mut Output,
    pub(super) effects: &'t mut Effects,
    pub(super) random: &'t mut Random,
    /// Messages to the client that were taken under the command's locks: they precede its reply.
    pub(super) pushed: Option<Output>,
    /// For commands that need them.
    pub(super) scripts: Option<&'t mut Scripts>,
}

impl Tools<'_> {
    /// Takes the client's messages. The caller holds the command's locks, so that none tells of a
    /// later change of a key than the reply does; or the command reads no values.
    #[inline]
    pub(super) fn take_pushes(&mut self) {
        let handle = &self.client.handle;
        if handle.has_pushes() {
            let pushes = handle.take_pushes();
            match &mut self.pushed {
                Some(pushed) => pushed.append(&pushes),
                None => self.pushed = Some(pushes),
            }
        }
    }
}

impl<'e> Caller<'e> {
    pub(super) fn new(engine: &'e Engine, worker: usize) -> Self {
        let node = &*engine.node;
        // The epoch first: settings newer than it are harmless.
        let settings_epoch = node.admission.epoch();
        let began_nanos = node.clock.nanos();
        Self {
            engine,
            node,
            settings: node.settings.load(),
            settings_epoch,
            stats: &node.workers[worker],
            worker,
            now_ms: node.clock.unix_ms(),
            began_nanos,
            last_nanos: began_nanos,
            last_command: None,
            monitored: node.monitors.any(),
            memory_short: false,
            logged: Cell::new(false),
        }
    }

    /// When the batch began, and when its last command ended.
    pub(super) fn batch_nanos(&self) -> (u64, u64) {
        (self.began_nanos, self.last_nanos)
    }

    /// Publishes the client's activity. Returns the offset up to which online replicas must be fed
    /// before the client is answered; 0: nothing to feed.
    pub(super) fn finish(&self, client: &mut Client) -> u64 {
        let replicas = &self.node.replication.replicas;
        let mut owed = 0;
        if self.logged.get() {
            if let Some(file) = self.node.log.recording_file() {
                self.node.look_at_file(file, self.last_nanos);
            }
            owed = self.node.log.offset();
            replicas.note_write(owed, self.last_nanos, self.now_ms);
            if std::mem::take(&mut client.waits_for_writes) {
                replicas.want_ack_soon();
            }
        } else if replicas.is_ack_wanted() {
            owed = self.node.log.offset();
        }
        if owed != 0 && !replicas.any_fed() {
            owed = 0;
        }
        // Users may have changed while a command ran that takes no lock: AUTH, SUBSCRIBE.
        let epoch = self.node.admission.epoch();
        if client.users_epoch != epoch {
            client.follow(&self.node.acl, epoch);
        }
        if client.unpublished {
            client.publish();
        }
        self.node.pace.note_work();
        heap::tell();
        client.handle.active_ms.store(self.now_ms, Ordering::Relaxed);
        if let Some(last_command) = self.last_command {
            client.handle.last_command.store(last_command, Ordering::Relaxed);
        }
        owed
    }

    /// What the append only file must have released before the client is answered.
    pub(super) fn unreleased(&self) -> Unreleased {
        let by = if self.logged.get() { By::Writing } else { By::Reading };
        self.node.log.unreleased(by)
    }

    /// The admission epoch; brings the settings and the client's user up to date with it.
    #[inline]
    pub(super) fn epoch(&mut self, client: &mut Client) -> u64 {
        let epoch = self.node.admission.epoch();
        if epoch != self.settings_epoch {
            (self.settings, self.settings_epoch) = (self.node.settings.load(), epoch);
            client.follow(&self.node.acl, epoch);
        }
        epoch
    }

    /// Brings the client's user up to date as the batch begins.
    pub(super) fn begin(&self, client: &mut Client) {
        if client.users_epoch != self.settings_epoch {
            client.follow(&self.node.acl, self.settings_epoch);
        }
    }

    /// The row with an id.
    pub(super) fn row(&self, id: usize) -> &'e Registered {
        self.engine.registry.by_id(id)
    }

    /// The shards that a command needs.
    #[inline]
    pub(super) fn lock_set(&self, registered: &Registered, args: &Args<'_>) -> ShardSet {
        if registered.one_key {
            let shard = args.key(&self.node.keyspace, registered.first_key).shard();
            return self.with_moves(ShardSet::of(shard));
        }
        self.with_moves(self.lock_set_of_several(registered, args))
    }

    /// A set of shards with those that waiting moves reach from it.
    #[inline]
    pub(super) fn with_moves(&self, set: ShardSet) -> ShardSet {
        let blocked = &self.node.blocked;
        if blocked.any_moves() { blocked.reached_from(set) } else { set }
    }

    /// Whether a set has those shards still, now that it is locked.
    #[inline]
    pub(super) fn covers_moves(&self, set: ShardSet) -> bool {
        self.with_moves(set) == set
    }

    /// To serve clients that wait for keys which this client has changed.
    pub(super) fn server(&self, client: &Client) -> Server<'_> {
        let expired = if client.master.is_some() { Expired::Ignore } else { Expired::Remove };
        Server {
            node: self.node,
            stats: self.stats,
            // Within a transaction, time may have passed since the batch began.
            now_ms: self.node.clock.unix_ms(),
            expired,
            terms: Terms::of(&self.settings),
        }
    }

    #[inline(never)]
    fn lock_set_of_several(&self, registered: &Registered, args: &Args<'_>) -> ShardSet {
        let mut set = ShardSet::default();
        match registered.row.locks {
            Locks::All => return ShardSet::ALL,
            Locks::OneByOne => return set,
            Locks::Keys => {}
        }
        let others = registered.row.keys.for_each_locked(args, |index| {
            set.insert(args.key(&self.node.keyspace, index).shard());
        });
        if others == Others::Any {
            return ShardSet::ALL;
        }
        if registered.row.flags.has(Flag::MayReplicate) && set == ShardSet::default() {
            // PUBLISH: logging requires a lock, or it could slip past a pause.
            set.insert(args.key(&self.node.keyspace, 1).shard());
        }
        set
    }

    /// Records the log's offset for WAIT, and on a replica logs what its master sent. The caller
    /// holds the locks of `set`, under which it was applied.
    #[inline]
    pub(super) fn note_offset(&self, client: &mut Client, set: ShardSet) {
        if self.node.log.has_backlog() {
            if client.master.is_some() && client.multi.is_none() && set != ShardSet::default() {
                self.log_unit(client);
            }
            client.write_offset = self.node.log.offset();
        }
    }

    /// Logs what the master sent without taking a lock: it changed no key. False when the node no
    /// longer follows that master.
    pub(super) fn note_keyless(&self, client: &mut Client) -> bool {
        let Some(master) = client.master.as_ref().filter(|master| !master.unit.is_empty()) else {
            return true;
        };
        let right = Right::Link(master.generation);
        let writing = begin_write(self.node, ShardSet::of(0), right);
        if writing.is_some() {
            self.log_unit(client);
        }
        writing.is_some()
    }

    /// Logs what the master sent since the last call. The caller holds a lock.
    fn log_unit(&self, client: &mut Client) {
        let database = client.database;
        if let Some(master) = &mut client.master
            && !master.unit.is_empty()
        {
            self.node.log.append_verbatim(&master.unit, database);
            master.unit.clear();
            self.logged.set(true);
        }
    }

    /// Notes that something was logged: replicas are fed before the client is answered.
    pub(super) fn note_logged(&self) {
        self.logged.set(true);
    }

    /// Applies the collected effects. The caller holds the locks.
    #[inline]
    pub(super) fn settle(&self, effects: &mut Effects) {
        if !effects.log.is_empty() {
            self.logged.set(true);
        }
        write::settle(self.node, self.stats, effects);
    }
}
