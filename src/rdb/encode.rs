//! Lengths, strings and numbers → bytes, with the checksum of the bytes written. Chooses encodings
//! as Redis's `rdbSaveRawString` does, so that the bytes equal Redis's. Does not know opcodes, keys
//! or types.

use std::io::{self, Write};

use super::crc64::Digest;
use super::format::{length_mark, string_encoding};
use crate::lzf::Compressor;
use crate::types::{Chunks, StringView};

/// The longest string that is tried as an integer, in bytes: as long as -2147483648.
const INT_BYTES_MAX: usize = 11;
/// The longest string that is never compressed, in bytes: even twenty equal bytes do not shrink.
const UNCOMPRESSED_BYTES_MAX: usize = 20;
/// The longest string in chunks, in bytes, that is joined for compression; longer ones are written
/// uncompressed. A save should not need a second copy of a value of hundreds of megabytes, and
/// readers accept both.
const CHUNKS_COMPRESSED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Compression must save this many bytes to be worth it.
const SAVED_BYTES_MIN: usize = 4;

/// Writes the primitives of the format to `sink`.
#[derive(Debug)]
pub(super) struct Encoder<W> {
    sink: W,
    written: u64,
    digest: Option<Digest>,
    compressor: Option<Compressor>,
}

impl<W> Encoder<W> {
    /// Without a `digest` no checksum is kept; without a `compressor` nothing is compressed.
    pub(super) fn new(sink: W, digest: Option<Digest>, compressor: Option<Compressor>) -> Self {
        Self { sink, written: 0, digest, compressor }
    }

    /// Bytes written so far.
    #[cfg(test)]
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The checksum of the bytes so far, if one is kept.
    pub(super) fn checksum(&mut self) -> Option<u64> {
        self.digest.as_mut().map(Digest::value)
    }

    pub(super) fn into_parts(self) -> (W, Option<Compressor>) {
        (self.sink, self.compressor)
    }
}

impl<W: Write> Encoder<W> {
    pub(super) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.write_all(bytes)?;
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        self.written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    /// A length or another unsigned number, in as few bytes as hold it.
    pub(super) fn length(&mut self, length: u64) -> io::Result<()> {
        if let Ok(length @ ..0x40) = u8::try_from(length) {
            self.raw(&[length])
        } else if let Ok(length @ ..0x4000) = u16::try_from(length) {
            let [high, low] = length.to_be_bytes();
            self.raw(&[length_mark::BITS_14 | high, low])
        } else if let Ok(length) = u32::try_from(length) {
            let [a, b, c, d] = length.to_be_bytes();
            self.raw(&[length_mark::BITS_32, a, b, c, d])
        } else {
            self.raw(&[length_mark::BITS_64])?;
            self.raw(&length.to_be_bytes())
        }
    }

