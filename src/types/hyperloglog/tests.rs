use proptest::prelude::*;

use super::*;

const SPARSE_MAX_BYTES: usize = 3000;

fn filled(elements: std::ops::Range<u32>, sparse_max_bytes: usize) -> Vec<u8> {
    let mut bytes = new();
    for element in elements {
        add(&mut bytes, element.to_string().as_bytes(), sparse_max_bytes).expect("ours");
    }
    bytes
}

fn registers(bytes: &[u8]) -> Registers {
    let mut registers = Registers::default();
    registers.merge(bytes).expect("ours");
    registers
}

#[test]
fn bytes_and_counts_are_those_of_redis() {
    let mut bytes = filled(0..1000, SPARSE_MAX_BYTES);
    assert_eq!(cached_count(&bytes), None);
    let found = count(&bytes).expect("ours");
    assert_eq!(found, 1001);
    cache_count(&mut bytes, found);
    assert_eq!(cached_count(&bytes), Some(1001));
    let start =
        b"HYLL\x01\0\0\0\xe9\x03\0\0\0\0\0\0\x0b\x88\x1f\x80\x17\x88\x2c\x88\x22\x80\x22\x90";
    assert_eq!(&bytes[..start.len()], start);
    assert_eq!(bytes.len(), 1923);

    let bytes = filled(0..31_000, SPARSE_MAX_BYTES);
    assert_eq!(encoding(&bytes), Some(Encoding::Dense));
    assert_eq!(count(&bytes), Ok(30_959));
}

#[test]
fn a_new_one_is_empty_and_its_count_valid() {
    let bytes = new();
    assert_eq!(bytes, b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    assert_eq!(cached_count(&bytes), Some(0));
    assert_eq!(describe(&bytes).as_deref(), Some("Z:16384"));
    assert_eq!(count(&bytes), Ok(0));
}

#[test]
fn an_element_splits_a_run_and_neighbours_join() {
    let mut bytes = new();
    let mut hint = sparse::Hint::default();
    let steps = [
        (100, 3, "Z:100 v:3,1 Z:16283"),
        (102, 3, "Z:100 v:3,1 z:1 v:3,1 Z:16281"),
        (101, 3, "Z:100 v:3,3 Z:16281"),
        (101, 5, "Z:100 v:3,1 v:5,1 v:3,1 Z:16281"),
        (0, 32, "v:32,1 Z:99 v:3,1 v:5,1 v:3,1 Z:16281"),
        (16383, 1, "v:32,1 Z:99 v:3,1 v:5,1 v:3,1 Z:16280 v:1,1"),
        (60, 1, "v:32,1 z:59 v:1,1 z:39 v:3,1 v:5,1 v:3,1 Z:16280 v:1,1"),
    ];
    for (index, value, expected) in steps {
        assert_eq!(set(&mut bytes, index, value, SPARSE_MAX_BYTES, &mut hint), Ok(true));
        assert_eq!(describe(&bytes).as_deref(), Some(expected));
        assert_eq!(set(&mut bytes, index, value, SPARSE_MAX_BYTES, &mut hint), Ok(false));
    }
}

#[test]
fn what_runs_cannot_hold_becomes_dense() {
    let mut bytes = filled(0..10, SPARSE_MAX_BYTES);
    let mut expected = registers(&bytes);
    expected.0[7] = 33;
    assert_eq!(set(&mut bytes, 7, 33, SPARSE_MAX_BYTES, &mut sparse::Hint::default()), Ok(true));
    assert_eq!(encoding(&bytes), Some(Encoding::Dense));
    assert_eq!(registers(&bytes).values(), expected.values());

    let limit = filled(0..10, SPARSE_MAX_BYTES).len();
    assert_eq!(encoding(&filled(0..10, limit)), Some(Encoding::Sparse));
    assert_eq!(encoding(&filled(0..10, limit - 1)), Some(Encoding::Dense));
}

#[test]
fn strings_without_our_header_or_length_are_none_of_ours() {
    let good = new();
    let mut dense = good.clone();
    assert_eq!(to_dense(&mut dense), Ok(true));
    assert_eq!(to_dense(&mut dense), Ok(false));
    assert!(is_valid(&good) && is_valid(&dense) && is_valid(&good[..HEADER_BYTES]));
    assert!(!is_valid(&good[..HEADER_BYTES - 1]) && !is_valid(&dense[..dense.len() - 1]));
    dense.push(0);
    assert!(!is_valid(&dense));
    for (at, byte) in [(0, b'h'), (3, 0), (ENCODING_AT, 2)] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert!(!is_valid(&bad), "{at}");
    }
}

