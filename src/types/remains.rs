//! What a change takes out of a value that stays: freed like whole values, not under a lock.

use super::Freed;
use super::list::List;
use super::stream::{Consumer, Group, Removed};

/// Parts of a value that nothing refers to any more.
#[derive(Debug)]
pub(crate) enum Remains {
    /// Nodes of a list.
    List(List),
    /// Blocks that were trimmed from a stream.
    Blocks(Removed),
    /// A consumer group.
    Group(Box<Group>),
    /// A consumer of a group.
    Consumer(Box<Consumer>),
}

impl Remains {
    /// Frees part, at most about `most`; returns how much, nothing at the end.
    pub(crate) fn free_some(&mut self, most: Freed) -> Freed {
        match self {
            Self::List(list) => list.free_some(most),
            Self::Blocks(blocks) => blocks.free_some(most),
            Self::Group(group) => group.free_removed(most),
            Self::Consumer(consumer) => consumer.free_removed(most),
        }
    }

    /// Bytes allocated for the parts, those shared with a snapshot included.
    pub(crate) fn allocated_bytes(&self) -> usize {
        match self {
            Self::List(list) => list.allocated_bytes(),
            Self::Blocks(blocks) => blocks.allocated_bytes(),
            Self::Group(group) => group.allocated_bytes(),
            Self::Consumer(consumer) => consumer.allocated_bytes(),
        }
    }
}
