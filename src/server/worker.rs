//! A worker: one thread with a single-threaded runtime that serves its share of connections.
//!
//! Executor and scratch memory belong to the thread, so they are reached through it and shared
//! by its connections one poll at a time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use super::connection::Connection;
use super::stream::Accepted;
use crate::engine::{self, Engine, Executor};
use crate::heap;
use crate::node::client::{Client, Handle as ClientHandle};
use crate::node::pubsub::Kind;
use crate::node::stats::WorkerStats;
use crate::resp::Output;
use crate::telemetry::log::log;

/// Bytes read at once.
const INPUT_BYTES: usize = 64 * 1024;
/// Maximum number of outputs kept for reuse, and of bytes of memory that each keeps.
const SPARE_MAX: usize = 64;
const SPARE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a worker's stack: Lua matches patterns by recursion, and Redis has as much for that.
pub(super) const STACK_BYTES: usize = 16 << 20;

/// State shared by the connections of a thread.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) executor: Executor,
    pub(super) input: Vec<u8>,
    /// Empty outputs, for batches whose replies have to wait.
    spare: Vec<Output>,
    pub(super) index: usize,
}

impl Worker {
    pub(super) fn stats(&self) -> &WorkerStats {
        &self.executor.engine().node.workers[self.index]
    }

    /// Takes the replies of the last batch, to be written later.
    pub(super) fn keep_output(&mut self) -> Output {
        let next = self.spare.pop().unwrap_or_default();
        std::mem::replace(&mut self.executor.output, next)
    }

