//! Sends one replica its next bytes: the only place from which bytes are sent to it.
//!
//! The replica's own connection and every thread that writes call [`Feed::send`], one at a time. It
//! never blocks: bytes that do not fit the outlet stay, and the replica's connection continues when
//! there is room again.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use super::log::Log;
use super::replica::Replica;
use super::spool::{Next, Spool};

/// Bytes taken from the log or a spool at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Most bytes that one call sends, so that it takes no longer than about half a millisecond.
const SEND_BYTES_MAX: usize = 1 << 20;
/// Interval between two time marks, in milliseconds.
const MARK_INTERVAL_MS: i64 = 50;

/// The output to a replica: normally its socket.
pub(crate) trait Outlet: Send + fmt::Debug {
    /// Accepts as many of the bytes as fit, without blocking; returns how many.
    ///
    /// # Errors
    /// `WouldBlock` if nothing fits; any other error ends the connection.
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// How a call of [`Feed::send`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The replica was sent everything so far.
    All,
    /// The outlet has no room for the next bytes.
    Full,
    /// The outlet has room and there are more bytes, but others come first.
    Part,
}

/// A full resync of one replica.
#[derive(Debug)]
pub(super) struct Transfer {
    /// Sent before anything else: the answer to PSYNC.
    pub(super) intro: Vec<u8>,
    pub(super) spool: Arc<Spool>,
    pub(super) reader: usize,
    /// 40 bytes around the RDB, if its length is not sent.
    pub(super) mark: Option<[u8; 40]>,
    pub(super) begun: bool,
    /// The log reader that continues with the stream.
    pub(super) log_reader: u64,
}

#[derive(Debug)]
pub(super) enum FeedState {
    /// Waits for the next snapshot.
    Waiting,
    Sending(Transfer),
    /// All was sent; the stream begins when the replica acknowledges that it has loaded.
    Loading {
        log_reader: u64,
    },
    Online {
        log_reader: u64,
    },
    Gone,
}

/// Times for feeding a replica, in Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedTime {
    pub(crate) now_ms: i64,
    /// See [`Replicas::written_ms`](super::Replicas::written_ms).
    pub(crate) written_ms: i64,
}

/// Bytes taken for the outlet, and how many of them are sent.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    sent: usize,
    /// Log offset after its last log byte, and the number of log bytes, which come first.
    log_end: u64,
    log_len: usize,
}

impl Chunk {
    fn is_sent(&self) -> bool {
        self.sent == self.bytes.len()
    }
}

/// The output of one replica.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) state: FeedState,
    pub(super) outlet: Option<Box<dyn Outlet>>,
    chunk: Chunk,
}

