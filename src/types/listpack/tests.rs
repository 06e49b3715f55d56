use proptest::prelude::*;

use super::*;

fn pack_of<T: AsRef<[u8]>>(values: &[T]) -> Vec<u8> {
    let mut bytes = EMPTY.to_vec();
    for value in values {
        push_back(&mut bytes, value.as_ref());
    }
    bytes
}

fn strings(bytes: &[u8]) -> Vec<Vec<u8>> {
    let pack = Listpack::new(bytes);
    let all: Vec<_> = pack.iter().map(|(_, item)| item.to_vec()).collect();
    let mut visited = Vec::new();
    pack.visit(|item| visited.push(item.to_vec()));
    assert_eq!(visited, all);
    all
}

/// The only entry of a listpack of this string.
fn entry_of(value: &[u8]) -> Vec<u8> {
    let bytes = pack_of(&[value]);
    assert_eq!(bytes.len(), EMPTY.len() + encoded_len(value));
    bytes[HEADER_BYTES..bytes.len() - 1].to_vec()
}

#[test]
fn integers_take_the_least_width() {
    let cases: [(i64, &[u8]); 18] = [
        (0, &[0, 1]),
        (127, &[0x7f, 1]),
        (128, &[0xc0, 0x80, 2]),
        (-1, &[0xdf, 0xff, 2]),
        (4095, &[0xcf, 0xff, 2]),
        (-4096, &[0xd0, 0, 2]),
        (4096, &[0xf1, 0, 0x10, 3]),
        (-4097, &[0xf1, 0xff, 0xef, 3]),
        (32_767, &[0xf1, 0xff, 0x7f, 3]),
        (32_768, &[0xf2, 0, 0x80, 0, 4]),
        (-8_388_608, &[0xf2, 0, 0, 0x80, 4]),
        (8_388_608, &[0xf3, 0, 0, 0x80, 0, 5]),
        (-8_388_609, &[0xf3, 0xff, 0xff, 0x7f, 0xff, 5]),
        (i64::from(i32::MAX), &[0xf3, 0xff, 0xff, 0xff, 0x7f, 5]),
        (i64::from(i32::MIN), &[0xf3, 0, 0, 0, 0x80, 5]),
        (1 << 31, &[0xf4, 0, 0, 0, 0x80, 0, 0, 0, 0, 9]),
        (i64::MAX, &[0xf4, 255, 255, 255, 255, 255, 255, 255, 0x7f, 9]),
        (i64::MIN, &[0xf4, 0, 0, 0, 0, 0, 0, 0, 0x80, 9]),
    ];
    for (value, entry) in cases {
        assert_eq!(entry_of(value.to_string().as_bytes()), entry, "{value}");
        let mut bytes = EMPTY.to_vec();
        push_back_int(&mut bytes, value);
        assert_eq!(&bytes[HEADER_BYTES..bytes.len() - 1], entry);
        assert_eq!(Listpack::new(&bytes).get(HEADER_BYTES), Item::Int(value));
    }
}

#[test]
fn strings_take_the_least_head_and_back_length() {
    let cases: [(usize, &[u8], &[u8]); 12] = [
        (0, &[0x80], &[1]),
        (63, &[0xbf], &[64]),
        (64, &[0xe0, 64], &[66]),
        (125, &[0xe0, 125], &[127]),
        (126, &[0xe0, 126], &[1, 0x80]),
        (4095, &[0xef, 0xff], &[0x20, 0x81]),
        (4096, &[0xf0, 0, 0x10, 0, 0], &[0x20, 0x85]),
        (16_377, &[0xf0, 0xf9, 0x3f, 0, 0], &[0x7f, 0xfe]),
        (16_378, &[0xf0, 0xfa, 0x3f, 0, 0], &[0, 0xff, 0xff]),
        (2_097_145, &[0xf0, 0xf9, 0xff, 0x1f, 0], &[0x7f, 0xff, 0xfe]),
        (2_097_146, &[0xf0, 0xfa, 0xff, 0x1f, 0], &[0, 0xff, 0xff, 0xff]),
        (300_000_000, &[0xf0, 0, 0xa3, 0xe1, 0x11], &[1, 0x8f, 0x86, 0xc6, 0x85]),
    ];
    for (len, head, tail) in cases {
        let value = vec![b'x'; len];
        let entry = entry_of(&value);
        assert_eq!(&entry[..head.len()], head, "{len}");
        assert_eq!(&entry[head.len() + len..], tail, "{len}");
        let bytes = pack_of(&[&value]);
        let pack = Listpack::new(&bytes);
        assert_eq!(pack.last(), Some(HEADER_BYTES));
        assert!(pack.get(HEADER_BYTES) == Item::Bytes(&value));
        assert_eq!(Listpack::check(&bytes), Ok(1));
    }
}

#[test]
fn what_only_looks_like_an_integer_stays_a_string() {
    for text in ["-0", "01", "+1", " 1", "1 ", "9223372036854775808", "1.0", "", "-", "00"] {
        let bytes = pack_of(&[text]);
        assert_eq!(Listpack::new(&bytes).get(HEADER_BYTES), Item::Bytes(text.as_bytes()));
    }
}

