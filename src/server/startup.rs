//! Setup before serving: the working folder, the log, daemonizing, the process title.
//!
//! All of it happens while the process has one thread, as a daemon is a fork of it.

use std::path::Path;
use std::sync::OnceLock;

use super::{clock, host};
use crate::process::daemon::{self, Launcher};
use crate::process::huge_pages;
use crate::process::supervisor::Supervisor;
use crate::process::title;
use crate::settings::{self, LogFormat, Settings, Supervised, SyslogFacility};
use crate::telemetry::crash;
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
pub(crate) fn prepare(
    settings: &mut Settings,
    config_file: Option<&Path>,
) -> Result<Awaited, String> {
    std::env::set_current_dir(&settings.snapshot.dir).map_err(|error| {
        let (place, dir) = (settings.origins.place("dir"), &settings.snapshot.dir);
        format!("Can't chdir to '{dir}': {error} ({place})")
    })?;
    start_log(settings)?;
    let supervisor = supervisor(settings.process.supervised);
    let covered = match settings.process.set_proc_title || has_secret_argument(settings) {
        true => title::cover(&title_of(settings, config_file), settings::is_secret_variable),
        false => title::cover_variables(settings::is_secret_variable),
    };
    if let Err(error) = covered {
        log!(Warning, "The arguments, with any password among them, stay visible: {error}");
    }
    if settings.process.disable_thp
        && let Err(error) = huge_pages::disable()
    {
        log!(Warning, "Huge pages of memory stay: {error}");
    }
    crash::set_reporting(settings.process.crash_log_enabled);
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
    })?;
    if settings.log.syslog_enabled {
        let (ident, facility) =
            (&settings.log.syslog_ident, facility(settings.log.syslog_facility));
        log::also_to_syslog(ident, facility).map_err(|error| {
            let place = settings.origins.place("syslog-enabled");
            format!("Can't log to the system's log: {error} ({place})")
        })?;
    }
    Ok(())
}

/// The system's number for a kind of program.
fn facility(facility: SyslogFacility) -> u8 {
    const USER: u8 = 1;
    const LOCAL: u8 = 16;
    match facility {
        SyslogFacility::User => USER,
        SyslogFacility::Local0 => LOCAL,
        SyslogFacility::Local1 => LOCAL + 1,
        SyslogFacility::Local2 => LOCAL + 2,
        SyslogFacility::Local3 => LOCAL + 3,
        SyslogFacility::Local4 => LOCAL + 4,
        SyslogFacility::Local5 => LOCAL + 5,
        SyslogFacility::Local6 => LOCAL + 6,
        SyslogFacility::Local7 => LOCAL + 7,
    }
}

/// Whether somebody could read a password among the arguments.
fn has_secret_argument(settings: &Settings) -> bool {
    let security = &settings.security.requirepass;
    let replication = [&settings.replication.masterauth, &settings.replication.masteruser];
    let secrets = [security, &settings.admin.token].into_iter().chain(replication);
    let secrets: Vec<&str> = secrets.filter_map(|secret| secret.reveal()).collect();
    let shows = |argument: std::ffi::OsString| {
        let argument = argument.to_string_lossy().into_owned();
        secrets.iter().any(|secret| argument.contains(secret))
    };
    std::env::args_os().any(shows)
}

/// The program as it was called: the first call is before a title covers that.
fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    let called = || std::env::args_os().next().unwrap_or_default().to_string_lossy().into_owned();
    PROGRAM.get_or_init(called)
}

/// The title that the settings ask for.
pub(super) fn title_of(settings: &Settings, config_file: Option<&Path>) -> String {
    let network = &settings.network;
    let value = |variable: &str| {
        Some(match variable {
            "title" => program().to_owned(),
            "listen-addr" => address(settings),
            "port" => network.port.to_string(),
            "unixsocket" => network.unixsocket.clone(),
            "config-file" => config_file.map(|path| path.display().to_string()).unwrap_or_default(),
            "tls-port" => settings.tls.port.to_string(),
            "server-mode" => String::new(),
            _ => return None,
        })
    };
    settings::title(&settings.process.proc_title_template, value)
        .unwrap_or_else(|| program().to_owned())
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
    let port = settings.client_port();
    match network.bind.first() {
        _ if port == 0 => network.unixsocket.clone(),
        None => format!("*:{port}"),
        Some(address) => format!("{}:{port}", address.trim_start_matches('-')),
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
