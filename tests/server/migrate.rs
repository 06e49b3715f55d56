//! MIGRATE: keys that move from one server to another, limpid's or Redis's.

use std::net::TcpListener;

use crate::support::connection::Connection;
use crate::support::reply::Reply;
use crate::support::server::{Server, free_port};

const ARGS: &[&str] = &["--save", ""];

fn ask(server: &Server, line: &str) -> Reply {
    // An empty word stands for itself.
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    server.call(&words).expect("the server lives")
}

fn assert_ok(server: &Server, line: &str) {
    assert_eq!(ask(server, line), Reply::Simple(b"OK".to_vec()), "{line}");
}

fn assert_error(server: &Server, line: &str, text: &str) {
    assert_eq!(ask(server, line), Reply::Error(text.as_bytes().to_vec()), "{line}");
}

fn number(server: &Server, line: &str) -> i64 {
    let Reply::Integer(number) = ask(server, line) else { panic!("{line} has no number") };
    number
}

fn figure(server: &Server, section: &str, field: &str) -> String {
    let reply = ask(server, &format!("INFO {section}"));
    let text = String::from_utf8_lossy(reply.text().expect("a text")).into_owned();
    let start = format!("{field}:");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("{field} is missing")).to_owned()
}

/// One value of each type, large and small.
fn fill(server: &Server) -> Vec<String> {
    let long = "x".repeat(20_000);
    for line in [
        "SET int 12345",
        &format!("SET string {long}"),
        "RPUSH list a b 3",
        "SADD set a b c",
        "SADD ints 1 2 3",
        "HSET hash f v g w",
        "ZADD zset 1 a 2.5 b",
        "XADD stream 1-1 f v",
        "XGROUP CREATE stream g 0",
        "PFADD hll a b c",
        "SETBIT bits 1000 1",
    ] {
        assert!(!matches!(ask(server, line), Reply::Error(_)), "{line}");
    }
    for number in 0..1000 {
        ask(server, &format!("RPUSH long {number}"));
    }
    let names = ["int", "string", "list", "set", "ints", "hash", "zset", "stream", "hll", "bits"];
    names.iter().map(|&name| name.to_owned()).chain(["long".to_owned()]).collect()
}

fn digests(server: &Server, names: &[String]) -> Reply {
    ask(server, &format!("DEBUG DIGEST-VALUE {}", names.join(" ")))
}

/// Moves all types of values there and back.
fn there_and_back(own: &Server, other: &Server) {
    let names = fill(own);
    ask(own, "PEXPIRE int 100000");
    let before = digests(own, &names);
    let keys = names.join(" ");
    assert_ok(own, &format!("MIGRATE 127.0.0.1 {}  9 5000 KEYS {keys} none", other.port()));
    assert_eq!(number(own, "DBSIZE"), 0);
    assert_eq!(figure(own, "stats", "migrate_cached_sockets"), "1");
    let mut there = other.connect();
    there.call(&[b"SELECT", b"9"]).expect("it has 16 databases");
    assert_eq!(there.call(&[b"DBSIZE"]).expect("it lives"), Reply::Integer(11));
    let back = format!("MIGRATE 127.0.0.1 {}  0 5000 KEYS {keys}", own.port());
    let words: Vec<&[u8]> = back.split(' ').map(str::as_bytes).collect();
    assert_eq!(there.call(&words).expect("it lives"), Reply::Simple(b"OK".to_vec()));
    assert_eq!(there.call(&[b"DBSIZE"]).expect("it lives"), Reply::Integer(0));
    assert_eq!(digests(own, &names), before);
    let ttl = number(own, "PTTL int");
    assert!((1..=100_000).contains(&ttl), "{ttl}");
}

