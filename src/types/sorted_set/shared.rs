//! Arrays of nodes that clones share.

use std::hint::black_box;
use std::sync::Arc;

/// Whether a clone shares it. Costs no locked instruction, as `Arc::get_mut` does; whoever changes it
/// still asks that, which cannot fail then: nobody else has a reference to clone.
#[inline]
pub(super) fn is_shared<T: ?Sized>(shared: &Arc<T>) -> bool {
    Arc::strong_count(shared) > 1
}

/// The items of an array to be changed, copied first if it is shared; `touch` reads what an item
/// points to.
///
/// The copy counts a reference to each item. Reading them first fetches all their counts at the
/// same time; counting up alone would wait for the memory of one after the other.
pub(super) fn unshared<T: Clone>(items: &mut Arc<[T]>, touch: impl Fn(&T) -> usize) -> &mut [T] {
    if is_shared(items) {
        black_box(items.iter().fold(0, |sum, item| sum ^ touch(item)));
    }
    Arc::make_mut(items)
}
