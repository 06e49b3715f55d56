//! The functions that scripts call: `redis.*`, and those of Lua's own that must be in C's place.
//!
//! They look like functions in C to Lua, so that an error names the script's line even when the
//! script returns their result straight away.

use std::panic::resume_unwind;
use std::rc::Rc;

use mlua::{Error, Function, IntoLuaMulti, Lua, LuaString, MultiValue, Result, Table, Value};

use super::arguments::with_words;
use super::direct;
use super::host::{CallError, HOST, LOADER, LogLevel, Propagation, Resp};
use super::names::Shared;
use super::raise;
use super::random::RANDOM_MAX;
use super::reply::Replies;
use super::sha::sha1_hex;

/// The version that scripts are told, and its parts as bytes.
const VERSION: &str = "7.0.15";
const VERSION_NUMBER: u32 = 0x0007_000f;

const AOF: i64 = 1;
const REPLICAS: i64 = 2;

/// The `redis` table of EVAL or, without what debugging and replication once needed, of functions.
pub(super) fn redis_table(lua: &Lua, shared: &Rc<Shared>, eval: bool) -> Result<Table> {
    let redis = lua.create_table()?;
    let call = native(lua, shared, |lua, shared, args| call(lua, shared, &args))?;
    redis.raw_set("call", direct::stand_for(lua, shared, call)?)?;
    let pcall = native(lua, shared, |lua, shared, args| pcall(lua, shared, &args))?;
    redis.raw_set("pcall", direct::stand_for(lua, shared, pcall)?)?;
    log_fields(lua, shared, &redis)?;
    redis.raw_set(
        "setresp",
        native(lua, shared, |lua, shared, args| setresp(lua, shared, &args))?,
    )?;
    redis.raw_set("sha1hex", native(lua, shared, |lua, _, args| sha1hex(lua, &args))?)?;
    redis.raw_set("error_reply", native(lua, shared, error_reply)?)?;
    redis.raw_set("status_reply", native(lua, shared, status_reply)?)?;
    redis.raw_set("set_repl", native(lua, shared, |lua, _, args| set_repl(lua, &args))?)?;
    for (name, flags) in [
        ("REPL_NONE", 0),
        ("REPL_AOF", AOF),
        ("REPL_SLAVE", REPLICAS),
        ("REPL_REPLICA", REPLICAS),
        ("REPL_ALL", AOF | REPLICAS),
    ] {
        redis.raw_set(name, flags)?;
    }
    redis.raw_set(
        "acl_check_cmd",
        native(lua, shared, |_, shared, args| acl_check_cmd(shared, &args))?,
    )?;
    if eval {
        // Outside of the debugger no breakpoint stops, and nothing is shown.
        redis.raw_set("breakpoint", native(lua, shared, |_, _, _| Ok(false))?)?;
        redis.raw_set("debug", native(lua, shared, |_, _, _| Ok(()))?)?;
        redis.raw_set("replicate_commands", native(lua, shared, |_, _, _| Ok(true))?)?;
    }
    Ok(redis)
}

/// `log`, its levels and the version: what the code of a library may use while it loads, too.
pub(super) fn log_fields(lua: &Lua, shared: &Rc<Shared>, redis: &Table) -> Result<()> {
    redis.raw_set("log", native(lua, shared, |lua, _, args| log(lua, &args))?)?;
    for (level, name) in
        ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"].iter().enumerate()
    {
        redis.raw_set(*name, level)?;
    }
    redis.raw_set("REDIS_VERSION_NUM", VERSION_NUMBER)?;
    redis.raw_set("REDIS_VERSION", VERSION)
}

/// Replaces `math.random` and `math.randomseed`.
pub(super) fn install_random(lua: &Lua, shared: &Rc<Shared>, math: &Table) -> Result<()> {
    math.raw_set("random", native(lua, shared, |lua, shared, args| random(lua, shared, &args))?)?;
    let seed = |lua: &Lua, shared: &Shared, args: MultiValue| {
        in_script(lua, "math.randomseed")?;
        let seed = int_argument(lua, &args, 1)?;
        shared.random.seed(seed);
        Ok(())
    };
    math.raw_set("randomseed", native(lua, shared, seed)?)
}

