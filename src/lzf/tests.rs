//! The compressor against liblzf's output and itself; the expander against damage.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{Compressor, EXPANSION_MAX, ExpandError, expand};

/// Compressed as RDB does it: at least four bytes must be saved.
fn compress(input: &[u8]) -> Option<Vec<u8>> {
    Compressor::new().compress(input, input.len() - 4).map(<[u8]>::to_vec)
}

#[test]
fn output_is_that_of_liblzf() {
    // What DUMP of redis-server 7.0.15 holds for these.
    assert_eq!(compress(&[b'a'; 200]).unwrap(), b"\x01aa\xe0\xbb\x00\x01aa");
    assert_eq!(compress(&[b'a'; 21]).unwrap(), b"\x01aa\xe0\x0a\x00");
    let text = b"the cat, the hat, the bat and the rat";
    let compressed = b"\tthe cat, t \x08\x00h\xc0\x08\x06bat and`\x14\x02rat";
    assert_eq!(compress(text).unwrap(), compressed);
    assert_eq!(compress(b"0123456789abcdefghijklmnopqrstuvwxyz"), None);
}

#[test]
fn earlier_inputs_leave_no_trace() {
    let inputs: Vec<Vec<u8>> = (0..200u32)
        .map(|n| (0..n * 7).map(|m| b"abcdefgh"[(m * (n % 13 + 1) / 5 % 8) as usize]).collect())
        .filter(|input: &Vec<u8>| input.len() > 4)
        .collect();
    let mut reused = Compressor::new();
    for input in &inputs {
        assert_eq!(reused.compress(input, input.len() - 4).map(<[u8]>::to_vec), compress(input));
    }
}

#[test]
fn the_table_is_cleared_when_positions_run_out() {
    let input = b"abcabcabcabcabcabcabcabcabcabc".repeat(3);
    let mut compressor = Compressor::new();
    compressor.base = u32::MAX - 100;
    let first = compressor.compress(&input, 80).unwrap().to_vec();
    assert_eq!(compressor.base, u32::MAX - 10);
    let second = compressor.compress(&input, 80).unwrap().to_vec();
    assert_eq!(compressor.base, 90);
    assert_eq!((&first, &second), (&compress(&input).unwrap(), &first));
}

#[test]
fn short_inputs_are_not_compressed() {
    for len in 0..4 {
        assert_eq!(Compressor::new().compress(&vec![b'a'; len], 100), None);
    }
}

#[test]
fn copies_may_overlap_what_they_make() {
    assert_eq!(expand(b"\x02abc\xc0\x02", 11).unwrap(), b"abcabcabcab");
    assert_eq!(expand(b"\x00a\xe0\xff\x00", 265).unwrap(), [b'a'; 265]);
}

#[test]
fn damaged_input_is_refused() {
    let cases: [(&[u8], usize); 10] = [
        (b"", 1),                 // nothing
        (b"\x00", 1),             // a literal that is missing
        (b"\x04ab", 5),           // literals cut short
        (b"\x00a\x20", 4),        // a copy without its offset
        (b"\x00a\xe0\x00", 10),   // likewise, long
        (b"\x00a\x20\x01", 4),    // a copy from before the start
        (b"\x20\x00", 3),         // a copy from nothing
        (b"\x02abc\xc0\x02", 10), // longer than claimed
        (b"\x02abc\xc0\x02", 12), // shorter than claimed
        (b"\x02abc\x00", 3),      // something after the end
    ];
    for (input, len) in cases {
        assert_eq!(expand(input, len), Err(ExpandError::Damaged), "{input:?}");
    }
}

#[test]
fn a_claim_beyond_what_lzf_can_do_is_refused_before_room_is_made() {
    assert_eq!(expand(b"\x00a\xe0\xff\x00", 1 << 46), Err(ExpandError::Damaged));
    assert_eq!(expand(b"\x00a\xe0\xff\x00", usize::MAX), Err(ExpandError::Damaged));
}

/// Bytes of which some repeat: pieces of a small alphabet, repeated pieces, and noise.
fn compressible() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 1..60),
        vec(b'a'..b'e', 1..200),
        (vec(any::<u8>(), 1..12), 1..80usize).prop_map(|(unit, times)| unit.repeat(times)),
    ];
    vec(piece, 1..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_compressed_expands_to_itself(input in compressible()) {
        if let Some(compressed) = Compressor::new().compress(&input, input.len() + 100) {
            prop_assert!(input.len() as u64 <= compressed.len() as u64 * EXPANSION_MAX);
            prop_assert_eq!(expand(compressed, input.len()).unwrap(), input);
        }
    }

    #[test]
    fn output_never_exceeds_its_bound(input in compressible(), bound in 0..500usize) {
        if let Some(compressed) = Compressor::new().compress(&input, bound) {
            prop_assert!(compressed.len() <= bound);
        }
    }

    #[test]
    fn arbitrary_input_is_expanded_or_refused(input: Vec<u8>, len in 0..10_000usize) {
        if let Ok(out) = expand(&input, len) {
            prop_assert_eq!(out.len(), len);
        }
    }
}
