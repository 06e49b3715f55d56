//! Migrations: keys on their way to another server, for MIGRATE.
//!
//! The command dumps the keys under their locks and watches them as a transaction does. The outer
//! layer sends them from a thread of its own. What the target has confirmed is then removed here,
//! unless it changed meanwhile; and the client, which waits, is answered.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;

use super::client::Handle;
use super::stats::WorkerStats;
use crate::keyspace::Mark;

/// A key that is sent.
#[derive(Debug)]
pub(crate) struct MigratedKey {
    pub(crate) name: Box<[u8]>,
    /// Milliseconds it had left to live; 0: it never expires.
    pub(crate) ttl_ms: i64,
    /// As DUMP gives it.
    pub(crate) payload: Vec<u8>,
    /// Set when the key changes here.
    pub(crate) mark: Mark,
}

/// For AUTH at the target.
pub(crate) struct Credentials {
    pub(crate) user: Option<Box<[u8]>>,
    pub(crate) password: Box<[u8]>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// What becomes of the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// They stay here, too.
    pub(crate) copy: bool,
    /// They replace those that the target has.
    pub(crate) replace: bool,
}

/// Where keys go, and how.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) host: Box<[u8]>,
    /// As sent: C's `atoi` reads it.
    pub(crate) port: Box<[u8]>,
    /// For each step on the socket.
    pub(crate) timeout_ms: u64,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) options: Options,
    /// Where the keys are here, and where they go.
    pub(crate) database: usize,
    pub(crate) database_there: i64,
}

/// One MIGRATE.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) route: Route,
    pub(crate) keys: Vec<MigratedKey>,
    requester: Arc<Handle>,
    /// The error that the client gets, or none.
    outcome: Mutex<Option<Result<(), Vec<u8>>>>,
}

impl Migration {
    pub(crate) fn new(route: Route, keys: Vec<MigratedKey>, requester: Arc<Handle>) -> Self {
        Self { route, keys, requester, outcome: Mutex::default() }
    }

    /// Ends the client's wait.
    pub(crate) fn answer(&self, outcome: Result<(), Vec<u8>>) {
        *self.outcome.lock() = Some(outcome);
        self.requester.look();
    }

    /// What the client is answered, once that is known.
    pub(crate) fn take_outcome(&self) -> Option<Result<(), Vec<u8>>> {
        self.outcome.lock().take()
    }
}

/// Figures of the thread that migrates.
#[derive(Debug)]
pub(crate) struct Migrations {
    /// Connections that it keeps for the next migration.
    pub(crate) cached: AtomicUsize,
    pub(crate) stats: WorkerStats,
}

impl Migrations {
    /// For commands with ids below `commands`.
    pub(super) fn new(commands: usize) -> Self {
        Self { cached: AtomicUsize::new(0), stats: WorkerStats::new(commands) }
    }
}
