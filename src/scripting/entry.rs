//! The way into Lua: how a run gets its keys and arguments, is called, and gives its result.
//!
//! All of a run's steps in Lua are one function in C, which is called without the binding: each of the
//! binding's handles would cost as much as a small script.
#![allow(unsafe_code, reason = "a function in C, and its call")]

use std::ffi::{c_int, c_void};
use std::{ptr, slice};

use bstr::ByteSlice;
use mlua::ffi::{self, lua_State};
use mlua::{Error, Function, Lua, RegistryKey, Result, Table, Value};

use super::answer::Scalar;
use super::names::Names;
use super::state::Input;

/// What the function in C has beside it: the globals behind their seal, the handler of errors, the names
/// of what a script gets, and the place of a result that is for the binding.
const GLOBALS: c_int = 1;
const TRAP: c_int = 2;
const KEYS: c_int = 3;
const ARGV: c_int = 4;
const RESULT: c_int = 5;

/// How a function gets its keys and arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    /// As globals, which are a script's.
    Globals,
    /// As two tables, which a library's function takes.
    Arguments,
}

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It returned a scalar, which the writer has got.
    Answered,
    /// It returned what [`Entry::take_result`] gives.
    Returned,
    /// It failed, and that gives what the handler of errors made of it.
    Raised,
}

/// The way into one interpreter.
pub(super) struct Entry {
    /// Lua's main thread, in which nothing runs between two runs.
    state: *mut lua_State,
    enter: Function,
    enter_key: RegistryKey,
}

/// What a run gives to the function in C, and gets from it.
struct Run<'a> {
    function: c_int,
    passing: Passing,
    input: Input<'a>,
    ended: Ended,
}

impl Entry {
    /// Makes the way in. Nothing may run in the interpreter.
    pub(super) fn new(lua: &Lua, globals: &Table, trap: &Function, names: &Names) -> Result<Self> {
        let mut main = ptr::null_mut();
        let beside = (globals, trap, &names.keys, &names.argv, Value::Nil);
        // SAFETY: the function keeps Lua's rules for functions in C, and has beside it what it expects.
        let enter: Function = unsafe {
            lua.exec_raw(beside, |state| {
                main = state;
                ffi::lua_pushcclosure(state, enter, RESULT);
            })
        }?;
        let enter_key = lua.create_registry_value(&enter)?;
        Ok(Self { state: main, enter, enter_key })
    }

