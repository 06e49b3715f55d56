//! One interpreter of Lua 5.1 with Redis's globals, and how a compiled function runs in it.

use std::fmt;
use std::rc::Rc;

use bstr::{BStr, ByteSlice};
use mlua::state::{GcIncParams, GcMode};
use mlua::{
    Error, Function, HookTriggers, Lua, LuaOptions, LuaString, RegistryKey, Result, StdLib, Table,
    Value, VmState,
};

use super::answer::{Answer, Failure, Scalar, without_breaks};
use super::entry::{Ended, Entry, Passing};
use super::fenv::Originals;
use super::host::{Counted, HOST, Host, Interrupt, LOADER, Loader, ReplyWriter, Resp};
use super::names::{Ending, Prelude, Shared};
use super::random::Random;
use super::{functions, libraries, native, patterns, raise};

const SOURCE: &str = include_str!("prelude.lua");
/// Instructions of Lua between two questions whether to go on, as in Redis.
const INSTRUCTIONS: u32 = 100_000;
/// The size at which a collection begins, in percent of what the last one left: that of Lua is 200,
/// which would let what scripts leave behind show in used_memory_lua.
const PAUSE: i32 = 130;
/// How fast a collection is beside what is allocated meanwhile, in percent: with Lua's 200 as much again
/// would come on top.
const PACE: i32 = 1000;
/// What Redis shows of an error that is no table, in bytes.
const MESSAGE_MAX: usize = 100;

/// Lua's libraries that scripts need.
pub(super) fn libraries_of_lua() -> StdLib {
    StdLib::STRING | StdLib::TABLE | StdLib::MATH
}

/// Globals that stay; all others that Lua's libraries bring are removed.
const GLOBALS: &[&str] = &[
    "string",
    "cjson",
    "bit",
    "cmsgpack",
    "math",
    "table",
    "struct",
    "redis",
    "xpcall",
    "tostring",
    "setmetatable",
    "next",
    "assert",
    "tonumber",
    "rawequal",
    "collectgarbage",
    "getmetatable",
    "rawset",
    "pcall",
    "coroutine",
    "type",
    "_G",
    "select",
    "unpack",
    "gcinfo",
    "pairs",
    "rawget",
    "loadstring",
    "ipairs",
    "_VERSION",
    "load",
    "error",
];

/// What an interpreter offers to scripts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Environment {
    /// Bytes that it may hold; 0 for no limit. A script that asks for more fails.
    pub(crate) memory_max: usize,
    /// Whether `setfenv`, `getfenv` and `newproxy` are there.
    pub(crate) deprecated_api: bool,
}

/// Who uses an interpreter: their globals differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Eval,
    Functions,
}

/// How an interpreter is made. Otherwise the binding replaces pcall and xpcall by slower ones.
pub(super) fn options() -> LuaOptions {
    LuaOptions::new().catch_rust_panics(true)
}

/// An interpreter. It belongs to one thread.
pub(super) struct State {
    lua: Lua,
    shared: Rc<Shared>,
    /// The globals themselves, behind their seal.
    globals: Table,
    trap: Function,
    entry: Entry,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("used_memory", &self.used_memory()).finish_non_exhaustive()
    }
}

impl State {
    /// Creates an interpreter. Fails if the prelude or a library does, which a test excludes.
    pub(super) fn new(
        purpose: Purpose,
        environment: Environment,
        random: Rc<Random>,
    ) -> Result<Self> {
        Self::on(Lua::new_with(libraries_of_lua(), options())?, purpose, environment, random)
    }

    /// Makes one of Lua's own, whose other globals than scripts may have go.
    pub(super) fn on(
        lua: Lua,
        purpose: Purpose,
        environment: Environment,
        random: Rc<Random>,
    ) -> Result<Self> {
        let shared = Rc::new(Shared::new(&lua, random)?);
        let globals = lua.globals();
        libraries::install(&lua)?;
        let deprecated = environment.deprecated_api.then(|| Originals::of(&globals)).transpose()?;
        restrict(&globals)?;
        patterns::guard(&lua, &globals.raw_get("string")?)?;
        native::install_random(&lua, &shared, &globals.raw_get("math")?)?;
        let redis = native::redis_table(&lua, &shared, purpose == Purpose::Eval)?;
        globals.raw_set("redis", redis)?;
        let trap = native::trap(&lua, &shared)?;
        if purpose == Purpose::Eval {
            globals.raw_set("__redis__err__handler", &trap)?;
        }
        let natives = native::prelude_natives(&lua, &shared)?;
        // The binding makes room for an error at the first call. Later, with as many arguments as a
        // call may have, the stack would have none for that.
        natives.raw_get::<Function>("ending")?.call::<bool>(())?;
        if purpose == Purpose::Functions {
            natives.raw_set("library", functions::library_table(&lua, &shared)?)?;
        }
        if let Some(originals) = deprecated {
            originals.install(&lua, &shared, &globals, &natives)?;
        }
        // The names are looked up before the globals are sealed.
        let prelude = lua.load(SOURCE).set_name(raise::PRELUDE).into_function()?;
        let handles: Table = prelude.call((natives, &globals))?;
        shared.names.set_prelude(&handles)?;
        lua.set_globals(handles.raw_get("globals")?)?;
        let entry = Entry::new(&lua, &globals, &trap, &shared.names)?;
        watch(&lua, &shared)?;
        let limit = environment.memory_max;
        shared.memory_limit.set(limit);
        lua.set_memory_limit(limit)?;
        set_pause(&lua, PAUSE);
        Ok(Self { lua, shared, globals, trap, entry })
    }

