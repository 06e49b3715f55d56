//! maxmemory-clients: which clients are disconnected, as they grow.

use std::time::Duration;

use crate::support::connection::Connection;
use crate::support::now;
use crate::support::server::{Program, Server};

const LIMIT: usize = 3_000_000;

/// Whether a condition comes to hold in time.
fn until(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = now() + Duration::from_secs(10);
    while !holds() {
        if now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// A field of a client's line in CLIENT LIST; `None` if there is no such client.
fn field(control: &mut Connection, name: &str, field: &str) -> Option<String> {
    let text = control.call(&[b"CLIENT", b"LIST"]).expect("answers");
    let text = String::from_utf8_lossy(text.text().expect("CLIENT LIST is text")).into_owned();
    let line = text.lines().find(|line| line.contains(&format!(" name={name} ")))?;
    let start = format!("{field}=");
    line.split(' ').find_map(|word| word.strip_prefix(&start)).map(str::to_owned)
}

fn number(control: &mut Connection, name: &str, wanted: &str) -> Option<usize> {
    field(control, name, wanted).map(|text| text.parse().expect("a number"))
}

fn named(server: &Server, name: &str) -> Connection {
    let mut client = server.connect();
    client.call(&[b"CLIENT", b"SETNAME", name.as_bytes()]).expect("answers");
    client
}

/// A server with a limit, and a client that is never evicted.
fn start(program: Program, limit: usize) -> (Server, Connection) {
    let server = Server::start(program, &["--save", "", "--maxmemory-clients", &limit.to_string()]);
    let mut control = named(&server, "control");
    control.call(&[b"CLIENT", b"NO-EVICT", b"ON"]).expect("answers");
    (server, control)
}

/// Sends an argument without its end: the server holds all of it.
fn hold(client: &mut Connection, bytes: usize) {
    client.send_raw(format!("*1\r\n${bytes}\r\n").as_bytes()).expect("it reads");
    // The server may end the connection meanwhile.
    drop(client.send_raw(&vec![b'v'; bytes]));
}

fn assert_large_requests_are_ended(program: Program) {
    let (server, mut control) = start(program, LIMIT);
    let mut client = named(&server, "large");
    let value = vec![b'v'; LIMIT / 3];
    client.call(&[b"MSET", b"k", b"v", b"l", &value]).expect("below the limit");
    client.call(&[b"GET", b"k"]).expect("below the limit");
    hold(&mut client, LIMIT);
    assert!(until(|| field(&mut control, "large", "id").is_none()), "{program:?}");

    let mut client = named(&server, "multi");
    client.call(&[b"MULTI"]).expect("answers");
    let value = vec![b'v'; LIMIT / 4];
    let queued = (0..5).take_while(|_| client.call(&[b"SET", b"k", &value]).is_ok()).count();
    assert!((2..5).contains(&queued), "{program:?} queued {queued}");
    assert!(field(&mut control, "multi", "id").is_none());

    let mut spared = named(&server, "spared");
    spared.call(&[b"CLIENT", b"NO-EVICT", b"ON"]).expect("answers");
    hold(&mut spared, LIMIT + 1);
    assert!(until(|| number(&mut control, "spared", "qbuf") > Some(LIMIT)), "{program:?}");
    assert!(number(&mut control, "spared", "tot-mem") > Some(LIMIT));
    // Others pay for it.
    let mut small = server.connect();
    assert!(until(|| small.call(&[b"PING"]).is_err()), "{program:?}");
}

#[test]
fn large_requests_end_their_clients() {
    assert_large_requests_are_ended(Program::Limpid);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn large_requests_end_their_clients_in_redis() {
    assert_large_requests_are_ended(Program::Redis);
}

fn assert_a_percentage_is_of_maxmemory(program: Program) {
    let args = ["--save", "", "--maxmemory", "6mb", "--maxmemory-clients", "7%"];
    let server = Server::start(program, &args);
    let mut control = server.connect();
    control.call(&[b"CLIENT", b"NO-EVICT", b"ON"]).expect("answers");
    let limit = (6 << 20) * 7 / 100;
    let mut client = named(&server, "half");
    hold(&mut client, limit / 2);
    assert!(until(|| number(&mut control, "half", "tot-mem") > Some(limit / 2)), "{program:?}");
    drop(client);
    let mut client = named(&server, "whole");
    hold(&mut client, limit);
    assert!(until(|| field(&mut control, "whole", "id").is_none()), "{program:?}");
    // Of no limit a percentage is none.
    control.call(&[b"CONFIG", b"SET", b"maxmemory", b"0"]).expect("answers");
    let mut client = named(&server, "whole");
    hold(&mut client, limit);
    assert!(until(|| number(&mut control, "whole", "tot-mem") > Some(limit)), "{program:?}");
}

#[test]
fn a_percentage_is_of_maxmemory() {
    assert_a_percentage_is_of_maxmemory(Program::Limpid);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_percentage_is_of_maxmemory_in_redis() {
    assert_a_percentage_is_of_maxmemory(Program::Redis);
}

/// A command with a name.
type Words = fn(&str) -> Vec<String>;

/// Many names that a client makes the server keep.
fn assert_names_are_counted(program: Program) {
    let (server, _control) = start(program, 200_000);
    let commands: [Words; 4] = [
        |name| vec!["WATCH".to_owned(), name.to_owned()],
        |name| vec!["PSUBSCRIBE".to_owned(), name.to_owned()],
        |name| vec!["SSUBSCRIBE".to_owned(), name.to_owned()],
        |name| ["CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", name].map(str::to_owned).to_vec(),
    ];
    for command in commands {
        let mut client = server.connect();
        let kept = (0..200_000).take_while(|number| {
            let words = command(&format!("{number:012}"));
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            client.call(&words).is_ok()
        });
        let kept = kept.count();
        assert!((200..20_000).contains(&kept), "{program:?}, {:?}: {kept}", command("x"));
    }
}

#[test]
fn names_that_a_client_gives_count() {
    assert_names_are_counted(Program::Limpid);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn names_that_a_client_gives_count_in_redis() {
    assert_names_are_counted(Program::Redis);
}

#[test]
fn the_largest_are_ended_and_no_more_than_needed() {
    const MEGABYTE: usize = 1 << 20;
    let (server, mut control) = start(Program::Limpid, 0);
    let sizes = [1, 1, 1, 3, 3, 9].map(|megabytes| megabytes * MEGABYTE);
    let mut clients: Vec<Connection> = Vec::new();
    for (index, size) in sizes.into_iter().enumerate() {
        let name = format!("client{index}");
        let mut client = named(&server, &name);
        hold(&mut client, size);
        assert!(until(|| number(&mut control, &name, "qbuf") >= Some(size)));
        clients.push(client);
    }
    let alive = |control: &mut Connection| {
        let there = |index: &usize| field(control, &format!("client{index}"), "id").is_some();
        (0..sizes.len()).filter(there).collect::<Vec<_>>()
    };
    let set = |control: &mut Connection, limit: usize| {
        let limit = limit.to_string();
        control.call(&[b"CONFIG", b"SET", b"maxmemory-clients", limit.as_bytes()]).expect("answers")
    };
    set(&mut control, 11 * MEGABYTE);
    assert_eq!(alive(&mut control), [0, 1, 2, 3, 4]);
    set(&mut control, 7 * MEGABYTE);
    assert_eq!(alive(&mut control), [0, 1, 2, 4]);
    set(&mut control, 2 * MEGABYTE + MEGABYTE / 2);
    assert_eq!(alive(&mut control), [1, 2]);
    let text = control.call(&[b"INFO", b"stats"]).expect("answers");
    let text = String::from_utf8_lossy(text.text().expect("INFO is text")).into_owned();
    assert!(text.contains("evicted_clients:4\r\n"), "{text}");
    let line = server.wait_for_log("Evicting client: id=", Duration::from_secs(10));
    assert!(line.is_some_and(|line| line.contains("name=client5")));
}

/// A client that does not read what others cause: messages of its cache.
#[test]
fn messages_that_nobody_reads_count() {
    let (server, mut control) = start(Program::Limpid, LIMIT);
    let mut reader = named(&server, "reader");
    reader.call(&[b"HELLO", b"3"]).expect("answers");
    reader.call(&[b"CLIENT", b"TRACKING", b"ON", b"BCAST"]).expect("answers");
    let mut writer = server.connect();
    let key = vec![b'k'; 200_000];
    let is_there = |control: &mut Connection| number(control, "reader", "tot-mem");
    let mut sent = 0;
    while is_there(&mut control).is_some_and(|bytes| bytes < LIMIT) {
        writer.call(&[b"INCR", &key]).expect("answers");
        sent += 1;
        assert!(sent < 1000, "the messages fill no buffer");
    }
    assert!(until(|| is_there(&mut control).is_none()));
}
