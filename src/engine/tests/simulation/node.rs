//! A simulated node: clients and replicas, served as a connection serves them, and the link to its
//! master, driven as the following thread drives it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::host::{SimClock, SimHost};
use super::random::Random;
use super::work::{Draw, Words, encode};
use super::{DATABASES, START_MS};
use crate::commands::acl_commands;
use crate::commands::registry::Registry;
use crate::engine::batch::After;
use crate::engine::follow::{Lost, Retries, Session};
use crate::engine::full_resync::takeover::{self, NotTaken, Offer};
use crate::engine::rdb_load::{self, Behind};
use crate::engine::{Engine, Executor, Sweeper, rdb_save, rows};
use crate::keyspace::ShardSet;
use crate::keyspace::snapshot::Snapshot;
use crate::node::client::{Client, Handle, Origin};
use crate::node::host::{Clock as _, Host as _};
use crate::node::stats::WorkerStats;
use crate::node::{Identity, Node};
use crate::replication::{Outlet, Sent};
use crate::resp::Parser;
use crate::settings::{FullSync, LocalAccess, MasterAddress, Settings};

/// Bytes in flight to a replica from which on it gets no more for now.
const UNDER_WAY_MAX: usize = 40_000;
const DUMPS_KEPT: usize = 8;

pub(super) fn port(index: usize) -> u16 {
    7000 + u16::try_from(index).expect("few nodes")
}

pub(super) fn host(index: usize) -> String {
    format!("10.0.0.{index}")
}

/// A connection as its node sees it.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) client: Client,
    parser: Parser,
    input: Vec<u8>,
    /// Where its bytes go, once it is a replica.
    outlet: Option<SimOutlet>,
}

/// A socket to a replica: it has room for some bytes, and takes some at once.
#[derive(Clone, Debug)]
struct SimOutlet(Arc<Mutex<Socket>>);

#[derive(Debug, Default)]
struct Socket {
    taken: Vec<u8>,
    room: usize,
    at_once_max: usize,
}

impl Outlet for SimOutlet {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.0.lock();
        let len = bytes.len().min(socket.room).min(socket.at_once_max);
        if len == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        socket.taken.extend_from_slice(&bytes[..len]);
        socket.room -= len;
        Ok(len)
    }
}

/// A client of a node.
#[derive(Debug)]
pub(super) struct Caller {
    connected: Connected,
    plan: VecDeque<Words>,
    last: Words,
    /// The history in which it waits for an offset.
    waits_for: Option<(String, u64)>,
}

/// A client was told that this many replicas have an offset of a history.
#[derive(Debug)]
pub(super) struct Waited {
    pub(super) count: usize,
    pub(super) id: String,
    pub(super) offset: u64,
}

/// A full resync that has arrived completely and is being loaded.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) generation: u64,
    pub(super) master: MasterAddress,
    pub(super) offer: Offer,
    pub(super) bytes: Vec<u8>,
    pub(super) due_ms: i64,
}

/// The link to a master.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) wire: u64,
    pub(super) session: Session,
    pub(super) generation: u64,
    pub(super) master: MasterAddress,
    pub(super) handle: Arc<Handle>,
    pub(super) load: Option<Load>,
    pub(super) held: Vec<u8>,
    pub(super) ticked_ms: i64,
}

#[derive(Debug)]
pub(super) enum Follow {
    /// Until a moment, or until the role changes.
    Resting(Option<i64>),
    Line(Box<Line>),
}

#[derive(Debug)]
pub(super) struct SimNode {
    pub(super) engine: Arc<Engine>,
    pub(super) clock: Arc<SimClock>,
    pub(super) host: Arc<SimHost>,
    executor: Executor,
    pub(super) applier: Executor,
    sweeper: Sweeper,
    pub(super) callers: Vec<Caller>,
    dumps: Vec<Vec<u8>>,
    /// By the number of the wire.
    pub(super) serving: BTreeMap<u64, Connected>,
    pub(super) retries: Retries,
    pub(super) follow: Follow,
    /// Loads whose link has ended.
    pub(super) left_over: Vec<Load>,
    /// Offset at which its log began, if it has.
    pub(super) begun: Option<u64>,
    /// The last saved file.
    file: Option<Vec<u8>>,
    pub(super) pinged_ms: i64,
    pub(super) kept_alive_ms: i64,
    index: usize,
}

