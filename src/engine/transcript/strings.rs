//! Transcripts of the string commands.

use super::Fixture;

#[test]
fn set_takes_an_expiry_in_four_ways() {
    Fixture::new().transcript(&[
        ("SET a 1", "OK", "SELECT 0 | SET a 1", "new a, set a"),
        ("SET a 1 EX 100", "OK", "SET a 1 PXAT 1000000100000", "set a, expire a"),
        ("SET a 2 px 100000", "OK", "SET a 2 PXAT 1000000100000", "set a, expire a"),
        ("SET a 3 EXAT 99999999999", "OK", "SET a 3 PXAT 99999999999000", "set a, expire a"),
        ("SET a 4 PXAT 1000000000005", "OK", "SET a 4 PXAT 1000000000005", "set a, expire a"),
        ("SET a 5 KEEPTTL", "OK", "SET a 5 KEEPTTL", "set a"),
        ("PTTL a", "5", "", ""),
        ("SET a 6", "OK", "SET a 6", "set a"),
        ("PTTL a", "-1", "", ""),
        ("SETEX b 10 v", "OK", "SET b v PXAT 1000000010000", "new b, set b, expire b"),
        ("PSETEX b 10000 v", "OK", "SET b v PXAT 1000000010000", "set b, expire b"),
        ("SET a 7 EX 1 EX 2", "OK", "SET a 7 PXAT 1000000002000", "set a, expire a"),
    ]);
}

#[test]
fn set_refuses_what_contradicts_itself() {
    let syntax = "-ERR syntax error";
    let invalid = "-ERR invalid expire time in 'set' command";
    let integer = "-ERR value is not an integer or out of range";
    Fixture::new().transcript(&[
        ("SET a 1 NX XX", syntax, "", ""),
        ("SET a 1 EX 1 PX 1", syntax, "", ""),
        ("SET a 1 KEEPTTL EX 1", syntax, "", ""),
        ("SET a 1 EXAT 1 KEEPTTL", syntax, "", ""),
        ("SET a 1 EX", syntax, "", ""),
        ("SET a 1 PERSIST", syntax, "", ""),
        ("SET a 1 GET nonsense", syntax, "", ""),
        ("SET a 1 EX 0", invalid, "", ""),
        ("SET a 1 PX -1", invalid, "", ""),
        ("SET a 1 EX 9223372036854776", invalid, "", ""),
        ("SET a 1 PX 9223372036854775807", invalid, "", ""),
        ("SET a 1 EX 1.5", integer, "", ""),
        ("SETEX a 0 v", "-ERR invalid expire time in 'setex' command", "", ""),
        ("PSETEX a -5 v", "-ERR invalid expire time in 'psetex' command", "", ""),
        ("SETEX a x v", integer, "", ""),
        ("EXISTS a", "0", "", "keymiss a"),
    ]);
}

#[test]
fn set_with_a_condition_changes_nothing_when_it_fails() {
    Fixture::new().transcript(&[
        ("SET a 1 XX", "nil", "", ""),
        (
            "SET a 1 NX EX 100",
            "OK",
            "SELECT 0 | SET a 1 PXAT 1000000100000",
            "new a, set a, expire a",
        ),
        ("SET a 2 NX", "nil", "", ""),
        ("SET a 2 XX", "OK", "SET a 2 XX", "set a"),
        ("SETNX a 3", "0", "", ""),
        ("SETNX b 3", "1", "SETNX b 3", "new b, set b"),
    ]);
}

#[test]
fn set_get_gives_the_old_value_which_replicas_do_not_need() {
    Fixture::new().transcript(&[
        ("SET a 1 GET", "nil", "SELECT 0 | SET a 1", "keymiss a, new a, set a"),
        ("set a 2 get XX Get", "\"1\"", "set a 2 XX", "set a"),
        ("SET a 3 NX GET", "\"2\"", "", ""),
        ("SET a 4 GET EX 10", "\"2\"", "SET a 4 PXAT 1000000010000", "set a, expire a"),
        ("SET b 1 XX GET", "nil", "", "keymiss b"),
        ("SET get GET", "OK", "SET get GET", "new get, set get"),
        ("GETSET a 9", "\"4\"", "SET a 9", "set a"),
        ("GETSET c 9", "nil", "SET c 9", "keymiss c, new c, set c"),
    ]);
}

