//! A server's life on a disk that may lose power: random writes, rewrites, turns on and off, and
//! ends, from a seed. After each end the data must be a prefix of what was written, and hold what
//! the policy promises.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::{Disk, Plan};
use super::host::TestHost;
use super::random::Random;
use super::records::{Numbers, aof_base, command, rdb_base, record};
use crate::aof::files::{Barrier, Files};
use crate::aof::folder::{FolderError, Place};
use crate::aof::handle::{Aof, Mode, Options, Policy};
use crate::aof::host::{Host, State};
use crate::aof::loader::LoadOptions;
use crate::aof::manifest::Format;
use crate::aof::rewrite::{Purpose, Rewrite, RewriteOptions};
use crate::aof::writer::{Drain, Next};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// The offset of what was written while the file was off.
const UNRECORDED: u64 = u64::MAX;

/// What was written, and when.
#[derive(Debug)]
struct Truth {
    /// For each record of this run, the offset after its unit and the time.
    records: Vec<(u64, u64)>,
    /// Records that there were before.
    before: u64,
}

impl Truth {
    fn count(&self) -> u64 {
        self.before + self.records.len() as u64
    }

    /// Records before the first that the file does not have.
    fn recorded(&self) -> u64 {
        let recorded = self.records.iter().take_while(|(end, _)| *end != UNRECORDED);
        self.before + recorded.count() as u64
    }
}

/// Clients that write.
#[derive(Debug)]
struct Clients {
    aof: Arc<Aof>,
    host: Arc<TestHost>,
    truth: Mutex<Truth>,
    random: Mutex<Random>,
}

impl Clients {
    /// Writes something, unless writes must wait or are refused.
    fn write(&self) {
        let mut random = self.random.lock();
        let now = self.host.nanos();
        if self.aof.must_wait(now) || self.aof.state() != State::Working {
            return;
        }
        let mut truth = self.truth.lock();
        let units = random.below(4);
        for _ in 0..units {
            let number = truth.count();
            let mut next = |number| {
                let padding = if random.percent(3) { 70_000 } else { random.below(40) };
                record(number, padding)
            };
            let (bytes, records) = if number.is_multiple_of(5) {
                let (multi, exec) = (command(&[b"MULTI"]), command(&[b"EXEC"]));
                ([multi, next(number), next(number + 1), exec].concat(), 2)
            } else {
                (next(number), 1)
            };
            let (first, rest) = bytes.split_at(bytes.len() / 2);
            let before = self.aof.appended();
            let end = match self.aof.append(&[first, rest], now) {
                end if end == before => UNRECORDED,
                end => end,
            };
            for _ in 0..records {
                truth.records.push((end, now));
            }
        }
        let here = random.percent(50);
        drop((random, truth));
        if here {
            self.aof.flush(0);
        } else {
            self.aof.kick();
        }
    }
}

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Character {
    pub(super) policy: Policy,
    /// Syncs may take seconds.
    pub(super) slow: bool,
    /// An old single file is there at first.
    pub(super) old_file: bool,
}

/// The server and its disk.
pub(super) struct World {
    pub(super) disk: Disk,
    random: Random,
    character: Character,
    /// Records that must come back.
    floor: u64,
    /// Records that were ever written and may come back.
    written: u64,
    pub(super) ends: u64,
    pub(super) rewrites: u64,
}

/// One life of the process.
struct Run {
    host: Arc<TestHost>,
    aof: Arc<Aof>,
    drain: Drain,
    clients: Arc<Clients>,
    rewrite: Option<(Rewrite, Vec<u8>, u64)>,
    next: Next,
}

pub(super) fn place() -> Place {
    let (dir, dirname) = (PathBuf::from("/srv"), "appendonlydir".to_owned());
    Place { dir, dirname, filename: "appendonly.aof".to_owned() }
}

pub(super) fn open(
    disk: &Disk,
    host: &Arc<TestHost>,
    policy: Policy,
) -> Result<(Arc<Aof>, Drain), FolderError> {
    let options = Options { place: place(), policy, queue_bytes_max: 200_000 };
    let (files, host) = (Arc::new(disk.clone()), Arc::clone(host));
    Aof::open(files as Arc<dyn Files>, host as Arc<dyn Host>, options)
}

impl World {
    pub(super) fn new(seed: u64, character: Character) -> Self {
        let disk = Disk::new(Path::new("/srv"));
        let mut random = Random::new(seed);
        let mut written = 0;
        if character.old_file {
            written = 1 + random.below(20) as u64;
            let mut bytes = if random.percent(50) { rdb_base(written / 2) } else { Vec::new() };
            // A rewrite had synced the preamble.
            let durable = bytes.len();
            let first = if bytes.is_empty() { 0 } else { written / 2 };
            bytes.extend((first..written).flat_map(|number| record(number, 10)));
            disk.put(Path::new("/srv/appendonly.aof"), &bytes, durable);
        }
        Self { disk, random, character, floor: 0, written, ends: 0, rewrites: 0 }
    }

