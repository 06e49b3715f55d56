//! What tests against running servers share: starting a server, talking to it, reading replies.
//!
//! - [`server`]: a limpid-server or a real redis-server in a folder and on a port of its own
//! - [`connection`]: a blocking client that sends bytes as they are
//! - [`reply`]: what comes back, down to its type bytes
#![allow(dead_code, reason = "each integration test compiles this and uses a part of it")]

pub(crate) mod connection;
pub(crate) mod reply;
pub(crate) mod server;

use std::time::Instant;

/// The present, for deadlines.
#[allow(clippy::disallowed_methods, reason = "the server's clock is not what a deadline tests by")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
