//! Changes of a hash where it stands. Within the limits of the settings it is packed; beyond them it
//! becomes a table, and stays one.

use super::{FieldTable, HashRef, Inserted};
use crate::limits::Collections;
use crate::types::{Object, Place};

/// Longest listpack in bytes, whatever the settings allow (Redis's LISTPACK_MAX_SAFETY_LIMIT).
pub(crate) const PACK_BYTES_MAX: usize = 1 << 30;

/// Makes the hash a table if these fields and values, which are about to be set, do not fit its
/// packed form: if one of them is too long, or all together.
pub(crate) fn prepare<'a>(
    place: &mut dyn Place,
    strings: impl Iterator<Item = &'a [u8]>,
    limits: &Collections,
) {
    if table(place).is_some() {
        return;
    }
    let mut total = place.bytes().len();
    for string in strings {
        total = total.saturating_add(string.len());
        if string.len() as u64 > limits.hash_pack_value_bytes_max || total > PACK_BYTES_MAX {
            become_table(place);
            return;
        }
    }
}

/// Gives a field a value.
pub(crate) fn set(
    place: &mut dyn Place,
    field: &[u8],
    value: &[u8],
    limits: &Collections,
) -> Inserted {
    prepare(place, [field, value].into_iter(), limits);
    if let Some(table) = table(place) {
        return table.insert(field, value);
    }
    let inserted = super::insert(place, field, value);
    if view(place).len() as u64 > limits.hash_pack_entries_max {
        become_table(place);
    }
    inserted
}

/// Removes a field; false if it was not there.
pub(crate) fn delete(place: &mut dyn Place, field: &[u8]) -> bool {
    match table(place) {
        Some(table) => table.remove(field).is_some(),
        None => super::remove(place, field),
    }
}

fn view(place: &dyn Place) -> HashRef<'_> {
    place.view().hash().expect("the caller looked for a hash")
}

fn table(place: &mut dyn Place) -> Option<&mut FieldTable> {
    match place.object_mut() {
        Some(Object::Hash(table)) => Some(table),
        _ => None,
    }
}

fn become_table(place: &mut dyn Place) {
    let table = view(place).to_table();
    place.become_object(Object::Hash(table));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::types::{Encoding, Value};

    fn hash(fields: usize, limits: &Collections) -> Value {
        let mut value = Value::empty(Encoding::HashPack);
        for number in 0..fields {
            set(&mut value, format!("f{number}").as_bytes(), b"v", limits);
        }
        value
    }

    #[test]
    fn a_hash_is_packed_up_to_the_limit_of_fields() {
        let limits = Settings::default().collections;
        let mut value = hash(512, &limits);
        assert_eq!(value.encoding(), Encoding::HashPack);
        assert_eq!(set(&mut value, b"f0", b"w", &limits), Inserted::Replaced);
        assert_eq!(value.encoding(), Encoding::HashPack);
        assert_eq!(set(&mut value, b"one more", b"w", &limits), Inserted::New);
        assert_eq!(value.encoding(), Encoding::Hash);
        assert!(delete(&mut value, b"one more") && !delete(&mut value, b"one more"));
        assert_eq!((value.encoding(), view(&value).len()), (Encoding::Hash, 512));
    }

    #[test]
    fn a_long_field_or_value_makes_a_table() {
        let limits = Settings::default().collections;
        let (most, long) = ([b'x'; 64], [b'x'; 65]);
        for (field, value, encoding) in [
            (&most[..], &most[..], Encoding::HashPack),
            (&long, b"v", Encoding::Hash),
            (b"f", &long, Encoding::Hash),
        ] {
            let mut place = hash(3, &limits);
            assert_eq!(set(&mut place, field, value, &limits), Inserted::New);
            assert_eq!(place.encoding(), encoding);
            assert!(view(&place).get(field).is_some_and(|found| found.equals(value)));
            let mut place = hash(3, &limits);
            prepare(&mut place, [field, value].into_iter(), &limits);
            assert_eq!((place.encoding(), view(&place).len()), (encoding, 3));
        }
    }
}
