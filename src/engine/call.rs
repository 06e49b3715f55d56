//! One command: resolved, admitted, run under its locks, its effects applied and counted.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::Guard;

use super::Engine;
use super::admission::{self, Verdict};
use crate::commands::effects::Effects;
use crate::commands::registry::Registered;
use crate::commands::{
    Args, Context, EngineCommand, Failure, Flag, Keys, Locks, Random, Run, c_string,
};
use crate::keyspace::{Locked, ShardSet};
use crate::node::Node;
use crate::node::client::{Client, ReplyMode};
use crate::node::slowlog::{self, SlowCommand};
use crate::node::spikes::Spike;
use crate::node::stats::WorkerStats;
use crate::resp::{Bookmark, Output, ProtocolError};
use crate::settings::{EventClasses, Settings};
use crate::telemetry::crash;
use crate::telemetry::traces::{self, CommandSpan};

/// Whether a request is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Done,
    /// It waits for the end of a pause.
    Wait,
    /// It is no client's, and the connection must end without any reply.
    Abort,
}

/// What the commands of a batch have in common.
#[derive(Debug)]
pub(super) struct Caller<'e> {
    pub(super) engine: &'e Engine,
    pub(super) node: &'e Node,
    /// As they are in `settings_epoch`; a change of settings begins another.
    pub(super) settings: Guard<Arc<Settings>>,
    settings_epoch: u64,
    pub(super) stats: &'e WorkerStats,
    /// Unix milliseconds at the start of the batch.
    pub(super) now_ms: i64,
    began_nanos: u64,
    /// When the last command ended: the next one begins then.
    last_nanos: u64,
    last_command: usize,
    /// Something went into the log.
    logged: Cell<bool>,
}

/// What a command runs with besides its arguments.
#[derive(Debug)]
pub(super) struct Tools<'t> {
    pub(super) client: &'t mut Client,
    pub(super) output: &'t mut Output,
    pub(super) effects: &'t mut Effects,
    pub(super) random: &'t mut Random,
}

impl<'e> Caller<'e> {
    pub(super) fn new(engine: &'e Engine, worker: usize) -> Self {
        let node = &*engine.node;
        // First the epoch: settings newer than it do no harm.
        let settings_epoch = node.admission.epoch();
        let began_nanos = node.clock.nanos();
        Self {
            engine,
            node,
            settings: node.settings.load(),
            settings_epoch,
            stats: &node.workers[worker],
            now_ms: node.clock.unix_ms(),
            began_nanos,
            last_nanos: began_nanos,
            last_command: 0,
            logged: Cell::new(false),
        }
    }

    /// When the batch began, and when its last command ended.
    pub(super) fn batch_nanos(&self) -> (u64, u64) {
        (self.began_nanos, self.last_nanos)
    }

    /// Shows others that the client was active. Gives the offset up to which online replicas are
    /// to be fed before the client is answered; 0: there is nothing for them.
    pub(super) fn finish(&self, client: &mut Client) -> u64 {
        let replicas = &self.node.replication.replicas;
        let mut owed = 0;
        if self.logged.get() {
            owed = self.node.log.offset();
            replicas.note_write(owed, self.last_nanos, self.now_ms);
        } else if replicas.is_ack_wanted() {
            owed = self.node.log.offset();
        }
        if owed != 0 && !replicas.any_fed() {
            owed = 0;
        }
        if client.unpublished {
            client.publish();
        }
        client.handle.active_ms.store(self.now_ms, Ordering::Relaxed);
        if self.last_command != 0 {
            client.handle.last_command.store(self.last_command, Ordering::Relaxed);
        }
        owed
    }

    /// Answers bytes that are no request.
    pub(super) fn protocol_error(
        &self,
        client: &mut Client,
        output: &mut Output,
        error: &ProtocolError,
    ) {
        let text = error.text();
        if client.reply_mode == ReplyMode::On {
            output.error(&text);
        }
        self.stats.error(&text);
        client.closing = true;
    }

