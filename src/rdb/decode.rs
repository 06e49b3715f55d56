//! Bytes → lengths, strings and numbers, with the position and the checksum of the bytes read. Does
//! not know opcodes, keys or types.

use std::io::{self, Read};
use std::mem;

use super::crc64::Digest;
use super::error::{Error, ErrorKind};
use super::format::{length_mark, string_encoding};
use crate::lzf::{self, ExpandError};

/// Bytes allocated for a claimed length before any arrive. Beyond it, an allocation at most doubles
/// the bytes that have arrived.
const TRUSTED_BYTES: usize = 64 * 1024;

/// Whether to compute a checksum of the bytes read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Checksum {
    Computed,
    Ignored,
}

/// Reads the primitives of the format from `source`, never a byte further than it must.
#[derive(Debug)]
pub(super) struct Decoder<R> {
    source: R,
    position: u64,
    digest: Option<Digest>,
}

/// What a length means where a string may stand.
enum Length {
    Plain(u64),
    Encoded(u8),
}

impl<R> Decoder<R> {
    pub(super) fn new(source: R, checksum: Checksum) -> Self {
        let digest = (checksum == Checksum::Computed).then(Digest::new);
        Self { source, position: 0, digest }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The checksum of the bytes so far, unless it is ignored.
    pub(super) fn checksum(&mut self) -> Option<u64> {
        self.digest.as_mut().map(Digest::value)
    }

    pub(super) fn into_source(self) -> R {
        self.source
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error::new(self.position, kind)
    }
}

impl<R: Read> Decoder<R> {
    /// Fills `buf`.
    fn fill(&mut self, mut buf: &mut [u8]) -> Result<(), Error> {
        while !buf.is_empty() {
            let read = match self.source.read(buf) {
                Ok(0) => return Err(self.error(ErrorKind::UnexpectedEnd)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.error(ErrorKind::Io(error))),
            };
            let Some((filled, rest)) = mem::take(&mut buf).split_at_mut_checked(read) else {
                let error =
                    io::Error::other("the source claims to have read more than it was asked");
                return Err(self.error(ErrorKind::Io(error)));
            };
            if let Some(digest) = &mut self.digest {
                digest.update(filled);
            }
            self.position = self.position.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            buf = rest;
        }
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A length or another unsigned number, in one to nine bytes.
    pub(super) fn length(&mut self) -> Result<u64, Error> {
        let offset = self.position;
        match self.length_or_encoding()? {
            Length::Plain(length) => Ok(length),
            Length::Encoded(encoding) => {
                Err(Error::new(offset, ErrorKind::BadLength(length_mark::ENCODED | encoding)))
            }
        }
    }

    fn length_or_encoding(&mut self) -> Result<Length, Error> {
        let offset = self.position;
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match first & 0xc0 {
            0 => Length::Plain(u64::from(low)),
            length_mark::BITS_14 => {
                Length::Plain(u64::from(u16::from_be_bytes([low, self.byte()?])))
            }
            length_mark::ENCODED => Length::Encoded(low),
            _ => match first {
                length_mark::BITS_32 => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
                length_mark::BITS_64 => Length::Plain(u64::from_be_bytes(self.array()?)),
                _ => return Err(Error::new(offset, ErrorKind::BadLength(first))),
            },
        })
    }

    /// A string, whichever way it is encoded.
    pub(super) fn string(&mut self) -> Result<Vec<u8>, Error> {
        let offset = self.position;
        let number = match self.length_or_encoding()? {
            Length::Plain(len) => return self.bytes(len),
            Length::Encoded(string_encoding::LZF) => return self.compressed_string(offset),
            Length::Encoded(string_encoding::INT8) => i32::from(i8::from_le_bytes(self.array()?)),
            Length::Encoded(string_encoding::INT16) => i32::from(i16::from_le_bytes(self.array()?)),
            Length::Encoded(string_encoding::INT32) => i32::from_le_bytes(self.array()?),
            Length::Encoded(other) => {
                return Err(Error::new(offset, ErrorKind::BadStringEncoding(other)));
            }
        };
        Ok(number.to_string().into_bytes())
    }

    fn compressed_string(&mut self, offset: u64) -> Result<Vec<u8>, Error> {
        let compressed_bytes = self.length()?;
        let claimed_bytes = self.length()?;
        let damaged = ErrorKind::BadLzf { claimed_bytes, compressed_bytes };
        if !lzf::is_plausible(compressed_bytes, claimed_bytes) {
            return Err(Error::new(offset, damaged));
        }
        let compressed = self.bytes(compressed_bytes)?;
        let Ok(len) = usize::try_from(claimed_bytes) else {
            return Err(Error::new(offset, ErrorKind::OutOfMemory(claimed_bytes)));
        };
        lzf::expand(&compressed, len).map_err(|error| {
            let kind = match error {
                ExpandError::Damaged => damaged,
                ExpandError::OutOfMemory => ErrorKind::OutOfMemory(claimed_bytes),
            };
            Error::new(offset, kind)
        })
    }

