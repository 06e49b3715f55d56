//! The link to a master: a thread of its own that connects, synchronises, and applies what the
//! master sends, for as long as this node is a replica.
//!
//! What is said on the link is [`Link`]'s; what a full resync does is [`super::transfer`]'s; what
//! the stream does is the engine's. Here are the socket, the timers and the retries.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::transfer::Transfer;
use crate::engine::resync::{self, NotTaken, Offer};
use crate::engine::{Applier, ApplyError, Engine, Executor};
use crate::keyspace::ShardSet;
use crate::node::Node;
use crate::node::admission::State;
use crate::node::client::{Handle, Origin};
use crate::node::replication::{Failover, LinkState, RefusedMaster, SyncProgress};
use crate::replication::{Event, Hello, Link, LinkError};
use crate::settings::MasterAddress;
use crate::telemetry::log::log;

/// Bytes read at once.
const INPUT_BYTES: usize = 256 * 1024;
/// Between two acknowledgements that were not asked for, and between signs of life.
const TICK: Duration = Duration::from_secs(1);
/// Between two acknowledgements of what was just applied.
const EAGER_ACK: Duration = Duration::from_millis(1);
/// Before the next try after a link was lost, and the most that it grows to where a master is
/// refused time and again.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Starts the thread; it ends when `end` changes. `look` has it look at the node's role.
pub(super) fn start(
    engine: Arc<Engine>,
    seed: u64,
    look: Arc<Notify>,
    mut end: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let work = move || {
        let index = engine.node.applier;
        let follower =
            Follower { executor: Executor::new(Arc::clone(&engine), index, seed), engine, look };
        runtime.block_on(async {
            tokio::select! {
                () = follower.run() => {}
                // An error means that the sender is gone, which is an end as well.
                _ = end.wait_for(|&end| end) => {}
            }
        });
    };
    std::thread::Builder::new().name("replication".into()).spawn(work)
}

#[derive(Debug)]
struct Follower {
    engine: Arc<Engine>,
    executor: Executor,
    look: Arc<Notify>,
}

