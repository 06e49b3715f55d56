//! The TCP sockets that the server listens on: opened from the settings, and exchanged when these
//! change. Accepts nothing.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpListener;

use crate::settings::Settings;

/// A port of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Tcp,
    Tls,
}

impl Port {
    pub(super) const ALL: [Self; 2] = [Self::Tcp, Self::Tls];

    /// The parameter that has its number.
    pub(super) fn parameter(self) -> &'static str {
        match self {
            Self::Tcp => "port",
            Self::Tls => "tls-port",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    fn number(self, settings: &Settings) -> u16 {
        match self {
            Self::Tcp => settings.network.port,
            Self::Tls => settings.tls.port,
        }
    }

    fn unbound(self, settings: &Settings, address: &str, error: io::Error) -> Unbound {
        Unbound { port: self, number: self.number(settings), address: address.to_owned(), error }
    }
}

/// An address that cannot be listened on.
#[derive(Debug)]
pub(super) struct Unbound {
    pub(super) port: Port,
    pub(super) number: u16,
    pub(super) address: String,
    pub(super) error: io::Error,
}

impl Unbound {
    /// Why a start failed, beginning with the text that tools look for.
    pub(super) fn at_start(&self, settings: &Settings) -> String {
        let Self { port, number, address, error } = self;
        let origins = &settings.origins;
        let (of_port, of_bind) = (origins.place(port.parameter()), origins.place("bind"));
        format!(
            "Failed listening on port {number} ({}), aborting. {address}:{number}: {error} \
             ({of_port}, {of_bind})",
            port.name()
        )
    }
}

/// Whether one of two addresses includes the other. The kernel does not always refuse that while
/// sockets are exchanged.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    let same_family = one.is_ipv4() == other.is_ipv4();
    one.port() == other.port() && same_family && (is_any || one.ip() == other.ip())
}

/// A socket that listens.
#[derive(Debug)]
struct Listening {
    port: Port,
    address: SocketAddr,
    listener: TcpListener,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sockets(Vec<Arc<Listening>>);

impl Sockets {
    /// Those that the settings ask for, within the current runtime. What is open `before` at the same
    /// address is kept. The rest of `before` keeps its addresses as well, even those that include
    /// new ones, until it is dropped: so no client is refused meanwhile, and an error changes
    /// nothing.
    ///
    /// # Errors
    /// The first address that cannot be bound. One with a leading `-` may be missing.
    pub(super) fn open(settings: &Settings, before: &Self) -> Result<Self, Unbound> {
        let wanted = wanted(settings)?;
        let (kept, leaving): (Vec<_>, Vec<_>) = before.0.iter().partition(|old| {
            wanted.iter().any(|new| (new.port, new.address) == (old.port, old.address))
        });
        let sharing = Sharing::begin(&leaving);
        let mut opened: Vec<Arc<Listening>> = Vec::new();
        for Wanted { port, name, optional, address } in wanted {
            let old = kept.iter().find(|old| (port, address) == (old.port, old.address));
            let socket = match old {
                _ if opened.iter().any(|other| overlap(other.address, address)) => {
                    Err(io::ErrorKind::AddrInUse.into())
                }
                Some(old) => Ok(Arc::clone(old)),
                None => listen(address, settings.network.tcp_backlog, &sharing)
                    .map(|listener| Arc::new(Listening { port, address, listener })),
            };
            match socket {
                Ok(socket) => opened.push(socket),
                Err(error) if optional && is_unavailable(&error) => {}
                Err(error) => return Err(port.unbound(settings, name, error)),
            }
        }
        let bind = &settings.network.bind;
        for port in Port::ALL.into_iter().filter(|port| port.number(settings) != 0) {
            if !bind.is_empty() && !opened.iter().any(|socket| socket.port == port) {
                let missing = io::ErrorKind::AddrNotAvailable.into();
                return Err(port.unbound(settings, &bind.join(" "), missing));
            }
        }
        Ok(Self(opened))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next connection on any of them, with its port.
    pub(super) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Port, std::net::TcpStream, SocketAddr)>> {
        for Listening { port, listener, .. } in self.0.iter().map(|socket| &**socket) {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(
                    accepted.and_then(|(stream, peer)| Ok((*port, stream.into_std()?, peer))),
                );
            }
        }
        Poll::Pending
    }

    /// Takes the connections that wait at those that `others` lack: closing these would reset them.
    pub(super) fn accept_waiting(
        &self,
        others: &Self,
    ) -> impl Iterator<Item = (Port, std::net::TcpStream, SocketAddr)> {
        let is_leaving =
            move |old: &&Arc<Listening>| !others.0.iter().any(|kept| Arc::ptr_eq(kept, old));
        self.0.iter().filter(is_leaving).flat_map(|leaving| {
            let listener = SockRef::from(&leaving.listener);
            std::iter::from_fn(move || {
                // None waits, or none can be had: then it is lost.
                let (stream, peer) = listener.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                Some((leaving.port, stream.into(), peer.as_socket()?))
            })
        })
    }
}

/// An address to listen on.
struct Wanted<'s> {
    port: Port,
    /// As the settings have it.
    name: &'s str,
    /// Whether it may be missing.
    optional: bool,
    address: SocketAddr,
}

/// The addresses that the settings ask for.
fn wanted(settings: &Settings) -> Result<Vec<Wanted<'_>>, Unbound> {
    let mut wanted = Vec::new();
    for port in Port::ALL.into_iter().filter(|port| port.number(settings) != 0) {
        for word in &settings.network.bind {
            let (name, optional) =
                word.strip_prefix('-').map_or((word.as_str(), false), |name| (name, true));
            match resolve(name, port.number(settings)) {
                Ok(address) => wanted.push(Wanted { port, name, optional, address }),
                Err(error) if optional && is_unavailable(&error) => {}
                Err(error) => return Err(port.unbound(settings, name, error)),
            }
        }
    }
    Ok(wanted)
}

fn resolve(name: &str, port: u16) -> io::Result<SocketAddr> {
    let any = match name {
        "*" => "0.0.0.0",
        "::*" => "::",
        name => name,
    };
    // No host has such a name: do not have it looked up.
    let is_number = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    if any.parse::<IpAddr>().is_err() && any.bytes().all(is_number) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no address"));
    }
    let mut addresses = (any, port).to_socket_addrs()?;
    addresses.next().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
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

/// Sockets that let others of this process listen on addresses that are theirs as well: the system
/// would not let `127.0.0.1` be bound beside `0.0.0.0`. Ends when dropped.
struct Sharing<'s>(&'s [&'s Arc<Listening>]);

impl<'s> Sharing<'s> {
    fn begin(sockets: &'s [&'s Arc<Listening>]) -> Self {
        let sharing = Self(sockets);
        sharing.set(true);
        sharing
    }

    fn set(&self, on: bool) {
        for socket in self.0 {
            // A socket that refuses this is not shared: then the new address cannot be bound.
            drop(SockRef::from(&socket.listener).set_reuse_port(on));
        }
    }

    fn covers(&self, port: u16) -> bool {
        self.0.iter().any(|socket| socket.address.port() == port)
    }
}

impl Drop for Sharing<'_> {
    fn drop(&mut self) {
        self.set(false);
    }
}

fn listen(address: SocketAddr, backlog: u32, sharing: &Sharing<'_>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Set no longer than it takes, so that new addresses still exclude each other.
    let shared = sharing.covers(address.port());
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_reuse_port(false)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}
