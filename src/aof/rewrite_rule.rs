//! When the file is rewritten by itself.

/// Failures in a row after which rewrites wait.
const FAILURES_MAX: u64 = 3;
/// The longest wait between two of them.
const DELAY_MINUTES_MAX: u64 = 60;

/// `auto-aof-rewrite-percentage` and `auto-aof-rewrite-min-size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RewriteRule {
    /// Growth since the last rewrite, in percent; 0 for never.
    pub(crate) percentage: u64,
    /// Smaller files are left alone, in bytes.
    pub(crate) size_min: u64,
}

impl RewriteRule {
    /// The growth in percent, if it asks for a rewrite. Log it:
    /// `Starting automatic rewriting of AOF on <growth>% growth`.
    pub(crate) fn due(self, current_size: u64, base_size: u64) -> Option<u64> {
        if self.percentage == 0 || current_size <= self.size_min {
            return None;
        }
        let share = u128::from(current_size) * 100 / u128::from(base_size.max(1));
        let growth = u64::try_from(share).unwrap_or(u64::MAX).checked_sub(100)?;
        (growth >= self.percentage).then_some(growth)
    }
}

/// Delays rewrites that keep failing: each leaves one more small file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RewriteLimit {
    delay_minutes: u64,
    next_s: Option<i64>,
}

/// Whether a rewrite may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    No,
    /// Not before a delay that was logged.
    Yes,
    /// Not before so many minutes. Log it: `Background AOF rewrite has repeatedly failed and
    /// triggered the limit, will retry in <minutes> minutes`.
    From(u64),
}

impl RewriteLimit {
    /// Looks whether a rewrite that nobody asked for may begin, at this Unix time in seconds.
    pub(crate) fn check(&mut self, consecutive_failures: u64, now_s: i64) -> Limited {
        if consecutive_failures < FAILURES_MAX {
            *self = Self::default();
            return Limited::No;
        }
        if let Some(next_s) = self.next_s {
            if now_s < next_s {
                return Limited::Yes;
            }
            self.next_s = None;
            return Limited::No;
        }
        self.delay_minutes = (self.delay_minutes * 2).clamp(1, DELAY_MINUTES_MAX);
        self.next_s = Some(now_s.saturating_add(self.delay_minutes.cast_signed() * 60));
        Limited::From(self.delay_minutes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Limited, RewriteLimit, RewriteRule};

    #[test]
    fn growth_beyond_the_percentage_asks_for_a_rewrite() {
        let rule = RewriteRule { percentage: 100, size_min: 64 };
        assert_eq!(rule.due(64, 10), None, "not larger than the minimum");
        assert_eq!(rule.due(65, 10), Some(550));
        assert_eq!(rule.due(199, 100), None);
        assert_eq!(rule.due(200, 100), Some(100));
        assert_eq!(rule.due(80, 100), None, "it shrank");
        assert_eq!(rule.due(65, 0), Some(6400), "no base counts as one byte");
        assert_eq!(RewriteRule { percentage: 0, size_min: 0 }.due(u64::MAX, 1), None);
        assert_eq!(rule.due(u64::MAX, 1), Some(u64::MAX - 100));
    }

    #[test]
    fn failing_rewrites_wait_longer_each_time_up_to_an_hour() {
        let (mut limit, mut now) = (RewriteLimit::default(), 1_000);
        assert_eq!(limit.check(2, now), Limited::No);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(limit.check(3, now), Limited::From(minutes));
            now += i64::try_from(minutes).unwrap() * 60;
            assert_eq!(limit.check(3, now - 1), Limited::Yes);
            assert_eq!(limit.check(3, now), Limited::No, "it may begin, and fails again");
        }
        assert_eq!(limit.check(0, now), Limited::No);
        assert_eq!(limit.check(3, now), Limited::From(1), "a success forgets the delays");
    }
}
