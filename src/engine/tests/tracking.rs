//! CLIENT TRACKING, compared with transcripts of a real server.

use std::sync::Arc;

use crate::engine::Executor;
use crate::engine::fixture::Fixture;
use crate::engine::request::interleave::at_next_unlock;
use crate::node::client::{Client, Handle, Origin};
use crate::resp::Parser;
use crate::settings::Settings;

/// A fixture whose client `a` speaks RESP3.
fn fixture() -> Fixture {
    let mut f = Fixture::new();
    f.run("a", "HELLO 3");
    f
}

#[test]
fn a_change_is_told_once_to_whoever_read_the_key() {
    fixture().transcript(
        "b: SET k v -> +OK
         a: CLIENT TRACKING ON -> +OK
         a: GET k -> $1 v
         b: SET k w -> +OK
         a: (reads) -> >2 $10 invalidate *1 $1 k
         b: SET k x -> +OK
         a: (reads) ->
         # of whatever database, type and success
         a: LLEN k -> -WRONGTYPE Operation against a key holding the wrong kind of value
         b: SELECT 3 -> +OK
         b: SET k otherdb -> +OK
         a: (reads) -> >2 $10 invalidate *1 $1 k
         b: SELECT 0 -> +OK
         a: MGET k1 k2 k3 k1 -> *4 _ _ _ _
         b: MSET k1 a k3 b -> +OK
         a: (reads) -> >2 $10 invalidate *1 $2 k1 >2 $10 invalidate *1 $2 k3
         a: EXISTS k1 -> :1
         b: RENAME k1 k2 -> +OK
         a: (reads) -> >2 $10 invalidate *1 $2 k1 >2 $10 invalidate *1 $2 k2
         # writes and failed writes read nothing
         a: GETDEL k2 -> $1 a
         b: SET k2 c -> +OK
         a: (reads) ->",
    );
}

#[test]
fn a_clients_own_changes_are_told_after_its_reply() {
    let mut f = fixture();
    f.transcript(
        "a: CLIENT TRACKING ON -> +OK
         a: GET k -> _
         a: SET k y -> +OK >2 $10 invalidate *1 $1 k
         a: MULTI -> +OK
         a: GET k -> +QUEUED
         a: SET k 1 -> +QUEUED
         a: SET k 2 -> +QUEUED
         a: GET k -> +QUEUED
         a: EXEC -> *4 $1 y +OK +OK $1 2 >2 $10 invalidate *1 $1 k
         a: INCR k -> :3 >2 $10 invalidate *1 $1 k
         a: GET k -> $1 3
         a: CLIENT REPLY OFF ->
         a: SET k 1 -> >2 $10 invalidate *1 $1 k
         a: CLIENT REPLY ON -> +OK",
    );
    assert_eq!(
        f.send("a", b"GET k\r\nSET k z\r\nGET k\r\n"),
        "$1 1 +OK >2 $10 invalidate *1 $1 k $1 z"
    );
}

#[test]
fn expiry_is_told() {
    let mut f = fixture();
    f.transcript(
        "a: CLIENT TRACKING ON -> +OK
         b: SET e v PX 50 -> +OK
         a: GET e -> $1 v",
    );
    f.clock.advance_ms(60);
    f.transcript(
        "b: GET e -> $-1
         a: (reads) -> >2 $10 invalidate *1 $1 e
         b: SET e v PX 50 -> +OK
         a: GET e -> $1 v",
    );
    f.clock.advance_ms(60);
    // Its own read ends the key, and tracks it anew.
    f.transcript(
        "a: GET e -> _ >2 $10 invalidate *1 $1 e
         b: SET e v -> +OK
         a: (reads) -> >2 $10 invalidate *1 $1 e",
    );
}

