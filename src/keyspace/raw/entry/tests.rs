use super::*;
use crate::types::Chunks;

fn string(entry: &Entry) -> Vec<u8> {
    entry.view().value().string().expect("a string").to_bytes().into_owned()
}

#[test]
fn a_short_key_and_value_take_48_bytes() {
    let entry = Entry::new(
        b"key:0123456789ab",
        Content::Packed(Encoding::Embstr, b"value:0123456789"),
        None,
    );
    assert_eq!(entry.view().allocated_bytes(), 48);
}

#[test]
fn an_entry_gives_back_what_it_was_made_of() {
    let long = vec![7; INLINE_BYTES_MAX];
    for key in [&b""[..], b"k", b"a longer key than eight"] {
        for at in [None, Some(i64::MAX)] {
            let entry = Entry::new(key, Content::Packed(Encoding::Raw, &long), at);
            assert_eq!(entry.view().key(), key);
            assert_eq!(entry.view().expire_at_ms(), at);
            assert!(string(&entry) == long);
            let entry = entry.rebuilt(Some(b"other"), Some(3));
            assert_eq!(entry.view().key(), b"other");
            assert!(string(&entry) == long);
        }
    }
}

#[test]
fn overwriting_needs_the_same_allocation() {
    let mut entry = Entry::new(b"key", Content::Packed(Encoding::Embstr, b"0123456789"), None);
    assert!(entry.overwrite(Content::Int(-5), None).is_ok());
    assert!(string(&entry) == b"-5");
    assert!(entry.overwrite(Content::Packed(Encoding::Embstr, b"0123456789abcdef"), None).is_err());
    assert!(entry.overwrite(Content::Int(-5), Some(1)).is_err());
    assert!(string(&entry) == b"-5");
}

#[test]
fn objects_move_when_an_entry_is_rebuilt() {
    let chunks = Chunks::from_slice(&vec![1; 100_000]);
    let entry = Entry::new(b"k", Content::Object(Box::new(Object::String(chunks))), None);
    let mut entry = entry.rebuilt(None, Some(9));
    let Some(Object::String(chunks)) = entry.object_mut() else { panic!("an object") };
    assert_eq!(chunks.len(), 100_000);
}

/// A splice does to the value what it does to a vector, wherever size classes begin.
#[test]
fn a_splice_changes_the_bytes_it_names() {
    use crate::types::Buffer;
    let mut expected: Vec<u8> = (0..60).collect();
    let mut entry = Entry::new(b"key", Content::Packed(Encoding::HashPack, &expected), Some(7));
    let mut number = 1_u32;
    for _ in 0..3000 {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let at = number as usize / 7 % (expected.len() + 1);
        let removed = number as usize / 1000 % 40.min(expected.len() - at + 1);
        let inserted = vec![number as u8; number as usize / 100_000 % 45];
        expected.splice(at..at + removed, inserted.iter().copied());
        entry.open(at, removed, inserted.len()).copy_from_slice(&inserted);
        assert_eq!(entry.packed_mut(), expected);
        assert_eq!((entry.view().key(), entry.view().expire_at_ms()), (&b"key"[..], Some(7)));
        let bytes = entry.view().allocated_bytes();
        assert_eq!(bytes, size_class(HEADER + EXPIRY + 3 + expected.len()));
        let mut vector = expected.clone();
        Buffer::splice(&mut vector, at.min(expected.len()), 0, b"");
        assert_eq!(vector, expected);
    }
}

#[test]
fn the_access_bits_stay_with_a_value_that_moves_or_is_copied() {
    let long = || Content::Object(Box::new(Object::String(Chunks::from_slice(&[7; 5000]))));
    for content in [Content::Packed(Encoding::Raw, b"short"), long()] {
        let mut entry = Entry::new(b"key", content, None);
        entry.set_access(0x1234_5678);
        let entry = entry.rebuilt(Some(b"another key"), Some(1));
        let copied = entry.view().copied();
        let mut copies = Copies::default();
        copies.push(entry.view());
        let mut drained = Vec::new();
        copies.drain(|copy| drained.push(copy.access()));
        let bits = [entry.view().access(), copied.view().access(), drained[0]];
        assert_eq!(bits, [0x1234_5678; 3]);
    }
}
