use proptest::prelude::*;

use super::tree::Sum;
use super::*;

mod against_redis;
mod edit;

/// Small nodes, so that few elements make many.
fn limits() -> impl Strategy<Value = Limits> {
    let size = prop_oneof![1..5_i64, Just(40), Just(-1)];
    let plain = prop_oneof![2 => Just(1 << 30), 1 => Just(60_u32)];
    (size, 0..4_usize, plain)
        .prop_map(|(size, depth, plain)| Limits::new(size, depth).with_plain_bytes_min(plain))
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..4_u8).prop_map(|value| vec![b'a' + value]),
        4 => (-3..3_i64).prop_map(|value| value.to_string().into_bytes()),
        1 => any::<i64>().prop_map(|value| value.to_string().into_bytes()),
        2 => (0..300_usize).prop_map(|len| vec![b'l'; len]),
        1 => (3000..9000_usize).prop_map(|len| vec![b'x'; len]),
        1 => prop::collection::vec(any::<u8>(), 0..100),
    ]
}

#[derive(Clone, Debug)]
enum Change {
    PushFront(Vec<u8>),
    PushBack(Vec<u8>),
    PushMany(Vec<Vec<u8>>),
    PopFront,
    PopBack,
    Insert(usize, Side, Vec<u8>),
    Set(usize, Vec<u8>),
    Remove(usize),
    RemoveRange(usize, usize),
    RemoveEqual(Vec<u8>, usize, Direction),
    PushNode(Vec<Vec<u8>>),
    Keep,
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Forward), Just(Direction::Backward)]
}

fn change() -> impl Strategy<Value = Change> {
    let at = || 0..1000_usize;
    let side = prop_oneof![Just(Side::Before), Just(Side::After)];
    prop_oneof![
        4 => value().prop_map(Change::PushFront),
        4 => value().prop_map(Change::PushBack),
        2 => prop::collection::vec(value(), 0..100).prop_map(Change::PushMany),
        2 => Just(Change::PopFront),
        2 => Just(Change::PopBack),
        6 => (at(), side, value()).prop_map(|(at, side, value)| Change::Insert(at, side, value)),
        3 => (at(), value()).prop_map(|(at, value)| Change::Set(at, value)),
        3 => at().prop_map(Change::Remove),
        1 => (at(), 0..30_usize).prop_map(|(at, count)| Change::RemoveRange(at, count)),
        1 => (value(), 1..5_usize, direction())
            .prop_map(|(value, most, direction)| Change::RemoveEqual(value, most, direction)),
        1 => prop::collection::vec(value(), 0..6).prop_map(Change::PushNode),
        2 => Just(Change::Keep),
    ]
}

type Model = Vec<Vec<u8>>;

fn remove_equal(model: &mut Model, value: &[u8], most: usize, direction: Direction) -> usize {
    let mut matches: Vec<_> = (0..model.len()).filter(|&at| model[at] == value).collect();
    if direction == Direction::Backward {
        matches.reverse();
    }
    matches.truncate(most);
    matches.sort_unstable();
    for at in matches.iter().rev() {
        model.remove(*at);
    }
    matches.len()
}

fn apply(change: Change, list: &mut List, model: &mut Model) {
    let len = model.len();
    match change {
        Change::PushFront(value) => {
            list.push_front(&value);
            model.insert(0, value);
        }
        Change::PushBack(value) => {
            list.push_back(&value);
            model.push(value);
        }
        Change::PushMany(values) => {
            for value in values {
                list.push_back(&value);
                model.push(value);
            }
        }
        Change::PopFront => {
            assert_eq!(list.pop_front(), (len > 0).then(|| model.remove(0)));
        }
        Change::PopBack => assert_eq!(list.pop_back(), model.pop()),
        Change::RemoveRange(at, count) => {
            let at = at % (len + 2);
            let removed = list.remove_range(at, count);
            free(removed, 3);
            model.drain(at.min(len)..(at + count).min(len).max(at.min(len)));
        }
        Change::RemoveEqual(value, most, direction) => {
            let removed = list.remove_equal(&value, most, direction);
            assert_eq!(removed, remove_equal(model, &value, most, direction));
        }
        Change::PushNode(values) => {
            let mut pack = crate::types::listpack::EMPTY.to_vec();
            for value in &values {
                crate::types::listpack::push_back(&mut pack, value);
            }
            list.push_node(pack, Container::Packed);
            model.extend(values);
        }
        Change::Insert(at, side, value) if len > 0 => {
            assert!(list.insert(at % len, side, &value));
            model.insert(at % len + usize::from(side == Side::After), value);
        }
        Change::Set(at, value) if len > 0 => {
            assert!(list.set(at % len, &value));
            model[at % len] = value;
        }
        Change::Remove(at) if len > 0 => {
            assert!(list.remove(at % len));
            model.remove(at % len);
        }
        Change::Insert(..) | Change::Set(..) | Change::Remove(_) => {
            assert!(!list.insert(0, Side::Before, b""));
            assert!(!list.set(0, b""));
            assert!(!list.remove(0));
        }
        Change::Keep => {}
    }
}

