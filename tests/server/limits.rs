//! Limits of the memory that a client may use, and what happens when it exceeds them.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::Reply;
use crate::support::server::{Program, Server};

const MEGABYTE: usize = 1 << 20;

fn request(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend(format!("${}\r\n", arg.len()).bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The number in a line of INFO.
fn info(server: &Server, field: &str) -> u64 {
    let text = server.call(&[b"INFO", b"stats"]).expect("answers");
    let text = String::from_utf8_lossy(text.text().expect("INFO is text")).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no {field}"))
}

/// Processor time of all the server's threads so far, in nanoseconds.
fn processor_nanos(server: &Server) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).expect("it runs");
    let nanos = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    };
    tasks.filter_map(nanos).sum()
}

#[test]
fn the_time_for_a_large_argument_grows_with_its_size() {
    let server = Server::limpid(&["--save", ""]);
    let mut client = server.connect();
    let mut spent = |megabytes: usize| {
        let bytes = request(&[b"SET", b"large", &vec![b'v'; megabytes * MEGABYTE]]);
        let before = processor_nanos(&server);
        let reply = client.send_while(&bytes, Connection::read_reply).expect("answers");
        assert_eq!(reply, Reply::Simple(b"OK".to_vec()));
        processor_nanos(&server) - before
    };
    spent(16);
    // Both exceed the caches. The minimum of three: other load on the machine only adds.
    let small = (0..3).map(|_| spent(16)).min().expect("three");
    let large = (0..3).map(|_| spent(64)).min().expect("three");
    assert!(large < 10 * small, "4 times the bytes, {small} and {large} ns");
}

#[test]
fn replies_that_a_broken_connection_leaves_go_to_nobody() {
    let server = Server::limpid(&["--save", "", "--workers", "1"]);
    let pings = b"PING\r\n".repeat(200_000);
    for _ in 0..5 {
        let mut gone = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
        gone.write_all(&pings).expect("it reads");
        // Closed with unread replies: the server's next write fails.
        drop(gone);
        let mut next = server.connect();
        let echoed = next.call(&[b"ECHO", b"mine"]).expect("answers");
        assert_eq!(echoed.text(), Some(&b"mine"[..]));
    }
}

/// Requests against a query buffer limit of 1 MB, and whether the server answers them.
fn large_requests() -> Vec<(&'static str, Vec<u8>, bool)> {
    let bytes = |len: usize| vec![b'x'; len];
    let set = |len: usize| request(&[b"SET", b"k", &bytes(len)]);
    let small = [b"value:0123456789:key"; 100_000];
    let mut many: Vec<&[u8]> = vec![b"MSET"];
    many.extend(small.iter().map(|value| &value[..]));
    vec![
        ("100,000 small arguments", request(&many), true),
        ("an argument as long as the limit", set(MEGABYTE - 2), true),
        ("one byte more", set(MEGABYTE - 1), false),
        ("twice the limit", set(2 * MEGABYTE), false),
        ("that with more behind", set(MEGABYTE - 2).repeat(3), true),
        ("that with an option", request(&[b"SET", b"k", &bytes(MEGABYTE - 2), b"EX", b"9"]), true),
        ("as a key", request(&[b"GET", &bytes(MEGABYTE - 2)]), true),
        ("two of 700 kB", request(&[b"MSET", b"a", &bytes(700_000), b"b", &bytes(700_000)]), true),
        ("three requests of 700 kB", set(700_000).repeat(3), true),
        ("behind one that waits", [request(&[b"WAIT", b"1", b"600"]), set(900_000)].concat(), true),
        (
            "more of it",
            [request(&[b"WAIT", b"1", b"60000"]), set(700_000).repeat(2)].concat(),
            false,
        ),
    ]
}

fn assert_query_limit(program: Program) {
    let server = Server::start(program, &["--save", "", "--client-query-buffer-limit", "1mb"]);
    let mut cut = 0;
    for (what, bytes, answered) in large_requests() {
        let mut client = server.connect();
        let reply = client.send_while(&bytes, Connection::read_reply);
        assert_eq!(reply.is_ok(), answered, "{program:?}, {what}: {reply:?}");
        cut += u64::from(!answered);
    }
    if program == Program::Limpid {
        assert_eq!(info(&server, "client_query_buffer_limit_disconnections"), cut);
    }
    let wait = Duration::from_secs(10);
    let line = server.wait_for_log("reached max query buffer length", wait);
    let line = line.expect("a line in the log");
    assert!(line.contains("id=") && line.contains("addr=127.0.0.1:"), "{line}");
}

