//! The one place that reads the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::node::host::Clock;

/// The machine's clock.
#[derive(Debug)]
pub(super) struct SystemClock {
    ticks: quanta::Clock,
    /// The start, in the clock's raw ticks.
    start: u64,
}

impl SystemClock {
    pub(super) fn new() -> Self {
        let ticks = quanta::Clock::new();
        let start = ticks.raw();
        Self { ticks, start }
    }
}

/// Unix time in microseconds.
#[allow(clippy::disallowed_methods, reason = "this is the clock")]
pub(super) fn unix_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl Clock for SystemClock {
    fn unix_us(&self) -> i64 {
        unix_us()
    }

    #[inline]
    fn nanos(&self) -> u64 {
        self.ticks.delta_as_nanos(self.start, self.ticks.raw())
    }

    fn sleep_ms(&self, ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }
}
