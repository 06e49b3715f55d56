//! Transcripts of the set commands, as measured on Redis 7.0.15.

use super::Fixture;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn members_are_added_and_removed() {
    Fixture::new().transcript(&[
        ("SADD s 1 2 2 a", "3", "SELECT 0 | SADD s 1 2 2 a", "new s, sadd s"),
        ("SADD s 1 a", "0", "", ""),
        ("SCARD s", "3", "", ""),
        ("SISMEMBER s a", "1", "", ""),
        ("SISMEMBER s b", "0", "", ""),
        ("SMISMEMBER s a b 1", "[1, 0, 1]", "", ""),
        ("SREM s b c", "0", "", ""),
        ("SREM s a b", "1", "SREM s a b", "srem s"),
        ("SMEMBERS s", "[\"1\", \"2\"]", "", ""),
        ("SREM s 1 2 3", "2", "SREM s 1 2 3", "srem s, del s"),
        ("SREM s 1", "0", "", ""),
        ("SCARD s", "0", "", "keymiss s"),
        ("SISMEMBER s 1", "0", "", "keymiss s"),
        ("SMISMEMBER s 1 2", "[0, 0]", "", "keymiss s"),
        ("SMEMBERS s", "[]", "", "keymiss s"),
    ]);
}

#[test]
fn integers_come_in_order() {
    Fixture::new().transcript(&[
        ("SADD s 30 -5 100000 7", "4", "SELECT 0 | SADD s 30 -5 100000 7", "new s, sadd s"),
        ("SMEMBERS s", "[\"-5\", \"7\", \"30\", \"100000\"]", "", ""),
        ("SADD t 8 7 1", "3", "SADD t 8 7 1", "new t, sadd t"),
        ("SUNION s t", "[\"-5\", \"1\", \"7\", \"8\", \"30\", \"100000\"]", "", ""),
        ("SDIFF s t", "[\"-5\", \"30\", \"100000\"]", "", ""),
        ("SINTER s t", "[\"7\"]", "", ""),
        ("SRANDMEMBER s 4", "[\"-5\", \"7\", \"30\", \"100000\"]", "", ""),
        ("SPOP s 9", "[\"-5\", \"7\", \"30\", \"100000\"]", "DEL s", "spop s, del s"),
    ]);
}

#[test]
fn object_encoding_names_what_redis_would_have() {
    let mut fixture = Fixture::new();
    let encoding = |fixture: &mut Fixture, line: &str, expected: &str| {
        fixture.run(line);
        let key = line.split(' ').nth(1).expect("a key");
        let shown = fixture.run(&format!("OBJECT ENCODING {key}")).reply;
        assert_eq!(shown, format!("\"{expected}\""), "after {line}");
    };
    let numbers: Vec<String> = (0..512).map(|number| number.to_string()).collect();
    encoding(&mut fixture, &format!("SADD s {}", numbers.join(" ")), "intset");
    encoding(&mut fixture, "SADD s 600", "hashtable");
    encoding(&mut fixture, "SADD t 1 2", "intset");
    encoding(&mut fixture, "SADD t 01", "hashtable");
    encoding(&mut fixture, "SREM t 01", "hashtable");
    encoding(&mut fixture, "SUNIONSTORE u t", "intset");
    encoding(&mut fixture, "SINTERSTORE u t s", "intset");
    encoding(&mut fixture, "SDIFFSTORE u t none", "intset");
    // Redis asks the few others, or copies the first and removes: then it stays a hash table.
    encoding(&mut fixture, "SADD w 1 2 3 4 5 6 x", "hashtable");
    encoding(&mut fixture, "SADD x x", "hashtable");
    encoding(&mut fixture, "SDIFFSTORE u w x", "intset");
    encoding(&mut fixture, "SDIFFSTORE u w x x x", "hashtable");
    encoding(&mut fixture, "SDIFFSTORE u s w w w", "hashtable");
}

#[test]
fn a_popped_member_is_removed_by_name() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        ("SPOP s", "nil", "", ""),
        ("SPOP s 3", "[]", "", ""),
        ("SADD s a", "1", "SELECT 0 | SADD s a", "new s, sadd s"),
        ("SPOP s", "\"a\"", "SREM s a", "spop s, del s"),
        ("SADD s a b", "2", "SADD s a b", "new s, sadd s"),
        ("SPOP s 0", "[]", "", ""),
        ("SPOP s -1", "-ERR value is out of range, must be positive", "", ""),
        ("SPOP s x", "-ERR value is out of range, must be positive", "", ""),
        ("SPOP s 1 2", "-ERR syntax error", "", ""),
    ]);
    let popped = fixture.run("SPOP s");
    let member = popped.reply.trim_matches('"').to_owned();
    assert_eq!(popped.replicas, format!("SREM s {member}"));
    assert_eq!(popped.events, "spop s");
    assert_eq!(fixture.run(&format!("SISMEMBER s {member}")).reply, "0");
}

