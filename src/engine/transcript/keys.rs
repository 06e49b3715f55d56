//! Transcripts of the commands on keys.

use std::collections::BTreeSet;

use super::Fixture;

#[test]
fn removing_counts_and_tells_of_what_was_there() {
    Fixture::new().transcript(&[
        ("MSET a 1 b 2", "OK", "SELECT 0 | MSET a 1 b 2", "new a, set a, new b, set b"),
        ("DEL none", "0", "", ""),
        ("DEL a b none a", "2", "DEL a b none a", "del a, del b"),
        ("SET a 1", "OK", "SET a 1", "new a, set a"),
        ("UNLINK a", "1", "UNLINK a", "del a"),
    ]);
}

#[test]
fn a_removed_key_that_had_expired_is_logged_on_its_own() {
    let mut fixture = Fixture::new();
    fixture.run("MSET a 1 b 2");
    fixture.run("PEXPIRE a 1");
    fixture.advance_ms(2);
    fixture
        .transcript(&[("DEL a", "0", "DEL a", "expired a"), ("DEL a b", "1", "DEL a b", "del b")]);
}

#[test]
fn looking_at_keys_changes_nothing() {
    Fixture::new().transcript(&[
        ("SET a 1", "OK", "SELECT 0 | SET a 1", "new a, set a"),
        ("EXISTS a a none", "2", "", "keymiss none"),
        ("TOUCH a none", "1", "", "keymiss none"),
        ("TYPE a", "string", "", ""),
        ("TYPE none", "none", "", "keymiss none"),
        ("KEYS *", "[\"a\"]", "", ""),
        ("KEYS b*", "[]", "", ""),
        ("SET \"\" 1", "OK", "SET  1", "new , set "),
        ("KEYS **", "[\"a\"]", "", ""),
        ("DEL \"\"", "1", "DEL ", "del "),
        ("RANDOMKEY", "\"a\"", "", ""),
    ]);
}

#[test]
fn renaming_replaces_what_had_the_name() {
    Fixture::new().transcript(&[
        ("SET a 1 EX 10", "OK", "SELECT 0 | SET a 1 PXAT 1000000010000", "new a, set a, expire a"),
        ("RENAME a b", "OK", "RENAME a b", "new b, rename_from a, rename_to b"),
        ("PEXPIRETIME b", "1000000010000", "", ""),
        ("SET c 3", "OK", "SET c 3", "new c, set c"),
        ("RENAME c b", "OK", "RENAME c b", "new b, rename_from c, rename_to b"),
        ("GET b", "\"3\"", "", ""),
        ("TTL b", "-1", "", ""),
        ("RENAME b b", "OK", "", ""),
        ("RENAME a b", "-ERR no such key", "", ""),
        ("RENAME a a", "-ERR no such key", "", ""),
        ("SET a 1", "OK", "SET a 1", "new a, set a"),
        ("RENAMENX a b", "0", "", ""),
        ("RENAMENX a a", "0", "", ""),
        ("RENAMENX a d", "1", "RENAMENX a d", "new d, rename_from a, rename_to d"),
        ("RENAMENX a d", "-ERR no such key", "", ""),
    ]);
}

#[test]
fn a_copy_has_the_expiry_of_its_source() {
    Fixture::new().transcript(&[
        ("SET a 1 EX 10", "OK", "SELECT 0 | SET a 1 PXAT 1000000010000", "new a, set a, expire a"),
        ("COPY a b", "1", "COPY a b", "new b, copy_to b"),
        ("PEXPIRETIME b", "1000000010000", "", ""),
        ("COPY a b", "0", "", ""),
        ("SET a 2", "OK", "SET a 2", "set a"),
        ("COPY a b REPLACE", "1", "COPY a b REPLACE", "new b, copy_to b"),
        ("GET b", "\"2\"", "", ""),
        ("TTL b", "-1", "", ""),
        ("COPY a a DB 2", "1", "COPY a a DB 2", "new a in 2, copy_to a in 2"),
        ("COPY none b", "0", "", "keymiss none"),
        ("COPY a a", "-ERR source and destination objects are the same", "", ""),
        ("COPY a b DB", "-ERR syntax error", "", ""),
        ("COPY a b DB 16", "-ERR DB index is out of range", "", ""),
        ("COPY a b DB -1", "-ERR DB index is out of range", "", ""),
        (
            "COPY a b DB 2147483648",
            "-ERR value is out of range, value must between -2147483648 and 2147483647",
            "",
            "",
        ),
    ]);
}

#[test]
fn moving_changes_two_databases() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        ("SET a 1 EX 10", "OK", "SELECT 0 | SET a 1 PXAT 1000000010000", "new a, set a, expire a"),
        ("MOVE a 1", "1", "MOVE a 1", "new a in 1, move_from a, move_to a in 1"),
        ("MOVE a 1", "0", "", ""),
        ("MOVE a 0", "-ERR source and destination objects are the same", "", ""),
        ("MOVE a 16", "-ERR DB index is out of range", "", ""),
        ("MOVE a x", "-ERR value is not an integer or out of range", "", ""),
        ("SET a 2", "OK", "SET a 2", "new a, set a"),
        ("MOVE a 1", "0", "", ""),
    ]);
    fixture.select(1);
    fixture.transcript(&[
        ("GET a", "\"1\"", "", ""),
        ("PEXPIRETIME a", "1000000010000", "", ""),
        ("SET a 3", "OK", "SELECT 1 | SET a 3", "set a in 1"),
    ]);
}

