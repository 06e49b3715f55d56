//! A blocking client over TCP, TLS or a Unix socket. Sends bytes unchanged; every read has a timeout.

use super::certificates;
use super::reply::{ReadError, Reply};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Ample for a loaded machine; a correct server answers in microseconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// From this size on a separate thread sends, so that a server which stops reading until its
/// replies are read causes no deadlock.
pub(crate) const LARGE_BYTES: usize = 32 * 1024;

/// A command and its arguments.
pub(crate) type Words = Vec<Vec<u8>>;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<Stream>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
}

impl Connection {
    pub(crate) fn tcp(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Self::over(Stream::Tcp(stream))
    }

    /// Connects and shakes hands.
    pub(crate) fn tls(port: u16, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        let stream = Box::new(certificates::session(Arc::clone(config), socket));
        let mut connection = Self::over(Stream::Tls(stream))?;
        let Stream::Tls(stream) = connection.stream.get_mut() else { unreachable!("just made") };
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(connection)
    }

    /// The session of a connection over TLS.
    pub(crate) fn session(&self) -> &ClientConnection {
        match self.stream.get_ref() {
            Stream::Tls(stream) => &stream.conn,
            Stream::Tcp(_) | Stream::Unix(_) => panic!("it is not over TLS"),
        }
    }

    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        Self::over(Stream::Unix(UnixStream::connect(path)?))
    }

    fn over(stream: Stream) -> io::Result<Self> {
        let mut connection = Self { stream: BufReader::new(stream) };
        connection.set_timeout(TIMEOUT)?;
        Ok(connection)
    }

    /// The socket below a session of TLS, for bytes around the session.
    pub(crate) fn socket(&self) -> TcpStream {
        match self.stream.get_ref() {
            Stream::Tls(stream) => stream.sock.try_clone().expect("descriptors are left"),
            Stream::Tcp(_) | Stream::Unix(_) => panic!("it is not over TLS"),
        }
    }

    /// Clones the connection, to send from another thread. Bytes read ahead stay with the original.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Self::over(self.stream.get_ref().try_clone()?)
    }

    /// Accepts the next connection to a test that plays a server.
    pub(crate) fn accept(listener: &TcpListener) -> io::Result<Self> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        Self::over(Stream::Tcp(stream))
    }

    /// Sets the timeout for reads and writes.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        match self.stream.get_mut() {
            Stream::Tls(stream) => {
                stream.sock.set_read_timeout(Some(timeout))?;
                stream.sock.set_write_timeout(Some(timeout))
            }
            Stream::Tcp(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))
            }
            Stream::Unix(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))
            }
        }
    }

    /// Sends bytes unchanged.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends one command as an array of bulks.
    pub(crate) fn send(&mut self, words: &[&[u8]]) -> io::Result<()> {
        self.send_raw(&encode(words))
    }

    /// Sends bytes while `read` reads the replies.
    pub(crate) fn send_while<T>(&mut self, bytes: &[u8], read: impl FnOnce(&mut Self) -> T) -> T {
        // A failed write shows in the read: the connection is closed.
        if bytes.len() < LARGE_BYTES {
            drop(self.send_raw(bytes));
            return read(self);
        }
        let mut writer = self.stream.get_ref().try_clone().expect("a descriptor is left");
        thread::scope(|scope| {
            scope.spawn(move || drop(writer.write_all(bytes)));
            read(self)
        })
    }

    pub(crate) fn read_reply(&mut self) -> Result<Reply, ReadError> {
        Reply::read(&mut self.stream)
    }

    /// Reads `len` bytes.
    pub(crate) fn read_bytes(&mut self, len: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads bytes up to and including a line feed.
    pub(crate) fn read_line(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() { Err(ReadError::Closed) } else { Ok(line) }
    }

    /// Reads whatever arrives within a time, then restores the default timeout.
    pub(crate) fn read_for(&mut self, time: Duration) -> io::Result<Vec<u8>> {
        self.set_timeout(time)?;
        let mut bytes = vec![0; 4096];
        let read = self.stream.read(&mut bytes);
        self.set_timeout(TIMEOUT)?;
        let len = match read {
            Err(error) => match ReadError::from(error) {
                ReadError::TimedOut => 0,
                _ => return Err(ErrorKind::ConnectionReset.into()),
            },
            Ok(0) => return Err(ErrorKind::ConnectionReset.into()),
            Ok(len) => len,
        };
        bytes.truncate(len);
        Ok(bytes)
    }

    /// Sends a command and returns its one reply.
    pub(crate) fn call(&mut self, words: &[&[u8]]) -> Result<Reply, ReadError> {
        self.send(words)?;
        self.read_reply()
    }

    /// Sends everything and shuts down the sending side, while it reads: returns all bytes up to
    /// the end, and whether it came before the timeout. A reset is an end too.
    pub(crate) fn send_last(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut writer = self.stream.get_ref().try_clone().expect("a descriptor is left");
        thread::scope(|scope| {
            // A failed write to a server that closed first is not an error here.
            scope.spawn(move || {
                drop(writer.write_all(bytes));
                drop(writer.shutdown_write());
            });
            self.read_to_end()
        })
    }

    /// Reads all bytes up to the end; a reset is an end too. The second value: whether the end came
    /// before the timeout.
    pub(crate) fn read_to_end(&mut self) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        let ended = match self.stream.read_to_end(&mut bytes) {
            Ok(_) => true,
            Err(error) => ReadError::from(error) == ReadError::Closed,
        };
        (bytes, ended)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Tls(stream) => stream.sock.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            // A session has one owner.
            Self::Tls(_) => return Err(ErrorKind::Unsupported.into()),
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }
}

/// Encodes a command as clients do: an array of bulks.
pub(crate) fn encode<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
