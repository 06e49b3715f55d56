//! The writer, step by step and as a thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::disk::{Disk, Plan};
use super::host::TestHost;
use super::records::{Numbers, command, rdb_base, record};
use super::world::{open, place};
use crate::aof::files::{Barrier, FileSystem, Files};
use crate::aof::folder::Place;
use crate::aof::handle::{Aof, Mode, Options, Policy};
use crate::aof::host::{Host, State};
use crate::aof::loader::LoadOptions;
use crate::aof::manifest::Format;
use crate::aof::writer::{Drain, Next, Took, Writer};

const SECOND: u64 = 1_000_000_000;
const INCR: &str = "/srv/appendonlydir/appendonly.aof.1.incr.aof";

pub(super) struct Server {
    pub(super) disk: Disk,
    pub(super) host: Arc<TestHost>,
    pub(super) aof: Arc<Aof>,
    pub(super) drain: Drain,
}

impl Server {
    /// Starts on a disk, and lets the writer take its file.
    pub(super) fn start(disk: &Disk, policy: Policy) -> Self {
        let host = TestHost::new();
        host.pass(10 * SECOND);
        let (aof, mut drain) = open(disk, &host, policy).unwrap();
        aof.load(LoadOptions { truncated: true }, &mut Numbers::default()).unwrap();
        aof.start(Format::Rdb, |to| to.write_all(&rdb_base(0))).unwrap();
        while drain.step() == Next::Again {}
        Self { disk: disk.clone(), host, aof, drain }
    }

    pub(super) fn new(policy: Policy) -> Self {
        Self::start(&Disk::new(Path::new("/srv")), policy)
    }

    pub(super) fn append(&self, bytes: &[u8]) -> u64 {
        self.aof.append(&[bytes], self.host.nanos())
    }

    /// Steps until the writer rests.
    pub(super) fn settle(&mut self) -> Next {
        loop {
            let next = self.drain.step();
            if next != Next::Again {
                return next;
            }
        }
    }

    pub(super) fn incr(&self) -> Vec<u8> {
        self.disk.content(Path::new(INCR)).unwrap()
    }
}

/// How many records a load finds.
pub(super) fn count(disk: &Disk) -> u64 {
    let (aof, _) = open(disk, &TestHost::new(), Policy::No).unwrap();
    let mut numbers = Numbers::default();
    aof.load(LoadOptions { truncated: false }, &mut numbers).unwrap();
    numbers.finish().unwrap()
}

#[test]
fn one_sync_covers_all_that_was_queued() {
    let mut server = Server::new(Policy::Always);
    let ends: Vec<u64> = (0..100).map(|number| server.append(&record(number, 5))).collect();
    assert_eq!(server.aof.released(), 0);
    let before = server.disk.syncs(Barrier::Records);
    server.settle();
    assert_eq!(server.disk.syncs(Barrier::Records), before + 1);
    assert_eq!(server.aof.released(), ends[99]);
    assert_eq!(server.host.progress.lock().released, ends[99], "it was told");
    assert_eq!(count(&server.disk), 100);
}

#[test]
fn everysec_writes_at_once_and_syncs_once_a_second() {
    let mut server = Server::new(Policy::EverySec);
    let end = server.append(&record(0, 5));
    assert_eq!(server.settle(), Next::Sleep { until_ns: None }, "the first sync is due at once");
    let progress = server.aof.progress();
    assert_eq!((progress.written, progress.durable, progress.released), (end, end, end));

    let began = server.host.nanos();
    let next = server.append(&record(1, 5));
    assert_eq!(server.settle(), Next::Sleep { until_ns: Some(began + SECOND) });
    assert_eq!((server.aof.progress().written, server.aof.progress().durable), (next, end));
    server.host.pass(SECOND - 1);
    assert_eq!(server.settle(), Next::Sleep { until_ns: Some(began + SECOND) });
    server.host.pass(1);
    assert_eq!(server.settle(), Next::Sleep { until_ns: None }, "no wake-ups while idle");
    assert_eq!(server.aof.progress().durable, next);
}

#[test]
fn a_worker_writes_what_all_have_appended_and_the_writer_syncs_it() {
    let mut server = Server::new(Policy::EverySec);
    server.append(&record(0, 5));
    let end = server.append(&record(1, 5));
    assert_eq!(server.aof.released(), 0);
    assert_eq!(server.aof.flush(0), Took::NoTime);
    let progress = server.aof.progress();
    assert_eq!((progress.written, progress.durable, progress.released), (end, 0, end));
    assert_eq!(server.host.progress.lock().released, end, "it was told");
    assert_eq!(server.disk.syncs(Barrier::Records), 0);
    assert_eq!(count(&server.disk), 2);
    server.settle();
    assert_eq!((server.aof.progress().durable, server.disk.syncs(Barrier::Records)), (end, 1));
    let operations = server.disk.operations();
    server.aof.flush(0);
    assert_eq!(server.disk.operations(), operations, "there was nothing to write");
}

