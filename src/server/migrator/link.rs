//! A connection to the target of migrations: a plain client, that sends all its requests and then
//! reads the replies.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::node::migration::{Migration, Route};
use crate::number::Decimal;

/// Longest reply line: an error's text.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Why a migration ended early.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) what: &'static str,
    /// The target had confirmed or refused a key by then.
    begun: bool,
    timed_out: bool,
    /// What the target said before.
    pub(super) told: Result<(), Vec<u8>>,
}

impl Trouble {
    fn new(what: &'static str, error: &io::Error) -> Self {
        let timeouts = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
        Self { what, begun: false, timed_out: timeouts.contains(&error.kind()), told: Ok(()) }
    }

    pub(super) fn may_retry(&self) -> bool {
        !self.begun && !self.timed_out
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    /// The target's selected database; `None`: unknown.
    selected: Option<i64>,
    /// Bytes read and not used.
    input: Vec<u8>,
}

impl Link {
    pub(super) fn open(route: &Route) -> io::Result<Self> {
        let unknown = || io::Error::from(io::ErrorKind::InvalidInput);
        let host = std::str::from_utf8(&route.host).map_err(|_| unknown())?;
        let port = port(&route.port).ok_or_else(unknown)?;
        let timeout = Duration::from_millis(route.timeout_ms);
        let mut result = Err(unknown());
        for address in (host, port).to_socket_addrs()? {
            result = TcpStream::connect_timeout(&address, timeout);
            if result.is_ok() {
                break;
            }
        }
        let stream = result?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, selected: None, input: Vec::new() })
    }

    /// Sends the keys and notes which the target has confirmed. The result is the first error that
    /// it replied, if any.
    pub(super) fn send(
        &mut self,
        migration: &Migration,
        confirmed: &mut [bool],
    ) -> Result<Result<(), Vec<u8>>, Trouble> {
        let route = &migration.route;
        let timeout = Some(Duration::from_millis(route.timeout_ms));
        let selects = self.selected != Some(route.database_there);
        let set = |stream: &TcpStream| {
            stream.set_write_timeout(timeout).and_then(|()| stream.set_read_timeout(timeout))
        };
        set(&self.stream)
            .and_then(|()| self.stream.write_all(&preamble(route, selects)))
            .map_err(|error| Trouble::new("writing", &error))?;
        for key in &migration.keys {
            let ttl = Decimal::new(key.ttl_ms);
            let mut request: Vec<&[u8]> = vec![b"RESTORE", &key.name, ttl.as_bytes(), &key.payload];
            if route.options.replace {
                request.push(b"REPLACE");
            }
            self.stream
                .write_all(&encoded(&request))
                .map_err(|error| Trouble::new("writing", &error))?;
        }
        self.read_replies(route, selects, confirmed)
    }

    fn read_replies(
        &mut self,
        route: &Route,
        selects: bool,
        confirmed: &mut [bool],
    ) -> Result<Result<(), Vec<u8>>, Trouble> {
        let mut told = Ok(());
        let before = usize::from(route.credentials.is_some()) + usize::from(selects);
        for _ in 0..before {
            let line = self.line().map_err(|error| Trouble::new("reading", &error))?;
            told = told.and_then(|()| refusal(&line));
        }
        let admitted = told.is_ok();
        for (index, confirmed) in confirmed.iter_mut().enumerate() {
            let line = self.line().map_err(|error| Trouble {
                begun: index > 0,
                told: told.clone(),
                ..Trouble::new("reading", &error)
            })?;
            let refused = refusal(&line);
            *confirmed = admitted && refused.is_ok();
            told = told.and(refused);
        }
        self.selected = told.is_ok().then_some(route.database_there);
        Ok(told)
    }

    /// The next line of the target's replies, without its end.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.input.drain(..=end).collect();
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
            if self.input.len() > LINE_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => self.input.extend_from_slice(&buffer[..len]),
            }
        }
    }
}

/// The client's error for a reply that is one.
fn refusal(line: &[u8]) -> Result<(), Vec<u8>> {
    match line.strip_prefix(b"-") {
        None => Ok(()),
        Some(text) => Err([b"ERR Target instance replied with error: ", text].concat()),
    }
}

/// AUTH and SELECT, as needed.
fn preamble(route: &Route, selects: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(credentials) = &route.credentials {
        let mut request: Vec<&[u8]> = vec![b"AUTH"];
        request.extend(credentials.user.as_deref());
        request.push(&credentials.password);
        bytes = encoded(&request);
    }
    if selects {
        let database = Decimal::new(route.database_there);
        bytes.extend(encoded(&[b"SELECT", database.as_bytes()]));
    }
    bytes
}

fn encoded(request: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", request.len()).into_bytes();
    for arg in request {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A port as C's `atoi` reads it.
fn port(text: &[u8]) -> Option<u16> {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}
