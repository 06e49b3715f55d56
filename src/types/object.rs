//! Large values, one variant per type.

use super::allocation::size_class;
use super::list::List;
use super::sorted_set::SortedSet;
use super::stream::Stream;
use super::table::{FieldTable, MemberTable};
use super::{Chunks, Encoding};

/// How much of a value was freed, or may be at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freed {
    pub(crate) bytes: usize,
    /// Allocations.
    pub(crate) objects: usize,
}

/// A value too large or complex to be stored inside its entry.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    /// A long string.
    String(Chunks),
    List(List),
    Set(MemberTable),
    Hash(FieldTable),
    SortedSet(SortedSet),
    /// Boxed: larger than the others.
    Stream(Box<Stream>),
}

impl Object {
    /// How an entry with this object says that it is kept.
    pub(crate) fn encoding(&self) -> Encoding {
        match self {
            Self::String(_) => Encoding::Chunks,
            Self::List(_) => Encoding::List,
            Self::Set(_) => Encoding::Set,
            Self::Hash(_) => Encoding::Hash,
            Self::SortedSet(_) => Encoding::SortedSet,
            Self::Stream(_) => Encoding::Stream,
        }
    }

    /// Frees part of the value, at most about `most`; returns how much, nothing at the end. The
    /// rest can only be freed as well.
    pub(crate) fn free_some(&mut self, most: Freed) -> Freed {
        match self {
            Self::String(chunks) => chunks.free_some(most),
            Self::List(list) => list.free_some(most),
            Self::Set(table) => table.free_some(most),
            Self::Hash(table) => table.free_some(most),
            Self::SortedSet(set) => set.free_some(most),
            Self::Stream(stream) => stream.free_some(most),
        }
    }

    /// Bytes allocated for the value, nodes shared with a snapshot included.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let inner = match self {
            Self::String(chunks) => chunks.allocated_bytes(),
            Self::List(list) => list.allocated_bytes(),
            Self::Set(table) => table.allocated_bytes(),
            Self::Hash(table) => table.allocated_bytes(),
            Self::SortedSet(set) => set.allocated_bytes(),
            Self::Stream(stream) => size_class(size_of::<Stream>()) + stream.allocated_bytes(),
        };
        size_of::<Self>() + inner
    }
}
