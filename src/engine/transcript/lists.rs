//! Transcripts of lists.

use super::Fixture;

const DEBUG: [&str; 2] = ["--enable-debug-command", "yes"];

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn elements_are_added_and_taken_at_both_ends() {
    Fixture::new().transcript(&[
        ("RPUSH a 1 2", "2", "SELECT 0 | RPUSH a 1 2", "new a, rpush a"),
        ("LPUSH a x y", "4", "LPUSH a x y", "lpush a"),
        ("LRANGE a 0 -1", "[\"y\", \"x\", \"1\", \"2\"]", "", ""),
        ("LLEN a", "4", "", ""),
        ("LPOP a", "\"y\"", "LPOP a", "lpop a"),
        ("RPOP a 2", "[\"2\", \"1\"]", "RPOP a 2", "rpop a"),
        ("LPOP a 0", "[]", "", ""),
        ("LPOP a 9", "[\"x\"]", "LPOP a 9", "lpop a, del a"),
        ("LPOP a", "nil", "", ""),
        ("LPOP a 1", "nil", "", ""),
        ("LPOP a 0", "nil", "", ""),
        ("LPOP a -1", "-ERR value is out of range, must be positive", "", ""),
        ("LPOP a x", "-ERR value is out of range, must be positive", "", ""),
        ("RPOP a 1 2", "-ERR wrong number of arguments for 'rpop' command", "", ""),
        ("LPUSHX a 1", "0", "", ""),
        ("RPUSHX a 1", "0", "", ""),
        ("LLEN a", "0", "", "keymiss a"),
        ("RPUSH a 1", "1", "RPUSH a 1", "new a, rpush a"),
        ("RPUSHX a 2 3", "3", "RPUSHX a 2 3", "rpush a"),
        ("LPUSHX a 0", "4", "LPUSHX a 0", "lpush a"),
        ("OBJECT ENCODING a", "\"quicklist\"", "", ""),
        ("TYPE a", "list", "", ""),
    ]);
}

#[test]
fn commands_of_lists_refuse_other_values() {
    let mut fixture = Fixture::new();
    fixture.run("SET s text");
    fixture.run("RPUSH a 1");
    for line in [
        "LPUSH s 1",
        "RPUSHX s 1",
        "LPOP s",
        "RPOP s 1",
        "LLEN s",
        "LINDEX s x",
        "LSET s x 1",
        "LINSERT s BEFORE a b",
        "LRANGE s 0 1",
        "LTRIM s 0 1",
        "LREM s 0 a",
        "LPOS s a",
        "LMOVE s a LEFT LEFT",
        "LMOVE a s LEFT LEFT",
        "RPOPLPUSH a s",
        "LMPOP 2 none s LEFT",
        "BLPOP s 0",
        "BRPOP none s 0",
        "BLMOVE s a LEFT LEFT 0",
        "BLMOVE a s LEFT LEFT 0",
        "BRPOPLPUSH s a 0",
        "BLMPOP 0 1 s LEFT",
        "GET a",
    ] {
        let outcome = fixture.run(line);
        assert_eq!((&*outcome.reply, &*outcome.replicas), (WRONG_TYPE, ""), "{line}");
    }
}

#[test]
fn elements_are_found_and_changed_by_index() {
    Fixture::new().transcript(&[
        ("LINDEX a 0", "nil", "", "keymiss a"),
        ("LINDEX a x", "nil", "", "keymiss a"),
        ("LSET a 0 x", "-ERR no such key", "", ""),
        ("RPUSH a 1 b 3", "3", "SELECT 0 | RPUSH a 1 b 3", "new a, rpush a"),
        ("LINDEX a 0", "\"1\"", "", ""),
        ("LINDEX a -1", "\"3\"", "", ""),
        ("LINDEX a 3", "nil", "", ""),
        ("LINDEX a -4", "nil", "", ""),
        ("LINDEX a x", "-ERR value is not an integer or out of range", "", ""),
        ("LSET a 1 two", "OK", "LSET a 1 two", "lset a"),
        ("LSET a -3 one", "OK", "LSET a -3 one", "lset a"),
        ("LSET a 3 x", "-ERR index out of range", "", ""),
        ("LSET a -4 x", "-ERR index out of range", "", ""),
        ("LSET a x x", "-ERR value is not an integer or out of range", "", ""),
        ("LRANGE a -100 100", "[\"one\", \"two\", \"3\"]", "", ""),
        ("LRANGE a 1 1", "[\"two\"]", "", ""),
        ("LRANGE a 2 1", "[]", "", ""),
        ("LRANGE a 0 x", "-ERR value is not an integer or out of range", "", ""),
        ("LRANGE none 0 -1", "[]", "", "keymiss none"),
    ]);
}

