//! The outer layer: the only sockets, files, threads, clock and randomness.
//!
//! The main thread's runtime handles all but commands: accepting and signals. Commands run on the
//! workers, and the periodic work of [`cron`] on a separate thread.

mod aof;
mod balance;
mod clock;
mod connection;
mod cron;
mod debugging;
mod descriptors;
mod files;
mod follower;
mod full_resync;
mod host;
mod ids;
mod listener;
mod loader;
mod migrator;
mod proc;
mod role_file;
mod saver;
mod sentinels;
mod signals;
mod snapshots;
pub(crate) mod startup;
mod stream;
pub(crate) mod tls;
mod upkeep;
mod users;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;

use crate::aof::Writer;
use crate::commands::registry::Registry;
use crate::commands::{REDIS_VERSION, acl_commands};
use crate::engine::full_resync::takeover;
use crate::engine::{self, Engine};
use crate::heap;
use crate::keyspace::ShardSet;
use crate::node::admission::Condition;
use crate::node::stats::WorkerStats;
use crate::node::{Identity, Node};
use crate::scripting::Environment;
use crate::settings::Settings;
use crate::telemetry::log::log;
use clock::SystemClock;
use cron::Cron;
use files::FileSystem;
use host::ServerHost;
use ids::Ids;
use listener::{Closing, Door, Listeners};
use saver::Saver;
use startup::Awaited;
use tls::{Handshakes, Tls};
use worker::Workers;

/// No client is answered before a load has ended or taken this long.
const LOAD_UNSEEN: Duration = Duration::from_millis(500);

/// Starts a service beside the server, on a separate thread, until the receiver's value changes.
pub(crate) type Beside =
    fn(&Arc<Engine>, &Arc<Tls>, watch::Receiver<bool>) -> Result<Option<JoinHandle<()>>, String>;

/// Runs a server until it is asked to end.
///
/// # Errors
/// What keeps it from starting, as a message for the operator.
pub(crate) fn run(
    settings: Settings,
    config_file: Option<PathBuf>,
    awaited: &mut Awaited,
    beside: Beside,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(heap::tell)
        .build()
        .map_err(|error| format!("Cannot start a runtime: {error}"))?;
    runtime.block_on(serve(settings, config_file, awaited, beside))
}

async fn serve(
    mut settings: Settings,
    config_file: Option<PathBuf>,
    awaited: &mut Awaited,
    beside: Beside,
) -> Result<(), String> {
    announce(&settings);
    descriptors::fit(&mut settings)?;
    let tls = Arc::new(Tls::start(&settings)?);
    let closing = Closing(Arc::new(Listeners::bind(&settings)?));
    let ids = Ids::new()?;
    let engine = Arc::new(engine(settings, config_file, &ids)?);
    let node = &engine.node;
    let saver = Saver::new(Arc::clone(node), Arc::new(FileSystem))
        .map(Arc::new)
        .map_err(|error| format!("Cannot start the thread of snapshots: {error}"))?;
    let ((ending, mut ended), look) = (watch::channel(false), Arc::new(Notify::new()));
    let (seed, applier_seed) = (ids.number(), ids.number());
    let parts = (Arc::clone(&saver), ending, Arc::clone(&look), ids);
    let host = install(node, parts, (Arc::clone(&tls), Arc::clone(&closing.0)));
    let writer = aof::open(node)?;
    let file = saver.path();
    let loads = begin(node, &file);
    let signals = signals::listen(Arc::clone(&engine), Arc::clone(&saver))
        .map_err(|error| format!("Cannot listen for signals: {error}"))?;
    start_freeing(node);
    let (workers, threads) =
        Workers::start(&engine, seed, &ended).map_err(|error| no_workers(node, &error))?;
    host.set_workers(&engine, Arc::clone(&workers));
    let follower = (Arc::clone(&tls), applier_seed, look);
    let follower = follower::start(Arc::clone(&engine), follower, ended.clone())
        .map_err(|error| format!("Cannot start the replication thread: {error}"))?;
    let (begin_work, cron) = start_cron(&engine, &workers, saver, ended.clone())
        .map_err(|error| format!("Cannot start the thread of regular work: {error}"))?;
    let beside = beside(&engine, &tls, ended.clone())?;
    log!(Notice, "Server initialized");
    let pidfile = PidFile::write(&engine.node.settings.load());
    awaited.listening();
    let handshakes = Handshakes::new(Arc::clone(&tls), Arc::clone(node), ended.clone());
    let door = Door::new(Arc::clone(&engine), workers, handshakes, &closing.0);
    let loaded = Notify::new();
    let serving = async {
        if loads {
            load(&engine, file).await?;
        }
        note_ready(node, awaited, &loaded);
        begin_work.send(()).map_err(|_| "The thread of regular work has gone".to_owned())?;
        std::future::pending().await
    };
    let result: Result<(), String> = tokio::select! {
        result = serving => result,
        () = accept(&closing.0, &door, &loaded) => Ok(()),
        () = tls.watch(node) => Ok(()),
        () = signals::run(Arc::clone(&engine), signals) => Ok(()),
        // The sender lives in the node's host.
        _ = ended.wait_for(|&ended| ended) => Ok(()),
    };
    result?;
    awaited.stopping();
    drop(closing);
    // Asked to end in the midst of loading, it waits to begin.
    drop(begin_work);
    end(node, threads.into_iter().chain([follower, cron]).chain(beside), writer);
    drop(pidfile);
    log!(Warning, "Redis is now ready to exit, bye bye...");
    Ok(())
}