    /// Lives through some ends; the first broken promise is the error.
    pub(super) fn live(&mut self, lives: usize) -> Result<(), String> {
        for _ in 0..lives {
            let graceful = self.life()?;
            self.disk.set_hook(None);
            self.disk.restart();
            if graceful || self.random.percent(70) {
                self.disk.cut_power(&mut self.random);
            }
            self.ends += 1;
        }
        self.disk.set_hook(None);
        self.disk.restart();
        let host = TestHost::new();
        self.load(&host).map(drop)
    }

    /// Opens and loads, and checks what is there.
    fn load(&self, host: &Arc<TestHost>) -> Result<Option<(Arc<Aof>, Drain, u64)>, String> {
        let opened = open(&self.disk, host, self.character.policy);
        let ended = |error: String| {
            if self.disk.stopped() { Ok(None) } else { Err(format!("cannot be loaded: {error}")) }
        };
        let (aof, drain) = match opened {
            Ok(opened) => opened,
            Err(error) => return ended(error.lines().join(" ")),
        };
        let mut numbers = Numbers::default();
        if let Err(error) = aof.load(LoadOptions { truncated: true }, &mut numbers) {
            return ended(error);
        }
        let count = numbers.finish()?;
        if count < self.floor {
            return Err(format!("{count} records came back, {} were promised", self.floor));
        }
        if count > self.written {
            return Err(format!("{count} records came back, {} were written", self.written));
        }
        Ok(Some((aof, drain, count)))
    }

    fn choose_end(&mut self) {
        let mut plan = Plan::default();
        if self.random.percent(60) {
            let span = [20, 100, 400][self.random.below(3)];
            plan.stop_at = Some(self.disk.operations() + self.random.below(span) as u64);
        } else {
            let kinds = [
                Barrier::Records,
                Barrier::Switch,
                Barrier::NewNames,
                Barrier::ManifestName,
                Barrier::Base,
                Barrier::OpenedFolder,
            ];
            let kind = kinds[self.random.below(kinds.len())];
            let count = self.disk.syncs(kind) + 1 + self.random.below(2) as u64;
            plan.stop_before = Some((kind, count));
        }
        self.disk.plan(plan);
    }

    /// From a start to an end; true if the server ended by itself.
    fn life(&mut self) -> Result<bool, String> {
        self.choose_end();
        let host = TestHost::new();
        let Some((aof, drain, before)) = self.load(&host)? else { return Ok(false) };
        let started = aof.start(Format::Rdb, |to| to.write_all(&rdb_base(before)));
        if let Err(error) = started {
            return if self.disk.stopped() { Ok(false) } else { Err(error.lines().join(" ")) };
        }
        // Readers see it now.
        (self.floor, self.written) = (before, before);
        let truth = Mutex::new(Truth { records: Vec::new(), before });
        let random = Mutex::new(Random::new(self.random.next()));
        let clients =
            Arc::new(Clients { aof: Arc::clone(&aof), host: Arc::clone(&host), truth, random });
        self.set_hook(&clients);
        let mut run = Run { host, aof, drain, clients, rewrite: None, next: Next::Again };
        let steps = 20 + self.random.below(150);
        for _ in 0..steps {
            if self.disk.stopped() || matches!(run.next, Next::End) {
                break;
            }
            self.act(&mut run);
            self.note(&run);
        }
        let graceful = !self.disk.stopped() && self.random.percent(50) && self.end(&mut run);
        // What is given up now touches the disk once more, and nobody writes beside that.
        self.disk.set_hook(None);
        self.note(&run);
        if graceful && run.aof.mode() == Mode::Off && run.rewrite.is_none() {
            self.floor = self.floor.max(run.clients.truth.lock().recorded());
        }
        Ok(graceful)
    }

    fn set_hook(&mut self, clients: &Arc<Clients>) {
        let (clients, slow) = (Arc::clone(clients), self.character.slow);
        let random = Mutex::new(Random::new(self.random.next()));
        self.disk.set_hook(Some(Arc::new(move |barrier| {
            // A worker's write during a client's: it takes no time.
            let Some(mut random) = random.try_lock() else { return };
            let took = match barrier {
                Some(_) if slow && random.percent(20) => random.next() % (4 * SECOND),
                Some(_) => random.next() % (30 * MS),
                None => random.next() % MS,
            };
            // Others write before, meanwhile and after.
            for _ in 0..random.below(3) {
                clients.host.pass(took / 3);
                clients.write();
            }
            clients.host.pass(took / 3);
        })));
    }

