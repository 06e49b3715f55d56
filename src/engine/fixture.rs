//! An engine without sockets, for tests: a manual clock, a host that only records requests, and
//! clients named by letters in a transcript.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::batch::After;
use super::{Engine, Executor};
use crate::commands::acl_commands;
use crate::commands::registry::Registry;
use crate::keyspace::{Keyspace, Locked};
use crate::node::client::{Client, Handle, Origin};
use crate::node::host::{
    BackgroundSave, Clock, Host, HostResult, Memory, Reload, SettingRefused, Shutdown, Within,
};
use crate::node::pubsub::Kind;
use crate::node::stats::WorkerStats;
use crate::node::{Identity, Node};
use crate::resp::{Parser, split_inline};
use crate::settings::{Rewrite, Settings};

/// When every fixture starts, in Unix milliseconds.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

/// A clock that moves only by hand.
pub(crate) struct ManualClock {
    unix_us: AtomicI64,
    interruption: Mutex<Option<Interruption>>,
}

/// What another thread does in between.
struct Interruption {
    /// Clock reads left before it acts.
    looks: usize,
    act: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.unix_us).finish()
    }
}

impl ManualClock {
    fn new(unix_ms: i64) -> Self {
        Self { unix_us: AtomicI64::new(unix_ms * 1000), interruption: Mutex::new(None) }
    }

    pub(crate) fn advance_ms(&self, ms: i64) {
        self.unix_us.fetch_add(ms * 1000, Ordering::Relaxed);
    }

    /// Calls `act` at the `looks`-th read of [`Clock::nanos`] from now on. At reads made without a
    /// lock, another thread may come in between.
    pub(crate) fn interrupt(&self, looks: usize, act: impl FnOnce() + Send + 'static) {
        *self.interruption.lock() = Some(Interruption { looks, act: Box::new(act) });
    }

    pub(crate) fn was_interrupted(&self) -> bool {
        self.interruption.lock().is_none()
    }
}

impl Clock for ManualClock {
    fn unix_us(&self) -> i64 {
        self.unix_us.load(Ordering::Relaxed)
    }

    fn nanos(&self) -> u64 {
        let mut interruption = self.interruption.lock();
        if let Some(next) = &mut *interruption {
            next.looks -= 1;
        }
        let due = interruption.take_if(|next| next.looks == 0);
        drop(interruption);
        if let Some(due) = due {
            (due.act)();
        }
        self.unix_us().unsigned_abs() * 1000
    }

    fn sleep_ms(&self, ms: u64) {
        self.advance_ms(ms.cast_signed());
    }
}

/// A host without files and threads.
#[derive(Debug, Default)]
pub(crate) struct StubHost {
    /// The error that `apply` returns next, if any.
    pub(crate) refusal: Mutex<Option<SettingRefused>>,
    /// The keys that count as memory used; none: it is 0.
    pub(crate) counted: Mutex<Option<Arc<Keyspace>>>,
    /// Ids given out.
    ids: AtomicU64,
}

impl Host for StubHost {
    fn save(&self, _: &mut Locked<'_>) -> HostResult {
        Ok(())
    }

    fn background_save(&self, _: &mut Locked<'_>) -> BackgroundSave {
        BackgroundSave::Started
    }

    fn reload(&self, _: &mut Locked<'_>, _: Reload) -> HostResult {
        Ok(())
    }

    fn shutdown(&self, _: &mut Locked<'_>, _: Shutdown) -> HostResult {
        Ok(())
    }

    fn apply(
        &self,
        _: &mut Locked<'_>,
        _: &Settings,
        _: &mut Settings,
        _: (&[&'static str], Within),
    ) -> Result<(), SettingRefused> {
        self.refusal.lock().take().map_or(Ok(()), Err)
    }

    fn rewrite_settings(&self, _: Rewrite) -> HostResult {
        Err("The server is running without a config file".into())
    }

    fn new_id(&self) -> String {
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        format!("{number:040x}")
    }

    fn sync_replicas(&self, _: &mut Locked<'_>) {}

    fn end_at_once(&self) {}
    fn relieve(&self, _: usize) {}
    fn end_relief(&self, _: usize) {}
    fn look_at_role(&self) {}

    fn processor_seconds(&self) -> [f64; 2] {
        [0.0; 2]
    }

    fn used_bytes(&self) -> u64 {
        match &*self.counted.lock() {
            Some(keyspace) => keyspace.bytes() as u64,
            None => 0,
        }
    }

    fn purge(&self) -> HostResult {
        Ok(())
    }

    fn allocator_report(&self) -> Vec<u8> {
        b"no allocator".to_vec()
    }

    fn memory(&self) -> Memory {
        Memory::default()
    }
}

/// A client with its connection's state.
#[derive(Debug)]
struct Connected {
    client: Client,
    parser: Parser,
    /// Input held back by a pause.
    input: Vec<u8>,
}

/// An engine with clients.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) host: Arc<StubHost>,
    executor: Executor,
    clients: BTreeMap<String, Connected>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default(), &[])
    }

    /// A fixture with other settings, and commands renamed.
    pub(crate) fn with(settings: Settings, renames: &[(&str, &str)]) -> Self {
        Self::with_workers(settings, renames, 1)
    }

