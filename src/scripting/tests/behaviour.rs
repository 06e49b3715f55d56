//! What no single reply shows: ends that cannot be caught, limits, libraries as a whole.

use std::rc::Rc;

use super::store::Store;
use super::wire::{Patient, Wire};
use crate::scripting::sha::sha1_hex;
use crate::scripting::{
    Counted, Environment, Input, Interrupt, Libraries, Loader, LogLevel, Propagation, Random,
    RestorePolicy, ScriptFlags, Scripts, parse_sha,
};

const NOTHING: Input<'_> = Input { keys: &[], args: &[] };

fn scripts() -> Scripts {
    Scripts::new(Rc::new(Random::new()), Environment::default()).unwrap()
}

fn libraries() -> Libraries {
    Libraries::new(Rc::new(Random::new()), Environment::default()).unwrap()
}

fn run(scripts: &mut Scripts, store: &mut Store, body: &str) -> Wire {
    let id = scripts.load(body.as_bytes()).unwrap();
    let mut wire = Wire::new(false);
    scripts.run(id, NOTHING, store, &mut wire);
    wire
}

fn text(wire: &Wire) -> String {
    String::from_utf8_lossy(&wire.bytes).into_owned()
}

fn answer(scripts: &mut Scripts, body: &str) -> String {
    text(&run(scripts, &mut Store::new(), body))
}

fn call(libraries: &Libraries, name: &str) -> String {
    let mut wire = Wire::new(false);
    match libraries.run(name.as_bytes(), NOTHING, &mut Store::new(), &mut wire) {
        true => text(&wire),
        false => "none".to_owned(),
    }
}

fn library(name: &str, functions: &[&str]) -> String {
    let register = |function: &&str| {
        format!(
            "redis.register_function('{function}', function() return '{name}.{function}' end)\n"
        )
    };
    format!("#!lua name={name}\n") + &functions.iter().map(register).collect::<String>()
}

fn names(libraries: &Libraries) -> String {
    let one = |library: &crate::scripting::Library| {
        let functions: Vec<_> =
            library.functions().iter().map(|function| function.name()).collect();
        format!("{}({})", library.name(), functions.join(","))
    };
    libraries.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_killed_script_fails_whatever_it_catches() {
    let mut scripts = scripts();
    for body in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do\n pcall(redis.call, 'get', 'k')\nend",
        "local co = coroutine.wrap(function() while true do pcall(function() while true do end end) end end) \
         while true do pcall(co) end",
        "local f = function() return pcall(function() while true do end end) end while true do f() end",
        "return xpcall(function() while true do end end, function() while true do end end)",
        "error(setmetatable({}, {__index = function() while true do end end}))",
        "return {err = 'x', setmetatable({}, {})} and setmetatable({err = 'x'}, {__index = function() while true do end end})",
    ] {
        let mut store = Store::new();
        (store.patience, store.interrupt) = (3, Some(Interrupt::Kill));
        let wire = run(&mut scripts, &mut store, body);
        let text = text(&wire);
        assert!(text.starts_with("-ERR Script killed by user with SCRIPT KILL..."), "{text}");
    }
    assert_eq!(
        answer(&mut scripts, "local n = 0 for i = 1, 1e6 do n = n + 1 end return n"),
        ":1000000\r\n"
    );
}

#[test]
fn a_script_that_allocates_without_end_fails_and_frees() {
    let bounded = Environment { memory_max: 32 << 20, ..Environment::default() };
    let mut scripts = Scripts::new(Rc::new(Random::new()), bounded).unwrap();
    for body in [
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = {} end",
        "return string.rep('x', 1e9)",
        "local t = {} for i = 1, 1e9 do t[i] = redis.call('echo', string.rep('x', 1000) .. i) end",
        "local s = {} for i = 1, 15000 do s[i] = i end redis.call('rpush', 'l', unpack(s, 1, 1000)) \
         for i = 1, 15000 do s[i] = redis.call('lrange', 'l', 0, -1) end",
        "local t = {} while true do local ok, e = pcall(function() while true do t[#t + 1] = {} end end) \
         if not ok then return e end end",
    ] {
        let text = text(&run(&mut scripts, &mut Store::new(), body));
        assert!(text.contains("not enough memory"), "{body}: {text}");
        assert_eq!(answer(&mut scripts, "collectgarbage() return 'on'"), "$2\r\non\r\n");
        assert!(scripts.used_memory() < 8 << 20, "{body}");
    }
}