#[test]
fn an_index_counts_from_either_end() {
    for count in [0, 1, 2, 7, 200] {
        let values: Vec<_> = (0..count).map(|value| value.to_string()).collect();
        let bytes = pack_of(&values);
        let pack = Listpack::new(&bytes);
        for index in 0..count {
            let at = |index: i64| pack.seek(index).map(|offset| pack.get(offset));
            assert_eq!(at(index), Some(Item::Int(index)));
            assert_eq!(at(index - count), Some(Item::Int(index)));
        }
        for index in [count, -count - 1, i64::MAX, i64::MIN] {
            assert_eq!(pack.seek(index), None);
        }
    }
}

#[test]
fn a_search_skips_what_it_is_told_to() {
    let bytes = pack_of(&["a", "b", "b", "17", "17", "b"]);
    let pack = Listpack::new(&bytes);
    let index = |value: &str, skip| {
        let offset = pack.find(value.as_bytes(), skip)?;
        pack.iter().position(|(at, _)| at == offset)
    };
    assert_eq!(index("b", 0), Some(1));
    assert_eq!(index("b", 1), Some(2));
    assert_eq!(index("17", 1), Some(4));
    assert_eq!(index("17", 0), Some(3));
    assert_eq!(index("a", 3), Some(0));
    assert_eq!(index("b", 3), None);
    assert_eq!(index("017", 0), None);
}

/// A listpack of one entry, as another writer might have written it.
fn foreign(entry: &[u8]) -> Vec<u8> {
    let mut bytes = EMPTY.to_vec();
    bytes.splice(HEADER_BYTES..HEADER_BYTES, entry.iter().copied());
    bytes[0] = u8::try_from(bytes.len()).unwrap();
    bytes[4] = 1;
    bytes
}

#[test]
fn longer_forms_than_needed_are_read_and_found() {
    let cases: [(&[u8], &str); 5] = [
        (&[0x82, b'1', b'7', 3], "17"),
        (&[0xf3, 17, 0, 0, 0, 5], "17"),
        (&[0xe0, 2, b'a', b'b', 4], "ab"),
        (&[0xf0, 2, 0, 0, 0, b'a', b'b', 7], "ab"),
        (&[0xc0, 17, 2], "17"),
    ];
    for (entry, value) in cases {
        let bytes = foreign(entry);
        assert_eq!(Listpack::check(&bytes), Ok(1));
        let pack = Listpack::new(&bytes);
        assert_eq!(pack.find(value.as_bytes(), 0), Some(HEADER_BYTES), "{entry:?}");
        assert_eq!(pack.find(b"other", 0), None);
        assert!(pack.get(HEADER_BYTES).equals(value.as_bytes()));
        assert_eq!(pack.last(), Some(HEADER_BYTES));
    }
}

#[test]
fn damaged_bytes_are_refused_where_they_are_wrong() {
    let valid = foreign(&[0x82, b'a', b'b', 3]);
    assert_eq!(Listpack::check(&valid), Ok(1));
    let with = |at: usize, byte: u8| {
        let mut bytes = valid.clone();
        bytes[at] = byte;
        bytes
    };
    let cases = [
        (vec![], 0),
        (vec![7, 0, 0, 0, 0, 0], 5),
        (vec![6, 0, 0, 0, 0], 0),
        (with(0, 12), 0),
        (with(3, 1), 0),
        (with(4, 2), 4),
        (with(4, 0), 4),
        (with(10, 0xfe), 10),
        (with(6, 0x81), 6),
        (with(6, 0xff), 6),
        (with(6, 0xf5), 6),
        (with(6, 0xf4), 6),
        (with(6, 0xef), 6),
        (with(9, 4), 6),
        (with(9, 0x83), 6),
        (foreign(&[0xf0, 0xff, 0xff, 0xff, 0xff, 1]), 6),
        (foreign(&[0xf0]), 6),
        (foreign(&[0xe0]), 6),
        (foreign(&[0xff]), 6),
    ];
    for (bytes, offset) in cases {
        assert_eq!(Listpack::check(&bytes).unwrap_err().offset, offset, "{bytes:?}");
    }
}

#[test]
fn the_count_is_unknown_from_65535_elements_on() {
    let mut bytes = pack_of(&vec!["1"; 65_534]);
    assert_eq!(bytes[4..6], [0xfe, 0xff]);
    push_back(&mut bytes, b"x");
    assert_eq!(bytes[4..6], [0xff, 0xff]);
    assert_eq!(Listpack::new(&bytes).len(), 65_535);
    push_front(&mut bytes, b"y");
    assert_eq!(Listpack::check(&bytes), Ok(65_536));
    let pack = Listpack::new(&bytes);
    assert_eq!(pack.seek(65_535), pack.last());
    assert_eq!(pack.seek(-65_536), pack.first());
    assert_eq!(pack.seek(65_536), None);
    delete(&mut bytes, HEADER_BYTES, 65_000);
    assert_eq!(bytes[4..6], [0xff, 0xff]);
    assert_eq!(Listpack::new(&bytes).len(), 536);
    assert_eq!(Listpack::check(&bytes), Ok(536));
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (-200..200_i64).prop_map(|value| value.to_string().into_bytes()),
        any::<i64>().prop_map(|value| value.to_string().into_bytes()),
        any::<i32>().prop_map(|value| value.to_string().into_bytes()),
        any::<i16>().prop_map(|value| value.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..20),
        prop::collection::vec(any::<u8>(), 50..150),
        (0..20_000_usize).prop_map(|len| vec![b'l'; len]),
    ]
}

