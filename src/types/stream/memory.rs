//! What the parts of a stream take of the allocator, and the budget of freeing.

use crate::types::Freed;
use crate::types::allocation::size_class;

/// Bytes of a vector's allocation.
pub(super) fn vector<T>(vector: &Vec<T>) -> usize {
    size_class(vector.capacity() * size_of::<T>())
}

/// Bytes of what an `Arc` points to, with its two counts.
pub(super) fn shared<T>() -> usize {
    size_class(2 * size_of::<usize>() + size_of::<T>())
}

/// The same for a shared slice of `len` bytes.
pub(super) fn shared_slice(len: usize) -> usize {
    size_class((2 * size_of::<usize>() + len).next_multiple_of(size_of::<usize>()))
}

/// How much may still be freed.
#[derive(Debug)]
pub(super) struct Budget {
    most: Freed,
    freed: Freed,
}

impl Budget {
    pub(super) fn new(most: Freed) -> Self {
        Self { most, freed: Freed::default() }
    }

    pub(super) fn freed(&self) -> Freed {
        self.freed
    }

    pub(super) fn is_spent(&self) -> bool {
        self.freed.bytes >= self.most.bytes || self.freed.objects >= self.most.objects
    }

    pub(super) fn count(&mut self, freed: Freed) {
        self.freed.bytes += freed.bytes;
        self.freed.objects += freed.objects;
    }

    /// Frees parts by `free_some` until nothing is left of the whole, and says whether that was
    /// within the budget.
    pub(super) fn exhaust(&mut self, mut free_some: impl FnMut(Freed) -> Freed) -> bool {
        while !self.is_spent() {
            let freed = free_some(Freed {
                bytes: self.most.bytes - self.freed.bytes,
                objects: self.most.objects - self.freed.objects,
            });
            if freed == Freed::default() {
                return true;
            }
            self.count(freed);
        }
        false
    }
}
