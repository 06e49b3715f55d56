//! The x86 `long double`, in which INCRBYFLOAT computes: text → number, sum, number → text.
//!
//! Redis's results are visible to the last digit in replies and in the replication stream, so a
//! double will not do, and Rust has no wider float. Little of the 80-bit format is needed: a
//! magnitude is `mantissa × 2^exponent` with 64 bits of mantissa, every operation rounds once, to
//! nearest with ties to even. Reading is exact up to that rounding: a decimal becomes a big
//! integer, scaled by a power of two, and divided by powers of ten whose remainders are reduced to
//! one bit ("sticky": there was something below).

use super::big::Big;

/// Bits of a mantissa.
const MANTISSA_BITS: i32 = 64;
/// Exponent of the least denormal number.
const EXPONENT_MIN: i32 = -16445;
/// A finite magnitude is less than two to this.
const TOP_MAX: i32 = 16384;
/// Powers of ten beyond which everything is too large, or rounds to zero.
const POWER_OF_TEN_MAX: i64 = 5000;
/// Decimal places of the written form.
const PLACES: u32 = 17;

/// A number, or an infinity; never NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LongDouble {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    Infinite,
    /// The mantissa times two to the exponent.
    Finite(u64, i32),
}

impl From<i64> for LongDouble {
    fn from(value: i64) -> Self {
        let magnitude = Magnitude::Finite(value.unsigned_abs(), 0);
        Self { negative: value < 0, magnitude }
    }
}

impl LongDouble {
    /// Longest text that is read, in bytes (Redis's MAX_LONG_DOUBLE_CHARS less its final zero).
    pub(crate) const TEXT_BYTES_MAX: usize = 5 * 1024 - 1;

