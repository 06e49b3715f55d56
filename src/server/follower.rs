//! The link to a master: a thread that connects, synchronises, and applies what the master sends,
//! for as long as this node is a replica.
//!
//! The engine ([`crate::engine::follow`]) handles the link's events,
//! [`super::full_resync::receive`] full resyncs. This module has the socket and the timers.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::full_resync::receive::Incoming;
use super::tls::{Tls, Wire};
use crate::engine::follow::{Lost, ResyncStep, Retries, Session};
use crate::engine::full_resync::takeover::NotTaken;
use crate::engine::{Engine, Executor};
use crate::heap;
use crate::node::Node;
use crate::node::admission::Condition;
use crate::node::client::{Handle, Origin};
use crate::node::replication::LinkState;
use crate::settings::MasterAddress;
use crate::telemetry::log::log;

/// Bytes read at once.
const INPUT_BYTES: usize = 256 * 1024;
/// Interval of unrequested acknowledgements, and of keepalives.
const TICK: Duration = Duration::from_secs(1);
/// Interval of looks whether the append only file takes what the master sent.
const HELD_BACK: Duration = Duration::from_millis(5);

/// Starts the thread; it ends when `end` changes. `look` makes it check the node's role.
pub(super) fn start(
    engine: Arc<Engine>,
    (tls, seed, look): (Arc<Tls>, u64, Arc<Notify>),
    mut end: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let runtime = Builder::new_current_thread().enable_all().on_thread_park(heap::tell).build()?;
    let work = move || {
        let index = engine.node.applier;
        let follower = Follower {
            executor: Executor::new(Arc::clone(&engine), index, seed),
            engine,
            look,
            tls,
        };
        runtime.block_on(async {
            tokio::select! {
                () = follower.run() => {}
                // An error means that the sender is gone, which ends the thread as well.
                _ = end.wait_for(|&end| end) => {}
            }
        });
    };
    // As on a worker: it may run scripts of an older master.
    let thread = std::thread::Builder::new().name("replication".into());
    thread.stack_size(super::worker::STACK_BYTES).spawn(work)
}

#[derive(Debug)]
struct Follower {
    engine: Arc<Engine>,
    executor: Executor,
    look: Arc<Notify>,
    tls: Arc<Tls>,
}

impl Follower {
    async fn run(mut self) {
        let engine = Arc::clone(&self.engine);
        let node = &*engine.node;
        let mut retries = Retries::new();
        loop {
            node.advance_failover();
            let master = node.settings.load().replication.master.clone();
            // The file at startup comes first: a partial resync may continue from there.
            let ready = !node.admission.has(Condition::Loading);
            let Some(master) = master.filter(|_| ready) else {
                self.look.notified().await;
                continue;
            };
            let generation = node.replication.generation();
            let whole = retries.whole(node);
            let lost = self.follow(&master, generation, whole).await;
            let Some(wait) = retries.after(node, generation, lost) else { continue };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.look.notified() => {}
            }
        }
    }

    /// Follows a master until the link is lost. `whole`: request a full resync.
    async fn follow(&mut self, master: &MasterAddress, generation: u64, whole: bool) -> Lost {
        let engine = Arc::clone(&self.engine);
        let node = &engine.node;
        node.replication.update_link(|link| link.state = LinkState::Connecting);
        log!(Notice, "Connecting to MASTER {}:{}", master.host, master.port);
        let limit = Duration::from_secs(node.settings.load().replication.timeout_secs.into());
        let connecting = self.connect(master);
        let (stream, origin) = tokio::select! {
            connected = timeout(limit, connecting) => match connected {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Lost::Failed(format!("Error condition on socket for SYNC: {error}")),
                Err(_) => return Lost::Failed("Timeout connecting to the MASTER...".into()),
            },
            () = self.role_changes(generation) => return Lost::Changed,
        };
        node.replication.update_link(|link| link.state = LinkState::Handshake);
        log!(Notice, "MASTER <-> REPLICA sync started");
        let handle = register(node, origin);
        let line = Line {
            node,
            executor: &mut self.executor,
            master,
            generation,
            session: Session::new(node, master, generation, Arc::clone(&handle), whole),
            handle: Arc::clone(&handle),
            transfer: None,
            held: Vec::new(),
        };
        let result = line.run(stream).await;
        *node.replication.link_handle.lock() = None;
        node.clients.remove(handle.origin.id);
        match result {
            Ok(never) => match never {},
            Err(lost) => lost,
        }
    }

    /// Connects to a master, over TLS if the settings say so.
    async fn connect(&self, master: &MasterAddress) -> io::Result<(Box<dyn Wire>, Origin)> {
        let node = &self.engine.node;
        let addresses = addresses(&master.host, master.port).await?;
        let source = node.settings.load().replication.bind_source_addr.clone();
        let stream = connect(&addresses, &source).await?;
        // A socket that refuses this still works.
        drop(stream.set_nodelay(true));
        let (origin, peer) = (origin(node, &stream, master), stream.peer_addr()?);
        if !node.settings.load().tls.replication {
            return Ok((Box::new(stream), origin));
        }
        let secured = self.tls.connect(&master.host, peer, stream).await?;
        Ok((Box::new(secured), origin))
    }

    /// Ends when the node's role changes.
    async fn role_changes(&self, generation: u64) {
        while self.engine.node.replication.generation() == generation {
            self.look.notified().await;
        }
    }
}