#[test]
fn workers_leave_the_file_alone_while_something_else_is_to_do_with_it() {
    let rests = |server: &Server| {
        let end = server.append(&record(0, 5));
        server.aof.flush(0);
        server.aof.progress().written < end
    };
    assert!(rests(&Server::new(Policy::Always)), "a write alone would release nothing");
    assert!(!rests(&Server::new(Policy::No)));

    let server = Server::new(Policy::EverySec);
    server.append(&record(0, 5));
    drop(server.aof.begin_stop());
    server.aof.flush(0);
    assert_eq!(server.aof.progress().written, 0, "a marker is the writer's");

    let mut server = Server::new(Policy::EverySec);
    let (aof, seen) = (Arc::clone(&server.aof), Arc::new(Mutex::new(Vec::new())));
    let written = Arc::clone(&seen);
    server.disk.set_hook(Some(Arc::new(move |barrier| {
        if barrier == Some(Barrier::Records) {
            let end = aof.append(&[&record(1, 5)], 1);
            aof.flush(0);
            written.lock().push(aof.progress().written < end);
        }
    })));
    server.append(&record(0, 5));
    server.settle();
    assert_eq!(*seen.lock(), [true], "a sync runs");
    assert_eq!(count(&server.disk), 2);
}

#[test]
fn after_a_slow_write_only_the_writer_writes_for_a_second() {
    let mut server = Server::new(Policy::No);
    let host = Arc::clone(&server.host);
    let took = Arc::new(AtomicU64::new(0));
    let (time, aof) = (Arc::clone(&took), Arc::clone(&server.aof));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let looked = Arc::clone(&seen);
    server.disk.set_hook(Some(Arc::new(move |_| {
        host.pass(time.load(Ordering::Relaxed));
        looked.lock().push(aof.look_at_write());
    })));
    let mut flush = |ns: u64| {
        took.store(ns, Ordering::Relaxed);
        let end = server.append(&record(0, 5));
        let long = server.aof.flush(7);
        let done = server.aof.progress().written == end;
        server.settle();
        server.host.pass(SECOND / 2);
        (long, done)
    };
    assert_eq!(flush(1), (Took::NoTime, true));
    assert_eq!(flush(40_000_000), (Took::Long, true));
    assert_eq!(flush(1), (Took::NoTime, false));
    assert_eq!(flush(1), (Took::NoTime, false), "the writer's write was quick");
    assert_eq!(flush(1), (Took::NoTime, true));
    assert_eq!(*seen.lock(), [None, Some(7), None, None, None]);
}

#[test]
fn a_worker_whose_write_fails_leaves_it_to_the_writer() {
    let mut server = Server::new(Policy::EverySec);
    let end = server.append(&record(0, 5000));
    server.disk.plan(Plan { fail_at: Some(server.disk.operations()), ..Plan::default() });
    server.aof.flush(0);
    assert_eq!((server.aof.state(), server.aof.released()), (State::Working, 0));
    server.settle();
    assert_eq!(server.aof.released(), end);
    assert_eq!(count(&server.disk), 1);

    let end = server.append(&record(1, 5000));
    server.disk.plan(Plan { fail_from: Some(0), ..Plan::default() });
    server.aof.flush(0);
    server.settle();
    assert!(matches!(server.aof.state(), State::Failed(_)));
    assert_eq!(server.aof.released(), u64::MAX, "who has written before waits no longer");
    server.disk.plan(Plan::default());
    server.host.pass(SECOND);
    server.settle();
    assert_eq!((server.aof.state(), server.aof.progress().written), (State::Working, end));
    assert_eq!(count(&server.disk), 2);
}

#[test]
fn no_never_syncs_by_itself() {
    let mut server = Server::new(Policy::No);
    let end = server.append(&record(0, 5));
    server.host.pass(100 * SECOND);
    assert_eq!(server.settle(), Next::Sleep { until_ns: None });
    let progress = server.aof.progress();
    assert_eq!((progress.written, progress.durable, progress.released), (end, 0, end));
    assert_eq!(server.disk.syncs(Barrier::Records), 0);
    assert!(!server.aof.must_wait(server.host.nanos()));

    server.aof.set_policy(Policy::Always);
    assert_eq!(server.aof.released(), 0, "what was written before is not on the disk yet");
    server.settle();
    assert_eq!(server.aof.released(), end);
}

