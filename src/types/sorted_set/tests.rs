use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// An f64 in its order.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Score(f64);

impl Eq for Score {}

#[expect(clippy::derive_ord_xor_partial_ord, reason = "scores are never NaN")]
impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.partial_cmp(&other.0).unwrap()
    }
}

#[derive(Clone, Debug, Default)]
struct Model {
    ordered: BTreeSet<(Score, Vec<u8>)>,
    scores: BTreeMap<Vec<u8>, f64>,
}

impl Model {
    fn insert(&mut self, member: &[u8], score: f64) -> Inserted {
        match self.scores.insert(member.to_vec(), score) {
            Some(old) if old == score => {
                self.scores.insert(member.to_vec(), old);
                return Inserted::Same;
            }
            Some(old) => {
                assert!(self.ordered.remove(&(Score(old), member.to_vec())));
                self.ordered.insert((Score(score), member.to_vec()));
                return Inserted::Moved;
            }
            None => {}
        }
        self.ordered.insert((Score(score), member.to_vec()));
        Inserted::New
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.scores.remove(member)?;
        assert!(self.ordered.remove(&(Score(score), member.to_vec())));
        Some(score)
    }

    fn remove_ranks(&mut self, start: usize, count: usize) -> Vec<(Vec<u8>, f64)> {
        let gone: Vec<_> = self.ordered.iter().skip(start).take(count).cloned().collect();
        for (_, member) in &gone {
            self.remove(member);
        }
        gone.into_iter().map(|(score, member)| (member, score.0)).collect()
    }
}

fn owned((member, score): (Item<'_>, f64)) -> (Vec<u8>, f64) {
    (member.to_vec(), score)
}

/// Checks everything that can be asked of a set against the model.
fn check(set: &SortedSet, model: &Model) {
    let expected: Vec<(Vec<u8>, f64)> =
        model.ordered.iter().map(|(score, member)| (member.clone(), score.0)).collect();
    assert_eq!(set.len(), expected.len());
    assert!(set.iter_from(0).map(owned).eq(expected.iter().cloned()), "in order");
    assert!(set.iter_before(set.len()).map(owned).eq(expected.iter().rev().cloned()), "backwards");
    for (rank, (member, score)) in expected.iter().enumerate() {
        assert_eq!(set.score(member).map(f64::to_bits), Some(score.to_bits()), "{member:?}");
        assert_eq!(set.rank_and_score(member), Some((rank, *score)));
    }
    for rank in (0..expected.len()).step_by(1 + expected.len() / 50) {
        assert_eq!(set.get(rank).map(owned).as_ref(), expected.get(rank));
        let (member, score) = &expected[rank];
        let below = expected.partition_point(|(_, own)| own < score);
        let up_to = expected.partition_point(|(_, own)| own <= score);
        assert_eq!((set.rank_of_score(*score), set.rank_after_score(*score)), (below, up_to));
        assert!(
            set.iter_from(rank).map(owned).take(70).eq(expected[rank..].iter().take(70).cloned())
        );
        assert_eq!(set.iter_before(rank).len(), rank);
        assert_eq!(
            set.iter_before(rank).next().map(owned).as_ref(),
            rank.checked_sub(1).map(|at| &expected[at])
        );
        if expected[0].1 == expected[expected.len() - 1].1 {
            assert_eq!(
                (set.rank_of_member(member), set.rank_after_member(member)),
                (rank, rank + 1)
            );
        }
    }
    assert_eq!(set.get(expected.len()), None);
    assert_eq!(set.rank_of_score(f64::NEG_INFINITY), 0);
    assert_eq!(set.rank_after_score(f64::INFINITY), expected.len());
    let Parts { leaves, index } = &set.parts;
    let parts = [set.tree.recounted_bytes(), leaves.recounted_bytes(), index.recounted_bytes()];
    assert_eq!(
        parts,
        [set.tree.allocated_bytes(), leaves.allocated_bytes(), index.allocated_bytes()]
    );
    let mut seen = Vec::new();
    let mut cursor = 0;
    loop {
        let before = seen.len();
        cursor = set.scan(cursor, 7, |member, score| seen.push((member.to_vec(), score)));
        assert!(cursor == 0 || seen.len() >= before + 7);
        if cursor == 0 {
            break;
        }
    }
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(seen.iter().map(|(member, score)| (member, score)).eq(&model.scores), "scanned");
}

#[derive(Clone, Debug)]
enum Action {
    Insert(Vec<u8>, f64),
    Remove(Vec<u8>),
    RemoveNth(prop::sample::Index),
    MoveNth(prop::sample::Index, f64),
    RemoveRanks(prop::sample::Index, usize),
    Clone,
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0..3000_i64).prop_map(|number| number.to_string().into_bytes()),
        4 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        4 => (0..2000).prop_map(|number| format!("member:{number:06}").into_bytes()),
        2 => prop::collection::vec(any::<u8>(), 0..12),
        1 => (0..9_u8, 200..300_usize).prop_map(|(byte, len)| vec![byte; len]),
        1 => Just(vec![b'x'; 5000]),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (-5..5_i32).prop_map(f64::from),
        4 => (0..100_000_i32).prop_map(f64::from),
        2 => any::<i64>().prop_map(|number| number as f64),
        4 => -1.0..1.0_f64,
        1 => prop::sample::select(vec![
            0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 9e15, 9_007_199_254_740_993.0,
        ]),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        12 => (member(), score()).prop_map(|(member, score)| Action::Insert(member, score)),
        1 => member().prop_map(Action::Remove),
        3 => index().prop_map(Action::RemoveNth),
        3 => (index(), score()).prop_map(|(index, score)| Action::MoveNth(index, score)),
        1 => (index(), 0..100_usize).prop_map(|(index, count)| Action::RemoveRanks(index, count)),
        1 => Just(Action::Clone),
    ]
}

