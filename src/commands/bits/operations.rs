//! The operations of BITFIELD, and the offsets of bits in arguments.

use crate::commands::Failure;
use crate::number::parse_i64;
use crate::types::bits::field::{Field, FieldType, Overflow};

/// One operation on a field, and so one element of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Get(Field),
    /// Holds the new value.
    Set(Field, i64, Overflow),
    IncrBy(Field, i64, Overflow),
}

impl Operation {
    pub(crate) fn field(&self) -> Field {
        match *self {
            Self::Get(field) | Self::Set(field, ..) | Self::IncrBy(field, ..) => field,
        }
    }

    /// The field, if the operation writes to it.
    pub(crate) fn written(&self) -> Option<Field> {
        match *self {
            Self::Get(_) => None,
            Self::Set(field, ..) | Self::IncrBy(field, ..) => Some(field),
        }
    }
}

/// Parses the arguments after the key. `bytes_max` limits offsets; `None` for those of a master,
/// which limited them already.
///
/// # Errors
/// As in Redis: the first argument that is wrong.
pub(crate) fn parse<'a>(
    mut args: impl ExactSizeIterator<Item = &'a [u8]>,
    bytes_max: Option<u64>,
) -> Result<Vec<Operation>, Failure> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::default();
    while let Some(word) = args.next() {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let (get, set, incr_by) = (is("GET"), is("SET"), is("INCRBY"));
        let needed = match () {
            () if get => 2,
            () if set || incr_by => 3,
            () if is("OVERFLOW") => 1,
            () => return Err(Failure::Syntax),
        };
        if args.len() < needed {
            return Err(Failure::Syntax);
        }
        let mut next = || args.next().ok_or(Failure::Syntax);
        if !(get || set || incr_by) {
            let invalid = || Failure::err("Invalid OVERFLOW type specified");
            overflow = Overflow::parse(next()?).ok_or_else(invalid)?;
            continue;
        }
        let kind = FieldType::parse(next()?).ok_or_else(invalid_type)?;
        let field = Field { kind, offset: field_offset(next()?, kind, bytes_max)? };
        operations.push(if get {
            Operation::Get(field)
        } else {
            let value = parse_i64(next()?).ok_or(Failure::NotInteger)?;
            let operation = if set { Operation::Set } else { Operation::IncrBy };
            operation(field, value, overflow)
        });
    }
    Ok(operations)
}

fn invalid_type() -> Failure {
    Failure::err(
        "Invalid bitfield type. Use something like i16 u8. \
         Note that u64 is not supported but i64 is.",
    )
}

/// Parses the offset of a single bit.
///
/// # Errors
/// If it is no integer, negative, or in a byte past `bytes_max`.
pub(crate) fn bit_offset(arg: &[u8], bytes_max: Option<u64>) -> Result<u64, Failure> {
    scaled_offset(arg, 1, bytes_max)
}

/// Parses the offset of a field: of its first bit, or after `#` of the field itself in an array.
fn field_offset(arg: &[u8], kind: FieldType, bytes_max: Option<u64>) -> Result<u64, Failure> {
    match arg {
        [b'#', index @ ..] => scaled_offset(index, i64::from(kind.bits()), bytes_max),
        _ => scaled_offset(arg, 1, bytes_max),
    }
}

fn scaled_offset(arg: &[u8], bits_each: i64, bytes_max: Option<u64>) -> Result<u64, Failure> {
    // The product wraps in Redis too.
    let offset = parse_i64(arg).map(|index| index.wrapping_mul(bits_each));
    let offset = offset.and_then(|offset| u64::try_from(offset).ok());
    let offset = offset.filter(|offset| bytes_max.is_none_or(|max| offset / 8 < max));
    offset.ok_or_else(|| Failure::err("bit offset is not an integer or out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Vec<Operation>, Failure> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        parse(words.into_iter(), Some(1 << 20))
    }

    fn field(kind: &str, offset: u64) -> Field {
        Field { kind: FieldType::parse(kind.as_bytes()).expect("a type"), offset }
    }

    #[test]
    fn overflow_holds_for_what_follows() {
        let found = parse_words("get u8 3 SET i5 #2 -7 overflow SAT incrby u3 0 1 overflow wrap");
        let expected = vec![
            Operation::Get(field("u8", 3)),
            Operation::Set(field("i5", 10), -7, Overflow::Wrap),
            Operation::IncrBy(field("u3", 0), 1, Overflow::Saturate),
        ];
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn the_first_wrong_argument_is_reported() {
        let offset = Failure::err("bit offset is not an integer or out of range");
        let cases = [
            ("get u8", Failure::Syntax),
            ("set u8 0", Failure::Syntax),
            ("overflow", Failure::Syntax),
            ("foo u8 0", Failure::Syntax),
            ("get u64 x", invalid_type()),
            ("get u8 x", offset.clone()),
            ("get u8 -1", offset.clone()),
            ("get u8 #x", offset.clone()),
            ("get u8 8388608", offset.clone()),
            ("get u8 #1048576", offset),
            ("set u8 0 x", Failure::NotInteger),
            ("overflow x get", Failure::err("Invalid OVERFLOW type specified")),
        ];
        for (line, expected) in cases {
            assert_eq!(parse_words(line), Err(expected), "{line}");
        }
        assert!(parse_words("get u8 8388607").is_ok());
        // 64 times 2^62 is 0 in 64 bits.
        let wrapped = parse_words("get i64 #4611686018427387904");
        assert_eq!(wrapped, Ok(vec![Operation::Get(field("i64", 0))]));
    }
}
