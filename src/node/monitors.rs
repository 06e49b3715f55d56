//! Clients in MONITOR, which get a line for every command that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use super::client::Handle;
use crate::resp::{Output, Part, Protocol};

/// All monitors.
#[derive(Debug, Default)]
pub(crate) struct Monitors {
    handles: RwLock<Vec<Arc<Handle>>>,
    /// Their number: if 0, a batch costs one load.
    count: AtomicUsize,
}

impl Monitors {
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) != 0
    }

    /// Adds a client that is none yet.
    pub(crate) fn add(&self, handle: &Arc<Handle>) {
        let mut handles = self.handles.write();
        handles.push(Arc::clone(handle));
        self.count.store(handles.len(), Ordering::Release);
    }

    /// Removes a client, if it is one.
    pub(crate) fn remove(&self, id: u64) {
        let mut handles = self.handles.write();
        handles.retain(|handle| handle.origin.id != id);
        self.count.store(handles.len(), Ordering::Release);
    }

    /// Sends a line, given with its end, to all monitors but the client whose command it shows.
    pub(crate) fn tell(&self, line: &Bytes, runner: u64) {
        let mut output = Output::new(Protocol::default());
        output.raw_part(&Part::sharing(line));
        for handle in self.handles.read().iter().filter(|handle| handle.origin.id != runner) {
            handle.push(&output);
        }
    }
}