    /// Reads what C's `strtold` reads as a whole: decimal or hexadecimal with or without exponent,
    /// or an infinity. `None` for anything else, NaN, and what overflows or rounds to zero.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > Self::TEXT_BYTES_MAX {
            return None;
        }
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let magnitude = match rest {
            [b'0', b'x' | b'X', digits @ ..] => hexadecimal(digits)?,
            [b'i' | b'I', ..] => infinity(rest)?,
            _ => decimal(rest)?,
        };
        Some(Self { negative, magnitude })
    }

    pub(crate) fn is_finite(self) -> bool {
        self.magnitude != Magnitude::Infinite
    }

    /// The rounded sum; `None` if it is infinite or not a number.
    pub(crate) fn sum(self, other: Self) -> Option<Self> {
        let (Magnitude::Finite(a, a_exponent), Magnitude::Finite(b, b_exponent)) =
            (self.magnitude, other.magnitude)
        else {
            return None;
        };
        if a == 0 || b == 0 {
            return Some(if a == 0 { other } else { self });
        }
        // Both with their highest bit set, so that the one with the greater exponent is greater.
        let a = (self.negative, a << a.leading_zeros(), a_exponent - a.leading_zeros() as i32);
        let b = (other.negative, b << b.leading_zeros(), b_exponent - b.leading_zeros() as i32);
        let (high, low) = if (a.2, a.1) >= (b.2, b.1) { (a, b) } else { (b, a) };
        let (wide_high, wide_low) = (u128::from(high.1) << 62, u128::from(low.1) << 62);
        let distance = (high.2 - low.2).unsigned_abs();
        let shifted = wide_low.checked_shr(distance).unwrap_or(0);
        let sticky = distance >= 128 || shifted << distance != wide_low;
        let bits = if high.0 == low.0 {
            wide_high + shifted
        } else {
            // What the shift lost is subtracted too: one less, and something above it.
            wide_high - shifted - u128::from(sticky)
        };
        let magnitude = Magnitude::rounded(bits, sticky, high.2 - 62);
        (magnitude != Magnitude::Infinite).then_some(Self { negative: high.0, magnitude })
    }

    /// The least integer that is not below a thousand times the number; `None` beyond an i64.
    pub(crate) fn thousandfold_ceil(self) -> Option<i64> {
        let Magnitude::Finite(mantissa, exponent) = self.magnitude else { return None };
        let product = Magnitude::rounded(u128::from(mantissa) * 1000, false, exponent);
        let Magnitude::Finite(mantissa, exponent) = product else { return None };
        let (mantissa, shift) = (i128::from(mantissa), exponent.unsigned_abs());
        let signed = if self.negative { -mantissa } else { mantissa };
        let ceil = match exponent {
            _ if mantissa == 0 => 0,
            // 64 bits of the mantissa, shifted by more, are beyond an i64 in any case.
            0.. => signed.checked_shl(shift.min(63))?,
            // Shifting right rounds down.
            ..0 => -((-signed).checked_shr(shift).unwrap_or(if self.negative { 0 } else { -1 })),
        };
        i64::try_from(ceil).ok()
    }

    /// As C writes it with `%.17Lf`, without zeros at the end and without a negative zero.
    pub(crate) fn to_text(self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let (mantissa, exponent) = match self.magnitude {
            Magnitude::Infinite => return format!("{sign}inf"),
            Magnitude::Finite(0, _) => return "0".to_owned(),
            Magnitude::Finite(mantissa, exponent) => (mantissa, exponent),
        };
        if exponent >= 0 {
            let mut integer = Big::from(mantissa);
            integer.shift_left(exponent.unsigned_abs());
            return format!("{sign}{}", integer.into_decimal());
        }
        // At most 64 + 57 bits: the places are exact before they are rounded.
        let unit = 10_u128.pow(PLACES);
        let scaled = u128::from(mantissa) * unit;
        let drop = exponent.unsigned_abs();
        let mut places = scaled.checked_shr(drop).unwrap_or(0);
        if let Some(half) = 1_u128.checked_shl(drop - 1) {
            let dropped = scaled & (half | (half - 1));
            if dropped > half || (dropped == half && places % 2 == 1) {
                places += 1;
            }
        }
        if places == 0 {
            return "0".to_owned();
        }
        let text = format!("{sign}{}.{:017}", places / unit, places % unit);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Magnitude {
    /// The nearest to `bits × 2^exponent`, plus something less than `2^exponent` if `sticky`:
    /// there must then be at least two bits more than a mantissa has.
    fn rounded(bits: u128, sticky: bool, exponent: i32) -> Self {
        if bits == 0 {
            return Self::Finite(0, 0);
        }
        let len = 128 - bits.leading_zeros() as i32;
        let drop = (len - MANTISSA_BITS).max(EXPONENT_MIN - exponent);
        let (mut mantissa, mut exponent) = (bits, exponent);
        if drop > len {
            return Self::Finite(0, 0);
        }
        if let (true, Ok(drop)) = (drop > 0, u32::try_from(drop)) {
            exponent += drop as i32;
            mantissa = bits.checked_shr(drop).unwrap_or(0);
            let half = 1 << (drop - 1);
            let dropped = bits & (half | (half - 1));
            if dropped > half || dropped == half && (sticky || mantissa % 2 == 1) {
                mantissa += 1;
            }
        }
        if mantissa >> MANTISSA_BITS != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
        let top = exponent + 128 - mantissa.leading_zeros() as i32;
        match u64::try_from(mantissa) {
            Ok(mantissa) if top <= TOP_MAX => Self::Finite(mantissa, exponent),
            _ => Self::Infinite,
        }
    }

    /// A nonzero number after rounding; `None` if it became zero or too large.
    fn in_range(self) -> Option<Self> {
        (!matches!(self, Self::Infinite | Self::Finite(0, _))).then_some(self)
    }
}

fn infinity(text: &[u8]) -> Option<Magnitude> {
    let is = |word: &[u8]| text.eq_ignore_ascii_case(word);
    (is(b"inf") || is(b"infinity")).then_some(Magnitude::Infinite)
}

/// Splits digits with a point in between from the exponent after `mark`. Returns the digits, how
/// many of them follow the point, and the exponent.
fn split(text: &[u8], mark: u8, is_digit: fn(&u8) -> bool) -> Option<(Vec<u8>, i64, i64)> {
    let end = text.iter().position(|byte| byte.to_ascii_lowercase() == mark);
    let (digits, exponent) = match end {
        Some(at) => (&text[..at], integer(&text[at + 1..])?),
        None => (text, 0),
    };
    let point = digits.iter().position(|&byte| byte == b'.');
    let behind = point.map_or(0, |at| digits.len() - at - 1);
    let digits: Vec<u8> = match point {
        Some(at) => [&digits[..at], &digits[at + 1..]].concat(),
        None => digits.to_vec(),
    };
    let valid = !digits.is_empty() && digits.iter().all(is_digit);
    valid.then_some((digits, behind as i64, exponent))
}

/// An exponent; far too large ones saturate.
fn integer(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |value: i64, digit: &u8| (value * 10 + i64::from(digit - b'0')).min(1 << 40);
    Some(sign * digits.iter().fold(0, digit))
}

fn decimal(text: &[u8]) -> Option<Magnitude> {
    let (digits, behind, exponent) = split(text, b'e', u8::is_ascii_digit)?;
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    let digits = &digits[zeros..];
    if digits.is_empty() {
        return Some(Magnitude::Finite(0, 0));
    }
    let power = exponent - behind;
    let highest = power + digits.len() as i64;
    if highest.abs() > POWER_OF_TEN_MAX {
        return None;
    }
    let mut big = Big::from(0);
    for part in digits.chunks(9) {
        let value = part.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        big.multiply_add(10_u32.pow(part.len() as u32), value);
    }
    let mut scale = 0;
    let mut sticky = false;
    let mut tens = u32::try_from(power.unsigned_abs()).ok()?;
    if power < 0 {
        // Each power of ten takes less than four bits; 66 must be left besides.
        scale = (4 * tens + 66).saturating_sub(big.bits());
        big.shift_left(scale);
    }
    while tens > 0 {
        let step = tens.min(9);
        tens -= step;
        if power < 0 {
            sticky |= big.divide(10_u32.pow(step)) != 0;
        } else {
            big.multiply_add(10_u32.pow(step), 0);
        }
    }
    let (bits, shift, lost) = big.high_bits();
    let exponent = i32::try_from(i64::from(shift) - i64::from(scale)).ok()?;
    Magnitude::rounded(bits, sticky || lost, exponent).in_range()
}

fn hexadecimal(text: &[u8]) -> Option<Magnitude> {
    let (digits, behind, exponent) = split(text, b'p', u8::is_ascii_hexdigit)?;
    let (mut bits, mut sticky) = (0_u128, false);
    let mut exponent = exponent - 4 * behind;
    for digit in digits {
        let digit = char::from(digit).to_digit(16)?;
        if bits >> 124 == 0 {
            bits = bits << 4 | u128::from(digit);
        } else {
            sticky |= digit != 0;
            exponent += 4;
        }
    }
    if bits == 0 {
        return Some(Magnitude::Finite(0, 0));
    }
    Magnitude::rounded(bits, sticky, i32::try_from(exponent.clamp(-100_000, 100_000)).ok()?)
        .in_range()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> Option<String> {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).expect("a number");
        parse(a).sum(parse(b)).map(LongDouble::to_text)
    }

    #[test]
    fn a_thousandfold_is_rounded_up() {
        for (text, expected) in [
            ("0", Some(0)),
            ("0.001", Some(1)),
            ("0.0011", Some(2)),
            ("1.5", Some(1500)),
            ("1e-400", Some(1)),
            ("-0.0001", Some(0)),
            ("-1e-400", Some(0)),
            ("-0.0015", Some(-1)),
            ("-0.5", Some(-500)),
            ("0x1p-6", Some(16)),
            ("9223372036854775.807", Some(i64::MAX)),
            ("9223372036854775.808", None),
            ("1e16", None),
            ("1e40", None),
            ("1e4932", None),
            ("-inf", None),
        ] {
            let number = LongDouble::parse(text.as_bytes()).expect("a number");
            assert_eq!(number.thousandfold_ceil(), expected, "{text}");
        }
    }

    #[test]
    fn sums_are_those_of_redis() {
        let cases = [
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3.0e3", "1.123456789012345678901234567890", "3001.12345678901234569"),
            ("-0", "-0.0", "0"),
            ("-1e-18", "0", "0"),
            ("1e18", "0.5", "1000000000000000000.5"),
            ("1e19", "0.5", "10000000000000000000"),
            ("1e20", "0.5", "100000000000000000000"),
            ("0x1.8p1", "+.5", "3.5"),
            ("1", "-1", "0"),
            ("-1", "1e-17", "-0.99999999999999999"),
        ];
        for (a, b, expected) in cases {
            assert_eq!(sum(a, b).as_deref(), Some(expected), "{a} + {b}");
            assert_eq!(sum(b, a).as_deref(), Some(expected), "{b} + {a}");
        }
    }

    #[test]
    fn sums_that_are_not_finite_are_none() {
        let largest = "1.18973149535723176502e+4932";
        for (a, b) in [("inf", "1"), ("-Infinity", "inf"), (largest, largest)] {
            assert_eq!(sum(a, b), None, "{a} + {b}");
        }
    }

    #[test]
    fn only_whole_numbers_in_range_are_read() {
        let wrong = [
            "",
            "+",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            " 1",
            "1 ",
            "1,5",
            "1.2.3",
            "nan",
            "NAN(1)",
            "infi",
            "0x",
            "0x.",
            "0x1p",
            "1p3",
            "1e4933",
            "-1e99999999999999999999",
            "1e-4952",
            "0x1p16384",
            "1\0",
            "--1",
        ];
        for text in wrong {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(LongDouble::parse("1".repeat(LongDouble::TEXT_BYTES_MAX + 1).as_bytes()), None);
    }

    #[test]
    fn zero_has_any_exponent_and_denormals_are_numbers() {
        for text in ["0", "-0.000", "0e99999999999", "0x0p-5"] {
            assert_eq!(LongDouble::parse(text.as_bytes()).expect("zero").to_text(), "0");
        }
        let least = LongDouble::parse(b"3.7e-4951").expect("the least denormal");
        assert_eq!(least.magnitude, Magnitude::Finite(1, EXPONENT_MIN));
    }

    #[test]
    fn integers_beyond_the_mantissa_are_written_in_full() {
        let power = LongDouble::parse(b"0x1p200").expect("a number");
        let text = "1606938044258990275541962092341162602522202993782792835301376";
        assert_eq!(power.to_text(), text);
        assert_eq!(LongDouble::parse(text.as_bytes()).expect("a number").to_text(), text);
        assert_eq!(LongDouble::from(i64::MIN).to_text(), i64::MIN.to_string());
    }
}
