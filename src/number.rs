//! Numbers as Redis reads and writes them: strict integers, and floats.

mod big;
pub(crate) mod double;
mod long_double;

pub(crate) use long_double::LongDouble;

/// The decimal form of an i64, without allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    bytes: [u8; 20],
    start: u8,
}

impl Decimal {
    #[inline]
    pub(crate) fn new(value: i64) -> Self {
        let mut bytes = [0; 20];
        let mut at = bytes.len();
        let mut rest = value.unsigned_abs();
        // Two digits per division, which is what this costs.
        while rest >= 10 {
            let two = (rest % 100) as u8;
            at -= 2;
            bytes[at..at + 2].copy_from_slice(&[b'0' + two / 10, b'0' + two % 10]);
            rest /= 100;
        }
        if rest > 0 || at == bytes.len() {
            at -= 1;
            bytes[at] = b'0' + rest as u8;
        }
        if value < 0 {
            at -= 1;
            bytes[at] = b'-';
        }
        Self { bytes, start: at as u8 }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }
}

/// Reads an integer as Redis's `string2ll` does: no spaces, no `+`, no leading zeros, no `-0`.
#[inline]
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(digit - b'0');
    }
    if negative { 0_i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_read_as_they_are_written() {
        let mut values = vec![0, i64::MAX, i64::MIN];
        for digits in 0..19 {
            let power = 10_i64.pow(digits);
            values.extend([power - 1, power, power + 1, 7 * (power / 9), i64::MAX / power]);
        }
        let mut random = 1_i64;
        for _ in 0..10_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            values.push(random >> (random & 63));
        }
        values.extend(values.clone().iter().map(|value| value.wrapping_neg()));
        for value in values {
            let decimal = Decimal::new(value);
            assert_eq!(decimal.as_bytes(), value.to_string().as_bytes());
            assert_eq!(parse_i64(decimal.as_bytes()), Some(value));
        }
    }

    #[test]
    fn only_the_canonical_form_is_an_integer() {
        let wrong = [
            "",
            "-",
            "-0",
            "00",
            "01",
            "+1",
            " 1",
            "1 ",
            "1a",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "1.0",
            "0x1",
        ];
        for text in wrong {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
    }
}
