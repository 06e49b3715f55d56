//! Sets: the packed form of few words, and one view over all the ways a set is stored.
//!
//! Integers alone are an [`Intset`], a few short words a listpack, all else a [`MemberTable`].
//! Redis 7.0 has no listpack of members: it names such a set `hashtable` and saves it as RDB type
//! 2, and so does whoever shows or saves one of ours. Redis 7.2 stores them so, with the same
//! limits.

mod edit;

pub(crate) use edit::{
    add, copy_of, discard, empty_for, first_encoding, hashed_copy_of, is_intset, of_members,
    take_nth, union_of_ints,
};

use super::intset::Intset;
use super::listpack::{self, Item, Listpack};
use super::table::{self, MemberTable};
use super::{buffer::Buffer, uniform};
use crate::number::parse_i64;

/// A set with more members is not packed.
pub(crate) const PACKED_MEMBERS_MAX: usize = 128;
/// Nor is one with a member of more bytes.
pub(crate) const PACKED_MEMBER_BYTES_MAX: usize = 64;

/// Whether a set of `len` members, the longest of which has `longest` bytes, is packed.
#[inline]
pub(crate) fn is_packable(len: usize, longest: usize) -> bool {
    len <= PACKED_MEMBERS_MAX && longest <= PACKED_MEMBER_BYTES_MAX
}

/// Adds a member to a packed set, whose limits the caller has checked; false if it was there.
#[cfg(test)]
pub(crate) fn insert<B: Buffer + ?Sized>(set: &mut B, member: &[u8]) -> bool {
    let new = Listpack::new(set.bytes()).find(member, 0).is_none();
    if new {
        listpack::push_back(set, member);
    }
    new
}

/// Removes a member from a packed set; false if it was not there.
pub(crate) fn remove<B: Buffer + ?Sized>(set: &mut B, member: &[u8]) -> bool {
    let found = Listpack::new(set.bytes()).find(member, 0);
    if let Some(offset) = found {
        listpack::delete(set, offset, 1);
    }
    found.is_some()
}

/// Removes the member of this rank from a packed set.
///
/// # Panics
/// If there are not so many.
pub(crate) fn remove_nth<B: Buffer + ?Sized>(set: &mut B, rank: usize) {
    let offset = Listpack::new(set.bytes()).seek(rank as i64).expect("the rank of a member");
    listpack::delete(set, offset, 1);
}

/// A set as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SetRef<'a> {
    Ints(Intset<'a>),
    Packed(Listpack<'a>),
    Table(&'a MemberTable),
}

impl<'a> SetRef<'a> {
    #[inline]
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Ints(set) => set.len(),
            Self::Packed(set) => set.len(),
            Self::Table(set) => set.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn contains(self, member: &[u8]) -> bool {
        match self {
            Self::Ints(set) => parse_i64(member).is_some_and(|member| set.contains(member)),
            Self::Packed(set) => set.find(member, 0).is_some(),
            Self::Table(set) => set.contains(member),
        }
    }

    /// Whether a member of this or another set is one of this set.
    #[inline]
    pub(crate) fn contains_item(self, member: Item<'_>) -> bool {
        match (self, member) {
            (Self::Ints(set), Item::Int(member)) => set.contains(member),
            _ => member.with_bytes(|member| self.contains(member)),
        }
    }

    /// The members, in the order that ranks count.
    pub(crate) fn iter(self) -> Iter<'a> {
        match self {
            Self::Ints(set) => Iter::Ints(set, 0),
            Self::Packed(set) => Iter::Packed(set.iter(), set.len()),
            Self::Table(set) => Iter::Table(set.iter()),
        }
    }

    /// The member of a rank.
    pub(crate) fn nth(self, rank: usize) -> Option<Item<'a>> {
        match self {
            Self::Ints(set) => (rank < set.len()).then(|| Item::Int(set.get(rank))),
            Self::Packed(set) => set.seek(i64::try_from(rank).ok()?).map(|at| set.get(at)),
            Self::Table(set) => set.nth(rank).map(|(member, _)| Item::Bytes(member)),
        }
    }

    /// A uniformly random member; `None` if there is none.
    pub(crate) fn random(self, random: &mut dyn FnMut() -> u64) -> Option<Item<'a>> {
        self.nth(uniform(self.len(), random))
    }

    /// Continues a scan, as [`MemberTable::scan`] does it; a small set is visited at once.
    pub(crate) fn scan(self, cursor: u64, count: usize, mut each: impl FnMut(Item<'_>)) -> u64 {
        match self {
            Self::Table(set) => set.scan(cursor, count, |member, _| each(Item::Bytes(member))),
            _ => {
                self.iter().for_each(each);
                0
            }
        }
    }

    /// Bytes of the longest member.
    #[cfg(test)]
    pub(crate) fn longest(self) -> usize {
        self.iter().map(Item::len).max().unwrap_or(0)
    }

    /// The members in the large form.
    pub(crate) fn to_table(self) -> MemberTable {
        if let Self::Table(set) = self {
            return set.clone();
        }
        let mut table = MemberTable::with_capacity(self.len());
        for member in self.iter() {
            member.with_bytes(|member| table.insert(member));
        }
        table
    }

    /// The members as a listpack, whose limits the caller has checked.
    #[cfg(test)]
    pub(crate) fn to_packed(self) -> Vec<u8> {
        let mut packed = listpack::EMPTY.to_vec();
        for member in self.iter() {
            match member {
                Item::Int(member) => listpack::push_back_int(&mut packed, member),
                Item::Bytes(member) => listpack::push_back(&mut packed, member),
            }
        }
        packed
    }

    /// The members as an intset; `None` if one is not an integer.
    #[cfg(test)]
    pub(crate) fn to_ints(self) -> Option<Vec<u8>> {
        let mut ints = super::intset::EMPTY.to_vec();
        for member in self.iter() {
            super::intset::insert(&mut ints, member.integer()?);
        }
        Some(ints)
    }
}

