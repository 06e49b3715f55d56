//! A value as a whole: owned, borrowed, and in its place.

use super::hash::HashRef;
use super::intset::Intset;
use super::list::{ListRef, PackedList};
use super::listpack::Listpack;
use super::members::SetRef;
use super::sorted_set::SortedSetRef;
use super::stream::Stream;
use super::{Buffer, Encoding, Object, StringView};

/// A borrowed value, one variant per type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValueRef<'a> {
    String(StringView<'a>),
    List(ListRef<'a>),
    Set(SetRef<'a>),
    Hash(HashRef<'a>),
    SortedSet(SortedSetRef<'a>),
    Stream(&'a Stream),
}

impl<'a> ValueRef<'a> {
    /// A packed value by its encoding and bytes, which are ours and therefore valid.
    #[inline]
    pub(crate) fn packed(encoding: Encoding, bytes: &'a [u8]) -> Self {
        match encoding {
            Encoding::Int => {
                let bytes = bytes.try_into().expect("an Int has 8 bytes");
                Self::String(StringView::Int(i64::from_ne_bytes(bytes)))
            }
            Encoding::Embstr | Encoding::Raw => Self::String(StringView::Bytes(bytes)),
            Encoding::ListPack => Self::List(ListRef::Packed(PackedList::new(bytes))),
            Encoding::IntSet => Self::Set(SetRef::Ints(Intset::new(bytes))),
            Encoding::SetPack => Self::Set(SetRef::Packed(Listpack::new(bytes))),
            Encoding::HashPack => Self::Hash(HashRef::Packed(Listpack::new(bytes))),
            Encoding::SortedSetPack => Self::SortedSet(SortedSetRef::Packed(Listpack::new(bytes))),
            _ => unreachable!("{encoding:?} is no packed encoding"),
        }
    }

    pub(crate) fn object(object: &'a Object) -> Self {
        match object {
            Object::String(chunks) => Self::String(StringView::Chunks(chunks)),
            Object::List(list) => Self::List(ListRef::Large(list)),
            Object::Set(table) => Self::Set(SetRef::Table(table)),
            Object::Hash(table) => Self::Hash(HashRef::Table(table)),
            Object::SortedSet(set) => Self::SortedSet(SortedSetRef::Tree(set)),
            Object::Stream(stream) => Self::Stream(stream),
        }
    }

    /// The value as a string, or `None` for another type.
    #[inline]
    pub(crate) fn string(self) -> Option<StringView<'a>> {
        match self {
            Self::String(string) => Some(string),
            _ => None,
        }
    }

    /// The value as a list, or `None` for another type.
    #[inline]
    pub(crate) fn list(self) -> Option<ListRef<'a>> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The value as a set, or `None` for another type.
    #[inline]
    pub(crate) fn set(self) -> Option<SetRef<'a>> {
        match self {
            Self::Set(set) => Some(set),
            _ => None,
        }
    }

    /// The value as a sorted set, or `None` for another type.
    #[inline]
    pub(crate) fn sorted_set(self) -> Option<SortedSetRef<'a>> {
        match self {
            Self::SortedSet(set) => Some(set),
            _ => None,
        }
    }

    /// The value as a stream, or `None` for another type.
    #[inline]
    pub(crate) fn stream(self) -> Option<&'a Stream> {
        match self {
            Self::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// The value as a hash, or `None` for another type.
    #[inline]
    pub(crate) fn hash(self) -> Option<HashRef<'a>> {
        match self {
            Self::Hash(hash) => Some(hash),
            _ => None,
        }
    }

    /// Reads what looks at these members or fields will read, all at the same time, if the value is
    /// large: see [`FETCHED_MAX`](super::FETCHED_MAX).
    pub(crate) fn fetch(self, members: &[&[u8]]) {
        match self {
            Self::Set(SetRef::Table(table)) => table.fetch(members),
            Self::Hash(HashRef::Table(table)) => table.fetch(members),
            Self::SortedSet(SortedSetRef::Tree(set)) => set.fetch(members),
            _ => {}
        }
    }

    /// Whether this is a collection without elements, which no key may hold.
    pub(crate) fn is_empty_collection(self) -> bool {
        match self {
            // An empty stream remembers its last id and its groups.
            Self::String(_) | Self::Stream(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::SortedSet(set) => set.is_empty(),
        }
    }
}

impl<'a> From<&'a [u8]> for ValueRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::String(StringView::Bytes(bytes))
    }
}

#[cfg(test)]
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

/// A value without a key: read from an RDB stream, or about to be stored.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A string, whichever way it will be kept.
    String(Vec<u8>),
    /// Packed bytes of another type.
    Packed(Encoding, Vec<u8>),
    Object(Box<Object>),
}

