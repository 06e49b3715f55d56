//! The server process: start, shutdown, saving, loading, and misbehaving clients. Needs only the
//! binary.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation fails")]

#[path = "../support/mod.rs"]
mod support;

mod acl;
mod admin;
mod append_only;
mod client_memory;
mod clients;
mod debugger;
mod descriptors;
mod eviction;
mod hardship;
mod lifecycle;
mod limits;
mod listening;
mod migrate;
mod process;
mod rest;
mod scripts;
mod security;
mod start;
mod tls;
mod traces;

/// The words of a command.
fn words(command: &str) -> Vec<&[u8]> {
    command.split(' ').map(str::as_bytes).collect()
}
