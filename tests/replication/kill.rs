//! A master killed by SIGKILL: its replica has every acknowledged write.

use crate::nodes::{args, until};
use crate::support::connection::{Connection, encode};
use crate::support::reply::Reply;
use crate::support::server::Server;
use std::io::{Cursor, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Number of kills in each test; `KILLS` in the environment overrides it.
const KILLS: usize = 20;

fn kills() -> usize {
    std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap())
}

/// Reads everything that a master sends after a PSYNC, at full speed, until the connection ends.
fn drain(port: u16) -> JoinHandle<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    std::io::Write::write_all(&mut stream, b"PSYNC ? -1\r\n").unwrap();
    thread::spawn(move || {
        let (mut all, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
        // A reset is an end too.
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            all.extend_from_slice(&buffer[..len]);
        }
        all
    })
}

/// Sets keys `name:0`, `name:1`, ... in pipelines until the connection ends; counts acknowledged
/// ones.
fn write(mut client: Connection, name: usize, depth: usize, acked: &AtomicU64) {
    let mut number = 0;
    loop {
        let mut bytes = Vec::new();
        for _ in 0..depth {
            let key = format!("{name}:{number}").into_bytes();
            bytes.extend(encode(&[b"SET".to_vec(), key, b"value".to_vec()]));
            number += 1;
        }
        let sent = client.send_raw(&bytes);
        for _ in 0..depth {
            match client.read_reply() {
                Ok(Reply::Simple(text)) if text == b"OK" => acked.fetch_add(1, Ordering::SeqCst),
                Ok(other) => panic!("{other}"),
                Err(_) => return,
            };
        }
        if sent.is_err() {
            return;
        }
    }
}

/// Counts each client's keys in a stream after a full resync; they must be in order.
fn received(all: &[u8], clients: usize) -> Vec<u64> {
    let mut counts = vec![0; clients];
    // The answer to PSYNC, possibly keepalive lines, and an RDB with a length.
    let at = all.windows(2).position(|pair| pair == b"\n$").expect("a full resync") + 2;
    let line_end = at + all[at..].iter().position(|&byte| byte == b'\r').unwrap();
    let len: usize = std::str::from_utf8(&all[at..line_end]).unwrap().parse().unwrap();
    let mut stream = Cursor::new(&all[line_end + 2 + len..]);
    while let Ok(Reply::Array(words)) = Reply::read(&mut stream) {
        let [Reply::Bulk(name), Reply::Bulk(key), ..] = &words[..] else { continue };
        if name != b"SET" {
            continue;
        }
        let key = std::str::from_utf8(key).unwrap();
        let (client, number) = key.split_once(':').unwrap();
        let count: &mut u64 = &mut counts[client.parse::<usize>().unwrap()];
        assert_eq!(number.parse::<u64>(), Ok(*count), "the stream is in order");
        *count += 1;
    }
    counts
}

/// The result of one kill.
#[derive(Debug)]
enum Outcome {
    /// The socket to the replica was full at some time: later writes may be missing.
    Full,
    /// Number of missing acknowledged writes.
    Missing(u64),
}

fn kill_once(clients: usize, depth: usize, after: u64) -> Outcome {
    // At this level it logs when the socket to a replica is full.
    let mut master = Server::limpid(&args(&["--loglevel", "debug"]));
    let receiver = drain(master.port());
    until("the replica is online", || {
        crate::nodes::info_text(&master, "replication").contains("state=online")
    });
    let acked: Arc<Vec<AtomicU64>> = Arc::new((0..clients).map(|_| AtomicU64::new(0)).collect());
    let writers: Vec<_> = (0..clients)
        .map(|name| {
            let (client, acked) = (master.connect(), Arc::clone(&acked));
            thread::spawn(move || write(client, name, depth, &acked[name]))
        })
        .collect();
    let acknowledged =
        || acked.iter().map(|count| count.load(Ordering::SeqCst)).collect::<Vec<_>>();
    while acknowledged().iter().sum::<u64>() < after {
        std::hint::spin_loop();
    }
    master.kill();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let received = received(&receiver.join().unwrap(), clients);
    assert!(master.wait_for_end(Duration::from_secs(10)).is_some());
    if master.log_text().contains("The socket to replica") {
        return Outcome::Full;
    }
    let missing =
        acknowledged().into_iter().zip(received).map(|(acked, got)| acked.saturating_sub(got));
    Outcome::Missing(missing.sum())
}

fn kill_often(clients: usize, depth: usize) {
    let (mut counted, mut full, mut lost) = (0, 0, Vec::new());
    while counted < kills() {
        // A different time in the first milliseconds for each kill.
        let after = (clients * depth) as u64 + 37 * (counted as u64 % 50);
        match kill_once(clients, depth, after) {
            Outcome::Full => full += 1,
            Outcome::Missing(missing) => {
                counted += 1;
                lost.extend((missing > 0).then_some(missing));
            }
        }
        assert!(full <= 10 + counted, "the socket to the replica is full as a rule");
    }
    let runs = lost.len();
    assert!(lost.is_empty(), "in {runs} of {counted} kills acknowledged writes are lost: {lost:?}");
    eprintln!("{counted} kills lost nothing; in {full} more the replica's socket was full");
}

#[test]
fn a_lone_client_loses_nothing() {
    kill_often(1, 1);
}

#[test]
fn many_clients_with_pipelines_lose_nothing() {
    kill_often(32, 16);
}
