//! Loads the append only file: takes its RDB parts and runs its commands, as those of a master.
//!
//! They skip every check that a client's commands pass, leave expired keys alone, and are recorded
//! nowhere: the file is off until it is loaded.

use std::io::{BufReader, Read};
use std::sync::Arc;

use super::caller::Caller;
use super::rdb_load::{self, Behind};
use super::request::{self, Flow};
use super::{Engine, Executor, write};
use crate::aof::{RdbPart, Receiver, Refusal};
use crate::commands::Args;
use crate::node::admission::Condition;
use crate::node::client::{Client, Handle};
use crate::resp::Span;
use crate::telemetry::log::log;

/// Bytes read from an RDB part at once.
const BUFFER_BYTES: usize = 1 << 20;
/// Commands between two reports of progress.
const PROGRESS_COMMANDS: u64 = 1024;

/// Takes the data of the append only file into the keyspace.
#[derive(Debug)]
pub(crate) struct FileReceiver {
    engine: Arc<Engine>,
    executor: Executor,
    client: Client,
    buffer: Vec<u8>,
    spans: Vec<Span>,
    /// Bytes of the files before this one.
    before: u64,
    bytes: u64,
    commands: u64,
    pub(crate) keys_loaded: u64,
}

impl FileReceiver {
    /// Nothing else may run on the link to a master meanwhile.
    pub(crate) fn new(engine: &Arc<Engine>) -> Self {
        let executor = Executor::new(Arc::clone(engine), engine.node.applier, 0);
        let client = client(engine);
        Self {
            engine: Arc::clone(engine),
            executor,
            client,
            buffer: Vec::new(),
            spans: Vec::new(),
            before: 0,
            bytes: 0,
            commands: 0,
            keys_loaded: 0,
        }
    }

    fn run(&mut self, args: &[&[u8]]) -> Result<(), Refusal> {
        self.buffer.clear();
        self.spans.clear();
        for arg in args {
            let len = |len: usize| u32::try_from(len).expect("the reader bounds arguments");
            self.spans.push(Span { start: len(self.buffer.len()), len: len(arg.len()) });
            self.buffer.extend_from_slice(arg);
        }
        let args = Args::new(&self.buffer, &self.spans, None);
        let executor = &mut self.executor;
        let command = self.engine.registry.find_index(args.at(0));
        let mut caller = Caller::new(&self.engine, executor.index);
        let (effects, random) = (&mut executor.scratch.effects, &mut executor.scratch.random);
        let output = &mut executor.output;
        output.clear();
        let flow =
            request::run(&mut caller, &mut self.client, output, effects, random, command, &args);
        write::broadcast(&self.engine.node, effects);
        if flow == Flow::Abort {
            return Err(Refusal::Other("the node's role has changed".to_owned()));
        }
        let reply = output.plain().unwrap_or_default();
        if reply.starts_with(b"-") {
            // Redis takes no note of what the command replied.
            let reply = String::from_utf8_lossy(reply).trim_end().to_owned();
            let command = String::from_utf8_lossy(args.at(0)).escape_debug().to_string();
            log!(Warning, "A command '{command}' of the append only file replied '{reply}'");
        }
        output.clear();
        Ok(())
    }
}

fn client(engine: &Engine) -> Client {
    Client::master(Arc::new(Handle::default()), engine.node.replication.generation())
}

impl Receiver for FileReceiver {
    fn file(&mut self, _: &str, bytes: u64) {
        self.before += self.bytes;
        self.bytes = bytes;
        // Each file selects its databases.
        self.client = client(&self.engine);
    }

    fn rdb(&mut self, source: &mut dyn Read, _: RdbPart) -> Result<u64, String> {
        let node = Arc::clone(&self.engine.node);
        let before = self.before;
        let mut progress = |at| node.persistence.loaded(before + at);
        let source = BufReader::with_capacity(BUFFER_BYTES, source);
        let loaded =
            rdb_load::load_into(&node, &node.keyspace, source, Behind::Records, &mut progress)?;
        self.keys_loaded += loaded.keys;
        for library in &loaded.libraries {
            let load = [&b"FUNCTION"[..], b"LOAD", b"REPLACE", library];
            self.run(&load).map_err(|_| "a library of functions was refused".to_owned())?;
        }
        Ok(loaded.bytes)
    }

    fn knows(&self, args: &[&[u8]]) -> bool {
        args.first().is_some_and(|name| self.engine.registry.find_index(name).is_some())
    }

    fn command(&mut self, args: &[&[u8]], offset: u64) -> Result<(), Refusal> {
        if !self.knows(args) {
            return Err(Refusal::UnknownCommand);
        }
        self.run(args)?;
        self.commands += 1;
        if self.commands.is_multiple_of(PROGRESS_COMMANDS) {
            let node = &self.engine.node;
            node.keyspace.collect();
            node.persistence.loaded(self.before + offset);
            if node.admission.has(Condition::ShuttingDown) {
                return Err(Refusal::Other("the process is ending".to_owned()));
            }
        }
        Ok(())
    }
}

impl Drop for FileReceiver {
    fn drop(&mut self) {
        self.engine.node.keyspace.collect();
        // What was loaded is no command of a client.
        self.engine.node.workers[self.executor.index].reset();
    }
}