    /// For executors of several workers; the fixture's own is the first.
    pub(crate) fn with_workers(
        settings: Settings,
        renames: &[(&str, &str)],
        workers: usize,
    ) -> Self {
        let renames: Vec<(String, String)> =
            renames.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let registry = Registry::new(super::rows(), &renames).expect("renames name commands");
        let clock = Arc::new(ManualClock::new(START_MS));
        let identity = Identity {
            run_id: "0".repeat(40),
            started_ms: START_MS,
            process_id: 1,
            config_file: None,
            executable: "limpid-server".into(),
            operating_system: "none".into(),
        };
        let workers = (0..workers).map(|_| WorkerStats::new(registry.ids())).collect();
        let log_id = "0".repeat(40);
        let shared = Arc::clone(&clock) as _;
        let commands = acl_commands();
        let node = Node::new(settings, identity, commands, shared, workers, [1; 4], log_id);
        let host = Arc::new(StubHost::default());
        node.set_host(Arc::clone(&host) as _);
        let engine = Arc::new(Engine::new(Arc::new(node), registry));
        let executor = Executor::new(Arc::clone(&engine), 0, 1);
        Self { engine, clock, host, executor, clients: BTreeMap::new() }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.engine.node
    }

    /// A client's state; connects the client first if needed.
    pub(crate) fn client(&mut self, name: &str) -> &mut Client {
        &mut self.connected(name).client
    }

    fn connected(&mut self, name: &str) -> &mut Connected {
        let node = &self.engine.node;
        self.clients.entry(name.to_owned()).or_insert_with(|| {
            let id = node.clients.next_id();
            let handle = Arc::new(Handle::new(Origin {
                id,
                address: format!("127.0.0.1:{}", 50000 + id),
                local_address: "127.0.0.1:6379".into(),
                fd: 10,
                connected_ms: node.clock.unix_ms(),
                unix_socket: false,
                tls: false,
            }));
            node.clients.add(Arc::clone(&handle));
            let client = Client::new(handle, &node.acl);
            Connected { client, parser: Parser::default(), input: Vec::new() }
        })
    }

    /// Closes a client's connection as a worker does.
    pub(crate) fn disconnect(&mut self, name: &str) {
        let Some(Connected { mut client, .. }) = self.clients.remove(name) else { return };
        let node = &self.engine.node;
        super::forget_wait(node, &mut client);
        client.forget_watches(&node.keyspace);
        for channel in &client.channels {
            node.pubsub.forget(Kind::Channel, channel, client.handle.origin.id);
        }
        node.monitors.remove(client.handle.origin.id);
        node.tracking.forget(&mut client);
        node.admission.forget(&client.handle);
        node.clients.remove(client.handle.origin.id);
    }

    /// Sends a command in inline notation; returns what the client then reads, with a space for
    /// each line break. `<wait>` at the end: the command waits; `<close>`: the connection is closed.
    pub(crate) fn run(&mut self, name: &str, line: &str) -> String {
        let (mut arena, mut spans) = (Vec::new(), Vec::new());
        split_inline(line.as_bytes(), &mut arena, 0, &mut spans).expect("quotes match");
        let mut bytes = format!("*{}\r\n", spans.len()).into_bytes();
        for span in &spans {
            let arg = &arena[span.start as usize..][..span.len as usize];
            bytes.extend(format!("${}\r\n", arg.len()).bytes());
            bytes.extend_from_slice(arg);
            bytes.extend_from_slice(b"\r\n");
        }
        self.send(name, &bytes)
    }

    /// Sends raw bytes. With none, retries what was held back.
    pub(crate) fn send(&mut self, name: &str, bytes: &[u8]) -> String {
        self.connected(name);
        let Connected { client, parser, input } =
            self.clients.get_mut(name).expect("connected above");
        let mut read = Vec::new();
        client.handle.take_pushes().take(|bytes| read.extend_from_slice(&bytes));
        input.extend_from_slice(bytes);
        let still_waits = client.waiting.is_some() && {
            let answered = self.executor.answer_waiting(client);
            self.executor.output.take(|bytes| read.extend_from_slice(&bytes));
            self.executor.output.clear();
            !answered
        };
        let mut end = "<wait>";
        if !still_waits {
            end = loop {
                let ran = self.executor.run(client, parser, input);
                input.drain(..ran.consumed);
                self.executor.output.take(|bytes| read.extend_from_slice(&bytes));
                self.executor.output.clear();
                match ran.after {
                    After::More => {}
                    After::Continue => break "",
                    After::Close => break "<close>",
                    After::Pause | After::Block => break "<wait>",
                    After::Abort => break "<abort>",
                }
            };
        }
        if client.handle.is_killed() {
            end = "<killed>";
        }
        let text = String::from_utf8_lossy(&read).replace("\r\n", " ");
        format!("{}{}{end}", text.trim_end(), if text.is_empty() { "" } else { " " })
            .trim_end()
            .to_owned()
    }

    /// Runs lines of the form `client: command -> reply`. Instead of a command, `(reads)` shows
    /// what the client receives unasked, or what was held back. `#` begins a comment.
    #[track_caller]
    pub(crate) fn transcript(&mut self, text: &str) {
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (step, reply) = line.split_once("->").expect("a reply after `->`");
            let (name, command) = step.split_once(':').expect("a client before `:`");
            let read = match command.trim() {
                "(reads)" => self.send(name, b""),
                command => self.run(name, command),
            };
            assert_eq!(read, reply.trim(), "{line}");
        }
    }
}
