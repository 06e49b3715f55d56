//! The process title in `ps` and `/proc`, which must not show secrets.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use super::raw;

/// Replaces the arguments with `title`, as far as they are long, and clears the environment
/// variables that `is_secret` names.
///
/// # Errors
/// If the kernel does not report where they are, or other threads are running.
pub(crate) fn cover(title: &str, is_secret: impl Fn(&str) -> bool) -> io::Result<()> {
    let [arguments, _] = raw::areas()?;
    raw::overwrite(arguments, title.as_bytes())?;
    cover_variables(is_secret)
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
    let [arguments, _] = raw::areas()?;
    let mut text = title.as_bytes().to_vec();
    text.truncate(arguments.len().saturating_sub(1));
    text.resize(arguments.len(), 0);
    let memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
    memory.write_all_at(&text, arguments.start as u64)
}
