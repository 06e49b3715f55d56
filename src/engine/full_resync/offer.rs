//! A master's side of full resyncs: whether a snapshot is due, and how the waiting replicas
//! continue with the log.

use std::sync::Arc;

use crate::engine::rdb_save::{self, Cut};
use crate::node::Node;
use crate::replication::{Replica, Spool};

/// The replicas to begin a snapshot for: all that wait and want the same, or none while it should
/// wait for others or a snapshot runs.
pub(crate) fn due(node: &Node) -> Vec<Arc<Replica>> {
    if node.persistence.get().running.is_some() {
        return Vec::new();
    }
    let replicas = node.replication.replicas.all();
    let mut waiting: Vec<_> =
        replicas.iter().filter(|replica| replica.is_waiting()).map(Arc::clone).collect();
    // Those that are left are looked at again when this snapshot has ended.
    let filter = waiting.first().and_then(|replica| replica.announced.filter);
    waiting.retain(|replica| replica.announced.filter == filter);
    if is_due(node, &waiting) { waiting } else { Vec::new() }
}

/// Replicas that need the length do not wait, nor does any where the settings say so: what is
/// spooled anyway can serve later replicas just as well.
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

/// Sends the waiting replicas what will be written into `spool`, and the log from the cut on.
/// Called under the locks of the snapshot's cut, before anything is written.
pub(crate) fn begin(node: &Node, waiting: &[Arc<Replica>], spool: &Arc<Spool>) -> Cut {
    let filter = waiting.first().and_then(|replica| replica.announced.filter);
    let cut = rdb_save::cut(node).filtered(filter);
    let position = cut.position.as_ref().expect("a replica waits, so the log is on");
    if !node.is_replica() {
        // The log selects its database anew. (A replica relays its stream unchanged: those that get
        // its data learn the selected database from them.)
        node.log.forget_selected();
    }
    let diskless = node.settings.load().replication.diskless_sync;
    for replica in waiting {
        let Some(reader) = node.log.attach(position.offset) else { continue };
        let intro = match replica.plain_sync {
            true => Vec::new(),
            false => format!("+FULLRESYNC {} {}\r\n", position.id, position.offset).into_bytes(),
        };
        let has_mark = replica.announced.eof && (diskless || filter.is_some());
        let mark = has_mark.then(|| mark(node));
        replica.begin_transfer(intro, spool, mark, reader, position.offset);
    }
    cut
}

/// 40 bytes that an RDB is most unlikely to contain.
fn mark(node: &Node) -> [u8; 40] {
    node.host().new_id().into_bytes().try_into().expect("an id has 40 digits")
}
