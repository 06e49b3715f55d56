//! `redis.call` and `redis.pcall` without the binding, for what nearly all calls are: a few words, and
//! a reply that Lua has a value for by itself.
//!
//! In `redis` stands a function in C. It reads such a call's words where they lie on Lua's stack, asks
//! the host, and pushes the reply's value. All else is for the binding's function, to which it jumps
//! within the same call, so that errors name the script's line as ever; what the host has answered
//! already is in [`Shared::asked`] then.
#![allow(unsafe_code, reason = "a function in C that stands for another within its frame")]

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::slice;
use std::sync::OnceLock;

use mlua::ffi::{self, lua_CFunction, lua_State};
use mlua::{Error, Function, Lua, Result};

use super::host::HOST;
use super::names::Shared;
use super::reply::{Plain, plain};
use crate::number::double::DoubleText;

/// Most words of a call that is made here.
const WORDS_MAX: usize = 8;

/// What the function in C has beside it: what the binding's own finds there too, what the
/// interpreter shares, the name of a status's field, and the status of nearly all writes.
const BINDING: c_int = 1;
const SHARED: c_int = 2;
const OK_NAME: c_int = 3;
const OK: c_int = 4;

/// The binding's function in C, the same for all of its functions.
static BINDING_CALL: OnceLock<lua_CFunction> = OnceLock::new();

/// Makes the function that stands for `function`, which is `redis.call` or `redis.pcall`.
pub(super) fn stand_for(lua: &Lua, shared: &Rc<Shared>, function: Function) -> Result<Function> {
    let shared_at = Rc::as_ptr(shared).cast_mut().cast::<c_void>();
    let mut found = None;
    // SAFETY: there are slots enough for seven values, and nothing in here needs to be dropped. The
    // binding's function lives as long as what it has beside it, and that holds `shared`.
    let standing = unsafe {
        lua.exec_raw((function, &shared.names.ok, "OK"), |state| {
            found = ffi::lua_tocfunction(state, 1);
            if ffi::lua_getupvalue(state, 1, BINDING).is_null() {
                ffi::lua_pushnil(state);
            }
            ffi::lua_pushlightuserdata(state, shared_at);
            ffi::lua_pushvalue(state, 2);
            ffi::lua_pushvalue(state, 3);
            ffi::lua_pushcclosure(state, call, OK);
            ffi::lua_replace(state, 1);
            ffi::lua_settop(state, 1);
        })
    }?;
    let found = found.ok_or_else(|| Error::runtime("no function in C"))?;
    BINDING_CALL.get_or_init(|| found);
    Ok(standing)
}

/// Calls a command, whichever of the two functions it stands for: they differ in errors only.
unsafe extern "C-unwind" fn call(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua, with room for 20 values. What pushes a value may raise an error, which
    // jumps over this frame: there is nothing to drop in it.
    unsafe {
        match ask(state) {
            Some(Plain::Bulk(bytes)) => push(state, bytes),
            Some(Plain::Status(text)) => {
                ffi::lua_createtable(state, 0, 1);
                ffi::lua_pushvalue(state, ffi::lua_upvalueindex(OK_NAME));
                match text {
                    b"OK" => ffi::lua_pushvalue(state, ffi::lua_upvalueindex(OK)),
                    _ => push(state, text),
                }
                ffi::lua_rawset(state, -3);
            }
            Some(Plain::Integer(value)) => ffi::lua_pushnumber(state, value as f64),
            Some(Plain::Boolean(value)) => ffi::lua_pushboolean(state, c_int::from(value)),
            Some(Plain::Nil) => ffi::lua_pushnil(state),
            None => {
                return match BINDING_CALL.get() {
                    Some(binding_call) => binding_call(state),
                    None => 0,
                };
            }
        }
    }
    1
}

/// Pushes a string.
///
/// # Safety
/// There is room on the stack, and nothing to drop in the callers' frames.
unsafe fn push(state: *mut lua_State, bytes: &[u8]) {
    // SAFETY: as above; Lua copies the bytes.
    unsafe { ffi::lua_pushlstring_(state, bytes.as_ptr().cast(), bytes.len()) }
}

/// Asks the host, unless the call is for the binding's function, and gives the reply, unless that
/// is. The reply stays until the next call.
///
/// # Safety
/// Called in [`call`]. Does nothing that raises an error of Lua's.
unsafe fn ask<'a>(state: *mut lua_State) -> Option<Plain<'a>> {
    if !HOST.is_set() {
        return None;
    }
    // SAFETY: with a host a script runs, so the interpreter lives, and with it what it shares.
    let shared = unsafe {
        &*ffi::lua_touserdata(state, ffi::lua_upvalueindex(SHARED)).cast::<Shared>().cast_const()
    };
    shared.asked.take();
    let mut words = [&[][..]; WORDS_MAX];
    let mut numbers = [0; WORDS_MAX * DoubleText::BYTES_MAX];
    let mut room = &mut numbers[..];
    // SAFETY: looks at the stack only.
    let count = usize::try_from(unsafe { ffi::lua_gettop(state) }).ok()?;
    let words = words.get_mut(..count).filter(|words| !words.is_empty())?;
    for (position, word) in (1..).zip(words.iter_mut()) {
        // SAFETY: there is an argument at the position.
        *word = unsafe { word_at(state, position, &mut room)? };
    }
    let asked = {
        let mut reply = shared.reply.borrow_mut();
        reply.clear();
        // A panic must not cross Lua's frames: the binding's function, which can, passes it on.
        catch_unwind(AssertUnwindSafe(|| HOST.with(|host| host.call(words, &mut reply))))
    };
    if matches!(asked, Ok(Ok(()))) {
        // SAFETY: only calls change the reply, and none comes before this one's end.
        let reply = unsafe { &*shared.reply.as_ptr() };
        if let Some(plain) = plain(reply) {
            return Some(plain);
        }
    }
    shared.asked.replace(Some(asked));
    None
}

/// The argument at a position as a word of a command, if it is a string or a number, whose text
/// takes some of `room`.
///
/// # Safety
/// There is such an argument, and the word goes before it does. Nothing in here raises an error:
/// a number stays one.
unsafe fn word_at<'a>(
    state: *mut lua_State,
    position: c_int,
    room: &mut &'a mut [u8],
) -> Option<&'a [u8]> {
    // SAFETY: as above; Lua keeps the string while it is an argument.
    unsafe {
        match ffi::lua_type(state, position) {
            ffi::LUA_TSTRING => {
                let mut len = 0;
                let bytes = ffi::lua_tolstring(state, position, &raw mut len).cast::<u8>();
                Some(slice::from_raw_parts(bytes, len))
            }
            ffi::LUA_TNUMBER => {
                let text = DoubleText::new(ffi::lua_tonumber(state, position));
                let text = text.as_bytes();
                let (word, rest) = std::mem::take(room).split_at_mut_checked(text.len())?;
                word.copy_from_slice(text);
                *room = rest;
                Some(word)
            }
            _ => None,
        }
    }
}