fn apply(set: &mut SortedSet, model: &mut Model, action: Action) {
    let nth = |model: &Model, index: prop::sample::Index| {
        let len = model.scores.len();
        (len > 0).then(|| model.scores.keys().nth(index.index(len)).unwrap().clone())
    };
    match action {
        Action::Insert(member, score) => {
            assert_eq!(set.insert(&member, score), model.insert(&member, score));
        }
        Action::Remove(member) => assert_eq!(set.remove(&member), model.remove(&member)),
        Action::RemoveNth(index) => {
            if let Some(member) = nth(model, index) {
                assert_eq!(set.remove(&member), model.remove(&member));
            }
        }
        Action::MoveNth(index, score) => {
            if let Some(member) = nth(model, index) {
                assert_eq!(set.insert(&member, score), model.insert(&member, score));
            }
        }
        Action::RemoveRanks(index, count) => {
            let start = index.index(model.scores.len() + 1);
            let mut gone = Vec::new();
            set.remove_ranks(start, count, |member, score| gone.push(owned((member, score))));
            assert_eq!(gone, model.remove_ranks(start, count));
        }
        Action::Clone => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn a_set_and_its_clones_are_like_the_model(actions in prop::collection::vec(action(), 1..800)) {
        let (mut set, mut model) = (SortedSet::new(), Model::default());
        let mut clones = Vec::new();
        for action in actions {
            if let Action::Clone = action {
                clones.push((set.clone(), model.clone()));
            }
            apply(&mut set, &mut model, action);
        }
        check(&set, &model);
        for (set, model) in clones.iter().rev().take(5) {
            check(set, model);
        }
    }

    #[test]
    fn members_of_equal_scores_are_in_the_order_of_their_bytes(
        members in prop::collection::btree_set(member(), 1..600),
        strange in prop::collection::vec(member(), 20),
    ) {
        let mut set = SortedSet::new();
        for member in members.iter().rev().step_by(2).chain(members.iter()) {
            set.insert(member, 7.0);
        }
        let ordered: Vec<&Vec<u8>> = members.iter().collect();
        prop_assert!(set.iter_from(0).map(|(member, _)| member.to_vec()).eq(members.iter().cloned()));
        for member in strange.iter().chain(ordered.iter().copied()) {
            let (below, up_to) =
                (ordered.partition_point(|own| *own < member), ordered.partition_point(|own| *own <= member));
            prop_assert_eq!((set.rank_of_member(member), set.rank_after_member(member)), (below, up_to));
        }
    }
}

/// A generator that is the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 20
    }
}

