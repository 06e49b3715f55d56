//! Accepts connections and hands them to workers; those of the TLS port first to the thread of
//! handshakes. Which sockets there are is in `sockets`.

mod sockets;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::descriptors::{self, Spare};
use super::stream::Accepted;
use super::tls::Handshakes;
use super::worker::Workers;
use crate::engine::Engine;
use crate::node::client::{self, Client, Origin};
use crate::node::host::SettingRefused;
use crate::settings::Settings;
use crate::telemetry::log::log;
use sockets::{Port, Sockets, Unbound};

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

/// What the server listens on. CONFIG SET exchanges its TCP sockets.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    open: Mutex<Open>,
    /// The sockets are others now.
    exchanged: Notify,
    /// Where they are accepted from; `None` before any is open.
    runtime: Option<Handle>,
    unix_path: String,
}

#[derive(Debug, Default)]
struct Open {
    sockets: Sockets,
    unix: Option<UnixListener>,
    /// Connections that waited at sockets which are closed meanwhile.
    late: VecDeque<Arrival>,
}

/// Sockets of changed settings, which listen already.
#[derive(Debug)]
pub(super) struct Prepared(Option<Sockets>);

impl Listeners {
    /// Binds every address of the settings, within the current runtime.
    ///
    /// # Errors
    /// Names the address that cannot be bound. An address with a leading `-` may be missing.
    pub(super) fn bind(settings: &Settings) -> Result<Self, String> {
        let sockets = Sockets::open(settings, &Sockets::default())
            .map_err(|unbound| unbound.at_start(settings))?;
        let unix = unix(settings)?;
        if sockets.is_empty() && unix.is_none() {
            let place = settings.origins.place("port");
            return Err(format!("Configured to not listen anywhere, exiting. ({place})"));
        }
        Ok(Self {
            open: Mutex::new(Open { sockets, unix, late: VecDeque::new() }),
            exchanged: Notify::new(),
            runtime: Some(Handle::current()),
            unix_path: settings.network.unixsocket.clone(),
        })
    }

    /// Binds the addresses of changed settings beside those before. `named` are the parameters that
    /// the client has set.
    ///
    /// # Errors
    /// In Redis's words; the log has the reason.
    pub(super) fn prepare(
        &self,
        old: &Settings,
        new: &Settings,
        named: &[&'static str],
    ) -> Result<Prepared, SettingRefused> {
        if addresses(old) == addresses(new) {
            return Ok(Prepared(None));
        }
        let _runtime = self.runtime.as_ref().map(Handle::enter);
        // Looking up a name may take long: clients are accepted meanwhile.
        let before = self.open.lock().sockets.clone();
        let sockets = Sockets::open(new, &before);
        sockets.map(|sockets| Prepared(Some(sockets))).map_err(|unbound| {
            let Unbound { port, number, address, error } = unbound;
            log!(
                Warning,
                "Could not create server TCP listening socket {address}:{number}: {error}"
            );
            let port = port.parameter();
            let concerns = |name: &&&'static str| **name == "bind" || **name == port;
            match named.iter().find(concerns) {
                Some(&argument) if argument == port => SettingRefused {
                    argument,
                    reason: "Unable to listen on this port. Check server logs.".into(),
                },
                _ => SettingRefused {
                    argument: "bind",
                    reason: "Failed to bind to specified addresses.".into(),
                },
            }
        })
    }

    /// Closes what the changed settings do not name. Who had connected there is still served.
    pub(super) fn commit(&self, Prepared(sockets): Prepared) {
        let Some(sockets) = sockets else { return };
        let mut open = self.open.lock();
        let before = std::mem::replace(&mut open.sockets, sockets);
        let late = before.accept_waiting(&open.sockets).map(Arrival::from).collect::<Vec<_>>();
        open.late.extend(late);
        // Before anybody is woken, who could take this processor: who connects meanwhile is lost.
        drop(before);
        drop(open);
        self.exchanged.notify_one();
    }

    /// Listens no longer.
    pub(super) fn close(&self) {
        let mut open = self.open.lock();
        open.sockets = Sockets::default();
        if open.unix.take().is_some() {
            // It would block the next start; it may be gone already.
            drop(std::fs::remove_file(&self.unix_path));
        }
    }

    /// Accepts connections, forever.
    pub(super) async fn accept(&self, door: &Arc<Door>) {
        let mut shortage = Shortage::new();
        let engine = &door.engine;
        loop {
            let arrival = tokio::select! {
                biased;
                () = self.exchanged.notified() => continue,
                arrival = std::future::poll_fn(|cx| self.open.lock().poll_accept(cx)) => arrival,
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

    /// Refuses the next client, for lack of room, by means of the spare descriptor. False where
    /// even that fails.
    async fn refuse_one(&self, shortage: &mut Shortage, door: &Door) -> bool {
        shortage.spare.empty();
        let next = std::future::poll_fn(|cx| match self.open.lock().poll_accept(cx) {
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

/// The addresses that settings name.
fn addresses(settings: &Settings) -> (&[String], u16, u16) {
    (&settings.network.bind, settings.network.port, settings.tls.port)
}

impl Open {
    /// The next connection on any of the sockets.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        if let Some(arrival) = self.late.pop_front() {
            return Poll::Ready(Ok(arrival));
        }
        if let Poll::Ready(accepted) = self.sockets.poll_accept(cx) {
            return Poll::Ready(accepted.map(Arrival::from));
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
}

/// A connection as it is accepted.
#[derive(Debug)]
enum Arrival {
    Plain(Accepted, Option<SocketAddr>),
    /// On the TLS port, before its handshake.
    Secured(TcpStream, SocketAddr),
}

impl From<(Port, TcpStream, SocketAddr)> for Arrival {
    fn from((port, stream, peer): (Port, TcpStream, SocketAddr)) -> Self {
        match port {
            Port::Tcp => Self::Plain(Accepted::Tcp(stream), Some(peer)),
            Port::Tls => Self::Secured(stream, peer),
        }
    }
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
        let handle = Arc::new(client::Handle::new(origin));
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

/// Closes what a server listens on, however it ends.
#[derive(Debug)]
pub(super) struct Closing(pub(super) Arc<Listeners>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
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
