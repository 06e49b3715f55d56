//! The append only file as commands and connections meet it: who waits for it, and when.
//!
//! Replies wait until the file has released what they tell of: under `always` until it is on the disk,
//! else until the kernel has it, for which a worker cares itself at the end of its turn. While the
//! disk makes writes wait, only those wait with them who have written. Under any policy, writes wait while the file is too far behind, as in a pause, and are refused while it fails. The
//! file's own thread calls the methods of the second half, without any lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::Node;
use super::admission::Condition;
use super::client::Handle;
use crate::aof::{Aof, Mode, State, Took};
use crate::replication::{By, Unreleased};

/// Who waits for the file.
#[derive(Debug, Default)]
pub(crate) struct FileWaiters {
    /// Connections whose replies wait, each with what must be released.
    connections: Mutex<Vec<(Unreleased, Arc<Handle>)>>,
    /// Held while a worker's connections go to others since it waits for the disk, or come back.
    relief: Mutex<()>,
}

/// A load of the append only file that a client waits for.
#[derive(Debug)]
pub(crate) struct FileLoad {
    requester: Arc<Handle>,
    done: AtomicBool,
}

impl FileLoad {
    pub(crate) fn new(requester: Arc<Handle>) -> Self {
        Self { requester, done: AtomicBool::new(false) }
    }

    /// Ends the client's wait.
    pub(crate) fn end(&self) {
        self.done.store(true, Ordering::Release);
        self.requester.look();
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }
}

/// What a client in WAITAOF waits for: disks that have its writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiskWait {
    /// Offset of the log that replicas' disks must have.
    pub(crate) offset: u64,
    /// Offset of the append only file that this node's disk must have.
    pub(crate) file_offset: u64,
    /// Whether this node's disk must, and how many replicas'.
    pub(crate) local: bool,
    pub(crate) needed: usize,
}

impl DiskWait {
    /// Why there is nothing to wait for.
    pub(crate) const NO_FILE: &str =
        "WAITAOF cannot be used when numlocal is set but appendonly is disabled.";

    /// Whether this node's disk has it, and how many replicas'.
    pub(crate) fn met(self, node: &Node) -> (bool, usize) {
        // Until its first rewrite ends, a file is not whole.
        let file = node.log.recording_file().filter(|file| file.mode() == Mode::On);
        let here = file.is_some_and(|file| file.progress().durable >= self.file_offset);
        (here, node.replication.replicas.durable(self.offset))
    }

    pub(crate) fn is_over(self, (here, there): (bool, usize)) -> bool {
        (here || !self.local) && there >= self.needed
    }
}

impl Node {
    /// Has writes wait if the file is too far behind. Called after writes.
    pub(crate) fn look_at_file(&self, file: &Aof, now_nanos: u64) {
        if file.must_wait(now_nanos) && !self.admission.has(Condition::FileBehind) {
            self.admission.set_file(Condition::FileBehind, true);
            // It may have caught up in between; once this says true, it tells when it has.
            if !file.must_wait(now_nanos) {
                self.file_caught_up();
            }
        }
    }

    /// Whether replies still wait for the file; then the client is woken when they need not any more.
    pub(crate) fn waits_for_file(&self, unreleased: Unreleased, handle: &Arc<Handle>) -> bool {
        let Some(file) = self.log.file().filter(|file| !unreleased.is_over(file)) else {
            return false;
        };
        self.file_waiters.connections.lock().push((unreleased, Arc::clone(handle)));
        // Whoever releases looks at the list afterwards.
        !unreleased.is_over(file)
    }

    /// Whether replies need not wait for the file.
    pub(crate) fn is_released(&self, unreleased: Unreleased) -> bool {
        self.log.file().is_none_or(|file| unreleased.is_over(file))
    }

    /// Has the file get what was appended so far, by this thread if that takes no time.
    pub(crate) fn flush_file(&self, worker: usize) {
        let Some(file) = self.log.recording_file() else { return };
        if file.flush(worker) == Took::Long {
            let _relief = self.file_waiters.relief.lock();
            self.host().end_relief(worker);
        }
    }

    /// Looks whether the disk makes a writer wait. Then nobody else waits with it: those who have
    /// only read get their replies, and a worker's other clients go to other workers.
    pub(crate) fn watch_file(&self) {
        let Some(file) = self.log.recording_file() else { return };
        let relief = self.file_waiters.relief.lock();
        let Some(worker) = file.look_at_write() else { return };
        // It has not returned, or waits for this lock to end the relief.
        if worker < self.workers.len() {
            self.host().relieve(worker);
        }
        drop(relief);
        self.wake_waiters(|unreleased| unreleased.is_spared(file));
    }

    fn wake_waiters(&self, is_over: impl Fn(Unreleased) -> bool) {
        let mut over = Vec::new();
        self.file_waiters.connections.lock().retain(|(unreleased, handle)| {
            let waits = !is_over(*unreleased);
            if !waits {
                over.push(Arc::clone(handle));
            }
            waits
        });
        over.iter().for_each(|handle| handle.look());
    }

    /// Waits until the file has all that was appended so far, if others must not learn of it before.
    /// For threads that serve no clients.
    ///
    /// # Errors
    /// With the reason, when the file failed.
    pub(crate) fn wait_for_file(&self) -> Result<(), String> {
        let unreleased = self.log.unreleased(By::Writing);
        match self.log.recording_file() {
            Some(file) if unreleased.is_some() => file.wait_released(unreleased.offset()),
            _ => Ok(()),
        }
    }

    /// Whether what a master sends must wait: nobody refuses that or makes it wait.
    pub(crate) fn file_holds_master_back(&self) -> bool {
        self.admission.has(Condition::FileBehind) || self.admission.has(Condition::FileFailed)
    }
}

/// What the file's thread reports.
impl Node {
    /// The file is released up to an offset.
    pub(crate) fn file_released(&self, offset: u64) {
        self.wake_waiters(|unreleased| unreleased.offset() <= offset);
        if self.log.take_starved() {
            self.replication.replicas.wake();
        }
    }

    /// The file has caught up.
    pub(crate) fn file_caught_up(&self) {
        self.admission.set_file(Condition::FileBehind, false);
        self.admission.resume_waiting();
    }

    /// The file began to fail, or works again.
    pub(crate) fn file_changed(&self, state: &State) {
        self.admission.set_file(Condition::FileFailed, *state != State::Working);
    }
}