#[test]
fn a_flush_invalidates_everything() {
    let mut f = fixture();
    f.transcript(
        "a: CLIENT TRACKING ON -> +OK
         b: SET k v -> +OK
         a: GET k -> $1 v
         w: WATCH k -> +OK
         b: FLUSHDB -> +OK
         a: (reads) -> >2 $10 invalidate _
         w: MULTI -> +OK
         w: EXEC -> *-1
         b: SET k v -> +OK
         a: (reads) ->
         a: FLUSHALL -> +OK >2 $10 invalidate _
         a: MULTI -> +OK
         a: FLUSHALL -> +QUEUED
         a: PING -> +QUEUED
         a: EXEC -> *2 +OK +PONG >2 $10 invalidate _
         c: CLIENT TRACKING ON BCAST PREFIX x -> +OK
         c: HELLO 3 SETNAME c -> %7 $6 server $5 redis $7 version $6 7.0.15 $5 proto :3 $2 id :4 \
            $4 mode $10 standalone $4 role $6 master $7 modules *0
         b: FLUSHDB -> +OK
         c: (reads) -> >2 $10 invalidate _",
    );
    assert_eq!((f.node().keyspace.tracked().keys(), f.node().keyspace.tracked().items()), (0, 0));
}

#[test]
fn some_modes_leave_out_keys() {
    fixture().transcript(
        "a: CLIENT TRACKING ON NOLOOP -> +OK
         a: GET k -> _
         a: SET k 1 -> +OK
         b: SET k 2 -> +OK
         a: (reads) ->
         a: GET k -> $1 2
         b: SET k 3 -> +OK
         a: (reads) -> >2 $10 invalidate *1 $1 k
         a: CLIENT TRACKING OFF -> +OK
         a: CLIENT TRACKING ON OPTIN -> +OK
         a: GET k -> $1 3
         b: SET k 4 -> +OK
         a: (reads) ->
         a: CLIENT CACHING YES -> +OK
         a: CLIENT TRACKINGINFO -> %3 $5 flags ~3 $2 on $5 optin $11 caching-yes \
            $8 redirect :0 $8 prefixes *0
         a: GET k -> $1 4
         a: GET j -> _
         b: MSET k 5 j 5 -> +OK
         a: (reads) -> >2 $10 invalidate *1 $1 k
         a: CLIENT CACHING YES -> +OK
         a: MULTI -> +OK
         a: GET k -> +QUEUED
         a: EXEC -> *1 $1 5
         a: GET l -> _
         b: MSET k 6 l 6 -> +OK
         a: (reads) -> >2 $10 invalidate *1 $1 k
         a: CLIENT TRACKING OFF -> +OK
         a: CLIENT TRACKING ON OPTOUT -> +OK
         a: CLIENT CACHING NO -> +OK
         a: CLIENT TRACKINGINFO -> %3 $5 flags ~3 $2 on $6 optout $10 caching-no \
            $8 redirect :0 $8 prefixes *0
         a: GET k -> $1 6
         a: GET j -> $1 5
         b: MSET k 1 j 1 -> +OK
         a: (reads) -> >2 $10 invalidate *1 $1 j",
    );
}

#[test]
fn broadcasts_follow_the_batch_in_which_keys_changed() {
    let mut f = fixture();
    f.transcript(
        "a: CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar -> +OK
         a: CLIENT TRACKINGINFO -> %3 $5 flags ~2 $2 on $5 bcast $8 redirect :0 \
            $8 prefixes *2 $3 bar $3 foo
         b: GET foo -> $-1",
    );
    f.send("b", b"SET foo1 1\r\nSET bar 2\r\nSET other 3\r\nSET foo2 4\r\nSET foo1 2\r\n");
    f.transcript("a: (reads) -> >2 $10 invalidate *1 $3 bar >2 $10 invalidate *2 $4 foo1 $4 foo2");
    assert_eq!(
        f.send("a", b"SET foo9 1\r\nGET foo9\r\nSET foo8 1\r\n"),
        "+OK $1 1 +OK >2 $10 invalidate *2 $4 foo8 $4 foo9"
    );
    f.transcript(
        "a: CLIENT TRACKING ON BCAST -> +OK
         b: SET bar 1 -> +OK
         a: (reads) -> >2 $10 invalidate *1 $3 bar >2 $10 invalidate *1 $3 bar
         a: CLIENT TRACKING OFF -> +OK
         a: CLIENT TRACKING ON BCAST NOLOOP -> +OK
         a: SET n1 1 -> +OK
         b: SET n2 1 -> +OK
         a: (reads) -> >2 $10 invalidate *1 $2 n2
         b: SET n1 1 PX 10 -> +OK
         a: (reads) -> >2 $10 invalidate *1 $2 n1",
    );
    f.clock.advance_ms(20);
    f.transcript(
        "a: GET n1 -> _ >2 $10 invalidate *1 $2 n1
         a: RESET -> +RESET
         b: SET n1 1 -> +OK
         a: (reads) ->",
    );
    assert_eq!((f.node().tracking.clients(), f.node().tracking.prefixes()), (0, 0));
}

