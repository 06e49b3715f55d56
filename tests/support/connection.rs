//! A blocking client over TCP or a Unix socket. Sends what it is given, byte for byte; every read
//! has a time limit.

use super::reply::{ReadError, Reply};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Ample for a loaded machine; a sound server answers in microseconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// From here on a writer of its own sends, so that a server which waits for its replies to be
/// read before it reads on is no deadlock.
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
    Unix(UnixStream),
}

impl Connection {
    pub(crate) fn tcp(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Self::over(Stream::Tcp(stream))
    }

    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        Self::over(Stream::Unix(UnixStream::connect(path)?))
    }

    fn over(stream: Stream) -> io::Result<Self> {
        let mut connection = Self { stream: BufReader::new(stream) };
        connection.set_timeout(TIMEOUT)?;
        Ok(connection)
    }

    /// The same connection, to send from another thread. What one has read ahead stays with it.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Self::over(self.stream.get_ref().try_clone()?)
    }

    /// The next connection that somebody makes to a test that plays a server.
    pub(crate) fn accept(listener: &TcpListener) -> io::Result<Self> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        Self::over(Stream::Tcp(stream))
    }

    /// Limits the wait for the next bytes, and for the server to take some.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        match self.stream.get_mut() {
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

    /// Sends bytes as they are.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends one command as an array of bulks.
    pub(crate) fn send(&mut self, words: &[&[u8]]) -> io::Result<()> {
        self.send_raw(&encode(words))
    }

    /// Sends bytes while `read` reads what they cause.
    pub(crate) fn send_while<T>(&mut self, bytes: &[u8], read: impl FnOnce(&mut Self) -> T) -> T {
        // A failed write shows in what is read: the connection is closed.
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

    /// So many bytes, as they come.
    pub(crate) fn read_bytes(&mut self, len: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Bytes up to a line feed, with it.
    pub(crate) fn read_line(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() { Err(ReadError::Closed) } else { Ok(line) }
    }

    /// What comes within a time; then the time limit is the usual one again.
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

    /// Sends all and ends this side, and reads meanwhile: all bytes up to the end, and whether the
    /// end was reached before the time limit. A reset is an end too.
    pub(crate) fn send_last(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut writer = self.stream.get_ref().try_clone().expect("a descriptor is left");
        thread::scope(|scope| {
            // What a server that closed first does not take is no failure of ours.
            scope.spawn(move || {
                drop(writer.write_all(bytes));
                drop(writer.shutdown_write());
            });
            self.read_to_end()
        })
    }

    /// All bytes up to the end; a reset is an end too. The second value: whether the end was
    /// reached before the time limit.
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
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
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
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }
}

/// A command as a client sends it: an array of bulks.
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
