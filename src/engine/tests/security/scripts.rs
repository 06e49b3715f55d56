//! Scripts that attack the interpreter, its libraries, or other users' scripts. The classes are those
//! of what was published about Lua in Redis; a crash ends the tests.

use super::super::super::fixture::Fixture;

/// As much as a worker has.
const STACK_BYTES: usize = 16 << 20;

/// Runs on a thread with a worker's stack.
fn on_worker_s_stack(run: impl FnOnce(&mut Fixture) + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let ran = thread.spawn(move || run(&mut Fixture::new())).unwrap().join();
    ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn request(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
    bytes
}

fn eval(fixture: &mut Fixture, client: &str, body: &str) -> String {
    fixture.send(client, &request(&["EVAL", body, "0"]))
}

/// Runs each script, and checks that its reply is short and the server's interpreter goes on.
fn survives(fixture: &mut Fixture, bodies: &[&str]) {
    for body in bodies {
        let reply = eval(fixture, "A", body);
        assert!(reply.len() < 100_000, "{body}: {} bytes", reply.len());
        assert_eq!(eval(fixture, "A", "return 'on'"), "$2 on", "{body}: {reply:.200}");
    }
}

/// Runs each script, whose reply must have a part.
fn answers(fixture: &mut Fixture, cases: &[(&str, &str)]) {
    for (body, part) in cases {
        let reply = eval(fixture, "A", body);
        assert!(reply.contains(part), "{body}: {reply:.300}");
    }
}

#[test]
fn sandbox_has_no_way_to_files_processes_or_the_debugger() {
    let mut fixture = Fixture::new();
    for name in [
        "io", "debug", "package", "require", "module", "dofile", "loadfile", "print", "newproxy",
        "getfenv", "setfenv", "ffi", "jit", "arg",
    ] {
        let body = format!("return rawget(_G, '{name}') == nil and 'none'");
        assert_eq!(eval(&mut fixture, "A", &body), "$4 none", "{name}");
        let body = format!("return {name}");
        let reply = eval(&mut fixture, "A", &body);
        assert!(reply.contains("nonexistent global variable"), "{name}: {reply}");
        let body = format!("#!lua name=l\nlocal x = {name}\nredis.register_function('f', print)");
        let reply = fixture.send("A", &request(&["FUNCTION", "LOAD", &body]));
        assert!(reply.starts_with("-ERR "), "{name}: {reply}");
    }
    // Of the operating system's functions a script may have the clock.
    let body = "local n = {} for k in pairs(rawget(_G, 'os') or {}) do n[#n + 1] = k end return n";
    let reply = eval(&mut fixture, "A", body);
    assert!(["*0", "*1 $5 clock"].contains(&&*reply), "{reply}");
}

#[test]
fn sandbox_takes_no_bytecode() {
    let mut fixture = Fixture::new();
    answers(
        &mut fixture,
        &[
            ("return {loadstring(string.dump(function() return 1 end))}", "*0"),
            ("return {loadstring('\\27Lua\\81\\0\\1\\4\\8\\4\\8\\0')}", "*0"),
            (
                "local n = 0 \
                 return {load(function() n = n + 1 return n < 3 and '\\27Lua' or nil end)}",
                "*0",
            ),
            ("return {pcall(string.dump, redis.call)}", "unable to dump given function"),
        ],
    );
    for body in ["\u{1b}Lua\u{51}", "\u{1b}"] {
        assert!(eval(&mut fixture, "A", body).starts_with("-ERR Error compiling script"));
        let library = format!("#!lua name=l\n{body}");
        let reply = fixture.send("A", &request(&["FUNCTION", "LOAD", &library]));
        assert!(reply.starts_with("-ERR Error compiling function"), "{reply}");
    }
}

#[test]
fn sandbox_keeps_the_scripts_of_users_apart() {
    let mut fixture = Fixture::new();
    for line in [
        "ACL SETUSER eve on nopass +@all ~eve*",
        "ACL SETUSER bob on nopass +@all ~*",
        "SET secret value",
    ] {
        assert_eq!(fixture.run("A", line), "+OK");
    }
    fixture.run("E", "AUTH eve x");
    fixture.run("B", "AUTH bob x");
    let honest = "local seen = {} \
                  for _, t in ipairs({'', 1, true}) do \
                    local m = getmetatable(t) \
                    seen[#seen + 1] = type(m) .. (m and m.__index == string and '=' or '') end \
                  seen[#seen + 1] = ('%d'):format(3) .. tostring(1) .. #('x'):rep(2) \
                  seen[#seen + 1] = redis.call('GET', 'secret') \
                  return seen";
    let expected = eval(&mut fixture, "B", honest);
    assert!(expected.ends_with("$5 value"), "{expected}");
    for body in [
        "getmetatable('').__index = function() return function() return 'eve' end end",
        "getmetatable('').__add = function() return 1 end",
        "getmetatable('').__call = function() redis.call('SET', 'secret', 'eve') end",
        "rawset(getmetatable(''), '__index', nil)",
        "setmetatable(getmetatable(''), {})",
        "local m = getmetatable('') m.__index.format = error",
        "redis.call = function(...) return 'eve' end",
        "rawset(redis, 'call', nil)",
        "redis.setresp = nil",
        "_G.redis = {call = function() return 'eve' end}",
        "string.format = function() return 'eve' end",
        "math.random = nil",
        "getmetatable(_G).__index = nil",
        "setmetatable(_G, {__index = function() return 'eve' end})",
        "tostring = function() return 'eve' end",
        "function tostring() return 'eve' end",
        "loadstring('tostring = nil')()",
        "coroutine.wrap(function() tostring = nil end)()",
        "cjson.encode = nil",
        "cjson.encode_max_depth(1) cmsgpack.pack = nil",
        "redis.setresp(3) return redis.call('GET', 'secret')",
        "for k, v in pairs(_G) do pcall(rawset, _G, k, nil) end",
        "local t = coroutine.create(function() end) getmetatable(t).x = 1",
        "debug.setmetatable(1, {__index = string})",
        "error({err = 'x', __tostring = function() redis.call('SET', 'secret', 'eve') end})",
        "error(setmetatable({}, {__tostring = function() return redis.call('GET', 'secret') end}))",
        "return setmetatable({}, {__index = function() return redis.call('GET', 'secret') end})",
        "return {ok = setmetatable({}, {__tostring = function() return 'x' end})}",
    ] {
        let reply = eval(&mut fixture, "E", body);
        assert!(!reply.contains("$5 value"), "{body}: {reply}");
        assert_eq!(eval(&mut fixture, "B", honest), expected, "{body}: {reply}");
    }
    // Settings of a library last from script to script, in Redis as well; a depth must do no more.
    assert_eq!(fixture.run("A", "GET secret"), "$5 value");
}

#[test]
fn lua_patterns_recurse_to_a_bound() {
    on_worker_s_stack(|fixture| {
        for item in ["a?", "a*", "a-", "()", "(a?)"] {
            for call in ["string.find(s, p)", "string.match(s, p)", "string.gsub(s, p, 'x')"] {
                let body = format!(
                    "local s, p = string.rep('a', 300000), string.rep('{item}', 300000) \
                     return {{pcall(function() return ({call}) end)}}"
                );
                let reply = eval(fixture, "A", &body);
                let says = ["pattern too complex", "too many captures"];
                assert!(
                    says.iter().any(|text| reply.contains(text)),
                    "{item} {call}: {reply:.200}"
                );
            }
            let body = format!(
                "local s, p = string.rep('a', 300000), string.rep('{item}', 300000) \
                 return {{pcall(string.gmatch(s, p))}}"
            );
            assert!(eval(fixture, "A", &body).contains("too "), "{item} gmatch");
        }
        // What recurses little is as long as it likes.
        let body = "local s = string.rep('a', 300000) return {string.find(s, s .. '$')}";
        assert_eq!(eval(fixture, "A", body), "*2 :1 :300000");
        let body = "local s, p = string.rep('a', 9000), string.rep('a?', 9000) \
                    return {string.find(s, p)}";
        assert_eq!(eval(fixture, "A", body), "*2 :1 :9000");
    });
}

#[test]
fn lua_recursion_ends_in_an_error() {
    on_worker_s_stack(|fixture| {
        answers(
            fixture,
            &[
                ("local function f() return 1 + f() end f()", "stack overflow"),
                ("local function f() f() end f()", "stack overflow"),
                (
                    "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end return t.x",
                    "C stack overflow",
                ),
                (
                    "local t = setmetatable({}, {}) getmetatable(t).__tostring = function(t) return tostring(t) end return tostring(t)",
                    "C stack overflow",
                ),
                ("local function f() return string.gsub('a', 'a', f) end f()", "C stack overflow"),
                (
                    "local function f() table.sort({3, 2, 1}, function() f() end) end f()",
                    "C stack overflow",
                ),
                ("local function f() return coroutine.wrap(f)() end f()", "C stack overflow"),
                ("return table.concat({}, 'x', 1, 2^31 - 1)", "invalid value"),
                ("return select('#', unpack({}, 1, 1e6))", "too many results to unpack"),
                ("return {unpack({}, -2147483648, 2147483647)}", "too many results to unpack"),
                ("return {unpack({}, 0, 2147483647)}", "too many results to unpack"),
                ("return {unpack({}, 2147483647, -2147483648)}", "*0"),
            ],
        );
        survives(
            fixture,
            &[
                "local function f() return (pcall(f)) end return tostring(f())",
                "local function f() return (xpcall(f, f)) end return tostring(f())",
                "local function f() error(setmetatable({}, {__tostring = f})) end f()",
                "local t = {} for i = 1, 100000 do t = {t} end return t",
                "local t = {} t[1] = t return t",
                "local t = {} for i = 1, 100000 do t = setmetatable({}, {__index = t}) end return t.x",
                "local s = string.rep('{', 100000) return cjson.decode(s)",
                "table.sort({5, 3, 1, 4, 2}, function() return true end)",
                "local t = {} for i = 1, 100 do t[i] = i end table.sort(t, function(a, b) return true end)",
            ],
        );
    });
}

#[test]
fn replies_end_however_tables_refer_to_each_other() {
    on_worker_s_stack(|fixture| {
        for body in [
            "local t = {} for i = 1, 60 do t = {t, t} end return t",
            "local t = {} t[1] = t t[2] = t return t",
            "local t = {} for i = 1, 1000 do t[i] = t end return t",
            "local t = {} t.map = {[t] = t} return t",
            "local t = {} t.set = {[t] = true, [{set = {[t] = 1}}] = 1} redis.setresp(3) return t",
        ] {
            let reply = eval(fixture, "A", body);
            assert!(reply.contains("too many values in a script's reply"), "{body}: {reply:.200}");
            assert_eq!(eval(fixture, "A", "return 'on'"), "$2 on", "{body}");
        }
    });
}

/// What source text nests by.
const NESTING: &[(&str, &str)] = &[
    ("(", ")"),
    ("{", "}"),
    ("do ", " end"),
    ("if x then ", " end"),
    ("while x do ", " end"),
    ("for i = 1, 2 do ", " end"),
    ("function f() ", " end"),
    ("local function f() ", " end"),
    ("repeat ", " until x"),
    ("- ", ""),
    ("not ", ""),
    ("a.b", ""),
    ("a(", ")"),
    ("a{", "}"),
    ("x = function() ", " end"),
    ("'a' .. ", ""),
    ("1 ^ ", ""),
    ("a[", "]"),
    ("[[", "]]"),
    ("--[[", "]]"),
    ("[=", "=]"),
    ("\"\\", "\""),
    ("local a = ", ""),
    ("a, ", ""),
    ("local a ", ""),
    ("goto a ", ""),
    (";", ""),
    ("\0", ""),
    ("\u{ff}", ""),
];

/// Scripts that collect garbage where something is half done.
const COLLECTING: &[&str] = &[
    "collectgarbage('stop') collectgarbage('restart') collectgarbage('step', 1e9)",
    "for i = 1, 1000 do loadstring('return ' .. i, string.rep('n', i))() collectgarbage() end",
    "local n = 0 load(function() n = n + 1 collectgarbage() return n < 50 and 'x' .. n .. '=1 ' or nil end, '@' .. string.rep('c', 90))",
    "for i = 1, 100 do pcall(loadstring, string.rep('(', i * 10)) collectgarbage() end",
    "coroutine.wrap(function() collectgarbage() coroutine.yield() end)() collectgarbage()",
];

#[test]
fn lua_parser_takes_any_source() {
    on_worker_s_stack(|fixture| {
        for (open, close) in NESTING {
            for count in [1, 150, 250, 20_000] {
                for middle in ["", "x"] {
                    let source = open.repeat(count) + middle + &close.repeat(count);
                    for source in [format!("return {source}"), source] {
                        let reply = fixture.send("A", &request(&["SCRIPT", "LOAD", &source]));
                        assert!(
                            reply.starts_with("$40 ") || reply.starts_with("-ERR "),
                            "{reply:.200}"
                        );
                        // An error may show the last word, which may be all of the source.
                        let most = 2_000 + 2 * source.len();
                        assert!(reply.len() < most, "{open}: {} bytes", reply.len());
                    }
                }
            }
            fixture.run("A", "SCRIPT FLUSH");
        }
        // Many names, constants, upvalues and arguments.
        let many =
            |text: fn(usize) -> String, count: usize| (0..count).map(text).collect::<String>();
        for source in [
            many(|n| format!("local a{n} = {n} "), 300),
            many(|n| format!("local a{n} "), 250) + "return function() return a0 end",
            "return {".to_owned() + &many(|n| format!("{n}.5,"), 100_000) + "}",
            "local function f(".to_owned() + &many(|n| format!("a{n},"), 300) + "...) end",
            "local function f(".to_owned()
                + &many(|n| format!("a{n},"), 190)
                + "...) return a0 end return f()",
            "return redis.call(".to_owned() + &many(|n| format!("{n},"), 300) + "1)",
            "return ".to_owned() + &"x".repeat(1_000_000),
            "return '".to_owned() + &"\\0".repeat(500_000) + "'",
            "return [".to_owned() + &"=".repeat(500_000) + "[",
            "--".to_owned() + &"x".repeat(1_000_000),
        ] {
            let reply = fixture.send("A", &request(&["EVAL", &source, "0"]));
            assert!(reply.len() < 8_000_000, "{} bytes", reply.len());
            assert_eq!(eval(fixture, "A", "return 'on'"), "$2 on", "{source:.60}");
        }
        survives(fixture, COLLECTING);
    });
}

#[test]
fn lua_numbers_and_strings_overflow_nowhere() {
    on_worker_s_stack(|fixture| {
        answers(
            fixture,
            &[
                ("return string.rep('x', -1)", "$0"),
                ("return #string.rep('', 2^31 - 1)", ":0"),
                ("return string.sub('abc', -2^31, 2^31 - 1)", "$3 abc"),
                ("return {string.byte('abc', -2^31, 2^31 - 1)}", "*3"),
                ("return string.format('%.99f', 0.1):sub(1, 3)", "$3 0.1"),
                ("return string.format('%.100f', 1)", "invalid format"),
                ("return string.format('%0000000000d', 1)", "invalid format"),
                ("return string.format('%d', 2^63)", "$"),
                ("return #string.format('%c%c', 0, 256)", ":"),
                ("return string.char(256)", "invalid value"),
                ("return {string.find('abc', 'b', -2^31)}", "*2 :2 :2"),
                ("return {string.find('abc', 'b', 2^31 - 1)}", "*0"),
                ("return {string.gsub('abc', 'b', 'x', -2^31)}", "$3 abc"),
                ("return table.concat({1, 2}, ',', -2^31, -2^31 + 1)", "invalid value"),
                ("return math.floor(2^53)", ":9007199254740992"),
                ("return 2^63", ":"),
                ("return -2^63", ":-9223372036854775808"),
                ("return 0/0", ":"),
                ("return {1/0, -1/0}", "*2 :"),
            ],
        );
    });
}

#[test]
fn libraries_of_numbers_and_bits_overflow_nowhere() {
    let mut fixture = Fixture::new();
    answers(
        &mut fixture,
        &[
            ("return bit.tohex(1, -2147483648)", "$8 00000001"),
            ("return bit.tohex(-1, 2147483647)", "$8 ffffffff"),
            ("return bit.tohex(255, -2)", "$2 FF"),
            ("return bit.tohex(2^53, 0)", "$0"),
            ("return bit.lshift(1, 2147483648)", ":1"),
            ("return bit.rol(-2147483648, -1)", ":"),
            ("return bit.bswap(-2147483648)", ":128"),
            ("return bit.arshift(-2147483648, 31)", ":-1"),
            ("return bit.tobit(1e300)", ":"),
            ("return bit.band(0/0)", ":"),
        ],
    );
}

/// Scripts that pack and unpack, and a part of the answer.
const PACKED: &[(&str, &str)] = &[
    ("return struct.pack('I2147483648', 1)", "integral size overflow"),
    ("return struct.pack('i33', 1)", "integral size 33 is larger than limit of 32"),
    ("return struct.pack('!3i4', 1)", "alignment 3 is not a power of 2"),
    ("return struct.size('s')", "option 's' has no fixed size"),
    ("return struct.size('c0')", "option 'c0' has no fixed size"),
    ("return struct.pack('c10', 'x')", "string too short"),
    ("return struct.unpack('c10', 'x')", "data string too short"),
    ("return struct.unpack('I4', 'xxxx', 2147483647)", "data string too short"),
    ("return struct.unpack('I4', 'xxxx', 0)", "offset must be 1 or greater"),
    ("return struct.unpack('Bc0', '\\255x')", "data string too short"),
    ("return struct.unpack('s', 'x')", "unfinished string in data"),
    ("return cmsgpack.pack()", "bad argument #0 to 'pack' (MessagePack pack needs input.)"),
    ("return cmsgpack.unpack('\\221\\255\\255\\255\\255')", "Missing bytes in input"),
    ("return cmsgpack.unpack('\\223\\255\\255\\255\\255')", "Missing bytes in input"),
    ("return cmsgpack.unpack('\\219\\255\\255\\255\\255')", "Missing bytes in input"),
    ("return cmsgpack.unpack('\\198\\255\\255\\255\\255')", "Bad data format in input"),
    ("return cmsgpack.unpack('\\193')", "Bad data format in input"),
    ("return {cmsgpack.unpack_one('\\1', 5)}", "Start offset 5 greater than input length 1"),
    (
        "return {cmsgpack.unpack_limit('\\1', -1, 0)}",
        "Invalid request to unpack with offset of 0 and limit of",
    ),
    (
        "return cjson.decode(string.rep('[', 100000))",
        "Found too many nested data structures (1001)",
    ),
    (
        "return cjson.decode(string.rep('{\"a\":', 100000))",
        "Found too many nested data structures (1001)",
    ),
    (
        "local t = {} for i = 1, 2000 do t = {t} end return cjson.encode(t)",
        "Cannot serialise, excessive nesting (1001)",
    ),
    ("local t = {} t[1] = t return cjson.encode(t)", "Cannot serialise, excessive nesting"),
    ("return cjson.encode({[1] = 1, [2147483647] = 2})", "excessively sparse array"),
    ("return cjson.decode('[1e99999]')", "*1 :"),
    ("return cjson.decode('\"\\\\ud800\"')", "invalid unicode escape code"),
    ("return cjson.encode_max_depth(0)", "expected integer between 1 and 2147483647"),
    ("return cjson.encode_number_precision(100)", "expected integer between 1 and 14"),
    ("return cjson.decode('')", "Expected value but found T_END"),
    ("return cjson.decode('\\0')", "Expected value but found T_END"),
];

/// Scripts that ask for much; what they answer differs.
const PACKED_HARD: &[&str] = &[
    "return struct.pack(string.rep('i', 100000))",
    "return struct.pack('c2147483647', 'x')",
    "return struct.size('c2147483647c2147483647c2147483647')",
    "return {struct.unpack('c4294967296', 'x')}",
    "return {struct.unpack('I4', 'xxxx', -2147483648)}",
    "return {struct.unpack(string.rep('b', 9000), string.rep('x', 9000))}",
    "return {struct.unpack('>!2147483648i4', 'xxxx')}",
    "return {cmsgpack.unpack(string.rep('\\145', 100000) .. '\\1')}",
    "return {cmsgpack.unpack(string.rep('\\129\\1', 100000) .. '\\1')}",
    "return {cmsgpack.unpack(string.rep('\\1', 100000))}",
    "return {cmsgpack.unpack_limit(string.rep('\\1', 9000), 2147483647, 2147483647)}",
    "return {cmsgpack.unpack_limit('\\1', 2147483647, -2147483648)}",
    "local t = {} for i = 1, 100000 do t = {t} end return #cmsgpack.pack(t)",
    "local t = {} t[1] = t return #cmsgpack.pack(t)",
    "local t = {} for i = 1, 8000 do t[i] = i end return #cmsgpack.pack(unpack(t, 1, 7900))",
    "return #cjson.encode(string.rep('\\0', 1000000))",
    "return #cjson.encode(string.rep('\"', 1000000))",
    "cjson.encode_max_depth(2147483647) local t = {} for i = 1, 100000 do t = {t} end return #cjson.encode(t)",
    "cjson.decode_max_depth(2147483647) return #cjson.decode(string.rep('[', 100000) .. string.rep(']', 100000))",
    "cjson.encode_sparse_array(true, 2147483647, 2147483647) return #cjson.encode({[1000000] = 1})",
    "cjson.encode_number_precision(14) return cjson.encode({1e308, -1e308, 0.1})",
    "cjson.encode_invalid_numbers(true) return cjson.encode({0/0, 1/0})",
    "cjson.encode_keep_buffer(false) return cjson.encode({1})",
    "return cjson.decode('[' .. string.rep('9', 100000) .. ']')",
    "return cjson.decode(string.rep(' ', 1000000) .. '1')",
    "return cjson.decode('\"' .. string.rep('\\\\u0000', 100000) .. '\"'):len()",
];

#[test]
fn libraries_of_packed_values_trust_no_length() {
    on_worker_s_stack(|fixture| {
        answers(fixture, PACKED);
        survives(fixture, PACKED_HARD);
    });
}
