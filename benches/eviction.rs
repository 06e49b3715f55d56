//! Eviction, side by side with redis-server 7.0.15.
//!
//! `cargo bench --bench eviction` prints the tables in the README, in less than five minutes. Limit:
//! 1 M writes of mixed types under 100 MB, policy by policy; the most memory counted after a batch,
//! which for limpid must stay within 2% of the limit. Hits: a cache in front of a Zipf-distributed
//! load that holds as many keys on both. Delay: latency of writes that all evict. `-- limit`,
//! `-- hits` and `-- delay` measure that alone; `-- quick` is a smoke test.
#![allow(clippy::print_stdout, reason = "the results")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use support::open_loop::{Load, percentile};
use support::{Client, Server, command};

const LIMIT: u64 = 100 << 20;
/// How much beyond the limit limpid may count after a batch.
const BEYOND_MAX: u64 = LIMIT / 50;
/// Commands in one write.
const BATCH: u64 = 100;

const POLICIES: &[&str] = &[
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "noeviction",
];

/// A pseudo-random number that follows from another (SplitMix64).
fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A write of one of several types, and its expiry by a second command. All together take some
/// three times the limit.
fn mixed(bytes: &mut Vec<u8>, number: u64) -> usize {
    let value = random(number);
    let key = format!("key:{:09}", value % 2_000_000);
    let kind = value % 5;
    let key = format!("{kind}:{key}");
    let word = format!("word:{value:0>120}");
    match kind {
        0 => command(bytes, &[b"SET", key.as_bytes(), &[b'v'; 600][..(value % 600) as usize]]),
        1 => command(bytes, &[b"RPUSH", key.as_bytes(), word.as_bytes(), word.as_bytes()]),
        2 => command(bytes, &[b"HSET", key.as_bytes(), word.as_bytes(), word.as_bytes()]),
        3 => command(bytes, &[b"ZADD", key.as_bytes(), b"1", word.as_bytes()]),
        _ => command(bytes, &[b"SADD", key.as_bytes(), word.as_bytes()]),
    }
    let seconds = (1000 + value % 10_000).to_string();
    command(bytes, &[b"EXPIRE", key.as_bytes(), seconds.as_bytes()]);
    2
}

/// Reads one reply; returns whether it was an error, or nothing.
fn reply(client: &mut Client) -> (bool, bool) {
    let line = client.line();
    if let Some(len) = line.strip_prefix('$').and_then(|len| len.parse::<usize>().ok()) {
        let mut bytes = vec![0; len + 2];
        client.reader.read_exact(&mut bytes).expect("the reply is whole");
    }
    (line.starts_with('-'), line == "$-1")
}

/// The memory that counts for the limit.
fn counted(client: &mut Client) -> u64 {
    let text = client.info_section("memory");
    let number = |field: &str| -> u64 {
        let value = text.lines().find_map(|line| line.strip_prefix(field));
        value.and_then(|value| value.trim().parse().ok()).expect("INFO memory has it")
    };
    number("used_memory:").saturating_sub(number("mem_not_counted_for_evict:"))
}

/// What came of the writes.
struct Outcome {
    /// Most bytes counted after a batch.
    most: u64,
    refused: usize,
}

/// Writes, and looks at memory after each batch, or each ten for Redis.
fn write_mixed(server: &Server, writes: u64, looks_every: u64) -> Outcome {
    let (mut client, mut looker) = (server.connect(), server.connect());
    let mut outcome = Outcome { most: 0, refused: 0 };
    for first in (0..writes).step_by(BATCH as usize) {
        let mut request = Vec::new();
        let replies: usize = (first..first + BATCH).map(|number| mixed(&mut request, number)).sum();
        client.writer.write_all(&request).expect("it reads");
        outcome.refused += (0..replies).filter(|_| reply(&mut client).0).count();
        if first % (looks_every * BATCH) == 0 {
            outcome.most = outcome.most.max(counted(&mut looker));
        }
    }
    outcome
}

fn limit(divisor: u64) {
    println!(
        "\n| 1 M mixed writes under 100 MB | server | most counted | left | evicted | refused |\n\
         |---|---|---|---|---|---|"
    );
    let (bytes, writes) = (LIMIT / divisor, 1_000_000 / divisor);
    let share = |used: u64| used as f64 * 100.0 / bytes as f64;
    for policy in POLICIES {
        let text = bytes.to_string();
        let settings = ["--maxmemory", &text, "--maxmemory-policy", policy];
        for (server, looks_every) in
            [(Server::redis(&settings), 10), (Server::limpid(2, &settings), 1)]
        {
            let Outcome { most, refused } = write_mixed(&server, writes, looks_every);
            let mut looker = server.connect();
            let evicted = looker.info("stats", "evicted_keys");
            println!(
                "| {policy} | {} | {:.2}% | {:.2}% | {evicted} | {refused} |",
                server.name,
                share(most),
                share(counted(&mut looker)),
            );
            // Otherwise the limit was never reached.
            assert!(if *policy == "noeviction" { refused > 0 } else { evicted > 0 });
            assert!(server.name == "redis" || most <= bytes + BEYOND_MAX, "{policy}");
        }
    }
}