#[test]
fn the_query_buffer_limit_counts_what_is_no_argument_yet() {
    assert_query_limit(Program::Limpid);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn the_query_buffer_limit_is_that_of_redis() {
    assert_query_limit(Program::Redis);
}

/// A subscriber that stops reading, and this many megabytes of messages to it, more than the
/// kernel's buffers take.
fn stalled(server: &Server, megabytes: usize) -> (Connection, Connection) {
    let mut subscriber = server.connect();
    subscriber.call(&[b"CLIENT", b"SETNAME", b"sleeper"]).expect("answers");
    subscriber.call(&[b"SUBSCRIBE", b"news"]).expect("answers");
    let mut publisher = server.connect();
    let message = vec![b'm'; MEGABYTE];
    for _ in 0..megabytes {
        publisher.call(&[b"PUBLISH", b"news", &message]).expect("answers");
    }
    (subscriber, publisher)
}

#[test]
fn a_stalled_client_is_cut_when_its_soft_limit_has_lasted() {
    let limits = ["--client-output-buffer-limit", "pubsub", "64mb", "1mb", "2"];
    let server = Server::limpid(&[&["--save", ""], &limits[..]].concat());
    // The soft limit is first exceeded between these two times.
    let before = now();
    let (_subscriber, mut publisher) = stalled(&server, 16);
    let began = now();
    let mut subscribed = || {
        let reply = publisher.call(&[b"PUBSUB", b"CHANNELS"]).expect("answers");
        reply != Reply::Array(Vec::new())
    };
    while subscribed() {
        assert!(began.elapsed() < Duration::from_secs(10), "it is not cut");
        std::thread::sleep(Duration::from_millis(5));
    }
    let (whole, took) = (before.elapsed(), began.elapsed());
    let (least, most) = (Duration::from_millis(1500), Duration::from_millis(3000));
    assert!(whole > least && took < most, "after {took:?} to {whole:?}");
    assert_eq!(info(&server, "client_output_buffer_limit_disconnections"), 1);
    let line = server.wait_for_log("overcoming of output buffer limits", Duration::from_secs(10));
    let line = line.expect("a line in the log");
    assert!(line.contains("name=sleeper"), "{line}");
    assert!(line.contains("pubsub, soft limit 1048576 for 2 s"), "{line}");
}

#[test]
fn a_client_that_messages_overrun_is_named_and_counted() {
    let limits = ["--client-output-buffer-limit", "pubsub", "2mb", "0", "0"];
    let server = Server::limpid(&[&["--save", ""], &limits[..]].concat());
    let (mut subscriber, _publisher) = stalled(&server, 16);
    let (_, closed) = subscriber.read_to_end();
    assert!(closed);
    let line = server.wait_for_log("overcoming of output buffer limits", Duration::from_secs(10));
    let line = line.expect("a line in the log");
    assert!(line.contains("name=sleeper"), "{line}");
    assert!(line.contains("pubsub, hard limit 2097152"), "{line}");
    assert_eq!(info(&server, "client_output_buffer_limit_disconnections"), 1);
}

#[test]
fn a_client_whose_replies_pile_up_is_named_and_counted() {
    let limits = ["--client-output-buffer-limit", "normal", "2mb", "0", "0"];
    let server = Server::limpid(&[&["--save", ""], &limits[..]].concat());
    server.call(&[b"SET", b"large", &vec![b'v'; MEGABYTE]]).expect("answers");
    let mut client = server.connect();
    client.send_raw(&request(&[b"GET", b"large"]).repeat(32)).expect("it reads");
    let line = server.wait_for_log("overcoming of output buffer limits", Duration::from_secs(10));
    let line = line.expect("a line in the log");
    assert!(line.contains("normal, hard limit 2097152"), "{line}");
    // The line comes before the count.
    let began = now();
    while info(&server, "client_output_buffer_limit_disconnections") == 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "it is not counted");
    }
    assert_eq!(info(&server, "client_output_buffer_limit_disconnections"), 1);
}
