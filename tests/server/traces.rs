//! Traces: what a collector gets by OTLP over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::now;
use crate::support::server::Server;
use crate::words;

/// How long spans may take to arrive: they are sent in batches, every few seconds.
const SOON: Duration = Duration::from_secs(30);

/// A collector that keeps all it gets.
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
    for command in ["SET a x", "PING", "DEBUG SLEEP 0.1", "INCR a"] {
        server.call(&words(command)).unwrap();
    }
    for text in ["DEBUG", "INCR ?", "error.type", "ERR"] {
        collector.await_text(text);
    }
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
    // It loads the master's file, of no history, and then takes a full resync.
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