/// What the prelude needs of Rust.
pub(super) fn prelude_natives(lua: &Lua, shared: &Rc<Shared>) -> Result<Table> {
    let natives = lua.create_table()?;
    let reveal = |lua: &Lua, shared: &Shared, args: MultiValue| {
        raise::reveal(lua, &shared.names, args.into_iter().next().unwrap_or(Value::Nil))
    };
    natives.raw_set("reveal", native(lua, shared, reveal)?)?;
    let ending = |_: &Lua, shared: &Shared, _: MultiValue| Ok(shared.ending.get().is_some());
    natives.raw_set("ending", native(lua, shared, ending)?)?;
    natives.raw_set("rawset", native(lua, shared, rawset)?)?;
    natives.raw_set("setmetatable", native(lua, shared, set_metatable)?)?;
    Ok(natives)
}

/// The handler of the outermost xpcall.
pub(super) fn trap(lua: &Lua, shared: &Rc<Shared>) -> Result<Function> {
    native(lua, shared, |lua, shared, args| {
        raise::trap(lua, &shared.names, args.into_iter().next().unwrap_or(Value::Nil))
    })
}

pub(super) fn native<R: IntoLuaMulti>(
    lua: &Lua,
    shared: &Rc<Shared>,
    function: impl Fn(&Lua, &Shared, MultiValue) -> Result<R> + 'static,
) -> Result<Function> {
    let shared = Rc::clone(shared);
    lua.create_function(move |lua, args: MultiValue| function(lua, &shared, args))
}

fn call(lua: &Lua, shared: &Shared, args: &MultiValue) -> Result<Value> {
    let (reply, outcome) = ask_host(shared, args)?;
    if let Err(error) = outcome {
        return Err(refused(error));
    }
    let result = match &reply[..] {
        [b'-', ..] => {
            let line = reply.strip_suffix(b"\r\n").unwrap_or(&reply);
            Err(Error::external(raise::Raised::Reply {
                text: raise::error_text(line),
                counted: true,
            }))
        }
        bytes => value_of(lua, shared, bytes),
    };
    shared.reply.replace(reply);
    result
}

fn pcall(lua: &Lua, shared: &Shared, args: &MultiValue) -> Result<Value> {
    let (reply, outcome) = match ask_host(shared, args) {
        Ok(asked) => asked,
        Err(error) => return raise::reveal(lua, &shared.names, Value::Error(Box::new(error))),
    };
    if let Err(error) = outcome {
        let error = refused(error);
        return raise::reveal(lua, &shared.names, Value::Error(Box::new(error)));
    }
    let result = value_of(lua, shared, &reply);
    shared.reply.replace(reply);
    result
}

fn value_of(lua: &Lua, shared: &Shared, reply: &[u8]) -> Result<Value> {
    shared.make(lua, reply.len(), || Replies::new(lua, &shared.names, reply).value())
}

type Reply = (Vec<u8>, std::result::Result<(), CallError>);

/// The host's reply, which may be there already.
fn ask_host(shared: &Shared, args: &MultiValue) -> Result<Reply> {
    if !HOST.is_set() {
        return Err(raise::reply("redis.call/pcall can only be called inside a script invocation"));
    }
    if let Some(asked) = shared.asked.take() {
        let outcome = asked.unwrap_or_else(|panic| resume_unwind(panic));
        return Ok((shared.reply.take(), outcome));
    }
    let mut reply = shared.reply.take();
    reply.clear();
    let outcome = with_words(shared, args, |words| HOST.with(|host| host.call(words, &mut reply)))?;
    Ok((reply, outcome))
}

fn refused(CallError::Refused(text): CallError) -> Error {
    let text = raise::error_text(text.as_bytes());
    Error::external(raise::Raised::Reply { text, counted: true })
}

