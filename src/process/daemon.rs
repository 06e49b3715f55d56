//! Leaving the terminal.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use rustix::process::setsid;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::raw::{self, Forked};

/// What a daemon says when it serves.
const SERVES: &[u8] = b"serves";

/// The process that was started, which waits at its terminal until the daemon serves.
#[derive(Debug)]
pub(crate) struct Launcher(UnixStream);

impl Launcher {
    /// Lets it end with success.
    pub(crate) fn ready(mut self) {
        // It may have been ended.
        drop(self.0.write_all(SERVES));
    }

    /// Has it say on its standard error why there is no daemon, and end with failure.
    pub(crate) fn failed(mut self, reason: &str) {
        drop(self.0.write_all(reason.as_bytes()));
    }
}

/// Goes on in the background: in a child without a terminal, whose standard streams lead nowhere.
/// The process that was started waits for what the child says, and ends.
///
/// # Errors
/// When threads run already, or the system refuses.
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

/// Waits for the daemon's word; gives the status to end with.
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
