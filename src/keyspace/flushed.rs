//! Tables of flushed databases, on their way to be freed.

use std::sync::Arc;

use super::raw::reclaim::Reclaim;
use super::raw::table::{Detached, Garbage};

/// Tables of a flushed database, not yet freed.
#[derive(Debug)]
#[must_use = "dropping it frees the memory, which may take a while"]
pub(crate) struct Flushed {
    pub(super) reclaim: Arc<Reclaim<Garbage>>,
    pub(super) tables: Vec<Detached>,
}

impl Flushed {
    /// Keys that dropping this frees.
    pub(crate) fn len(&self) -> usize {
        self.tables.iter().map(Detached::len).sum()
    }

    /// Bytes of values outside their entries; visits all the keys, so only for few.
    pub(super) fn object_bytes(&self) -> usize {
        let mut bytes = 0;
        for table in &self.tables {
            table.for_each(|entry| bytes += entry.object_bytes());
        }
        bytes
    }

    /// Frees one of the tables; returns its number of keys, `None` at the end.
    pub(super) fn free_one(&mut self) -> Option<usize> {
        let table = self.tables.pop()?;
        let keys = table.len();
        table.free(&self.reclaim);
        // Frees what no reader can see any more; the rest waits for them.
        self.reclaim.collect_all();
        Some(keys)
    }
}

impl Drop for Flushed {
    fn drop(&mut self) {
        while self.free_one().is_some() {}
    }
}