/// Why a link ended.
#[derive(Debug)]
enum Lost {
    /// The node is to do something else.
    Changed,
    /// The stream made no sense at an offset.
    Protocol(u64, String),
    /// The master is not to be followed for now.
    Refused(String),
    Failed(String),
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<LinkError> for Lost {
    fn from(error: LinkError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Follower {
    async fn run(mut self) {
        let engine = Arc::clone(&self.engine);
        let node = &*engine.node;
        let mut retry = RETRY;
        // Where the stream last made no sense: twice at one place, and all the data are needed.
        let mut stuck = None;
        loop {
            node.advance_failover();
            let master = node.settings.load().replication.master.clone();
            // The file at start comes first: a partial resync may go on from there.
            let ready = !node.admission.has(State::Loading);
            let Some(master) = master.filter(|_| ready) else {
                self.look.notified().await;
                continue;
            };
            let generation = node.replication.generation();
            let whole = stuck == Some(node.log.offset());
            let lost = self.follow(&master, generation, whole).await;
            self.note_lost(generation);
            match lost {
                Lost::Changed => {
                    retry = RETRY;
                    continue;
                }
                Lost::Protocol(offset, reason) => {
                    log!(Warning, "{reason}");
                    stuck = Some(offset);
                }
                Lost::Refused(reason) => {
                    log!(Warning, "Refused to synchronise: {reason}");
                    retry = (retry * 2).min(RETRY_MAX);
                }
                Lost::Failed(reason) => {
                    log!(Warning, "Connection with master lost: {reason}");
                    retry = RETRY;
                    self.fail_failover(&reason);
                }
            }
            tokio::select! {
                () = sleep(retry) => {}
                () = self.look.notified() => {}
            }
        }
    }

    /// The link is down, if this generation is still the node's.
    fn note_lost(&self, generation: u64) {
        let node = &self.engine.node;
        let mut shards = node.keyspace.lock(ShardSet::ALL);
        let locked = shards.locked();
        if node.replication.generation() != generation {
            return;
        }
        let now_ms = node.clock.unix_ms();
        node.replication.update_link(|link| {
            if link.state == LinkState::Connected {
                link.down_since_ms = now_ms;
            }
            link.state = LinkState::Connect;
            link.sync = None;
        });
        node.set_master_down(&locked, true);
    }

    /// A target that does not step in leaves the role here.
    fn fail_failover(&self, reason: &str) {
        let node = &self.engine.node;
        if matches!(node.replication.failover(), Failover::InProgress { .. }) {
            let mut shards = node.keyspace.lock(ShardSet::ALL);
            node.end_failover(&shards.locked(), reason);
        }
    }

    /// Follows a master until the link is lost. `whole`: all the data are needed.
    async fn follow(&mut self, master: &MasterAddress, generation: u64, whole: bool) -> Lost {
        let engine = Arc::clone(&self.engine);
        let node = &engine.node;
        node.replication.update_link(|link| link.state = LinkState::Connecting);
        log!(Notice, "Connecting to MASTER {}:{}", master.host, master.port);
        let limit = Duration::from_secs(node.settings.load().replication.timeout_secs.into());
        let connecting = TcpStream::connect((master.host.as_str(), master.port));
        let stream = tokio::select! {
            connected = timeout(limit, connecting) => match connected {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Lost::Failed(format!("Error condition on socket for SYNC: {error}")),
                Err(_) => return Lost::Failed("Timeout connecting to the MASTER...".into()),
            },
            () = self.role_changes(generation) => return Lost::Changed,
        };
        // A socket that refuses this still works.
        drop(stream.set_nodelay(true));
        node.replication.update_link(|link| link.state = LinkState::Handshake);
        log!(Notice, "MASTER <-> REPLICA sync started");
        let handle = register(node, &stream, master);
        let session = Session {
            node,
            executor: &mut self.executor,
            master,
            generation,
            link: Link::new(hello(node, whole)),
            handle: Arc::clone(&handle),
            applier: None,
            transfer: None,
            offer: None,
            eof_form: false,
            eager: false,
            acked: 0,
            acked_at: Instant::now(),
            last_io_ms: node.clock.unix_ms(),
        };
        let result = session.run(stream).await;
        *node.replication.link_handle.lock() = None;
        node.clients.remove(handle.origin.id);
        match result {
            Ok(never) => match never {},
            Err(_) if node.replication.generation() != generation => Lost::Changed,
            Err(lost) => lost,
        }
    }

    /// Ends when the node's role is another.
    async fn role_changes(&self, generation: u64) {
        while self.engine.node.replication.generation() == generation {
            self.look.notified().await;
        }
    }
}

/// Shows the link among the clients.
fn register(node: &Node, stream: &TcpStream, master: &MasterAddress) -> Arc<Handle> {
    use std::os::fd::AsRawFd;
    let origin = Origin {
        id: node.clients.next_id(),
        address: stream.peer_addr().map_or_else(
            |_| format!("{}:{}", master.host, master.port),
            |address| address.to_string(),
        ),
        local_address: stream.local_addr().map(|address| address.to_string()).unwrap_or_default(),
        fd: stream.as_raw_fd(),
        connected_ms: node.clock.unix_ms(),
        unix_socket: false,
    };
    let handle = Arc::new(Handle::new(origin));
    handle.shown.lock().master = true;
    node.clients.add(Arc::clone(&handle));
    *node.replication.link_handle.lock() = Some(Arc::clone(&handle));
    handle
}

/// What this replica says of itself.
fn hello(node: &Node, whole: bool) -> Hello {
    let settings = node.settings.load();
    let replication = &settings.replication;
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let announced = replication.announce_port;
    let known = (node.log.is_recording() && !whole).then(|| {
        let (id, have) = (node.log.ids().id, node.log.offset());
        log!(Notice, "Trying a partial resynchronization (request {id}:{}).", have + 1);
        (id, have)
    });
    if known.is_none() {
        log!(Notice, "Partial resynchronization not possible (no cached master)");
    }
    Hello {
        user: replication.masteruser.reveal().and_then(text),
        password: replication.masterauth.reveal().and_then(text),
        port: if announced == 0 { node.identity.port } else { announced },
        announce_ip: text(&replication.announce_ip),
        known,
        failover: matches!(node.replication.failover(), Failover::InProgress { .. }),
    }
}

/// One connection to a master.
struct Session<'f> {
    node: &'f Arc<Node>,
    executor: &'f mut Executor,
    master: &'f MasterAddress,
    generation: u64,
    link: Link,
    handle: Arc<Handle>,
    applier: Option<Applier>,
    transfer: Option<Transfer>,
    offer: Option<Offer>,
    /// The full resync came without its length: the master waits for an acknowledgement.
    eof_form: bool,
    /// The master wants to be told at once what was applied: it is a limpid.
    eager: bool,
    acked: u64,
    acked_at: Instant,
    last_io_ms: i64,
}

/// What a session never gives.
enum Never {}

/// What a session waits for.
enum Woken {
    Read(usize),
    Tick,
    AckDue,
    Loaded(Result<(), NotTaken>),
    Killed,
}

impl Session<'_> {
    async fn run(mut self, mut stream: TcpStream) -> Result<Never, Lost> {
        let mut buffer = vec![0; INPUT_BYTES];
        // What arrived behind the RDB, until that is loaded.
        let mut held: Vec<u8> = Vec::new();
        // A strict master takes no byte before one is due.
        let mut ticks = interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let output = self.link.take_output();
            if !output.is_empty() {
                let limit = self.silence_max();
                let sent = timeout(limit, stream.write_all(&output)).await;
                sent.map_err(|_| Lost::Failed("the master takes no bytes".into()))??;
            }
            match self.wait(&mut stream, &mut buffer, &mut ticks).await? {
                Woken::Read(0) => return Err(Lost::Failed("the master closed it".into())),
                Woken::Read(len) => {
                    self.note_read(len);
                    self.receive(&buffer[..len], &mut held).await?;
                }
                Woken::Tick => self.tick()?,
                Woken::AckDue => self.acknowledge(),
                Woken::Loaded(result) => {
                    self.transfer = None;
                    self.loaded(result)?;
                    let arrived = std::mem::take(&mut held);
                    self.receive(&arrived, &mut held).await?;
                }
                Woken::Killed => return Err(Lost::Failed("it was closed here".into())),
            }
        }
    }

