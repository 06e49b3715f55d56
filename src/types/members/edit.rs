//! Changes of a set where it stands, and sets made anew: the choice among the three forms.
//!
//! A set is an intset for as long as Redis 7.0 would keep it as one: while all its members are
//! integers, and no more than `set-max-intset-entries`. Redis goes on with a hash table from there
//! on, and never goes back; what it calls `hashtable` is here a listpack of a few short members, or
//! a table. Which of the two depends only on what the set holds when it must change its form.

use super::{PACKED_MEMBER_BYTES_MAX, PACKED_MEMBERS_MAX, SetRef, is_packable};
use crate::limits::Collections;
use crate::number::parse_i64;
use crate::types::intset::{self, Intset};
use crate::types::listpack::{self, Item, Listpack};
use crate::types::table::MemberTable;
use crate::types::{Encoding, Object, Place, Value};

/// No intset has more members, whatever the setting: it must fit an entry, which holds 4 GiB.
const INTS_MAX: u64 = 1 << 28;

/// Members up to which a set of integers is an intset.
fn ints_max(limits: &Collections) -> usize {
    usize::try_from(limits.set_intset_entries_max.min(INTS_MAX)).unwrap_or(usize::MAX)
}

/// How a set begins whose first member this is.
pub(crate) fn first_encoding(member: &[u8]) -> Encoding {
    if parse_i64(member).is_some() { Encoding::IntSet } else { Encoding::SetPack }
}

/// Whether a set of `len` integers is an intset.
pub(crate) fn is_intset(len: usize, limits: &Collections) -> bool {
    len <= ints_max(limits)
}

/// A set without members, in the form that it should begin with to get so many. The number may
/// come from a damaged file.
pub(crate) fn empty_for(len: u64, limits: &Collections) -> Value {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if is_intset(len, limits) {
        Value::empty(Encoding::IntSet)
    } else if len <= PACKED_MEMBERS_MAX {
        Value::empty(Encoding::SetPack)
    } else {
        Value::Object(Box::new(Object::Set(MemberTable::with_capacity(len))))
    }
}

/// Adds a member; false if it was there.
pub(crate) fn add(set: &mut dyn Place, member: &[u8], limits: &Collections) -> bool {
    match set.encoding() {
        Encoding::IntSet => add_to_ints(set, member, limits),
        Encoding::SetPack => add_to_packed(set, member),
        _ => table_of(set).insert(member),
    }
}

fn add_to_ints(set: &mut dyn Place, member: &[u8], limits: &Collections) -> bool {
    let Some(number) = parse_i64(member) else {
        let ints = SetRef::Ints(Intset::new(set.bytes()));
        let members = ints.iter().chain([Item::Bytes(member)]);
        let hashed = hashed(members, ints.len() + 1);
        replace(set, hashed);
        return true;
    };
    if !intset::insert(set, number) {
        return false;
    }
    let ints = SetRef::Ints(Intset::new(set.bytes()));
    if !is_intset(ints.len(), limits) {
        let hashed = hashed(ints.iter(), ints.len());
        replace(set, hashed);
    }
    true
}

fn add_to_packed(set: &mut dyn Place, member: &[u8]) -> bool {
    let packed = Listpack::new(set.bytes());
    if packed.find(member, 0).is_some() {
        return false;
    }
    if is_packable(packed.len() + 1, member.len()) {
        listpack::push_back(set, member);
    } else {
        let mut table = SetRef::Packed(packed).to_table();
        table.insert(member);
        set.become_object(Object::Set(table));
    }
    true
}

/// Removes a member; false if it was not there. The set keeps its form.
pub(crate) fn discard(set: &mut dyn Place, member: &[u8]) -> bool {
    match set.encoding() {
        Encoding::IntSet => parse_i64(member).is_some_and(|number| intset::remove(set, number)),
        Encoding::SetPack => super::remove(set, member),
        _ => table_of(set).remove(member),
    }
}

/// Removes the member of a rank and returns it.
///
/// # Panics
/// If there are not so many.
pub(crate) fn take_nth(set: &mut dyn Place, rank: usize) -> Vec<u8> {
    if let Some(Object::Set(table)) = set.object_mut() {
        return table.remove_nth(rank).expect("the rank of a member").0;
    }
    let view = set.view().set().expect("the place of a set");
    let member = view.nth(rank).expect("the rank of a member").to_vec();
    match set.encoding() {
        Encoding::IntSet => intset::remove_at(set, rank),
        _ => super::remove_nth(set, rank),
    }
    member
}

