use super::super::fixture::Fixture;
use crate::settings::Settings;

#[test]
fn confirmations_count_the_subscriptions() {
    Fixture::new().transcript(
        "
        A: SUBSCRIBE a b a -> *3 $9 subscribe $1 a :1 *3 $9 subscribe $1 b :2 *3 $9 subscribe $1 a :2
        A: PSUBSCRIBE a* -> *3 $10 psubscribe $2 a* :3
        A: SSUBSCRIBE s -> *3 $10 ssubscribe $1 s :1
        A: UNSUBSCRIBE nosuch -> *3 $11 unsubscribe $6 nosuch :3
        A: UNSUBSCRIBE -> *3 $11 unsubscribe $1 a :2 *3 $11 unsubscribe $1 b :1
        A: UNSUBSCRIBE -> *3 $11 unsubscribe $-1 :1
        A: PUNSUBSCRIBE -> *3 $12 punsubscribe $2 a* :0
        A: PUNSUBSCRIBE -> *3 $12 punsubscribe $-1 :0
        A: GET a -> -ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
        A: SUNSUBSCRIBE -> *3 $12 sunsubscribe $1 s :0
        A: SUNSUBSCRIBE -> *3 $12 sunsubscribe $-1 :0
        A: GET a -> $-1
        ",
    );
}

#[test]
fn messages_reach_channels_patterns_and_shard_channels() {
    let mut fixture = Fixture::new();
    fixture.run("C", "HELLO 3");
    fixture.transcript(
        "
        A: SUBSCRIBE news -> *3 $9 subscribe $4 news :1
        A: PSUBSCRIBE n* -> *3 $10 psubscribe $2 n* :2
        C: SUBSCRIBE news -> >3 $9 subscribe $4 news :1
        C: SSUBSCRIBE news -> >3 $10 ssubscribe $4 news :1
        B: PUBLISH news hi -> :3
        B: PUBLISH nox hi -> :1
        B: SPUBLISH news hi -> :1
        A: (reads) -> *3 $7 message $4 news $2 hi *4 $8 pmessage $2 n* $4 news $2 hi *4 $8 pmessage $2 n* $3 nox $2 hi
        C: (reads) -> >3 $7 message $4 news $2 hi >3 $8 smessage $4 news $2 hi
        B: PUBSUB CHANNELS -> *1 $4 news
        B: PUBSUB CHANNELS x* -> *0
        B: PUBSUB CHANNELS a b -> -ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.
        B: PUBSUB NUMSUB news x -> *4 $4 news :2 $1 x :0
        B: PUBSUB NUMSUB -> *0
        B: PUBSUB NUMPAT -> :1
        B: PUBSUB SHARDCHANNELS -> *1 $4 news
        B: PUBSUB SHARDNUMSUB news -> *2 $4 news :1
        ",
    );
}

#[test]
fn what_was_sent_before_comes_before_the_confirmation() {
    Fixture::new().transcript(
        "
        A: SUBSCRIBE a -> *3 $9 subscribe $1 a :1
        B: PUBLISH a 1 -> :1
        A: UNSUBSCRIBE a -> *3 $7 message $1 a $1 1 *3 $11 unsubscribe $1 a :0
        B: PUBLISH a 2 -> :0
        ",
    );
}

#[test]
fn a_message_to_oneself_comes_before_the_reply() {
    let mut fixture = Fixture::new();
    fixture.run("A", "HELLO 3");
    fixture.transcript(
        "
        A: SUBSCRIBE a -> >3 $9 subscribe $1 a :1
        A: PUBLISH a hi -> >3 $7 message $1 a $2 hi :1
        A: GET nosuch -> _
        ",
    );
}

#[test]
fn within_exec_confirmations_are_elements_and_messages_follow() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        A: MULTI -> +OK
        A: SUBSCRIBE a -> +QUEUED
        A: PING -> +QUEUED
        A: EXEC -> *2 *3 $9 subscribe $1 a :1 *2 $4 pong $0
        A: PING x -> *2 $4 pong $1 x
        ",
    );
    fixture.run("B", "HELLO 3");
    fixture.transcript(
        "
        B: SUBSCRIBE b -> >3 $9 subscribe $1 b :1
        C: PUBLISH b before -> :1
        B: MULTI -> >3 $7 message $1 b $6 before +OK
        B: PUBLISH b own -> +QUEUED
        C: PUBLISH b between -> :1
        B: EXEC -> >3 $7 message $1 b $7 between *1 :1 >3 $7 message $1 b $3 own
        ",
    );
}

