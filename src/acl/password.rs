//! Passwords as their SHA-256 in hexadecimal, and generated ones.

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::rules::RuleError;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The most bits of a generated password.
const GENERATED_BITS_MAX: i64 = 4096;

/// A password's SHA-256 in lower case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct PasswordHash([u8; 64]);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Hashes of weak passwords can be reversed: keep them out of logs.
        f.write_str("PasswordHash")
    }
}

impl PasswordHash {
    pub(super) fn of(password: &[u8]) -> Self {
        let mut hex = [0; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(Sha256::digest(password)) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(hex)
    }

    /// Reads a hash as rules give it.
    pub(super) fn read(text: &[u8]) -> Result<Self, RuleError> {
        let hex = <[u8; 64]>::try_from(text).map_err(|_| RuleError::BadHash)?;
        let valid = hex.iter().all(|byte| DIGITS.contains(byte));
        if valid { Ok(Self(hex)) } else { Err(RuleError::BadHash) }
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits")
    }

    /// Whether it is among these. The time taken tells nothing of where they differ.
    pub(super) fn is_among(&self, known: &[Self]) -> bool {
        let found = known.iter().map(|known| self.0.ct_eq(&known.0));
        found.fold(Choice::from(0), |any, equal| any | equal).into()
    }
}

/// A password of this many bits for ACL GENPASS, in hexadecimal; the last digit may have bits to
/// spare. `fill` puts random bytes into a buffer.
///
/// # Errors
/// The number is not from 1 to 4096: code and text.
pub(crate) fn generated_password(
    bits: i64,
    fill: impl FnOnce(&mut [u8]),
) -> Result<String, &'static str> {
    if !(1..=GENERATED_BITS_MAX).contains(&bits) {
        return Err(
            "ERR ACL GENPASS argument must be the number of bits for the output password, \
                    a positive number up to 4096",
        );
    }
    let digits = usize::try_from((bits + 3) / 4).expect("in range");
    let mut random = vec![0; digits];
    fill(&mut random);
    Ok(random.iter().map(|byte| char::from(DIGITS[usize::from(byte & 15)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_as_its_sha_256() {
        let hash = PasswordHash::of(b"passwd2");
        assert_eq!(
            hash.as_str(),
            "5a7d362627a891441ee34012b087915f03a6958c1062fe4cf01de24abecee053"
        );
        assert!(hash.is_among(&[PasswordHash::of(b"a"), hash]));
        assert!(!hash.is_among(&[]));
        assert!(!hash.is_among(&[PasswordHash::of(b"a")]));
    }

    #[test]
    fn a_hash_is_64_lower_case_digits() {
        let hash = PasswordHash::of(b"a");
        assert_eq!(PasswordHash::read(hash.as_str().as_bytes()), Ok(hash));
        for bad in ["", &hash.as_str()[1..], &hash.as_str().to_uppercase()] {
            assert_eq!(PasswordHash::read(bad.as_bytes()), Err(RuleError::BadHash));
        }
    }

    #[test]
    fn a_generated_password_has_a_digit_per_four_bits() {
        let generated = |bits| generated_password(bits, |bytes| bytes.fill(0xfe));
        assert_eq!(generated(1).unwrap(), "e");
        assert_eq!(generated(5).unwrap(), "ee");
        assert_eq!(generated(256).unwrap().len(), 64);
        assert_eq!(generated(4096).unwrap().len(), 1024);
        assert!(generated(0).is_err() && generated(-1).is_err() && generated(4097).is_err());
    }
}
