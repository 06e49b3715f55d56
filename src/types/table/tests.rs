use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::types::hashing::hash;

/// A generator of numbers that needs no more than to look random.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn member(number: u64) -> Vec<u8> {
    format!("member:{number:09}").into_bytes()
}

fn members(range: std::ops::Range<u64>) -> MemberTable {
    let mut table = MemberTable::new();
    range.for_each(|number| assert!(table.insert(&member(number))));
    table
}

fn contents<const VALUES: bool>(table: &Table<VALUES>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    table.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect()
}

/// Checks what holds for every table, by a walk over all of it.
fn check<const VALUES: bool>(table: &Table<VALUES>) {
    assert_eq!((table.iter().len(), table.iter().count()), (table.len(), table.len()));
    assert_eq!(table.root.allocated_bytes(), table.allocated_bytes());
    assert_eq!(table.root.count_checked(0, None), table.len());
    for (rank, (field, value)) in table.iter().enumerate().step_by(7) {
        assert!(table.contains(field));
        assert_eq!(table.nth(rank), Some((field, value)));
    }
    assert_eq!(table.nth(table.len()), None);
}

/// Frees a table slice by slice, and checks that all bytes were told of.
fn free<const VALUES: bool>(mut table: Table<VALUES>, most: Freed) -> Freed {
    let (mut all, allocated) = (Freed::default(), table.allocated_bytes());
    loop {
        let freed = table.free_some(most);
        if freed == Freed::default() {
            assert!(all.bytes <= allocated);
            return all;
        }
        assert!(freed.objects <= most.objects + 10, "{freed:?} of {most:?}");
        assert!(freed.bytes <= most.bytes + (128 << 10), "{freed:?} of {most:?}");
        all.bytes += freed.bytes;
        all.objects += freed.objects;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u16, usize),
    Remove(u16),
    RemoveNth(u16),
    Keep,
}

/// Steps that rather add or rather remove, over fields few enough to meet again.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![8 => 0..40_usize, 1 => 200..300_usize, 1 => 250..900_usize];
    let step = |adding: u32| {
        prop_oneof![
            adding => (0..700_u16, length.clone()).prop_map(|(field, len)| Step::Insert(field, len)),
            12 - adding => (0..700_u16).prop_map(Step::Remove),
            2 => any::<u16>().prop_map(Step::RemoveNth),
            1 => Just(Step::Keep),
        ]
    };
    let phases = (
        prop::collection::vec(step(11), 0..900),
        prop::collection::vec(step(2), 0..900),
        prop::collection::vec(step(7), 0..300),
    );
    phases.prop_map(|(grow, shrink, mixed)| [grow, shrink, mixed].concat())
}

/// Every eighth field is too long for a length of one byte.
fn field(number: u16) -> Vec<u8> {
    let len = if number.is_multiple_of(8) { 250 + usize::from(number) / 32 } else { 3 };
    let mut field = number.to_be_bytes().to_vec();
    field.resize(len, b'.');
    field
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_field_table_does_what_a_map_does_and_its_clones_stay(steps in steps()) {
        let (mut table, mut model) = (FieldTable::new(), BTreeMap::new());
        let mut kept = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(number, len) => {
                    let (field, value) = (field(number), vec![at as u8; len]);
                    prop_assert_eq!(table.get(&field), model.get(&field).map(Vec::as_slice));
                    let replaced = model.insert(field.clone(), value.clone()).is_some();
                    let inserted = if replaced { Inserted::Replaced } else { Inserted::New };
                    prop_assert_eq!(table.insert(&field, &value), inserted);
                    prop_assert_eq!(table.get(&field), Some(&value[..]));
                }
                Step::Remove(number) => {
                    let field = field(number);
                    prop_assert_eq!(table.remove(&field), model.remove(&field));
                    prop_assert!(!table.contains(&field));
                }
                Step::RemoveNth(rank) => {
                    let rank = usize::from(rank) % (table.len() + 1);
                    let removed = table.remove_nth(rank);
                    prop_assert_eq!(removed.is_some(), rank < model.len());
                    if let Some((field, value)) = removed {
                        prop_assert_eq!(model.remove(&field), Some(value));
                    }
                }
                Step::Keep => kept.push((table.clone(), model.clone())),
            }
            prop_assert_eq!(table.len(), model.len());
            prop_assert_eq!(table.root.allocated_bytes(), table.allocated_bytes());
        }
        kept.push((table, model));
        for (table, model) in &kept {
            check(table);
            prop_assert_eq!(&contents(table), model);
        }
        for (table, _) in kept {
            free(table, Freed { bytes: 4096, objects: 16 });
        }
    }

    #[test]
    fn an_element_that_stays_is_scanned_once_while_others_come_and_go(
        seed: u64, count in 1..60_usize, size in 0..4000_u64, growing: bool,
    ) {
        let mut random = numbers(seed);
        let mut table = members(0..size);
        let stay: BTreeSet<Vec<u8>> = (0..size).step_by(3).map(member).collect();
        let mut seen = BTreeSet::new();
        let (mut cursor, mut fresh) = (0, size);
        loop {
            let mut visited = 0;
            let next = table.scan(cursor, count, |member, value| {
                assert_eq!(value, b"");
                visited += 1;
                let again = !seen.insert(member.to_vec());
                assert!(!(again && stay.contains(member)), "met twice");
            });
            prop_assert!(visited == count || next == 0 && visited < count);
            prop_assert!(next >> 48 == 0 && (next > cursor || next == 0));
            if next == 0 {
                break;
            }
            cursor = next;
            for _ in 0..count {
                if growing {
                    table.insert(&member(fresh));
                    fresh += 1;
                } else {
                    let other = member(random() % size.max(1));
                    let _ = !stay.contains(&other) && table.remove(&other);
                }
            }
        }
        prop_assert!(stay.is_subset(&seen));
        check(&table);
    }
}

