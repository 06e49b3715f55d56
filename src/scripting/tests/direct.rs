//! Calls of `redis.call` and `redis.pcall` beside the binding, and those that are left to it.

use std::rc::Rc;

use super::store::Store;
use super::wire::{Patient, Wire};
use crate::scripting::{Environment, Input, Libraries, Random, Scripts};

const INPUT: Input<'_> = Input { keys: &[b"k1", b"k2"], args: &[b"a\0\r\n\xff", b"", b"v"] };

fn scripts(memory_max: usize) -> Scripts {
    let environment = Environment { memory_max, ..Environment::default() };
    Scripts::new(Rc::new(Random::new()), environment).unwrap()
}

fn answer(scripts: &mut Scripts, body: &str) -> String {
    let id = scripts.load(body.as_bytes()).unwrap();
    let mut wire = Wire::new(false);
    scripts.run(id, INPUT, &mut Store::new(), &mut wire);
    wire.bytes.escape_ascii().to_string().replace("\\'", "'")
}

#[test]
fn words_are_strings_and_numbers() {
    let mut scripts = scripts(0);
    for (body, expected) in [
        ("return redis.call('echo', 3)", r"$1\r\n3\r\n"),
        ("return redis.call('echo', -0.1)", r"$20\r\n-0.10000000000000001\r\n"),
        (
            "return redis.call('echo', -1.2345678901234567e-308)",
            r"$24\r\n-1.2345678901234567e-308\r\n",
        ),
        ("return redis.call('echo', 1/0)", r"$3\r\ninf\r\n"),
        ("local n = 1/0 return redis.call('echo', n - n)", r"$4\r\n-nan\r\n"),
        // A number stays one.
        ("local n = 7 redis.call('echo', n) return type(n)", r"$6\r\nnumber\r\n"),
        ("local t = {7} redis.call('echo', t[1]) return type(t[1])", r"$6\r\nnumber\r\n"),
        ("return redis.call('echo', ARGV[1])", r"$5\r\na\x00\r\n\xff\r\n"),
        ("return redis.call('echo', ARGV[2])", r"$0\r\n\r\n"),
        ("redis.call('set', ARGV[1], ARGV[2]) return #redis.call('get', ARGV[1])", r":0\r\n"),
        (
            "redis.call('set', KEYS[1], ARGV[1]) return redis.call('get', KEYS[1])",
            r"$5\r\na\x00\r\n\xff\r\n",
        ),
        ("return redis.call('set', KEYS[1], 1)", r"+OK\r\n"),
        ("return redis.pcall('incr', KEYS[1])", r":1\r\n"),
        ("return redis.call('get', KEYS[1])", r"$-1\r\n"),
        ("return redis.call('get', KEYS[1]) == false", r":1\r\n"),
        ("redis.setresp(3) return tostring(redis.call('get', KEYS[1]))", r"$3\r\nnil\r\n"),
        (
            "redis.setresp(3) return tostring(redis.call('debug', 'protocol', 'true'))",
            r"$4\r\ntrue\r\n",
        ),
    ] {
        assert_eq!(answer(&mut scripts, body), expected, "{body}");
    }
}

#[test]
fn a_call_may_have_more_words_than_few() {
    let mut scripts = scripts(0);
    for (count, kind) in
        (1..12).flat_map(|count| [(count, "'x'"), (count, "-1.2345678901234567e-308")])
    {
        let body = format!(
            "local t = {{}} for i = 1, {count} do t[i] = {kind} end \
             redis.call('rpush', KEYS[1], unpack(t)) return redis.call('llen', KEYS[1])"
        );
        assert_eq!(answer(&mut scripts, &body), format!(r":{count}\r\n"), "{body}");
    }
}

#[test]
fn errors_of_calls_name_their_line() {
    let mut scripts = scripts(0);
    let sha = |body: &str| {
        String::from_utf8(crate::scripting::sha::sha1_hex(body.as_bytes()).to_vec()).unwrap()
    };
    for (body, text) in [
        ("\nredis.call('nosuch')", "ERR Unknown Redis command called from script"),
        ("\nreturn redis.call('nosuch')", "ERR Unknown Redis command called from script"),
        (
            "redis.call('set', KEYS[1], 'x')\nreturn redis.call('incr', KEYS[1])",
            "ERR value is not an integer or out of range",
        ),
        (
            "\nreturn redis.call()",
            "ERR Please specify at least one argument for this redis lib call",
        ),
        (
            "\nreturn redis.call('echo', {})",
            "ERR Lua redis lib command arguments must be strings or integers",
        ),
        (
            "\nreturn redis.pcall('echo', nil).x.y",
            "ERR user_script:2: attempt to index field 'x' (a nil value)",
        ),
    ] {
        let expected = format!(r"-{text} script: {}, on @user_script:2.\r\n", sha(body));
        assert_eq!(answer(&mut scripts, body), expected, "{body}");
    }
}

