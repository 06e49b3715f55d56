//! Attacks over the network, by class. What needs no socket is in `src/engine/tests/security`, whose
//! head lists all classes and their tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustls::version::{TLS12, TLS13};

use crate::support::certificates::client;
use crate::support::connection::Connection;
use crate::support::now;
use crate::support::server::Server;
use crate::tls::Secured;

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(30);

/// What one client that has not authenticated may hold: as much input as output, and itself.
const UNAUTHENTICATED_BYTES_MAX: u64 = 200 * 1024;

/// A number of a section of INFO.
fn info(client: &mut Connection, section: &str, field: &str) -> u64 {
    let text = client.call(&[b"INFO", section.as_bytes()]).unwrap();
    let text = String::from_utf8_lossy(text.text().unwrap()).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no {field}"))
}

fn await_that(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = now() + LONG;
    while !is() {
        assert!(now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// A server with a password, and a client that has given it.
fn locked() -> (Server, Connection) {
    let server = Server::limpid(&["--save", "", "--requirepass", "secret"]);
    let mut client = server.connect();
    client.set_timeout(LONG).unwrap();
    assert_eq!(client.call(&[b"AUTH", b"secret"]).unwrap().to_string(), "simple \"OK\"");
    (server, client)
}

fn open(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// What the server says until it closes.
fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    // A reset is an end as well.
    drop(stream.read_to_end(&mut rest));
    String::from_utf8_lossy(&rest).into_owned()
}

#[test]
fn unauthenticated_requests_are_short() {
    let (server, _client) = locked();
    let many = "-ERR Protocol error: unauthenticated multibulk length\r\n";
    let long = "-ERR Protocol error: unauthenticated bulk length\r\n";
    for (bytes, says) in [
        (&b"*11\r\n"[..], many),
        (b"*1048576\r\n", many),
        (b"*2147483648\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", long),
        (b"*1\r\n$536870912\r\n", long),
        (b"*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$16385\r\n", long),
    ] {
        let mut stream = open(&server);
        stream.write_all(bytes).unwrap();
        assert_eq!(rest(&mut stream), says, "{}", bytes.escape_ascii());
    }
    // Long names and passwords within the limit are wrong, and nothing else.
    let long = "x".repeat(16384);
    let mut client = server.connect();
    let words = [&b"HELLO"[..], b"3", b"AUTH", long.as_bytes(), long.as_bytes()];
    let reply = client.call(&words).unwrap().to_string();
    assert!(reply.contains("WRONGPASS"), "{reply:.200}");
}

#[test]
fn unauthenticated_clients_hold_little_memory() {
    const CLIENTS: u64 = 100;
    let (server, mut client) = locked();
    let before = info(&mut client, "memory", "used_memory");
    let full = [b"*10\r\n".to_vec(), b"$16384\r\n".to_vec(), vec![b'x'; 16_384]].concat();
    let more = [b"\r\n$16384\r\n".to_vec(), vec![b'x'; 16_384]].concat();
    let mut held = Vec::new();
    for index in 0..CLIENTS {
        let mut stream = open(&server);
        match index % 4 {
            // Arguments, as many and as long as may be, but for the last.
            0 => {
                stream.write_all(&full).unwrap();
                (0..2).for_each(|_| stream.write_all(&more).unwrap());
            }
            // A line without an end.
            1 => stream.write_all(&vec![b'x'; 60_000]).unwrap(),
            // Replies that nobody reads, nearly as many as may be.
            2 => stream.write_all(&b"GET x\r\n".repeat(400)).unwrap(),
            _ => stream.write_all(b"*10\r\n$16384\r\n").unwrap(),
        }
        held.push(stream);
    }
    // The rest of what they sent has arrived when this is answered, or waits in the kernel.
    let connected = |client: &mut Connection| info(client, "clients", "connected_clients");
    await_that("all are connected", || connected(&mut client) == CLIENTS + 1);
    let used = info(&mut client, "memory", "used_memory").saturating_sub(before);
    assert!(used < CLIENTS * UNAUTHENTICATED_BYTES_MAX, "{used} bytes");

    // Who goes on is cut.
    for (what, bytes) in [
        ("arguments", more.repeat(10)),
        ("a line", vec![b'x'; 1 << 20]),
        ("replies", b"GET x\r\n".repeat(20_000)),
    ] {
        let mut stream = open(&server);
        stream.set_write_timeout(Some(LONG)).unwrap();
        if what == "arguments" {
            stream.write_all(&full).unwrap();
        }
        let cut = (0..10_000).any(|_| stream.write_all(&bytes).is_err());
        assert!(cut, "{what}");
    }
}

#[test]
fn an_unauthenticated_client_that_asks_faster_than_it_is_answered_is_cut() {
    let args = ["--save", "", "--requirepass", "secret", "--enable-debug-command", "yes"];
    let server = Server::limpid(&[&args[..], &["--workers", "1"]].concat());
    let mut client = server.connect();
    client.call(&[b"AUTH", b"secret"]).unwrap();
    for (requests, replies) in [(300, 300), (2000, 0)] {
        let mut stream = open(&server);
        // All requests have arrived when the server reads the first.
        client.send(&[b"DEBUG", b"SLEEP", b"0.5"]).unwrap();
        stream.write_all(&b"GET x\r\n".repeat(requests)).unwrap();
        client.read_reply().unwrap();
        // Nothing is sent of what is too much, however much room the socket has.
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut stream).matches("-NOAUTH").count(), replies, "{requests}");
    }
    assert!(server.wait_for_log("not authenticated, hard limit 16384", LONG).is_some());
}

#[test]
fn unauthenticated_clients_learn_nothing() {
    let (server, _client) = locked();
    let mut stranger = server.connect();
    for words in [
        &["PING"][..],
        &["GET", "x"],
        &["INFO"],
        &["CONFIG", "GET", "requirepass"],
        &["ACL", "LIST"],
        &["ACL", "WHOAMI"],
        &["CLIENT", "LIST"],
        &["COMMAND"],
        &["EVAL", "return 1", "0"],
        &["SUBSCRIBE", "c"],
        &["MONITOR"],
        &["MULTI"],
        &["PSYNC", "?", "-1"],
        &["SYNC"],
        &["REPLCONF", "listening-port", "1"],
        &["SHUTDOWN"],
        &["DEBUG", "SLEEP", "1"],
        &["FAILOVER"],
    ] {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let reply = stranger.call(&words).unwrap().to_string();
        assert!(reply.contains("NOAUTH"), "{words:?}: {reply}");
    }
    // Nor does an unknown user differ from a wrong password.
    let says = |connection: &mut Connection, name: &[u8]| {
        connection.call(&[b"AUTH", name, b"wrong"]).unwrap().to_string()
    };
    assert_eq!(says(&mut stranger, b"default"), says(&mut stranger, b"nobody"));
}

#[test]
fn tls_port_takes_no_plain_text() {
    let secured = Secured::open(&[]);
    for bytes in [
        &b"PING\r\n"[..],
        b"*1\r\n$4\r\nPING\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x80\x2e\x01\x00\x02",
        b"\x16\x03\x01\xff\xff",
        b"\x17\x03\x03\x00\x05hello",
        b"\x15\x03\x03\x00\x02\x02\x00",
        &[0; 64],
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", secured.port)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(bytes).unwrap();
        let said = rest(&mut stream);
        assert!(!said.contains("PONG") && said.len() < 64, "{}: {said}", bytes.escape_ascii());
    }
    assert_eq!(secured.plain(&["PING"]), "simple \"PONG\"");
}

#[test]
fn tls_records_are_whole_or_end_the_connection() {
    let secured = Secured::open(&[]);
    let mut plain = secured.server.connect();
    let connected = |plain: &mut Connection| info(plain, "clients", "connected_clients");
    for version in [&TLS12, &TLS13] {
        for bytes in [
            // Damaged, of a type that does not exist, longer than any, empty ones without end.
            [&b"\x17\x03\x03\x00\x20"[..], &[7; 32]].concat(),
            b"\x63\x03\x03\x00\x01x".to_vec(),
            b"\x17\x03\x03\xff\xff".to_vec(),
            b"\x17\x03\x03\x00\x00".repeat(1000),
            b"\x16\x03\x03\x00\x04\x00\x00\x00\x00".to_vec(),
            b"\x14\x03\x03\x00\x01\x01".repeat(1000),
        ] {
            let mut client = Connection::tls(secured.port, &client(None, &[version])).unwrap();
            assert_eq!(client.call(&[b"PING"]).unwrap().to_string(), "simple \"PONG\"");
            assert_eq!(connected(&mut plain), 2);
            // Around the session, which would encrypt it.
            let mut socket = client.socket();
            drop(socket.write_all(&bytes));
            await_that("it is cut", || connected(&mut plain) == 1);
        }
        // A part of a record, then the end.
        let mut client = Connection::tls(secured.port, &client(None, &[version])).unwrap();
        assert_eq!(client.call(&[b"PING"]).unwrap().to_string(), "simple \"PONG\"");
        let mut socket = client.socket();
        socket.write_all(b"\x17\x03\x03\x00\x20half").unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        await_that("it is closed", || connected(&mut plain) == 1);
    }
}

#[test]
fn tls_handshakes_that_stop_take_no_client_s_place() {
    const CLIENTS: usize = 20;
    let secured = Secured::open(&["--maxclients", &CLIENTS.to_string()]);
    let mut plain = secured.server.connect();
    let half: Vec<TcpStream> = (0..3 * CLIENTS)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", secured.port)).unwrap();
            stream.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
            stream
        })
        .collect();
    let mut served: Vec<Connection> = Vec::new();
    for index in 0..CLIENTS - 1 {
        let mut client = Connection::tls(secured.port, &client(None, &[&TLS13])).unwrap();
        let reply = client.call(&[b"PING"]).map(|reply| reply.to_string());
        assert_eq!(reply.as_deref(), Ok("simple \"PONG\""), "client {index}");
        served.push(client);
    }
    assert_eq!(info(&mut plain, "clients", "connected_clients"), CLIENTS as u64);
    drop(half);
}

#[test]
#[ignore = "needs openssl"]
fn tls_renegotiation_is_refused() {
    let secured = Secured::open(&["--tls-protocols", "TLSv1.2"]);
    let command = format!("exec openssl s_client -tls1_2 -connect 127.0.0.1:{} 2>&1", secured.port);
    // Whatever happens it ends.
    let mut peer = Command::new("timeout")
        .args(["20", "sh", "-c", &command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = peer.stdin.take().unwrap();
    let mut said = BufReader::new(peer.stdout.take().unwrap()).lines().map_while(Result::ok);
    input.write_all(b"PING\r\n").unwrap();
    assert!(said.any(|line| line.contains("+PONG")), "it is not answered");
    // A line R asks for a new handshake.
    input.write_all(b"R\n").unwrap();
    let refusals = ["no renegotiation", "unexpected message"];
    let refused = said.any(|line| refusals.iter().any(|refusal| line.contains(refusal)));
    drop(peer.kill());
    peer.wait().unwrap();
    assert!(refused, "a second handshake is not refused");
    assert_eq!(secured.plain(&["PING"]), "simple \"PONG\"");
}
