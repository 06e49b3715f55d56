//! A sorted set in either form, as commands read it; and changes of the small one.
//!
//! The small form is Redis's: a listpack of member, score, member, score … in order. A score is an
//! integer, or the text that C's `%.17g` gives.

use crate::number::double::{self, DoubleText};
use crate::types::Buffer;
use crate::types::listpack::{self, Item, Listpack};

use super::{Elements, SortedSet};

/// A sorted set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SortedSetRef<'a> {
    Packed(Listpack<'a>),
    Tree(&'a SortedSet),
}

/// Members and scores in order, or backwards.
#[derive(Clone, Debug)]
pub(crate) enum ViewElements<'a> {
    Forward(listpack::Iter<'a>),
    Backward(listpack::Iter<'a>),
    Tree(Elements<'a>),
}

/// The score that an element of a listpack is. What is not a number, as a file from elsewhere may
/// have it, is read as 0.
#[inline]
fn score_of(item: Item<'_>) -> f64 {
    match item {
        Item::Int(value) => value as f64,
        Item::Bytes(text) => double::parse(text).unwrap_or_default(),
    }
}

impl<'a> SortedSetRef<'a> {
    /// Elements.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Packed(pack) => pack.len() / 2,
            Self::Tree(set) => set.len(),
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Packed(pack) => pack.is_empty(),
            Self::Tree(set) => set.is_empty(),
        }
    }

    pub(crate) fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Packed(pack) => {
                let score = pack.next(pack.find(member, 1)?)?;
                Some(score_of(pack.get(score)))
            }
            Self::Tree(set) => set.score(member),
        }
    }

    /// Elements before a member.
    pub(crate) fn rank(self, member: &[u8]) -> Option<usize> {
        self.rank_and_score(member).map(|(rank, _)| rank)
    }

    /// Elements before a member, and its score.
    pub(crate) fn rank_and_score(self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            Self::Packed(pack) => {
                let at = pack.find(member, 1)?;
                let score = score_of(pack.get(pack.next(at)?));
                Some((pack.iter_before(at).count() / 2, score))
            }
            Self::Tree(set) => set.rank_and_score(member),
        }
    }

    /// The element at a rank.
    pub(crate) fn get(self, rank: usize) -> Option<(Item<'a>, f64)> {
        match self {
            Self::Packed(pack) => {
                let at = pack.seek(i64::try_from(rank).ok()?.checked_mul(2)?)?;
                Some((pack.get(at), score_of(pack.get(pack.next(at)?))))
            }
            Self::Tree(set) => set.get(rank),
        }
    }

    /// Elements from a rank on.
    pub(crate) fn iter_from(self, rank: usize) -> ViewElements<'a> {
        match self {
            Self::Packed(pack) => ViewElements::Forward(pack.iter_from(offset(pack, rank))),
            Self::Tree(set) => ViewElements::Tree(set.iter_from(rank)),
        }
    }

    /// The elements before a rank, from the last to the first.
    pub(crate) fn iter_before(self, rank: usize) -> ViewElements<'a> {
        match self {
            Self::Packed(pack) => ViewElements::Backward(pack.iter_before(offset(pack, rank))),
            Self::Tree(set) => ViewElements::Tree(set.iter_before(rank)),
        }
    }

    /// Elements whose score is less: the rank of the first that has at least this score.
    pub(crate) fn rank_of_score(self, score: f64) -> usize {
        match self {
            Self::Packed(_) => self.count_before(|_, own| own < score),
            Self::Tree(set) => set.rank_of_score(score),
        }
    }

    /// Elements whose score is not greater: the rank of the first that has a greater one.
    pub(crate) fn rank_after_score(self, score: f64) -> usize {
        match self {
            Self::Packed(_) => self.count_before(|_, own| own <= score),
            Self::Tree(set) => set.rank_after_score(score),
        }
    }

    /// The rank of the first member that is not less, if all scores are equal; else some rank.
    pub(crate) fn rank_of_member(self, member: &[u8]) -> usize {
        match self {
            Self::Packed(_) => self.count_before(|own, _| own.with_bytes(|own| own < member)),
            Self::Tree(set) => set.rank_of_member(member),
        }
    }

    /// The rank of the first member that is greater, if all scores are equal; else some rank.
    pub(crate) fn rank_after_member(self, member: &[u8]) -> usize {
        match self {
            Self::Packed(_) => self.count_before(|own, _| own.with_bytes(|own| own <= member)),
            Self::Tree(set) => set.rank_after_member(member),
        }
    }

    /// Continues a scan, as [`SortedSet::scan`] does it; a small set is visited at once.
    pub(crate) fn scan(
        self,
        cursor: u64,
        count: usize,
        mut each: impl FnMut(Item<'_>, f64),
    ) -> u64 {
        match self {
            Self::Tree(set) => set.scan(cursor, count, each),
            Self::Packed(_) => {
                self.iter_from(0).for_each(|(member, score)| each(member, score));
                0
            }
        }
    }

    /// The elements in the large form.
    pub(crate) fn to_tree(self) -> SortedSet {
        if let Self::Tree(set) = self {
            return set.clone();
        }
        let mut tree = SortedSet::new();
        for (member, score) in self.iter_from(0) {
            member.with_bytes(|member| tree.insert(member, score));
        }
        tree
    }

    fn count_before(self, is_before: impl Fn(Item<'_>, f64) -> bool) -> usize {
        self.iter_from(0).take_while(|(member, score)| is_before(*member, *score)).count()
    }
}

/// Where the element at a rank begins in a listpack; its end if there are fewer.
fn offset(pack: Listpack<'_>, rank: usize) -> usize {
    let index = i64::try_from(rank).ok().and_then(|rank| rank.checked_mul(2));
    index.and_then(|index| pack.seek(index)).unwrap_or_else(|| pack.end())
}

impl<'a> Iterator for ViewElements<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Forward(items) => {
                let (_, member) = items.next()?;
                let (_, score) = items.next()?;
                Some((member, score_of(score)))
            }
            Self::Backward(items) => {
                let (_, score) = items.next_back()?;
                let (_, member) = items.next_back()?;
                Some((member, score_of(score)))
            }
            Self::Tree(elements) => elements.next(),
        }
    }
}

/// Inserts a member that is not there at its place.
pub(crate) fn insert_packed<B: Buffer + ?Sized>(pack: &mut B, member: &[u8], score: f64) {
    let old = Listpack::new(pack.bytes());
    let mut at = old.first();
    while let Some(offset) = at {
        let Some(own) = old.next(offset) else { break };
        let own_score = score_of(old.get(own));
        if own_score > score || own_score == score && old.get(offset).with_bytes(|own| own > member)
        {
            break;
        }
        at = old.next(own);
    }
    let at = at.unwrap_or_else(|| old.end());
    // Before the same place in reverse order: then neither offset moves.
    match double::integral(score) {
        Some(integer) => listpack::insert_before_int(pack, at, integer),
        None => listpack::insert_before(pack, at, DoubleText::new(score).as_bytes()),
    }
    listpack::insert_before(pack, at, member);
}

/// Removes a member and returns its score.
pub(crate) fn remove_packed<B: Buffer + ?Sized>(pack: &mut B, member: &[u8]) -> Option<f64> {
    let old = Listpack::new(pack.bytes());
    let at = old.find(member, 1)?;
    let score = score_of(old.get(old.next(at)?));
    listpack::delete(pack, at, 2);
    Some(score)
}

#[cfg(test)]
mod tests;
