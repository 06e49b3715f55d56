//! What goes into the log for a group: single steps with their outcome, as Redis writes them, in
//! place of commands that depend on the time and on what a stream holds.

use super::Key;
use crate::types::stream::{Group, Pending};

pub(super) type Command = Vec<Box<[u8]>>;

/// Collects the steps of one command for one group.
#[derive(Debug)]
pub(super) struct GroupLog<'a> {
    key: &'a [u8],
    group: &'a [u8],
    /// Whether anybody reads the log; if not, nothing is collected.
    logging: bool,
    pub(super) commands: Vec<Command>,
}

impl<'a> GroupLog<'a> {
    pub(super) fn new(key: Key<'a>, group: &'a [u8], logging: bool) -> Self {
        Self { key: key.bytes, group, logging, commands: Vec::new() }
    }

    /// An entry is pending as told. `id` is written as the client did.
    pub(super) fn claim(&mut self, group: &Group, id: &[u8], pending: Pending) {
        if !self.logging {
            return;
        }
        let consumer = group.consumer(pending.consumer).name();
        let time = pending.delivered_ms.to_string();
        let deliveries = pending.deliveries.cast_signed().to_string();
        let last_id = group.last_id.text();
        self.push(&[
            b"XCLAIM",
            self.key,
            self.group,
            consumer,
            b"0",
            id,
            b"TIME",
            time.as_bytes(),
            b"RETRYCOUNT",
            deliveries.as_bytes(),
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            last_id.as_bytes(),
        ]);
    }

    /// The group has moved on.
    pub(super) fn position(&mut self, group: &Group) {
        if !self.logging {
            return;
        }
        let last_id = group.last_id.text();
        let read = group.entries_read.unwrap_or(-1).to_string();
        let (last_id, read) = (last_id.as_bytes(), read.as_bytes());
        self.push(&[b"XGROUP", b"SETID", self.key, self.group, last_id, b"ENTRIESREAD", read]);
    }

    /// A consumer was created.
    pub(super) fn consumer(&mut self, consumer: &[u8]) {
        if self.logging {
            self.push(&[b"XGROUP", b"CREATECONSUMER", self.key, self.group, consumer]);
        }
    }

    fn push(&mut self, words: &[&[u8]]) {
        self.commands.push(words.iter().map(|word| Box::from(*word)).collect());
    }
}
