//! A RESP2 or RESP3 reply as received: replies that differ on the wire never compare equal.

use std::fmt::{self, Display, Formatter, Write};
use std::io::{self, BufRead, ErrorKind};

/// Deeper than any reply of a correct server.
const DEPTH_MAX: usize = 32;

/// Items of a list that a report shows.
const ITEMS_SHOWN: usize = 40;

/// One reply. Numbers whose value has several spellings are kept as text.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Reply {
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Integer(i64),
    Bulk(Vec<u8>),
    NullBulk,
    Array(Vec<Self>),
    NullArray,
    Map(Vec<(Self, Self)>),
    Set(Vec<Self>),
    Push(Vec<Self>),
    Double(Vec<u8>),
    Boolean(bool),
    Null,
    BigNumber(Vec<u8>),
    BulkError(Vec<u8>),
    Verbatim(Vec<u8>),
    Attribute(Vec<(Self, Self)>, Box<Self>),
}

/// Why a reply could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ReadError {
    /// The server closed the connection.
    Closed,
    /// Nothing arrived before the timeout.
    TimedOut,
    /// The bytes are not RESP.
    Malformed(String),
    Other(String),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                Self::Closed
            }
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Other(error.to_string()),
        }
    }
}

impl Reply {
    /// Reads one reply. Strict: numbers have one spelling and lines end in CR LF.
    pub(crate) fn read(from: &mut impl BufRead) -> Result<Self, ReadError> {
        Self::read_nested(from, 0)
    }

    fn read_nested(from: &mut impl BufRead, depth: usize) -> Result<Self, ReadError> {
        let line = read_line(from)?;
        let malformed = || Err(ReadError::Malformed(format!("line {}", escaped(&line))));
        let Some((&kind, rest)) = line.split_first() else { return malformed() };
        if depth > DEPTH_MAX {
            return malformed();
        }
        let mut items = |count: i64| -> Result<Vec<Self>, ReadError> {
            (0..count).map(|_| Self::read_nested(from, depth + 1)).collect()
        };
        Ok(match (kind, integer(rest)) {
            (b'+', _) => Self::Simple(rest.to_vec()),
            (b'-', _) => Self::Error(rest.to_vec()),
            (b':', Some(value)) => Self::Integer(value),
            (b'$', Some(-1)) => Self::NullBulk,
            (b'*', Some(-1)) => Self::NullArray,
            (b'$', Some(len @ 0..)) => Self::Bulk(read_bulk(from, len)?),
            (b'!', Some(len @ 0..)) => Self::BulkError(read_bulk(from, len)?),
            (b'=', Some(len @ 0..)) => Self::Verbatim(read_bulk(from, len)?),
            (b'*', Some(count @ 0..)) => Self::Array(items(count)?),
            (b'~', Some(count @ 0..)) => Self::Set(items(count)?),
            (b'>', Some(count @ 0..)) => Self::Push(items(count)?),
            (b'%', Some(count @ 0..)) => Self::Map(pairs(items(count.saturating_mul(2))?)),
            (b'|', Some(count @ 0..)) => {
                let attributes = pairs(items(count.saturating_mul(2))?);
                Self::Attribute(attributes, Box::new(Self::read_nested(from, depth + 1)?))
            }
            (b',', _) => Self::Double(rest.to_vec()),
            (b'(', _) => Self::BigNumber(rest.to_vec()),
            (b'#', _) if rest == b"t" => Self::Boolean(true),
            (b'#', _) if rest == b"f" => Self::Boolean(false),
            (b'_', _) if rest.is_empty() => Self::Null,
            _ => return malformed(),
        })
    }

