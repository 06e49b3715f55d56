//! One node of a list: a listpack, or one element alone; compressed or not.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use crate::lzf::{self, Compressor};
use crate::types::Buffer;
use crate::types::allocation::size_class;
use crate::types::listpack::{self, Item, Listpack};

use super::Limits;

/// A listpack shorter than this is not compressed, as in Redis.
const COMPRESSED_BYTES_MIN: usize = 48;
/// Bytes that compression must save, as in Redis.
const COMPRESSION_GAIN_MIN: usize = 8;
/// While a node grows its room doubles up to here.
const DOUBLING_BYTES_MAX: usize = 8192;
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
#[derive(Clone, Debug)]
pub(super) struct Node {
    bytes: NodeBytes,
    /// Elements of the listpack; 0 for one element alone.
    packed_elements: u32,
    /// Length before compression; 0 if not compressed.
    expanded_len: u32,
}

impl Node {
    /// A node of one element, in the container that Redis would choose.
    pub(super) fn of_element(value: &[u8], limits: Limits) -> Self {
        Self::with_room(value, limits, 0)
    }

    /// A node of one element that is expected to grow to so many bytes.
    pub(super) fn with_room(value: &[u8], limits: Limits, room: usize) -> Self {
        if limits.is_plain(value.len()) {
            return Self::plain(NodeBytes::copied(value));
        }
        let mut bytes = NodeBytes(Vec::with_capacity(size_class(room.min(DOUBLING_BYTES_MAX))));
        bytes.splice(0, 0, listpack::EMPTY);
        listpack::push_back(&mut bytes, value);
        Self { bytes, packed_elements: 1, expanded_len: 0 }
    }

    fn plain(bytes: NodeBytes) -> Self {
        Self { bytes, packed_elements: 0, expanded_len: 0 }
    }

    /// A node of these bytes, of which listpacks must be valid; `None` for an empty listpack.
    pub(super) fn of_bytes(bytes: Vec<u8>, container: Container) -> Option<Self> {
        let mut bytes = NodeBytes(bytes);
        bytes.fit();
        match container {
            Container::Plain => Some(Self::plain(bytes)),
            Container::Packed => match stored_count(Listpack::new(&bytes.0).len()) {
                0 => None,
                packed_elements => Some(Self { bytes, packed_elements, expanded_len: 0 }),
            },
        }
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
        NODE_BYTES + size_class(self.bytes.0.capacity()).next_multiple_of(16)
    }

    pub(super) fn stored(&self) -> Stored<'_> {
        match self.expanded_len {
            0 => Stored::Raw(&self.bytes.0),
            len => Stored::Compressed(&self.bytes.0, len as usize),
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
        match self.expanded_len {
            0 => self.bytes.0.len(),
            len => len as usize,
        }
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.expanded_len != 0
    }

    /// Compresses the bytes, if that is worth it.
    pub(super) fn compress(&mut self) {
        let len = self.bytes.0.len();
        let Ok(expanded_len) = u32::try_from(len) else {
            return;
        };
        if self.is_compressed() || len < COMPRESSED_BYTES_MIN {
            return;
        }
        let mut compressor = COMPRESSOR.take().unwrap_or_else(Compressor::new);
        if let Some(bytes) = compressor.compress(&self.bytes.0, len)
            && bytes.len() + COMPRESSION_GAIN_MIN < len
        {
            self.bytes = NodeBytes::copied(bytes);
            self.expanded_len = expanded_len;
        }
        compressor.trim();
        COMPRESSOR.set(Some(compressor));
    }

    pub(super) fn expand(&mut self) {
        if let Stored::Compressed(bytes, len) = self.stored() {
            self.bytes = NodeBytes(expanded(bytes, len));
            self.expanded_len = 0;
        }
    }

    /// Gives back room that the node will not need once it is no longer at an end.
    pub(super) fn fit(node: &mut Arc<Self>) {
        if node.bytes.has_slack() {
            // Copying a node that is shared with a snapshot would gain nothing.
            if let Some(node) = Arc::get_mut(node) {
                node.bytes.fit();
            }
        }
    }

    /// Changes the listpack, which then has so many elements.
    ///
    /// # Panics
    /// If the node holds one element alone, or is compressed.
    #[inline]
    fn change(&mut self, elements: usize, change: impl FnOnce(&mut NodeBytes)) {
        debug_assert!(!self.is_compressed() && self.container() == Container::Packed);
        change(&mut self.bytes);
        self.packed_elements = stored_count(elements);
    }

    #[inline]
    pub(super) fn push_front(&mut self, value: &[u8]) {
        self.change(self.elements() + 1, |bytes| listpack::push_front(bytes, value));
    }

