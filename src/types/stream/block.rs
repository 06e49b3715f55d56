//! One block of a stream: a listpack of entries, as Redis keeps it in memory and RDB stores it.
//!
//! ```text
//! live entries, deleted entries, fields, each field, 0      the master entry
//! flags, ms, seq, [fields, each field and value], length    an entry
//! ```
//!
//! `ms` and `seq` count from the block's own id, that of its first entry. An entry with the flag
//! [`SAME_FIELDS`] has only the values to the master entry's fields. The length counts an entry's
//! other elements, so that blocks can be read backwards. A deleted entry stays, with a flag.

use std::sync::Arc;

use super::StreamId;
use super::memory;
use super::ordered::Value;
use crate::types::Freed;
use crate::types::allocation::size_class;
use crate::types::buffer::Buffer;
use crate::types::listpack::{self, Item, Iter, Listpack};

pub(super) const DELETED: i64 = 1;
pub(super) const SAME_FIELDS: i64 = 2;
/// Elements of an entry besides fields, values and their number: flags and the two halves of the id.
pub(super) const FIXED_ELEMENTS: i64 = 3;

/// The length from which a block is shared with clones of its stream. Shorter ones are copied with
/// the node that holds them: a count of references would take more than a copy is worth.
const SHARED_BYTES_MIN: usize = 8 * 1024;

/// A block that is no longer appended to, in an allocation of its exact size.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    Own(Box<[u8]>),
    Shared(Arc<Box<[u8]>>),
}

impl Block {
    pub(super) fn seal(pack: Vec<u8>) -> Self {
        let bytes = pack.into_boxed_slice();
        match bytes.len() {
            ..SHARED_BYTES_MIN => Self::Own(bytes),
            _ => Self::Shared(Arc::new(bytes)),
        }
    }

    pub(super) fn unseal(self) -> Vec<u8> {
        match self {
            Self::Own(bytes) => bytes.into_vec(),
            Self::Shared(bytes) => Arc::unwrap_or_clone(bytes).into_vec(),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    pub(super) fn pack(&self) -> Listpack<'_> {
        Listpack::new(self.bytes())
    }

    pub(super) fn buffer(&mut self) -> &mut dyn Buffer {
        let bytes: &mut Box<[u8]> = match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => Arc::make_mut(bytes),
        };
        bytes
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        let bytes = size_class(self.bytes().len());
        match self {
            Self::Own(_) => bytes,
            Self::Shared(_) => memory::shared::<Box<[u8]>>() + bytes,
        }
    }
}

impl Value for Block {
    const LEAF_ENTRIES_MAX: usize = 8;

    fn free_some(&mut self, _: Freed) -> Freed {
        if self.bytes().is_empty() {
            return Freed::default();
        }
        let is_kept = matches!(self, Self::Shared(bytes) if Arc::strong_count(bytes) > 1);
        let bytes = if is_kept { 0 } else { self.allocated_bytes() };
        *self = Self::Own(Box::default());
        Freed { bytes, objects: 1 }
    }
}

impl Buffer for Box<[u8]> {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }

    fn open(&mut self, at: usize, removed: usize, added: usize) -> &mut [u8] {
        if removed != added {
            let mut bytes = std::mem::take(self).into_vec();
            bytes.open(at, removed, added);
            *self = bytes.into_boxed_slice();
        }
        &mut self[at..at + added]
    }
}

/// The first elements of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Master {
    pub(super) live: i64,
    pub(super) deleted: i64,
    pub(super) fields: usize,
    live_at: usize,
    deleted_at: usize,
    fields_at: usize,
    /// Where the first entry begins.
    entries_at: usize,
}

impl Master {
    pub(super) fn read(pack: Listpack<'_>) -> Self {
        let mut items = pack.iter();
        let (live_at, live) = number(items.next());
        let (deleted_at, deleted) = number(items.next());
        let (count_at, fields) = number(items.next());
        let fields = usize::try_from(fields).unwrap_or_default();
        let end = items.nth(fields).map_or(count_at, |(offset, _)| offset);
        Self {
            live,
            deleted,
            fields,
            live_at,
            deleted_at,
            fields_at: after(pack, count_at),
            entries_at: after(pack, end),
        }
    }

