//! The entries of a stream in either direction.

use super::block::{Cursor, Entry};
use super::{Stream, StreamId};

/// The entries within an interval of ids, those deleted left out.
#[derive(Clone, Debug)]
pub(crate) struct Entries<'a> {
    stream: &'a Stream,
    block: Option<Cursor<'a>>,
    from: StreamId,
    to: StreamId,
    direction: Direction,
    with_deleted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

impl Stream {
    /// The entries with ids from `from` to `to`, both included, ascending.
    pub(crate) fn range(&self, from: StreamId, to: StreamId) -> Entries<'_> {
        let block = self.block_up_to(from).or_else(|| self.first_block());
        let mut block = block.map(|(first, pack)| Cursor::new(first, pack));
        if let Some(block) = &mut block {
            block.skip_before(from);
        }
        self.entries(block, from, to, Direction::Up)
    }

    /// The same entries, descending.
    pub(crate) fn range_back(&self, from: StreamId, to: StreamId) -> Entries<'_> {
        let block = self.block_up_to(to);
        let mut block = block.map(|(first, pack)| Cursor::new(first, pack));
        if let Some(block) = &mut block {
            block.skip_after(to);
        }
        self.entries(block, from, to, Direction::Down)
    }

    fn entries<'a>(
        &'a self,
        block: Option<Cursor<'a>>,
        from: StreamId,
        to: StreamId,
        direction: Direction,
    ) -> Entries<'a> {
        // An interval whose ends are crossed holds nothing.
        let block = block.filter(|_| from <= to);
        Entries { stream: self, block, from, to, direction, with_deleted: false }
    }

    /// The entry with this id.
    pub(crate) fn entry(&self, id: StreamId) -> Option<Entry<'_>> {
        self.range(id, id).next()
    }

    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.entry(id).is_some()
    }

    pub(crate) fn first_entry(&self) -> Option<Entry<'_>> {
        self.range(StreamId::MIN, StreamId::MAX).next()
    }

    pub(crate) fn last_entry(&self) -> Option<Entry<'_>> {
        self.range_back(StreamId::MIN, StreamId::MAX).next()
    }

    /// The id of the first entry that is stored, even if it is deleted: the MINID that Redis writes
    /// to replicas in place of an approximate one.
    pub(crate) fn first_stored_id(&self) -> StreamId {
        let mut all = self.range(StreamId::MIN, StreamId::MAX);
        all.with_deleted = true;
        all.next().map_or(StreamId::MAX, |entry| entry.id)
    }
}

impl<'a> Entries<'a> {
    fn next_of_block(&mut self) -> Option<Entry<'a>> {
        let block = self.block.as_mut()?;
        match self.direction {
            Direction::Up => block.next(),
            Direction::Down => block.next_back(),
        }
    }

    /// Goes on to the neighbour of a block that is at its end.
    fn next_block(&mut self) {
        let Some(block) = self.block.take() else { return };
        let neighbour = match self.direction {
            Direction::Up => block.first.successor().and_then(|id| self.stream.block_from(id)),
            Direction::Down => block.first.predecessor().and_then(|id| self.stream.block_up_to(id)),
        };
        self.block = neighbour.map(|(first, pack)| Cursor::new(first, pack));
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        while self.block.is_some() {
            let Some(entry) = self.next_of_block() else {
                self.next_block();
                continue;
            };
            if entry.deleted && !self.with_deleted {
                continue;
            }
            let (is_beyond, is_before) = match self.direction {
                Direction::Up => (entry.id > self.to, entry.id < self.from),
                Direction::Down => (entry.id < self.from, entry.id > self.to),
            };
            if is_beyond {
                self.block = None;
            } else if !is_before {
                return Some(entry);
            }
        }
        None
    }
}
