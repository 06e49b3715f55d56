//! A worker: one thread with a single-threaded runtime that serves its share of connections.
//!
//! Executor and scratch memory belong to the thread, so they are reached through it and shared
//! by its connections one poll at a time.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use super::connection::Connection;
use super::stream::Accepted;
use crate::engine::{Engine, Executor};
use crate::node::client::Client;
use crate::node::pubsub::Kind;
use crate::node::stats::WorkerStats;
use crate::telemetry::log::log;

/// Bytes read at once.
const INPUT_BYTES: usize = 64 * 1024;

/// What the connections of a thread share.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) executor: Executor,
    pub(super) input: Vec<u8>,
    /// What goes to a replica next.
    pub(super) feed: Vec<u8>,
    index: usize,
}

impl Worker {
    pub(super) fn stats(&self) -> &WorkerStats {
        &self.executor.engine().node.workers[self.index]
    }
}

thread_local! {
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

/// Runs `with` on this thread's worker.
#[inline]
pub(super) fn with<R>(with: impl FnOnce(&mut Worker) -> R) -> R {
    WORKER.with_borrow_mut(|worker| with(worker.as_mut().expect("connections run on workers")))
}

/// Takes a client that left out of everything that knows it.
pub(super) fn forget(engine: &Engine, client: &mut Client) {
    let node = &engine.node;
    let id = client.handle.origin.id;
    client.forget_watches(&node.keyspace);
    let kinds = [
        (Kind::Channel, std::mem::take(&mut client.channels)),
        (Kind::Pattern, std::mem::take(&mut client.patterns)),
        (Kind::ShardChannel, std::mem::take(&mut client.shard_channels)),
    ];
    for (kind, names) in kinds {
        names.iter().for_each(|name| node.pubsub.forget(kind, name, id));
    }
    let replicas = &node.replication.replicas;
    if client.waiting.take().is_some() {
        replicas.stop_waiting(id);
    }
    if let Some(replica) = client.replica.take() {
        replicas.remove(id, &node.log, node.clock.unix_ms());
        log!(Notice, "Connection with replica {}:{} lost.", replica.ip, replica.announced.port);
    }
    node.admission.forget(&client.handle);
    node.clients.remove(id);
}

/// Ties this thread to a core.
fn pin(index: usize) {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut set = CpuSet::new();
    set.set(index % cores);
    if let Err(error) = sched_setaffinity(None, &set) {
        log!(Warning, "Worker {index} is not tied to a core: {error}");
    }
}

/// The way to a worker's thread.
#[derive(Debug)]
pub(super) struct WorkerHandle {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl WorkerHandle {
    /// Starts the thread; it ends when `end` changes.
    pub(super) fn start(
        engine: Arc<Engine>,
        index: usize,
        seed: u64,
        mut end: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let pinned = engine.node.settings.load().process.pin_workers;
        let work = move || {
            if pinned {
                pin(index);
            }
            let executor = Executor::new(engine, index, seed);
            let worker = Worker { executor, input: vec![0; INPUT_BYTES], feed: Vec::new(), index };
            WORKER.set(Some(worker));
            // An error means that the sender is gone, which is an end as well.
            drop(runtime.block_on(end.wait_for(|&end| end)));
            drop(runtime);
        };
        let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(work)?;
        Ok(Self { runtime: handle, connections: Arc::default(), thread })
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Serves a connection on this worker.
    pub(super) fn serve(&self, engine: Arc<Engine>, accepted: Accepted, client: Client) {
        let connections = Arc::clone(&self.connections);
        connections.fetch_add(1, Ordering::Relaxed);
        self.runtime.spawn(async move {
            match accepted.attach() {
                Ok(stream) => Connection::new(engine, stream, client).serve().await,
                Err(error) => {
                    log!(Warning, "Could not serve a connection: {error}");
                    engine.node.clients.remove(client.handle.origin.id);
                }
            }
            connections.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Waits for the thread to end.
    pub(super) fn join(self) {
        if self.thread.join().is_err() {
            log!(Warning, "A worker ended by a panic");
        }
    }
}
