//! Sessions kept so that clients can resume them, for a time and up to a number.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use rustls::server::StoresServerSessions;

use crate::server::clock;

/// A session's secrets.
#[derive(Debug)]
struct Kept {
    value: Vec<u8>,
    /// Its place in the order of arrival.
    turn: u64,
    until_us: i64,
}

#[derive(Debug, Default)]
struct Sessions {
    by_key: HashMap<Vec<u8>, Kept>,
    /// Keys in the order of arrival.
    order: BTreeMap<u64, Vec<u8>>,
    turns: u64,
}

impl Sessions {
    fn remove(&mut self, key: &[u8]) -> Option<Kept> {
        let kept = self.by_key.remove(key)?;
        self.order.remove(&kept.turn);
        Some(kept)
    }

    /// Forgets the sessions that are over, and the oldest ones beyond `max`.
    fn trim(&mut self, max: usize, now_us: i64) {
        while let Some((_, key)) = self.order.first_key_value() {
            let over = self.by_key.get(key).is_some_and(|kept| kept.until_us <= now_us);
            if !over && self.by_key.len() <= max {
                break;
            }
            let key = key.clone();
            self.remove(&key);
        }
    }
}

/// The kept sessions of one configuration: a new one starts without any, as its rules may differ.
#[derive(Debug)]
pub(super) struct Resumption {
    sessions: Mutex<Sessions>,
    max: usize,
    timeout_us: i64,
}

impl Resumption {
    /// Keeps up to `max` sessions (0: any number), each for `timeout_secs`.
    pub(super) fn new(max: u32, timeout_secs: u32) -> Self {
        let max = if max == 0 { usize::MAX } else { max as usize };
        Self { sessions: Mutex::default(), max, timeout_us: i64::from(timeout_secs) * 1_000_000 }
    }

    fn put_at(&self, key: Vec<u8>, value: Vec<u8>, now_us: i64) {
        let mut sessions = self.sessions.lock();
        sessions.remove(&key);
        sessions.turns += 1;
        let turn = sessions.turns;
        sessions.order.insert(turn, key.clone());
        let until_us = now_us.saturating_add(self.timeout_us);
        sessions.by_key.insert(key, Kept { value, turn, until_us });
        sessions.trim(self.max, now_us);
    }

    fn get_at(&self, key: &[u8], now_us: i64) -> Option<Vec<u8>> {
        let sessions = self.sessions.lock();
        sessions
            .by_key
            .get(key)
            .filter(|kept| kept.until_us > now_us)
            .map(|kept| kept.value.clone())
    }
}

impl StoresServerSessions for Resumption {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.put_at(key, value, clock::unix_us());
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.get_at(key, clock::unix_us())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let kept = self.sessions.lock().remove(key)?;
        (kept.until_us > clock::unix_us()).then_some(kept.value)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Resumption;

    fn kept(all: &Resumption, now_s: i64) -> String {
        let has = |key: &u8| all.get_at(&[*key], now_s * 1_000_000).is_some();
        String::from_utf8((b'a'..=b'e').filter(has).collect()).unwrap()
    }

    fn put(all: &Resumption, key: u8, now_s: i64) {
        all.put_at(vec![key], vec![0; 8], now_s * 1_000_000);
    }

    #[test]
    fn the_oldest_give_way_and_each_has_its_time() {
        let all = Resumption::new(3, 10);
        for (now_s, key) in (0..).zip(b'a'..=b'd') {
            put(&all, key, now_s);
        }
        assert_eq!(kept(&all, 4), "bcd");
        put(&all, b'b', 5);
        put(&all, b'e', 6);
        assert_eq!(kept(&all, 6), "bde");
        assert_eq!(kept(&all, 14), "be");
        put(&all, b'a', 20);
        assert_eq!(all.sessions.lock().by_key.len(), 1, "what is over takes no memory");
        assert_eq!(all.sessions.lock().order.len(), 1);
    }

    #[test]
    fn none_is_any_number_and_no_time_is_none() {
        let all = Resumption::new(0, 10);
        (b'a'..=b'e').for_each(|key| put(&all, key, 0));
        assert_eq!(kept(&all, 1), "abcde");
        let none = Resumption::new(9, 0);
        put(&none, b'a', 0);
        assert_eq!(kept(&none, 0), "");
    }
}
