//! The writer: takes records from the queue, writes them, and syncs by the policy.
//!
//! One write and one sync cover all that was queued when the writer came round, whoever appended it:
//! while it syncs, the next group gathers. It sleeps while there is nothing to do.
//!
//! Unless the policy is `always`, workers mostly write themselves ([`Aof::flush`]), and the syncs of
//! `everysec` have a thread of their own, so that the writer goes on beside them.
//!
//! [`Drain::step`] is one round without any wait, which tests call; [`Writer`] is the thread that
//! repeats it.

mod batch;
mod pen;
mod syncer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::files::Barrier;
use super::folder::Persisted;
use super::handle::{Aof, Mode, Policy};
use super::host::{Level, State, Timed, reason};
use super::queue::{Marker, Switch, Ticket};
use batch::Batch;
use pen::Open;
pub(super) use pen::Pen;
pub(crate) use pen::Took;
pub(super) use syncer::Synced;
use syncer::{Job, Syncer};

/// Names the writer's thread among those that write.
const WRITER: usize = usize::MAX;
/// Time between two syncs under `everysec`.
const SYNC_INTERVAL_NS: u64 = 1_000_000_000;
/// Time until a failed operation is tried again.
const RETRY_NS: u64 = 1_000_000_000;
/// Time between two lines about failures.
const LOG_INTERVAL_NS: u64 = 30_000_000_000;

/// What follows a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another round at once.
    Again,
    /// Sleep until something is appended, or until this time in nanoseconds.
    Sleep {
        until_ns: Option<u64>,
    },
    /// Sleep until this time, whatever is appended: a failed operation is tried again then.
    Retry {
        at_ns: u64,
    },
    End,
}

/// What failed.
#[derive(Debug)]
enum Failure {
    Write(io::Error),
    /// Some bytes were written before, of how many.
    ShortWrite(io::Error, usize, usize),
    Sync(io::Error),
    Folder(io::Error),
}

impl Failure {
    fn error(&self) -> &io::Error {
        match self {
            Self::Write(error) | Self::ShortWrite(error, ..) => error,
            Self::Sync(error) | Self::Folder(error) => error,
        }
    }
}

/// A sync that runs beside the writes.
#[derive(Clone, Copy, Debug)]
struct Background {
    number: u64,
    /// Offset up to which all is on the disk after it.
    target: u64,
}

/// The writer's half of the append only file.
#[derive(Debug)]
pub(crate) struct Drain {
    aof: Arc<Aof>,
    marker: Option<Marker>,
    /// The folder has a new manifest whose name was not synced.
    folder_unsynced: bool,
    /// When the last sync began, in nanoseconds.
    synced_ns: u64,
    syncer: Syncer,
    background: Option<Background>,
    /// The sync to begin once the pen is put down.
    job: Option<Job>,
    /// Names the next sync.
    next_sync: u64,
    /// How many wait for the sync under `always`.
    joined: usize,
    /// The last sync failed.
    sync_failed: bool,
    /// When to try again after a failure.
    retry_ns: Option<u64>,
    logged_ns: Option<u64>,
}

impl Drain {
    pub(super) fn new(aof: Arc<Aof>) -> Self {
        Self {
            aof,
            marker: None,
            folder_unsynced: false,
            synced_ns: 0,
            syncer: Syncer::Here,
            background: None,
            job: None,
            next_sync: 0,
            joined: 0,
            sync_failed: false,
            retry_ns: None,
            logged_ns: None,
        }
    }

    /// One round: writes what is queued, syncs what is due.
    pub(crate) fn step(&mut self) -> Next {
        let aof = Arc::clone(&self.aof);
        let mut pen = aof.pen.lock();
        let next = self.round(&mut pen);
        aof.set_progress(pen.written, pen.durable);
        drop(pen);
        aof.tell_progress();
        if aof.history_due.swap(false, Ordering::AcqRel) {
            // A manifest that a power cut may take back needs the older files.
            match aof.folder.sync(Barrier::ManifestName) {
                Ok(()) => aof.folder.remove_history(),
                Err(error) => {
                    aof.folder.warn(format_args!("Can't remove the history: {}", reason(&error)));
                }
            }
        }
        let done = self.job.take().is_some_and(|job| self.syncer.start(job));
        if done { Next::Again } else { next }
    }

    fn round(&mut self, pen: &mut Pen) -> Next {
        let now = self.aof.host.nanos();
        if let Some(at_ns) = self.retry_ns.filter(|&at| now < at)
            && !self.aof.queue.is_ending()
        {
            return Next::Retry { at_ns };
        }
        match self.advance(pen, now) {
            Ok(next) => {
                self.recovered();
                next
            }
            Err(failure) => self.fail(pen, &failure, now),
        }
    }

