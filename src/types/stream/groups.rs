//! Consumer groups: what each has delivered and to whom. They do not look at the entries.

use std::sync::Arc;

use super::StreamId;
use super::counters::Counters;
use super::memory::{self, Budget};
use super::ordered::{OrderedMap, Value};
use crate::types::Freed;

/// The name of a group or consumer.
pub(crate) type Name = Arc<[u8]>;

/// The groups of a stream, in the order of their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    by_name: OrderedMap<Name, Group>,
    /// What the groups own beyond the map's nodes.
    owned_bytes: usize,
}

/// A group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    /// The last id delivered to any consumer.
    pub(crate) last_id: StreamId,
    /// How many entries of all that were ever added come up to `last_id`; `None` if not known.
    pub(crate) entries_read: Option<i64>,
    pending: OrderedMap<StreamId, Pending>,
    numbers: OrderedMap<Name, ConsumerNumber>,
    consumers: OrderedMap<ConsumerNumber, Consumer>,
    /// What consumers and names own beyond the maps' nodes.
    owned_bytes: usize,
}

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) consumer: ConsumerNumber,
    /// Time of the last delivery, Unix time in milliseconds.
    pub(crate) delivered_ms: i64,
    /// Deliveries so far.
    pub(crate) deliveries: u64,
}

/// Stands for a consumer within its group, in less room than its name. A removed one's may be given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConsumerNumber(u64);

impl ConsumerNumber {
    /// That of no consumer, while a group is built.
    pub(super) const NONE: Self = Self(u64::MAX);
}

/// A consumer of a group.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    name: Name,
    /// When it was last named by a command, Unix time in milliseconds.
    pub(crate) seen_ms: i64,
    pending: OrderedMap<StreamId, ()>,
}

impl Value for Pending {}
impl Value for ConsumerNumber {}

impl Value for Consumer {
    fn free_some(&mut self, most: Freed) -> Freed {
        self.pending.free_some(most)
    }
}

impl Value for Group {
    /// Frees pending lists; names go with the nodes that hold them.
    fn free_some(&mut self, most: Freed) -> Freed {
        let mut budget = Budget::new(most);
        if budget.exhaust(|most| self.pending.free_some(most))
            && budget.exhaust(|most| self.consumers.free_some(most))
        {
            budget.exhaust(|most| self.numbers.free_some(most));
        }
        budget.freed()
    }
}

impl Groups {
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Group> {
        self.by_name.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.by_name.iter().map(|(name, group)| (&**name, group))
    }

    /// Adds a group; returns false if there is one of this name.
    pub(crate) fn create(&mut self, name: &[u8], group: Group) -> bool {
        if self.get(name).is_some() {
            return false;
        }
        self.owned_bytes += memory::shared_slice(name.len()) + group.allocated_bytes();
        self.by_name.insert(Name::from(name), group);
        true
    }

    /// Changes a group, if there is one of this name.
    pub(crate) fn update<R>(
        &mut self,
        name: &[u8],
        change: impl FnOnce(&mut Group) -> R,
    ) -> Option<R> {
        let owned_bytes = &mut self.owned_bytes;
        self.by_name.update(name, |group| {
            *owned_bytes -= group.allocated_bytes();
            let outcome = change(group);
            *owned_bytes += group.allocated_bytes();
            outcome
        })
    }

    /// Removes a group, which may be large: the caller decides where it is freed.
    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<Group> {
        let group = self.by_name.remove(name)?;
        self.owned_bytes -= memory::shared_slice(name.len()) + group.allocated_bytes();
        Some(group)
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        self.by_name.node_bytes() + self.owned_bytes
    }

    pub(super) fn free_some(&mut self, most: Freed) -> Freed {
        self.by_name.free_some(most)
    }
}

impl Consumer {
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Frees part of a consumer that was removed, at most about `most`; nothing at the end.
    pub(crate) fn free_removed(&mut self, most: Freed) -> Freed {
        Value::free_some(self, most)
    }

    /// Bytes allocated for the consumer besides itself, those shared with clones included.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.pending.node_bytes()
    }

    /// Entries pending for this consumer.
    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The ids pending for this consumer, ascending from `from` on.
    pub(crate) fn pending_from(&self, from: StreamId) -> impl Iterator<Item = StreamId> {
        self.pending.ascend(&from).map(|(id, ())| *id)
    }
}

impl Group {
    pub(crate) fn new(last_id: StreamId, entries_read: Option<i64>) -> Self {
        Self { last_id, entries_read, ..Self::default() }
    }

    /// Frees part of a group that was removed, at most about `most`; nothing at the end.
    pub(crate) fn free_removed(&mut self, most: Freed) -> Freed {
        Value::free_some(self, most)
    }