/// The members of a set.
#[derive(Clone, Debug)]
pub(crate) enum Iter<'a> {
    /// With the index of the next one.
    Ints(Intset<'a>, usize),
    /// With the number of those that are left.
    Packed(listpack::Iter<'a>, usize),
    Table(table::Iter<'a, false>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        match self {
            Self::Ints(set, at) => {
                let member = (*at < set.len()).then(|| Item::Int(set.get(*at)))?;
                *at += 1;
                Some(member)
            }
            Self::Packed(members, left) => {
                let (_, member) = members.next()?;
                *left -= 1;
                Some(member)
            }
            Self::Table(members) => members.next().map(|(member, _)| Item::Bytes(member)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self {
            Self::Ints(set, at) => set.len() - at,
            Self::Packed(_, left) => *left,
            Self::Table(members) => members.len(),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Every form that can hold the members.
    fn forms<R>(members: &BTreeSet<Vec<u8>>, mut each: impl FnMut(SetRef<'_>) -> R) -> Vec<R> {
        let mut packed = listpack::EMPTY.to_vec();
        for member in members {
            assert!(insert(&mut packed, member));
            assert!(!insert(&mut packed, member));
        }
        let packed = SetRef::Packed(Listpack::new(&packed));
        let table = packed.to_table();
        let ints = packed.to_ints();
        assert_eq!(ints.is_some(), members.iter().all(|member| parse_i64(member).is_some()));
        let ints = ints.as_deref().map(|ints| SetRef::Ints(Intset::new(ints)));
        [Some(packed), Some(SetRef::Table(&table)), ints]
            .into_iter()
            .flatten()
            .map(&mut each)
            .collect()
    }

    fn member() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<i64>().prop_map(|number| number.to_string().into_bytes()),
            (-20..200_i64).prop_map(|number| number.to_string().into_bytes()),
            prop::collection::vec(any::<u8>(), 0..80),
            "0[0-9]{1,2}".prop_map(String::into_bytes),
        ]
    }

    fn sets() -> impl Strategy<Value = BTreeSet<Vec<u8>>> {
        let ints = (-300..300_i64).prop_map(|number| number.to_string().into_bytes());
        prop_oneof![
            prop::collection::btree_set(member(), 0..150),
            prop::collection::btree_set(ints, 0..150),
        ]
    }

    proptest! {
        #[test]
        fn all_forms_of_a_set_answer_alike(members in sets(), others in sets()) {
            forms(&members, |set| {
                assert_eq!((set.len(), set.is_empty()), (members.len(), members.is_empty()));
                assert_eq!(set.longest(), members.iter().map(Vec::len).max().unwrap_or(0));
                let found: Vec<Vec<u8>> = set.iter().map(Item::to_vec).collect();
                assert_eq!((set.iter().len(), found.len()), (members.len(), members.len()));
                assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), members);
                for (rank, member) in found.iter().enumerate() {
                    assert_eq!(set.nth(rank).map(Item::to_vec).as_ref(), Some(member));
                    assert!(set.contains(member) && set.contains_item(Item::Bytes(member)));
                    if let Some(number) = parse_i64(member) {
                        assert!(set.contains_item(Item::Int(number)));
                    }
                }
                assert_eq!(set.nth(members.len()), None);
                for other in &others {
                    assert_eq!(set.contains(other), members.contains(other));
                }
                let mut scanned = BTreeSet::new();
                assert_eq!(set.scan(0, 1000, |member| assert!(scanned.insert(member.to_vec()))), 0);
                assert_eq!(scanned, members);
                let converted = set.to_packed();
                let converted = SetRef::Packed(Listpack::new(&converted));
                assert_eq!(converted.iter().map(Item::to_vec).collect::<Vec<_>>(), found);
            });
        }

        #[test]
        fn a_packed_set_loses_only_what_is_removed(members in sets(), ranks: Vec<u8>) {
            let mut packed = listpack::EMPTY.to_vec();
            let mut left: Vec<Vec<u8>> = members.iter().cloned().collect();
            left.iter().for_each(|member| assert!(insert(&mut packed, member)));
            for rank in ranks {
                let rank = usize::from(rank);
                if rank >= left.len() {
                    continue;
                }
                let gone = left.remove(rank);
                if rank % 2 == 0 {
                    remove_nth(&mut packed, rank);
                } else {
                    prop_assert!(remove(&mut packed, &gone));
                }
                prop_assert!(!remove(&mut packed, &gone));
                prop_assert_eq!(Listpack::check(&packed), Ok(left.len()));
            }
            let set = SetRef::Packed(Listpack::new(&packed));
            prop_assert_eq!(set.iter().map(Item::to_vec).collect::<Vec<_>>(), left);
        }
    }

    #[test]
    fn every_member_is_drawn_in_each_form() {
        let members = (0..40).map(|number: i32| number.to_string().into_bytes()).collect();
        let mut state = 5_u64;
        let mut random = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            state
        };
        let drawn = forms(&members, |set| {
            let draws = (0..2000).map(|_| set.random(&mut random).unwrap().to_vec());
            draws.collect::<BTreeSet<_>>()
        });
        assert_eq!(drawn, [members.clone(), members.clone(), members]);
        let empty = SetRef::Packed(Listpack::new(listpack::EMPTY));
        assert_eq!(empty.random(&mut random), None);
    }

    #[test]
    fn the_limits_are_those_of_redis_7_2() {
        assert!(is_packable(128, 64));
        assert!(!is_packable(129, 1) && !is_packable(1, 65));
    }
}
