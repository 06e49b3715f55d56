//! Transcripts of the hash commands.

use super::Fixture;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn fields_are_set_read_and_removed() {
    Fixture::new().transcript(&[
        ("HSET h a 1 b two", "2", "SELECT 0 | HSET h a 1 b two", "new h, hset h"),
        ("HSET h a 2 c 3 c 4", "1", "HSET h a 2 c 3 c 4", "hset h"),
        ("HMSET h b 2 d 5", "OK", "HMSET h b 2 d 5", "hset h"),
        ("HGET h a", "\"2\"", "", ""),
        ("HGET h z", "nil", "", ""),
        ("HMGET h d z c", "[\"5\", nil, \"4\"]", "", ""),
        ("HGETALL h", "[\"a\", \"2\", \"b\", \"2\", \"c\", \"4\", \"d\", \"5\"]", "", ""),
        ("HKEYS h", "[\"a\", \"b\", \"c\", \"d\"]", "", ""),
        ("HVALS h", "[\"2\", \"2\", \"4\", \"5\"]", "", ""),
        ("HLEN h", "4", "", ""),
        ("HEXISTS h a", "1", "", ""),
        ("HEXISTS h 2", "0", "", ""),
        ("HSET h long hello", "1", "HSET h long hello", "hset h"),
        ("HSTRLEN h long", "5", "", ""),
        ("HSTRLEN h a", "1", "", ""),
        ("HSTRLEN h z", "0", "", ""),
        ("HDEL h a z a long", "2", "HDEL h a z a long", "hdel h"),
        ("HDEL h z", "0", "", ""),
        ("HSETNX h b 3", "0", "", ""),
        ("HSETNX h e 3", "1", "HSETNX h e 3", "hset h"),
        ("TYPE h", "hash", "", ""),
        ("HDEL h b c d e f", "4", "HDEL h b c d e f", "hdel h, del h"),
        ("EXISTS h", "0", "", "keymiss h"),
        ("HSETNX h e 3", "1", "HSETNX h e 3", "new h, hset h"),
    ]);
}

#[test]
fn a_missing_hash_is_an_empty_one() {
    Fixture::new().transcript(&[
        ("HGET h a", "nil", "", "keymiss h"),
        ("HMGET h a b", "[nil, nil]", "", "keymiss h"),
        ("HGETALL h", "[]", "", "keymiss h"),
        ("HKEYS h", "[]", "", "keymiss h"),
        ("HVALS h", "[]", "", "keymiss h"),
        ("HLEN h", "0", "", "keymiss h"),
        ("HEXISTS h a", "0", "", "keymiss h"),
        ("HSTRLEN h a", "0", "", "keymiss h"),
        ("HRANDFIELD h", "nil", "", "keymiss h"),
        ("HRANDFIELD h -3 WITHVALUES", "[]", "", "keymiss h"),
        ("HSCAN h 0 COUNT x", "[\"0\", []]", "", "keymiss h"),
        ("HDEL h a", "0", "", ""),
    ]);
}