    /// The type's name in reports.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Simple(_) => "simple",
            Self::Error(_) => "error",
            Self::Integer(_) => "integer",
            Self::Bulk(_) => "bulk",
            Self::NullBulk => "null bulk",
            Self::Array(_) => "array",
            Self::NullArray => "null array",
            Self::Map(_) => "map",
            Self::Set(_) => "set",
            Self::Push(_) => "push",
            Self::Double(_) => "double",
            Self::Boolean(_) => "boolean",
            Self::Null => "null",
            Self::BigNumber(_) => "big number",
            Self::BulkError(_) => "bulk error",
            Self::Verbatim(_) => "verbatim",
            Self::Attribute(..) => "attribute",
        }
    }

    /// The bytes of a text-like reply.
    pub(crate) fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(text) | Self::Error(text) | Self::Bulk(text) | Self::Verbatim(text) => {
                Some(text)
            }
            _ => None,
        }
    }

    /// The elements of an array, set or push; of a map, keys and values in turn.
    pub(crate) fn items(&self) -> Option<Vec<Self>> {
        match self {
            Self::Array(items) | Self::Set(items) | Self::Push(items) => Some(items.clone()),
            Self::Map(pairs) => {
                Some(pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect())
            }
            _ => None,
        }
    }

    pub(crate) const fn is_error(&self) -> bool {
        matches!(self, Self::Error(_) | Self::BulkError(_))
    }
}

/// One line for reports, long texts cut in the middle.
impl Display for Reply {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let list = |f: &mut Formatter<'_>, items: &[Self]| {
            f.write_char('[')?;
            for (index, item) in items.iter().enumerate().take(ITEMS_SHOWN) {
                let comma = if index > 0 { ", " } else { "" };
                write!(f, "{comma}{item}")?;
            }
            if items.len() > ITEMS_SHOWN {
                write!(f, ", .. ({} items)", items.len())?;
            }
            f.write_char(']')
        };
        write!(f, "{}", self.type_name())?;
        match self {
            Self::Simple(text) | Self::Error(text) | Self::Bulk(text) => {
                write!(f, " {}", escaped(text))
            }
            Self::Double(text) | Self::BigNumber(text) => write!(f, " {}", escaped(text)),
            Self::BulkError(text) | Self::Verbatim(text) => write!(f, " {}", escaped(text)),
            Self::Integer(value) => write!(f, " {value}"),
            Self::Boolean(value) => write!(f, " {value}"),
            Self::NullBulk | Self::NullArray | Self::Null => Ok(()),
            Self::Array(items) | Self::Set(items) | Self::Push(items) => list(f, items),
            Self::Map(_) => list(f, &self.items().unwrap_or_default()),
            Self::Attribute(_, reply) => write!(f, "(..) {reply}"),
        }
    }
}

/// Bytes as printable text in quotes; truncated after some hundred bytes.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    const SHOWN: usize = 160;
    let mut text = format!("\"{}", bytes[..bytes.len().min(SHOWN)].escape_ascii());
    match bytes.len() {
        0..=SHOWN => text.push('"'),
        len => {
            let tail = bytes[len - (len - SHOWN).min(16)..].escape_ascii();
            text.push_str(&format!("\"..\"{tail}\" ({len} bytes)"));
        }
    }
    text
}

fn read_line(from: &mut impl BufRead) -> Result<Vec<u8>, ReadError> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(ReadError::Closed);
    }
    if !line.ends_with(b"\r\n") {
        return Err(ReadError::Malformed(format!("line {}", escaped(&line))));
    }
    line.truncate(line.len() - 2);
    Ok(line)
}

fn read_bulk(from: &mut impl BufRead, len: i64) -> Result<Vec<u8>, ReadError> {
    const LEN_MAX: i64 = 1 << 30;
    if len > LEN_MAX {
        return Err(ReadError::Malformed(format!("a bulk of {len} bytes")));
    }
    let mut bytes = vec![0; usize::try_from(len).expect("checked above") + 2];
    from.read_exact(&mut bytes)?;
    if !bytes.ends_with(b"\r\n") {
        return Err(ReadError::Malformed(format!("bulk {}", escaped(&bytes))));
    }
    bytes.truncate(bytes.len() - 2);
    Ok(bytes)
}

fn pairs(items: Vec<Reply>) -> Vec<(Reply, Reply)> {
    let mut pairs = Vec::new();
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

/// A number in its one spelling: no plus, no leading zero, no space.
fn integer(text: &[u8]) -> Option<i64> {
    let value: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (value.to_string().as_bytes() == text).then_some(value)
}
