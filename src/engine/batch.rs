//! Batches: up to some 32 requests parsed in place, their keys prefetched, then each executed.
//!
//! A request spends most of its time waiting for memory: the slots and the entry of its key. So all
//! keys of a batch are hashed and prefetched first, and arrive while earlier requests run.

use super::call;
use super::caller::Caller;
use super::request::{self, Flow};
use super::{Engine, Executor, Scratch};
use crate::commands::Args;
use crate::commands::registry::Registry;
use crate::keyspace::Key;
use crate::node::Node;
use crate::node::client::Client;
use crate::replication::Unreleased;
use crate::resp::{Limits, Output, Parser, ProtocolError, Request, Span, split_inline};
use crate::telemetry::log::log;

/// Maximum number of requests parsed before any of them runs.
const REQUESTS_MAX: usize = 32;
/// Replies are written out once they reach this many bytes, however many requests are left.
const OUTPUT_BYTES_HIGH: usize = 256 * 1024;

/// A parsed request.
#[derive(Debug)]
pub(super) struct Pending {
    /// Its start in the input, and its length in bytes.
    pub(super) start: usize,
    pub(super) len: usize,
    /// Its arguments among the spans.
    pub(super) spans: (usize, usize),
    /// The arguments are in the inline arena.
    pub(super) inline: bool,
    /// The command's index in the registry.
    pub(super) command: Option<usize>,
    /// Index and hash of its first key.
    pub(super) hashed: Option<(usize, u64)>,
}

/// What the connection does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Write the replies and continue when more input has arrived.
    Continue,
    /// Write the replies and call again: there is more to run.
    More,
    /// Write the replies and close.
    Close,
    /// Write the replies; the rest of the input waits until a pause ends.
    Pause,
    /// Write the replies; the client is blocked in a command, and the rest of its input with it.
    Block,
    /// Close without writing anything: the sender is no client but likely an attacker.
    Abort,
}

/// The progress of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Bytes of the input that were consumed.
    pub(crate) consumed: usize,
    pub(crate) after: After,
    /// Online replicas must be sent the log up to this offset before the replies go out; 0: nothing
    /// to send.
    pub(crate) owed: u64,
    /// What the append only file must have released before the replies go out. Whoever runs a batch
    /// has the file flushed.
    pub(crate) unreleased: Unreleased,
}

impl Executor {
    /// Prefetches the slots of the key in `input`, which holds one request that runs soon, and the
    /// entry of the key announced before. A wrong guess of the key is harmless.
    pub(crate) fn announce(&mut self, client: &Client, input: &[u8]) {
        let node = &*self.engine.node;
        // The lines before: `*2`, `$3`, `GET`, `$16`.
        let Some(key) = input.split(|&byte| byte == b'\n').nth(4) else { return };
        let key = key.strip_suffix(b"\r").unwrap_or(key);
        let announced = (client.database, node.keyspace.hash(key));
        let prefetching = node.keyspace.prefetching(self.index);
        prefetching.slots(announced.0, announced.1);
        if let Some((database, hash)) = self.announced.replace(announced)
            && let Some(slots) = prefetching.slots(database, hash)
        {
            slots.entry(hash);
        }
    }