#[test]
fn elements_are_inserted_beside_a_pivot() {
    Fixture::new().transcript(&[
        ("LINSERT a BEFORE x y", "0", "", ""),
        ("LINSERT a BESIDE x y", "-ERR syntax error", "", ""),
        ("RPUSH a 1 2 1", "3", "SELECT 0 | RPUSH a 1 2 1", "new a, rpush a"),
        ("LINSERT a before 1 0", "4", "LINSERT a before 1 0", "linsert a"),
        ("LINSERT a AFTER 1 x", "5", "LINSERT a AFTER 1 x", "linsert a"),
        ("LINSERT a AFTER none x", "-1", "", ""),
        ("LRANGE a 0 -1", "[\"0\", \"1\", \"x\", \"2\", \"1\"]", "", ""),
    ]);
}

#[test]
fn trimming_keeps_what_lies_between() {
    Fixture::new().transcript(&[
        ("LTRIM a 0 1", "OK", "", ""),
        ("RPUSH a 1 2 3 4 5", "5", "SELECT 0 | RPUSH a 1 2 3 4 5", "new a, rpush a"),
        ("LTRIM a 0 -1", "OK", "", "ltrim a"),
        ("LTRIM a 1 -2", "OK", "LTRIM a 1 -2", "ltrim a"),
        ("LRANGE a 0 -1", "[\"2\", \"3\", \"4\"]", "", ""),
        ("LTRIM a x 1", "-ERR value is not an integer or out of range", "", ""),
        ("LTRIM a 5 9", "OK", "LTRIM a 5 9", "ltrim a, del a"),
    ]);
}

#[test]
fn equal_elements_are_removed_from_either_end() {
    Fixture::new().transcript(&[
        ("LREM a 0 x", "0", "", ""),
        ("RPUSH a 1 x 1 x 1", "5", "SELECT 0 | RPUSH a 1 x 1 x 1", "new a, rpush a"),
        ("LREM a 0 none", "0", "", ""),
        ("LREM a 1 1", "1", "LREM a 1 1", "lrem a"),
        ("LREM a -1 x", "1", "LREM a -1 x", "lrem a"),
        ("LRANGE a 0 -1", "[\"x\", \"1\", \"1\"]", "", ""),
        ("LREM a 0 1", "2", "LREM a 0 1", "lrem a"),
        ("LREM a -9223372036854775808 x", "1", "LREM a -9223372036854775808 x", "lrem a, del a"),
    ]);
}

#[test]
fn positions_are_told_by_rank_count_and_length() {
    let rank = "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second \
                ... or use negative to start from the end of the list";
    let mut fixture = Fixture::new();
    fixture.run("RPUSH a a b c 1 2 3 c c");
    fixture.transcript(&[
        ("LPOS a c", "2", "", ""),
        ("LPOS a c RANK 2", "6", "", ""),
        ("LPOS a c RANK -1", "7", "", ""),
        ("LPOS a c RANK 9", "nil", "", ""),
        ("LPOS a c COUNT 2", "[2, 6]", "", ""),
        ("LPOS a c COUNT 0 RANK -1", "[7, 6, 2]", "", ""),
        ("LPOS a c COUNT 0 MAXLEN 3", "[2]", "", ""),
        ("LPOS a c RANK -1 COUNT 0 MAXLEN 2", "[7, 6]", "", ""),
        ("LPOS a c MAXLEN 2", "nil", "", ""),
        ("LPOS a c RANK -9223372036854775808", "7", "", ""),
        ("LPOS a c RANK -9223372036854775808 COUNT 1", "[7, 6, 2]", "", ""),
        ("LPOS a none COUNT 1", "[]", "", ""),
        ("LPOS a 2", "4", "", ""),
        ("LPOS none c", "nil", "", "keymiss none"),
        ("LPOS none c COUNT 1", "[]", "", "keymiss none"),
        ("LPOS a c RANK 0", rank, "", ""),
        ("LPOS a c COUNT -1", "-ERR COUNT can't be negative", "", ""),
        ("LPOS a c COUNT x", "-ERR COUNT can't be negative", "", ""),
        ("LPOS a c MAXLEN -1", "-ERR MAXLEN can't be negative", "", ""),
        ("LPOS a c RANK x", "-ERR value is not an integer or out of range", "", ""),
        ("LPOS a c RANK", "-ERR syntax error", "", ""),
        ("LPOS a c WHAT 1", "-ERR syntax error", "", ""),
    ]);
}

