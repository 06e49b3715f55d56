//! Replies of commands as Lua values, read from their RESP bytes without a tree in between.

use bstr::{BStr, ByteSlice};
use mlua::{Either, Error, Lua, Result, Value};

use super::names::Names;
use super::raise::{error_table, error_text};
use crate::number::parse_i64;

/// A string that the binding puts on Lua's stack: text without a handle.
type Bytes<'a> = Either<&'a str, &'a BStr>;

/// An element of an array.
type Element<'a> = Either<Bytes<'a>, Value>;

pub(super) fn string(bytes: &[u8]) -> Bytes<'_> {
    bytes.to_str().map_or_else(|_| Either::Right(BStr::new(bytes)), Either::Left)
}

/// A reply that is one plain value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plain<'a> {
    Bulk(&'a [u8]),
    Status(&'a [u8]),
    Integer(i64),
    Boolean(bool),
    Nil,
}

/// The value of a reply, if that is plain. As with [`Replies`], null is false in RESP2.
pub(super) fn plain(reply: &[u8]) -> Option<Plain<'_>> {
    let (&kind, rest) = reply.split_first()?;
    let end = rest.iter().position(|&byte| byte == b'\r')?;
    let (line, rest) = (rest.get(..end)?, rest.get(end + 2..)?);
    Some(match kind {
        b'$' => match parse_i64(line)? {
            -1 => Plain::Boolean(false),
            len => Plain::Bulk(rest.get(..usize::try_from(len).ok()?)?),
        },
        b'+' => Plain::Status(line),
        b':' => Plain::Integer(parse_i64(line)?),
        b'#' => Plain::Boolean(line == b"t"),
        b'_' => Plain::Nil,
        _ => return None,
    })
}

/// Reads one reply after the other.
#[derive(Debug)]
pub(super) struct Replies<'a> {
    lua: &'a Lua,
    names: &'a Names,
    rest: &'a [u8],
}

impl<'a> Replies<'a> {
    pub(super) fn new(lua: &'a Lua, names: &'a Names, bytes: &'a [u8]) -> Self {
        Self { lua, names, rest: bytes }
    }

    /// The next reply as Redis's scripts see it: null is false in RESP2 and nil in RESP3, an error
    /// is a table with `err`, attributes are left out.
    pub(super) fn value(&mut self) -> Result<Value> {
        match self.element()? {
            Either::Left(Either::Left(text)) => self.lua.create_string(text).map(Value::String),
            Either::Left(Either::Right(bytes)) => self.lua.create_string(bytes).map(Value::String),
            Either::Right(value) => Ok(value),
        }
    }

    fn element(&mut self) -> Result<Element<'a>> {
        let (kind, line) = self.line()?;
        let value = match kind {
            b'$' => match length(line)? {
                Some(len) => return Ok(Either::Left(string(self.bytes(len)?))),
                None => Value::Boolean(false),
            },
            b'+' => self.field(&self.names.ok, string(line))?,
            b'-' => {
                let text = error_text(&[b"-", line].concat());
                error_table(self.lua, self.names, &text, true)?
            }
            b':' => Value::Number(integer(line)? as f64),
            b'*' => match length(line)? {
                Some(len) => self.array(len)?,
                None => Value::Boolean(false),
            },
            b'~' => self.set(required(line)?)?,
            b'%' => self.map(required(line)?)?,
            b'#' => Value::Boolean(line == b"t"),
            b',' => self.field(&self.names.double, double(line))?,
            b'_' => Value::Nil,
            b'(' => self.field(&self.names.big_number, BStr::new(line))?,
            b'=' => self.verbatim(required(line)?)?,
            b'|' => {
                for _ in 0..2 * required(line)? {
                    self.skip()?;
                }
                return self.element();
            }
            _ => return Err(malformed()),
        };
        Ok(Either::Right(value))
    }

    /// Arrays grow as they are filled, as in Redis: the length operator depends on it.
    fn array(&mut self, len: usize) -> Result<Value> {
        let (lua, mut failure) = (self.lua, None);
        let mut left = len;
        let elements = std::iter::from_fn(|| {
            left = left.checked_sub(1)?;
            self.element().map_err(|error| failure = Some(error)).ok()
        });
        let table = lua.create_sequence_from(elements)?;
        failure.map_or(Ok(Value::Table(table)), Err)
    }

    fn map(&mut self, pairs: usize) -> Result<Value> {
        let map = self.lua.create_table()?;
        for _ in 0..pairs {
            let key = self.value()?;
            let value = self.element()?;
            map.raw_set(key, value)?;
        }
        self.field(&self.names.map, map)
    }

    fn set(&mut self, len: usize) -> Result<Value> {
        let set = self.lua.create_table()?;
        for _ in 0..len {
            let member = self.element()?;
            set.raw_set(member, true)?;
        }
        self.field(&self.names.set, set)
    }

    fn verbatim(&mut self, len: usize) -> Result<Value> {
        let bytes = self.bytes(len)?;
        let (Some(format), Some(text)) = (bytes.get(..3), bytes.get(4..)) else {
            return Err(malformed());
        };
        let inner = self.lua.create_table()?;
        inner.raw_set(&self.names.string, BStr::new(text))?;
        inner.raw_set(&self.names.format, BStr::new(format))?;
        self.field(&self.names.verbatim_string, inner)
    }

    fn field(&self, name: &mlua::LuaString, value: impl mlua::IntoLua) -> Result<Value> {
        let table = self.lua.create_table()?;
        table.raw_set(name, value)?;
        Ok(Value::Table(table))
    }

    fn skip(&mut self) -> Result<()> {
        let (kind, line) = self.line()?;
        let nested = match kind {
            b'$' | b'=' => {
                if let Some(len) = length(line)? {
                    self.bytes(len)?;
                }
                0
            }
            b'*' | b'~' => length(line)?.unwrap_or(0),
            b'%' => 2 * required(line)?,
            b'|' => 2 * required(line)? + 1,
            _ => 0,
        };
        (0..nested).try_for_each(|_| self.skip())
    }

    fn line(&mut self) -> Result<(u8, &'a [u8])> {
        let end = self.rest.find_byte(b'\r').ok_or_else(malformed)?;
        let (line, rest) = self.rest.split_at(end);
        let (&kind, line) = line.split_first().ok_or_else(malformed)?;
        self.rest = rest.get(2..).ok_or_else(malformed)?;
        Ok((kind, line))
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let bytes = self.rest.get(..len).ok_or_else(malformed)?;
        self.rest = self.rest.get(len + 2..).ok_or_else(malformed)?;
        Ok(bytes)
    }
}

fn malformed() -> Error {
    Error::runtime("a command gave a malformed reply")
}

fn integer(line: &[u8]) -> Result<i64> {
    parse_i64(line).ok_or_else(malformed)
}

/// A length; `None` for -1.
fn length(line: &[u8]) -> Result<Option<usize>> {
    match integer(line)? {
        -1 => Ok(None),
        len => usize::try_from(len).map(Some).map_err(|_| malformed()),
    }
}

fn required(line: &[u8]) -> Result<usize> {
    length(line)?.ok_or_else(malformed)
}

fn double(line: &[u8]) -> f64 {
    line.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}