#[test]
fn errors_say_whether_they_are_counted() {
    let mut scripts = scripts();
    for (body, counted) in [
        ("return redis.call('nosuch')", Counted::Already),
        ("return redis.pcall('nosuch')", Counted::Already),
        ("redis.call('set', 'k', 'v') return redis.call('lpush', 'k', 'v')", Counted::Already),
        ("error(redis.pcall('nosuch'))", Counted::Already),
        ("return redis.call()", Counted::NotYet),
        ("error('x')", Counted::NotYet),
        ("return redis.error_reply('x')", Counted::NotYet),
        ("return {err = redis.pcall('nosuch').err}", Counted::NotYet),
    ] {
        assert_eq!(run(&mut scripts, &mut Store::new(), body).counted, Some(counted), "{body}");
    }
}

#[test]
fn the_host_hears_of_logs_and_propagation() {
    let mut store = Store::new();
    let body =
        "redis.log(redis.LOG_WARNING, 'a', 1, 2.5, nil, {}, 'b') redis.set_repl(redis.REPL_AOF)";
    run(&mut scripts(), &mut store, body);
    assert_eq!(store.logged, [(LogLevel::Warning, b"a 1 2.5 b".to_vec())]);
    assert_eq!(store.propagation, Some(Propagation { aof: true, replicas: false }));
}

#[test]
fn scripts_leave_nothing_to_each_other() {
    let mut scripts = scripts();
    answer(
        &mut scripts,
        "KEYS.secret = 1 ARGV[1] = 2 local s = getmetatable('') pcall(rawset, s, 'x', 1)",
    );
    for body in [
        "return KEYS.secret or 'none'",
        "return ARGV[1] or 'none'",
        "return getmetatable('').x or 'none'",
        "return rawget(_G, 'x') or 'none'",
    ] {
        assert_eq!(answer(&mut scripts, body), "$4\r\nnone\r\n", "{body}");
    }
}

#[test]
fn no_way_leads_to_a_shared_table() {
    let mut scripts = scripts();
    let ways = [
        "rawset(_G, 'pwned', 1)",
        "rawset(string, 'rep', nil)",
        "string.rep = nil",
        "getmetatable('').__index.rep = nil",
        "rawset(getmetatable('').__index, 'rep', nil)",
        "table.insert(string, 'x')",
        "table.insert(_G, 1, 'x')",
        "for k, v in pairs(_G) do if type(v) == 'table' and v ~= KEYS and v ~= ARGV then v.pwned = 1 end end",
        "for k, v in pairs(_G) do if type(v) == 'table' then rawset(v, 'pwned', 1) end end",
        "local f, t, k = pairs(string) rawset(t, 'rep', nil)",
        "local f, t, k = pairs(string) t.rep = nil",
        "local f, t, k = ipairs(string) t.rep = nil",
        "setmetatable(_G, {__index = function() return 1 end})",
        "setmetatable(getmetatable(_G), {})",
        "rawset(getmetatable(_G), '__index', function() return 1 end)",
        "getmetatable(_G).__newindex = nil",
        "getmetatable(_G).__metatable = 1",
        "table.sort(string, function() return true end) string.rep = 1",
        "setmetatable({}, {__index = string}).rep.x = 1",
        "local t = setmetatable({}, {__newindex = string}) t.rep = nil",
        "local t = setmetatable({}, {__newindex = _G}) t.pwned = 1",
        "for k in next, string do string[k] = nil end",
        "table.foreach(_G, function(k, v) if k == 'string' then v.rep = nil end end)",
        "local co = coroutine.create(function() string.rep = nil end) assert(coroutine.resume(co))",
        "loadstring('string.rep = nil')()",
        "load(function() if not X then return nil end end)() string.rep = nil",
        "xpcall(function() error(string) end, function(e) e.rep = nil end) error('x')",
        "local ok, e = pcall(error, string) e.rep = nil",
        "string.gsub('rep', '.+', string) string.rep = nil",
        "unpack({string})['rep'] = nil",
        "select(1, string).rep = nil",
        "collectgarbage('setpause', 1000) string.rep = nil",
        "redis.call = function() return 'fake' end",
        "rawset(redis, 'call', function() return 'fake' end)",
        "coroutine.resume = nil",
    ];
    for way in ways {
        let reply = answer(&mut scripts, way);
        assert!(reply.starts_with('-'), "{way}: {reply}");
        let after = "local n = 0 for k in pairs(_G) do n = n + 1 end \
                     return {('x'):rep(2), string.rep('y', 2), type(redis.call), type(coroutine.resume), \
                     type(rawget(_G, 'pwned')), #string, #_G, n, tostring(getmetatable(string))}";
        let expected = answer(&mut self::scripts(), after);
        assert_eq!(answer(&mut scripts, after), expected, "{way}");
    }
}

