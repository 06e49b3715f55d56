//! Listening sockets: binding them, accepting, and handing connections to workers; those of the TLS
//! port first to the thread of handshakes.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};

use super::descriptors::{self, Spare};
use super::stream::Accepted;
use super::tls::{Bound, Handshakes, Tls};
use super::worker::Workers;
use crate::engine::Engine;
use crate::node::client::{Client, Handle, Origin};
use crate::settings::Settings;
use crate::telemetry::log::log;

/// Reply to a client for which there is no room.
const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";
/// The kernel accepts no longer time.
const KEEPALIVE_SECS_MAX: u32 = 32_767;
/// Delay between two tries to accept when no descriptor at all is left.
const SHORTAGE_WAIT: Duration = Duration::from_millis(100);
/// A recurring shortage is logged once per this many milliseconds.
const SHORTAGE_LOGGED_MS: i64 = 60_000;

/// Reply to a client that protected mode refuses.
const PROTECTED: &[u8] = b"-DENIED Redis is running in protected mode because protected mode is \
enabled and no password is set for the default user. In this mode connections are only accepted \
from the loopback interface. If you want to connect from external computers to Redis you may \
adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG \
SET protected-mode no' from the loopback interface by connecting to Redis from the same host the \
server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. \
Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the \
protected mode by editing the Redis configuration file, and setting the protected mode option to \
'no', and then restarting the server. 3) If you started the server manually just for testing, \
restart it with the '--protected-mode no' option. 4) Setup a an authentication password for the \
default user. NOTE: You only need to do one of the above things in order for the server to start \
accepting connections from the outside.\r\n";

/// A port of the settings: its parameter and its name in messages.
#[derive(Clone, Copy)]
struct Port {
    parameter: &'static str,
    name: &'static str,
    number: u16,
}

impl Port {
    /// Why listening failed, starting with the text that tools look for.
    fn failure(self, settings: &Settings, address: &str, error: &io::Error) -> String {
        let Self { parameter, name, number } = self;
        let origins = &settings.origins;
        let (of_port, of_bind) = (origins.place(parameter), origins.place("bind"));
        format!(
            "Failed listening on port {number} ({name}), aborting. {address}:{number}: {error} \
             ({of_port}, {of_bind})"
        )
    }

    /// Binds every address of the settings.
    fn bind(self, settings: &Settings) -> Result<Bound, String> {
        let network = &settings.network;
        let mut bound = Vec::new();
        if self.number == 0 {
            return Ok(bound);
        }
        for address in &network.bind {
            let (name, optional) =
                address.strip_prefix('-').map_or((address.as_str(), false), |name| (name, true));
            match listen(name, self.number, network.tcp_backlog) {
                Ok(listener) => bound.push(listener),
                Err(error) if optional && is_unavailable(&error) => {}
                Err(error) => return Err(self.failure(settings, name, &error)),
            }
        }
        if bound.is_empty() && !network.bind.is_empty() {
            let missing = io::Error::from(io::ErrorKind::AddrNotAvailable);
            return Err(self.failure(settings, &network.bind.join(" "), &missing));
        }
        Ok(bound)
    }
}

/// Binds the TLS port of the settings, if they have one.
///
/// # Errors
/// Names the address that cannot be bound.
pub(super) fn bind_tls(settings: &Settings) -> Result<Bound, String> {
    Port { parameter: "tls-port", name: "TLS", number: settings.tls.port }.bind(settings)
}

/// Attaches sockets to the current runtime.
fn attach(bound: Bound) -> io::Result<Vec<TcpListener>> {
    bound.into_iter().map(TcpListener::from_std).collect()
}

/// What the server listens on.
#[derive(Debug)]
pub(super) struct Listeners {
    tcp: Vec<TcpListener>,
    tls: Vec<TcpListener>,
    unix: Option<UnixListener>,
    unix_path: String,
    port: u16,
}

impl Listeners {
    /// Binds every address of the settings.
    ///
    /// # Errors
    /// Names the address that cannot be bound. An address with a leading `-` may be missing.
    pub(super) fn bind(settings: &Settings) -> Result<Self, String> {
        let network = &settings.network;
        let failed = |error: io::Error| format!("Failed listening: {error}");
        let plain = Port { parameter: "port", name: "TCP", number: network.port };
        let tcp = attach(plain.bind(settings)?).map_err(failed)?;
        let tls = attach(bind_tls(settings)?).map_err(failed)?;
        let unix = unix(settings)?;
        let first = tcp.first().or_else(|| tls.first());
        let port = first.and_then(|listener| listener.local_addr().ok());
        let port = port.map_or(network.port, |address| address.port());
        if first.is_none() && unix.is_none() {
            let place = settings.origins.place("port");
            return Err(format!("Configured to not listen anywhere, exiting. ({place})"));
        }
        Ok(Self { tcp, tls, unix, unix_path: network.unixsocket.clone(), port })
    }

