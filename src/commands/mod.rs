//! Commands: one file per family, each a table of rows followed by the handlers.
//!
//! To add a command, write its row and its handler in the family's file. To add a family, add
//! its file and name its table in [`all`].

mod access;
mod acl;
mod args;
pub(crate) mod blocking;
mod command;
mod context;
pub(crate) mod effects;
mod failure;
mod keyspec;
pub(crate) mod registry;

mod bits;
mod client;
mod cluster;
mod config;
mod connection;
pub(crate) mod debug;
mod draw;
mod expiry;
mod geo;
mod hashes;
mod help;
mod hyperloglog;
pub(crate) mod info;
mod introspection;
mod keys;
mod latency;
mod lists;
mod lolwut;
mod memory;
mod migrate;
mod modules;
mod monitor;
mod object;
mod pubsub;
mod random;
mod replication;
mod scan;
mod scripts;
mod server;
mod sets;
mod slowlog;
mod sort;
mod sorted_sets;
mod streams;
mod strings;
mod syntax;
mod transactions;

#[cfg(test)]
mod tests;

/// The version of Redis that limpid emulates.
pub const REDIS_VERSION: &str = "7.0.15";

pub(crate) use access::{access, access_clock, aging};
pub(crate) use acl::{Asked, catalog::acl_commands, note_denial};
pub(crate) use args::Args;
pub(crate) use command::{
    Category, Command, EngineCommand, Flag, Flags, Handled, Locks, Run, Source,
};
pub(crate) use context::{Context, Expired, Keys};
pub(crate) use failure::{Failure, LOADING};
pub(crate) use keyspec::{Begin, Find, KeyFlag, KeySpec, Others};
pub(crate) use random::Random;

/// All rows, by family.
pub(crate) fn all() -> impl Iterator<Item = &'static Command> {
    [
        acl::COMMANDS,
        bits::COMMANDS,
        client::COMMANDS,
        cluster::COMMANDS,
        config::COMMANDS,
        connection::COMMANDS,
        debug::COMMANDS,
        expiry::COMMANDS,
        geo::COMMANDS,
        hyperloglog::COMMANDS,
        hashes::COMMANDS,
        info::COMMANDS,
        keys::COMMANDS,
        latency::COMMANDS,
        lists::COMMANDS,
        lolwut::COMMANDS,
        memory::COMMANDS,
        migrate::COMMANDS,
        modules::COMMANDS,
        monitor::COMMANDS,
        object::COMMANDS,
        introspection::COMMANDS,
        pubsub::COMMANDS,
        replication::COMMANDS,
        scan::COMMANDS,
        scripts::COMMANDS,
        server::COMMANDS,
        sets::COMMANDS,
        slowlog::COMMANDS,
        sort::COMMANDS,
        sorted_sets::COMMANDS,
        streams::COMMANDS,
        strings::COMMANDS,
        transactions::COMMANDS,
    ]
    .into_iter()
    .flatten()
}
