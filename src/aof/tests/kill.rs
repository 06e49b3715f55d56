//! Kills of a real process at random moments. Its kernel keeps what it wrote: nothing written may be
//! missing, whatever the policy, and nothing may be out of order.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::random::Random;
use super::records::{Numbers, aof_base, rdb_base, record};
use super::world::place;
use crate::aof::files::FileSystem;
use crate::aof::folder::Place;
use crate::aof::handle::{Aof, Options, Policy};
use crate::aof::host::{Host, Level, Progress, State, Timed};
use crate::aof::loader::LoadOptions;
use crate::aof::manifest::Format;
use crate::aof::rewrite::{Purpose, RewriteOptions};
use crate::aof::writer::{Drain, Writer};

#[derive(Debug)]
pub(super) struct RealHost(Instant);

impl RealHost {
    #[allow(clippy::disallowed_methods, reason = "a clock for tests")]
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Instant::now()))
    }
}

impl Host for RealHost {
    fn nanos(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap()
    }

    fn log(&self, _: Level, _: fmt::Arguments<'_>) {}
    fn advanced(&self, _: Progress) {}
    fn room(&self) {}
    fn took(&self, _: Timed, _: u64) {}
    fn state_changed(&self, _: &State) {}
}

fn open(dir: &Path, policy: Policy) -> (Arc<Aof>, Drain, u64) {
    let place = Place { dir: dir.to_owned(), ..place() };
    let options = Options { place, policy, queue_bytes_max: 1 << 20 };
    let (aof, drain) = Aof::open(Arc::new(FileSystem), RealHost::new(), options).unwrap();
    let mut numbers = Numbers::default();
    aof.load(LoadOptions { truncated: true }, &mut numbers).unwrap();
    let count = numbers.finish().unwrap();
    (aof, drain, count)
}

/// The process that is killed: writes records, rewrites, and says what it was promised.
#[test]
#[ignore = "a part of another test"]
fn child() {
    let Ok(dir) = std::env::var("AOF_KILL_DIR") else { return };
    let policy = match std::env::var("AOF_KILL_POLICY").unwrap().as_str() {
        "always" => Policy::Always,
        "everysec" => Policy::EverySec,
        _ => Policy::No,
    };
    let (aof, drain, mut count) = open(Path::new(&dir), policy);
    aof.start(Format::Rdb, |to| to.write_all(&rdb_base(count))).unwrap();
    let _writer = Writer::spawn(drain).unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "\nready {count}").unwrap();
    let mut random = Random::new(count);
    let mut pending = Vec::new();
    loop {
        for _ in 0..=random.below(5) {
            let padding = if random.percent(2) { 100_000 } else { random.below(60) };
            pending.push((aof.append(&[&record(count, padding)], 1), count + 1));
            count += 1;
        }
        aof.kick();
        if policy == Policy::Always {
            aof.wait_released(pending.last().unwrap().0).unwrap();
        }
        while aof.must_wait(1) {
            std::thread::yield_now();
        }
        let progress = aof.progress();
        let promised = if policy == Policy::Always { progress.released } else { progress.written };
        let told = pending.iter().take_while(|(end, _)| *end <= promised).count();
        if let Some((_, number)) = pending.drain(..told).next_back() {
            writeln!(out, "acked {number}").unwrap();
        }
        if random.percent(5) {
            let format = if random.percent(50) { Format::Rdb } else { Format::Aof };
            let options = RewriteOptions { purpose: Purpose::Compact, format, paced: false };
            let mut rewrite = aof.prepare_rewrite(options).unwrap().begin();
            let base = if format == Format::Rdb { rdb_base(count) } else { aof_base(count) };
            rewrite.write_all(&base).unwrap();
            rewrite.commit().unwrap();
        }
    }
}

fn spawn(dir: &Path, policy: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "aof::tests::kill::child", "--ignored", "--nocapture"])
        .env("AOF_KILL_DIR", dir)
        .env("AOF_KILL_POLICY", policy)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills a process once; returns how many records it was promised.
fn kill_once(dir: &Path, policy: &str, random: &mut Random) -> u64 {
    let mut child = spawn(dir, policy);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (mut promised, mut line) = (None, String::new());
    while promised.is_none() {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the process ended by itself");
        promised = line.strip_prefix("ready ").map(|count| count.trim().parse().unwrap());
    }
    let reader = std::thread::spawn(move || {
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        rest
    });
    // The random moment is what this test is about.
    std::thread::sleep(Duration::from_micros(random.next() % 12_000));
    child.kill().unwrap();
    child.wait().unwrap();
    let rest = reader.join().unwrap();
    let whole = rest.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let acked = whole.lines().rev().find_map(|line| line.strip_prefix("acked "));
    match acked {
        Some(count) => count.parse().unwrap(),
        None => promised.unwrap(),
    }
}

fn kills(policy: &str, count: u64) {
    let dir = tempfile::tempdir().unwrap();
    let (mut random, mut last, mut beyond) = (Random::new(count), 0, 0);
    for kill in 0..count {
        let promised = kill_once(dir.path(), policy, &mut random);
        let (_, _, found) = open(dir.path(), Policy::No);
        assert!(found >= promised, "{policy}, kill {kill}: {found} of {promised} records");
        beyond += u64::from(found > promised);
        last = found;
    }
    println!("{policy}: {count} kills, {last} records, {beyond} times more than promised");
    assert!(last > count, "the processes wrote");
}

/// `AOF_KILLS` in the environment asks for more.
#[test]
#[ignore = "starts hundreds of processes"]
fn a_kill_loses_nothing_that_was_written() {
    let count = std::env::var("AOF_KILLS").ok().and_then(|count| count.parse().ok());
    for policy in ["always", "everysec", "no"] {
        kills(policy, count.unwrap_or(50));
    }
}