/// Numbers below a count, the lower the likelier: a Zipf distribution.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(count: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut sums: Vec<f64> = (1..=count)
            .map(|rank| {
                sum += 1.0 / (rank as f64).powf(exponent);
                sum
            })
            .collect();
        sums.iter_mut().for_each(|part| *part /= sum);
        Self(sums)
    }

    fn pick(&self, seed: u64) -> usize {
        let chance = (random(seed) >> 11) as f64 / (1_u64 << 53) as f64;
        self.0.partition_point(|&part| part < chance)
    }
}

/// Sets a key; returns nothing. Keys scatter the ranks.
fn set(request: &mut Vec<u8>, rank: usize) {
    let key = format!("key:{:016x}", random(rank as u64));
    command(request, &[b"SET", key.as_bytes(), &[b'v'; 100]]);
}

/// The share of reads that hit after a warm-up of as many, and the keys held in the end.
fn hit_rate(server: &Server, zipf: &Zipf, requests: u64) -> (f64, u64) {
    let mut client = server.connect();
    let mut hits = 0;
    for first in (0..2 * requests).step_by(BATCH as usize) {
        let picked: Vec<usize> = (first..first + BATCH).map(|seed| zipf.pick(seed)).collect();
        let mut request = Vec::new();
        for rank in &picked {
            let key = format!("key:{:016x}", random(*rank as u64));
            command(&mut request, &[b"GET", key.as_bytes()]);
        }
        client.writer.write_all(&request).expect("it reads");
        let mut fill = Vec::new();
        let mut missed = 0;
        for rank in &picked {
            if reply(&mut client).1 {
                missed += 1;
                set(&mut fill, *rank);
            } else if first >= requests {
                hits += 1;
            }
        }
        client.writer.write_all(&fill).expect("it reads");
        (0..missed).for_each(|_| assert!(!reply(&mut client).0));
    }
    let held = client.ask(&["DBSIZE"]).trim_start_matches(':').parse().expect("a number");
    (f64::from(hits) * 100.0 / requests as f64, held)
}

fn hits(divisor: u64) {
    let (keys, requests) = (1_000_000 / divisor as usize, 1_000_000 / divisor);
    let zipf = Zipf::new(keys, 0.9);
    println!("\n| hits of {keys} keys | Redis 7.0.15 | keys held | limpid | keys held |");
    println!("|---|---|---|---|---|");
    let limit = ((20 << 20) / divisor + (2 << 20)).to_string();
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        let settings = ["--maxmemory", &limit, "--maxmemory-policy", policy];
        let (redis, many) = hit_rate(&Server::redis(&settings), &zipf, requests);
        let (limpid, more) = hit_rate(&Server::limpid(1, &settings), &zipf, requests);
        println!("| {policy} | {redis:.2}% | {many} | {limpid:.2}% | {more} |");
    }
}

fn delay(divisor: u64) {
    let duration = Duration::from_millis(10_000 / divisor);
    println!(
        "\n| 20,000 writes/s that all evict | p50 ms | p99 ms | p99.9 ms |\n|---|---|---|---|"
    );
    for policy in ["allkeys-lru", "allkeys-lfu"] {
        for start in [Server::redis as fn(&[&str]) -> Server, |more| Server::limpid(1, more)] {
            let text = (20 << 20).to_string();
            let server = start(&["--maxmemory", &text, "--maxmemory-policy", policy]);
            server.fill(400_000);
            let load = Load { writes_per_second: 20_000, keys: 100_000_000 };
            let writes = load.run(&server, Instant::now(), duration, 7);
            let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| percentile(&writes, share));
            println!("| {policy}, {} | {p50:.2} | {p99:.2} | {p999:.2} |", server.name);
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = |word: &str| arguments.iter().any(|argument| argument == word);
    let divisor = if asked("quick") { 20 } else { 1 };
    let all = !["limit", "hits", "delay"].into_iter().any(asked);
    if all || asked("limit") {
        limit(divisor);
    }
    if all || asked("hits") {
        hits(divisor);
    }
    if all || asked("delay") {
        delay(divisor);
    }
}
