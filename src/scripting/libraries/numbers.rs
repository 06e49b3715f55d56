//! Numbers as C's `printf` writes them and `strtod` reads them, and C's casts to integers.

use std::io::{Cursor, Write};

/// A double cut to an i64; what does not fit is `i64::MIN`, as the processor's conversion gives.
pub(super) fn to_i64(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) { number as i64 } else { i64::MIN }
}

/// A double cut to a u64 as compilers for x86-64 do: negative ones wrap, too large ones give 0.
pub(super) fn to_u64(number: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if number >= HALF {
        to_i64(number - HALF).cast_unsigned() ^ (1 << 63)
    } else {
        to_i64(number).cast_unsigned()
    }
}

/// Appends a number in the form of `%.{precision}g`. `precision` is 1 to 17.
pub(super) fn write_general(out: &mut Vec<u8>, number: f64, precision: usize) {
    const POWERS: [f64; 16] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    if number.is_sign_negative() {
        out.push(b'-');
    }
    let size = number.abs();
    if size.is_nan() {
        out.extend_from_slice(b"nan");
    } else if size.is_infinite() {
        out.extend_from_slice(b"inf");
    } else if size < POWERS[precision.min(15)] && size.trunc() == size {
        write_integer(out, size as u64);
    } else {
        write_rounded(out, size, precision);
    }
}

fn write_integer(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Rounds to the given count of digits, then picks the fixed or the scientific form as C does.
fn write_rounded(out: &mut Vec<u8>, size: f64, precision: usize) {
    let mut text = Cursor::new([0_u8; 40]);
    write!(text, "{:.*e}", precision - 1, size).expect("17 digits and an exponent fit 40 bytes");
    let len = text.position() as usize;
    let text = &text.get_ref()[..len];
    let split = text.iter().position(|byte| *byte == b'e').expect("the form has an exponent");
    let exponent: i32 = std::str::from_utf8(&text[split + 1..])
        .ok()
        .and_then(|exponent| exponent.parse().ok())
        .expect("the exponent is a small integer");

    let mut digits = [0; 20];
    let mut count = 0;
    for digit in text[..split].iter().filter(|byte| **byte != b'.') {
        digits[count] = *digit;
        count += 1;
    }
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
    }
    let digits = &digits[..count];
    if exponent < -4 || exponent >= precision as i32 {
        write_scientific(out, digits, exponent);
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        out.extend_from_slice(&digits[..count.min(whole)]);
        out.extend(std::iter::repeat_n(b'0', whole.saturating_sub(count)));
        if count > whole {
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

fn write_scientific(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let size = exponent.unsigned_abs();
    if size < 10 {
        out.push(b'0');
    }
    write_integer(out, u64::from(size));
}

/// Reads the longest number at the start of `text`: its value and length. `None` if there is none.
///
/// Takes what C's `strtod` takes: decimal, hexadecimal, infinities and NaN, each with a sign.
pub(super) fn read(text: &[u8]) -> Option<(f64, usize)> {
    let sign_len = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let is_negative = text.first() == Some(&b'-');
    let body = text.get(sign_len..)?;
    let (size, len) = read_decimal_or_hexadecimal(body).or_else(|| read_named(body))?;
    Some((if is_negative { -size } else { size }, sign_len + len))
}

fn read_decimal_or_hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    if let [b'0', b'x' | b'X', rest @ ..] = text
        && let Some((size, len)) = read_hexadecimal(rest)
    {
        return Some((size, len + 2));
    }
    let whole = run_len(text, u8::is_ascii_digit);
    let mut len = whole;
    if text.get(len) == Some(&b'.') {
        let fraction = run_len(&text[len + 1..], u8::is_ascii_digit);
        if whole + fraction > 0 {
            len += 1 + fraction;
        }
    }
    if len == 0 {
        return None;
    }
    len += exponent_len(&text[len..], b'e');
    if whole == len && len <= 15 {
        let number = text[..len].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        return Some((number as f64, len));
    }
    let number = std::str::from_utf8(&text[..len]).ok()?.parse().ok()?;
    Some((number, len))
}

/// The length of an exponent, 0 if no digits follow its mark.
fn exponent_len(text: &[u8], mark: u8) -> usize {
    if text.first().map(u8::to_ascii_lowercase) != Some(mark) {
        return 0;
    }
    let sign_len = usize::from(matches!(text.get(1), Some(b'+' | b'-')));
    match run_len(&text[1 + sign_len..], u8::is_ascii_digit) {
        0 => 0,
        digits => 1 + sign_len + digits,
    }
}

fn run_len(text: &[u8], belongs: fn(&u8) -> bool) -> usize {
    text.iter().take_while(|byte| belongs(byte)).count()
}

/// Reads hexadecimal digits with point and binary exponent, after the `0x`.
fn read_hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let whole = run_len(text, u8::is_ascii_hexdigit);
    let mut len = whole;
    let mut fraction = 0;
    if text.get(len) == Some(&b'.') {
        fraction = run_len(&text[len + 1..], u8::is_ascii_hexdigit);
        if whole + fraction > 0 {
            len += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return None;
    }
    // Sixty bits hold what rounding needs; the last one stands for all that follow.
    let mut bits = 0_u64;
    let mut exponent = -4 * fraction as i64;
    let digits = text[..len].iter().filter_map(|byte| char::from(*byte).to_digit(16));
    for digit in digits {
        if bits >> 60 == 0 {
            bits = bits << 4 | u64::from(digit);
        } else {
            bits |= u64::from(digit != 0);
            exponent += 4;
        }
    }
    let mark_len = exponent_len(&text[len..], b'p');
    if mark_len > 0 {
        exponent = exponent.saturating_add(exponent_value(&text[len + 1..len + mark_len]));
        len += mark_len;
    }
    Some((scale(bits, exponent), len))
}

fn exponent_value(text: &[u8]) -> i64 {
    let size = text.iter().filter(|byte| byte.is_ascii_digit()).fold(0_i64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(1 << 40)
    });
    if text.first() == Some(&b'-') { -size } else { size }
}

/// `bits * 2^exponent`, rounded once, to even.
fn scale(bits: u64, exponent: i64) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    // The exponent of the highest bit decides between overflow, normal and subnormal.
    let high = exponent + 63 - i64::from(bits.leading_zeros());
    if high > 1023 {
        return f64::INFINITY;
    }
    let lowest = (high - 52).max(-1074);
    let shift = lowest - exponent;
    let mantissa = match shift {
        ..=0 => bits << (-shift),
        1..=63 => {
            let kept = bits >> shift;
            let rest = bits & ((1 << shift) - 1);
            let half = 1 << (shift - 1);
            kept + u64::from(rest > half || (rest == half && kept & 1 == 1))
        }
        64 => u64::from(bits > 1 << 63),
        _ => 0,
    };
    // Both factors are exact, and so is the product. Below 2^-1022 the power is subnormal itself.
    let power = match lowest {
        ..-1022 => 1 << (lowest + 1074),
        _ => ((lowest + 1023) as u64) << 52,
    };
    mantissa as f64 * f64::from_bits(power)
}

