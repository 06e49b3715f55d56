//! Setup before serving: the working folder, the log, daemonizing, the process title.
//!
//! All of it happens while the process has one thread, as a daemon is a fork of it.

use std::path::Path;

use super::{clock, host};
use crate::process::daemon::{self, Launcher};
use crate::process::supervisor::Supervisor;
use crate::process::title;
use crate::settings::{self, LogFormat, Settings, Supervised};
use crate::telemetry::log::{self, Format, log};

/// A daemon's pidfile where none is configured; as in Redis.
const DAEMON_PIDFILE: &str = "/var/run/redis.pid";

/// Processes that wait for the server to serve.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    supervisor: Option<Supervisor>,
    launcher: Option<Launcher>,
}

/// Prepares the process, and daemonizes it if the settings say so.
///
/// # Errors
/// What keeps the server from starting.
pub(crate) fn prepare(settings: &mut Settings) -> Result<Awaited, String> {
    std::env::set_current_dir(&settings.snapshot.dir).map_err(|error| {
        let (place, dir) = (settings.origins.place("dir"), &settings.snapshot.dir);
        format!("Can't chdir to '{dir}': {error} ({place})")
    })?;
    start_log(settings)?;
    let supervisor = supervisor(settings.process.supervised);
    let covered = title::cover(&address(settings), settings::is_secret_variable);
    if let Err(error) = covered {
        log!(Warning, "The arguments, with any password among them, stay visible: {error}");
    }
    let mut launcher = None;
    if settings.process.daemonize && supervisor.is_none() {
        if settings.process.pidfile.is_empty() {
            DAEMON_PIDFILE.clone_into(&mut settings.process.pidfile);
        }
        let began = daemon::daemonize();
        launcher = Some(began.map_err(|error| {
            let place = settings.origins.place("daemonize");
            format!("Can't go into the background: {error} ({place})")
        })?);
    }
    Ok(Awaited { supervisor, launcher })
}

/// Opens the log, relative to the working folder.
fn start_log(settings: &Settings) -> Result<(), String> {
    let path = Path::new(&settings.snapshot.dir).join(&settings.log.file);
    let file = (!settings.log.file.is_empty()).then_some(path.as_path());
    let format = match settings.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    log::start(file, format, host::level(settings.log.level), clock::unix_us).map_err(|error| {
        let place = settings.origins.place("logfile");
        format!("Can't open the log file {}: {error} ({place})", path.display())
    })
}

/// The supervisor to notify.
fn supervisor(wanted: Supervised) -> Option<Supervisor> {
    let found = Supervisor::find();
    let supervisor = match wanted {
        Supervised::No => return None,
        Supervised::Auto => found?,
        Supervised::Systemd if std::env::var_os("NOTIFY_SOCKET").is_none() => {
            log!(Warning, "systemd supervision requested, but NOTIFY_SOCKET not found!");
            return None;
        }
        Supervised::Systemd => Supervisor::Systemd,
        Supervised::Upstart if found != Some(Supervisor::Upstart) => {
            log!(Warning, "upstart supervision requested, but UPSTART_JOB not found!");
            return None;
        }
        Supervised::Upstart => Supervisor::Upstart,
    };
    match supervisor {
        Supervisor::Systemd => log!(Notice, "Supervised by systemd."),
        Supervisor::Upstart => {
            log!(Notice, "supervised by upstart, will stop to signal readiness");
        }
    }
    let told = supervisor.status("limpid is loading...");
    told.unwrap_or_else(|error| log!(Warning, "systemd supervision error: {error}"));
    Some(supervisor)
}

/// The listening address for the process title.
fn address(settings: &Settings) -> String {
    let network = &settings.network;
    match network.bind.first() {
        _ if network.port == 0 => network.unixsocket.clone(),
        None => format!("*:{}", network.port),
        Some(address) => format!("{}:{}", address.trim_start_matches('-'), network.port),
    }
}

impl Awaited {
    /// The sockets are bound: whoever started a daemon may exit.
    pub(super) fn listening(&mut self) {
        if let Some(launcher) = self.launcher.take() {
            launcher.ready();
        }
    }

    /// Notifies the supervisor that commands are answered.
    pub(super) fn ready(&self, is_replica: bool) {
        let status = match is_replica {
            false => "Ready to accept connections",
            true => {
                "Ready to accept connections in read-only mode. Waiting for MASTER <-> REPLICA sync"
            }
        };
        self.tell(|supervisor| supervisor.ready(status));
    }

    pub(super) fn stopping(&self) {
        self.tell(Supervisor::stopping);
    }

    fn tell(&self, what: impl FnOnce(Supervisor) -> std::io::Result<()>) {
        if let Some(Err(error)) = self.supervisor.map(what) {
            log!(Warning, "supervision error: {error}");
        }
    }

    /// Reports to whoever started a daemon why there is no server.
    pub(crate) fn failed(self, reason: &str) {
        if let Some(launcher) = self.launcher {
            launcher.failed(reason);
        }
    }
}