    fn advance(&mut self, pen: &mut Pen, now: u64) -> Result<Next, Failure> {
        self.end_background(pen)?;
        if self.folder_unsynced {
            self.aof.folder.sync(Barrier::ManifestName).map_err(Failure::Folder)?;
            self.folder_unsynced = false;
        }
        self.joined += self.aof.gathering.begin();
        let mut took = !pen.batch.is_empty();
        if pen.batch.is_empty()
            && self.marker.is_none()
            && let Some(run) = self.aof.queue.take()
        {
            took = true;
            pen.batch = Batch::new(run.blocks, run.end);
            self.marker = run.marker;
        }
        self.write(pen)?;
        self.sync_if_due(pen, now)?;
        match self.marker.take() {
            Some(Marker::End) => {
                self.aof.queue.abandon("the writer has ended");
                return Ok(Next::End);
            }
            Some(marker) => self.obey(pen, marker)?,
            None => {}
        }
        if took {
            return Ok(Next::Again);
        }
        // The end of a sync that runs wakes the thread.
        let due = pen.is_unsynced()
            && self.background.is_none()
            && self.aof.policy() == Policy::EverySec
            && !self.aof.syncs_held();
        Ok(Next::Sleep { until_ns: due.then(|| self.synced_ns + SYNC_INTERVAL_NS) })
    }

    /// Writes the batch to its end.
    fn write(&self, pen: &mut Pen) -> Result<(), Failure> {
        if pen.batch.is_empty() {
            return Ok(());
        }
        if pen.open.is_none() {
            // Nothing is recorded while there is no file; what came before its end needs none.
            pen.forget_batch(&self.aof);
            return Ok(());
        }
        if let Err(error) = pen.write(&self.aof, WRITER) {
            return Err(self.undo(pen, error));
        }
        self.aof.tell_room();
        Ok(())
    }

    /// Takes a half written batch out of the file again, so that it never ends in half a record
    /// while the disk is full.
    fn undo(&self, pen: &mut Pen, error: io::Error) -> Failure {
        let (done, expected) = (pen.batch.written_bytes(), pen.batch.bytes());
        let Some(open) = pen.open.as_ref().filter(|_| done > 0) else {
            return Failure::Write(error);
        };
        match open.file.truncate(open.size) {
            Ok(()) => pen.batch.rewind(),
            Err(error) => {
                let reason = reason(&error);
                self.aof.folder.warn(format_args!(
                    "Could not remove short write from the append-only file.  Redis may refuse to \
                     load the AOF the next time it starts.  ftruncate: {reason}"
                ));
                // What is there stays; the rest follows it when the disk has room.
                pen.batch.keep_written();
                pen.grew(&self.aof, done as u64);
            }
        }
        Failure::ShortWrite(error, done, expected)
    }

    fn sync_if_due(&mut self, pen: &mut Pen, now: u64) -> Result<(), Failure> {
        if !pen.is_unsynced() || self.aof.syncs_held() {
            return Ok(());
        }
        match self.aof.policy() {
            Policy::Always => self.sync(pen, Barrier::Records),
            // Whether it recovers shall be known at once.
            Policy::EverySec if self.sync_failed => self.sync(pen, Barrier::Records),
            Policy::EverySec if now >= self.synced_ns + SYNC_INTERVAL_NS => {
                self.begin_background(pen);
                Ok(())
            }
            Policy::EverySec | Policy::No => Ok(()),
        }
    }

    /// Has what is written synced beside the writes to come.
    fn begin_background(&mut self, pen: &Pen) {
        let Some(open) = pen.open.as_ref().filter(|_| self.background.is_none()) else { return };
        let aof = &self.aof;
        aof.counters.syncing.store(true, Ordering::Relaxed);
        aof.queue.begin_sync();
        let number = self.next_sync;
        self.next_sync += 1;
        self.synced_ns = aof.host.nanos();
        self.background = Some(Background { number, target: pen.written });
        self.job = Some(Job { aof: Arc::clone(aof), file: Arc::clone(&open.file), number });
    }

    /// Takes note of the end of such a sync.
    fn end_background(&mut self, pen: &mut Pen) -> Result<(), Failure> {
        let Some(Synced { number, outcome }) = self.aof.synced.lock().take() else { return Ok(()) };
        let Some(background) = self.background.take_if(|running| running.number == number) else {
            // Everything was synced since, or the file is closed.
            return Ok(());
        };
        self.aof.queue.end_sync(outcome.is_ok());
        self.note_delay();
        self.sync_failed = outcome.is_err();
        outcome.map_err(Failure::Sync)?;
        pen.durable = pen.durable.max(background.target);
        self.aof.tell_room();
        Ok(())
    }