#[derive(Clone, Debug)]
enum Change {
    PushBack(Vec<u8>),
    PushFront(Vec<u8>),
    Before(usize, Vec<u8>),
    After(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    ReplaceInt(usize, i64),
    Delete(usize, usize),
    Append(Vec<Vec<u8>>),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>().prop_map(|index| index.index(1000));
    prop_oneof![
        3 => value().prop_map(Change::PushBack),
        2 => value().prop_map(Change::PushFront),
        2 => (at.clone(), value()).prop_map(|(at, value)| Change::Before(at, value)),
        1 => (at.clone(), value()).prop_map(|(at, value)| Change::After(at, value)),
        2 => (at.clone(), value()).prop_map(|(at, value)| Change::Replace(at, value)),
        1 => (at.clone(), any::<i64>()).prop_map(|(at, value)| Change::ReplaceInt(at, value)),
        2 => (at, 0..5_usize).prop_map(|(at, count)| Change::Delete(at, count)),
        1 => prop::collection::vec(value(), 0..5).prop_map(Change::Append),
    ]
}

fn apply(change: Change, bytes: &mut Vec<u8>, model: &mut Vec<Vec<u8>>) {
    let len = model.len();
    let offset = |bytes: &[u8], index: usize| {
        let pack = Listpack::new(bytes);
        pack.seek(i64::try_from(index).unwrap()).unwrap_or_else(|| pack.end())
    };
    match change {
        Change::PushBack(value) => {
            push_back(bytes, &value);
            model.push(value);
        }
        Change::PushFront(value) => {
            push_front(bytes, &value);
            model.insert(0, value);
        }
        Change::Before(at, value) => {
            let at = at % (len + 1);
            let offset = offset(bytes, at);
            insert_before(bytes, offset, &value);
            model.insert(at, value);
        }
        Change::Append(values) => {
            append_all(bytes, Listpack::new(&pack_of(&values)));
            model.extend(values);
        }
        _ if len == 0 => {}
        Change::After(at, value) => {
            let offset = offset(bytes, at % len);
            insert_after(bytes, offset, &value);
            model.insert(at % len + 1, value);
        }
        Change::Replace(at, value) => {
            let offset = offset(bytes, at % len);
            replace(bytes, offset, &value);
            model[at % len] = value;
        }
        Change::ReplaceInt(at, value) => {
            let offset = offset(bytes, at % len);
            replace_int(bytes, offset, value);
            model[at % len] = value.to_string().into_bytes();
        }
        Change::Delete(at, count) => {
            let offset = offset(bytes, at % len);
            delete(bytes, offset, count);
            model.drain(at % len..(at % len + count).min(len));
        }
    }
}

proptest! {
    #[test]
    fn a_listpack_holds_what_was_put_into_it(changes in prop::collection::vec(change(), 0..60)) {
        let (mut bytes, mut model) = (EMPTY.to_vec(), Vec::new());
        for change in changes {
            apply(change, &mut bytes, &mut model);
            prop_assert_eq!(&strings(&bytes), &model);
            // However it came about, the bytes are those of the elements in order.
            prop_assert_eq!(&bytes, &pack_of(&model));
            prop_assert_eq!(Listpack::check(&bytes), Ok(model.len()));
            let pack = Listpack::new(&bytes);
            let backwards: Vec<_> = pack.iter().rev().map(|(_, item)| item.to_vec()).collect();
            prop_assert!(backwards.iter().eq(model.iter().rev()));
            for value in &model {
                let found = pack.find(value, 0).map(|offset| pack.get(offset).to_vec());
                prop_assert_eq!(found.as_ref(), Some(value));
            }
            prop_assert_eq!(pack.find(b"never put in", 0), None);
        }
    }

    #[test]
    fn no_bytes_panic_and_accepted_ones_can_be_walked(
        values in prop::collection::vec(value(), 0..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = pack_of(&values);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(count) = Listpack::check(&bytes) {
            let pack = Listpack::new(&bytes);
            prop_assert_eq!(pack.iter().count(), count);
            prop_assert_eq!(pack.iter().rev().fold(0, |count, _| count + 1), count);
        }
    }

    #[test]
    fn a_strings_length_is_known_beforehand(value in value()) {
        prop_assert_eq!(pack_of(&[&value]).len(), EMPTY.len() + encoded_len(&value));
    }
}
