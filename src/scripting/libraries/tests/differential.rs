//! Random calls, here and on a live redis-server 7.0.15.

use mlua::Lua;

use super::generate::{Random, quoted};
use super::{PRELUDE, answer, lua, recorded, script};
use crate::real_redis::{RealRedis, Reply};

/// Chunks that go to the server in one script.
const BATCH: usize = 250;
/// Batches of one run. With [`BATCH`]: 120,000 cases.
const BATCHES: usize = 480;

/// Makes any value fit as a key.
const KEY: &str = " local function K(v) if v == nil or v ~= v then return 'k' end return v end";
/// Runs the functions in `CHUNKS`; a line of the answer for each.
const RUNNER: &str = " local answers = {} \
    for i, chunk in ipairs(CHUNKS) do answers[i] = all(pcall(chunk)) end \
    return table.concat(answers, '\\n')";

fn real_answer(server: &mut RealRedis, script: &str) -> String {
    match server.call(&[b"EVAL", script.as_bytes(), b"0"]) {
        Reply::Bulk(bulk) => String::from_utf8_lossy(&bulk).into_owned(),
        other => panic!("{other:?} to {:.2000}", script),
    }
}

/// A chunk that calls one function of the libraries.
fn chunk(random: &mut Random) -> String {
    match random.below(12) {
        0 | 1 => format!("return cjson.encode({})", random.value(4)),
        2 | 3 => format!("return cjson.decode({})", quoted(&random.json())),
        4 => format!(
            "local c = cjson.new() {} return all(pcall(c.encode, {})), all(pcall(c.decode, {}))",
            random.settings(),
            random.value(4),
            quoted(&random.json()),
        ),
        5 | 6 => format!("return cmsgpack.pack({}, {})", random.value(4), random.value(1)),
        7 | 8 => {
            let input = quoted(&random.message_pack());
            match random.below(4) {
                0 => format!("return cmsgpack.unpack_one({input}, {})", random.below(9)),
                1 => {
                    let (limit, offset) = (random.below(4), random.below(6));
                    format!("return cmsgpack.unpack_limit({input}, {limit}, {offset})")
                }
                _ => format!("return cmsgpack.unpack({input})"),
            }
        }
        9 => {
            let values: Vec<_> = (0..random.below(8)).map(|_| random.value(0)).collect();
            let values = [&[format!("'{}'", random.format())], values.as_slice()].concat();
            format!("return struct.pack({})", values.join(","))
        }
        10 => {
            let (format, data) = (random.format(), random.data());
            let start = random.below(5);
            format!(
                "return all(pcall(struct.unpack, '{format}', {data}, {start})), struct.size('{format}')"
            )
        }
        _ => {
            let names = [
                "tobit", "bnot", "band", "bor", "bxor", "lshift", "rshift", "arshift", "rol",
                "ror", "bswap", "tohex",
            ];
            let name = names[random.below(names.len())];
            let values: Vec<_> = (0..random.below(4)).map(|_| random.value(0)).collect();
            format!("return bit.{name}({})", values.join(","))
        }
    }
}

fn compare(server: &mut RealRedis, lua: &Lua, chunks: &[String]) {
    let list: Vec<_> = chunks.iter().map(|chunk| format!("function() {chunk} end")).collect();
    let list = list.join(",");
    let script = format!("{}{KEY} local CHUNKS = {{{list}}}{RUNNER}", PRELUDE.trim_end());
    let (expected, found) = (real_answer(server, &script), answer(lua, &script));
    assert_eq!(expected.lines().count(), chunks.len());
    for ((chunk, expected), found) in chunks.iter().zip(expected.lines()).zip(found.lines()) {
        assert_eq!(found, expected, "{chunk}");
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn random_calls_give_the_answers_of_a_live_server() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut random = Random(seed);
    let (mut server, lua) = (RealRedis::start(None), lua());
    for _ in 0..BATCHES {
        let chunks: Vec<_> = (0..BATCH).map(|_| chunk(&mut random)).collect();
        compare(&mut server, &lua, &chunks);
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn the_recorded_answers_are_those_of_a_live_server() {
    let mut server = RealRedis::start(None);
    for (chunk, expected) in recorded() {
        assert_eq!(real_answer(&mut server, &script(chunk)), expected, "{chunk}");
    }
}
