//! FAILOVER: a master hands its role to a replica that has all its data.
//!
//! Writes wait until the target has acknowledged the whole log. Then this node follows the target
//! and its PSYNC asks the target to become master. Nothing is written in between, so both share one
//! history and a partial resync of no bytes is enough.

use super::Node;
use super::admission::Condition;
use super::replication::Failover;
use crate::keyspace::{Locked, ShardSet};
use crate::replication::{Phase, ReplicaView};
use crate::settings::MasterAddress;
use crate::telemetry::log::log;

/// Length of `REPLCONF GETACK *` in the stream.
const GETACK_BYTES: u64 = 37;

impl Node {
    /// Starts waiting for the target, or for any replica.
    pub(crate) fn begin_failover(
        &self,
        locked: &Locked<'_>,
        target: Option<MasterAddress>,
        deadline_ms: Option<i64>,
        force: bool,
    ) {
        self.replication.set_failover(Failover::WaitForSync { target, deadline_ms, force });
        self.admission.set(locked, Condition::FailingOver, true);
        // Two requests: an acknowledgement excludes the request that it answers, so the second
        // one's covers the first.
        let ask: &[&[u8]] = &[b"REPLCONF", b"GETACK", b"*"];
        self.log.append_bare(ask);
        self.log.append_bare(ask);
        self.replication.replicas.wake();
        self.host().look_at_role();
    }

    /// Advances the failover if the target has caught up or the deadline has passed.
    pub(crate) fn advance_failover(&self) {
        let Failover::WaitForSync { .. } = self.replication.failover() else { return };
        let mut guard = self.keyspace.lock(ShardSet::ALL);
        let locked = guard.locked();
        // It may have ended before the locks were acquired.
        let Failover::WaitForSync { target, deadline_ms, force } = self.replication.failover()
        else {
            return;
        };
        let over = deadline_ms.is_some_and(|at| at <= self.clock.unix_ms());
        let views = self.replication.replicas.views();
        let is_target = |view: &&ReplicaView| {
            target.as_ref().is_none_or(|to| view.port == to.port && view.ip == to.host)
        };
        let offset = self.log.offset();
        let has_all = |view: &&ReplicaView| {
            view.phase == Phase::Online
                && (view.acked == offset || view.acked + GETACK_BYTES == offset)
        };
        let ready = views.iter().filter(is_target).find(has_all);
        let chosen = match (ready, target, over && force) {
            (Some(view), ..) => {
                let (host, port) = (view.ip.clone(), view.port);
                log!(Notice, "Failover target {host}:{port} is synced, failing over.");
                MasterAddress { host, port }
            }
            (None, Some(target), true) => {
                let MasterAddress { host, port } = &target;
                log!(Notice, "FAILOVER to {host}:{port} time out exceeded, failing over.");
                target
            }
            _ if over => {
                self.end_failover(&locked, "Replica never caught up before timeout");
                return;
            }
            _ => return,
        };
        self.replication.set_failover(Failover::InProgress { target: chosen.clone() });
        self.replication.give_consent();
        self.follow(&locked, chosen);
    }

    /// Ends a failover: completed if `reason` is empty, else aborted.
    pub(crate) fn end_failover(&self, locked: &Locked<'_>, reason: &str) {
        let current = self.replication.failover();
        if current == Failover::None {
            return;
        }
        let _span = tracing::info_span!("failover.end", aborted = !reason.is_empty()).entered();
        self.replication.set_failover(Failover::None);
        if reason.is_empty() {
            log!(Notice, "Failover completed.");
        } else {
            log!(Notice, "Aborting failover: {reason}.");
            if matches!(current, Failover::InProgress { .. }) {
                self.promote(locked);
            }
        }
        self.admission.set(locked, Condition::FailingOver, false);
        self.admission.resume_waiting();
    }
}
