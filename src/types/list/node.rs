//! One node of a list: a listpack, or one element alone; compressed or not.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use crate::lzf::{self, Compressor};
use crate::types::Buffer;
use crate::types::allocation::size_class;
use crate::types::listpack::{self, Item, Listpack};

use super::{Direction, Limits};

mod room;

/// A listpack shorter than this is not compressed, as in Redis.
const COMPRESSED_BYTES_MIN: usize = 48;
/// Bytes that compression must save, as in Redis.
const COMPRESSION_GAIN_MIN: usize = 8;
/// In a node's mark: the rest of it is the length before compression.
const COMPRESSED: u32 = 1 << 31;
/// A node and its reference counts.
const NODE_BYTES: usize = size_of::<Node>() + 2 * size_of::<usize>();
const _: () = assert!(NODE_BYTES == 48, "a node fills its size class");

thread_local! {
    /// Making a compressor clears 256 KiB: more work than compressing a node.
    static COMPRESSOR: Cell<Option<Compressor>> = const { Cell::new(None) };
}

/// How a node's bytes are to be read, by Redis's names for it in RDB.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Container {
    /// One element, its string.
    Plain,
    /// A listpack.
    Packed,
}

/// A node's bytes as they are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stored<'a> {
    Raw(&'a [u8]),
    /// LZF, with its length once expanded.
    Compressed(&'a [u8], usize),
}

/// The bytes stand in an allocation of their own, so that those of a full node fill their size
/// class; the reference counts stand here.
#[derive(Debug)]
pub(super) struct Node {
    /// The bytes to its end, behind room for elements that are pushed at the front: see [`room`].
    room: Vec<u8>,
    /// Elements of the listpack; 0 for one element alone.
    packed_elements: u32,
    /// Where the bytes begin in their room, or [`COMPRESSED`] with the length before that.
    mark: u32,
}

impl Node {
    /// A node of one element, in the container that Redis would choose.
    pub(super) fn of_element(value: &[u8], limits: Limits) -> Self {
        Self::with_room(value, limits, 0, Direction::Backward)
    }

    /// A node of one element that is expected to grow at an end to so many bytes.
    pub(super) fn with_room(value: &[u8], limits: Limits, room: usize, end: Direction) -> Self {
        if limits.is_plain(value.len()) {
            return Self::plain(room::copied(value));
        }
        let mut node = Self::packed(room::copied(listpack::EMPTY), 1);
        listpack::push_back(&mut node, value);
        node.grow_to(room, end);
        node
    }

    fn plain(bytes: Vec<u8>) -> Self {
        Self { room: bytes, packed_elements: 0, mark: 0 }
    }

    fn packed(bytes: Vec<u8>, elements: usize) -> Self {
        Self { room: bytes, packed_elements: stored_count(elements), mark: 0 }
    }

    /// A node of these bytes, of which listpacks must be valid; `None` for an empty listpack.
    pub(super) fn of_bytes(bytes: Vec<u8>, container: Container) -> Option<Self> {
        let mut node = match container {
            Container::Plain => Self::plain(bytes),
            Container::Packed => match Listpack::new(&bytes).len() {
                0 => return None,
                elements => Self::packed(bytes, elements),
            },
        };
        node.give_room_back();
        Some(node)
    }

    #[inline]
    pub(super) fn elements(&self) -> usize {
        self.packed_elements.max(1) as usize
    }

    #[inline]
    pub(super) fn container(&self) -> Container {
        if self.packed_elements == 0 { Container::Plain } else { Container::Packed }
    }

    /// Bytes allocated for the node, in units of 16: those of the tree.
    #[inline]
    pub(super) fn allocated_bytes(&self) -> usize {
        NODE_BYTES + size_class(self.room.capacity()).next_multiple_of(16)
    }

    pub(super) fn stored(&self) -> Stored<'_> {
        if self.is_compressed() {
            Stored::Compressed(&self.room, self.expanded_len())
        } else {
            Stored::Raw(self.bytes())
        }
    }

    /// The node's bytes, expanded if they are compressed.
    #[inline]
    pub(super) fn read(&self) -> Cow<'_, [u8]> {
        match self.stored() {
            Stored::Raw(bytes) => Cow::Borrowed(bytes),
            Stored::Compressed(bytes, len) => Cow::Owned(expanded(bytes, len)),
        }
    }

    /// Passes the element at `offset`, in elements, to `read`.
    pub(super) fn with<R>(&self, offset: usize, read: impl FnOnce(Item<'_>) -> R) -> R {
        let bytes = self.read();
        if self.container() == Container::Plain {
            return read(Item::Bytes(&bytes));
        }
        let pack = Listpack::new(&bytes);
        read(pack.get(seek(pack, offset)))
    }

    /// Whether Redis would add a string of `len` bytes to the node.
    #[inline]
    pub(super) fn allows(&self, len: usize, limits: Limits) -> bool {
        self.container() == Container::Packed
            && limits.allow(self.expanded_len(), self.elements(), len)
    }

    /// Whether Redis would merge the nodes.
    pub(super) fn allows_merge(&self, next: &Self, limits: Limits) -> bool {
        /// What Redis takes a merge to save: the frame of a ziplist, which nodes were before 7.0.
        const FRAME_ESTIMATE: usize = 11;
        let elements = self.elements() + next.elements();
        let len = self.expanded_len() + next.expanded_len();
        self.container() == Container::Packed
            && next.container() == Container::Packed
            && !limits.exceeded(len - FRAME_ESTIMATE, elements)
    }

    #[inline]
    pub(super) fn expanded_len(&self) -> usize {
        if self.is_compressed() {
            (self.mark & !COMPRESSED) as usize
        } else {
            self.room.len() - self.mark as usize
        }
    }

    #[inline]
    pub(super) fn is_compressed(&self) -> bool {
        self.mark & COMPRESSED != 0
    }

    /// Compresses the bytes, if that is worth it.
    pub(super) fn compress(&mut self) {
        if self.is_compressed() {
            return;
        }
        let len = self.bytes().len();
        let mark = u32::try_from(len).ok().filter(|len| len & COMPRESSED == 0);
        let Some(mark) = mark.filter(|_| len >= COMPRESSED_BYTES_MIN) else { return };
        let mut compressor = COMPRESSOR.take().unwrap_or_else(Compressor::new);
        if let Some(bytes) = compressor.compress(self.bytes(), len)
            && bytes.len() + COMPRESSION_GAIN_MIN < len
        {
            self.room = room::copied(bytes);
            self.mark = COMPRESSED | mark;
        }
        compressor.trim();
        COMPRESSOR.set(Some(compressor));
    }

    pub(super) fn expand(&mut self) {
        if let Stored::Compressed(bytes, len) = self.stored() {
            self.room = expanded(bytes, len);
            self.mark = 0;
        }
    }

    /// Gives back room that the node will not need once it is no longer at an end.
    pub(super) fn fit(node: &mut Arc<Self>) {
        if node.has_slack() {
            // Copying a node that is shared with a snapshot would gain nothing.
            if let Some(node) = Arc::get_mut(node) {
                node.give_room_back();
            }
        }
    }

    /// Changes the listpack, which then has so many elements.
    ///
    /// # Panics
    /// If the node holds one element alone, or is compressed.
    #[inline]
    fn change(&mut self, elements: usize, change: impl FnOnce(&mut Self)) {
        debug_assert!(!self.is_compressed() && self.container() == Container::Packed);
        change(self);
        self.packed_elements = stored_count(elements);
    }

    #[inline]
    pub(super) fn push_front(&mut self, value: &[u8]) {
        self.change(self.elements() + 1, |node| listpack::push_front(node, value));
    }

    #[inline]
    pub(super) fn push_back(&mut self, value: &[u8]) {
        self.change(self.elements() + 1, |node| listpack::push_back(node, value));
    }

    /// Inserts before the element at `offset`, in elements, which may be their number.
    pub(super) fn insert(&mut self, offset: usize, value: &[u8]) {
        self.change(self.elements() + 1, |node| {
            let pack = Listpack::new(node.bytes());
            let at = if offset < pack.len() { seek(pack, offset) } else { pack.end() };
            listpack::insert_before(node, at, value);
        });
    }

    pub(super) fn replace(&mut self, offset: usize, value: &[u8]) {
        self.change(self.elements(), |node| {
            let at = seek(Listpack::new(node.bytes()), offset);
            listpack::replace(node, at, value);
        });
    }

    /// Deletes `count` elements, but not all.
    #[inline]
    pub(super) fn delete(&mut self, offset: usize, count: usize) {
        self.change(self.elements() - count, |node| {
            let at = seek(Listpack::new(node.bytes()), offset);
            listpack::delete(node, at, count);
        });
    }

    /// Whether an element is `value`.
    pub(super) fn holds(&self, value: &[u8]) -> bool {
        let bytes = self.read();
        match self.container() {
            Container::Plain => *bytes == *value,
            Container::Packed => Listpack::new(&bytes).find(value, 0).is_some(),
        }
    }

    /// Deletes up to `most` elements that are `value`, from the front or the back. Returns how many,
    /// and whether the only one left is to go too, with its node.
    pub(super) fn delete_equal(
        &mut self,
        value: &[u8],
        most: usize,
        from_back: bool,
    ) -> (usize, bool) {
        if self.container() == Container::Plain {
            return (0, most > 0 && self.bytes() == value);
        }
        let elements = self.elements();
        let mut deleted = 0;
        let mut at = None;
        while deleted < most {
            let pack = Listpack::new(self.bytes());
            let found = match (from_back, at) {
                (true, _) => pack.rfind_before(at.unwrap_or_else(|| pack.end()), value),
                (false, None) => pack.find(value, 0),
                (false, Some(at)) => pack.find_from(at, value, 0),
            };
            let Some(found) = found else { break };
            if deleted + 1 == elements {
                return (deleted, true);
            }
            self.change(elements - deleted - 1, |node| listpack::delete(node, found, 1));
            deleted += 1;
            at = Some(found);
        }
        (deleted, false)
    }

    /// Appends the elements of another listpack.
    pub(super) fn append(&mut self, next: &Self) {
        let elements = self.elements() + next.elements();
        self.change(elements, |node| listpack::append_all(node, Listpack::new(&next.read())));
    }

    /// Splits the elements from `offset` off, which is neither 0 nor their number.
    pub(super) fn split_off(&mut self, offset: usize) -> Self {
        let count = self.elements() - offset;
        let pack = Listpack::new(self.bytes());
        let mut tail = Self::packed(pack.tail(seek(pack, offset), count), count);
        tail.give_room_back();
        self.delete(offset, count);
        tail
    }
}

#[inline]
fn seek(pack: Listpack<'_>, offset: usize) -> usize {
    let index = i64::try_from(offset).expect("a node has fewer elements than bytes");
    pack.seek(index).expect("the offset is below the node's elements")
}

#[inline]
fn stored_count(elements: usize) -> u32 {
    u32::try_from(elements).expect("a listpack has fewer elements than bytes, and less than 4 GiB")
}

fn expanded(bytes: &[u8], len: usize) -> Vec<u8> {
    lzf::expand(bytes, len).expect("the node compressed these bytes itself")
}
