//! What `ps` and `/proc` show of the process: never a secret that it was given.

use std::fs;
use std::io;

use super::raw;

/// Puts `title` behind the program's name, in the place of all arguments, and empties the
/// variables of the environment that `is_secret` names.
///
/// # Errors
/// When the kernel does not say where they are, or other threads run.
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
