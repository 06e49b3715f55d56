use super::super::fixture::Fixture;

/// HELLO's reply, from the protocol on.
fn hello(prefix: &str, protocol: u8, id: u8) -> String {
    format!(
        "{prefix} $6 server $5 redis $7 version $6 7.0.15 $5 proto :{protocol} $2 id :{id} \
         $4 mode $10 standalone $4 role $6 master $7 modules *0"
    )
}

#[test]
fn simple_commands_answer_as_in_redis() {
    Fixture::new().transcript(
        "
        A: PING -> +PONG
        A: PING hi -> $2 hi
        A: PING a b -> -ERR wrong number of arguments for 'ping' command
        A: ECHO x -> $1 x
        A: ECHO -> -ERR wrong number of arguments for 'echo' command
        A: SELECT 15 -> +OK
        A: SELECT 16 -> -ERR DB index is out of range
        A: SELECT -1 -> -ERR DB index is out of range
        A: SELECT a -> -ERR value is not an integer or out of range
        A: SELECT 2147483648 -> -ERR value is out of range, value must between -2147483648 and 2147483647
        A: QUIT now -> +OK <close>
        ",
    );
}

#[test]
fn hello_chooses_the_protocol() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.run("A", "HELLO"), hello("*14", 2, 1));
    assert_eq!(fixture.run("A", "HELLO 3 SETNAME bob"), hello("%7", 3, 1));
    assert_eq!(fixture.run("A", "HELLO"), hello("%7", 3, 1));
    fixture.transcript(
        "
        A: GET nosuch -> _
        A: CLIENT GETNAME -> $3 bob
        A: HELLO 4 -> -NOPROTO unsupported protocol version
        A: HELLO a -> -ERR Protocol version is not an integer or out of range
        A: HELLO 3 FOO -> -ERR Syntax error in HELLO option 'FOO'
        A: HELLO 3 AUTH x -> -ERR Syntax error in HELLO option 'AUTH'
        A: HELLO 2 AUTH foo x -> -WRONGPASS invalid username-password pair or user is disabled.
        A: HELLO 2 SETNAME 'a b' -> -ERR Client names cannot contain spaces, newlines or special characters.
        A: GET nosuch -> _
        ",
    );
    assert_eq!(fixture.run("A", "HELLO 2"), hello("*14", 2, 1));
}

#[test]
fn a_password_is_asked_for_once_it_is_set() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        A: AUTH x -> -ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?
        A: AUTH default x -> +OK
        A: CONFIG SET requirepass secret -> +OK
        # Who was in stays in.
        A: PING -> +PONG
        B: PING -> -NOAUTH Authentication required.
        B: GET -> -ERR wrong number of arguments for 'get' command
        B: AUTH wrong -> -WRONGPASS invalid username-password pair or user is disabled.
        B: AUTH other secret -> -WRONGPASS invalid username-password pair or user is disabled.
        B: AUTH a b c -> -ERR syntax error
        B: HELLO 3 -> -NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time
        B: PING -> -NOAUTH Authentication required.
        B: AUTH secret -> +OK
        B: PING -> +PONG
        B: RESET -> +RESET
        B: PING -> -NOAUTH Authentication required.
        C: PING -> -NOAUTH Authentication required.
        A: CONFIG SET requirepass '' -> +OK
        C: PING -> +PONG
        ",
    );
}

#[test]
fn unauthenticated_clients_may_not_send_much() {
    let mut fixture = Fixture::new();
    fixture.run("A", "CONFIG SET requirepass secret");
    let many = "-ERR Protocol error: unauthenticated multibulk length <close>";
    assert_eq!(fixture.send("B", b"*11\r\n"), many);
    let long = "-ERR Protocol error: unauthenticated bulk length <close>";
    assert_eq!(fixture.send("C", b"*2\r\n$3\r\nGET\r\n$16385\r\n"), long);
    // The limit ends with the command that authenticates, within one read.
    let mut bytes = b"AUTH secret\r\n*11\r\n$4\r\nPING\r\n".to_vec();
    bytes.extend(b"$1\r\nx\r\n".repeat(10));
    let reply = "+OK -ERR wrong number of arguments for 'ping' command";
    assert_eq!(fixture.send("D", &bytes), reply);
}

#[test]
fn reset_makes_a_connection_new() {
    let mut fixture = Fixture::new();
    fixture.run("A", "HELLO 3 SETNAME bob");
    fixture.transcript(
        "
        A: SELECT 4 -> +OK
        A: WATCH a -> +OK
        A: MULTI -> +OK
        A: SET a 1 -> +QUEUED
        A: RESET -> +RESET
        A: EXEC -> -ERR EXEC without MULTI
        A: GET a -> $-1
        A: CLIENT GETNAME -> $-1
        A: SUBSCRIBE a -> *3 $9 subscribe $1 a :1
        A: RESET -> +RESET
        B: PUBLISH a x -> :0
        A: CLIENT REPLY OFF ->
        A: RESET -> +RESET
        A: PING -> +PONG
        ",
    );
    assert_eq!(fixture.client("A").database, 0);
    assert!(fixture.client("A").watched.is_empty());
}

#[test]
fn nothing_runs_after_quit() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.send("A", b"PING\r\nQUIT\r\nPING\r\n"), "+PONG +OK <close>");
}

#[test]
fn broken_requests_are_answered_and_closed() {
    for (bytes, reply) in [
        ("PING 'a\r\n", "-ERR Protocol error: unbalanced quotes in request <close>"),
        ("*a\r\n", "-ERR Protocol error: invalid multibulk length <close>"),
        ("*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length <close>"),
        ("PING\r\n*1\r\nfoo\r\n", "+PONG -ERR Protocol error: expected '$', got 'f' <close>"),
        ("*0\r\n*-1\r\n\r\nPING\r\n", "+PONG"),
    ] {
        assert_eq!(Fixture::new().send("A", bytes.as_bytes()), reply, "{bytes:?}");
    }
}

#[test]
fn replies_can_be_left_out() {
    Fixture::new().transcript(
        "
        A: CLIENT REPLY SKIP ->
        A: PING ->
        A: PING -> +PONG
        A: CLIENT REPLY SKIP ->
        A: CLIENT REPLY SKIP ->
        A: FOO ->
        A: PING -> +PONG
        A: CLIENT REPLY SKIP ->
        A: CLIENT REPLY ON -> +OK
        A: PING -> +PONG
        A: CLIENT REPLY OFF ->
        A: CLIENT REPLY SKIP ->
        A: PING ->
        A: PING ->
        # Confirmations and messages come all the same.
        A: SUBSCRIBE a -> *3 $9 subscribe $1 a :1
        B: PUBLISH a hi -> :1
        A: (reads) -> *3 $7 message $1 a $2 hi
        A: UNSUBSCRIBE -> *3 $11 unsubscribe $1 a :0
        A: CLIENT REPLY ON -> +OK
        A: CLIENT REPLY X -> -ERR syntax error
        ",
    );
}
