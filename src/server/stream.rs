//! A client's socket: TCP, plain or with TLS, or Unix.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::tls::{Session, TlsStream};
use crate::replication::Outlet;

/// An accepted socket, not attached to a worker's runtime.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(std::net::TcpStream),
    /// Its handshake is done.
    Tls(std::net::TcpStream, Arc<Session>),
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    /// Attaches the socket to the current runtime.
    pub(super) fn attach(self) -> io::Result<Stream> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream).map(Stream::Tcp),
            Self::Tls(stream, session) => {
                let socket = TcpStream::from_std(stream)?;
                Ok(Stream::Tls(TlsStream { socket, session }))
            }
            Self::Unix(stream) => UnixStream::from_std(stream).map(Stream::Unix),
        }
    }
}

/// A socket on its worker.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(TlsStream),
    Unix(UnixStream),
}

impl Stream {
    /// Detaches the socket from its worker's runtime.
    pub(super) fn detach(self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(Accepted::Tcp),
            Self::Tls(TlsStream { socket, session }) => {
                socket.into_std().map(|socket| Accepted::Tls(socket, session))
            }
            Self::Unix(stream) => stream.into_std().map(Accepted::Unix),
        }
    }

    /// Lets the kernel coalesce sends into fewer packets, which may delay them.
    pub(super) fn gather(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(false),
            Self::Tls(stream) => stream.socket.set_nodelay(false),
            Self::Unix(_) => Ok(()),
        }
    }

    /// The outlet to a replica over this socket; any thread may send on it.
    pub(super) fn outlet(&self) -> io::Result<Box<dyn Outlet>> {
        let socket = match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Tls(stream) => return Ok(Box::new(stream.outlet()?)),
            Self::Unix(stream) => stream.as_fd(),
        };
        Ok(Box::new(SocketOutlet(socket.try_clone_to_owned()?)))
    }

    /// Whether the socket has yet to take bytes that a write has accepted: see
    /// [`Stream::poll_flush`].
    pub(super) fn has_unsent(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.has_unsent())
    }

    /// Sends what writes have accepted.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => stream.poll_flush(cx),
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    /// Announces the end to the peer, where the protocol knows of that.
    pub(super) fn close(&self) {
        if let Self::Tls(stream) = self {
            stream.close();
        }
    }

    /// Calls `send`, which bypasses this stream, whenever there may be room, until it succeeds.
    /// `send` returns `WouldBlock` when there is none.
    pub(super) fn poll_send<T>(
        &self,
        cx: &mut Context<'_>,
        mut send: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            let sent = match self {
                Self::Tcp(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_io(Interest::WRITABLE, &mut send)
                }
                Self::Tls(TlsStream { socket, .. }) => {
                    ready!(socket.poll_write_ready(cx))?;
                    socket.try_io(Interest::WRITABLE, &mut send)
                }
                Self::Unix(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_io(Interest::WRITABLE, &mut send)
                }
            };
            match sent {
                // The runtime now knows that there is no room, and wakes the task when there is.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    #[inline]
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => stream.poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    /// Reads into a growing buffer, as much as it has room for.
    pub(super) fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        loop {
            let read = match self {
                Self::Tcp(stream) => {
                    ready!(stream.poll_read_ready(cx))?;
                    stream.try_read_buf(buffer)
                }
                Self::Tls(stream) => return stream.poll_read_into(cx, buffer),
                Self::Unix(stream) => {
                    ready!(stream.poll_read_ready(cx))?;
                    stream.try_read_buf(buffer)
                }
            };
            match read {
                // The socket was no longer ready.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    #[inline]
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => stream.poll_write_vectored(cx, &[io::IoSlice::new(bytes)]),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    pub(super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Self::Tls(stream) => stream.poll_write_vectored(cx, pieces),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }
}

/// A replica's socket. It has its own descriptor, which stays valid while somebody sends, even if
/// the connection ends meanwhile.
#[derive(Debug)]
struct SocketOutlet(OwnedFd);

impl Outlet for SocketOutlet {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        SockRef::from(&self.0).send_with_flags(bytes, flags)
    }
}
