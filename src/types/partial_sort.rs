//! Sorts only part of a slice: the quicksort of Bentley and McIlroy ("Engineering a sort function",
//! 1993), which leaves alone what lies outside of the wanted range.
//!
//! Redis uses it where a client wants few of many results. It is not stable, and its choice among
//! equal elements shows in replies: pivots and exchanges must be those of the paper.

use std::cmp::Ordering;
use std::ops::Range;

/// Slices shorter than this are sorted by insertion.
const INSERTION_MAX: usize = 7;
/// Slices longer than this take a pivot from nine elements instead of three.
const NINTHER_MIN: usize = 40;
/// Partitions in a row for each bit of the length, after which a slice is sorted by other means:
/// the pivots were chosen badly, perhaps by somebody who knows them.
const PARTITIONS_PER_BIT: u32 = 4;

/// Sorts so that the elements of the range `wanted` are those of the sorted slice.
pub(crate) fn partial_sort<T>(
    slice: &mut [T],
    wanted: Range<usize>,
    compare: impl Fn(&T, &T) -> Ordering,
) {
    let depth = (usize::BITS - slice.len().leading_zeros()) * PARTITIONS_PER_BIT;
    let mut pending = vec![(0..slice.len(), depth)];
    while let Some((range, depth)) = pending.pop() {
        let part = &mut slice[range.clone()];
        if part.len() < INSERTION_MAX {
            insertion_sort(part, &compare);
            continue;
        }
        let Some(depth) = depth.checked_sub(1) else {
            part.sort_by(&compare);
            continue;
        };
        let (less, greater) = partition(part, &compare);
        let less = range.start..range.start + less;
        let greater = range.end - greater..range.end;
        let overlaps = |part: &Range<usize>| part.start < wanted.end && wanted.start < part.end;
        // The order of the two does not matter: they share nothing.
        let parts = [greater, less].into_iter().filter(|part| part.len() > 1 && overlaps(part));
        pending.extend(parts.map(|part| (part, depth)));
    }
}

fn insertion_sort<T>(slice: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    for end in 1..slice.len() {
        let mut at = end;
        while at > 0 && compare(&slice[at - 1], &slice[at]).is_gt() {
            slice.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// The index of the middle one of three elements.
fn median<T>(slice: &[T], [a, b, c]: [usize; 3], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let less = |left: usize, right: usize| compare(&slice[left], &slice[right]).is_lt();
    if less(a, b) {
        match less(b, c) {
            true => b,
            false if less(a, c) => c,
            false => a,
        }
    } else {
        match less(c, b) {
            true => b,
            false if less(a, c) => a,
            false => c,
        }
    }
}

fn pivot<T>(slice: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let (middle, last) = (slice.len() / 2, slice.len() - 1);
    if slice.len() == INSERTION_MAX {
        return middle;
    }
    let mut three = [0, middle, last];
    if slice.len() > NINTHER_MIN {
        let step = slice.len() / 8;
        let firsts = [0, middle - step, last - 2 * step];
        three = firsts.map(|at| median(slice, [at, at + step, at + 2 * step], compare));
    }
    median(slice, three, compare)
}

/// Moves what is less than the pivot to the front and what is greater to the back; returns how many
/// these are. Equal elements are collected at both ends meanwhile.
fn partition<T>(slice: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) -> (usize, usize) {
    let pivot = pivot(slice, compare);
    slice.swap(0, pivot);
    let len = slice.len();
    // Equal: before `equal_left` and from `equal_right` on. Less: up to `left`; greater: from
    // `right` on. Not looked at: between these.
    let (mut equal_left, mut left) = (1, 1);
    let (mut right, mut equal_right) = (len, len);
    loop {
        while left < right {
            let order = compare(&slice[left], &slice[0]);
            if order.is_gt() {
                break;
            }
            if order.is_eq() {
                slice.swap(equal_left, left);
                equal_left += 1;
            }
            left += 1;
        }
        while left < right {
            let order = compare(&slice[right - 1], &slice[0]);
            if order.is_lt() {
                break;
            }
            right -= 1;
            if order.is_eq() {
                equal_right -= 1;
                slice.swap(right, equal_right);
            }
        }
        if left >= right {
            break;
        }
        right -= 1;
        slice.swap(left, right);
        left += 1;
    }
    let (less, greater) = (left - equal_left, equal_right - right);
    exchange(slice, 0, left, equal_left.min(less));
    exchange(slice, left, len, (len - equal_right).min(greater));
    (less, greater)
}

/// Exchanges `count` elements from `start` on with those before `end`.
fn exchange<T>(slice: &mut [T], start: usize, end: usize, count: usize) {
    (0..count).for_each(|i| slice.swap(start + i, end - count + i));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_wanted_elements_are_those_of_the_whole_sort(
            mut values in proptest::collection::vec(0_u16..300, 0..500),
            start: u16,
            len: u16,
        ) {
            let start = usize::from(start) % (values.len() + 1);
            let wanted = start..start + usize::from(len) % (values.len() - start + 1);
            let mut sorted = values.clone();
            sorted.sort();
            partial_sort(&mut values, wanted.clone(), u16::cmp);
            prop_assert_eq!(&values[wanted.clone()], &sorted[wanted]);
            values.sort();
            prop_assert_eq!(values, sorted);
        }
    }

    #[test]
    fn bad_pivots_do_not_make_it_slow() {
        // McIlroy's adversary: decides what is greater only when asked.
        use std::cell::{Cell, RefCell};
        let len = 20_000_usize;
        let decided = RefCell::new(vec![usize::MAX; len]);
        let (solid, candidate, asked) = (Cell::new(0), Cell::new(0), Cell::new(0_u64));
        let compare = |a: &usize, b: &usize| {
            asked.set(asked.get() + 1);
            let mut decided = decided.borrow_mut();
            if decided[*a] == usize::MAX && decided[*b] == usize::MAX {
                let freeze = if *a == candidate.get() { *a } else { *b };
                decided[freeze] = solid.get();
                solid.set(solid.get() + 1);
            }
            if decided[*a] == usize::MAX {
                candidate.set(*a);
            } else if decided[*b] == usize::MAX {
                candidate.set(*b);
            }
            decided[*a].cmp(&decided[*b])
        };
        let mut slice: Vec<usize> = (0..len).collect();
        partial_sort(&mut slice, 0..len, compare);
        assert!(asked.get() < 4_000_000, "{} comparisons", asked.get());
    }
}