impl SimNode {
    pub(super) fn new(index: usize, random: &mut Random) -> Self {
        let mut settings = Settings::default();
        settings.network.port = port(index);
        settings.keyspace.databases = u32::try_from(DATABASES).expect("few");
        settings.security.enable_debug_command = LocalAccess::Yes;
        settings.snapshot.save.clear();
        let replication = &mut settings.replication;
        replication.backlog_size_bytes = *random.pick(&[1, 20_000, 200_000, 1 << 20]);
        replication.diskless_sync = random.percent(60);
        replication.diskless_sync_delay_secs = *random.pick(&[0, 0, 1]);
        replication.full_sync = *random.pick(&[FullSync::Beside, FullSync::Spool]);
        replication.empty_master_guard = random.percent(30);
        // Clocks differ a little.
        let clock = Arc::new(SimClock::new(START_MS + random.between(0, 4000) as i64 - 2000));
        Self::with(index, settings, clock, SimHost::new(index, 0), random)
    }

    fn with(
        index: usize,
        settings: Settings,
        clock: Arc<SimClock>,
        host: SimHost,
        random: &mut Random,
    ) -> Self {
        let registry = Registry::new(rows(), &[]).expect("nothing is renamed");
        let identity = Identity {
            run_id: "0".repeat(40),
            started_ms: START_MS,
            process_id: 1,
            config_file: None,
            executable: String::new(),
            operating_system: String::new(),
        };
        let workers = (0..2).map(|_| WorkerStats::new(registry.ids())).collect();
        let host = Arc::new(host);
        let log_id = host.new_id();
        let shared = Arc::clone(&clock) as _;
        let seeds = [1, 2, 3, index as u64];
        let commands = acl_commands();
        let node = Node::new(settings, identity, commands, shared, workers, seeds, log_id);
        let node = Arc::new(node);
        host.set_node(&node);
        node.set_host(Arc::clone(&host) as _);
        let engine = Arc::new(Engine::new(Arc::clone(&node), registry));
        let executor = Executor::new(Arc::clone(&engine), 0, random.next());
        let applier = Executor::new(Arc::clone(&engine), node.applier, random.next());
        let mut own = Self {
            engine,
            clock,
            host,
            executor,
            applier,
            sweeper: Sweeper::default(),
            callers: Vec::new(),
            dumps: Vec::new(),
            serving: BTreeMap::new(),
            retries: Retries::new(),
            follow: Follow::Resting(None),
            left_over: Vec::new(),
            begun: None,
            file: None,
            pinged_ms: START_MS,
            kept_alive_ms: START_MS,
            index,
        };
        own.callers = (0..2).map(|_| own.caller()).collect();
        own
    }

    /// Saves its data, unless a snapshot for replicas is being written.
    pub(super) fn save(&mut self) {
        if self.host.is_sending() {
            return;
        }
        let node = self.node();
        let (mut snapshot, cut) = {
            let mut shards = node.keyspace.lock(ShardSet::ALL);
            let mut locked = shards.locked();
            (Snapshot::cut(&node.keyspace, &mut locked, usize::MAX), rdb_save::cut(node))
        };
        let mut writer = rdb_save::begin(node, Vec::new(), &cut).expect("memory");
        rdb_save::write_snapshot(&mut snapshot, &mut writer, |_| {}).expect("memory");
        self.file = Some(writer.finish().expect("memory"));
    }

    /// The node after a restart, with its last saved file.
    pub(super) fn restarted(&self, random: &mut Random) -> Self {
        let settings = Settings::clone(&self.node().settings.load());
        let master = settings.replication.master.clone();
        let host = SimHost::new(self.index, self.host.ids());
        let mut own = Self::with(self.index, settings, Arc::clone(&self.clock), host, random);
        let node = Arc::clone(own.node());
        if let Some(master) = master {
            let mut shards = node.keyspace.lock(ShardSet::ALL);
            node.begin_as_replica(&shards.locked(), &master);
        }
        own.file.clone_from(&self.file);
        if let Some(file) = &own.file {
            let (data, behind) = (&file[..], Behind::Nothing);
            let loaded = rdb_load::load_into(&node, &node.keyspace, data, behind, &mut |_| {});
            let loaded = loaded.expect("a file that was written whole");
            if let Some(history) = &loaded.history {
                takeover::resume_history(&node, history, loaded.synced_from.clone());
            }
        }
        own.begun = node.log.has_backlog().then(|| node.log.offset());
        own
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        &self.engine.node
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.clock.unix_ms()
    }