    /// Entries of a block, deleted ones included.
    pub(super) fn entries(pack: Listpack<'_>) -> u64 {
        let mut items = pack.iter();
        (number(items.next()).1 + number(items.next()).1) as u64
    }

    fn write(self, pack: &mut dyn Buffer) {
        // Backwards, since an element that changes its width moves what follows.
        listpack::replace_int(pack, self.deleted_at, self.deleted);
        listpack::replace_int(pack, self.live_at, self.live);
    }
}

/// An element that is a number, as [`check`](super::check) made sure, and its offset.
#[inline]
fn number(item: Option<(usize, Item<'_>)>) -> (usize, i64) {
    let (offset, item) = item.unwrap_or((0, Item::Int(0)));
    (offset, item.integer().unwrap_or_default())
}

#[inline]
fn after(pack: Listpack<'_>, offset: usize) -> usize {
    pack.next(offset).unwrap_or_else(|| pack.end())
}

/// An entry of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) id: StreamId,
    pub(crate) fields: Fields<'a>,
    pub(super) deleted: bool,
    /// Offset of its first element, the flags.
    pub(super) at: usize,
    /// Offset behind its last element.
    next: usize,
}

/// Fields with their values, in the order in which they were added.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    /// The master entry's fields, if the entry has them.
    names: Option<Iter<'a>>,
    items: Iter<'a>,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names {
            Some(names) => names.next(),
            None => self.items.next(),
        };
        Some((name?.1, self.items.next()?.1))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// The entries of a block from both ends, deleted ones included.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    pack: Listpack<'a>,
    pub(super) first: StreamId,
    pub(super) master: Master,
    front: usize,
    back: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(first: StreamId, pack: Listpack<'a>) -> Self {
        let master = Master::read(pack);
        Self { pack, first, master, front: master.entries_at, back: pack.end() }
    }

    /// Leaves out what comes before `from`.
    pub(super) fn skip_before(&mut self, from: StreamId) {
        if from <= self.first {
            return;
        }
        if !self.is_late(from) {
            let mut at = self.front;
            while self.next().is_some_and(|entry| entry.deleted || entry.id < from) {
                at = self.front;
            }
            self.front = at;
            return;
        }
        let (mut front, mut entries) = (self.back, self.clone());
        while let Some(entry) = entries.next_back() {
            if !entry.deleted && entry.id < from {
                break;
            }
            front = if entry.deleted { front } else { entry.at };
        }
        self.front = front;
    }

    /// Leaves out what comes after `to`.
    pub(super) fn skip_after(&mut self, to: StreamId) {
        if self.is_late(to) {
            let mut at = self.back;
            while self.next_back().is_some_and(|entry| entry.deleted || entry.id > to) {
                at = self.back;
            }
            self.back = at;
            return;
        }
        let mut back = self.front;
        for entry in self.clone() {
            if !entry.deleted && entry.id > to {
                break;
            }
            back = if entry.deleted { back } else { entry.next };
        }
        self.back = back;
    }

    /// Whether an id is rather to be looked for from the block's end.
    fn is_late(&self, id: StreamId) -> bool {
        let last = self.clone().next_back().map_or(self.first, |entry| entry.id);
        let length = last.bits().saturating_sub(self.first.bits());
        id.bits().saturating_sub(self.first.bits()) > length / 2
    }

    fn entry(&self, at: usize) -> Entry<'a> {
        let mut items = self.pack.iter_from(at);
        let (_, flags) = number(items.next());
        let ((_, ms), (_, seq)) = (number(items.next()), number(items.next()));
        let id = self.first.offset(ms as u64, seq as u64);
        let (names, left, elements) = if flags & SAME_FIELDS != 0 {
            let names = self.pack.iter_from(self.master.fields_at);
            (Some(names), self.master.fields, self.master.fields)
        } else {
            let left = usize::try_from(number(items.next()).1).unwrap_or_default();
            (None, left, 2 * left)
        };
        let length_at = items.clone().nth(elements).map_or(at, |(offset, _)| offset);
        let next = after(self.pack, length_at);
        let fields = Fields { names, items, left };
        Entry { id, fields, deleted: flags & DELETED != 0, at, next }
    }
}

impl<'a> Iterator for Cursor<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        if self.front >= self.back {
            return None;
        }
        let entry = self.entry(self.front);
        self.front = entry.next;
        Some(entry)
    }
}