    /// A string, however it is kept: the output depends on the string alone, except for chunks that
    /// are too long to be compressed.
    pub(super) fn string(&mut self, string: StringView<'_>) -> io::Result<()> {
        match string {
            StringView::Bytes(bytes) => self.bytes(bytes),
            StringView::Int(number) => match i32::try_from(number) {
                Ok(small) => self.int(small),
                Err(_) => self.verbatim(number.to_string().as_bytes()),
            },
            StringView::Chunks(chunks) => self.chunks(chunks),
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(number) = canonical_int(bytes) {
            return self.int(number);
        }
        if bytes.len() > UNCOMPRESSED_BYTES_MAX && self.compressor.is_some() {
            return self.compressed(bytes);
        }
        self.verbatim(bytes)
    }

    fn chunks(&mut self, chunks: &Chunks) -> io::Result<()> {
        let encodable = match self.compressor {
            Some(_) => chunks.len() <= CHUNKS_COMPRESSED_BYTES_MAX,
            None => chunks.len() <= INT_BYTES_MAX,
        };
        if encodable {
            return self.bytes(&chunks.to_vec());
        }
        self.length(u64::try_from(chunks.len()).unwrap_or(u64::MAX))?;
        chunks.chunks().iter().try_for_each(|chunk| self.raw(chunk))
    }

    fn int(&mut self, number: i32) -> io::Result<()> {
        let [a, b, c, d] = number.to_le_bytes();
        if i8::try_from(number).is_ok() {
            self.raw(&[length_mark::ENCODED | string_encoding::INT8, a])
        } else if i16::try_from(number).is_ok() {
            self.raw(&[length_mark::ENCODED | string_encoding::INT16, a, b])
        } else {
            self.raw(&[length_mark::ENCODED | string_encoding::INT32, a, b, c, d])
        }
    }

    fn compressed(&mut self, bytes: &[u8]) -> io::Result<()> {
        // The output borrows from the compressor, a field of `self`, so it is taken out meanwhile.
        let Some(mut compressor) = self.compressor.take() else {
            return self.verbatim(bytes);
        };
        let outcome = match compressor.compress(bytes, bytes.len().saturating_sub(SAVED_BYTES_MIN))
        {
            Some(compressed) => self.lzf(compressed, bytes.len()),
            None => self.verbatim(bytes),
        };
        compressor.trim();
        self.compressor = Some(compressor);
        outcome
    }

    /// A string that is compressed already.
    pub(super) fn lzf(&mut self, compressed: &[u8], expanded_bytes: usize) -> io::Result<()> {
        self.raw(&[length_mark::ENCODED | string_encoding::LZF])?;
        self.length(u64::try_from(compressed.len()).unwrap_or(u64::MAX))?;
        self.length(u64::try_from(expanded_bytes).unwrap_or(u64::MAX))?;
        self.raw(compressed)
    }

    fn verbatim(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length(u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
        self.raw(bytes)
    }
}

/// The number of which these bytes are the exact decimal form: not for "007", "-0" or "+1".
fn canonical_int(bytes: &[u8]) -> Option<i32> {
    if bytes.len() > INT_BYTES_MAX {
        return None;
    }
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] => return (!negative).then_some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    let mut magnitude = 0i64;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        magnitude = magnitude.checked_mul(10)?.checked_add(i64::from(digit))?;
    }
    i32::try_from(if negative { magnitude.checked_neg()? } else { magnitude }).ok()
}

#[cfg(test)]
mod tests {
    use super::{Compressor, Encoder, StringView, canonical_int};

    fn encoded(string: StringView<'_>, compressor: Option<Compressor>) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), None, compressor);
        encoder.string(string).unwrap();
        encoder.into_parts().0
    }

    #[test]
    fn only_the_canonical_form_of_a_number_is_an_integer() {
        for number in [0, 1, -1, 127, -128, 128, 32_767, -32_769, i32::MAX, i32::MIN] {
            assert_eq!(canonical_int(number.to_string().as_bytes()), Some(number));
        }
        for text in [
            "",
            "-",
            "-0",
            "00",
            "007",
            "+1",
            " 1",
            "1 ",
            "1a",
            "2147483648",
            "-2147483649",
            "99999999999",
            "1.0",
            "0x1",
        ] {
            assert_eq!(canonical_int(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_number_and_its_text_are_written_alike() {
        for number in [0, 5, -7, 127, 128, -129, 40_000, 1 << 31, -(1 << 31), i64::MIN, i64::MAX] {
            let text = number.to_string();
            assert_eq!(
                encoded(StringView::Int(number), None),
                encoded(StringView::Bytes(text.as_bytes()), None)
            );
        }
    }

    #[test]
    fn chunks_and_their_whole_are_written_alike() {
        let text: Vec<u8> = b"abcdefgh".repeat(40_000);
        for whole in [&b""[..], b"12", b"-77", b"hello", &text] {
            for compressing in [true, false] {
                let chunks = crate::types::Chunks::from_slice(whole);
                let compressor = || compressing.then(Compressor::new);
                assert_eq!(
                    encoded(StringView::Chunks(&chunks), compressor()),
                    encoded(StringView::Bytes(whole), compressor())
                );
            }
        }
    }

    #[test]
    fn lengths_take_as_few_bytes_as_hold_them() {
        let cases: [(u64, &[u8]); 7] = [
            (0, &[0]),
            (63, &[63]),
            (64, &[0x40, 64]),
            (16_383, &[0x7f, 0xff]),
            (16_384, &[0x80, 0, 0, 0x40, 0]),
            (u64::from(u32::MAX), &[0x80, 255, 255, 255, 255]),
            (1 << 32, &[0x81, 0, 0, 0, 1, 0, 0, 0, 0]),
        ];
        for (length, bytes) in cases {
            let mut encoder = Encoder::new(Vec::new(), None, None);
            encoder.length(length).unwrap();
            assert_eq!(encoder.into_parts().0, bytes);
        }
    }
}
