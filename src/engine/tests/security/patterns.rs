//! Patterns that take naive matchers exponential time, or that nest: with such a matcher these tests
//! would not end.

use super::super::super::fixture::Fixture;

/// Patterns that match none of the texts, which is found out last.
fn patterns() -> Vec<String> {
    vec![
        "a*".repeat(500) + "!",
        "*a".repeat(500) + "!",
        "*?".repeat(999) + "!",
        "*[a-z]".repeat(300) + "[^a]",
        "*[^!]".repeat(300) + "!",
        "*\\a".repeat(300) + "!",
        "[".repeat(2_000),
        "[[".repeat(1_000) + &"]".repeat(1_000),
        "[a-".repeat(1_000),
        "*".repeat(10_000) + "!",
        "\\".repeat(4_001),
        "?*".repeat(400) + "[",
    ]
}

#[test]
fn every_pattern_is_matched_in_bounded_time() {
    let mut fixture = Fixture::new();
    let text = "a".repeat(3_000);
    for line in [
        format!("SET {text} x"),
        format!("HSET h {text} x"),
        format!("SADD s {text}"),
        format!("ZADD z 1 {text}"),
        "ACL SETUSER bob on nopass +@all".to_owned(),
        "RPUSH l a".to_owned(),
    ] {
        assert!(!fixture.run("A", &line).starts_with('-'), "{:.20}", line);
    }
    for pattern in patterns() {
        let quoted = pattern.replace('\\', "\\\\");
        for (line, reply) in [
            (format!("KEYS \"{quoted}\""), "*0"),
            (format!("SCAN 0 MATCH \"{quoted}\""), "*2 $1 0 *0"),
            (format!("HSCAN h 0 MATCH \"{quoted}\""), "*2 $1 0 *0"),
            (format!("SSCAN s 0 MATCH \"{quoted}\""), "*2 $1 0 *0"),
            (format!("ZSCAN z 0 MATCH \"{quoted}\""), "*2 $1 0 *0"),
            (format!("CONFIG GET \"{quoted}\""), "*0"),
            (format!("PUBSUB CHANNELS \"{quoted}\""), "*0"),
            (format!("COMMAND LIST FILTERBY PATTERN \"{quoted}\""), "*0"),
            (format!("FUNCTION LIST LIBRARYNAME \"{quoted}\""), "*0"),
            (format!("SORT l BY \"{quoted}\""), "*1 $1 a"),
            ("ACL SETUSER bob resetkeys resetchannels".to_owned(), "+OK"),
            (format!("ACL SETUSER bob \"~{quoted}\" \"&{quoted}\""), "+OK"),
        ] {
            assert_eq!(fixture.run("A", &line), reply, "{:.60}", line);
        }
        fixture.run("B", &format!("PSUBSCRIBE \"{quoted}\""));
        assert_eq!(fixture.run("A", &format!("PUBLISH {text} x")), ":0", "{pattern:.60}");
        fixture.disconnect("B");
        fixture.run("C", "AUTH bob x");
        for line in [format!("GET {text}"), format!("PUBLISH {text} x")] {
            let reply = fixture.run("C", &line);
            assert!(reply.starts_with("-NOPERM"), "{pattern:.60}: {reply}");
        }
    }
}