    /// Runs one request, or queues it, or refuses it.
    #[inline]
    pub(super) fn request(
        &mut self,
        client: &mut Client,
        output: &mut Output,
        effects: &mut Effects,
        random: &mut Random,
        command: Option<usize>,
        args: &Args<'_>,
    ) -> Flow {
        let resolved = self.resolve(command, args);
        let exec = resolved.as_ref().is_ok_and(|found| found.row.run_by_engine().is_some());
        if exec && client.handle.has_pushes() {
            output.append(&client.handle.take_pushes());
        }
        let start = output.bookmark();
        let mut tools = Tools { client, output, effects, random };
        let flow = match resolved {
            Ok(registered) => self.admit_and_call(&mut tools, registered, args),
            Err(_) if is_cross_protocol(args) => return Flow::Abort,
            Err((registered, failure)) => {
                self.refuse(&mut tools, registered, &failure);
                Flow::Done
            }
        };
        if flow != Flow::Done {
            return flow;
        }
        if client.reply_mode != ReplyMode::On {
            match client.reply_mode {
                ReplyMode::SkipNext => client.reply_mode = ReplyMode::Skip,
                ReplyMode::Skip => {
                    output.truncate(start);
                    client.reply_mode = ReplyMode::On;
                }
                _ => output.truncate(start),
            }
        }
        // Messages that this very command caused come before its reply, as in Redis, or before
        // what it replied after it had told of them.
        let before = client.replied.take().map_or(start, |replied| replied.reply_end);
        if client.handle.has_pushes() {
            let pushes = client.handle.take_pushes();
            if exec {
                // What a transaction caused follows its array: its own confirmations lie within.
                output.append(&pushes);
            } else {
                output.insert(before, &pushes);
            }
        }
        Flow::Done
    }

