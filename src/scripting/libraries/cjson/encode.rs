//! Lua values to JSON.

use mlua::{Error, Function, LuaString, Table, Value};

use super::super::arguments::{Arguments, type_name};
use super::super::numbers::write_general;
use super::super::raise::Failure;
use super::super::stack;
use super::super::walk::{Format, Place, Shape, Sink, Walk};
use super::Settings;

type Result<T> = std::result::Result<T, Failure>;

/// Slots that visiting a table takes: its key, its value and an error text.
const VISIT_SLOTS: usize = 3;

/// Encodes the argument.
pub(super) fn encode(
    arguments: &Arguments<'_>,
    settings: &Settings,
    next: &Function,
) -> mlua::Result<LuaString> {
    let (1, Some(value)) = (arguments.len(), arguments.get(1)) else {
        return Err(arguments.argument_error(1, "expected 1 argument"));
    };
    let out = encode_value(value, settings, next).map_err(|error| error.raise(arguments.lua))?;
    arguments.lua.create_string(&out)
}

fn encode_value(value: &Value, settings: &Settings, next: &Function) -> Result<Vec<u8>> {
    let json = Json { settings };
    match value {
        Value::Table(table) => {
            let mut walk = Walk::new(next, &json, Vec::new());
            match walk.table(table.clone(), 1) {
                Ok(()) => Ok(walk.into_output()),
                // mlua's own limit on references is a little lower than Redis's on slots.
                Err(Failure::Lua(Error::StackError)) => Err(too_deep(walk.depth() + 1)),
                Err(error) => Err(error),
            }
        }
        scalar => {
            let mut out = Vec::new();
            json.scalar(scalar, &mut out)?;
            Ok(out)
        }
    }
}

/// JSON under the settings of a module table.
#[derive(Debug)]
struct Json<'a> {
    settings: &'a Settings,
}

impl Format for Json<'_> {
    fn open(&self, table: &Table, place: Place, out: &mut Vec<u8>) -> Result<Shape> {
        if place.depth > self.settings.encode_max_depth.get() as usize
            || !stack::has_room(place.slots, VISIT_SLOTS)
        {
            return Err(too_deep(place.depth));
        }
        match self.array_len(table)? {
            len @ 1.. => {
                out.push(b'[');
                Ok(Shape::Array(len as usize))
            }
            _ => {
                out.push(b'{');
                Ok(Shape::Map)
            }
        }
    }

    fn element(&self, value: Value, is_first: bool, sink: &mut Sink<'_>) -> Result<()> {
        if !is_first {
            sink.out.push(b',');
        }
        match value {
            Value::Table(table) => sink.table(table, 1),
            scalar => self.scalar(&scalar, sink.out)?,
        }
        Ok(())
    }

    fn pair(&self, key: &Value, value: Value, is_first: bool, sink: &mut Sink<'_>) -> Result<()> {
        if !is_first {
            sink.out.push(b',');
        }
        match key {
            Value::String(key) => write_string(&key.as_bytes(), sink.out),
            Value::Integer(_) | Value::Number(_) => {
                sink.out.push(b'"');
                self.scalar(key, sink.out)?;
                sink.out.push(b'"');
            }
            other => return Err(refuse(other, "table key must be a number or string")),
        }
        sink.out.push(b':');
        match value {
            Value::Table(table) => sink.table(table, 2),
            scalar => self.scalar(&scalar, sink.out)?,
        }
        Ok(())
    }

    fn close(&self, shape: Shape, out: &mut Vec<u8>) {
        out.push(match shape {
            Shape::Array(_) => b']',
            Shape::Map => b'}',
        });
    }
}

impl Json<'_> {
    /// The last index of a table that is an array, below 1 if it is none.
    ///
    /// An index over 31 bits counts as the lowest number, so such tables become objects.
    fn array_len(&self, table: &Table) -> Result<i32> {
        let mut max = 0_i32;
        let mut items = 0_i32;
        let mut is_array = true;
        // As a boolean a value costs nothing: only keys matter.
        let result = table.for_each(|key: Value, _: bool| {
            let index = match key {
                Value::Integer(index) => index as f64,
                Value::Number(index) => index,
                _ => 0.0,
            };
            if index < 1.0 || index.floor() != index {
                is_array = false;
                return Err(Error::StackError);
            }
            if index > f64::from(max) {
                max = if index <= f64::from(i32::MAX) { index as i32 } else { i32::MIN };
            }
            items = items.wrapping_add(1);
            Ok(())
        });
        if !is_array {
            return Ok(-1);
        }
        result?;
        let ratio = self.settings.sparse_ratio.get();
        let is_sparse =
            ratio > 0 && max > items.wrapping_mul(ratio) && max > self.settings.sparse_safe.get();
        if !is_sparse {
            Ok(max)
        } else if self.settings.sparse_convert.get() == 1 {
            Ok(-1)
        } else {
            Err(Failure::Text("Cannot serialise table: excessively sparse array".to_owned()))
        }
    }

    fn scalar(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        match value {
            Value::Nil => out.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => {
                out.extend_from_slice(b"null");
            }
            Value::Boolean(true) => out.extend_from_slice(b"true"),
            Value::Boolean(false) => out.extend_from_slice(b"false"),
            Value::String(string) => write_string(&string.as_bytes(), out),
            Value::Integer(integer) => self.number(value, *integer as f64, out)?,
            Value::Number(number) => self.number(value, *number, out)?,
            other => return Err(refuse(other, "type not supported")),
        }
        Ok(())
    }

    fn number(&self, value: &Value, number: f64, out: &mut Vec<u8>) -> Result<()> {
        if !number.is_finite() {
            match self.settings.encode_invalid_numbers.get() {
                0 => return Err(refuse(value, "must not be NaN or Inf")),
                1 if number.is_nan() => {
                    out.extend_from_slice(b"nan");
                    return Ok(());
                }
                1 => {}
                _ => {
                    out.extend_from_slice(b"null");
                    return Ok(());
                }
            }
        }
        write_general(out, number, self.settings.number_precision.get() as usize);
        Ok(())
    }
}

#[cold]
fn too_deep(depth: usize) -> Failure {
    Failure::Text(format!("Cannot serialise, excessive nesting ({depth})"))
}

#[cold]
fn refuse(value: &Value, reason: &str) -> Failure {
    Failure::Text(format!("Cannot serialise {}: {reason}", type_name(value)))
}

/// Appends a string with quotes and escapes.
fn write_string(mut string: &[u8], out: &mut Vec<u8>) {
    out.reserve(string.len() + 2);
    out.push(b'"');
    while let Some(at) = string.iter().position(|byte| ESCAPED[usize::from(*byte)]) {
        out.extend_from_slice(&string[..at]);
        write_escape(string[at], out);
        string = &string[at + 1..];
    }
    out.extend_from_slice(string);
    out.push(b'"');
}

/// The bytes that do not stand for themselves.
const ESCAPED: [bool; 256] = {
    let mut escaped = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        escaped[byte] = byte < 0x20 || byte == 0x7f;
        byte += 1;
    }
    escaped[b'"' as usize] = true;
    escaped[b'/' as usize] = true;
    escaped[b'\\' as usize] = true;
    escaped
};

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'/' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', DIGITS[high], DIGITS[low]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
