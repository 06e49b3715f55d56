//! The server's log: lines in Redis's format, which tools parse, or JSON.
//!
//! A line never contains a client's data. A file may be rotated at any time, without a signal to
//! the server: it is opened for appending, which works after copy-and-truncate, and when its path
//! names another file, or none, the next line opens a new one.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::syslog::{self, Syslog};

/// Interval between checks whether the log's path still names its file.
const LOOK_US: u64 = 1_000_000;
/// How long a crash report waits for a thread that is writing to the log.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(1);

/// Severity of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    Debug,
    Verbose,
    Notice,
    Warning,
}

impl Level {
    /// The level's mark in Redis's format.
    fn mark(self) -> char {
        match self {
            Self::Debug => '.',
            Self::Verbose => '-',
            Self::Notice => '*',
            Self::Warning => '#',
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Verbose => "verbose",
            Self::Notice => "notice",
            Self::Warning => "warning",
        }
    }
}

/// The process's role, as lines show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Master,
    Replica,
}

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `pid:role day month year time mark message`.
    Text,
    Json,
}

/// Destination of lines.
#[derive(Debug)]
enum Target {
    StandardOutput,
    File(Followed),
}

/// A log file; reopened when it is moved away.
#[derive(Debug)]
struct Followed {
    path: PathBuf,
    file: File,
    /// Device and inode.
    id: (u64, u64),
    /// Time of the last check, Unix microseconds.
    looked_us: i64,
}

impl Followed {
    fn open(path: &Path, now_us: i64) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let metadata = file.metadata()?;
        let id = (metadata.dev(), metadata.ino());
        Ok(Self { path: path.to_owned(), file, id, looked_us: now_us })
    }

    fn write(&mut self, text: &str, now_us: i64) -> std::io::Result<()> {
        if self.looked_us.abs_diff(now_us) >= LOOK_US {
            self.looked_us = now_us;
            let named = std::fs::metadata(&self.path).map(|found| (found.dev(), found.ino()));
            if named.ok() != Some(self.id)
                && let Ok(other) = Self::open(&self.path, now_us)
            {
                *self = other;
            }
        }
        self.file.write_all(text.as_bytes())
    }
}

/// The process's only log.
#[derive(Debug)]
struct Logger {
    target: Mutex<Target>,
    format: Format,
    unix_us: fn() -> i64,
    level_min: AtomicU8,
    replica: AtomicBool,
    syslog: OnceLock<Syslog>,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Above all levels: no line is written.
const SILENT: u8 = Level::Warning as u8 + 1;

/// Starts the log, to a file or (`None`) standard output. `level_min` of `None` shows nothing.
///
/// # Errors
/// If the file cannot be opened for appending.
pub(crate) fn start(
    file: Option<&Path>,
    format: Format,
    level_min: Option<Level>,
    unix_us: fn() -> i64,
) -> std::io::Result<()> {
    let target = match file {
        None => Target::StandardOutput,
        Some(path) => Target::File(Followed::open(path, unix_us())?),
    };
    let logger = Logger {
        target: Mutex::new(target),
        format,
        unix_us,
        level_min: AtomicU8::new(SILENT),
        replica: AtomicBool::new(false),
        syslog: OnceLock::new(),
    };
    // A second start in one process (tests) keeps the first log.
    if LOGGER.set(logger).is_ok() {
        set_level(level_min);
    }
    Ok(())
}

/// Writes further lines to the system's log, too. `facility` is its number for a kind of program.
///
/// # Errors
/// If there are no sockets.
pub(crate) fn also_to_syslog(ident: &str, facility: u8) -> std::io::Result<()> {
    let syslog = Syslog::new(Path::new(syslog::SOCKET), ident, facility)?;
    if let Some(logger) = LOGGER.get() {
        // A second start in one process (tests) keeps the first.
        drop(logger.syslog.set(syslog));
    }
    Ok(())
}

/// Changes the minimum level.
pub(crate) fn set_level(level_min: Option<Level>) {
    if let Some(logger) = LOGGER.get() {
        let level = level_min.map_or(SILENT, |level| level as u8);
        logger.level_min.store(level, Ordering::Relaxed);
    }
}

/// Changes the role shown in lines.
pub(crate) fn set_role(role: Role) {
    if let Some(logger) = LOGGER.get() {
        logger.replica.store(role == Role::Replica, Ordering::Relaxed);
    }
}

/// Writes one line.
pub(crate) fn line(level: Level, message: fmt::Arguments<'_>) {
    let Some(logger) = LOGGER.get() else { return };
    if (level as u8) < logger.level_min.load(Ordering::Relaxed) {
        return;
    }
    let now_us = (logger.unix_us)();
    let text = logger.text(level, message, now_us);
    if let Some(syslog) = logger.syslog.get() {
        syslog.write(level, &message.to_string(), now_us);
    }
    let written = logger.target.lock().write(&text, now_us);
    // A failure to write the log cannot be logged.
    drop(written);
}

/// Writes the report of a panicking process, whatever the level. Returns whether standard output
/// got it: false if it went to a file, or was not written, as when the panicking thread holds the
/// log.
pub(crate) fn last_words(report: &str) -> bool {
    let Some(logger) = LOGGER.get() else { return false };
    let now_us = (logger.unix_us)();
    let text = logger.text(Level::Warning, format_args!("{report}"), now_us);
    let Some(mut target) = logger.target.try_lock_for(LAST_WORDS_WAIT) else { return false };
    let written = target.write(&text, now_us);
    written.is_ok() && matches!(*target, Target::StandardOutput)
}

impl Target {
    fn write(&mut self, text: &str, now_us: i64) -> std::io::Result<()> {
        match self {
            Self::StandardOutput => {
                let mut output = std::io::stdout().lock();
                output.write_all(text.as_bytes()).and_then(|()| output.flush())
            }
            Self::File(file) => file.write(text, now_us),
        }
    }
}

impl Logger {
    fn text(&self, level: Level, message: fmt::Arguments<'_>, now_us: i64) -> String {
        let at = chrono::DateTime::from_timestamp_micros(now_us).unwrap_or_default();
        let pid = std::process::id();
        let replica = self.replica.load(Ordering::Relaxed);
        match self.format {
            Format::Text => {
                let at = at.with_timezone(&chrono::Local).format("%d %b %Y %H:%M:%S%.3f");
                let role = if replica { 'S' } else { 'M' };
                format!("{pid}:{role} {at} {} {message}\n", level.mark())
            }
            Format::Json => {
                let line = serde_json::json!({
                    "time": at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
                    "level": level.name(),
                    "pid": pid,
                    "role": if replica { "replica" } else { "master" },
                    "message": message.to_string(),
                });
                format!("{line}\n")
            }
        }
    }
}

/// Logs at a level: `log!(Notice, "loaded {keys} keys")`.
macro_rules! log {
    ($level:ident, $($message:tt)*) => {
        $crate::telemetry::log::line(
            $crate::telemetry::log::Level::$level,
            format_args!($($message)*),
        )
    };
}
pub(crate) use log;
