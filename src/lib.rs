//! limpid: a Redis-compatible in-memory server with built-in observability.
//!
//! This page is the code map for developers; the README is for users.
//!
//! # The parts
//!
//! Dependencies point one way, from the bottom of this list to its top; `tests/structure.rs` fails
//! on a `crate::` path that points the other way.
//!
//! ```text
//! aof                       a leaf: the append only file; bytes and files, no keys
//! glob, lzf, number         leaves: patterns, compression, numbers as Redis reads and writes them
//! text                      a leaf: byte strings as C reads them
//! telemetry                 a leaf: the log, counters, traces and crash reports
//! heap                      a leaf: bytes allocated, by thread
//! process                   a leaf: title, background, supervisor and limits of the process
//! limits                    a leaf: within which collections are kept packed
//! acl                       users, the rules that make them, and the checks by them; no I/O
//! scripting                 a leaf: Lua, what scripts see of it, and the libraries of functions
//! settings                  files, environment and arguments; the parameter table
//! resp                      bytes to requests and replies to bytes; no I/O
//! types                     values: what a key can hold
//! keyspace                  shards, entries, the slot table, scans, snapshots
//! rdb                       the file format, DUMP and RESTORE
//! replication               the one log of writes, attached replicas, the link to a master; no I/O
//! node                      server state besides keys: clients, subscriptions, caches, statistics, role
//! commands                  a file per family: a table of rows, the handlers below it; `info` has
//!                           the readings, which INFO and the metrics both show
//! engine                    the one path of a request
//! server                    sockets, files, threads, clock and randomness
//! admin                     the admin server: metrics, status and health over HTTP
//! ```
//!
//! # The path of a request
//!
//! A worker thread reads a client's bytes into its scratch memory and calls
//! `engine::Executor::run`. That parses up to 32 requests in place, hashes their keys and
//! prefetches slots and entries, and members where several requests look into one large collection,
//! then runs them one by one: look up the row, check admission, lock
//! the shards of the row's keys, run the handler, apply its effects, unlock. One write sends the
//! replies. No step moves to another thread, and nothing waits under a lock.
//!
//! The connection keeps an incomplete request in a `resp::Input`; the rest of a large one is read
//! directly into it, and the parser resumes where it stopped. Displaced values are freed after
//! the unlock, large ones by the thread of `keyspace::graveyard`.
//!
//! # A value
//!
//! Small values are packed bytes within their entry: one allocation a key, of exactly the size class
//! that it needs. `types::Encoding` in the entry's header says which. Large ones are a
//! `types::Object`: trees of small nodes behind `Arc`, so that a snapshot's clone is one reference and
//! a write copies a few nodes. `types::ValueRef` reads both alike; `types::Place` changes both,
//! in an entry (`keyspace::Editor`) or without one (`types::Value`, as RDB makes it).
//!
//! ```text
//! list        one listpack; a counted tree of listpack nodes
//! set, hash   intset, listpack; a tree of packed segments in the order of the members' hash, whose
//!             prefix is the cursor of SSCAN and HSCAN
//! sorted set  listpack; a counted B+ tree by score and member, and beside it an index from a member's
//!             hash to its leaf: the member's bytes stand once
//! stream      listpack blocks in an ordered map, groups and pending entries in others
//! ```
//!
//! # Waiting for keys
//!
//! A client in BLPOP and its kind leaves a waiter in the interests of its keys' shards
//! (`keyspace::interests`). Whoever changes such a key serves those who wait, in order and under the
//! same locks (`engine::serve`), by the function that the family gave (`commands::blocking::Serve`).
//! One atomic claim decides between that, the timeout, CLIENT UNBLOCK and the connection's end. A
//! move fills another key: commands lock what waiting moves reach (`node::blocked`).
//!
//! # Clients with caches
//!
//! A client that tracks leaves a tracker in the interests of the keys that it reads, beside watchers
//! and waiters. Whoever changes such a key forgets its trackers and tells them, under the same
//! locks (`node::tracking`). A client's pending messages are taken before a command or under its
//! locks, never between its unlock and its reply: so a message about a change follows the reply
//! that carries what was read before, whatever worker made the change. What a command tells its own
//! client comes after its reply (`engine::tracking`), as do the lines of a monitor's own commands.
//!
//! # The path of a write to a replica
//!
//! Under its locks a write is appended to `replication::Log`, whose last bytes are the backlog.
//! While replicas are online, the replies to a batch that wrote are deferred: its connection queues
//! behind all that are ready on its worker. When its turn comes again, these have run; the first of
//! them with pending replies sends each replica its missing bytes (`Replicas::feed`), and then all
//! write their replies. So the kernel has the bytes of a write before its reply, a kill of the
//! process loses no acknowledged write, and yet there is one send per replica and turn, not one per
//! command. A turn that writes much feeds replicas before it ends.
//!
//! Only `replication::feed` sends bytes to a replica, under a lock per replica. Every writer calls
//! it: a worker, the cron or the thread that follows a master. It sends without blocking and for a
//! bounded time. A replica whose socket is full delays nobody: its own connection resumes by the
//! same call when the socket has room. The socket is behind the trait `Outlet`, which tests and
//! simulations replace.
//!
//! For a full resync, the thread of `server::snapshots` walks a snapshot into a spool, from which
//! the same feed takes. That thread writes what exceeds the spool's memory to a file, and another
//! thread reads it: the sender never waits for a disk.
//!
//! On a replica one thread (`server::follower`) follows the master. `replication::Link` turns bytes
//! into events, `engine::follow::Session` decides, `engine::Applier` runs the stream's commands and
//! appends their bytes to this node's own log under the same locks: so offsets are the master's,
//! and further replicas can follow. `engine::full_resync::takeover` loads a full resync beside the
//! data and swaps. None of these uses a socket, so `engine/tests/simulation` runs whole clusters
//! from a seed.
//!
//! `node::standing` knows whether a master's role is confirmed after a restart, which only
//! `/primary` checks; `server::role_file` stores it in a file.
//!
//! A role changes under all the locks and begins a generation (`node::replication`); work of an
//! older generation ends at its next check.
//!
//! # Eviction
//!
//! Before a command, `engine::evict` compares the bytes allocated with `maxmemory`. The allocator's
//! sum would take a walk, so threads add their own differences to a total (`heap`), which the cron
//! corrects by such a walk. What removing keys cannot free, or what it has already removed, is
//! subtracted (`node::memory`), so that no key goes for the same excess twice. One thread at a time
//! evicts, a key under one lock after the other, by `begin_write` like any other writer.
//!
//! An entry's header has 32 access bits (`keyspace::access`): the time of the last access, or under
//! an LFU policy a minute and a counter. `commands::access` keeps them.
//!
//! # TLS
//!
//! A thread of its own shakes hands with clients of the TLS port, then hands them to workers like
//! others. A session is shared: the client's worker and whoever feeds a replica take its lock, encrypt
//! into it and send without blocking (`server/tls/session.rs`). It moves with its connection between
//! workers. The link to a master and the admin server use streams of the library. All go by one
//! configuration, which is replaced as a whole (`server/tls/contexts.rs`).
//!
//! # The path of a write to the disk
//!
//! The append only file is the log's second sink (`replication::file`): under the same locks it gets
//! the effects of what this node did, on a replica of what it applied. `aof` copies them into a queue;
//! its thread writes, syncs, and switches files. Replies and messages go out when the file has released
//! what they tell of: when the kernel has it, under `always` when the disk has it; and
//! `Log::feedable` bounds what replicas are fed. So a connection's replies are kept until the end of
//! its worker's turn, as those before replicas are. There the first one has the queue written for all
//! (`Node::flush_file`): by the worker itself unless that may take time, else by the thread, and then
//! `node::file` keeps the connections that wait. The cron looks for a write that takes long
//! (`Node::watch_file`): readers wait for it no longer, and the other connections of a worker that
//! makes it move away. The thread's calls into the node take no lock of a shard, so that whoever has
//! them may wait for it: a shutdown, `CONFIG SET appendonly no`.
//!
//! `server::aof` has the thread's host and the rewrites, which walk a snapshot like a save.
//! `engine::aof_load` runs the file's commands as those of a master, `engine::aof_save` writes a base
//! of commands.
//!
//! # Scripts
//!
//! `scripting` is Lua and what scripts see of it; `engine::script` runs one and gives it the commands
//! that it calls. Scripts run one at a time: whoever runs one holds the interpreters
//! (`node::scripts::Gate`), which are locked before any shard. A script begins under the locks of its
//! declared keys; when it reaches for another, it takes all the locks that it lacks
//! (`keyspace::Guard::extend`), for which others that wait for locks give up theirs, and its next
//! run begins with all of them. Its commands have a client of their own, which each run takes from
//! the last (`node::scripts::Workspace`).
//!
//! A script that runs for longer than `busy-reply-threshold` raises a flag: from then on nobody waits
//! for its locks (`keyspace::Keyspace::lock_unless_busy`), and commands answer -BUSY. It runs within a
//! poll of its worker, which cannot serve other clients meanwhile: their connections move to other
//! workers (`server::worker::Workers::relieve`), the last of which, the relief, exists for that and
//! has none otherwise. New connections go there as well. All return when the script has ended.
//!
//! # Attacks
//!
//! `engine/tests/security` lists the classes of attacks, and the tests that hold each of them off.
//!
//! # Invariants
//!
//! - **Locks.** The scripts, shards in ascending order, then the log, then subscriptions. A thread holds one set
//!   at a time. Handlers never see a lock; a key outside of the row's set panics.
//! - **Effects in one place.** A handler reports its changes (`Keys::changed`); the log, watchers,
//!   events and counts follow from that and from the row. Rewritten forms (`PEXPIREAT` for
//!   `EXPIRE`) go to `Keys::log_instead`.
//! - **Validate before the first change.** A handler that fails has changed nothing.
//! - **Admission changes under all the locks** and bumps an epoch. Every writer (a command, the
//!   sweeper, the link to a master) takes its locks by `engine/write.rs`'s `begin_write`, which
//!   checks admission under them: no write slips past a pause or a change of role.
//! - **A state has one source.** The state that commands are admitted by (`node::admission`) is
//!   what INFO, ROLE and the admin server show of loading, the role, the link and failed saves.
//! - **Snapshots.** Every change of an entry goes through the few primitives of
//!   `keyspace::Locked`, which keep the old value while a snapshot runs.
//! - **`unsafe` lives in `keyspace::raw`**, tested under AddressSanitizer, its lock-free parts
//!   modelled with loom; in `prefetch`, for one instruction; in `process::raw`, for fork, the memory
//!   of the arguments and the allocator; and in `scripting`, for what Lua's binding leaves to its
//!   users (`interpreters`, `patterns`, `debugger`).
//! - **A panic ends the process**, with a report (`telemetry::crash`): no thread continues beside
//!   another's half-done work.
//! - **Nothing large is freed under a lock**, which builds with debug assertions check; clients
//!   share one copy of a message to many.
//! - **No idle wake-ups.** Periodic work (`server::cron`) has its own thread, which sleeps while
//!   there is no traffic, no replica and no key that may expire.
//! - **Connections share as few workers as carry the load** and move between batches, when only
//!   their own state is in flight: `server/balance.rs` decides.
//! - **Counters have one writer**; readers sum them and take no shard lock.
//! - **No clock below `server`.** Time comes through `node::host::Clock`, so that tests move it.
//!
//! # How to extend
//!
//! A command: its row and handler in the family's file under `commands`. A setting: a row in
//! `settings/table.rs` and a field in `settings/values.rs`. A counter: `node/stats.rs`, and one row
//! in its section's file under `commands/info`, which names its field in INFO and its metric. A
//! type of value: a file in `types` with its variants of `Encoding`, `Object` and `ValueRef`, one in
//! `commands`, one in `rdb/values`, and its digest in `commands/debug/digest.rs`.
//!
//! # Differences from common expectations
//!
//! - A shard's lock is our own (`keyspace/raw/lock.rs`): releasing it is a plain store.
//! - SCAN's cursor is a hash prefix: COUNT is exact, and a key that stays is met exactly once.
//! - SORT with ALPHA compares bytes, whatever the locale.
//! - A string longer than 64 KiB that begins like a HyperLogLog is a corrupted one.
//! - CLIENT TRACKING with overlapping prefixes is one error, whichever overlap. A NOLOOP client is told
//!   when the server forgets its keys. A flush is told as null in the receiver's protocol.
//! - DUMP payloads of newer servers are accepted, and payloads that run into their footer are not.

