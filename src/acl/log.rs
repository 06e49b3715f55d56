//! ACL LOG: recent denials and failed authentications, similar ones counted together.

use std::collections::VecDeque;

/// Similar happenings further apart than this are separate entries.
const GROUPED_MS_MAX: u64 = 60_000;

/// How many recent entries are looked at for a similar one.
const GROUPED_ENTRIES_MAX: usize = 10;

/// What was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Command,
    Key,
    Channel,
    Auth,
}

impl Reason {
    /// The word in ACL LOG.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Key => "key",
            Self::Channel => "channel",
            Self::Auth => "auth",
        }
    }
}

impl From<super::Denial> for Reason {
    fn from(denial: super::Denial) -> Self {
        match denial {
            super::Denial::Command => Self::Command,
            super::Denial::Key(_) => Self::Key,
            super::Denial::Channel(_) => Self::Channel,
        }
    }
}

/// Where the command ran, or was to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    Toplevel,
    Multi,
    Lua,
}

impl Context {
    /// The word in ACL LOG.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Toplevel => "toplevel",
            Self::Multi => "multi",
            Self::Lua => "lua",
        }
    }
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happening {
    pub(crate) reason: Reason,
    pub(crate) context: Context,
    /// The command's full name, the key, the channel, or the command that authenticates as the
    /// client wrote it.
    pub(crate) object: Vec<u8>,
    /// The user's name, or for [`Reason::Auth`] the name given.
    pub(crate) username: Vec<u8>,
    /// The client as in CLIENT LIST; in a script, the one that runs it.
    pub(crate) client_info: Vec<u8>,
}

/// Similar happenings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) count: u64,
    /// The last of them.
    pub(crate) last: Happening,
    /// When it was, in milliseconds of the clock whose time [`Log::add`] gets.
    pub(crate) last_ms: u64,
}

impl Entry {
    /// The field `age-seconds`.
    pub(crate) fn age_seconds(&self, now_ms: u64) -> f64 {
        // As a difference of signed numbers, should the clock go back.
        now_ms.wrapping_sub(self.last_ms).cast_signed() as f64 / 1000.0
    }

    fn is_similar(&self, other: &Happening, now_ms: u64) -> bool {
        let last = &self.last;
        last.reason == other.reason
            && last.context == other.context
            && self.last_ms.abs_diff(now_ms) <= GROUPED_MS_MAX
            && last.object == other.object
            && last.username == other.username
    }
}

/// The log, newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
}

impl Log {
    /// Logs a happening. `entries_max` is the setting `acllog-max-len`; a happening that is similar
    /// to a recent one leaves older entries where they are, whatever the setting.
    pub(crate) fn add(&mut self, happening: Happening, now_ms: u64, entries_max: usize) {
        let mut recent = self.entries.iter().take(GROUPED_ENTRIES_MAX);
        let similar = recent.position(|entry| entry.is_similar(&happening, now_ms));
        match similar.and_then(|index| self.entries.remove(index)) {
            Some(entry) => {
                let count = entry.count + 1;
                self.entries.push_front(Entry { count, last: happening, last_ms: now_ms });
            }
            None => {
                self.entries.push_front(Entry { count: 1, last: happening, last_ms: now_ms });
                self.entries.truncate(entries_max);
            }
        }
    }

    /// The newest entries, newest first. ACL LOG shows 10 if no count is given, and none for a
    /// negative one.
    pub(crate) fn newest(&self, count: usize) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter().take(count)
    }

    /// ACL LOG RESET.
    pub(crate) fn reset(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(object: &str) -> Happening {
        Happening {
            reason: Reason::Key,
            context: Context::Toplevel,
            object: object.into(),
            username: b"u".to_vec(),
            client_info: b"id=1".to_vec(),
        }
    }

    fn shown(log: &Log) -> Vec<(String, u64)> {
        let object = |entry: &Entry| String::from_utf8(entry.last.object.clone()).unwrap();
        log.newest(100).map(|entry| (object(entry), entry.count)).collect()
    }

    #[test]
    fn similar_happenings_within_a_minute_are_one_entry_at_the_front() {
        let mut log = Log::default();
        log.add(denied("a"), 1_000, 128);
        log.add(denied("b"), 2_000, 128);
        log.add(Happening { client_info: b"id=2".to_vec(), ..denied("a") }, 61_000, 128);
        assert_eq!(shown(&log), [("a".into(), 2), ("b".into(), 1)]);
        let newest = log.newest(1).next().unwrap();
        assert_eq!(newest.last.client_info, b"id=2");
        assert_eq!(newest.age_seconds(61_250).to_string(), "0.25");
        assert_eq!(newest.age_seconds(60_000).to_string(), "-1");
        log.add(denied("a"), 121_001, 128);
        assert_eq!(shown(&log), [("a".into(), 1), ("a".into(), 2), ("b".into(), 1)]);
    }

    #[test]
    fn other_reasons_contexts_and_users_are_other_entries() {
        let mut log = Log::default();
        log.add(denied("a"), 0, 128);
        log.add(Happening { reason: Reason::Command, ..denied("a") }, 0, 128);
        log.add(Happening { context: Context::Multi, ..denied("a") }, 0, 128);
        log.add(Happening { username: b"v".to_vec(), ..denied("a") }, 0, 128);
        assert_eq!(log.newest(100).len(), 4);
        log.reset();
        assert_eq!(log.newest(100).len(), 0);
    }

    #[test]
    fn only_ten_entries_are_looked_at_and_the_oldest_go() {
        let mut log = Log::default();
        (0..11).for_each(|index| log.add(denied(&index.to_string()), 0, 128));
        log.add(denied("0"), 0, 128);
        assert_eq!(log.newest(100).len(), 12);
        log.add(denied("1"), 0, 12);
        assert_eq!(log.newest(100).len(), 12);
        assert_eq!(shown(&log)[11].0, "1", "the oldest went");
        log.add(denied("1"), 0, 0);
        assert_eq!(log.newest(100).len(), 12, "a similar one leaves the rest");
        log.add(denied("new"), 0, 0);
        assert_eq!(log.newest(100).len(), 0);
    }
}