#[test]
fn messages_go_to_another_client_in_its_form() {
    let mut f = Fixture::new();
    f.transcript(
        "r: CLIENT ID -> :1
         r: SUBSCRIBE __redis__:invalidate -> *3 $9 subscribe $20 __redis__:invalidate :1
         t: CLIENT TRACKING ON REDIRECT 1 -> +OK
         t: CLIENT TRACKINGINFO -> *6 $5 flags *1 $2 on $8 redirect :1 $8 prefixes *0
         t: CLIENT GETREDIR -> :1
         t: GET k -> $-1
         b: SET k 1 -> +OK
         r: (reads) -> *3 $7 message $20 __redis__:invalidate *1 $1 k
         t: GET k -> $1 1
         t: SET k 2 -> +OK
         r: (reads) -> *3 $7 message $20 __redis__:invalidate *1 $1 k
         t: FLUSHALL -> +OK
         r: (reads) -> *3 $7 message $20 __redis__:invalidate $-1
         t: CLIENT TRACKING OFF -> +OK
         t: CLIENT TRACKING ON BCAST REDIRECT 1 PREFIX p -> +OK
         t: MSET p1 1 p2 2 -> +OK
         r: (reads) -> *3 $7 message $20 __redis__:invalidate *2 $2 p1 $2 p2
         r: UNSUBSCRIBE -> *3 $11 unsubscribe $20 __redis__:invalidate :0
         t: SET p1 1 -> +OK
         r: (reads) ->
         r: SUBSCRIBE other -> *3 $9 subscribe $5 other :1
         t: SET p1 1 -> +OK
         r: (reads) -> *3 $7 message $20 __redis__:invalidate *1 $2 p1
         t: CLIENT TRACKING OFF -> +OK",
    );
    f.run("t", "HELLO 3");
    f.transcript(
        "t: CLIENT TRACKING ON REDIRECT 1 -> +OK
         t: GET k -> _",
    );
    f.disconnect("r");
    f.transcript(
        "b: SET k 2 -> +OK
         t: (reads) -> >2 $21 tracking-redir-broken :1
         t: CLIENT TRACKINGINFO -> %3 $5 flags ~2 $2 on $15 broken_redirect $8 redirect :1 \
            $8 prefixes *0
         t: GET k -> $1 2
         t: SET k 1 -> +OK >2 $21 tracking-redir-broken :1",
    );
    assert!(f.run("t", "CLIENT INFO").contains(" flags=tR "));
    f.transcript(
        "t: CLIENT TRACKING ON REDIRECT 2 -> +OK
         t: GET k -> $1 1
         t: SET k 2 -> +OK >2 $10 invalidate *1 $1 k",
    );
    assert!(f.run("t", "CLIENT INFO").contains(" redir=2 "));
}

#[test]
fn what_was_read_before_tracking_went_off_and_on_is_known() {
    fixture().transcript(
        "a: CLIENT TRACKING ON -> +OK
         a: GET q -> _
         a: CLIENT TRACKING OFF -> +OK
         a: CLIENT GETREDIR -> :-1
         a: CLIENT TRACKINGINFO -> %3 $5 flags ~1 $3 off $8 redirect :-1 $8 prefixes *0
         a: CLIENT TRACKING ON -> +OK
         b: SET q 1 -> +OK
         a: (reads) -> >2 $10 invalidate *1 $1 q
         a: GET q -> $1 1
         a: CLIENT TRACKING OFF -> +OK
         b: SET q 2 -> +OK
         a: (reads) ->",
    );
}