#[test]
fn elements_move_between_lists_and_within_one() {
    Fixture::new().transcript(&[
        ("LMOVE a b LEFT LEFT", "nil", "", ""),
        ("LMOVE a b UP LEFT", "-ERR syntax error", "", ""),
        ("RPUSH a 1 2 3", "3", "SELECT 0 | RPUSH a 1 2 3", "new a, rpush a"),
        ("LMOVE a b LEFT RIGHT", "\"1\"", "LMOVE a b LEFT RIGHT", "new b, rpush b, lpop a"),
        ("RPOPLPUSH a b", "\"3\"", "RPOPLPUSH a b", "lpush b, rpop a"),
        ("LMOVE a a left right", "\"2\"", "LMOVE a a left right", "rpush a, lpop a"),
        ("LRANGE b 0 -1", "[\"3\", \"1\"]", "", ""),
        ("LMOVE b b RIGHT LEFT", "\"1\"", "LMOVE b b RIGHT LEFT", "lpush b, rpop b"),
        ("RPOPLPUSH b b", "\"3\"", "RPOPLPUSH b b", "lpush b, rpop b"),
        ("BLMOVE a b LEFT LEFT 1", "\"2\"", "LMOVE a b LEFT LEFT", "lpush b, lpop a, del a"),
        ("BRPOPLPUSH b b 1", "\"1\"", "RPOPLPUSH b b", "lpush b, rpop b"),
        ("LRANGE b 0 -1", "[\"1\", \"2\", \"3\"]", "", ""),
    ]);
}

#[test]
fn the_first_list_that_has_elements_gives_them() {
    let numkeys = "-ERR numkeys should be greater than 0";
    let count = "-ERR count should be greater than 0";
    Fixture::new().transcript(&[
        ("LMPOP 2 a b LEFT", "nil", "", ""),
        ("RPUSH b 1 2 3 4 5 6", "6", "SELECT 0 | RPUSH b 1 2 3 4 5 6", "new b, rpush b"),
        ("LMPOP 2 a b LEFT", "[\"b\", [\"1\"]]", "LPOP b 1", "lpop b"),
        ("LMPOP 1 b right count 2", "[\"b\", [\"6\", \"5\"]]", "RPOP b 2", "rpop b"),
        ("BLMPOP 0 1 b LEFT COUNT 1", "[\"b\", [\"2\"]]", "LPOP b 1", "lpop b"),
        ("BLPOP a b 0", "[\"b\", \"3\"]", "LPOP b", "lpop b"),
        ("BRPOP b 0", "[\"b\", \"4\"]", "RPOP b", "rpop b, del b"),
        ("LMPOP 0 b LEFT", numkeys, "", ""),
        ("LMPOP x b LEFT", numkeys, "", ""),
        ("LMPOP 9 b LEFT", "-ERR syntax error", "", ""),
        ("LMPOP 1 b UP", "-ERR syntax error", "", ""),
        ("LMPOP 1 b LEFT COUNT 0", count, "", ""),
        ("LMPOP 1 b LEFT COUNT 1 COUNT 1", "-ERR syntax error", "", ""),
        ("LMPOP 1 b LEFT COUNT", "-ERR syntax error", "", ""),
        ("LMPOP 9223372036854775807 b LEFT", "-ERR syntax error", "", ""),
    ]);
}

