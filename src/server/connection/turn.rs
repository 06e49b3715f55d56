//! The end of a worker's turn in a connection: replies wait for it, so that they are written in a row
//! and after their writes are handed to the append only file and to replicas. And a replica's
//! connection sends on when its socket has room.

use std::io::{self, ErrorKind};
use std::task::{Context, Poll};

use super::{Connection, Over};
use crate::replication::{By, Sent, Unreleased};
use crate::resp::Output;
use crate::server::worker::Worker;
use crate::telemetry::log::log;

impl Connection {
    /// Keeps the replies of a batch, if before they go out replicas must be fed or the append only
    /// file must have what they tell of. That is done once for all the ready connections, so this one
    /// queues up behind those.
    pub(super) fn waits_for_turn(&mut self, cx: &Context<'_>, worker: &mut Worker) -> bool {
        let node = &self.engine.node;
        if self.unreleased.is_some() {
            if !node.is_released(self.unreleased) {
                self.keep(cx, worker);
                return true;
            }
            self.unreleased = Unreleased::default();
        }
        if self.owed == 0 {
            return false;
        }
        let replicas = &node.replication.replicas;
        if replicas.is_feed_overdue(self.owed) {
            node.feed_replicas();
        }
        if !replicas.is_feed_due(&node.log, self.owed) {
            self.owed = 0;
            return false;
        }
        self.keep(cx, worker);
        true
    }

    /// Keeps the replies until the other ready connections have run.
    pub(super) fn keep(&mut self, cx: &Context<'_>, worker: &mut Worker) {
        (_, self.kept_nanos) = worker.executor.batch_nanos;
        self.kept = worker.keep_output();
        cx.waker().wake_by_ref();
    }

    /// Whether replies are kept.
    #[inline]
    pub(super) fn keeps(&self) -> bool {
        self.owed != 0 || self.unreleased.is_some() || self.kept.len() > 0
    }

    /// Keeps messages that tell of what the append only file has not released.
    pub(super) fn keeps_back(&mut self, pushes: &Output) -> bool {
        let node = &self.engine.node;
        let unreleased = node.log.unreleased(By::Reading);
        if !unreleased.is_some() {
            return false;
        }
        // Whoever wrote it cares for the file.
        self.handle.take_look();
        if !node.waits_for_file(unreleased, &self.handle) {
            return false;
        }
        self.unreleased = unreleased;
        self.kept_nanos = node.clock.nanos();
        self.kept.append(pushes);
        true
    }

    /// Runs after all the ready connections: writes the append only file and feeds replicas, unless
    /// another one has, and writes the replies that waited for that.
    pub(super) fn end_turn(
        &mut self,
        cx: &mut Context<'_>,
        worker: &mut Worker,
    ) -> Result<(), Over> {
        let node = &self.engine.node;
        if self.unreleased.is_some() {
            // First: what comes from here on wakes this connection again.
            self.handle.take_look();
            node.flush_file(worker.index);
            if node.waits_for_file(self.unreleased, &self.handle) {
                return Ok(());
            }
            self.unreleased = Unreleased::default();
        }
        let replicas = &node.replication.replicas;
        if self.owed != 0 && replicas.is_feed_due(&node.log, self.owed) {
            node.feed_replicas();
            if replicas.is_feed_due(&node.log, self.owed) {
                if node.log.feedable() < self.owed {
                    // Replicas may not have it yet.
                    self.unreleased = node.log.unreleased(By::Writing);
                }
                // A replica lacks more than one send takes, and has room for it.
                cx.waker().wake_by_ref();
                return Ok(());
            }
        }
        self.owed = 0;
        worker.restore_output(std::mem::take(&mut self.kept));
        self.write(cx, worker, self.kept_nanos)
    }

    /// Sends a replica what it lacks, as far as the socket has room.
    pub(super) fn feed(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        let Some(replica) = &self.client.replica else { return Ok(()) };
        let node = &self.engine.node;
        let replicas = &node.replication.replicas;
        let lost = |reason: &dyn std::fmt::Display| {
            log!(Warning, "Connection with replica {} lost: {reason}", replica.ip);
            Over
        };
        if !self.feeds {
            // The answer to PSYNC is written.
            let outlet = self.stream.outlet().map_err(|error| lost(&error))?;
            if node.settings.load().replication.disable_tcp_nodelay {
                self.stream.gather().map_err(|error| lost(&error))?;
            }
            replica.attach(outlet);
            self.feeds = true;
        }
        // First: what comes from here on wakes this connection again.
        self.handle.take_look();
        if replicas.is_ack_wanted() {
            node.feed_replicas();
        }
        let send = || match replicas.feed_one(replica, &node.log, node.clock.unix_ms()) {
            Ok(Sent::Full) => Err(ErrorKind::WouldBlock.into()),
            Ok(sent) => Ok(sent),
            Err(reason) => Err(io::Error::other(reason)),
        };
        match self.stream.poll_send(cx, send) {
            // Others on this worker want their turn.
            Poll::Ready(Ok(Sent::Part)) => cx.waker().wake_by_ref(),
            Poll::Ready(Err(error)) => return Err(lost(&error)),
            Poll::Ready(Ok(_)) | Poll::Pending => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
