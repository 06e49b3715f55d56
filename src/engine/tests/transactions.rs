use super::super::fixture::{Fixture, START_MS};
use crate::keyspace::{Content, ShardSet};

#[test]
fn rules_of_multi_are_those_of_redis() {
    Fixture::new().transcript(
        "
        A: EXEC -> -ERR EXEC without MULTI
        A: DISCARD -> -ERR DISCARD without MULTI
        A: MULTI -> +OK
        A: MULTI -> -ERR MULTI calls can not be nested
        A: WATCH a -> -ERR WATCH inside MULTI is not allowed
        A: SET a 1 -> +QUEUED
        A: UNWATCH -> +QUEUED
        A: EXEC -> *2 +OK +OK
        A: MULTI -> +OK
        A: EXEC -> *0
        A: MULTI -> +OK
        A: SET a 2 -> +QUEUED
        A: DISCARD -> +OK
        A: GET a -> $1 1
        ",
    );
}

#[test]
fn what_is_refused_while_queueing_aborts_exec() {
    let mut fixture = Fixture::new();
    for (command, error) in [
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("FOO x", "-ERR unknown command 'FOO', with args beginning with: 'x'"),
        ("CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
        ("SAVE", "-ERR Command not allowed inside a transaction"),
    ] {
        fixture.transcript("A: MULTI -> +OK");
        assert_eq!(fixture.run("A", command), error);
        fixture.transcript(
            "
            A: EXEC -> -EXECABORT Transaction discarded because of previous errors.
            A: EXEC -> -ERR EXEC without MULTI
            ",
        );
    }
    fixture.transcript(
        "
        A: MULTI -> +OK
        A: EXEC foo -> -EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command
        A: EXEC -> -ERR EXEC without MULTI
        ",
    );
}

#[test]
fn an_error_within_exec_is_one_of_its_replies() {
    Fixture::new().transcript(
        "
        A: MULTI -> +OK
        A: SELECT 5 -> +QUEUED
        A: SET a 5 -> +QUEUED
        A: SELECT 99 -> +QUEUED
        A: GET a -> +QUEUED
        A: SELECT 0 -> +QUEUED
        A: GET a -> +QUEUED
        A: EXEC -> *6 +OK +OK -ERR DB index is out of range $1 5 +OK $-1
        ",
    );
}

#[test]
fn a_changed_watched_key_aborts_exec() {
    let mut fixture = Fixture::new();
    for (change, reply) in [
        ("SET a 1", "*-1"),
        ("FLUSHDB", "*-1"),
        // Nothing is left to flush.
        ("FLUSHDB", "*1 +PONG"),
        ("SET b 1", "*1 +PONG"),
        ("SWAPDB 0 1", "*1 +PONG"),
        ("SET a 2", "*-1"),
        ("SWAPDB 0 1", "*-1"),
        // The removed keys are in the other database.
        ("FLUSHALL", "*1 +PONG"),
        ("SET a 3", "*-1"),
        ("FLUSHALL", "*-1"),
    ] {
        fixture.transcript("A: WATCH a a -> +OK");
        fixture.run("B", change);
        fixture.transcript("A: MULTI -> +OK");
        fixture.transcript("A: PING -> +QUEUED");
        assert_eq!(fixture.run("A", "EXEC"), reply, "{change}");
    }
    // A watch that has ended has no effect.
    fixture.transcript(
        "
        A: WATCH a -> +OK
        A: UNWATCH -> +OK
        B: SET a 3 -> +OK
        A: MULTI -> +OK
        A: EXEC -> *0
        A: WATCH a -> +OK
        B: SELECT 3 -> +OK
        B: SET a 3 -> +OK
        A: MULTI -> +OK
        A: EXEC -> *0
        A: WATCH a -> +OK
        A: MULTI -> +OK
        A: DISCARD -> +OK
        B: SELECT 0 -> +OK
        B: SET a 4 -> +OK
        A: MULTI -> +OK
        A: EXEC -> *0
        ",
    );
}

/// Gives a key a value and an expiry.
fn store(fixture: &Fixture, database: usize, key: &str, expire_at_ms: i64) {
    let mut guard = fixture.node().keyspace.lock(ShardSet::ALL);
    let mut locked = guard.locked();
    let key = locked.key(key.as_bytes());
    locked.store(database, key, Content::encode(b"v"), Some(expire_at_ms), 0);
}

#[test]
fn a_key_that_expires_while_watched_aborts_exec() {
    for read_before in [false, true] {
        let mut fixture = Fixture::new();
        store(&fixture, 0, "a", START_MS + 10);
        fixture.run("A", "WATCH a");
        fixture.clock.advance_ms(11);
        if read_before {
            fixture.transcript("B: GET a -> $-1");
        }
        fixture.transcript("A: MULTI -> +OK");
        fixture.transcript("A: EXEC -> *-1");
    }
}

#[test]
fn a_key_that_had_expired_before_it_was_watched_counts_as_missing() {
    for deletion in ["PING", "GET a", "FLUSHDB", "FLUSHALL", "SWAPDB 0 1"] {
        let mut fixture = Fixture::new();
        store(&fixture, 0, "a", START_MS - 1);
        fixture.run("A", "WATCH a");
        fixture.run("B", deletion);
        fixture.transcript("A: MULTI -> +OK");
        assert_eq!(fixture.run("A", "EXEC"), "*0", "{deletion}");
    }
    let mut fixture = Fixture::new();
    store(&fixture, 0, "a", START_MS - 1);
    fixture.transcript(
        "
        A: SELECT 1 -> +OK
        A: WATCH a -> +OK
        # The missing key gives way to one that has expired.
        B: SWAPDB 0 1 -> +OK
        A: MULTI -> +OK
        A: EXEC -> *0
        A: WATCH a -> +OK
        A: SET a 1 -> +OK
        A: MULTI -> +OK
        A: EXEC -> *-1
        ",
    );
}

#[test]
fn no_watch_outlives_its_client() {
    let mut fixture = Fixture::new();
    fixture.transcript("A: WATCH a b -> +OK");
    fixture.disconnect("A");
    let mut guard = fixture.node().keyspace.lock(ShardSet::ALL);
    let locked = guard.locked();
    assert!(ShardSet::ALL.iter().all(|shard| !locked.has_interests(shard)));
}

#[test]
fn the_log_has_a_transaction_as_one_unit_in_its_order() {
    let mut fixture = Fixture::new();
    fixture.node().log.start(1 << 20);
    fixture.transcript(
        "
        A: MULTI -> +OK
        A: SET a 1 -> +QUEUED
        A: PUBLISH ch hi -> +QUEUED
        A: GET a -> +QUEUED
        A: SELECT 2 -> +QUEUED
        A: SET b 1 -> +QUEUED
        A: EXEC -> *5 +OK :0 $1 1 +OK +OK
        A: PUBLISH ch hi -> :0
        A: SPUBLISH ch hi -> :0
        ",
    );
    let bytes = fixture.node().log.bytes_from(0).expect("in the backlog");
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", " ");
    let words: Vec<&str> = text.split(' ').filter(|word| !word.starts_with(['*', '$'])).collect();
    let expected = "SELECT 0 MULTI SET a 1 PUBLISH ch hi SELECT 2 SET b 1 EXEC PUBLISH ch hi \
                    SPUBLISH ch hi ";
    assert_eq!(words.join(" "), expected);
}

#[test]
fn client_list_shows_a_transaction() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        A: WATCH a -> +OK
        A: MULTI -> +OK
        A: SET a 1 -> +QUEUED
        B: SET a 2 -> +OK
        ",
    );
    let list = fixture.run("B", "CLIENT LIST ID 1");
    for field in [" flags=xd ", " multi=1 ", " multi-mem=5 ", " cmd=set "] {
        assert!(list.contains(field), "{field} in {list}");
    }
}

