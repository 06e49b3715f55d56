//! All connected clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::client::Handle;

/// Clients by id, in connection order.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    by_id: Mutex<BTreeMap<u64, Arc<Handle>>>,
    last_id: AtomicU64,
}

impl Clients {
    /// An unused client id.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn add(&self, handle: Arc<Handle>) {
        self.by_id.lock().insert(handle.origin.id, handle);
    }

    pub(crate) fn remove(&self, id: u64) {
        self.by_id.lock().remove(&id);
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.lock().len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Handle>> {
        self.by_id.lock().values().cloned().collect()
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<Handle>> {
        self.by_id.lock().get(&id).cloned()
    }
}
