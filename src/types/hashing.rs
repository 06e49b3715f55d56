//! The hash of members and fields: keyed, so that clients cannot choose collisions.

use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

use ahash::RandomState;

static STATE: OnceLock<RandomState> = OnceLock::new();

/// Keys the hash for the rest of the process; the first call decides. The seeds must be unknown to
/// clients.
pub(crate) fn seed(seeds: [u64; 4]) {
    let [a, b, c, d] = seeds;
    STATE.get_or_init(|| RandomState::with_seeds(a, b, c, d));
}

#[inline]
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    // Without a server (tests, tools) any key will do.
    let state = STATE.get_or_init(|| RandomState::with_seeds(1, 2, 3, 4));
    let mut hasher = state.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}
