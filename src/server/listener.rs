//! Listening sockets: binding them, accepting, and handing connections to workers.

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

/// Why listening failed, starting with the text that tools look for.
fn not_listening(settings: &Settings, address: &str, error: &io::Error) -> String {
    let (port, origins) = (settings.network.port, &settings.origins);
    let (of_port, of_bind) = (origins.place("port"), origins.place("bind"));
    format!(
        "Failed listening on port {port} (TCP), aborting. {address}:{port}: {error} ({of_port}, \
         {of_bind})"
    )
}

/// What the server listens on.
#[derive(Debug)]
pub(super) struct Listeners {
    tcp: Vec<TcpListener>,
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
        let mut tcp = Vec::new();
        if network.port != 0 {
            for address in &network.bind {
                let (name, optional) = address
                    .strip_prefix('-')
                    .map_or((address.as_str(), false), |name| (name, true));
                match listen(name, network.port, network.tcp_backlog) {
                    Ok(listener) => tcp.push(listener),
                    Err(error) if optional && is_unavailable(&error) => {}
                    Err(error) => return Err(not_listening(settings, name, &error)),
                }
            }
            if tcp.is_empty() && !network.bind.is_empty() {
                let missing = io::Error::from(io::ErrorKind::AddrNotAvailable);
                return Err(not_listening(settings, &network.bind.join(" "), &missing));
            }
        }
        let unix = unix(settings)?;
        let port = tcp.first().and_then(|listener| listener.local_addr().ok());
        let port = port.map_or(network.port, |address| address.port());
        if tcp.is_empty() && unix.is_none() {
            let place = settings.origins.place("port");
            return Err(format!("Configured to not listen anywhere, exiting. ({place})"));
        }
        Ok(Self { tcp, unix, unix_path: network.unixsocket.clone(), port })
    }

    /// The TCP port that is bound.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Accepts connections, forever.
    pub(super) async fn accept(&self, engine: &Arc<Engine>, workers: &Arc<Workers>) {
        let mut shortage = Shortage::new();
        loop {
            match std::future::poll_fn(|cx| self.poll_accept(cx)).await {
                Ok((accepted, peer)) => {
                    shortage.ends();
                    self.admit(engine, workers, accepted, peer);
                }
                Err(error) if descriptors::are_used_up(&error) => {
                    shortage.lasts(&error, engine);
                    if !self.refuse_one(&mut shortage, engine).await {
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
    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Accepted, Option<SocketAddr>)>> {
        for listener in &self.tcp {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted.and_then(|(stream, peer)| {
                    let stream = stream.into_std()?;
                    Ok((Accepted::Tcp(stream), Some(peer)))
                }));
            }
        }
        if let Some(listener) = &self.unix
            && let Poll::Ready(accepted) = listener.poll_accept(cx)
        {
            return Poll::Ready(
                accepted.and_then(|(stream, _)| Ok((Accepted::Unix(stream.into_std()?), None))),
            );
        }
        Poll::Pending
    }

    /// Refuses the next client, for lack of room, by means of the spare descriptor. False where
    /// even that fails.
    async fn refuse_one(&self, shortage: &mut Shortage, engine: &Engine) -> bool {
        shortage.spare.empty();
        let next = std::future::poll_fn(|cx| match self.poll_accept(cx) {
            Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(Ok((accepted, _))) = next.await {
            turn_away(&accepted, TOO_MANY);
            engine.node.stats.connections_rejected.add(1);
            shortage.refused += 1;
        }
        shortage.spare.fill()
    }

    /// Hands a connection to a worker, unless it must be refused.
    fn admit(
        &self,
        engine: &Arc<Engine>,
        workers: &Arc<Workers>,
        accepted: Accepted,
        peer: Option<SocketAddr>,
    ) {
        let node = &engine.node;
        let settings = node.settings.load();
        if node.clients.len() >= settings.clients.maxclients as usize {
            turn_away(&accepted, TOO_MANY);
            node.stats.connections_rejected.add(1);
            return;
        }
        let open = settings.security.requirepass.reveal().is_none();
        let outside = peer.is_some_and(|peer| !peer.ip().to_canonical().is_loopback());
        if settings.security.protected_mode && open && outside {
            turn_away(&accepted, PROTECTED);
            node.stats.connections_rejected.add(1);
            return;
        }
        node.stats.connections_received.add(1);
        let origin = self.origin(node.clients.next_id(), &accepted, peer, node.clock.unix_ms());
        if let Accepted::Tcp(stream) = &accepted {
            // A socket that refuses these still works.
            drop(stream.set_nodelay(true));
            keep_alive(&SockRef::from(stream), settings.network.tcp_keepalive_secs);
        }
        let handle = Arc::new(Handle::new(origin));
        handle.set_push_limits(&settings.clients.output_buffer_limits);
        node.clients.add(Arc::clone(&handle));
        let client = Client::new(handle, open);
        workers.serve(Arc::clone(engine), accepted, client);
    }

    fn origin(
        &self,
        id: u64,
        accepted: &Accepted,
        peer: Option<SocketAddr>,
        connected_ms: i64,
    ) -> Origin {
        let (address, local_address, fd) = match accepted {
            Accepted::Tcp(stream) => (
                peer.map(|peer| peer.to_string()).unwrap_or_default(),
                stream.local_addr().map(|address| address.to_string()).unwrap_or_default(),
                stream.as_raw_fd(),
            ),
            Accepted::Unix(stream) => {
                let path = format!("{}:0", self.unix_path);
                (path.clone(), path, stream.as_raw_fd())
            }
        };
        let unix_socket = peer.is_none();
        Origin { id, address, local_address, fd, connected_ms, unix_socket }
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

fn listen(name: &str, port: u16, backlog: u32) -> io::Result<TcpListener> {
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
    TcpListener::from_std(socket.into())
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
