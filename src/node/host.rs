//! What commands need from the outer layer, which has files, threads and the clock.

use std::fmt;
use std::sync::Arc;

use super::client::Origin;
use super::file::FileLoad;
use super::migration::Migration;
use super::scripts::DebugMode;
use crate::keyspace::Locked;
use crate::scripting::Terminal;
use crate::settings::{Rewrite, Settings};

/// The time source.
pub(crate) trait Clock: Send + Sync + fmt::Debug {
    /// Unix time in microseconds.
    fn unix_us(&self) -> i64;

    /// Unix time in milliseconds.
    fn unix_ms(&self) -> i64 {
        self.unix_us() / 1000
    }

    /// Monotonic nanoseconds; cheap enough to read for each command.
    fn nanos(&self) -> u64;

    /// Blocks the calling thread.
    fn sleep_ms(&self, ms: u64);
}

/// The error text is for the client.
pub(crate) type HostResult = Result<(), String>;

/// Whether a background save began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BackgroundSave {
    Started,
    /// Another snapshot is being written, or data are being loaded.
    Busy,
}

/// What became of a rewrite of the append only file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileRewrite {
    Started,
    /// It begins when it can.
    Scheduled,
    /// One runs.
    Running,
    Failed,
}

/// A changed setting that the outer layer refused.
#[derive(Clone, Debug)]
pub(crate) struct SettingRefused {
    /// The parameter's name.
    pub(crate) argument: &'static str,
    pub(crate) reason: String,
}

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// By itself.
    Nothing,
    /// The changes of the commands before it are not in the log yet.
    Transaction,
}

/// Options of SHUTDOWN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shutdown {
    /// `None`: save if there are save points.
    pub(crate) save: Option<bool>,
    pub(crate) now: bool,
    pub(crate) force: bool,
}

/// How DEBUG RELOAD loads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reload {
    /// Saves first.
    pub(crate) save: bool,
    /// Empties the databases first.
    pub(crate) flush: bool,
    /// The file's keys replace those that are there.
    pub(crate) merge: bool,
}

/// What commands request from the outer layer. Methods with [`Locked`] require all locks.
pub(crate) trait Host: Send + Sync + fmt::Debug {
    /// Saves synchronously.
    fn save(&self, locked: &mut Locked<'_>) -> HostResult;
    /// Gives up a background save; its file will not replace another.
    fn give_up_save(&self) {}
    /// Cuts a snapshot and saves it in the background, unless one is already being written.
    fn background_save(&self, locked: &mut Locked<'_>) -> BackgroundSave;
    /// Loads the file again. An invalid file changes nothing, and neither does one with a key that
    /// is there already and not to be replaced.
    fn reload(&self, locked: &mut Locked<'_>, how: Reload) -> HostResult;
    /// Ends the process by the signal of a wrong access to memory; returns where there is no
    /// process.
    fn fault(&self) {}
    /// Ends the process, after a save if requested. Returns only on failure, or once the end has
    /// begun.
    fn shutdown(&self, locked: &mut Locked<'_>, how: Shutdown) -> HostResult;
    /// Applies changed settings to the outer layer, and completes them: a folder becomes absolute.
    /// `named`: the parameters that were set, even to the values that they had.
    ///
    /// # Errors
    /// The setting that cannot be applied; then none is.
    fn apply(
        &self,
        locked: &mut Locked<'_>,
        old: &Settings,
        new: &mut Settings,
        how: (&[&'static str], Within),
    ) -> Result<(), SettingRefused>;
    /// Rewrites the append only file in the background.
    fn rewrite_file(&self, _: &mut Locked<'_>, _: Within) -> FileRewrite {
        FileRewrite::Failed
    }
    /// Replaces the data by those of the append only file, on another thread; ends the process if
    /// that fails.
    ///
    /// # Errors
    /// It cannot begin.
    fn reload_file(&self, _: &mut Locked<'_>, _: Arc<FileLoad>) -> HostResult {
        Err("this server has no files".to_owned())
    }
    /// Begins the append only file anew: the data are being replaced. Does nothing while it is off.
    fn restart_file(&self, _: &Locked<'_>) {}
    /// Writes the settings back to the file they came from.
    fn rewrite_settings(&self, which: Rewrite) -> HostResult;
    /// A file's content. Errors are in the operating system's words.
    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("there are no files: {path}"))
    }
    /// Replaces a file's content: completely and for good, or not at all.
    fn write_file(&self, path: &str, _content: &[u8]) -> HostResult {
        Err(format!("there are no files: {path}"))
    }
    /// 40 unpredictable hexadecimal digits, the form of replication ids.
    fn new_id(&self) -> String;
    /// Begins a snapshot for waiting replicas, if due.
    fn sync_replicas(&self, locked: &mut Locked<'_>);
    /// Starts or stops the link to the master as needed: the role, the master or a failover's
    /// progress may have changed.
    fn look_at_role(&self);
    /// Sends the keys of a migration, and has its client answered. Returns at once.
    fn migrate(&self, migration: Arc<Migration>) {
        migration.answer(Err(b"IOERR this server has no network".to_vec()));
    }
    /// A connection for a debugger's session to wait on; `None` where another process, forked now,
    /// has it. Called with all the locks, so that a copy of the data is whole.
    ///
    /// # Errors
    /// Why the connection cannot be used, or no process be had.
    fn debug_session(&self, _: &Origin, _: DebugMode) -> Result<Option<Box<dyn Terminal>>, String> {
        Err("this server has no connections to debug on".to_owned())
    }
    /// Ends the process that was forked for a session.
    fn end_debugged(&self) {}
    /// Ends the process at once, without saving: a script runs without end.
    fn end_at_once(&self);
    /// Lets others serve the clients of a worker that is stuck in a script. Called on its thread,
    /// repeatedly until [`Host::end_relief`].
    fn relieve(&self, worker: usize);
    /// The worker is no longer stuck.
    fn end_relief(&self, worker: usize);
    /// CPU time of the process: user and system seconds.
    fn processor_seconds(&self) -> [f64; 2];
    /// CPU time by thread, user and system seconds; the main thread first. Empty if there is no
    /// process.
    fn thread_seconds(&self) -> Vec<(String, [f64; 2])> {
        Vec::new()
    }
    fn memory(&self) -> Memory;
    /// Only [`Memory::allocated`]; cheaper than the rest.
    fn allocated(&self) -> u64 {
        self.memory().allocated
    }
    /// Bytes allocated, cheap enough to read before every command and thus not quite exact; of use
    /// only while `maxmemory` is set.
    fn used_bytes(&self) -> u64;
    /// Makes the allocator give unused pages back.
    fn purge(&self) -> HostResult;
    /// The allocator's report on itself.
    fn allocator_report(&self) -> Vec<u8>;
}

/// Memory figures of the allocator and the operating system, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// What the process uses.
    pub(crate) allocated: u64,
    /// The same with the caches of the allocator.
    pub(crate) allocator_allocated: u64,
    pub(crate) active: u64,
    pub(crate) allocator_resident: u64,
    pub(crate) resident: u64,
    pub(crate) total_system: u64,
}