    /// Finds the row, through a container's subcommands, and checks the arity.
    #[inline]
    fn resolve(
        &self,
        command: Option<usize>,
        args: &Args<'_>,
    ) -> Result<&'e Registered, (Option<&'e Registered>, Failure)> {
        let Some(command) = command else { return Err((None, unknown_command(args))) };
        let mut registered = &self.engine.registry.commands()[command];
        if registered.is_container() && args.len() > 1 {
            registered = registered.subcommand(args.at(1)).ok_or_else(|| {
                let (sent, container) = (args.at(1).to_vec(), args.at(0).to_vec());
                (None, Failure::UnknownSubcommand { sent, container })
            })?;
        }
        if registered.row.arity.allows(args.len()) {
            Ok(registered)
        } else {
            Err((Some(registered), Failure::Arity(registered.name.clone())))
        }
    }

    #[inline]
    fn admit_and_call(
        &mut self,
        tools: &mut Tools<'_>,
        registered: &'e Registered,
        args: &Args<'_>,
    ) -> Flow {
        self.last_command = registered.id + 1;
        loop {
            let epoch = self.node.admission.epoch();
            if epoch != self.settings_epoch {
                (self.settings, self.settings_epoch) = (self.node.settings.load(), epoch);
            }
            if !(self.node.admission.is_calm() && tools.client.is_plain()) {
                match admission::judge(self, tools.client, registered) {
                    Verdict::Run => {}
                    Verdict::Queue => {
                        super::transaction::queue(tools, registered, args);
                        return Flow::Done;
                    }
                    Verdict::Refuse(failure) => {
                        self.refuse(tools, Some(registered), &failure);
                        return Flow::Done;
                    }
                    Verdict::Wait => return Flow::Wait,
                    Verdict::Abort => return Flow::Abort,
                }
            }
            if registered.row.run_by_engine() == Some(EngineCommand::Exec) {
                if super::transaction::execute(self, tools, registered, epoch) {
                    return Flow::Done;
                }
                continue;
            }
            let mut guard = self.node.keyspace.lock(self.lock_set(registered, args));
            if self.node.admission.epoch() != epoch {
                continue;
            }
            self.begin(tools.effects);
            let start = tools.output.bookmark();
            self.call(tools, guard.locked(), registered, args);
            if tools.client.replied.is_some() {
                self.publish_before_reply(tools, start);
            }
            self.settle(tools.effects);
            self.note_offset(tools.client);
            drop(guard);
            if !tools.effects.met_expired.is_empty() {
                super::sweep::remove_met(self, tools);
            }
            return Flow::Done;
        }
    }

    /// The shards that a command needs.
    #[inline]
    pub(super) fn lock_set(&self, registered: &Registered, args: &Args<'_>) -> ShardSet {
        if registered.one_key {
            let mut set = ShardSet::default();
            set.insert(args.key(&self.node.keyspace, registered.first_key).shard());
            return set;
        }
        self.lock_set_of_several(registered, args)
    }

    #[inline(never)]
    fn lock_set_of_several(&self, registered: &Registered, args: &Args<'_>) -> ShardSet {
        let mut set = ShardSet::default();
        match registered.row.locks {
            Locks::All => return ShardSet::ALL,
            Locks::OneByOne => return set,
            Locks::Keys => {}
        }
        for (index, _) in registered.row.keys.indices(args.len()) {
            set.insert(args.key(&self.node.keyspace, index).shard());
        }
        if registered.row.flags.has(Flag::MayReplicate) && set == ShardSet::default() {
            // PUBLISH: what goes into the log holds a lock, or it could slip past a pause.
            set.insert(args.key(&self.node.keyspace, 1).shard());
        }
        set
    }

    /// Makes ready to collect effects; the locks are held.
    #[inline]
    pub(super) fn begin(&self, effects: &mut Effects) {
        let logging = self.node.log.is_recording() && !self.node.is_replica();
        effects.begin(logging, self.settings.keyspace.notify_events);
    }

    /// Keeps the log's offset for WAIT, and on a replica brings into the log what its master sent.
    /// The locks are held under which it was applied.
    #[inline]
    pub(super) fn note_offset(&self, client: &mut Client) {
        if self.node.log.is_recording() {
            if client.master.is_some() && client.multi.is_none() {
                self.log_unit(client);
            }
            client.write_offset = self.node.log.offset();
        }
    }

    /// Appends to the log what the master sent since the last time.
    pub(super) fn log_unit(&self, client: &mut Client) {
        let database = client.database;
        if let Some(master) = &mut client.master
            && !master.unit.is_empty()
        {
            self.node.log.append_verbatim(&master.unit, database);
            master.unit.clear();
            self.logged.set(true);
        }
    }

    /// Runs a handler under locks and counts it.
    #[inline]
    pub(super) fn call(
        &mut self,
        tools: &mut Tools<'_>,
        locked: Locked<'_>,
        registered: &'e Registered,
        args: &Args<'_>,
    ) {
        let Run::Handler(handler) = registered.row.run else {
            unreachable!("containers resolve to subcommands, and the engine runs its own")
        };
        crash::begin_command(registered.path);
        let start = tools.output.bookmark();
        let dirty = tools.effects.dirty;
        let database = tools.client.database;
        let (expire, frozen, unexpiring) = self.expiry(tools.client, registered);
        let mut context = Context {
            node: self.node,
            registry: &self.engine.registry,
            keys: Keys {
                locked,
                database,
                now_ms: self.now_ms,
                touch: !tools.client.no_touch,
                expire,
                frozen,
                unexpiring,
                stats: self.stats,
                effects: tools.effects,
            },
            client: tools.client,
            reply: tools.output,
            random: tools.random,
        };
        let handled = handler(&mut context, args);
        if expire && handled.is_ok() && self.node.is_replica() {
            self.note_own_expiring(&context.keys, registered, args);
        }
        tools.effects.end_command(database, args, dirty);
        let command = &self.stats.commands[registered.id];
        if let Err(failure) = &handled {
            tools.output.truncate(start);
            let text = failure.text();
            tools.output.error(&text);
            self.stats.error(&text);
            command.failed.add(1);
        }
        let failure = handled.err();
        let now = self.node.clock.nanos();
        let nanos = now.saturating_sub(self.last_nanos);
        self.last_nanos = now;
        command.calls.add(1);
        command.nanos.add(nanos);
        command.latency.observe(nanos);
        if registered.row.flags.has(Flag::Admin) {
            // CONFIG SET holds for its own entry in the slow log, too.
            self.settings = self.node.settings.load();
        }
        let threshold = self.settings.slowlog.slower_than_us;
        let slow = threshold >= 0 && nanos / 1000 >= threshold.unsigned_abs();
        if slow {
            self.slow(tools, registered, args, nanos / 1000);
        }
        let spike_ms = self.settings.slowlog.spike_ms;
        if spike_ms > 0 && nanos / 1_000_000 >= spike_ms.unsigned_abs() {
            self.spike(registered, nanos);
        }
        if traces::is_on() {
            self.trace(tools, registered, args.len(), nanos, (failure, slow));
        }
        tools.effects.redacted.clear();
    }

    /// What becomes of expired keys: whether they are removed, only hidden for now, or not even
    /// noticed. See the fields of [`Keys`].
    #[inline]
    fn expiry(&self, client: &Client, registered: &Registered) -> (bool, bool, bool) {
        let admission = &self.node.admission;
        if admission.is_calm() {
            return (true, false, false);
        }
        // On a replica keys end by the master's word, but for those that a client may overwrite.
        let expire = !self.node.is_replica()
            || client.master.is_none() && registered.row.flags.has(Flag::Write);
        let frozen = admission.is_paused_at(self.node.clock.unix_ms());
        (expire && client.master.is_none(), frozen, client.master.is_some())
    }

    /// Keys that a client of this replica gave an expiry are this node's to end.
    #[cold]
    fn note_own_expiring(&self, keys: &Keys<'_>, registered: &Registered, args: &Args<'_>) {
        for (index, _) in registered.row.keys.indices(args.len()) {
            let key = args.key(&self.node.keyspace, index);
            let entry = keys.locked.get(keys.database, key);
            if entry.is_some_and(|entry| entry.expire_at_ms().is_some()) {
                self.node.replication.note_own_expiring(keys.database, key.bytes);
            }
        }
    }

    /// Has LATENCY tell of a command.
    #[cold]
    fn spike(&self, registered: &Registered, nanos: u64) {
        let fast = registered.row.flags.has(Flag::Fast);
        let event = if fast { "fast-command" } else { "command" };
        let ms = i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX);
        self.node.spikes.add(event, Spike { at_s: self.node.clock.unix_ms() / 1000, ms });
    }

    /// Tells of a command in the traces: of all that failed or were slow, and of some others.
    #[cold]
    fn trace(
        &self,
        tools: &mut Tools<'_>,
        registered: &Registered,
        args: usize,
        nanos: u64,
        (failure, slow): (Option<Failure>, bool),
    ) {
        if failure.is_none() && !slow && !traces::is_sampled(tools.random.next()) {
            return;
        }
        let words = 1 + usize::from(registered.name.contains('|'));
        let error = failure.as_ref().map(Failure::text);
        traces::command(&CommandSpan {
            name: &registered.name,
            arguments: args.saturating_sub(words),
            database: tools.client.database,
            end_us: self.node.clock.unix_us(),
            nanos,
            error: error.as_deref(),
            slow,
            peer: &tools.client.handle.origin.address,
            port: self.node.identity.port,
        });
    }

    #[cold]
    fn slow(&self, tools: &Tools<'_>, registered: &Registered, args: &Args<'_>, duration_us: u64) {
        if registered.row.flags.has(Flag::SkipSlowlog) {
            return;
        }
        let (client, redacted) = (&tools.client, &tools.effects.redacted);
        let shown = args
            .from(0)
            .enumerate()
            .map(|(index, arg)| if redacted.contains(&index) { &b"(redacted)"[..] } else { arg });
        let command = SlowCommand {
            id: 0,
            at_s: self.node.clock.unix_ms() / 1000,
            duration_us,
            args: slowlog::shortened(shown),
            address: client.handle.origin.address.clone(),
            client_name: client.handle.shown.lock().name.clone(),
        };
        let len_max = usize::try_from(self.settings.slowlog.max_len).unwrap_or(usize::MAX);
        self.node.slowlog.add(command, len_max);
    }

    /// The row with an id.
    pub(super) fn row(&self, id: usize) -> &'e Registered {
        self.engine.registry.by_id(id)
    }

    /// Answers a command that the engine runs itself with an error.
    pub(super) fn fail(
        &mut self,
        tools: &mut Tools<'_>,
        registered: &Registered,
        text: &'static str,
    ) {
        tools.output.error(text.as_bytes());
        self.stats.error(text.as_bytes());
        self.stats.commands[registered.id].failed.add(1);
        self.count(registered);
    }

    /// Counts a command that the engine ran itself. Its parts were counted on their own, so only
    /// what was not is its time.
    pub(super) fn count(&mut self, registered: &Registered) {
        let now = self.node.clock.nanos();
        let command = &self.stats.commands[registered.id];
        let nanos = now.saturating_sub(self.last_nanos);
        command.calls.add(1);
        command.nanos.add(nanos);
        command.latency.observe(nanos);
        self.last_nanos = now;
    }

    /// Applies what was collected. The locks are held.
    #[inline]
    pub(super) fn settle(&self, effects: &mut Effects) {
        if !effects.log.is_empty() {
            self.logged.set(true);
        }
        settle(self.node, self.stats, effects);
    }

    /// Answers with an error without running anything.
    #[cold]
    pub(super) fn refuse(
        &self,
        tools: &mut Tools<'_>,
        registered: Option<&Registered>,
        failure: &Failure,
    ) {
        let mut text = failure.text();
        if let Some(registered) = registered {
            self.stats.commands[registered.id].rejected.add(1);
            if registered.row.run_by_engine() == Some(EngineCommand::Exec) {
                super::transaction::forget(self, tools.client);
                let reason = text.strip_prefix(b"ERR ").unwrap_or(&text);
                let abort = b"EXECABORT Transaction discarded because of: ";
                text = [&abort[..], reason].concat().into();
            }
        }
        tools.output.error(&text);
        self.stats.error(&text);
        if let (Some(registered), true) = (registered, traces::is_on()) {
            self.trace(tools, registered, 1, 0, (Some(failure.clone()), false));
        }
        if let Some(multi) = &mut tools.client.multi {
            multi.broken = true;
        }
    }

    /// Publishes the events that a command told of before it replied, so that their messages
    /// precede what it has replied so far.
    #[cold]
    fn publish_before_reply(&self, tools: &mut Tools<'_>, start: Bookmark) {
        let Some(replied) = &mut tools.client.replied else { return };
        let later = tools.effects.events.split_off(replied.events);
        publish(self.node, tools.effects);
        tools.effects.events = later;
        let handle = &tools.client.handle;
        if tools.client.reply_mode != ReplyMode::On {
            // There is no reply that they could precede.
            tools.client.replied = None;
        } else if handle.has_pushes() {
            let pushes = handle.take_pushes();
            tools.output.insert(start, &pushes);
            replied.reply_end = replied.reply_end.later_by(&pushes);
        }
    }

    /// Publishes the events of a command within a transaction, before the next one can publish.
    #[inline]
    pub(super) fn publish(&self, effects: &mut Effects) {
        if !effects.events.is_empty() {
            publish(self.node, effects);
        }
    }
}

