//! SCRIPT DEBUG: a script that runs line by line, by the commands of whoever debugs it.
//!
//! A session has an interpreter of its own, with Lua's `debug` library, which no script can reach.
//! `session.lua` holds the commands; here are their connection, in [`Console`], and what a call of
//! the script shows of itself.

mod console;
mod human;

use std::rc::Rc;
use std::time::Duration;

use bstr::{BStr, ByteSlice};
use mlua::{Function, Lua, LuaString, Result, StdLib, Table};

use self::console::{Console, ReadError, TERMINAL};
pub(crate) use self::console::{Received, Terminal};
use self::human::reply_text;
use super::entry::Passing;
use super::eval::CHUNK;
use super::flags::script_flags;
use super::host::{CallError, HOST, Host, Interrupt, LogLevel, Propagation, ReplyWriter, Resp};
use super::names::{Ending, Shared};
use super::raise;
use super::random::Random;
use super::state::{Environment, Input, Purpose, State, end, libraries_of_lua, options};

const SESSION: &str = include_str!("session.lua");
/// Words of a call that are shown.
const WORDS_SHOWN: usize = 10;

/// A session's script, and where it ends by itself.
#[derive(Debug)]
pub(crate) struct Debugged<'a> {
    pub(crate) body: &'a [u8],
    /// The script's digest.
    pub(crate) name: &'a str,
    pub(crate) input: Input<'a>,
    /// A script that runs for longer without a stop is stopped.
    pub(crate) late_after: Duration,
    /// What the interpreter offers.
    pub(crate) environment: Environment,
}

/// Runs a script under the debugger; at the end the terminal hears that the session is over, and the
/// script's result is with `writer`.
///
/// # Errors
/// Lua's, if it has no memory for an interpreter.
pub(crate) fn debug(
    script: &Debugged<'_>,
    host: &mut dyn Host,
    writer: &mut dyn ReplyWriter,
    terminal: &mut dyn Terminal,
) -> std::result::Result<(), String> {
    let console = Rc::new(Console::new(script.late_after));
    TERMINAL.set(terminal, || {
        console.restart_clock();
        let outcome = run(script, host, writer, &console);
        console.log(b"<endsession>".to_vec());
        console.send();
        outcome.map_err(|error| error.to_string())
    })
}

fn run(
    script: &Debugged<'_>,
    host: &mut dyn Host,
    writer: &mut dyn ReplyWriter,
    console: &Rc<Console>,
) -> Result<()> {
    let lua = interpreter();
    let debug: Table = lua.globals().raw_get("debug")?;
    let random = Rc::new(Random::new());
    let state = State::on(lua.clone(), Purpose::Eval, script.environment, random)?;
    let line = script_flags(script.body).map_or(0, |(_, line)| line);
    let compiled = state.compile(&script.body[line..], CHUNK)?;
    let function = compiled.map_err(|text| raise::reply(&text.to_str_lossy()))?;
    let function = state.keep(function)?;
    let prelude = state.prelude()?;
    let handles: Table = lua.load(SESSION).set_name(raise::PRELUDE).call((
        natives(&lua, state.shared(), console, script.body)?,
        debug,
        &prelude.compile,
        &prelude.contents,
        state.globals(),
    ))?;
    let redis: Table = state.globals().raw_get("redis")?;
    let redis: Table = prelude.contents.raw_get(redis)?;
    for name in ["breakpoint", "debug"] {
        redis.raw_set(name, handles.raw_get::<Function>(name)?)?;
    }
    handles.raw_get::<Function>("begin")?.call::<()>(())?;
    let mut host = Shown { host, console };
    let call = (&function, Passing::Globals);
    state.run(call, script.name, script.input, &mut host, writer);
    Ok(())
}

/// An interpreter with the `debug` library, which [`State::on`] takes away from scripts.
#[allow(unsafe_code, reason = "the binding asks whoever wants this library to vouch for its use")]
fn interpreter() -> Lua {
    // SAFETY: `session.lua` alone has the library. It sets a hook, and reads local variables and
    // what is known of functions; none of this can break the interpreter.
    unsafe { Lua::unsafe_new_with(libraries_of_lua() | StdLib::DEBUG, options()) }
}

/// The source's lines, as the debugger shows them.
fn lines(lua: &Lua, body: &[u8]) -> Result<Table> {
    let body = body.trim_end_with(|last| last == '\r' || last == '\n');
    lua.create_sequence_from(body.split(|&byte| byte == b'\n').map(BStr::new))
}

