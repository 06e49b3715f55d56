//! Shared code of tests against running servers: starting a server, sending to it, reading replies.
//!
//! - [`server`]: a limpid-server or a real redis-server in its own folder and on its own port
//! - [`certificates`]: certificates of a test's own, and clients that use them
//! - [`connection`]: a blocking client that sends bytes unchanged
//! - [`reply`]: replies, down to their type bytes
#![allow(dead_code, reason = "each integration test compiles this and uses a part of it")]

pub(crate) mod certificates;
pub(crate) mod connection;
pub(crate) mod reply;
pub(crate) mod server;

use std::time::Instant;

/// The current time, for deadlines.
#[allow(clippy::disallowed_methods, reason = "the server's clock is not what a deadline tests by")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
