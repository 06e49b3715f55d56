//! The libraries that Redis gives scripts beside Lua's own: `cjson`, `cmsgpack`, `struct` and `bit`.
//!
//! Results and error texts are those of Redis 7.0.15, byte for byte. A function raises [`Raised`],
//! which carries the finished text; `scripting` hands scripts that text as a Lua string. The libraries
//! know nothing of Redis's commands or of who runs the script.
//!
//! | What | Where |
//! |---|---|
//! | arguments, and errors with positions | `arguments`, `raise` |
//! | text of numbers and back | `numbers` |
//! | depth-first writing of nested tables | `walk` |

mod arguments;
mod bit;
mod cjson;
mod cmsgpack;
mod numbers;
#[cfg(test)]
mod protect;
mod raise;
mod stack;
mod structs;
#[cfg(test)]
mod tests;
mod walk;

use mlua::{Lua, Table};

pub(crate) use raise::Raised;

/// Sets the globals `cjson`, `cmsgpack`, `struct` and `bit`.
///
/// Needs Lua's base library loaded. Fails when Lua's memory limit is reached.
pub(crate) fn install(lua: &Lua) -> mlua::Result<()> {
    let globals = lua.globals();
    globals.raw_set("cjson", cjson::module(lua)?)?;
    globals.raw_set("cmsgpack", cmsgpack::module(lua)?)?;
    globals.raw_set("struct", structs::module(lua)?)?;
    globals.raw_set("bit", bit::module(lua)?)
}

/// Adds a function that takes and returns any number of values.
fn register<R: mlua::IntoLuaMulti>(
    lua: &Lua,
    module: &Table,
    name: &str,
    function: impl Fn(&arguments::Arguments<'_>) -> mlua::Result<R> + 'static,
) -> mlua::Result<()> {
    let function = lua.create_function(move |lua, values: mlua::MultiValue| {
        function(&arguments::Arguments::new(lua, values))
    })?;
    module.raw_set(name, function)
}
