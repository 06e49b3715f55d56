//! Lua scripts: the environment of EVAL and of FUNCTION's libraries.
//!
//! It knows nothing of keys, sockets or the engine: a [`Host`] runs the commands of a script, a
//! [`ReplyWriter`] takes its result. [`Scripts`] is EVAL's interpreter with its cache,
//! [`Libraries`] that of functions; each belongs to one thread.
//!
//! | Task | File |
//! |---|---|
//! | what the engine implements | `host.rs` |
//! | an interpreter, and a run | `state.rs`, `entry.rs` |
//! | `redis.*` and other functions in Rust | `native.rs`, `arguments.rs` |
//! | `redis.call` and `redis.pcall` in most cases | `direct.rs` |
//! | sealed tables, pcall, load: Lua's part | `prelude.lua` |
//! | patterns that would recurse without bound | `patterns.rs` |
//! | errors: what scripts see, where they came from | `raise.rs` |
//! | a command's reply → Lua | `reply.rs` |
//! | a script's result → reply | `answer.rs` |
//! | the first line of scripts and libraries, flags | `flags.rs` |
//! | deprecated functions | `fenv.rs` |
//! | EVAL, SCRIPT | `eval.rs`, `sha.rs` |
//! | FUNCTION, FCALL | `functions.rs` |
//! | SCRIPT DEBUG: a session, its commands | `debugger/`, `debugger/session.lua` |
//! | cjson, cmsgpack, struct, bit | `libraries/` |
//!
//! # Safety of the sandbox
//!
//! Tables that all scripts share are sealed: a script sees an empty stand-in whose metatable reads
//! from the real table and refuses writes, and no function that looks past metatables lets it
//! reach the real one. Only source text is compiled, as a whole, after its reader has ended.
//! Without Lua's `debug`, `io`, `os`, `package` libraries and without its own `setfenv` and
//! `getfenv`, nothing leads out. An error object of the binding never reaches a script: each
//! place that catches reveals the table or string for which it stands.

mod answer;
mod arguments;
mod debugger;
mod direct;
mod entry;
mod eval;
mod fenv;
mod flags;
mod functions;
mod host;
mod interpreters;
mod libraries;
mod names;
mod native;
mod patterns;
mod raise;
mod random;
mod reply;
mod sha;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use debugger::{Debugged, Received, Terminal, debug};
pub(crate) use eval::{ScriptId, Scripts};
pub(crate) use flags::{ScriptFlags, script_flags};
pub(crate) use functions::{ENGINE, Libraries, Library, Registered, RestorePolicy};
pub(crate) use host::{
    CallError, Counted, Host, Interrupt, Loader, LogLevel, Propagation, ReplyWriter, Resp,
};
pub(crate) use interpreters::Interpreters;
#[cfg(test)]
pub(crate) use random::Random;
pub(crate) use sha::{Sha, parse_sha};
pub(crate) use state::{Environment, Input};
