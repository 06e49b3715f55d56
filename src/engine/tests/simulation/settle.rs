//! The end of a seed: the network works, nobody writes, one node becomes the master. Compares what
//! must then be equal on all the nodes.

use super::cluster::{Cluster, NODES};
use crate::node::replication::{Failover, LinkState};

/// Steps of 50 ms until all must have settled: retries of a refused master take time.
const ROUNDS: usize = 4000;
const ROUND_MS: i64 = 50;

impl Cluster {
    /// Lets the cluster go quiet, and compares the nodes.
    pub(super) fn settle(&mut self) {
        self.network.heal();
        self.quiet = true;
        for round in 0..ROUNDS {
            self.advance_ms(ROUND_MS);
            if round % 20 == 0 {
                self.put_in_order(round > ROUNDS / 10);
            }
            for index in 0..NODES {
                self.nodes[index].sweep();
                self.nodes[index].look_after_replicas();
                self.nodes[index].host.send_some(usize::MAX, false);
                self.drive(index);
            }
            let wires: Vec<u64> = self.network.wires.keys().copied().collect();
            for wire in wires {
                self.feed(wire);
                self.carry_to_replica(wire, usize::MAX);
                self.carry_to_master(wire, usize::MAX);
            }
            if self.is_settled() {
                self.compare();
                return;
            }
        }
        panic!("the cluster does not come to rest:\n{}", self.described());
    }

    /// Acts as an operator: one master, all others behind it, and refused data accepted.
    fn put_in_order(&mut self, patient: bool) {
        for index in 0..NODES {
            match self.nodes[index].node().replication.failover() {
                Failover::None => continue,
                // Without a timeout it waits forever. Later states end by themselves.
                Failover::WaitForSync { .. } if patient => {
                    self.nodes[index].operate(&["FAILOVER", "ABORT"]);
                }
                _ => {}
            }
            return;
        }
        let is_master = |cluster: &Self, index: usize| !cluster.nodes[index].node().is_replica();
        let Some(master) = (0..NODES).find(|&index| is_master(self, index)) else {
            // Failovers have made a circle.
            self.nodes[0].operate(&["REPLICAOF", "NO", "ONE"]);
            return;
        };
        for index in 0..NODES {
            if index != master && self.sources(index).last() != Some(&master) {
                self.replicate(index, master);
            }
            let refused = self.nodes[index].node().replication.link().refused.is_some();
            if let Some(its_master) = self.nodes[index].master().filter(|_| refused) {
                self.replicate(index, its_master);
            }
        }
    }

    fn is_settled(&self) -> bool {
        let place = |index: usize| {
            let log = &self.nodes[index].node().log;
            (log.ids().id, log.offset())
        };
        let linked = |index: usize| {
            let node = self.nodes[index].node();
            !node.is_replica() || node.replication.link().state == LinkState::Connected
        };
        let masters = (0..NODES).filter(|&index| !self.nodes[index].node().is_replica()).count();
        masters == 1
            && (0..NODES).all(|index| linked(index) && place(index) == place(0))
            && self.nodes.iter().all(|node| !node.host.is_sending())
            // A paused node would not report its data.
            && self.nodes.iter().all(|node| !node.node().admission.is_paused())
    }

    fn compare(&mut self) {
        let digests: Vec<String> =
            self.nodes.iter_mut().map(|node| node.operate(&["DEBUG", "DIGEST"])).collect();
        let same = digests.iter().all(|digest| *digest == digests[0] && digest.starts_with('+'));
        assert!(same, "the data differ: {digests:?}\n{}", self.described());
        for node in &self.nodes {
            let node = node.node();
            let errors = node.workers[node.applier].errors.lock().clone();
            assert!(errors.is_empty(), "what a master did fails on its replica: {errors:?}");
        }
        for one in 0..NODES {
            for other in 0..one {
                self.compare_logs(one, other);
            }
        }
        self.counts.logged_bytes += self.nodes[0].node().log.offset();
    }

    /// Where two logs overlap they must be equal byte for byte.
    fn compare_logs(&mut self, one: usize, other: usize) {
        let (one_log, other_log) = (&self.nodes[one].node().log, &self.nodes[other].node().log);
        let first = one_log.window().first.max(other_log.window().first);
        let (left, right) = (one_log.bytes_from(first), other_log.bytes_from(first));
        assert!(
            left.is_some() && left == right,
            "the logs of {one} and {other} differ from {first} on\n{}",
            self.described()
        );
    }

    fn described(&mut self) -> String {
        let mut text = String::new();
        for index in 0..NODES {
            let keys = self.nodes[index].operate(&["INFO", "keyspace"]);
            let node = self.nodes[index].node();
            let link = node.replication.link();
            text += &format!(
                "{index}: master {:?}, {:?} at {}, window {:?}, link {:?} (refused: {:?}), \
                 failover {:?}, {} replicas, follows {}, {keys:?}\n",
                self.nodes[index].master(),
                node.log.ids(),
                node.log.offset(),
                node.log.window(),
                link.state,
                link.refused,
                node.replication.failover(),
                node.replication.replicas.len(),
                self.nodes[index].described_follow(),
            );
        }
        text
    }
}