#[test]
fn commands_refuse_other_types_and_wrong_arguments() {
    let arity = "-ERR wrong number of arguments for 'hset' command";
    let (integer, float) =
        ("-ERR value is not an integer or out of range", "-ERR value is not a valid float");
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        ("SET s 1", "OK", "SELECT 0 | SET s 1", "new s, set s"),
        ("HSET s a", "-ERR wrong number of arguments for 'hset' command", "", ""),
        ("HSET s a 1 b", arity, "", ""),
        ("HMSET s a 1 b", "-ERR wrong number of arguments for 'hmset' command", "", ""),
        ("HINCRBY s a x", integer, "", ""),
        ("HINCRBYFLOAT s a x", float, "", ""),
        ("HINCRBYFLOAT s a inf", "-ERR value is NaN or Infinity", "", ""),
        ("HRANDFIELD s x", integer, "", ""),
        ("HRANDFIELD s 1 x", "-ERR syntax error", "", ""),
        ("HSCAN s x", "-ERR invalid cursor", "", ""),
    ]);
    for line in [
        "HSET s a 1",
        "HMSET s a 1",
        "HSETNX s a 1",
        "HGET s a",
        "HMGET s a",
        "HGETALL s",
        "HKEYS s",
        "HVALS s",
        "HLEN s",
        "HSTRLEN s a",
        "HEXISTS s a",
        "HDEL s a",
        "HINCRBY s a 1",
        "HINCRBYFLOAT s a 1",
        "HRANDFIELD s",
        "HRANDFIELD s 0",
        "HSCAN s 0 COUNT x",
    ] {
        fixture.transcript(&[(line, WRONG_TYPE, "", "")]);
    }
    fixture.transcript(&[
        ("HSET h a 1", "1", "HSET h a 1", "new h, hset h"),
        ("GET h", WRONG_TYPE, "", ""),
        ("HSCAN h 0 TYPE hash", "-ERR syntax error", "", ""),
        ("HSCAN h 0 COUNT 0", "-ERR syntax error", "", ""),
        ("HSCAN h 0 COUNT x", integer, "", ""),
    ]);
}

#[test]
fn fields_count_within_64_bits() {
    Fixture::new().transcript(&[
        ("HINCRBY h n 5", "5", "SELECT 0 | HINCRBY h n 5", "new h, hincrby h"),
        ("HINCRBY h n -7", "-2", "HINCRBY h n -7", "hincrby h"),
        (
            "HINCRBY h m 9223372036854775807",
            "9223372036854775807",
            "HINCRBY h m 9223372036854775807",
            "hincrby h",
        ),
        ("HINCRBY h m 1", "-ERR increment or decrement would overflow", "", ""),
        ("HSET h t \" 1\"", "1", "HSET h t  1", "hset h"),
        ("HINCRBY h t 1", "-ERR hash value is not an integer", "", ""),
    ]);
}

#[test]
fn floats_of_fields_are_logged_as_their_sum() {
    Fixture::new().transcript(&[
        ("HINCRBYFLOAT h f 0.5", "\"0.5\"", "SELECT 0 | HSET h f 0.5", "new h, hincrbyfloat h"),
        ("HINCRBYFLOAT h f 1e3", "\"1000.5\"", "HSET h f 1000.5", "hincrbyfloat h"),
        ("HINCRBYFLOAT h f nan", "-ERR value is not a valid float", "", ""),
        ("HSET h t x i inf", "2", "HSET h t x i inf", "hset h"),
        ("HINCRBYFLOAT h t 1", "-ERR hash value is not a float", "", ""),
        ("HINCRBYFLOAT h i 1", "-ERR increment would produce NaN or Infinity", "", ""),
        ("HINCRBYFLOAT new i inf", "-ERR value is NaN or Infinity", "", ""),
        ("EXISTS new", "0", "", "keymiss new"),
    ]);
}

#[test]
fn a_hash_becomes_a_table_where_redis_converts_it() {
    let mut fixture = Fixture::new();
    let (most, long) = ("x".repeat(64), "x".repeat(65));
    let mut encoding_after = |lines: &[String]| {
        fixture.run("DEL h");
        lines.iter().for_each(|line| drop(fixture.run(line)));
        fixture.run("OBJECT ENCODING h").reply
    };
    let all: String = (0..512).map(|field| format!(" {field} v")).collect();
    for (lines, encoding) in [
        (vec![format!("HSET h {most} {most}")], "\"listpack\""),
        (vec![format!("HSET h {long} v")], "\"hashtable\""),
        // Even if the long value is replaced by the same command.
        (vec![format!("HSET h f {long} f v")], "\"hashtable\""),
        (vec![format!("HSETNX h f {long}")], "\"hashtable\""),
        (vec![format!("HINCRBY h {long} 1")], "\"hashtable\""),
        (vec![format!("HINCRBYFLOAT h {long} 1")], "\"hashtable\""),
        (vec!["HSET h f 1".into(), format!("HSETNX h f {long}")], "\"listpack\""),
        (vec![format!("HSET h{all}")], "\"listpack\""),
        (vec![format!("HSET h{all} 512 v")], "\"hashtable\""),
        (vec![format!("HSET h{all} 512 v"), "HDEL h 1 2 3".into()], "\"hashtable\""),
    ] {
        assert_eq!(encoding_after(&lines), encoding, "{lines:?}");
    }
}

