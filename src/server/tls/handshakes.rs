//! Handshakes with clients, on a thread of their own: their arithmetic takes a worker's time many
//! times over, and a peer may stop in the midst of one.
//!
//! A handshake has a time limit, and their number one, too, which is no more than there is room for
//! clients: beyond it the oldest gives way. So peers that stop half-way keep nobody out.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Tls;
use super::session::Session;
use crate::node::Node;
use crate::server::stream::Accepted;
use crate::telemetry::log::log;

/// Time limit of a handshake.
const LIMIT: Duration = Duration::from_secs(10);
/// Most handshakes at a time.
const PENDING_MAX: usize = 1024;
/// Failures are logged once per this many milliseconds.
const LOGGED_MS: i64 = 1000;

/// The first byte of a record of a handshake, and so of whoever speaks TLS.
const HANDSHAKE_RECORD: u8 = 22;

/// Waits for the first byte. Who speaks no TLS gets no alert, which it would take for a reply.
async fn require_handshake(stream: &TcpStream) -> io::Result<()> {
    let mut first = [HANDSHAKE_RECORD];
    stream.peek(&mut first).await?;
    if first == [HANDSHAKE_RECORD] {
        return Ok(());
    }
    // What is left unread would reset the connection.
    drop(stream.try_read(&mut [0; 1024]));
    Err(io::Error::new(io::ErrorKind::InvalidData, "no TLS handshake"))
}

/// Takes a client whose handshake is done.
pub(in crate::server) type Admit = dyn Fn(Accepted, SocketAddr) + Send + Sync;

#[derive(Debug, Default)]
struct Pending {
    by_turn: BTreeMap<u64, AbortHandle>,
    turns: u64,
}

/// The handshakes under way.
#[derive(Debug)]
pub(in crate::server) struct Handshakes {
    tls: Arc<Tls>,
    node: Arc<Node>,
    end: watch::Receiver<bool>,
    /// The thread's runtime, once there was a first client.
    runtime: Mutex<Option<Handle>>,
    pending: Mutex<Pending>,
    /// When a failure was last logged, in Unix milliseconds.
    logged_ms: AtomicI64,
}

impl Handshakes {
    /// The thread starts with the first client; it ends when `end` changes.
    pub(in crate::server) fn new(
        tls: Arc<Tls>,
        node: Arc<Node>,
        end: watch::Receiver<bool>,
    ) -> Arc<Self> {
        Arc::new(Self {
            tls,
            node,
            end,
            runtime: Mutex::default(),
            pending: Mutex::default(),
            logged_ms: AtomicI64::new(0),
        })
    }

    /// Begins a handshake with a new client. There may be `room` handshakes with it, at least this one.
    pub(in crate::server) fn begin(
        self: &Arc<Self>,
        stream: std::net::TcpStream,
        peer: SocketAddr,
        room: usize,
        admit: Arc<Admit>,
    ) {
        let runtime = match self.runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                log!(Warning, "Cannot start the thread of TLS handshakes: {error}");
                return;
            }
        };
        let mut pending = self.pending.lock();
        while pending.by_turn.len() >= room.min(PENDING_MAX)
            && let Some((_, oldest)) = pending.by_turn.pop_first()
        {
            oldest.abort();
            self.node.stats.tls_handshakes_cut.add(1);
        }
        pending.turns += 1;
        let turn = pending.turns;
        let all = Arc::clone(self);
        // It removes itself only after this lock is released.
        let task = runtime.spawn(async move {
            let shaken = all.shake(stream).await;
            all.pending.lock().by_turn.remove(&turn);
            match shaken {
                Ok(accepted) => admit(accepted, peer),
                Err(error) => all.note_failure(peer, &error),
            }
        });
        pending.by_turn.insert(turn, task.abort_handle());
    }

    async fn shake(&self, stream: std::net::TcpStream) -> io::Result<Accepted> {
        let config = self.tls.server().ok_or_else(|| io::Error::other("TLS is not configured"))?;
        let stream = TcpStream::from_std(stream)?;
        let shaking = async {
            require_handshake(&stream).await?;
            TlsAcceptor::from(config).accept(stream).await
        };
        let shaken = timeout(LIMIT, shaking).await;
        let shaken = shaken.map_err(|_| io::Error::other("the handshake took too long"))?;
        let (socket, session) = shaken?.into_inner();
        Ok(Accepted::Tls(socket.into_std()?, Session::new(session)))
    }

    fn note_failure(&self, peer: SocketAddr, error: &io::Error) {
        self.node.stats.tls_handshakes_failed.add(1);
        let now_ms = self.node.clock.unix_ms();
        if now_ms - self.logged_ms.swap(now_ms, Ordering::Relaxed) >= LOGGED_MS {
            log!(Warning, "Error accepting a client connection: {error} (addr={peer})");
        }
    }

    fn runtime(&self) -> io::Result<Handle> {
        let mut started = self.runtime.lock();
        if let Some(runtime) = &*started {
            return Ok(runtime.clone());
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let mut end = self.end.clone();
        // An error means that the sender is gone, which ends the thread as well.
        let work = move || drop(runtime.block_on(end.wait_for(|&end| end)));
        std::thread::Builder::new().name("tls".into()).spawn(work)?;
        *started = Some(handle.clone());
        Ok(handle)
    }
}
