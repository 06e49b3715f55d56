//! Replication between processes: limpid with limpid, with redis-server 7.0.15 and under
//! redis-sentinel, and both ends of a link played by a test.
//!
//! - [`nodes`]: servers, and how a test waits for them; [`proxy`]: a link that can be cut, held,
//!   slowed down and corrupted; [`load`]: a client that writes without end
//! - [`interop`]: chains of both programs; [`roles`]: promotions, demotions and restarts;
//!   [`trouble`]: links that are slow, silent, damaged or cut at a bad moment; [`kill`]: masters that
//!   are killed under load
//! - [`handshake`]: the bytes of a link; [`states`]: what INFO and ROLE show; [`settings`]: what
//!   replication's settings do
//! - [`faults`]: links that go wrong; [`guard`]: masters that come back without their data
//! - [`health`]: what the admin server tells meanwhile
//! - [`wait`], [`failover`], [`shutdown`]: the commands; [`sentinel`]: a master that is killed
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
mod trouble;
mod wait;