    #[inline]
    pub(super) fn push_back(&mut self, value: &[u8]) {
        self.change(self.elements() + 1, |bytes| listpack::push_back(bytes, value));
    }

    /// Inserts before the element at `offset`, in elements, which may be their number.
    pub(super) fn insert(&mut self, offset: usize, value: &[u8]) {
        self.change(self.elements() + 1, |bytes| {
            let pack = Listpack::new(&bytes.0);
            let at = if offset < pack.len() { seek(pack, offset) } else { pack.end() };
            listpack::insert_before(bytes, at, value);
        });
    }

    pub(super) fn replace(&mut self, offset: usize, value: &[u8]) {
        self.change(self.elements(), |bytes| {
            let at = seek(Listpack::new(&bytes.0), offset);
            listpack::replace(bytes, at, value);
        });
    }

    /// Deletes `count` elements, but not all.
    #[inline]
    pub(super) fn delete(&mut self, offset: usize, count: usize) {
        self.change(self.elements() - count, |bytes| {
            let at = seek(Listpack::new(&bytes.0), offset);
            listpack::delete(bytes, at, count);
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
            return (0, most > 0 && self.bytes.0 == value);
        }
        let elements = self.elements();
        let mut deleted = 0;
        let mut at = None;
        while deleted < most {
            let pack = Listpack::new(&self.bytes.0);
            let found = match (from_back, at) {
                (true, _) => pack.rfind_before(at.unwrap_or_else(|| pack.end()), value),
                (false, None) => pack.find(value, 0),
                (false, Some(at)) => pack.find_from(at, value, 0),
            };
            let Some(found) = found else { break };
            if deleted + 1 == elements {
                return (deleted, true);
            }
            self.change(elements - deleted - 1, |bytes| listpack::delete(bytes, found, 1));
            deleted += 1;
            at = Some(found);
        }
        (deleted, false)
    }

    /// Appends the elements of another listpack.
    pub(super) fn append(&mut self, next: &Self) {
        let elements = self.elements() + next.elements();
        self.change(elements, |bytes| listpack::append_all(bytes, Listpack::new(&next.read())));
    }

    /// Splits the elements from `offset` off, which is neither 0 nor their number.
    pub(super) fn split_off(&mut self, offset: usize) -> Self {
        let count = self.elements() - offset;
        let pack = Listpack::new(&self.bytes.0);
        let tail = pack.tail(seek(pack, offset), count);
        let mut bytes = NodeBytes(tail);
        bytes.fit();
        self.delete(offset, count);
        Self { bytes, packed_elements: stored_count(count), expanded_len: 0 }
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

/// The bytes of a node: a vector whose room is that of a size class.
#[derive(Debug, Default)]
struct NodeBytes(Vec<u8>);

impl NodeBytes {
    fn copied(bytes: &[u8]) -> Self {
        let mut copy = Vec::with_capacity(size_class(bytes.len()));
        copy.extend_from_slice(bytes);
        Self(copy)
    }

    fn has_slack(&self) -> bool {
        size_class(self.0.len()) < size_class(self.0.capacity())
    }

    fn fit(&mut self) {
        if self.has_slack() {
            self.0.shrink_to(size_class(self.0.len()));
        }
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        let doubled = (2 * self.0.capacity()).min(DOUBLING_BYTES_MAX);
        self.0.reserve_exact(size_class(len.max(doubled)) - self.0.len());
    }
}

impl Clone for NodeBytes {
    /// The copy is made to be changed: it has the same room.
    fn clone(&self) -> Self {
        let mut copy = Vec::with_capacity(self.0.capacity());
        copy.extend_from_slice(&self.0);
        Self(copy)
    }
}

impl Buffer for NodeBytes {
    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    #[inline]
    fn splice(&mut self, at: usize, removed: usize, inserted: &[u8]) {
        let (old_len, more) = (self.0.len(), inserted.len());
        let len = old_len - removed + more;
        if len > self.0.capacity() {
            self.grow(len);
        }
        if removed == 0 && at + 1 == old_len {
            // An element appended before the end.
            let end = self.0[at];
            self.0.truncate(at);
            self.0.extend_from_slice(inserted);
            self.0.push(end);
            return;
        }
        if more > removed {
            self.0.resize(len, 0);
        }
        self.0.copy_within(at + removed..old_len, at + more);
        self.0[at..at + more].copy_from_slice(inserted);
        self.0.truncate(len);
        // Half of the room given back stays, so that the next few changes need no other.
        if removed > more && 4 * len < self.0.capacity() {
            self.0.shrink_to(size_class(2 * len));
        }
    }
}
