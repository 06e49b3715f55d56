//! Payloads for RESTORE: from DUMP, damaged, and hand-made with a valid checksum. Only strings:
//! with another type Redis would hold a value that limpid does not support yet.

use crate::world::World;

pub(crate) const TYPE_STRING: u8 = 0;
pub(crate) const VERSION: u16 = 10;
/// Two bytes of version, eight of checksum.
pub(crate) const FOOTER_LEN: usize = 10;

/// Any payload except those that limpid intentionally handles differently from Redis; `restore`
/// tests those.
pub(crate) fn any(w: &mut World) -> Vec<u8> {
    loop {
        let payload = drawn(w);
        if !is_excepted(&payload) {
            return payload;
        }
    }
}

/// Whether limpid intentionally refuses a payload that Redis accepts.
pub(crate) fn is_excepted(payload: &[u8]) -> bool {
    runs_into_footer(payload) || is_empty_compressed(payload)
}

/// Whether a string is compressed and would be empty. Then Redis does not notice that decompression
/// failed: it compares the number of bytes that came out, 0, with the number wanted.
fn is_empty_compressed(payload: &[u8]) -> bool {
    let compressed = payload.strip_prefix(&[TYPE_STRING, 0xc3]);
    let numbers = compressed.and_then(|rest| {
        let (_, at) = number(rest, 0)?;
        number(rest, at)
    });
    matches!(numbers, Some((0, _)))
}

/// Whether Redis reads bytes of the footer as the string's: the value is shorter than its length
/// field says.
pub(crate) fn runs_into_footer(payload: &[u8]) -> bool {
    let Some(body_len) = payload.len().checked_sub(FOOTER_LEN) else { return false };
    let (Some(&TYPE_STRING), Some(end)) = (payload.first(), string_end(payload)) else {
        return false;
    };
    (body_len + 1..=payload.len()).contains(&end)
}

/// Decodes the length at an offset; also returns the offset after it.
fn number(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let first = *bytes.get(at)?;
    let big_endian = |len: usize| {
        let bytes = bytes.get(at + 1..at + 1 + len)?;
        Some(bytes.iter().fold(0_usize, |number, &byte| number << 8 | usize::from(byte)))
    };
    match first {
        0..0x40 => Some((usize::from(first), at + 1)),
        0x40..0x80 => Some((usize::from(first & 0x3f) << 8 | big_endian(1)?, at + 2)),
        0x80 => Some((big_endian(4)?, at + 5)),
        0x81 => Some((big_endian(8)?, at + 9)),
        _ => None,
    }
}

/// The end of a string that begins after the type; `None`: it has no length.
fn string_end(payload: &[u8]) -> Option<usize> {
    match *payload.get(1)? {
        0xc0 => Some(3),
        0xc1 => Some(4),
        0xc2 => Some(6),
        0xc3 => {
            let (compressed_len, at) = number(payload, 2)?;
            let (_, at) = number(payload, at)?;
            at.checked_add(compressed_len)
        }
        _ => {
            let (len, at) = number(payload, 1)?;
            at.checked_add(len)
        }
    }
}

fn drawn(w: &mut World) -> Vec<u8> {
    let dump = match w.dumps.len() {
        0 => sealed(&[TYPE_STRING, 2, b'h', b'i'], VERSION),
        len => {
            let at = w.random.below(len);
            w.dumps[at].clone()
        }
    };
    match w.random.below(20) {
        0..11 => dump,
        11..14 => damaged(w, dump),
        14 => w.value(),
        15 => {
            let version = *w.random.pick(&[0, 1, 9, 13, 255, 65_535]);
            sealed(&dump[..dump.len() - FOOTER_LEN], version)
        }
        // Redis does not look into a collection's payload, unless told to.
        16 if dump.first() == Some(&TYPE_STRING) => cut(w, &dump),
        16 => dump,
        _ => sealed(&hand_made(w), VERSION),
    }
}

fn damaged(w: &mut World, mut dump: Vec<u8>) -> Vec<u8> {
    let at = w.random.below(dump.len());
    match w.random.below(4) {
        0 => dump.truncate(at),
        1 => dump.push(0),
        2 => drop(dump.remove(at)),
        _ => dump[at] ^= 1 << w.random.below(8),
    }
    dump
}

/// A value too short, or with bytes after it, under a valid checksum.
fn cut(w: &mut World, dump: &[u8]) -> Vec<u8> {
    let body = &dump[..dump.len() - FOOTER_LEN];
    match w.random.below(2) {
        0 => sealed(&body[..w.random.between(1, body.len())], VERSION),
        _ => sealed(&[body, b"more"].concat(), VERSION),
    }
}

fn hand_made(w: &mut World) -> Vec<u8> {
    [&[TYPE_STRING], *w.random.pick(STRINGS)].concat()
}

/// Every encoding of a length or a string, valid and invalid.
pub(crate) const STRINGS: &[&[u8]] = &[
    b"\x00",
    b"\x03abc",
    b"\x05abc",
    b"\x40\x03abc",
    b"\x40",
    b"\x80\0\0\0\x03abc",
    b"\x80\xff\xff\xff\xffabc",
    b"\x81\0\0\0\0\0\0\0\x03abc",
    b"\x81\xff\xff\xff\xff\xff\xff\xff\xffabc",
    b"\x82abc",
    b"\xbfabc",
    b"\xc0\x05",
    b"\xc0\xff",
    b"\xc0",
    b"\xc1\x39\x30",
    b"\xc1\x00\x80",
    b"\xc1\x01",
    b"\xc2\xff\xff\xff\x7f",
    b"\xc2\0\0\0\x80",
    b"\xc2\0\0\0",
    // LZF: a literal run of 3; then a back reference.
    b"\xc3\x04\x03\x02abc",
    b"\xc3\x05\x0a\x00a\xe0\x00\x00",
    b"\xc3\x05\x0a\x00a\x20\x05",
    b"\xc3\x04\x04\x02abc",
    b"\xc3\x04\x02\x02abc",
    b"\xc3\x00\x00",
    b"\xc3\x04\x00\x02abc",
    b"\xc3\x00\x03",
    b"\xc3\x81\xff\xff\xff\xff\xff\xff\xff\xff\x03\x02abc",
    b"\xc4",
    b"\xff",
    b"",
];

/// Appends DUMP's footer: version and checksum.
pub(crate) fn sealed(body: &[u8], version: u16) -> Vec<u8> {
    let mut payload = [body, &version.to_le_bytes()].concat();
    payload.extend_from_slice(&crc64(&payload).to_le_bytes());
    payload
}

/// CRC-64/REDIS, bit by bit: fast enough for few bytes, and shares no code with the tested one.
fn crc64(bytes: &[u8]) -> u64 {
    const POLYNOMIAL_REFLECTED: u64 = 0x95ac_9329_ac4b_c9b5;
    let step = |crc: u64| if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL_REFLECTED } else { crc >> 1 };
    bytes.iter().fold(0, |crc, &byte| (0..8).fold(crc ^ u64::from(byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_that_of_redis() {
        assert_eq!(super::crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }
}
