//! A command's changes and their effects.
//!
//! Handlers report changes ([`Keys::changed`](super::Keys::changed)), which marks watchers at once,
//! under the locks held. After the handler, the engine uses what is collected here to write the
//! log, publish keyspace events and count changes. No handler does any of this by hand.

use std::sync::Arc;

use crate::keyspace::access::Aging;
use crate::keyspace::{Key, Locked, Noted};
use crate::node::tracking::{Broadcasts, Tracker};
use crate::replication::{Batch, Target};
use crate::settings::{EventClasses, Settings};

use super::{Args, Random, aging};

/// An event to publish.
#[derive(Debug)]
pub(crate) struct KeyEvent {
    pub(crate) name: &'static str,
    pub(crate) database: usize,
    pub(crate) key: Box<[u8]>,
}

/// Something to tell clients of, while the locks are still held.
#[derive(Debug)]
pub(crate) enum Told {
    Event(KeyEvent),
    /// These have the key in their caches, and it changed.
    Invalid(Box<[u8]>, Vec<Arc<Tracker>>),
}

/// A key of the running client's own cache that became invalid; `None`: all of them did.
pub(crate) type OwnInvalid = Option<Box<[u8]>>;
/// The settings by which changes are recorded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// Which events are published.
    pub(crate) classes: EventClasses,
    /// What access bits mean.
    pub(crate) aging: Aging,
    /// Whether expiries and evictions are logged as UNLINK.
    unlink_expired: bool,
    unlink_evicted: bool,
}

impl Terms {
    #[inline]
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            classes: settings.keyspace.notify_events,
            aging: aging(settings),
            unlink_expired: settings.memory.lazy_expire,
            unlink_evicted: settings.memory.lazy_eviction,
        }
    }
}

/// A key that the server itself removed.
#[derive(Debug)]
struct Removal {
    database: usize,
    key: Box<[u8]>,
    /// Whether to log it as UNLINK.
    unlink: bool,
}

/// What was done to a key for which somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The database did not have it before.
    Added,
    Other,
}

/// A changed key for which somebody waits.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) database: usize,
    pub(crate) key: Box<[u8]>,
    /// [`Change::Added`] if any of its changes was that.
    pub(crate) change: Change,
}

/// How a command goes into the log.
#[derive(Debug, Default)]
enum Form {
    /// As sent, if it changed something.
    #[default]
    Verbatim,
    /// As sent, though it changed no key.
    Always,
    /// As other commands; if empty, not at all.
    Instead(Vec<Vec<Box<[u8]>>>),
}

/// Collected effects of one command, or of all the commands of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Changes so far, including those of the transaction's earlier commands.
    pub(crate) dirty: u64,
    /// Whether the log takes them.
    pub(crate) logging: bool,
    pub(crate) terms: Terms,
    pub(crate) told: Vec<Told>,
    /// The number of the client whose commands run; 0: none.
    pub(crate) runner: u64,
    /// The client on whose behalf keys are changed: the runner, or one that it serves.
    pub(crate) actor: u64,
    /// Whether clients want to be told of prefixes.
    pub(crate) broadcasting: bool,
    /// Changed keys, each with its actor, while clients want to be told of prefixes.
    pub(crate) changed: Vec<(Box<[u8]>, u64)>,
    /// What the batch has yet to broadcast.
    pub(crate) broadcasts: Broadcasts,
    /// What the runner is told after its reply.
    pub(crate) own_invalid: Vec<OwnInvalid>,
    /// What the client that is served is told after its reply.
    pub(crate) served_invalid: Vec<(Box<[u8]>, Arc<Tracker>)>,
    /// Lines of the runner's own commands, if it is a monitor: they follow its reply.
    pub(crate) own_lines: Vec<u8>,
    /// Indices of the command's arguments that the slow log must not show.
    pub(crate) redacted: Vec<usize>,
    /// See [`Effects::take_ready`].
    ready: Vec<Ready>,
    /// Expired and evicted keys that were removed; logged before the command.
    removed: Vec<Removal>,
    /// Expired keys found by a command that held their shards' locks only briefly: checked again
    /// and removed after it.
    pub(crate) met_expired: Vec<(usize, Box<[u8]>)>,
    /// The command has changed an entry. Edits in place are noticed only in builds with debug
    /// assertions, where [`Effects::end_command`] checks that every change was recorded.
    pub(crate) modified: bool,
    /// Hash of the key that this command has looked at last to change it.
    pub(crate) counted: Option<u64>,
    /// Decides whether an access increments a counter.
    pub(crate) dice: Random,
    form: Form,
    /// The command's records are for replicas alone.
    for_replicas: bool,
    pub(crate) log: Batch,
}

impl Effects {
    /// Prepares for a command or a transaction.
    #[inline]
    pub(crate) fn begin(&mut self, logging: bool, terms: Terms) {
        self.dirty = 0;
        self.logging = logging;
        self.log.target = Target::Everywhere;
        self.terms = terms;
        self.counted = None;
        self.actor = self.runner;
        debug_assert!(self.told.is_empty() && self.log.is_empty() && self.removed.is_empty());
    }

    /// Whether the runner is told something after its reply.
    #[inline]
    pub(crate) fn tells_own(&self) -> bool {
        !self.own_invalid.is_empty() || !self.own_lines.is_empty()
    }

    pub(super) fn changed(
        &mut self,
        locked: &mut Locked<'_>,
        database: usize,
        key: Key<'_>,
        class: EventClasses,
        event: &'static str,
    ) {
        self.dirty += 1;
        self.touched(locked, database, key);
        self.event(database, key, class, event);
    }

