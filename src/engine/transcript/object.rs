//! Transcripts of OBJECT, DUMP, RESTORE and MEMORY. The payloads are from Redis 7.0's DUMP.

use super::Fixture;

#[test]
fn encodings_are_those_of_redis() {
    Fixture::new().transcript(&[
        ("SET a 123", "OK", "SELECT 0 | SET a 123", "new a, set a"),
        ("OBJECT ENCODING a", "\"int\"", "", ""),
        ("OBJECT REFCOUNT a", "2147483647", "", ""),
        ("INCRBY a 9877", "10000", "INCRBY a 9877", "incrby a"),
        ("OBJECT REFCOUNT a", "1", "", ""),
        ("SET a 0123", "OK", "SET a 0123", "set a"),
        ("OBJECT ENCODING a", "\"embstr\"", "", ""),
        ("OBJECT REFCOUNT a", "1", "", ""),
        ("APPEND a 4", "5", "APPEND a 4", "append a"),
        ("object encoding a", "\"raw\"", "", ""),
        ("OBJECT ENCODING none", "nil", "", ""),
        ("OBJECT REFCOUNT none", "nil", "", ""),
    ]);
    let mut fixture = Fixture::new();
    for (len, encoding) in [(44, "embstr"), (45, "raw"), (5000, "raw"), (100_000, "raw")] {
        fixture.reply(&[b"SET", b"a", &vec![b'x'; len]]);
        let reply = fixture.run("OBJECT ENCODING a").reply;
        assert_eq!(reply, format!("\"{encoding}\""), "{len} bytes");
    }
}

#[test]
fn idle_time_counts_from_the_last_access() {
    let mut fixture = Fixture::new();
    fixture.run("MSET a 1 b 2");
    fixture.advance_ms(90_000);
    fixture.transcript(&[
        ("OBJECT IDLETIME a", "90", "", ""),
        ("TTL a", "-1", "", ""),
        ("TYPE a", "string", "", ""),
        ("EXISTS a", "1", "", ""),
        ("OBJECT IDLETIME a", "90", "", ""),
        ("TOUCH a", "1", "", ""),
        ("OBJECT IDLETIME a", "0", "", ""),
        ("RENAME b c", "OK", "RENAME b c", "new c, rename_from b, rename_to c"),
        ("OBJECT IDLETIME c", "0", "", ""),
        ("OBJECT IDLETIME none", "nil", "", ""),
    ]);
}

#[test]
fn object_refuses_what_it_does_not_know() {
    let no_lfu = "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please \
                  note that when switching between policies at runtime LRU and LFU data will take \
                  some time to adjust.";
    Fixture::new().transcript(&[
        ("OBJECT FREQ none", "nil", "", ""),
        ("SET a 1", "OK", "SELECT 0 | SET a 1", "new a, set a"),
        ("OBJECT FREQ a", no_lfu, "", ""),
        ("OBJECT nonsense a", "-ERR unknown subcommand 'nonsense'. Try OBJECT HELP.", "", ""),
        ("OBJECT", "-ERR wrong number of arguments for 'object' command", "", ""),
        ("OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command", "", ""),
    ]);
}

