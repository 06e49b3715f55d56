//! What every run of one interpreter shares: field names as Lua strings, and buffers.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::thread;

use mlua::{Function, Lua, LuaString, Result, Table};

use super::functions::Registered;
use super::host::{CallError, Resp};
use super::random::Random;

/// Field names and helpers, created once.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) err: LuaString,
    pub(super) ok: LuaString,
    pub(super) double: LuaString,
    pub(super) map: LuaString,
    pub(super) set: LuaString,
    pub(super) big_number: LuaString,
    pub(super) verbatim_string: LuaString,
    pub(super) string: LuaString,
    pub(super) format: LuaString,
    pub(super) source: LuaString,
    pub(super) line: LuaString,
    /// `ignore_error_stats_update`: the error is in the statistics already.
    pub(super) counted: LuaString,
    pub(super) keys: LuaString,
    pub(super) argv: LuaString,
    prelude: OnceCell<Prelude>,
}

/// What `prelude.lua` hands back.
#[derive(Debug)]
pub(super) struct Prelude {
    /// Sealed table → the table that it stands for.
    pub(super) contents: Table,
    /// (source, chunk name) → function, or nil and the error.
    pub(super) compile: Function,
    pub(super) xpcall: Function,
    pub(super) next: Function,
    pub(super) tostring: Function,
    /// An environment → what scripts see in its place.
    pub(super) environment: Function,
    /// Switches the environment of functions between loading and running; libraries only.
    pub(super) loading: Option<Function>,
}

impl Names {
    pub(super) fn new(lua: &Lua) -> Result<Self> {
        Ok(Self {
            err: lua.create_string("err")?,
            ok: lua.create_string("ok")?,
            double: lua.create_string("double")?,
            map: lua.create_string("map")?,
            set: lua.create_string("set")?,
            big_number: lua.create_string("big_number")?,
            verbatim_string: lua.create_string("verbatim_string")?,
            string: lua.create_string("string")?,
            format: lua.create_string("format")?,
            source: lua.create_string("source")?,
            line: lua.create_string("line")?,
            counted: lua.create_string("ignore_error_stats_update")?,
            keys: lua.create_string("KEYS")?,
            argv: lua.create_string("ARGV")?,
            prelude: OnceCell::new(),
        })
    }

    pub(super) fn set_prelude(&self, handles: &Table) -> Result<()> {
        let prelude = Prelude {
            contents: handles.raw_get("contents")?,
            compile: handles.raw_get("compile")?,
            xpcall: handles.raw_get("xpcall")?,
            next: handles.raw_get("next")?,
            tostring: handles.raw_get("tostring")?,
            environment: handles.raw_get("environment")?,
            loading: handles.raw_get("loading")?,
        };
        self.prelude.set(prelude).map_err(|_| mlua::Error::runtime("the prelude ran twice"))
    }

    pub(super) fn prelude(&self) -> Result<&Prelude> {
        self.prelude.get().ok_or_else(|| mlua::Error::runtime("the prelude has not run"))
    }

    pub(super) fn tostring(&self) -> Result<&Function> {
        self.prelude().map(|prelude| &prelude.tostring)
    }
}

/// What is made of more bytes than this is made under the limit of memory.
const FREE_BYTES_MAX: usize = 16 << 10;
/// Bytes of Lua's for each byte of a reply, in the worst case: empty arrays within an array that
/// grows.
const BYTES_PER_BYTE_MAX: usize = 32;

/// How the host has taken a call, or a panic of its own.
type Asked = thread::Result<std::result::Result<(), CallError>>;

/// What the functions of one interpreter share with the code that runs it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) names: Names,
    pub(super) random: Rc<Random>,
    /// The protocol of replies to the script.
    pub(super) resp: Cell<Resp>,
    /// Why the script must end, once it must.
    pub(super) ending: Cell<Option<Ending>>,
    /// Bytes that the interpreter may hold; 0 for no limit.
    pub(super) memory_limit: Cell<usize>,
    pub(super) reply: RefCell<Vec<u8>>,
    /// How the host has taken a call that is left to the binding's function.
    pub(super) asked: RefCell<Option<Asked>>,
    pub(super) numbers: RefCell<Vec<u8>>,
    /// Functions that the library registered that is loading.
    pub(super) registered: RefCell<Option<Vec<Registered>>>,
}

/// An end that a script cannot catch: it is raised again at each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Killed,
    LoadExpired,
}

impl Ending {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Killed => "Script killed by user with SCRIPT KILL...",
            Self::LoadExpired => "FUNCTION LOAD timeout",
        }
    }
}

impl Shared {
    pub(super) fn new(lua: &Lua, random: Rc<Random>) -> Result<Self> {
        Ok(Self {
            names: Names::new(lua)?,
            random,
            resp: Cell::new(Resp::Two),
            ending: Cell::new(None),
            memory_limit: Cell::new(0),
            reply: RefCell::default(),
            asked: RefCell::default(),
            numbers: RefCell::default(),
            registered: RefCell::default(),
        })
    }

    /// Has `make` make values of so many bytes of a reply or of arguments.
    ///
    /// Under a limit of memory the binding makes each value within a protected call, which costs more
    /// than the value. So for a few bytes that fit in any case the limit is off meanwhile.
    pub(super) fn make<R>(
        &self,
        lua: &Lua,
        bytes: usize,
        make: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let limit = self.memory_limit.get();
        if limit == 0 || bytes > FREE_BYTES_MAX {
            return make();
        }
        let used_max = lua.used_memory() + FREE_BYTES_MAX + BYTES_PER_BYTE_MAX * bytes;
        if used_max > limit {
            return make();
        }
        lua.set_memory_limit(0)?;
        let made = make();
        lua.set_memory_limit(limit)?;
        made
    }
}