    #[inline]
    pub(super) fn touched(&mut self, locked: &mut Locked<'_>, database: usize, key: Key<'_>) {
        if self.touched_for_nobody(locked, database, key) {
            self.ready(database, key.bytes, Change::Other);
        }
    }

    /// The same for a change that cannot be what somebody waits for. Returns whether somebody waits
    /// for the key.
    #[inline]
    pub(super) fn touched_for_nobody(
        &mut self,
        locked: &mut Locked<'_>,
        database: usize,
        key: Key<'_>,
    ) -> bool {
        let mut awaited = false;
        if locked.has_interests(key.shard()) {
            let noted = locked.note_change(database, key);
            awaited = noted.awaited;
            self.invalid(key, noted);
        }
        if self.broadcasting {
            self.changed.push((key.bytes.into(), self.actor));
        }
        awaited
    }

    /// Notes whose caches have a key that changed.
    #[inline]
    fn invalid(&mut self, key: Key<'_>, noted: Noted) {
        if !noted.trackers.is_empty() {
            self.invalid_for(key, noted);
        }
    }

    #[cold]
    fn invalid_for(&mut self, key: Key<'_>, noted: Noted) {
        let mut trackers: Vec<Arc<Tracker>> = noted.trackers.into_iter().map(Tracker::of).collect();
        if let Some(own) = trackers.iter().position(|tracker| tracker.client() == self.runner)
            && trackers.remove(own).is_told_of_own()
        {
            self.own_invalid.push(Some(key.bytes.into()));
        }
        if self.actor != self.runner
            && let Some(served) = trackers.iter().position(|one| one.client() == self.actor)
        {
            let tracker = trackers.remove(served);
            if tracker.is_told_of_own() {
                self.served_invalid.push((key.bytes.into(), tracker));
            }
        }
        if !trackers.is_empty() {
            self.told.push(Told::Invalid(key.bytes.into(), trackers));
        }
    }

    /// Notes a changed key for which somebody waits.
    #[cold]
    pub(super) fn ready(&mut self, database: usize, key: &[u8], change: Change) {
        let mut known = self.ready.iter_mut();
        match known.find(|ready| ready.database == database && *ready.key == *key) {
            Some(ready) if change == Change::Added => ready.change = change,
            Some(_) => {}
            None => self.ready.push(Ready { database, key: key.into(), change }),
        }
    }

    /// Whether somebody waits for keys that were changed.
    #[inline]
    pub(crate) fn any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Changed keys for which somebody waits, in the order of their first change.
    pub(crate) fn take_ready(&mut self) -> Vec<Ready> {
        std::mem::take(&mut self.ready)
    }

    pub(super) fn event(
        &mut self,
        database: usize,
        key: Key<'_>,
        class: EventClasses,
        name: &'static str,
    ) {
        if self.terms.classes.contains(class) {
            self.told.push(Told::Event(KeyEvent { name, database, key: key.bytes.into() }));
        }
    }

    /// Notes an evicted key that was removed.
    pub(super) fn evicted(&mut self, database: usize, key: Key<'_>) {
        self.event(database, key, EventClasses::EVICTED, "evicted");
        self.removed(database, key, self.terms.unlink_evicted);
    }

    fn removed(&mut self, database: usize, key: Key<'_>, unlink: bool) {
        if self.logging {
            self.removed.push(Removal { database, key: key.bytes.into(), unlink });
        }
    }

    /// Notes an expired key that was removed.
    pub(super) fn expired(&mut self, locked: &mut Locked<'_>, database: usize, key: Key<'_>) {
        self.removed(database, key, self.terms.unlink_expired);
        self.event(database, key, EventClasses::EXPIRED, "expired");
        if locked.has_interests(key.shard()) {
            let noted = locked.note_expiry(database, key);
            if noted.awaited {
                self.ready(database, key.bytes, Change::Other);
            }
            self.invalid(key, noted);
        }
        if self.broadcasting {
            self.changed.push((key.bytes.into(), 0));
        }
    }

    /// Logs other commands in place of this one.
    pub(super) fn log_instead(&mut self, commands: Vec<Vec<Box<[u8]>>>) {
        self.form = Form::Instead(commands);
    }

    pub(super) fn log_always(&mut self) {
        self.form = Form::Always;
    }

    /// What the command logs is for replicas alone: it changes no key.
    pub(super) fn log_for_replicas(&mut self) {
        self.for_replicas = true;
    }

    /// Ends the removal of a key outside of any command.
    pub(crate) fn end_sweep(&mut self) {
        for Removal { database, key, unlink } in self.removed.drain(..) {
            let command = if unlink { &b"UNLINK"[..] } else { b"DEL" };
            self.log.push(database, [command, &key].into_iter());
        }
    }

    /// Ends a command: appends its log entries to the transaction's. `dirty` is the count before
    /// the command.
    #[inline]
    pub(crate) fn end_command(&mut self, database: usize, args: &Args<'_>, dirty: u64) {
        let form = std::mem::take(&mut self.form);
        let for_replicas = std::mem::take(&mut self.for_replicas);
        debug_assert!(
            !self.modified || self.dirty != dirty || !matches!(form, Form::Verbatim),
            "a handler changed an entry and did not record it"
        );
        self.modified = false;
        self.counted = None;
        if !self.logging {
            return;
        }
        self.end_sweep();
        let target = self.log.target;
        if for_replicas {
            if target == Target::File {
                return;
            }
            self.log.target = Target::Replicas;
        }
        match form {
            Form::Verbatim if self.dirty == dirty => {}
            Form::Verbatim | Form::Always => self.log.push(database, args.from(0)),
            Form::Instead(commands) => {
                for command in &commands {
                    self.log.push(database, command.iter().map(|arg| &**arg));
                }
            }
        }
        self.log.target = target;
    }
}
