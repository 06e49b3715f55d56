//! A TLS session that threads share: the worker that serves the client, and, for a replica, every
//! thread that feeds it.
//!
//! Each call takes the session's lock, and none waits for the socket under it: what the socket does
//! not take stays encrypted in the session, and goes out first at the next call. So records leave
//! in the order in which they were encrypted, whoever did it.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use parking_lot::Mutex;
use rustls::ServerConnection;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::replication::Outlet;

/// Bytes read from a socket at once.
const CIPHER_BYTES: usize = 64 * 1024;
/// Least number of bytes read from a socket: a record may decrypt to less than was asked for.
const CIPHER_BYTES_MIN: usize = 4096;
/// Bytes of the memory for decrypted input that goes on to a growing buffer.
const PLAIN_BYTES: usize = 64 * 1024;

thread_local! {
    static CIPHER: RefCell<Vec<u8>> = RefCell::new(vec![0; CIPHER_BYTES]);
    static PLAIN: RefCell<Vec<u8>> = RefCell::new(vec![0; PLAIN_BYTES]);
}

/// The state of a session after its handshake.
#[derive(Debug)]
struct State {
    tls: ServerConnection,
    /// Received bytes that the session did not take, as decrypted ones wait for their reader.
    received: Vec<u8>,
}

impl State {
    /// Passes received bytes to the session. Those that do not decrypt into `into` are kept.
    fn receive(&mut self, mut bytes: &[u8], into: &mut ReadBuf<'_>) -> io::Result<()> {
        if bytes.is_empty() {
            // Tells the session that the peer has closed the socket.
            self.tls.read_tls(&mut bytes)?;
            return Ok(());
        }
        while !bytes.is_empty() {
            self.tls.read_tls(&mut bytes)?;
            self.tls.process_new_packets().map_err(io::Error::other)?;
            self.decrypted(into)?;
            if into.remaining() == 0 {
                self.received.extend_from_slice(bytes);
                break;
            }
        }
        Ok(())
    }

    /// Moves decrypted bytes into a buffer. True at the end of the stream, which is an error unless
    /// the peer has announced it.
    fn decrypted(&mut self, into: &mut ReadBuf<'_>) -> io::Result<bool> {
        while into.remaining() > 0 {
            match self.tls.reader().read(into.initialize_unfilled()) {
                Ok(0) => return Ok(true),
                Ok(len) => into.advance(len),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Moves what was received before into a buffer. True if that is an answer to the reader.
    fn take(&mut self, into: &mut ReadBuf<'_>) -> io::Result<bool> {
        let before = into.filled().len();
        let ended = self.decrypted(into)?;
        if !ended && !self.received.is_empty() && into.remaining() > 0 {
            let received = std::mem::take(&mut self.received);
            self.receive(&received, into)?;
        }
        Ok(ended || into.filled().len() > before)
    }

    /// Sends what is encrypted.
    ///
    /// # Errors
    /// `WouldBlock` if some of it is left.
    fn send(&mut self, socket: &mut dyn Write) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut &mut *socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                sent => drop(sent?),
            }
        }
        Ok(())
    }
}

/// A client's session.
#[derive(Debug)]
pub(in crate::server) struct Session(Mutex<State>);

impl Session {
    /// A session whose handshake is done.
    pub(super) fn new(tls: ServerConnection) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { tls, received: Vec::new() })))
    }

    /// Sends a last line to a client that is not served, if the socket takes it at once.
    pub(in crate::server) fn turn_away(&self, mut socket: &std::net::TcpStream, line: &[u8]) {
        let mut state = self.0.lock();
        let sent = state.tls.writer().write_all(line).and_then(|()| {
            state.tls.send_close_notify();
            state.send(&mut socket)
        });
        // The client is refused in any case.
        drop(sent);
    }
}

/// A client's socket with its session, on a worker.
#[derive(Debug)]
pub(in crate::server) struct TlsStream {
    pub(in crate::server) socket: TcpStream,
    pub(in crate::server) session: Arc<Session>,
}