#[test]
fn getex_changes_the_expiry_alone() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        ("GETEX b EX 0", "nil", "", "keymiss b"),
        ("SET b v", "OK", "SELECT 0 | SET b v", "new b, set b"),
        ("GETEX b", "\"v\"", "", ""),
        ("GETEX b PERSIST", "\"v\"", "", ""),
        ("GETEX b EX 50", "\"v\"", "PEXPIREAT b 1000000050000", "expire b"),
        ("GETEX b PERSIST", "\"v\"", "PERSIST b", "persist b"),
        ("GETEX b PXAT 1000000000001", "\"v\"", "PEXPIREAT b 1000000000001", "expire b"),
        ("GETEX b EX 0", "-ERR invalid expire time in 'getex' command", "", ""),
        ("GETEX b KEEPTTL", "-ERR syntax error", "", ""),
        ("GETEX b PERSIST EX 1", "-ERR syntax error", "", ""),
        ("GETEX b PX 1 PERSIST", "-ERR syntax error", "", ""),
        ("GETEX b EXAT 1000000000", "\"v\"", "DEL b", "del b"),
        ("GETEX b", "nil", "", "keymiss b"),
    ]);
}

#[test]
fn getdel_is_logged_as_del() {
    Fixture::new().transcript(&[
        ("GETDEL b", "nil", "", "keymiss b"),
        ("SET b v", "OK", "SELECT 0 | SET b v", "new b, set b"),
        ("GETDEL b", "\"v\"", "DEL b", "del b"),
    ]);
}

#[test]
fn many_keys_are_set_and_read_at_once() {
    Fixture::new().transcript(&[
        (
            "MSET a 1 b 2 a 3",
            "OK",
            "SELECT 0 | MSET a 1 b 2 a 3",
            "new a, set a, new b, set b, set a",
        ),
        ("MGET a b c a", "[\"3\", \"2\", nil, \"3\"]", "", "keymiss c"),
        ("MSETNX c 1 a 1", "0", "", ""),
        ("MSETNX c 1 d 2", "1", "MSETNX c 1 d 2", "new c, set c, new d, set d"),
        ("MSET a", "-ERR wrong number of arguments for 'mset' command", "", ""),
        ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command", "", ""),
        ("MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command", "", ""),
    ]);
}

#[test]
fn what_has_expired_goes_before_the_command_that_meets_it() {
    let mut fixture = Fixture::new();
    let steps = ["set", "incr", "get", "exists", "mset"].map(|key| format!("SET {key} 1 PX 5"));
    steps.iter().for_each(|step| drop(fixture.run(step)));
    fixture.advance_ms(5);
    fixture.transcript(&[("GET set", "\"1\"", "", "")]);
    fixture.advance_ms(1);
    fixture.transcript(&[
        ("SET set w", "OK", "MULTI | DEL set | SET set w | EXEC", "expired set, new set, set set"),
        (
            "INCR incr",
            "1",
            "MULTI | DEL incr | INCR incr | EXEC",
            "expired incr, new incr, incrby incr",
        ),
        ("GET get", "nil", "DEL get", "expired get, keymiss get"),
        ("EXISTS exists", "0", "DEL exists", "expired exists, keymiss exists"),
        (
            "MSET mset 1 other 2",
            "OK",
            "MULTI | DEL mset | MSET mset 1 other 2 | EXEC",
            "expired mset, new mset, set mset, new other, set other",
        ),
    ]);
    assert_eq!(fixture.node.sum(|stats| &stats.expired_keys), 5);
}

#[test]
fn counters_count_within_64_bits() {
    let not_integer = "-ERR value is not an integer or out of range";
    let overflow = "-ERR increment or decrement would overflow";
    Fixture::new().transcript(&[
        ("INCR n", "1", "SELECT 0 | INCR n", "new n, incrby n"),
        ("DECR n", "0", "DECR n", "incrby n"),
        (
            "INCRBY n 9223372036854775807",
            "9223372036854775807",
            "INCRBY n 9223372036854775807",
            "incrby n",
        ),
        ("INCR n", overflow, "", ""),
        ("DECRBY n 9223372036854775807", "0", "DECRBY n 9223372036854775807", "incrby n"),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow", "", ""),
        ("INCRBY n 1.5", not_integer, "", ""),
        ("SET s \" 1\"", "OK", "SET s  1", "new s, set s"),
        ("INCR s", not_integer, "", ""),
        ("SET e 5 EX 10", "OK", "SET e 5 PXAT 1000000010000", "new e, set e, expire e"),
        ("INCR e", "6", "INCR e", "incrby e"),
        ("TTL e", "10", "", ""),
    ]);
}

