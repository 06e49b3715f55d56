//! Ends the process when a thread panics: a report, then abort.
//!
//! A thread that unwinds leaves its work half done while the others continue: its clients hang, or
//! see a part of a command's effects. An immediate end lets the supervisor restart the process
//! sooner. The report has the place and the running command, never a client's data.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};

use super::log;

thread_local! {
    /// Container and name of the last command started on this thread.
    static COMMAND: Cell<[&'static str; 2]> = const { Cell::new(["", ""]) };
}

/// Whether a panic is reported: `crash-log-enabled`.
static REPORTS: AtomicBool = AtomicBool::new(true);

/// Sets whether a panic is reported; it ends the process either way.
pub(crate) fn set_reporting(on: bool) {
    REPORTS.store(on, Ordering::Relaxed);
}

/// Records the command that starts on this thread: its container, or nothing, and its name.
#[inline]
pub(crate) fn begin_command(path: [&'static str; 2]) {
    COMMAND.set(path);
}

/// Installs a panic hook that ends the process with a report in the log; also on standard error,
/// unless the log goes to standard output.
pub(crate) fn end_on_panic() {
    panic::set_hook(Box::new(|info| {
        static REPORTING: AtomicBool = AtomicBool::new(false);
        if REPORTING.swap(true, Ordering::Relaxed) {
            // Another thread panicked first. It ends the process once its report is complete.
            loop {
                std::thread::park();
            }
        }
        if REPORTS.load(Ordering::Relaxed) {
            let report = report(info, &Backtrace::force_capture());
            if !log::last_words(&report) {
                eprintln!("{report}");
            }
        }
        std::process::abort();
    }));
}

fn report(info: &PanicHookInfo<'_>, backtrace: &Backtrace) -> String {
    let thread = std::thread::current();
    let command = match COMMAND.get() {
        ["", ""] => "none".to_owned(),
        ["", name] => name.to_ascii_lowercase(),
        [container, name] => format!("{container}|{name}").to_ascii_lowercase(),
    };
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    format!(
        "=== CRASH REPORT: limpid {} ends by a panic ===\n\
         thread: {}\n\
         place: {place}\n\
         reason: {}\n\
         last command on this thread: {command}\n\
         backtrace:\n{backtrace}\
         === END OF CRASH REPORT ===",
        env!("CARGO_PKG_VERSION"),
        thread.name().unwrap_or("without a name"),
        reason(info),
    )
}

fn reason<'i>(info: &'i PanicHookInfo<'_>) -> &'i str {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("not a text")
}
