//! What `lua-enable-deprecated-api` gives to scripts, and what it does not.

use std::rc::Rc;

use super::store::Store;
use super::wire::{Patient, Wire};
use crate::scripting::{Environment, Input, Libraries, Random, Scripts};

const NOTHING: Input<'_> = Input { keys: &[], args: &[] };
const DEPRECATED: Environment = Environment { memory_max: 0, deprecated_api: true };

fn scripts() -> Scripts {
    Scripts::new(Rc::new(Random::new()), DEPRECATED).unwrap()
}

fn run(scripts: &mut Scripts, store: &mut Store, body: &str) -> String {
    let sha = scripts.load(body.as_bytes()).unwrap();
    let mut wire = Wire::new(false);
    scripts.run(sha, NOTHING, store, &mut wire);
    String::from_utf8_lossy(&wire.bytes).into_owned()
}

#[test]
fn a_function_runs_in_the_environment_that_it_is_given() {
    let mut scripts = scripts();
    for (body, answer) in [
        ("local f = function() return y end setfenv(f, {y = 5}) return f()", ":5\r\n"),
        ("setfenv(1, {x = 'own'}) return x", "$3\r\nown\r\n"),
        ("local f = function() setfenv(2, {x = 7}) end f() return x", ":7\r\n"),
        ("local t = {} return getfenv(setfenv(function() end, t)) == t and 1", ":1\r\n"),
        ("local function f() return getfenv(1) end return f() == getfenv() and 1", ":1\r\n"),
        ("return getfenv() == _G and getfenv(0) == _G and getfenv(pcall) == _G and 1", ":1\r\n"),
        (
            "return type(newproxy()) .. type(getmetatable(newproxy(true)))",
            "$13\r\nuserdatatable\r\n",
        ),
        (
            "local p = newproxy(true) getmetatable(p).__len = function() return 3 end return #newproxy(p)",
            ":3\r\n",
        ),
        ("return newproxy()", "$-1\r\n"),
    ] {
        assert_eq!(run(&mut scripts, &mut Store::new(), body), answer, "{body}");
    }
}

#[test]
fn no_environment_leads_to_the_real_globals() {
    let mut scripts = scripts();
    let fixed = "'setfenv' cannot change environment of given object";
    for (body, error) in [
        ("getfenv(1).x = 1", "Attempt to modify a readonly table"),
        ("getfenv(pcall).pcall = 1", "Attempt to modify a readonly table"),
        ("rawset(getfenv(unpack), 'pcall', 1)", "Attempt to modify a readonly table"),
        ("setmetatable(getfenv(0), nil)", "Attempt to modify a readonly table"),
        ("setfenv(pcall, {})", fixed),
        ("setfenv(redis.call, {})", fixed),
        ("setfenv(getmetatable(_G).__index, {})", fixed),
        ("setfenv(0, {})", fixed),
        ("setfenv(1)", "bad argument #2 to 'setfenv' (table expected, got no value)"),
        ("getfenv(-1)", "bad argument #1 to 'getfenv' (level must be non-negative)"),
        ("getfenv(100)", "bad argument #1 to 'getfenv' (invalid level)"),
        ("getfenv({})", "bad argument #1 to 'getfenv' (number expected, got table)"),
        ("newproxy(1)", "bad argument #1 to 'newproxy' (boolean or proxy expected)"),
        ("newproxy(newproxy())", "bad argument #1 to 'newproxy' (boolean or proxy expected)"),
        ("error(newproxy())", "-ERR"),
    ] {
        let text = run(&mut scripts, &mut Store::new(), body);
        assert!(text.contains(error), "{body}: {text}");
    }
    for level in 1..20 {
        let body = format!("local ok, e = pcall(setfenv, {level}, {{}}) return ok and 1 or 0");
        run(&mut scripts, &mut Store::new(), &body);
        assert_eq!(
            run(&mut scripts, &mut Store::new(), "return type(pcall)"),
            "$8\r\nfunction\r\n"
        );
    }
}

#[test]
fn functions_of_libraries_see_the_sealed_globals() {
    let mut libraries = Libraries::new(Rc::new(Random::new()), DEPRECATED).unwrap();
    let code = "#!lua name=fenv\n\
        redis.register_function('same', function() return getfenv(1) == _G and 1 end)\n\
        redis.register_function('write', function() rawset(getfenv(1), 'x', 1) end)";
    libraries.load(code.as_bytes(), false, &mut Patient).unwrap();
    let call = |name: &str| {
        let mut wire = Wire::new(false);
        assert!(libraries.run(name.as_bytes(), NOTHING, &mut Store::new(), &mut wire));
        String::from_utf8_lossy(&wire.bytes).into_owned()
    };
    assert_eq!(call("same"), ":1\r\n");
    let text = call("write");
    assert!(text.contains("Attempt to modify a readonly table"), "{text}");
}

#[test]
fn finalizers_of_proxies_never_run() {
    let mut scripts = scripts();
    for set in [
        "getmetatable(p).__gc = function() while true do end end",
        "rawset(getmetatable(p), '__gc', function() while true do end end)",
        "getmetatable(newproxy(p)).__gc = function() while true do end end",
        "setmetatable(getmetatable(p), {__newindex = 1})",
        "getmetatable(getmetatable(p)).__index.__gc = function() while true do end end",
        "getmetatable(p).__metatable = nil getmetatable(p).__gc = function() while true do end end",
    ] {
        let body = format!("local p = newproxy(true) {set} p = nil collectgarbage() return 1");
        let text = run(&mut scripts, &mut Store::new(), &body);
        assert!(text.starts_with(":1") || text.starts_with("-ERR"), "{set}: {text}");
    }
    drop(scripts);
}
