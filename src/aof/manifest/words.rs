//! The words of a manifest's line.

use crate::text::{is_space, push_quoted};

/// The line without space at its ends.
pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    let kept = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let first = line.iter().position(kept).unwrap_or(line.len());
    let last = line.iter().rposition(kept).map_or(first, |at| at + 1);
    &line[first..last]
}

/// The number that a word begins with, as C's `atoll` reads it; 0 if there is none.
pub(super) fn leading_number(word: &[u8]) -> i64 {
    let start = word.iter().position(|&byte| !is_space(byte)).unwrap_or(word.len());
    let word = &word[start..];
    let (negative, digits) = match word {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut number = 0_i64;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        let digit = i64::from(digit - b'0');
        let next = number.saturating_mul(10);
        number = if negative { next.saturating_sub(digit) } else { next.saturating_add(digit) };
    }
    number
}

/// Writes a name, in quotes if a reader would split or change it otherwise.
pub(super) fn quote_if_needed(name: &[u8], into: &mut Vec<u8>) {
    if name.iter().all(|&byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'\'')) {
        into.extend_from_slice(name);
        return;
    }
    push_quoted(into, name);
}
