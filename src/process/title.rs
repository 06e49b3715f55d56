//! The process title in `ps` and `/proc`, which must not show secrets.

use std::fs::{self, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::raw;

/// Nobody reads the variables where the kernel put them: a long title may go there.
static VARIABLES_MOVED: AtomicBool = AtomicBool::new(false);

/// Replaces the arguments with `title` and clears the environment variables that `is_secret` names.
///
/// # Errors
/// If the kernel does not report where they are, or other threads are running.
pub(crate) fn cover(title: &str, is_secret: impl Fn(&str) -> bool) -> io::Result<()> {
    cover_variables(is_secret)?;
    // Otherwise the title ends where the arguments do.
    VARIABLES_MOVED.store(raw::move_variables().is_ok(), Ordering::Relaxed);
    raw::overwrite(room(title)?, title.as_bytes())
}

/// Where a title goes: in place of the arguments, and of the variables behind them if it is long.
fn room(title: &str) -> io::Result<Range<usize>> {
    let [arguments, environment] = raw::areas()?;
    let is_long = title.len() >= arguments.len();
    let end = match is_long && VARIABLES_MOVED.load(Ordering::Relaxed) {
        // The kernel shows what is there if the arguments' last byte is not zero.
        true if environment.start == arguments.end => environment.end,
        _ => arguments.end,
    };
    Ok(arguments.start..end)
}

/// Clears the environment variables that `is_secret` names.
///
/// # Errors
/// As [`cover`].
pub(crate) fn cover_variables(is_secret: impl Fn(&str) -> bool) -> io::Result<()> {
    let [_, environment] = raw::areas()?;
    let mut start = environment.start;
    for variable in fs::read("/proc/self/environ")?.split_inclusive(|&byte| byte == 0) {
        let end = start + variable.len();
        if let Some(equals) = variable.iter().position(|&byte| byte == b'=')
            && std::str::from_utf8(&variable[..equals]).is_ok_and(&is_secret)
            && variable.len() > equals + 2
        {
            raw::overwrite(start + equals + 1..end, b"")?;
        }
        start = end;
    }
    Ok(())
}

/// Replaces the title while the server runs: the kernel writes it.
///
/// # Errors
/// If the kernel does not report where the arguments are, or does not write there.
pub(crate) fn replace(title: &str) -> io::Result<()> {
    let room = room(title)?;
    let mut text = title.as_bytes().to_vec();
    text.truncate(room.len().saturating_sub(1));
    text.resize(room.len(), 0);
    let memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
    memory.write_all_at(&text, room.start as u64)
}