#[test]
fn held_syncs_release_with_the_write() {
    let mut server = Server::new(Policy::Always);
    server.aof.hold_syncs(true);
    let end = server.append(&record(0, 5));
    server.settle();
    let progress = server.aof.progress();
    assert_eq!((progress.written, progress.durable, progress.released), (end, 0, end));
    server.aof.hold_syncs(false);
    server.settle();
    assert_eq!(server.aof.progress().durable, end);
}

#[test]
fn writers_wait_for_a_full_queue_and_hear_of_room() {
    let mut server = Server::new(Policy::No);
    assert!(!server.aof.must_wait(server.host.nanos()));
    server.append(&record(0, 200_000));
    assert!(server.aof.must_wait(server.host.nanos()));
    assert!(server.aof.readings().buffer_length >= 200_000);
    let rooms = server.host.rooms.load(Ordering::Relaxed);
    server.settle();
    assert_eq!(server.host.rooms.load(Ordering::Relaxed), rooms + 1);
    assert!(!server.aof.must_wait(server.host.nanos()));
    server.append(&record(1, 5));
    server.settle();
    assert_eq!(server.host.rooms.load(Ordering::Relaxed), rooms + 1, "nobody waited");
    assert_eq!(count(&server.disk), 2);
}

#[test]
fn a_sync_of_more_than_two_seconds_makes_writers_wait() {
    let mut server = Server::new(Policy::EverySec);
    server.append(&record(0, 5));
    server.settle();
    server.host.pass(SECOND);
    server.append(&record(1, 5));
    let waits = Arc::new(Mutex::new(Vec::new()));
    let (host, aof, seen) = (Arc::clone(&server.host), Arc::clone(&server.aof), Arc::clone(&waits));
    server.disk.set_hook(Some(Arc::new(move |barrier| {
        if barrier == Some(Barrier::Records) {
            for _ in 0..3 {
                host.pass(SECOND);
                seen.lock().push((aof.must_wait(host.nanos()), aof.readings().pending_sync));
            }
        }
    })));
    server.settle();
    assert_eq!(*waits.lock(), [(false, true), (true, true), (true, true)]);
    let readings = server.aof.readings();
    assert_eq!((readings.delayed_syncs, readings.pending_sync), (1, false));
    assert!(server.host.logged("Asynchronous AOF fsync is taking too long (disk is busy?)"));
    assert!(!server.aof.must_wait(server.host.nanos()));
    assert!(server.host.rooms.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_short_write_is_taken_back_and_tried_again() {
    let mut server = Server::new(Policy::EverySec);
    server.append(&record(0, 5));
    server.settle();
    let whole = server.incr();
    server.append(&record(1, 5000));
    server.disk.plan(Plan { fail_at: Some(server.disk.operations()), ..Plan::default() });
    let began = server.host.nanos();
    assert_eq!(server.settle(), Next::Retry { at_ns: began + SECOND });
    assert_eq!(server.aof.state(), State::Failed("No space left on device".to_owned()));
    assert!(!server.aof.readings().last_write_ok);
    assert!(server.host.logged("Short write while writing to the AOF file: (nwritten="));
    assert_eq!(server.incr(), whole, "no half record is left");
    server.append(&record(2, 5));
    assert_eq!(server.settle(), Next::Retry { at_ns: began + SECOND }, "nothing before its time");
    assert!(
        !server.aof.must_wait(server.host.nanos() + 100 * SECOND),
        "writes are refused instead"
    );
    server.host.pass(SECOND);
    server.settle();
    assert_eq!(server.aof.state(), State::Working);
    assert!(server.host.logged("AOF write error looks solved, Redis can write again."));
    assert_eq!(count(&server.disk), 3);
}

#[test]
fn a_short_write_that_cannot_be_taken_back_is_continued() {
    let mut server = Server::new(Policy::No);
    server.append(&record(0, 5000));
    // The write is short, then it and the cut fail.
    let at = server.disk.operations();
    server.disk.plan(Plan { fail_at: Some(at), fail_from: Some(at + 2), ..Plan::default() });
    server.settle();
    assert!(server.host.logged("Could not remove short write from the append-only file."));
    let half = server.incr();
    assert!(!half.is_empty() && half.len() < record(0, 5000).len());
    for _ in 0..3 {
        server.host.pass(SECOND);
        server.settle();
    }
    assert_eq!(server.incr(), half);
    server.disk.plan(Plan::default());
    server.append(&record(1, 5));
    server.host.pass(SECOND);
    server.settle();
    assert_eq!(count(&server.disk), 2);
    assert_eq!(server.aof.readings().current_size, server.incr().len() as u64);
}

#[test]
fn a_failed_sync_is_tried_again_each_second() {
    let mut server = Server::new(Policy::EverySec);
    let end = server.append(&record(0, 5));
    server.disk.plan(Plan { fail_at: Some(server.disk.operations() + 1), ..Plan::default() });
    server.settle();
    assert!(matches!(server.aof.state(), State::Failed(_)));
    assert!(server.host.logged("Fail to fsync the AOF file: No space left on device"));
    assert_eq!(server.aof.progress().durable, 0);
    server.host.pass(SECOND);
    server.settle();
    assert_eq!(server.aof.state(), State::Working);
    assert_eq!(server.aof.progress().durable, end);
}

#[test]
fn always_ends_at_the_first_failure_and_releases_nothing() {
    for (operation, words) in [
        (0, "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."),
        (1, "Can't persist AOF for fsync error when the AOF fsync policy is 'always': No space"),
    ] {
        let mut server = Server::new(Policy::Always);
        let end = server.append(&record(0, 0));
        server.disk.plan(Plan {
            fail_from: Some(server.disk.operations() + operation),
            ..Plan::default()
        });
        assert_eq!(server.settle(), Next::End);
        let fatal = State::Fatal("No space left on device".to_owned());
        assert_eq!(server.aof.state(), fatal);
        assert_eq!(*server.host.states.lock(), [fatal]);
        assert!(server.host.logged(words));
        assert!(server.aof.released() < end);
        assert!(server.aof.wait_released(end).is_err());
        assert_eq!(server.append(&record(1, 5)), end, "nothing is recorded any more");
        assert!(server.aof.begin_stop().wait().is_err());
    }
}

#[test]
fn turning_off_syncs_what_was_recorded_and_forgets_the_rest() {
    let mut server = Server::new(Policy::No);
    server.append(&record(0, 5));
    let closing = server.aof.begin_stop();
    let end = server.append(&record(1, 5));
    assert_eq!(end, server.aof.appended());
    server.settle();
    closing.wait().unwrap();
    assert_eq!((server.aof.mode(), server.aof.progress().durable), (Mode::Off, end));
    assert_eq!(count(&server.disk), 1);
    server.aof.begin_stop().wait().unwrap();
}

#[test]
fn turning_off_while_the_disk_is_full_gives_up_what_cannot_be_written() {
    let mut server = Server::new(Policy::EverySec);
    server.append(&record(0, 5));
    server.disk.plan(Plan { fail_from: Some(0), ..Plan::default() });
    server.settle();
    let closing = server.aof.begin_stop();
    server.settle();
    assert_eq!(closing.wait(), Err("No space left on device".to_owned()));
    assert_eq!((server.aof.mode(), server.aof.state()), (Mode::Off, State::Working));
    assert_eq!(server.aof.readings().buffer_length, 0);
}

#[test]
fn threads_append_and_wait_on_real_files() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place { dir: dir.path().to_owned(), ..place() };
    let host = TestHost::new();
    let options = Options { place, policy: Policy::Always, queue_bytes_max: 1 << 20 };
    let files: Arc<dyn Files> = Arc::new(FileSystem);
    let host: Arc<dyn Host> = host;
    let (aof, drain) = Aof::open(Arc::clone(&files), Arc::clone(&host), options.clone()).unwrap();
    aof.start(Format::Rdb, |to| to.write_all(&rdb_base(0))).unwrap();
    let writer = Writer::spawn(drain).unwrap();
    let next = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let end = {
                        // The lock of the log.
                        let mut next = next.lock();
                        *next += 1;
                        aof.append(&[&command(&[b"SELECT", b"0"]), &record(*next - 1, 20)], 1)
                    };
                    aof.wait_released(end).unwrap();
                    assert!(aof.progress().durable >= end);
                }
            });
        }
    });
    writer.end().unwrap();
    let (aof, _) = Aof::open(files, host, options).unwrap();
    let mut numbers = Numbers::default();
    let loaded = aof.load(LoadOptions { truncated: false }, &mut numbers).unwrap();
    assert_eq!((numbers.finish().unwrap(), loaded.commands), (400, 800));
}
