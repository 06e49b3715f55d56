//! Changes of a sorted set in its place, whichever form it has; and when it leaves the small one.

use super::{Inserted, SortedSet, SortedSetRef, insert_packed, remove_packed};
use crate::limits::Collections;
use crate::number::double::{self, DoubleText};
use crate::types::listpack::{self, Item};
use crate::types::{Encoding, Object, Place, Value};

/// The most bytes that a listpack may reach by an insertion, as in Redis (`LISTPACK_MAX_SAFETY`).
const PACK_BYTES_MAX: usize = 1 << 30;

/// Whether a sorted set of `len` members, the longest of which has `longest` bytes, is packed;
/// `bytes` is what its listpack would hold.
#[inline]
pub(crate) fn is_packable(limits: &Collections, len: usize, longest: usize, bytes: usize) -> bool {
    len as u64 <= limits.sorted_set_pack_entries_max
        && longest as u64 <= limits.sorted_set_pack_value_bytes_max
        && bytes <= PACK_BYTES_MAX
}

fn view(place: &dyn Place) -> SortedSetRef<'_> {
    place.view().sorted_set().expect("the place of a sorted set")
}

fn tree(place: &mut dyn Place) -> Option<&mut SortedSet> {
    match place.object_mut()? {
        Object::SortedSet(set) => Some(set),
        _ => unreachable!("the place of a sorted set"),
    }
}

/// Adds a member or changes its score, which must be a number. A packed set that passes a limit by
/// a new member becomes a tree.
pub(crate) fn insert(
    place: &mut dyn Place,
    member: &[u8],
    score: f64,
    limits: &Collections,
) -> Inserted {
    if let Some(set) = tree(place) {
        return set.insert(member, score);
    }
    let set = view(place);
    if let Some(old) = set.score(member) {
        if old == score {
            return Inserted::Same;
        }
        remove_packed(place, member);
        insert_packed(place, member, score);
        return Inserted::Moved;
    }
    let bytes = place.bytes().len() + member.len();
    if is_packable(limits, set.len() + 1, member.len(), bytes) {
        insert_packed(place, member, score);
    } else {
        let mut set = set.to_tree();
        set.insert(member, score);
        place.become_object(Object::SortedSet(set));
    }
    Inserted::New
}

/// Removes a member and returns its score.
pub(crate) fn remove(place: &mut dyn Place, member: &[u8]) -> Option<f64> {
    match tree(place) {
        Some(set) => set.remove(member),
        None => remove_packed(place, member),
    }
}

/// Removes up to `count` elements from a rank on, and tells of each before it goes.
pub(crate) fn remove_ranks(
    place: &mut dyn Place,
    start: usize,
    count: usize,
    mut each: impl FnMut(Item<'_>, f64),
) {
    if let Some(set) = tree(place) {
        return set.remove_ranks(start, count, each);
    }
    let set = view(place);
    let SortedSetRef::Packed(pack) = set else { unreachable!("it is no tree") };
    set.iter_from(start).take(count).for_each(|(member, score)| each(member, score));
    let from = i64::try_from(start).ok().and_then(|start| pack.seek(start.checked_mul(2)?));
    if let Some(offset) = from {
        listpack::delete(place, offset, count.saturating_mul(2));
    }
}

/// A sorted set to be filled with at least `len` elements.
pub(crate) fn empty_for(len: usize, limits: &Collections) -> Value {
    match is_packable(limits, len, 0, 0) {
        true => Value::empty(Encoding::SortedSetPack),
        false => Value::Object(Box::new(Object::SortedSet(SortedSet::new()))),
    }
}

/// The sorted set of these elements, which come in order and none of them twice.
pub(crate) fn of_ordered<'a>(
    elements: impl Iterator<Item = (Item<'a>, f64)> + Clone,
    limits: &Collections,
) -> Value {
    let (mut len, mut longest, mut bytes) = (0, 0, 0);
    for (member, _) in elements.clone() {
        let member = member.len();
        (len, longest, bytes) = (len + 1, longest.max(member), bytes + member);
        if !is_packable(limits, len, longest, bytes) {
            let mut tree = SortedSet::new();
            elements.for_each(|(member, score)| {
                member.with_bytes(|member| tree.insert(member, score));
            });
            return Value::Object(Box::new(Object::SortedSet(tree)));
        }
    }
    let mut pack = listpack::EMPTY.to_vec();
    for (member, score) in elements {
        listpack::push_back_item(&mut pack, member);
        match double::integral(score) {
            Some(integer) => listpack::push_back_int(&mut pack, integer),
            None => listpack::push_back(&mut pack, DoubleText::new(score).as_bytes()),
        }
    }
    Value::Packed(Encoding::SortedSetPack, pack)
}
