//! Connections to the admin server: their number, and how long each may stay idle.
//!
//! The idle timeout covers a connection that has sent no request or half of one, and one that does
//! not read the answer. At the limit a new connection replaces the one idle for longest, so idle
//! connections keep nobody out: a health check sends its request as it connects.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tower_service::Service;

use crate::node::Node;
use crate::server::tls::Tls;
use crate::telemetry::log::log;

/// Length of the queue of connections not yet accepted: more than come at once.
const BACKLOG: i32 = 1024;
/// Maximum size of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Pause after a failure to accept: exhausted resources only return when something else frees them.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket.
///
/// # Errors
/// The error of the last address that the name resolves to.
pub(super) fn listen(host: &str, port: u16) -> io::Result<std::net::TcpListener> {
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        let bind = || {
            let socket =
                Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        };
        match bind() {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Maximum number of connections, and their idle timeout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max: usize,
    pub(super) timeout: Duration,
}

/// A connection, as the registry of open connections sees it.
#[derive(Debug)]
struct Open {
    /// Turn of the last request on this connection: the least has been idle for longest.
    asked: u64,
    task: AbortHandle,
}

/// The open connections.
#[derive(Debug)]
struct Connections {
    node: Arc<Node>,
    tls: Arc<Tls>,
    /// Counts requests and connections.
    turns: AtomicU64,
    open: Mutex<BTreeMap<u64, Open>>,
}

impl Connections {
    /// Records a request.
    fn ask(&self, id: u64) {
        if let Some(one) = self.open.lock().get_mut(&id) {
            one.asked = self.turn();
        }
    }

    fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    fn asked(&self, id: u64) -> Option<u64> {
        self.open.lock().get(&id).map(|one| one.asked)
    }

    fn add(&self, id: u64, task: AbortHandle) {
        let mut open = self.open.lock();
        open.insert(id, Open { asked: self.turn(), task });
        self.count(&open);
    }

    fn remove(&self, id: u64) {
        let mut open = self.open.lock();
        open.remove(&id);
        self.count(&open);
    }

    /// Closes the connection idle for longest if `max` are open.
    fn make_room(&self, max: usize) {
        let mut open = self.open.lock();
        if open.len() < max {
            return;
        }
        let longest = open.iter().min_by_key(|(_, one)| one.asked).map(|(id, _)| *id);
        if let Some(one) = longest.and_then(|id| open.remove(&id)) {
            one.task.abort();
            self.node.stats.admin_connections_cut.add(1);
        }
        self.count(&open);
    }

    fn count(&self, open: &BTreeMap<u64, Open>) {
        self.node.stats.admin_connections.store(open.len() as u64, Ordering::Relaxed);
    }
}

/// Accepts and serves connections, for ever.
pub(super) async fn serve(
    mut accept: impl AsyncFnMut() -> io::Result<TcpStream>,
    routes: Router,
    (node, tls): (Arc<Node>, Arc<Tls>),
    limits: Limits,
) -> Infallible {
    let (turns, open) = (AtomicU64::new(0), Mutex::default());
    let connections = Arc::new(Connections { node, tls, turns, open });
    let mut failing = false;
    for id in 0.. {
        let stream = match accept().await {
            Ok(stream) => stream,
            Err(error) if concerns_one(&error) => continue,
            Err(error) => {
                if !failing {
                    log!(Warning, "The admin server cannot accept a connection: {error}");
                }
                failing = true;
                // Its own connections may hold the exhausted resource.
                connections.make_room(1);
                sleep(PAUSE).await;
                continue;
            }
        };
        if failing {
            log!(Notice, "The admin server accepts connections again");
            failing = false;
        }
        connections.make_room(limits.max);
        let task = run(Arc::clone(&connections), id, stream, routes.clone(), limits.timeout);
        connections.add(id, tokio::spawn(task).abort_handle());
        // Lets pending requests get their answers before the next connection takes a place.
        tokio::task::yield_now().await;
    }
    unreachable!("there are more ids than connections")
}

/// Whether the failure to accept concerns one connection only.
fn concerns_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one connection until it ends or exceeds the idle timeout.
async fn run(
    connections: Arc<Connections>,
    id: u64,
    stream: TcpStream,
    routes: Router,
    patience: Duration,
) {
    // Send each answer at once: with Nagle's algorithm, answers to pipelined requests would wait
    // for acknowledgements. If the socket is gone, the next read fails.
    drop(stream.set_nodelay(true));
    match connections.tls.admin() {
        None => serve_one(&connections, id, stream, routes, patience).await,
        Some(acceptor) => match timeout(patience, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => serve_one(&connections, id, stream, routes, patience).await,
            Ok(Err(_)) | Err(_) => connections.node.stats.tls_handshakes_failed.add(1),
        },
    }
    connections.remove(id);
}

/// Serves a connection whose handshake is done, if it needs one.
async fn serve_one<S: AsyncRead + AsyncWrite + Unpin>(
    connections: &Arc<Connections>,
    id: u64,
    stream: S,
    routes: Router,
    patience: Duration,
) {
    let asking = Arc::clone(connections);
    let service = service_fn(move |request: Request<Incoming>| {
        asking.ask(id);
        routes.clone().call(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut asked = None;
    // The header timeout does not cover a client that does not read the answer.
    while timeout(patience, connection.as_mut()).await.is_err() {
        let last = connections.asked(id);
        if last == asked {
            break;
        }
        asked = last;
    }
}
