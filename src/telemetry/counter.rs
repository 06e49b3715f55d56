//! Counters and histograms: cheap to update, readable from any thread.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter written by one thread and read by any: adding needs no read-modify-write and shares
/// no cache line.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// A counter that any thread adds to; for rare events.
#[derive(Debug, Default)]
pub(crate) struct SharedCounter(AtomicU64);

impl SharedCounter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Buckets of a histogram of durations: up to 1 µs, 2 µs, 4 µs, ... up to 2^25 µs (some 34 s), and
/// beyond. The bounds are fixed, so that sums over servers and times are valid.
pub(crate) const BUCKETS: usize = 27;

/// The bucket of a duration.
#[inline]
fn bucket(nanos: u64) -> usize {
    let us = nanos.saturating_sub(1) / 1000;
    // 0 → 0, 1 → 1, 2..4 → 2, 4..8 → 3, ...
    ((u64::BITS - us.leading_zeros()) as usize).min(BUCKETS - 1)
}

/// The upper bound of a bucket in microseconds; `None` for the last, unbounded one.
pub(crate) fn bound_us(bucket: usize) -> Option<u64> {
    (bucket < BUCKETS - 1).then(|| 1 << bucket)
}

/// Durations, counted by bucket, written by one thread.
#[derive(Debug, Default)]
pub(crate) struct Histogram([Counter; BUCKETS]);

impl Histogram {
    #[inline]
    pub(crate) fn observe(&self, nanos: u64) {
        self.0[bucket(nanos)].add(1);
    }

    pub(crate) fn reset(&self) {
        self.0.iter().for_each(Counter::reset);
    }
}

/// Durations, counted by bucket, written by any thread.
#[derive(Debug, Default)]
pub(crate) struct SharedHistogram {
    buckets: [SharedCounter; BUCKETS],
    nanos: SharedCounter,
}

impl SharedHistogram {
    pub(crate) fn observe(&self, nanos: u64) {
        self.buckets[bucket(nanos)].add(1);
        self.nanos.add(nanos);
    }

    pub(crate) fn distribution(&self) -> Distribution {
        let counts = std::array::from_fn(|bucket| self.buckets[bucket].get());
        Distribution { counts, nanos: self.nanos.get() }
    }

    pub(crate) fn reset(&self) {
        self.buckets.iter().for_each(SharedCounter::reset);
        self.nanos.reset();
    }
}

/// A histogram's values when it was read; several can be added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Distribution {
    pub(crate) counts: [u64; BUCKETS],
    /// Sum of all durations.
    pub(crate) nanos: u64,
}

impl Distribution {
    pub(crate) fn add(&mut self, histogram: &Histogram, nanos: u64) {
        for (sum, counter) in self.counts.iter_mut().zip(&histogram.0) {
            *sum += counter.get();
        }
        self.nanos += nanos;
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The quantile in microseconds: the bound below which this share of the durations lies,
    /// accurate to a factor of two. `None` if there are none.
    pub(crate) fn quantile_us(&self, share: f64) -> Option<f64> {
        let count = self.count();
        let rank = (count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|&in_bucket| {
            seen += in_bucket;
            seen >= rank
        });
        (count > 0).then_some(())?;
        // Durations beyond the last bound are at least that long.
        let us = bound_us(bucket?).or_else(|| bound_us(BUCKETS - 2))?;
        Some(us as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_whose_bound_it_does_not_pass() {
        for (nanos, us) in [
            (0, Some(1)),
            (1, Some(1)),
            (1000, Some(1)),
            (1001, Some(2)),
            (2000, Some(2)),
            (2001, Some(4)),
            (4000, Some(4)),
            (1_000_000, Some(1024)),
            (33_554_432_000, Some(33_554_432)),
            (33_554_432_001, None),
            (u64::MAX, None),
        ] {
            assert_eq!(bound_us(bucket(nanos)), us, "{nanos} ns");
        }
    }

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let histogram = Histogram::default();
        let mut all = Distribution::default();
        assert_eq!(all.quantile_us(0.5), None);
        (0..98).for_each(|_| histogram.observe(3_000));
        (0..2).for_each(|_| histogram.observe(900_000));
        all.add(&histogram, 0);
        assert_eq!((all.quantile_us(0.5), all.quantile_us(0.98)), (Some(4.0), Some(4.0)));
        assert_eq!(all.quantile_us(0.99), Some(1024.0));
    }
}
