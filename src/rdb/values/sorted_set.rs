//! Sorted sets: members with scores as text (type 3) or in binary (type 5), a ziplist (type 12), a
//! listpack (type 17). Written as a listpack or with scores in binary.

use std::io::{self, Read, Write};

use super::hash::has_twice;
use crate::limits::Collections;
use crate::number::double;
use crate::rdb::decode::Decoder;
use crate::rdb::encode::Encoder;
use crate::rdb::error::{Error, ErrorKind};
use crate::rdb::format::type_code;
use crate::rdb::legacy;
use crate::types::listpack::{Item, Listpack};
use crate::types::sorted_set::{self, Inserted, SortedSet, SortedSetRef};
use crate::types::{Damage, Encoding, Object, Value};

const TWICE: ErrorKind = ErrorKind::BadCollection("a sorted set that has a member twice");
const NO_SCORE: ErrorKind =
    ErrorKind::BadCollection("a sorted set with a member that has no score");
const NO_NUMBER: ErrorKind =
    ErrorKind::BadCollection("a sorted set with a score that is no number");

/// What stands in place of a text's length in type 3.
mod text_score {
    pub(super) const NAN: u8 = 253;
    pub(super) const INFINITE: u8 = 254;
    pub(super) const NEGATIVE_INFINITE: u8 = 255;
}

/// Reads a sorted set of one of the types above.
pub(super) fn read<R: Read>(
    decoder: &mut Decoder<R>,
    code: u8,
    limits: &Collections,
) -> Result<Value, Error> {
    let offset = decoder.position();
    let value = match code {
        type_code::SORTED_SET => return elements(decoder, limits, score_as_text),
        type_code::SORTED_SET_2 => return elements(decoder, limits, score_in_binary),
        type_code::SORTED_SET_ZIPLIST => of_ziplist(&decoder.string()?, limits),
        _ => of_listpack(decoder.string()?, limits),
    };
    value.map_err(|kind| Error::new(offset, kind))
}

fn score_as_text<R: Read>(decoder: &mut Decoder<R>) -> Result<f64, Error> {
    let offset = decoder.position();
    match decoder.byte()? {
        text_score::NAN => Err(Error::new(offset, NO_NUMBER)),
        text_score::INFINITE => Ok(f64::INFINITY),
        text_score::NEGATIVE_INFINITE => Ok(f64::NEG_INFINITY),
        len => {
            let text = decoder.bytes(u64::from(len))?;
            double::parse(&text).ok_or_else(|| Error::new(offset, NO_NUMBER))
        }
    }
}

fn score_in_binary<R: Read>(decoder: &mut Decoder<R>) -> Result<f64, Error> {
    let offset = decoder.position();
    let score = f64::from_le_bytes(decoder.array()?);
    if score.is_nan() { Err(Error::new(offset, NO_NUMBER)) } else { Ok(score) }
}

/// Reads members, each with its score behind it.
fn elements<R: Read>(
    decoder: &mut Decoder<R>,
    limits: &Collections,
    score: impl Fn(&mut Decoder<R>) -> Result<f64, Error>,
) -> Result<Value, Error> {
    let offset = decoder.position();
    let len = decoder.length()?;
    if len == 0 {
        return Err(Error::new(offset, ErrorKind::EmptyCollection));
    }
    let mut tree = SortedSet::new();
    for _ in 0..len {
        let at = decoder.position();
        let member = decoder.string()?;
        let score = score(decoder)?;
        insert(&mut tree, &member, score).map_err(|kind| Error::new(at, kind))?;
    }
    Ok(packed_if_small(tree, limits))
}

fn insert(tree: &mut SortedSet, member: &[u8], score: f64) -> Result<(), ErrorKind> {
    match tree.insert(member, score) {
        Inserted::New => Ok(()),
        Inserted::Moved | Inserted::Same => Err(TWICE),
    }
}

fn packed_if_small(tree: SortedSet, limits: &Collections) -> Value {
    let len = u64::try_from(tree.len()).unwrap_or(u64::MAX);
    if len > limits.sorted_set_pack_entries_max {
        return Value::Object(Box::new(Object::SortedSet(tree)));
    }
    sorted_set::of_ordered(tree.iter_from(0), limits)
}

fn of_ziplist(blob: &[u8], limits: &Collections) -> Result<Value, ErrorKind> {
    let items = legacy::ziplist_items(blob).map_err(|damage| damaged("Zset ziplist", damage))?;
    of_pairs(legacy::listpack_of(items), limits)
}

fn of_listpack(pack: Vec<u8>, limits: &Collections) -> Result<Value, ErrorKind> {
    Listpack::check(&pack).map_err(|damage| damaged("Zset listpack", damage))?;
    of_pairs(pack, limits)
}

fn damaged(form: &'static str, damage: Damage) -> ErrorKind {
    ErrorKind::DamagedValue { form, damage }
}

/// The sorted set of a valid listpack of members and scores. The lengths of members do not matter,
/// as in Redis. Nor does their order, but what is made of them has the right one.
fn of_pairs(pack: Vec<u8>, limits: &Collections) -> Result<Value, ErrorKind> {
    let view = Listpack::new(&pack);
    let elements = view.len();
    if elements == 0 {
        return Err(ErrorKind::EmptyCollection);
    }
    if !elements.is_multiple_of(2) {
        return Err(NO_SCORE);
    }
    if !view.iter().skip(1).step_by(2).all(|(_, score)| is_score(score)) {
        return Err(NO_NUMBER);
    }
    let set = SortedSetRef::Packed(view);
    let len = u64::try_from(set.len()).unwrap_or(u64::MAX);
    if len <= limits.sorted_set_pack_entries_max && is_in_order(set) {
        return if has_twice(view, set.len()) {
            Err(TWICE)
        } else {
            Ok(Value::Packed(Encoding::SortedSetPack, pack))
        };
    }
    let mut tree = SortedSet::new();
    for (member, score) in set.iter_from(0) {
        member.with_bytes(|member| insert(&mut tree, member, score))?;
    }
    Ok(packed_if_small(tree, limits))
}

fn is_score(item: Item<'_>) -> bool {
    match item {
        Item::Int(_) => true,
        Item::Bytes(text) => double::parse(text).is_some(),
    }
}

fn is_in_order(set: SortedSetRef<'_>) -> bool {
    set.iter_from(0).is_sorted_by(|(member, score), (next, next_score)| {
        score < next_score
            || score == next_score
                && member.with_bytes(|member| next.with_bytes(|next| member < next))
    })
}

/// The type code under which [`write()`] writes this sorted set.
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

#[cfg(test)]
mod tests;