#[test]
fn floats_are_logged_as_their_sum() {
    let not_float = "-ERR value is not a valid float";
    Fixture::new().transcript(&[
        ("SET n 1", "OK", "SELECT 0 | SET n 1", "new n, set n"),
        ("INCRBYFLOAT n 0.5", "\"1.5\"", "SET n 1.5 KEEPTTL", "incrbyfloat n"),
        ("INCRBYFLOAT n -1.5", "\"0\"", "SET n 0 KEEPTTL", "incrbyfloat n"),
        ("OBJECT ENCODING n", "\"embstr\"", "", ""),
        ("INCRBYFLOAT new 3.0e3", "\"3000\"", "SET new 3000 KEEPTTL", "new new, incrbyfloat new"),
        ("INCRBYFLOAT n x", not_float, "", ""),
        ("INCRBYFLOAT n inf", "-ERR increment would produce NaN or Infinity", "", ""),
        ("SET s x", "OK", "SET s x", "new s, set s"),
        ("INCRBYFLOAT s 1", not_float, "", ""),
    ]);
}

#[test]
fn strings_change_in_place() {
    Fixture::new().transcript(&[
        ("APPEND a 12", "2", "SELECT 0 | APPEND a 12", "new a, append a"),
        ("OBJECT ENCODING a", "\"int\"", "", ""),
        ("APPEND a \"\"", "2", "APPEND a ", "append a"),
        ("OBJECT ENCODING a", "\"raw\"", "", ""),
        ("SETRANGE a 1 xyz", "4", "SETRANGE a 1 xyz", "setrange a"),
        ("GET a", "\"1xyz\"", "", ""),
        ("SETRANGE a 6 !", "7", "SETRANGE a 6 !", "setrange a"),
        ("GET a", "\"1xyz\\x00\\x00!\"", "", ""),
        ("SETRANGE a 0 \"\"", "7", "", ""),
        ("SETRANGE b 5 \"\"", "0", "", ""),
        ("SETRANGE b -1 x", "-ERR offset is out of range", "", ""),
        (
            "SETRANGE b 536870912 x",
            "-ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            "",
            "",
        ),
        ("STRLEN a", "7", "", ""),
        ("STRLEN b", "0", "", "keymiss b"),
        ("GETRANGE a 1 -4", "\"xyz\"", "", ""),
        ("SUBSTR a -3 100", "\"\\x00\\x00!\"", "", ""),
        ("GETRANGE b 0 -1", "\"\"", "", "keymiss b"),
    ]);
}

#[test]
fn long_strings_change_like_short_ones() {
    let mut fixture = Fixture::new();
    let mut model: Vec<u8> = Vec::new();
    let mut seed = 1_usize;
    for step in 0..60 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let len = [1, 100, 4096, 70_000][seed >> 61 & 3];
        let part = vec![b'a' + (step % 26) as u8; len];
        let text = if step % 3 == 0 {
            let offset = (seed >> 33) % (model.len() + 5000);
            model.resize(model.len().max(offset + len), 0);
            model[offset..offset + len].copy_from_slice(&part);
            fixture.reply(&[b"SETRANGE", b"k", offset.to_string().as_bytes(), &part])
        } else {
            model.extend_from_slice(&part);
            fixture.reply(&[b"APPEND", b"k", &part])
        };
        assert_eq!(text, format!(":{}\r\n", model.len()).as_bytes());
        let (start, end) = ((seed >> 40) % model.len(), (seed >> 20) % model.len());
        let range = fixture.reply(&[
            b"GETRANGE",
            b"k",
            start.to_string().as_bytes(),
            end.to_string().as_bytes(),
        ]);
        let expected = if start <= end { &model[start..=end] } else { &[] };
        let head = format!("${}\r\n", expected.len());
        assert!(range == [head.as_bytes(), expected, b"\r\n"].concat(), "{start}..={end}");
    }
}

#[test]
fn lcs_shows_what_two_strings_share() {
    let mut fixture = Fixture::new();
    fixture.run("MSET a ohmytext b mynewtext");
    let both = "-ERR If you want both the length and indexes, please just use IDX.";
    fixture.transcript(&[
        ("LCS a b", "\"mytext\"", "", ""),
        ("LCS a b LEN", "6", "", ""),
        ("LCS a b IDX", "[\"matches\", [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], \"len\", 6]", "", ""),
        (
            "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
            "[\"matches\", [[[4, 7], [5, 8], 4]], \"len\", 6]",
            "",
            "",
        ),
        ("LCS a none", "\"\"", "", "keymiss none"),
        ("LCS a b IDX LEN", both, "", ""),
        ("LCS a b MINMATCHLEN", "-ERR syntax error", "", ""),
        ("LCS a b MINMATCHLEN x", "-ERR value is not an integer or out of range", "", ""),
    ]);
}
