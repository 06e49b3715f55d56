//! Connections to the admin server: how many there are, and for how long.
//!
//! A connection may be without a request for so long: while it has sent none, or half of one, and
//! while it does not take the answer. At the limit a new one takes the place of the one that has
//! waited longest, so those that ask nothing keep nobody out: a health check asks as it connects.

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
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tower_service::Service;

use crate::node::Node;
use crate::telemetry::log::log;

/// Connections that wait to be accepted: more than come at once.
const BACKLOG: i32 = 1024;
/// Most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long to leave it at a failure to accept: what is used up then comes back when somebody else
/// gives it back.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket.
///
/// # Errors
/// Of the last address that the name stands for.
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

/// How many connections, and how long one may ask nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max: usize,
    pub(super) timeout: Duration,
}

/// A connection, as the others know it.
#[derive(Debug)]
struct Open {
    /// Grows with each request on any connection: the least has waited longest.
    asked: u64,
    task: AbortHandle,
}

/// The connections that are open.
#[derive(Debug)]
struct Connections {
    node: Arc<Node>,
    /// Requests and connections so far.
    turns: AtomicU64,
    open: Mutex<BTreeMap<u64, Open>>,
}

impl Connections {
    /// Notes a request.
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

    /// Closes the one that has waited longest, if there are so many.
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

/// Serves what is accepted, for ever.
pub(super) async fn serve(
    mut accept: impl AsyncFnMut() -> io::Result<TcpStream>,
    routes: Router,
    node: Arc<Node>,
    limits: Limits,
) -> Infallible {
    let connections =
        Arc::new(Connections { node, turns: AtomicU64::new(0), open: Mutex::default() });
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
                // What is used up may be what it holds itself.
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
        // Whoever has asked already gets an answer before the next takes a place.
        tokio::task::yield_now().await;
    }
    unreachable!("there are more ids than connections")
}

/// Whether accepting failed for the one connection only.
fn concerns_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one connection until it ends or asks nothing for too long.
async fn run(
    connections: Arc<Connections>,
    id: u64,
    stream: TcpStream,
    routes: Router,
    patience: Duration,
) {
    // Each answer leaves at once: those to pipelined requests would wait for acknowledgements. A
    // socket that is gone shows when it is read.
    drop(stream.set_nodelay(true));
    let asking = Arc::clone(&connections);
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
    // The header's timeout does not see that an answer is not taken.
    while timeout(patience, connection.as_mut()).await.is_err() {
        let last = connections.asked(id);
        if last == asked {
            break;
        }
        asked = last;
    }
    connections.remove(id);
}
