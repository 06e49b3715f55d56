//! Syncs beside the writes: under `everysec` a thread of its own waits for the disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::aof::files::{Barrier, OutFile};
use crate::aof::handle::Aof;

/// A sync to do.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) aof: Arc<Aof>,
    pub(super) file: Arc<dyn OutFile>,
    /// Names it: of an older one nobody wants to know any more.
    pub(super) number: u64,
}

/// How a sync ended.
#[derive(Debug)]
pub(in crate::aof) struct Synced {
    pub(super) number: u64,
    pub(super) outcome: io::Result<()>,
}

impl Job {
    fn run(self) {
        let outcome = self.file.sync(Barrier::Records);
        self.aof.counters.syncing.store(false, Ordering::Relaxed);
        *self.aof.synced.lock() = Some(Synced { number: self.number, outcome });
        self.aof.queue.nudge();
    }
}

/// Who syncs.
#[derive(Debug)]
pub(super) enum Syncer {
    /// The caller, at once: for tests that go step by step.
    Here,
    /// A thread, which is started when it is needed first.
    Thread(Option<Sender<Job>>),
}

impl Syncer {
    /// Does a job or has it done. True if it is done.
    pub(super) fn start(&mut self, job: Job) -> bool {
        let Self::Thread(sender) = self else {
            job.run();
            return true;
        };
        if sender.is_none() {
            *sender = spawn();
        }
        let refused = match sender {
            Some(sender) => sender.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        let done = refused.is_some();
        if let Some(job) = refused {
            // The system has no thread left.
            job.run();
        }
        done
    }
}

/// The thread ends when the sender is dropped.
fn spawn() -> Option<Sender<Job>> {
    let (sender, jobs) = channel::<Job>();
    let work = move || jobs.into_iter().for_each(Job::run);
    thread::Builder::new().name("aof-sync".to_owned()).spawn(work).ok().map(|_| sender)
}
