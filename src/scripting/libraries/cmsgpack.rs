//! The `cmsgpack` library: MessagePack to and from Lua values.

mod pack;
mod unpack;

use mlua::{Function, Lua, Result, Table};

use super::register;

/// Builds the table of functions.
pub(super) fn module(lua: &Lua) -> Result<Table> {
    let next: Function = lua.globals().raw_get("next")?;
    let module = lua.create_table()?;
    register(lua, &module, "pack", move |arguments| pack::pack(arguments, &next))?;
    register(lua, &module, "unpack", unpack::unpack)?;
    register(lua, &module, "unpack_one", unpack::unpack_one)?;
    register(lua, &module, "unpack_limit", unpack::unpack_limit)?;
    module.raw_set("_NAME", "cmsgpack")?;
    module.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    module.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    module.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    Ok(module)
}
