//! The libraries of FUNCTION: their code, their functions, and the interpreter that holds them.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use mlua::{Error, Lua, MultiValue, RegistryKey, Result, Table, Value};

use super::entry::Passing;
use super::flags::{LibraryLine, ScriptFlags, is_name, library_line};
use super::host::{Host, Loader, ReplyWriter};
use super::names::Shared;
use super::random::Random;
use super::state::{Environment, Input, Purpose, State};
use super::{native, raise};

/// The only engine, as FUNCTION LIST and STATS name it.
pub(crate) const ENGINE: &str = "LUA";
const CHUNK: &str = "@user_function";
const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must \
                        be at least one character long";

/// What FUNCTION RESTORE does with libraries that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestorePolicy {
    Flush,
    Append,
    Replace,
}

/// A function of a library.
#[derive(Debug)]
pub(crate) struct Registered {
    name: String,
    description: Option<Vec<u8>>,
    flags: ScriptFlags,
    /// In Lua's registry: handles are few.
    callback: RegistryKey,
}

impl Registered {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn description(&self) -> Option<&[u8]> {
        self.description.as_deref()
    }

    /// Never with [`ScriptFlags::COMPAT`].
    pub(crate) fn flags(&self) -> ScriptFlags {
        self.flags
    }
}

/// A library that has loaded.
#[derive(Debug)]
pub(crate) struct Library {
    name: String,
    code: Box<[u8]>,
    functions: Vec<Registered>,
}

impl Library {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The code with its first line: what RDB's FUNCTION2 and FUNCTION DUMP hold.
    pub(crate) fn code(&self) -> &[u8] {
        &self.code
    }

    pub(crate) fn functions(&self) -> &[Registered] {
        &self.functions
    }
}

/// Libraries by name, and their functions by name in lower case: FCALL ignores case.
#[derive(Debug, Default)]
struct Catalog {
    libraries: BTreeMap<String, Rc<Library>>,
    functions: HashMap<String, (Rc<Library>, usize)>,
}

impl Catalog {
    fn link(&mut self, library: Rc<Library>) {
        for (at, function) in library.functions.iter().enumerate() {
            let entry = self.functions.entry(function.name.to_ascii_lowercase());
            entry.or_insert_with(|| (Rc::clone(&library), at));
        }
        self.libraries.insert(library.name.clone(), library);
    }

    fn unlink(&mut self, name: &str) -> Option<Rc<Library>> {
        let library = self.libraries.remove(name)?;
        for function in &library.functions {
            self.functions.remove(&function.name.to_ascii_lowercase());
        }
        Some(library)
    }

    /// The library that has a function, and the function's place in it.
    fn find(&self, name: &[u8]) -> Option<(&Library, usize)> {
        let name = std::str::from_utf8(name).ok()?;
        let found = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.functions.get(&name.to_ascii_lowercase())
        } else {
            self.functions.get(name)
        };
        found.map(|(library, at)| (&**library, *at))
    }

    /// A function of the library whose name is taken.
    fn collision<'a>(&self, library: &'a Library) -> Option<&'a str> {
        let taken = |name: &&str| self.functions.contains_key(&name.to_ascii_lowercase());
        library.functions.iter().map(|function| function.name.as_str()).find(taken)
    }
}

/// All libraries, with their interpreter. What a library keeps in upvalues stays until it goes.
#[derive(Debug)]
pub(crate) struct Libraries {
    // Functions go before the interpreter that holds them.
    catalog: Catalog,
    state: State,
}

impl Libraries {
    /// Creates the interpreter; `memory_limit` is in bytes, 0 for none.
    pub(crate) fn new(random: Rc<Random>, environment: Environment) -> Result<Self> {
        let state = State::new(Purpose::Functions, environment, random)?;
        Ok(Self { catalog: Catalog::default(), state })
    }

    /// FUNCTION LOAD: gives the library's name. The error is a text without its code; nothing has
    /// changed then.
    pub(crate) fn load(
        &mut self,
        code: &[u8],
        replace: bool,
        loader: &mut dyn Loader,
    ) -> std::result::Result<String, Vec<u8>> {
        let mut catalog = std::mem::take(&mut self.catalog);
        let result = self.load_into(&mut catalog, code, replace, loader);
        self.catalog = catalog;
        self.state.release();
        result
    }

