//! A replica's full resync: loads the master's data beside this node's, checks them, and only then
//! replaces this node's data.

use std::fmt;
use std::io::Read;

use crate::engine::rdb_load::{self, Behind, History, Loaded};
use crate::keyspace::{Flushed, Keyspace, Locked, ShardSet};
use crate::node::Node;
use crate::node::admission::Condition;
use crate::node::persistence::Loading;
use crate::replication::Ids;
use crate::settings::MasterAddress;
use crate::telemetry::log::log;

/// A master with fewer keys than one in this many of this node's has lost its data.
const SMALL_SHARE: u64 = 10;

/// A master's data, complete and checked, not yet in use.
#[derive(Debug)]
pub(crate) struct Beside {
    keyspace: Keyspace,
    pub(crate) loaded: Loaded,
}

/// A master's offer: its history and the offset of its data. `None` if it names neither.
pub(crate) type Offer = Option<(String, u64)>;

/// Why a master's data were not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// They are (nearly) empty, and as far as this node can know not on purpose.
    Refused(String),
    /// The node has another role or master by now.
    NotFollowed,
    /// Loading failed after the check had succeeded.
    Failed(String),
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) | Self::Failed(reason) => f.write_str(reason),
            Self::NotFollowed => f.write_str("the node has another role by now"),
        }
    }
}

/// Loads a full resync beside the current data.
///
/// # Errors
/// The offset, and what is wrong there.
pub(crate) fn load_beside(
    node: &Node,
    source: impl Read,
    progress: &mut dyn FnMut(u64),
) -> Result<Beside, String> {
    let keyspace = node.keyspace.beside();
    let loaded = rdb_load::load_into(node, &keyspace, source, Behind::Nothing, progress)?;
    Ok(Beside { keyspace, loaded })
}

/// Validates a full resync without keeping anything.
///
/// # Errors
/// As [`load_beside`].
pub(crate) fn check(node: &Node, source: impl Read) -> Result<Loaded, String> {
    rdb_load::load(node, source, Behind::Nothing, &mut |_, _| Ok(()), &mut |_| {})
}

/// Checks whether to request a master's offer at all.
///
/// # Errors
/// The reason for refusing it.
pub(crate) fn check_offer(node: &Node, offer: &Offer) -> Result<(), NotTaken> {
    let refused = node.replication.link().refused;
    match (refused, offer) {
        (Some(refused), Some((id, _))) if refused.id == *id => {
            Err(NotTaken::Refused(refused.reason))
        }
        _ => Ok(()),
    }
}

/// Guards this node's data against a master that came back without its own.
fn guard(node: &Node, master: &MasterAddress, offer: &Offer, keys: u64) -> Result<(), NotTaken> {
    let replication = &node.replication;
    let wanted = !node.settings.load().replication.empty_master_guard
        || replication.has_consent()
        || replication.synced_from().as_ref() != Some(master);
    let Some((id, _)) = offer else { return Ok(()) };
    let ids = node.log.ids();
    let known = ids.id == *id || ids.earlier.is_some_and(|(earlier, _)| earlier == *id);
    let own: u64 = (0..node.keyspace.databases()).map(|db| node.keyspace.len(db) as u64).sum();
    if wanted || known || keys.saturating_mul(SMALL_SHARE) >= own {
        return Ok(());
    }
    Err(NotTaken::Refused(format!(
        "the master {master} came back with another history ({id}) and {keys} keys, where this \
         replica has {own}: it seems to have lost its data. To take over what it has, send \
         REPLICAOF {master} again; to go on with this replica's data, send REPLICAOF NO ONE"
    )))
}

/// Replaces this node's data with checked ones.
///
/// # Errors
/// See [`NotTaken`]; nothing has changed then.
pub(crate) fn take_over(
    node: &Node,
    generation: u64,
    master: &MasterAddress,
    offer: Offer,
    beside: &Beside,
) -> Result<(), NotTaken> {
    // Before the shards: see `node::scripts`.
    let mut scripts = node.scripts.wait();
    let flushed = {
        let mut shards = node.keyspace.lock(ShardSet::ALL);
        let mut locked = shards.locked();
        if node.replication.generation() != generation {
            return Err(NotTaken::NotFollowed);
        }
        guard(node, master, &offer, beside.loaded.keys)?;
        scripts.replace_libraries(&beside.loaded.libraries).map_err(NotTaken::Failed)?;
        node.scripts.show_libraries(&scripts);
        mark_all_watchers(node, &locked);
        let flushed = locked.adopt(&beside.keyspace);
        forget_figures(node);
        mark_all_watchers(node, &locked);
        invalidate_caches(node, &mut locked);
        finish(node, &locked, master, offer, &beside.loaded);
        flushed
    };
    node.keyspace.graveyard().bury(flushed);
    Ok(())
}