    /// The index of its master, if it has one.
    pub(super) fn master(&self) -> Option<usize> {
        let settings = self.node().settings.load();
        settings.replication.master.as_ref().map(|master| usize::from(master.port) - 7000)
    }

    fn connect(&self, address: String) -> Connected {
        let node = self.node();
        let origin = Origin {
            id: node.clients.next_id(),
            address,
            connected_ms: self.now_ms(),
            ..Origin::default()
        };
        let handle = Arc::new(Handle::new(origin));
        node.clients.add(Arc::clone(&handle));
        let client = Client::new(handle, &node.acl);
        Connected { client, parser: Parser::default(), input: Vec::new(), outlet: None }
    }

    fn caller(&self) -> Caller {
        let connected = self.connect("127.0.0.1:5000".into());
        Caller { connected, plan: VecDeque::new(), last: Vec::new(), waits_for: None }
    }

    /// A replica connects.
    pub(super) fn accept(&mut self, wire: u64, from: usize) {
        let connected = self.connect(format!("{}:{}", host(from), 40_000 + wire));
        self.serving.insert(wire, connected);
    }

    /// Removes a connection from everything that refers to it.
    fn forget(&self, mut connected: Connected) {
        let (node, client) = (self.node(), &mut connected.client);
        client.forget_watches(&node.keyspace);
        crate::engine::forget_wait(node, client);
        if client.replica.take().is_some() {
            node.replication.replicas.remove(client.handle.origin.id, &node.log, self.now_ms());
        }
        node.admission.forget(&client.handle);
        node.clients.remove(client.handle.origin.id);
    }

    /// Ends the serving of a replica's connection.
    pub(super) fn stop_serving(&mut self, wire: u64) {
        if let Some(connected) = self.serving.remove(&wire) {
            self.forget(connected);
        }
    }

    /// Runs what a replica sent; returns the replies, and whether the connection stays open.
    pub(super) fn serve(&mut self, wire: u64, bytes: &[u8]) -> (Vec<u8>, bool) {
        let Some(connected) = self.serving.get_mut(&wire) else { return (Vec::new(), false) };
        if connected.client.handle.is_killed() {
            return (Vec::new(), false);
        }
        connected.input.extend_from_slice(bytes);
        let mut out = Vec::new();
        let after = run(&mut self.executor, connected, &mut out);
        (out, !matches!(after, After::Close | After::Abort))
    }

    /// Whether a connection has sent input that did not run.
    pub(super) fn holds_input(&self, wire: u64) -> bool {
        self.serving.get(&wire).is_some_and(|connected| !connected.input.is_empty())
    }

    /// What a replica gets next, and whether the connection stays open.
    pub(super) fn feed(&mut self, wire: u64, under_way: usize, max: usize) -> (Vec<u8>, bool) {
        let (node, now_ms) = (Arc::clone(self.node()), self.now_ms());
        let Some(connected) = self.serving.get_mut(&wire) else { return (Vec::new(), false) };
        if connected.client.handle.is_killed() {
            return (Vec::new(), false);
        }
        let Some(replica) = &connected.client.replica else { return (Vec::new(), true) };
        let outlet = connected.outlet.get_or_insert_with(|| {
            let outlet = SimOutlet(Arc::default());
            replica.attach(Box::new(outlet.clone()));
            outlet
        });
        {
            let mut socket = outlet.0.lock();
            socket.room = UNDER_WAY_MAX.saturating_sub(under_way + socket.taken.len());
            socket.at_once_max = max;
        }
        connected.client.handle.take_look();
        let replicas = &node.replication.replicas;
        if replicas.is_ack_wanted() {
            node.feed_replicas();
        }
        let goes_on = loop {
            self.host.fetch();
            match replicas.feed_one(replica, &node.log, now_ms) {
                Ok(Sent::Part) => {}
                Ok(Sent::All | Sent::Full) => break true,
                Err(_) => break false,
            }
        };
        (std::mem::take(&mut outlet.0.lock().taken), goes_on)
    }