#[test]
fn crafted_input_to_lua_is_harmless() {
    let mut scripts = scripts();
    for (body, expected) in [
        // Freed chunk names: the reader collects garbage while the parser would hold the name.
        (
            "local n = 0 local f = load(function() n = n + 1 collectgarbage() if n < 4 then return ' ' end \
             end, string.rep('c', 50) .. n) return type(f)",
            "$8\r\nfunction\r\n",
        ),
        // Counts that overflow.
        ("return {pcall(unpack, {}, 0, 2^31 - 1)}", "too many results to unpack"),
        ("return {pcall(unpack, {}, -2^31, 2^31 - 1)}", "too many results to unpack"),
        ("return {pcall(unpack, {}, 1, 2^31)}", "*1\r\n:1\r\n"),
        ("return {pcall(string.rep)}", "bad argument"),
        // Precompiled chunks, whole and in pieces.
        (
            "return loadstring(string.dump(function() return 1 end)) and 'yes' or 'no'",
            "$2\r\nno\r\n",
        ),
        (
            "local d, n = string.dump(function() return 1 end), 0 local f, e = load(function() n = n + 1 \
             return n <= #d and d:sub(n, n) or nil end) return e",
            "unexpected symbol near 'char(27)'",
        ),
        ("local f, e = loadstring('\\27') return e", "unexpected symbol near 'char(27)'"),
        // Recursion in patterns, comparisons, concatenation and the C stack.
        // As deep as a pattern may nest on a test's stack of 2 MiB.
        ("return {pcall(string.find, string.rep('a', 5000), string.rep('a?', 5000))}", "*"),
        (
            "return {pcall(string.rep('(', 100).find, 'a', string.rep('(', 100))}",
            "too many captures",
        ),
        (
            "local t = setmetatable({}, {}) getmetatable(t).__index = t return {pcall(function() return t.x end)}",
            "loop in gettable",
        ),
        (
            "local n, f = 0 f = function() n = n + 1 local ok = pcall(f) return ok end f() return n > 50 and 'deep'",
            "deep",
        ),
        (
            "local t = {} for i = 1, 300 do t = setmetatable({}, {__index = t}) end return {pcall(function() return t.x end)}",
            "loop in gettable",
        ),
        (
            "local s = 'return ' .. string.rep('(', 300) .. '1' .. string.rep(')', 300) return {loadstring(s)}",
            "*",
        ),
        (
            "local s = string.rep('do ', 300) .. string.rep('end ', 300) local f, e = loadstring(s) return e",
            "chunk has too many syntax levels",
        ),
        ("return {pcall(string.format, '%1000d', 1)}", "invalid format"),
        ("return string.format('%99.99f', 1/3):sub(1, 5)", "$5\r\n"),
    ] {
        let reply = answer(&mut scripts, body);
        assert!(reply.contains(expected), "{body}: {reply}");
    }
}

#[test]
fn a_text_is_found_however_many_came_between() {
    let mut scripts = scripts();
    let first = scripts.load(b"return 'first'").unwrap();
    for number in 0..2100 {
        let body = format!("return {number}");
        assert_eq!(answer(&mut scripts, &body), format!(":{number}\r\n"));
    }
    // Longer than all that is remembered together.
    let long = format!("return 'first' --{}", " ".repeat(2 << 20));
    assert_eq!(answer(&mut scripts, &long), "$5\r\nfirst\r\n");
    assert_ne!(scripts.load(long.as_bytes()).unwrap(), first);
    assert_eq!(scripts.load(b"return 'first'").unwrap(), first);
    assert_eq!(answer(&mut scripts, "return 5"), ":5\r\n");
    assert_eq!(scripts.len(), 2102);
}

#[test]
fn a_flush_forgets_scripts() {
    let mut scripts = scripts();
    let id = scripts.load(b"return 1").unwrap();
    assert_eq!(scripts.load(b"return 1").unwrap(), id);
    let sha = *scripts.script(id).sha();
    assert_eq!((scripts.len(), scripts.find(&sha)), (1, Some(id)));
    assert_eq!(scripts.script(id).flags(), ScriptFlags::COMPAT);
    assert_eq!(parse_sha(&sha.to_ascii_uppercase()), Some(sha));
    assert_eq!(sha, sha1_hex(b"return 1"));
    assert!(scripts.overhead() > 40 && scripts.used_memory() > 10_000);
    scripts.flush().unwrap();
    assert_eq!(scripts.find(&sha), None);
    assert_eq!(scripts.len(), 0);
    assert_eq!(answer(&mut scripts, "return 2"), ":2\r\n");
}

