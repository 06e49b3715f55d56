use super::super::fixture::Fixture;
use crate::settings::Settings;

#[test]
fn a_line_has_the_fields_of_redis_in_their_order() {
    let mut fixture = Fixture::new();
    fixture.run("A", "HELLO 3 SETNAME bob");
    fixture.run("A", "SELECT 3");
    fixture.run("A", "SUBSCRIBE a b");
    fixture.run("A", "CLIENT SETINFO LIB-NAME lib");
    fixture.run("A", "CLIENT SETINFO lib-ver 1.2");
    fixture.run("A", "CLIENT NO-EVICT ON");
    fixture.clock.advance_ms(2500);
    let line = fixture.run("B", "CLIENT LIST ID 1");
    let fields: Vec<(&str, &str)> =
        line.split(' ').skip(1).filter_map(|field| field.trim().split_once('=')).collect();
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let expected = "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free \
                    argv-mem multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp \
                    lib-name lib-ver";
    assert_eq!(names.join(" "), expected);
    for (name, value) in [
        ("id", "1"),
        ("addr", "127.0.0.1:50001"),
        ("name", "bob"),
        ("age", "2"),
        ("idle", "2"),
        ("flags", "Pe"),
        ("db", "3"),
        ("sub", "2"),
        ("psub", "0"),
        ("multi", "-1"),
        ("cmd", "client|no-evict"),
        ("user", "default"),
        ("resp", "3"),
        ("lib-name", "lib"),
        ("lib-ver", "1.2"),
    ] {
        assert!(fields.contains(&(name, value)), "{name}={value} in {line}");
    }
    let own = fixture.run("B", "CLIENT INFO");
    assert!(own.contains(" idle=0 ") && own.contains(" cmd=client|info "), "{own}");
    // The request itself: *2 $6 CLIENT $4 INFO with five line ends.
    assert!(own.contains(" qbuf=26 "), "{own}");
}

#[test]
fn lists_are_of_all_of_a_type_or_of_some() {
    let mut fixture = Fixture::new();
    fixture.run("A", "SUBSCRIBE a");
    fixture.run("B", "PING");
    let ids = |list: String| -> Vec<String> {
        let lines = list.split("id=").skip(1);
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    for (command, expected) in [
        ("CLIENT LIST", &["1", "2"][..]),
        ("CLIENT LIST TYPE normal", &["2"]),
        ("CLIENT LIST TYPE PUBSUB", &["1"]),
        ("CLIENT LIST ID 2 7 1", &["2", "1"]),
    ] {
        // The `id=` of `redir=-1` and `client-id` does not count: only one after a space does.
        let list = fixture.run("B", command).replace(" client", "");
        assert_eq!(ids(list), expected, "{command}");
    }
    fixture.transcript(
        "
        B: CLIENT LIST TYPE master -> $0
        B: CLIENT LIST TYPE x -> -ERR Unknown client type 'x'
        B: CLIENT LIST ID a -> -ERR Invalid client ID
        B: CLIENT LIST x -> -ERR syntax error
        B: CLIENT LIST TYPE normal x -> -ERR syntax error
        ",
    );
}

#[test]
fn names_and_libraries_have_no_blanks() {
    Fixture::new().transcript(
        "
        A: CLIENT GETNAME -> $-1
        A: CLIENT SETNAME bob -> +OK
        A: CLIENT GETNAME -> $3 bob
        A: CLIENT SETNAME 'a b' -> -ERR Client names cannot contain spaces, newlines or special characters.
        A: CLIENT SETNAME '' -> +OK
        A: CLIENT GETNAME -> $-1
        A: CLIENT ID -> :1
        A: CLIENT SETINFO FOO x -> -ERR Unrecognized option 'FOO'
        A: CLIENT SETINFO lib-ver 'a b' -> -ERR lib-ver cannot contain spaces, newlines or special characters.
        A: CLIENT NO-TOUCH on -> +OK
        A: CLIENT NO-TOUCH x -> -ERR syntax error
        A: CLIENT NO-EVICT x -> -ERR syntax error
        A: CLIENT UNBLOCK a -> -ERR value is not an integer or out of range
        A: CLIENT UNBLOCK 1 x -> -ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR
        A: CLIENT UNBLOCK 1 TIMEOUT -> :0
        A: CLIENT UNBLOCK 1 ERROR x -> -ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.
        A: CLIENT FOO -> -ERR unknown subcommand 'FOO'. Try CLIENT HELP.
        A: CLIENT -> -ERR wrong number of arguments for 'client' command
        A: CLIENT ID x -> -ERR wrong number of arguments for 'client|id' command
        ",
    );
}

#[test]
fn killing_is_by_address_or_by_filters() {
    Fixture::new().transcript(
        "
        A: PING -> +PONG
        B: PING -> +PONG
        S: SUBSCRIBE a -> *3 $9 subscribe $1 a :1
        A: CLIENT KILL 127.0.0.1:1 -> -ERR No such client
        A: CLIENT KILL 127.0.0.1:50002 -> +OK
        B: (reads) -> <killed>
        A: CLIENT KILL TYPE normal ID 3 -> :0
        A: CLIENT KILL TYPE pubsub LADDR 127.0.0.1:6379 -> :1
        S: (reads) -> <killed>
        # Once killed is gone.
        A: CLIENT KILL TYPE pubsub SKIPME yes -> :0
        A: CLIENT KILL USER default ADDR 127.0.0.1:50001 -> :0
        A: CLIENT KILL USER bob ID 1 -> -ERR No such user 'bob'
        A: CLIENT KILL ID 0 TYPE x -> -ERR client-id should be greater than 0
        A: CLIENT KILL ID a SKIPME no -> -ERR client-id should be greater than 0
        A: CLIENT KILL TYPE x SKIPME -> -ERR Unknown client type 'x'
        A: CLIENT KILL TYPE normal SKIPME -> -ERR syntax error
        A: CLIENT KILL SKIPME x ID 1 -> -ERR syntax error
        A: CLIENT KILL ID 1 SKIPME no -> :1 <close>
        ",
    );
    let mut fixture = Fixture::new();
    fixture.transcript("A: CLIENT KILL 127.0.0.1:50001 -> +OK <close>");
}

#[test]
fn a_pause_of_writes_lets_reads_through() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        A: CLIENT PAUSE 1000 WRITE -> +OK
        B: GET a -> $-1
        B: SET a 1 -> <wait>
        B: PING -> <wait>
        A: CLIENT UNPAUSE -> +OK
        B: (reads) -> +OK +PONG
        A: CLIENT PAUSE 1000 WRITE -> +OK
        B: PUBLISH a x -> <wait>
        # It ends by itself.
        ",
    );
    fixture.clock.advance_ms(1000);
    fixture.transcript(
        "
        B: (reads) -> :0
        # A longer one stays.
        A: CLIENT PAUSE 1000 WRITE -> +OK
        A: CLIENT PAUSE 10 WRITE -> +OK
        ",
    );
    fixture.clock.advance_ms(500);
    fixture.transcript("B: SET a 2 -> <wait>");
    fixture.clock.advance_ms(501);
    fixture.transcript(
        "
        B: (reads) -> +OK
        # The pause of all is over with the one before: this one is of writes only.
        A: CLIENT PAUSE 10 ALL -> +OK
        ",
    );
    fixture.clock.advance_ms(11);
    fixture.transcript(
        "
        A: CLIENT PAUSE 10 WRITE -> +OK
        B: PING -> +PONG
        ",
    );
}