fn acl_check_cmd(shared: &Shared, args: &MultiValue) -> Result<bool> {
    if !HOST.is_set() {
        return Err(raise::reply(
            "redis.acl_check_cmd can only be called inside a script invocation",
        ));
    }
    with_words(shared, args, |words| HOST.with(|host| host.acl_check_cmd(words)))?
        .ok_or_else(|| raise::reply("Invalid command passed to redis.acl_check_cmd()"))
}

fn setresp(lua: &Lua, shared: &Shared, args: &MultiValue) -> Result<()> {
    if !HOST.is_set() {
        return Err(raise::reply("redis.setresp can only be called inside a script invocation"));
    }
    if args.len() != 1 {
        return Err(raise::reply("redis.setresp() requires one argument."));
    }
    let resp = match to_number(lua, &args[0])? as i32 {
        2 => Resp::Two,
        3 => Resp::Three,
        _ => return Err(raise::reply("RESP version must be 2 or 3.")),
    };
    shared.resp.set(resp);
    HOST.with(|host| host.set_resp(resp));
    Ok(())
}

fn set_repl(lua: &Lua, args: &MultiValue) -> Result<()> {
    if !HOST.is_set() {
        return Err(raise::reply("redis.set_repl can only be called inside a script invocation"));
    }
    if args.len() != 1 {
        return Err(raise::reply("redis.set_repl() requires two arguments."));
    }
    let flags = i64::from(to_number(lua, &args[0])? as i32);
    if flags & !(AOF | REPLICAS) != 0 {
        let text = "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
        return Err(raise::reply(text));
    }
    let propagation = Propagation { aof: flags & AOF != 0, replicas: flags & REPLICAS != 0 };
    HOST.with(|host| host.set_repl(propagation));
    Ok(())
}

fn log(lua: &Lua, args: &MultiValue) -> Result<()> {
    if args.len() < 2 {
        return Err(raise::reply("redis.log() requires two arguments or more."));
    }
    let level = match lua.coerce_number(args[0].clone())?.map(|level| level as i32) {
        None => return Err(raise::reply("First argument must be a number (log level).")),
        Some(0) => LogLevel::Debug,
        Some(1) => LogLevel::Verbose,
        Some(2) => LogLevel::Notice,
        Some(3) => LogLevel::Warning,
        Some(_) => return Err(raise::reply("Invalid debug level.")),
    };
    let mut text = Vec::new();
    for (place, arg) in args.iter().skip(1).enumerate() {
        let Some(word) = lua.coerce_string(arg.clone())? else { continue };
        if place > 0 {
            text.push(b' ');
        }
        text.extend_from_slice(&word.as_bytes());
    }
    if HOST.is_set() {
        HOST.with(|host| host.log(level, &text));
    } else if LOADER.is_set() {
        LOADER.with(|loader| loader.log(level, &text));
    }
    Ok(())
}

fn sha1hex(lua: &Lua, args: &MultiValue) -> Result<LuaString> {
    if args.len() != 1 {
        return Err(raise::reply("wrong number of arguments"));
    }
    let digest = match lua.coerce_string(args[0].clone())? {
        Some(text) => sha1_hex(&text.as_bytes()),
        None => sha1_hex(b""),
    };
    lua.create_string(digest)
}

/// The only argument, if it is a string.
fn only_string(args: &MultiValue) -> Option<&LuaString> {
    match (args.len(), args.front()) {
        (1, Some(Value::String(string))) => Some(string),
        _ => None,
    }
}

fn wrong_arguments(lua: &Lua, shared: &Shared) -> Result<Value> {
    let text = raise::error_text(b"wrong number or type of arguments");
    raise::error_table(lua, &shared.names, &text, false)
}

fn error_reply(lua: &Lua, shared: &Shared, args: MultiValue) -> Result<Value> {
    let Some(text) = only_string(&args) else { return wrong_arguments(lua, shared) };
    let text = text.as_bytes();
    let raw = match text.first() {
        Some(b'-') => text.to_vec(),
        _ => [b"-", raise::up_to_zero(&text)].concat(),
    };
    raise::error_table(lua, &shared.names, &raise::error_text(&raw), false)
}

