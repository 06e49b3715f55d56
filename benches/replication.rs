//! What replicas cost a master, beside redis-server 7.0.15.
//!
//! `cargo bench --bench replication`: CPU of the master per SET at depth 16 with one replica, five
//! interleaved rounds; the time that WAIT takes with two replicas; a full sync of 5 M keys under
//! 20,000 writes per second. Each server has replicas of its own kind. `-- quick` makes one short
//! round.
#![allow(clippy::print_stdout, reason = "the results")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::open_loop::{Load, percentile};
use support::{Server, median, wait_for};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Scale {
    rounds: usize,
    requests: usize,
    waits: usize,
    keys: usize,
}

/// Starts a server of one kind.
type Start = fn(&[&str]) -> Server;

fn redis(arguments: &[&str]) -> Server {
    Server::redis(arguments)
}

fn limpid(arguments: &[&str]) -> Server {
    Server::limpid(1, arguments)
}

/// A master with replicas that have caught up.
struct Group {
    master: Server,
    replicas: Vec<Server>,
}

impl Group {
    fn start(start: Start, replicas: usize) -> Self {
        let master = start(&["--repl-diskless-sync-delay", "0"]);
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

/// A replica that has begun to follow a master.
fn follow(start: Start, master: &Server) -> Server {
    let port = master.port.to_string();
    start(&["--replicaof", "127.0.0.1", &port])
}

fn cost(scale: Scale) {
    let groups = [Group::start(redis, 1), Group::start(limpid, 1)];
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        rounds.push(groups.each_ref().map(|group| {
            let before = group.master.cpu_nanos();
            let rate = group.master.load("set", 16, scale.requests, 1_000_000);
            let cpu = (group.master.cpu_nanos() - before) as f64 / 1000.0 / scale.requests as f64;
            (cpu, rate)
        }));
    }
    let of = |pick: fn(&[(f64, f64); 2]) -> f64| median(rounds.iter().map(pick).collect());
    println!(
        "| load | Redis µs CPU | limpid µs CPU | ratio | accepted | Redis req/s | limpid req/s |"
    );
    println!("|---|---|---|---|---|---|---|");
    println!(
        "| SET depth 16, one replica | {:.2} | {:.2} | {:.2} | 0.65 | {:.0} | {:.0} |",
        of(|[redis, _]| redis.0),
        of(|[_, limpid]| limpid.0),
        of(|[redis, limpid]| limpid.0 / redis.0),
        of(|[redis, _]| redis.1),
        of(|[_, limpid]| limpid.1),
    );
}

fn waits(scale: Scale) {
    println!("\n| WAIT 2, two replicas | p50 ms | p99 ms | most over a timeout of 20 ms |");
    println!("|---|---|---|---|");
    for start in [redis as Start, limpid] {
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

fn full_sync(scale: Scale) {
    println!("\n| full sync of {} keys | seconds | extra memory of the master |", scale.keys);
    println!("|---|---|---|");
    let load = Load { writes_per_second: 20_000, keys: scale.keys };
    for start in [redis as Start, limpid] {
        let master = start(&["--repl-diskless-sync-delay", "0"]);
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

fn main() {
    let quick = std::env::args().any(|argument| argument == "quick");
    let scale = if quick {
        Scale { rounds: 1, requests: 300_000, waits: 200, keys: 300_000 }
    } else {
        Scale { rounds: 5, requests: 2_000_000, waits: 4000, keys: 5_000_000 }
    };
    cost(scale);
    waits(scale);
    full_sync(scale);
}