fn collected(list: &List, direction: Direction) -> Model {
    let from = if direction == Direction::Forward { 0 } else { list.len().saturating_sub(1) };
    let mut walk = list.walk(from, direction);
    let mut elements = Vec::new();
    while let Some(item) = walk.next() {
        elements.push(item.to_vec());
    }
    elements
}

/// Frees a list in steps; checks that all of what nobody shares is counted.
fn free(mut list: List, objects: usize) -> usize {
    let allocated = list.allocated_bytes();
    let mut bytes = 0;
    loop {
        let freed = list.free_some(Freed { bytes: 10_000, objects });
        if freed == Freed::default() {
            break;
        }
        assert!(freed.objects <= objects + 4);
        bytes += freed.bytes;
    }
    assert!(bytes <= allocated);
    bytes
}

/// What every list must be like.
fn check(list: &List, model: &Model) {
    assert_eq!(list.len(), model.len());
    assert_eq!(&collected(list, Direction::Forward), model);
    assert!(collected(list, Direction::Backward).iter().eq(model.iter().rev()));
    for (at, value) in model.iter().enumerate().step_by(7) {
        assert_eq!(list.get(at).as_ref(), Some(value));
        let first = (at..model.len()).find(|&later| model[later] == model[0]);
        assert_eq!(list.find(&model[0], at, Direction::Forward), first);
        let last = (0..=at).rev().find(|&earlier| model[earlier] == model[0]);
        assert_eq!(list.find(&model[0], at, Direction::Backward), last);
    }
    assert_eq!(list.get(model.len()), None);
    let counted = list.middle.recount();
    assert_eq!(list.middle.sum(), counted.unwrap_or_default());
    check_nodes(list);
}

fn check_nodes(list: &List) {
    let nodes: Vec<_> = list.nodes().collect();
    let depth = list.limits.compress_depth();
    for (position, (container, stored)) in nodes.iter().enumerate() {
        let is_inside = position >= depth && position + depth < nodes.len() && depth > 0;
        match stored {
            Stored::Compressed(..) => assert!(is_inside, "node {position} of {}", nodes.len()),
            Stored::Raw(bytes) => {
                // A run of one letter is worth compressing.
                let is_run =
                    bytes.len() > 200 && bytes[20..190].iter().all(|byte| *byte == bytes[20]);
                assert!(!(is_inside && is_run), "node {position} of {}", nodes.len());
                if *container == Container::Packed {
                    assert!(Listpack::check(bytes).is_ok_and(|len| len > 0));
                }
            }
        }
    }
    let mut loaded = List::new(list.limits());
    for (container, stored) in nodes {
        let bytes = match stored {
            Stored::Raw(bytes) => bytes.to_vec(),
            Stored::Compressed(bytes, len) => crate::lzf::expand(bytes, len).unwrap(),
        };
        loaded.push_node(bytes, container);
    }
    assert_eq!(collected(&loaded, Direction::Forward), collected(list, Direction::Forward));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_list_holds_what_was_put_into_it_and_its_clones_what_they_held(
        limits in limits(),
        changes in prop::collection::vec(change(), 0..150),
    ) {
        let (mut list, mut model) = (List::new(limits), Model::new());
        let mut kept = Vec::new();
        for change in changes {
            if matches!(change, Change::Keep) {
                kept.push((list.clone(), model.clone()));
            }
            apply(change, &mut list, &mut model);
        }
        check(&list, &model);
        for (list, model) in &kept {
            check(list, model);
        }
        // What is freed does not disturb what shares nodes with it.
        free(list, 5);
        while let Some((list, model)) = kept.pop() {
            check(&list, &model);
            free(list, 1000);
        }
    }

    #[test]
    fn all_bytes_of_a_list_are_counted(
        limits in limits(),
        changes in prop::collection::vec(change(), 0..100),
        objects in 1..50_usize,
    ) {
        let (mut list, mut model) = (List::new(limits), Model::new());
        for change in changes {
            apply(change, &mut list, &mut model);
        }
        let allocated = list.allocated_bytes();
        prop_assert_eq!(free(list, objects), allocated);
    }
}