    /// FUNCTION RESTORE, and what a snapshot holds: loads the code of each library, and nothing
    /// unless all of it is well. The error is a text without its code.
    pub(crate) fn restore<'a>(
        &mut self,
        codes: impl IntoIterator<Item = &'a [u8]>,
        policy: RestorePolicy,
        loader: &mut dyn Loader,
    ) -> std::result::Result<(), Vec<u8>> {
        let mut loaded = Catalog::default();
        for code in codes {
            self.load_into(&mut loaded, code, false, loader)?;
        }
        if policy == RestorePolicy::Flush {
            self.catalog = loaded;
            return Ok(());
        }
        self.join(loaded, policy)
    }

    /// FUNCTION DELETE: whether there was such a library.
    pub(crate) fn delete(&mut self, name: &[u8]) -> bool {
        let deleted =
            std::str::from_utf8(name).is_ok_and(|name| self.catalog.unlink(name).is_some());
        self.state.release();
        deleted
    }

    /// FUNCTION FLUSH.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.catalog = Catalog::default();
        self.state.collect_garbage()
    }

    /// All libraries in the order of their names, for FUNCTION LIST and DUMP and for snapshots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Library> {
        self.catalog.libraries.values().map(Rc::as_ref)
    }

    /// Looks a function up, whatever the case of its name.
    pub(crate) fn function(&self, name: &[u8]) -> Option<&Registered> {
        let (library, at) = self.catalog.find(name)?;
        library.functions.get(at)
    }

    /// How many libraries there are.
    pub(crate) fn libraries_count(&self) -> usize {
        self.catalog.libraries.len()
    }

    /// How many functions all libraries have together.
    pub(crate) fn functions_count(&self) -> usize {
        self.iter().map(|library| library.functions.len()).sum()
    }

    /// Runs a function; false if there is none of that name. All checks of flags come before.
    pub(crate) fn run(
        &self,
        name: &[u8],
        input: Input<'_>,
        host: &mut dyn Host,
        writer: &mut dyn ReplyWriter,
    ) -> bool {
        let Some((library, at)) = self.catalog.find(name) else { return false };
        let Some(function) = library.functions.get(at) else { return false };
        let call = (&function.callback, Passing::Arguments);
        self.state.run(call, &function.name, input, host, writer);
        true
    }

    /// Bytes of the interpreter: used_memory_vm_functions.
    pub(crate) fn used_memory(&self) -> usize {
        self.state.used_memory()
    }

    /// Bytes of the names and codes of libraries and functions.
    pub(crate) fn overhead(&self) -> usize {
        let function = |function: &Registered| {
            let description = function.description.as_ref().map_or(0, Vec::len);
            size_of::<Registered>() + function.name.len() + description
        };
        let library = |library: &Library| {
            let functions: usize = library.functions.iter().map(function).sum();
            size_of::<Library>() + library.name.len() + library.code.len() + functions
        };
        self.iter().map(library).sum()
    }

    fn load_into(
        &self,
        catalog: &mut Catalog,
        code: &[u8],
        replace: bool,
        loader: &mut dyn Loader,
    ) -> std::result::Result<String, Vec<u8>> {
        let LibraryLine { engine, name, len } = library_line(code)?;
        if !is_name(&name) {
            return Err(BAD_NAME.into());
        }
        if !engine.eq_ignore_ascii_case(ENGINE.as_bytes()) {
            return Err([b"Engine '", &engine[..], b"' not found"].concat());
        }
        let name = String::from_utf8(name).expect("names are ASCII");
        if !replace && catalog.libraries.contains_key(&name) {
            return Err(format!("Library '{name}' already exists").into_bytes());
        }
        let old = catalog.unlink(&name);
        let result = self.create(catalog, &name, code, len, loader);
        match (result, old) {
            (Ok(library), _) => {
                catalog.link(Rc::new(library));
                Ok(name)
            }
            (Err(error), old) => {
                if let Some(old) = old {
                    catalog.link(old);
                }
                Err(error)
            }
        }
    }

    /// Runs a library's code and checks what it registers.
    fn create(
        &self,
        catalog: &Catalog,
        name: &str,
        code: &[u8],
        line: usize,
        loader: &mut dyn Loader,
    ) -> std::result::Result<Library, Vec<u8>> {
        let internal = |error: Error| error.to_string().into_bytes();
        let compiled = self.state.compile(&code[line..], CHUNK).map_err(internal)?;
        let compiled =
            compiled.map_err(|text| [b"Error compiling function: ", &text[..]].concat())?;
        let loaded = self.state.load_library(&compiled, loader).map_err(internal)?;
        let functions =
            loaded.map_err(|text| [b"Error registering functions: ", &text[..]].concat())?;
        if functions.is_empty() {
            return Err(b"No functions registered".to_vec());
        }
        let library = Library { name: name.to_owned(), code: code.into(), functions };
        match catalog.collision(&library) {
            Some(function) => Err(format!("Function {function} already exists").into_bytes()),
            None => Ok(library),
        }
    }

    fn join(&mut self, loaded: Catalog, policy: RestorePolicy) -> std::result::Result<(), Vec<u8>> {
        let mut replaced = Vec::new();
        let mut failure = None;
        for name in loaded.libraries.keys() {
            if policy == RestorePolicy::Append && self.catalog.libraries.contains_key(name) {
                failure = Some(format!("Library {name} already exists"));
                break;
            }
            replaced.extend(self.catalog.unlink(name));
        }
        let collision =
            loaded.libraries.values().find_map(|library| self.catalog.collision(library));
        let failure =
            failure.or_else(|| collision.map(|name| format!("Function {name} already exists")));
        if let Some(text) = failure {
            replaced.into_iter().for_each(|library| self.catalog.link(library));
            return Err(text.into_bytes());
        }
        loaded.libraries.into_values().for_each(|library| self.catalog.link(library));
        Ok(())
    }
}

