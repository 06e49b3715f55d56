//! A member as it is looked for.

use crate::number::parse_i64;
use crate::types::hashing;
use crate::types::listpack::Item;

use super::member::INLINE_MAX;

/// A member, the integer it is the canonical form of, and the part of its hash that the index
/// keeps.
pub(super) struct Key<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) integer: Option<i64>,
    pub(super) hash: u32,
}

impl<'a> Key<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let integer = parse_i64(bytes);
        let hash = hash(integer.map_or(Item::Bytes(bytes), Item::Int));
        Self { bytes, integer, hash }
    }

    /// What a leaf keeps of the hash.
    #[inline]
    pub(super) fn fingerprint(&self) -> u8 {
        fingerprint(self.hash)
    }

    /// Whether the member stands outside of its leaf.
    #[inline]
    pub(super) fn is_large(&self) -> bool {
        self.bytes.len() > INLINE_MAX
    }
}

/// The hash of a stored member. That of an integer spares writing its text.
#[inline]
pub(super) fn hash(member: Item<'_>) -> u32 {
    let hash = match member {
        Item::Int(value) => hashing::hash(&value.to_le_bytes()),
        Item::Bytes(bytes) => hashing::hash(bytes),
    };
    (hash >> 32) as u32
}

#[inline]
pub(super) fn fingerprint(hash: u32) -> u8 {
    hash as u8
}
