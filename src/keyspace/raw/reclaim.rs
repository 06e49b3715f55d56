//! When memory that an unlocked reader may still access can be freed.
//!
//! A worker reads directories and slots without a lock while it prefetches. It enters an epoch
//! before and leaves it afterwards. Memory that a split replaces is retired under the current epoch
//! and freed once no reader is inside that epoch or an older one.
//!
//! The argument: a reader publishes its epoch, then (after a sequentially consistent fence) loads
//! pointers; a writer unlinks, then (after such a fence) checks the readers. So either the writer
//! sees the reader and waits, or the reader sees the unlinked state.

use std::collections::VecDeque;
use std::fmt;

use super::sync::{AtomicU64, Mutex, Ordering, fence};

/// A reader outside of any epoch.
const OUTSIDE: u64 = 0;
/// Most items freed between two batches: a flushed database leaves thousands of segments.
const COLLECTED_MAX: usize = 64;

/// One reader's epoch, on its own cache line.
#[repr(align(64))]
struct Reader(AtomicU64);

/// Epochs and the memory waiting to be freed, of type `G`.
pub(crate) struct Reclaim<G> {
    epoch: AtomicU64,
    readers: Box<[Reader]>,
    /// Mirrors the length of `garbage`, so that an idle check takes no lock.
    waiting: AtomicU64,
    /// Oldest first, or nearly so: two may swap places while being queued.
    garbage: Mutex<VecDeque<(u64, G)>>,
}

impl<G> Reclaim<G> {
    /// For readers numbered below `readers`.
    pub(crate) fn new(readers: usize) -> Self {
        Self {
            epoch: AtomicU64::new(1),
            readers: (0..readers).map(|_| Reader(AtomicU64::new(OUTSIDE))).collect(),
            waiting: AtomicU64::new(0),
            garbage: Mutex::new(VecDeque::new()),
        }
    }

    /// Lets this reader read without a lock until the guard drops.
    #[inline]
    pub(crate) fn enter(&self, reader: usize) -> Inside<'_, G> {
        let slot = &self.readers[reader].0;
        debug_assert_eq!(slot.load(Ordering::Relaxed), OUTSIDE, "a reader enters once at a time");
        slot.store(self.epoch.load(Ordering::SeqCst), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        Inside { reclaim: self, reader }
    }

    /// Frees `garbage`, already unlinked, when no reader can see it any more.
    pub(crate) fn retire(&self, garbage: G) {
        fence(Ordering::SeqCst);
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst);
        let mut waiting = self.garbage.lock();
        waiting.push_back((epoch, garbage));
        self.waiting.store(waiting.len() as u64, Ordering::Relaxed);
    }

    /// Frees some of what can be freed. Cheap when nothing waits; called between batches.
    #[inline]
    pub(crate) fn collect(&self) {
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.collect_some();
        }
    }

    /// Frees all that can be freed.
    pub(crate) fn collect_all(&self) {
        while self.collect_some() == COLLECTED_MAX {}
    }

    /// Frees a bounded part of what can be freed; returns how much.
    #[cold]
    fn collect_some(&self) -> usize {
        let Some(mut waiting) = self.garbage.try_lock() else { return 0 };
        fence(Ordering::SeqCst);
        let oldest = self
            .readers
            .iter()
            .map(|reader| reader.0.load(Ordering::SeqCst))
            .filter(|&epoch| epoch != OUTSIDE)
            .min()
            .unwrap_or(u64::MAX);
        let free = waiting.iter().take(COLLECTED_MAX).take_while(|(epoch, _)| *epoch < oldest);
        let count = free.count();
        let free: Vec<_> = waiting.drain(..count).collect();
        self.waiting.store(waiting.len() as u64, Ordering::Relaxed);
        drop(waiting);
        drop(free);
        count
    }
}

impl<G> fmt::Debug for Reclaim<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reclaim").finish_non_exhaustive()
    }
}

/// A reader is inside an epoch while this lives.
#[derive(Debug)]
pub(crate) struct Inside<'a, G> {
    reclaim: &'a Reclaim<G>,
    reader: usize,
}

impl<G> Drop for Inside<'_, G> {
    fn drop(&mut self) {
        self.reclaim.readers[self.reader].0.store(OUTSIDE, Ordering::Release);
    }
}

#[cfg(all(test, not(limpid_loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn garbage_waits_for_a_reader_that_was_inside() {
        let reclaim = Reclaim::new(2);
        let garbage = Arc::new(());
        let inside = reclaim.enter(1);
        reclaim.retire(Arc::clone(&garbage));
        reclaim.collect();
        assert_eq!(Arc::strong_count(&garbage), 2);
        drop(inside);
        reclaim.collect();
        assert_eq!(Arc::strong_count(&garbage), 1);
    }

    #[test]
    fn a_reader_that_entered_later_does_not_hold_garbage_back() {
        let reclaim = Reclaim::new(1);
        let garbage = Arc::new(());
        reclaim.retire(Arc::clone(&garbage));
        let _inside = reclaim.enter(0);
        reclaim.collect();
        assert_eq!(Arc::strong_count(&garbage), 1);
    }
}
