//! A stream from parts that come from outside, as a file or payload stores them. What is built here
//! is sound: each inconsistency is refused, by name.

use super::check::check;
use super::groups::{ConsumerNumber, Group, Pending};
use super::{Counters, Stream, StreamId};
use crate::types::Damage;

/// Why parts were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A block is damaged.
    Block(Damage),
    /// A block begins before the end of the one before it.
    BlockOrder,
    /// The blocks hold another number of entries than the stream states.
    Length,
    /// An entry has a greater id than the stream's last.
    LastId,
    /// Two groups have one name.
    GroupTwice,
    /// An id is pending twice in one group.
    PendingTwice,
    /// Two consumers of a group have one name.
    ConsumerTwice,
    /// An id is pending for a consumer and not in its group.
    PendingUnknown,
    /// An id is pending for two consumers, or twice for one.
    PendingForTwo,
    /// An id is pending in a group and for none of its consumers.
    PendingForNone,
}

impl Refusal {
    /// Why, in words; a damaged block says more itself.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Block(_) => "a stream with a damaged block",
            Self::BlockOrder => "a stream's block that begins before the end of the one before it",
            Self::Length => "a stream that states another length than its blocks have entries",
            Self::LastId => "a stream with an entry beyond its last id",
            Self::GroupTwice => "a stream with two groups of one name",
            Self::PendingTwice => "a group with an entry that is pending twice",
            Self::ConsumerTwice => "Duplicate stream consumer detected",
            Self::PendingUnknown => "an entry pending for a consumer and not in its group",
            Self::PendingForTwo => "Stream consumer PEL entry already has a consumer assigned",
            Self::PendingForNone => "an entry pending in a group and for none of its consumers",
        }
    }
}

/// Takes the parts of a stream in the order in which RDB stores them: blocks, counters, groups.
#[derive(Debug, Default)]
pub(crate) struct StreamBuilder {
    stream: Stream,
    /// The last entry that is not deleted.
    last: Option<StreamId>,
    pub(super) live: u64,
}

/// Takes the parts of a group: what is pending, then each consumer with its own.
#[derive(Debug)]
pub(crate) struct GroupBuilder {
    group: Group,
    consumer: ConsumerNumber,
    unclaimed: usize,
}

impl StreamBuilder {
    /// Adds the next block: its first id and its listpack.
    pub(crate) fn block(&mut self, first: StreamId, pack: Vec<u8>) -> Result<(), Refusal> {
        let checked = check(first, &pack).map_err(Refusal::Block)?;
        let former = self.stream.tail_view().map(|(first, _)| first);
        if former.max(self.last).is_some_and(|last| first <= last) {
            return Err(Refusal::BlockOrder);
        }
        self.stream.seal_tail();
        self.stream.set_tail(first, pack);
        self.last = checked.last.or(self.last);
        self.live += checked.live;
        Ok(())
    }

    /// Sets the counters, when all blocks are there.
    pub(crate) fn counters(&mut self, counters: Counters) -> Result<(), Refusal> {
        if counters.length != self.live {
            return Err(Refusal::Length);
        }
        if self.last.is_some_and(|last| last > counters.last_id) {
            return Err(Refusal::LastId);
        }
        self.stream.counters = counters;
        Ok(())
    }

    /// The counters that a stream gets which was stored before they all were (RDB type 15), from
    /// the two that were.
    pub(crate) fn old_counters(&self, length: u64, last_id: StreamId) -> Counters {
        let first_id = self.stream.first_entry().map_or(StreamId::MIN, |entry| entry.id);
        let max_deleted_id = StreamId::MIN;
        Counters { length, last_id, first_id, max_deleted_id, entries_added: length }
    }

    /// Adds a group.
    pub(crate) fn group(&mut self, name: &[u8], group: GroupBuilder) -> Result<(), Refusal> {
        if group.unclaimed > 0 {
            return Err(Refusal::PendingForNone);
        }
        let is_new = self.stream.groups.create(name, group.group);
        if is_new { Ok(()) } else { Err(Refusal::GroupTwice) }
    }

    pub(crate) fn finish(self) -> Stream {
        self.stream
    }
}

impl Stream {
    fn set_tail(&mut self, first: StreamId, pack: Vec<u8>) {
        // A block as read has the exact size; the tail grows when it is appended to.
        self.tail = Some(std::sync::Arc::new(super::Tail { first, pack }));
    }
}

impl GroupBuilder {
    pub(crate) fn new(last_id: StreamId, entries_read: Option<i64>) -> Self {
        let group = Group::new(last_id, entries_read);
        Self { group, consumer: ConsumerNumber::NONE, unclaimed: 0 }
    }

    /// Adds an entry pending for a consumer that is named later.
    pub(crate) fn pending(
        &mut self,
        id: StreamId,
        delivered_ms: i64,
        deliveries: u64,
    ) -> Result<(), Refusal> {
        let pending = Pending { consumer: ConsumerNumber::NONE, delivered_ms, deliveries };
        if !self.group.add_unclaimed(id, pending) {
            return Err(Refusal::PendingTwice);
        }
        self.unclaimed += 1;
        Ok(())
    }

    /// Adds a consumer; what is pending for it follows.
    pub(crate) fn consumer(&mut self, name: &[u8], seen_ms: i64) -> Result<(), Refusal> {
        let number = self.group.create_consumer(name, seen_ms);
        self.consumer = number.ok_or(Refusal::ConsumerTwice)?;
        Ok(())
    }

    /// Gives an entry to the last consumer that was added.
    pub(crate) fn claim(&mut self, id: StreamId) -> Result<(), Refusal> {
        if self.consumer == ConsumerNumber::NONE {
            return Err(Refusal::PendingForNone);
        }
        let pending = self.group.pending(id).ok_or(Refusal::PendingUnknown)?;
        if pending.consumer != ConsumerNumber::NONE {
            return Err(Refusal::PendingForTwo);
        }
        self.group.set_pending(id, Pending { consumer: self.consumer, ..pending });
        self.unclaimed -= 1;
        Ok(())
    }
}