    /// Bytes allocated for the group besides itself, those shared with clones included.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let nodes = self.pending.node_bytes() + self.numbers.node_bytes();
        nodes + self.consumers.node_bytes() + self.owned_bytes
    }

    // Consumers.

    pub(crate) fn consumers_len(&self) -> usize {
        self.consumers.len()
    }

    /// All consumers, in the order of their names.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = (ConsumerNumber, &Consumer)> {
        self.numbers.iter().map(|(_, number)| (*number, self.consumer(*number)))
    }

    pub(crate) fn number(&self, name: &[u8]) -> Option<ConsumerNumber> {
        self.numbers.get(name).copied()
    }

    /// # Panics
    /// If there is no such consumer; that of a pending entry always is there.
    pub(crate) fn consumer(&self, number: ConsumerNumber) -> &Consumer {
        self.consumers.get(&number).expect("consumers go with all that is pending for them")
    }

    /// Adds a consumer, unless there is one of this name.
    pub(crate) fn create_consumer(&mut self, name: &[u8], seen_ms: i64) -> Option<ConsumerNumber> {
        if self.number(name).is_some() {
            return None;
        }
        let number = ConsumerNumber(self.consumers.last().map_or(0, |(last, _)| last.0 + 1));
        let name = Name::from(name);
        self.owned_bytes += memory::shared_slice(name.len());
        let consumer =
            Consumer { name: Arc::clone(&name), seen_ms, pending: OrderedMap::default() };
        self.consumers.insert(number, consumer);
        self.numbers.insert(name, number);
        Some(number)
    }

    /// Records that a command named the consumer.
    pub(crate) fn see_consumer(&mut self, number: ConsumerNumber, now_ms: i64) {
        self.consumers.update(&number, |consumer| consumer.seen_ms = now_ms);
    }

    /// Removes a consumer and all that is pending for it; returns it as it was.
    pub(crate) fn remove_consumer(&mut self, name: &[u8]) -> Option<Consumer> {
        let number = self.numbers.remove(name)?;
        let consumer = self.consumers.remove(&number)?;
        self.owned_bytes -= memory::shared_slice(name.len()) + consumer.pending.node_bytes();
        for (id, ()) in consumer.pending.iter() {
            self.pending.remove(id);
        }
        Some(consumer)
    }

    fn update_pending_of(
        &mut self,
        number: ConsumerNumber,
        change: impl FnOnce(&mut OrderedMap<StreamId, ()>) -> Option<()>,
    ) {
        let owned_bytes = &mut self.owned_bytes;
        self.consumers.update(&number, |consumer| {
            *owned_bytes -= consumer.pending.node_bytes();
            change(&mut consumer.pending);
            *owned_bytes += consumer.pending.node_bytes();
        });
    }

    // Pending entries.

    /// Entries pending for any consumer.
    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn pending(&self, id: StreamId) -> Option<Pending> {
        self.pending.get(&id).copied()
    }

    /// The smallest and greatest id that are pending.
    pub(crate) fn pending_ends(&self) -> Option<(StreamId, StreamId)> {
        Some((*self.pending.first()?.0, *self.pending.last()?.0))
    }

    /// What is pending for any consumer, ascending from `from` on.
    pub(crate) fn pending_from(&self, from: StreamId) -> impl Iterator<Item = (StreamId, Pending)> {
        self.pending.ascend(&from).map(|(id, pending)| (*id, *pending))
    }

    /// Makes an entry pending as told, whether or not it was, and for whomever.
    pub(crate) fn set_pending(&mut self, id: StreamId, pending: Pending) {
        let former = self.pending.insert(id, pending).map(|former| former.consumer);
        if former == Some(pending.consumer) {
            return;
        }
        if let Some(former) = former {
            self.update_pending_of(former, |ids| ids.remove(&id));
        }
        self.update_pending_of(pending.consumer, |ids| ids.insert(id, ()));
    }

    /// Adds an entry pending for no consumer yet; returns false if the id is there.
    pub(super) fn add_unclaimed(&mut self, id: StreamId, pending: Pending) -> bool {
        self.pending.get(&id).is_none() && self.pending.insert(id, pending).is_none()
    }

    /// Makes an entry pending for a consumer that gets its first delivery now.
    #[cfg(test)]
    pub(crate) fn deliver(&mut self, id: StreamId, consumer: ConsumerNumber, now_ms: i64) {
        self.set_pending(id, Pending { consumer, delivered_ms: now_ms, deliveries: 1 });
    }

    /// Counts one more delivery of a pending entry to the same consumer.
    pub(crate) fn deliver_again(&mut self, id: StreamId, now_ms: i64) {
        self.pending.update(&id, |pending| {
            pending.delivered_ms = now_ms;
            pending.deliveries = pending.deliveries.wrapping_add(1);
        });
    }

    /// Ends the pending of an entry; returns whether it was.
    pub(crate) fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        self.update_pending_of(pending.consumer, |ids| ids.remove(&id));
        true
    }

    // Progress.

    /// Moves the group on to an entry that it reads, if that is beyond its last; returns whether.
    /// `counters` are the stream's.
    pub(crate) fn advance(&mut self, counters: &Counters, id: StreamId) -> bool {
        if id <= self.last_id {
            return false;
        }
        match &mut self.entries_read {
            Some(read) if !counters.has_tombstone_from(id) => *read = read.wrapping_add(1),
            read if counters.entries_added > 0 => *read = counters.entries_up_to(id),
            _ => {}
        }
        self.last_id = id;
        true
    }

    /// Entries of the stream that the group has not read; `None` if that cannot be told.
    pub(crate) fn lag(&self, counters: &Counters) -> Option<i64> {
        if counters.entries_added == 0 {
            return Some(0);
        }
        let read = match self.entries_read {
            Some(read) if !counters.has_tombstone_from(self.last_id) => read,
            _ => counters.entries_up_to(self.last_id)?,
        };
        Some((counters.entries_added as i64).wrapping_sub(read))
    }
}

#[cfg(test)]
impl Groups {
    pub(super) fn own_node_bytes(&self) -> usize {
        self.by_name.node_bytes()
    }
}

#[cfg(test)]
impl Group {
    pub(super) fn own_node_bytes(&self) -> usize {
        self.pending.node_bytes() + self.numbers.node_bytes() + self.consumers.node_bytes()
    }
}

#[cfg(test)]
impl Consumer {
    pub(super) fn owned_bytes_counted(&self) -> usize {
        memory::shared_slice(self.name.len()) + self.pending.node_bytes()
    }
}
