//! The file in `dir` with what must be known of this node's role after a restart. It outlives the
//! data file: a master that lost its data is the one that `/primary` must not show.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::host::write_whole;
use crate::node::Node;
use crate::node::standing::Kept;
use crate::telemetry::log::log;

/// Its name in `dir`.
const FILE: &str = "limpid-role.json";
/// Delay after a failure, in milliseconds.
const RETRY_MS: i64 = 10_000;

fn path(node: &Node) -> PathBuf {
    PathBuf::from(&node.settings.load().snapshot.dir).join(FILE)
}

/// Reads it. An unreadable file counts as that of a node with peers: `/primary` then waits, where
/// it could otherwise be wrong.
pub(super) fn load(node: &Node) -> Kept {
    let path = path(node);
    let unreadable = |error: &dyn std::fmt::Display| {
        log!(Warning, "Can't read {}: {error}", path.display());
        Kept { has_peers: true, ..Kept::default() }
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).unwrap_or_else(|error| unreadable(&error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept::default(),
        Err(error) => unreadable(&error),
    }
}

/// Writes it when it has changed.
#[derive(Debug, Default)]
pub(super) struct RoleFile {
    /// Whether a write is running: two at once could leave the older state.
    writing: Arc<AtomicBool>,
    /// Earliest time to retry after a failure, in Unix milliseconds.
    retry_ms: Arc<AtomicI64>,
}

impl RoleFile {
    /// Called ten times a second. A separate thread writes, as a disk may be slow.
    pub(super) fn round(&self, node: &Arc<Node>) {
        let due = node.clock.unix_ms() >= self.retry_ms.load(Ordering::Relaxed);
        if !due || !node.standing.is_unwritten() || self.writing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (node, retry_ms) = (Arc::clone(node), Arc::clone(&self.retry_ms));
        let writing = Arc::clone(&self.writing);
        let writer = std::thread::Builder::new().name("role-file".into()).spawn(move || {
            if let Err(error) = write(&node) {
                log!(Warning, "Can't write {}: {error}", path(&node).display());
                retry_ms.store(node.clock.unix_ms() + RETRY_MS, Ordering::Relaxed);
            }
            writing.store(false, Ordering::Release);
        });
        if writer.is_err() {
            // The next round may get a thread.
            self.writing.store(false, Ordering::Release);
        }
    }
}

/// Writes any pending change; at the end of the process synchronously.
///
/// # Errors
/// Those of the file system; the change then stays pending.
pub(super) fn write(node: &Node) -> std::io::Result<()> {
    let Some(kept) = node.standing.take_unwritten() else { return Ok(()) };
    let written = serde_json::to_string(&kept)
        .map_err(std::io::Error::from)
        .and_then(|text| write_whole(&path(node), text.as_bytes()));
    written.inspect_err(|_| node.standing.rewrite())
}
