//! Accesses of keys, as eviction sees them: what a read or write leaves in an entry's access bits.

use super::{Keys, Random};
use crate::keyspace::access::{Access, Aging, Frequency};
use crate::keyspace::{Content, Key};
use crate::settings::Settings;

/// Unix time in seconds, in 32 bits.
pub(crate) fn access_clock(now_ms: i64) -> u32 {
    u32::try_from(now_ms / 1000).unwrap_or(u32::MAX)
}

/// What access bits mean under these settings.
#[inline]
pub(crate) fn aging(settings: &Settings) -> Aging {
    if !settings.memory.policy.is_lfu() {
        return Aging::Idle;
    }
    Aging::Frequency(Frequency {
        log_factor: settings.memory.lfu_log_factor,
        decay_minutes: settings.memory.lfu_decay_minutes,
    })
}

/// The access bits of something done now.
pub(crate) fn access(settings: &Settings, now_ms: i64) -> Access {
    Access { aging: aging(settings), now_s: access_clock(now_ms) }
}

/// Uniform in 0 to 1.
fn chance(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1_u64 << 53) as f64
}

impl Keys<'_> {
    /// The access bits of this command.
    #[inline]
    pub(crate) fn access(&self) -> Access {
        Access { aging: self.effects.terms.aging, now_s: access_clock(self.now_ms) }
    }

    /// Records an access of a key with these bits: a time at most once a second.
    #[inline]
    pub(super) fn touch(&mut self, database: usize, key: Key<'_>, bits: u32) {
        let access = self.access();
        let dice = &mut self.effects.dice;
        let new = access.after_access(bits, || chance(dice));
        if new != bits {
            self.locked.touch(database, key, new);
        }
    }

    /// The same before a change of the key: what follows is no further access.
    #[inline]
    pub(super) fn touch_to_write(&mut self, database: usize, key: Key<'_>, bits: u32) {
        self.effects.counted = Some(key.hash);
        self.touch(database, key, bits);
    }

    /// Sets what RESTORE says of a new key's use.
    pub(crate) fn set_usage(&mut self, key: Key<'_>, idle_s: Option<u64>, freq: Option<u8>) {
        let bits = self.access().restored(idle_s, freq);
        self.locked.touch(self.database, key, bits);
    }

    /// Sets a key's value and expiry. A key that is overwritten keeps its counter of accesses, and
    /// this is one of them unless the command has looked at it to change it. True if it is new.
    #[inline]
    pub(super) fn store_stamped(
        &mut self,
        key: Key<'_>,
        content: Content<'_>,
        expire_at_ms: Option<i64>,
    ) -> bool {
        let access = self.access();
        let effects = &mut *self.effects;
        let counted = effects.counted == Some(key.hash);
        let dice = &mut effects.dice;
        let stamp = |old: Option<u32>| match old {
            None => access.of_new(),
            Some(bits) if counted => bits,
            Some(bits) => access.after_access(bits, || chance(dice)),
        };
        self.locked.store_stamped(self.database, key, content, expire_at_ms, stamp)
    }

    /// Removes a key to make room.
    pub(crate) fn evict(&mut self, database: usize, key: Key<'_>) {
        self.locked.remove(database, key);
        self.effects.touched(&mut self.locked, database, key);
        self.effects.evicted(database, key);
    }
}
