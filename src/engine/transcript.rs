//! Transcripts: requests run without sockets, with their results: the reply, what replicas get, and
//! the published events. One row per step, one file per family.
//!
//! Requests and replies look roughly as in redis-cli: `"text"` is a bulk string, `text` a status,
//! `7` an integer, `-ERR …` an error. Time stands still between steps.

mod bits;
mod expiry;
mod geo;
mod hashes;
mod hyperloglog;
mod keys;
mod lists;
mod object;
mod server;
mod sets;
mod sort;
mod sorted_sets;
mod streams;
mod strings;

use std::ffi::OsString;
use std::sync::Arc;

use super::Executor;
use super::fixture::{self, ManualClock};
use crate::node::Node;
use crate::node::client::{Client, Handle, Origin};
use crate::node::pubsub::Kind;
use crate::resp::Parser;
use crate::settings::{self, Invocation};

/// When each fixture starts, in Unix milliseconds.
pub(super) const START_MS: i64 = 1_000_000_000_000;

/// A step: request, reply, what replicas get, events.
pub(super) type Step = (&'static str, &'static str, &'static str, &'static str);

/// The results of one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) reply: String,
    /// Commands, separated by bars.
    pub(super) replicas: String,
    /// Separated by commas, each with its key, and with its database where that is not 0.
    pub(super) events: String,
}

/// A server without sockets, with one client and one subscriber to all events.
#[derive(Debug)]
pub(super) struct Fixture {
    pub(super) node: Arc<Node>,
    executor: Executor,
    client: Client,
    listener: Arc<Handle>,
    clock: Arc<ManualClock>,
    log_read: u64,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    /// A server with further arguments.
    pub(super) fn with(arguments: &[&str]) -> Self {
        let own = ["--notify-keyspace-events", "EAnm", "--save", ""];
        let arguments: Vec<_> = own.iter().chain(arguments).map(OsString::from).collect();
        let loaded = settings::load(&arguments, &[], &mut std::io::empty());
        let Ok(Invocation::Run { settings, .. }) = loaded else { panic!("{loaded:?}") };
        let fixture = fixture::Fixture::with(*settings, &[]);
        let (engine, clock) = (Arc::clone(&fixture.engine), Arc::clone(&fixture.clock));
        clock.advance_ms(START_MS - fixture::START_MS);
        let node = Arc::clone(&engine.node);
        node.log.start(1 << 30);
        let handle = |id| Arc::new(Handle::new(Origin { id, ..Origin::default() }));
        let listener = handle(2);
        node.pubsub.subscribe(Kind::Pattern, b"__key*__:*", &listener, None);
        Self {
            client: Client::new(handle(1), &node.acl),
            node,
            executor: Executor::new(engine, 0, 1),
            listener,
            clock,
            log_read: 0,
        }
    }

    pub(super) fn advance_ms(&self, ms: u64) {
        self.clock.advance_ms(ms.cast_signed());
    }

    /// Selects a database for what follows.
    pub(super) fn select(&mut self, database: usize) {
        self.client.database = database;
    }

    /// Runs a request and returns its raw reply.
    pub(super) fn reply(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.send(&request)
    }

    fn send(&mut self, request: &[u8]) -> Vec<u8> {
        let ran = self.executor.run(&mut self.client, &mut Parser::default(), request);
        assert_eq!(ran.consumed, request.len(), "one whole request");
        let mut reply = Vec::new();
        self.executor.output.take(|piece| reply.extend_from_slice(&piece));
        reply
    }

    /// Runs a request written in one line, quoted as in redis-cli.
    pub(super) fn run(&mut self, line: &str) -> Outcome {
        let reply = self.send(format!("{line}\r\n").as_bytes());
        let logged = self.node.log.bytes_from(self.log_read).expect("the log holds everything");
        self.log_read = self.node.log.offset();
        let mut events = Vec::new();
        self.listener.take_pushes().take(|bytes| events.extend_from_slice(&bytes));
        let events = values(&events);
        Outcome {
            reply: values(&reply).iter().map(Value::shown).collect::<Vec<_>>().join(" "),
            replicas: values(&logged).iter().map(Value::command).collect::<Vec<_>>().join(" | "),
            events: events.iter().map(Value::event).collect::<Vec<_>>().join(", "),
        }
    }

    /// Runs the steps and compares their results.
    pub(super) fn transcript(&mut self, steps: &[Step]) {
        for &(line, reply, replicas, events) in steps {
            let expected = Outcome {
                reply: reply.to_owned(),
                replicas: replicas.to_owned(),
                events: events.to_owned(),
            };
            assert_eq!(self.run(line), expected, "after {line}");
        }
    }
}

/// A decoded RESP2 value.
#[derive(Debug)]
enum Value {
    /// A status, an error with its `-`, or an integer.
    Line(String),
    Bulk(Vec<u8>),
    Null,
    Array(Vec<Self>),
}

/// All the values in some bytes.
fn values(mut bytes: &[u8]) -> Vec<Value> {
    std::iter::from_fn(|| (!bytes.is_empty()).then(|| Value::decode(&mut bytes))).collect()
}

impl Value {
    fn decode(bytes: &mut &[u8]) -> Self {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n").expect("a whole line");
        let line = String::from_utf8_lossy(&bytes[1..end]).into_owned();
        let kind = bytes[0];
        *bytes = &bytes[end + 2..];
        match kind {
            b'$' | b'*' if line == "-1" => Self::Null,
            b'$' => {
                let (bulk, rest) = bytes.split_at(line.parse().expect("a length"));
                *bytes = &rest[2..];
                Self::Bulk(bulk.to_vec())
            }
            b'*' => {
                let len: usize = line.parse().expect("a length");
                Self::Array((0..len).map(|_| Self::decode(bytes)).collect())
            }
            b'-' => Self::Line(format!("-{line}")),
            _ => Self::Line(line),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Line(line) => line.clone(),
            Self::Bulk(bulk) => format!("\"{}\"", bulk.escape_ascii()),
            Self::Null => "nil".to_owned(),
            Self::Array(items) => {
                let items: Vec<_> = items.iter().map(Self::shown).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }

    fn strings(&self) -> Vec<String> {
        let Self::Array(items) = self else { panic!("an array, not {self:?}") };
        let string = |item: &Self| match item {
            Self::Bulk(bulk) => bulk.escape_ascii().to_string(),
            other => panic!("a bulk string, not {other:?}"),
        };
        items.iter().map(string).collect()
    }

    fn command(&self) -> String {
        self.strings().join(" ")
    }

    /// `event key` of a message in the channel `__keyevent@<db>__:<event>`.
    fn event(&self) -> String {
        let [_, _, channel, key] = self.strings().try_into().expect("a message of a pattern");
        let (place, event) = channel.split_once("__:").expect("a channel of events");
        match place.trim_start_matches("__keyevent@") {
            "0" => format!("{event} {key}"),
            database => format!("{event} {key} in {database}"),
        }
    }
}