/// A set of these members, of which there are `len`, all different.
pub(crate) fn of_members<'a, I>(members: I, len: usize, limits: &Collections) -> Value
where
    I: Iterator<Item = Item<'a>> + Clone,
{
    let ints = is_intset(len, limits).then(|| ints_of(members.clone())).flatten();
    ints.unwrap_or_else(|| hashed(members, len))
}

/// The union as an intset, if Redis keeps it as one.
pub(crate) fn union_of_ints(sets: &[SetRef<'_>], limits: &Collections) -> Option<Value> {
    if !sets.iter().all(|set| is_intset(set.len(), limits)) {
        return None;
    }
    let union = ints_of(sets.iter().flat_map(|set| set.iter()))?;
    is_intset(union.view().set()?.len(), limits).then_some(union)
}

/// The same members in the form that Redis gives them when it adds them one by one to an empty set.
pub(crate) fn copy_of(set: SetRef<'_>, limits: &Collections) -> Value {
    let ints = is_intset(set.len(), limits).then(|| ints_of(set.iter())).flatten();
    ints.unwrap_or_else(|| hashed_copy_of(set))
}

/// The same members, but never as an intset. A large table is shared.
pub(crate) fn hashed_copy_of(set: SetRef<'_>) -> Value {
    match set {
        SetRef::Table(table) if !fits_packed(set.iter(), set.len()) => {
            Value::Object(Box::new(Object::Set(table.clone())))
        }
        _ => hashed(set.iter(), set.len()),
    }
}

/// An intset of these members; `None` if one is not an integer.
fn ints_of<'a>(members: impl Iterator<Item = Item<'a>>) -> Option<Value> {
    let mut ints: Vec<i64> = members.map(Item::integer).collect::<Option<_>>()?;
    // The end is where an insertion moves nothing.
    ints.sort_unstable();
    let mut bytes = intset::EMPTY.to_vec();
    for number in ints {
        intset::insert(&mut bytes, number);
    }
    Some(Value::Packed(Encoding::IntSet, bytes))
}

fn hashed<'a>(members: impl Iterator<Item = Item<'a>> + Clone, len: usize) -> Value {
    if fits_packed(members.clone(), len) {
        let mut packed = listpack::EMPTY.to_vec();
        members.for_each(|member| listpack::push_back_item(&mut packed, member));
        return Value::Packed(Encoding::SetPack, packed);
    }
    let mut table = MemberTable::with_capacity(len);
    for member in members {
        member.with_bytes(|member| table.insert(member));
    }
    Value::Object(Box::new(Object::Set(table)))
}

fn fits_packed<'a>(mut members: impl Iterator<Item = Item<'a>>, len: usize) -> bool {
    len <= PACKED_MEMBERS_MAX && members.all(|member| member.len() <= PACKED_MEMBER_BYTES_MAX)
}

fn replace(set: &mut dyn Place, value: Value) {
    match value {
        Value::Packed(encoding, bytes) => set.become_packed(encoding, &bytes),
        Value::Object(object) => set.become_object(*object),
        Value::String(_) => unreachable!("a set is no string"),
    }
}