    /// Runs a function. `answer` gets its result if that is a scalar.
    ///
    /// # Errors
    /// Lua's, if it has no memory for the keys and arguments: nothing has run then.
    pub(super) fn run(
        &self,
        function: &RegistryKey,
        passing: Passing,
        input: Input<'_>,
        answer: impl FnOnce(Scalar<'_>),
    ) -> Result<Ended> {
        let mut run = Run { function: function.id(), passing, input, ended: Ended::Raised };
        let run_at = (&raw mut run).cast::<c_void>();
        // SAFETY: the interpreter lives as long as `self` has a handle of it, and its main thread has
        // room for 20 values at its outermost level. Errors end at the call.
        unsafe {
            ffi::lua_rawgeti_(self.state, ffi::LUA_REGISTRYINDEX, self.enter_key.id());
            ffi::lua_pushlightuserdata(self.state, run_at);
            let status = ffi::lua_pcall(self.state, 1, 1, 0);
            let value = scalar_at_top(self.state);
            let ended = if status == ffi::LUA_OK {
                if let (Ended::Answered, Some(value)) = (run.ended, value) {
                    answer(value);
                }
                Ok(run.ended)
            } else {
                Err(failure(status, value))
            };
            ffi::lua_settop(self.state, -2);
            ended
        }
    }

    /// The result of the last run, if that was no scalar.
    ///
    /// # Errors
    /// Lua's, if it has no memory.
    pub(super) fn take_result(&self, lua: &Lua) -> Result<Value> {
        // SAFETY: the function is on the stack, and there is room for two values more.
        unsafe {
            lua.exec_raw(&self.enter, |state| {
                ffi::lua_pushnil(state);
                ffi::lua_getupvalue(state, 1, RESULT);
                ffi::lua_insert(state, 1);
                ffi::lua_setupvalue(state, 2, RESULT);
                ffi::lua_settop(state, 1);
            })
        }
    }
}

/// The value on top of the stack, if it is a scalar.
///
/// # Safety
/// There is a value, which stays for as long as what is given is used.
unsafe fn scalar_at_top<'a>(state: *mut lua_State) -> Option<Scalar<'a>> {
    // SAFETY: as above. Nothing is converted, so nothing raises an error.
    unsafe {
        Some(match ffi::lua_type(state, -1) {
            ffi::LUA_TSTRING => {
                let mut len = 0;
                let bytes = ffi::lua_tolstring(state, -1, &raw mut len).cast::<u8>();
                Scalar::String(slice::from_raw_parts(bytes, len))
            }
            ffi::LUA_TNUMBER => Scalar::Number(ffi::lua_tonumber(state, -1)),
            ffi::LUA_TBOOLEAN => Scalar::Boolean(ffi::lua_toboolean(state, -1) != 0),
            ffi::LUA_TNIL => Scalar::Nil,
            _ => return None,
        })
    }
}

/// Why nothing could run.
#[cold]
fn failure(status: c_int, message: Option<Scalar<'_>>) -> Error {
    let text = match message {
        Some(Scalar::String(text)) => text.to_str_lossy().into_owned(),
        _ => "no message".to_owned(),
    };
    if status == ffi::LUA_ERRMEM { Error::MemoryError(text) } else { Error::RuntimeError(text) }
}

/// Calls a function with its keys and arguments, and gives its result.
unsafe extern "C-unwind" fn enter(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua, with room for 20 values, and with a run that lives in the caller's frame.
    // An error that making the tables raises jumps over this frame: there is nothing to drop in it.
    unsafe {
        let run = ffi::lua_touserdata(state, 1).cast::<Run<'_>>();
        let input = (*run).input;
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(TRAP));
        ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, (*run).function);
        let arguments = match (*run).passing {
            Passing::Globals => {
                for (name, words) in [(KEYS, input.keys), (ARGV, input.args)] {
                    ffi::lua_pushvalue(state, ffi::lua_upvalueindex(name));
                    push_words(state, words);
                    ffi::lua_rawset(state, ffi::lua_upvalueindex(GLOBALS));
                }
                0
            }
            Passing::Arguments => {
                push_words(state, input.keys);
                push_words(state, input.args);
                2
            }
        };
        let status = ffi::lua_pcall(state, arguments, 1, 2);
        (*run).ended = match scalar_at_top(state) {
            Some(_) if status == ffi::LUA_OK => Ended::Answered,
            _ => {
                ffi::lua_replace(state, ffi::lua_upvalueindex(RESULT));
                ffi::lua_pushnil(state);
                if status == ffi::LUA_OK { Ended::Returned } else { Ended::Raised }
            }
        };
        1
    }
}

/// Pushes a table of words, as large as it were if it had grown with each word: the length operator
/// depends on it.
///
/// # Safety
/// There is room for two values on the stack, and nothing to drop in the callers' frames.
unsafe fn push_words(state: *mut lua_State, words: &[&[u8]]) {
    let slots = if words.is_empty() { 0 } else { words.len().next_power_of_two() };
    // SAFETY: as above.
    unsafe {
        ffi::lua_createtable(state, c_int::try_from(slots).unwrap_or(0), 0);
        for (index, word) in (1..).zip(words) {
            ffi::lua_pushlstring_(state, word.as_ptr().cast(), word.len());
            ffi::lua_rawseti_(state, -2, index);
        }
    }
}