#[test]
fn resp2_subscribers_get_pong_as_an_array() {
    Fixture::new().transcript(
        "
        A: SUBSCRIBE a -> *3 $9 subscribe $1 a :1
        A: PING -> *2 $4 pong $0
        A: PING hi -> *2 $4 pong $2 hi
        A: RESET -> +RESET
        A: PING -> +PONG
        ",
    );
}

#[test]
fn a_subscriber_that_does_not_read_is_cut() {
    let mut fixture = Fixture::new();
    fixture.transcript("A: SUBSCRIBE a -> *3 $9 subscribe $1 a :1");
    let mut limits = Settings::default().clients.output_buffer_limits;
    limits.pubsub.hard_bytes = 100;
    fixture.client("A").handle.set_push_limits(&limits);
    let long = "x".repeat(101);
    assert_eq!(fixture.run("B", &format!("PUBLISH a {long}")), ":1");
    assert!(fixture.client("A").handle.is_killed());
}

#[test]
fn a_killed_client_has_no_subscriptions_from_then_on() {
    Fixture::new().transcript(
        "
        A: SUBSCRIBE a -> *3 $9 subscribe $1 a :1
        A: PSUBSCRIBE a* -> *3 $10 psubscribe $2 a* :2
        A: SSUBSCRIBE a -> *3 $10 ssubscribe $1 a :1
        B: PUBLISH a 1 -> :2
        B: CLIENT KILL TYPE pubsub -> :1
        B: PUBLISH a 1 -> :0
        B: SPUBLISH a 1 -> :0
        B: PUBSUB CHANNELS -> *0
        B: PUBSUB SHARDCHANNELS -> *0
        B: PUBSUB NUMSUB a -> *2 $1 a :0
        B: PUBSUB SHARDNUMSUB a -> *2 $1 a :0
        B: PUBSUB NUMPAT -> :0
        ",
    );
}

#[test]
fn keyspace_events_reach_their_subscribers() {
    let mut fixture = Fixture::new();
    fixture.run("A", "HELLO 3");
    fixture.transcript(
        "
        B: SUBSCRIBE __keyevent@0__:set __keyspace@0__:x -> *3 $9 subscribe $18 __keyevent@0__:set :1 *3 $9 subscribe $16 __keyspace@0__:x :2
        A: SET x 1 -> +OK
        B: (reads) ->
        A: CONFIG SET notify-keyspace-events KE$ -> +OK
        A: SET x 1 -> +OK
        B: (reads) -> *3 $7 message $16 __keyspace@0__:x $3 set *3 $7 message $18 __keyevent@0__:set $1 x
        A: SELECT 1 -> +OK
        A: SET x 1 -> +OK
        A: SELECT 0 -> +OK
        B: (reads) ->
        A: CONFIG SET notify-keyspace-events E$ -> +OK
        # Its own event comes before the reply, and events and messages keep their order.
        A: SUBSCRIBE __keyevent@0__:set -> >3 $9 subscribe $18 __keyevent@0__:set :1
        A: SET x 1 -> >3 $7 message $18 __keyevent@0__:set $1 x +OK
        B: (reads) -> *3 $7 message $18 __keyevent@0__:set $1 x
        A: UNSUBSCRIBE -> >3 $11 unsubscribe $18 __keyevent@0__:set :0
        A: MULTI -> +OK
        A: SET x 1 -> +QUEUED
        A: PUBLISH __keyevent@0__:set own -> +QUEUED
        A: SET y 2 -> +QUEUED
        A: EXEC -> *3 +OK :1 +OK
        B: (reads) -> *3 $7 message $18 __keyevent@0__:set $1 x *3 $7 message $18 __keyevent@0__:set $3 own *3 $7 message $18 __keyevent@0__:set $1 y
        ",
    );
}

#[test]
fn settings_hold_from_the_next_command_of_a_pipeline_on() {
    let mut fixture = Fixture::new();
    fixture.run("A", "HELLO 3");
    fixture.run("A", "SUBSCRIBE __keyevent@0__:set");
    let requests = b"SET x 1\r\nCONFIG SET notify-keyspace-events EA\r\nSET x 2\r\n\
        CONFIG SET notify-keyspace-events ''\r\nSET x 3\r\n";
    let replies = "+OK +OK >3 $7 message $18 __keyevent@0__:set $1 x +OK +OK +OK";
    assert_eq!(fixture.send("A", requests), replies);
}