impl DoubleEndedIterator for Cursor<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.front >= self.back {
            return None;
        }
        let mut items = self.pack.iter_before(self.back);
        let (_, elements) = number(items.next_back());
        let at = items.nth_back(usize::try_from(elements).ok()?.checked_sub(1)?)?.0;
        self.back = at;
        Some(self.entry(at))
    }
}

/// A block with its first entry, whose id is the block's.
pub(super) fn begin<'f>(fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone) -> Vec<u8> {
    let mut pack = listpack::EMPTY.to_vec();
    listpack::push_back_int(&mut pack, 1);
    listpack::push_back_int(&mut pack, 0);
    listpack::push_back_int(&mut pack, fields.clone().count() as i64);
    fields.clone().for_each(|(field, _)| listpack::push_back(&mut pack, field));
    listpack::push_back_int(&mut pack, 0);
    push_entry(&mut pack, StreamId::MIN, true, fields);
    pack
}

/// Appends an entry to the block that begins with the id `first`.
pub(super) fn append<'f>(
    pack: &mut Vec<u8>,
    first: StreamId,
    id: StreamId,
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
) {
    let view = Listpack::new(pack);
    let mut master = Master::read(view);
    let own = view.iter_from(master.fields_at).take(master.fields);
    let mut pairs = own.zip(fields.clone());
    let same = fields.clone().count() == master.fields
        && pairs.all(|((_, own), (name, _))| own.equals(name));
    let delta = StreamId::new(id.ms.wrapping_sub(first.ms), id.seq.wrapping_sub(first.seq));
    push_entry(pack, delta, same, fields);
    master.live += 1;
    listpack::replace_int(pack, master.live_at, master.live);
}

fn push_entry<'f>(
    pack: &mut Vec<u8>,
    delta: StreamId,
    same_fields: bool,
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
) {
    let mut count = 0;
    listpack::push_back_int(pack, if same_fields { SAME_FIELDS } else { 0 });
    listpack::push_back_int(pack, delta.ms as i64);
    listpack::push_back_int(pack, delta.seq as i64);
    if same_fields {
        for (_, value) in fields {
            listpack::push_back(pack, value);
            count += 1;
        }
        listpack::push_back_int(pack, FIXED_ELEMENTS + count);
        return;
    }
    let count_at = pack.len() - 1;
    for (field, value) in fields {
        listpack::push_back(pack, field);
        listpack::push_back(pack, value);
        count += 1;
    }
    listpack::insert_before_int(pack, count_at, count);
    listpack::push_back_int(pack, FIXED_ELEMENTS + 1 + 2 * count);
}

/// Marks the entry at this offset as deleted.
pub(super) fn delete(pack: &mut dyn Buffer, at: usize) {
    set_deleted(pack, at);
    let mut master = Master::read(Listpack::new(pack.bytes()));
    master.live -= 1;
    master.deleted += 1;
    master.write(pack);
}

/// What [`delete_first`] did.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeletedFirst {
    /// Entries that were not deleted before.
    pub(super) entries: u64,
    /// The first one now.
    pub(super) first: Option<StreamId>,
}

/// Marks entries as deleted from the first on, until `keep` wants one. It is told how many there
/// were before.
pub(super) fn delete_first(
    pack: &mut dyn Buffer,
    first: StreamId,
    keep: impl Fn(StreamId, u64) -> bool,
) -> DeletedFirst {
    let mut entries = Cursor::new(first, Listpack::new(pack.bytes()));
    let mut master = entries.master;
    let mut offsets = Vec::new();
    let left = entries.by_ref().filter(|entry| !entry.deleted).find(|entry| {
        let is_left = keep(entry.id, offsets.len() as u64);
        if !is_left {
            offsets.push(entry.at);
        }
        is_left
    });
    let first = left.map(|entry| entry.id);
    // Backwards, since flags from outside may be wider than what replaces them.
    offsets.iter().rev().for_each(|at| set_deleted(pack, *at));
    master.live -= offsets.len() as i64;
    master.deleted += offsets.len() as i64;
    master.write(pack);
    DeletedFirst { entries: offsets.len() as u64, first }
}

fn set_deleted(pack: &mut dyn Buffer, at: usize) {
    let flags = Listpack::new(pack.bytes()).get(at).integer().unwrap_or_default();
    listpack::replace_int(pack, at, flags | DELETED);
}
