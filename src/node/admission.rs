//! The conditions that commands are checked against: loading, a pause, a failed save, the role.
//!
//! They change only under all shard locks and with a new epoch. The engine checks before it locks
//! and compares epochs afterwards, so no command runs on an outdated check.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::client::Handle;
use crate::keyspace::{Locked, ShardSet};

/// A condition that commands are checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Condition {
    /// The data set is being loaded.
    Loading = 1,
    /// Commands that write wait.
    PausedWrites = 1 << 1,
    /// All commands wait.
    PausedAll = 1 << 2,
    /// The last background save failed, and writes are refused until one succeeds.
    SaveFailed = 1 << 3,
    /// The process is ending.
    ShuttingDown = 1 << 4,
    /// This node follows a master.
    Replica = 1 << 5,
    /// This node is a replica, and its link to the master is down.
    MasterDown = 1 << 6,
    /// A master with fewer good replicas than `min-replicas-to-write` asks for.
    TooFewReplicas = 1 << 7,
    /// Writes wait while another node takes over.
    FailingOver = 1 << 8,
    /// Writes wait while replicas catch up before the process ends.
    EndingSoon = 1 << 9,
    /// A script runs for longer than `busy-reply-threshold`.
    Busy = 1 << 10,
    /// The append only file cannot be written, and writes are refused.
    FileFailed = 1 << 13,
    /// Writes wait until the append only file has caught up.
    FileBehind = 1 << 14,
}

/// The current conditions, and clients that wait for them.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    states: AtomicU32,
    epoch: AtomicU64,
    /// End of the pause, Unix time in milliseconds.
    paused_until_ms: AtomicI64,
    /// Clients whose commands wait for a pause to end.
    waiting: Mutex<Vec<Arc<Handle>>>,
}

impl Admission {
    /// Whether no condition holds, so that commands need no check.
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        self.states.load(Ordering::Acquire) == 0
    }

    #[inline]
    pub(crate) fn has(&self, state: Condition) -> bool {
        self.states.load(Ordering::Acquire) & state as u32 != 0
    }

    /// Increments with every change.
    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Sets or clears a condition.
    pub(crate) fn set(&self, locked: &Locked<'_>, state: Condition, on: bool) {
        assert_eq!(locked.set(), ShardSet::ALL, "admission changes under all the locks");
        if on {
            self.states.fetch_or(state as u32, Ordering::AcqRel);
        } else {
            self.states.fetch_and(!(state as u32), Ordering::AcqRel);
        }
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Sets or clears [`Condition::Busy`]. It changes under no lock: a script that
    /// runs for long has some, and others that wait for them look at it again and again.
    pub(crate) fn set_busy(&self, on: bool) {
        if on {
            self.states.fetch_or(Condition::Busy as u32, Ordering::AcqRel);
        } else {
            self.states.fetch_and(!(Condition::Busy as u32), Ordering::AcqRel);
        }
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Sets or clears [`Condition::FileFailed`] or [`Condition::FileBehind`], which change under no
    /// lock either: they protect the disk's state, of which no lock is held.
    pub(crate) fn set_file(&self, state: Condition, on: bool) {
        debug_assert!(matches!(state, Condition::FileFailed | Condition::FileBehind));
        if on {
            self.states.fetch_or(state as u32, Ordering::AcqRel);
        } else {
            self.states.fetch_and(!(state as u32), Ordering::AcqRel);
        }
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Reports another change that affects checks: settings.
    pub(crate) fn changed(&self, locked: &Locked<'_>) {
        assert_eq!(locked.set(), ShardSet::ALL, "settings change under all the locks");
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Pauses clients until a Unix time; keeps an active pause that is longer or stricter.
    pub(crate) fn pause(&self, locked: &Locked<'_>, all: bool, until_ms: i64, now_ms: i64) {
        if self.is_paused_by_client() && self.paused_until_ms() <= now_ms {
            self.unpause(locked);
        }
        let until = self.paused_until_ms.load(Ordering::Relaxed).max(until_ms);
        self.paused_until_ms.store(until, Ordering::Relaxed);
        let strictest = all || self.has(Condition::PausedAll);
        self.set(
            locked,
            if strictest { Condition::PausedAll } else { Condition::PausedWrites },
            true,
        );
    }

    /// When the pause ends, in Unix milliseconds.
    pub(crate) fn paused_until_ms(&self) -> i64 {
        self.paused_until_ms.load(Ordering::Relaxed)
    }

    /// Whether any commands are held back.
    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused_by_client() || self.is_held()
    }

    /// Whether writes wait for an event rather than for a time.
    pub(crate) fn is_held(&self) -> bool {
        self.has(Condition::FailingOver)
            || self.has(Condition::EndingSoon)
            || self.has(Condition::FileBehind)
    }

    /// Whether CLIENT PAUSE holds commands back; that ends by time.
    pub(crate) fn is_paused_by_client(&self) -> bool {
        self.has(Condition::PausedAll) || self.has(Condition::PausedWrites)
    }

    /// Whether the pause is still active at a Unix time.
    #[inline]
    pub(crate) fn is_paused_at(&self, now_ms: i64) -> bool {
        self.is_held() || self.is_paused_by_client() && self.paused_until_ms() > now_ms
    }

    /// How long the pause by CLIENT PAUSE goes on.
    pub(crate) fn pause_left(&self, now_ms: i64) -> Duration {
        let left_ms = self.paused_until_ms().saturating_sub(now_ms);
        Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
    }

    /// Ends a pause and wakes its waiters.
    pub(crate) fn unpause(&self, locked: &Locked<'_>) {
        self.paused_until_ms.store(0, Ordering::Relaxed);
        self.set(locked, Condition::PausedAll, false);
        self.set(locked, Condition::PausedWrites, false);
        self.resume_waiting();
    }

    /// Wakes waiting clients, which check again.
    pub(crate) fn resume_waiting(&self) {
        for handle in self.waiting.lock().drain(..) {
            handle.resume();
        }
    }

    /// Registers `handle` to be woken when the pause ends. False if no pause is active.
    pub(crate) fn wait(&self, handle: &Arc<Handle>) -> bool {
        let mut waiting = self.waiting.lock();
        // `unpause` clears the states before it wakes, so a late client sees that.
        if !self.is_paused() {
            return false;
        }
        if !waiting.iter().any(|other| Arc::ptr_eq(other, handle)) {
            waiting.push(Arc::clone(handle));
        }
        true
    }

    /// Whether a client waits for the end of a pause.
    pub(crate) fn is_waiting(&self, handle: &Arc<Handle>) -> bool {
        self.waiting.lock().iter().any(|other| Arc::ptr_eq(other, handle))
    }

    /// Removes a client from the waiters.
    pub(crate) fn forget(&self, handle: &Arc<Handle>) {
        self.waiting.lock().retain(|other| !Arc::ptr_eq(other, handle));
    }

    /// Clients that wait for the end of a pause.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.lock().len()
    }
}
