//! The doubles of scores: text → number as C's `strtod`, number → text as C's `%.17g`.
//!
//! The standard library rounds decimals correctly in both directions; what it lacks is C's syntax
//! (hexadecimal, ranges) and C's layout.

use std::io::Write;

use super::Decimal;

/// Digits of an integer that a double holds exactly, whatever they are.
const EXACT_DIGITS: usize = 15;
/// Least exponent of a double's lowest bit.
const EXPONENT_MIN: i64 = -1074;
/// Bits of a mantissa.
const MANTISSA_BITS: i64 = 53;
/// Integers less than this have at most 17 digits: `%.17g` writes them without an exponent.
const WRITTEN_IN_FULL: f64 = 1e17;
/// A listpack holds integral scores up to this magnitude as integers.
const INTEGRAL_MAX: f64 = (1_u64 << 62) as f64;

/// Reads a score: what `strtod` reads as a whole, without space in front. `None` for anything
/// else, NaN, and what overflows or rounds to zero.
#[inline]
pub(crate) fn parse(text: &[u8]) -> Option<f64> {
    let (negative, rest) = sign(text);
    if let Some(value) = short_integer(rest) {
        return Some(if negative { -value } else { value });
    }
    match magnitude(rest)? {
        Magnitude::Exact(value) => Some(if negative { -value } else { value }),
        Magnitude::OutOfRange(_) => None,
    }
}

/// Reads a bound of a range of scores, after its optional `(`: as Redis does, with space in front,
/// up to a zero byte, empty for 0, and with what is out of range as an infinity or zero. `None`
/// for anything else and NaN.
pub(crate) fn parse_bound(text: &[u8]) -> Option<f64> {
    match up_to_zero(text)? {
        Magnitude::Exact(value) | Magnitude::OutOfRange(value) => Some(value),
    }
}

/// Reads what SORT sorts by: like a bound, but `None` for what is out of range, or so small that
/// its digits are lost.
pub(crate) fn parse_weight(text: &[u8]) -> Option<f64> {
    match up_to_zero(text)? {
        Magnitude::Exact(value) if !value.is_subnormal() => Some(value),
        _ => None,
    }
}

/// Reads a number with its sign, with space in front, up to a zero byte; nothing at all is 0.
fn up_to_zero(text: &[u8]) -> Option<Magnitude> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(Magnitude::Exact(0.0));
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let (negative, rest) = sign(&text[text.iter().take_while(|byte| is_space(byte)).count()..]);
    Some(match magnitude(rest)? {
        Magnitude::Exact(value) if negative => Magnitude::Exact(-value),
        Magnitude::OutOfRange(value) if negative => Magnitude::OutOfRange(-value),
        positive => positive,
    })
}

/// The integer as which a listpack holds a score. Negative zero becomes zero, as in Redis.
#[inline]
pub(crate) fn integral(score: f64) -> Option<i64> {
    let integer = score as i64;
    (score.abs() <= INTEGRAL_MAX && integer as f64 == score).then_some(integer)
}

enum Magnitude {
    Exact(f64),
    /// It became infinite, or zero by rounding.
    OutOfRange(f64),
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

#[inline]
fn short_integer(digits: &[u8]) -> Option<f64> {
    if digits.is_empty() || digits.len() > EXACT_DIGITS {
        return None;
    }
    let mut value = 0_u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(digit - b'0');
    }
    Some(value as f64)
}

/// Reads a number without its sign.
fn magnitude(text: &[u8]) -> Option<Magnitude> {
    match text {
        [b'0', b'x' | b'X', digits @ ..] => hexadecimal(digits),
        [b'i' | b'I', ..] => {
            let is = |word: &[u8]| text.eq_ignore_ascii_case(word);
            (is(b"inf") || is(b"infinity")).then_some(Magnitude::Exact(f64::INFINITY))
        }
        [b'0'..=b'9' | b'.', ..] => decimal(text),
        _ => None,
    }
}

/// The standard library reads a decimal as C does; only the range has to be looked at.
fn decimal(text: &[u8]) -> Option<Magnitude> {
    let value: f64 = str::from_utf8(text).ok()?.parse().ok()?;
    let has_digit = || {
        let digits = text.iter().take_while(|byte| !byte.eq_ignore_ascii_case(&b'e'));
        digits.clone().any(|digit| matches!(digit, b'1'..=b'9'))
    };
    let out_of_range = value.is_infinite() || value == 0.0 && has_digit();
    Some(if out_of_range { Magnitude::OutOfRange(value) } else { Magnitude::Exact(value) })
}

