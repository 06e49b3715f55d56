//! One entry of a listpack: its bytes, and what they mean.

use super::{Item, parse_i64};

/// An entry to be stored, not yet in bytes: whoever reads bytes that were just written piece by
/// piece waits for them, so they are written where they will stand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry<'v> {
    Int(i64),
    Bytes(&'v [u8]),
}

impl<'v> Entry<'v> {
    #[inline]
    pub(super) fn of_string(value: &'v [u8]) -> Self {
        parse_i64(value).map_or(Self::Bytes(value), Self::Int)
    }

    /// Bytes that it takes, the length at its end included.
    #[inline]
    pub(super) fn len(self) -> usize {
        let body_len = self.body_len();
        body_len + BackLen::width(body_len)
    }

    #[inline]
    fn body_len(self) -> usize {
        match self {
            Self::Int(value) => int_body_len(value),
            Self::Bytes(value) => string_head(value.len()).1 + value.len(),
        }
    }

    /// Writes it to so many bytes as it takes.
    #[inline]
    pub(super) fn write(self, to: &mut [u8]) {
        match self {
            Self::Bytes(value) if value.len() < 64 => {
                let len = value.len();
                to[0] = 0x80 | len as u8;
                to[1..=len].copy_from_slice(value);
                to[len + 1] = len as u8 + 1;
            }
            Self::Bytes(value) => write_long(value, to),
            Self::Int(value) => write_int(value, to),
        }
    }
}

fn write_int(value: i64, to: &mut [u8]) {
    let raw = value.to_le_bytes();
    let body_len = int_body_len(value);
    match body_len {
        1 => to[0] = raw[0],
        2 => {
            to[0] = 0xc0 | (raw[1] & 0x1f);
            to[1] = raw[0];
        }
        _ => {
            to[0] = match body_len {
                3 => 0xf1,
                4 => 0xf2,
                5 => 0xf3,
                _ => 0xf4,
            };
            to[1..body_len].copy_from_slice(&raw[..body_len - 1]);
        }
    }
    to[body_len] = body_len as u8;
}

/// Writes the entry of a string of 64 bytes or more.
fn write_long(value: &[u8], to: &mut [u8]) {
    let (head, head_len) = string_head(value.len());
    let body_len = head_len + value.len();
    to[..head_len].copy_from_slice(&head[..head_len]);
    to[head_len..body_len].copy_from_slice(value);
    to[body_len..].copy_from_slice(BackLen::of(body_len).as_bytes());
}

/// Bytes that a string takes as an entry, the length at its end included.
#[inline]
pub(crate) fn encoded_len(value: &[u8]) -> usize {
    Entry::of_string(value).len()
}

/// The head of a string of `len` bytes, and its length.
#[inline]
fn string_head(len: usize) -> ([u8; 5], usize) {
    let [a, b, c, d, ..] = len.to_le_bytes();
    match len {
        ..64 => ([0x80 | a, 0, 0, 0, 0], 1),
        64..4096 => ([0xe0 | b, a, 0, 0, 0], 2),
        _ => ([0xf0, a, b, c, d], 5),
    }
}

/// Bytes of head and payload of an integer.
#[inline]
fn int_body_len(value: i64) -> usize {
    match value {
        0..=127 => 1,
        -4096..=4095 => 2,
        -0x8000..=0x7fff => 3,
        -0x80_0000..=0x7f_ffff => 4,
        -0x8000_0000..=0x7fff_ffff => 5,
        _ => 9,
    }
}

/// The length at the end of an entry.
pub(super) struct BackLen {
    bytes: [u8; 5],
    len: usize,
}

impl BackLen {
    #[inline]
    pub(super) fn of(body_len: usize) -> Self {
        let len = Self::width(body_len);
        let mut bytes = [0; 5];
        let mut rest = body_len;
        for index in (0..len).rev() {
            bytes[index] = (rest & 0x7f) as u8 | if index > 0 { 0x80 } else { 0 };
            rest >>= 7;
        }
        Self { bytes, len }
    }

