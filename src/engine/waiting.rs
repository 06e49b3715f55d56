//! The end of a wait: a client in WAIT is answered when replicas have its writes, when its time is
//! up, or when somebody else ends it.

use super::Executor;
use crate::node::client::{Client, WaitsFor};

impl Executor {
    /// Ends a client's wait if it is over, and answers the client. False if it still waits.
    pub(crate) fn answer_waiting(&mut self, client: &mut Client) -> bool {
        let Some(waiting) = client.waiting else { return true };
        let node = &*self.engine.node;
        self.output.begin(client.protocol);
        match waiting.what {
            WaitsFor::Shutdown => {
                if node.shutdown.is_some() {
                    return false;
                }
                self.output.error(b"ERR Errors trying to SHUTDOWN. Check logs.");
            }
            WaitsFor::Replicas { offset, needed } => {
                let acknowledged = node.replication.replicas.acknowledged(offset);
                let over = waiting.deadline_ms.is_some_and(|at| at <= node.clock.unix_ms());
                if waiting.generation != node.replication.generation() {
                    self.output.error(
                        b"UNBLOCKED force unblock from blocking operation, instance state changed \
                          (master -> replica?)",
                    );
                    client.closing = true;
                } else if let Some(error) = client.handle.take_unblocked() {
                    if error {
                        self.output.error(b"UNBLOCKED client unblocked via CLIENT UNBLOCK");
                    } else {
                        self.output.count(acknowledged);
                    }
                } else if over || acknowledged >= needed {
                    let nanos = node.clock.nanos().saturating_sub(waiting.began_nanos);
                    if acknowledged >= needed {
                        node.stats.waits_met.observe(nanos);
                    } else {
                        node.stats.waits_timed_out.observe(nanos);
                    }
                    self.output.count(acknowledged);
                } else {
                    return false;
                }
                node.replication.replicas.stop_waiting(client.handle.origin.id);
            }
        }
        client.waiting = None;
        client.publish();
        true
    }
}