/// Reads what follows `0x`.
fn hexadecimal(text: &[u8]) -> Option<Magnitude> {
    let end = text.iter().position(|byte| byte.eq_ignore_ascii_case(&b'p'));
    let (digits, mut exponent) = match end {
        Some(at) => (&text[..at], binary_exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let (mut bits, mut sticky, mut behind_point, mut any) = (0_u64, false, false, false);
    for &byte in digits {
        if byte == b'.' && !behind_point {
            behind_point = true;
            continue;
        }
        let digit = u64::from(char::from(byte).to_digit(16)?);
        any = true;
        if bits >> 60 == 0 {
            bits = bits << 4 | digit;
            exponent -= if behind_point { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            exponent += if behind_point { 0 } else { 4 };
        }
    }
    any.then(|| rounded(bits, sticky, exponent))
}

/// An exponent of two; far too large ones saturate.
fn binary_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |value: i64, digit: &u8| (value * 10 + i64::from(digit - b'0')).min(1 << 40);
    let value = digits.iter().fold(0, digit);
    Some(if negative { -value } else { value })
}

/// The nearest to `bits × 2^exponent`, plus something less than `2^exponent` if `sticky`: then
/// `bits` has more than 60 bits.
fn rounded(bits: u64, sticky: bool, exponent: i64) -> Magnitude {
    if bits == 0 {
        return Magnitude::Exact(0.0);
    }
    let len = 64 - i64::from(bits.leading_zeros());
    let drop = (len - MANTISSA_BITS).max(EXPONENT_MIN - exponent).max(0);
    if drop > len {
        return Magnitude::OutOfRange(0.0);
    }
    if len + exponent > 1024 {
        return Magnitude::OutOfRange(f64::INFINITY);
    }
    let wide = u128::from(bits);
    let mut mantissa = wide >> drop;
    let dropped = wide - (mantissa << drop);
    let half = (1_u128 << drop) / 2;
    if drop > 0 && (dropped > half || dropped == half && (sticky || mantissa % 2 == 1)) {
        mantissa += 1;
    }
    // In two steps, neither of which rounds or leaves the range before the end.
    let exponent = (exponent + drop) as i32;
    let value = mantissa as f64 * 2_f64.powi(exponent / 2) * 2_f64.powi(exponent - exponent / 2);
    match value {
        0.0 | f64::INFINITY => Magnitude::OutOfRange(value),
        _ => Magnitude::Exact(value),
    }
}

/// The text of a score as in replies, without allocation: C's `%.17g`, and `inf` or `-inf`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DoubleText {
    bytes: [u8; Self::BYTES_MAX],
    len: u8,
}

impl DoubleText {
    /// Longest text, in bytes: sign, 17 digits, point and `e-308`.
    pub(crate) const BYTES_MAX: usize = 24;

    #[inline]
    pub(crate) fn new(value: f64) -> Self {
        let mut text = Self { bytes: [0; Self::BYTES_MAX], len: 0 };
        let integer = value as i64;
        if value.abs() < WRITTEN_IN_FULL && integer as f64 == value {
            if value == 0.0 && value.is_sign_negative() {
                text.push(b"-");
            }
            text.push(Decimal::new(integer).as_bytes());
        } else {
            text.push_float(value);
        }
        text
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }

    fn push_float(&mut self, value: f64) {
        if value.is_sign_negative() {
            self.push(b"-");
        }
        if !value.is_finite() {
            return self.push(if value.is_nan() { b"nan" } else { b"inf" });
        }
        // `d.dddddddddddddddde-308`: the standard library's form has all 17 digits.
        let mut scientific = [0; 32];
        let mut rest = &mut scientific[..];
        write!(rest, "{:.16e}", value.abs()).expect("the form has at most 23 bytes");
        let mut digits = [0; 17];
        digits[0] = scientific[0];
        digits[1..].copy_from_slice(&scientific[2..18]);
        let used = digits.iter().rposition(|&digit| digit != b'0').map_or(1, |at| at + 1);
        let exponent = read_exponent(&scientific[19..]);
        match exponent {
            0..17 => self.push_fixed(&digits, used, exponent as usize + 1),
            -4..0 => {
                self.push(b"0.");
                self.push(&b"000"[..(-1 - exponent) as usize]);
                self.push(&digits[..used]);
            }
            _ => {
                self.push_fixed(&digits, used, 1);
                self.push(if exponent < 0 { b"e-" } else { b"e+" });
                let exponent = exponent.unsigned_abs();
                self.push(if exponent < 10 { b"0" } else { b"" });
                self.push(Decimal::new(i64::from(exponent)).as_bytes());
            }
        }
    }

    /// Digits with the point before the digit at `point`, if any is used from there on.
    fn push_fixed(&mut self, digits: &[u8; 17], used: usize, point: usize) {
        self.push(&digits[..point]);
        if used > point {
            self.push(b".");
            self.push(&digits[point..used]);
        }
    }
}

/// Reads an exponent of at most three digits, up to a zero byte.
fn read_exponent(text: &[u8]) -> i32 {
    let (negative, digits) = sign(text);
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let value = digits.fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests;
