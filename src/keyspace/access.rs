//! The access bits of an entry: how a key was used, for eviction.
//!
//! Under most policies the 32 bits are the time of the last access, in seconds of Unix time. Under
//! an LFU policy the upper 24 are the minute of the last access and the lower 8 a counter of
//! accesses on a logarithmic scale, as in Redis: it grows the more slowly the higher it is, and
//! decreases with time. A change of policy leaves the bits as they are: until a key is used again
//! they mean little.

/// The counter of a new key: above 0, so that it is not the first to be evicted.
const COUNTER_INIT: u8 = 5;
const COUNTER_BITS: u32 = 8;
const MINUTES_MASK: u32 = u32::MAX >> COUNTER_BITS;
/// A last access later than now by less than this means that the clock was set back, in seconds.
const AHEAD_S_MAX: u32 = 24 * 3600;

/// What the access bits mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Aging {
    /// The time of the last access.
    #[default]
    Idle,
    /// Minute and counter.
    Frequency(Frequency),
}

/// The pace of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frequency {
    /// How much each increment makes the next less likely.
    pub(crate) log_factor: u32,
    /// Minutes without an access that decrease the counter by one; 0: it does not decrease.
    pub(crate) decay_minutes: u32,
}

/// Access bits at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub(crate) aging: Aging,
    /// Unix time in seconds.
    pub(crate) now_s: u32,
}

impl Frequency {
    /// The counter of bits, decreased by the time since.
    pub(crate) fn counter(self, bits: u32, now_s: u32) -> u8 {
        let counter = bits as u8;
        let elapsed = minutes(now_s).wrapping_sub(bits >> COUNTER_BITS) & MINUTES_MASK;
        let periods = elapsed.checked_div(self.decay_minutes).unwrap_or(0);
        counter.saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }

    /// A counter after an access; `chance` is uniform in 0 to 1.
    fn incremented(self, counter: u8, chance: f64) -> u8 {
        let above = f64::from(counter.saturating_sub(COUNTER_INIT));
        let likely = 1.0 / (above * f64::from(self.log_factor) + 1.0);
        if chance < likely { counter.saturating_add(1) } else { counter }
    }
}

fn minutes(now_s: u32) -> u32 {
    (now_s / 60) & MINUTES_MASK
}

/// Bits of a counter that was set now.
fn counted(counter: u8, now_s: u32) -> u32 {
    minutes(now_s) << COUNTER_BITS | u32::from(counter)
}

/// Seconds since the last access that bits hold.
pub(crate) fn idle_s(bits: u32, now_s: u32) -> u32 {
    if bits.wrapping_sub(now_s) < AHEAD_S_MAX { 0 } else { now_s.wrapping_sub(bits) }
}

impl Access {
    /// The bits of a new key.
    #[inline]
    pub(crate) fn of_new(self) -> u32 {
        match self.aging {
            Aging::Idle => self.now_s,
            Aging::Frequency(_) => counted(COUNTER_INIT, self.now_s),
        }
    }

    /// The bits of a key after an access; `chance` gives a number uniform in 0 to 1.
    #[inline]
    pub(crate) fn after_access(self, bits: u32, chance: impl FnOnce() -> f64) -> u32 {
        match self.aging {
            Aging::Idle => self.now_s,
            Aging::Frequency(frequency) => {
                let counter = frequency.counter(bits, self.now_s);
                counted(frequency.incremented(counter, chance()), self.now_s)
            }
        }
    }

    /// The bits of a key that is said to have been idle for so long, or used so often; those of a
    /// new key if it is not said what the aging counts.
    pub(crate) fn restored(self, idle_s: Option<u64>, freq: Option<u8>) -> u32 {
        match (self.aging, idle_s, freq) {
            (Aging::Idle, Some(idle_s), _) => {
                self.now_s.saturating_sub(u32::try_from(idle_s).unwrap_or(u32::MAX))
            }
            (Aging::Frequency(_), _, Some(freq)) => counted(freq, self.now_s),
            _ => self.of_new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Frequency = Frequency { log_factor: 10, decay_minutes: 1 };
    /// Its minutes exceed 24 bits.
    const NOW_S: u32 = 1_700_000_000;

    fn at(now_s: u32) -> Access {
        Access { aging: Aging::Frequency(PACE), now_s }
    }

    #[test]
    fn a_new_key_begins_at_five_and_loses_one_a_period() {
        let bits = at(NOW_S).of_new();
        let after = |minutes: u32| PACE.counter(bits, NOW_S + minutes * 60);
        assert_eq!([0, 1, 4, 5, 6, 1000].map(after), [5, 4, 1, 0, 0, 0]);
        let slow = Frequency { decay_minutes: 3, ..PACE };
        assert_eq!(slow.counter(bits, NOW_S + 8 * 60), 3);
        let never = Frequency { decay_minutes: 0, ..PACE };
        assert_eq!(never.counter(bits, NOW_S + 8000 * 60), 5);
    }

    #[test]
    fn an_increment_is_the_less_likely_the_higher_the_counter() {
        let after = |counter, chance| PACE.incremented(counter, chance);
        assert_eq!([after(0, 0.99), after(5, 0.99)], [1, 6]);
        // One above the start: 1 in 11.
        assert_eq!([after(6, 0.09), after(6, 0.1)], [7, 6]);
        assert_eq!([after(105, 0.000_9), after(105, 0.001_1)], [106, 105]);
        assert_eq!(after(255, 0.0), 255);
    }

    #[test]
    fn an_access_decays_before_it_counts() {
        let later = at(NOW_S + 180);
        let bits = later.after_access(at(NOW_S).of_new(), || 0.5);
        assert_eq!(PACE.counter(bits, NOW_S + 180), 3);
        assert_eq!(PACE.counter(bits, NOW_S + 240), 2, "the time of the access counts from now");
    }

    #[test]
    fn idle_time_survives_a_clock_that_was_set_back() {
        assert_eq!(idle_s(NOW_S, NOW_S + 7), 7);
        assert_eq!(idle_s(NOW_S + 7, NOW_S), 0);
        // Bits of an LFU policy may lie far ahead: such keys are old.
        assert!(idle_s(NOW_S + AHEAD_S_MAX, NOW_S) > 1 << 30);
    }

    #[test]
    fn what_was_saved_applies_to_its_own_aging_only() {
        let idle = Access { aging: Aging::Idle, now_s: NOW_S };
        assert_eq!(idle.restored(Some(100), Some(9)), NOW_S - 100);
        assert_eq!(idle.restored(None, Some(9)), NOW_S);
        assert_eq!(idle.restored(Some(u64::MAX), None), 0);
        assert_eq!(PACE.counter(at(NOW_S).restored(Some(100), Some(9)), NOW_S), 9);
        assert_eq!(PACE.counter(at(NOW_S).restored(Some(100), None), NOW_S), 5);
    }
}
