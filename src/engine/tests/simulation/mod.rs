//! Clusters without sockets, threads, clocks or files: a master, replicas, and a replica of a
//! replica, whose connections are pipes that delay, split at any byte, and break; with clients
//! that write, and an operator who changes roles.
//!
//! A seed determines everything. When the network is quiet in the end, all the nodes must hold the
//! same data, the same history, and the same bytes of it; and there must have been no full resync
//! where a partial one was possible. A failing seed is reported, and runs alone with
//! `LIMPID_SIMULATION_SEED`, which also prints the events; `LIMPID_SIMULATION_SEEDS` sets how many
//! run otherwise.

mod cluster;
mod counts;
mod host;
mod network;
mod node;
mod random;
mod settle;
mod work;

use crate::commands::Flag;
use crate::engine::rows;
use cluster::Cluster;
use counts::Counts;
use node::SimNode;
use random::Random;

/// Databases of each node.
const DATABASES: usize = 4;
/// When a cluster starts, roughly, in Unix milliseconds.
const START_MS: i64 = 1_700_000_000_000;
const SEEDS: u64 = 500;
/// Events in a seed before all goes quiet.
const EVENTS: usize = 8000;

/// Reports the seed of a panic.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to see it again: LIMPID_SIMULATION_SEED={}", self.0);
        }
    }
}

fn run(seed: u64, told: bool) -> Counts {
    let seed = Seed(seed);
    let mut cluster = Cluster::new(seed.0, told);
    for _ in 0..EVENTS {
        cluster.event();
    }
    cluster.settle();
    cluster.counts
}

#[test]
fn clusters_converge_whatever_breaks() {
    if let Ok(seed) = std::env::var("LIMPID_SIMULATION_SEED") {
        let counts = run(seed.parse().expect("a number"), true);
        println!("{counts:?}");
        return;
    }
    let seeds = std::env::var("LIMPID_SIMULATION_SEEDS");
    let seeds = seeds.map_or(SEEDS, |seeds| seeds.parse().expect("a number"));
    let mut all = Counts::default();
    for seed in 0..seeds {
        all.add(&run(seed, false));
    }
    println!("{seeds} seeds: {all:?}");
    // Otherwise the run covered too little.
    assert!(all.partial > seeds && all.full > seeds && all.promotions > seeds / 4, "{all:?}");
    assert!(all.failovers > seeds / 4 && all.waits > seeds, "{all:?}");
}

/// MIGRATE needs a server outside of the cluster, and is logged as DEL; the others are RESTORE and
/// ways to run what EVAL runs.
const NOT_SENT: [&str; 4] = ["MIGRATE", "RESTORE-ASKING", "EVALSHA", "FCALL"];

#[test]
fn each_command_that_writes_occurs() {
    let writes =
        rows().filter(|row| row.flags.has(Flag::Write) || row.flags.has(Flag::MayReplicate));
    let names = writes.map(|row| row.name).filter(|name| !NOT_SENT.contains(name));
    let missing: Vec<_> = names.filter(|name| !work::draws(name)).collect();
    assert!(missing.is_empty(), "the simulation does not send {missing:?}");
}

#[test]
fn a_master_that_begins_again_tells_its_replicas_of_keys_that_expired_meanwhile() {
    let mut random = Random::new(1);
    let mut node = SimNode::new(0, &mut random);
    node.node().log.start(1 << 20);
    node.operate(&["SET", "k", "v", "PX", "10"]);
    node.save();
    node.clock.advance_ms(11);
    let mut node = node.restarted(&mut random);
    let begun = node.begun.expect("it goes on in its history");
    node.sweep();
    let stream = node.node().log.bytes_from(begun).expect("it holds everything");
    let expected = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n";
    assert_eq!(String::from_utf8_lossy(&stream), expected);
}
