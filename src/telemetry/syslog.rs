//! The system's log: a datagram for each line, in the form of RFC 3164, to the socket on which the
//! system's daemon listens.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use super::log::Level;

/// Where the daemon listens.
pub(crate) const SOCKET: &str = "/dev/log";

/// Lines for the system's log.
#[derive(Debug)]
pub(super) struct Syslog {
    socket: UnixDatagram,
    daemon: PathBuf,
    ident: String,
    /// The number of the kind of program.
    facility: u8,
}

impl Syslog {
    /// The daemon need not be there yet, and may restart.
    pub(super) fn new(daemon: &Path, ident: &str, facility: u8) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // A slow daemon loses lines; it delays nobody.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, daemon: daemon.to_owned(), ident: ident.to_owned(), facility })
    }

    pub(super) fn write(&self, level: Level, message: &str, now_us: i64) {
        let at = chrono::DateTime::from_timestamp_micros(now_us).unwrap_or_default();
        let at = at.with_timezone(&chrono::Local).format("%b %e %H:%M:%S");
        let priority = u32::from(self.facility) * 8 + severity(level);
        let (ident, pid) = (&self.ident, std::process::id());
        let line = format!("<{priority}>{at} {ident}[{pid}]: {message}");
        // A failure to write the log cannot be logged.
        drop(self.socket.send_to(line.as_bytes(), &self.daemon));
    }
}

fn severity(level: Level) -> u32 {
    match level {
        Level::Debug => 7,
        Level::Verbose => 6,
        Level::Notice => 5,
        Level::Warning => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_reach_a_daemon_that_restarts() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let syslog = Syslog::new(&path, "name", 16).expect("a socket");
        // Nobody listens: the line is lost.
        syslog.write(Level::Notice, "lost", 0);
        for _ in 0..2 {
            let daemon = UnixDatagram::bind(&path).expect("a socket");
            daemon.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a socket");
            syslog.write(Level::Warning, "two words", 1_000_000_000_000_000);
            let mut buffer = [0; 200];
            let len = daemon.recv(&mut buffer).expect("a line");
            let line = String::from_utf8_lossy(&buffer[..len]);
            assert!(line.starts_with("<132>Sep  9 ") || line.starts_with("<132>Sep  8 "), "{line}");
            let end = format!(" name[{}]: two words", std::process::id());
            assert!(line.ends_with(&end), "{line}");
            std::fs::remove_file(&path).expect("it is there");
        }
    }
}