    /// Runs a command as an operator; returns the raw reply.
    pub(super) fn operate(&mut self, words: &[&str]) -> String {
        let mut connected = self.connect("127.0.0.1:6000".into());
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        connected.input = encode(&words);
        let mut out = Vec::new();
        run(&mut self.executor, &mut connected, &mut out);
        self.forget(connected);
        String::from_utf8_lossy(&out).trim_end().to_owned()
    }

    /// Advances one of the clients. Returns what WAIT told it.
    pub(super) fn call(&mut self, random: &mut Random, long: bool) -> Option<Waited> {
        let at = random.below(self.callers.len());
        let mut caller = self.callers.swap_remove(at);
        let mut out = Vec::new();
        let goes_on = self.call_with(&mut caller, random, long, &mut out);
        let waited = self.hear(&mut caller, &out);
        if goes_on {
            self.callers.push(caller);
        } else {
            self.forget(caller.connected);
            self.callers.push(self.caller());
        }
        waited
    }

    /// Makes a client send its next command, or check the one it waits for. False: its connection
    /// has ended.
    fn call_with(
        &mut self,
        caller: &mut Caller,
        random: &mut Random,
        long: bool,
        out: &mut Vec<u8>,
    ) -> bool {
        let node = Arc::clone(self.node());
        let connected = &mut caller.connected;
        if connected.client.handle.is_killed() {
            return false;
        }
        if connected.client.waiting.is_some() {
            if self.executor.answer_waiting(&mut connected.client) {
                take_output(&mut self.executor, out);
            }
            return !connected.client.closing;
        }
        // What a pause holds back comes first.
        if connected.input.is_empty() {
            if caller.plan.is_empty() {
                let now_ms = node.clock.unix_ms();
                let dumps = &self.dumps;
                caller.plan = Draw { random, now_ms, dumps, long }.some().into();
            }
            caller.last = caller.plan.pop_front().unwrap_or_default();
            connected.input = encode(&caller.last);
            caller.waits_for = None;
            if caller.last[0] == b"WAIT" && connected.client.multi.is_none() {
                caller.waits_for = Some((node.log.ids().id, connected.client.write_offset));
            }
        }
        let after = run(&mut self.executor, connected, out);
        !matches!(after, After::Close | After::Abort)
    }

    /// Processes a client's reply.
    fn hear(&mut self, caller: &mut Caller, reply: &[u8]) -> Option<Waited> {
        if caller.last.first().is_some_and(|name| name == b"DUMP")
            && reply.starts_with(b"$")
            && let Some(end) = reply.windows(2).position(|pair| pair == b"\r\n")
            && end + 4 < reply.len()
        {
            self.dumps.truncate(DUMPS_KEPT - 1);
            self.dumps.insert(0, reply[end + 2..reply.len() - 2].to_vec());
        }
        let count = reply.strip_prefix(b":")?.trim_ascii_end();
        let count = std::str::from_utf8(count).ok()?.parse().ok()?;
        let (id, offset) = caller.waits_for.take()?;
        Some(Waited { count, id, offset })
    }

    /// Removes expired keys.
    pub(super) fn sweep(&mut self) {
        self.sweeper.round(&self.engine);
        self.node().feed_replicas();
    }

    /// A master's periodic work.
    pub(super) fn look_after_replicas(&mut self) {
        let (node, now_ms) = (Arc::clone(self.node()), self.now_ms());
        let replicas = &node.replication.replicas;
        let admission = &node.admission;
        if admission.is_paused_by_client() && admission.paused_until_ms() <= now_ms {
            admission.unpause(&node.keyspace.lock(ShardSet::ALL).locked());
        }
        if replicas.len() > 0 && !node.is_replica() && !node.admission.is_held() {
            let period_ms = i64::from(node.settings.load().replication.ping_period_secs) * 1000;
            if now_ms - self.pinged_ms >= period_ms {
                self.pinged_ms = now_ms;
                assert!(node.log_bare(&[b"PING"]), "no script runs here");
            }
        }
        if now_ms - self.kept_alive_ms >= 1000 {
            self.kept_alive_ms = now_ms;
            replicas.keep_alive();
        }
        if replicas.all().iter().any(|replica| replica.is_waiting()) {
            let mut shards = node.keyspace.lock(ShardSet::ALL);
            node.host().sync_replicas(&mut shards.locked());
        }
        node.feed_replicas();
    }

