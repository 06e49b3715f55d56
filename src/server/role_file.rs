//! The file in `dir` with what must be known of this node's role beyond a restart. It outlives the
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
/// How long to leave it after a failure, in milliseconds.
const RETRY_MS: i64 = 10_000;

fn path(node: &Node) -> PathBuf {
    PathBuf::from(&node.settings.load().snapshot.dir).join(FILE)
}

/// Reads it. One that cannot be read is taken for that of a node with peers: `/primary` then waits,
/// where it could otherwise be wrong.
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
    /// A writer is at it: two could leave the older state.
    writing: Arc<AtomicBool>,
    /// Until when not to try, after a failure; Unix milliseconds.
    retry_ms: Arc<AtomicI64>,
}

impl RoleFile {
    /// Looks, ten times a second. A disk may be slow: a thread of its own writes.
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
            // There may be a thread to be had at the next look.
            self.writing.store(false, Ordering::Release);
        }
    }
}

/// Writes what is not written yet; at the end of the process here and now.
///
/// # Errors
/// Those of the file system; then it is still to be written.
pub(super) fn write(node: &Node) -> std::io::Result<()> {
    let Some(kept) = node.standing.take_unwritten() else { return Ok(()) };
    let written = serde_json::to_string(&kept)
        .map_err(std::io::Error::from)
        .and_then(|text| write_whole(&path(node), text.as_bytes()));
    written.inspect_err(|_| node.standing.rewrite())
}
