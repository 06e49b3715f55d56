//! How many workers serve, and which worker has which connections.
//!
//! An extra thread is no gain in itself: it takes a core from others that need it, often the very
//! client that causes the load, and makes batches smaller and wake-ups more frequent. So all
//! connections begin on the first worker. Another comes into use when those in use hardly ever wait
//! and the machine has idle processor time; it goes out of use when fewer can carry the load.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity};
use rustix::time::{ClockId, clock_gettime};

use super::worker::Workers;
use crate::engine::Engine;
use crate::node::client::Handle;
use crate::telemetry::log::log;

/// Readings that a decision is based on, one per round of 0.1 s.
const READINGS: usize = 4;
/// Rounds between two redistributions of connections.
const LEVEL_ROUNDS: usize = 5;
/// Idle processor time that another worker requires, in cores.
const FREE_MIN: f64 = 0.2;
/// Rounds in which no worker comes into use after one went out of it; doubles each time.
const HOLD_MIN: u32 = 10;
const HOLD_MAX: u32 = 300;

/// Totals at one time, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: u64,
    /// Time in which the workers were not waiting, summed.
    busy: u64,
    /// Processor time of this process.
    own: u64,
    /// Idle time of the processors that this process may use, summed; `None` where the machine does
    /// not report it.
    idle: Option<u64>,
}

/// What happened between two readings.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// Average share of the time in which a worker in use was not waiting.
    busy: f64,
    /// Cores that this process used.
    own: f64,
    /// Cores that nobody used.
    free: f64,
}

impl Load {
    fn between(first: &Reading, last: &Reading, in_use: usize, cores: usize) -> Self {
        let elapsed = last.at.saturating_sub(first.at).max(1) as f64;
        let share = |first: u64, last: u64| last.saturating_sub(first) as f64 / elapsed;
        let own = share(first.own, last.own);
        // A container may allow less than the whole machine: then idle processors do not help.
        let allowed = (cores as f64 - own).max(0.0);
        let idle = first.idle.zip(last.idle).map_or(allowed, |(first, last)| share(first, last));
        Self { busy: share(first.busy, last.busy) / in_use as f64, own, free: idle.min(allowed) }
    }
}

/// Decides how many workers are in use.
#[derive(Debug, Default)]
struct Policy {
    /// Rounds left in which no worker comes into use, and how many they were at first.
    held: u32,
    hold: u32,
}

impl Policy {
    fn next(&mut self, in_use: usize, all: usize, load: &Load) -> usize {
        self.held = self.held.saturating_sub(1);
        // With cores to spare, latency counts first. Without, throughput does.
        let (full, fits) = if load.free >= 1.0 { (0.7, 0.4) } else { (0.95, 0.9) };
        if in_use < all && self.held == 0 && load.busy >= full && load.free >= FREE_MIN {
            // Clients that send more may need as much processor time as the worker.
            return all.min(in_use + 1.max((load.free / 2.0) as usize));
        }
        let needed = 1.max((load.own / fits).ceil() as usize);
        if needed < in_use {
            // A short use was not worth it: each retry comes later.
            self.hold = (self.hold * 2).clamp(HOLD_MIN, HOLD_MAX);
            self.held = self.hold;
        }
        needed.min(in_use)
    }

    /// Forgets what was learnt of a load that has ended.
    fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Spreads connections evenly over the first `workers`, moving as few as possible. `at` holds each
/// connection's worker.
fn level(at: &mut [usize], workers: usize) {
    let mut has = vec![0; workers];
    at.iter().for_each(|&worker| has.get_mut(worker).into_iter().for_each(|count| *count += 1));
    // Where they do not divide evenly, the workers with the most keep one more.
    let mut by_count: Vec<usize> = (0..workers).collect();
    by_count.sort_by_key(|&worker| std::cmp::Reverse(has[worker]));
    let mut room = vec![at.len() / workers; workers];
    by_count.iter().take(at.len() % workers).for_each(|&worker| room[worker] += 1);
    let mut strays = Vec::new();
    for (connection, &worker) in at.iter().enumerate() {
        match room.get_mut(worker) {
            Some(room) if *room > 0 => *room -= 1,
            _ => strays.push(connection),
        }
    }
    let places = room.iter().enumerate().flat_map(|(worker, &room)| vec![worker; room]);
    strays.into_iter().zip(places).for_each(|(connection, worker)| at[connection] = worker);
}

/// Checks the load ten times a second.
#[derive(Debug)]
pub(super) struct Balancer {
    workers: Arc<Workers>,
    readings: VecDeque<Reading>,
    policy: Policy,
    /// Time of the round before, and how long the workers had been busy by then.
    last: (u64, u64),
    rounds: usize,
    /// Cores that this process may use, and which.
    cores: usize,
    processors: Option<CpuSet>,
}

impl Balancer {
    pub(super) fn new(workers: Arc<Workers>) -> Self {
        Self {
            workers,
            readings: VecDeque::new(),
            policy: Policy::default(),
            last: (0, 0),
            rounds: 0,
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            processors: sched_getaffinity(None).ok(),
        }
    }