    /// Bytes that it takes. Redis leaves the greatest value of each width but the first unused.
    #[inline]
    pub(super) fn width(body_len: usize) -> usize {
        match body_len {
            0..=127 => 1,
            128..16_383 => 2,
            16_383..2_097_151 => 3,
            2_097_151..268_435_455 => 4,
            _ => 5,
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Length of the entry whose first byte this is, or 0 if more bytes are needed to know it.
static LEN_BY_FIRST_BYTE: [u8; 256] = lens_by_first_byte();

const fn lens_by_first_byte() -> [u8; 256] {
    let mut lens = [0; 256];
    let mut first = 0;
    while first < 256 {
        lens[first] = match first {
            0..0x80 => 2,
            0x80..0xc0 => (first & 0x3f) as u8 + 2,
            0xc0..0xe0 => 3,
            0xf1 => 4,
            0xf2 => 5,
            0xf3 => 6,
            0xf4 => 10,
            _ => 0,
        };
        first += 1;
    }
    lens
}

/// Length of the entry at `at`, which is not the end.
#[inline]
pub(super) fn entry_len(bytes: &[u8], at: usize) -> usize {
    match LEN_BY_FIRST_BYTE[usize::from(bytes[at])] {
        0 => long_entry_len(bytes, at),
        len => usize::from(len),
    }
}

#[inline(never)]
fn long_entry_len(bytes: &[u8], at: usize) -> usize {
    let body_len = body_len(&bytes[at..]).expect("a listpack's entries begin with a known head");
    body_len + BackLen::width(body_len)
}

/// Length of head and payload of the entry that these bytes begin with, as the head states it.
pub(super) fn body_len(bytes: &[u8]) -> Option<usize> {
    let len = match *bytes {
        [0xe0..=0xef, ..] => {
            let [high, low, ..] = *bytes else { return None };
            2 + usize::from(u16::from_be_bytes([high & 0x0f, low]))
        }
        [0xf0, ref rest @ ..] => {
            let len = u32::from_le_bytes(*rest.first_chunk()?);
            usize::try_from(len).ok()?.checked_add(5)?
        }
        [first, ..] => usize::from(LEN_BY_FIRST_BYTE[usize::from(first)]).checked_sub(1)?,
        [] => return None,
    };
    Some(len)
}

/// The element at `at`.
#[inline]
pub(super) fn item(bytes: &[u8], at: usize) -> Item<'_> {
    let first = bytes[at];
    match first {
        0..0x80 => Item::Int(i64::from(first)),
        0x80..0xc0 => Item::Bytes(&bytes[at + 1..at + 1 + usize::from(first & 0x3f)]),
        0xc0..0xe0 => Item::Int(thirteen_bits(first, bytes[at + 1])),
        _ => long_item(&bytes[at..]),
    }
}

/// The element at `at`, and the length of its entry.
#[inline]
pub(super) fn item_with_len(bytes: &[u8], at: usize) -> (Item<'_>, usize) {
    let first = bytes[at];
    if let 0x80..0xc0 = first {
        let len = usize::from(first & 0x3f);
        return (Item::Bytes(&bytes[at + 1..at + 1 + len]), len + 2);
    }
    (item(bytes, at), entry_len(bytes, at))
}

#[inline]
fn thirteen_bits(first: u8, second: u8) -> i64 {
    let value = i64::from(u16::from_be_bytes([first & 0x1f, second]));
    if value < 1 << 12 { value } else { value - (1 << 13) }
}

fn long_item(entry: &[u8]) -> Item<'_> {
    let body_len = body_len(entry).expect("a listpack's entries begin with a known head");
    let head_len = match entry[0] {
        0xf0 => 5,
        0xe0..0xf0 => 2,
        _ => 1,
    };
    let payload = &entry[head_len..body_len];
    if head_len > 1 {
        return Item::Bytes(payload);
    }
    // The highest byte carries the sign.
    let sign = if payload[payload.len() - 1] & 0x80 == 0 { 0 } else { 0xff };
    let mut raw = [sign; 8];
    raw[..payload.len()].copy_from_slice(payload);
    Item::Int(i64::from_le_bytes(raw))
}
