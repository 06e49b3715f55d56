//! Hashes: changes of the packed form, and one view over both ways a hash is stored. Changes of a
//! hash in its place, and from one form to the other, are in [`place`].
//!
//! A small hash is a listpack of fields and values in turn, as RDB type 16 stores it, a larger
//! one a [`FieldTable`].

mod place;

pub(crate) use self::place::{PACK_BYTES_MAX, delete, prepare, set};
use super::listpack::{self, Item, Listpack};
pub(crate) use super::table::Inserted;
use super::table::{self, FieldTable};
use super::{buffer::Buffer, uniform};

/// Gives a field of a packed hash a value. Limits are for the caller to check.
pub(crate) fn insert<B: Buffer + ?Sized>(hash: &mut B, field: &[u8], value: &[u8]) -> Inserted {
    match value_offset(Listpack::new(hash.bytes()), field) {
        Some(offset) => {
            listpack::replace(hash, offset, value);
            Inserted::Replaced
        }
        None => {
            listpack::push_back(hash, field);
            listpack::push_back(hash, value);
            Inserted::New
        }
    }
}

/// Removes a field from a packed hash; false if it was not there.
pub(crate) fn remove<B: Buffer + ?Sized>(hash: &mut B, field: &[u8]) -> bool {
    let found = Listpack::new(hash.bytes()).find(field, 1);
    if let Some(offset) = found {
        listpack::delete(hash, offset, 2);
    }
    found.is_some()
}

/// Where a field's value is.
#[inline]
fn value_offset(hash: Listpack<'_>, field: &[u8]) -> Option<usize> {
    hash.find(field, 1).and_then(|offset| hash.next(offset))
}

/// A hash as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HashRef<'a> {
    /// Fields and values in turn: an even number of elements.
    Packed(Listpack<'a>),
    Table(&'a FieldTable),
}

impl<'a> HashRef<'a> {
    #[inline]
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Packed(hash) => hash.len() / 2,
            Self::Table(hash) => hash.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of a field.
    #[inline]
    pub(crate) fn get(self, field: &[u8]) -> Option<Item<'a>> {
        match self {
            Self::Packed(hash) => value_offset(hash, field).map(|offset| hash.get(offset)),
            Self::Table(hash) => hash.get(field).map(Item::Bytes),
        }
    }

    #[inline]
    pub(crate) fn contains(self, field: &[u8]) -> bool {
        match self {
            Self::Packed(hash) => hash.find(field, 1).is_some(),
            Self::Table(hash) => hash.contains(field),
        }
    }

    /// The fields with their values, in the order that ranks count.
    pub(crate) fn iter(self) -> Iter<'a> {
        match self {
            Self::Packed(hash) => Iter::Packed(hash.iter(), hash.len() / 2),
            Self::Table(hash) => Iter::Table(hash.iter()),
        }
    }

    /// Passes all fields to `each`, and each one's value after it, in the order of [`Self::iter`].
    #[inline]
    pub(crate) fn visit(self, mut each: impl FnMut(Item<'a>)) {
        match self {
            Self::Packed(hash) => hash.visit(each),
            Self::Table(hash) => hash.iter().for_each(|(field, value)| {
                each(Item::Bytes(field));
                each(Item::Bytes(value));
            }),
        }
    }

    /// The field of a rank, with its value.
    pub(crate) fn nth(self, rank: usize) -> Option<(Item<'a>, Item<'a>)> {
        match self {
            Self::Packed(hash) => {
                let field = hash.seek(i64::try_from(rank).ok()?.checked_mul(2)?)?;
                Some((hash.get(field), hash.get(hash.next(field)?)))
            }
            Self::Table(hash) => hash.nth(rank).map(items),
        }
    }

    /// A uniformly random field with its value; `None` if there is none.
    pub(crate) fn random(self, random: &mut dyn FnMut() -> u64) -> Option<(Item<'a>, Item<'a>)> {
        self.nth(uniform(self.len(), random))
    }

    /// Continues a scan, as [`FieldTable::scan`] does it; a small hash is visited at once.
    pub(crate) fn scan(
        self,
        cursor: u64,
        count: usize,
        mut each: impl FnMut(Item<'_>, Item<'_>),
    ) -> u64 {
        match self {
            Self::Table(hash) => hash
                .scan(cursor, count, |field, value| each(Item::Bytes(field), Item::Bytes(value))),
            Self::Packed(_) => {
                self.iter().for_each(|(field, value)| each(field, value));
                0
            }
        }
    }

    /// The fields in the large form.
    pub(crate) fn to_table(self) -> FieldTable {
        if let Self::Table(hash) = self {
            return hash.clone();
        }
        let mut table = FieldTable::with_capacity(self.len());
        for (field, value) in self.iter() {
            field.with_bytes(|field| value.with_bytes(|value| table.insert(field, value)));
        }
        table
    }
}

