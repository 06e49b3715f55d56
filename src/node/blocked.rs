//! Clients that wait for keys: how many, and which shards a served move reaches.
//!
//! A client that waits for a list to move an element from (BLMOVE) is served under the locks of
//! whoever fills that list. The move fills another list, for which somebody may wait in turn. So a
//! command locks, besides the shards of its keys, all that waiting moves reach from there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::keyspace::ShardSet;

/// Counts of waiting clients and moves.
#[derive(Debug, Default)]
pub(crate) struct Blocked {
    clients: AtomicUsize,
    /// Those with a timeout.
    timed: AtomicUsize,
    /// How many moves wait, and from which shard to which. A move is added and removed under the
    /// lock of its source's shard.
    moving: AtomicUsize,
    moves: Mutex<HashMap<(usize, usize), usize>>,
}

impl Blocked {
    /// Clients that wait for keys.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Clients that wait for keys until some time.
    pub(crate) fn timed_clients(&self) -> usize {
        self.timed.load(Ordering::Relaxed)
    }

    pub(crate) fn add_client(&self, timed: bool) {
        self.clients.fetch_add(1, Ordering::Relaxed);
        self.timed.fetch_add(usize::from(timed), Ordering::Relaxed);
    }

    pub(crate) fn remove_client(&self, timed: bool) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
        self.timed.fetch_sub(usize::from(timed), Ordering::Relaxed);
    }

    /// Whether any move waits.
    #[inline]
    pub(crate) fn any_moves(&self) -> bool {
        self.moving.load(Ordering::Acquire) > 0
    }

    pub(crate) fn add_move(&self, from: usize, to: usize) {
        *self.moves.lock().entry((from, to)).or_default() += 1;
        self.moving.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn remove_move(&self, from: usize, to: usize) {
        let mut moves = self.moves.lock();
        if let Some(count) = moves.get_mut(&(from, to)) {
            *count -= 1;
            if *count == 0 {
                moves.remove(&(from, to));
            }
            self.moving.fetch_sub(1, Ordering::Release);
        }
    }

    /// A set of shards with all that waiting moves reach from them.
    #[cold]
    pub(crate) fn reached_from(&self, mut set: ShardSet) -> ShardSet {
        let moves = self.moves.lock();
        loop {
            let before = set;
            for (from, to) in moves.keys() {
                if set.contains(*from) {
                    set.insert(*to);
                }
            }
            if set == before {
                return set;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_of_moves_are_reached_to_their_end() {
        let blocked = Blocked::default();
        for (from, to) in [(3, 1), (1, 2), (7, 8), (2, 3)] {
            blocked.add_move(from, to);
        }
        let reached = |from| blocked.reached_from(ShardSet::of(from)).iter().collect::<Vec<_>>();
        assert_eq!(reached(1), [1, 2, 3]);
        assert_eq!(reached(7), [7, 8]);
        assert_eq!(reached(9), [9]);
        blocked.remove_move(2, 3);
        assert_eq!(reached(1), [1, 2]);
        for (from, to) in [(3, 1), (1, 2), (7, 8)] {
            assert!(blocked.any_moves());
            blocked.remove_move(from, to);
        }
        assert!(!blocked.any_moves());
    }
}
