//! The writer: takes records from the queue, writes them, and syncs by the policy.
//!
//! One write and one sync cover all that was queued when the writer came round, whoever appended it:
//! while it syncs, the next group gathers. It sleeps while there is nothing to do.
//!
//! [`Drain::step`] is one round without any wait, which tests call; [`Writer`] is the thread that
//! repeats it.

mod batch;

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::files::{Barrier, OutFile};
use super::folder::Persisted;
use super::handle::{Aof, Mode, Policy};
use super::host::{Level, Progress, State, reason};
use super::queue::{Marker, Switch, Ticket};
use batch::Batch;

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

/// The file being written.
#[derive(Debug)]
struct Open {
    file: Box<dyn OutFile>,
    /// Bytes of whole units in it.
    size: u64,
}

/// The writer's half of the append only file.
#[derive(Debug)]
pub(crate) struct Drain {
    aof: Arc<Aof>,
    open: Option<Open>,
    batch: Batch,
    marker: Option<Marker>,
    /// The file has bytes that were not synced.
    unsynced: bool,
    /// The folder has a new manifest whose name was not synced.
    folder_unsynced: bool,
    /// Offset up to which all is written.
    written: u64,
    durable: u64,
    /// When the last sync began, in nanoseconds.
    synced_ns: u64,
    /// When to try again after a failure.
    retry_ns: Option<u64>,
    logged_ns: Option<u64>,
    told: Progress,
}

impl Drain {
    pub(super) fn new(aof: Arc<Aof>) -> Self {
        Self {
            aof,
            open: None,
            batch: Batch::default(),
            marker: None,
            unsynced: false,
            folder_unsynced: false,
            written: 0,
            durable: 0,
            synced_ns: 0,
            retry_ns: None,
            logged_ns: None,
            told: Progress::default(),
        }
    }

    /// One round: writes what is queued, syncs what is due.
    pub(crate) fn step(&mut self) -> Next {
        let now = self.aof.host.nanos();
        if let Some(at_ns) = self.retry_ns.filter(|&at| now < at)
            && !self.aof.queue.is_ending()
        {
            self.tell();
            return Next::Retry { at_ns };
        }
        let next = match self.advance(now) {
            Ok(next) => {
                self.recovered();
                next
            }
            Err(failure) => self.fail(&failure, now),
        };
        self.tell();
        next
    }

    fn tell(&mut self) {
        self.aof.set_progress(self.written, self.durable);
        self.aof.tell_progress(&mut self.told);
    }

    fn advance(&mut self, now: u64) -> Result<Next, Failure> {
        if self.folder_unsynced {
            self.aof.folder.sync(Barrier::ManifestName).map_err(Failure::Folder)?;
            self.folder_unsynced = false;
        }
        let mut took = !self.batch.is_empty();
        if self.batch.is_empty()
            && self.marker.is_none()
            && let Some(run) = self.aof.queue.take()
        {
            took = true;
            self.batch = Batch::new(run.blocks, run.end);
            self.marker = run.marker;
        }
        self.write()?;
        self.sync_if_due(now)?;
        match self.marker.take() {
            Some(Marker::End) => {
                self.aof.queue.abandon("the writer has ended");
                return Ok(Next::End);
            }
            Some(marker) => self.obey(marker)?,
            None => {}
        }
        if took {
            return Ok(Next::Again);
        }
        let due = self.unsynced && self.aof.policy() == Policy::EverySec && !self.aof.syncs_held();
        Ok(Next::Sleep { until_ns: due.then(|| self.synced_ns + SYNC_INTERVAL_NS) })
    }

    /// Writes the batch to its end.
    fn write(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let Some(open) = &mut self.open else {
            // Nothing is recorded while there is no file; what came before its end needs none.
            self.forget_batch();
            return Ok(());
        };
        if let Err(error) = self.batch.write_to(open.file.as_mut()) {
            return Err(self.undo(error));
        }
        let bytes = self.batch.bytes() as u64;
        self.written = self.batch.end();
        self.grew(bytes);
        self.unsynced = true;
        self.aof.queue.recycle(mem::take(&mut self.batch).into_blocks());
        self.aof.tell_room();
        Ok(())
    }