    /// Runs the complete requests at the start of `input`, leaving the replies in the output. More
    /// may be left to run: call again until nothing is consumed.
    pub(crate) fn run(&mut self, client: &mut Client, parser: &mut Parser, input: &[u8]) -> Ran {
        let node = &*self.engine.node;
        let mut caller = Caller::new(&self.engine, self.index);
        self.output.begin(client.protocol);
        caller.begin(client);
        self.scratch.effects.runner = client.handle.origin.id;
        let mut consumed = 0;
        let mut after = After::Continue;
        let is_replica = client.replica.is_some();
        while after == After::Continue && self.output.len() < OUTPUT_BYTES_HIGH {
            let limits = Limits {
                bulk_bytes_max: i64::try_from(caller.settings.clients.proto_max_bulk_len_bytes)
                    .unwrap_or(i64::MAX),
                authenticated: client.is_trusted(&node.acl),
            };
            let (parsed, error) =
                self.scratch.parse(&self.engine.registry, parser, &input[consumed..], limits);
            if parsed == 0 && error.is_none() {
                break;
            }
            if self.scratch.requests.len() > 1 {
                let (registry, input) = (&self.engine.registry, &input[consumed..]);
                self.scratch.prefetch(node, self.index, client.database, input, registry);
            }
            let (done, flow) =
                self.scratch.execute(&mut caller, client, &mut self.output, &input[consumed..]);
            let all = done == parsed;
            if !all {
                // Parse again what did not run, and what follows it.
                parser.restart();
            }
            consumed += done;
            after = flow;
            if let (Some(error), After::Continue, true) = (error, after, all) {
                call::protocol_error(&caller, client, &mut self.output, &error);
                after = After::Close;
            }
        }
        if after == After::Continue && self.output.len() >= OUTPUT_BYTES_HIGH {
            after = After::More;
        }
        let owed = caller.finish(client);
        let unreleased = caller.unreleased();
        let broadcasts = &mut self.scratch.effects.broadcasts;
        if !broadcasts.is_empty() {
            let own = (client.handle.origin.id, &mut self.output);
            node.tracking.broadcast(broadcasts, &node.clients, Some(own));
        }
        self.batch_nanos = caller.batch_nanos();
        node.keyspace.collect();
        if is_replica && self.output.len() > 0 {
            // A replica would take a reply for a part of the stream.
            self.output.clear();
            log_reply_to_replica(&self.engine, caller.last_command.unwrap_or(0), client);
            client.closing = true;
            after = After::Close;
        }
        Ran { consumed, after, owed, unreleased }
    }
}

/// Logs why a replica is disconnected that sent a command with a reply.
#[cold]
fn log_reply_to_replica(engine: &Engine, last_command: usize, client: &Client) {
    let command = last_command.checked_sub(1);
    let command = command.map_or("<unknown>", |id| &engine.registry.by_id(id).name);
    let origin = &client.handle.origin;
    log!(
        Warning,
        "Replica generated a reply to command '{command}', disconnecting it: id={} addr={}",
        origin.id,
        origin.address
    );
}

impl Scratch {
    /// Parses complete requests; returns their total length.
    pub(super) fn parse(
        &mut self,
        registry: &Registry,
        parser: &mut Parser,
        input: &[u8],
        limits: Limits,
    ) -> (usize, Option<ProtocolError>) {
        self.requests.clear();
        self.spans.clear();
        self.inline.clear();
        // AUTH changes the limits for what follows: until then, one at a time.
        let max = if limits.authenticated { REQUESTS_MAX } else { 1 };
        let mut at = 0;
        // Clients repeat commands: remembers the previous one, by the name as sent.
        let mut last: (&[u8], Option<usize>) = (b"", None);
        while self.requests.len() < max {
            let first = self.spans.len();
            let (request, len) = match parser.parse(&input[at..], &mut self.spans, limits) {
                Ok(Some(parsed)) => parsed,
                Ok(None) => return (at, None),
                Err(error) => return (at, Some(error)),
            };
            let mut pending = Pending {
                start: at,
                len,
                spans: (first, first),
                inline: false,
                command: None,
                hashed: None,
            };
            if let Request::Inline(line) = request {
                let start = at + line.start as usize;
                let line = &input[start..start + line.len as usize];
                if let Err(error) = split_inline(line, &mut self.inline, 0, &mut self.spans) {
                    return (at, Some(error));
                }
                pending.inline = true;
            }
            pending.spans.1 = self.spans.len();
            if pending.spans.1 > first {
                let (buffer, spans) = self.place(&pending, input);
                let name = Args::new(buffer, spans, None).at(0);
                if pending.inline {
                    pending.command = registry.find_index(name);
                } else {
                    if name != last.0 {
                        let span = spans[0];
                        let start = at + span.start as usize;
                        last =
                            (&input[start..start + span.len as usize], registry.find_index(name));
                    }
                    pending.command = last.1;
                }
            }
            at += len;
            self.requests.push(pending);
        }
        (at, None)
    }

