//! The arguments of a call, with Lua's conversions and its texts for what does not convert.

use std::cell::Cell;

use mlua::{Error, Lua, LuaString, MultiValue, Result, Value};

use super::numbers::to_i64;
use super::raise;

/// The arguments of one call. Indices count from 1, as in the error texts.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    pub(super) lua: &'a Lua,
    values: MultiValue,
    /// The type that error texts name past the last argument.
    missing: Cell<&'static str>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(lua: &'a Lua, values: MultiValue) -> Self {
        Self { lua, values, missing: Cell::new("no value") }
    }

    /// Error texts call what is missing nil, as if a nil stood after the last argument.
    pub(super) fn end_with_nil(&self) {
        self.missing.set("nil");
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The argument, or `None` past the last.
    pub(super) fn get(&self, index: usize) -> Option<&Value> {
        self.values.get(index.wrapping_sub(1))
    }

    pub(super) fn is_nil_or_none(&self, index: usize) -> bool {
        matches!(self.get(index), None | Some(Value::Nil))
    }

    /// A number, or a string that spells one.
    pub(super) fn number(&self, index: usize) -> Result<f64> {
        match self.get(index) {
            Some(Value::Number(number)) => Ok(*number),
            Some(Value::Integer(integer)) => Ok(*integer as f64),
            Some(value @ Value::String(_)) => match number_of(self.lua, value)? {
                Some(number) => Ok(number),
                None => Err(self.type_error(index, "number")),
            },
            _ => Err(self.type_error(index, "number")),
        }
    }

    /// A number cut to an integer.
    pub(super) fn integer(&self, index: usize) -> Result<i64> {
        self.number(index).map(to_i64)
    }

    /// As [`Self::integer`], or `default` where nil or nothing stands.
    pub(super) fn integer_or(&self, index: usize, default: i64) -> Result<i64> {
        if self.is_nil_or_none(index) { Ok(default) } else { self.integer(index) }
    }

    /// A string, or a number in Lua's spelling.
    pub(super) fn string(&self, index: usize) -> Result<LuaString> {
        match self.get(index) {
            Some(Value::String(string)) => Ok(string.clone()),
            Some(value @ (Value::Number(_) | Value::Integer(_))) => {
                match self.lua.coerce_string(value.clone())? {
                    Some(string) => Ok(string),
                    None => Err(self.type_error(index, "string")),
                }
            }
            _ => Err(self.type_error(index, "string")),
        }
    }

    /// An error with the position of the caller in front.
    pub(super) fn error(&self, text: impl AsRef<[u8]>) -> Error {
        raise::error(self.lua, text)
    }

    pub(super) fn argument_error(&self, index: usize, text: impl AsRef<[u8]>) -> Error {
        raise::argument_error(self.lua, index, text)
    }

    #[cold]
    pub(super) fn type_error(&self, index: usize, expected: &str) -> Error {
        let got = self.get(index).map_or_else(|| self.missing.get(), type_name);
        self.argument_error(index, format!("{expected} expected, got {got}"))
    }
}

/// What Lua calls the type of a value.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) | Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        Value::LightUserData(_) | Value::UserData(_) | Value::Error(_) | Value::Other(_) => {
            "userdata"
        }
    }
}

/// The number that a number or a string stands for.
pub(super) fn number_of(lua: &Lua, value: &Value) -> Result<Option<f64>> {
    match value {
        Value::Number(number) => Ok(Some(*number)),
        Value::Integer(integer) => Ok(Some(*integer as f64)),
        Value::String(_) => lua.coerce_number(value.clone()),
        _ => Ok(None),
    }
}
