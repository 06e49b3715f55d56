//! Cost of replicas for a master, beside redis-server 7.0.15.
//!
//! `cargo bench --bench replication`: CPU of the master per SET, with none, one and two replicas,
//! at depth 16 and one by one from 50 clients, five interleaved rounds; the time that WAIT takes
//! with two replicas; a full sync of 5 M keys under 20,000 writes per second; and the lag of
//! replicas that only read their bytes, under 400 clients at depth 50. Each server has replicas of
//! its own kind. `-- quick` runs one short round; `-- cost`, `-- waits`, `-- full-sync` and `-- flood`
//! measure that alone; `-- beside PATH` measures another build of limpid too.
#![allow(clippy::print_stdout, reason = "the results")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod support;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use support::open_loop::{Load, percentile};
use support::{Server, median, wait_for};

/// Size of the measurement.
#[derive(Clone, Copy, Debug)]
struct Scale {
    rounds: usize,
    requests: usize,
    waits: usize,
    keys: usize,
}

/// A program to measure: redis-server, this limpid, or another build of it.
#[derive(Clone, Debug)]
enum Start {
    Redis,
    Limpid,
    Other(String),
}

impl Start {
    fn server(&self, arguments: &[&str]) -> Server {
        match self {
            Self::Redis => Server::redis(arguments),
            Self::Limpid => Server::limpid(1, arguments),
            Self::Other(program) => Server::other(program, 1, arguments),
        }
    }
}

/// A master with replicas that have caught up.
struct Group {
    master: Server,
    replicas: Vec<Server>,
}

impl Group {
    fn start(start: &Start, replicas: usize) -> Self {
        let master = start.server(&["--repl-diskless-sync-delay", "0"]);
        let mut group = Self { master, replicas: Vec::new() };
        for _ in 0..replicas {
            let replica = follow(start, &group.master);
            group.replicas.push(replica);
        }
        let mut client = group.master.connect();
        client.ask(&["SET", "a", "1"]);
        let all = format!(":{replicas}");
        wait_for("the replicas", || client.ask(&["WAIT", &replicas.to_string(), "100"]) == all);
        group
    }
}

/// Starts a replica of a master.
fn follow(start: &Start, master: &Server) -> Server {
    let port = master.port.to_string();
    start.server(&["--replicaof", "127.0.0.1", &port])
}

/// µs CPU per request and requests per second of each server.
type Round = Vec<(f64, f64)>;

/// Runs one part of the benchmark on some servers.
type Part = fn(Scale, &[Start]);

/// A kind of load, and the accepted ratio to Redis with replicas.
struct Kind {
    name: &'static str,
    depth: usize,
    /// Divisor of the scale's number of requests.
    part: usize,
    accepted: f64,
}

const KINDS: [Kind; 2] = [
    Kind { name: "SET depth 16", depth: 16, part: 1, accepted: 0.5 },
    Kind { name: "SET, 50 clients at depth 1", depth: 1, part: 5, accepted: 0.95 },
];

fn cost(scale: Scale, starts: &[Start]) {
    println!(
        "| load | replicas | server | µs CPU | to Redis | to the other build | accepted | req/s |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for replicas in 0..=2 {
        let groups: Vec<_> = starts.iter().map(|start| Group::start(start, replicas)).collect();
        for kind in &KINDS {
            let requests = scale.requests / kind.part;
            let measure = |group: &Group| {
                let before = group.master.cpu_nanos();
                let rate = group.master.load("set", kind.depth, requests, 1_000_000);
                let nanos = (group.master.cpu_nanos() - before) as f64;
                (nanos / 1000.0 / requests as f64, rate)
            };
            let rounds: Vec<Round> =
                (0..scale.rounds).map(|_| groups.iter().map(measure).collect()).collect();
            let of = |pick: &dyn Fn(&Round) -> f64| median(rounds.iter().map(pick).collect());
            for (at, start) in starts.iter().enumerate() {
                let accepted = match (start, replicas) {
                    (Start::Limpid, 1..) => format!("{:.2}", kind.accepted),
                    _ => String::new(),
                };
                println!(
                    "| {} | {replicas} | {} | {:.2} | {:.2} | {:.2} | {accepted} | {:.0} |",
                    kind.name,
                    groups[at].master.name,
                    of(&|round| round[at].0),
                    of(&|round| round[at].0 / round[0].0),
                    of(&|round| round[at].0 / round[round.len() - 1].0),
                    of(&|round| round[at].1),
                );
            }
        }
    }
}

fn waits(scale: Scale, starts: &[Start]) {
    println!("\n| WAIT 2, two replicas | p50 ms | p99 ms | most over a timeout of 20 ms |");
    println!("|---|---|---|---|");
    for start in starts {
        let group = Group::start(start, 2);
        let mut client = group.master.connect();
        let mut taken = Vec::new();
        for number in 0..scale.waits {
            client.ask(&["SET", "a", &number.to_string()]);
            let began = Instant::now();
            assert_eq!(client.ask(&["WAIT", "2", "1000"]), ":2");
            taken.push((Duration::ZERO, began.elapsed()));
        }
        let mut over = Duration::ZERO;
        for number in 0..scale.waits / 40 {
            client.ask(&["SET", "a", &number.to_string()]);
            let began = Instant::now();
            assert_eq!(client.ask(&["WAIT", "3", "20"]), ":2");
            over = over.max(began.elapsed().saturating_sub(Duration::from_millis(20)));
        }
        println!(
            "| {} | {:.3} | {:.3} | {:.1} ms |",
            group.master.name,
            percentile(&taken, 0.5),
            percentile(&taken, 0.99),
            over.as_secs_f64() * 1000.0
        );
    }
}

