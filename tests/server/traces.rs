//! Traces: what a collector receives by OTLP over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::now;
use crate::support::server::Server;
use crate::words;

/// Timeout for spans to arrive: they are sent in batches, every few seconds.
const SOON: Duration = Duration::from_secs(30);

/// A collector that keeps all requests.
struct Collector {
    endpoint: String,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, keep) = (stream.unwrap(), Arc::clone(&keep));
                thread::spawn(move || serve(stream, &keep));
            }
        });
        Self { endpoint, received }
    }

    fn has(&self, text: &str) -> bool {
        let received = self.received.lock().unwrap();
        received.windows(text.len()).any(|window| window == text.as_bytes())
    }

    fn await_text(&self, text: &str) {
        let deadline = now() + SOON;
        while !self.has(text) {
            assert!(now() < deadline, "no span has {text:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Answers requests and keeps their bodies.
fn serve(stream: std::net::TcpStream, keep: &Mutex<Vec<u8>>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut len = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                len = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; len];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        keep.lock().unwrap().extend(body);
        if writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

#[test]
fn commands_and_what_the_server_does_arrive_as_spans_without_values() {
    let collector = Collector::new();
    let endpoint = collector.endpoint.clone();
    let args = ["--save", "", "--otlp-endpoint", &endpoint, "--trace-sample-every", "1"];
    let server = Server::limpid(&args);
    for command in ["SET secretkey secretvalue", "GET secretkey", "BGSAVE"] {
        server.call(&words(command)).unwrap();
    }
    for text in ["db.system.name", "redis", "SET ? ?", "GET ?", "network.peer.address", "rdb.save"]
    {
        collector.await_text(text);
    }
    assert!(!collector.has("secretkey") && !collector.has("secretvalue"));
}

#[test]
fn slow_and_failed_commands_are_always_traced_and_others_when_it_is_their_turn() {
    let collector = Collector::new();
    let endpoint = collector.endpoint.clone();
    let args = [
        "--otlp-endpoint",
        &endpoint,
        "--trace-sample-every",
        "0",
        "--enable-debug-command",
        "yes",
        "--slowlog-log-slower-than",
        "50000",
    ];
    let server = Server::limpid(&args);
    for command in ["SET a x", "PING", "DEBUG SLEEP 0.1", "INCR a", "NOSUCH secretkey", "EXEC"] {
        server.call(&words(command)).unwrap();
    }
    for text in ["DEBUG", "INCR ?", "error.type", "ERR", "UNKNOWN ?", "EXEC"] {
        collector.await_text(text);
    }
    assert!(!collector.has("NOSUCH") && !collector.has("secretkey"));
    assert!(!collector.has("PING"), "it was neither slow nor wrong");
}

#[test]
fn loads_and_full_resyncs_arrive_as_spans() {
    let collector = Collector::new();
    let endpoint = collector.endpoint.clone();
    let master = Server::limpid(&["--save", "", "--repl-diskless-sync-delay", "0"]);
    master.call(&words("SET secretkey secretvalue")).unwrap();
    master.call(&words("SAVE")).unwrap();
    let (dir, port) = (master.dir().to_str().unwrap().to_owned(), master.port().to_string());
    // It loads the master's file, without replication data, and then a full resync.
    let _replica = Server::limpid(&[
        "--dir",
        &dir,
        "--save",
        "",
        "--otlp-endpoint",
        &endpoint,
        "--replicaof",
        "127.0.0.1",
        &port,
    ]);
    for text in ["rdb.load", "replication.full_sync"] {
        collector.await_text(text);
    }
    assert!(!collector.has("secretkey") && !collector.has("secretvalue"));
}

#[test]
fn what_the_server_does_and_fails_at_ends_as_a_failed_span() {
    let (collector, folder) = (Collector::new(), tempfile::tempdir().unwrap());
    let (endpoint, dir) = (collector.endpoint.clone(), folder.path().to_str().unwrap().to_owned());
    let server = Server::limpid(&["--save", "", "--dir", &dir, "--otlp-endpoint", &endpoint]);
    folder.close().unwrap();
    server.call(&words("SAVE")).unwrap();
    collector.await_text("rdb.save");
    collector.await_text("No such file or directory");
}

/// A server that has sent some spans to `endpoint`.
fn traced(endpoint: &str) -> Server {
    let args = ["--save", "", "--otlp-endpoint", endpoint, "--trace-sample-every", "1"];
    let server = Server::limpid(&args);
    for _ in 0..3 {
        server.call(&words("PING")).unwrap();
    }
    server
}

/// Terminates the server; returns the time that took, and its log.
fn end(mut server: Server) -> (Duration, String) {
    let began = now();
    server.signal("TERM");
    server.wait_for_end(SOON).unwrap();
    (now() - began, server.log_text())
}

#[test]
fn a_collector_that_is_gone_is_logged_once_and_its_spans_are_counted() {
    let port = crate::support::server::free_port();
    let server = traced(&format!("http://127.0.0.1:{port}"));
    server.wait_for_log("takes no spans", SOON).unwrap();
    server.call(&words("PING")).unwrap();
    let (took, log) = end(server);
    assert_eq!(log.matches("takes no spans").count(), 1, "{log}");
    assert!(log.contains("Trace spans lost: "), "{log}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_collector_that_never_answers_does_not_hold_up_the_end() {
    // The kernel accepts connections; nobody reads from them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = traced(&format!("http://{}", listener.local_addr().unwrap()));
    let (took, log) = end(server);
    assert!(log.contains("3 not delivered at the end"), "{log}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}
