//! A proxy in front of a server: a link that a test can cut, hold, slow down and corrupt.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// Maximum bytes forwarded at once.
const PIECE_BYTES: usize = 16 * 1024;

/// A listening port whose connections are forwarded to another.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: u16,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// New connections are closed at once.
    refusing: bool,
    /// Number of further connections that are not; `None`: any.
    admitted: Option<usize>,
    /// Nothing passes, and nothing is closed.
    held: bool,
    /// Number of the server's bytes after which nothing passes.
    holding: Option<usize>,
    delay: Duration,
    /// The offset of the server's byte to corrupt.
    corrupting: Option<usize>,
    over: bool,
    /// Both ends of each connection.
    streams: Vec<TcpStream>,
}

/// The sender of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Proxy {
    /// Starts a proxy to a port of this machine.
    pub(crate) fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { target, state, changed });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { port, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections and refuses new ones.
    pub(crate) fn cut(&self) {
        let mut state = self.shared.lock();
        state.refusing = true;
        state.close_all();
        self.shared.changed.notify_all();
    }

    /// Accepts this many new connections, or any number, whatever else interferes with them.
    pub(crate) fn reopen(&self, connections: Option<usize>) {
        let mut state = self.shared.lock();
        state.refusing = false;
        state.admitted = connections;
    }

    /// Stops forwarding in both directions.
    pub(crate) fn hold(&self) {
        self.shared.lock().held = true;
    }

    /// The same once this many bytes of the server have passed, and the rest of their piece.
    pub(crate) fn hold_after(&self, bytes: usize) {
        self.shared.lock().holding = Some(bytes);
    }

    /// Delays each piece, one after the other.
    pub(crate) fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// Flips one bit of the server's byte at this offset.
    pub(crate) fn corrupt(&self, after: usize) {
        self.shared.lock().corrupting = Some(after);
    }

    /// Whether the corrupted byte was forwarded.
    pub(crate) fn has_corrupted(&self) -> bool {
        self.shared.lock().corrupting.is_none()
    }

    /// Ends all interference.
    pub(crate) fn heal(&self) {
        let mut state = self.shared.lock();
        state.refusing = false;
        state.admitted = None;
        state.held = false;
        state.holding = None;
        state.delay = Duration::ZERO;
        state.corrupting = None;
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.over = true;
        state.close_all();
        self.shared.changed.notify_all();
        drop(state);
        // Wakes the accepting thread, so that it sees the end.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl State {
    fn close_all(&mut self) {
        for stream in self.streams.drain(..) {
            // It may have ended already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let mut state = self.lock();
            if state.over {
                return;
            }
            let Ok(client) = client else { continue };
            if state.refusing || state.admitted == Some(0) {
                continue;
            }
            let Ok(server) = TcpStream::connect(("127.0.0.1", self.target)) else { continue };
            state.admitted = state.admitted.map(|connections| connections - 1);
            for (from, to, side) in
                [(&client, &server, Side::Client), (&server, &client, Side::Server)]
            {
                from.set_nodelay(true).unwrap();
                state.streams.push(from.try_clone().unwrap());
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                let shared = Arc::clone(&self);
                thread::spawn(move || shared.pass(from, to, side));
            }
        }
    }

    /// Forwards bytes until either end closes.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream, side: Side) {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(len @ 1..) = from.read(&mut piece) {
            if !self.admit(&mut piece[..len], side) || to.write_all(&piece[..len]).is_err() {
                break;
            }
        }
        // Both directions end together, whichever end closed.
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    }

    /// Waits until a piece may be forwarded; false if its connection is cut.
    fn admit(&self, piece: &mut [u8], side: Side) -> bool {
        let state = self.lock();
        let delay = state.delay;
        drop(state);
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        let mut state = self.lock();
        while state.held && !state.refusing && !state.over {
            state = self.changed.wait(state).unwrap();
        }
        if state.refusing || state.over {
            return false;
        }
        if side == Side::Client {
            return true;
        }
        if let Some(after) = state.corrupting {
            state.corrupting = after.checked_sub(piece.len());
            if state.corrupting.is_none() {
                piece[after] ^= 0x40;
            }
        }
        if let Some(bytes) = state.holding {
            state.holding = bytes.checked_sub(piece.len());
            state.held = state.holding.is_none();
        }
        true
    }
}
