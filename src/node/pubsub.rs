//! Subscriptions, and the delivery of messages.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use super::client::{Handle, Name};
use crate::glob;
use crate::resp::{Output, Part, Protocol};

/// Kinds of subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Channel,
    Pattern,
    ShardChannel,
}

type Subscribers = BTreeMap<u64, Arc<Handle>>;

/// Those who are left: a client that was killed has no subscriptions any more, though its worker has
/// yet to end them.
fn living(subscribers: &Subscribers) -> impl Iterator<Item = &Arc<Handle>> {
    subscribers.values().filter(|handle| !handle.is_killed())
}

#[derive(Debug, Default)]
struct Tables {
    by_kind: [HashMap<Name, Subscribers>; 3],
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(crate) struct PubSub {
    tables: RwLock<Tables>,
    /// Number of channels and patterns with subscribers: if 0, publishing costs one load.
    names: AtomicUsize,
}

impl PubSub {
    /// Subscribes a client. Queues the confirmation before any message of the subscription.
    pub(crate) fn subscribe(
        &self,
        kind: Kind,
        name: &[u8],
        handle: &Arc<Handle>,
        confirmation: Option<&Output>,
    ) {
        let mut tables = self.tables.write();
        let table = &mut tables.by_kind[kind as usize];
        let subscribers = table.entry(name.into()).or_insert_with(|| {
            self.names.fetch_add(1, Ordering::Relaxed);
            Subscribers::new()
        });
        subscribers.insert(handle.origin.id, Arc::clone(handle));
        confirm(handle, confirmation);
    }

    /// Ends a subscription. Queues the confirmation after its last message.
    pub(crate) fn unsubscribe(
        &self,
        kind: Kind,
        name: &[u8],
        handle: &Handle,
        confirmation: Option<&Output>,
    ) {
        let mut tables = self.tables.write();
        self.remove(&mut tables, kind, name, handle.origin.id);
        confirm(handle, confirmation);
    }

    /// Ends a subscription of a disconnected client.
    pub(crate) fn forget(&self, kind: Kind, name: &[u8], id: u64) {
        self.remove(&mut self.tables.write(), kind, name, id);
    }

    fn remove(&self, tables: &mut Tables, kind: Kind, name: &[u8], id: u64) {
        let table = &mut tables.by_kind[kind as usize];
        if let Some(subscribers) = table.get_mut(name) {
            subscribers.remove(&id);
            if subscribers.is_empty() {
                table.remove(name);
                self.names.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Sends a message to the subscribers of a channel and of the patterns that match it. Returns
    /// the number of receivers.
    pub(crate) fn publish(&self, channel: &[u8], message: &[u8]) -> usize {
        if self.names.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let tables = self.tables.read();
        let mut sent = 0;
        // A long message is copied once for all receivers.
        let mut part = None;
        if let Some(subscribers) = tables.by_kind[Kind::Channel as usize].get(channel) {
            let message = part.get_or_insert_with(|| Part::new(message));
            sent += send(subscribers, &[b"message", channel], message);
        }
        for (pattern, subscribers) in &tables.by_kind[Kind::Pattern as usize] {
            if glob::matches(pattern, channel) {
                let message = part.get_or_insert_with(|| Part::new(message));
                sent += send(subscribers, &[b"pmessage", pattern, channel], message);
            }
        }
        sent
    }

    /// Sends a message to the subscribers of a shard channel.
    pub(crate) fn publish_to_shard(&self, channel: &[u8], message: &[u8]) -> usize {
        let tables = self.tables.read();
        let subscribers = tables.by_kind[Kind::ShardChannel as usize].get(channel);
        subscribers.map_or(0, |subscribers| {
            send(subscribers, &[b"smessage", channel], &Part::new(message))
        })
    }

    /// Names with subscribers that match a pattern.
    pub(crate) fn names(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Name> {
        let tables = self.tables.read();
        let names = tables.by_kind[kind as usize].iter();
        names
            .filter(|(name, subscribers)| {
                pattern.is_none_or(|pattern| glob::matches(pattern, name))
                    && living(subscribers).next().is_some()
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Passes every subscription on.
    pub(crate) fn for_each(&self, mut each: impl FnMut(Kind, &[u8], &Arc<Handle>)) {
        let tables = self.tables.read();
        for kind in [Kind::Channel, Kind::Pattern, Kind::ShardChannel] {
            for (name, subscribers) in &tables.by_kind[kind as usize] {
                subscribers.values().for_each(|handle| each(kind, name, handle));
            }
        }
    }

    /// The number of clients subscribed to a name.
    pub(crate) fn subscribers(&self, kind: Kind, name: &[u8]) -> usize {
        let tables = self.tables.read();
        tables.by_kind[kind as usize].get(name).map_or(0, |subscribers| living(subscribers).count())
    }

    /// The number of patterns with subscribers.
    pub(crate) fn patterns(&self) -> usize {
        let tables = self.tables.read();
        let names = tables.by_kind[Kind::Pattern as usize].values();
        names.filter(|subscribers| living(subscribers).next().is_some()).count()
    }

    /// The number of names with subscribers, and for a moment of those whose last one was killed:
    /// channels are too many to look at each.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.tables.read().by_kind[kind as usize].len()
    }
}

fn confirm(handle: &Handle, confirmation: Option<&Output>) {
    if let Some(confirmation) = confirmation {
        handle.push(confirmation);
    }
}

/// Encodes once per protocol and sends to all subscribers.
fn send(subscribers: &Subscribers, head: &[&[u8]], message: &Part<'_>) -> usize {
    let encode = |protocol| {
        let mut output = Output::new(protocol);
        output.push(head.len() + 1);
        head.iter().for_each(|part| output.bulk(part));
        output.bulk_part(message);
        output
    };
    let (mut two, mut three) = (None, None);
    let mut sent = 0;
    for handle in living(subscribers) {
        sent += 1;
        // Held until the message is queued, so that none in the old protocol follows a HELLO.
        let shown = handle.shown.lock();
        let protocol = shown.protocol;
        let encoded = match protocol {
            Protocol::Resp2 => &mut two,
            Protocol::Resp3 => &mut three,
        };
        handle.push(encoded.get_or_insert_with(|| encode(protocol)));
    }
    sent
}
