//! A master's side of full resyncs: whether a snapshot is due, and how those who waited for it go
//! on with the log.

use std::sync::Arc;

use crate::engine::rdb_save::{self, Cut};
use crate::node::Node;
use crate::replication::{Replica, Spool};

/// The replicas for which a snapshot is to be begun now: all that wait, or none while others shall
/// be waited for or a snapshot runs.
pub(crate) fn due(node: &Node) -> Vec<Arc<Replica>> {
    if node.persistence.get().running.is_some() {
        return Vec::new();
    }
    let replicas = node.replication.replicas.all();
    let waiting: Vec<_> =
        replicas.iter().filter(|replica| replica.is_waiting()).map(Arc::clone).collect();
    if is_due(node, &waiting) { waiting } else { Vec::new() }
}

/// Replicas that need the length, or all of them where that is the setting, do not wait: what is
/// spooled anyway can serve who comes later just as well as now.
fn is_due(node: &Node, waiting: &[Arc<Replica>]) -> bool {
    let settings = node.settings.load();
    let replication = &settings.replication;
    let delay_ms = i64::from(replication.diskless_sync_delay_secs) * 1000;
    let enough = replication.diskless_sync_replicas_max;
    let now_ms = node.clock.unix_ms();
    !replication.diskless_sync
        || waiting.iter().any(|replica| !replica.announced.eof)
        || enough > 0 && waiting.len() >= enough as usize
        || waiting.iter().any(|replica| now_ms - replica.since_ms >= delay_ms)
}

/// Has those who waited get what will be written into `spool`, and the log from the cut on. Called
/// under the locks under which the snapshot was cut, before anything is written.
pub(crate) fn begin(node: &Node, waiting: &[Arc<Replica>], spool: &Arc<Spool>) -> Cut {
    let cut = rdb_save::cut(node).expect("a replica waits, so the log is on");
    if !node.is_replica() {
        // What follows selects its database. (What a replica passes on goes on as it is: who gets
        // its data learns from them which database is selected.)
        node.log.forget_selected();
    }
    let diskless = node.settings.load().replication.diskless_sync;
    for replica in waiting {
        let Some(reader) = node.log.attach(cut.offset) else { continue };
        let intro = match replica.plain_sync {
            true => Vec::new(),
            false => format!("+FULLRESYNC {} {}\r\n", cut.id, cut.offset).into_bytes(),
        };
        let mark = (diskless && replica.announced.eof).then(|| mark(node));
        replica.begin_transfer(intro, spool, mark, reader, cut.offset);
    }
    cut
}

/// 40 bytes that no RDB holds but by a very strange chance.
fn mark(node: &Node) -> [u8; 40] {
    node.host().new_id().into_bytes().try_into().expect("an id has 40 digits")
}
