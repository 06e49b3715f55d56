//! Cost of observability: the same binary with everything on beside one with it off, and a scraped
//! server beside one without scrapes.
//!
//! `cargo bench --bench observed`: GET at depth 16, one worker, 1 M keys, interleaved rounds. This
//! process is the traces' collector. `-- quick` runs one short round.
#![allow(clippy::print_stdout, reason = "the results")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{Server, median};

const KEYS: usize = 1_000_000;
const CLIENTS: usize = 1000;
/// Interval between scrapes.
const SCRAPE: Duration = Duration::from_millis(100);

/// Starts a collector that answers requests and discards them. Returns its URL.
fn collector() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || drain(stream.expect("a connection")));
        }
    });
    format!("http://{address}")
}

/// Reads all bytes and answers each time they pause.
fn drain(mut stream: TcpStream) {
    let mut buffer = vec![0; 1 << 20];
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket");
    let mut asked = false;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => asked = true,
            Err(_) if asked => {
                asked = false;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                if stream.write_all(answer).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    listener.local_addr().expect("bound").port()
}

/// Scrapes the metrics, and measures the time.
fn scrape(port: u16) -> (String, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let request = b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    (text, began.elapsed())
}

/// CPU of the workers in microseconds per request.
fn cpu(server: &Server, requests: usize) -> f64 {
    let before = server.worker_nanos();
    server.load("get", 16, requests, KEYS);
    (server.worker_nanos() - before) as f64 / 1000.0 / requests as f64
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "quick");
    let (rounds, requests) = if quick { (1, 500_000) } else { (9, 3_000_000) };
    let endpoint = collector();
    let port = free_port();
    let admin = port.to_string();
    let off = Server::limpid(1, &["--admin-port", "0"]);
    let on = Server::limpid(
        1,
        &["--admin-port", &admin, "--otlp-endpoint", &endpoint, "--trace-sample-every", "1000"],
    );
    off.fill(KEYS);
    on.fill(KEYS);
    let (mut traced, mut scraped) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (plain, with_all) = (cpu(&off, requests), cpu(&on, requests));
        traced.push(with_all / plain);
        let over = AtomicBool::new(false);
        let while_scraped = thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    scrape(port);
                    thread::sleep(SCRAPE);
                }
            });
            let cpu = cpu(&on, requests);
            over.store(true, Ordering::Relaxed);
            cpu
        });
        scraped.push(while_scraped / with_all);
    }
    println!("| CPU of the worker per request | ratio | accepted |\n|---|---|---|");
    println!(
        "| admin server and traces (1 in 1000) on, against off | {:.3} | 1.03 |",
        median(traced)
    );
    println!("| ten scrapes a second, against none | {:.3} | 1.02 |", median(scraped));
    let clients: Vec<_> = (0..CLIENTS).map(|_| on.connect()).collect();
    let times: Vec<f64> = (0..100).map(|_| scrape(port).1.as_secs_f64() * 1000.0).collect();
    let most = times.iter().copied().fold(0.0, f64::max);
    println!(
        "\na scrape with {KEYS} keys and {} clients: median {:.2} ms, at most {most:.2} ms",
        clients.len(),
        median(times)
    );
}
