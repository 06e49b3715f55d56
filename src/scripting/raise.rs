//! Errors that Rust functions raise in Lua, and what scripts see of them.
//!
//! The binding raises only objects of its own. Whoever can catch an error (pcall, xpcall,
//! coroutine.resume, the end of a run) asks [`reveal`] for the value that Redis would have raised.

use std::error::Error as StdError;
use std::fmt;

use bstr::{BStr, ByteSlice};
use mlua::{Error, Lua, MultiValue, Result, Value};

use super::libraries;
use super::names::Names;

/// The chunk name of `prelude.lua` and `session.lua`, whose functions count as functions in C.
pub(super) const PRELUDE: &str = "=(scripting)";

/// What a function raises.
#[derive(Clone, Debug)]
pub(super) enum Raised {
    /// A table with `err`, and a mark if the error is in the statistics already.
    Reply { text: Vec<u8>, counted: bool },
    /// A string.
    Message(Vec<u8>),
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Reply { text, .. } | Self::Message(text)) = self;
        fmt::Display::fmt(BStr::new(text), f)
    }
}

impl StdError for Raised {}

/// An error with the form of a reply: `-CODE text`, or a text that gets the code ERR.
pub(super) fn reply(text: &str) -> Error {
    Error::external(Raised::Reply { text: error_text(text.as_bytes()), counted: false })
}

/// An error message with the place of the caller in front, as `luaL_error` gives it.
pub(super) fn message(lua: &Lua, text: &str) -> Error {
    let mut full = caller_place(lua, 1);
    full.extend_from_slice(text.as_bytes());
    Error::external(Raised::Message(full))
}

/// An error message without a place.
pub(super) fn bare_message(text: &str) -> Error {
    Error::external(Raised::Message(text.as_bytes().to_vec()))
}

/// `bad argument #position to 'name' (reason)`, with the name by which the script called it.
pub(super) fn bad_argument(lua: &Lua, position: usize, reason: &str) -> Error {
    let name = lua.inspect_stack(0, |frame| frame.names().name.map(|name| name.into_owned()));
    let name = name.flatten().unwrap_or_else(|| "?".to_owned());
    message(lua, &format!("bad argument #{position} to '{name}' ({reason})"))
}

/// `expected expected, got type` for the argument at `position`, which counts from 1.
pub(super) fn bad_type(lua: &Lua, args: &MultiValue, position: usize, expected: &str) -> Error {
    let got = args.get(position - 1).map_or("no value", type_name);
    bad_argument(lua, position, &format!("{expected} expected, got {got}"))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) | Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        _ => "userdata",
    }
}

/// `chunk:line: ` of the function at a level of the stack; nothing if it has no line.
fn caller_place(lua: &Lua, level: usize) -> Vec<u8> {
    let place = lua.inspect_stack(level, |frame| {
        let line = frame.current_line()?;
        Some(format!("{}:{line}: ", frame.source().short_src.unwrap_or_default()).into_bytes())
    });
    place.flatten().unwrap_or_default()
}

/// The text of an `err` field: the code, a space, and the text without line breaks at its ends.
pub(super) fn error_text(raw: &[u8]) -> Vec<u8> {
    let raw = up_to_zero(raw);
    let (code, text) = match raw.strip_prefix(b"-") {
        None => (&b"ERR"[..], raw),
        Some(rest) => match rest.find_byte(b' ') {
            Some(space) => (&rest[..space], &rest[space + 1..]),
            None => (&b"ERR"[..], rest),
        },
    };
    [code, b" ", text.trim_with(|c| c == '\r' || c == '\n')].concat()
}

/// What C would read of a string: the bytes before the first zero byte.
pub(super) fn up_to_zero(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.find_byte(0).unwrap_or(bytes.len())]
}

/// The value that stands for an error: the table or string that Redis would have raised.
pub(super) fn reveal(lua: &Lua, names: &Names, error: Value) -> Result<Value> {
    let Value::Error(error) = error else { return Ok(error) };
    if let Some(raised) = error.downcast_ref::<libraries::Raised>() {
        return lua.create_string(&raised.text).map(Value::String);
    }
    match error.downcast_ref::<Raised>() {
        Some(Raised::Reply { text, counted }) => error_table(lua, names, text, *counted),
        Some(Raised::Message(text)) => lua.create_string(text).map(Value::String),
        None => lua.create_string(foreign_text(&error)).map(Value::String),
    }
}

fn foreign_text(error: &Error) -> String {
    match error {
        Error::RuntimeError(text) | Error::MemoryError(text) => text.clone(),
        Error::CallbackError { cause, .. } => foreign_text(cause),
        other => other.to_string(),
    }
}

/// An error as a reply's text, with its code.
pub(super) fn reply_text(error: &Error) -> Vec<u8> {
    match error.downcast_ref::<Raised>() {
        Some(Raised::Reply { text, .. }) => text.clone(),
        _ => format!("ERR {}", foreign_text(error)).into_bytes(),
    }
}

/// `{err = text}`, with the mark of a counted error.
pub(super) fn error_table(lua: &Lua, names: &Names, text: &[u8], counted: bool) -> Result<Value> {
    let table = lua.create_table()?;
    table.raw_set(&names.err, BStr::new(text))?;
    if counted {
        table.raw_set(&names.counted, true)?;
    }
    Ok(Value::Table(table))
}

/// A frame of the stack as the error handler reports it.
struct Place {
    source: String,
    line: i64,
}

/// The handler at the bottom of a run: makes a table of whatever was raised, and says where.
pub(super) fn trap(lua: &Lua, names: &Names, raised: Value) -> Result<Value> {
    let place = raising_place(lua);
    let raised = reveal(lua, names, raised)?;
    let table = match raised {
        Value::Table(table) => table,
        other => {
            let mut text = b"ERR ".to_vec();
            let shown: mlua::LuaString = names.tostring()?.call(other)?;
            text.extend_from_slice(&shown.as_bytes());
            let table = lua.create_table()?;
            table.raw_set(&names.err, BStr::new(&text))?;
            table
        }
    };
    if let Some(place) = place {
        table.set(&names.source, place.source)?;
        table.set(&names.line, place.line)?;
    }
    Ok(Value::Table(table))
}

/// Where the script stood: the function that raised, or its caller if that one is in C, as Redis's
/// handler looks it up. Level 0 is the handler.
fn raising_place(lua: &Lua) -> Option<Place> {
    let mut level = 1;
    let in_prelude = |level| frame(lua, level).is_some_and(|(place, _)| place.source == PRELUDE);
    let first_is_c = frame(lua, 1)?.1 == "C";
    if !first_is_c && !in_prelude(1) {
        return frame(lua, 1).map(|(place, _)| place);
    }
    level += usize::from(first_is_c);
    let mut replaced = false;
    while in_prelude(level) {
        replaced = true;
        level += 1;
    }
    // A function in Lua that stands for one in C loses its caller's frame to a tail call: the line
    // is not known then.
    let known = |what: &str| !replaced || !matches!(what, "tail" | "C");
    let found = frame(lua, level).filter(|(_, what)| known(what))?;
    // The outermost function is what runs the script: it is no part of it.
    frame(lua, level + 1).map(|_| found.0)
}

fn frame(lua: &Lua, level: usize) -> Option<(Place, &'static str)> {
    lua.inspect_stack(level, |frame| {
        let source = frame.source();
        let place = Place {
            source: source.source.unwrap_or_default().into_owned(),
            line: frame.current_line().map_or(-1, |line| line as i64),
        };
        (place, source.what)
    })
}