    fn grew(&mut self, bytes: u64) {
        if let Some(open) = &mut self.open {
            open.size += bytes;
        }
        self.aof.counters.incr_size.fetch_add(bytes, Ordering::Relaxed);
        self.aof.counters.current_size.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes a half written batch out of the file again, so that it never ends in half a record
    /// while the disk is full.
    fn undo(&mut self, error: io::Error) -> Failure {
        let (done, expected) = (self.batch.written_bytes(), self.batch.bytes());
        let Some(open) = self.open.as_mut().filter(|_| done > 0) else {
            return Failure::Write(error);
        };
        match open.file.truncate(open.size) {
            Ok(()) => self.batch.rewind(),
            Err(error) => {
                let reason = reason(&error);
                self.aof.folder.warn(format_args!(
                    "Could not remove short write from the append-only file.  Redis may refuse to \
                     load the AOF the next time it starts.  ftruncate: {reason}"
                ));
                // What is there stays; the rest follows it when the disk has room.
                self.batch.keep_written();
                self.grew(done as u64);
            }
        }
        Failure::ShortWrite(error, done, expected)
    }

    fn forget_batch(&mut self) {
        let batch = mem::take(&mut self.batch);
        self.written = self.written.max(batch.end());
        self.durable = self.written;
        self.aof.queue.recycle(batch.into_blocks());
        self.aof.queue.taken_is_durable();
        self.aof.tell_room();
    }

    fn sync_if_due(&mut self, now: u64) -> Result<(), Failure> {
        let due = match self.aof.policy() {
            Policy::Always => true,
            Policy::EverySec => now >= self.synced_ns + SYNC_INTERVAL_NS,
            Policy::No => false,
        };
        if self.unsynced && due && !self.aof.syncs_held() {
            self.sync(Barrier::Records)?;
        }
        Ok(())
    }

    /// Syncs what is written.
    fn sync(&mut self, barrier: Barrier) -> Result<(), Failure> {
        let Some(open) = self.open.as_mut().filter(|_| self.unsynced) else { return Ok(()) };
        let aof = &self.aof;
        // Others must know what is written already while the sync takes its time.
        aof.set_progress(self.written, self.durable);
        aof.tell_progress(&mut self.told);
        let began = aof.host.nanos();
        aof.counters.syncing.store(true, Ordering::Relaxed);
        let synced = open.file.sync(barrier);
        aof.counters.syncing.store(false, Ordering::Relaxed);
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
        synced.map_err(Failure::Sync)?;
        self.unsynced = false;
        self.synced_ns = began;
        self.durable = self.written;
        aof.set_progress(self.written, self.durable);
        aof.queue.taken_is_durable();
        aof.tell_room();
        Ok(())
    }

    fn obey(&mut self, marker: Marker) -> Result<(), Failure> {
        match marker {
            Marker::Install(file, size) => self.open = Some(Open { file, size }),
            Marker::Switch(switch) => return self.switch(switch),
            Marker::Close(ticket) => {
                let closed = self.sync(Barrier::Close);
                if closed.is_err() && self.aof.policy() == Policy::Always {
                    // Replies wait for it.
                    self.marker = Some(Marker::Close(ticket));
                    return closed;
                }
                self.close(&ticket, closed.map_err(|failure| reason(failure.error())));
            }
            Marker::Discard => self.drop_file(),
            Marker::End => {}
        }
        Ok(())
    }

    fn close(&mut self, ticket: &Ticket, outcome: Result<(), String>) {
        if let Err(reason) = &outcome {
            self.aof.folder.warn(format_args!("Fail to fsync the AOF file: {reason}"));
        }
        self.drop_file();
        self.aof.set_mode(Mode::Off);
        ticket.resolve(outcome);
    }

    fn drop_file(&mut self) {
        self.open = None;
        self.unsynced = false;
        self.folder_unsynced = false;
        self.durable = self.written;
        self.aof.queue.taken_is_durable();
    }

    /// Goes on in a new file. All before it must be on the disk before the manifest lists the new
    /// one, under every policy: only the last file may end in half a record.
    fn switch(&mut self, switch: Switch) -> Result<(), Failure> {
        if let Err(failure) = self.sync(Barrier::Switch) {
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
        self.open = Some(Open { file: switch.file, size: 0 });
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

    fn fail(&mut self, failure: &Failure, now: u64) -> Next {
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
            self.give_up(&reason);
            return Next::Again;
        }
        Next::Retry { at_ns: now + RETRY_NS }
    }

    /// Drops all before the next end of a file.
    fn give_up(&mut self, reason: &str) {
        self.folder_unsynced = false;
        self.retry_ns = None;
        self.logged_ns = None;
        self.aof.set_state(State::Working);
        loop {
            self.forget_batch();
            match self.marker.take() {
                Some(Marker::Close(ticket)) => {
                    self.close(&ticket, Err(reason.to_owned()));
                    return;
                }
                Some(marker @ (Marker::Discard | Marker::End)) => {
                    self.drop_file();
                    self.marker = Some(marker);
                    return;
                }
                _ => {}
            }
            let Some(run) = self.aof.queue.take() else { return };
            self.batch = Batch::new(run.blocks, run.end);
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
    pub(crate) fn spawn(drain: Drain) -> io::Result<Self> {
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
