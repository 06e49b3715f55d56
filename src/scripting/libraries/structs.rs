//! The `struct` library: values to and from C structures in strings.

use mlua::{Error, Lua, LuaString, MultiValue, Result, Table, Value};

use super::arguments::{Arguments, number_of};
use super::numbers::{to_i64, to_u64};
use super::raise::Failure;
use super::{register, stack};
use crate::text::until_nul;

/// The largest size of an integer, in bytes.
const INTEGER_BYTES_MAX: usize = 32;
/// The alignment of `!` without a number, in bytes.
const NATIVE_ALIGN: i32 = 8;

/// Builds the table of functions.
pub(super) fn module(lua: &Lua) -> Result<Table> {
    let module = lua.create_table()?;
    register(lua, &module, "pack", pack)?;
    register(lua, &module, "unpack", unpack)?;
    register(lua, &module, "size", size)?;
    Ok(module)
}

/// The options of a format, read one after the other.
#[derive(Debug)]
struct Format<'a> {
    arguments: &'a Arguments<'a>,
    rest: &'a [u8],
    is_little_endian: bool,
    /// The largest alignment, in bytes.
    align: usize,
}

impl<'a> Format<'a> {
    fn new(arguments: &'a Arguments<'a>, text: &'a [u8]) -> Self {
        Self { arguments, rest: until_nul(text), is_little_endian: true, align: 1 }
    }

    /// The next option and the size of its value in bytes.
    fn next(&mut self) -> Result<Option<(u8, usize)>> {
        let Some((&option, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let size = match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'f' => 4,
            b'c' => self.number(1)? as usize,
            b'i' | b'I' => {
                let size = self.number(4)? as usize;
                if size > INTEGER_BYTES_MAX {
                    return Err(self.arguments.error(format!(
                        "integral size {size} is larger than limit of {INTEGER_BYTES_MAX}"
                    )));
                }
                size
            }
            _ => 0,
        };
        Ok(Some((option, size)))
    }

    /// The number that stands next, at least 0.
    fn number(&mut self, default: i32) -> Result<i32> {
        if !self.rest.first().is_some_and(u8::is_ascii_digit) {
            return Ok(default);
        }
        let mut number = 0_i32;
        while let Some((digit, rest)) = self.rest.split_first()
            && digit.is_ascii_digit()
        {
            number = number
                .checked_mul(10)
                .and_then(|number| number.checked_add(i32::from(digit - b'0')))
                .ok_or_else(|| self.arguments.error("integral size overflow"))?;
            self.rest = rest;
        }
        Ok(number)
    }

    /// The bytes of padding that a value of `size` bytes needs at `position`.
    fn padding(&self, position: usize, option: u8, size: usize) -> usize {
        if size == 0 || option == b'c' {
            return 0;
        }
        let size = size.min(self.align);
        size.wrapping_sub(position & (size - 1)) & (size - 1)
    }

    /// Applies an option that stands for no value.
    fn control(&mut self, option: u8) -> Result<()> {
        match option {
            b' ' => {}
            b'>' => self.is_little_endian = false,
            b'<' => self.is_little_endian = true,
            b'!' => {
                let align = self.number(NATIVE_ALIGN)?;
                if align.count_ones() != 1 {
                    return Err(self
                        .arguments
                        .error(format!("alignment {align} is not a power of 2")));
                }
                self.align = align as usize;
            }
            _ => {
                let text = [b"invalid format option '".as_slice(), &[option], b"'"].concat();
                return Err(self.arguments.argument_error(1, text));
            }
        }
        Ok(())
    }

    fn put(&self, out: &mut Vec<u8>, little_endian: &[u8]) {
        if self.is_little_endian {
            out.extend_from_slice(little_endian);
        } else {
            out.extend(little_endian.iter().rev());
        }
    }

    /// The bytes in little-endian order; at most `N` of them, the rest 0.
    fn take<const N: usize>(&self, data: &[u8]) -> [u8; N] {
        let mut bytes = [0; N];
        for (at, byte) in bytes.iter_mut().enumerate().take(data.len()) {
            *byte = if self.is_little_endian { data[at] } else { data[data.len() - 1 - at] };
        }
        bytes
    }
}

fn pack(arguments: &Arguments<'_>) -> Result<LuaString> {
    let text = arguments.string(1)?;
    let text = text.as_bytes();
    // Redis's library puts a nil on the stack before it reads the values.
    arguments.end_with_nil();
    let mut format = Format::new(arguments, &text);
    let mut out = Vec::new();
    let mut argument = 2;
    while let Some((option, size)) = format.next()? {
        let padding = format.padding(out.len(), option, size);
        out.resize(out.len() + padding, 0);
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let number = arguments.number(argument)?;
                let number =
                    if number < 0.0 { to_i64(number).cast_unsigned() } else { to_u64(number) };
                // Larger integers go on with zeros, negative ones too.
                let mut bytes = [0; INTEGER_BYTES_MAX];
                bytes[..8].copy_from_slice(&number.to_le_bytes());
                format.put(&mut out, &bytes[..size]);
                argument += 1;
            }
            b'x' => out.push(0),
            b'f' => {
                let number = arguments.number(argument)? as f32;
                format.put(&mut out, &number.to_le_bytes());
                argument += 1;
            }
            b'd' => {
                let number = arguments.number(argument)?;
                format.put(&mut out, &number.to_le_bytes());
                argument += 1;
            }
            b'c' | b's' => {
                let string = arguments.string(argument)?;
                let string = string.as_bytes();
                argument += 1;
                let size = if size == 0 { string.len() } else { size };
                let Some(part) = string.get(..size) else {
                    // The index is one too high: that is what Redis's library says.
                    return Err(arguments.argument_error(argument, "string too short"));
                };
                out.extend_from_slice(part);
                if option == b's' {
                    out.push(0);
                }
            }
            _ => format.control(option)?,
        }
    }
    arguments.lua.create_string(&out)
}