#[test]
fn a_subcommand_is_queued_though_it_is_called_like_a_command_that_is_not() {
    Fixture::new().transcript(
        "
        A: MULTI -> +OK
        A: SLOWLOG RESET -> +QUEUED
        A: EXEC -> *1 +OK
        A: SUBSCRIBE a -> *3 $9 subscribe $1 a :1
        A: SLOWLOG RESET -> -ERR Can't execute 'slowlog|reset': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
        ",
    );
}

#[test]
fn what_a_doomed_transaction_will_not_run_is_not_kept() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        A: MULTI -> +OK
        A: GET -> -ERR wrong number of arguments for 'get' command
        A: GET a -> +QUEUED
        ",
    );
    assert_eq!(fixture.client("A").multi.as_ref().map(|multi| multi.queued.len()), Some(0));
    fixture.transcript("A: EXEC -> -EXECABORT Transaction discarded because of previous errors.");
}

#[test]
fn who_looks_at_clients_within_a_transaction_shows_it_only_for_so_long() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        A: MULTI -> +OK
        A: CLIENT INFO -> +QUEUED
        A: PING -> +QUEUED
        ",
    );
    let within = fixture.run("A", "EXEC");
    assert!(within.contains(" flags=x ") && within.contains(" multi=2 "), "{within}");
    let after = fixture.run("B", "CLIENT LIST ID 1");
    assert!(after.contains(" flags=N ") && after.contains(" multi=-1 "), "{after}");
}