#[test]
fn memory_does_not_grow_with_runs() {
    let mut scripts = scripts();
    let body = "local t = {} for i = 1, 50 do t[i] = redis.call('echo', i) end pcall(redis.call) \
                return {map = {a = t, b = {set = {x = 1}}}}";
    let mut used = |runs| {
        let mut most = 0;
        for _ in 0..runs {
            answer(&mut scripts, body);
            most = most.max(scripts.used_memory());
        }
        assert!(most < 8 << 20, "garbage is collected on the way: {most}");
        answer(&mut scripts, "collectgarbage()");
        scripts.used_memory()
    };
    let before = used(500);
    let after = used(5_000);
    assert!(after < before + 100_000, "{before} → {after}");
}

#[test]
fn libraries_keep_what_their_functions_close_over() {
    let mut libraries = libraries();
    let code = "#!lua name=counter\nlocal n = 0\nredis.register_function('Next', function() n = n + 1 return n end)";
    assert_eq!(libraries.load(code.as_bytes(), false, &mut Patient).unwrap(), "counter");
    assert_eq!(
        (call(&libraries, "next"), call(&libraries, "NEXT")),
        (":1\r\n".into(), ":2\r\n".into())
    );
    libraries.load(code.as_bytes(), true, &mut Patient).unwrap();
    assert_eq!(call(&libraries, "Next"), ":1\r\n");
}

#[test]
fn a_library_that_fails_to_load_changes_nothing() {
    let mut libraries = libraries();
    libraries.load(library("one", &["f", "g"]).as_bytes(), false, &mut Patient).unwrap();
    libraries.load(library("two", &["h"]).as_bytes(), false, &mut Patient).unwrap();
    for (code, replace, error) in [
        (library("one", &["x"]), false, "Library 'one' already exists"),
        (library("three", &["G"]), false, "Function G already exists"),
        (library("one", &["h"]), true, "Function h already exists"),
        (library("one", &[]), true, "No functions registered"),
        (
            library("one", &["a b"]),
            true,
            "Error registering functions: ERR Library names can only contain \
            letters, numbers, or underscores(_) and must be at least one character long",
        ),
    ] {
        let failure = libraries.load(code.as_bytes(), replace, &mut Patient).unwrap_err();
        assert_eq!(String::from_utf8_lossy(&failure), error);
        assert_eq!(names(&libraries), "one(f,g) two(h)");
        assert_eq!(call(&libraries, "g"), "$5\r\none.g\r\n");
    }
    libraries.load(library("one", &["x"]).as_bytes(), true, &mut Patient).unwrap();
    assert_eq!(names(&libraries), "one(x) two(h)");
    assert_eq!(call(&libraries, "f"), "none");
    assert!(libraries.delete(b"one") && !libraries.delete(b"one"));
    assert_eq!((libraries.libraries_count(), libraries.functions_count()), (1, 1));
}

#[test]
fn restoring_follows_its_policy_and_fails_as_a_whole() {
    let mut libraries = libraries();
    let load = |libraries: &mut Libraries, codes: &[String], policy| {
        let codes = codes.iter().map(String::as_bytes);
        let result = libraries.restore(codes, policy, &mut Patient);
        result.map_err(|text| String::from_utf8(text).unwrap())
    };
    let (one, two) = (library("one", &["f"]), library("two", &["g"]));
    load(&mut libraries, &[one.clone(), two.clone()], RestorePolicy::Append).unwrap();
    let dump: Vec<_> = libraries.iter().map(|library| library.code().to_vec()).collect();
    assert_eq!(dump, [one.as_bytes(), two.as_bytes()]);
    let fails = [
        (vec![library("three", &["h"]), two], RestorePolicy::Append, "Library two already exists"),
        (vec![library("three", &["G"])], RestorePolicy::Append, "Function G already exists"),
        (
            vec![library("two", &["x"]), library("three", &["f"])],
            RestorePolicy::Replace,
            "Function f already exists",
        ),
        (
            vec![library("x", &["x"]), "#!lua name=y\nlocal e = nosuch".into()],
            RestorePolicy::Flush,
            "Error registering functions: ERR user_function:2: Script attempted to access nonexistent \
 global variable 'nosuch'",
        ),
        (
            vec![library("x", &["x"]), library("x", &["y"])],
            RestorePolicy::Replace,
            "Library 'x' already exists",
        ),
    ];
    for (codes, policy, error) in fails {
        assert_eq!(load(&mut libraries, &codes, policy).unwrap_err(), error);
        assert_eq!(names(&libraries), "one(f) two(g)");
        assert_eq!(call(&libraries, "g"), "$5\r\ntwo.g\r\n");
    }
    load(&mut libraries, &[library("two", &["x"])], RestorePolicy::Replace).unwrap();
    assert_eq!(names(&libraries), "one(f) two(x)");
    load(&mut libraries, &[library("new", &["f"])], RestorePolicy::Flush).unwrap();
    assert_eq!(names(&libraries), "new(f)");
    libraries.flush().unwrap();
    assert_eq!(names(&libraries), "");
}

