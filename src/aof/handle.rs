//! The append only file as the rest of the server sees it: append, wait, turn on and off, readings.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};

use parking_lot::{Condvar, Mutex};

use super::files::{Barrier, Files};
use super::folder::{Folder, FolderError, Persisted, Place, write_all};
use super::gather::Gathering;
use super::host::{Host, Level, Progress, State, reason};
use super::manifest::Format;
use super::pace::Pace;
use super::queue::{Marker, Queue, Ticket};
use super::writer::{Drain, Pen, Synced};

/// After this long without a sync, writers wait under `everysec`: a power cut then costs at most
/// what two seconds wrote.
const LAG_MAX_NS: u64 = 2_000_000_000;

/// When bytes are synced (`appendfsync`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Policy {
    /// Before their replies are sent.
    Always,
    /// Once a second.
    EverySec,
    /// When the kernel likes.
    No,
}

/// Whether the file is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    Off,
    /// Turned on at run time; its first base is being written.
    Waiting,
    On,
}

/// What the append only file is opened with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) place: Place,
    pub(crate) policy: Policy,
    /// Writers must wait once so many bytes are queued.
    pub(crate) queue_bytes_max: usize,
}

/// Readings for INFO and the metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readings {
    /// `aof_current_size`, in bytes.
    pub(crate) current_size: u64,
    /// `aof_base_size`, in bytes: the size after the last rewrite.
    pub(crate) base_size: u64,
    /// `aof_pending_rewrite`: one is scheduled.
    pub(crate) pending_rewrite: bool,
    /// `aof_buffer_length`: bytes appended and not yet written.
    pub(crate) buffer_length: usize,
    /// `aof_pending_bio_fsync`: a sync runs now.
    pub(crate) pending_sync: bool,
    /// `aof_delayed_fsync`: how many syncs made writers wait.
    pub(crate) delayed_syncs: u64,
    /// `aof_last_write_status`.
    pub(crate) last_write_ok: bool,
    /// `aof_rewrite_in_progress`.
    pub(crate) rewriting: bool,
    /// `aof_rewrites`.
    pub(crate) rewrites: u64,
    /// `aof_last_bgrewrite_status`.
    pub(crate) last_rewrite_ok: bool,
    /// `aof_rewrites_consecutive_failures`.
    pub(crate) consecutive_failures: u64,
}

/// Counters behind [`Readings`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) current_size: AtomicU64,
    pub(super) base_size: AtomicU64,
    /// Bytes in the file being written.
    pub(super) incr_size: AtomicU64,
    pub(super) scheduled: AtomicBool,
    pub(super) syncing: AtomicBool,
    pub(super) delayed_syncs: AtomicU64,
    pub(super) rewrites: AtomicU64,
    pub(super) last_rewrite_failed: AtomicBool,
    pub(super) consecutive_failures: AtomicU64,
}

/// The append only file.
///
/// Offsets are local: bytes appended since the process began.
#[derive(Debug)]
pub(crate) struct Aof {
    pub(super) folder: Folder,
    pub(super) host: Arc<dyn Host>,
    pub(super) queue: Queue,
    pub(super) counters: Counters,
    queue_bytes_max: usize,
    policy: AtomicU8,
    mode: AtomicU8,
    syncs_held: AtomicBool,
    pub(super) keep_history: AtomicBool,
    /// The writer shall remove the history.
    pub(super) history_due: AtomicBool,
    /// A rewrite runs.
    pub(super) rewriting: AtomicBool,
    /// The last switch: a new one must know the file names after it.
    pub(super) last_switch: Mutex<Option<Arc<Ticket>>>,
    /// Counts how often the file was turned off, and how often that was done with.
    pub(super) closings: AtomicU64,
    pub(super) closed: AtomicU64,
    /// Held by whoever writes.
    pub(super) pen: Mutex<Pen>,
    pub(super) pace: Pace,
    pub(super) gathering: Gathering,
    /// How the last sync beside the writes ended, for the writer.
    pub(super) synced: Mutex<Option<Synced>>,
    written: AtomicU64,
    durable: AtomicU64,
    told: Mutex<Progress>,
    state: Mutex<State>,
    failing: AtomicBool,
    /// [`Self::must_wait`] said true since the writer last looked.
    waited: AtomicBool,
    lagged: AtomicBool,
    progress: Mutex<()>,
    progressed: Condvar,
}

