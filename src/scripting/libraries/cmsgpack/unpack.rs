//! MessagePack to Lua values.
//!
//! The reader keeps its own stack of open tables: deep input costs no stack of the thread, and a
//! length from the input reserves nothing.

use mlua::{Error, Lua, MultiValue, Table, Value};

use super::super::arguments::Arguments;
use super::super::raise::{Failure, Raised};
use super::super::stack;

type Result<T> = std::result::Result<T, Failure>;

const TOO_MANY_VALUES: &str =
    "too many return values at once; use unpack_one or unpack_limit instead.";

/// Unpacks all values.
pub(super) fn unpack(arguments: &Arguments<'_>) -> mlua::Result<MultiValue> {
    unpack_some(arguments, arguments.len(), 0, 0)
}

/// Unpacks one value from an offset: the next offset, then the value.
pub(super) fn unpack_one(arguments: &Arguments<'_>) -> mlua::Result<MultiValue> {
    let offset = arguments.integer_or(2, 0)?;
    unpack_some(arguments, 1, 1, offset)
}

/// Unpacks up to a count of values from an offset: the next offset, then the values.
pub(super) fn unpack_limit(arguments: &Arguments<'_>) -> mlua::Result<MultiValue> {
    let limit = arguments.integer(2)?;
    let offset = arguments.integer_or(3, 0)?;
    unpack_some(arguments, 1, limit, offset)
}

fn unpack_some(
    arguments: &Arguments<'_>,
    slots: usize,
    limit: i64,
    offset: i64,
) -> mlua::Result<MultiValue> {
    let input = arguments.string(1)?;
    let input = input.as_bytes();
    let len = input.len();
    if offset < 0 || limit < 0 {
        // The limit named is the length of the input: that is what Redis's library says.
        return Err(arguments.error(format!(
            "Invalid request to unpack with offset of {} and limit of {}.",
            offset as i32, len as i32
        )));
    }
    let Some(rest) = usize::try_from(offset).ok().and_then(|offset| input.get(offset..)) else {
        return Err(arguments.error(format!(
            "Start offset {} greater than input length {}.",
            offset as i32, len as i32
        )));
    };
    let is_all = limit == 0 && offset == 0;
    let limit = if is_all { i64::from(i32::MAX) } else { limit };

    let mut results = Vec::new();
    if !is_all {
        results.push(Value::Nil);
    }
    let mut reader = Reader { lua: arguments.lua, rest, open: Vec::new() };
    let mut slots = slots;
    let mut count = 0;
    while !reader.rest.is_empty() && count < limit {
        let value = reader.value(slots).map_err(|error| match error {
            // mlua's own limit on references is a little lower than Redis's on slots.
            Failure::Lua(Error::StackError) => {
                Failure::Overflow(TOO_MANY_VALUES).raise(arguments.lua)
            }
            error => error.raise(arguments.lua),
        })?;
        results.push(value);
        slots += 1;
        count += 1;
    }
    if !is_all {
        if !stack::has_room(slots, 1) {
            return Err(Failure::Overflow("in function mp_unpack_full").raise(arguments.lua));
        }
        let left = reader.rest.len();
        results[0] = Value::Integer(if left == 0 { -1 } else { (len - left) as i64 });
    }
    Ok(MultiValue::from_vec(results))
}

/// What the first bytes of a value tell.
#[derive(Debug)]
enum Item {
    Scalar(Value),
    /// An array of so many elements.
    Array(usize),
    /// A map of so many pairs.
    Map(usize),
}

/// A table that is being filled.
#[derive(Debug)]
struct Open {
    table: Table,
    /// Elements or pairs still to come.
    left: usize,
    /// Elements so far; `None` for a map.
    len: Option<i64>,
    /// The key whose value comes next, in a map.
    key: Option<Value>,
    /// Slots that Redis's library uses below the table.
    slots: usize,
}

impl Open {
    /// Slots in use when the next value is read: the table, and an index or key.
    fn slots_inside(&self) -> usize {
        let is_key_next = self.len.is_none() && self.key.is_none();
        self.slots + if is_key_next { 1 } else { 2 }
    }

    /// Takes a value: an element, a key, or the value of the key before it.
    fn add(&mut self, value: Value) -> Result<()> {
        if let Some(len) = &mut self.len {
            *len += 1;
            self.left -= 1;
            return Ok(self.table.raw_set(*len, value)?);
        }
        match self.key.take() {
            None => self.key = Some(value),
            Some(Value::Nil) => return Err(unplaced("table index is nil")),
            Some(Value::Number(key)) if key.is_nan() => {
                return Err(unplaced("table index is NaN"));
            }
            Some(key) => {
                self.left -= 1;
                self.table.raw_set(key, value)?;
            }
        }
        Ok(())
    }
}