/// Connects to the first of the addresses that can be reached, from `source` if that names one.
async fn connect(addresses: &[SocketAddr], source: &str) -> io::Result<TcpStream> {
    if source.is_empty() {
        return TcpStream::connect(addresses).await;
    }
    let sources = self::addresses(source, 0).await?;
    let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
    for &address in addresses {
        let Some(&source) = sources.iter().find(|source| source.is_ipv4() == address.is_ipv4())
        else {
            continue;
        };
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(source)?;
        result = socket.connect(address).await;
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Resolves a host's addresses, a name on a separate thread: failing to start one is an error like
/// others, where the runtime's own threads would panic.
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let (done, result) = oneshot::channel();
    let host = host.to_owned();
    let work = move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // The receiver may be gone.
        drop(done.send(found));
    };
    std::thread::Builder::new().name("resolver".into()).spawn(work)?;
    result.await.unwrap_or_else(|_| Err(io::Error::other("the look-up was given up")))
}

/// What CLIENT LIST shows of the link.
fn origin(node: &Node, stream: &TcpStream, master: &MasterAddress) -> Origin {
    use std::os::fd::AsRawFd;
    Origin {
        id: node.clients.next_id(),
        address: stream.peer_addr().map_or_else(
            |_| format!("{}:{}", master.host, master.port),
            |address| address.to_string(),
        ),
        local_address: stream.local_addr().map(|address| address.to_string()).unwrap_or_default(),
        fd: stream.as_raw_fd(),
        connected_ms: node.clock.unix_ms(),
        unix_socket: false,
        tls: false,
    }
}

/// Lists the link among the clients.
fn register(node: &Node, origin: Origin) -> Arc<Handle> {
    let handle = Arc::new(Handle::new(origin));
    handle.shown.lock().master = true;
    node.clients.add(Arc::clone(&handle));
    *node.replication.link_handle.lock() = Some(Arc::clone(&handle));
    handle
}

/// One connection to a master.
struct Line<'f> {
    node: &'f Arc<Node>,
    executor: &'f mut Executor,
    master: &'f MasterAddress,
    generation: u64,
    session: Session,
    handle: Arc<Handle>,
    transfer: Option<Incoming>,
    /// Input that arrived behind the RDB, until that is loaded.
    held: Vec<u8>,
}

/// What a line never gives.
enum Never {}

/// What a line waits for.
enum Woken {
    Read(usize),
    Tick,
    AckDue,
    Loaded(Result<(), NotTaken>),
    Resumed,
    Killed,
}

