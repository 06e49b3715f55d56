//! Cost of a background save for writers: latency under an open-loop load, idle and during BGSAVE.
//!
//! `cargo bench --bench snapshot`: one worker, 2 M keys, 40,000 writes per second sent when they
//! are due whether or not earlier ones were answered; a write's latency counts from its due time.
//! Five rounds; the result is the median round's p99.9. `-- quick` runs one short round.
#![allow(clippy::print_stdout, reason = "the results")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::open_loop::{Load, Timed, percentile};
use support::{Client, Server, median, wait_for};

const KEYS: usize = 2_000_000;
const LOAD: Load = Load { writes_per_second: 40_000, keys: KEYS };

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
        let loaded = scope.spawn(|| LOAD.run(server, began, load, seed));
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
        let quiet = LOAD.run(&server, Instant::now(), quiet_for, round + 1);
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
