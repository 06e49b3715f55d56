//! Replication between processes: limpid with limpid, with redis-server 7.0.15 and under
//! redis-sentinel, and both ends of a link played by a test.
//!
//! - [`nodes`]: servers, and functions to wait for them; [`proxy`]: a link that can be cut, held,
//!   slowed down and corrupted; [`load`]: a client that writes continuously
//! - [`interop`]: chains of both programs; [`roles`]: promotions, demotions and restarts;
//!   [`trouble`]: links that are slow, silent, damaged or cut at a bad moment; [`kill`]: masters
//!   killed under load
//! - [`handshake`]: the bytes of a link; [`states`]: INFO and ROLE; [`settings`]: the effect of
//!   replication's settings
//! - [`faults`]: faulty links; [`guard`]: masters that restart without their data
//! - [`tls`]: links over TLS
//! - [`health`]: the admin server's reports
//! - [`wait`], [`failover`], [`shutdown`]: the commands; [`sentinel`]: failover by sentinels
#![allow(clippy::unwrap_used, reason = "a test ends where an expectation fails")]

mod failover;
mod faults;
mod guard;
mod handshake;
mod health;
mod interop;
mod kill;
mod load;
mod nodes;
mod proxy;
mod roles;
mod sentinel;
mod settings;
mod shutdown;
mod standing;
mod states;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod trouble;
mod wait;