#[test]
fn errors_are_caught_at_any_depth() {
    let mut scripts = scripts(0);
    for (body, expected) in [
        ("return redis.pcall('nosuch').err", "ERR Unknown Redis command called from script"),
        (
            "local ok, e = pcall(redis.call, 'nosuch') return e",
            "ERR Unknown Redis command called from script",
        ),
        (
            "local ok, e = pcall(function() local ok, e = pcall(redis.call, 'echo', {}) \
             return redis.call('echo', tostring(ok) .. e) end) return e",
            "falseERR Lua redis lib command arguments must be strings or integers",
        ),
        (
            "local ok, e = pcall(pcall, pcall, redis.call, 'echo', 'deep') return select(2, pcall(pcall, redis.call, 'echo', 'deep')) \
             and redis.call('echo', tostring(e))",
            "true",
        ),
        (
            "local _, e = xpcall(function() return redis.call('nosuch') end, function(e) return redis.call('echo', e.err) end) \
             return e",
            "ERR Unknown Redis command called from script",
        ),
        // A call that fails leaves nothing to the next.
        (
            "redis.pcall('nosuch') pcall(redis.call, 'nosuch') pcall(redis.call) return redis.call('echo', 'next')",
            "next",
        ),
    ] {
        let answer = answer(&mut scripts, body);
        assert_eq!(answer, format!(r"${}\r\n{expected}\r\n", expected.len()), "{body}");
    }
}

#[test]
fn coroutines_call_too() {
    let mut scripts = scripts(0);
    let body = "local co = coroutine.wrap(function(a) while true do a = coroutine.yield(redis.call('echo', a)) end end) \
                local t = {} for i = 1, 100 do t[i] = co('v' .. i) end return t[1] .. t[100]";
    assert_eq!(answer(&mut scripts, body), r"$6\r\nv1v100\r\n");
    let body = "local co = coroutine.create(function() redis.call('nosuch') end) \
                local ok, e = coroutine.resume(co) return {tostring(ok), e.err, redis.call('echo', 'on')}";
    let expected =
        r"*3\r\n$5\r\nfalse\r\n$44\r\nERR Unknown Redis command called from script\r\n$2\r\non\r\n";
    assert_eq!(answer(&mut scripts, body), expected);
}

#[test]
fn a_reply_that_memory_has_no_room_for_is_an_error() {
    let mut scripts = scripts(2 << 20);
    let fill = "local s = string.rep('x', 200000) local t = {} ";
    for (body, expected) in [
        (
            "for i = 1, 100 do t[i] = redis.call('append', 'k', s) and redis.call('get', 'k') end",
            "-ERR Error running script",
        ),
        ("while true do t[#t + 1] = redis.call('set', 'k', 'v') end", "-ERR"),
        (
            "local ok, e = pcall(function() while true do t[#t + 1] = redis.call('echo', s .. #t) end end) \
             t = nil collectgarbage() return redis.call('echo', e)",
            r"$17\r\nnot enough memory\r\n",
        ),
        (
            "local co = coroutine.create(function() while true do t[#t + 1] = redis.pcall('echo', s .. #t) end end) \
             local ok, e = coroutine.resume(co) t = nil collectgarbage() return e",
            r"$17\r\nnot enough memory\r\n",
        ),
    ] {
        let answer = answer(&mut scripts, &format!("{fill}{body}"));
        assert!(
            answer.starts_with(expected) && answer.contains("not enough memory"),
            "{body}: {answer}"
        );
        assert_eq!(self::answer(&mut scripts, "return redis.call('echo', 'on')"), r"$2\r\non\r\n");
    }
}

#[test]
fn keys_and_arguments_that_memory_has_no_room_for_are_an_error() {
    let mut scripts = scripts(2 << 20);
    let large = vec![b'x'; 3 << 20];
    let id = scripts.load(b"return #KEYS[1]").unwrap();
    for (key, expected) in
        [(&large[..], "-ERR Error running script"), (&large[..1 << 20], ":1048576")]
    {
        let mut wire = Wire::new(false);
        scripts.run(id, Input { keys: &[key], args: &[] }, &mut Store::new(), &mut wire);
        let answer = String::from_utf8_lossy(&wire.bytes);
        assert!(answer.starts_with(expected), "{answer}");
    }
}

#[test]
fn tables_of_words_are_as_large_as_if_they_had_grown() {
    let mut scripts = scripts(0);
    // What the length operator finds of a table with holes depends on its size.
    for (words, after) in [(1, 0), (2, 1), (3, 4), (4, 3), (5, 8), (6, 7), (7, 6), (9, 15)] {
        let list = vec![&b"w"[..]; words];
        let body = format!(
            "local grown = {{}} for i = 1, {words} do grown[i] = 'w' end \
             for _, t in ipairs({{grown, ARGV}}) do t[{words}] = nil t[{after} + 1] = 'x' end \
             return #grown == #ARGV"
        );
        let id = scripts.load(body.as_bytes()).unwrap();
        let mut wire = Wire::new(false);
        scripts.run(id, Input { keys: &[], args: &list }, &mut Store::new(), &mut wire);
        assert_eq!(wire.bytes, b":1\r\n", "{words}");
    }
}

#[test]
fn a_function_may_be_one_in_c() {
    let mut libraries = Libraries::new(Rc::new(Random::new()), Environment::default()).unwrap();
    let code = b"#!lua name=lib\nredis.register_function('f', redis.log)\n\
                 redis.register_function('g', function(keys, args) return redis.call('echo', keys[2] .. args[3]) end)\n\
                 redis.register_function('h', function(keys, args) return {#keys, #args} end)";
    libraries.load(code, false, &mut Patient).unwrap();
    for (name, expected) in [
        ("f", r"-ERR First argument must be a number (log level).\r\n"),
        ("g", r"$3\r\nk2v\r\n"),
        ("h", r"*2\r\n:2\r\n:3\r\n"),
    ] {
        let mut wire = Wire::new(false);
        assert!(libraries.run(name.as_bytes(), INPUT, &mut Store::new(), &mut wire));
        assert_eq!(wire.bytes.escape_ascii().to_string(), expected);
    }
}
