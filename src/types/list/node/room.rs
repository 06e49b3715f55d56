//! The room of a node's bytes, whose size is that of a size class.
//!
//! The bytes end where the vector does, but need not begin at its start: what is pushed at the
//! front, or popped there, moves the header of the listpack and nothing else. Where there is no room
//! left on one side, the bytes move within their room or to a larger one. The other side then loses
//! half of what is free there, so that pushes at both ends in turn move them rarely, too.

use super::{COMPRESSED, Node};
use crate::types::Buffer;
use crate::types::allocation::size_class;
use crate::types::list::Direction;

/// While a node grows its room doubles up to here.
const DOUBLING_BYTES_MAX: usize = 8192;

/// A copy in a room that fits.
pub(super) fn copied(bytes: &[u8]) -> Vec<u8> {
    let mut copy = Vec::with_capacity(size_class(bytes.len()));
    copy.extend_from_slice(bytes);
    copy
}

impl Node {
    #[inline]
    fn start(&self) -> usize {
        if self.is_compressed() { 0 } else { self.mark as usize }
    }

    fn set_start(&mut self, start: usize) {
        debug_assert!(!self.is_compressed());
        self.mark = u32::try_from(start).expect("larger rooms have none at their front");
    }

    pub(super) fn has_slack(&self) -> bool {
        size_class(self.bytes().len()) < size_class(self.room.capacity())
    }

    /// Gives back room that the bytes do not need.
    pub(super) fn give_room_back(&mut self) {
        if self.has_slack() {
            self.move_to(size_class(self.bytes().len()), 0);
        }
    }

    /// Gives a new node the room that it needs to grow to so many bytes.
    pub(super) fn grow_to(&mut self, len: usize, end: Direction) {
        let room = size_class(len.min(DOUBLING_BYTES_MAX));
        if room > self.room.capacity() {
            let more = room - self.bytes().len();
            self.move_to(room, if end == Direction::Forward { more } else { 0 });
        }
    }

    /// Moves the bytes to this place in a room of this size.
    fn move_to(&mut self, capacity: usize, start: usize) {
        let (old, end) = (self.start(), start + self.bytes().len());
        if capacity == self.room.capacity() {
            let old_end = self.room.len();
            self.room.resize(old_end.max(end), 0);
            self.room.copy_within(old..old_end, start);
            self.room.truncate(end);
        } else {
            let mut room = Vec::with_capacity(capacity);
            room.resize(start, 0);
            room.extend_from_slice(&self.room[old..]);
            self.room = room;
        }
        if !self.is_compressed() {
            self.set_start(start);
        }
    }

    /// Makes room for `more` bytes on one side.
    #[cold]
    fn make_room(&mut self, more: usize, side: Direction) {
        let (start, len, room) = (self.start(), self.bytes().len(), self.room.capacity());
        let capacity = match len + more {
            needed if needed <= room => room,
            needed => size_class(needed.max((2 * room).min(DOUBLING_BYTES_MAX))),
        };
        let free = capacity - len;
        let start = match side {
            Direction::Backward => (start / 2).min(free - more),
            Direction::Forward => free - ((room - self.room.len()) / 2).min(free - more),
        };
        self.move_to(capacity, start);
    }

    /// Opens a gap for which the bytes before `at` move.
    #[inline]
    fn open_front(&mut self, at: usize, removed: usize, added: usize) {
        if added > removed && self.start() < added - removed {
            self.make_room(added - removed, Direction::Forward);
        }
        let old = self.start();
        let start = old + removed - added;
        self.room.copy_within(old..old + at, start);
        self.set_start(start);
    }

    /// Opens one for which those behind it move.
    #[inline]
    fn open_back(&mut self, at: usize, removed: usize, added: usize) {
        if added > removed && self.room.len() + added - removed > self.room.capacity() {
            self.make_room(added - removed, Direction::Backward);
        }
        let (at, end) = (self.start() + at, self.room.len());
        if added > removed {
            self.room.resize(end + added - removed, 0);
        }
        self.room.copy_within(at + removed..end, at + added);
        self.room.truncate(end + added - removed);
    }
}

impl Clone for Node {
    /// The copy is made to be changed: it has the same room.
    fn clone(&self) -> Self {
        let mut room = Vec::with_capacity(self.room.capacity());
        room.extend_from_slice(&self.room);
        Self { room, packed_elements: self.packed_elements, mark: self.mark }
    }
}

impl Buffer for Node {
    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.room[self.start()..]
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let start = self.start();
        &mut self.room[start..]
    }

    #[inline]
    fn open(&mut self, at: usize, removed: usize, added: usize) -> &mut [u8] {
        let behind = self.bytes().len() - at - removed;
        if at < behind && self.room.capacity() < COMPRESSED as usize {
            self.open_front(at, removed, added);
        } else {
            self.open_back(at, removed, added);
        }
        if removed > added {
            // Half of the room given back stays, so that the next few changes need no other.
            let len = self.bytes().len();
            if 4 * len < self.room.capacity() {
                self.move_to(size_class(2 * len), 0);
            }
        }
        &mut self.bytes_mut()[at..at + added]
    }
}