/// What one call did, for the counters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) sends: u64,
    pub(super) bytes: u64,
    pub(super) refused: u64,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { state: FeedState::Waiting, outlet: None, chunk: Chunk::default() }
    }

    /// Memory of what was taken for the outlet.
    pub(super) fn output_bytes(&self) -> usize {
        self.chunk.bytes.capacity()
    }

    /// Sends until the replica has everything, the outlet is full, or others must have a turn.
    ///
    /// # Errors
    /// Why the connection must end.
    pub(super) fn send(
        &mut self,
        replica: &Replica,
        log: &Log,
        time: &FeedTime,
        counts: &mut Counts,
    ) -> Result<Sent, String> {
        if self.outlet.is_none() {
            // The answer to PSYNC is not written yet, or the replica has gone.
            return Ok(Sent::All);
        }
        loop {
            // After bytes were taken: what was written since it was disconnected is not for it.
            if replica.is_ending() {
                return Ok(Sent::All);
            }
            let had_some = !self.chunk.is_sent();
            if !self.send_chunk(replica, counts)? {
                return Ok(Sent::Full);
            }
            let is_online = matches!(self.state, FeedState::Online { .. });
            if had_some && is_online && self.chunk.log_end == log.offset() {
                return Ok(Sent::All);
            }
            if counts.bytes >= SEND_BYTES_MAX as u64 {
                return Ok(Sent::Part);
            }
            if !self.take(replica, log, time)? {
                return Ok(Sent::All);
            }
        }
    }

    /// Sends the rest of the chunk; false if the outlet is full before its end.
    fn send_chunk(&mut self, replica: &Replica, counts: &mut Counts) -> Result<bool, String> {
        let (chunk, Some(outlet)) = (&mut self.chunk, &mut self.outlet) else { return Ok(true) };
        while !chunk.is_sent() {
            match outlet.try_send(&chunk.bytes[chunk.sent..]) {
                Ok(len) => {
                    chunk.sent += len;
                    counts.sends += 1;
                    counts.bytes += len as u64;
                    let lacking = chunk.log_len.saturating_sub(chunk.sent);
                    replica.note_sent(chunk.log_end - lacking as u64);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    counts.refused += 1;
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(true)
    }

    /// Takes the next chunk; false if there is nothing.
    fn take(&mut self, replica: &Replica, log: &Log, time: &FeedTime) -> Result<bool, String> {
        let chunk = &mut self.chunk;
        chunk.bytes.clear();
        // Only log bytes count.
        (chunk.sent, chunk.log_end, chunk.log_len) = (0, replica.sent(), 0);
        match &mut self.state {
            FeedState::Waiting => replica.take_newline(&mut chunk.bytes),
            FeedState::Sending(transfer) => match transfer.fill(&mut chunk.bytes) {
                Next::Bytes => {}
                Next::Later => {
                    if !transfer.begun {
                        replica.take_newline(&mut chunk.bytes);
                    }
                }
                Next::Failed(reason) => return Err(reason),
                Next::Done => {
                    let log_reader = transfer.log_reader;
                    self.state = replica.transferred(log_reader, transfer.mark.is_some(), time);
                    if self.chunk.is_sent() {
                        return self.take(replica, log, time);
                    }
                }
            },
            FeedState::Loading { .. } if replica.announced.rdb_only => {
                return Err("it has the data that it wanted".to_owned());
            }
            FeedState::Loading { .. } => {}
            FeedState::Online { log_reader } => {
                let at = log.read(*log_reader, CHUNK_BYTES, &mut chunk.bytes);
                let at = at.ok_or("its place in the stream is no longer kept")?;
                (chunk.log_end, chunk.log_len) = (at, chunk.bytes.len());
                if at == log.offset() {
                    replica.mark_time(time, MARK_INTERVAL_MS, &mut chunk.bytes);
                }
            }
            FeedState::Gone => return Err("it was let go".to_owned()),
        }
        replica.show_state(&self.state, self.outlet.is_some());
        if self.chunk.is_sent() {
            return Ok(false);
        }
        // An online replica must acknowledge: a socket accepts bytes long after its peer has gone.
        if replica.plain_sync || !matches!(self.state, FeedState::Online { .. }) {
            replica.hear(time.now_ms);
        }
        Ok(true)
    }

    /// Releases what is kept for the replica.
    pub(super) fn close(&mut self, log: &Log) {
        self.outlet = None;
        self.chunk = Chunk::default();
        match std::mem::replace(&mut self.state, FeedState::Gone) {
            FeedState::Waiting | FeedState::Gone => {}
            FeedState::Sending(transfer) => {
                transfer.spool.detach(transfer.reader);
                log.detach(transfer.log_reader);
            }
            FeedState::Loading { log_reader } | FeedState::Online { log_reader } => {
                log.detach(log_reader)
            }
        }
    }
}

impl Transfer {
    fn fill(&mut self, into: &mut Vec<u8>) -> Next {
        if !self.intro.is_empty() {
            into.append(&mut self.intro);
            return Next::Bytes;
        }
        if !self.begun {
            let header = match (&self.mark, self.spool.len()) {
                (_, Some(Err(reason))) => return Next::Failed(reason),
                (Some(mark), _) => [b"$EOF:", &mark[..], b"\r\n"].concat(),
                (None, Some(Ok(len))) => format!("${len}\r\n").into_bytes(),
                (None, None) => return Next::Later,
            };
            self.begun = true;
            into.extend_from_slice(&header);
            return Next::Bytes;
        }
        let next = self.spool.read(self.reader, CHUNK_BYTES, into);
        if next == Next::Done
            && let Some(mark) = &self.mark
        {
            into.extend_from_slice(mark);
        }
        next
    }
}
