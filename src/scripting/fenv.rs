//! `setfenv`, `getfenv` and `newproxy`, which scripts have with `lua-enable-deprecated-api` alone.
//!
//! Lua's own would lead out of the sandbox: the functions that all scripts share run in the real
//! globals, behind the sealed ones. So scripts see the sealed ones instead, and cannot give a shared
//! function, or all later scripts, other globals. Finalizers of proxies never run: Lua lets nothing
//! interrupt one, however long it takes (`prelude.lua`).

use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Result, Table, Value};

use super::names::Shared;
use super::native::{int_argument, native};
use super::raise;

const FIXED: &str = "'setfenv' cannot change environment of given object";

/// Lua's own functions.
pub(super) struct Originals {
    getfenv: Function,
    setfenv: Function,
    newproxy: Function,
}

impl Originals {
    /// Those of an interpreter whose globals are all there yet.
    pub(super) fn of(globals: &Table) -> Result<Self> {
        Ok(Self {
            getfenv: globals.raw_get("getfenv")?,
            setfenv: globals.raw_get("setfenv")?,
            newproxy: globals.raw_get("newproxy")?,
        })
    }

    /// Gives scripts what they may have of them. `natives` are what the prelude gets.
    pub(super) fn install(
        self,
        lua: &Lua,
        shared: &Rc<Shared>,
        globals: &Table,
        natives: &Table,
    ) -> Result<()> {
        natives.raw_set("newproxy", self.newproxy)?;
        let (get, real) = (self.getfenv.clone(), globals.clone());
        globals.raw_set(
            "setfenv",
            native(lua, shared, move |lua, _, args| {
                let target = target(lua, &args, None)?;
                let Some(Value::Table(environment)) = args.get(1) else {
                    return Err(raise::bad_type(lua, &args, 2, "table"));
                };
                let is_shared = get.call::<Table>(&target)? == real;
                if is_shared || matches!(target, Value::Integer(0)) {
                    return Err(raise::message(lua, FIXED));
                }
                let changed = self.setfenv.call::<Value>((target, environment));
                changed.map_err(|_| raise::message(lua, FIXED))
            })?,
        )?;
        let get = self.getfenv;
        globals.raw_set(
            "getfenv",
            native(lua, shared, move |lua, shared, args| {
                let environment: Table = get.call(target(lua, &args, Some(1))?)?;
                shared.names.prelude()?.environment.call::<Table>(environment)
            })?,
        )
    }
}

/// The function that a script means, or its level as Lua's own functions see it when they are called
/// from here; 0: the running thread.
fn target(lua: &Lua, args: &MultiValue, default: Option<i32>) -> Result<Value> {
    let level = match (args.front(), default) {
        (Some(Value::Function(function)), _) => return Ok(Value::Function(function.clone())),
        (None | Some(Value::Nil), Some(level)) => level,
        _ => int_argument(lua, args, 1)?,
    };
    let Ok(frame) = usize::try_from(level) else {
        return Err(raise::bad_argument(lua, 1, "level must be non-negative"));
    };
    if frame == 0 {
        return Ok(Value::Integer(0));
    }
    match lua.inspect_stack(frame, |frame| frame.source().what == "tail") {
        None => Err(raise::bad_argument(lua, 1, "invalid level")),
        Some(true) => {
            let text = format!("no function environment for tail call at level {level}");
            Err(raise::message(lua, &text))
        }
        Some(false) => Ok(Value::Integer(i64::from(level) + 1)),
    }
}
