//! The libraries against what redis-server 7.0.15 answered, and against a live one.

mod differential;
mod generate;

use mlua::{Lua, LuaString};

use super::protect::install_protected_calls;
use super::{install, numbers};

/// Expressions and what 7.0.15 answered to them, one a line, parted by a tab.
const RECORDED: &str = include_str!("tests/recorded.tsv");
/// Defines `all`, which spells any values, in one line so that errors name line 1.
const PRELUDE: &str = include_str!("tests/prelude.lua");

fn lua() -> Lua {
    let lua = Lua::new();
    install(&lua).unwrap();
    install_protected_calls(&lua).unwrap();
    lua
}

/// A script that calls a chunk in protected mode and spells what came of it.
fn script(chunk: &str) -> String {
    format!("{} return all(pcall(function() {chunk} end))", PRELUDE.trim_end())
}

fn answer(lua: &Lua, script: &str) -> String {
    let chunk = lua.load(script).set_name("@user_script");
    let answer: LuaString = chunk.eval().unwrap();
    answer.to_string_lossy()
}

fn recorded() -> impl Iterator<Item = (&'static str, &'static str)> {
    RECORDED.lines().map(|line| line.split_once('\t').expect("a line holds two fields"))
}

#[test]
fn expressions_give_the_recorded_answers() {
    let lua = lua();
    let mut wrong = Vec::new();
    for (chunk, expected) in recorded() {
        let found = answer(&lua, &script(chunk));
        if found != expected {
            wrong.push(format!("{chunk}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_uncaught_error_carries_its_text_and_position() {
    let lua = lua();
    let chunk = lua.load("\nreturn cjson.decode('x')").set_name("@user_script");
    let error = chunk.eval::<mlua::Value>().unwrap_err();
    let raised = error.downcast_ref::<super::Raised>().unwrap();
    assert_eq!(
        raised.to_string(),
        "user_script:2: Expected value but found invalid token at character 1"
    );
}

#[test]
fn large_flat_tables_need_no_more_references_than_small_ones() {
    let lua = lua();
    let script = "local t = {} for i = 1, 30000 do t['key' .. i] = {'value' .. i} end
        local u = cjson.decode(cjson.encode(t)) local v = cmsgpack.unpack(cmsgpack.pack(t))
        local n = 0
        for k, x in pairs(t) do if u[k][1] == x[1] and v[k][1] == x[1] then n = n + 1 end end
        return tostring(n)";
    assert_eq!(answer(&lua, script), "30000");
}

#[test]
fn lengths_in_the_input_reserve_no_memory() {
    let lua = lua();
    let before = lua.used_memory();
    let script = "return tostring(pcall(cmsgpack.unpack, '\\221\\255\\255\\255\\255\\221\\255'))";
    assert_eq!(answer(&lua, script), "false");
    assert!(lua.used_memory() < before + (1 << 20));
}

#[test]
fn exhausted_references_are_an_error_and_no_panic() {
    let lua = lua();
    let script = "local c, answers = cjson.new(), {} c.encode_max_depth(1e6) c.decode_max_depth(1e6)
        local strings, nested = {}, {'a', {b = 'c', d = {'e'}}}
        for i = 1, 8000 do strings[i] = 's' .. i end for i = 1, 7955 do nested = {nested, 'f'} end
        -- Debug builds of Lua 5.1 assert that few results leave its own pcall.
        local function one(...) return (select(1, ...)) end
        local function try(f, ...)
          local args, n = {...}, select('#', ...)
          local ok, text = pcall(function() return one(f(unpack(args, 1, n))) end)
          answers[tostring(text)] = ok
        end
        for n = 7960, 8000, 5 do
          nested = {{{{{nested, 'f'}}}}}
          try(c.encode, nested)
          try(c.encode, {k = nested})
          try(c.decode, string.rep('[', n) .. '{\"a\":\"b\"}')
          try(c.decode, string.rep('{\"a\":', n / 2) .. '\"b\"')
          try(cmsgpack.unpack, string.rep('\\161a', n))
          try(cmsgpack.unpack, string.rep('\\129\\161a', n / 2) .. '\\161a')
          try(struct.unpack, string.rep('s', n), string.rep('a\\0', n))
          try(function(...) return bit.band(...) end, unpack(strings, 1, math.min(n, 7990)))
          try(function(...) return cmsgpack.pack(...) end, unpack(strings, 1, math.min(n, 7990)))
          try(function(...) return cjson.encode(...) end, unpack(strings, 1, math.min(n, 7990)))
        end
        local texts = {} for text, ok in pairs(answers) do
          if not ok then texts[(string.gsub(string.gsub(text, '^user_script:%d+: ', ''), '%d+', 'N'))] = true end
        end
        local list = {} for text in pairs(texts) do list[#list + 1] = text end table.sort(list)
        return table.concat(list, ' | ') .. ' | ' .. cjson.encode({{1}})";
    let expected = "Cannot serialise, excessive nesting (N) | \
        Expected comma or array end but found T_END at character N | \
        Expected comma or object end but found T_END at character N | \
        Found too many nested data structures (N) at character N | \
        bad argument #N to 'band' (number expected, got string) | \
        bad argument #N to 'encode' (expected N argument) | \
        bad argument #N to 'pack' (Too many arguments for MessagePack pack.) | \
        stack overflow (too many results) | stack overflow (too many return values at once; \
        use unpack_one or unpack_limit instead.) | [[1]]";
    assert_eq!(answer(&lua, script), expected);
}

#[test]
fn an_output_past_the_limit_fails() {
    let lua = lua();
    let script = "local c = cjson.new() c.encode_sparse_array(false, 0)
        local ok, text = pcall(c.encode, {[2147483647] = 1}) return text";
    assert_eq!(answer(&lua, script), "not enough memory");
}

#[test]
fn hexadecimal_numbers_round_once_to_even() {
    let read = |text: &str| numbers::read(text.as_bytes()).unwrap().0.to_bits();
    assert_eq!(read("0x1.00000000000008p0"), 1.0_f64.to_bits());
    assert_eq!(read("0x1.000000000000080000000001p0"), 1.0_f64.to_bits() + 1);
    assert_eq!(read("0x1.00000000000018p0"), 1.0_f64.to_bits() + 2);
    assert_eq!(read("0x1.fffffffffffff8p-1023"), f64::MIN_POSITIVE.to_bits());
    assert_eq!(read("-0x0.8p-1074"), (-0.0_f64).to_bits());
    assert_eq!(read("0x.800001p-1074"), 1);
    assert_eq!(read("0x3p-1010"), (3.0 * 2.0_f64.powi(-1010)).to_bits());
}