/// Accepts clients. Those that connect while little is loaded wait for it, instead of being told
/// so: Redis, too, looks after clients only between pieces of a load.
async fn accept(listeners: &Listeners, door: &Arc<Door>, loaded: &Notify) {
    // An error means that it takes longer.
    drop(timeout(LOAD_UNSEEN, loaded.notified()).await);
    listeners.accept(door).await;
}

/// Waits for the threads to end, and leaves what the next start must know.
fn end(node: &Node, threads: impl Iterator<Item = JoinHandle<()>>, writer: Writer) {
    node.pace.wake();
    threads.for_each(|thread| drop(thread.join()));
    keep_role(node);
    end_file(node, writer);
}

/// Logs what tools wait for when a server starts.
fn announce(settings: &Settings) {
    let pid = std::process::id();
    log!(Notice, "oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
    log!(
        Notice,
        "limpid version={}, Redis version={REDIS_VERSION}, bits=64, pid={pid}, just started",
        env!("CARGO_PKG_VERSION")
    );
    log!(Notice, "limpid: PID: {pid}");
    settings.warnings.iter().for_each(|warning| log!(Warning, "{warning}"));
}

fn no_workers(node: &Node, error: &std::io::Error) -> String {
    let place = node.settings.load().origins.place("workers");
    format!("Cannot start a worker: {error} ({place})")
}

fn keep_role(node: &Node) {
    if let Err(error) = role_file::write(node) {
        log!(Warning, "Can't write what /primary must know after a restart: {error}");
    }
}

/// Makes the host of a node, which can ask it things from here on.
fn install(
    node: &Arc<Node>,
    (saver, ending, look, ids): (Arc<Saver>, watch::Sender<bool>, Arc<Notify>, Ids),
    network: (Arc<Tls>, Arc<Listeners>),
) -> Arc<ServerHost> {
    network.0.show(node);
    let host = Arc::new(ServerHost::new(Arc::clone(node), saver, ending, look, ids, network));
    node.set_host(Arc::<ServerHost>::clone(&host));
    limit_memory(node);
    node.host().look_at_role();
    host
}

/// Bounds the memory of clients, and of scripts: one that allocates without end must not take the
/// machine's. Says what scripts may use besides.
fn limit_memory(node: &Node) {
    let settings = node.settings.load();
    limit_client_memory(node);
    let max = match settings.scripts.memory_max_bytes {
        0 => node.host().memory().total_system / 2,
        max => max,
    };
    node.scripts.wait().environment = Environment {
        memory_max: usize::try_from(max).unwrap_or(usize::MAX),
        deprecated_api: settings.scripts.enable_deprecated_api,
    };
}

/// Reports that commands are answered from here on.
fn note_ready(node: &Arc<Node>, awaited: &Awaited, loaded: &Notify) {
    loaded.notify_one();
    sentinels::ask(node);
    let allocated = node.host().memory().allocated;
    node.stats.startup_memory_bytes.store(allocated, Ordering::Relaxed);
    let limit = node.settings.load().memory.maxmemory_bytes;
    if limit > 0 {
        heap::begin(allocated);
    }
    if limit > 0 && limit < 1 << 20 {
        log!(
            Warning,
            "WARNING: You specified a maxmemory value that is less than 1MB (current value is \
             {limit} bytes). Are you sure this is what you really want?"
        );
    }
    log!(Notice, "Ready to accept connections");
    awaited.ready(node.is_replica());
}

/// Starts the thread of periodic work, which begins on a signal.
fn start_cron(
    engine: &Arc<Engine>,
    workers: &Arc<Workers>,
    saver: Arc<Saver>,
    ended: watch::Receiver<bool>,
) -> std::io::Result<(mpsc::Sender<()>, JoinHandle<()>)> {
    let (begin, begun) = mpsc::channel();
    let cron = Cron::new(Arc::clone(engine), Arc::clone(workers), saver);
    let work = move || {
        if begun.recv().is_ok() {
            cron.run(&ended);
        }
    };
    let thread = std::thread::Builder::new().name("cron".into()).spawn(work)?;
    Ok((begin, thread))
}

/// Starts the thread that frees large values. It ends with the process.
fn start_freeing(node: &Node) {
    let graveyard = Arc::clone(node.keyspace.graveyard());
    let thread = std::thread::Builder::new().name("freer".into());
    if let Err(error) = thread.spawn(move || graveyard.attend()) {
        log!(Warning, "Large values are freed by those who remove them: {error}");
    }
}

/// Enters the role and, where there is a file to load, the loading state: before anybody connects,
/// and before the link to a master begins, which continues from the end of the file. Returns whether
/// there is.
fn begin(node: &Node, file: &Path) -> bool {
    // Do not wait for a missing file. If its existence is unknown, loading reports why.
    let loads = node.settings.load().aof.enabled || file.try_exists().unwrap_or(true);
    let mut guard = node.keyspace.lock(ShardSet::ALL);
    let locked = guard.locked();
    let is_replica = node.settings.load().replication.master.is_some();
    node.standing.begin(role_file::load(node), is_replica, node.clock.unix_ms());
    node.admission.set(&locked, Condition::Loading, loads);
    if let Some(master) = &node.settings.load().replication.master {
        node.begin_as_replica(&locked, master);
    }
    loads
}

/// Writes and syncs what the append only file lacks.
fn end_file(node: &Node, writer: Writer) {
    if node.log.recording_file().is_some() {
        log!(Notice, "Calling fsync() on the AOF file.");
    }
    // A failure is logged.
    drop(writer.end());
}

/// Loads the append only file, or else the RDB file, on a separate thread, so that clients are
/// answered meanwhile.
async fn load(engine: &Arc<Engine>, path: PathBuf) -> Result<(), String> {
    let (theirs, began) = (Arc::clone(engine), engine.node.clock.nanos());
    let (done, result) = oneshot::channel();
    // A process that is asked to end does not wait for this thread.
    let work = move || {
        let loaded = match theirs.node.settings.load().aof.enabled {
            true => aof::load_at_start(&theirs).map(|()| None),
            false => loader::load_at_start(&theirs.node, &path),
        };
        drop(done.send(loaded));
    };
    std::thread::Builder::new()
        .name("loader".into())
        .spawn(work)
        .map_err(|error| format!("Cannot start the thread that loads: {error}"))?;
    let loaded = result.await.map_err(|_| "Loading ended by a panic")?;
    if engine.node.admission.has(Condition::ShuttingDown) {
        // The load was cut short: whoever ended the process ends this task, too.
        return std::future::pending().await;
    }
    let is_file = engine.node.settings.load().aof.enabled;
    let loaded = loaded.map_err(|reason| match is_file {
        true => reason,
        false => format!("{reason}\nFatal error loading the DB, check server logs. Exiting."),
    })?;
    if let Some(loaded) = loaded {
        if let Some(history) = &loaded.history {
            takeover::resume_history(&engine.node, history, loaded.synced_from.clone());
        }
        let (keys, expired) = (loaded.keys, loaded.expired);
        let empty = match loaded.empty {
            0 => String::new(),
            empty => format!(", empty keys skipped: {empty}"),
        };
        log!(Notice, "Done loading RDB, keys loaded: {keys}, keys expired: {expired}{empty}.");
        let seconds = engine.node.clock.nanos().saturating_sub(began) as f64 / 1e9;
        log!(Notice, "DB loaded from disk: {seconds:.3} seconds");
        engine.node.persistence.update(|saving| {
            (saving.keys_loaded, saving.keys_expired_at_load) = (keys, expired);
        });
    }
    {
        let mut guard = engine.node.keyspace.lock(ShardSet::ALL);
        engine.node.standing.serve(engine.node.clock.unix_ms());
        engine.node.admission.set(&guard.locked(), Condition::Loading, false);
    }
    engine.node.host().look_at_role();
    Ok(())
}

/// The file with the process id, while the process runs.
#[derive(Debug)]
struct PidFile(PathBuf);

impl PidFile {
    /// Writes it, if configured; a server serves even if that fails.
    fn write(settings: &Settings) -> Option<Self> {
        let path = settings.process.pidfile.as_str();
        if path.is_empty() {
            return None;
        }
        match std::fs::write(path, format!("{}\n", std::process::id())) {
            Ok(()) => Some(Self(path.into())),
            Err(error) => {
                let place = settings.origins.place("pidfile");
                log!(Warning, "Can't write the pidfile {path}: {error} ({place})");
                None
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody else may have removed it.
        drop(std::fs::remove_file(&self.0));
    }
}

/// Applies maxmemory-clients.
fn limit_client_memory(node: &Node) {
    let settings = node.settings.load();
    node.limit_client_memory(settings.clients.memory_max.bytes(settings.memory.maxmemory_bytes));
}

/// The node with its commands.
fn engine(settings: Settings, config_file: Option<PathBuf>, ids: &Ids) -> Result<Engine, String> {
    let renames: Vec<(String, String)> = settings
        .security
        .renamed_commands
        .iter()
        .map(|renamed| (renamed.from.clone(), renamed.to.clone()))
        .collect();
    let registry = Registry::new(engine::rows(), &renames)
        .map_err(|reason| format!("{reason} ({})", settings.origins.place("rename-command")))?;
    let workers = descriptors::workers(&settings) as usize;
    // Two more: for the clients of stuck workers, and for the link to a master.
    let stats = (0..workers + 2).map(|_| WorkerStats::new(registry.ids())).collect();
    let clock = Arc::new(SystemClock::new());
    let executable = std::env::current_exe().unwrap_or_default();
    let identity = Identity {
        run_id: ids.next(),
        started_ms: clock::unix_us() / 1000,
        process_id: std::process::id(),
        config_file,
        executable: executable.to_string_lossy().into_owned(),
        operating_system: operating_system(),
    };
    let seeds = std::array::from_fn(|_| ids.number());
    let (security, origins) = (settings.security.clone(), settings.origins.clone());
    let node = Node::new(settings, identity, acl_commands(), clock, stats, seeds, ids.next());
    users::load_at_start(&node.acl, &security, &origins.place("aclfile"))?;
    Ok(Engine::new(Arc::new(node), registry))
}

/// As `uname -srm` has it.
fn operating_system() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {} {}", release.trim(), std::env::consts::ARCH)
}