fn table_of(set: &mut dyn Place) -> &mut MemberTable {
    match set.object_mut() {
        Some(Object::Set(table)) => table,
        other => unreachable!("a set that is not packed is a table, not {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::settings::Settings;

    fn limits(ints_max: u64) -> Collections {
        Collections { set_intset_entries_max: ints_max, ..Settings::default().collections }
    }

    fn set_of(members: &[&[u8]], limits: &Collections) -> Value {
        let mut set = Value::empty(first_encoding(members[0]));
        for member in members {
            assert!(add(&mut set, member, limits));
            assert!(!add(&mut set, member, limits));
        }
        set
    }

    fn numbers(range: std::ops::Range<i64>) -> Vec<Vec<u8>> {
        range.map(|number| number.to_string().into_bytes()).collect()
    }

    fn encoding_of(members: &[Vec<u8>], ints_max: u64) -> Encoding {
        let members: Vec<&[u8]> = members.iter().map(Vec::as_slice).collect();
        Place::encoding(&set_of(&members, &limits(ints_max)))
    }

    #[test]
    fn integers_are_an_intset_up_to_the_setting() {
        assert_eq!(encoding_of(&numbers(0..512), 512), Encoding::IntSet);
        assert_eq!(encoding_of(&numbers(0..513), 512), Encoding::Set);
        assert_eq!(encoding_of(&numbers(0..17), 16), Encoding::SetPack);
        assert_eq!(encoding_of(&numbers(0..1), 0), Encoding::SetPack);
    }

    #[test]
    fn a_word_among_integers_ends_the_intset() {
        let with = |count: i64, word: &[u8]| [numbers(0..count), vec![word.to_vec()]].concat();
        for word in [&b"w"[..], b"01", b"", b"9223372036854775808"] {
            assert_eq!(encoding_of(&with(127, word), 512), Encoding::SetPack);
            assert_eq!(encoding_of(&with(128, word), 512), Encoding::Set);
        }
        assert_eq!(encoding_of(&with(2, &[b'w'; 64]), 512), Encoding::SetPack);
        assert_eq!(encoding_of(&with(2, &[b'w'; 65]), 512), Encoding::Set);
    }

    #[test]
    fn a_set_never_goes_back_to_a_smaller_form() {
        let limits = limits(16);
        let mut set = set_of(&[b"1", b"w"], &limits);
        assert!(discard(&mut set, b"w"));
        assert_eq!(Place::encoding(&set), Encoding::SetPack);
        let mut set = set_of(&[b"1", &[b'w'; 65]], &limits);
        assert!(discard(&mut set, &[b'w'; 65]));
        assert_eq!(Place::encoding(&set), Encoding::Set);
    }

    #[test]
    fn a_copy_has_the_form_of_what_is_left() {
        let limits = limits(16);
        let mut set = set_of(&[b"1", &[b'w'; 65]], &limits);
        let view = |set: &Value| copy_of(set.view().set().unwrap(), &limits);
        assert_eq!(Place::encoding(&view(&set)), Encoding::Set);
        assert!(discard(&mut set, &[b'w'; 65]));
        assert_eq!(Place::encoding(&view(&set)), Encoding::IntSet);
        assert!(add(&mut set, b"w", &limits));
        assert_eq!(Place::encoding(&view(&set)), Encoding::SetPack);
    }

    fn member() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            8 => (-20..60_i64).prop_map(|number| number.to_string().into_bytes()),
            2 => prop::collection::vec(b'a'..b'd', 0..4),
            1 => prop::collection::vec(any::<u8>(), 60..70),
        ]
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_added_and_not_removed(
            steps in prop::collection::vec((0..4, member(), any::<u16>()), 1..250),
            ints_max in 0..40_u64,
        ) {
            let limits = limits(ints_max);
            let mut set = Value::empty(first_encoding(&steps[0].1));
            let mut model = BTreeSet::new();
            for (what, member, rank) in steps {
                match what {
                    0 => prop_assert_eq!(discard(&mut set, &member), model.remove(&member)),
                    1 if !model.is_empty() => {
                        let taken = take_nth(&mut set, usize::from(rank) % model.len());
                        prop_assert!(model.remove(&taken));
                    }
                    _ => prop_assert_eq!(add(&mut set, &member, &limits), model.insert(member)),
                }
            }
            let view = set.view().set().unwrap();
            let sorted = |set: SetRef<'_>| set.iter().map(Item::to_vec).collect::<BTreeSet<_>>();
            prop_assert_eq!(&sorted(view), &model);
            let all_ints = model.iter().all(|member| parse_i64(member).is_some());
            let is_intset = all_ints && model.len() as u64 <= ints_max;
            let copies = [copy_of(view, &limits), of_members(view.iter(), view.len(), &limits)];
            for copy in copies {
                prop_assert_eq!(&sorted(copy.view().set().unwrap()), &model);
                prop_assert_eq!(Place::encoding(&copy) == Encoding::IntSet, is_intset);
            }
            let hashed = hashed_copy_of(view);
            prop_assert_eq!(&sorted(hashed.view().set().unwrap()), &model);
            prop_assert!(Place::encoding(&hashed) != Encoding::IntSet);
            let union = union_of_ints(&[view, view], &limits);
            prop_assert_eq!(union.is_some(), is_intset);
        }
    }
}
