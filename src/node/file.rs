//! The append only file as commands and connections meet it: who waits for it, and when.
//!
//! Under `always`, replies wait until the file has released what they tell of. Under any policy,
//! writes wait while the file is too far behind, as in a pause, and are refused while it fails. The
//! file's own thread calls the methods of the second half, without any lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::Node;
use super::admission::Condition;
use super::client::Handle;
use crate::aof::{Aof, State};

/// Connections whose replies wait, each with the offset of the file that must be released.
#[derive(Debug, Default)]
pub(crate) struct FileWaiters(Mutex<Vec<(u64, Arc<Handle>)>>);

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

    /// Whether replies still wait for an offset of the file; then the client is woken when it is
    /// released.
    pub(crate) fn waits_for_file(&self, offset: u64, handle: &Arc<Handle>) -> bool {
        let Some(file) = self.log.file() else { return false };
        if file.released() >= offset {
            return false;
        }
        self.file_waiters.0.lock().push((offset, Arc::clone(handle)));
        // Whoever releases looks at the list afterwards.
        file.released() < offset
    }

    /// Waits until the file has all that was appended so far, if others must not learn of it before.
    /// For threads that serve no clients.
    ///
    /// # Errors
    /// With the reason, when the file failed.
    pub(crate) fn wait_for_file(&self) -> Result<(), String> {
        match (self.log.recording_file(), self.log.unreleased()) {
            (Some(file), 1..) => file.wait_released(self.log.unreleased()),
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
        let mut released = Vec::new();
        self.file_waiters.0.lock().retain(|(wanted, handle)| {
            let waits = *wanted > offset;
            if !waits {
                released.push(Arc::clone(handle));
            }
            waits
        });
        released.iter().for_each(|handle| handle.look());
        if offset != u64::MAX && self.replication.replicas.len() > 0 {
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
