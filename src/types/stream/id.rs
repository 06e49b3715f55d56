//! Ids of stream entries: their order, neighbours, bytes and the texts that clients write for them.

use crate::text::until_nul;
use std::fmt;

/// The id of an entry. Ids order by time, then by sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId {
    /// Unix time in milliseconds, by convention.
    pub(crate) ms: u64,
    pub(crate) seq: u64,
}

/// Why a text was refused as an id or as the end of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdError {
    Invalid,
    /// An exclusive start after which there is no id.
    Start,
    /// An exclusive end before which there is no id.
    End,
}

impl IdError {
    /// The reply, without `-ERR `.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid stream ID specified as stream command argument",
            Self::Start => "invalid start ID for the interval",
            Self::End => "invalid end ID for the interval",
        }
    }
}

/// The id that XADD is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewId {
    /// `*`: the current time.
    Auto,
    /// `ms-*`: the next one of that millisecond.
    AutoSequence(u64),
    Exact(StreamId),
}

/// No longer text is an id: Redis parses in a buffer of 128 bytes with a terminator.
const TEXT_BYTES_MAX: usize = 127;

impl StreamId {
    pub(crate) const MIN: Self = Self { ms: 0, seq: 0 };
    pub(crate) const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    pub(crate) fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The next id, or `None` after the last.
    pub(crate) fn successor(self) -> Option<Self> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(Self { ms: self.ms, seq }),
            (None, Some(ms)) => Some(Self { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The id before, or `None` before the first.
    pub(crate) fn predecessor(self) -> Option<Self> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(Self { ms: self.ms, seq }),
            (None, Some(ms)) => Some(Self { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// Big-endian bytes, as RDB stores ids: they order as ids do.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.bits().to_be_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(bytes);
        Self { ms: (bits >> 64) as u64, seq: bits as u64 }
    }

    /// Both numbers as one, in the same order.
    pub(super) fn bits(self) -> u128 {
        u128::from(self.ms) << 64 | u128::from(self.seq)
    }

    /// The id as far from this one as `other` is from `base`, as entries store ids.
    pub(super) fn offset(self, ms_delta: u64, seq_delta: u64) -> Self {
        Self { ms: self.ms.wrapping_add(ms_delta), seq: self.seq.wrapping_add(seq_delta) }
    }

    /// Reads an id, `-` or `+`. A text without sequence number gets `missing_seq`.
    pub(crate) fn parse(text: &[u8], missing_seq: u64) -> Result<Self, IdError> {
        match seen(text)? {
            b"-" => Ok(Self::MIN),
            b"+" => Ok(Self::MAX),
            text => parse_numbers(text, missing_seq),
        }
    }

    /// Reads an id; `-` and `+` are errors.
    pub(crate) fn parse_strict(text: &[u8], missing_seq: u64) -> Result<Self, IdError> {
        parse_numbers(seen(text)?, missing_seq)
    }
}

/// The smallest id of an interval that a client gave; `(id` excludes the id.
pub(crate) fn parse_start(text: &[u8]) -> Result<StreamId, IdError> {
    match exclusive(text) {
        Some(text) => StreamId::parse_strict(text, 0)?.successor().ok_or(IdError::Start),
        None => StreamId::parse(text, 0),
    }
}

/// The greatest id of an interval that a client gave; `(id` excludes the id.
pub(crate) fn parse_end(text: &[u8]) -> Result<StreamId, IdError> {
    match exclusive(text) {
        Some(text) => StreamId::parse_strict(text, u64::MAX)?.predecessor().ok_or(IdError::End),
        None => StreamId::parse(text, u64::MAX),
    }
}

/// What follows the parenthesis; a parenthesis alone is no interval.
fn exclusive(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"(").filter(|rest| !rest.is_empty())
}

impl NewId {
    /// Reads the id argument of XADD.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, IdError> {
        if text == b"*" {
            return Ok(Self::Auto);
        }
        let text = seen(text)?;
        match text.iter().position(|&byte| byte == b'-') {
            Some(dash) if &text[dash..] == b"-*" => {
                Ok(Self::AutoSequence(parse_u64(&text[..dash]).ok_or(IdError::Invalid)?))
            }
            _ => Ok(Self::Exact(parse_numbers(text, 0)?)),
        }
    }
}

/// What Redis sees of a text, if that is not too long.
fn seen(text: &[u8]) -> Result<&[u8], IdError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(IdError::Invalid);
    }
    Ok(until_nul(text))
}

fn parse_numbers(text: &[u8], missing_seq: u64) -> Result<StreamId, IdError> {
    let mut halves = text.splitn(2, |&byte| byte == b'-');
    let ms = halves.next().and_then(parse_u64).ok_or(IdError::Invalid)?;
    let seq = match halves.next() {
        Some(seq) => parse_u64(seq).ok_or(IdError::Invalid)?,
        None => missing_seq,
    };
    Ok(StreamId { ms, seq })
}

/// Reads a number as Redis does for ids: what is no canonical integer goes to C's `strtoull`, which
/// takes spaces in front, a sign and leading zeros, and negates modulo 2^64.
fn parse_u64(text: &[u8]) -> Option<u64> {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'..=b'\r'))?;
    let (negative, digits) = match &text[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    // A canonical negative integer is refused before `strtoull` sees it.
    let canonical = start == 0 && digits[0] != b'0' && value <= i64::MIN.unsigned_abs();
    match negative {
        true if canonical => None,
        true => Some(value.wrapping_neg()),
        false => Some(value),
    }
}

/// The text of an id, without allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdText {
    bytes: [u8; Self::BYTES_MAX],
    start: u8,
}