#[test]
fn keys_move_to_another_limpid_and_back() {
    let other = Server::limpid(ARGS);
    let own = Server::limpid(&[ARGS, &["--enable-debug-command", "local"]].concat());
    there_and_back(&own, &other);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn keys_move_to_redis_and_back() {
    let other = Server::redis(ARGS);
    let own = Server::limpid(&[ARGS, &["--enable-debug-command", "local"]].concat());
    there_and_back(&own, &other);
}

#[test]
fn options_and_errors_are_as_in_redis() {
    let own = Server::limpid(ARGS);
    let other = Server::limpid(&[ARGS, &["--requirepass", "secret"]].concat());
    let to = format!("127.0.0.1 {}", other.port());
    ask(&own, "MSET a 1 b 2 c 3");
    let target = "ERR Target instance replied with error:";
    assert_error(
        &own,
        &format!("MIGRATE {to} a 0 5000"),
        &format!("{target} NOAUTH Authentication required."),
    );
    let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
    assert_error(&own, &format!("MIGRATE {to} a 0 5000 AUTH wrong"), &format!("{target} {wrong}"));
    assert_eq!(number(&own, "EXISTS a"), 1, "what was refused stays");
    assert_ok(&own, &format!("MIGRATE {to} a 0 5000 COPY AUTH secret"));
    assert_eq!(number(&own, "EXISTS a"), 1, "a copy stays");
    let busy = "BUSYKEY Target key name already exists.";
    // The first key is refused and stays; the second moves all the same.
    let both = format!("MIGRATE {to}  0 5000 AUTH2 default secret KEYS a b");
    assert_error(&own, &both, &format!("{target} {busy}"));
    assert_eq!(number(&own, "EXISTS a b"), 1);
    assert_ok(&own, &format!("MIGRATE {to} a 0 5000 REPLACE AUTH secret"));
    assert_error(
        &own,
        &format!("MIGRATE {to} c 99 5000 AUTH secret"),
        &format!("{target} ERR DB index is out of range"),
    );
    assert_eq!(number(&own, "DBSIZE"), 1);
    assert_error(
        &own,
        &format!("MIGRATE 127.0.0.1 {} c 0 1000", free_port()),
        "IOERR error or timeout connecting to the client",
    );
}

#[test]
fn a_target_that_does_not_answer_costs_its_timeout_and_holds_nobody() {
    let own = Server::limpid(ARGS);
    ask(&own, "SET a 1");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let mut client = own.connect();
    let (words, port) = ([&b"MIGRATE"[..], b"127.0.0.1"], port.to_string());
    client.send(&[&words[..], &[port.as_bytes(), b"a", b"0", b"500"]].concat()).expect("sent");
    let silent = Connection::accept(&listener).expect("it connects");
    // The key can be read and changed meanwhile.
    assert_ok(&own, "SET a 2");
    let text = b"IOERR error or timeout reading to target instance".to_vec();
    assert_eq!(client.read_reply().expect("it lives"), Reply::Error(text));
    assert_eq!(ask(&own, "GET a"), Reply::Bulk(b"2".to_vec()));
    drop(silent);
}

#[test]
fn a_key_that_changes_on_its_way_stays() {
    let own = Server::limpid(ARGS);
    ask(&own, "MSET a 1 b 1");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port().to_string();
    let mut client = own.connect();
    let words = [&b"MIGRATE"[..], b"127.0.0.1", port.as_bytes(), b"", b"0", b"20000", b"KEYS"];
    client.send(&[&words[..], &[b"a", b"b"]].concat()).expect("sent");
    let mut target = Connection::accept(&listener).expect("it connects");
    assert_eq!(ask(&own, "INCR a"), Reply::Integer(2));
    target.send_raw(b"+OK\r\n+OK\r\n+OK\r\n").expect("sent");
    let Reply::Error(text) = client.read_reply().expect("it lives") else { panic!("no error") };
    assert!(text.starts_with(b"ERR Keys changed while they were sent"));
    assert_eq!(
        ask(&own, "MGET a b"),
        Reply::Array(vec![Reply::Bulk(b"2".to_vec()), Reply::NullBulk])
    );
}

#[test]
fn a_connection_that_the_target_closed_is_opened_again() {
    let own = Server::limpid(ARGS);
    ask(&own, "MSET a 1 b 2");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port().to_string();
    let mut client = own.connect();
    let mut migrate = |key: &[u8]| {
        let words = [&b"MIGRATE"[..], b"127.0.0.1", port.as_bytes(), key, b"0", b"20000"];
        client.send(&words).expect("sent");
        let mut target = Connection::accept(&listener).expect("it connects anew");
        target.send_raw(b"+OK\r\n+OK\r\n").expect("sent");
        assert_eq!(client.read_reply().expect("it lives"), Reply::Simple(b"OK".to_vec()));
    };
    migrate(b"a");
    migrate(b"b");
    assert_eq!(number(&own, "DBSIZE"), 0);
}

#[test]
fn replicas_see_a_removal() {
    let master = Server::limpid(ARGS);
    let other = Server::limpid(ARGS);
    let of = format!("127.0.0.1 {}", master.port());
    let replica = Server::limpid(&[ARGS, &["--replicaof", &of]].concat());
    let done = "MASTER <-> REPLICA sync: Finished with success";
    let soon = std::time::Duration::from_secs(20);
    replica.wait_for_log(done, soon).expect("it syncs");
    let mut client = master.connect();
    let port = other.port().to_string();
    client.call(&[b"MSET", b"a", b"1", b"b", b"2"]).expect("it lives");
    let words = [&b"MIGRATE"[..], b"127.0.0.1", port.as_bytes(), b"a", b"0", b"5000"];
    assert_eq!(client.call(&words).expect("it lives"), Reply::Simple(b"OK".to_vec()));
    // WAIT is for what its own connection has written.
    assert_eq!(client.call(&[b"WAIT", b"1", b"20000"]).expect("it lives"), Reply::Integer(1));
    assert_eq!(number(&replica, "EXISTS a b"), 1);
}