    async fn wait(
        &mut self,
        stream: &mut TcpStream,
        buffer: &mut [u8],
        ticks: &mut tokio::time::Interval,
    ) -> Result<Woken, Lost> {
        let handle = Arc::clone(&self.handle);
        let mut killed = pin!(poll_fn(move |cx| {
            handle.set_waker(cx.waker().clone());
            if handle.is_killed() { Poll::Ready(()) } else { Poll::Pending }
        }));
        let ack_due = self.eager && self.applier.is_some() && self.node.log.offset() > self.acked;
        let ack_at = self.acked_at + EAGER_ACK;
        let loading = self.transfer.as_ref().is_some_and(Transfer::is_complete);
        tokio::select! {
            biased;
            () = &mut killed => Ok(Woken::Killed),
            result = loaded(self.transfer.as_mut()), if loading => Ok(Woken::Loaded(result)),
            read = stream.read(buffer), if !loading => Ok(Woken::Read(read?)),
            () = tokio::time::sleep_until(ack_at), if ack_due => Ok(Woken::AckDue),
            _ = ticks.tick() => Ok(Woken::Tick),
        }
    }

    fn silence_max(&self) -> Duration {
        Duration::from_secs(self.node.settings.load().replication.timeout_secs.into())
    }

    fn note_read(&mut self, len: usize) {
        let node = self.node;
        self.last_io_ms = node.clock.unix_ms();
        let stats = &node.workers[node.applier];
        stats.reads.add(1);
        stats.read_bytes.add(len as u64);
        stats.master_read_bytes.add(len as u64);
        self.handle.active_ms.store(self.last_io_ms, Ordering::Relaxed);
        node.replication.update_link(|link| link.last_io_ms = self.last_io_ms);
    }

