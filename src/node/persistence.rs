//! The state of saving: input of INFO persistence and of save points.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::keyspace::snapshot::Retention;

/// The progress of a load that blocks commands: at start, or replacing a replica's data. Whether a
/// load runs is in [`Condition::Loading`](super::admission::Condition::Loading).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loading {
    pub(crate) started_ms: i64,
    pub(crate) total_bytes: u64,
    pub(crate) loaded_bytes: u64,
}

/// What a snapshot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The RDB file.
    Save,
    /// Replicas.
    FullSync,
    /// The base of the append only file.
    Rewrite,
}

/// A running snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) purpose: Purpose,
    pub(crate) started_ms: i64,
    /// Change count at the cut.
    pub(crate) dirty_at_cut: u64,
    pub(crate) retention: Arc<Retention>,
    pub(crate) keys_total: usize,
    pub(crate) keys_saved: usize,
}

/// The state of saving.
#[derive(Clone, Debug)]
pub(crate) struct Saving {
    pub(crate) running: Option<Running>,
    /// A BGSAVE SCHEDULE is pending.
    pub(crate) scheduled: bool,
    /// Change count at the cut of the last successful save.
    pub(crate) saved_dirty: u64,
    /// Unix milliseconds of the last successful save.
    pub(crate) saved_ms: i64,
    /// Start of the last background attempt. Whether it failed is in
    /// [`Condition::SaveFailed`](super::admission::Condition::SaveFailed).
    pub(crate) tried_ms: i64,
    pub(crate) last_duration_ms: Option<i64>,
    pub(crate) saves: u64,
    /// Most bytes retained by the last or the current snapshot.
    pub(crate) retained_peak_bytes: usize,
    /// Most bytes retained by the last rewrite of the append only file, and how long it took.
    pub(crate) rewrite_retained_peak_bytes: usize,
    pub(crate) last_rewrite_ms: Option<i64>,
    pub(crate) keys_loaded: u64,
    pub(crate) keys_expired_at_load: u64,
    pub(crate) loading: Option<Loading>,
    /// Snapshots begun, and how long the last one held the data to begin.
    pub(crate) cuts: u64,
    pub(crate) last_cut_nanos: u64,
}

/// The state, shared with the saver.
#[derive(Debug)]
pub(crate) struct Persistence(Mutex<Saving>);

impl Saving {
    /// The snapshot that runs, if it is a save or for replicas.
    pub(crate) fn running_save(&self) -> Option<&Running> {
        self.running.as_ref().filter(|running| running.purpose != Purpose::Rewrite)
    }

    /// The snapshot that runs, if it is for the append only file.
    pub(crate) fn running_rewrite(&self) -> Option<&Running> {
        self.running.as_ref().filter(|running| running.purpose == Purpose::Rewrite)
    }
}

impl Persistence {
    pub(crate) fn new(now_ms: i64) -> Self {
        Self(Mutex::new(Saving {
            running: None,
            scheduled: false,
            saved_dirty: 0,
            saved_ms: now_ms,
            tried_ms: 0,
            last_duration_ms: None,
            saves: 0,
            retained_peak_bytes: 0,
            rewrite_retained_peak_bytes: 0,
            last_rewrite_ms: None,
            keys_loaded: 0,
            keys_expired_at_load: 0,
            loading: None,
            cuts: 0,
            last_cut_nanos: 0,
        }))
    }

    pub(crate) fn get(&self) -> Saving {
        self.0.lock().clone()
    }

    /// What the running snapshot retains, if one runs.
    pub(crate) fn retention(&self) -> Option<Arc<Retention>> {
        self.0.lock().running.as_ref().map(|running| Arc::clone(&running.retention))
    }

    /// Records the progress of a load.
    pub(crate) fn loaded(&self, bytes: u64) {
        self.update(|saving| {
            if let Some(loading) = &mut saving.loading {
                loading.loaded_bytes = bytes;
            }
        });
    }

    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut Saving) -> R) -> R {
        change(&mut self.0.lock())
    }
}
