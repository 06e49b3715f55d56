//! A replica's half of the path: applies what a master sends and logs its bytes unchanged.
//!
//! A command's bytes enter this node's log under the locks under which it was applied, so a
//! snapshot for a further replica matches its offset. The offset stands still within a transaction,
//! whose bytes are logged as one unit with EXEC.

use std::fmt;
use std::sync::Arc;

use super::Executor;
use super::batch::Pending;
use super::caller::Caller;
use super::request::{self, Flow};
use super::write;
use crate::commands::Args;
use crate::node::client::{Client, Handle};
use crate::node::replication::TimeMark;
use crate::resp::{Input, Limits, Output, Parser};
use crate::telemetry::log::log;

/// First byte of a time mark; no command begins with it.
const MARK: u8 = b'~';

/// A master is trusted.
const LIMITS: Limits = Limits { bulk_bytes_max: i64::MAX, authenticated: true };

/// Memory kept for the next command.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// The stream of one link.
#[derive(Debug)]
pub(crate) struct Applier {
    client: Client,
    parser: Parser,
    /// The start of an incomplete command; or what is held back.
    input: Input,
    held: Option<Held>,
}

/// What a pause holds back, as far as it was looked at: time marks are no part of the stream.
#[derive(Debug, Default)]
struct Held {
    parser: Parser,
    whole_bytes: usize,
    mark_bytes: usize,
}

/// What arrived along with the commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// The master asked for an acknowledgement: the offset before its last GETACK.
    pub(crate) ack: Option<u64>,
    /// The last time mark of the master that covers only applied data.
    pub(crate) mark: Option<TimeMark>,
}

/// Why the stream cannot continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApplyError {
    /// The stream is invalid from this offset on.
    Protocol { offset: u64, reason: String },
    /// The node has another role or master by now.
    NotFollowed,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol { offset, reason } => {
                write!(f, "Protocol error from master at offset {offset}: {reason}")
            }
            Self::NotFollowed => f.write_str("the node has another role by now"),
        }
    }
}

impl Applier {
    /// Applies a stream that continues in `database`, in a generation of roles.
    pub(crate) fn new(handle: Arc<Handle>, generation: u64, database: usize) -> Self {
        let mut client = Client::master(handle, generation);
        client.database = database;
        client.handle.shown.lock().master = true;
        client.publish();
        Self { client, parser: Parser::default(), input: Input::default(), held: None }
    }

    /// Bytes received and not yet applied: of a command, or of a transaction.
    pub(crate) fn pending(&self) -> usize {
        let marks = self.held.as_ref().map_or(0, |held| held.mark_bytes);
        let unit = self.client.master.as_ref().map_or(0, |master| master.unit.len());
        self.input.len().saturating_sub(marks) + unit
    }

    /// Whether received commands are held back.
    pub(crate) fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// Keeps received bytes until the next call of [`Executor::apply`].
    pub(crate) fn hold(&mut self, bytes: &[u8]) {
        self.input.push(bytes);
        let held = self.held.get_or_insert_default();
        let mut spans = Vec::new();
        loop {
            let rest = &self.input.unread()[held.whole_bytes..];
            // An error ends the link once this is applied.
            let Ok(Some((_, len))) = held.parser.parse(rest, &mut spans, LIMITS) else { return };
            spans.clear();
            if rest.first() == Some(&MARK) {
                held.mark_bytes += len;
            }
            held.whole_bytes += len;
        }
    }
}

impl Executor {
    /// Applies received bytes, up to the last complete command.
    ///
    /// # Errors
    /// The link must end. What was applied stays applied and logged.
    pub(crate) fn apply(
        &mut self,
        applier: &mut Applier,
        bytes: &[u8],
    ) -> Result<Applied, ApplyError> {
        let mut applied = Applied::default();
        applier.held = None;
        let mut left_over = std::mem::take(&mut applier.input);
        if left_over.is_empty() {
            let used = self.apply_whole(applier, bytes, &mut applied)?;
            left_over.push(&bytes[used..]);
        } else {
            left_over.push(bytes);
            let used = self.apply_whole(applier, left_over.unread(), &mut applied)?;
            left_over.consume(used);
        }
        applier.input = left_over;
        Ok(applied)
    }