impl Value {
    /// An empty collection of a packed encoding, to be filled.
    pub(crate) fn empty(encoding: Encoding) -> Self {
        let bytes: &[u8] = match encoding {
            Encoding::IntSet => super::intset::EMPTY,
            Encoding::ListPack
            | Encoding::SetPack
            | Encoding::HashPack
            | Encoding::SortedSetPack => super::listpack::EMPTY,
            _ => unreachable!("{encoding:?} is no packed encoding of a collection"),
        };
        Self::Packed(encoding, bytes.to_vec())
    }

    pub(crate) fn view(&self) -> ValueRef<'_> {
        match self {
            Self::String(bytes) => ValueRef::String(StringView::Bytes(bytes)),
            Self::Packed(encoding, bytes) => ValueRef::packed(*encoding, bytes),
            Self::Object(object) => ValueRef::object(object),
        }
    }
}

/// Where a collection stands while it is changed: packed bytes, which it is as a [`Buffer`], or an
/// object.
pub(crate) trait Place: Buffer {
    fn encoding(&self) -> Encoding;

    /// The object, if the value is one.
    fn object_mut(&mut self) -> Option<&mut Object>;

    /// Replaces packed bytes by others of another encoding of the same type.
    fn become_packed(&mut self, encoding: Encoding, bytes: &[u8]);

    /// Replaces packed bytes by an object of the same type.
    fn become_object(&mut self, object: Object);

    fn view(&self) -> ValueRef<'_>;

    /// Changes when the value does, as far as can be told without reading a large one whole.
    fn fingerprint(&mut self) -> (Encoding, u64, usize) {
        match self.object_mut() {
            Some(object) => (object.encoding(), 0, object.allocated_bytes()),
            None => (self.encoding(), super::hashing::hash(self.bytes()), self.bytes().len()),
        }
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(Box::new(object))
    }
}

impl Buffer for Value {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Packed(_, bytes) | Self::String(bytes) => bytes,
            Self::Object(_) => unreachable!("an object is not changed as bytes"),
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Packed(_, bytes) | Self::String(bytes) => bytes,
            Self::Object(_) => unreachable!("an object is not changed as bytes"),
        }
    }

    fn open(&mut self, at: usize, removed: usize, added: usize) -> &mut [u8] {
        match self {
            Self::Packed(_, bytes) | Self::String(bytes) => bytes.open(at, removed, added),
            Self::Object(_) => unreachable!("an object is not changed as bytes"),
        }
    }
}

impl Place for Value {
    fn encoding(&self) -> Encoding {
        match self {
            Self::String(_) => Encoding::Raw,
            Self::Packed(encoding, _) => *encoding,
            Self::Object(object) => object.encoding(),
        }
    }

    fn object_mut(&mut self) -> Option<&mut Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    fn become_packed(&mut self, encoding: Encoding, bytes: &[u8]) {
        *self = Self::Packed(encoding, bytes.to_vec());
    }

    fn become_object(&mut self, object: Object) {
        *self = Self::Object(Box::new(object));
    }

    fn view(&self) -> ValueRef<'_> {
        Self::view(self)
    }
}