/// What `session.lua` needs of Rust.
fn natives(lua: &Lua, shared: &Rc<Shared>, console: &Rc<Console>, body: &[u8]) -> Result<Table> {
    let natives = lua.create_table()?;
    natives.raw_set("lines", lines(lua, body)?)?;
    let on = |work: fn(&Console)| {
        let console = Rc::clone(console);
        move |_: &Lua, ()| {
            work(&console);
            Ok(())
        }
    };
    natives.raw_set("send", lua.create_function(on(Console::send))?)?;
    natives.raw_set("restart_clock", lua.create_function(on(Console::restart_clock))?)?;
    let logging = |log: fn(&Console, Vec<u8>)| {
        let console = Rc::clone(console);
        move |_: &Lua, line: LuaString| {
            log(&console, line.as_bytes().to_vec());
            Ok(())
        }
    };
    natives.raw_set("log", lua.create_function(logging(Console::log))?)?;
    natives.raw_set("log_limited", lua.create_function(logging(Console::log_limited))?)?;
    let at = Rc::clone(console);
    let max_len = move |_: &Lua, wanted: Option<f64>| Ok(at.len_max(wanted.map(|max| max as i64)));
    natives.raw_set("max_len", lua.create_function(max_len)?)?;
    let at = Rc::clone(console);
    let show = move |_: &Lua, on: bool| {
        at.shows_calls.set(on);
        Ok(())
    };
    natives.raw_set("show_calls", lua.create_function(show)?)?;
    let at = Rc::clone(console);
    natives.raw_set("shows_calls", lua.create_function(move |_, ()| Ok(at.shows_calls.get()))?)?;
    let at = Rc::clone(console);
    natives.raw_set("is_late", lua.create_function(move |_, ()| Ok(at.is_late()))?)?;
    control(lua, shared, console, &natives)?;
    Ok(natives)
}

/// Those natives that can end the script.
fn control(lua: &Lua, shared: &Rc<Shared>, console: &Rc<Console>, natives: &Table) -> Result<()> {
    let fail = |_: &Lua, text: String| Err::<(), _>(raise::reply(&text));
    natives.raw_set("fail", lua.create_function(fail)?)?;
    let (at, with) = (Rc::clone(console), Rc::clone(shared));
    let read = move |lua: &Lua, ()| match at.read(goes_on) {
        Ok(words) => Ok(Some(lua.create_sequence_from(words.iter().map(BStr::new))?)),
        Err(ReadError::Gone) => Ok(None),
        Err(ReadError::Protocol) => Err(raise::reply("protocol error")),
        Err(ReadError::TooLong) => Err(raise::reply("max client buffer reached")),
        Err(ReadError::Killed) => Err(end(lua, &with, Ending::Killed)),
    };
    natives.raw_set("read", lua.create_function(read)?)?;
    let with = Rc::clone(shared);
    let look =
        move |lua: &Lua, ()| if goes_on() { Ok(()) } else { Err(end(lua, &with, Ending::Killed)) };
    natives.raw_set("look", lua.create_function(look)?)
}

/// Whether nobody has ended the script.
fn goes_on() -> bool {
    HOST.with(|host| host.interrupted()).is_none()
}

/// The host of a script that is debugged: its calls show themselves.
struct Shown<'a> {
    host: &'a mut dyn Host,
    console: &'a Console,
}

impl Shown<'_> {
    /// Shows a call with its first words.
    fn show_call(&self, argv: &[&[u8]]) {
        let mut line = b"<redis>".to_vec();
        for word in argv.iter().take(WORDS_SHOWN) {
            line.push(b' ');
            line.extend_from_slice(word);
        }
        if let Some(more) = argv.len().checked_sub(WORDS_SHOWN + 1) {
            line.extend_from_slice(format!(" ... ({more} more)").as_bytes());
        }
        self.console.log(line);
    }
}

impl Host for Shown<'_> {
    fn call(&mut self, argv: &[&[u8]], reply: &mut Vec<u8>) -> std::result::Result<(), CallError> {
        if !self.console.shows_calls.get() {
            return self.host.call(argv, reply);
        }
        self.show_call(argv);
        let outcome = self.host.call(argv, reply);
        match &outcome {
            Ok(()) => {
                if reply.starts_with(b"-") {
                    let line = reply.strip_suffix(b"\r\n").unwrap_or(reply);
                    self.console.log([b"<error> ", line].concat());
                }
                self.console.log_limited([b"<reply> ", &reply_text(reply)[..]].concat());
            }
            Err(CallError::Refused(text)) => self.console.log(format!("<error> {text}").into()),
        }
        outcome
    }

    fn set_resp(&mut self, resp: Resp) {
        self.host.set_resp(resp);
    }

    fn set_repl(&mut self, propagation: Propagation) {
        self.host.set_repl(propagation);
    }

    fn acl_check_cmd(&mut self, argv: &[&[u8]]) -> Option<bool> {
        self.host.acl_check_cmd(argv)
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        self.host.log(level, text);
    }

    fn interrupted(&mut self) -> Option<Interrupt> {
        self.host.interrupted()
    }
}
