//! `pcall` and `xpcall` that hand a script the text of an error which a Rust function raised.
//!
//! mlua throws the errors of Rust functions as userdata, where scripts expect strings.

use mlua::{Error, Lua, Result, Value};

use super::raise::Raised;

/// The functions stay Lua code over Lua's own `pcall`, so that protected calls nest as deep as there.
const SOURCE: &str = "
local pcall, xpcall, type, error, select, plain = ...
local function settle(ok, ...)
  if ok then return true, ... end
  return false, plain((...))
end
local function protected(...)
  if select('#', ...) == 0 then error(\"bad argument #1 to 'pcall' (value expected)\", 2) end
  return settle(pcall(...))
end
local function handled(f, ...)
  if select('#', ...) == 0 then error(\"bad argument #2 to 'xpcall' (value expected)\", 2) end
  local handler = ...
  return xpcall(f, function(e) return handler(plain(e)) end)
end
return protected, handled
";

/// Replaces the globals `pcall` and `xpcall`. Needs Lua's base library loaded.
pub(crate) fn install_protected_calls(lua: &Lua) -> Result<()> {
    let globals = lua.globals();
    let global = |name: &str| globals.raw_get::<Value>(name);
    let plain = lua.create_function(|lua, value: Value| script_value(lua, value))?;
    let (pcall, xpcall): (Value, Value) = lua.load(SOURCE).set_name("=[C]").call((
        global("pcall")?,
        global("xpcall")?,
        global("type")?,
        global("error")?,
        global("select")?,
        plain,
    ))?;
    globals.raw_set("pcall", pcall)?;
    globals.raw_set("xpcall", xpcall)
}

/// The error value that a script sees: a Rust error as its text, any other value as it is.
pub(crate) fn script_value(lua: &Lua, value: Value) -> Result<Value> {
    match value {
        Value::Error(error) => lua.create_string(text(&error)).map(Value::String),
        value => Ok(value),
    }
}

/// The text of an error as a script or a client sees it.
pub(crate) fn text(error: &Error) -> Vec<u8> {
    if let Some(raised) = error.downcast_ref::<Raised>() {
        return raised.text.clone();
    }
    match error {
        Error::CallbackError { cause, .. } | Error::WithContext { cause, .. } => text(cause),
        Error::RuntimeError(message) => message.clone().into_bytes(),
        Error::MemoryError(_) => b"not enough memory".to_vec(),
        other => other.to_string().into_bytes(),
    }
}
