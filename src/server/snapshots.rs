//! Snapshots of the keyspace, one at a time: cutting one, and the thread that walks it.
//!
//! The thread exists before the first snapshot is cut. Starting one for each snapshot may fail, and
//! whoever then drops the snapshot under the locks of the cut waits forever: a snapshot takes locks
//! at its end.

use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::keyspace::Locked;
use crate::keyspace::snapshot::Snapshot;
use crate::node::Node;
use crate::node::admission::Condition;
use crate::node::persistence::{Purpose, Running};
use crate::telemetry::log::log;

/// The `nice` value of the walking thread: the lowest priority.
const WALKER_NICE: i32 = 19;

/// What to do with a snapshot.
type Work = Box<dyn FnOnce() + Send>;

/// Cuts snapshots and hands them to the thread.
#[derive(Debug)]
pub(super) struct Snapshots {
    node: Arc<Node>,
    walker: Arc<Walker>,
}

/// The thread's side. There is at most one snapshot, so at most one work waits.
#[derive(Default)]
struct Walker {
    work: Mutex<Option<Work>>,
    came: Condvar,
}

impl std::fmt::Debug for Walker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walker").finish_non_exhaustive()
    }
}

impl Walker {
    fn run(&self) {
        yield_to_workers();
        loop {
            let mut waiting = self.work.lock();
            let work = loop {
                match waiting.take() {
                    Some(work) => break work,
                    None => self.came.wait(&mut waiting),
                }
            };
            drop(waiting);
            work();
        }
    }
}

/// The right to be the one snapshot; the next may be cut once it drops.
#[derive(Debug)]
pub(super) struct Turn {
    node: Arc<Node>,
    pub(super) running: Running,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.node.persistence.update(|saving| saving.running = None);
        if let Some(file) = self.node.log.file() {
            file.hold_syncs(false);
        }
    }
}

impl Snapshots {
    /// Starts the thread, which lives as long as the process.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(node: Arc<Node>) -> io::Result<Self> {
        let walker = Arc::new(Walker::default());
        let theirs = Arc::clone(&walker);
        std::thread::Builder::new().name("snapshot".into()).spawn(move || theirs.run())?;
        Ok(Self { node, walker })
    }

    /// Cuts a snapshot under all the locks and passes it to what `prepare` returns, on the thread.
    /// Does nothing and returns false while one is being written or data are being loaded.
    pub(super) fn try_begin<W>(
        &self,
        locked: &mut Locked<'_>,
        purpose: Purpose,
        prepare: impl FnOnce() -> W,
    ) -> bool
    where
        W: FnOnce(Snapshot, Turn) + Send + 'static,
    {
        let node = &self.node;
        let busy = node.persistence.get().running.is_some();
        // Half a data set is worth neither a file nor a full resync.
        if busy || node.admission.has(Condition::Loading) {
            return false;
        }
        let work = prepare();
        let began = node.clock.nanos();
        let bytes_max = node.settings.load().snapshot.retained_max_bytes;
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let snapshot = Snapshot::cut(&node.keyspace, locked, bytes_max);
        let cut_nanos = node.clock.nanos().saturating_sub(began);
        let running = Running {
            purpose,
            started_ms: node.clock.unix_ms(),
            dirty_at_cut: node.dirty(),
            retention: Arc::clone(snapshot.retention()),
            keys_total: snapshot.sizes().iter().map(|size| size.keys).sum(),
            keys_saved: 0,
        };
        node.persistence.update(|saving| {
            saving.retained_peak_bytes = 0;
            saving.running = Some(running.clone());
            saving.cuts += 1;
            saving.last_cut_nanos = cut_nanos;
        });
        if let Some(file) = node.log.file().filter(|_| node.settings.load().aof.no_sync_on_rewrite)
        {
            file.hold_syncs(true);
            node.file_caught_up();
        }
        let turn = Turn { node: Arc::clone(node), running };
        *self.walker.work.lock() = Some(Box::new(move || work(snapshot, turn)));
        self.walker.came.notify_one();
        true
    }
}

/// Gives this thread the lowest priority: with few cores, workers go first. Their clients wait for
/// them, nobody for this.
fn yield_to_workers() {
    if let Err(error) = rustix::process::setpriority_process(None, WALKER_NICE) {
        log!(Verbose, "Snapshots are walked at the priority of the workers: {error}");
    }
}
