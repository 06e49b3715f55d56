//! Sends the same commands to limpid and to a real redis-server 7.0.15: their replies, published
//! messages and data must be equal, except for a short table of reasons (`canonical`) and of
//! exceptions (`exceptions`).
//!
//! - [`session`]: one run; [`pair`] and [`sides`]: one client on both servers
//! - [`families`]: the generators, drawing from [`world`] and [`pool`]; [`mangle`] makes commands
//!   invalid, [`soundness`] leaves out what two correct servers may answer differently
//! - [`compare`], [`canonical`], [`exceptions`]: what counts as equal; [`report`]: the messages
//! - [`bytes`]: malformed requests; [`command_table`]: COMMAND INFO; [`restore`]: malformed
//!   payloads
//! - [`acl`]: what users may do; [`users`]: random commands of users with random [`rules`]
//! - [`access_clock`], [`faces`], [`info_sections`], [`password`], [`pause`], [`pushes`]: cases that random
//!   commands do not reach
//! - [`blocking`]: scripts of clients that wait for each other's writes
//! - [`streams`]: the replication streams of both
//! - [`self_check`]: the comparison detects a differing subject
//!
//! Run them with `cargo test --test differential -- --include-ignored`. From the environment:
//!
//! - `LIMPID_DIFF_SEED`: another seed; a failure prints its seed
//! - `LIMPID_DIFF_COMMANDS`: number of commands, over all runs (200000; of random users, 20000), and in the run of the
//!   streams (30000)
//! - `LIMPID_DIFF_COLLECT=1`: continue after a difference, and at the end print one line for each
//!   sort of difference and examples
//! - `LIMPID_DIFF_SUBJECT=redis`: compare redis-server with itself
//! - `LIMPID_DIFF_FAMILIES=default,list,set`: the families of commands to draw from; `default`: those
//!   that limpid has, `all`: all of them
//! - `LIMPID_DIFF_SCRIPT`: part of the names of the scripts of waiting clients to run
//! - `LIMPID_DIFF_TALLY=1`: print how often each command was sent, and how often it failed
#![allow(clippy::unwrap_used, reason = "a test ends where an expectation fails")]

mod access_clock;
mod acl;
mod blocking;
mod blocking_random;
mod blocking_scripts;
mod bytes;
mod canonical;
mod canonical_collections;
mod command_form;
mod command_table;
mod compare;
mod exceptions;
mod faces;
mod families;
mod info_sections;
mod mangle;
mod pair;
mod password;
mod pause;
mod payload;
mod pool;
mod pushes;
mod random;
mod report;
mod restore;
mod rules;
mod self_check;
mod session;
mod sides;
mod soundness;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod users;
mod world;

use session::{Plan, Session};
use std::env;
use support::server::Program;

const SEED: u64 = 1;
const COMMANDS: usize = 200_000;
const RUNS: usize = 4;
const BATCH_MAX: usize = 100;

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn random_commands_one_by_one_in_resp2() {
    run(2, 1);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn random_commands_one_by_one_in_resp3() {
    run(3, 1);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn random_commands_in_batches_in_resp2() {
    run(2, BATCH_MAX);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn random_commands_in_batches_in_resp3() {
    run(3, BATCH_MAX);
}

fn run(protocol: u8, batch_max: usize) {
    let plan = Plan {
        seed: number("LIMPID_DIFF_SEED").unwrap_or(SEED),
        commands: number("LIMPID_DIFF_COMMANDS").map_or(COMMANDS, |count| count as usize) / RUNS,
        protocol,
        batch_max,
        subject: subject(),
        subject_args: Vec::new(),
        collects: env::var_os("LIMPID_DIFF_COLLECT").is_some(),
    };
    let mut session = Session::start(plan);
    let outcome = session.run();
    if env::var_os("LIMPID_DIFF_TALLY").is_some() {
        eprintln!("{}", session.tally.table());
    }
    if let Err(report) = outcome {
        panic!("the servers differ:\n{report}");
    }
}

/// The server under comparison.
fn subject() -> Program {
    match env::var("LIMPID_DIFF_SUBJECT").as_deref() {
        Ok("redis") => Program::Redis,
        Ok(other) => panic!("LIMPID_DIFF_SUBJECT={other}: only redis is known"),
        Err(_) => Program::Limpid,
    }
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
