//! The end of a migration: the keys that the target has confirmed are removed here.

use super::serve::Server;
use super::write::{Right, begin_write, settle};
use crate::commands::effects::Effects;
use crate::commands::{Args, Expired};
use crate::keyspace::ShardSet;
use crate::node::Node;
use crate::node::migration::{MigratedKey, Migration};
use crate::settings::EventClasses;

/// Why confirmed keys are still here.
const CHANGED: &str = "ERR Keys changed while they were sent: they stay here, and the target has \
their older values";
const NOT_ALLOWED: &str =
    "ERR The keys were sent and stay here, too: this server may not remove them now";

/// Removes the keys that the target has, by their place in the migration, unless they have changed
/// since they were dumped. For one thread at a time.
///
/// # Errors
/// For the client: why keys of these are still here.
pub(crate) fn remove_confirmed(
    node: &Node,
    migration: &Migration,
    confirmed: &[bool],
) -> Result<(), &'static str> {
    if migration.route.options.copy {
        return Ok(());
    }
    let mut set = ShardSet::default();
    let keyspace = &node.keyspace;
    migration.keys.iter().for_each(|key| set.insert(keyspace.key(&key.name).shard()));
    let removed = remove(node, migration, confirmed, set);
    let database = migration.route.database;
    for MigratedKey { name, mark, .. } in &migration.keys {
        keyspace.unwatch(std::iter::once((database, &**name)), mark);
    }
    node.feed_replicas();
    removed
}

fn remove(
    node: &Node,
    migration: &Migration,
    confirmed: &[bool],
    set: ShardSet,
) -> Result<(), &'static str> {
    if !confirmed.contains(&true) {
        return Ok(());
    }
    let Some(mut writing) = begin_write(node, set, Right::Expiry) else { return Err(NOT_ALLOWED) };
    let (database, stats) = (migration.route.database, &node.migrations.stats);
    let mut effects = Effects::default();
    let mut keys = writing.expiring(database, stats, &mut effects);
    let mut logged: Vec<Box<[u8]>> = vec![Box::from(&b"DEL"[..])];
    let mut changed = false;
    for (MigratedKey { name, mark, .. }, _) in
        migration.keys.iter().zip(confirmed).filter(|(_, confirmed)| **confirmed)
    {
        let key = keys.key(name);
        if mark.load(std::sync::atomic::Ordering::Relaxed) {
            changed |= keys.has(key);
        } else if keys.remove(key) {
            keys.changed(key, EventClasses::GENERIC, "del");
            logged.push(name.clone());
        }
    }
    if logged.len() > 1 {
        keys.log_commands(vec![logged]);
    }
    let now_ms = keys.now_ms;
    effects.end_command(database, &Args::new(&[], &[], None), 0);
    settle(node, stats, &mut effects);
    if effects.any_ready() {
        let terms = effects.terms;
        let server = Server { node, stats, now_ms, expired: Expired::Remove, terms };
        server.serve_ready(&mut writing, &mut effects);
    }
    if changed { Err(CHANGED) } else { Ok(()) }
}