#[test]
fn random_fields_are_as_many_as_asked_for() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        ("HSET h a 1", "1", "SELECT 0 | HSET h a 1", "new h, hset h"),
        ("HRANDFIELD h", "\"a\"", "", ""),
        ("HRANDFIELD h 0", "[]", "", ""),
        ("HRANDFIELD h 5 WITHVALUES", "[\"a\", \"1\"]", "", ""),
        ("HRANDFIELD h -2 withvalues", "[\"a\", \"1\", \"a\", \"1\"]", "", ""),
        (
            "HRANDFIELD h -9223372036854775808",
            "-ERR value is out of range, value must between -9223372036854775807 and \
             9223372036854775807",
            "",
            "",
        ),
        ("HRANDFIELD h 4611686018427387904 WITHVALUES", "-ERR value is out of range", "", ""),
        ("HRANDFIELD h 4611686018427387903 WITHVALUES", "[\"a\", \"1\"]", "", ""),
        ("HRANDFIELD h 1 WITHVALUES x", "-ERR syntax error", "", ""),
        ("CONFIG SET client-output-buffer-limit \"normal 1mb 0 0\"", "OK", "", ""),
        ("HSET h b 2 c 3", "2", "HSET h b 2 c 3", "hset h"),
        // In the order of insertion while packed.
        ("HRANDFIELD h 3", "[\"a\", \"b\", \"c\"]", "", ""),
    ]);
    let two = fixture.run("HRANDFIELD h 2").reply;
    assert!(["[\"a\", \"b\"]", "[\"a\", \"c\"]", "[\"b\", \"c\"]"].contains(&&*two), "{two}");
    // A client that asks for more than it may leave unread is disconnected, and nobody waits.
    let reply = fixture.reply(&[b"HRANDFIELD", b"h", b"-9223372036854775807"]);
    assert!(reply.starts_with(b"*9223372036854775807\r\n") && reply.len() < 1 << 21);
}

#[test]
fn scans_of_hashes_find_every_field_once() {
    let mut fixture = Fixture::new();
    fixture.run("HSET small a 1 b 2 ab 3");
    fixture.transcript(&[
        ("HSCAN small 0 COUNT 1", "[\"0\", [\"a\", \"1\", \"b\", \"2\", \"ab\", \"3\"]]", "", ""),
        ("HSCAN small 0 MATCH a*", "[\"0\", [\"a\", \"1\", \"ab\", \"3\"]]", "", ""),
        ("HSCAN small 17 MATCH 1", "[\"0\", []]", "", ""),
    ]);
    let all: String = (0..2000).map(|field| format!(" {field} v{field}")).collect();
    fixture.run(&format!("HSET large{all}"));
    let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
    loop {
        let reply = fixture.run(&format!("HSCAN large {cursor} COUNT 100")).reply;
        let words: Vec<String> = reply.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        cursor.clone_from(&words[0]);
        assert_eq!(words.len(), 201, "COUNT is exact: 20 pages of 100 fields");
        found.extend(words[1..].chunks(2).map(|pair| {
            assert_eq!(pair[1], format!("v{}", pair[0]));
            pair[0].parse::<usize>().unwrap()
        }));
        if cursor == "0" {
            break;
        }
    }
    found.sort_unstable();
    assert_eq!(found, (0..2000).collect::<Vec<_>>());
}