    /// Loads what has arrived. `fails`: where the old data go first, the new ones are unreadable.
    pub(super) fn load(&mut self, load: Load, fails: bool) -> Result<(), NotTaken> {
        let node = Arc::clone(self.node());
        let bad = |reason| panic!("a full resync is no good: {reason}");
        let Load { generation, master, offer, bytes, .. } = load;
        let source = &bytes[..];
        let loaded = match node.settings.load().replication.full_sync {
            FullSync::Spool => {
                let checked = takeover::check(&node, source).unwrap_or_else(bad);
                let len = if fails { bytes.len() / 2 } else { bytes.len() };
                let source = (&bytes[..len], len as u64);
                takeover::load_in_place(&node, generation, &master, offer, &checked, source)
            }
            _ => {
                let beside = takeover::load_beside(&node, source, &mut |_| {});
                let beside = beside.unwrap_or_else(|reason| panic!("not loaded: {reason}"));
                takeover::take_over(&node, generation, &master, offer, &beside)
            }
        };
        if loaded.is_ok() {
            self.begun = Some(node.log.offset());
        }
        loaded
    }

    /// Begins a link to its master.
    pub(super) fn begin_line(&mut self, wire: u64, master: MasterAddress, whole: bool) {
        let node = Arc::clone(self.node());
        let connected_ms = self.now_ms();
        let origin = Origin { id: node.clients.next_id(), connected_ms, ..Origin::default() };
        let handle = Arc::new(Handle::new(origin));
        handle.shown.lock().master = true;
        node.clients.add(Arc::clone(&handle));
        *node.replication.link_handle.lock() = Some(Arc::clone(&handle));
        let generation = node.replication.generation();
        let session = Session::new(&node, &master, generation, Arc::clone(&handle), whole);
        let ticked_ms = connected_ms;
        let (load, held) = (None, Vec::new());
        let line = Line { wire, session, generation, master, handle, load, held, ticked_ms };
        self.follow = Follow::Line(Box::new(line));
    }

    /// Ends the link to its master; returns its wire.
    pub(super) fn end_line(&mut self, lost: Lost) -> Option<u64> {
        let Follow::Line(line) = std::mem::replace(&mut self.follow, Follow::Resting(None)) else {
            return None;
        };
        let node = Arc::clone(self.node());
        *node.replication.link_handle.lock() = None;
        node.clients.remove(line.handle.origin.id);
        // A separate thread loads, and it continues.
        self.left_over.extend(line.load.filter(|_| line.session.is_loading()));
        self.rest(line.generation, lost);
        Some(line.wire)
    }

    /// Waits for the next try.
    pub(super) fn rest(&mut self, generation: u64, lost: Lost) {
        let node = Arc::clone(self.node());
        let wait = self.retries.after(&node, generation, lost);
        let until_ms = wait.map_or(0, |wait| self.now_ms() + wait.as_millis() as i64);
        self.follow = Follow::Resting(Some(until_ms));
    }

    pub(super) fn described_follow(&self) -> String {
        match &self.follow {
            Follow::Resting(until_ms) => format!("nobody until {until_ms:?}"),
            Follow::Line(line) => format!("by wire {}", line.wire),
        }
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }
}

/// Runs a client's input, as far as it may run.
fn run(executor: &mut Executor, connected: &mut Connected, out: &mut Vec<u8>) -> After {
    loop {
        let Connected { client, parser, input, .. } = connected;
        let ran = executor.run(client, parser, input);
        input.drain(..ran.consumed);
        take_output(executor, out);
        if ran.after != After::More {
            return ran.after;
        }
    }
}

fn take_output(executor: &mut Executor, out: &mut Vec<u8>) {
    executor.output.take(|bytes| out.extend_from_slice(&bytes));
    executor.output.clear();
}
