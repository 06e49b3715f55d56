//! Shutdown with replicas: holds back writes and waits until the replicas have caught up, at most
//! `shutdown-timeout`.

use parking_lot::Mutex;

use super::Node;
use super::admission::Condition;
use super::host::{HostResult, Shutdown};
use crate::keyspace::{Locked, ShardSet};
use crate::replication::Phase;
use crate::telemetry::log::log;

/// A shutdown that waits for replicas.
#[derive(Clone, Copy, Debug)]
struct Pending {
    how: Shutdown,
    /// The offset that replicas must acknowledge.
    offset: u64,
    /// Unix milliseconds.
    deadline_ms: i64,
}

/// The pending shutdown, if any.
#[derive(Debug, Default)]
pub(crate) struct PendingShutdown(Mutex<Option<Pending>>);

impl PendingShutdown {
    pub(crate) fn is_some(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Milliseconds until it stops waiting for lagging replicas.
    pub(crate) fn left_ms(&self, now_ms: i64) -> Option<i64> {
        self.0.lock().map(|pending| (pending.deadline_ms - now_ms).max(0))
    }
}

/// How a shutdown began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// The process ends.
    Ending,
    /// It waits for replicas.
    Waiting,
}

impl Node {
    /// Ends the process, or starts waiting for lagging replicas.
    ///
    /// # Errors
    /// The save failed; the process continues.
    pub(crate) fn begin_shutdown(
        &self,
        locked: &mut Locked<'_>,
        how: Shutdown,
    ) -> Result<Begun, String> {
        let timeout_s = self.settings.load().process.shutdown_timeout_secs;
        let offset = self.log.offset();
        let replicas = &self.replication.replicas;
        let caught_up = replicas.len() == 0 || replicas.all_acknowledged(offset);
        if how.now || timeout_s == 0 || caught_up || self.is_replica() {
            return self.end(locked, how).map(|()| Begun::Ending);
        }
        let deadline_ms = self.clock.unix_ms() + i64::from(timeout_s) * 1000;
        *self.shutdown.0.lock() = Some(Pending { how, offset, deadline_ms });
        self.admission.set(locked, Condition::EndingSoon, true);
        replicas.want_ack();
        log!(Notice, "Waiting for replicas before shutting down.");
        Ok(Begun::Waiting)
    }

    /// Ends the process once its replicas have caught up or the timeout has passed.
    pub(crate) fn advance_shutdown(&self) {
        let Some(pending) = *self.shutdown.0.lock() else { return };
        let over = pending.deadline_ms <= self.clock.unix_ms();
        if !over && !self.replication.replicas.all_acknowledged(pending.offset) {
            return;
        }
        let mut guard = self.keyspace.lock(ShardSet::ALL);
        let mut locked = guard.locked();
        if self.shutdown.0.lock().take().is_none() {
            return;
        }
        self.log_laggards(pending.offset);
        if let Err(reason) = self.end(&mut locked, pending.how) {
            log!(Warning, "Errors trying to shut down the server: {reason}");
            self.resume_after_shutdown(&locked);
        }
    }

    fn log_laggards(&self, offset: u64) {
        for view in self.replication.replicas.views() {
            if view.phase == Phase::Online && view.acked < offset {
                log!(
                    Notice,
                    "Lagging replica {}:{} reported offset {} behind master, lag={}, state={}.",
                    view.ip,
                    view.port,
                    offset - view.acked,
                    (self.clock.unix_ms() - view.acked_ms) / 1000,
                    view.phase.name()
                );
            }
        }
    }

    /// Cancels a pending shutdown; false if there is none.
    pub(crate) fn abort_shutdown(&self, locked: &Locked<'_>) -> bool {
        let aborted = self.shutdown.0.lock().take().is_some();
        if aborted {
            log!(Warning, "Shutdown manually aborted.");
            self.resume_after_shutdown(locked);
        }
        aborted
    }

    fn resume_after_shutdown(&self, locked: &Locked<'_>) {
        self.admission.set(locked, Condition::EndingSoon, false);
        self.admission.resume_waiting();
        // Wakes clients blocked in SHUTDOWN, which get an error.
        self.clients.all().iter().for_each(|handle| handle.look());
    }

    fn end(&self, locked: &mut Locked<'_>, how: Shutdown) -> HostResult {
        self.host().shutdown(locked, how)
    }
}
