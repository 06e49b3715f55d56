//! A master's periodic work for its replicas: pings, keepalives, slow or silent replicas, freeing
//! the backlog, and whether there are enough replicas to write.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::keyspace::ShardSet;
use crate::node::Node;
use crate::node::admission::Condition;
use crate::replication::{Phase, Replica};
use crate::telemetry::log::log;

/// State kept from round to round. Times are Unix milliseconds.
#[derive(Debug)]
pub(super) struct Upkeep {
    pinged_ms: i64,
    kept_alive_ms: i64,
    /// By replica, since when its lag exceeds its soft limit.
    behind_since_ms: BTreeMap<u64, i64>,
}

impl Upkeep {
    pub(super) fn new(now_ms: i64) -> Self {
        Self { pinged_ms: now_ms, kept_alive_ms: now_ms, behind_since_ms: BTreeMap::new() }
    }

    /// One round, ten times a second.
    pub(super) fn round(&mut self, node: &Arc<Node>) {
        let now_ms = node.clock.unix_ms();
        let replicas = &node.replication.replicas;
        if node.admission.has(Condition::FailingOver) {
            node.host().look_at_role();
        }
        node.advance_shutdown();
        node.look_at_good_replicas();
        if replicas.len() == 0 {
            self.behind_since_ms.clear();
            // The first replica to connect is pinged a period later: it is busy enough.
            self.pinged_ms = now_ms;
            end_backlog(node, now_ms);
            return;
        }
        self.ping(node, now_ms);
        if now_ms - self.kept_alive_ms >= 1000 {
            self.kept_alive_ms = now_ms;
            replicas.keep_alive();
        }
        self.cut_bad(node, now_ms);
        if replicas.all().iter().any(|replica| replica.is_waiting()) {
            let mut shards = node.keyspace.lock(ShardSet::ALL);
            node.host().sync_replicas(&mut shards.locked());
        }
        // Along with a ping, and time marks for replicas that get them.
        node.feed_replicas();
    }

    fn ping(&mut self, node: &Node, now_ms: i64) {
        let period_ms = i64::from(node.settings.load().replication.ping_period_secs) * 1000;
        // A replica relays what its master sends, and adds nothing.
        let held_back = node.is_replica() || node.admission.has(Condition::FailingOver);
        if !held_back && now_ms - self.pinged_ms >= period_ms {
            self.pinged_ms = now_ms;
            // While a script holds the locks, the next round tries again.
            let _logged: bool = node.log_bare(&[b"PING"]);
        }
    }

    /// Disconnects replicas that are silent, or too far behind.
    fn cut_bad(&mut self, node: &Node, now_ms: i64) {
        let settings = node.settings.load();
        let timeout_ms = i64::from(settings.replication.timeout_secs) * 1000;
        let limit = settings.clients.output_buffer_limits.replica;
        let backlog = settings.replication.backlog_size_bytes;
        let all = node.replication.replicas.all();
        self.behind_since_ms.retain(|id, _| all.iter().any(|replica| replica.id == *id));
        // One that was cut leaves when its worker comes to it.
        for replica in all.iter().filter(|replica| !replica.is_ending()) {
            // A replica that used SYNC sends nothing once it has the data.
            let mute = replica.plain_sync && replica.phase() == Some(Phase::Online);
            let spared = mute || replica.is_waiting();
            if now_ms - replica.active_ms() > timeout_ms && !spared {
                log!(Warning, "Disconnecting timedout replica {}", name(replica));
                node.replication.replicas.disconnect(replica);
                continue;
            }
            // While a replica takes a full resync, what follows piles up; cutting it would only
            // restart that. It must keep taking bytes, though, or the timeout ends it.
            if replica.phase() != Some(Phase::Online) {
                continue;
            }
            let behind = node.log.offset().saturating_sub(replica.sent());
            let hard = limit.hard_bytes.max(backlog);
            let soft = limit.soft_bytes != 0 && behind > limit.soft_bytes;
            let since_ms = match soft {
                true => *self.behind_since_ms.entry(replica.id).or_insert(now_ms),
                false => {
                    self.behind_since_ms.remove(&replica.id);
                    now_ms
                }
            };
            let soft_ms = i64::try_from(limit.soft_secs).unwrap_or(i64::MAX).saturating_mul(1000);
            let too_long = soft && now_ms - since_ms > soft_ms;
            let too_far = limit.hard_bytes != 0 && behind > hard;
            if too_far || too_long {
                let which = if too_far {
                    format!("hard limit {hard}")
                } else {
                    format!("soft limit {} for {} s", limit.soft_bytes, limit.soft_secs)
                };
                log!(
                    Warning,
                    "Client id={} (replica {}) scheduled to be closed ASAP for overcoming of \
                     output buffer limits ({behind} bytes behind; replica, {which}).",
                    replica.id,
                    name(replica)
                );
                node.stats.output_limit_disconnections.add(1);
                node.stats.replicas_cut.add(1);
                node.replication.replicas.disconnect(replica);
            }
        }
    }
}

fn name(replica: &Replica) -> String {
    format!("{}:{}", replica.ip, replica.announced.port)
}

/// Frees the backlog of a master that has had no replicas for long enough. What is written from
/// then on is in no log, so its history ends.
fn end_backlog(node: &Node, now_ms: i64) {
    let ttl_s = node.settings.load().replication.backlog_ttl_secs;
    let over = || {
        ttl_s > 0
            && node.log.has_backlog()
            && !node.is_replica()
            && node.replication.replicas.len() == 0
            && now_ms - node.replication.replicas.left_ms() > ttl_s.saturating_mul(1000)
    };
    if over() {
        let mut shards = node.keyspace.lock(ShardSet::ALL);
        let _locked = shards.locked();
        if over() {
            node.log.stop(node.host().new_id());
            log!(
                Notice,
                "Replication backlog freed after {ttl_s} seconds without connected replicas."
            );
        }
    }
}