impl Aof {
    /// Reads the manifest, and moves an old single file into the folder. Gives the writer's half,
    /// for [`Writer::spawn`](super::Writer::spawn).
    ///
    /// # Errors
    /// When the folder cannot be used; the server must not start.
    pub(crate) fn open(
        files: Arc<dyn Files>,
        host: Arc<dyn Host>,
        options: Options,
    ) -> Result<(Arc<Self>, Drain), FolderError> {
        let folder = Folder::open(files, Arc::clone(&host), options.place)?;
        let aof = Arc::new(Self {
            folder,
            host,
            queue: Queue::default(),
            counters: Counters::default(),
            queue_bytes_max: options.queue_bytes_max,
            policy: AtomicU8::new(options.policy as u8),
            mode: AtomicU8::new(Mode::Off as u8),
            syncs_held: AtomicBool::new(false),
            keep_history: AtomicBool::new(false),
            history_due: AtomicBool::new(false),
            rewriting: AtomicBool::new(false),
            last_switch: Mutex::default(),
            closings: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            pen: Mutex::default(),
            pace: Pace::default(),
            gathering: Gathering::default(),
            synced: Mutex::default(),
            written: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            told: Mutex::default(),
            state: Mutex::default(),
            failing: AtomicBool::new(false),
            waited: AtomicBool::new(false),
            lagged: AtomicBool::new(false),
            progress: Mutex::default(),
            progressed: Condvar::new(),
        });
        let drain = Drain::new(Arc::clone(&aof));
        Ok((aof, drain))
    }

    /// The folder, for the loader.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Turns the file on at the server's start, after the data are loaded. Where the folder holds
    /// nothing, `base` writes the first base. Call it before the server accepts clients.
    ///
    /// # Errors
    /// When the file cannot be opened; the server must not start.
    pub(crate) fn start(
        &self,
        format: Format,
        base: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), FolderError> {
        let failed = |what: &str, error: &std::io::Error| {
            FolderError::Io(format!("{what}: {}", reason(error)))
        };
        let folder = &self.folder;
        folder.create().map_err(|error| failed("Can't open the AOF directory", &error))?;
        self.sync_found().map_err(|error| failed("Can't sync the AOF files", &error))?;
        let mut locked = folder.lock();
        let mut next = locked.clone();
        if next.is_empty() {
            let entry = next.replace_base(folder.filename().as_bytes(), format);
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            self.first_base(&entry.name, base)
                .map_err(|error| failed("Write error writing append only file on disk", &error))?;
            let line = format_args!("Creating AOF base file {name} on server start");
            self.host.log(Level::Notice, line);
        }
        let found = next.incr.last().cloned();
        let entry = found.clone().unwrap_or_else(|| next.add_incr(folder.filename().as_bytes()));
        let (path, name) = (folder.file(&entry.name), String::from_utf8_lossy(&entry.name));
        let cannot = format!("Can't open the append-only file {name}");
        let opened = match found {
            Some(_) => folder.files.open_append(&path),
            None => folder.create_new(&path),
        };
        let file = opened.map_err(|error| failed(&cannot, &error))?;
        if found.is_none() {
            match folder.replace(&mut locked, next) {
                Ok(Persisted::Durable) => {}
                Ok(Persisted::Visible(error)) | Err(error) => {
                    return Err(failed("Can't persist the AOF manifest", &error));
                }
            }
        }
        let size = folder.files.size(&path).map_err(|error| failed(&cannot, &error))?;
        let verb = if found.is_some() { "Opening" } else { "Creating" };
        let line = format_args!("{verb} AOF incr file {name} on server start");
        self.host.log(Level::Notice, line);
        self.counters.incr_size.store(size, Ordering::Relaxed);
        self.set_mode(Mode::On);
        self.queue.mark(Marker::Install(file, size), true);
        Ok(())
    }

    /// Syncs what was found: a killed process may have left bytes and renames that are not on the
    /// disk, and from here on readers see them.
    fn sync_found(&self) -> std::io::Result<()> {
        let folder = &self.folder;
        let manifest = folder.manifest();
        if manifest.is_empty() {
            return Ok(());
        }
        for entry in manifest.loaded() {
            folder.files.open_append(&folder.file(&entry.name))?.sync(Barrier::Opened)?;
        }
        folder.sync(Barrier::OpenedFolder)
    }

    fn first_base(
        &self,
        name: &[u8],
        base: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        base(&mut bytes)?;
        let file = self.folder.files.create(&self.folder.file(name))?;
        write_all(file.as_ref(), &bytes)?;
        file.sync(Barrier::Base)
    }