#[test]
fn a_set_of_many_levels_grows_moves_and_shrinks() {
    let (mut set, mut model) = (SortedSet::new(), Model::default());
    let mut random = Random(5);
    let mut clone = (set.clone(), model.clone());
    let count = 150_000;
    for step in 0..4 * count {
        let growing = step < 2 * count;
        let member = match random.next() % 3 {
            0 => (random.next() % count).to_string(),
            _ => format!("m{}", random.next() % count),
        };
        let score = match step % 5 {
            0 => (random.next() % 1000) as f64,
            1 => step as f64,
            _ => random.next() as f64 / 1e6,
        };
        if growing || step % 8 == 0 {
            assert_eq!(
                set.insert(member.as_bytes(), score),
                model.insert(member.as_bytes(), score)
            );
        } else if step % 64 == 1 && !model.scores.is_empty() {
            let start = random.next() as usize % model.scores.len() % 1000;
            let mut gone = Vec::new();
            set.remove_ranks(start, 90, |member, score| gone.push(owned((member, score))));
            assert_eq!(gone, model.remove_ranks(start, 90));
        } else {
            assert_eq!(set.remove(member.as_bytes()), model.remove(member.as_bytes()));
        }
        if step % (count / 2) == 0 {
            check(&set, &model);
            check(&clone.0, &clone.1);
            clone = (set.clone(), model.clone());
        }
    }
    let len = set.len();
    set.remove_ranks(3, len, |_, _| {});
    model.remove_ranks(3, len);
    check(&set, &model);
    set.remove_ranks(0, len, |_, _| {});
    check(&set, &Model::default());
    check(&clone.0, &clone.1);
    // Nothing but arrays of free numbers is left.
    assert!(set.allocated_bytes() < 500_000, "{}", set.allocated_bytes());
}

#[test]
fn elements_in_order_leave_full_leaves() {
    for backwards in [false, true] {
        let mut set = SortedSet::new();
        for number in 0..20_000 {
            let number = if backwards { 20_000 - number } else { number };
            set.insert(number.to_string().as_bytes(), f64::from(number));
        }
        let per_element = set.allocated_bytes() / set.len();
        assert!(per_element < if backwards { 30 } else { 21 }, "{per_element}");
        assert!(set.iter_from(0).map(|(_, score)| score).is_sorted());
    }
}

#[test]
fn a_large_member_takes_its_room_outside_of_the_leaf() {
    let mut set = SortedSet::new();
    for number in 0..100 {
        set.insert(format!("{number:01000}x").as_bytes(), f64::from(number % 7));
    }
    assert!((100_000..140_000).contains(&set.allocated_bytes()), "{}", set.allocated_bytes());
    let clone = set.clone();
    set.remove_ranks(0, 99, |_, _| {});
    assert!(set.allocated_bytes() < 5_000);
    assert_eq!(clone.len(), 100);
}

#[test]
fn a_member_stays_found_when_its_score_changes_a_little() {
    let (mut set, mut model) = (SortedSet::new(), Model::default());
    for number in 0..500 {
        let member = format!("{number:05}");
        set.insert(member.as_bytes(), f64::from(number));
        model.insert(member.as_bytes(), f64::from(number));
    }
    let clone = (set.clone(), model.clone());
    for number in 0..500 {
        let member = format!("{number:05}");
        for score in [0.25, 0.5, -0.25, 0.5] {
            let score = f64::from(number) + score;
            assert_eq!(
                set.insert(member.as_bytes(), score),
                model.insert(member.as_bytes(), score)
            );
        }
    }
    check(&set, &model);
    check(&clone.0, &clone.1);
}