impl Line<'_> {
    async fn run(mut self, mut stream: Box<dyn Wire>) -> Result<Never, Lost> {
        let mut buffer = vec![0; INPUT_BYTES];
        // A strict master accepts no byte before one is due.
        let mut ticks = interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let output = self.session.take_output();
            if !output.is_empty() {
                let limit = self.session.silence_max();
                let sending = async {
                    stream.write_all(&output).await?;
                    stream.flush().await
                };
                let sent = timeout(limit, sending).await;
                sent.map_err(|_| Lost::Failed("the master takes no bytes".into()))??;
            }
            match self.wait(&mut stream, &mut buffer, &mut ticks).await? {
                Woken::Read(0) => return Err(Lost::Failed("the master closed it".into())),
                Woken::Read(len) => {
                    while self.node.file_holds_master_back() && !self.session.is_ended() {
                        sleep(HELD_BACK).await;
                    }
                    self.session.note_read(len);
                    self.receive(&buffer[..len]).await?;
                }
                Woken::Tick => self.session.tick()?,
                Woken::AckDue => self.session.acknowledge(),
                Woken::Loaded(result) => {
                    self.transfer = None;
                    self.session.loaded(result)?;
                    let held = std::mem::take(&mut self.held);
                    self.receive(&held).await?;
                }
                Woken::Resumed => {
                    self.node.admission.forget(&self.handle);
                    self.session.resume(self.executor)?;
                }
                Woken::Killed => return Err(Lost::Failed("it was closed here".into())),
            }
        }
    }

    async fn wait(
        &mut self,
        stream: &mut Box<dyn Wire>,
        buffer: &mut [u8],
        ticks: &mut tokio::time::Interval,
    ) -> Result<Woken, Lost> {
        let handle = Arc::clone(&self.handle);
        let session = &self.session;
        let loading = session.is_loading();
        let holds = session.holds();
        let mut called = pin!(poll_fn(move |cx| {
            handle.set_waker(cx.waker().clone());
            if session.is_ended() {
                Poll::Ready(Woken::Killed)
            } else if holds && handle.take_resumed() {
                Poll::Ready(Woken::Resumed)
            } else {
                Poll::Pending
            }
        }));
        let ack_due = session.ack_due();
        let resumes = holds.then(|| self.node.admission.pause_left(self.node.clock.unix_ms()));
        // Due work comes before reading: a master may never stop sending.
        tokio::select! {
            biased;
            woken = &mut called => Ok(woken),
            _ = ticks.tick() => Ok(Woken::Tick),
            () = due_in(ack_due) => Ok(Woken::AckDue),
            () = due_in(resumes) => Ok(Woken::Resumed),
            result = loaded(self.transfer.as_mut()), if loading => Ok(Woken::Loaded(result)),
            read = stream.read(buffer), if !loading => Ok(Woken::Read(read?)),
        }
    }

    async fn receive(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        let mut input = bytes;
        loop {
            if self.session.is_loading() {
                self.held.extend_from_slice(input);
                return Ok(());
            }
            let Some(step) = self.session.next(self.executor, &mut input)? else { return Ok(()) };
            match step {
                ResyncStep::Begin { offer, len } => {
                    let (node, master) = (Arc::clone(self.node), self.master.clone());
                    let transfer = Incoming::begin(node, self.generation, master, offer, len)?;
                    self.transfer = Some(transfer);
                }
                ResyncStep::Part(part) => {
                    let transfer = self.transfer.as_mut().expect("the RDB has begun");
                    transfer.send(part.into_owned()).await;
                    if let Some(failed) = transfer.failed() {
                        return Err(failed.into());
                    }
                }
                ResyncStep::End => {
                    self.transfer.as_mut().expect("the RDB has begun").complete().await
                }
            }
        }
    }
}

/// Ends after a time, at once if that is zero; `None`: never.
async fn due_in(time: Option<Duration>) {
    match time {
        Some(Duration::ZERO) => {}
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

async fn loaded(transfer: Option<&mut Incoming>) -> Result<(), NotTaken> {
    match transfer {
        Some(transfer) => transfer.result().await,
        None => std::future::pending().await,
    }
}