    pub(super) fn round(&mut self, engine: &Engine) {
        if self.workers.len() == 1 || self.workers.any_stuck() {
            return;
        }
        let in_use = self.workers.in_use();
        let now = (engine.node.clock.nanos(), nanos(self.workers.busy()));
        let (elapsed, busy) = (now.0 - self.last.0, now.1.saturating_sub(self.last.1));
        self.last = now;
        if in_use == 1 && busy < elapsed / 2 {
            self.policy.forget();
            self.readings.clear();
            return;
        }
        if self.readings.len() == READINGS {
            self.readings.pop_front();
        }
        self.readings.push_back(self.read(now));
        self.rounds += 1;
        let (Some(first), Some(last)) = (self.readings.front(), self.readings.back()) else {
            return;
        };
        let mut next = in_use;
        if self.readings.len() == READINGS {
            let load = Load::between(first, last, in_use, self.cores);
            next = self.policy.next(in_use, self.workers.len(), &load);
        }
        if next != in_use {
            log!(Verbose, "{next} workers in use");
            self.workers.set_in_use(next);
            self.readings.clear();
        }
        if next != in_use || (next > 1 && self.rounds.is_multiple_of(LEVEL_ROUNDS)) {
            assign(&engine.node.clients.all(), next, engine.node.clock.unix_ms());
        }
    }