#[test]
fn options_that_do_not_fit_are_refused() {
    fixture().transcript(
        "a: CLIENT TRACKING ON OPTIN -> +OK
         a: CLIENT CACHING NO -> -ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.
         a: CLIENT CACHING MAYBE -> -ERR syntax error
         a: CLIENT CACHING -> -ERR wrong number of arguments for 'client|caching' command
         a: CLIENT TRACKING ON OPTOUT -> -ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.
         a: CLIENT TRACKING ON BCAST -> -ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.
         a: CLIENT TRACKING ON -> +OK
         a: CLIENT CACHING YES -> -ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.
         a: CLIENT TRACKING OFF -> +OK
         a: CLIENT CACHING YES -> -ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled
         a: CLIENT TRACKING MAYBE -> -ERR syntax error
         a: CLIENT TRACKING ON PREFIX a -> -ERR PREFIX option requires BCAST mode to be enabled
         a: CLIENT TRACKING ON NOSUCH -> -ERR syntax error
         a: CLIENT TRACKING ON REDIRECT -> -ERR syntax error
         a: CLIENT TRACKING ON REDIRECT x -> -ERR value is not an integer or out of range
         a: CLIENT TRACKING ON REDIRECT 0 -> -ERR The client ID you want redirect to does not exist
         a: CLIENT TRACKING ON REDIRECT 99999 -> -ERR The client ID you want redirect to does not exist
         a: CLIENT TRACKING ON REDIRECT 1 REDIRECT 1 -> -ERR A client can only redirect to a single other client
         a: CLIENT TRACKING ON OPTIN OPTOUT -> -ERR You can't specify both OPTIN mode and OPTOUT mode
         a: CLIENT TRACKING ON BCAST OPTIN -> -ERR OPTIN and OPTOUT are not compatible with BCAST
         a: CLIENT TRACKING OFF PREFIX a -> +OK
         a: CLIENT TRACKING ON BCAST PREFIX x PREFIX xy -> -ERR Prefix 'x' overlaps with another provided prefix 'xy'. Prefixes for a single client must not overlap.
         a: CLIENT TRACKING ON BCAST PREFIX foo -> +OK
         a: CLIENT TRACKING ON BCAST PREFIX fo -> -ERR Prefix 'fo' overlaps with an existing prefix 'foo'. Prefixes for a single client must not overlap.
         a: CLIENT TRACKING ON BCAST PREFIX foobar -> -ERR Prefix 'foobar' overlaps with an existing prefix 'foo'. Prefixes for a single client must not overlap.",
    );
}

#[test]
fn too_many_keys_are_forgotten_with_a_message() {
    let mut settings = Settings::default();
    settings.clients.tracking_keys_max = 10;
    let mut f = Fixture::with(settings, &[]);
    f.run("a", "HELLO 3");
    f.run("a", "CLIENT TRACKING ON");
    let mut told = 0;
    for number in 0..30 {
        let read = f.run("a", &format!("GET key{number}"));
        told += read.matches("invalidate").count();
    }
    assert_eq!((told, f.node().keyspace.tracked().keys()), (20, 10));
    let mut settings = Settings::default();
    settings.clients.tracking_keys_max = 4;
    f.node().settings.store(Arc::new(settings));
    crate::engine::fit_in_background(f.node());
    assert_eq!(f.run("a", "PING").matches("invalidate").count(), 6);
    assert_eq!(f.node().keyspace.tracked().items(), 4);
}

#[test]
fn a_client_that_left_is_told_nothing() {
    let mut f = fixture();
    f.transcript(
        "a: CLIENT TRACKING ON -> +OK
         a: GET k -> _",
    );
    f.disconnect("a");
    assert_eq!((f.node().tracking.clients(), f.node().keyspace.tracked().items()), (0, 1));
    f.transcript("b: SET k v -> +OK");
    assert_eq!(f.node().keyspace.tracked().items(), 0);
}

#[test]
fn served_clients_and_watchers_stand_beside_trackers() {
    fixture().transcript(
        "a: CLIENT TRACKING ON -> +OK
         a: LLEN l -> :0
         w: WATCH l -> +OK
         p: BLPOP l 0 -> <wait>
         b: RPUSH l x -> :1
         p: (reads) -> *2 $1 l $1 x
         a: (reads) -> >2 $10 invalidate *1 $1 l
         w: MULTI -> +OK
         w: EXEC -> *-1
         a: LLEN l -> :0
         a: LLEN m -> :0
         p: BLMOVE l m LEFT LEFT 0 -> <wait>
         a: RPUSH l x -> :1 >2 $10 invalidate *1 $1 l >2 $10 invalidate *1 $1 m
         p: (reads) -> $1 x",
    );
}

