//! Clients that wait for entries of streams. Each transcript was compared with Redis 7.0.15.

use crate::engine::fixture::Fixture;
use crate::settings::Settings;

#[test]
fn all_readers_get_what_comes() {
    Fixture::new().transcript(
        "c: XADD s 1-1 f v -> $3 1-1
        a: XREAD BLOCK 0 STREAMS s $ -> <wait>
        b: XREAD COUNT 1 BLOCK 0 STREAMS t s s $ 2-5 9-0 -> <wait>
        d: XREAD BLOCK 0 STREAMS s 9-0 -> <wait>
        e: HELLO 3 -> %7 $6 server $5 redis $7 version $6 7.0.15 $5 proto :3 $2 id :5 $4 mode \
        $10 standalone $4 role $6 master $7 modules *0
        e: XREAD BLOCK 0 STREAMS s $ -> <wait>
        c: XADD s 2-1 f v -> $3 2-1
        a: (reads) -> *1 *2 $1 s *1 *2 $3 2-1 *2 $1 f $1 v
        b: (reads) -> <wait>
        d: (reads) -> <wait>
        e: (reads) -> %1 $1 s *1 *2 $3 2-1 *2 $1 f $1 v
        c: MULTI -> +OK
        c: XADD s 3-1 f v -> +QUEUED
        c: XADD s 3-2 f v -> +QUEUED
        c: EXEC -> *2 $3 3-1 $3 3-2
        b: (reads) -> *1 *2 $1 s *1 *2 $3 3-1 *2 $1 f $1 v
        d: (reads) -> <wait>",
    );
}

#[test]
fn readers_wait_on_without_their_stream() {
    Fixture::new().transcript(
        "a: XREAD BLOCK 0 STREAMS s $ -> <wait>
        c: SET s text -> +OK
        a: (reads) -> <wait>
        c: DEL s -> :1
        a: (reads) -> <wait>
        c: XGROUP CREATE s g $ MKSTREAM -> +OK
        c: XSETID s 5-5 -> +OK
        c: XADD t 7-1 f v -> $3 7-1
        a: (reads) -> <wait>
        c: RENAME t s -> +OK
        a: (reads) -> *1 *2 $1 s *1 *2 $3 7-1 *2 $1 f $1 v",
    );
}

#[test]
fn what_was_deleted_again_is_an_empty_reply() {
    Fixture::new().transcript(
        "a: XREAD BLOCK 0 STREAMS s $ -> <wait>
        c: MULTI -> +OK
        c: XADD s 1-1 f v -> +QUEUED
        c: XDEL s 1-1 -> +QUEUED
        c: EXEC -> *2 $3 1-1 :1
        a: (reads) -> *1 *2 $1 s *0",
    );
}

#[test]
fn a_last_id_that_is_set_is_no_entry() {
    Fixture::new().transcript(
        "c: XADD s 1-1 f v -> $3 1-1
        c: XADD s 1-2 f v -> $3 1-2
        a: XREAD BLOCK 0 STREAMS s $ -> <wait>
        c: XSETID s 5-5 -> +OK
        c: XDEL s 1-1 -> :1
        c: XTRIM s MAXLEN 0 -> :1
        c: XGROUP CREATE s g 0 -> +OK
        a: (reads) -> <wait>
        c: XADD s 6-1 f v -> $3 6-1
        a: (reads) -> *1 *2 $1 s *1 *2 $3 6-1 *2 $1 f $1 v",
    );
}

#[test]
fn members_of_a_group_share_what_comes() {
    Fixture::new().transcript(
        "c: XGROUP CREATE s g $ MKSTREAM -> +OK
        a: XREADGROUP GROUP g alice COUNT 1 BLOCK 0 STREAMS s > -> <wait>
        b: XREADGROUP GROUP g bob NOACK BLOCK 0 STREAMS s > -> <wait>
        d: XREADGROUP GROUP g dave BLOCK 0 STREAMS s > -> <wait>
        c: MULTI -> +OK
        c: XADD s 1-1 f v -> +QUEUED
        c: XADD s 1-2 f v -> +QUEUED
        c: EXEC -> *2 $3 1-1 $3 1-2
        a: (reads) -> *1 *2 $1 s *1 *2 $3 1-1 *2 $1 f $1 v
        b: (reads) -> *1 *2 $1 s *1 *2 $3 1-2 *2 $1 f $1 v
        d: (reads) -> <wait>
        c: XPENDING s g -> *4 :1 $3 1-1 $3 1-1 *1 *2 $5 alice $1 1
        c: XGROUP SETID s g 0 -> +OK
        d: (reads) -> <wait>",
    );
}