#[test]
fn replicas_get_a_removal_for_each_popped_member() {
    let mut fixture = Fixture::new();
    fixture.run("SADD s a b c d e f 1 2");
    let popped = fixture.run("SPOP s 3");
    let members: Vec<&str> =
        popped.reply.trim_matches(['[', ']']).split(", ").map(|m| m.trim_matches('"')).collect();
    assert_eq!(members.len(), 3);
    let removals: Vec<String> = members.iter().map(|member| format!("SREM s {member}")).collect();
    assert_eq!(popped.replicas, format!("MULTI | {} | EXEC", removals.join(" | ")));
    assert_eq!(popped.events, "spop s");
    assert_eq!(fixture.run("SCARD s").reply, "5");
}

#[test]
fn random_members_stay() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        ("SRANDMEMBER s", "nil", "", "keymiss s"),
        ("SRANDMEMBER s 3", "[]", "", "keymiss s"),
        ("SADD s a", "1", "SELECT 0 | SADD s a", "new s, sadd s"),
        ("SRANDMEMBER s", "\"a\"", "", ""),
        ("SRANDMEMBER s 0", "[]", "", ""),
        ("SRANDMEMBER s 5", "[\"a\"]", "", ""),
        ("SRANDMEMBER s -3", "[\"a\", \"a\", \"a\"]", "", ""),
        ("SRANDMEMBER s x", "-ERR value is not an integer or out of range", "", ""),
        (
            "SRANDMEMBER none -9223372036854775808",
            "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            "",
            "",
        ),
        ("SRANDMEMBER s 1 2", "-ERR syntax error", "", ""),
    ]);
}

#[test]
fn a_member_moves_between_sets() {
    Fixture::new().transcript(&[
        ("SADD a 1 2", "2", "SELECT 0 | SADD a 1 2", "new a, sadd a"),
        ("SMOVE a b 1", "1", "SMOVE a b 1", "srem a, new b, sadd b"),
        ("SMOVE a b 1", "0", "", ""),
        ("SMOVE a b 2", "1", "SMOVE a b 2", "srem a, del a, sadd b"),
        ("SMOVE a b 1", "0", "", ""),
        ("SMOVE b b 1", "1", "", ""),
        ("SMOVE b b 9", "0", "", ""),
        ("SADD a 1", "1", "SADD a 1", "new a, sadd a"),
        ("SMOVE a b 1", "1", "SMOVE a b 1", "srem a, del a"),
        ("SET str 1", "OK", "SET str 1", "new str, set str"),
        ("SMOVE none str 1", "0", "", ""),
        ("SMOVE b str 9", WRONG_TYPE, "", ""),
        ("SMOVE str b 9", WRONG_TYPE, "", ""),
        ("SMOVE str str 9", WRONG_TYPE, "", ""),
    ]);
}

#[test]
fn sets_are_combined_and_stored() {
    Fixture::new().transcript(&[
        ("SADD a 1 2", "2", "SELECT 0 | SADD a 1 2", "new a, sadd a"),
        ("SADD b 2 3", "2", "SADD b 2 3", "new b, sadd b"),
        ("SADD c 9", "1", "SADD c 9", "new c, sadd c"),
        ("SINTERSTORE d a b", "1", "SINTERSTORE d a b", "new d, sinterstore d"),
        ("SINTERSTORE d a b", "1", "SINTERSTORE d a b", "sinterstore d"),
        ("SINTERSTORE d a none", "0", "SINTERSTORE d a none", "keymiss none, del d"),
        ("SINTERSTORE d a none", "0", "", "keymiss none"),
        (
            "SUNIONSTORE d a b none",
            "3",
            "SUNIONSTORE d a b none",
            "keymiss none, new d, sunionstore d",
        ),
        ("SINTERSTORE d a c", "0", "SINTERSTORE d a c", "del d"),
        ("SDIFFSTORE d a b", "1", "SDIFFSTORE d a b", "new d, sdiffstore d"),
        ("SDIFFSTORE d a b a", "0", "SDIFFSTORE d a b a", "del d"),
        ("SDIFFSTORE d none a", "0", "", "keymiss none"),
        ("SUNIONSTORE a a b", "3", "SUNIONSTORE a a b", "sunionstore a"),
        ("SINTERSTORE a a a", "3", "SINTERSTORE a a a", "sinterstore a"),
        ("SDIFFSTORE b a b", "1", "SDIFFSTORE b a b", "sdiffstore b"),
        ("SMEMBERS b", "[\"1\"]", "", ""),
        ("SET str 1 EX 100", "OK", "SET str 1 PXAT 1000000100000", "new str, set str, expire str"),
        ("SUNIONSTORE d str", WRONG_TYPE, "", ""),
        ("SINTER none str", WRONG_TYPE, "", "keymiss none"),
        ("SUNIONSTORE str b", "1", "SUNIONSTORE str b", "sunionstore str"),
        ("TTL str", "-1", "", ""),
        ("SUNION none", "[]", "", "keymiss none"),
    ]);
}