#[test]
fn runs_must_cover_all_registers_exactly() {
    for runs in [&b""[..], b"\x7f\xfe", b"\x7f\xff\x00", b"\x7f\xfd\x81\x80", b"\x7f"] {
        let mut bytes = header(Encoding::Sparse);
        bytes.extend_from_slice(runs);
        let before = bytes.clone();
        assert_eq!(count(&bytes), Err(Corrupted), "{runs:?}");
        assert_eq!(Registers::default().merge(&bytes), Err(Corrupted), "{runs:?}");
        assert_eq!(to_dense(&mut bytes), Err(Corrupted), "{runs:?}");
        assert_eq!(bytes, before);
    }
}

#[test]
fn the_self_test_passes() {
    assert_eq!(self_test(), Ok(()));
}

proptest! {
    #[test]
    fn merging_counts_the_union(
        parts in proptest::collection::vec((0_u32..3000, 0_u32..3000, any::<bool>()), 0..4),
        sparse_max_bytes in prop_oneof![Just(0), 20_usize..400, Just(SPARSE_MAX_BYTES)],
    ) {
        let mut union = Registers::default();
        let mut all = new();
        let mut stored = new();
        for (start, len, dense) in parts {
            let mut part = filled(start..start + len, sparse_max_bytes);
            if dense {
                to_dense(&mut part).expect("ours");
            }
            union.merge(&part).expect("ours");
            for element in start..start + len {
                add(&mut all, element.to_string().as_bytes(), SPARSE_MAX_BYTES).expect("ours");
            }
        }
        union.store(&mut stored, Encoding::Sparse, sparse_max_bytes).expect("ours");
        let (found, expected) = (registers(&stored), registers(&all));
        prop_assert_eq!(found.values(), expected.values());
        prop_assert_eq!(Ok(union.count()), count(&all));
        prop_assert_eq!(cached_count(&stored), None);
    }

    #[test]
    fn no_bytes_cause_a_panic(
        mut bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..100),
            proptest::collection::vec(any::<u8>(), 0..300)
                .prop_map(|runs| [header(Encoding::Sparse), runs].concat()),
            (0_u32..300).prop_map(|len| filled(0..len, SPARSE_MAX_BYTES)),
            Just(filled(0..10, 0)),
        ],
        damage in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..5),
        elements in proptest::collection::vec(any::<u64>(), 0..50),
        sparse_max_bytes in 0_usize..3000,
    ) {
        for (at, byte) in damage {
            let len = bytes.len();
            if let Some(target) = bytes.get_mut(usize::from(at) % len.max(1)) {
                *target = byte;
            }
        }
        let corrupted = count(&bytes).is_err();
        prop_assert_eq!(Registers::default().merge(&bytes).is_err(), corrupted);
        describe(&bytes);
        cached_count(&bytes);
        for element in elements {
            let before = bytes.clone();
            if add(&mut bytes, &element.to_le_bytes(), sparse_max_bytes).is_err() {
                prop_assert_eq!(&bytes, &before);
                prop_assert!(corrupted);
            }
        }
        if !corrupted {
            prop_assert!(count(&bytes).is_ok());
        }
        prop_assert_eq!(to_dense(&mut bytes).is_err(), count(&bytes).is_err());
        if encoding(&bytes).is_some() {
            cache_count(&mut bytes, 5);
            prop_assert_eq!(cached_count(&bytes), Some(5));
        }
    }
}