#[test]
fn a_list_that_outgrows_a_node_keeps_its_elements() {
    let mut fixture = Fixture::new();
    let element = |number: usize| format!("{number:0100}");
    for number in 0..300 {
        let reply = fixture.reply(&[b"RPUSH", b"a", element(number).as_bytes()]);
        assert_eq!(reply, format!(":{}\r\n", number + 1).into_bytes());
    }
    for number in [0, 79, 80, 150, 299] {
        let reply = fixture.reply(&[b"LINDEX", b"a", number.to_string().as_bytes()]);
        assert_eq!(reply, format!("$100\r\n{}\r\n", element(number)).into_bytes());
    }
    fixture.run("LTRIM a 100 199");
    assert_eq!(fixture.run("LPOP a").reply, format!("\"{}\"", element(100)));
    assert_eq!(fixture.run("RPOP a").reply, format!("\"{}\"", element(199)));
    assert_eq!(fixture.run("LPOS a x").reply, "nil");
    assert_eq!(fixture.run("LPOP a 1000").reply.matches('"').count(), 2 * 98);
    assert_eq!(fixture.run("EXISTS a").reply, "0");
}

/// DUMP of redis-server 7.0.15 for the same commands.
#[test]
fn dumps_are_those_of_redis() {
    let mut fixture = Fixture::with(&DEBUG);
    fixture.run("RPUSH a 1 two 300 -70000");
    let one_node = "\"\\x12\\x01\\x02\\x16\\x16\\x00\\x00\\x00\\x04\\x00\\x01\\x01\\x83two\\x04\\xc1,\\x02\
                    \\xf2\\x90\\xee\\xfe\\x04\\xff\\n\\x00";
    let dump = fixture.run("DUMP a").reply;
    assert!(dump.starts_with(one_node), "{dump}");
    fixture.run("CONFIG SET list-max-listpack-size 2");
    // The list keeps the limits that it was made with, a copy too; a new one has others.
    fixture.run("COPY a b");
    fixture.run("RPUSH b x");
    fixture.run("RPUSH c 1 2 3");
    // What SORT stores is divided by default, and what is pushed to it later.
    fixture.run("SORT c STORE d");
    fixture.run("RPUSH d 4 5");
    fixture.run("CONFIG SET list-max-listpack-size -2");
    fixture.run("RPUSH c 4 5");
    for (key, nodes) in [("a", 1), ("b", 1), ("c", 3), ("d", 1)] {
        let object = fixture.run(&format!("DEBUG OBJECT {key}")).reply;
        assert!(object.contains(&format!(" ql_nodes:{nodes} ")), "{key}: {object}");
    }
}

#[test]
fn elements_of_some_length_stand_alone_in_their_node() {
    let refused = "-ERR argument must be a memory value bigger than 1 and smaller than 4gb";
    let mut fixture = Fixture::with(&DEBUG);
    fixture.run("RPUSH a 12345");
    fixture.transcript(&[
        ("DEBUG QUICKLIST-PACKED-THRESHOLD 5b", "OK", "", ""),
        ("DEBUG QUICKLIST-PACKED-THRESHOLD 4gb", refused, "", ""),
        ("DEBUG QUICKLIST-PACKED-THRESHOLD x", refused, "", ""),
        ("RPUSH a 1234", "2", "RPUSH a 1234", "rpush a"),
        ("RPUSH a 12345", "3", "RPUSH a 12345", "rpush a"),
        ("LSET a 0 abcdef", "OK", "LSET a 0 abcdef", "lset a"),
        ("LRANGE a 0 -1", "[\"abcdef\", \"1234\", \"12345\"]", "", ""),
        ("DEBUG LISTPACK a", "-ERR Not a listpack encoded object.", "", ""),
        ("DEBUG LISTPACK none", "-ERR no such key", "", ""),
        ("DEBUG QUICKLIST a 1", "Quicklist structure printed on stdout", "", ""),
        ("DEBUG QUICKLIST-PACKED-THRESHOLD 0", "OK", "", ""),
        ("RPUSH b 12345", "1", "RPUSH b 12345", "new b, rpush b"),
    ]);
    let object = fixture.run("DEBUG OBJECT a").reply;
    assert!(object.contains(" ql_nodes:3 ql_avg_node:1.00 "), "{object}");
    let object = fixture.run("DEBUG OBJECT b").reply;
    assert!(object.contains(" ql_nodes:1 ql_avg_node:1.00 ql_listpack_max:-2 "), "{object}");
}