    /// The next `len` bytes.
    pub(super) fn bytes(&mut self, len: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.read_onto(&mut bytes, len)?;
        Ok(bytes)
    }

    /// Appends the next `len` bytes. The vector grows as they arrive, so that a false length costs
    /// no more than twice the bytes present; a true one ends at its exact size.
    fn read_onto(&mut self, bytes: &mut Vec<u8>, len: u64) -> Result<(), Error> {
        let offset = self.position;
        let Ok(len) = usize::try_from(len) else {
            return Err(Error::new(offset, ErrorKind::OutOfMemory(len)));
        };
        let mut left = len;
        while left > 0 {
            let start = bytes.len();
            let step = left.min(start.max(TRUSTED_BYTES));
            if bytes.try_reserve_exact(step).is_err() {
                let len = u64::try_from(len).unwrap_or(u64::MAX);
                return Err(Error::new(offset, ErrorKind::OutOfMemory(len)));
            }
            bytes.resize(start.saturating_add(step), 0);
            let (_, room) = bytes.split_at_mut(start);
            self.fill(room)?;
            left = left.saturating_sub(step);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Checksum, Decoder, ErrorKind, TRUSTED_BYTES};

    fn decoder(bytes: &[u8]) -> Decoder<&[u8]> {
        Decoder::new(bytes, Checksum::Ignored)
    }

    #[test]
    fn lengths_of_every_width_are_read() {
        let cases: [(&[u8], u64); 8] = [
            (&[0x00], 0),
            (&[0x3f], 63),
            (&[0x40, 64], 64),
            (&[0x7f, 0xff], 16_383),
            (&[0x80, 0, 0, 0x40, 0], 16_384),
            (&[0x80, 0xff, 0xff, 0xff, 0xff], u64::from(u32::MAX)),
            (&[0x81, 0, 0, 0, 1, 0, 0, 0, 0], 1 << 32),
            (&[0x81, 255, 255, 255, 255, 255, 255, 255, 255], u64::MAX),
        ];
        for (bytes, length) in cases {
            let mut decoder = decoder(bytes);
            assert_eq!(decoder.length().unwrap(), length);
            assert_eq!(decoder.position(), bytes.len() as u64);
        }
    }

    #[test]
    fn a_byte_that_begins_no_length_is_refused_where_it_stands() {
        for first in [0x82, 0xbf, 0xc0, 0xc3, 0xff] {
            let error = decoder(&[first, 0, 0, 0, 0, 0, 0, 0, 0]).length().unwrap_err();
            assert_eq!(error.offset, 0);
            assert!(matches!(error.kind, ErrorKind::BadLength(byte) if byte == first), "{error}");
        }
    }

    #[test]
    fn integer_encodings_are_read_as_their_decimal_form() {
        let cases: [(&[u8], &str); 7] = [
            (&[0xc0, 0x7f], "127"),
            (&[0xc0, 0x80], "-128"),
            (&[0xc1, 0x00, 0x80], "-32768"),
            (&[0xc1, 0xff, 0x7f], "32767"),
            (&[0xc2, 0, 0, 0, 0x80], "-2147483648"),
            (&[0xc2, 0xff, 0xff, 0xff, 0x7f], "2147483647"),
            (&[0xc0, 0], "0"),
        ];
        for (bytes, text) in cases {
            assert_eq!(decoder(bytes).string().unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn a_length_that_lies_allocates_no_more_than_twice_what_is_there() {
        for len in [1 << 20, 1 << 32, 1 << 46, u64::MAX] {
            for present in [0, 100, TRUSTED_BYTES, 10 * TRUSTED_BYTES] {
                let source = vec![7; present];
                let mut bytes = Vec::new();
                let outcome = decoder(&source).read_onto(&mut bytes, len.max(present as u64 + 1));
                assert!(matches!(outcome.unwrap_err().kind, ErrorKind::UnexpectedEnd));
                assert!(bytes.capacity() <= (2 * present).max(TRUSTED_BYTES) + TRUSTED_BYTES);
            }
        }
    }

    #[test]
    fn a_long_string_ends_at_its_exact_capacity() {
        let source = vec![7; 1_000_001];
        let bytes = decoder(&source).bytes(1_000_001).unwrap();
        assert_eq!(bytes, source);
        assert_eq!(bytes.capacity(), bytes.len());
    }

    #[test]
    fn a_compressed_string_cannot_claim_more_than_it_could_expand_to() {
        // Three bytes that claim 265; LZF gets at most 264 from three.
        let claim = [0xc3, 3, 0x41, 9, 0xe0, 0xff, 0];
        let error = decoder(&claim).string().unwrap_err();
        assert!(matches!(
            error.kind,
            ErrorKind::BadLzf { claimed_bytes: 265, compressed_bytes: 3 }
        ));
        // The claim is refused before any of the claimed compressed bytes is read.
        let huge = [0xc3, 0x80, 0, 1, 0, 0, 0x81, 0x40, 0, 0, 0, 0, 0, 0, 0];
        assert!(matches!(decoder(&huge).string().unwrap_err().kind, ErrorKind::BadLzf { .. }));
    }
}
