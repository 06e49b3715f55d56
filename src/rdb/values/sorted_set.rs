//! Sorted sets: written as a listpack, or as members with scores in binary.

use std::io::{self, Write};

use crate::rdb::encode::Encoder;
use crate::rdb::format::type_code;
use crate::types::sorted_set::SortedSetRef;

/// The type code under which [`write`] writes this sorted set.
pub(super) fn type_code(set: SortedSetRef<'_>) -> u8 {
    match set {
        SortedSetRef::Packed(_) => type_code::SORTED_SET_LISTPACK,
        SortedSetRef::Tree(_) => type_code::SORTED_SET_2,
    }
}

/// Writes a sorted set without its type.
pub(super) fn write<W: Write>(encoder: &mut Encoder<W>, set: SortedSetRef<'_>) -> io::Result<()> {
    let tree = match set {
        SortedSetRef::Packed(pack) => return encoder.bytes(pack.as_bytes()),
        SortedSetRef::Tree(tree) => tree,
    };
    encoder.length(u64::try_from(tree.len()).unwrap_or(u64::MAX))?;
    // Redis writes the greatest first, so that a reader inserts each at the front.
    for (member, score) in tree.iter_before(tree.len()) {
        member.with_bytes(|member| encoder.bytes(member))?;
        encoder.raw(&score.to_le_bytes())?;
    }
    Ok(())
}
