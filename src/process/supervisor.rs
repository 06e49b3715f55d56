//! Telling a supervisor how the process is.

use std::io;

use rustix::process::{Signal, getpid, kill_process};
use sd_notify::NotifyState;

/// Who supervises the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supervisor {
    Systemd,
    Upstart,
}

impl Supervisor {
    /// The one that the environment names.
    pub(crate) fn find() -> Option<Self> {
        if std::env::var_os("UPSTART_JOB").is_some() {
            return Some(Self::Upstart);
        }
        std::env::var_os("NOTIFY_SOCKET").map(|_| Self::Systemd)
    }

    /// Says that the process serves, and in which state.
    ///
    /// # Errors
    /// When the supervisor cannot be told.
    pub(crate) fn ready(self, status: &str) -> io::Result<()> {
        match self {
            Self::Systemd => sd_notify::notify(&[NotifyState::Status(status), NotifyState::Ready]),
            // Upstart waits until the process stops, and lets it go on.
            Self::Upstart => Ok(kill_process(getpid(), Signal::STOP)?),
        }
    }

    /// Says in which state the process is.
    pub(crate) fn status(self, status: &str) -> io::Result<()> {
        match self {
            Self::Systemd => sd_notify::notify(&[NotifyState::Status(status)]),
            Self::Upstart => Ok(()),
        }
    }

    /// Says that the process ends.
    pub(crate) fn stopping(self) -> io::Result<()> {
        match self {
            Self::Systemd => sd_notify::notify(&[NotifyState::Stopping]),
            Self::Upstart => Ok(()),
        }
    }
}
