//! CPU per request, throughput and memory per key, side by side with redis-server 7.0.15.
//!
//! `cargo bench --bench against_redis` prints the table in the README. One worker unless stated
//! otherwise, five interleaved rounds, medians; the load is redis-benchmark with 50 connections;
//! CPU is the server's own, from the operating system. `-- quick` runs one short round as a smoke
//! test.
#![allow(clippy::print_stdout, reason = "the results")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod support;

use support::{Server, median};

const KEYS: usize = 1_000_000;

/// Size of the measurement.
#[derive(Clone, Copy, Debug)]
struct Scale {
    rounds: usize,
    /// Number of requests at depth 1, 16 and 64.
    requests: [usize; 3],
}

/// One kind of load.
#[derive(Clone, Copy, Debug)]
struct Load {
    test: &'static str,
    depth: usize,
    requests: usize,
    /// Maximum accepted ratio of CPU per request to Redis's.
    accepted: f64,
}

fn loads(scale: Scale) -> Vec<Load> {
    let accepted = [("get", [0.95, 0.6, 0.35]), ("set", [0.95, 0.5, 0.35])];
    let depths = [1, 16, 64];
    let load = |test, depth: usize, accepted: [f64; 3]| Load {
        test,
        depth: depths[depth],
        requests: scale.requests[depth],
        accepted: accepted[depth],
    };
    let per_depth = |depth| accepted.map(|(test, accepted)| load(test, depth, accepted));
    (0..3).flat_map(per_depth).collect()
}

/// CPU in microseconds per request, and requests per second.
fn measure(server: &Server, load: Load) -> (f64, f64) {
    let before = server.cpu_nanos();
    let rate = server.load(load.test, load.depth, load.requests, KEYS);
    let cpu = (server.cpu_nanos() - before) as f64 / 1000.0 / load.requests as f64;
    (cpu, rate)
}

/// Redis's CPU and rate in one round, then limpid's.
type Round = ((f64, f64), (f64, f64));

fn requests(scale: Scale) {
    let (redis, limpid) = (Server::redis(&[]), Server::limpid(1, &[]));
    redis.fill(KEYS);
    limpid.fill(KEYS);
    println!(
        "| load | Redis µs CPU | limpid µs CPU | ratio | accepted | Redis req/s | limpid req/s |"
    );
    println!("|---|---|---|---|---|---|---|");
    for load in loads(scale) {
        let mut rounds = Vec::new();
        for _ in 0..scale.rounds {
            rounds.push((measure(&redis, load), measure(&limpid, load)));
        }
        let of = |pick: fn(&Round) -> f64| median(rounds.iter().map(pick).collect());
        println!(
            "| {} depth {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} |",
            load.test.to_uppercase(),
            load.depth,
            of(|(redis, _)| redis.0),
            of(|(_, limpid)| limpid.0),
            of(|(redis, limpid)| limpid.0 / redis.0),
            load.accepted,
            of(|(redis, _)| redis.1),
            of(|(_, limpid)| limpid.1),
        );
    }
}

/// Compares two workers with one: the same loads must not become slower.
fn workers(scale: Scale) {
    let (one, two) = (Server::limpid(1, &[]), Server::limpid(2, &[]));
    one.fill(KEYS);
    two.fill(KEYS);
    println!("\n| load | one worker req/s | two workers req/s | ratio |\n|---|---|---|---|");
    for load in loads(scale) {
        let rates: Vec<(f64, f64)> =
            (0..scale.rounds).map(|_| (measure(&one, load).1, measure(&two, load).1)).collect();
        let of = |pick: fn(&(f64, f64)) -> f64| median(rates.iter().map(pick).collect());
        println!(
            "| {} depth {} | {:.0} | {:.0} | {:.2} |",
            load.test.to_uppercase(),
            load.depth,
            of(|(one, _)| *one),
            of(|(_, two)| *two),
            of(|(one, two)| two / one),
        );
    }
}

/// Memory per key (16-byte key and value) over key counts from 700,000 to 1,500,000.
fn memory() {
    println!("\n| keys | Redis bytes per key | limpid bytes per key | limpid resident per key |");
    println!("|---|---|---|---|");
    let mut sums = [0.0; 3];
    let counts: Vec<usize> = (700_000..=1_500_000).step_by(100_000).collect();
    for &count in &counts {
        let used = |server: &Server| {
            let mut client = server.connect();
            let before = client.info("memory", "used_memory");
            let resident = server.resident_bytes();
            server.fill(count);
            let per_key = |after: u64, before: u64| (after - before) as f64 / count as f64;
            let used = per_key(client.info("memory", "used_memory"), before);
            (used, per_key(server.resident_bytes(), resident))
        };
        let ((redis, _), (limpid, resident)) =
            (used(&Server::redis(&[])), used(&Server::limpid(1, &[])));
        println!("| {count} | {redis:.1} | {limpid:.1} | {resident:.1} |");
        for (sum, value) in sums.iter_mut().zip([redis, limpid, resident]) {
            *sum += value / counts.len() as f64;
        }
    }
    let [redis, limpid, resident] = sums;
    println!("| average | {redis:.1} | {limpid:.1} | {resident:.1} |");
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "quick");
    let scale = if quick {
        Scale { rounds: 1, requests: [50_000, 500_000, 1_000_000] }
    } else {
        Scale { rounds: 5, requests: [300_000, 3_000_000, 5_000_000] }
    };
    requests(scale);
    workers(scale);
    memory();
}