    /// Makes kept replies those of the last batch again.
    pub(super) fn restore_output(&mut self, kept: Output) {
        let mut spare = std::mem::replace(&mut self.executor.output, kept);
        if self.spare.len() < SPARE_MAX {
            spare.shrink_to(SPARE_BYTES_MAX);
            self.spare.push(spare);
        }
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

/// Removes a client that left from everything that refers to it.
pub(super) fn forget(engine: &Engine, client: &mut Client) {
    let node = &engine.node;
    let id = client.handle.origin.id;
    if let Some(file) = node.log.recording_file() {
        // Its replies do not go out any more, but what it wrote goes on.
        file.kick();
    }
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
    engine::forget_wait(node, client);
    if let Some(replica) = client.replica.take() {
        replicas.remove(id, &node.log, node.clock.unix_ms());
        node.look_at_good_replicas();
        log!(Notice, "Connection with replica {}:{} lost.", replica.ip, replica.announced.port);
    }
    if client.monitor {
        node.monitors.remove(id);
    }
    node.tracking.forget(client);
    node.admission.forget(&client.handle);
    node.clients.remove(id);
    node.uncount_client(&client.handle);
}

/// Pins this thread to a core.
fn pin(index: usize) {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut set = CpuSet::new();
    set.set(index % cores);
    if let Err(error) = sched_setaffinity(None, &set) {
        log!(Warning, "Worker {index} is not tied to a core: {error}");
    }
}

/// A connection where its worker's task finds it, and from where others take it while the worker is
/// stuck in a script.
pub(super) type Berth = Mutex<Option<Connection>>;

/// A connection of a worker, and its client.
type Berthed = (Arc<Berth>, Arc<ClientHandle>);

/// The handle of a worker's thread.
#[derive(Debug)]
struct WorkerHandle {
    runtime: Handle,
    connections: AtomicUsize,
    /// Those of its connections that no other worker has taken.
    berths: Mutex<HashMap<u64, Berthed>>,
    /// It runs a script for so long that others serve its clients.
    stuck: AtomicBool,
}

impl WorkerHandle {
    /// Starts the thread; it ends when `end` changes.
    fn start(
        engine: Arc<Engine>,
        index: usize,
        seed: u64,
        mut end: watch::Receiver<bool>,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let runtime =
            Builder::new_current_thread().enable_all().on_thread_park(heap::tell).build()?;
        let handle = runtime.handle().clone();
        let pinned = engine.node.settings.load().process.pin_workers;
        let work = move || {
            if pinned {
                pin(index);
            }
            let executor = Executor::new(engine, index, seed);
            let worker = Worker { executor, input: vec![0; INPUT_BYTES], spare: Vec::new(), index };
            WORKER.set(Some(worker));
            // An error means that the sender is gone, which ends the thread as well.
            drop(runtime.block_on(end.wait_for(|&end| end)));
            drop(runtime);
        };
        let thread = std::thread::Builder::new().name(format!("worker-{index}"));
        let thread = thread.stack_size(STACK_BYTES).spawn(work)?;
        let worker = Self {
            runtime: handle,
            connections: AtomicUsize::new(0),
            berths: Mutex::default(),
            stuck: AtomicBool::new(false),
        };
        Ok((worker, thread))
    }
}

/// All workers. Connections go to the first ones, as many as are in use: see
/// [`balance`](super::balance). The last one is the relief: it has none, unless the others are
/// stuck.
#[derive(Debug)]
pub(super) struct Workers {
    all: Vec<WorkerHandle>,
    in_use: AtomicUsize,
    /// Names berths.
    tickets: AtomicU64,
}

impl Workers {
    /// Starts the threads; they end when `end` changes.
    pub(super) fn start(
        engine: &Arc<Engine>,
        seed: u64,
        end: &watch::Receiver<bool>,
    ) -> io::Result<(Arc<Self>, Vec<JoinHandle<()>>)> {
        let start = |index| {
            let seed = seed.wrapping_add(index as u64);
            WorkerHandle::start(Arc::clone(engine), index, seed, end.clone())
        };
        let started: io::Result<Vec<_>> = (0..=engine.node.relief).map(start).collect();
        let (all, threads) = started?.into_iter().unzip();
        let workers = Self { all, in_use: AtomicUsize::new(1), tickets: AtomicU64::new(0) };
        Ok((Arc::new(workers), threads))
    }

    /// How many there are besides the relief.
    pub(super) fn len(&self) -> usize {
        self.all.len() - 1
    }

    /// How many workers serve new connections: the first ones.
    pub(super) fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    pub(super) fn set_in_use(&self, count: usize) {
        self.in_use.store(count, Ordering::Relaxed);
    }

    /// Total time in which the workers were not waiting for something to do.
    pub(super) fn busy(&self) -> Duration {
        self.all.iter().map(|worker| worker.runtime.metrics().worker_total_busy_duration(0)).sum()
    }

    /// Serves a new connection on the worker with the fewest connections.
    pub(super) fn serve(self: &Arc<Self>, engine: Arc<Engine>, accepted: Accepted, client: Client) {
        let index = self.free_worker();
        client.handle.worker.store(index, Ordering::Relaxed);
        let entered = self.all[index].runtime.enter();
        match accepted.attach() {
            Ok(stream) => self.run(index, Connection::new(engine, stream, client)),
            Err(error) => {
                log!(Warning, "Could not serve a connection: {error}");
                engine.node.clients.remove(client.handle.origin.id);
            }
        }
        drop(entered);
    }

    /// Runs a connection on a worker, and then on those to which it is moved.
    fn run(self: &Arc<Self>, index: usize, connection: Connection) {
        let worker = &self.all[index];
        worker.connections.fetch_add(1, Ordering::Relaxed);
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let handle = connection.handle();
        let berth = Arc::new(Mutex::new(Some(connection)));
        worker.berths.lock().insert(ticket, (Arc::clone(&berth), handle));
        let workers = Arc::clone(self);
        worker.runtime.spawn(async move {
            let moving = Connection::serve(&berth).await;
            let worker = &workers.all[index];
            worker.berths.lock().remove(&ticket);
            worker.connections.fetch_sub(1, Ordering::Relaxed);
            if let Some(connection) = moving {
                let next = connection.worker();
                if let Some(connection) = connection.reattach(&workers.all[next].runtime) {
                    workers.run(next, connection);
                }
            }
        });
    }

    /// The worker in use with the fewest connections, stuck ones aside.
    fn free_worker(&self) -> usize {
        let is_free = |&index: &usize| !self.all[index].stuck.load(Ordering::Acquire);
        let connections = |&index: &usize| self.all[index].connections.load(Ordering::Relaxed);
        let in_use = (0..self.in_use()).filter(is_free).min_by_key(connections);
        in_use.or_else(|| (0..self.all.len()).rev().find(is_free)).unwrap_or(0)
    }

    /// Whether some worker is stuck.
    pub(super) fn any_stuck(&self) -> bool {
        self.all.iter().any(|worker| worker.stuck.load(Ordering::Acquire))
    }

    /// Moves the connections of a worker that is stuck to others, but for the one that it runs.
    /// Called on that worker's thread, again and again while it is stuck: connections may have been
    /// on their way to it.
    pub(super) fn relieve(self: &Arc<Self>, stuck: usize) {
        let worker = &self.all[stuck];
        worker.stuck.store(true, Ordering::Release);
        let berths: Vec<Berthed> = worker.berths.lock().values().cloned().collect();
        for (berth, handle) in berths {
            // The one that runs the script is locked. The task of one that was taken ends by itself
            // when the worker comes to it.
            let Some(taken) = berth.try_lock().and_then(|mut berth| berth.take()) else { continue };
            let next = self.free_worker();
            handle.worker.store(next, Ordering::Relaxed);
            if let Some(connection) = taken.reattach(&self.all[next].runtime) {
                self.run(next, connection);
            }
        }
    }

    /// Ends [`Workers::relieve`]: lets the relief's connections return.
    pub(super) fn end_relief(&self, stuck: usize) {
        self.all[stuck].stuck.store(false, Ordering::Release);
        let relief = self.all.last().expect("the relief is one of them");
        for (_, handle) in relief.berths.lock().values() {
            handle.worker.store(stuck, Ordering::Relaxed);
            handle.look();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::node::client::{Handle as ClientHandle, Origin};
    use crate::settings::Settings;

    /// A client of two workers.
    struct Fixture {
        engine: Arc<Engine>,
        workers: Arc<Workers>,
        threads: Vec<JoinHandle<()>>,
        end: watch::Sender<bool>,
        handle: Arc<ClientHandle>,
        socket: TcpStream,
    }

    impl Fixture {
        fn new() -> Self {
            let mut settings = Settings::default();
            settings.process.workers = 2;
            let ids = super::super::Ids::new().expect("it starts");
            let engine = super::super::engine(settings, None, &ids).expect("it starts");
            let engine = Arc::new(engine);
            let (end, ended) = watch::channel(false);
            let (workers, threads) = Workers::start(&engine, 1, &ended).expect("it starts");
            let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
            let address = listener.local_addr().expect("bound");
            let socket = TcpStream::connect(address).expect("it listens");
            let wait = Some(Duration::from_secs(20));
            socket.set_read_timeout(wait).expect("a socket");
            let (accepted, _) = listener.accept().expect("it was connected to");
            accepted.set_nonblocking(true).expect("a socket");
            let handle = Arc::new(ClientHandle::new(Origin { id: 1, ..Origin::default() }));
            engine.node.clients.add(Arc::clone(&handle));
            let client = Client::new(Arc::clone(&handle), &engine.node.acl);
            workers.serve(Arc::clone(&engine), Accepted::Tcp(accepted), client);
            Self { engine, workers, threads, end, handle, socket }
        }

        fn go_to(&self, worker: usize) {
            self.handle.worker.store(worker, Ordering::Relaxed);
        }

        fn send(&self, bytes: &[u8]) {
            (&self.socket).write_all(bytes).expect("it reads");
        }

        fn expect(&self, bytes: &[u8]) {
            let mut buffer = vec![0; bytes.len()];
            (&self.socket).read_exact(&mut buffer).expect("it answers");
            assert_eq!(String::from_utf8_lossy(&buffer), String::from_utf8_lossy(bytes));
        }

        fn reads(&self) -> [u64; 2] {
            std::array::from_fn(|worker| self.engine.node.workers[worker].reads.get())
        }

        fn end(self) {
            self.end.send(true).expect("the workers live");
            self.threads.into_iter().for_each(|thread| thread.join().expect("no worker panics"));
        }
    }

    #[test]
    fn a_connection_that_moves_answers_everything_in_order() {
        const REQUESTS: usize = 50_000;
        let fixture = Fixture::new();
        let request = b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n";
        let bytes = request.repeat(REQUESTS);
        let (mut sent, mut answered) = (0, 0);
        // Pieces that end within requests: what is left over moves as well.
        for (round, pieces) in bytes.chunks(1997).enumerate() {
            for (half, piece) in pieces.chunks(1001).enumerate() {
                fixture.go_to((round + half) % 2);
                fixture.send(piece);
            }
            sent += pieces.len();
            while answered < sent / request.len() {
                answered += 1;
                fixture.expect(format!(":{answered}\r\n").as_bytes());
            }
        }
        assert_eq!(answered, REQUESTS);
        let [first, second] = fixture.reads();
        assert!(first > 100 && second > 100, "both have read: {first} {second}");
        fixture.end();
    }

    #[test]
    fn small_pieces_are_held_and_run_in_order() {
        let fixture = Fixture::new();
        for number in 0..200 {
            let value = format!("\n{number}\n");
            let len = value.len();
            let set = format!("*3\r\n$3\r\nSET\r\n$2\r\nk\n\r\n${len}\r\n{value}\r\n");
            let get = "*2\r\n$3\r\nGET\r\n$2\r\nk\n\r\nGET none\r\n";
            let bytes = [set.as_bytes(), get.as_bytes()].concat();
            bytes.chunks(number % 40 + 1).for_each(|piece| fixture.send(piece));
            fixture.expect(format!("+OK\r\n${len}\r\n{value}\r\n$-1\r\n").as_bytes());
        }
        fixture.end();
    }

    #[test]
    fn messages_that_come_while_a_connection_moves_arrive() {
        let fixture = Fixture::new();
        fixture.send(b"SUBSCRIBE c\r\n");
        fixture.expect(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        for round in 0..5000 {
            fixture.go_to(round % 2);
            // The first wakes the connection, which then moves; the second meets it anywhere.
            for _ in 0..2 {
                assert_eq!(fixture.engine.node.pubsub.publish(b"c", b"m"), 1);
            }
            fixture.expect(&b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n".repeat(2));
        }
        let connections =
            |worker: usize| fixture.workers.all[worker].connections.load(Ordering::Relaxed);
        assert!(connections(0) + connections(1) <= 1);
        fixture.end();
    }

    #[test]
    fn a_connection_that_moves_can_be_killed() {
        for round in 0..200 {
            let fixture = Fixture::new();
            fixture.send(b"PING\r\n");
            fixture.expect(b"+PONG\r\n");
            fixture.go_to(1);
            fixture.send(b"PING\r\n");
            if round % 2 == 0 {
                fixture.expect(b"+PONG\r\n");
            }
            fixture.handle.kill();
            let mut rest = Vec::new();
            // A reset is an end too; a time limit is not.
            let ended = (&fixture.socket).read_to_end(&mut rest);
            let reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
            assert!(ended.as_ref().map_or_else(reset, |_| true), "{ended:?}");
            fixture.end();
        }
    }

    #[test]
    fn a_connection_that_waits_for_a_pause_moves_after_it() {
        let fixture = Fixture::new();
        fixture.send(b"CLIENT PAUSE 100000\r\nPING\r\n");
        fixture.expect(b"+OK\r\n");
        fixture.go_to(1);
        fixture.send(b"PING\r\n");
        {
            let mut guard = fixture.engine.node.keyspace.lock(crate::keyspace::ShardSet::ALL);
            fixture.engine.node.admission.unpause(&guard.locked());
        }
        fixture.expect(b"+PONG\r\n+PONG\r\n");
        fixture.send(b"PING\r\n");
        fixture.expect(b"+PONG\r\n");
        assert!(fixture.reads()[1] > 0);
        fixture.end();
    }
}