#[test]
fn a_large_list_is_changed_at_any_index() {
    let mut list = List::new(Limits::new(3, 0));
    let mut model = Model::new();
    for number in 0..20_000 {
        let value = number.to_string().into_bytes();
        list.push_back(&value);
        model.push(value);
    }
    let mut at = 17;
    for number in 0..2000_usize {
        at = (at * 7919 + number) % model.len();
        match number % 4 {
            0 => {
                list.remove(at);
                model.remove(at);
            }
            1 => {
                list.insert(at, Side::Before, b"new");
                model.insert(at, b"new".to_vec());
            }
            2 => {
                list.set(at, b"other");
                model[at] = b"other".to_vec();
            }
            _ => {
                let kept = list.clone();
                list.remove_range(at, 9);
                let end = model.len().min(at + 9);
                model.drain(at..end);
                drop(kept);
            }
        }
    }
    check(&list, &model);
    let removed = list.remove_range(100, 10_000);
    model.drain(100..10_100);
    check(&list, &model);
    let allocated = removed.allocated_bytes();
    assert!(allocated > 10_000);
    assert_eq!(free(removed, 100), allocated);
    while !model.is_empty() {
        assert_eq!(list.pop_front(), Some(model.remove(0)));
        assert_eq!(list.pop_back(), model.pop());
    }
    assert_eq!(list.middle.sum(), Sum::default());
    assert_eq!(list.allocated_bytes(), 0);
}

#[test]
fn a_million_elements_of_16_bytes_take_18_2_bytes_each() {
    let mut list = List::new(Limits::new(-2, 0));
    for number in 0..1_000_000 {
        list.push_back(format!("element:{number:08}").as_bytes());
    }
    assert!(list.allocated_bytes() <= 18_200_000, "{}", list.allocated_bytes());
    let mut list = List::new(Limits::new(-2, 0));
    for number in 0..1_000_000 {
        list.push_front(format!("element:{number:08}").as_bytes());
    }
    assert!(list.allocated_bytes() <= 18_200_000, "{}", list.allocated_bytes());
}

#[test]
fn a_node_that_lset_makes_too_large_is_divided() {
    let mut list = List::new(Limits::new(-2, 0));
    for _ in 0..400 {
        list.push_back(b"0123456789");
    }
    let large = vec![b'l'; 3000];
    for index in 0..400 {
        assert!(list.set(index, &large));
    }
    assert_eq!(list.len(), 400);
    for (_, stored) in list.nodes() {
        assert!(matches!(stored, Stored::Raw(bytes) if bytes.len() <= NODE_BYTES_MAX));
    }
}

#[test]
fn a_list_of_one_node_is_known_as_a_pack() {
    let mut list = List::new(Limits::new(2, 0));
    assert!(list.only_pack().is_none());
    list.push_back(b"a");
    list.push_back(b"b");
    assert_eq!(list.only_pack().map(Listpack::len), Some(2));
    list.push_back(b"c");
    assert!(list.only_pack().is_none());
}

/// Pushes elements at an end until there are so many nodes.
fn filled(end: Direction, nodes: usize) -> List {
    let mut list = List::new(Limits::new(-2, 0));
    while list.node_count() < nodes {
        list.push(end, b"element:00000001");
    }
    list
}

#[test]
fn a_list_takes_the_same_room_whichever_end_it_grew_at() {
    let [front, back] =
        [Direction::Forward, Direction::Backward].map(|end| filled(end, 20).allocated_bytes());
    assert_eq!(front, back);
}

#[test]
fn a_node_at_an_end_moves_its_bytes_rarely() {
    let mut list = filled(Direction::Forward, 3);
    let place = |list: &List| {
        let Some((_, Stored::Raw(bytes))) = list.nodes().next() else { panic!("not compressed") };
        bytes.as_ptr_range().end
    };
    for turn in 0..200_u32 {
        list.push_front(format!("an element of {turn:016}").as_bytes());
    }
    let end = place(&list);
    for _ in 0..100 {
        list.pop_front();
    }
    assert_eq!(place(&list), end, "what is behind the popped elements stays where it is");
    for _ in 0..100 {
        list.push_front(b"an element of the same length.");
    }
    assert_eq!(place(&list), end, "and there is room for as many");
}

#[test]
fn pushes_and_pops_at_both_ends_of_one_node_in_turn_lose_nothing() {
    for pops in 0..4 {
        let mut list = List::new(Limits::new(-2, 0));
        let mut model = std::collections::VecDeque::new();
        let mut random = 7_u64;
        for turn in 0..3000_usize {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let value = vec![b'v'; (random >> 58) as usize];
            match (random >> 33) as usize % (4 + pops) {
                0 | 2 => {
                    list.push_front(&value);
                    model.push_front(value);
                }
                1 | 3 => {
                    list.push_back(&value);
                    model.push_back(value);
                }
                4 => assert_eq!(list.pop_front(), model.pop_front()),
                5 => assert_eq!(list.pop_back(), model.pop_back()),
                _ if turn % 7 == 0 => {
                    list.remove_range(0, model.len() / 2);
                    model.drain(..model.len() / 2);
                }
                _ => {}
            }
            assert_eq!(list.len(), model.len());
            if turn % 50 == 0 {
                assert!((0..list.len()).all(|at| list.get(at).as_ref() == model.get(at)));
            }
        }
    }
}