    /// Once a second.
    fn tick(&mut self) -> Result<(), Lost> {
        let loading = self.transfer.as_ref().is_some_and(Transfer::is_complete);
        if loading {
            self.link.keep_alive();
        } else if self.applier.is_some() {
            self.acknowledge();
        }
        let silent_ms = self.node.clock.unix_ms() - self.last_io_ms;
        let max_ms = i64::try_from(self.silence_max().as_millis()).unwrap_or(i64::MAX);
        if silent_ms > max_ms && !loading {
            return Err(Lost::Failed("MASTER timeout: no data nor PING received...".into()));
        }
        Ok(())
    }

    fn acknowledge(&mut self) {
        let tells_none = matches!(self.offer, Some(None));
        if !tells_none {
            self.acked = self.node.log.offset();
            self.acked_at = Instant::now();
            self.link.acknowledge(self.acked);
        }
    }

    async fn receive(&mut self, bytes: &[u8], held: &mut Vec<u8>) -> Result<(), Lost> {
        let mut input = bytes;
        loop {
            if self.transfer.as_ref().is_some_and(Transfer::is_complete) {
                held.extend_from_slice(input);
                return Ok(());
            }
            // Events of the handshake and the RDB are few or large: one at a time will do.
            let Some(event) = self.link.next(&mut input)? else { break };
            match event {
                Event::Stream(stream) => {
                    apply(
                        self.executor,
                        &mut self.applier,
                        &mut self.link,
                        &mut self.eager,
                        self.node,
                        stream,
                    )?;
                }
                Event::Payload(part) => {
                    let transfer = self.transfer.as_mut().expect("the RDB has begun");
                    let read = part.len() as u64;
                    transfer.send(part.into_owned()).await;
                    self.node.replication.update_link(|link| {
                        if let Some(sync) = &mut link.sync {
                            sync.read_bytes += read;
                        }
                    });
                    if let Some(failed) = transfer.failed() {
                        return Err(lost(failed));
                    }
                }
                Event::PayloadEnded => {
                    self.transfer.as_mut().expect("the RDB has begun").complete().await;
                }
                Event::Reached => {
                    log!(Notice, "Master replied to PING, replication can continue...");
                }
                Event::FullResync(offer) => self.begin_full(offer)?,
                Event::PayloadBegan(len) => self.begin_payload(len)?,
                Event::Continued(id) => self.continued(id)?,
            }
        }
        if self.eager && self.acked_at.elapsed() >= EAGER_ACK && self.node.log.offset() > self.acked
        {
            self.acknowledge();
        }
        Ok(())
    }

    fn begin_full(&mut self, offer: Offer) -> Result<(), Lost> {
        match &offer {
            Some((id, offset)) => log!(Notice, "Full resync from master: {id}:{offset}"),
            None => log!(Notice, "Retrying with SYNC..."),
        }
        resync::check_offer(self.node, &offer).map_err(lost)?;
        self.offer = Some(offer);
        self.node.replication.update_link(|link| {
            link.state = LinkState::Sync;
            link.sync = Some(SyncProgress::default());
        });
        Ok(())
    }