mod acl;
mod admin;
mod aof;
mod commands;
mod engine;
mod glob;
mod heap;
mod keyspace;
mod limits;
mod lzf;
mod node;
mod number;
mod prefetch;
mod process;
mod rdb;
#[cfg(test)]
mod real_redis;
mod replication;
mod resp;
mod scripting;
mod server;
pub mod settings;
mod telemetry;
mod text;
mod types;

pub use admin::probe;
pub use commands::REDIS_VERSION;

/// Runs a server and its admin server until shutdown.
///
/// # Errors
/// The reason why it cannot start, in words for the operator; already printed or logged.
pub fn run(
    mut settings: settings::Settings,
    config_file: Option<std::path::PathBuf>,
) -> Result<(), String> {
    use telemetry::log::log;
    telemetry::crash::end_on_panic();
    let fail = |reason: String| {
        log!(Warning, "{reason}");
        // The log may be a file, or not be open yet.
        eprintln!("{reason}");
        reason
    };
    let mut awaited =
        server::startup::prepare(&mut settings, config_file.as_deref()).map_err(fail)?;
    let admin = &settings.admin;
    let traces = match admin.otlp_endpoint.as_str() {
        "" => Ok(()),
        endpoint => telemetry::traces::start(endpoint, admin.trace_every)
            .map_err(|reason| format!("{reason} ({})", settings.origins.place("otlp-endpoint"))),
    };
    let result =
        traces.and_then(|()| server::run(settings, config_file, &mut awaited, admin::start));
    telemetry::traces::end();
    // The log has it before whoever started a daemon reads on.
    let result = result.map_err(fail);
    if let Err(reason) = &result {
        awaited.failed(reason);
    }
    result
}

/// The text of `--help`.
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

/// The text of `--version`: the Redis version first, for the tools that read it.
#[must_use]
pub fn version() -> String {
    format!(
        "Redis server v={REDIS_VERSION} limpid={} malloc=jemalloc bits=64",
        env!("CARGO_PKG_VERSION")
    )
}
