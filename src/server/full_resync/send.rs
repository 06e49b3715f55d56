//! Full resyncs for replicas: one snapshot for all that wait, walked on a separate thread into a
//! spool from which their connections send.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::spool_file::SpoolFile;
use crate::engine::full_resync::offer;
use crate::engine::rdb_save::{self, Cut};
use crate::keyspace::Locked;
use crate::keyspace::snapshot::Snapshot;
use crate::node::Node;
use crate::node::persistence::{Purpose, Running};
use crate::replication::{Overflow, Spool, Written};
use crate::server::saver::{Pace, show_progress};
use crate::server::snapshots::{Snapshots, Turn};
use crate::telemetry::log::log;
use crate::telemetry::traces::{in_span, work_span};

/// Bytes that a spool holds in memory before it overflows into a file.
const MEMORY_BYTES_MAX: usize = 32 << 20;
/// Bytes passed to the spool at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// Begins a snapshot for the replicas that wait for one, unless it should wait for others or a
/// snapshot is being written.
pub(in crate::server) fn start_if_due(
    node: &Arc<Node>,
    snapshots: &Snapshots,
    locked: &mut Locked<'_>,
) {
    let waiting = offer::due(node);
    if waiting.is_empty() {
        return;
    }
    snapshots.try_begin(locked, Purpose::FullSync, || {
        let dir = PathBuf::from(&node.settings.load().snapshot.dir);
        let open = move || SpoolFile::create(&dir).map(|file| Box::new(file) as Box<dyn Overflow>);
        let spool = Arc::new(Spool::new(MEMORY_BYTES_MAX, Box::new(open)));
        let cut = offer::begin(node, &waiting, &spool);
        let diskless = node.settings.load().replication.diskless_sync;
        let target = if diskless { "replicas sockets" } else { "disk" };
        log!(Notice, "Starting BGSAVE for SYNC with target: {target}");
        let node = Arc::clone(node);
        move |snapshot, turn| run(&node, snapshot, &cut, turn, &spool)
    });
}

fn run(node: &Arc<Node>, mut snapshot: Snapshot, cut: &Cut, turn: Turn, spool: &Arc<Spool>) {
    let span = work_span!("replication.full_sync", role = "master");
    let result = in_span(&span, || write(node, &mut snapshot, cut, &turn.running, spool));
    match &result {
        Ok(keys) => {
            log!(Notice, "Background saving terminated with success ({keys} keys for replicas)")
        }
        Err(error) => log!(Warning, "Snapshot for replicas failed: {error}"),
    }
    spool.end(result.map(|_| ()).map_err(|error| error.to_string()));
    node.replication.replicas.wake_receivers();
    // Only now may another begin.
    drop(snapshot);
    drop(turn);
}

fn write(
    node: &Arc<Node>,
    snapshot: &mut Snapshot,
    cut: &Cut,
    running: &Running,
    spool: &Arc<Spool>,
) -> io::Result<usize> {
    // No replica may see what this node could still lose.
    node.wait_for_file().map_err(io::Error::other)?;
    let sink = SpoolWriter { node, spool, chunk: Vec::with_capacity(CHUNK_BYTES) };
    let mut writer = rdb_save::begin(node, sink, cut)?;
    let mut pace = Pace::default();
    let rest = |keys| {
        // All receivers have gone.
        let is_over = || running.retention.is_given_up() || !spool.is_read();
        if pace.step(node, keys, is_over) {
            show_progress(node, running, keys);
            if !spool.is_read() {
                running.retention.give_up();
            }
        }
    };
    if cut.has_keys() {
        rdb_save::write_snapshot(snapshot, &mut writer, rest)?;
    }
    let keys = writer.keys();
    show_progress(node, running, keys);
    writer.finish()?.flush()?;
    Ok(keys)
}

/// Reads back what has left the spool's memory, for slow replicas. The thread ends with the last of
/// them.
fn start_reader(node: &Arc<Node>, spool: &Arc<Spool>) -> io::Result<()> {
    let (node, spool) = (Arc::clone(node), Arc::clone(spool));
    let work = move || {
        while spool.fetch_when_due() {
            node.replication.replicas.wake_receivers();
        }
    };
    std::thread::Builder::new().name("sync-reader".into()).spawn(work)?;
    Ok(())
}

/// Gathers bytes into chunks and wakes the sending connections.
struct SpoolWriter<'s> {
    node: &'s Arc<Node>,
    spool: &'s Arc<Spool>,
    chunk: Vec<u8>,
}

impl Write for SpoolWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK_BYTES {
            self.hand_over()?;
        }
        Ok(bytes.len())
    }

    /// The writer flushes at its end.
    fn flush(&mut self) -> io::Result<()> {
        self.hand_over()
    }
}

impl SpoolWriter<'_> {
    fn hand_over(&mut self) -> io::Result<()> {
        if !self.chunk.is_empty() {
            let next = Vec::with_capacity(CHUNK_BYTES);
            let chunk = std::mem::replace(&mut self.chunk, next);
            let (node, spool) = (self.node, self.spool);
            let wake = || node.replication.replicas.wake_receivers();
            if self.spool.write(chunk.into(), wake)? == Written::Overflowed {
                start_reader(node, spool)?;
            }
        }
        Ok(())
    }
}
