//! Keys picked at random for eviction, some at a time and each under its shard's lock only.

use super::raw::table::Only;
use super::{EntryRef, Keyspace, SHARDS, ShardSet};

/// Segments looked through before the lock is released for others.
const SEGMENTS: usize = 16;
/// The slots of a segment, as a mask.
const SLOT_MASK: u64 = 63;

/// Which keys to pick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) database: usize,
    /// Only keys with an expiry.
    pub(crate) volatile: bool,
    pub(crate) count: usize,
    /// Where to begin.
    pub(crate) random: u64,
}

impl Keyspace {
    /// Whether a database has a key to pick. Takes no lock.
    pub(crate) fn has_sample(&self, database: usize, volatile: bool) -> bool {
        (0..SHARDS).any(|shard| self.candidates(shard, database, volatile) > 0)
    }

    fn candidates(&self, shard: usize, database: usize, volatile: bool) -> usize {
        let counts = self.shards.counts(shard, self.tables(database));
        if volatile { counts.expires() } else { counts.keys() }
    }

    /// Passes up to `count` keys to `each`: neighbours by their hash from a random one on. Returns
    /// how many there were; 0 only if there are none at all. `None`: a script holds the locks for
    /// long. Called without locks.
    pub(crate) fn sample(
        &self,
        wanted: Sample,
        mut each: impl FnMut(EntryRef<'_>),
    ) -> Option<usize> {
        match self.sample_from(wanted, wanted.random << 8 >> 8, &mut each)? {
            // They may all lie before the random place within their shards.
            0 => self.sample_from(wanted, 0, &mut each),
            found => Some(found),
        }
    }

    /// The same from a place on in each shard.
    fn sample_from(
        &self,
        wanted: Sample,
        place: u64,
        each: &mut impl FnMut(EntryRef<'_>),
    ) -> Option<usize> {
        let first = (wanted.random >> 56) as usize;
        let mut found = 0;
        for shard in (0..SHARDS).map(|step| (first + step) % SHARDS) {
            if found >= wanted.count {
                break;
            }
            if self.candidates(shard, wanted.database, wanted.volatile) > 0 {
                let rest = Sample { count: wanted.count - found, ..wanted };
                found += self.sample_shard((shard as u64) << 56 | place, rest, each)?;
            }
        }
        Some(found)
    }

    /// The same within the shard of a hash, from there on.
    fn sample_shard(
        &self,
        from: u64,
        wanted: Sample,
        each: &mut impl FnMut(EntryRef<'_>),
    ) -> Option<usize> {
        let shard = (from >> 56) as usize;
        let only = if wanted.volatile { Only::Expiring } else { Only::All };
        let slot = (wanted.random & SLOT_MASK) as usize;
        let (mut next, mut found) = (Some(from), 0);
        while next.is_some() && found < wanted.count {
            let mut guard = self.lock_unless_busy(ShardSet::of(shard))?;
            let mut locked = guard.locked();
            let (table, _) = locked.held.table(shard, self.tables(wanted.database));
            for _ in 0..SEGMENTS {
                let Some(at) = next.filter(|_| found < wanted.count) else { break };
                let more;
                (more, next) =
                    table.sample_segment(at, only, slot, wanted.count - found, &mut *each);
                found += more;
            }
        }
        Some(found)
    }
}

#[cfg(all(test, not(limpid_loom)))]
mod tests {
    use std::collections::HashMap;

    use super::Sample;
    use crate::keyspace::{Content, Keyspace, ShardSet};

    fn filled(keys: usize, expiring: usize) -> Keyspace {
        let keyspace = Keyspace::new(2, 1, [1, 2, 3, 4]);
        let mut guard = keyspace.lock(ShardSet::ALL);
        let mut locked = guard.locked();
        for number in 0..keys {
            let name = format!("key{number}");
            let expiry = (number < expiring).then_some(1 << 40);
            locked.store(1, keyspace.key(name.as_bytes()), Content::Int(1), expiry, 0);
        }
        drop(guard);
        keyspace
    }

    fn random(seed: u64) -> u64 {
        let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 29)
    }

    fn sample(keyspace: &Keyspace, volatile: bool, count: usize, seed: u64) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let wanted = Sample { database: 1, volatile, count, random: random(seed) };
        let number = keyspace.sample(wanted, |entry| found.push(entry.key().to_vec()));
        assert_eq!(number, Some(found.len()));
        found
    }

    #[test]
    fn every_key_is_picked_about_equally_often() {
        let keyspace = filled(20_000, 0);
        let mut times: HashMap<Vec<u8>, u32> = HashMap::new();
        for seed in 0..200_000 {
            for key in sample(&keyspace, false, 5, seed) {
                *times.entry(key).or_default() += 1;
            }
        }
        assert!(times.len() > 19_900, "{} of 20,000 are picked at all", times.len());
        // 50 on average.
        let often = times.values().filter(|&&times| times > 200).count();
        assert!(often < 100, "{often} keys are picked over four times as often as they should be");
    }

    #[test]
    fn as_many_different_keys_as_there_are_can_be_picked() {
        let keyspace = filled(7, 0);
        for seed in 0..100 {
            let mut found = sample(&keyspace, false, 5, seed);
            found.sort_unstable();
            found.dedup();
            assert!(!found.is_empty() && found.len() <= 5);
        }
        assert!(keyspace.has_sample(1, false) && !keyspace.has_sample(0, false));
    }

    #[test]
    fn the_only_key_with_an_expiry_is_found_among_many_without() {
        let keyspace = filled(50_000, 1);
        for seed in 0..20 {
            assert_eq!(sample(&keyspace, true, 5, seed), [b"key0"]);
        }
        assert!(keyspace.has_sample(1, true));
        assert_eq!(sample(&filled(10, 0), true, 5, 1), [b""; 0]);
    }
}
