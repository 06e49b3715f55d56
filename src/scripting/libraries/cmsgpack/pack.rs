//! Lua values to MessagePack.

use mlua::{Error, Function, LuaString, Table, Value};

use super::super::arguments::Arguments;
use super::super::numbers::to_i64;
use super::super::raise::Failure;
use super::super::stack;
use super::super::walk::{Format, Place, Shape, Sink, Walk};

type Result<T> = std::result::Result<T, Failure>;

/// Tables nested deeper are packed as nil.
const DEPTH_MAX: usize = 16;

/// Packs the arguments one after the other.
pub(super) fn pack(arguments: &Arguments<'_>, next: &Function) -> mlua::Result<LuaString> {
    let count = arguments.len();
    if count == 0 {
        return Err(arguments.argument_error(0, "MessagePack pack needs input."));
    }
    if !stack::has_room(count, count) {
        return Err(arguments.argument_error(0, "Too many arguments for MessagePack pack."));
    }
    let out = pack_all(arguments, next).map_err(|error| error.raise(arguments.lua))?;
    arguments.lua.create_string(&out)
}

fn pack_all(arguments: &Arguments<'_>, next: &Function) -> Result<Vec<u8>> {
    let count = arguments.len();
    let mut out = Vec::new();
    for index in 1..=count {
        // The arguments, one result for each before this one, and a copy of this one.
        let slots = count + index;
        match arguments.get(index) {
            Some(Value::Table(table)) => {
                let mut walk = Walk::new(next, &MessagePack, out);
                walk.table(table.clone(), slots)?;
                out = walk.into_output();
            }
            Some(scalar) => write_scalar(scalar, &mut out),
            None => {}
        }
    }
    Ok(out)
}

/// MessagePack as Redis's library writes it.
#[derive(Debug)]
struct MessagePack;

impl Format for MessagePack {
    fn open(&self, table: &Table, place: Place, out: &mut Vec<u8>) -> Result<Shape> {
        if !stack::has_room(place.slots, 2) {
            return Err(Failure::Overflow("in function table_is_an_array"));
        }
        if let Some(len) = array_len(table)? {
            if !stack::has_room(place.slots, 1) {
                return Err(Failure::Overflow("in function mp_encode_lua_table_as_array"));
            }
            write_header(out, len, [0x90, 0xdc, 0xdd]);
            return Ok(Shape::Array(len));
        }
        if !stack::has_room(place.slots, 3) {
            return Err(Failure::Overflow("in function mp_encode_lua_table_as_map"));
        }
        let mut len = 0;
        table.for_each(|_: bool, _: bool| {
            len += 1;
            Ok(())
        })?;
        write_header(out, len, [0x80, 0xde, 0xdf]);
        Ok(Shape::Map)
    }

    fn element(&self, value: Value, _is_first: bool, sink: &mut Sink<'_>) -> Result<()> {
        write(value, 1, sink);
        Ok(())
    }

    fn pair(&self, key: &Value, value: Value, _is_first: bool, sink: &mut Sink<'_>) -> Result<()> {
        match key {
            Value::Table(table) => write(Value::Table(table.clone()), 3, sink),
            key => write_scalar(key, sink.out),
        }
        write(value, 2, sink);
        Ok(())
    }

    fn close(&self, _shape: Shape, _out: &mut Vec<u8>) {}
}

/// The length of a table whose keys are exactly 1 to that length.
fn array_len(table: &Table) -> Result<Option<usize>> {
    let mut max = 0_i32;
    let mut count = 0_i32;
    let mut is_array = true;
    let result = table.for_each(|key: Value, _: bool| {
        let index = match key {
            Value::Integer(index) => i32::try_from(index).unwrap_or(0),
            _ => 0,
        };
        if index <= 0 {
            is_array = false;
            return Err(Error::StackError);
        }
        max = max.max(index);
        count = count.wrapping_add(1);
        Ok(())
    });
    if !is_array {
        return Ok(None);
    }
    result?;
    Ok((max == count).then_some(max as usize))
}

fn write(value: Value, slots: usize, sink: &mut Sink<'_>) {
    match value {
        Value::Table(_) if sink.depth() >= DEPTH_MAX => sink.out.push(0xc0),
        Value::Table(table) => sink.table(table, slots),
        scalar => write_scalar(&scalar, sink.out),
    }
}

fn write_scalar(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(string) => write_string(&string.as_bytes(), out),
        Value::Boolean(true) => out.push(0xc3),
        Value::Boolean(false) => out.push(0xc2),
        Value::Integer(integer) => write_integer(*integer, out),
        Value::Number(number) => write_number(*number, out),
        _ => out.push(0xc0),
    }
}

fn write_string(string: &[u8], out: &mut Vec<u8>) {
    let len = string.len();
    match len {
        0..=31 => out.push(0xa0 | len as u8),
        32..=0xff => out.extend_from_slice(&[0xd9, len as u8]),
        0x100..=0xffff => {
            out.push(0xda);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(string);
}

fn write_number(number: f64, out: &mut Vec<u8>) {
    let integer = to_i64(number);
    let single = number as f32;
    if number.is_finite() && integer as f64 == number {
        write_integer(integer, out);
    } else if f64::from(single) == number {
        out.push(0xca);
        out.extend_from_slice(&single.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// Writes an integer in the shortest form.
fn write_integer(integer: i64, out: &mut Vec<u8>) {
    let (mark, len) = match integer {
        -32..=0x7f => {
            out.push(integer as u8);
            return;
        }
        0x80..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..=-33 => (0xd0, 1),
        -0x8000..=-0x81 => (0xd1, 2),
        -0x8000_0000..=-0x8001 => (0xd2, 4),
        _ => (0xd3, 8),
    };
    out.push(mark);
    out.extend_from_slice(&integer.to_be_bytes()[8 - len..]);
}

/// Writes the header of an array or map: the marks for a length below 16, 16 bits and 32 bits.
fn write_header(out: &mut Vec<u8>, len: usize, marks: [u8; 3]) {
    match len {
        0..=15 => out.push(marks[0] | len as u8),
        16..=0xffff => {
            out.push(marks[1]);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(marks[2]);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
}