    fn begin_payload(&mut self, len: Option<u64>) -> Result<(), Lost> {
        match len {
            Some(len) => {
                log!(Notice, "MASTER <-> REPLICA sync: receiving {len} bytes from master");
            }
            None => {
                log!(Notice, "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF")
            }
        }
        self.eof_form = len.is_none();
        self.node.replication.update_link(|link| {
            let total_bytes = Some(len.unwrap_or(0));
            link.sync = Some(SyncProgress { total_bytes, read_bytes: 0 });
        });
        let offer = self.offer.clone().flatten();
        let transfer = Transfer::begin(
            Arc::clone(self.node),
            self.generation,
            self.master.clone(),
            offer,
            len,
        )?;
        self.transfer = Some(transfer);
        Ok(())
    }

    /// The data of a full resync are in place, or are not.
    fn loaded(&mut self, result: Result<(), NotTaken>) -> Result<(), Lost> {
        if let Err(NotTaken::Refused(reason)) = &result {
            let id = self.offer.clone().flatten().map_or_else(String::new, |(id, _)| id);
            let refused = RefusedMaster { id, reason: reason.clone() };
            self.node.replication.update_link(|link| link.refused = Some(refused));
        }
        result.map_err(lost)?;
        self.begin_stream();
        if self.eof_form {
            self.acknowledge();
        }
        Ok(())
    }

    fn begin_stream(&mut self) {
        let node = self.node;
        node.replication.update_link(|link| {
            link.state = LinkState::Connected;
            link.sync = None;
            link.refused = None;
            link.read_offset = node.log.offset();
        });
        let database = node.log.selected().unwrap_or(0);
        self.acked = node.log.offset();
        self.applier = Some(Applier::new(Arc::clone(&self.handle), self.generation, database));
    }

    /// A partial resync: the stream goes on, maybe under another id.
    fn continued(&mut self, id: Option<String>) -> Result<(), Lost> {
        let node = self.node;
        {
            let mut shards = node.keyspace.lock(ShardSet::ALL);
            let locked = shards.locked();
            if node.replication.generation() != self.generation {
                return Err(Lost::Changed);
            }
            let own = node.log.ids().id;
            if let Some(id) = id.filter(|id| *id != own) {
                log!(Notice, "Master replication ID changed to {id}");
                node.log.continue_history(id);
                node.replication.replicas.disconnect_all();
            }
            node.replication.set_synced_from(Some(self.master.clone()));
            node.set_master_down(&locked, false);
            if matches!(node.replication.failover(), Failover::InProgress { .. }) {
                node.end_failover(&locked, "");
            }
        }
        log!(Notice, "Successful partial resynchronization with master.");
        log!(Notice, "MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
        self.begin_stream();
        Ok(())
    }
}

/// Applies a part of the stream.
fn apply(
    executor: &mut Executor,
    applier: &mut Option<Applier>,
    link: &mut Link,
    eager: &mut bool,
    node: &Node,
    stream: &[u8],
) -> Result<(), Lost> {
    let Some(applier) = applier else {
        return Err(Lost::Failed("the stream began before the data".into()));
    };
    let applied = executor.apply(applier, stream).map_err(|error| match error {
        ApplyError::Protocol { offset, .. } => Lost::Protocol(offset, error.to_string()),
        ApplyError::NotFollowed => Lost::Changed,
    })?;
    if let Some(offset) = applied.ack {
        link.acknowledge(offset);
    }
    *eager |= applied.mark_ms.is_some();
    let read_offset = node.log.offset() + applier.pending() as u64;
    node.replication.update_link(|link| {
        link.read_offset = read_offset;
        link.marked_ms = applied.mark_ms.or(link.marked_ms);
    });
    Ok(())
}

async fn loaded(transfer: Option<&mut Transfer>) -> Result<(), NotTaken> {
    match transfer {
        Some(transfer) => transfer.result().await,
        None => std::future::pending().await,
    }
}

fn lost(reason: NotTaken) -> Lost {
    match reason {
        NotTaken::Refused(reason) => Lost::Refused(reason),
        NotTaken::NotFollowed => Lost::Changed,
        NotTaken::Failed(reason) => Lost::Failed(reason),
    }
}
