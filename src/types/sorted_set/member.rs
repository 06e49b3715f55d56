//! A member as a leaf stores it: a byte that tells its length, that it is an integer of some width,
//! or that it stands outside; then its bytes.

use crate::types::listpack::Item;

use super::key::Key;

/// Longest member that stands in the leaf, in bytes.
pub(super) const INLINE_MAX: usize = 248;
pub(super) const LARGE: u8 = 255;
/// A member that is an integer has the code `INT_CODE + n`: `INT_WIDTHS[n]` bytes.
const INT_CODE: u8 = 249;
const INT_WIDTHS: [usize; 6] = [1, 2, 3, 4, 6, 8];

fn int_code(value: i64) -> usize {
    let bits = 65 - (value ^ (value >> 63)).leading_zeros() as usize;
    INT_WIDTHS.iter().position(|width| bits <= 8 * width).expect("an i64 has eight bytes")
}

/// Bytes of a member with this code.
#[inline]
pub(super) fn stored_bytes(code: u8) -> usize {
    match code {
        LARGE => 1,
        INT_CODE.. => 1 + INT_WIDTHS[usize::from(code - INT_CODE)],
        len => 1 + usize::from(len),
    }
}

/// Bytes of a key as a member of a leaf.
pub(super) fn key_bytes(key: &Key<'_>) -> usize {
    match key.integer {
        Some(value) => 1 + INT_WIDTHS[int_code(value)],
        None if key.bytes.len() > INLINE_MAX => 1,
        None => 1 + key.bytes.len(),
    }
}

#[inline]
fn read_int(bytes: &[u8]) -> i64 {
    let wide = |low: i32, high: &[u8]| {
        let mut raw = [0; 8];
        raw[..4].copy_from_slice(&low.to_le_bytes());
        raw[4..4 + high.len()].copy_from_slice(high);
        i64::from_le_bytes(raw)
    };
    match *bytes {
        [a] => i64::from(a.cast_signed()),
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c] => i64::from(i32::from_le_bytes([0, a, b, c]) >> 8),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f] => wide(i32::from_le_bytes([a, b, c, d]), &[e, f]) << 16 >> 16,
        [a, b, c, d, e, f, g, h] => wide(i32::from_le_bytes([a, b, c, d]), &[e, f, g, h]),
        _ => unreachable!("only these widths are written"),
    }
}

pub(super) fn write(to: &mut [u8], key: &Key<'_>) {
    match key.integer {
        Some(value) => {
            let code = int_code(value);
            to[0] = INT_CODE + code as u8;
            to[1..].copy_from_slice(&value.to_le_bytes()[..INT_WIDTHS[code]]);
        }
        None if key.is_large() => to[0] = LARGE,
        None => {
            to[0] = key.bytes.len() as u8;
            to[1..].copy_from_slice(key.bytes);
        }
    }
}

/// Reads the member that begins with the first byte, unless that tells that it stands outside.
#[inline]
pub(super) fn read(cells: &[u8]) -> Option<Item<'_>> {
    let code = cells[0];
    match code {
        LARGE => None,
        INT_CODE.. => Some(Item::Int(read_int(&cells[1..stored_bytes(code)]))),
        len => Some(Item::Bytes(&cells[1..1 + usize::from(len)])),
    }
}