#[test]
fn an_intersection_is_counted_up_to_a_limit() {
    Fixture::new().transcript(&[
        ("SADD a 1 2 3", "3", "SELECT 0 | SADD a 1 2 3", "new a, sadd a"),
        ("SADD b 2 3 x", "3", "SADD b 2 3 x", "new b, sadd b"),
        ("SINTERCARD 2 a b", "2", "", ""),
        ("SINTERCARD 2 a b limit 1", "1", "", ""),
        ("SINTERCARD 2 a b LIMIT 0", "2", "", ""),
        ("SINTERCARD 2 a none", "0", "", "keymiss none"),
        ("SINTERCARD 0 a", "-ERR numkeys should be greater than 0", "", ""),
        ("SINTERCARD x a", "-ERR numkeys should be greater than 0", "", ""),
        ("SINTERCARD 3 a b", "-ERR Number of keys can't be greater than number of args", "", ""),
        ("SINTERCARD 1 a b", "-ERR syntax error", "", ""),
        ("SINTERCARD 1 a LIMIT", "-ERR syntax error", "", ""),
        ("SINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative", "", ""),
        ("COMMAND GETKEYS SINTERCARD 2 a b LIMIT 1", "[\"a\", \"b\"]", "", ""),
        ("COMMAND GETKEYS SINTERCARD +1 a b", "[\"a\"]", "", ""),
        ("SINTERCARD +1 a b", "-ERR numkeys should be greater than 0", "", ""),
    ]);
}

#[test]
fn a_walk_meets_every_member() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        ("SSCAN none 0 nonsense", "[\"0\", []]", "", "keymiss none"),
        ("SADD s 1 2 x", "3", "SELECT 0 | SADD s 1 2 x", "new s, sadd s"),
        ("SSCAN s 0", "[\"0\", [\"1\", \"2\", \"x\"]]", "", ""),
        ("SSCAN s 0 MATCH x", "[\"0\", [\"x\"]]", "", ""),
        ("SSCAN s x", "-ERR invalid cursor", "", ""),
        ("SSCAN s 0 TYPE set", "-ERR syntax error", "", ""),
    ]);
    let members: Vec<String> = (0..1000).map(|number| format!("m{number}")).collect();
    fixture.run(&format!("SADD large {}", members.join(" ")));
    let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
    loop {
        let reply = fixture.run(&format!("SSCAN large {cursor} COUNT 100")).reply;
        let mut words = reply.split(['[', ']', ',', ' ', '"']).filter(|word| !word.is_empty());
        cursor = words.next().expect("a cursor").to_owned();
        found.extend(words.map(str::to_owned));
        if cursor == "0" {
            break;
        }
    }
    found.sort();
    let mut members = members;
    members.sort();
    assert_eq!(found, members);
}

#[test]
fn dumps_restore_to_the_same_set() {
    let mut fixture = Fixture::new();
    let words: Vec<String> = (0..300).map(|number| format!("word{number}")).collect();
    for line in ["1 2 70000".to_owned(), "1 2 x".to_owned(), words.join(" ")] {
        fixture.run("DEL a");
        fixture.run(&format!("SADD a {line}"));
        let dumped = fixture.reply(&[b"DUMP", b"a"]);
        let head = dumped.iter().position(|&byte| byte == b'\n').expect("a length line") + 1;
        let payload = &dumped[head..dumped.len() - 2];
        assert_eq!(fixture.reply(&[b"RESTORE", b"b", b"0", payload, b"REPLACE"]), b"+OK\r\n");
        assert_eq!(fixture.run("SDIFF a b").reply, "[]");
        assert_eq!(fixture.run("SCARD a"), fixture.run("SCARD b"));
        assert_eq!(fixture.run("OBJECT ENCODING a"), fixture.run("OBJECT ENCODING b"));
    }
}

#[test]
fn a_set_is_of_no_other_type() {
    let mut fixture = Fixture::new();
    fixture.run("SET str 1");
    for line in [
        "SADD str 1",
        "SREM str 1",
        "SCARD str",
        "SISMEMBER str 1",
        "SMISMEMBER str 1",
        "SMEMBERS str",
        "SPOP str",
        "SPOP str 0",
        "SRANDMEMBER str",
        "SRANDMEMBER str 1",
        "SSCAN str 0 nonsense",
        "SDIFF str",
        "SUNION none str",
        "SINTERCARD 1 str",
    ] {
        assert_eq!(fixture.run(line).reply, WRONG_TYPE, "{line}");
    }
}