impl IdText {
    /// Two numbers of 20 digits, and the dash.
    const BYTES_MAX: usize = 41;

    fn push_front(&mut self, byte: u8) {
        self.start -= 1;
        self.bytes[usize::from(self.start)] = byte;
    }

    fn push_number(&mut self, mut number: u64) {
        loop {
            self.push_front(b'0' + (number % 10) as u8);
            number /= 10;
            if number == 0 {
                return;
            }
        }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }
}

impl StreamId {
    /// The id as replies show it.
    pub(crate) fn text(self) -> IdText {
        let mut text = IdText { bytes: [0; IdText::BYTES_MAX], start: IdText::BYTES_MAX as u8 };
        text.push_number(self.seq);
        text.push_front(b'-');
        text.push_number(self.ms);
        text
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_display() {
        for id in [StreamId::MIN, StreamId::MAX, StreamId::new(1_700_000_000_000, 10)] {
            assert_eq!(id.text().as_bytes(), id.to_string().as_bytes());
        }
    }

    const INVALID: Result<StreamId, IdError> = Err(IdError::Invalid);

    fn id(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    #[test]
    fn an_id_without_sequence_gets_the_one_that_suits_the_command() {
        assert_eq!(StreamId::parse(b"7", 0), Ok(id(7, 0)));
        assert_eq!(parse_end(b"7"), Ok(id(7, u64::MAX)));
        assert_eq!(StreamId::parse(b"7-3", 9), Ok(id(7, 3)));
        assert_eq!(StreamId::parse(b"18446744073709551615-0", 9), Ok(id(u64::MAX, 0)));
    }

    #[test]
    fn minus_and_plus_are_the_ends_unless_an_id_is_asked_for() {
        assert_eq!(StreamId::parse(b"-", 5), Ok(StreamId::MIN));
        assert_eq!(StreamId::parse(b"+", 5), Ok(StreamId::MAX));
        assert_eq!(StreamId::parse_strict(b"-", 5), INVALID);
        assert_eq!(parse_start(b"(+"), INVALID);
        assert_eq!(parse_start(b"("), INVALID);
    }

    #[test]
    fn an_exclusive_end_of_an_interval_is_the_neighbour() {
        assert_eq!(parse_start(b"(1-18446744073709551615"), Ok(id(2, 0)));
        assert_eq!(parse_end(b"(5-0"), Ok(id(4, u64::MAX)));
        assert_eq!(parse_start(b"(18446744073709551615-18446744073709551615"), Err(IdError::Start));
        assert_eq!(parse_end(b"(0-0"), Err(IdError::End));
    }

    #[test]
    fn numbers_read_as_strtoull_does() {
        let read: [(&[u8], u64); 6] = [
            (b" 5", 5),
            (b"+5", 5),
            (b"\t\r\n007", 7),
            (b"0", 0),
            (b"5\0junk", 5),
            (b"18446744073709551615", u64::MAX),
        ];
        for (text, ms) in read {
            assert_eq!(StreamId::parse(text, 0), Ok(id(ms, 0)), "{text:?}");
        }
        assert_eq!(StreamId::parse(b"1--05", 0), Ok(id(1, 0_u64.wrapping_sub(5))));
        let wrong: [&[u8]; 9] =
            [b"", b"a", b"1-", b"1--5", b"5 ", b"18446744073709551616", b"-5", b"1-2-3", b" "];
        for text in wrong {
            assert_eq!(StreamId::parse(text, 0), INVALID, "{text:?}");
        }
        assert_eq!(StreamId::parse(&[b'0'; 128], 0), INVALID);
        assert_eq!(StreamId::parse(&[b'0'; 127], 0), Ok(id(0, 0)));
    }

    #[test]
    fn a_new_id_may_leave_its_sequence_open() {
        assert_eq!(NewId::parse(b"*"), Ok(NewId::Auto));
        assert_eq!(NewId::parse(b"12-*"), Ok(NewId::AutoSequence(12)));
        assert_eq!(NewId::parse(b"12-1"), Ok(NewId::Exact(id(12, 1))));
        for text in [&b"-"[..], b"+", b"*-1", b"-*", b"1-**"] {
            assert_eq!(NewId::parse(text), Err(IdError::Invalid), "{text:?}");
        }
    }

    #[test]
    fn neighbours_cross_the_millisecond_and_bytes_keep_the_order() {
        let ids = [StreamId::MIN, id(0, u64::MAX), id(1, 0), id(1, 256), id(256, 0), StreamId::MAX];
        for pair in ids.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].to_bytes() < pair[1].to_bytes());
            assert_eq!(pair[0].successor().unwrap().predecessor(), Some(pair[0]));
        }
        assert!(ids.iter().all(|id| StreamId::from_bytes(id.to_bytes()) == *id));
        assert_eq!(ids[1].successor(), Some(ids[2]));
        assert_eq!((StreamId::MIN.predecessor(), StreamId::MAX.successor()), (None, None));
    }
}