/// Applies collected effects: the log, the count of changes, events. The locks are held.
#[inline]
pub(super) fn settle(node: &Node, stats: &WorkerStats, effects: &mut Effects) {
    if effects.dirty != 0 {
        stats.dirty.add(effects.dirty);
    }
    if !effects.log.is_empty() {
        node.log.append(&effects.log);
        effects.log.clear();
    }
    if !effects.events.is_empty() {
        publish(node, effects);
    }
}

#[cold]
fn publish(node: &Node, effects: &mut Effects) {
    let classes = effects.classes;
    for event in effects.events.drain(..) {
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
}

/// Whether this is a line of HTTP: a web page may have the browser of someone who can reach the
/// server send commands in the body of a request.
fn is_cross_protocol(args: &Args<'_>) -> bool {
    args.is(0, "POST") || args.is(0, "Host:")
}

/// Redis's text for a command that there is not, with the start of its arguments.
fn unknown_command(args: &Args<'_>) -> Failure {
    fn c_string_within(bytes: &[u8], max: usize) -> &[u8] {
        c_string(&bytes[..bytes.len().min(max)])
    }
    let mut shown = Vec::new();
    for arg in args.from(1) {
        if shown.len() >= 128 {
            break;
        }
        let room = 128 - shown.len();
        shown.push(b'\'');
        shown.extend_from_slice(c_string_within(arg, room));
        shown.extend_from_slice(b"' ");
    }
    let name = c_string_within(args.at(0), 128);
    let text = [b"ERR unknown command '", name, b"', with args beginning with: ", &shown];
    Failure::Bytes(text.concat())
}