#[test]
fn members_hear_of_the_end_of_their_group_or_stream() {
    let gone = "-UNBLOCKED the stream key no longer exists";
    for (end, reply, heard) in [
        ("XGROUP DESTROY s g", ":1", {
            "-NOGROUP the consumer group this client was blocked on no longer exists"
        }),
        ("DEL s", ":1", gone),
        ("SET s text", "+OK", gone),
        ("RENAME s t", "+OK", gone),
        ("FLUSHALL", "+OK", gone),
        ("PEXPIRE s -1", ":1", gone),
    ] {
        Fixture::new().transcript(&format!(
            "c: XGROUP CREATE s g $ MKSTREAM -> +OK
            b: XREAD BLOCK 0 STREAMS s $ -> <wait>
            a: XREADGROUP GROUP g alice BLOCK 0 STREAMS s > -> <wait>
            c: {end} -> {reply}
            a: (reads) -> {heard}
            b: (reads) -> <wait>"
        ));
    }
}

#[test]
fn a_reader_whose_time_is_up_gets_nothing() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "c: XGROUP CREATE s g $ MKSTREAM -> +OK
        a: XREAD BLOCK 10 STREAMS s $ -> <wait>
        b: XREADGROUP GROUP g bob BLOCK 10 STREAMS s > -> <wait>",
    );
    fixture.clock.advance_ms(20);
    fixture.transcript(
        "a: (reads) -> *-1
        b: (reads) -> *-1
        c: XINFO CONSUMERS s g -> *0
        c: MULTI -> +OK
        c: XREAD BLOCK 0 STREAMS s $ -> +QUEUED
        c: XREADGROUP GROUP g me BLOCK 0 STREAMS s > -> +QUEUED
        c: EXEC -> *2 *-1 *-1",
    );
}

#[test]
fn groups_are_no_change_of_their_stream_to_a_transaction() {
    for (command, is_change) in [
        ("XGROUP CREATE s h $", false),
        ("XGROUP DESTROY s g", false),
        ("XREADGROUP GROUP g me STREAMS s >", false),
        ("XSETID s 9-9", false),
        ("XADD s 2-1 f v", true),
        ("XDEL s 1-1", true),
        ("XTRIM s MAXLEN 0", true),
        ("XGROUP CREATE new g $ MKSTREAM", true),
    ] {
        let mut fixture = Fixture::new();
        fixture.run("c", "XADD s 1-1 f v");
        fixture.run("c", "XGROUP CREATE s g 0");
        fixture.run("w", "WATCH s new");
        fixture.run("w", "MULTI");
        fixture.run("c", command);
        assert_eq!(fixture.run("w", "EXEC"), if is_change { "*-1" } else { "*0" }, "{command}");
    }
}

#[test]
fn trimming_frees_nothing_under_a_lock_and_keeps_the_rest() {
    let mut settings = Settings::default();
    settings.collections.stream_node_entries_max = 10;
    let mut fixture = Fixture::with(settings, &[]);
    for number in 1..=1000 {
        fixture.run("c", &format!("XADD s {number}-0 f {}", "v".repeat(100)));
    }
    fixture.transcript(
        "c: XGROUP CREATE s g 0 -> +OK
        c: XTRIM s MAXLEN 905 -> :95
        c: XTRIM s MINID ~ 505 -> :405
        c: XADD s MAXLEN ~ 11 LIMIT 100 1001-0 f v -> $6 1001-0
        c: XLEN s -> :401
        c: XTRIM s MAXLEN 1 -> :400
        c: XRANGE s - + -> *1 *2 $6 1001-0 *2 $1 f $1 v
        c: XGROUP DESTROY s g -> :1",
    );
}