fn status_reply(lua: &Lua, shared: &Shared, args: MultiValue) -> Result<Value> {
    let Some(text) = only_string(&args) else { return wrong_arguments(lua, shared) };
    let table = lua.create_table()?;
    table.raw_set(&shared.names.ok, text)?;
    Ok(Value::Table(table))
}

fn random(lua: &Lua, shared: &Shared, args: &MultiValue) -> Result<f64> {
    in_script(lua, "math.random")?;
    let fraction = f64::from(shared.random.next() % RANDOM_MAX) / f64::from(RANDOM_MAX);
    match args.len() {
        0 => Ok(fraction),
        1 => {
            let high = int_argument(lua, args, 1)?;
            if high < 1 {
                return Err(raise::bad_argument(lua, 1, "interval is empty"));
            }
            Ok((fraction * f64::from(high)).floor() + 1.0)
        }
        2 => {
            let (low, high) = (int_argument(lua, args, 1)?, int_argument(lua, args, 2)?);
            if low > high {
                return Err(raise::bad_argument(lua, 2, "interval is empty"));
            }
            let width = high.wrapping_sub(low).wrapping_add(1);
            Ok((fraction * f64::from(width)).floor() + f64::from(low))
        }
        _ => Err(raise::message(lua, "wrong number of arguments")),
    }
}

fn in_script(lua: &Lua, name: &str) -> Result<()> {
    if HOST.is_set() {
        return Ok(());
    }
    Err(raise::message(lua, &format!("{name} can only be called inside a script invocation")))
}

/// The argument at `position` (from 1) as C's int.
pub(super) fn int_argument(lua: &Lua, args: &MultiValue, position: usize) -> Result<i32> {
    let number = match args.get(position - 1) {
        Some(value) => lua.coerce_number(value.clone())?,
        None => None,
    };
    number
        .map(|number| number as i64 as i32)
        .ok_or_else(|| raise::bad_type(lua, args, position, "number"))
}

/// Lua's `lua_tonumber`: zero for what is no number.
fn to_number(lua: &Lua, value: &Value) -> Result<f64> {
    Ok(lua.coerce_number(value.clone())?.unwrap_or(0.0))
}

/// Whether a table is sealed.
fn is_sealed(shared: &Shared, table: &Table) -> Result<bool> {
    shared.names.prelude()?.contents.raw_get::<bool>(table)
}

fn readonly() -> Error {
    raise::bare_message("Attempt to modify a readonly table")
}

fn rawset(lua: &Lua, shared: &Shared, args: MultiValue) -> Result<Table> {
    let Some(Value::Table(table)) = args.front() else {
        return Err(raise::bad_type(lua, &args, 1, "table"));
    };
    for position in [2, 3] {
        if args.len() < position {
            return Err(raise::bad_argument(lua, position, "value expected"));
        }
    }
    if is_sealed(shared, table)? {
        return Err(readonly());
    }
    match &args[1] {
        Value::Nil => return Err(raise::bare_message("table index is nil")),
        Value::Number(key) if key.is_nan() => {
            return Err(raise::bare_message("table index is NaN"));
        }
        _ => {}
    }
    table.raw_set(&args[1], &args[2])?;
    Ok(table.clone())
}

fn set_metatable(lua: &Lua, shared: &Shared, args: MultiValue) -> Result<Table> {
    let Some(Value::Table(table)) = args.front() else {
        return Err(raise::bad_type(lua, &args, 1, "table"));
    };
    let metatable = match args.get(1) {
        Some(Value::Table(metatable)) => Some(metatable.clone()),
        Some(Value::Nil) => None,
        _ => return Err(raise::bad_argument(lua, 2, "nil or table expected")),
    };
    if is_sealed(shared, table)? {
        return Err(readonly());
    }
    if let Some(present) = table.metatable()
        && !present.raw_get::<Value>("__metatable")?.is_nil()
    {
        return Err(raise::message(lua, "cannot change a protected metatable"));
    }
    table.set_metatable(metatable)?;
    Ok(table.clone())
}
