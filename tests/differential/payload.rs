//! Payloads for RESTORE: those that DUMP gave, damaged ones, and hand-made ones whose checksum is
//! right. Only strings: another type would have Redis hold what limpid does not know yet.

use crate::world::World;

const TYPE_STRING: u8 = 0;
const VERSION: u16 = 10;
/// Two bytes of version, eight of checksum.
const FOOTER_LEN: usize = 10;

pub(crate) fn any(w: &mut World) -> Vec<u8> {
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
            let version = *w.random.pick(&[0, 1, 9, 11, 12, 255, 65_535]);
            sealed(&dump[..dump.len() - FOOTER_LEN], version)
        }
        16 => cut(w, &dump),
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

/// Too short a value, or bytes after it, under a sound checksum.
fn cut(w: &mut World, dump: &[u8]) -> Vec<u8> {
    let body = &dump[..dump.len() - FOOTER_LEN];
    match w.random.below(2) {
        0 => sealed(&body[..w.random.between(1, body.len())], VERSION),
        _ => sealed(&[body, b"more"].concat(), VERSION),
    }
}

/// Every way to write a length or a string, sound and unsound.
fn hand_made(w: &mut World) -> Vec<u8> {
    let bodies: &[&[u8]] = &[
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
    [&[TYPE_STRING], *w.random.pick(bodies)].concat()
}

/// With the footer that DUMP puts behind: version and checksum.
fn sealed(body: &[u8], version: u16) -> Vec<u8> {
    let mut payload = [body, &version.to_le_bytes()].concat();
    payload.extend_from_slice(&crc64(&payload).to_le_bytes());
    payload
}

/// CRC-64/REDIS, bit by bit: few bytes pass here, and it shares nothing with the code it tests.
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
