//! When the log reached which offset: gives the age of the oldest write that a replica lacks, and
//! the time until a write was acknowledged.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Most moments kept. There is room for all from the start: growing while a replica falls behind would
/// make eviction remove keys for it.
const MOMENTS_MAX: usize = 4096;
/// Least time between two moments, in nanoseconds.
const APART_NANOS: u64 = 250_000;

/// A moment at which the log ended at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    offset: u64,
    nanos: u64,
}

/// Moments, the newest last. When there are too many, older ones are thinned out, so that they
/// reach far back and are precise where it matters.
#[derive(Debug)]
pub(crate) struct Timeline {
    moments: Mutex<VecDeque<Moment>>,
    noted_nanos: AtomicU64,
}

impl Default for Timeline {
    fn default() -> Self {
        let moments = Mutex::new(VecDeque::with_capacity(MOMENTS_MAX));
        Self { moments, noted_nanos: AtomicU64::new(0) }
    }
}

impl Timeline {
    /// Notes that the log ends at `offset` now.
    #[inline]
    pub(crate) fn note(&self, offset: u64, now_nanos: u64) {
        let noted = self.noted_nanos.load(Ordering::Relaxed);
        if now_nanos.saturating_sub(noted) >= APART_NANOS {
            self.push(Moment { offset, nanos: now_nanos });
        }
    }

    fn push(&self, moment: Moment) {
        self.noted_nanos.store(moment.nanos, Ordering::Relaxed);
        let mut moments = self.moments.lock();
        if moments.back().is_some_and(|last| last.offset >= moment.offset) {
            // Another worker was ahead, or the log was restarted.
            if moments.back().is_some_and(|last| last.offset > moment.offset + (1 << 30)) {
                moments.clear();
            } else {
                return;
            }
        }
        if moments.len() == MOMENTS_MAX {
            let mut index = 0;
            moments.retain(|_| {
                index += 1;
                index > MOMENTS_MAX / 2 || index % 2 == 1
            });
        }
        moments.push_back(moment);
    }

    /// Nanoseconds since the oldest write after `offset`; `None` if none is known.
    pub(crate) fn age_of_next(&self, offset: u64, now_nanos: u64) -> Option<u64> {
        let moments = self.moments.lock();
        let index = moments.partition_point(|moment| moment.offset <= offset);
        moments.get(index).map(|moment| now_nanos.saturating_sub(moment.nanos))
    }

    /// Nanoseconds since the newest noted moment up to `offset` that lies after `before`.
    pub(crate) fn age_of_last(&self, before: u64, offset: u64, now_nanos: u64) -> Option<u64> {
        let moments = self.moments.lock();
        let index = moments.partition_point(|moment| moment.offset <= offset).checked_sub(1)?;
        let moment = moments.get(index).filter(|moment| moment.offset > before)?;
        Some(now_nanos.saturating_sub(moment.nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn ages_follow_from_what_is_acknowledged() {
        let timeline = Timeline::default();
        assert_eq!(timeline.age_of_next(0, 5 * MS), None);
        for ms in 1..=10 {
            timeline.note(ms * 100, ms * MS);
        }
        assert_eq!(timeline.age_of_next(0, 20 * MS), Some(19 * MS));
        assert_eq!(timeline.age_of_next(950, 20 * MS), Some(10 * MS));
        assert_eq!(timeline.age_of_next(1000, 20 * MS), None, "all is acknowledged");
        assert_eq!(timeline.age_of_last(0, 350, 20 * MS), Some(17 * MS));
        assert_eq!(timeline.age_of_last(300, 350, 20 * MS), None, "counted before");
    }

    #[test]
    fn what_is_kept_is_bounded_and_reaches_back() {
        let timeline = Timeline::default();
        for ms in 1..=100_000 {
            timeline.note(ms, ms * MS);
        }
        {
            let moments = timeline.moments.lock();
            assert!(moments.len() <= MOMENTS_MAX);
            assert_eq!(moments.capacity(), MOMENTS_MAX, "it never grows");
        }
        let oldest = timeline.age_of_next(0, 100_000 * MS).expect("something is kept");
        assert!(oldest > 50_000 * MS, "reaches {} ms back", oldest / MS);
        assert_eq!(timeline.age_of_next(99_990, 100_000 * MS), Some(9 * MS));
    }
}
