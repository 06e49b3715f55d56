//! Functions of Lua's `string` that a script could have run without end or beyond the stack: they are
//! called only with arguments that they are safe with.
//!
//! Lua 5.1 matches a pattern by a recursion in C, one level for each repeated or captured item, with
//! no bound. And `string.rep('', n)` counts to `n`, which nothing can interrupt.
//!
//! What stands in their place is a function in C for Lua, too, which jumps to the original within the
//! same call: errors name the function and the script's line as ever.
#![allow(unsafe_code, reason = "a function in C that stands for another within its frame")]

use std::ffi::c_int;
use std::sync::OnceLock;

use mlua::ffi::{self, lua_CFunction, lua_State};
use mlua::{Error, Function, Lua, Result, Table};

/// Levels of recursion that a pattern may need. Each takes some 100 bytes of a worker's stack.
const LEVELS_MAX: usize = 10_000;

const FIND: usize = 0;
const MATCH: usize = 1;
const GMATCH: usize = 2;
const GSUB: usize = 3;
const REP: usize = 4;

/// The names, by those indices, and what stands for the functions.
const REPLACED: [(&str, lua_CFunction); 5] =
    [("find", find), ("match", match_), ("gmatch", gmatch), ("gsub", gsub), ("rep", rep)];

/// The library's own functions: the same for all interpreters.
static ORIGINALS: OnceLock<[lua_CFunction; 5]> = OnceLock::new();

/// Replaces the functions in the table `string`.
pub(super) fn guard(lua: &Lua, string: &Table) -> Result<()> {
    if ORIGINALS.get().is_none() {
        let mut originals = [rep as lua_CFunction; 5];
        for ((name, _), original) in REPLACED.iter().zip(&mut originals) {
            *original = c_function(lua, string.raw_get(*name)?)?;
        }
        ORIGINALS.get_or_init(|| originals);
    }
    for (name, guarded) in REPLACED {
        // SAFETY: the functions below keep Lua's rules for functions in C.
        string.raw_set(name, unsafe { lua.create_c_function(guarded)? })?;
    }
    Ok(())
}

/// The address of a function in C.
fn c_function(lua: &Lua, function: Function) -> Result<lua_CFunction> {
    let mut found = None;
    // SAFETY: reads the one value on the stack.
    unsafe { lua.exec_raw::<()>(function, |state| found = ffi::lua_tocfunction(state, 1))? };
    found.ok_or_else(|| Error::runtime("no function in C"))
}

unsafe extern "C-unwind" fn find(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; likewise below.
    unsafe { bounded(state, FIND) }
}

unsafe extern "C-unwind" fn match_(state: *mut lua_State) -> c_int {
    unsafe { bounded(state, MATCH) }
}

unsafe extern "C-unwind" fn gmatch(state: *mut lua_State) -> c_int {
    unsafe { bounded(state, GMATCH) }
}

unsafe extern "C-unwind" fn gsub(state: *mut lua_State) -> c_int {
    unsafe { bounded(state, GSUB) }
}

/// Calls the original of a function that matches its second argument, unless that recurses too much.
///
/// # Safety
/// Called by Lua as a function in C.
unsafe fn bounded(state: *mut lua_State, index: usize) -> c_int {
    // SAFETY: Lua keeps the string while it is an argument. The error jumps over frames that have
    // nothing to drop.
    unsafe {
        // A number has too few digits to matter.
        if ffi::lua_type(state, 2) == ffi::LUA_TSTRING {
            let mut len = 0;
            let bytes = ffi::lua_tolstring(state, 2, &raw mut len).cast::<u8>();
            if len > LEVELS_MAX && levels(std::slice::from_raw_parts(bytes, len)) > LEVELS_MAX {
                return ffi::luaL_error(state, c"pattern too complex".as_ptr());
            }
        }
        original(state, index)
    }
}

/// At most so many levels does a pattern need.
fn levels(pattern: &[u8]) -> usize {
    pattern.iter().filter(|byte| matches!(byte, b'?' | b'*' | b'+' | b'-' | b'(' | b')')).count()
}

unsafe extern "C-unwind" fn rep(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        if ffi::lua_type(state, 1) == ffi::LUA_TSTRING && ffi::lua_isnumber(state, 2) != 0 {
            let mut len = 0;
            ffi::lua_tolstring(state, 1, &raw mut len);
            if len == 0 {
                ffi::lua_pushvalue(state, 1);
                return 1;
            }
        }
        original(state, REP)
    }
}

/// # Safety
/// As for [`bounded`].
unsafe fn original(state: *mut lua_State, index: usize) -> c_int {
    match ORIGINALS.get() {
        // SAFETY: it gets what it would have got from Lua.
        Some(originals) => unsafe { originals[index](state) },
        None => 0,
    }
}
