//! limpid: a Redis-compatible in-memory server that one can see into.

mod commands;
mod engine;
mod glob;
mod keyspace;
mod node;
mod number;
pub mod rdb;
mod replication;
mod resp;
mod server;
pub mod settings;
mod telemetry;
mod types;

pub use commands::REDIS_VERSION;
pub use server::run;

/// What `--help` says.
pub const USAGE: &str = "\
Usage: limpid-server [/path/to/limpid.conf|/path/to/limpid.toml] [options] [-]
       limpid-server - (read config from stdin)
       limpid-server -v or --version
       limpid-server -h or --help

Examples:
       limpid-server (run the server with default conf)
       limpid-server --port 7777
       limpid-server /etc/limpid.conf --loglevel verbose -";

/// What `--version` says: the Redis version first, for the tools that read it.
#[must_use]
pub fn version() -> String {
    format!(
        "Redis server v={REDIS_VERSION} limpid={} malloc=jemalloc bits=64",
        env!("CARGO_PKG_VERSION")
    )
}
