//! The process title in `ps` and `/proc`, which must not show secrets.

use std::fs;
use std::io;

use super::raw;

/// Replaces the arguments after the program's name with `title`, and clears the environment
/// variables that `is_secret` names.
///
/// # Errors
/// If the kernel does not report where they are, or other threads are running.
pub(crate) fn cover(title: &str, is_secret: impl Fn(&str) -> bool) -> io::Result<()> {
    let [arguments, environment] = raw::areas()?;
    let shown = fs::read("/proc/self/cmdline")?;
    let program = shown.split(|&byte| byte == 0).next().unwrap_or_default();
    raw::overwrite(arguments, &[program, b" ", title.as_bytes()].concat())?;
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