#[test]
fn a_zero_keeps_its_sign_until_the_score_changes() {
    let mut set = SortedSet::new();
    set.insert(b"a", -0.0);
    set.insert(b"b", 0.0);
    assert_eq!(set.insert(b"a", 0.0), Inserted::Same);
    assert!(set.score(b"a").unwrap().is_sign_negative());
    assert_eq!((set.rank_of_score(0.0), set.rank_after_score(-0.0)), (0, 2));
}

#[test]
fn a_scan_visits_once_what_stays_while_the_set_changes() {
    let mut set = SortedSet::new();
    let mut random = Random(9);
    for number in 0..3000 {
        set.insert(format!("stays{number}").as_bytes(), random.next() as f64);
    }
    let mut seen = BTreeMap::<Vec<u8>, usize>::new();
    let mut cursor = 0;
    for round in 0.. {
        cursor = set.scan(cursor, 10, |member, _| *seen.entry(member.to_vec()).or_default() += 1);
        if cursor == 0 {
            break;
        }
        for step in 0..50 {
            set.insert(format!("new{round}-{step}").as_bytes(), random.next() as f64);
            set.insert(format!("stays{}", random.next() % 3000).as_bytes(), random.next() as f64);
            if round > 100 {
                set.remove(format!("new{}-{step}", round - 100).as_bytes());
            }
        }
    }
    for number in 0..3000 {
        assert_eq!(seen.get(format!("stays{number}").as_bytes()), Some(&1), "{number}");
    }
    assert_eq!(set.scan(u64::MAX, 10, |_, _| panic!("no such cursor")), 0);
}

#[test]
fn all_of_a_set_can_be_freed_in_slices() {
    let mut set = SortedSet::new();
    for number in 0..50_000_u32 {
        set.insert(
            format!("member{number}").as_bytes(),
            f64::from(number.wrapping_mul(2_654_435_761)),
        );
    }
    set.insert(&[b'x'; 1000], 3.0);
    let clone = set.clone();
    set.insert(b"more", 1.0);
    let (mut alone, total) = (clone.clone(), clone.allocated_bytes());
    drop(set);
    drop(clone);
    let most = Freed { bytes: 100_000, objects: 20 };
    let mut bytes = 0;
    loop {
        let freed = alone.free_some(most);
        if freed == Freed::default() {
            break;
        }
        assert!(freed.bytes <= most.bytes + 8192 && freed.objects <= most.objects + 3, "{freed:?}");
        bytes += freed.bytes;
    }
    // All but the root node.
    assert!(bytes <= total && total - bytes <= 2048, "{bytes} of {total}");
}

#[test]
fn what_a_clone_shares_is_dropped_without_being_freed() {
    let mut set = SortedSet::new();
    for number in 0..5_000 {
        set.insert(format!("member{number}").as_bytes(), f64::from(number));
    }
    let clone = set.clone();
    set.insert(b"own", 2500.5);
    let own = set.allocated_bytes();
    let mut bytes = 0;
    loop {
        let freed = set.free_some(Freed { bytes: 1, objects: 1 });
        if freed == Freed::default() {
            break;
        }
        bytes += freed.bytes;
    }
    assert!(bytes < own / 2, "{bytes} of {own}");
    assert_eq!(clone.iter_from(0).len(), 5_000);
    assert_eq!(clone.score(b"member77"), Some(77.0));
}

mod index {
    use super::super::index::Index;
    use super::*;

    fn entries(index: &Index) -> Vec<(u32, u32)> {
        let mut entries = Vec::new();
        let stopped = index.visit_from(0, |hash, leaf| {
            entries.push((hash, leaf));
            ControlFlow::<()>::Continue(())
        });
        assert!(stopped.is_continue());
        assert!(entries.is_sorted_by_key(|(hash, _)| *hash));
        assert_eq!(index.recounted_bytes(), index.allocated_bytes());
        entries
    }