    /// The TCP port that is bound; that of TLS if it is the only one.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Accepts connections, forever; from the sockets of another TLS port, once it is changed.
    pub(super) async fn accept(&mut self, door: &Arc<Door>, tls: &Tls) {
        let mut shortage = Shortage::new();
        let engine = &door.engine;
        loop {
            let arrival = tokio::select! {
                biased;
                bound = tls.rebound() => {
                    match attach(bound) {
                        Ok(listeners) => self.tls = listeners,
                        Err(error) => log!(Warning, "Failed listening: {error}"),
                    }
                    continue;
                }
                arrival = std::future::poll_fn(|cx| self.poll_accept(cx)) => arrival,
            };
            match arrival {
                Ok(arrival) => {
                    shortage.ends();
                    door.receive(arrival);
                }
                Err(error) if descriptors::are_used_up(&error) => {
                    shortage.lasts(&error, engine);
                    if !self.refuse_one(&mut shortage, door).await {
                        tokio::time::sleep(SHORTAGE_WAIT).await;
                    }
                }
                Err(error) => {
                    // Mostly a client that left before it was accepted.
                    log!(Verbose, "Accepting client connection: {error}");
                }
            }
        }
    }

    /// The next connection on any of the sockets.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        let plain = self.tcp.iter().map(|listener| (listener, false));
        let tls = self.tls.iter().map(|listener| (listener, true));
        for (listener, secured) in plain.chain(tls) {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted.and_then(|(stream, peer)| {
                    let stream = stream.into_std()?;
                    Ok(match secured {
                        true => Arrival::Secured(stream, peer),
                        false => Arrival::Plain(Accepted::Tcp(stream), Some(peer)),
                    })
                }));
            }
        }
        if let Some(listener) = &self.unix
            && let Poll::Ready(accepted) = listener.poll_accept(cx)
        {
            return Poll::Ready(accepted.and_then(|(stream, _)| {
                Ok(Arrival::Plain(Accepted::Unix(stream.into_std()?), None))
            }));
        }
        Poll::Pending
    }

    /// Refuses the next client, for lack of room, by means of the spare descriptor. False where
    /// even that fails.
    async fn refuse_one(&self, shortage: &mut Shortage, door: &Door) -> bool {
        shortage.spare.empty();
        let next = std::future::poll_fn(|cx| match self.poll_accept(cx) {
            Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(Ok(arrival)) = next.await {
            if let Arrival::Plain(accepted, _) = &arrival {
                turn_away(accepted, TOO_MANY);
            }
            door.engine.node.stats.connections_rejected.add(1);
            shortage.refused += 1;
        }
        shortage.spare.fill()
    }
}

/// A connection as it is accepted.
enum Arrival {
    Plain(Accepted, Option<SocketAddr>),
    /// On the TLS port, before its handshake.
    Secured(std::net::TcpStream, SocketAddr),
}

/// Where connections are let in or refused.
#[derive(Debug)]
pub(super) struct Door {
    engine: Arc<Engine>,
    workers: Arc<Workers>,
    handshakes: Arc<Handshakes>,
    unix_path: String,
}

impl Door {
    pub(super) fn new(
        engine: Arc<Engine>,
        workers: Arc<Workers>,
        handshakes: Arc<Handshakes>,
        listeners: &Listeners,
    ) -> Arc<Self> {
        let unix_path = listeners.unix_path.clone();
        Arc::new(Self { engine, workers, handshakes, unix_path })
    }

    fn receive(self: &Arc<Self>, arrival: Arrival) {
        let (stream, peer) = match arrival {
            Arrival::Plain(accepted, peer) => return self.admit(accepted, peer),
            Arrival::Secured(stream, peer) => (stream, peer),
        };
        // Handshakes have descriptors too, which the limit of clients must cover.
        let room = self.room();
        if room == 0 {
            self.engine.node.stats.connections_rejected.add(1);
            return;
        }
        let door = Arc::clone(self);
        let admit = Arc::new(move |accepted, peer| door.admit(accepted, Some(peer)));
        self.handshakes.begin(stream, peer, room, admit);
    }

    /// For how many clients there is room beside those that exist.
    fn room(&self) -> usize {
        let node = &self.engine.node;
        (node.settings.load().clients.maxclients as usize).saturating_sub(node.clients.len())
    }

    /// Hands a connection to a worker, unless it must be refused.
    fn admit(&self, accepted: Accepted, peer: Option<SocketAddr>) {
        let node = &self.engine.node;
        let settings = node.settings.load();
        if self.room() == 0 {
            turn_away(&accepted, TOO_MANY);
            node.stats.connections_rejected.add(1);
            return;
        }
        let open = node.acl.users().default_user().needs_no_password();
        let outside = peer.is_some_and(|peer| !peer.ip().to_canonical().is_loopback());
        if settings.security.protected_mode && open && outside {
            turn_away(&accepted, PROTECTED);
            node.stats.connections_rejected.add(1);
            return;
        }
        node.stats.connections_received.add(1);
        let origin = self.origin(node.clients.next_id(), &accepted, peer, node.clock.unix_ms());
        if let Accepted::Tcp(stream) | Accepted::Tls(stream, _) = &accepted {
            // A socket that refuses these still works.
            drop(stream.set_nodelay(true));
            keep_alive(&SockRef::from(stream), settings.network.tcp_keepalive_secs);
        }
        let handle = Arc::new(Handle::new(origin));
        handle.set_push_limits(&settings.clients.output_buffer_limits);
        node.clients.add(Arc::clone(&handle));
        let client = Client::new(handle, &node.acl);
        self.workers.serve(Arc::clone(&self.engine), accepted, client);
    }

    fn origin(
        &self,
        id: u64,
        accepted: &Accepted,
        peer: Option<SocketAddr>,
        connected_ms: i64,
    ) -> Origin {
        let (address, local_address, fd) = match accepted {
            Accepted::Tcp(stream) | Accepted::Tls(stream, _) => (
                peer.map(|peer| peer.to_string()).unwrap_or_default(),
                stream.local_addr().map(|address| address.to_string()).unwrap_or_default(),
                stream.as_raw_fd(),
            ),
            Accepted::Unix(stream) => {
                let path = format!("{}:0", self.unix_path);
                (path.clone(), path, stream.as_raw_fd())
            }
        };
        let (unix_socket, tls) = (peer.is_none(), matches!(accepted, Accepted::Tls(..)));
        Origin { id, address, local_address, fd, connected_ms, unix_socket, tls }
    }
}

/// A period without free descriptors.
#[derive(Debug)]
struct Shortage {
    spare: Spare,
    /// Clients refused during it.
    refused: u64,
    /// Whether it was logged, so that its end must be.
    told: bool,
    /// Unix milliseconds.
    logged_ms: i64,
}

impl Shortage {
    fn new() -> Self {
        Self { spare: Spare::new(), refused: 0, told: false, logged_ms: 0 }
    }

    fn lasts(&mut self, error: &io::Error, engine: &Engine) {
        let now_ms = engine.node.clock.unix_ms();
        if !self.told && now_ms - self.logged_ms > SHORTAGE_LOGGED_MS {
            (self.told, self.logged_ms) = (true, now_ms);
            log!(
                Warning,
                "Accepting client connection: {error}. New clients are refused until others leave"
            );
        }
    }

    fn ends(&mut self) {
        if std::mem::take(&mut self.told) {
            log!(Notice, "Clients are accepted again; {} were refused", self.refused);
            self.refused = 0;
        }
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        if self.unix.is_some() {
            // It would block the next start; it may be gone already.
            drop(std::fs::remove_file(&self.unix_path));
        }
    }
}

fn is_unavailable(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EADDRNOTAVAIL
                | libc::EAFNOSUPPORT
                | libc::ENOPROTOOPT
                | libc::EPFNOSUPPORT
                | libc::EPROTONOSUPPORT
        )
    ) || error.kind() == io::ErrorKind::NotFound
}

