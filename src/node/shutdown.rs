//! Shutdown with replicas: holds back writes and waits until the replicas have caught up, at most
//! `shutdown-timeout`.

use std::sync::atomic::{AtomicUsize, Ordering};

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
pub(crate) struct PendingShutdown {
    pending: Mutex<Option<Pending>>,
    /// One that a signal asked for while DEBUG PAUSE-CRON holds periodic work back: in Redis it is
    /// that which ends the process on a signal.
    put_off: Mutex<Option<Shutdown>>,
    clients: AtomicUsize,
}

impl PendingShutdown {
    pub(crate) fn is_some(&self) -> bool {
        self.pending.lock().is_some() || self.put_off.lock().is_some()
    }

    /// Keeps a shutdown until periodic work goes on.
    pub(crate) fn put_off(&self, how: Shutdown) {
        *self.put_off.lock() = Some(how);
    }

    /// The shutdown that is due as periodic work goes on.
    pub(crate) fn take_put_off(&self) -> Option<Shutdown> {
        self.put_off.lock().take()
    }

    /// Milliseconds until it stops waiting for lagging replicas.
    pub(crate) fn left_ms(&self, now_ms: i64) -> Option<i64> {
        self.pending.lock().map(|pending| (pending.deadline_ms - now_ms).max(0))
    }

    /// A client begins to wait in SHUTDOWN.
    pub(crate) fn add_client(&self) {
        self.clients.fetch_add(1, Ordering::Relaxed);
    }

    /// Such a client was answered, or has left.
    pub(crate) fn remove_client(&self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }

    /// Clients that wait in SHUTDOWN.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
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
        log!(Warning, "User requested shutdown...");
        let timeout_s = self.settings.load().process.shutdown_timeout_secs;
        let offset = self.log.offset();
        let replicas = &self.replication.replicas;
        let caught_up = replicas.len() == 0 || replicas.all_acknowledged(offset);
        if how.now || timeout_s == 0 || caught_up || self.is_replica() {
            return self.end(locked, how, offset).map(|()| Begun::Ending);
        }
        let deadline_ms = self.clock.unix_ms() + i64::from(timeout_s) * 1000;
        *self.shutdown.pending.lock() = Some(Pending { how, offset, deadline_ms });
        self.admission.set(locked, Condition::EndingSoon, true);
        replicas.want_ack();
        log!(Notice, "Waiting for replicas before shutting down.");
        Ok(Begun::Waiting)
    }

    /// Ends the process once its replicas have caught up or the timeout has passed.
    pub(crate) fn advance_shutdown(&self) {
        let Some(pending) = *self.shutdown.pending.lock() else { return };
        let over = pending.deadline_ms <= self.clock.unix_ms();
        if !over && !self.replication.replicas.all_acknowledged(pending.offset) {
            return;
        }
        let mut guard = self.keyspace.lock(ShardSet::ALL);
        let mut locked = guard.locked();
        if self.shutdown.pending.lock().take().is_none() {
            return;
        }
        if let Err(reason) = self.end(&mut locked, pending.how, pending.offset) {
            log!(Warning, "Errors trying to shut down the server: {reason}");
            self.resume_after_shutdown(&locked);
        }
    }

    /// Logs which replicas lack writes up to an offset now that the node ends.
    fn log_replicas(&self, offset: u64) {
        let views = self.replication.replicas.views();
        let lagging = views.iter().filter(|view| view.acked < offset);
        for view in lagging.clone() {
            let lag_s = match view.phase {
                Phase::Online => (self.clock.unix_ms() - view.acked_ms) / 1000,
                _ => 0,
            };
            log!(
                Warning,
                "Lagging replica {}:{} reported offset {} behind master, lag={lag_s}, state={}.",
                view.ip,
                view.port,
                offset.saturating_sub(view.acked),
                view.phase.name()
            );
        }
        if !views.is_empty() {
            let (in_sync, all) = (views.len() - lagging.count(), views.len());
            log!(Notice, "{in_sync} of {all} replicas are in sync when shutting down.");
        }
    }

    /// Cancels a pending shutdown; false if there is none.
    pub(crate) fn abort_shutdown(&self, locked: &Locked<'_>) -> bool {
        let waiting = self.shutdown.pending.lock().take().is_some();
        let aborted = self.shutdown.take_put_off().is_some() || waiting;
        if aborted {
            log!(Notice, "Shutdown manually aborted.");
        }
        if waiting {
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

    /// Ends the process; the last write ended at `offset`. The log may be longer: it has the requests
    /// for acknowledgements, too.
    fn end(&self, locked: &mut Locked<'_>, how: Shutdown, offset: u64) -> HostResult {
        self.log_replicas(offset);
        self.host().shutdown(locked, how)
    }
}