    /// Bytes that the interpreter holds.
    pub(super) fn used_memory(&self) -> usize {
        self.lua.used_memory()
    }

    /// The globals themselves, behind their seal.
    pub(super) fn globals(&self) -> &Table {
        &self.globals
    }

    /// What the prelude hands back.
    pub(super) fn prelude(&self) -> Result<&Prelude> {
        self.shared.names.prelude()
    }

    /// What its functions share.
    pub(super) fn shared(&self) -> &Rc<Shared> {
        &self.shared
    }

    /// Keeps a function until its key is dropped, and [`release`](Self::release) runs.
    pub(super) fn keep(&self, function: Function) -> Result<RegistryKey> {
        self.with_room(|state| state.lua.create_registry_value(&function))
    }

    /// Gives what dropped keys held to the garbage collector.
    pub(super) fn release(&self) {
        self.lua.expire_registry_values();
    }

    /// Frees what no script can reach any more.
    pub(super) fn collect_garbage(&self) -> Result<()> {
        self.release();
        self.lua.gc_collect()
    }

    /// Compiles source text. The inner error is Lua's message.
    pub(super) fn compile(
        &self,
        source: &[u8],
        chunk: &str,
    ) -> Result<std::result::Result<Function, Vec<u8>>> {
        let compile = &self.shared.names.prelude()?.compile;
        let (function, message): (Option<Function>, Option<LuaString>) =
            self.with_room(|_| compile.call((BStr::new(source), chunk)))?;
        Ok(function.ok_or_else(|| message.map(|text| text.as_bytes().to_vec()).unwrap_or_default()))
    }

    /// Runs the code of a library while `redis.register_function` notes what it registers. The
    /// inner error is the text of the error that it raised.
    pub(super) fn load_library(
        &self,
        code: &Function,
        loader: &mut dyn Loader,
    ) -> Result<std::result::Result<Vec<functions::Registered>, Vec<u8>>> {
        let prelude = self.shared.names.prelude()?;
        let loading =
            prelude.loading.as_ref().ok_or_else(|| Error::runtime("no libraries here"))?;
        self.shared.registered.replace(Some(Vec::new()));
        loading.call::<()>(true)?;
        let outcome =
            LOADER.set(loader, || prelude.xpcall.call::<(bool, Value)>((code, &self.trap)));
        let registered = self.shared.registered.take().unwrap_or_default();
        if self.shared.ending.take().is_some() {
            watch(&self.lua, &self.shared)?;
        }
        loading.call::<()>(false)?;
        Ok(match outcome? {
            (true, _) => Ok(registered),
            (false, Value::Table(error)) => Err(Failure::of(&self.shared.names, &error)?.text),
            (false, error) => Err(format!("ERR {}", error.to_string()?).into_bytes()),
        })
    }

    /// Runs a function that was [kept](Self::keep), and writes what it returns or raises.
    pub(super) fn run(
        &self,
        (function, passing): (&RegistryKey, Passing),
        name: &str,
        input: Input<'_>,
        host: &mut dyn Host,
        writer: &mut dyn ReplyWriter,
    ) {
        self.shared.resp.set(Resp::Two);
        // The host stays in reach until all is written: reading an error's fields may run Lua.
        HOST.set(host, || {
            let run = |state: &Self| {
                let answer = |scalar: Scalar<'_>| scalar.write(state.shared.resp.get(), writer);
                state.entry.run(function, passing, input, answer)
            };
            match self.with_room(run) {
                Ok(ended) => self.finish(ended, name, writer),
                Err(error) => fail(name, &error, writer),
            }
        });
        let rest = match self.shared.ending.take() {
            Some(_) => watch(&self.lua, &self.shared),
            None => Ok(()),
        };
        // Both fail for lack of memory only; the next run reports it if it lasts.
        rest.and_then(|()| self.tidy()).unwrap_or_default();
    }

