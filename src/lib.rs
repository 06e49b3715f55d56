//! limpid: a Redis-compatible in-memory server that one can see into.
//!
//! This page is the map for those who change the code; the README is for those who use it.
//!
//! # The parts
//!
//! Dependencies point one way, from the bottom of this list to its top; `tests/structure.rs` fails
//! on a `crate::` path that points the other way.
//!
//! ```text
//! glob, number, telemetry   leaves: patterns, numbers as Redis reads and writes them; the log,
//!                           counters, traces and crash reports
//! process                   a leaf: title, background, supervisor and limits of the process
//! settings                  a leaf too: files, environment and arguments; the parameter table
//! resp                      bytes to requests and replies to bytes; no I/O
//! types                     values: what a key can hold
//! keyspace                  shards, entries, the slot table, scans, snapshots
//! rdb                       the file format, DUMP and RESTORE
//! replication               the one log of writes, attached replicas, the link to a master; no I/O
//! node                      what a server knows besides keys: clients, subscriptions, statistics,
//!                           its role
//! commands                  a file per family: a table of rows, the handlers below it; `info` has
//!                           the readings, which INFO and the metrics both show
//! engine                    the one path of a request
//! server                    the sockets, files, threads, clock and randomness of serving
//! admin                     the admin server: metrics, status and health over HTTP
//! ```
//!
//! # The way of a request
//!
//! A worker thread reads what a client sent into its scratch memory and calls
//! `engine::Executor::run`. That parses up to 32 requests in place, hashes their keys and
//! prefetches slots and entries, then runs one after the other: resolve the row, ask admission,
//! lock the shards that the row's keys name, run the handler, apply its effects, unlock. The
//! replies go out in one write. Nothing is handed to another thread on the way, and nothing waits
//! under a lock.
//!
//! What is left over of a request is kept by its connection in a `resp::Input`, to whose end the
//! rest of a large one is read; the parser goes on where it was. What a command displaces is freed
//! after the unlock, and a lot of it by the thread of `keyspace::graveyard`.
//!
//! # The way of a write to a replica
//!
//! Under its locks a write is appended to `replication::Log`, whose last bytes are the backlog. The
//! replies to a batch that wrote are not sent at once where replicas are online: its connection
//! gets in line behind all that are ready on its worker. When its turn comes again, these have run;
//! the first of them to have replies waiting hands each replica what it lacks
//! (`Replicas::feed`), and then all write their replies. So the bytes of a write are with the
//! kernel before its reply is, a kill of the process loses nothing that was acknowledged, and yet
//! there is one send per replica and turn, not one per command. Where much is written in one turn,
//! replicas are fed within it.
//!
//! A replica has one place from which bytes go to it, `replication::feed`, behind a lock of its
//! own. Whoever writes calls it, be it a worker, the cron or the thread that follows a master; it
//! sends without waiting and for a bounded time. A replica whose socket is full holds nobody back:
//! its own connection goes on when the socket has room, by the same call. The socket is seen as an
//! `Outlet`, which tests and simulations replace.
//!
//! A full resync is a snapshot walked on the thread of `server::snapshots` into a spool, from
//! which the same feed takes. What the spool's memory does not hold is written to a file by that
//! thread and read by another: who sends never waits for a disk.
//!
//! On a replica one thread (`server::follower`) follows the master. `replication::Link` turns bytes
//! into events, `engine::follow::Session` decides, `engine::Applier` runs the stream's commands and
//! appends their bytes to this node's own log under the locks under which they were applied: so
//! offsets are the master's, and further replicas can follow. `engine::full_resync::takeover` loads
//! a full resync beside the data and swaps. None of these knows a socket, so
//! `engine/tests/simulation` runs whole clusters from a seed.
//!
//! Whether a master's role is confirmed after a restart, which only `/primary` asks, is known to
//! `node::standing` and kept in a file by `server::role_file`.
//!
//! A role changes under all the locks and begins a generation (`node::replication`); what belongs
//! to an older one ends when it looks.
//!
//! # What holds everywhere
//!
//! - **Locks.** Shards in ascending order, then the log, then subscriptions. A thread holds one set
//!   at a time. Handlers never see a lock; a key outside of the row's set panics.
//! - **Effects in one place.** A handler says what it changed (`Keys::changed`); the log, watchers,
//!   events and counts follow from that and from the row. Rewritten forms (`PEXPIREAT` for
//!   `EXPIRE`) are given to `Keys::log_instead`.
//! - **Validate before the first change.** A handler that fails has changed nothing.
//! - **Admission changes under all the locks** and bumps an epoch. Whoever writes, a command, the
//!   sweeper or the link to a master, takes its locks by `engine/write.rs`'s `begin_write`, which
//!   asks under them whether it still may: no write slips past a pause or a change of role.
//! - **A state has one source.** What commands are answered by (`node::admission`) is what INFO, ROLE
//!   and the admin server show of loading, the role, the link and failed saves.
//! - **Snapshots.** Every change of an entry goes through the few primitives of
//!   `keyspace::Locked`, which keep the old value while a snapshot runs.
//! - **`unsafe` lives in `keyspace::raw`**, runs under AddressSanitizer, and what it does without a
//!   lock is modelled with loom; and in `process::raw`, for fork and the memory of the arguments.
//! - **A panic ends the process**, with a report (`telemetry::crash`): nothing goes on beside what a
//!   thread left half done.
//! - **Nothing large is freed under a lock**, which builds with debug assertions check; a message
//!   for many clients is shared among them.
//! - **Nothing wakes that has nothing to do.** Regular work (`server::cron`) has a thread of its own
//!   that rests while there is no traffic, no replica and no key that may expire.
//! - **Connections share as few workers as carry the load** and move between batches, when nothing
//!   but their own state is in flight: `server/balance.rs` decides.
//! - **Counters have one writer** and are summed by who looks; a look takes no shard lock.
//! - **No clock below `server`.** Time comes through `node::host::Clock`, so that tests move it.
//!
//! # Where to add
//!
//! A command: its row and handler in the family's file under `commands`. A setting: a row in
//! `settings/table.rs` and a field in `settings/values.rs`. A counter: `node/stats.rs`, and one row
//! in its section's file under `commands/info`, which names its field in INFO and its metric. A
//! type of value: `types`, then `rdb`'s value, reader and writer.
//!
//! # Where this differs from what one might expect
//!
//! - A shard's lock is our own (`keyspace/raw/lock.rs`): releasing it is a plain store.
//! - SCAN's cursor is a hash prefix: COUNT is exact, and a key that stays is met exactly once.
//! - FLUSHALL does not end a background save: the save keeps the tables it still needs.
//! - DUMP payloads of newer servers are accepted, and payloads that run into their footer are not.