    /// Counts a sync that made writers wait.
    fn note_delay(&self) {
        let aof = &self.aof;
        if aof.take_lagged() {
            aof.counters.delayed_syncs.fetch_add(1, Ordering::Relaxed);
            aof.host.log(
                Level::Notice,
                format_args!(
                    "Asynchronous AOF fsync is taking too long (disk is busy?). Writers waited for \
                     it, this may slow down the server."
                ),
            );
        }
    }

    /// Syncs what is written, and waits for it.
    fn sync(&mut self, pen: &mut Pen, barrier: Barrier) -> Result<(), Failure> {
        let Some(open) = pen.open.as_ref().filter(|_| pen.is_unsynced()) else { return Ok(()) };
        let aof = &self.aof;
        // Others must know what is written already while the sync takes its time.
        aof.set_progress(pen.written, pen.durable);
        aof.tell_progress();
        let began = aof.host.nanos();
        aof.counters.syncing.store(true, Ordering::Relaxed);
        let synced = open.file.sync(barrier);
        aof.counters.syncing.store(false, Ordering::Relaxed);
        if aof.policy() == Policy::Always {
            let now = aof.host.nanos();
            aof.host.took(Timed::SyncAlways, now.saturating_sub(began));
            aof.gathering.end(std::mem::take(&mut self.joined), now.saturating_sub(began), now);
        }
        self.note_delay();
        self.sync_failed = synced.is_err();
        synced.map_err(Failure::Sync)?;
        self.synced_ns = began;
        pen.durable = pen.written;
        self.background = None;
        aof.set_progress(pen.written, pen.durable);
        aof.queue.taken_is_durable();
        aof.tell_room();
        Ok(())
    }

    fn obey(&mut self, pen: &mut Pen, marker: Marker) -> Result<(), Failure> {
        match marker {
            Marker::Install(file, size) => pen.open = Some(Open { file: file.into(), size }),
            Marker::Switch(switch) => return self.switch(pen, switch),
            Marker::Close(ticket) => {
                let closed = self.sync(pen, Barrier::Close);
                if closed.is_err() && self.aof.policy() == Policy::Always {
                    // Replies wait for it.
                    self.marker = Some(Marker::Close(ticket));
                    return closed;
                }
                self.close(pen, &ticket, closed.map_err(|failure| reason(failure.error())));
            }
            Marker::Discard => self.drop_file(pen),
            Marker::End => {}
        }
        Ok(())
    }

    fn close(&mut self, pen: &mut Pen, ticket: &Ticket, outcome: Result<(), String>) {
        if let Err(reason) = &outcome {
            self.aof.folder.warn(format_args!("Fail to fsync the AOF file: {reason}"));
        }
        self.drop_file(pen);
        self.aof.set_mode(Mode::Off);
        self.aof.closed.fetch_add(1, Ordering::AcqRel);
        ticket.resolve(outcome);
    }

    fn drop_file(&mut self, pen: &mut Pen) {
        pen.open = None;
        pen.durable = pen.written;
        self.folder_unsynced = false;
        self.background = None;
        self.sync_failed = false;
        self.aof.queue.taken_is_durable();
    }

    /// Goes on in a new file. All before it must be on the disk before the manifest lists the new
    /// one, under every policy: only the last file may end in half a record.
    fn switch(&mut self, pen: &mut Pen, switch: Switch) -> Result<(), Failure> {
        if let Err(failure) = self.sync(pen, Barrier::Switch) {
            switch.ticket.resolve(Err(reason(failure.error())));
            return Err(failure);
        }
        let mut persisted = Persisted::Durable;
        if switch.listed {
            let folder = &self.aof.folder;
            let mut locked = folder.lock();
            let mut next = locked.clone();
            next.add_incr(folder.filename().as_bytes());
            match folder.replace(&mut locked, next) {
                Ok(done) => persisted = done,
                Err(error) => {
                    // The records go on in the file before.
                    drop(locked);
                    switch.ticket.resolve(Err(reason(&error)));
                    return Ok(());
                }
            }
        }
        let name = String::from_utf8_lossy(&switch.name);
        let line = format_args!("Creating AOF incr file {name} on background rewrite");
        self.aof.host.log(Level::Notice, line);
        pen.open = Some(Open { file: switch.file.into(), size: 0 });
        self.aof.counters.incr_size.store(0, Ordering::Relaxed);
        switch.ticket.resolve(Ok(()));
        match persisted {
            Persisted::Durable => Ok(()),
            Persisted::Visible(error) => {
                // Nothing in the new file counts as durable before the folder is synced.
                self.folder_unsynced = true;
                Err(Failure::Folder(error))
            }
        }
    }

    fn recovered(&mut self) {
        if self.retry_ns.take().is_some() {
            self.logged_ns = None;
            self.aof
                .folder
                .warn(format_args!("AOF write error looks solved, Redis can write again."));
            self.aof.set_state(State::Working);
        }
    }