/// An error that Lua's runtime raises in a C function: it has no position.
#[cold]
fn unplaced(text: &str) -> Failure {
    Failure::Lua(Raised { text: text.as_bytes().to_vec() }.into())
}

#[cold]
fn missing_bytes() -> Failure {
    Failure::Text("Missing bytes in input.".to_owned())
}

#[derive(Debug)]
struct Reader<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
    open: Vec<Open>,
}

impl<'a> Reader<'a> {
    /// Reads one value with all in it. `slots` are in use before it.
    fn value(&mut self, slots: usize) -> Result<Value> {
        loop {
            let slots = self.open.last().map_or(slots, Open::slots_inside);
            let (left, len) = match self.item(slots)? {
                Item::Scalar(scalar) => {
                    if let Some(value) = self.add(scalar)? {
                        return Ok(value);
                    }
                    continue;
                }
                Item::Array(left) => (left, Some(0)),
                Item::Map(left) => (left, None),
            };
            if len.is_some() && !stack::has_room(slots + 1, 1) {
                return Err(Failure::Overflow("in function mp_decode_to_lua_array"));
            }
            let table = self.lua.create_table()?;
            if left > 0 {
                self.open.push(Open { table, left, len, key: None, slots });
            } else if let Some(value) = self.add(Value::Table(table))? {
                return Ok(value);
            }
        }
    }

    /// Adds a value to the innermost table and closes all that are complete with it.
    ///
    /// Returns the value, or the outermost table, when no table is open any more.
    fn add(&mut self, mut value: Value) -> Result<Option<Value>> {
        while let Some(open) = self.open.last_mut() {
            open.add(value)?;
            if open.left > 0 {
                return Ok(None);
            }
            let complete = self.open.pop().expect("the innermost table was there");
            value = Value::Table(complete.table);
        }
        Ok(Some(value))
    }

    /// Reads a scalar or the header of a table.
    fn item(&mut self, slots: usize) -> Result<Item> {
        let mark = *self.rest.first().ok_or_else(missing_bytes)?;
        if !stack::has_room(slots, 1) {
            return Err(Failure::Overflow(TOO_MANY_VALUES));
        }
        self.rest = &self.rest[1..];
        let number = |number: f64| Ok(Item::Scalar(Value::Number(number)));
        match mark {
            0x00..=0x7f => number(f64::from(mark)),
            0x80..=0x8f => Ok(Item::Map(usize::from(mark & 0x0f))),
            0x90..=0x9f => Ok(Item::Array(usize::from(mark & 0x0f))),
            0xa0..=0xbf => self.string(usize::from(mark & 0x1f)),
            0xc0 => Ok(Item::Scalar(Value::Nil)),
            0xc2 | 0xc3 => Ok(Item::Scalar(Value::Boolean(mark == 0xc3))),
            0xca => number(f64::from(f32::from_be_bytes(self.bytes()?))),
            0xcb => number(f64::from_be_bytes(self.bytes()?)),
            0xcc => number(f64::from(u8::from_be_bytes(self.bytes()?))),
            0xcd => number(f64::from(u16::from_be_bytes(self.bytes()?))),
            0xce => number(f64::from(u32::from_be_bytes(self.bytes()?))),
            // Unsigned ones over 63 bits come out negative, as there.
            0xcf | 0xd3 => number(i64::from_be_bytes(self.bytes()?) as f64),
            0xd0 => number(f64::from(i8::from_be_bytes(self.bytes()?))),
            0xd1 => number(f64::from(i16::from_be_bytes(self.bytes()?))),
            0xd2 => number(f64::from(i32::from_be_bytes(self.bytes()?))),
            0xd9 => {
                let len = self.len8()?;
                self.string(len)
            }
            0xda => {
                let len = self.len16()?;
                self.string(len)
            }
            0xdb => {
                let len = self.len32()?;
                self.string(len)
            }
            0xdc => self.len16().map(Item::Array),
            0xdd => self.len32().map(Item::Array),
            0xde => self.len16().map(Item::Map),
            0xdf => self.len32().map(Item::Map),
            0xe0..=0xff => number(f64::from(mark.cast_signed())),
            _ => Err(Failure::Text("Bad data format in input.".to_owned())),
        }
    }

    fn len8(&mut self) -> Result<usize> {
        self.bytes().map(|bytes| usize::from(u8::from_be_bytes(bytes)))
    }

    fn len16(&mut self) -> Result<usize> {
        self.bytes().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    fn len32(&mut self) -> Result<usize> {
        self.bytes().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    fn string(&mut self, len: usize) -> Result<Item> {
        let bytes = self.take(len)?;
        Ok(Item::Scalar(Value::String(self.lua.create_string(bytes)?)))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(missing_bytes)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or_else(missing_bytes)?;
        self.rest = rest;
        Ok(bytes)
    }
}