fn listen(name: &str, port: u16, backlog: u32) -> io::Result<std::net::TcpListener> {
    let any = match name {
        "*" => "0.0.0.0",
        "::*" => "::",
        name => name,
    };
    let mut addresses = (any, port).to_socket_addrs()?;
    let address = addresses.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn unix(settings: &Settings) -> Result<Option<UnixListener>, String> {
    use std::os::unix::fs::PermissionsExt;
    let network = &settings.network;
    let path = &network.unixsocket;
    if path.is_empty() {
        return Ok(None);
    }
    // A socket left behind by a killed process.
    drop(std::fs::remove_file(path));
    let failed = |error: io::Error| {
        let place = settings.origins.place("unixsocket");
        format!("Failed opening Unix socket: {path}: {error} ({place})")
    };
    let listener = UnixListener::bind(path).map_err(failed)?;
    if network.unixsocketperm.0 != 0 {
        let mode = std::fs::Permissions::from_mode(network.unixsocketperm.0);
        std::fs::set_permissions(path, mode).map_err(failed)?;
    }
    Ok(Some(listener))
}

/// Sends a line and closes. The socket is new, so it takes the line at once or not at all.
fn turn_away(accepted: &Accepted, line: &[u8]) {
    use std::io::Write;
    let written = match accepted {
        Accepted::Tcp(stream) => (&*stream).write(line),
        Accepted::Tls(stream, session) => return session.turn_away(stream, line),
        Accepted::Unix(stream) => (&*stream).write(line),
    };
    drop(written);
}

/// Makes the kernel probe an idle peer, as in Redis: after `seconds`, then three times.
fn keep_alive(socket: &SockRef<'_>, seconds: u32) {
    if seconds == 0 {
        return;
    }
    let seconds = Duration::from_secs(seconds.min(KEEPALIVE_SECS_MAX).into());
    let probes = TcpKeepalive::new()
        .with_time(seconds)
        .with_interval((seconds / 3).max(Duration::from_secs(1)))
        .with_retries(3);
    if let Err(error) = socket.set_tcp_keepalive(&probes) {
        log!(Verbose, "A connection goes without keepalive: {error}");
    }
}