    /// Runs `work`; if Lua's memory is full, of garbage perhaps, once more after a collection.
    fn with_room<R>(&self, mut work: impl FnMut(&Self) -> Result<R>) -> Result<R> {
        match work(self) {
            Err(Error::MemoryError(_)) => {
                self.collect_garbage()?;
                work(self)
            }
            result => result,
        }
    }

    /// Writes what a run left to be written.
    fn finish(&self, ended: Ended, name: &str, writer: &mut dyn ReplyWriter) {
        if ended == Ended::Answered {
            return;
        }
        match (self.entry.take_result(&self.lua), ended) {
            (Ok(error), Ended::Raised) => self.report(name, &error, writer),
            (Ok(value), _) => {
                let resp = self.shared.resp.get();
                Answer::new(&self.lua, &self.shared.names, resp, writer).write(value);
            }
            (Err(error), _) => fail(name, &error, writer),
        }
    }

    fn report(&self, name: &str, error: &Value, writer: &mut dyn ReplyWriter) {
        let failure = match error {
            Value::Table(table) => Failure::of(&self.shared.names, table),
            // Lua raises a bare string for lack of memory alone: its handler makes tables.
            Value::String(text) => return fail_with(name, &text.as_bytes(), writer),
            _ => return fail_with(name, b"execution failure", writer),
        };
        let failure = match failure {
            Ok(failure) => failure,
            Err(error) => {
                writer.error(&without_breaks(&raise::reply_text(&error)), Counted::NotYet);
                return;
            }
        };
        let mut text = failure.text;
        if let Some((source, line)) = failure.place {
            text.extend_from_slice(&[b" script: ", name.as_bytes(), b", on "].concat());
            text.extend_from_slice(&[&source[..], b":", &line, b"."].concat());
        }
        writer.error(&without_breaks(&text), failure.counted);
    }

    /// Lets the garbage collector work to its end if the memory is nearly full: Lua itself fails
    /// before it looks for garbage.
    fn tidy(&self) -> Result<()> {
        let limit = self.shared.memory_limit.get();
        if limit > 0 && self.used_memory() > limit / 4 * 3 {
            return self.collect_garbage();
        }
        Ok(())
    }
}

/// The keys and arguments of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) keys: &'a [&'a [u8]],
    pub(crate) args: &'a [&'a [u8]],
}

fn fail(name: &str, error: &Error, writer: &mut dyn ReplyWriter) {
    match error {
        Error::MemoryError(text) | Error::RuntimeError(text) => {
            fail_with(name, text.as_bytes(), writer)
        }
        other => fail_with(name, other.to_string().as_bytes(), writer),
    }
}

/// Reports an error that is no table, such as the lack of memory.
fn fail_with(name: &str, message: &[u8], writer: &mut dyn ReplyWriter) {
    let shown = &message[..message.len().min(MESSAGE_MAX)];
    let text = [b"ERR Error running script ", name.as_bytes(), b", ", shown].concat();
    writer.error(&without_breaks(text.trim_with(|c| c == '\r' || c == '\n')), Counted::NotYet);
}

/// Removes the globals that scripts must not have.
fn restrict(globals: &Table) -> Result<()> {
    for pair in globals.pairs::<Value, Value>() {
        let (name, _) = pair?;
        let allowed = match &name {
            Value::String(text) => {
                GLOBALS.iter().any(|allowed| text.as_bytes() == allowed.as_bytes())
            }
            _ => false,
        };
        if !allowed {
            globals.raw_set(name, Value::Nil)?;
        }
    }
    Ok(())
}

fn set_pause(lua: &Lua, percent: i32) {
    let params = GcIncParams::default().pause(percent).step_multiplier(PACE);
    lua.gc_set_mode(GcMode::Incremental(params));
}

/// Asks from time to time whether the script may go on.
fn watch(lua: &Lua, shared: &Rc<Shared>) -> Result<()> {
    let shared = Rc::clone(shared);
    let triggers = HookTriggers::new().every_nth_instruction(INSTRUCTIONS);
    lua.set_global_hook(triggers, move |lua, _| {
        let ending = if HOST.is_set() {
            HOST.with(|host| host.interrupted()).map(|Interrupt::Kill| Ending::Killed)
        } else if LOADER.is_set() {
            LOADER.with(|loader| loader.expired()).then_some(Ending::LoadExpired)
        } else {
            None
        };
        ending.map_or(Ok(VmState::Continue), |ending| Err(end(lua, &shared, ending)))
    })
}

/// Makes the script end: from here on each line raises the error, so that no pcall stops it.
pub(super) fn end(lua: &Lua, shared: &Shared, ending: Ending) -> Error {
    shared.ending.set(Some(ending));
    let error = raise::reply(ending.text());
    let again = error.clone();
    match lua.set_global_hook(HookTriggers::EVERY_LINE, move |_, _| Err(again.clone())) {
        Ok(()) => error,
        Err(error) => error,
    }
}
