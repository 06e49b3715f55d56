//! Cost of large and many requests, beside redis-server 7.0.15: processor time of the server.
//!
//! `cargo bench --bench large`: one SET of 64 MB, `redis-cli --pipe` of 1 GB, a MULTI of 100,000
//! commands, a message of 32 MB to 100 subscribers, and an idle server for 20 s. Each may cost at
//! most four times as much as in redis-server, and an idle server no more than it. `-- quick`
//! divides the sizes by sixteen.
#![allow(clippy::print_stdout, reason = "the results")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod support;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use support::{Client, Server, command};

const MEGABYTE: usize = 1 << 20;

/// Size of the measurement.
#[derive(Clone, Copy, Debug)]
struct Scale {
    value: usize,
    pipe: usize,
    queued: usize,
    message: usize,
    subscribers: usize,
    idle: Duration,
}

/// A load on a server.
type Load = fn(&Server, Scale);

/// Reads and discards `len` bytes.
fn skip(client: &mut Client, len: usize) {
    let read = std::io::copy(&mut (&mut client.reader).take(len as u64), &mut std::io::sink());
    assert_eq!(read.expect("replies in time"), len as u64);
}

fn set(server: &Server, scale: Scale) {
    let mut bytes = Vec::new();
    command(&mut bytes, &[b"SET", b"large", &vec![b'v'; scale.value]]);
    let mut client = server.connect();
    client.writer.write_all(&bytes).expect("it reads");
    assert_eq!(client.line(), "+OK");
}

fn pipe(server: &Server, scale: Scale) {
    let mut part = Vec::new();
    for number in 0..10_000 {
        let key = format!("key:{number:08}");
        command(&mut part, &[b"SET", key.as_bytes(), &[b'v'; 100]]);
    }
    let mut cli = Command::new("redis-cli")
        .args(["-p", &server.port.to_string(), "--pipe"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-cli is installed");
    let mut input = cli.stdin.take().expect("piped");
    (0..scale.pipe / part.len()).for_each(|_| input.write_all(&part).expect("it reads"));
    drop(input);
    assert!(cli.wait().expect("it ends").success());
}

fn multi(server: &Server, scale: Scale) {
    let mut client = server.connect();
    let mut bytes = Vec::new();
    command(&mut bytes, &[b"MULTI"]);
    (0..scale.queued).for_each(|_| command(&mut bytes, &[b"SET", b"key", b"value"]));
    command(&mut bytes, &[b"EXEC"]);
    let head = format!("*{}\r\n", scale.queued).len();
    let mut writer = client.writer.try_clone().expect("a socket");
    let sending = thread::spawn(move || writer.write_all(&bytes).expect("it reads"));
    skip(&mut client, "+OK\r\n".len() + scale.queued * "+QUEUED\r\n+OK\r\n".len() + head);
    sending.join().expect("it sends");
}

fn publish(server: &Server, scale: Scale) {
    let mut subscribers: Vec<Client> = (0..scale.subscribers).map(|_| server.connect()).collect();
    for client in &mut subscribers {
        client.ask(&["SUBSCRIBE", "news"]);
        (0..5).for_each(|_| drop(client.line()));
    }
    let mut bytes = Vec::new();
    command(&mut bytes, &[b"message", b"news", &vec![b'm'; scale.message]]);
    let len = bytes.len();
    let readers: Vec<_> = subscribers
        .into_iter()
        .map(|mut client| thread::spawn(move || skip(&mut client, len)))
        .collect();
    bytes.clear();
    command(&mut bytes, &[b"PUBLISH", b"news", &vec![b'm'; scale.message]]);
    let mut client = server.connect();
    client.writer.write_all(&bytes).expect("it reads");
    assert_eq!(client.line(), format!(":{}", scale.subscribers));
    readers.into_iter().for_each(|reader| reader.join().expect("it reads all"));
}

fn rest(_: &Server, scale: Scale) {
    thread::sleep(scale.idle);
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "quick");
    let part = if quick { 16 } else { 1 };
    let scale = Scale {
        value: 64 * MEGABYTE / part,
        pipe: 1024 * MEGABYTE / part,
        queued: 100_000 / part,
        message: 32 * MEGABYTE / part,
        subscribers: 100,
        idle: Duration::from_secs(20) / u32::try_from(part).expect("small"),
    };
    let limit = ["--client-output-buffer-limit", "pubsub", "0", "0", "0"];
    let (redis, limpid) = (Server::redis(&limit), Server::limpid(1, &limit));
    // Let remaining work of the start finish.
    thread::sleep(Duration::from_secs(3));
    let loads: [(&str, Load, f64); 5] = [
        ("idle", rest, 1.0),
        ("SET of one large value", set, 4.0),
        ("redis-cli --pipe", pipe, 4.0),
        ("MULTI", multi, 4.0),
        ("PUBLISH to many", publish, 4.0),
    ];
    println!("| load | Redis ms CPU | limpid ms CPU | ratio | accepted |\n|---|---|---|---|---|");
    for (name, load, accepted) in loads {
        let [redis, limpid] = [&redis, &limpid].map(|server| {
            let before = server.cpu_nanos();
            load(server, scale);
            (server.cpu_nanos() - before) as f64 / 1e6
        });
        let ratio = limpid / redis;
        println!("| {name} | {redis:.1} | {limpid:.1} | {ratio:.2} | {accepted:.1} |");
    }
}