    /// Appends a unit of records, as RESP commands: SELECT and annotations included. Returns the
    /// offset after it, which [`Self::released`] must reach before its reply is sent. Copies, and
    /// makes no system call: call [`Self::flush`] or [`Self::kick`] once a turn, outside the locks.
    ///
    /// The caller's lock orders the records. While the file is off, nothing is recorded.
    pub(crate) fn append(&self, parts: &[&[u8]], now_ns: u64) -> u64 {
        self.queue.append(parts, now_ns)
    }

    /// Whether the disk makes writes wait: who has not written waits for none then.
    pub(crate) fn is_slow(&self) -> bool {
        self.pace.is_slow()
    }

    /// Looks at the write that runs: who makes it, if it is slow.
    pub(crate) fn look_at_write(&self) -> Option<usize> {
        self.pace.look(self.host.nanos())
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::SeqCst)
    }

    /// Lets the writer begin with what was appended.
    pub(crate) fn kick(&self) {
        self.queue.kick();
    }

    /// True if writers must wait before their next write: the queue is full, or the disk is two
    /// seconds behind under `everysec`. [`Host::room`] tells when to ask again. Never true while the
    /// file fails: writes are refused then.
    pub(crate) fn must_wait(&self, now_ns: u64) -> bool {
        if self.mode() == Mode::Off {
            return false;
        }
        let lags = || {
            self.policy() == Policy::EverySec
                && !self.syncs_held.load(Ordering::Relaxed)
                && self.queue.lag_ns(now_ns) >= LAG_MAX_NS
        };
        let must = || {
            !self.failing.load(Ordering::Relaxed)
                && (self.queue.held_bytes() >= self.queue_bytes_max || lags())
        };
        if !must() {
            return false;
        }
        if lags() {
            self.lagged.store(true, Ordering::Relaxed);
        }
        // Whoever makes room looks at this afterwards, so room made before is seen here.
        self.waited.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        must()
    }

    /// Tells those that were made to wait that there may be room.
    pub(super) fn tell_room(&self) {
        fence(Ordering::SeqCst);
        if self.waited.load(Ordering::SeqCst) && self.waited.swap(false, Ordering::SeqCst) {
            self.host.room();
        }
    }

    /// Takes note that writers waited for the disk.
    pub(super) fn take_lagged(&self) -> bool {
        self.lagged.swap(false, Ordering::Relaxed)
    }

    /// Offset after the last byte appended.
    pub(crate) fn appended(&self) -> u64 {
        self.queue.end()
    }

    /// How far the file is.
    pub(crate) fn progress(&self) -> Progress {
        let written = self.written.load(Ordering::Acquire);
        let durable = self.durable.load(Ordering::Acquire);
        let released = match (self.mode(), self.policy()) {
            (Mode::Waiting | Mode::On, Policy::Always) => {
                if self.syncs_held.load(Ordering::Relaxed) { written } else { durable }
            }
            // What is queued is written when the disk has room; Redis does not wait for that either.
            (Mode::Waiting | Mode::On, _) if !self.is_failing() => written,
            _ => u64::MAX,
        };
        Progress { written, durable, released }
    }

    /// Offset up to which replies may be sent and replicas fed; `u64::MAX` while nothing waits.
    pub(crate) fn released(&self) -> u64 {
        self.progress().released
    }

    /// Waits until an offset is released. For threads that serve no clients.
    ///
    /// # Errors
    /// With the reason, when the file failed under `always`.
    pub(crate) fn wait_released(&self, offset: u64) -> Result<(), String> {
        self.kick();
        let mut guard = self.progress.lock();
        while self.released() < offset {
            if let State::Fatal(reason) = &*self.state.lock() {
                return Err(reason.clone());
            }
            self.progressed.wait(&mut guard);
        }
        Ok(())
    }

    /// The writer's offsets; told by [`Self::tell_progress`].
    pub(super) fn set_progress(&self, written: u64, durable: u64) {
        self.written.store(written, Ordering::Release);
        self.durable.store(durable, Ordering::Release);
    }

    /// Tells of progress, if there is any since the last time.
    pub(super) fn tell_progress(&self) {
        let progress = {
            let mut told = self.told.lock();
            let progress = self.progress();
            if *told == progress {
                return;
            }
            *told = progress;
            progress
        };
        drop(self.progress.lock());
        self.progressed.notify_all();
        // Whoever is told looks at who waits; who begins to wait looks at the offsets afterwards.
        fence(Ordering::SeqCst);
        self.host.advanced(progress);
    }

    /// Whether the file keeps up.
    pub(crate) fn state(&self) -> State {
        self.state.lock().clone()
    }

    pub(super) fn set_state(&self, state: State) {
        let changed = {
            let mut current = self.state.lock();
            let changed = *current != state;
            *current = state.clone();
            changed
        };
        self.failing.store(state != State::Working, Ordering::SeqCst);
        if changed {
            drop(self.progress.lock());
            self.progressed.notify_all();
            self.host.state_changed(&state);
            self.tell_room();
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        match self.policy.load(Ordering::Relaxed) {
            0 => Policy::Always,
            1 => Policy::EverySec,
            _ => Policy::No,
        }
    }

    /// Sets `appendfsync`. What waits is looked at again.
    pub(crate) fn set_policy(&self, policy: Policy) {
        self.policy.store(policy as u8, Ordering::Relaxed);
        self.queue.nudge();
    }

    pub(super) fn syncs_held(&self) -> bool {
        self.syncs_held.load(Ordering::Relaxed)
    }

    /// Leaves syncs by the policy out for a while (`no-appendfsync-on-rewrite`, while a save or
    /// rewrite runs). Under `always` replies then wait for the write only, as in Redis.
    pub(crate) fn hold_syncs(&self, held: bool) {
        self.syncs_held.store(held, Ordering::Relaxed);
        self.queue.nudge();
    }

    /// Keeps the files that a rewrite replaces (`aof-disable-auto-gc`), or removes those that were
    /// kept.
    pub(crate) fn keep_history(&self, keep: bool) {
        if self.keep_history.swap(keep, Ordering::Relaxed) && !keep {
            self.history_due.store(true, Ordering::Release);
            self.queue.nudge();
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        match self.mode.load(Ordering::Acquire) {
            0 => Mode::Off,
            1 => Mode::Waiting,
            _ => Mode::On,
        }
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Release);
    }

    /// The file is on, unless it was turned off meanwhile.
    pub(super) fn first_base_stands(&self) {
        let (from, to) = (Mode::Waiting as u8, Mode::On as u8);
        // Off stays off.
        self.mode.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).ok();
    }

    /// Turns the file off: nothing is recorded from here on. Call it under the locks that order the
    /// log, and wait outside of them. A rewrite that runs is void.
    pub(crate) fn begin_stop(&self) -> Closing {
        self.closings.fetch_add(1, Ordering::AcqRel);
        let ticket = Arc::new(Ticket::default());
        if self.mode() == Mode::Off {
            self.closed.fetch_add(1, Ordering::AcqRel);
            ticket.resolve(Ok(()));
        } else {
            self.queue.mark(Marker::Close(Arc::clone(&ticket)), false);
        }
        Closing { ticket }
    }

    /// Whether the file is on its way off. What a rewrite has to be is known once it is off.
    pub(crate) fn is_closing(&self) -> bool {
        self.closed.load(Ordering::Acquire) != self.closings.load(Ordering::Acquire)
    }

    /// Notes that a rewrite shall begin when it can (`aof_pending_rewrite`).
    pub(crate) fn schedule_rewrite(&self, scheduled: bool) {
        self.counters.scheduled.store(scheduled, Ordering::Relaxed);
    }

    /// Whether a rewrite shall begin when it can.
    pub(crate) fn rewrite_scheduled(&self) -> bool {
        self.counters.scheduled.load(Ordering::Relaxed)
    }

    /// Clears the count that delays automatic rewrites: BGREWRITEAOF begins at once.
    pub(crate) fn forget_failures(&self) {
        self.counters.consecutive_failures.store(0, Ordering::Relaxed);
    }

    /// The readings of this moment.
    pub(crate) fn readings(&self) -> Readings {
        let counters = &self.counters;
        Readings {
            current_size: counters.current_size.load(Ordering::Relaxed),
            base_size: counters.base_size.load(Ordering::Relaxed),
            pending_rewrite: self.rewrite_scheduled(),
            buffer_length: self.queue.held_bytes(),
            pending_sync: counters.syncing.load(Ordering::Relaxed),
            delayed_syncs: counters.delayed_syncs.load(Ordering::Relaxed),
            last_write_ok: !self.failing.load(Ordering::Relaxed),
            rewriting: self.rewriting.load(Ordering::Relaxed),
            rewrites: counters.rewrites.load(Ordering::Relaxed),
            last_rewrite_ok: !counters.last_rewrite_failed.load(Ordering::Relaxed),
            consecutive_failures: counters.consecutive_failures.load(Ordering::Relaxed),
        }
    }
}

/// The file on its way off.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(super) ticket: Arc<Ticket>,
}

impl Closing {
    /// Waits until all records are on the disk and the file is closed.
    ///
    /// # Errors
    /// With the reason, when some could not be written or synced; the file is off all the same.
    pub(crate) fn wait(self) -> Result<(), String> {
        self.ticket.wait()
    }
}
