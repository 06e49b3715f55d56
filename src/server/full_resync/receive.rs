//! Receives a full resync: a thread loads its RDB beside the current data or, where memory has no
//! room for both, it goes into a file that is validated before the old data go.

use std::io::{self, BufReader, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::spool_file::SpoolFile;
use crate::engine::full_resync::takeover::{self, NotTaken, Offer};
use crate::node::Node;
use crate::settings::{FullSync, MasterAddress};
use crate::telemetry::log::log;
use crate::telemetry::traces::{in_span, work_span};

/// Maximum number of parts that wait for the loading thread.
const PARTS: usize = 16;
/// Bytes read from a spooled file at once.
const BUFFER_BYTES: usize = 1 << 20;

/// A part of the RDB, or its end.
#[derive(Debug)]
enum Part {
    Bytes(Vec<u8>),
    End,
}

/// The connection to the loading thread.
#[derive(Debug)]
pub(in crate::server) struct Incoming {
    parts: Option<mpsc::Sender<Part>>,
    result: oneshot::Receiver<Result<(), NotTaken>>,
    failed: Option<NotTaken>,
}

impl Incoming {
    /// Starts the thread for an RDB of `len` bytes, if known.
    pub(in crate::server) fn begin(
        node: Arc<Node>,
        generation: u64,
        master: MasterAddress,
        offer: Offer,
        len: Option<u64>,
    ) -> io::Result<Self> {
        let (parts, received) = mpsc::channel(PARTS);
        let (done, result) = oneshot::channel();
        let work = move || {
            let source = Received { parts: received, bytes: Vec::new(), at: 0, ended: false };
            let loading = Loading { node: &node, generation, master, offer };
            let span = work_span!("replication.full_sync", role = "replica");
            let loaded = in_span(&span, || match loading.has_room(len) {
                true => loading.beside(source),
                false => loading.spooled(source),
            });
            // The receiver may be gone.
            drop(done.send(loaded));
        };
        std::thread::Builder::new().name("resync".into()).spawn(work).map_err(|error| {
            io::Error::other(format!("Can't start the thread that loads a full resync: {error}"))
        })?;
        Ok(Self { parts: Some(parts), result, failed: None })
    }

    /// Passes on a part.
    pub(in crate::server) async fn send(&mut self, bytes: Vec<u8>) {
        self.hand_on(Part::Bytes(bytes)).await;
    }

    /// Marks the RDB as complete.
    pub(in crate::server) async fn complete(&mut self) {
        self.hand_on(Part::End).await;
    }

    async fn hand_on(&mut self, part: Part) {
        let Some(parts) = &self.parts else { return };
        if parts.send(part).await.is_err() {
            // The thread has given up; its result says why.
            self.parts = None;
            self.failed = Some(match (&mut self.result).await {
                Ok(Err(reason)) => reason,
                _ => NotTaken::Failed("the loading thread has gone".into()),
            });
        }
    }

    /// Why the thread accepts no more parts.
    pub(in crate::server) fn failed(&self) -> Option<NotTaken> {
        self.failed.clone()
    }

    /// How it ended.
    pub(in crate::server) async fn result(&mut self) -> Result<(), NotTaken> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let gone = |_| Err(NotTaken::Failed("the loading thread has gone".into()));
        (&mut self.result).await.unwrap_or_else(gone)
    }
}

/// Parts as a stream of bytes.
struct Received {
    parts: mpsc::Receiver<Part>,
    bytes: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for Received {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.bytes.len() {
            if self.ended {
                return Ok(0);
            }
            match self.parts.blocking_recv() {
                Some(Part::Bytes(bytes)) => (self.bytes, self.at) = (bytes, 0),
                Some(Part::End) => self.ended = true,
                None => {
                    let reason = "the link was lost before the end";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
                }
            }
        }
        let take = into.len().min(self.bytes.len() - self.at);
        into[..take].copy_from_slice(&self.bytes[self.at..self.at + take]);
        self.at += take;
        Ok(take)
    }
}

struct Loading<'n> {
    node: &'n Node,
    generation: u64,
    master: MasterAddress,
    offer: Offer,
}

impl Loading<'_> {
    /// Whether memory has room for both the current data and the new.
    fn has_room(&self, len: Option<u64>) -> bool {
        match self.node.settings.load().replication.full_sync {
            FullSync::Beside => true,
            FullSync::Spool => false,
            FullSync::Auto => {
                let own = self.node.host().memory().allocated;
                // An RDB is smaller than what it becomes; without a length, assume that the master
                // has about what this replica has.
                let needed = len.map_or(own, |len| len.saturating_mul(2));
                available_bytes().is_none_or(|available| needed < available)
            }
        }
    }

    fn beside(self, source: impl Read) -> Result<(), NotTaken> {
        log!(Notice, "MASTER <-> REPLICA sync: Loading DB in memory, beside the old data");
        let source = BufReader::with_capacity(BUFFER_BYTES, source);
        let beside = takeover::load_beside(self.node, source, &mut |_| {}).map_err(bad)?;
        takeover::take_over(self.node, self.generation, &self.master, self.offer, &beside)
    }

    fn spooled(self, mut source: impl Read) -> Result<(), NotTaken> {
        log!(Notice, "MASTER <-> REPLICA sync: Spooling to disk, as memory has no room for both");
        let dir = PathBuf::from(&self.node.settings.load().snapshot.dir);
        let failed = |error: io::Error| NotTaken::Failed(format!("spooling: {error}"));
        let mut spool = SpoolFile::create(&dir).map_err(failed)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let len = source.read(&mut buffer).map_err(failed)?;
            if len == 0 {
                break;
            }
            spool.append(&buffer[..len]).map_err(failed)?;
        }
        let mut file = spool.into_reader().map_err(failed)?;
        let reader = BufReader::with_capacity(BUFFER_BYTES, &file);
        let checked = takeover::check(self.node, reader).map_err(bad)?;
        let len = file.stream_position().map_err(failed)?;
        file.rewind().map_err(failed)?;
        log!(Notice, "MASTER <-> REPLICA sync: Flushing old data");
        let reader = BufReader::with_capacity(BUFFER_BYTES, &file);
        let Self { node, generation, master, offer } = self;
        takeover::load_in_place(node, generation, &master, offer, &checked, (reader, len))
    }
}

fn bad(reason: String) -> NotTaken {
    NotTaken::Failed(format!(
        "Failed trying to load the MASTER synchronization DB: {reason}. The old data stay"
    ))
}

/// Available memory: of the machine, and of the container's limit if there is one.
fn available_bytes() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|info| {
        let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().split(' ').next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let number = |name: &str| {
        let text = std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let container = number("memory.max").zip(number("memory.current"));
    let container = container.map(|(max, current)| max.saturating_sub(current));
    match (machine, container) {
        (Some(machine), Some(container)) => Some(machine.min(container)),
        (machine, container) => machine.or(container),
    }
}
