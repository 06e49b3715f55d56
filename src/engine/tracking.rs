//! Client-side caching on the path of a request: which keys a command read, and what its own client
//! is told after the reply.
//!
//! A message that others cause after a key was read must follow the reply that carries what was
//! read. So a client's pending messages are taken before a command, or under its locks, but never
//! between its unlock and its reply.

use std::sync::Arc;

use super::caller::Caller;
use crate::commands::effects::Effects;
use crate::commands::registry::Registered;
use crate::commands::{Args, Context, Random};
use crate::keyspace::{self, Locked, SHARDS, ShardSet};
use crate::node::Node;
use crate::node::client::Client;
use crate::node::tracking::{Invalid, Tracker};
use crate::resp::Output;

/// Keys that one command forgets at most while there are too many.
const FORGOTTEN_MAX: usize = 100;
/// The same for a round of periodic work.
const FORGOTTEN_PER_ROUND: usize = 5000;

/// Makes the client a tracker of the keys that a command has read, also of those that are missing.
#[cold]
pub(super) fn remember(ctx: &mut Context<'_>, registered: &Registered, args: &Args<'_>) {
    if let Some(tracker) = tracker_of(ctx.client) {
        track(&mut ctx.keys.locked, &tracker, registered, args);
    }
}

/// The client as a tracker of what the running command reads.
pub(super) fn tracker_of(client: &Client) -> Option<Arc<dyn keyspace::Tracker>> {
    let own = client.tracking.as_ref().filter(|own| own.remembers())?;
    Some(Arc::clone(&own.tracker) as _)
}

/// Adds a tracker to the keys of a command.
pub(super) fn track(
    locked: &mut Locked<'_>,
    tracker: &Arc<dyn keyspace::Tracker>,
    registered: &Registered,
    args: &Args<'_>,
) {
    registered.row.keys.for_each(args, |index, _| {
        let key = args.key(locked.keyspace(), index);
        // Of a command with a wrong syntax, fewer keys may have been locked.
        if locked.set().contains(key.shard()) {
            locked.track(key, tracker);
        }
    });
}

/// Ends a command of a client that tracked keys when it began: the effect of CLIENT CACHING on it,
/// or on its transaction; and forgets keys if they are too many now. The caller holds no lock.
#[cold]
pub(super) fn end_command(
    caller: &Caller<'_>,
    client: &mut Client,
    random: &mut Random,
    output: &mut Output,
    registered: Option<&Registered>,
) {
    let is_client_command = registered.is_some_and(|registered| registered.path[0] == "CLIENT");
    if let Some(own) = &mut client.tracking
        && client.multi.is_none()
        && !is_client_command
    {
        own.caching = false;
    }
    forget_excess(caller, client, random, output);
}

/// Forgets keys while clients have more of them in their caches than the setting allows. The caller
/// holds no lock, and this client has no reply that is still to come.
#[cold]
pub(super) fn forget_excess(
    caller: &Caller<'_>,
    client: &Client,
    random: &mut Random,
    output: &mut Output,
) {
    let (node, max) = (caller.node, caller.settings.clients.tracking_keys_max);
    let runner = client.handle.origin.id;
    for _ in 0..FORGOTTEN_MAX {
        if !is_beyond(node, max) {
            return;
        }
        let Some((key, trackers)) = forget_one(node, random) else { return };
        for tracker in trackers {
            let own = (tracker.client() == runner).then_some(&mut *output);
            tracker.tell_of_key(&node.clients, &key, own);
        }
    }
}

/// Appends what the running client is told after its reply.
#[cold]
pub(super) fn tell_own(node: &Node, client: &Client, effects: &mut Effects, output: &mut Output) {
    output.raw(&effects.own_lines);
    effects.own_lines.clear();
    for invalid in effects.own_invalid.drain(..) {
        let Some(own) = &client.tracking else { continue };
        match &invalid {
            Some(key) => own.tracker.tell(&node.clients, Invalid::Keys(&[key]), Some(output)),
            None => own.tracker.tell(&node.clients, Invalid::Everything, Some(output)),
        }
    }
}

/// Forgets keys while clients have more of them in their caches than the setting allows, and tells
/// these clients: as periodic work, after the setting was changed.
pub(crate) fn fit_in_background(node: &Node) {
    let max = node.settings.load().clients.tracking_keys_max;
    let mut random = Random::new(node.clock.nanos());
    for _ in 0..FORGOTTEN_PER_ROUND {
        if !is_beyond(node, max) {
            return;
        }
        let Some((key, trackers)) = forget_one(node, &mut random) else { return };
        trackers.iter().for_each(|tracker| tracker.tell_of_key(&node.clients, &key, None));
    }
}

fn is_beyond(node: &Node, max: u64) -> bool {
    max != 0 && node.keyspace.tracked().keys() as u64 > max
}

/// A forgotten key, and who must be told.
type Forgotten = (Box<[u8]>, Vec<Arc<Tracker>>);

/// Forgets a random key.
fn forget_one(node: &Node, random: &mut Random) -> Option<Forgotten> {
    let first = random.next() as usize % SHARDS;
    (0..SHARDS).find_map(|step| {
        let shard = (first + step) % SHARDS;
        let mut guard = node.keyspace.lock(ShardSet::of(shard));
        let (key, trackers) = guard.locked().untrack_any(shard, random.next())?;
        Some((key, trackers.into_iter().map(Tracker::of).collect()))
    })
}