    /// Notes what must come back, as it stands now.
    fn note(&mut self, run: &Run) {
        let truth = run.clients.truth.lock();
        self.written = truth.count();
        if run.aof.mode() != Mode::On {
            return;
        }
        let now = run.host.nanos();
        let promised = match self.character.policy {
            Policy::Always => {
                let released = run.aof.released();
                truth.records.iter().take_while(|(end, _)| *end <= released).count()
            }
            Policy::EverySec if run.aof.state() == State::Working => {
                // A sync that takes seconds itself cannot end sooner: then the lost writes, from the
                // first to the last, span two seconds at most.
                let last = truth.records.last().map_or(0, |(_, at)| *at);
                let now = if self.character.slow { last } else { now };
                let old = |(end, at): &&(u64, u64)| *end != UNRECORDED && at + 2 * SECOND < now;
                truth.records.iter().take_while(old).count()
            }
            Policy::EverySec | Policy::No => 0,
        };
        self.floor = self.floor.max(truth.before + promised as u64);
    }

    fn act(&mut self, run: &mut Run) {
        match self.random.below(100) {
            0..30 => run.clients.write(),
            30..36 if run.rewrite.is_none() && run.aof.mode() != Mode::Off => {
                self.begin_rewrite(run, Purpose::Compact);
            }
            36..42 if run.rewrite.is_some() => self.write_base(run),
            42..44 => run.rewrite = None,
            44..46 if run.aof.mode() == Mode::On => {
                drop(run.aof.begin_stop());
                run.rewrite = None;
                // Written before it was turned off, and durable once it is.
                let count = run.clients.truth.lock().recorded();
                for _ in 0..20 {
                    self.step(run);
                    if run.aof.mode() == Mode::Off && !self.disk.stopped() {
                        self.floor = self.floor.max(count);
                        break;
                    }
                }
            }
            46..52 if run.aof.mode() != Mode::On && run.rewrite.is_none() => {
                self.begin_rewrite(run, Purpose::TurnOn);
            }
            _ => self.step(run),
        }
    }

    fn step(&mut self, run: &mut Run) {
        if matches!(run.next, Next::End) {
            return;
        }
        let now = run.host.nanos();
        match run.next {
            Next::Sleep { until_ns: Some(until) } => {
                let pass = self.random.next() % (700 * MS);
                run.host.pass(pass.min(until.saturating_sub(now)));
            }
            Next::Sleep { until_ns: None } if !run.aof.queue.wakes() => {
                run.host.pass(self.random.next() % (3 * SECOND));
            }
            Next::Retry { at_ns } => run.host.pass(at_ns.saturating_sub(now)),
            _ => {}
        }
        run.next = run.drain.step();
    }

    fn begin_rewrite(&mut self, run: &mut Run, purpose: Purpose) {
        let format = if self.random.percent(50) { Format::Rdb } else { Format::Aof };
        let options = RewriteOptions { purpose, format, paced: false };
        let Ok(prepared) = run.aof.prepare_rewrite(options) else { return };
        let rewrite = prepared.begin();
        let count = run.clients.truth.lock().count();
        let base = match format {
            Format::Rdb => rdb_base(count),
            Format::Aof => aof_base(count),
        };
        run.rewrite = Some((rewrite, base, count));
    }

    fn write_base(&mut self, run: &mut Run) {
        let Some((rewrite, rest, _)) = &mut run.rewrite else { return };
        let bytes = rest.len().min(1 + self.random.below(40));
        if rewrite.write(&rest[..bytes]).is_err() {
            run.rewrite = None;
            return;
        }
        rest.drain(..bytes);
        while let Some((rewrite, rest, _)) = &run.rewrite
            && rest.is_empty()
        {
            if self.disk.stopped() || matches!(run.next, Next::End) {
                return;
            }
            if rewrite.switched() {
                let (rewrite, _, count) = run.rewrite.take().expect("just seen");
                if rewrite.commit().is_ok() {
                    self.rewrites += 1;
                    self.based(run, count);
                }
                return;
            }
            self.step(run);
        }
    }

    /// A base holds all records below a number now.
    fn based(&mut self, run: &Run, count: u64) {
        self.floor = self.floor.max(count);
        let mut truth = run.clients.truth.lock();
        let based = usize::try_from(count - truth.before).unwrap();
        for (end, _) in &mut truth.records[..based] {
            *end = 0;
        }
    }

    /// Ends the server as a shutdown does; true if it went well.
    fn end(&mut self, run: &mut Run) -> bool {
        run.rewrite = None;
        if run.aof.mode() != Mode::On {
            return false;
        }
        self.disk.set_hook(None);
        let closing = run.aof.begin_stop();
        while closing.ticket.outcome().is_none() {
            self.step(run);
        }
        closing.wait().is_ok()
    }
}
