//! The `cjson` library: JSON to and from Lua values.
//!
//! The settings belong to one module table, so that `cjson.new()` has its own.

mod decode;
mod encode;

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Function, IntoLuaMulti, LightUserData, Lua, Result, Table, Value};

use super::arguments::Arguments;
use super::register;
use crate::text::until_nul;

const OFF_ON: &[&str] = &["off", "on"];
const OFF_ON_NULL: &[&str] = &["off", "on", "null"];

/// The settings of one module table.
#[derive(Debug)]
struct Settings {
    /// 1 to encode very sparse arrays as objects, 0 to refuse them.
    sparse_convert: Cell<i32>,
    /// How much larger than its count of elements an array's last index may be; 0: any.
    sparse_ratio: Cell<i32>,
    /// The last index up to which an array is never too sparse.
    sparse_safe: Cell<i32>,
    encode_max_depth: Cell<i32>,
    decode_max_depth: Cell<i32>,
    /// What to do with infinities and NaN: 0 refuse, 1 write, 2 write null.
    encode_invalid_numbers: Cell<i32>,
    /// 1 to read numbers that JSON does not know, as `inf` and `0x10`.
    decode_invalid_numbers: Cell<i32>,
    /// Read back by scripts; buffers do not outlive a call here in either case.
    keep_buffer: Cell<i32>,
    /// Digits of a number, 1 to 14.
    number_precision: Cell<i32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sparse_convert: Cell::new(0),
            sparse_ratio: Cell::new(2),
            sparse_safe: Cell::new(10),
            encode_max_depth: Cell::new(1000),
            decode_max_depth: Cell::new(1000),
            encode_invalid_numbers: Cell::new(0),
            decode_invalid_numbers: Cell::new(1),
            keep_buffer: Cell::new(1),
            number_precision: Cell::new(14),
        }
    }
}

/// Builds the table of functions, with settings of its own.
pub(super) fn module(lua: &Lua) -> Result<Table> {
    let next = lua.globals().raw_get("next")?;
    module_with(lua, &next)
}

fn module_with(lua: &Lua, next: &Function) -> Result<Table> {
    let module = lua.create_table()?;
    let settings = Rc::new(Settings::default());
    module.raw_set("null", Value::LightUserData(LightUserData(std::ptr::null_mut())))?;
    module.raw_set("_NAME", "cjson")?;
    module.raw_set("_VERSION", "2.1.0")?;

    let (own, own_next) = (Rc::clone(&settings), next.clone());
    register(lua, &module, "encode", move |arguments| encode::encode(arguments, &own, &own_next))?;
    let own_next = next.clone();
    register(lua, &module, "new", move |arguments| module_with(arguments.lua, &own_next))?;

    add(lua, &module, &settings, "decode", decode::decode)?;
    add(lua, &module, &settings, "encode_sparse_array", sparse_array)?;
    add(lua, &module, &settings, "encode_max_depth", |arguments, settings| {
        only_whole(arguments, &settings.encode_max_depth, i32::MAX)
    })?;
    add(lua, &module, &settings, "decode_max_depth", |arguments, settings| {
        only_whole(arguments, &settings.decode_max_depth, i32::MAX)
    })?;
    add(lua, &module, &settings, "encode_number_precision", |arguments, settings| {
        only_whole(arguments, &settings.number_precision, 14)
    })?;
    add(lua, &module, &settings, "encode_keep_buffer", |arguments, settings| {
        only_choice(arguments, &settings.keep_buffer, OFF_ON)
    })?;
    add(lua, &module, &settings, "encode_invalid_numbers", |arguments, settings| {
        only_choice(arguments, &settings.encode_invalid_numbers, OFF_ON_NULL)
    })?;
    add(lua, &module, &settings, "decode_invalid_numbers", |arguments, settings| {
        only_choice(arguments, &settings.decode_invalid_numbers, OFF_ON)
    })?;
    Ok(module)
}

/// Adds a function that uses the settings.
fn add<R: IntoLuaMulti + 'static>(
    lua: &Lua,
    module: &Table,
    settings: &Rc<Settings>,
    name: &str,
    function: fn(&Arguments<'_>, &Settings) -> Result<R>,
) -> Result<()> {
    let settings = Rc::clone(settings);
    register(lua, module, name, move |arguments| function(arguments, &settings))
}

fn sparse_array(arguments: &Arguments<'_>, settings: &Settings) -> Result<(Value, i32, i32)> {
    arguments_at_most(arguments, 3)?;
    Ok((
        choice(arguments, 1, &settings.sparse_convert, OFF_ON)?,
        whole(arguments, 2, &settings.sparse_ratio, 0, i32::MAX)?,
        whole(arguments, 3, &settings.sparse_safe, 0, i32::MAX)?,
    ))
}

fn arguments_at_most(arguments: &Arguments<'_>, count: usize) -> Result<()> {
    if arguments.len() > count {
        return Err(arguments.argument_error(count + 1, "found too many arguments"));
    }
    Ok(())
}

fn only_whole(arguments: &Arguments<'_>, setting: &Cell<i32>, max: i32) -> Result<i32> {
    arguments_at_most(arguments, 1)?;
    whole(arguments, 1, setting, 1, max)
}

/// Sets a number unless the argument is nil; the value in force.
fn whole(
    arguments: &Arguments<'_>,
    index: usize,
    setting: &Cell<i32>,
    min: i32,
    max: i32,
) -> Result<i32> {
    if !arguments.is_nil_or_none(index) {
        let value = arguments.integer(index)? as i32;
        if !(min..=max).contains(&value) {
            // Always index 1: that is what Redis's library says.
            let text = format!("expected integer between {min} and {max}");
            return Err(arguments.argument_error(1, text));
        }
        setting.set(value);
    }
    Ok(setting.get())
}

fn only_choice(
    arguments: &Arguments<'_>,
    setting: &Cell<i32>,
    options: &[&'static str],
) -> Result<Value> {
    arguments_at_most(arguments, 1)?;
    choice(arguments, 1, setting, options)
}

/// Sets one of the options, or off and on by a boolean; the value in force, a boolean if it can.
fn choice(
    arguments: &Arguments<'_>,
    index: usize,
    setting: &Cell<i32>,
    options: &[&'static str],
) -> Result<Value> {
    match arguments.get(index) {
        None | Some(Value::Nil) => {}
        Some(Value::Boolean(is_on)) => setting.set(i32::from(*is_on)),
        Some(_) => {
            let name = arguments.string(index)?;
            let name = name.as_bytes();
            let name = until_nul(&name);
            let Some(option) = options.iter().position(|option| option.as_bytes() == name) else {
                let text = [b"invalid option '".as_slice(), name, b"'"].concat();
                return Err(arguments.argument_error(index, text));
            };
            setting.set(option as i32);
        }
    }
    match setting.get() {
        0 => Ok(Value::Boolean(false)),
        1 => Ok(Value::Boolean(true)),
        other => {
            let name = options.get(other as usize).copied().unwrap_or_default();
            arguments.lua.create_string(name).map(Value::String)
        }
    }
}
