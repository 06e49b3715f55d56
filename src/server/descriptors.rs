//! The limit of open files: raised to what the settings may need, or the settings lowered to what
//! it allows, so that too many clients never leave a save or the admin server without one.

use std::fs::File;
use std::io;

use crate::process::limits::raise_open_files;
use crate::settings::Settings;
use crate::telemetry::log::log;

/// The log, listening sockets, the files of a save, and the like; as in Redis.
const OWN: u64 = 32;
/// Descriptors of each thread with a runtime: to wait, to be woken, to receive signals.
const PER_RUNTIME: u64 = 4;
/// The main thread, the admin server, the link to a master, signals.
const RUNTIMES_BESIDE_WORKERS: u64 = 4;
/// The second descriptor of each replica's socket, files in which full resyncs wait for slow
/// replicas, and the file that a replica loads from.
const REPLICATION: u64 = 32;
/// Under a low limit the admin server gets one part in this many.
const ADMIN_SHARE: u64 = 8;

/// Descriptors open besides those of clients and of the admin server's clients.
fn beside(settings: &Settings) -> u64 {
    let handshakes = u64::from(settings.tls.port != 0);
    OWN + REPLICATION + PER_RUNTIME * (workers(settings) + RUNTIMES_BESIDE_WORKERS + handshakes)
}

/// Raises the limit for these settings, or fits them to it, before anything is opened.
///
/// # Errors
/// The limit leaves no room for a single client.
pub(super) fn fit(settings: &mut Settings) -> Result<(), String> {
    let (clients, admin) = (settings.clients.maxclients, settings.admin.max_connections);
    let wanted = u64::from(clients) + u64::from(admin) + beside(settings);
    let limit = raise_open_files(wanted);
    if limit.now < wanted {
        let share = u32::try_from(limit.now / ADMIN_SHARE).unwrap_or(admin);
        settings.admin.max_connections = share.clamp(1, admin);
    } else if limit.now != limit.before {
        log!(
            Notice,
            "Increased maximum number of open files to {} (it was originally set to {}).",
            limit.now,
            limit.before
        );
    }
    fit_clients(settings)
}

/// Raises the limit for these settings, or fits `maxclients` to it.
///
/// # Errors
/// The limit leaves no room for a single client.
pub(super) fn fit_clients(settings: &mut Settings) -> Result<(), String> {
    let reserved = u64::from(settings.admin.max_connections) + beside(settings);
    let clients = &mut settings.clients.maxclients;
    let wanted = u64::from(*clients) + reserved;
    let limit = raise_open_files(wanted);
    let now = limit.now;
    if now >= wanted {
        return Ok(());
    }
    log!(
        Warning,
        "You requested maxclients of {clients} requiring at least {wanted} max file descriptors."
    );
    if let Some(errno) = limit.refused {
        log!(
            Warning,
            "Server can't set maximum open files to {wanted} because of OS error: {errno}."
        );
    }
    let left = now.saturating_sub(reserved);
    if left == 0 {
        return Err(format!(
            "Your current 'ulimit -n' of {now} is not enough for the server to start. Please \
             increase your open file limit to at least {}. Exiting.",
            reserved + 1
        ));
    }
    *clients = u32::try_from(left).map_or(*clients, |left| left.min(*clients));
    log!(
        Warning,
        "Current maximum open files is {now}. maxclients has been reduced to {clients} to \
         compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'."
    );
    Ok(())
}

/// How many workers the settings ask for.
pub(super) fn workers(settings: &Settings) -> u64 {
    match settings.process.workers {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
        workers => workers.into(),
    }
}

/// Whether a call failed for lack of a descriptor, in this process or in the whole system.
pub(super) fn are_used_up(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// A spare descriptor: with it a client, which would otherwise wait without an answer, can still be
/// accepted, refused and closed when no others are left.
#[derive(Debug, Default)]
pub(super) struct Spare(Option<File>);

impl Spare {
    pub(super) fn new() -> Self {
        let mut spare = Self(None);
        spare.fill();
        spare
    }

    /// Reopens the descriptor; returns whether there is one.
    pub(super) fn fill(&mut self) -> bool {
        if self.0.is_none() {
            self.0 = File::open("/dev/null").ok();
        }
        self.0.is_some()
    }

    /// Closes the descriptor.
    pub(super) fn empty(&mut self) {
        self.0 = None;
    }
}