    /// Locates a request's arguments.
    fn place<'s>(&'s self, pending: &Pending, input: &'s [u8]) -> (&'s [u8], &'s [Span]) {
        let spans = &self.spans[pending.spans.0..pending.spans.1];
        let buffer =
            if pending.inline { &self.inline[..] } else { &input[pending.start..][..pending.len] };
        (buffer, spans)
    }

    /// Hashes the first key of each request and prefetches its slots, then its entries.
    pub(super) fn prefetch(
        &mut self,
        node: &Node,
        reader: usize,
        database: usize,
        input: &[u8],
        registry: &Registry,
    ) {
        let prefetching = node.keyspace.prefetching(reader);
        let mut slots: [_; REQUESTS_MAX] = std::array::from_fn(|_| None);
        for (index, slots) in slots.iter_mut().enumerate().take(self.requests.len()) {
            let pending = &self.requests[index];
            let Some(command) = pending.command else { continue };
            let first_key = registry.commands()[command].likely_key;
            let (buffer, spans) = self.place(pending, input);
            if first_key == 0 || first_key >= spans.len() {
                continue;
            }
            let hash = node.keyspace.hash(Args::new(buffer, spans, None).at(first_key));
            self.requests[index].hashed = Some((first_key, hash));
            *slots = prefetching.slots(database, hash);
        }
        for (pending, slots) in self.requests.iter().zip(slots) {
            if let (Some((_, hash)), Some(slots)) = (pending.hashed, slots) {
                slots.entry(hash);
            }
        }
        drop(prefetching);
        self.fetch_members(node, database, input, registry);
    }

    /// Reads the members ahead that several successive requests look up in one large collection.
    fn fetch_members(&self, node: &Node, database: usize, input: &[u8], registry: &Registry) {
        let member = |pending: &Pending| {
            let at = pending.command.map_or(0, |command| registry.commands()[command].row.member);
            (at != 0 && at < pending.spans.1 - pending.spans.0).then_some(at)
        };
        let same = |a: &Pending, b: &Pending| {
            a.hashed == b.hashed && member(a).is_some() && member(b).is_some()
        };
        for requests in self.requests.chunk_by(same).filter(|requests| requests.len() > 1) {
            let Some((at, hash)) = requests[0].hashed else { continue };
            let mut members = [&b""[..]; REQUESTS_MAX];
            for (bytes, pending) in members.iter_mut().zip(requests) {
                let (buffer, spans) = self.place(pending, input);
                let at = member(pending).expect("there are several of them");
                *bytes = Args::new(buffer, spans, None).at(at);
            }
            let (buffer, spans) = self.place(&requests[0], input);
            let key = Key { bytes: Args::new(buffer, spans, None).at(at), hash };
            node.keyspace.fetch_members(database, key, &members[..requests.len()]);
        }
    }

    /// Runs the requests; returns how many bytes of them were consumed.
    fn execute(
        &mut self,
        caller: &mut Caller<'_>,
        client: &mut Client,
        output: &mut Output,
        input: &[u8],
    ) -> (usize, After) {
        let requests = std::mem::take(&mut self.requests);
        let mut done = 0;
        let mut after = After::Continue;
        let was_replica = client.replica.is_some();
        for pending in &requests {
            let (first, last) = pending.spans;
            if last > first {
                let spans = &self.spans[first..last];
                let buffer = if pending.inline {
                    &self.inline[..]
                } else {
                    &input[pending.start..][..pending.len]
                };
                let args = Args::new(buffer, spans, pending.hashed);
                let (effects, random) = (&mut self.effects, &mut self.random);
                let command = pending.command;
                match request::run(caller, client, output, effects, random, command, &args) {
                    Flow::Done => {}
                    Flow::Wait => {
                        after = After::Pause;
                        break;
                    }
                    Flow::Abort => {
                        output.clear();
                        after = After::Abort;
                        break;
                    }
                }
            }
            done += pending.len;
            if client.closing {
                after = After::Close;
                break;
            }
            if client.waiting.is_some() {
                after = After::Block;
                break;
            }
            if client.replica.is_some() && !was_replica {
                // What follows comes from a replica.
                after = After::More;
                break;
            }
        }
        self.requests = requests;
        (done, after)
    }
}