#[test]
fn dumps_restore_to_the_same_value() {
    Fixture::new().transcript(&[
        ("SET v v", "OK", "SELECT 0 | SET v v", "new v, set v"),
        ("DUMP v", r#""\x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce""#, "", ""),
        ("SET n 12", "OK", "SET n 12", "new n, set n"),
        ("DUMP n", r#""\x00\xc0\x0c\n\x00<*\xf8Q\\\x04\xbc\xd5""#, "", ""),
        ("DUMP none", "nil", "", "keymiss none"),
        (
            r#"RESTORE r 0 "\x00\xc0\x0c\n\x00<*\xf8Q\\\x04\xbc\xd5""#,
            "OK",
            r#"RESTORE r 0 \x00\xc0\x0c\n\x00<*\xf8Q\\\x04\xbc\xd5"#,
            "new r, restore r",
        ),
        ("GET r", "\"12\"", "", ""),
        ("OBJECT ENCODING r", "\"int\"", "", ""),
    ]);
    let mut fixture = Fixture::new();
    for len in [0, 30, 5000, 300_000] {
        let value: Vec<u8> = (0..len).map(|i: usize| (i * i % 251) as u8).collect();
        fixture.reply(&[b"SET", b"a", &value]);
        let dumped = fixture.reply(&[b"DUMP", b"a"]);
        let head = dumped.iter().position(|&byte| byte == b'\n').expect("a length line") + 1;
        let payload = &dumped[head..dumped.len() - 2];
        assert_eq!(fixture.reply(&[b"RESTORE", b"b", b"0", payload, b"REPLACE"]), b"+OK\r\n");
        assert!(fixture.reply(&[b"GET", b"a"]) == fixture.reply(&[b"GET", b"b"]), "{len} bytes");
    }
}

#[test]
fn restore_takes_relative_and_absolute_expiries() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        (
            r#"RESTORE r 100000 "\x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce""#,
            "OK",
            r#"SELECT 0 | RESTORE r 1000000100000 \x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce ABSTTL"#,
            "new r, restore r",
        ),
        ("TTL r", "100", "", ""),
        (
            r#"RESTORE r 4000000000000 "\x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce" ABSTTL REPLACE"#,
            "OK",
            r#"RESTORE r 4000000000000 \x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce ABSTTL REPLACE"#,
            "new r, restore r",
        ),
        ("PEXPIRETIME r", "4000000000000", "", ""),
        (
            r#"RESTORE r 1 "\x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce" ABSTTL REPLACE"#,
            "OK",
            "DEL r",
            "del r",
        ),
        (r#"RESTORE r 1 "\x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce" ABSTTL"#, "OK", "", ""),
        (
            r#"RESTORE r 0 "\x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce" IDLETIME 7"#,
            "OK",
            r#"RESTORE r 0 \x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce IDLETIME 7"#,
            "new r, restore r",
        ),
        ("OBJECT IDLETIME r", "7", "", ""),
    ]);
}

#[test]
fn restore_refuses_in_the_order_of_redis() {
    Fixture::new().transcript(&[
        ("SET a 1", "OK", "SELECT 0 | SET a 1", "new a, set a"),
        ("RESTORE a x x", "-BUSYKEY Target key name already exists.", "", ""),
        ("RESTORE a x x nonsense", "-ERR syntax error", "", ""),
        ("RESTORE b x x", "-ERR value is not an integer or out of range", "", ""),
        ("RESTORE b -1 x", "-ERR Invalid TTL value, must be >= 0", "", ""),
        ("RESTORE b 0 x", "-ERR DUMP payload version or checksum are wrong", "", ""),
        ("RESTORE a 0 x REPLACE", "-ERR DUMP payload version or checksum are wrong", "", ""),
        (
            // A string of one byte with nothing behind its length, and the right checksum.
            r#"RESTORE b 0 "\x00\x01\n\x00\xe3\xa3\x1c\x8e&.\xb0.""#,
            "-ERR Bad data format",
            "",
            "",
        ),
        ("RESTORE b 0 x IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0", "", ""),
        ("RESTORE b 0 x FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255", "", ""),
        ("RESTORE b 0 x IDLETIME 1 FREQ 1", "-ERR syntax error", "", ""),
        ("GET a", "\"1\"", "", ""),
    ]);
}

#[test]
fn memory_usage_grows_with_the_value() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        ("MEMORY USAGE none", "nil", "", ""),
        ("MEMORY USAGE none SAMPLES", "-ERR syntax error", "", ""),
        ("MEMORY USAGE none SAMPLES -1", "-ERR syntax error", "", ""),
        ("MEMORY USAGE none SAMPLES x", "-ERR value is not an integer or out of range", "", ""),
        ("MEMORY USAGE none SAMPLES 0", "nil", "", ""),
    ]);
    let mut before = 0;
    for len in [1_usize, 100, 10_000, 1_000_000] {
        fixture.reply(&[b"SET", b"a", &vec![b'x'; len]]);
        let bytes: usize = fixture.run("MEMORY USAGE a").reply.parse().expect("a number");
        assert!(bytes > before && bytes > len, "{len} bytes take {bytes}");
        before = bytes;
    }
}
