//! The server's log: lines in Redis's form, which tools wait for, or as JSON.
//!
//! What a client sends never goes into a line.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use parking_lot::Mutex;

/// How weighty a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    Debug,
    Verbose,
    Notice,
    Warning,
}

impl Level {
    /// The mark in a line of Redis's form.
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

/// What the process is, as its lines show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Master,
    Replica,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `pid:role day month year time mark message`.
    Text,
    Json,
}

/// Where lines go.
#[derive(Debug)]
enum Target {
    StandardOutput,
    File(File),
}

/// The process's one log.
#[derive(Debug)]
struct Logger {
    target: Mutex<Target>,
    format: Format,
    unix_us: fn() -> i64,
    level_min: AtomicU8,
    replica: AtomicBool,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Above all levels: no line is shown.
const SILENT: u8 = Level::Warning as u8 + 1;

/// Begins to log, to a file or (`None`) standard output. `level_min` of `None` shows nothing.
///
/// # Errors
/// When the file cannot be opened to append.
pub(crate) fn start(
    file: Option<&str>,
    format: Format,
    level_min: Option<Level>,
    unix_us: fn() -> i64,
) -> std::io::Result<()> {
    let target = match file {
        None => Target::StandardOutput,
        Some(path) => Target::File(OpenOptions::new().create(true).append(true).open(path)?),
    };
    let logger = Logger {
        target: Mutex::new(target),
        format,
        unix_us,
        level_min: AtomicU8::new(SILENT),
        replica: AtomicBool::new(false),
    };
    // A second start in one process (tests) keeps the first log.
    if LOGGER.set(logger).is_ok() {
        set_level(level_min);
    }
    Ok(())
}

/// Changes which lines are shown.
pub(crate) fn set_level(level_min: Option<Level>) {
    if let Some(logger) = LOGGER.get() {
        let level = level_min.map_or(SILENT, |level| level as u8);
        logger.level_min.store(level, Ordering::Relaxed);
    }
}

/// Changes what the process is.
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
    let at = chrono::DateTime::from_timestamp_micros((logger.unix_us)()).unwrap_or_default();
    let pid = std::process::id();
    let replica = logger.replica.load(Ordering::Relaxed);
    let text = match logger.format {
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
    };
    let written = match &mut *logger.target.lock() {
        Target::StandardOutput => std::io::stdout().write_all(text.as_bytes()),
        Target::File(file) => file.write_all(text.as_bytes()),
    };
    // A log that cannot be written has nowhere to say so.
    drop(written);
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
