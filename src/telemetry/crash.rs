//! The end of a process in which a thread panicked: a report, then abort.
//!
//! A thread that unwinds leaves its share of the work undone while the others go on: its clients
//! hang, or see half of what a command did. Whoever supervises the process restarts it sooner
//! when it ends at once. The report says where, and which command ran, never what a client sent.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};

use super::log;

thread_local! {
    /// Container and name of the last command that began on this thread.
    static COMMAND: Cell<[&'static str; 2]> = const { Cell::new(["", ""]) };
}

/// Notes which command begins on this thread: its container, or nothing, and its own name.
#[inline]
pub(crate) fn begin_command(path: [&'static str; 2]) {
    COMMAND.set(path);
}

/// Makes every panic end the process with a report in the log; also on standard error, unless
/// that is where an operator sees the log already.
pub(crate) fn end_on_panic() {
    panic::set_hook(Box::new(|info| {
        static REPORTING: AtomicBool = AtomicBool::new(false);
        if REPORTING.swap(true, Ordering::Relaxed) {
            // Another thread was first. It ends the process once its report is whole.
            loop {
                std::thread::park();
            }
        }
        let report = report(info, &Backtrace::force_capture());
        if !log::last_words(&report) {
            eprintln!("{report}");
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
