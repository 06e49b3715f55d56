//! Changes of a list in its place, in whichever form it is: its small one becomes the large one
//! where a limit is passed, never the other way round.
//!
//! `now` stands for the limits of the settings: those of a list that is made, and of every list the
//! length from which elements stand alone.

use super::packed::{self, PackedList};
use super::{Container, Direction, Limits, List, ListRef, Side};
use crate::types::listpack::Item;
use crate::types::{Object, Place, ValueRef};

/// The list in a place.
///
/// # Panics
/// If the place has a value of another type; likewise for all functions here.
#[inline]
pub(crate) fn view(place: &dyn Place) -> ListRef<'_> {
    match place.view() {
        ValueRef::List(list) => list,
        _ => unreachable!("the type was looked at before"),
    }
}

/// The list in its large form, if it is in that.
#[inline]
fn large(place: &mut dyn Place, now: Limits) -> Option<&mut List> {
    match place.object_mut()? {
        Object::List(list) => {
            list.limits = list.limits.with_plain_of(now);
            Some(list)
        }
        _ => unreachable!("the type was looked at before"),
    }
}

/// The list, put into its large form if it is not in that.
#[cold]
fn enlarged(place: &mut dyn Place, now: Limits) -> &mut List {
    if place.object_mut().is_none() {
        let packed = PackedList::new(place.bytes());
        let mut list = List::new(packed.limits_to_change(now));
        list.push_node(packed.pack.as_bytes().to_vec(), Container::Packed);
        place.become_object(Object::List(list));
    }
    large(place, now).expect("it has just been put into that form")
}

/// Adds elements at an end, one after the other; returns the list's length.
#[inline]
pub(crate) fn push_all<'v>(
    place: &mut dyn Place,
    end: Direction,
    mut values: impl Iterator<Item = &'v [u8]>,
    now: Limits,
) -> usize {
    let list = if place.encoding().is_object() {
        large(place, now).expect("the encoding says so")
    } else {
        loop {
            let Some(value) = values.next() else {
                return PackedList::new(place.bytes()).pack.len();
            };
            if !packed::push(place, end, value, now) {
                let list = enlarged(place, now);
                list.push(end, value);
                break list;
            }
        }
    };
    values.for_each(|value| list.push(end, value));
    list.len()
}

/// Removes the element at an end; what `read` made of it.
#[inline]
pub(crate) fn pop_with<R>(
    place: &mut dyn Place,
    end: Direction,
    read: impl FnOnce(Item<'_>) -> R,
) -> Option<R> {
    if !place.encoding().is_object() {
        return packed::pop_with(place, end, read);
    }
    let list = large(place, Limits::DEFAULT)?;
    match end {
        Direction::Forward => list.pop_front_with(read),
        Direction::Backward => list.pop_back_with(read),
    }
}

/// Moves the element at one end to another; returns it.
pub(crate) fn rotate(
    place: &mut dyn Place,
    from: Direction,
    to: Direction,
    now: Limits,
) -> Option<Vec<u8>> {
    // A list of one element is empty in between, but not new.
    let limits = view(place).limits().with_plain_of(now);
    let value = pop_with(place, from, |item| item.to_vec())?;
    push_all(place, to, std::iter::once(&value[..]), limits);
    Some(value)
}

/// Replaces the element at `index`; false if there is none.
pub(crate) fn set(place: &mut dyn Place, index: usize, value: &[u8], now: Limits) -> bool {
    if index >= view(place).len() {
        return false;
    }
    if place.encoding().is_object() || !packed::set(place, index, value, now) {
        return enlarged(place, now).set(index, value);
    }
    true
}

/// Inserts an element beside the one at `index`, which must exist; returns the list's length.
pub(crate) fn insert(
    place: &mut dyn Place,
    index: usize,
    side: Side,
    value: &[u8],
    now: Limits,
) -> usize {
    if place.encoding().is_object() || !packed::insert(place, index, side, value, now) {
        enlarged(place, now).insert(index, side, value);
    }
    view(place).len()
}

/// Removes up to `most` elements that are `value`, those towards the start of `direction` first.
/// Returns how many.
pub(crate) fn remove_equal(
    place: &mut dyn Place,
    value: &[u8],
    most: usize,
    direction: Direction,
) -> usize {
    match large(place, Limits::DEFAULT) {
        Some(list) => list.remove_equal(value, most, direction),
        None => packed::remove_equal(place, value, most, direction),
    }
}

/// Removes up to `count` elements from `start` on. What is removed as whole nodes, which may be much,
/// is returned, to be freed when no lock is held.
#[must_use = "it may be large"]
pub(crate) fn remove_range(place: &mut dyn Place, start: usize, count: usize) -> Option<List> {
    match large(place, Limits::DEFAULT) {
        Some(list) => {
            let removed = list.remove_range(start, count);
            (!removed.is_empty()).then_some(removed)
        }
        None => {
            packed::remove_range(place, start, count);
            None
        }
    }
}
