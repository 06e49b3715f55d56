//! What commands need from the layer that has files, threads and the clock.

use std::fmt;

use crate::keyspace::Locked;
use crate::settings::Settings;

/// Where time comes from.
pub(crate) trait Clock: Send + Sync + fmt::Debug {
    /// Unix time in microseconds.
    fn unix_us(&self) -> i64;

    /// Unix time in milliseconds.
    fn unix_ms(&self) -> i64 {
        self.unix_us() / 1000
    }

    /// Nanoseconds since some moment, never going back; cheap enough to ask for each command.
    fn nanos(&self) -> u64;

    /// Holds the calling thread.
    fn sleep_ms(&self, ms: u64);
}

/// How a save ended that could not begin or finish; the text is for the client.
pub(crate) type HostResult = Result<(), String>;

/// Whether a save in the background began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BackgroundSave {
    Started,
    /// One snapshot is written at a time, and none while data are being loaded.
    Busy,
}

/// A changed setting that cannot be applied.
#[derive(Clone, Debug)]
pub(crate) struct SettingRefused {
    /// The parameter's name.
    pub(crate) argument: &'static str,
    pub(crate) reason: String,
}

/// What SHUTDOWN asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shutdown {
    /// `None`: save if there are save points.
    pub(crate) save: Option<bool>,
    pub(crate) now: bool,
    pub(crate) force: bool,
}

/// What commands ask of the outer layer. Those that get [`Locked`] hold all the locks.
pub(crate) trait Host: Send + Sync + fmt::Debug {
    /// Saves here and now.
    fn save(&self, locked: &mut Locked<'_>) -> HostResult;
    /// Cuts a snapshot and saves it in the background, unless a snapshot is being written already.
    fn background_save(&self, locked: &mut Locked<'_>) -> BackgroundSave;
    /// Saves, empties everything and loads the file again.
    fn reload(&self, locked: &mut Locked<'_>, save: bool) -> HostResult;
    /// Ends the process, after saving where that is asked for. Returns on failure only, or when
    /// the end has begun.
    fn shutdown(&self, locked: &mut Locked<'_>, how: Shutdown) -> HostResult;
    /// Applies changed settings to what lives in the outer layer, and completes them there: a
    /// folder becomes absolute.
    ///
    /// # Errors
    /// What cannot be applied; then nothing is.
    fn apply(&self, old: &Settings, new: &mut Settings) -> Result<(), SettingRefused>;
    /// Writes the settings back to the file they came from.
    fn rewrite_settings(&self) -> HostResult;
    /// 40 unpredictable hexadecimal digits, the form of replication ids.
    fn new_id(&self) -> String;
    /// Begins a snapshot for the replicas that wait for one, if that is due.
    fn sync_replicas(&self, locked: &mut Locked<'_>);
    /// The role, the master or a failover's progress may have changed: has the link to the master
    /// made or ended accordingly.
    fn look_at_role(&self);
    /// Processor time of the process: user and system seconds.
    fn processor_seconds(&self) -> [f64; 2];
    /// Processor time by thread, user and system seconds; the first is the main thread. Empty where
    /// there is no process.
    fn thread_seconds(&self) -> Vec<(String, [f64; 2])> {
        Vec::new()
    }
    fn memory(&self) -> Memory;
    /// Of that, what is allocated; cheaper to ask for alone.
    fn allocated(&self) -> u64 {
        self.memory().allocated
    }
}

/// What the allocator and the operating system say of memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) allocated: u64,
    pub(crate) active: u64,
    pub(crate) allocator_resident: u64,
    pub(crate) resident: u64,
    pub(crate) total_system: u64,
}