fn full_sync(scale: Scale, starts: &[Start]) {
    println!("\n| full sync of {} keys | seconds | extra memory of the master |", scale.keys);
    println!("|---|---|---|");
    let load = Load { writes_per_second: 20_000, keys: scale.keys };
    for start in starts {
        let master = start.server(&["--repl-diskless-sync-delay", "0"]);
        master.fill(scale.keys);
        let before = master.memory_bytes();
        let writing = Duration::from_secs(if scale.rounds == 1 { 5 } else { 30 });
        let (took, most) = thread::scope(|scope| {
            let writes = scope.spawn(|| load.run(&master, Instant::now(), writing, 1));
            let began = Instant::now();
            let replica = follow(start, &master);
            let mut client = replica.connect();
            let mut most = before;
            wait_for("the full sync", || {
                most = most.max(master.memory_bytes());
                client.info_text("replication", "master_link_status") == "up"
            });
            let took = began.elapsed();
            drop(writes.join().expect("no panic"));
            let mut own = master.connect();
            let end = own.info("replication", "master_repl_offset");
            wait_for("the stream", || client.info("replication", "slave_repl_offset") >= end);
            (took, most)
        });
        println!(
            "| {} | {:.1} | {:.0} MiB |",
            master.name,
            took.as_secs_f64(),
            (most - before) as f64 / f64::from(1 << 20)
        );
    }
}

/// A replica that only reads: counts the bytes after PSYNC until it is cut.
struct Drain {
    taken: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Drain {
    fn start(master: &Server) -> Self {
        let mut client = master.connect();
        let line = client.ask(&["PSYNC", "?", "-1"]);
        let offset = line.rsplit(' ').next().and_then(|offset| offset.parse::<u64>().ok());
        let offset = offset.unwrap_or_else(|| panic!("no full resync: {line}"));
        let mut header = client.line();
        while !header.starts_with('$') {
            header = client.line();
        }
        let len: usize = header[1..].parse().expect("a length");
        let mut rdb = vec![0; len];
        client.reader.read_exact(&mut rdb).expect("an RDB");
        let taken = Arc::new(AtomicU64::new(offset));
        let counts = Arc::clone(&taken);
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            while let Ok(len @ 1..) = client.reader.read(&mut buffer) {
                counts.fetch_add(len as u64, Ordering::Relaxed);
            }
        });
        Self { taken, thread }
    }
}

fn flood(scale: Scale, starts: &[Start]) {
    println!("\n| 400 clients at depth 50 | replicas | most behind | cut | req/s |");
    println!("|---|---|---|---|---|");
    for replicas in 1..=2 {
        for start in starts {
            let master = start.server(&["--repl-diskless-sync-delay", "0"]);
            let drains: Vec<_> = (0..replicas).map(|_| Drain::start(&master)).collect();
            let over = AtomicBool::new(false);
            let (rate, most) = thread::scope(|scope| {
                let watch = scope.spawn(|| {
                    let (mut client, mut most) = (master.connect(), 0);
                    while !over.load(Ordering::Relaxed) {
                        // Read first, so that this is a lower bound when the master reports its
                        // offset.
                        let taken = drains.iter().map(|drain| drain.taken.load(Ordering::Relaxed));
                        let least = taken.min().unwrap_or_default();
                        let end = client.info("replication", "master_repl_offset");
                        most = most.max(end.saturating_sub(least));
                        thread::sleep(Duration::from_millis(20));
                    }
                    most
                });
                let rate = master.flood(scale.requests / 4 * 3);
                over.store(true, Ordering::Relaxed);
                (rate, watch.join().expect("no panic"))
            });
            let cut = drains.iter().filter(|drain| drain.thread.is_finished()).count();
            println!(
                "| {} | {replicas} | {:.0} MB | {cut} | {rate:.0} |",
                master.name,
                most as f64 / 1e6
            );
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let scale = if has("quick") {
        Scale { rounds: 1, requests: 300_000, waits: 200, keys: 300_000 }
    } else {
        Scale { rounds: 5, requests: 2_000_000, waits: 4000, keys: 5_000_000 }
    };
    let mut starts = vec![Start::Redis, Start::Limpid];
    if let Some(at) = arguments.iter().position(|argument| argument == "beside") {
        starts.push(Start::Other(arguments.get(at + 1).expect("a path behind `beside`").clone()));
    }
    let parts: [(&str, Part); 4] =
        [("cost", cost), ("waits", waits), ("full-sync", full_sync), ("flood", flood)];
    let some = parts.iter().any(|(name, _)| has(name));
    parts.iter().filter(|(name, _)| !some || has(name)).for_each(|(_, part)| part(scale, &starts));
}
