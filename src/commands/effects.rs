//! A command's changes and their effects.
//!
//! Handlers report changes ([`Keys::changed`](super::Keys::changed)), which marks watchers at once,
//! under the locks held. After the handler, the engine uses what is collected here to write the
//! log, publish keyspace events and count changes. No handler does any of this by hand.

use crate::keyspace::{Key, Locked};
use crate::replication::Batch;
use crate::settings::EventClasses;

use super::Args;

/// An event to publish.
#[derive(Debug)]
pub(crate) struct KeyEvent {
    pub(crate) name: &'static str,
    pub(crate) database: usize,
    pub(crate) key: Box<[u8]>,
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
    /// As sent, though it changed no key (PUBLISH).
    Always,
    /// As other commands; if empty, not at all.
    Instead(Vec<Vec<Box<[u8]>>>),
}

/// Collected effects of one command, or of all the commands of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Changes so far, including those of the transaction's earlier commands.
    pub(crate) dirty: u64,
    /// Whether the log has readers.
    pub(crate) logging: bool,
    /// Which events are published.
    pub(crate) classes: EventClasses,
    pub(crate) events: Vec<KeyEvent>,
    /// Indices of the command's arguments that the slow log must not show.
    pub(crate) redacted: Vec<usize>,
    /// See [`Effects::take_ready`].
    ready: Vec<Ready>,
    /// Expired keys that were removed; logged before the command.
    expired: Vec<(usize, Box<[u8]>)>,
    /// Expired keys found by a command that held their shards' locks only briefly: checked again
    /// and removed after it.
    pub(crate) met_expired: Vec<(usize, Box<[u8]>)>,
    /// The command has changed an entry. Edits in place are noticed only in builds with debug
    /// assertions, where [`Effects::end_command`] checks that every change was recorded.
    pub(crate) modified: bool,
    form: Form,
    pub(crate) log: Batch,
}

impl Effects {
    /// Prepares for a command or a transaction.
    #[inline]
    pub(crate) fn begin(&mut self, logging: bool, classes: EventClasses) {
        self.dirty = 0;
        self.logging = logging;
        self.classes = classes;
        debug_assert!(self.events.is_empty() && self.log.is_empty() && self.expired.is_empty());
    }

    pub(super) fn changed(
        &mut self,
        locked: &Locked<'_>,
        database: usize,
        key: Key<'_>,
        class: EventClasses,
        event: &'static str,
    ) {
        self.dirty += 1;
        self.touched(locked, database, key);
        self.event(database, key, class, event);
    }

    pub(super) fn touched(&mut self, locked: &Locked<'_>, database: usize, key: Key<'_>) {
        if locked.has_interests(key.shard()) && locked.note_change(database, key) {
            self.ready(database, key.bytes, Change::Other);
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
        if self.classes.contains(class) {
            self.events.push(KeyEvent { name, database, key: key.bytes.into() });
        }
    }

    pub(super) fn expired(&mut self, database: usize, key: Key<'_>) {
        if self.logging {
            self.expired.push((database, key.bytes.into()));
        }
    }

    /// Logs other commands in place of this one.
    pub(super) fn log_instead(&mut self, commands: Vec<Vec<Box<[u8]>>>) {
        self.form = Form::Instead(commands);
    }

    pub(super) fn log_always(&mut self) {
        self.form = Form::Always;
    }

    /// Ends the removal of an expired key outside of any command.
    pub(crate) fn end_sweep(&mut self) {
        for (database, key) in self.expired.drain(..) {
            self.log.push(database, [&b"DEL"[..], &key].into_iter());
        }
    }

    /// Ends a command: appends its log entries to the transaction's. `dirty` is the count before
    /// the command.
    #[inline]
    pub(crate) fn end_command(&mut self, database: usize, args: &Args<'_>, dirty: u64) {
        let form = std::mem::take(&mut self.form);
        debug_assert!(
            !self.modified || self.dirty != dirty || !matches!(form, Form::Verbatim),
            "a handler changed an entry and did not record it"
        );
        self.modified = false;
        if !self.logging {
            return;
        }
        self.end_sweep();
        match form {
            Form::Verbatim if self.dirty == dirty => {}
            Form::Verbatim | Form::Always => self.log.push(database, args.from(0)),
            Form::Instead(commands) => {
                for command in &commands {
                    self.log.push(database, command.iter().map(|arg| &**arg));
                }
            }
        }
    }
}