#[inline]
fn items<'a>((field, value): (&'a [u8], &'a [u8])) -> (Item<'a>, Item<'a>) {
    (Item::Bytes(field), Item::Bytes(value))
}

/// The fields of a hash with their values.
#[derive(Clone, Debug)]
pub(crate) enum Iter<'a> {
    /// With the number of fields that are left.
    Packed(listpack::Iter<'a>, usize),
    Table(table::Iter<'a, true>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Packed(elements, left) => {
                let ((_, field), (_, value)) = (elements.next()?, elements.next()?);
                *left -= 1;
                Some((field, value))
            }
            Self::Table(fields) => fields.next().map(items),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self {
            Self::Packed(_, left) => *left,
            Self::Table(fields) => fields.len(),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn word() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            (-20..60_i64).prop_map(|number| number.to_string().into_bytes()),
            prop::collection::vec(b'a'..b'd', 0..3),
            prop::collection::vec(any::<u8>(), 60..70),
        ]
    }

    /// A field and its new value, or none to remove it.
    type Step = (Vec<u8>, Option<Vec<u8>>);

    proptest! {
        #[test]
        fn both_forms_of_a_hash_do_what_a_map_does(
            steps in prop::collection::vec((word(), prop::option::weighted(0.7, word())), 0..200),
        ) {
            let mut packed = listpack::EMPTY.to_vec();
            let (mut table, mut model) = (FieldTable::new(), BTreeMap::new());
            let steps: Vec<Step> = steps;
            for (field, value) in steps {
                if let Some(value) = value {
                    let inserted = insert(&mut packed, &field, &value);
                    prop_assert_eq!(inserted, table.insert(&field, &value));
                    let replaced = model.insert(field, value).is_some();
                    prop_assert_eq!(inserted == Inserted::Replaced, replaced);
                } else {
                    let removed = model.remove(&field);
                    prop_assert_eq!(remove(&mut packed, &field), removed.is_some());
                    prop_assert_eq!(table.remove(&field), removed);
                }
                prop_assert_eq!(Listpack::check(&packed), Ok(2 * model.len()));
            }
            let packed = HashRef::Packed(Listpack::new(&packed));
            let converted = packed.to_table();
            for hash in [packed, HashRef::Table(&table), HashRef::Table(&converted)] {
                check(hash, &model);
            }
        }
    }

    fn check(hash: HashRef<'_>, model: &BTreeMap<Vec<u8>, Vec<u8>>) {
        assert_eq!((hash.len(), hash.is_empty()), (model.len(), model.is_empty()));
        let found: Vec<_> =
            hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect();
        assert_eq!((hash.iter().len(), found.len()), (model.len(), model.len()));
        assert_eq!(&found.iter().cloned().collect::<BTreeMap<_, _>>(), model);
        for (rank, (field, value)) in found.iter().enumerate() {
            assert!(hash.contains(field));
            assert_eq!(hash.get(field).map(Item::to_vec).as_ref(), Some(value));
            let (nth_field, nth_value) = hash.nth(rank).unwrap();
            assert!(nth_field.equals(field) && nth_value.equals(value));
        }
        assert_eq!(hash.nth(model.len()), None);
        // A value is not a field.
        assert_eq!(hash.contains(b"zz"), model.contains_key(&b"zz"[..]));
        for value in model.values() {
            assert_eq!(hash.contains(value), model.contains_key(value));
        }
        let mut scanned = BTreeMap::new();
        let each = |field: Item<'_>, value: Item<'_>| {
            assert!(scanned.insert(field.to_vec(), value.to_vec()).is_none());
        };
        assert_eq!(hash.scan(0, 1000, each), 0);
        assert_eq!(&scanned, model);
        let mut state = 3_u64;
        let mut random = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            state
        };
        let drawn = hash.random(&mut random);
        assert_eq!(drawn.is_some(), !model.is_empty());
        if let Some((field, value)) = drawn {
            assert!(value.equals(&model[&field.to_vec()]));
        }
    }
}
