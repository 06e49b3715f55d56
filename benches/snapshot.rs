//! What a background save costs the writers: latency under an open-loop load, quiet and during
//! BGSAVE.
//!
//! `cargo bench --bench snapshot`: one worker, 2 M keys, 40,000 writes per second sent when they
//! are due whether or not earlier ones were answered; a write's latency counts from when it was
//! due. Five rounds; the median round's p99.9 counts. `-- quick` makes one short round.
#![allow(clippy::print_stdout, reason = "the results")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod support;

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use support::{Client, Server, command, median, wait_for};

const KEYS: usize = 2_000_000;
const WRITES_PER_SECOND: u64 = 40_000;
const CONNECTIONS: usize = 4;
/// The sender wakes up this often.
const TICK: Duration = Duration::from_micros(100);

/// When a write was due, from the beginning of the load, and how long it took.
type Timed = (Duration, Duration);

/// Sends writes for a while from `began` on.
fn writes(server: &Server, began: Instant, duration: Duration, seed: u64) -> Vec<Timed> {
    let total = WRITES_PER_SECOND * duration.as_millis() as u64 / 1000;
    let clients: Vec<Client> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    let due = |write: u64| Duration::from_nanos(write * 1_000_000_000 / WRITES_PER_SECOND);
    let mut readers = Vec::new();
    let mut writers = Vec::new();
    for (index, client) in clients.into_iter().enumerate() {
        let Client { mut reader, writer } = client;
        writers.push(writer);
        let own: Vec<u64> = (0..total).skip(index).step_by(CONNECTIONS).collect();
        readers.push(thread::spawn(move || {
            let mut latencies = Vec::with_capacity(own.len());
            let mut reply = [0; 5];
            for write in own {
                reader.read_exact(&mut reply).expect("a reply");
                assert_eq!(&reply, b"+OK\r\n");
                latencies.push((due(write), began.elapsed().saturating_sub(due(write))));
            }
            latencies
        }));
    }
    let mut random = seed | 1;
    let mut sent = 0;
    while sent < total {
        let now = began.elapsed();
        let mut bytes: [Vec<u8>; CONNECTIONS] = Default::default();
        while sent < total && due(sent) <= now {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let key = format!("key:{:012}", random % KEYS as u64);
            let value = format!("value:{:010}", sent % 10_000_000_000);
            let connection = sent as usize % CONNECTIONS;
            command(&mut bytes[connection], &[b"SET", key.as_bytes(), value.as_bytes()]);
            sent += 1;
        }
        for (writer, bytes) in writers.iter_mut().zip(&bytes) {
            writer.write_all(bytes).expect("it reads");
        }
        thread::sleep(TICK);
    }
    readers.into_iter().flat_map(|reader| reader.join().expect("no panic")).collect()
}

/// A percentile of the latencies, in milliseconds.
fn percentile(writes: &[Timed], share: f64) -> f64 {
    let mut latencies: Vec<Duration> = writes.iter().map(|(_, latency)| *latency).collect();
    latencies.sort_unstable();
    latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0
}

/// A save under load.
struct Saved {
    /// The writes that were due while it ran.
    writes: Vec<Timed>,
    took: Duration,
    retained_bytes: u64,
}

fn save_under_load(server: &Server, control: &mut Client, seed: u64) -> Saved {
    let began = Instant::now();
    let load = Duration::from_secs(4);
    thread::scope(|scope| {
        let loaded = scope.spawn(|| writes(server, began, load, seed));
        thread::sleep(Duration::from_millis(500));
        let saves = control.info("persistence", "rdb_saves");
        let start = began.elapsed();
        assert_eq!(control.ask(&["BGSAVE"]), "+Background saving started");
        let mut retained_bytes = 0;
        wait_for("the save", || {
            retained_bytes = control.info("persistence", "current_cow_peak").max(retained_bytes);
            control.info("persistence", "rdb_saves") > saves
        });
        let end = began.elapsed();
        let all = loaded.join().expect("no panic");
        assert!(end < load, "the load went on for the whole save");
        let writes = all.into_iter().filter(|(due, _)| *due >= start && *due < end).collect();
        Saved { writes, took: end - start, retained_bytes }
    })
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "quick");
    let (rounds, quiet_for) =
        if quick { (1, Duration::from_secs(1)) } else { (5, Duration::from_secs(5)) };
    let server = Server::limpid(1, &[]);
    server.fill(KEYS);
    println!(
        "| round | quiet p50 | quiet p99.9 | BGSAVE p50 | BGSAVE p99.9 | save s | retained KiB |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut control = server.connect();
    let (mut quiet_all, mut saving_all) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let quiet = writes(&server, Instant::now(), quiet_for, round + 1);
        let saved = save_under_load(&server, &mut control, round + 100);
        quiet_all.push(percentile(&quiet, 0.999));
        saving_all.push(percentile(&saved.writes, 0.999));
        println!(
            "| {} | {:.2} ms | {:.2} ms | {:.2} ms | {:.2} ms | {:.2} | {:.1} |",
            round + 1,
            percentile(&quiet, 0.5),
            percentile(&quiet, 0.999),
            percentile(&saved.writes, 0.5),
            percentile(&saved.writes, 0.999),
            saved.took.as_secs_f64(),
            saved.retained_bytes as f64 / 1024.0,
        );
    }
    let (quiet, saving) = (median(quiet_all), median(saving_all));
    println!("\nmedian p99.9: quiet {quiet:.2} ms, during BGSAVE {saving:.2} ms");
}
