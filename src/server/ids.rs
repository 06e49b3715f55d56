//! Unpredictable ids, from one secret that the operating system provides at startup: later on no id
//! can fail, whatever locks are held.

use std::sync::atomic::{AtomicU64, Ordering};

use sha1::{Digest, Sha1};

/// Generates ids. Each is a hash of the secret and a count, as in Redis.
pub(super) struct Ids {
    secret: [u8; 32],
    count: AtomicU64,
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ids").finish_non_exhaustive()
    }
}

impl Ids {
    /// # Errors
    /// The operating system gives no random numbers.
    pub(super) fn new() -> Result<Self, String> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|error| format!("Cannot get random numbers: {error}"))?;
        Ok(Self { secret, count: AtomicU64::new(0) })
    }

    fn hash(&self) -> [u8; 20] {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        Sha1::new().chain_update(self.secret).chain_update(count.to_ne_bytes()).finalize().into()
    }

    /// 40 hexadecimal digits, the form of run and replication ids.
    pub(super) fn next(&self) -> String {
        self.hash().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A number that others cannot guess.
    pub(super) fn number(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.hash();
        u64::from_ne_bytes([a, b, c, d, e, f, g, h])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_40_digits_and_no_two_are_the_same() {
        let (ids, others) = (Ids::new().expect("a system"), Ids::new().expect("a system"));
        let some: std::collections::BTreeSet<String> =
            (0..100).flat_map(|_| [ids.next(), others.next()]).collect();
        assert_eq!(some.len(), 200);
        assert!(some.iter().all(|id| id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit())));
        assert_ne!(ids.number(), ids.number());
    }
}