    fn read(&self, (at, busy): (u64, u64)) -> Reading {
        let own = clock_gettime(ClockId::ProcessCPUTime);
        let own = Duration::try_from(own).map_or(0, nanos);
        let stat = std::fs::read_to_string("/proc/stat").ok();
        let idle = stat.and_then(|stat| idle(&stat, self.processors.as_ref()));
        Reading { at, busy, own, idle }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Idle nanoseconds of the processors, from `/proc/stat`.
fn idle(stat: &str, processors: Option<&CpuSet>) -> Option<u64> {
    const TICK: u64 = 10_000_000;
    let mut ticks = None;
    for line in stat.lines() {
        // The first line is the sum: `cpu` and no number.
        let Some((name, times)) = line.split_once(' ') else { continue };
        let Some(Ok(processor)) = name.strip_prefix("cpu").map(str::parse::<usize>) else {
            continue;
        };
        let allowed = |set: &CpuSet| processor < CpuSet::MAX_CPU && set.is_set(processor);
        if processors.is_none_or(allowed) {
            // user, nice, system, idle, waiting for I/O
            let of_this = times.split_ascii_whitespace().skip(3).take(2);
            let sum: u64 = of_this.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
            *ticks.get_or_insert(0) += sum;
        }
    }
    ticks.map(|ticks| ticks * TICK)
}

/// Assigns connections to workers: the recently active ones and the rest, each spread evenly. An
/// idle one moves when it wakes up.
fn assign(handles: &[Arc<Handle>], workers: usize, now_ms: i64) {
    const LATELY_MS: i64 = 500;
    let is_active =
        |handle: &&Arc<Handle>| now_ms - handle.active_ms.load(Ordering::Relaxed) <= LATELY_MS;
    let (active, rest): (Vec<_>, Vec<_>) = handles.iter().partition(is_active);
    for handles in [active, rest] {
        let mut at: Vec<usize> =
            handles.iter().map(|handle| handle.worker.load(Ordering::Relaxed)).collect();
        level(&mut at, workers);
        for (handle, worker) in handles.iter().zip(at) {
            handle.worker.store(worker, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(busy: f64, own: f64, free: f64) -> Load {
        Load { busy, own, free }
    }

    #[test]
    fn a_worker_comes_into_use_when_the_others_are_full_and_the_machine_has_time() {
        let next = |in_use, load| Policy::default().next(in_use, 8, &load);
        assert_eq!(next(1, load(0.98, 1.0, 0.4)), 2);
        // The client needs the rest of the machine, or the worker waits.
        assert_eq!(next(1, load(0.98, 1.0, 0.1)), 1);
        assert_eq!(next(1, load(0.8, 0.8, 0.4)), 1);
        // Much is free: earlier, and more at once.
        assert_eq!(next(1, load(0.8, 0.8, 1.2)), 2);
        assert_eq!(next(1, load(0.98, 1.0, 7.0)), 4);
        assert_eq!(next(4, load(0.98, 4.0, 60.0)), 8);
        assert_eq!(next(8, load(1.0, 8.0, 60.0)), 8);
    }

    #[test]
    fn a_worker_goes_out_of_use_when_fewer_carry_the_load() {
        let next = |in_use, load| Policy::default().next(in_use, 8, &load);
        assert_eq!(next(2, load(0.6, 1.2, 0.2)), 2);
        assert_eq!(next(2, load(0.5, 0.8, 0.2)), 1);
        assert_eq!(next(2, load(0.5, 0.8, 4.0)), 2);
        assert_eq!(next(8, load(0.1, 0.7, 4.0)), 2);
        assert_eq!(next(8, load(0.0, 0.0, 8.0)), 1);
    }

    #[test]
    fn what_does_not_last_is_tried_ever_later() {
        let (full, lower) = (load(0.99, 1.0, 0.5), load(0.5, 0.8, 0.5));
        let mut policy = Policy::default();
        let mut waited = Vec::new();
        for _ in 0..8 {
            let rounds = (0_u32..).find(|_| policy.next(1, 2, &full) == 2);
            waited.push(rounds.expect("it comes into use again"));
            assert_eq!(policy.next(2, 2, &lower), 1);
        }
        assert_eq!(waited[..4], [0, 9, 19, 39]);
        assert_eq!(waited[7], HOLD_MAX - 1);
        policy.forget();
        assert_eq!(policy.next(1, 2, &full), 2);
    }

    #[test]
    fn load_is_what_happened_between_two_readings() {
        let reading = |at, busy, own, idle| Reading { at, busy, own, idle };
        let first = reading(1_000, 100, 200, Some(500));
        let last = reading(2_000, 1_900, 1_700, Some(1_000));
        let load = Load::between(&first, &last, 2, 4);
        assert_eq!((load.busy, load.own, load.free), (0.9, 1.5, 0.5));
        // Idle time is unknown, or is more than this process may use.
        let silent = Reading { idle: None, ..first };
        assert_eq!(Load::between(&silent, &last, 2, 4).free, 2.5);
        assert_eq!(Load::between(&first, &last, 2, 1).free, 0.0);
    }

    #[test]
    fn idle_time_is_that_of_the_processors_that_may_be_used() {
        let stat = "cpu  1 2 3 60 9 0 0\ncpu0 1 1 1 10 4 0 0\ncpu1 0 1 2 50 5 0 0\nintr 7 8\n";
        assert_eq!(idle(stat, None), Some(690_000_000));
        let mut second = CpuSet::new();
        second.set(1);
        assert_eq!(idle(stat, Some(&second)), Some(550_000_000));
        assert_eq!(idle("cpu  1 2 3 60 9\n", None), None);
        assert_eq!(idle("", None), None);
    }

    #[test]
    fn connections_are_level_and_few_of_them_move() {
        let leveled = |at: &[usize], workers| {
            let mut leveled = at.to_vec();
            level(&mut leveled, workers);
            leveled
        };
        assert_eq!(leveled(&[0, 0, 0, 0], 2), [0, 0, 1, 1]);
        assert_eq!(leveled(&[0, 1, 2, 3], 2), [0, 1, 0, 1]);
        assert_eq!(leveled(&[0, 1, 0], 2), [0, 1, 0]);
        assert_eq!(leveled(&[1, 0, 1], 1), [0, 0, 0]);
        assert!(leveled(&[], 3).is_empty());
        let mut random = 1_u64;
        for round in 0..2000 {
            let mut next = |below: usize| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 33) as usize % below
            };
            let (workers, len) = (next(5) + 1, next(40));
            let before: Vec<usize> = (0..len).map(|_| next(7)).collect();
            let after = leveled(&before, workers);
            let counts = |at: &[usize]| -> Vec<usize> {
                (0..workers).map(|worker| at.iter().filter(|&&at| at == worker).count()).collect()
            };
            let (old, new) = (counts(&before), counts(&after));
            let (least, most) = (len / workers, len.div_ceil(workers));
            assert!(new.iter().all(|count| (least..=most).contains(count)), "{round}: {new:?}");
            // Only what exceeds the even share must move.
            let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
            let beyond: usize = old.iter().map(|count| count.saturating_sub(most)).sum();
            let strays = len - old.iter().sum::<usize>();
            let lacking: usize = old.iter().map(|count| least.saturating_sub(*count)).sum();
            assert_eq!(moved.count(), (beyond + strays).max(lacking), "{round}: {before:?}");
        }
    }
}