/// The `redis` table that the code of a library sees while it loads.
pub(super) fn library_table(lua: &Lua, shared: &Rc<Shared>) -> Result<Table> {
    let redis = lua.create_table()?;
    let register =
        |lua: &Lua, shared: &Shared, args: MultiValue| register_function(lua, shared, &args);
    redis.raw_set("register_function", native::native(lua, shared, register)?)?;
    native::log_fields(lua, shared, &redis)?;
    Ok(redis)
}

fn register_function(lua: &Lua, shared: &Shared, args: &MultiValue) -> Result<()> {
    let mut registered = shared.registered.borrow_mut();
    let Some(registered) = registered.as_mut() else {
        return Err(raise::reply(
            "redis.register_function can only be called on FUNCTION LOAD command",
        ));
    };
    let (name, function) = match args.len() {
        1 => named_arguments(lua, &args[0])?,
        2 => positional_arguments(lua, &args[0], &args[1])?,
        _ => return Err(raise::reply("wrong number of arguments to redis.register_function")),
    };
    if !is_name(&name) {
        return Err(raise::reply(BAD_NAME));
    }
    let function =
        Registered { name: String::from_utf8(name).expect("names are ASCII"), ..function };
    if registered.iter().any(|other| other.name == function.name) {
        return Err(raise::reply("Function already exists in the library"));
    }
    registered.push(function);
    Ok(())
}

fn positional_arguments(
    lua: &Lua,
    name: &Value,
    callback: &Value,
) -> Result<(Vec<u8>, Registered)> {
    let Some(name) = text(name) else {
        return Err(raise::reply("first argument to redis.register_function must be a string"));
    };
    let Value::Function(callback) = callback else {
        return Err(raise::reply("second argument to redis.register_function must be a function"));
    };
    let callback = lua.create_registry_value(callback)?;
    let flags = ScriptFlags::default();
    Ok((name, Registered { name: String::new(), description: None, flags, callback }))
}

fn named_arguments(lua: &Lua, table: &Value) -> Result<(Vec<u8>, Registered)> {
    let Value::Table(table) = table else {
        return Err(raise::reply(
            "calling redis.register_function with a single argument is only applicable to Lua table \
             (representing named arguments).",
        ));
    };
    let (mut name, mut description, mut callback) = (None, None, None);
    let mut flags = ScriptFlags::default();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let Some(key) = text(&key) else {
            return Err(raise::reply(
                "named argument key given to redis.register_function is not a string",
            ));
        };
        match &key.to_ascii_lowercase()[..] {
            b"function_name" => {
                name = Some(text(&value).ok_or_else(|| wrong("function_name", "a string"))?)
            }
            b"description" => {
                description = Some(text(&value).ok_or_else(|| wrong("description", "a string"))?);
            }
            b"callback" => match value {
                Value::Function(function) => callback = Some(lua.create_registry_value(function)?),
                _ => return Err(wrong("callback", "a function")),
            },
            b"flags" => flags = named_flags(&value)?,
            _ => return Err(raise::reply("unknown argument given to redis.register_function")),
        }
    }
    let missing =
        |what: &str| raise::reply(&format!("redis.register_function must get a {what} argument"));
    let name = name.ok_or_else(|| missing("function name"))?;
    let callback = callback.ok_or_else(|| missing("callback"))?;
    Ok((name, Registered { name: String::new(), description, flags, callback }))
}

fn wrong(argument: &str, expected: &str) -> Error {
    raise::reply(&format!(
        "{argument} argument given to redis.register_function must be {expected}"
    ))
}

fn named_flags(value: &Value) -> Result<ScriptFlags> {
    let Value::Table(table) = value else {
        return Err(raise::reply(
            "flags argument to redis.register_function must be a table representing function flags",
        ));
    };
    let mut flags = ScriptFlags::default();
    for at in 1.. {
        let name: Value = table.get(at)?;
        if name.is_nil() {
            break;
        }
        let flag = text(&name).and_then(|name| ScriptFlags::named_in_either_case(&name));
        flags.add(flag.ok_or_else(|| raise::reply("unknown flag given"))?);
    }
    Ok(flags)
}

/// A string, or the text of a number.
fn text(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(string) => Some(string.as_bytes().to_vec()),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        Value::Number(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}