    fn fail(&mut self, pen: &mut Pen, failure: &Failure, now: u64) -> Next {
        let reason = reason(failure.error());
        self.log_failure(failure, &reason, now);
        if let Some(Marker::Switch(switch)) = &self.marker {
            switch.ticket.resolve(Err(reason.clone()));
            self.marker = None;
        }
        self.aof.queue.abandon_switches(&reason);
        if self.aof.policy() == Policy::Always {
            return self.end_fatally(failure, &reason);
        }
        self.aof.set_state(State::Failed(reason.clone()));
        self.retry_ns = Some(now + RETRY_NS);
        if self.marker.is_some() || self.aof.queue.is_ending() {
            // The file is being turned off: one try was all.
            self.give_up(pen, &reason);
            return Next::Again;
        }
        Next::Retry { at_ns: now + RETRY_NS }
    }

    /// Drops all before the next end of a file.
    fn give_up(&mut self, pen: &mut Pen, reason: &str) {
        self.folder_unsynced = false;
        self.retry_ns = None;
        self.logged_ns = None;
        self.aof.set_state(State::Working);
        loop {
            pen.forget_batch(&self.aof);
            match self.marker.take() {
                Some(Marker::Close(ticket)) => {
                    self.close(pen, &ticket, Err(reason.to_owned()));
                    return;
                }
                Some(marker @ (Marker::Discard | Marker::End)) => {
                    self.drop_file(pen);
                    self.marker = Some(marker);
                    return;
                }
                _ => {}
            }
            let Some(run) = self.aof.queue.take() else { return };
            pen.batch = Batch::new(run.blocks, run.end);
            self.marker = run.marker;
        }
    }

    fn end_fatally(&mut self, failure: &Failure, reason: &str) -> Next {
        let folder = &self.aof.folder;
        match failure {
            Failure::Write(_) | Failure::ShortWrite(..) => folder.warn(format_args!(
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. \
                 Exiting..."
            )),
            Failure::Sync(_) | Failure::Folder(_) => folder.warn(format_args!(
                "Can't persist AOF for fsync error when the AOF fsync policy is 'always': \
                 {reason}. Exiting..."
            )),
        }
        if let Some(Marker::Close(ticket)) = self.marker.take() {
            ticket.resolve(Err(reason.to_owned()));
        }
        self.aof.queue.abandon(reason);
        self.aof.set_state(State::Fatal(reason.to_owned()));
        Next::End
    }

    fn log_failure(&mut self, failure: &Failure, reason: &str, now: u64) {
        if self.logged_ns.is_some_and(|logged| now < logged + LOG_INTERVAL_NS) {
            return;
        }
        self.logged_ns = Some(now);
        let folder = &self.aof.folder;
        match failure {
            Failure::Write(_) => {
                folder.warn(format_args!("Error writing to the AOF file: {reason}"));
            }
            Failure::ShortWrite(_, done, expected) => folder.warn(format_args!(
                "Short write while writing to the AOF file: (nwritten={done}, expected={expected})"
            )),
            Failure::Sync(_) => folder.warn(format_args!("Fail to fsync the AOF file: {reason}")),
            // The folder's own line says it.
            Failure::Folder(_) => {}
        }
    }
}

/// The writer's thread.
#[derive(Debug)]
pub(crate) struct Writer {
    aof: Arc<Aof>,
    thread: thread::JoinHandle<()>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn spawn(mut drain: Drain) -> io::Result<Self> {
        drain.syncer = Syncer::Thread(None);
        let aof = Arc::clone(&drain.aof);
        let thread = thread::Builder::new().name("aof".to_owned()).spawn(move || run(drain))?;
        Ok(Self { aof, thread })
    }

    /// Writes and syncs all that is queued and ends the thread.
    ///
    /// # Errors
    /// With the reason, when some of it could not be written.
    pub(crate) fn end(self) -> Result<(), String> {
        let closed = self.aof.begin_stop().wait();
        self.aof.queue.mark(Marker::End, false);
        let joined = self.thread.join();
        joined.map_err(|_| "the writer panicked".to_owned()).and(closed)
    }
}

fn run(mut drain: Drain) {
    loop {
        let aof = &drain.aof;
        if aof.policy() == Policy::Always {
            let left_ns = aof.gathering.left_ns(aof.host.nanos());
            if left_ns > 0 && aof.queue.held_bytes() != 0 {
                let is_enough = || aof.gathering.is_complete();
                aof.queue.gather(Duration::from_nanos(left_ns), is_enough);
            }
        }
        let next = drain.step();
        let now = drain.aof.host.nanos();
        let left = |until: u64| Duration::from_nanos(until.saturating_sub(now));
        match next {
            Next::Again => {}
            Next::Sleep { until_ns } => drain.aof.queue.wait(until_ns.map(left), false),
            Next::Retry { at_ns } => drain.aof.queue.wait(Some(left(at_ns)), true),
            Next::End => return,
        }
    }
}