#[test]
fn a_transaction_waits_for_the_end_of_a_pause_if_it_writes() {
    Fixture::new().transcript(
        "
        A: MULTI -> +OK
        A: GET a -> +QUEUED
        B: MULTI -> +OK
        B: SET a 1 -> +QUEUED
        C: MULTI -> +OK
        P: CLIENT PAUSE 1000 WRITE -> +OK
        A: EXEC -> *1 $-1
        B: EXEC -> <wait>
        # Even queueing a write waits, as in Redis.
        C: SET a 2 -> <wait>
        P: CLIENT UNPAUSE -> +OK
        B: (reads) -> *1 +OK
        C: (reads) -> +QUEUED
        ",
    );
}

#[test]
fn a_pause_of_all_holds_everything_but_its_end() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        A: CLIENT PAUSE 1000 -> +OK
        B: PING -> <wait>
        A: CLIENT PAUSE a -> -ERR timeout is not an integer or out of range
        A: CLIENT PAUSE -1 -> -ERR timeout is negative
        A: CLIENT PAUSE 9223372036854775807 -> -ERR timeout is out of range
        A: CLIENT PAUSE 0 x -> -ERR CLIENT PAUSE mode must be WRITE or ALL
        A: CLIENT PAUSE 1 ALL x -> -ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.
        A: CLIENT UNPAUSE -> +OK
        B: (reads) -> +PONG
        A: CLIENT PAUSE 0 -> +OK
        B: SET a 1 -> +OK
        ",
    );
}

#[test]
fn a_renamed_command_keeps_its_name_in_errors() {
    let renames = [("config", "guarded"), ("get", ""), ("slowlog", "get")];
    Fixture::with(Settings::default(), &renames).transcript(
        "
        A: CONFIG GET x -> -ERR unknown command 'CONFIG', with args beginning with: 'GET' 'x'
        A: GUARDED -> -ERR wrong number of arguments for 'config' command
        A: GUARDED SET a -> -ERR wrong number of arguments for 'config|set' command
        A: guarded FOO -> -ERR unknown subcommand 'FOO'. Try GUARDED HELP.
        A: GET LEN -> :0
        A: COMMAND LIST FILTERBY PATTERN guarded* -> *0
        A: COMMAND LIST FILTERBY PATTERN config -> *1 $6 config
        A: COMMAND INFO config -> *1 $-1
        ",
    );
}

#[test]
fn what_a_pause_holds_back_is_read_once_more_from_its_start() {
    let mut fixture = Fixture::new();
    fixture.transcript("A: CLIENT PAUSE 1000 WRITE -> +OK");
    // The last request is incomplete.
    let requests =
        b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$4\r\nECHO\r\n$5\r\nab";
    assert_eq!(fixture.send("B", requests), "+PONG <wait>");
    fixture.transcript("A: CLIENT UNPAUSE -> +OK");
    assert_eq!(fixture.send("B", b"cde\r\n"), ":0 $5 abcde");
}

#[test]
fn who_wants_no_reply_gets_none_after_a_wait_either() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.run("a", "CLIENT REPLY SKIP"), "");
    assert_eq!(fixture.run("a", "BLPOP l 1"), "<wait>");
    fixture.run("b", "RPUSH l x");
    assert_eq!(fixture.send("a", b""), "");
    assert_eq!(fixture.run("a", "PING"), "+PONG");
}

#[test]
fn a_command_that_is_refused_is_the_last_one_too() {
    let mut fixture = Fixture::new();
    for (line, shown) in [
        ("GET x", "get"),
        ("AUTH", "auth"),
        ("SET x", "set"),
        ("NOSUCH", "NULL"),
        ("PING", "ping"),
        ("CLIENT NOSUCH", "NULL"),
        ("CLIENT GETNAME x", "client|getname"),
    ] {
        fixture.run("B", line);
        let list = fixture.run("A", "CLIENT LIST");
        assert!(list.contains(&format!(" cmd={shown} user=")), "{line}: {list}");
    }
}
