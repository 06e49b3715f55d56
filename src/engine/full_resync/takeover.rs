//! A replica's full resync: the master's data are loaded beside this node's, checked, and only
//! then put in their place.

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

/// A master whose keys are fewer than one in so many of this node's has lost its data.
const SMALL_SHARE: u64 = 10;

/// Data of a master, whole and checked, not yet in use.
#[derive(Debug)]
pub(crate) struct Beside {
    keyspace: Keyspace,
    pub(crate) loaded: Loaded,
}

/// What a master offers: its history and the offset of its data. `None` if it tells neither.
pub(crate) type Offer = Option<(String, u64)>;

/// Why a master's data were not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// They are as good as nothing, and not on purpose as far as this node can know.
    Refused(String),
    /// The node has another role or master by now.
    NotFollowed,
    /// What had been checked could not be loaded.
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

/// Loads a full resync beside the data there are.
///
/// # Errors
/// The offset, and what is wrong there.
pub(crate) fn load_beside(
    node: &Node,
    source: impl Read,
    progress: &mut dyn FnMut(u64),
) -> Result<Beside, String> {
    let keyspace = node.keyspace.beside();
    let mut store = rdb_load::one_by_one(node, &keyspace);
    let loaded = rdb_load::load(node, source, Behind::Nothing, &mut store, progress)?;
    drop(store);
    Ok(Beside { keyspace, loaded })
}

/// Reads a full resync through without keeping anything.
///
/// # Errors
/// As [`load_beside`].
pub(crate) fn check(node: &Node, source: impl Read) -> Result<Loaded, String> {
    rdb_load::load(node, source, Behind::Nothing, &mut |_, _| Ok(()), &mut |_| {})
}

/// Whether the master may be asked for what it offers at all.
///
/// # Errors
/// Why not.
pub(crate) fn check_offer(node: &Node, offer: &Offer) -> Result<(), NotTaken> {
    let refused = node.replication.link().refused;
    match (refused, offer) {
        (Some(refused), Some((id, _))) if refused.id == *id => {
            Err(NotTaken::Refused(refused.reason))
        }
        _ => Ok(()),
    }
}

/// The guard: a master that has come back without its data wipes nobody.
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

/// Puts checked data in the place of this node's own.
///
/// # Errors
/// See [`NotTaken`]; then nothing has changed.
pub(crate) fn take_over(
    node: &Node,
    generation: u64,
    master: &MasterAddress,
    offer: Offer,
    beside: &Beside,
) -> Result<(), NotTaken> {
    let flushed = {
        let mut shards = node.keyspace.lock(ShardSet::ALL);
        let mut locked = shards.locked();
        if node.replication.generation() != generation {
            return Err(NotTaken::NotFollowed);
        }
        guard(node, master, &offer, beside.loaded.keys)?;
        mark_all_watchers(node, &locked);
        let flushed = locked.adopt(&beside.keyspace);
        forget_figures(node);
        mark_all_watchers(node, &locked);
        finish(node, &locked, master, offer, &beside.loaded);
        flushed
    };
    node.keyspace.graveyard().bury(flushed);
    Ok(())
}

/// Drops this node's data and loads those of `source` instead, `total_bytes` which [`check`] has
/// found good.
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
        // Should it fail now, what is then here is part of no history that anybody knows.
        node.log.begin_history(node.host().new_id());
        node.replication.replicas.disconnect_all();
        mark_all_watchers(node, &locked);
        forget_figures(node);
        (0..node.keyspace.databases()).map(|database| locked.flush(database)).collect()
    };
    // At once: the room is needed.
    drop(flushed);
    let mut store = rdb_load::one_by_one(node, &node.keyspace);
    let mut progress = |bytes| node.persistence.loaded(bytes);
    let loaded = rdb_load::load(node, source, Behind::Nothing, &mut store, &mut progress);
    drop(store);
    let mut shards = node.keyspace.lock(ShardSet::ALL);
    let locked = shards.locked();
    if node.admission.has(Condition::ShuttingDown) {
        // What is here is no whole data set, and nobody may take it for one.
        return Err(NotTaken::NotFollowed);
    }
    node.admission.set(&locked, Condition::Loading, false);
    node.persistence.update(|saving| saving.loading = None);
    let loaded = loaded.map_err(NotTaken::Failed)?;
    if node.replication.generation() != generation {
        return Err(NotTaken::NotFollowed);
    }
    finish(node, &locked, master, offer, &loaded);
    Ok(())
}

/// What is known of keys that have gone goes with them.
fn forget_figures(node: &Node) {
    (0..node.keyspace.databases()).for_each(|database| node.forget_ttl(database));
    node.replication.forget_all_own_expiring();
}

fn mark_all_watchers(node: &Node, locked: &Locked<'_>) {
    for database in 0..node.keyspace.databases() {
        locked.mark_watchers_of_database(database, &[database], |_| true);
    }
}

/// The data are the master's now, and so is their history.
fn finish(node: &Node, locked: &Locked<'_>, master: &MasterAddress, offer: Offer, loaded: &Loaded) {
    let (id, offset) = offer.unwrap_or_else(|| (node.host().new_id(), 0));
    node.log.adopt(Ids { id, earlier: None }, offset, node.backlog_bytes_max());
    node.log.set_selected(loaded.history.as_ref().map(|history| history.selected));
    // They have another history; what they get next is this one's.
    node.replication.replicas.disconnect_all();
    node.replication.set_synced_from(Some(master.clone()));
    node.link_up(locked);
    log!(Notice, "MASTER <-> REPLICA sync: Finished with success");
}

/// Goes on in the history that a file at start stands in, so that a partial resync may do: as a
/// replica in it, as a master behind it.
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
