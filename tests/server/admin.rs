//! The admin server's connections: idle ones are closed, and keep nobody out meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::now;
use crate::support::server::{Server, free_port};

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(20);

/// A server, and its admin server's address.
fn watched(more: &[&str]) -> (Server, SocketAddr) {
    let port = free_port();
    let text = port.to_string();
    let server = Server::limpid(&[&["--save", "", "--admin-port", &text], more].concat());
    (server, ([127, 0, 0, 1], port).into())
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(LONG)).expect("a socket");
    stream
}

/// The answer to a request on a new connection.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = connect(address);
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn metric(address: SocketAddr, name: &str) -> f64 {
    let text = get(address, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
}

/// Whether the server closes the connection, whatever it sends before.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut sent = Vec::new();
    match stream.read_to_end(&mut sent) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn assert_lives(address: SocketAddr) {
    let began = now();
    let answer = get(address, "/livez");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let took = began.elapsed();
    assert!(took < Duration::from_millis(500), "/livez took {took:?}");
}

#[test]
fn two_thousand_connections_that_ask_nothing_keep_nobody_out_and_are_closed() {
    let (server, address) = watched(&["--admin-timeout", "1"]);
    let slow = |number: usize| {
        let mut stream = connect(address);
        // A third has sent nothing, a third half a head, a third has been answered.
        let sent = match number % 3 {
            0 => "",
            1 => "GET /livez HTTP/1.1\r\nHost:",
            _ => "GET /livez HTTP/1.1\r\nHost: test\r\n\r\n",
        };
        // The server may have closed it already, in favour of later ones.
        drop(stream.write_all(sent.as_bytes()));
        stream
    };
    let mut all = Vec::new();
    for number in 0..2000 {
        all.push(slow(number));
        if number % 200 == 199 {
            assert_lives(address);
            assert!(metric(address, "limpid_admin_connections") <= 128.0);
        }
    }
    assert!(metric(address, "limpid_admin_connections_cut_total") > 1800.0);
    for (number, stream) in all.iter_mut().enumerate() {
        assert!(is_closed(stream), "connection {number}");
    }
    assert_eq!(metric(address, "limpid_admin_connections"), 1.0, "its own");
    drop(server);
}

#[test]
fn a_client_that_takes_no_answer_is_closed() {
    let (_server, address) = watched(&["--admin-timeout", "1"]);
    let mut stream = connect(address);
    stream.set_nonblocking(true).unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n".repeat(100);
    let began = now();
    // Sends requests as far as it can, and reads nothing, until the server cuts it off.
    loop {
        match stream.write(&request) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(_) => break,
        }
        assert!(began.elapsed() < LONG, "it is still served");
    }
}

#[test]
fn pipelined_requests_are_answered_without_waiting_for_acknowledgements() {
    const ROUNDS: usize = 20;
    let (_server, address) = watched(&[]);
    let mut stream = connect(address);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = now();
        stream.write_all(&b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n".repeat(3)).unwrap();
        let mut text = String::new();
        while text.matches("HTTP/1.1 200").count() < 3 || !text.ends_with('}') {
            let mut piece = [0; 4096];
            let len = stream.read(&mut piece).unwrap();
            assert!(len > 0, "{text}");
            text.push_str(std::str::from_utf8(&piece[..len]).unwrap());
        }
        times.push(began.elapsed());
    }
    // With such waits all rounds but the first take 40 ms. What else runs here delays few.
    times.sort_unstable();
    assert!(times[ROUNDS / 2] < Duration::from_millis(38), "{times:?}");
}

#[test]
fn memory_is_told_apart_and_processor_time_is_by_thread() {
    let (server, address) = watched(&["--enable-debug-command", "yes", "--workers", "1"]);
    let memory = || {
        let names = ["used", "used_overhead", "used_dataset", "used_startup"];
        names.map(|name| metric(address, &format!("redis_memory_{name}_bytes")))
    };
    let [_, overhead_before, dataset_before, _] = memory();
    let populate: [&[u8]; 5] = [b"DEBUG", b"POPULATE", b"100000", b"key", b"500"];
    server.call(&populate).unwrap();
    let [used, overhead, dataset, startup] = memory();
    assert!(used >= overhead + dataset, "{used} {overhead} {dataset}");
    // Values of 500 bytes with keys of nine, plus 16 bytes and a slot in the table.
    let (data, beside) = (dataset - dataset_before, overhead - overhead_before);
    assert!((50e6..65e6).contains(&data), "{data} bytes of data");
    assert!((1.6e6..4e6).contains(&beside), "{beside} bytes beside");
    assert!(startup > 0.0 && startup < overhead, "{startup} {overhead}");
    let worked =
        metric(address, "limpid_thread_cpu_seconds_total{thread=\"worker-0\",mode=\"user\"}");
    assert!(worked > 0.0, "the worker made the keys");
    assert!(metric(address, "redis_cpu_user_main_thread_seconds_total") >= 0.0);
    let text = get(address, "/info?section=cpu");
    assert!(text.contains("used_cpu_sys_main_thread:"), "{text}");
}
