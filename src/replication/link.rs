//! A replica's side of the link to its master, without I/O: the handshake, the full resync's
//! framing, and the stream that follows.
//!
//! Bytes go in through [`Link::next`], which returns one event at a time and buffers the bytes to
//! send. The rules are those of Redis 7's `replication.c` (`syncWithMaster`,
//! `slaveTryPartialResynchronization`, `readSyncBulkPayload`).

use std::borrow::Cow;
use std::fmt;

/// Longest line of the handshake.
const LINE_BYTES_MAX: usize = 4096;
/// Length of the mark around an RDB whose length is not known.
const MARK_BYTES: usize = 40;
/// The capability that a limpid replica announces in addition to Redis's.
const CAPA_MARKS: &[u8] = b"limpid-marks";

/// How a replica introduces itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hello {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) port: u16,
    pub(crate) announce_ip: Option<String>,
    /// The history it has, and how many bytes of it.
    pub(crate) known: Option<(String, u64)>,
    /// Asks the peer to take over as master (PSYNC FAILOVER).
    pub(crate) failover: bool,
}

/// An event on the link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LinkEvent<'b> {
    /// The master answered the first PING.
    Reached,
    /// A full resync of this history at this offset follows; `None`: the master names neither.
    FullResync(Option<(String, u64)>),
    /// The stream continues from where it was, maybe under another id.
    Continued(Option<String>),
    /// The RDB begins; its length in bytes, if known.
    PayloadBegan(Option<u64>),
    /// Bytes of the RDB.
    Payload(Cow<'b, [u8]>),
    PayloadEnded,
    /// Bytes of the stream.
    Stream(&'b [u8]),
}

/// Why a link ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkError {
    /// The master cannot serve it now; it may later.
    NotNow(String),
    Refused(String),
    Protocol(String),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNow(reason) => write!(f, "Master is currently unable to PSYNC: {reason}"),
            Self::Refused(reason) | Self::Protocol(reason) => f.write_str(reason),
        }
    }
}

/// What the next line replies to, or what the next bytes are.
#[derive(Debug)]
enum Stage {
    Ping,
    Auth,
    ListeningPort,
    IpAddress,
    Capa,
    Psync,
    /// The line before the RDB.
    Size,
    /// This many bytes of the RDB are left.
    Sized(u64),
    /// The RDB ends at the mark; the last bytes are held back, as they may be part of it.
    Marked {
        mark: [u8; MARK_BYTES],
        held: Vec<u8>,
    },
    Stream,
}

/// One connection to a master.
#[derive(Debug)]
pub(crate) struct Link {
    hello: Hello,
    stage: Stage,
    line: Vec<u8>,
    /// Bytes to send.
    output: Vec<u8>,
}

fn command(output: &mut Vec<u8>, args: &[&[u8]]) {
    output.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        output.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        output.extend_from_slice(arg);
        output.extend_from_slice(b"\r\n");
    }
}

impl Link {
    /// A new connection: its first bytes to send are ready.
    pub(crate) fn new(hello: Hello) -> Self {
        let mut output = Vec::new();
        command(&mut output, &[b"PING"]);
        Self { hello, stage: Stage::Ping, line: Vec::new(), output }
    }

    /// Takes the bytes to send now.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Queues an acknowledgement of the first `offset` bytes, and of those that this node's disk has, if
    /// it has an append only file (since Redis 7.2; older masters ignore it).
    pub(crate) fn acknowledge(&mut self, offset: u64, durable: Option<u64>) {
        let (offset, durable) = (offset.to_string(), durable.map(|durable| durable.to_string()));
        let ack: &[&[u8]] = &[b"REPLCONF", b"ACK", offset.as_bytes()];
        match durable {
            Some(durable) => {
                command(&mut self.output, &[ack, &[b"FACK", durable.as_bytes()]].concat())
            }
            None => command(&mut self.output, ack),
        }
    }

    /// Queues a keepalive while the master waits for the RDB to be loaded.
    pub(crate) fn keep_alive(&mut self) {
        self.output.push(b'\n');
    }

