//! The latency monitor: durations over `latency-monitor-threshold`, by event, as in Redis's
//! `latency.c`.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;

use super::Node;

/// Most spikes kept per event.
const SPIKES_MAX: usize = 160;

/// An event's longest duration within a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spike {
    /// Unix time in seconds.
    pub(crate) at_s: i64,
    pub(crate) ms: i64,
}

#[derive(Debug, Default)]
struct History {
    spikes: VecDeque<Spike>,
    most_ms: i64,
}

/// Spikes by event.
#[derive(Debug, Default)]
pub(crate) struct Spikes(Mutex<BTreeMap<&'static str, History>>);

impl Spikes {
    pub(crate) fn add(&self, event: &'static str, spike: Spike) {
        let mut events = self.0.lock();
        let event = events.entry(event).or_default();
        event.most_ms = event.most_ms.max(spike.ms);
        match event.spikes.back_mut() {
            Some(last) if last.at_s == spike.at_s => last.ms = last.ms.max(spike.ms),
            _ => {
                if event.spikes.len() == SPIKES_MAX {
                    event.spikes.pop_front();
                }
                event.spikes.push_back(spike);
            }
        }
    }

    /// An event's spikes, the oldest first.
    pub(crate) fn of(&self, event: &[u8]) -> Vec<Spike> {
        let events = self.0.lock();
        let found = events.iter().find(|(name, _)| name.as_bytes() == event);
        found.map(|(_, event)| event.spikes.iter().copied().collect()).unwrap_or_default()
    }

    /// Each event with its last spike and its longest in milliseconds.
    pub(crate) fn latest(&self) -> Vec<(&'static str, Spike, i64)> {
        let events = self.0.lock();
        let last = |(name, event): (&&'static str, &History)| {
            event.spikes.back().map(|spike| (*name, *spike, event.most_ms))
        };
        events.iter().filter_map(last).collect()
    }

    /// Forgets an event; false if unknown.
    pub(crate) fn forget(&self, event: &[u8]) -> bool {
        let mut events = self.0.lock();
        let before = events.len();
        events.retain(|name, _| name.as_bytes() != event);
        events.len() < before
    }

    /// Forgets all events; returns their number.
    pub(crate) fn forget_all(&self) -> usize {
        std::mem::take(&mut *self.0.lock()).len()
    }
}

impl Node {
    /// Records an event if it took as long as `latency-monitor-threshold`.
    pub(crate) fn note_spike(&self, event: &'static str, nanos: u64) {
        let threshold_ms = self.settings.load().slowlog.spike_ms;
        let ms = i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX);
        if threshold_ms > 0 && ms >= threshold_ms {
            self.spikes.add(event, Spike { at_s: self.clock.unix_ms() / 1000, ms });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_a_second_is_kept() {
        let spikes = Spikes::default();
        for (at_s, ms) in [(1, 10), (1, 30), (1, 20), (2, 5)] {
            spikes.add("command", Spike { at_s, ms });
        }
        let kept = [Spike { at_s: 1, ms: 30 }, Spike { at_s: 2, ms: 5 }];
        assert_eq!(spikes.of(b"command"), kept);
        assert_eq!(spikes.latest(), [("command", kept[1], 30)]);
        assert!(!spikes.forget(b"other") && spikes.forget(b"command"));
        assert_eq!(spikes.forget_all(), 0);
    }
}
