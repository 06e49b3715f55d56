//! Rests between the keys of a save or a load, which tests ask for by `rdb-key-save-delay` and
//! `key-load-delay`.

use crate::node::Node;
use crate::settings::Settings;

/// A rest ends this soon once it is pointless.
const SLICE_MS: u64 = 10;
const NANOS_PER_MS: u64 = 1_000_000;

/// The rest that is due. Short ones add up to a millisecond first.
#[derive(Debug, Default)]
pub(crate) struct KeyDelay {
    due_nanos: u64,
}

impl KeyDelay {
    /// Rests for `keys` more keys: for `delay_us` microseconds each, or, if that is negative, for
    /// one microsecond for so many keys. The rest ends when `is_over` says so, and when the setting
    /// becomes 0. Returns whether rests are asked for.
    pub(crate) fn rest(
        &mut self,
        node: &Node,
        delay_us: fn(&Settings) -> i32,
        keys: u64,
        is_over: impl Fn() -> bool,
    ) -> bool {
        let delay = || i64::from(delay_us(&node.settings.load()));
        self.due_nanos += match delay() {
            0 => 0,
            us @ 1.. => keys.saturating_mul(us.unsigned_abs() * 1000),
            of_keys => keys * 1000 / of_keys.unsigned_abs(),
        };
        while self.due_nanos >= NANOS_PER_MS {
            if delay() == 0 || is_over() {
                self.due_nanos = 0;
                break;
            }
            let ms = (self.due_nanos / NANOS_PER_MS).min(SLICE_MS);
            node.clock.sleep_ms(ms);
            self.due_nanos -= ms * NANOS_PER_MS;
        }
        delay() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::Fixture;

    #[test]
    fn rests_add_up_to_milliseconds_and_end_when_they_are_pointless() {
        for (delay_us, keys, over, rested_ms) in [
            (0, 1_000_000, false, 0),
            (400, 1, false, 0),
            (400, 3, false, 1),
            (-50, 100_000, false, 2),
            (i32::MAX, 1, true, 0),
            (25_000, 2, false, 50),
        ] {
            let mut settings = Settings::default();
            settings.snapshot.key_save_delay_us = delay_us;
            let fixture = Fixture::with(settings, &[]);
            let began_ms = fixture.node().clock.unix_ms();
            let mut delay = KeyDelay::default();
            let is_on = delay.rest(
                fixture.node(),
                |settings| settings.snapshot.key_save_delay_us,
                keys,
                || over,
            );
            assert_eq!(is_on, delay_us != 0);
            let rested = fixture.node().clock.unix_ms() - began_ms;
            assert_eq!(rested, rested_ms, "{delay_us} {keys}");
        }
    }
}