mod admin;
mod commands;
mod engine;
mod glob;
mod keyspace;
mod node;
mod number;
mod process;
pub mod rdb;
mod replication;
mod resp;
mod server;
pub mod settings;
mod telemetry;
mod types;

pub use admin::probe;
pub use commands::REDIS_VERSION;

/// Runs a server, with the admin server beside it, until it is told to end.
///
/// # Errors
/// What keeps it from starting, in words for the operator, who has been told.
pub fn run(
    mut settings: settings::Settings,
    config_file: Option<std::path::PathBuf>,
) -> Result<(), String> {
    use telemetry::log::log;
    telemetry::crash::end_on_panic();
    let fail = |reason: String| {
        log!(Warning, "{reason}");
        // The log may be a file, or not have begun.
        eprintln!("{reason}");
        reason
    };
    let mut awaited = server::startup::prepare(&mut settings).map_err(fail)?;
    let admin = &settings.admin;
    let traces = match admin.otlp_endpoint.as_str() {
        "" => Ok(()),
        endpoint => telemetry::traces::start(endpoint, admin.trace_every)
            .map_err(|reason| format!("{reason} ({})", settings.origins.place("otlp-endpoint"))),
    };
    let result =
        traces.and_then(|()| server::run(settings, config_file, &mut awaited, admin::start));
    telemetry::traces::end();
    if let Err(reason) = &result {
        awaited.failed(reason);
    }
    result.map_err(fail)
}

/// What `--help` says.
pub const USAGE: &str = "\
Usage: limpid-server [/path/to/limpid.conf|/path/to/limpid.toml] [options] [-]
       limpid-server - (read config from stdin)
       limpid-server -v or --version
       limpid-server -h or --help
       limpid-server healthcheck [url] (asks an admin server how it is)

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