/// The values that a string holds, then the position after the last, counted from 1.
fn unpack(arguments: &Arguments<'_>) -> Result<MultiValue> {
    let text = arguments.string(1)?;
    let text = text.as_bytes();
    let data = arguments.string(2)?;
    let data = data.as_bytes();
    let start = arguments.integer_or(3, 1)?;
    if start == 0 {
        return Err(arguments.argument_error(3, "offset must be 1 or greater"));
    }
    // A negative start wraps, as there; only a format without values passes the check below.
    let mut position = start.wrapping_sub(1) as usize;
    let mut format = Format::new(arguments, &text);
    let mut results = Vec::new();
    while let Some((option, mut size)) = format.next()? {
        position = position.wrapping_add(format.padding(position, option, size));
        let field = field(arguments, &data, position, size)?;
        if !stack::has_room(arguments.len() + results.len(), 2) {
            return Err(Failure::Overflow("too many results").raise(arguments.lua));
        }
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let bits = u64::from_le_bytes(format.take(field));
                results.push(Value::Number(integer(bits, option, size)));
            }
            b'x' => {}
            b'f' => {
                let number = f32::from_le_bytes(format.take(field));
                results.push(Value::Number(f64::from(number)));
            }
            b'd' => results.push(Value::Number(f64::from_le_bytes(format.take(field)))),
            b'c' => {
                if size == 0 {
                    size = previous_size(arguments, &mut results)?;
                }
                let string = self::field(arguments, &data, position, size)?;
                results.push(string_result(arguments, string)?);
            }
            b's' => {
                let rest = data.get(position..).unwrap_or_default();
                let Some(len) = rest.iter().position(|byte| *byte == 0) else {
                    return Err(arguments.error("unfinished string in data"));
                };
                size = len + 1;
                results.push(string_result(arguments, &rest[..len])?);
            }
            _ => format.control(option)?,
        }
        position = position.wrapping_add(size);
    }
    results.push(Value::Number(position.wrapping_add(1).cast_signed() as f64));
    Ok(MultiValue::from_vec(results))
}

fn string_result(arguments: &Arguments<'_>, string: &[u8]) -> Result<Value> {
    // mlua's own limit on references is a little lower than Redis's on slots.
    arguments.lua.create_string(string).map(Value::String).map_err(|error| match error {
        Error::StackError => Failure::Overflow("too many results").raise(arguments.lua),
        error => error,
    })
}

/// The bytes of a value, checked against the end of the data.
fn field<'a>(
    arguments: &Arguments<'_>,
    data: &'a [u8],
    position: usize,
    size: usize,
) -> Result<&'a [u8]> {
    position
        .checked_add(size)
        .and_then(|end| data.get(position..end))
        .ok_or_else(|| arguments.argument_error(2, "data string too short"))
}

/// The value of an integer whose low 64 bits are given.
fn integer(bits: u64, option: u8, size: usize) -> f64 {
    if option.is_ascii_uppercase() {
        return bits as f64;
    }
    // The shift wraps at 64 as the processor's does: sizes over 8 extend from a low bit.
    let sign = u64::MAX.wrapping_shl((size as u32).wrapping_mul(8).wrapping_sub(1));
    let bits = if bits & sign != 0 { bits | sign } else { bits };
    bits.cast_signed() as f64
}

/// The size that `c0` takes from the result before it, which it removes.
fn previous_size(arguments: &Arguments<'_>, results: &mut Vec<Value>) -> Result<usize> {
    let number = match results.last() {
        Some(value) => number_of(arguments.lua, value)?,
        None => None,
    };
    let Some(number) = number else {
        return Err(arguments.error("format 'c0' needs a previous size"));
    };
    results.pop();
    Ok(to_u64(number) as usize)
}

/// The size of a structure in bytes.
fn size(arguments: &Arguments<'_>) -> Result<f64> {
    let text = arguments.string(1)?;
    let text = text.as_bytes();
    let mut format = Format::new(arguments, &text);
    let mut position = 0_usize;
    while let Some((option, size)) = format.next()? {
        position += format.padding(position, option, size);
        match (option, size) {
            (b's', _) => {
                return Err(arguments.argument_error(1, "option 's' has no fixed size"));
            }
            (b'c', 0) => {
                return Err(arguments.argument_error(1, "option 'c0' has no fixed size"));
            }
            _ if option.is_ascii_alphanumeric() => {}
            _ => format.control(option)?,
        }
        position += size;
    }
    Ok(position as f64)
}