/// Reads an infinity or a NaN.
fn read_named(text: &[u8]) -> Option<(f64, usize)> {
    let starts =
        |name: &[u8]| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    if starts(b"infinity") {
        Some((f64::INFINITY, 8))
    } else if starts(b"inf") {
        Some((f64::INFINITY, 3))
    } else if starts(b"nan") {
        Some(read_nan_payload(&text[3..]))
    } else {
        None
    }
}

/// Reads what can stand after `nan`: digits and letters in brackets, which set the low bits.
fn read_nan_payload(text: &[u8]) -> (f64, usize) {
    const QUIET: u64 = 0x7ff8_0000_0000_0000;
    let plain = (f64::from_bits(QUIET), 3);
    let Some(rest) = text.strip_prefix(b"(") else { return plain };
    let inner_len = run_len(rest, |byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if rest.get(inner_len) != Some(&b')') {
        return plain;
    }
    let inner = std::str::from_utf8(&rest[..inner_len]).unwrap_or_default();
    let (digits, radix) = match inner.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (&inner[2..], 16),
        [b'0', _, ..] => (&inner[1..], 8),
        _ => (inner, 10),
    };
    let payload = u64::from_str_radix(digits, radix).unwrap_or_else(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow => u64::MAX,
        _ => 0,
    });
    (f64::from_bits(QUIET | (payload & !(0xfff8 << 48))), 5 + inner_len)
}
