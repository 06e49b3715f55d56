//! limpid: a Redis-compatible in-memory server that one can see into.

mod keyspace;
mod number;
mod resp;
pub mod rdb;
pub mod settings;
mod types;
