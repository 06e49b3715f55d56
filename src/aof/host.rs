//! What the append only file needs from the server around it: time, the log, and who waits.

use std::fmt;
use std::io;

/// Severity of a line for the server's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Debug,
    Notice,
    Warning,
}

/// How far the file is behind the log, in local offsets: bytes appended since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The kernel has all before it: a kill of the process loses none of that.
    pub(crate) written: u64,
    /// The disk has all before it.
    pub(crate) durable: u64,
    /// Replies about what is before it may be sent, and its bytes may go to replicas: under `always`
    /// what is durable, else what is written. `u64::MAX` while nothing needs to wait: while the file
    /// is off, and while it fails under a policy other than `always`.
    pub(crate) released: u64,
}

/// Whether the file keeps up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Bytes reach the file.
    #[default]
    Working,
    /// A write or a sync failed, for this reason; retried every second. Writes must be refused:
    /// `MISCONF Errors writing to the AOF file: <reason>`.
    Failed(String),
    /// It failed under `always`, for this reason. The process must end: what it has not released
    /// was never acknowledged.
    Fatal(String),
}

/// What took a time that operators may want to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timed {
    /// A write, and nothing beside it.
    Write,
    WriteBesideSync,
    WriteBesideRewrite,
    /// A sync for which replies wait.
    SyncAlways,
    /// The rename of a new base.
    Rename,
}

/// The server around. Its calls come mostly from the writer's thread, and without any lock of the
/// append only file, so that an implementation may take locks of its own; only [`Self::log`] and
/// [`Self::took`] may be called under one. None of them may wait for the writer.
pub(crate) trait Host: Send + Sync + fmt::Debug {
    /// Monotonic time in nanoseconds.
    fn nanos(&self) -> u64;

    /// Writes a line to the server's log.
    fn log(&self, level: Level, line: fmt::Arguments<'_>);

    /// Offsets moved: wake those that wait for them.
    fn advanced(&self, progress: Progress);

    /// [`Aof::must_wait`](super::Aof::must_wait) said true and may no longer: wake those that wait
    /// to write.
    fn room(&self);

    /// Something ended after this many nanoseconds.
    fn took(&self, what: Timed, nanos: u64);

    /// The state changed: stop writes, let them continue, or end the process.
    fn state_changed(&self, state: &State);
}

/// An error's reason as C's `strerror` says it, as Redis's messages have it.
pub(crate) fn reason(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}