#[test]
fn a_renamed_or_moved_key_is_one_change() {
    let mut fixture = Fixture::new();
    for (line, changes) in
        [("MSET a 1 b 2", 2), ("RENAME a c", 1), ("MOVE c 1", 1), ("COPY b d", 1)]
    {
        let before = fixture.node.dirty();
        fixture.run(line);
        assert_eq!(fixture.node.dirty() - before, changes, "{line}");
    }
}

#[test]
fn a_scan_meets_every_key_that_stays() {
    let mut fixture = Fixture::new();
    for index in 0..500 {
        fixture.run(&format!("SET key:{index} v"));
        fixture.run(&format!("SET gone:{index} v PX 1"));
    }
    fixture.advance_ms(2);
    let mut met = BTreeSet::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = fixture.run(&format!("SCAN {cursor} COUNT 7 TYPE String")).reply;
        let mut strings = reply.split('"').skip(1).step_by(2);
        cursor = strings.next().expect("a cursor").to_owned();
        for key in strings {
            assert!(met.insert(key.to_owned()), "{key} came twice");
        }
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(met, (0..500).map(|index| format!("key:{index}")).collect());
}

#[test]
fn scan_filters_and_refuses() {
    Fixture::new().transcript(&[
        ("MSET a1 1 b1 2", "OK", "SELECT 0 | MSET a1 1 b1 2", "new a1, set a1, new b1, set b1"),
        ("SCAN 0 MATCH a*", "[\"0\", [\"a1\"]]", "", ""),
        ("SCAN 0 MATCH a* TYPE list", "[\"0\", []]", "", ""),
        ("SCAN 0 COUNT 0", "-ERR syntax error", "", ""),
        ("SCAN 0 COUNT x", "-ERR value is not an integer or out of range", "", ""),
        ("SCAN 0 COUNT", "-ERR syntax error", "", ""),
        ("SCAN \"+0\\x00x\"", "[\"0\", [\"a1\", \"b1\"]]", "", ""),
        ("SCAN x", "-ERR invalid cursor", "", ""),
        ("SCAN \" 0\"", "-ERR invalid cursor", "", ""),
        ("SCAN 18446744073709551616", "-ERR invalid cursor", "", ""),
        ("SCAN 18446744073709551615", "[\"0\", []]", "", ""),
    ]);
}

#[test]
fn random_keys_are_never_expired_ones() {
    let mut fixture = Fixture::new();
    for index in 0..300 {
        fixture.run(&format!("SET gone:{index} v PX 1"));
    }
    fixture.run("MSET a 1 b 2");
    fixture.advance_ms(2);
    let picked: BTreeSet<_> = (0..40).map(|_| fixture.run("RANDOMKEY").reply).collect();
    assert_eq!(picked, ["\"a\"", "\"b\""].map(str::to_owned).into());
    fixture.run("DEL a b");
    assert_eq!(fixture.run("RANDOMKEY").reply, "nil");
}

#[test]
fn migrate_looks_at_its_arguments_and_keys_first() {
    let syntax = "-ERR syntax error";
    let number = "-ERR value is not an integer or out of range";
    let keys =
        "-ERR When using MIGRATE KEYS option, the key argument must be set to the empty string";
    Fixture::new().transcript(&[
        ("MIGRATE h 1 a 0", "-ERR wrong number of arguments for 'migrate' command", "", ""),
        ("MIGRATE h 1 a 0 100", "NOKEY", "", "keymiss a"),
        ("MIGRATE h 1 \"\" 0 100 COPY KEYS a b", "NOKEY", "", "keymiss a, keymiss b"),
        ("MIGRATE h 1 a 0 100 KEYS b", keys, "", ""),
        ("MIGRATE h 1 a 0 x", number, "", ""),
        ("MIGRATE h 1 a x 100", number, "", ""),
        ("MIGRATE h 1 a 0 100 FOO", syntax, "", ""),
        ("MIGRATE h 1 a 0 100 AUTH", syntax, "", ""),
        ("MIGRATE h 1 a 0 100 AUTH2 x", syntax, "", ""),
        ("COMMAND GETKEYS MIGRATE h 1 \"\" 0 100 AUTH keys KEYS a b", "[\"a\", \"b\"]", "", ""),
        ("COMMAND GETKEYS MIGRATE h 1 a 0 100 COPY", "[\"a\"]", "", ""),
        ("MULTI", "OK", "", ""),
        ("MIGRATE h 1 a 0 100", "QUEUED", "", ""),
        ("EXEC", "[-ERR MIGRATE waits for another server, which a transaction cannot]", "", ""),
    ]);
}