impl TlsStream {
    pub(in crate::server) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        CIPHER.with_borrow_mut(|cipher| {
            let mut state = self.session.0.lock();
            loop {
                if state.take(into)? {
                    return Poll::Ready(Ok(()));
                }
                let len = into.remaining().clamp(CIPHER_BYTES_MIN, CIPHER_BYTES);
                let mut received = ReadBuf::new(&mut cipher[..len]);
                ready!(Pin::new(&mut self.socket).poll_read(cx, &mut received))?;
                let before = into.filled().len();
                let result = state.receive(received.filled(), into);
                // Alerts and answers to the peer's new keys. What does not fit goes out with the
                // next replies, and an error is the next reader's.
                drop(state.send(&mut Polled { socket: &mut self.socket, cx }));
                result?;
                if into.filled().len() > before {
                    return Poll::Ready(Ok(()));
                }
            }
        })
    }

    /// Reads into a growing buffer, as much as it has room for.
    pub(in crate::server) fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        PLAIN.with_borrow_mut(|plain| {
            let len = buffer.chunk_mut().len().min(PLAIN_BYTES);
            let mut into = ReadBuf::new(&mut plain[..len]);
            ready!(self.poll_read(cx, &mut into))?;
            buffer.put_slice(into.filled());
            Poll::Ready(Ok(into.filled().len()))
        })
    }

    /// Whether the socket has yet to take bytes that a write has accepted.
    pub(in crate::server) fn has_unsent(&self) -> bool {
        self.session.0.lock().tls.wants_write()
    }

    pub(in crate::server) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.session.0.lock();
        flush(&mut state, &mut self.socket, cx)
    }

    /// Accepts bytes as long as the socket takes them. The last ones may stay in the session:
    /// [`TlsStream::has_unsent`] tells.
    pub(in crate::server) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.session.0.lock();
        let mut pieces = pieces.to_vec();
        let (mut left, mut accepted) = (&mut pieces[..], 0);
        loop {
            if flush(&mut state, &mut self.socket, cx)?.is_pending() {
                return if accepted > 0 { Poll::Ready(Ok(accepted)) } else { Poll::Pending };
            }
            // Also skips empty ones.
            IoSlice::advance_slices(&mut left, 0);
            if left.is_empty() {
                return Poll::Ready(Ok(accepted));
            }
            let len = state.tls.writer().write_vectored(left)?;
            accepted += len;
            IoSlice::advance_slices(&mut left, len);
        }
    }

    /// The outlet to a replica; any thread may send on it.
    pub(in crate::server) fn outlet(&self) -> io::Result<TlsOutlet> {
        let socket = self.socket.as_fd().try_clone_to_owned()?;
        Ok(TlsOutlet { socket, session: Arc::clone(&self.session), encrypted: 0 })
    }

    /// Tells the peer that the session ends, if the socket takes that at once.
    pub(in crate::server) fn close(&self) {
        let mut state = self.session.0.lock();
        state.tls.send_close_notify();
        // The peer may have gone.
        drop(state.send(&mut Direct(SockRef::from(&self.socket))));
    }
}

fn flush(state: &mut State, socket: &mut TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    match state.send(&mut Polled { socket, cx }) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        sent => Poll::Ready(sent),
    }
}

/// A socket that wakes its task when it has room again.
struct Polled<'s, 'c, 'w> {
    socket: &'s mut TcpStream,
    cx: &'c mut Context<'w>,
}

fn or_would_block(polled: Poll<io::Result<usize>>) -> io::Result<usize> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

impl Write for Polled<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.socket).poll_write(self.cx, bytes))
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.socket).poll_write_vectored(self.cx, pieces))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket past its runtime, without blocking.
struct Direct<'s>(SockRef<'s>);

const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

impl Write for Direct<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_with_flags(bytes, FLAGS)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.send_vectored_with_flags(pieces, FLAGS)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A replica's session and socket. It has its own descriptor, which stays valid while somebody
/// sends, even if the connection ends meanwhile.
///
/// Encrypted bytes cannot be taken back: where the socket takes only some of them, the outlet is
/// full and remembers how many of the caller's bytes they stand for. The caller comes again with
/// the same bytes, and is told that these are sent once the socket has taken all.
#[derive(Debug)]
pub(in crate::server) struct TlsOutlet {
    socket: OwnedFd,
    session: Arc<Session>,
    /// Bytes of the caller that are encrypted, but not yet reported as sent.
    encrypted: usize,
}

impl Outlet for TlsOutlet {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.session.0.lock();
        let mut socket = Direct(SockRef::from(&self.socket));
        if self.encrypted == 0 {
            state.send(&mut socket)?;
            self.encrypted = state.tls.writer().write(bytes)?;
        }
        state.send(&mut socket)?;
        Ok(std::mem::take(&mut self.encrypted))
    }
}

#[cfg(test)]
mod tests;
