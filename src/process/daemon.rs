//! Running in the background.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use rustix::process::setsid;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::raw::{self, Forked};

/// The daemon's message once it serves.
const SERVES: &[u8] = b"serves";

/// The connection to the launching process, which waits at its terminal until the daemon serves.
#[derive(Debug)]
pub(crate) struct Launcher(UnixStream);

impl Launcher {
    /// Lets the launcher exit with success.
    pub(crate) fn ready(mut self) {
        // The launcher may be gone.
        drop(self.0.write_all(SERVES));
    }

    /// Makes the launcher print `reason` on its standard error and exit with failure.
    pub(crate) fn failed(mut self, reason: &str) {
        drop(self.0.write_all(reason.as_bytes()));
    }
}

/// Continues in a child without a terminal, with its standard streams on /dev/null. The launching
/// process waits for the child's message, then exits.
///
/// # Errors
/// If other threads are running, or a system call fails.
pub(crate) fn daemonize() -> io::Result<Launcher> {
    let nowhere = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let (parent, child) = UnixStream::pair()?;
    if raw::fork()? == Forked::Parent {
        drop(child);
        std::process::exit(wait(parent));
    }
    drop(parent);
    setsid()?;
    dup2_stdin(&nowhere)?;
    dup2_stdout(&nowhere)?;
    dup2_stderr(&nowhere)?;
    Ok(Launcher(child))
}

/// Waits for the daemon's message; returns the exit status.
fn wait(mut daemon: UnixStream) -> i32 {
    let mut said = Vec::new();
    match daemon.read_to_end(&mut said) {
        Ok(_) if said == SERVES => return 0,
        Ok(0) => eprintln!("The server ended before it served; see its log"),
        Ok(_) => eprintln!("{}", String::from_utf8_lossy(&said)),
        Err(error) => eprintln!("The server could not be heard: {error}"),
    }
    1
}
