//! MONITOR, compared with transcripts of a real server.

use crate::engine::fixture::Fixture;

/// The lines that `m` reads have the clock's first time.
fn shown(line: &str) -> String {
    format!("+1700000000.000000 {line}")
}

#[test]
fn a_monitor_sees_what_runs_and_with_which_database() {
    let mut f = Fixture::new();
    f.transcript(
        "m: MONITOR -> +OK
         m: MONITOR ->
         b: SET k v -> +OK
         m: (reads) -> +1700000000.000000 [0 127.0.0.1:50002] \"SET\" \"k\" \"v\"
         b: SELECT 5 -> +OK
         b: GET \"a\\\\\\n\\x00\\a\\\"é\" -> $-1
         b: get -> -ERR wrong number of arguments for 'get' command
         b: NOSUCH -> -ERR unknown command 'NOSUCH', with args beginning with:
         b: CONFIG GET nosuch -> *0
         b: LPUSH k -> -ERR wrong number of arguments for 'lpush' command",
    );
    let lines = [
        shown("[5 127.0.0.1:50002] \"SELECT\" \"5\""),
        shown("[5 127.0.0.1:50002] \"GET\" \"a\\\\\\n\\x00\\a\\\"\\xc3\\xa9\""),
    ];
    assert_eq!(f.send("m", b""), lines.join(" "));
}

#[test]
fn a_transaction_is_shown_as_it_runs() {
    let mut f = Fixture::new();
    f.transcript(
        "m: MONITOR -> +OK
         b: MULTI -> +OK
         b: SET k 1 -> +QUEUED
         b: GET k -> +QUEUED
         m: (reads) -> +1700000000.000000 [0 127.0.0.1:50002] \"MULTI\"
         b: EXEC -> *2 +OK $1 1
         m: (reads) -> +1700000000.000000 [0 127.0.0.1:50002] \"SET\" \"k\" \"1\" \
            +1700000000.000000 [0 127.0.0.1:50002] \"GET\" \"k\" \
            +1700000000.000000 [0 127.0.0.1:50002] \"EXEC\"
         b: EXEC -> -ERR EXEC without MULTI
         m: (reads) -> +1700000000.000000 [0 127.0.0.1:50002] \"EXEC\"
         b: WATCH k -> +OK
         c: SET k 2 -> +OK
         b: MULTI -> +OK
         b: GET k -> +QUEUED
         b: EXEC -> *-1
         m: (reads) -> +1700000000.000000 [0 127.0.0.1:50002] \"WATCH\" \"k\" \
            +1700000000.000000 [0 127.0.0.1:50003] \"SET\" \"k\" \"2\" \
            +1700000000.000000 [0 127.0.0.1:50002] \"MULTI\" \
            +1700000000.000000 [0 127.0.0.1:50002] \"EXEC\"
         b: MULTI -> +OK
         b: NOSUCH -> -ERR unknown command 'NOSUCH', with args beginning with:
         b: EXEC -> -EXECABORT Transaction discarded because of previous errors.
         m: (reads) -> +1700000000.000000 [0 127.0.0.1:50002] \"MULTI\" \
            +1700000000.000000 [0 127.0.0.1:50002] \"EXEC\"",
    );
}

#[test]
fn passwords_are_not_shown() {
    let mut f = Fixture::new();
    f.transcript(
        "m: MONITOR -> +OK
         b: AUTH user pass -> -WRONGPASS invalid username-password pair or user is disabled.
         m: (reads) -> +1700000000.000000 [0 127.0.0.1:50002] \"AUTH\" \"(redacted)\" \"(redacted)\"",
    );
    f.run("b", "HELLO 2 AUTH default secret");
    f.transcript(
        "m: (reads) -> +1700000000.000000 [0 127.0.0.1:50002] \
            \"HELLO\" \"2\" \"AUTH\" \"(redacted)\" \"(redacted)\"",
    );
}

#[test]
fn the_lines_of_a_monitors_own_commands_follow_their_replies() {
    let mut f = Fixture::new();
    f.transcript(
        "m: MONITOR -> +OK
         m: PING -> +PONG +1700000000.000000 [0 127.0.0.1:50001] \"PING\"
         m: GET x -> -ERR Replica can't interact with the keyspace
         m: MULTI -> +OK +1700000000.000000 [0 127.0.0.1:50001] \"MULTI\"
         m: PING -> +QUEUED
         m: EXEC -> *1 +PONG +1700000000.000000 [0 127.0.0.1:50001] \"PING\" \
            +1700000000.000000 [0 127.0.0.1:50001] \"EXEC\"
         m: CLIENT REPLY OFF ->
         b: PING -> +PONG
         m: PING ->
         m: CLIENT REPLY ON -> +OK +1700000000.000000 [0 127.0.0.1:50001] \"CLIENT\" \"REPLY\" \"ON\"
         m: RESET -> +RESET
         b: PING -> +PONG
         m: PING -> +PONG
         m: MULTI -> +OK
         m: MONITOR -> +QUEUED
         m: EXEC -> *1 -ERR MONITOR isn't allowed for DENY BLOCKING client",
    );
}

#[test]
fn a_batch_shows_what_follows_monitor() {
    let mut f = Fixture::new();
    let bytes = b"PING\r\nMONITOR\r\nPING\r\n";
    let line = shown("[0 127.0.0.1:50001] \"PING\"");
    assert_eq!(f.send("m", bytes), format!("+PONG +OK +PONG {line}"));
    assert!(f.run("m", "CLIENT INFO").contains(" flags=O "));
    f.disconnect("m");
    assert!(!f.node().monitors.any());
}

#[test]
fn a_script_is_shown_before_the_commands_that_it_calls() {
    let mut f = Fixture::new();
    f.transcript(
        "m: MONITOR -> +OK
         b: EVAL \"return redis.call('set', KEYS[1], 'v')\" 1 k -> +OK
         m: (reads) -> +1700000000.000000 [0 127.0.0.1:50002] \"EVAL\" \
            \"return redis.call('set', KEYS[1], 'v')\" \"1\" \"k\" \
            +1700000000.000000 [0 lua] \"set\" \"k\" \"v\"
         b: EVALSHA 0000000000000000000000000000000000000000 0 -> -NOSCRIPT No matching script. Please use EVAL.
         m: (reads) -> +1700000000.000000 [0 127.0.0.1:50002] \"EVALSHA\" \
            \"0000000000000000000000000000000000000000\" \"0\"",
    );
}