    /// The next event; advances `input` past the bytes it used. `None` if it used all.
    ///
    /// # Errors
    /// The link is over.
    pub(crate) fn next<'b>(
        &mut self,
        input: &mut &'b [u8],
    ) -> Result<Option<LinkEvent<'b>>, LinkError> {
        loop {
            match self.stage {
                Stage::Stream => {
                    let bytes = std::mem::take(input);
                    return Ok((!bytes.is_empty()).then_some(LinkEvent::Stream(bytes)));
                }
                Stage::Sized(0) => {
                    self.stage = Stage::Stream;
                    return Ok(Some(LinkEvent::PayloadEnded));
                }
                Stage::Sized(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let (bytes, rest) = input.split_at(take);
                    *input = rest;
                    self.stage = Stage::Sized(left - take as u64);
                    return Ok((!bytes.is_empty()).then_some(LinkEvent::Payload(bytes.into())));
                }
                Stage::Marked { .. } => return Ok(self.marked(input)),
                _ => {}
            }
            if !self.read_line(input)? {
                return Ok(None);
            }
            let line = std::mem::take(&mut self.line);
            if let Some(event) = self.answer(&line)? {
                return Ok(Some(event));
            }
        }
    }

    /// Collects bytes up to a line's end; false if there is none yet.
    fn read_line(&mut self, input: &mut &[u8]) -> Result<bool, LinkError> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            match byte {
                // A busy master sends empty lines.
                b'\n' if self.line.is_empty() => {}
                b'\n' => {
                    if self.line.last() == Some(&b'\r') {
                        self.line.pop();
                    }
                    return Ok(true);
                }
                byte if self.line.len() < LINE_BYTES_MAX => self.line.push(byte),
                _ => {
                    return Err(LinkError::Protocol("a line from the master is too long".into()));
                }
            }
        }
        Ok(false)
    }

    fn answer(&mut self, line: &[u8]) -> Result<Option<LinkEvent<'static>>, LinkError> {
        let text = || String::from_utf8_lossy(line).into_owned();
        let refused = line.first() == Some(&b'-');
        match self.stage {
            Stage::Ping => {
                let fine = [&b"+"[..], b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted"];
                if !fine.iter().any(|start| line.starts_with(start)) {
                    return Err(LinkError::Refused(format!(
                        "Error reply to PING from master: '{}'",
                        text()
                    )));
                }
                self.introduce();
                Ok(Some(LinkEvent::Reached))
            }
            Stage::Auth if refused => {
                Err(LinkError::Refused(format!("Unable to AUTH to MASTER: {}", text())))
            }
            // An older master refuses these and works without them.
            Stage::Auth | Stage::ListeningPort | Stage::IpAddress => {
                self.stage = self.after_reply();
                Ok(None)
            }
            Stage::Capa => {
                self.ask();
                Ok(None)
            }
            Stage::Psync => self.psync_reply(line),
            Stage::Size => self.size(line).map(Some),
            Stage::Sized(_) | Stage::Marked { .. } | Stage::Stream => {
                unreachable!("these read no lines")
            }
        }
    }

    /// The reply expected after this stage's: all requests were sent at once.
    fn after_reply(&self) -> Stage {
        match self.stage {
            Stage::Auth => Stage::ListeningPort,
            Stage::ListeningPort if self.hello.announce_ip.is_some() => Stage::IpAddress,
            _ => Stage::Capa,
        }
    }

    fn introduce(&mut self) {
        let output = &mut self.output;
        self.stage = Stage::ListeningPort;
        if let Some(password) = &self.hello.password {
            self.stage = Stage::Auth;
            match &self.hello.user {
                Some(user) => command(output, &[b"AUTH", user.as_bytes(), password.as_bytes()]),
                None => command(output, &[b"AUTH", password.as_bytes()]),
            }
        }
        let port = self.hello.port.to_string();
        command(output, &[b"REPLCONF", b"listening-port", port.as_bytes()]);
        if let Some(ip) = &self.hello.announce_ip {
            command(output, &[b"REPLCONF", b"ip-address", ip.as_bytes()]);
        }
        let capa: &[&[u8]] =
            &[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2", b"capa", CAPA_MARKS];
        command(output, capa);
    }

    fn ask(&mut self) {
        self.stage = Stage::Psync;
        let (id, next) = match &self.hello.known {
            // The first byte that is missing, counted from 1.
            Some((id, have)) => (id.as_str(), (have + 1).to_string()),
            None => ("?", "-1".to_owned()),
        };
        let mut args = vec![&b"PSYNC"[..], id.as_bytes(), next.as_bytes()];
        if self.hello.failover {
            args.push(b"FAILOVER");
        }
        command(&mut self.output, &args);
    }

    fn psync_reply(&mut self, line: &[u8]) -> Result<Option<LinkEvent<'static>>, LinkError> {
        let text = String::from_utf8_lossy(line).into_owned();
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        match words.next() {
            Some("+FULLRESYNC") => {
                let (id, offset) = (words.next(), words.next().and_then(|word| word.parse().ok()));
                match (id, offset) {
                    (Some(id), Some(offset)) if id.len() == 40 => {
                        self.stage = Stage::Size;
                        Ok(Some(LinkEvent::FullResync(Some((id.to_owned(), offset)))))
                    }
                    _ => Err(LinkError::Protocol(format!(
                        "Master replied with wrong +FULLRESYNC syntax: {text}"
                    ))),
                }
            }
            Some("+CONTINUE") => {
                self.stage = Stage::Stream;
                let id = words.next().filter(|id| id.len() == 40).map(str::to_owned);
                Ok(Some(LinkEvent::Continued(id)))
            }
            Some("-NOMASTERLINK" | "-LOADING") => Err(LinkError::NotNow(text)),
            _ if self.hello.failover => {
                Err(LinkError::Refused(format!("Failover target rejected psync request: {text}")))
            }
            Some(word) if word.starts_with('-') => {
                // A master without PSYNC supports SYNC.
                self.output.extend_from_slice(b"SYNC\r\n");
                self.stage = Stage::Size;
                Ok(Some(LinkEvent::FullResync(None)))
            }
            _ => Err(LinkError::Protocol(format!("Unexpected reply to PSYNC from master: {text}"))),
        }
    }

    fn size(&mut self, line: &[u8]) -> Result<LinkEvent<'static>, LinkError> {
        let text = String::from_utf8_lossy(line);
        if let Some(reason) = text.strip_prefix('-') {
            return Err(LinkError::Refused(format!(
                "MASTER aborted replication with an error: {reason}"
            )));
        }
        let bad = || {
            LinkError::Protocol(format!(
                "Bad protocol from MASTER, the first byte is not '$' (we received '{text}'), are \
                 you sure the host and port are right?"
            ))
        };
        let size = line.strip_prefix(b"$").ok_or_else(bad)?;
        if let Some(mark) = size.strip_prefix(b"EOF:") {
            let mark = mark.try_into().map_err(|_| bad())?;
            self.stage = Stage::Marked { mark, held: Vec::with_capacity(MARK_BYTES) };
            return Ok(LinkEvent::PayloadBegan(None));
        }
        let len = text.get(1..).and_then(|digits| digits.parse().ok()).ok_or_else(bad)?;
        self.stage = Stage::Sized(len);
        Ok(LinkEvent::PayloadBegan(Some(len)))
    }

    /// Bytes up to the mark. Nothing follows it before the replica has acknowledged, so it is at
    /// the end of the bytes received.
    fn marked<'b>(&mut self, input: &mut &'b [u8]) -> Option<LinkEvent<'b>> {
        let Stage::Marked { mark, held } = &mut self.stage else { return None };
        if input.is_empty() {
            if held == mark {
                self.stage = Stage::Stream;
                return Some(LinkEvent::PayloadEnded);
            }
            return None;
        }
        let released: Cow<'b, [u8]> = if input.len() < MARK_BYTES {
            held.extend_from_slice(input);
            *input = &[];
            let over = held.len().saturating_sub(MARK_BYTES);
            held.drain(..over).collect::<Vec<u8>>().into()
        } else if held.is_empty() {
            let (bytes, last) = input.split_at(input.len() - MARK_BYTES);
            held.extend_from_slice(last);
            *input = &[];
            bytes.into()
        } else {
            std::mem::take(held).into()
        };
        if released.is_empty() { self.marked(input) } else { Some(LinkEvent::Payload(released)) }
    }
}

#[cfg(test)]
mod tests;
