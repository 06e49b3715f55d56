use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

impl Value for u64 {}

type Map = OrderedMap<u32, u64>;
type Model = BTreeMap<u32, u64>;

/// Checks the tree below a node; returns its height, and adds up entries and bytes.
fn check_below(
    node: &Node<u32, u64>,
    range: (Option<u32>, Option<u32>),
    sums: &mut (usize, usize),
) -> usize {
    assert!(node.len() > 0 && node.len() <= node.most());
    sums.1 += node.bytes();
    match node {
        Node::Leaf(entries) => {
            assert!(entries.capacity() <= node.most());
            assert!(entries.is_sorted_by(|a, b| a.0 < b.0));
            assert!(entries.iter().all(|(key, _)| range.0.is_none_or(|low| low <= *key)));
            assert!(entries.iter().all(|(key, _)| range.1.is_none_or(|high| *key < high)));
            sums.0 += entries.len();
            0
        }
        Node::Inner(children) => {
            let heights: Vec<usize> = (0..children.len())
                .map(|at| {
                    let low = if at == 0 { range.0 } else { Some(children[at].0) };
                    let high = children.get(at + 1).map_or(range.1, |next| Some(next.0));
                    check_below(&children[at].1, (low, high), sums)
                })
                .collect();
            assert!(heights.iter().all(|height| *height == heights[0]));
            heights[0] + 1
        }
    }
}

fn check(map: &Map, model: &Model) {
    let mut sums = (0, 0);
    if let Some(root) = &map.root {
        check_below(root, (None, None), &mut sums);
    }
    assert_eq!(sums, (model.len(), map.node_bytes()));
    assert_eq!(map.len(), model.len());
    assert!(map.iter().eq(model.iter()));
    assert!(map.descend(&u32::MAX).eq(model.iter().rev()));
    let mut keys = Vec::new();
    map.each_key(|key| keys.push(*key));
    assert!(keys.iter().eq(model.keys()));
    assert_eq!(map.first(), model.first_key_value());
    assert_eq!(map.last(), model.last_key_value());
}

fn check_around(map: &Map, model: &Model, key: u32) {
    assert_eq!(map.get(&key), model.get(&key));
    assert!(map.ascend(&key).take(70).eq(model.range(key..).take(70)));
    assert!(map.descend(&key).take(70).eq(model.range(..=key).rev().take(70)));
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u32),
    Ascending(u32, u32),
    Remove(u32),
    RemoveFrom(u32, u32),
    Update(u32),
    PopLast,
    Clone,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..2000_u32;
    prop_oneof![
        6 => key.clone().prop_map(Step::Insert),
        2 => (key.clone(), 1..300_u32).prop_map(|(from, many)| Step::Ascending(from, many)),
        4 => key.clone().prop_map(Step::Remove),
        2 => (key.clone(), 1..200_u32).prop_map(|(from, many)| Step::RemoveFrom(from, many)),
        2 => key.prop_map(Step::Update),
        1 => Just(Step::PopLast),
        1 => Just(Step::Clone),
    ]
}

fn apply(map: &mut Map, model: &mut Model, step: &Step, stamp: u64) {
    match *step {
        Step::Insert(key) => assert_eq!(map.insert(key, stamp), model.insert(key, stamp)),
        Step::Ascending(from, many) => {
            (from..from + many)
                .for_each(|key| assert_eq!(map.insert(key, stamp), model.insert(key, stamp)));
        }
        Step::Remove(key) => assert_eq!(map.remove(&key), model.remove(&key)),
        Step::RemoveFrom(from, many) => {
            for _ in 0..many {
                let Some((&key, _)) = model.range(from..).next() else { break };
                assert_eq!(map.remove(&key), model.remove(&key));
            }
        }
        Step::Update(key) => {
            let updated = map.update(&key, |value| *value = stamp).is_some();
            assert_eq!(updated, model.get_mut(&key).map(|value| *value = stamp).is_some());
        }
        Step::PopLast => assert_eq!(map.pop_last(), model.pop_last()),
        Step::Clone => {}
    }
}

proptest! {
    #[test]
    fn the_map_is_an_ordered_map_and_clones_keep_their_state(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let (mut map, mut model) = (Map::default(), Model::new());
        let mut kept = Vec::new();
        for (stamp, step) in steps.iter().enumerate() {
            apply(&mut map, &mut model, step, stamp as u64);
            if matches!(step, Step::Clone) {
                kept.push((map.clone(), model.clone()));
            }
            check_around(&map, &model, (stamp as u32 * 617) % 2000);
        }
        kept.push((map, model));
        for (map, model) in &kept {
            check(map, model);
        }
    }
}

#[test]
fn ascending_keys_fill_their_nodes() {
    let mut map = OrderedMap::default();
    (0..100_000_u64).for_each(|key| assert_eq!(map.insert(key, ()), None));
    assert!(map.node_bytes() < 100_000 * 8 * 21 / 20 + 100_000 / 64 * 64, "{}", map.node_bytes());
}

#[test]
fn a_write_after_a_clone_copies_one_path() {
    let mut map = Map::default();
    (0..100_000).for_each(|key| assert_eq!(map.insert(key, 0), None));
    let clone = map.clone();
    map.update(&50_000, |value| *value = 1).unwrap();
    let (Some(root), Some(old)) = (&map.root, &clone.root) else { panic!("both have nodes") };
    let (Node::Inner(new), Node::Inner(old)) = (&**root, &**old) else { panic!("100,000 entries") };
    let copied = new.iter().zip(old).filter(|(a, b)| !Arc::ptr_eq(&a.1, &b.1)).count();
    assert_eq!(copied, 1);
    assert_eq!((map.get(&50_000), clone.get(&50_000)), (Some(&1), Some(&0)));
}

#[test]
fn freeing_goes_in_slices_and_spares_what_a_clone_keeps() {
    let mut map = Map::default();
    (0..100_000).for_each(|key| assert_eq!(map.insert(key, 0), None));
    let (bytes, mut freed, mut slices) = (map.node_bytes(), Freed::default(), 0);
    let clone = map.clone();
    map.update(&99_999, |value| *value = 1).unwrap();
    let most = Freed { bytes: 10_000, objects: 8 };
    let mut shared = map;
    loop {
        let slice = shared.free_some(most);
        assert!(slice.bytes < most.bytes + 4096 && slice.objects < most.objects + 4);
        if slice == Freed::default() {
            break;
        }
    }
    let mut map = clone;
    assert_eq!(map.len(), 100_000);
    assert!(map.iter().all(|(_, value)| *value == 0));
    loop {
        let slice = map.free_some(most);
        if slice == Freed::default() {
            break;
        }
        (freed.bytes, slices) = (freed.bytes + slice.bytes, slices + 1);
    }
    assert!(freed.bytes == bytes && slices > 100, "{freed:?} of {bytes} in {slices}");
}
