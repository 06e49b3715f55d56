//! limpid: a Redis-compatible in-memory server that one can see into.

pub mod rdb;
pub mod settings;