#[test]
fn a_table_grows_and_shrinks_over_several_levels() {
    let mut random = numbers(7);
    let mut table = members(0..150_000);
    check(&table);
    assert!(!table.insert(&member(77)));
    let full = table.clone();
    let mut left: Vec<u64> = (0..150_000).collect();
    for len in (0..150_000_u64).rev() {
        let gone = left.swap_remove((random() % (len + 1)) as usize);
        assert!(table.remove(&member(gone)));
        assert!(!table.remove(&member(gone)));
        if len % 30_000 == 17 {
            check(&table);
        }
    }
    check(&table);
    assert!(table.allocated_bytes() < MemberTable::new().allocated_bytes() + 100);
    check(&full);
    assert_eq!(full.len(), 150_000);
}

#[test]
fn removing_from_one_end_of_the_hashes_leaves_a_sound_table() {
    let mut table = members(0..30_000);
    let all = contents(&table);
    for left in (0..20_000).rev() {
        let rank = if left % 2 == 0 { 0 } else { table.len() - 1 };
        let (field, _) = table.remove_nth(rank).unwrap();
        assert!(all.contains_key(&field) && !table.contains(&field));
    }
    check(&table);
    (30_000..60_000).for_each(|number| assert!(table.insert(&member(number))));
    check(&table);
    assert_eq!(table.len(), 40_000);
}

#[test]
fn memory_per_element_stays_within_its_bound() {
    for len in [20_000, 25_000, 30_000, 35_000] {
        let table = members(0..len);
        assert!(table.allocated_bytes() as u64 <= 24 * len, "{}", table.allocated_bytes());
        let mut hash = FieldTable::new();
        for number in 0..len {
            hash.insert(&member(number), format!("value:{number:010}").as_bytes());
        }
        assert!(hash.allocated_bytes() as u64 <= 44 * len, "{}", hash.allocated_bytes());
    }
}

#[test]
fn memory_is_given_back_when_values_become_short() {
    let mut table = FieldTable::new();
    let mut set = |len: usize| {
        for number in 0..5000 {
            table.insert(&member(number), &vec![b'v'; len]);
        }
        check(&table);
        table.allocated_bytes()
    };
    let short = set(10);
    assert!(set(200) > 4 * short);
    assert!(set(1000) > 20 * short);
    assert!(set(10) < 2 * short);
}

#[test]
fn a_write_after_a_clone_copies_little() {
    let mut table = members(0..100_000);
    let clone = table.clone();
    table.insert(b"another");
    assert!(!clone.contains(b"another"));
    drop(table);
    // What the two did not share is gone: the rest belongs to the clone alone.
    let freed = free(clone.clone(), Freed { bytes: 1 << 40, objects: 1 << 40 });
    assert_eq!(freed, Freed { bytes: 0, objects: 1 });
    let allocated = clone.allocated_bytes();
    assert_eq!(free(clone, Freed { bytes: 1 << 20, objects: 1000 }).bytes, allocated);
}