/// Drops this node's data and loads those of `source` instead: `total_bytes`, which [`check`] has
/// validated.
///
/// # Errors
/// See [`NotTaken`].
pub(crate) fn load_in_place(
    node: &Node,
    generation: u64,
    master: &MasterAddress,
    offer: Offer,
    checked: &Loaded,
    (source, total_bytes): (impl Read, u64),
) -> Result<(), NotTaken> {
    let mut scripts = node.scripts.wait();
    let flushed: Vec<Flushed> = {
        let mut shards = node.keyspace.lock(ShardSet::ALL);
        let mut locked = shards.locked();
        if node.replication.generation() != generation {
            return Err(NotTaken::NotFollowed);
        }
        guard(node, master, &offer, checked.keys)?;
        let loading = Loading { started_ms: node.clock.unix_ms(), total_bytes, loaded_bytes: 0 };
        node.persistence.update(|saving| saving.loading = Some(loading));
        node.admission.set(&locked, Condition::Loading, true);
        node.host().restart_file(&locked);
        // If the load fails, what it leaves belongs to no known history.
        node.log.begin_history(node.host().new_id());
        node.replication.replicas.disconnect_all();
        mark_all_watchers(node, &locked);
        invalidate_caches(node, &mut locked);
        forget_figures(node);
        (0..node.keyspace.databases()).map(|database| locked.flush(database)).collect()
    };
    // At once: the load needs the memory.
    drop(flushed);
    let mut progress = |bytes| node.persistence.loaded(bytes);
    let loaded = rdb_load::load_into(node, &node.keyspace, source, Behind::Nothing, &mut progress);
    let mut shards = node.keyspace.lock(ShardSet::ALL);
    let locked = shards.locked();
    if node.admission.has(Condition::ShuttingDown) {
        // The data are incomplete, and must not pass for a data set.
        return Err(NotTaken::NotFollowed);
    }
    node.admission.set(&locked, Condition::Loading, false);
    node.persistence.update(|saving| saving.loading = None);
    let loaded = loaded.map_err(NotTaken::Failed)?;
    scripts.replace_libraries(&loaded.libraries).map_err(NotTaken::Failed)?;
    node.scripts.show_libraries(&scripts);
    if node.replication.generation() != generation {
        return Err(NotTaken::NotFollowed);
    }
    finish(node, &locked, master, offer, &loaded);
    Ok(())
}

/// Forgets what is known of the removed keys.
fn forget_figures(node: &Node) {
    (0..node.keyspace.databases()).for_each(|database| node.forget_ttl(database));
    node.replication.forget_all_own_expiring();
}

fn mark_all_watchers(node: &Node, locked: &Locked<'_>) {
    for database in 0..node.keyspace.databases() {
        locked.mark_watchers_of_database(database, &[database], |_| true);
    }
}

/// Tells clients that nothing in their caches is valid any more.
fn invalidate_caches(node: &Node, locked: &mut Locked<'_>) {
    locked.untrack_all();
    node.tracking.tell_of_flush(&node.clients, 0);
}

/// Adopts the master's history along with its data.
fn finish(node: &Node, locked: &Locked<'_>, master: &MasterAddress, offer: Offer, loaded: &Loaded) {
    let (id, offset) = offer.unwrap_or_else(|| (node.host().new_id(), 0));
    node.log.adopt(Ids { id, earlier: None }, offset, node.backlog_bytes_max());
    node.host().restart_file(locked);
    node.log.set_selected(loaded.history.as_ref().map(|history| history.selected));
    // They have another history; next they get this one.
    node.replication.replicas.disconnect_all();
    node.replication.set_synced_from(Some(master.clone()));
    node.link_up(locked);
    log!(Notice, "MASTER <-> REPLICA sync: Finished with success");
}

/// Resumes the history of the file loaded at startup, so that a partial resync is possible: a
/// replica stays in it, a master begins a new one after it.
pub(crate) fn resume_history(node: &Node, history: &History, synced_from: Option<MasterAddress>) {
    let mut shards = node.keyspace.lock(ShardSet::ALL);
    let _locked = shards.locked();
    let ids = if node.is_replica() {
        Ids { id: history.id.clone(), earlier: None }
    } else {
        let id = node.host().new_id();
        Ids { id, earlier: Some((history.id.clone(), history.offset)) }
    };
    node.log.adopt(ids, history.offset, node.backlog_bytes_max());
    if node.is_replica() {
        node.log.set_selected(Some(history.selected));
        node.replication.set_synced_from(synced_from);
    } else {
        node.replication.replicas.note_none(node.clock.unix_ms());
    }
}