#[test]
fn functions_show_what_they_declared() {
    let mut libraries = libraries();
    let code = "#!lua name=lib\nredis.register_function{function_name='f', description='what it does', \
                flags={'allow-oom', 'no-writes'}, callback=function() return 1 end}";
    libraries.load(code.as_bytes(), false, &mut Patient).unwrap();
    let function = libraries.function(b"F").unwrap();
    assert_eq!((function.name(), function.description()), ("f", Some(&b"what it does"[..])));
    assert_eq!(function.flags().names().collect::<Vec<_>>(), ["no-writes", "allow-oom"]);
    assert!(libraries.overhead() > code.len() && libraries.used_memory() > 10_000);
}

/// A loader whose time is over at once, and that keeps what is logged.
#[derive(Default)]
struct Hurried {
    logged: Vec<Vec<u8>>,
}

impl Loader for Hurried {
    fn expired(&mut self) -> bool {
        true
    }

    fn log(&mut self, _: LogLevel, text: &[u8]) {
        self.logged.push(text.to_vec());
    }
}

#[test]
fn a_library_that_loads_without_end_is_stopped() {
    let mut libraries = libraries();
    let mut hurried = Hurried::default();
    let code = b"#!lua name=lib\nredis.log(redis.LOG_NOTICE, 'begins')\nwhile true do\nend";
    let failure = libraries.load(code, false, &mut hurried).unwrap_err();
    let text = "Error registering functions: ERR FUNCTION LOAD timeout";
    assert_eq!(String::from_utf8_lossy(&failure), text);
    assert_eq!(hurried.logged, [b"begins"]);
    libraries.load(library("one", &["f"]).as_bytes(), false, &mut hurried).unwrap();
    assert_eq!(call(&libraries, "f"), "$5\r\none.f\r\n");
}

#[test]
fn a_replaced_function_in_tail_position_loses_the_line() {
    let mut scripts = scripts();
    let reply = answer(&mut scripts, "return unpack(nil)");
    assert_eq!(reply, "-ERR bad argument #1 to 'unpack' (table expected, got nil)\r\n");
}

#[test]
fn there_may_be_many_scripts_and_functions() {
    let mut scripts = scripts();
    for n in 0..9_000 {
        assert_eq!(answer(&mut scripts, &format!("return {n}")), format!(":{n}\r\n"));
    }
    let mut libraries = libraries();
    let code = "#!lua name=many\nfor i = 1, 9000 do redis.register_function('f' .. i, function() return i end) end";
    libraries.load(code.as_bytes(), false, &mut Patient).unwrap();
    assert_eq!(call(&libraries, "f8999"), ":8999\r\n");
    let before = libraries.used_memory();
    for _ in 0..5 {
        libraries.load(code.as_bytes(), true, &mut Patient).unwrap();
    }
    libraries.flush().unwrap();
    assert!(libraries.used_memory() < before);
}

#[test]
fn commands_may_have_nearly_as_many_words_as_the_stack_has_slots() {
    let mut scripts = scripts();
    let push = |count| {
        format!(
            "local t = {{}} for i = 1, {count} do t[i] = 'v' .. i end return redis.call('rpush', 'l', unpack(t))"
        )
    };
    assert_eq!(answer(&mut scripts, &push(7_900)), ":7900\r\n");
    assert!(answer(&mut scripts, &push(7_990)).starts_with('-'));
    assert_eq!(answer(&mut scripts, &push(7_900)), ":7900\r\n");
}

#[test]
fn a_call_has_as_many_arguments_as_unpack_gives() {
    let call =
        "local a = {} for i = 1, 7999 do a[i] = 1 end return redis.call('lpush', 'l', unpack(a))";
    // Also where it is the first call, or comes after one that failed.
    let mut fresh = scripts();
    assert_eq!(answer(&mut fresh, call), ":7999\r\n");
    answer(&mut fresh, "pcall(redis.call, 'unknown') return redis.call('unknown')");
    assert_eq!(answer(&mut fresh, call), ":7999\r\n");
    let text =
        answer(&mut fresh, "local a = {} for i = 1, 8000 do a[i] = 1 end return #{unpack(a)}");
    assert!(text.contains("too many results to unpack"), "{text}");
}
