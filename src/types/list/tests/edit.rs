//! Lists in their place: the small form and the change to the large one, beside a list that is in
//! the large form from its start.

use super::*;
use crate::types::{Encoding, Value, list};

fn elements(view: ListRef<'_>) -> Model {
    let mut elements = Model::new();
    view.visit_some(0, Direction::Forward, view.len(), |item| elements.push(item.to_vec()));
    elements
}

/// Applies a change to both; false if it is none that a place knows.
fn apply_to_both(change: Change, place: &mut Value, list: &mut List, now: Limits) -> bool {
    let len = list.len();
    match change {
        Change::PushFront(value) => {
            push_all(place, Direction::Forward, [&value[..]].into_iter(), now);
            list.push_front(&value);
        }
        Change::PushBack(value) => {
            push_all(place, Direction::Backward, [&value[..]].into_iter(), now);
            list.push_back(&value);
        }
        Change::PushMany(values) => {
            let added = values.iter().map(|value| &value[..]);
            let len = push_all(place, Direction::Backward, added, now);
            values.iter().for_each(|value| list.push_back(value));
            assert_eq!(len, list.len());
        }
        Change::PopFront => {
            let popped = pop_with(place, Direction::Forward, |item| item.to_vec());
            assert_eq!(popped, list.pop_front());
        }
        Change::PopBack => {
            let popped = pop_with(place, Direction::Backward, |item| item.to_vec());
            assert_eq!(popped, list.pop_back());
        }
        Change::Insert(at, side, value) if len > 0 => {
            assert_eq!(insert(place, at % len, side, &value, now), len + 1);
            assert!(list.insert(at % len, side, &value));
        }
        Change::Set(at, value) => {
            let at = at % (len + 1);
            assert_eq!(set(place, at, &value, now), list.set(at, &value));
        }
        Change::RemoveRange(at, count) => {
            drop(remove_range(place, at % (len + 2), count));
            drop(list.remove_range(at % (len + 2), count));
        }
        Change::RemoveEqual(value, most, direction) => {
            let removed = list::remove_equal(place, &value, most, direction);
            assert_eq!(removed, list.remove_equal(&value, most, direction));
        }
        Change::Keep if len > 0 => {
            let rotated = rotate(place, Direction::Forward, Direction::Backward, now);
            let value = list.pop_front().unwrap();
            list.push_back(&value);
            assert_eq!(rotated, Some(value));
        }
        _ => return false,
    }
    true
}

proptest! {
    #[test]
    fn both_forms_are_divided_alike(
        limits in limits(),
        changes in prop::collection::vec(change(), 0..60),
    ) {
        let (mut place, mut list) = (Value::empty(Encoding::ListPack), List::new(limits));
        for change in changes {
            if !apply_to_both(change, &mut place, &mut list, limits) {
                continue;
            }
            let view = place.view().list().unwrap();
            prop_assert_eq!(view.is_empty(), list.is_empty());
            if list.is_empty() {
                // The key would be removed.
                (place, list) = (Value::empty(Encoding::ListPack), List::new(limits));
                continue;
            }
            let large = ListRef::Large(&list);
            prop_assert_eq!(elements(view), elements(large));
            let nodes = |list: ListRef<'_>| format!("{:?}", list.nodes().collect::<Vec<_>>());
            prop_assert_eq!(nodes(view), nodes(large));
            prop_assert_eq!(view.node_count(), list.node_count());
            let made_with = |limits: Limits| (limits.fill(), limits.compress_depth());
            prop_assert_eq!(made_with(view.limits()), made_with(limits));
        }
    }
}

#[test]
fn a_list_keeps_the_limits_that_it_was_made_with() {
    let (few, many) = (Limits::new(2, 1), Limits::DEFAULT);
    for (made_with, now, nodes) in [(few, many, 3), (many, few, 1)] {
        let mut place = Value::empty(Encoding::ListPack);
        push_all(&mut place, Direction::Backward, [&b"1"[..]].into_iter(), made_with);
        rotate(&mut place, Direction::Forward, Direction::Backward, now);
        let more = [&b"2"[..], b"3", b"4", b"5"].into_iter();
        assert_eq!(push_all(&mut place, Direction::Backward, more, now), 5);
        assert_eq!(place.view().list().unwrap().node_count(), nodes);
        assert_eq!(place.view().list().unwrap().limits(), made_with);
    }
}

#[test]
fn what_would_be_much_to_move_is_in_the_large_form() {
    let now = Limits::new(-5, 0);
    let mut place = Value::empty(Encoding::ListPack);
    let element = [b'x'; 100];
    while place.view().list().unwrap().len() < 600 {
        push_all(&mut place, Direction::Backward, [&element[..]].into_iter(), now);
        let is_small = !matches!(place, Value::Object(_));
        let list = place.view().list().unwrap();
        let (_, node) = list.nodes().next().unwrap();
        let Stored::Raw(bytes) = node else { panic!("nothing is compressed") };
        assert_eq!((is_small, list.node_count()), (bytes.len() <= PACK_BYTES_MAX, 1));
    }
}