#[test]
fn a_script_that_reads_anything_tracks_the_keys_that_it_declares() {
    fixture().transcript(
        "a: CLIENT TRACKING ON -> +OK
         a: EVAL \"return redis.call('get', 'x')\" 1 k -> _
         b: SET x 1 -> +OK
         a: (reads) ->
         b: SET k 1 -> +OK
         a: (reads) -> >2 $10 invalidate *1 $1 k
         a: EVAL \"redis.call('get', KEYS[1]) redis.call('incr', KEYS[1]) return redis.call('incr', KEYS[1])\" 1 k -> :3 >2 $10 invalidate *1 $1 k
         a: EVAL \"return redis.call('incr', KEYS[1])\" 1 k -> :4
         b: SET k 1 -> +OK
         a: (reads) ->",
    );
}

/// Another worker, and a client of it.
struct Other {
    executor: Executor,
    client: Client,
}

impl Other {
    fn new(f: &Fixture) -> Self {
        let executor = Executor::new(Arc::clone(&f.engine), 1, 1);
        let handle = Handle::new(Origin { id: 1000, ..Origin::default() });
        Self { executor, client: Client::new(Arc::new(handle), &f.node().acl) }
    }

    fn run(&mut self, request: &str) {
        let request = format!("{request}\r\n");
        let ran = self.executor.run(&mut self.client, &mut Parser::default(), request.as_bytes());
        assert_eq!(ran.consumed, request.len());
    }
}

#[test]
fn what_others_change_after_a_read_is_told_after_its_reply() {
    let mut f = Fixture::with_workers(Settings::default(), &[], 2);
    f.run("a", "HELLO 3");
    f.run("b", "SET k old");
    f.run("a", "CLIENT TRACKING ON");
    let mut other = Other::new(&f);
    at_next_unlock(move || other.run("SET k new"));
    assert_eq!(f.send("a", b"GET k\r\nPING\r\n"), "$3 old >2 $10 invalidate *1 $1 k +PONG");
    // Alone in its batch: the connection sends it after the reply.
    let mut other = Other::new(&f);
    at_next_unlock(move || other.run("SET k newer"));
    assert_eq!(f.run("a", "GET k"), "$3 new");
    assert_eq!(f.send("a", b""), ">2 $10 invalidate *1 $1 k");
    // Broadcasts as well.
    f.run("a", "CLIENT TRACKING OFF");
    f.run("a", "CLIENT TRACKING ON BCAST");
    let mut other = Other::new(&f);
    at_next_unlock(move || other.run("SET k newest"));
    assert_eq!(f.send("a", b"GET k\r\nPING\r\n"), "$5 newer >2 $10 invalidate *1 $1 k +PONG");
}

#[test]
fn a_cache_is_never_stale_once_all_messages_are_read() {
    const ROUNDS: usize = 300;
    let mut f = Fixture::with_workers(Settings::default(), &[], 2);
    f.run("a", "HELLO 3");
    f.run("a", "CLIENT TRACKING ON");
    let mut other = Other::new(&f);
    for round in 0..ROUNDS {
        let (begun, begins) = std::sync::mpsc::channel();
        let writer = std::thread::spawn(move || {
            begun.send(()).expect("the reader waits for it");
            (0..20).for_each(|number| other.run(&format!("SET k {round}.{number}")));
            other
        });
        begins.recv().expect("the writer begins");
        let mut read = String::new();
        while !writer.is_finished() {
            read += &f.send("a", &b"GET k\r\n".repeat(10));
            read += " ";
        }
        other = writer.join().expect("it only writes");
        read += &f.send("a", b"");
        let valid = read.rsplit("invalidate *1 $1 k").next().expect("a split has a last part");
        let last = format!("{round}.19");
        let values = valid.split(' ').filter(|word| word.contains('.'));
        values.for_each(|value| assert_eq!(value, last, "read {read}"));
    }
}