    /// Hashes that are as bad as can be, which a keyed hash does not give.
    fn bad_hashes() -> Vec<Vec<u32>> {
        vec![
            vec![0; 3000],
            vec![u32::MAX; 3000],
            (0..6000).map(|number| number / 3).collect(),
            (0..6000).map(|number| u32::MAX - number).collect(),
            (0..6000).map(|number| 0x8000_0000 + (number & 7)).collect(),
            (0..6000_u32).map(|number| number.reverse_bits()).collect(),
            (0..20_000_u32).map(|number| number.wrapping_mul(2_654_435_761)).collect(),
        ]
    }

    #[test]
    fn entries_are_found_renumbered_and_removed_whatever_their_hashes() {
        for hashes in bad_hashes() {
            let mut index = Index::new();
            let mut model = BTreeSet::new();
            for (leaf, hash) in hashes.iter().enumerate() {
                index.insert(*hash, leaf as u32);
                model.insert((*hash, leaf as u32));
            }
            let before = (index.clone(), entries(&index).len());
            for (leaf, hash) in hashes.iter().enumerate().filter(|(leaf, _)| leaf % 3 == 0) {
                index.renumber(*hash, leaf as u32, leaf as u32 + 1_000_000);
                model.remove(&(*hash, leaf as u32));
                model.insert((*hash, leaf as u32 + 1_000_000));
            }
            let found: BTreeSet<_> = entries(&index).into_iter().collect();
            assert_eq!(found, model);
            for (hash, leaf) in &model {
                let found = index.find(*hash, |found| (found == *leaf).then_some(found));
                assert_eq!(found, Some(*leaf));
            }
            for (hash, leaf) in model.iter().filter(|(_, leaf)| leaf % 16 != 0) {
                index.remove(*hash, *leaf);
            }
            let rest: BTreeSet<_> = entries(&index).into_iter().collect();
            assert!(rest.iter().eq(model.iter().filter(|(_, leaf)| leaf % 16 == 0)));
            for (hash, leaf) in &rest {
                index.remove(*hash, *leaf);
            }
            assert_eq!((entries(&index).len(), index.allocated_bytes()), (0, 0));
            assert_eq!(before.1, hashes.len());
            assert_eq!(entries(&before.0).len(), hashes.len());
        }
    }

    #[test]
    fn a_visit_begins_at_any_hash() {
        for hashes in bad_hashes() {
            let mut index = Index::new();
            hashes.iter().for_each(|hash| index.insert(*hash, 1));
            for from in hashes.iter().step_by(97).flat_map(|hash| [hash.saturating_sub(1), *hash]) {
                let mut count = 0;
                let stopped = index.visit_from(from, |hash, _| {
                    assert!(hash >= from);
                    count += 1;
                    ControlFlow::<()>::Continue(())
                });
                assert!(stopped.is_continue());
                assert_eq!(count, hashes.iter().filter(|hash| **hash >= from).count());
            }
        }
    }
}

#[test]
fn reading_ahead_changes_nothing_whatever_is_asked_for() {
    for len in [0, 1, 40, 100_000_usize] {
        let mut set = SortedSet::new();
        let name = |number: usize| format!("member:{number}").into_bytes();
        for number in 0..len {
            set.insert(&name(number), number as f64);
        }
        let asked: Vec<_> = (0..100).map(|number| name(number * len / 50)).collect();
        let asked: Vec<&[u8]> = asked.iter().map(Vec::as_slice).collect();
        for count in [0, 1, 15, 16, 17, 100] {
            set.fetch(&asked[..count]);
        }
        let found: Vec<_> = asked.iter().map(|member| set.score(member)).collect();
        let expected = (0..100).map(|number| number * len / 50);
        assert!(found.into_iter().eq(expected.map(|at| (at < len).then_some(at as f64))));
    }
}