    /// Applies the complete commands at the start of `input`; returns their length in bytes.
    fn apply_whole(
        &mut self,
        applier: &mut Applier,
        input: &[u8],
        applied: &mut Applied,
    ) -> Result<usize, ApplyError> {
        let engine = Arc::clone(&self.engine);
        let node = &*engine.node;
        let mut caller = Caller::new(&engine, self.index);
        self.scratch.effects.runner = applier.client.handle.origin.id;
        let mut used = 0;
        let result = loop {
            let rest = &input[used..];
            let (parsed, error) =
                self.scratch.parse(&engine.registry, &mut applier.parser, rest, LIMITS);
            if self.scratch.requests.len() > 1 {
                let database = applier.client.database;
                self.scratch.prefetch(node, self.index, database, rest, &engine.registry);
            }
            if let Err(error) = self.apply_parsed(&mut caller, &mut applier.client, rest, applied) {
                break Err(error);
            }
            used += parsed;
            if let Some(error) = error {
                let reason = String::from_utf8_lossy(&error.text()).into_owned();
                break Err(ApplyError::Protocol { offset: node.log.offset(), reason });
            }
            if parsed == 0 {
                break Ok(used);
            }
        };
        let owed = caller.finish(&mut applier.client);
        node.flush_file(self.index);
        if owed != 0 {
            // This node's replicas get the stream unchanged.
            node.feed_replicas();
        }
        write::broadcast(node, &mut self.scratch.effects);
        node.keyspace.collect();
        result
    }

    fn apply_parsed(
        &mut self,
        caller: &mut Caller<'_>,
        client: &mut Client,
        input: &[u8],
        applied: &mut Applied,
    ) -> Result<(), ApplyError> {
        let requests = std::mem::take(&mut self.scratch.requests);
        let mut result = Ok(());
        for pending in &requests {
            result = self.apply_one(caller, client, pending, input, applied);
            if result.is_err() {
                break;
            }
        }
        self.scratch.requests = requests;
        result
    }

    fn apply_one(
        &mut self,
        caller: &mut Caller<'_>,
        client: &mut Client,
        pending: &Pending,
        input: &[u8],
        applied: &mut Applied,
    ) -> Result<(), ApplyError> {
        let raw = &input[pending.start..][..pending.len];
        if raw.first() == Some(&MARK) {
            applied.mark = TimeMark::parse(&raw[1..]).or(applied.mark);
            return Ok(());
        }
        let (first, last) = pending.spans;
        if pending.inline && last > first {
            // A master sends only arrays: the stream is damaged, or begins at a wrong byte.
            let reason = "a command that is no array".to_owned();
            return Err(ApplyError::Protocol { offset: caller.node.log.offset(), reason });
        }
        let master = client.master.as_mut().expect("an applier's client is its master");
        master.unit.extend_from_slice(raw);
        if last > first {
            let args = Args::new(raw, &self.scratch.spans[first..last], pending.hashed);
            self.output.clear();
            let (effects, random) = (&mut self.scratch.effects, &mut self.scratch.random);
            let output = &mut self.output;
            let flow =
                request::run(caller, client, output, effects, random, pending.command, &args);
            if flow == Flow::Abort {
                output.clear();
                return Err(ApplyError::NotFollowed);
            }
            warn_of_error(output, args.at(0));
        }
        // Logs a command that took no lock: it names no key, or was refused or unknown.
        if client.multi.is_none() && !caller.note_keyless(client) {
            return Err(ApplyError::NotFollowed);
        }
        let master = client.master.as_mut().expect("an applier's client is its master");
        // Do not keep the memory of one huge command.
        master.unit.shrink_to(KEPT_BYTES_MAX.max(master.unit.len()));
        applied.ack = master.ack_wanted.take().or(applied.ack);
        Ok(())
    }
}

/// A master sends only commands that it ran itself: where one fails here, the data differ.
fn warn_of_error(output: &mut Output, command: &[u8]) {
    let reply = output.plain().unwrap_or_default();
    if reply.starts_with(b"-") {
        let reply = String::from_utf8_lossy(reply).trim_end().to_owned();
        let command = String::from_utf8_lossy(command).escape_debug().to_string();
        log!(
            Warning,
            "== CRITICAL == This replica is sending an error to its master: '{reply}' after \
             processing the command '{command}'"
        );
    }
    output.clear();
}
