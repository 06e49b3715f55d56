//! The checksum of RDB files and DUMP payloads: CRC-64 with Redis's own polynomial ("Jones"
//! 0xad93d23594c935a9, reflected, initially 0, no final xor), from Redis's `crc64.c`.

use crc_fast::{CrcAlgorithm, checksum as crc_fast_checksum};

/// Small pieces are buffered up to this size, in bytes.
const PENDING_BYTES: usize = 512;

/// The checksum of `bytes`.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    crc_fast_checksum(CrcAlgorithm::Crc64Redis, bytes)
}

/// A checksum over pieces.
///
/// The format is read and written a few bytes at a time (a type, a length, a short key), while the
/// carry-less multiplication behind the checksum is fast only over longer runs. So small pieces are
/// buffered.
#[derive(Clone, Debug)]
pub(super) struct Digest {
    inner: crc_fast::Digest,
    pending: Vec<u8>,
}

impl Digest {
    pub(super) fn new() -> Self {
        Self {
            inner: crc_fast::Digest::new(CrcAlgorithm::Crc64Redis),
            pending: Vec::with_capacity(PENDING_BYTES),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        if bytes.len() > PENDING_BYTES.saturating_sub(self.pending.len()) {
            self.inner.update(&self.pending);
            self.pending.clear();
            if bytes.len() >= PENDING_BYTES {
                self.inner.update(bytes);
                return;
            }
        }
        self.pending.extend_from_slice(bytes);
    }

    /// The checksum of everything so far; more may follow.
    pub(super) fn value(&mut self) -> u64 {
        self.inner.update(&self.pending);
        self.pending.clear();
        self.inner.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, checksum};

    #[test]
    fn the_check_value_is_the_one_of_redis() {
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(checksum(b""), 0);
    }

    #[test]
    fn pieces_of_any_size_give_the_checksum_of_the_whole() {
        let bytes: Vec<u8> =
            (0..20_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        for size in [1, 2, 3, 7, 64, 510, 511, 512, 513, 1024, 6000] {
            let mut digest = Digest::new();
            for piece in bytes.chunks(size) {
                digest.update(piece);
            }
            assert_eq!(digest.value(), checksum(&bytes), "pieces of {size}");
        }
    }

    #[test]
    fn a_value_taken_midway_does_not_disturb_what_follows() {
        let mut digest = Digest::new();
        digest.update(b"12345");
        assert_eq!(digest.value(), checksum(b"12345"));
        digest.update(b"6789");
        assert_eq!(digest.value(), 0xe9c6_d914_c4b8_d9ca);
    }
}
