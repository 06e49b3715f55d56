//! Notifies a supervisor of the process's state.

use std::io;

use rustix::process::{Signal, getpid, kill_process};
use sd_notify::NotifyState;

/// The kind of supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supervisor {
    Systemd,
    Upstart,
}

impl Supervisor {
    /// The supervisor that the environment names.
    pub(crate) fn find() -> Option<Self> {
        if std::env::var_os("UPSTART_JOB").is_some() {
            return Some(Self::Upstart);
        }
        std::env::var_os("NOTIFY_SOCKET").map(|_| Self::Systemd)
    }

    /// Reports that the process serves, and its status.
    ///
    /// # Errors
    /// If the notification fails.
    pub(crate) fn ready(self, status: &str) -> io::Result<()> {
        match self {
            Self::Systemd => sd_notify::notify(&[NotifyState::Status(status), NotifyState::Ready]),
            // Upstart waits until the process stops, and then continues it.
            Self::Upstart => Ok(kill_process(getpid(), Signal::STOP)?),
        }
    }

    /// Reports the process's status.
    pub(crate) fn status(self, status: &str) -> io::Result<()> {
        match self {
            Self::Systemd => sd_notify::notify(&[NotifyState::Status(status)]),
            Self::Upstart => Ok(()),
        }
    }

    /// Reports that the process is ending.
    pub(crate) fn stopping(self) -> io::Result<()> {
        match self {
            Self::Systemd => sd_notify::notify(&[NotifyState::Stopping]),
            Self::Upstart => Ok(()),
        }
    }
}
