//! Misbehaving clients, and their limits.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::connection::encode;
use crate::support::reply::Reply;
use crate::support::server::Server;
use crate::words;

const SOON: Duration = Duration::from_secs(20);

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
    stream.set_read_timeout(Some(SOON)).expect("a socket");
    stream.set_write_timeout(Some(SOON)).expect("a socket");
    stream
}

fn pong(server: &Server) {
    let reply = server.call(&words("PING")).expect("the server lives");
    assert_eq!(reply, Reply::Simple(b"PONG".to_vec()));
}

/// Whether the server closes the connection, whatever it sends before.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 64 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn random_bytes_do_not_end_the_server() {
    let server = Server::limpid(&["--save", ""]);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for round in 0..300 {
        let mut stream = connect(&server);
        let mut bytes: Vec<u8> = match round % 3 {
            0 => Vec::new(),
            1 => b"*3\r\n$3\r\nSET\r\n".to_vec(),
            _ => b"*1\r\n$4\r\nPING\r\n*2\r\n".to_vec(),
        };
        let len = next() % 3000;
        bytes.extend((0..len).map(|_| match next() % 4 {
            // Bytes with a meaning in the protocol are more frequent.
            0 => b"*$\r\n0123456789-\"'"[(next() % 17) as usize],
            _ => next() as u8,
        }));
        // The server may close during the write.
        drop(stream.write_all(&bytes));
    }
    pong(&server);
}

#[test]
fn an_unauthenticated_client_holds_at_most_64_kib() {
    let server = Server::limpid(&["--save", "", "--requirepass", "secret"]);
    // Each of ten arguments of 16 KiB is allowed, but not all together.
    let mut stream = connect(&server);
    let mut request = b"*10\r\n".to_vec();
    for _ in 0..9 {
        request.extend_from_slice(b"$16384\r\n");
        request.extend_from_slice(&[b'x'; 16384]);
        request.extend_from_slice(b"\r\n");
    }
    // The server closes before it has read everything.
    drop(stream.write_all(&request));
    assert!(is_closed(&mut stream));
    // Nor may unread replies.
    let mut stream = connect(&server);
    let pings = b"PING\r\n".repeat(10_000);
    let mut sent = 0;
    while sent < 200 << 20 {
        match stream.write(&pings) {
            Ok(len) => sent += len,
            Err(_) => break,
        }
    }
    assert!(sent < 200 << 20, "the client was cut or held back");
    let mut client = server.connect();
    client.call(&words("AUTH secret")).expect("answers");
    let reply = client.call(&words("INFO clients")).expect("answers");
    let text = String::from_utf8_lossy(reply.text().expect("text")).into_owned();
    for field in ["client_recent_max_input_buffer", "client_recent_max_output_buffer"] {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
        let bytes: usize = line.and_then(|line| line.parse().ok()).expect("a number");
        assert!(bytes <= 64 * 1024, "{field} {bytes}");
    }
}

#[test]
fn a_client_that_never_reads_is_cut_at_its_limit() {
    let limit = ["normal", "2mb", "0", "0"];
    let mut args = vec!["--save", "", "--client-output-buffer-limit"];
    args.extend(limit);
    let server = Server::limpid(&args);
    let value = vec![b'v'; 100_000];
    server.call(&[&b"SET"[..], b"big", &value]).expect("answers");
    let mut stream = connect(&server);
    let request = encode(&[b"GET", b"big"]).repeat(500);
    drop(stream.write_all(&request));
    assert!(server.wait_for_log("output buffer limits", SOON).is_some());
    assert!(is_closed(&mut stream));
    pong(&server);
}

#[test]
fn a_long_pipeline_may_be_sent_before_anything_is_read() {
    let server = Server::limpid(&["--save", ""]);
    let value = vec![b'v'; 10_000];
    server.call(&[&b"SET"[..], b"big", &value]).expect("answers");
    let mut client = server.connect();
    let request = encode(&[b"GET", b"big"]).repeat(5000);
    client.send_raw(&request).expect("the server goes on reading");
    for _ in 0..5000 {
        assert_eq!(client.read_reply().expect("answers").text(), Some(&value[..]));
    }
}

#[test]
fn a_value_of_many_megabytes_comes_back_whole() {
    let server = Server::limpid(&["--save", ""]);
    let value: Vec<u8> = (0..50_000_000_u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    let mut client = server.connect();
    client.call(&[&b"SET"[..], b"big", &value]).expect("answers");
    let reply = client.call(&words("GET big")).expect("answers");
    assert!(reply.text() == Some(&value[..]), "the same bytes");
}

#[test]
fn one_client_too_many_is_told_so() {
    let server = Server::limpid(&["--save", "", "--maxclients", "2"]);
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        client.call(&words("PING")).expect("answers");
    }
    let mut third = server.connect();
    let refusal = third.read_reply().expect("a line before it is closed");
    assert_eq!(refusal, Reply::Error(b"ERR max number of clients reached".to_vec()));
}

#[test]
fn a_subscriber_that_never_reads_is_cut_at_its_limit() {
    let args = ["--save", "", "--client-output-buffer-limit", "pubsub", "2mb", "0", "0"];
    let server = Server::limpid(&args);
    let mut subscriber = server.connect();
    subscriber.call(&words("SUBSCRIBE news")).expect("answers");
    let mut publisher = server.connect();
    let message = vec![b'm'; 100_000];
    let mut published = 0;
    // The kernel's buffers take the first megabytes.
    while published < 1000 {
        let reply = publisher.call(&[&b"PUBLISH"[..], b"news", &message]).expect("answers");
        if reply == Reply::Integer(0) {
            break;
        }
        published += 1;
    }
    assert!(published < 1000, "the subscriber is gone at some point");
    let (_, closed) = subscriber.read_to_end();
    assert!(closed);
}

#[test]
fn a_unix_socket_serves_as_tcp_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let text = path.to_str().expect("a path");
    let server = Server::limpid(&["--save", "", "--unixsocket", text, "--unixsocketperm", "700"]);
    let mut client = crate::support::connection::Connection::unix(&path).expect("it listens");
    client.call(&words("SET a 1")).expect("answers");
    assert_eq!(server.call(&words("GET a")).expect("answers").text(), Some(&b"1"[..]));
}

#[test]
fn an_idle_client_is_disconnected_after_the_timeout() {
    let server = Server::limpid(&["--save", "", "--timeout", "1"]);
    let mut idle = server.connect();
    idle.call(&words("PING")).expect("answers");
    let (_, closed) = idle.read_to_end();
    assert!(closed);
}
