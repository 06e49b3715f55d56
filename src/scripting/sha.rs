//! The names of scripts.

use sha1::{Digest, Sha1};

/// The SHA-1 of a script's text: 40 lower-case hexadecimal digits.
pub(crate) type Sha = [u8; 40];

/// Names a script by its text.
pub(crate) fn sha1_hex(text: &[u8]) -> Sha {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; 40];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(Sha1::digest(text)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hex
}

/// Reads the name of a script in either case. `None` if it is not 40 bytes long.
pub(crate) fn parse_sha(text: &[u8]) -> Option<Sha> {
    let mut sha: Sha = text.try_into().ok()?;
    sha.make_ascii_lowercase();
    Some(sha)
}