#[test]
fn freeing_leaves_what_a_clone_shares() {
    let mut table = FieldTable::new();
    for number in 0..20_000_u64 {
        table.insert(&member(number), &vec![7; 240 + number as usize % 30]);
    }
    let clone = table.clone();
    let all = contents(&table);
    (0..300).for_each(|number| assert!(table.remove(&member(number)).is_some()));
    let freed = free(table, Freed { bytes: 10_000, objects: 20 });
    assert!(freed.bytes > 0 && freed.bytes < clone.allocated_bytes());
    check(&clone);
    assert_eq!(contents(&clone), all);
    let allocated = clone.allocated_bytes();
    assert_eq!(free(clone, Freed { bytes: 10_000, objects: 20 }).bytes, allocated);
}

#[test]
fn random_elements_are_uniform() {
    const LEN: usize = 1000;
    const DRAWS: usize = 200 * LEN;
    let table = members(0..LEN as u64);
    let mut random = numbers(11);
    let mut drawn: BTreeMap<&[u8], usize> = BTreeMap::new();
    for _ in 0..DRAWS {
        *drawn.entry(table.random(&mut random).unwrap().0).or_default() += 1;
    }
    assert_eq!(drawn.len(), LEN);
    let expected = (DRAWS / LEN) as f64;
    let chi_square: f64 =
        drawn.values().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
    // With 999 degrees of freedom: mean 999, standard deviation 45.
    assert!((chi_square - 999.0).abs() < 4.0 * 45.0, "{chi_square}");
    assert_eq!(MemberTable::new().random(&mut random), None);
}

#[test]
fn a_table_made_ready_for_many_works_with_any_number() {
    for hint in [0, 1, 44, 1000, 20_000, usize::MAX] {
        for len in [0, 3, 500, 30_000] {
            let mut table = MemberTable::with_capacity(hint);
            assert!(table.allocated_bytes() < 32 << 10);
            (0..len).for_each(|number| assert!(table.insert(&member(number))));
            check(&table);
            assert_eq!(table.scan(0, usize::MAX, |_, _| {}), 0);
            (0..len).for_each(|number| assert!(table.remove(&member(number))));
            check(&table);
            free(table, Freed { bytes: 4096, objects: 10 });
        }
    }
}

#[test]
fn a_scan_returns_to_any_cursor() {
    let table = members(0..3000);
    let by_hash: BTreeSet<u64> = (0..3000).map(|number| hash(&member(number)) >> 16).collect();
    assert_eq!(by_hash.len(), 3000);
    for cursor in [0, 1, 1 << 20, 1 << 47, (1 << 48) - 1] {
        let (mut met, mut last) = (Vec::new(), None);
        let next = table.scan(cursor, 100, |member, _| {
            let prefix = hash(member) >> 16;
            assert!(Some(prefix) > last);
            last = Some(prefix);
            met.push(prefix);
        });
        let expected: Vec<u64> = by_hash.range(cursor..).copied().take(101).collect();
        assert_eq!(met, expected[..expected.len().min(100)]);
        assert_eq!(next, expected.get(100).copied().unwrap_or(0));
    }
    assert_eq!(table.scan(1 << 48, 10, |_, _| panic!("no such cursor")), 0);
}

#[test]
fn elements_that_cannot_be_split_are_all_found() {
    let (mut segment, mut meter) = (Segment::<true>::new(0), 0);
    let fields: Vec<Vec<u8>> = (0..1000).map(field).collect();
    for field in &fields {
        segment.push(hash(field), (field, &field[..field.len().min(254)]), &mut meter);
    }
    for (index, field) in fields.iter().enumerate() {
        let element = (&field[..], &field[..field.len().min(254)]);
        assert_eq!(segment.find(hash(field), field), Some(index));
        assert_eq!(segment.element(index), element);
    }
    assert_eq!(segment.iter().count(), 1000);
    assert_eq!(segment.allocated_bytes(), meter);
}

#[test]
fn reading_ahead_changes_nothing_whatever_is_asked_for() {
    for len in [0, 1, 40, 3000, 100_000] {
        let mut table = FieldTable::new();
        for number in 0..len {
            // Some are kept apart.
            let value = vec![b'v'; if number % 50 == 0 { 300 } else { 3 }];
            table.insert(&member(number), &value);
        }
        let before = contents(&table);
        let asked: Vec<_> = (0..100).map(|number| member(number * len / 50)).collect();
        let asked: Vec<&[u8]> = asked.iter().map(Vec::as_slice).collect();
        for count in [0, 1, 15, 16, 17, 100] {
            table.fetch(&asked[..count]);
        }
        assert_eq!(contents(&table), before);
    }
}
