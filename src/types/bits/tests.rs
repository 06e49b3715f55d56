use proptest::prelude::*;

use super::*;

fn bit(bytes: &[u8], at: u64) -> bool {
    bytes[at as usize / 8] >> (7 - at % 8) & 1 == 1
}

/// The bytes in pieces of these lengths, and the rest in one.
fn pieces<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for &len in lengths {
        let (piece, after) = rest.split_at(len.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// Bytes that are often all zeros or ones for long.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let run = (prop_oneof![Just(0), Just(0xff), any::<u8>()], 0_usize..300);
    let runs = proptest::collection::vec(run, 0..5);
    runs.prop_map(|runs| runs.into_iter().flat_map(|(byte, len)| vec![byte; len]).collect())
}

#[test]
fn ranges_are_cut_to_the_string() {
    let cases = [
        (6, 0, -1, Unit::Byte, 0..48),
        (6, 1, 1, Unit::Byte, 8..16),
        (6, 5, 30, Unit::Bit, 5..31),
        (6, -3, 100, Unit::Bit, 45..48),
        (6, -100, -99, Unit::Byte, 0..8),
        (6, 6, 9, Unit::Byte, 0..0),
        (6, 3, 2, Unit::Bit, 0..0),
        (0, 0, -1, Unit::Byte, 0..0),
        (0, 0, 0, Unit::Bit, 0..0),
        (6, i64::MIN, i64::MAX, Unit::Bit, 0..48),
        (6, i64::MAX, i64::MAX, Unit::Byte, 0..0),
    ];
    for (len, start, end, unit, expected) in cases {
        assert_eq!(range(len, start, end, unit), expected, "{len} {start} {end} {unit:?}");
    }
}

proptest! {
    #[test]
    fn bits_are_counted_and_found_across_pieces(
        bytes in bytes(),
        lengths in proptest::collection::vec(0_usize..200, 0..6),
        wanted: bool,
        start: u16,
        len: u16,
    ) {
        let total = bytes.len() as u64 * 8;
        let start = u64::from(start) % (total + 1);
        let bits = start..start + u64::from(len) % (total - start + 1);
        let pieces = pieces(&bytes, &lengths);
        let expected = bits.clone().filter(|&at| bit(&bytes, at)).count() as u64;
        prop_assert_eq!(count(pieces.iter().copied(), bits.clone()), expected);
        let expected = bits.clone().find(|&at| bit(&bytes, at) == wanted);
        prop_assert_eq!(position(pieces.iter().copied(), wanted, bits), expected);
    }

    #[test]
    fn combinations_go_on_as_zeros_where_a_string_ends(
        strings in proptest::collection::vec(bytes(), 1..4),
        lengths in proptest::collection::vec(0_usize..200, 0..6),
        part in 1_usize..500,
        operation in prop_oneof![
            Just(Operation::And), Just(Operation::Or), Just(Operation::Xor), Just(Operation::Not)
        ],
    ) {
        let strings = if operation == Operation::Not { &strings[..1] } else { &strings[..] };
        let len = strings.iter().map(Vec::len).max().unwrap_or(0);
        let at = |string: &Vec<u8>, at: usize| string.get(at).copied().unwrap_or(0);
        let expected: Vec<u8> = (0..len).map(|i| {
            let bytes = strings.iter().map(|string| at(string, i));
            let combined = match operation {
                Operation::And => bytes.reduce(|a, b| a & b),
                Operation::Or => bytes.reduce(|a, b| a | b),
                Operation::Xor => bytes.reduce(|a, b| a ^ b),
                Operation::Not => bytes.map(|byte| !byte).next(),
            };
            combined.expect("at least one string")
        }).collect();
        let mut cursors: Vec<_> =
            strings.iter().map(|string| Cursor::new(pieces(string, &lengths))).collect();
        let mut found = vec![0; len];
        found.chunks_mut(part).for_each(|target| combine(operation, &mut cursors, target));
        prop_assert_eq!(found, expected);
    }
}
