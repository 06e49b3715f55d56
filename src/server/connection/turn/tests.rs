use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::*;
use crate::engine::Engine;
use crate::engine::fixture::StubHost;
use crate::engine::full_resync::offer;
use crate::keyspace::{Key, ShardSet};
use crate::node::Node;
use crate::node::client::{Client, Handle, Origin};
use crate::replication::{Announced, Outlet, Overflow, Peer, Replica, Spool};
use crate::server::stream::Accepted;
use crate::server::worker::Workers;
use crate::settings::Settings;

/// A server without the rest of a process: one worker, and connections to it.
struct Fixture {
    engine: Arc<Engine>,
    workers: Arc<Workers>,
    threads: Vec<JoinHandle<()>>,
    end: watch::Sender<bool>,
    listener: TcpListener,
}

impl Fixture {
    fn new() -> Self {
        let mut settings = Settings::default();
        settings.process.workers = 1;
        let ids = crate::server::Ids::new().expect("it starts");
        let engine = crate::server::engine(settings, None, &ids).expect("it starts");
        let engine = Arc::new(engine);
        engine.node.set_host(Arc::new(StubHost::default()));
        let (end, ended) = watch::channel(false);
        let (workers, threads) = Workers::start(&engine, 1, &ended).expect("it starts");
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
        Self { engine, workers, threads, end, listener }
    }

    fn connect(&self) -> Socket {
        let address = self.listener.local_addr().expect("bound");
        let socket = TcpStream::connect(address).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let (accepted, _) = self.listener.accept().expect("it was connected to");
        accepted.set_nonblocking(true).expect("a socket");
        let id = self.engine.node.clients.next_id();
        let handle = Arc::new(Handle::new(Origin { id, ..Origin::default() }));
        self.engine.node.clients.add(Arc::clone(&handle));
        let client = Client::new(handle, &self.engine.node.acl);
        let served = accepted.try_clone().expect("a socket");
        self.workers.serve(Arc::clone(&self.engine), Accepted::Tcp(accepted), client);
        let socket = Socket(socket, served);
        // From here on its worker knows it: a poll of all sockets finds what it sends.
        socket.send(b"PING\r\n");
        socket.expect(b"+PONG\r\n");
        socket
    }

    /// An online replica whose bytes a test can see.
    fn replica(&self, outlet: &Seen) -> Arc<Replica> {
        let node = &self.engine.node;
        let mut shards = node.keyspace.lock(ShardSet::ALL);
        let _locked = shards.locked();
        node.log.start(1 << 20);
        let announced = Announced::default();
        let replica = Replica::waiting(900, "ip".into(), announced, Arc::new(Nobody), false, 0);
        let reader = node.log.attach(node.log.offset()).expect("the log is on");
        replica.resume(reader, node.log.offset());
        replica.attach(Box::new(outlet.clone()));
        let replica = Arc::new(replica);
        node.replication.replicas.add(Arc::clone(&replica));
        replica
    }

    fn end(self) {
        self.end.send(true).expect("the workers live");
        self.threads.into_iter().for_each(|thread| thread.join().expect("no worker panics"));
    }
}

/// A client's socket, and the server's end of it.
struct Socket(TcpStream, TcpStream);

impl Socket {
    fn send(&self, bytes: &[u8]) {
        (&self.0).write_all(bytes).expect("it reads");
    }

    #[track_caller]
    fn expect(&self, bytes: &[u8]) {
        let mut buffer = vec![0; bytes.len()];
        (&self.0).read_exact(&mut buffer).expect("it answers");
        assert_eq!(String::from_utf8_lossy(&buffer), String::from_utf8_lossy(bytes));
    }

    /// Whether input has arrived that the server has not read.
    fn has_arrived(&self) -> bool {
        self.1.peek(&mut [0]).is_ok()
    }

    fn read_to_end(self) -> String {
        let Self(mut client, served) = self;
        // It would keep the connection open.
        drop(served);
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("it ends");
        String::from_utf8_lossy(&all).into_owned()
    }
}

#[derive(Debug)]
struct Nobody;

impl Peer for Nobody {
    fn wake(&self) {}

    fn disconnect(&self) {}

    fn is_ending(&self) -> bool {
        false
    }
}

/// An outlet that records its sends, and for each whether a client's reply was there already.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    is_full: bool,
    taken: Vec<u8>,
    sends: usize,
    refused: usize,
    client: Option<TcpStream>,
    replies_before: usize,
    node: Option<Arc<Node>>,
    /// Maximum number of bytes of the log that it had not taken.
    behind_max: u64,
}

impl Outlet for Seen {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut noted = self.0.lock();
        if noted.is_full {
            noted.refused += 1;
            return Err(ErrorKind::WouldBlock.into());
        }
        if let Some(client) = &noted.client {
            // Not by making the socket non-blocking: the test reads from it at the same time.
            let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
            let mut byte = [std::mem::MaybeUninit::uninit()];
            let has_reply =
                socket2::SockRef::from(client).recv_with_flags(&mut byte, flags).is_ok();
            noted.replies_before += usize::from(has_reply);
        }
        if let Some(node) = &noted.node {
            let behind = node.log.offset() - noted.taken.len() as u64;
            noted.behind_max = noted.behind_max.max(behind);
        }
        noted.sends += 1;
        noted.taken.extend_from_slice(bytes);
        Ok(bytes.len())
    }
}

fn set(value: usize) -> Vec<u8> {
    let value = value.to_string();
    format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\n", value.len()).into_bytes()
}

#[test]
fn a_replica_has_the_bytes_of_a_write_before_its_reply_is_out() {
    let (fixture, outlet) = (Fixture::new(), Seen::default());
    let client = fixture.connect();
    fixture.replica(&outlet);
    outlet.0.lock().client = Some(client.0.try_clone().expect("a socket"));
    let node = &fixture.engine.node;
    // Small batches and large ones, which take different paths.
    for (round, commands) in [1, 2, 40, 1, 3000].into_iter().cycle().take(60).enumerate() {
        let bytes: Vec<u8> =
            (0..commands).flat_map(|number| set(round * 10_000 + number)).collect();
        client.send(&bytes);
        client.expect(&b"+OK\r\n".repeat(commands));
        let taken = outlet.0.lock().taken.len();
        assert_eq!(taken as u64, node.log.offset(), "round {round}");
    }
    let noted = outlet.0.lock();
    // Of the largest batches, the first replies are out before the last commands have run.
    assert!(noted.sends >= 60 && noted.replies_before <= 12 * 5, "{noted:?}");
    drop(noted);
    fixture.end();
}

#[test]
fn one_send_serves_all_the_connections_of_a_turn() {
    const CLIENTS: usize = 50;
    let (fixture, outlet) = (Fixture::new(), Seen::default());
    let clients: Vec<Socket> = (0..CLIENTS).map(|_| fixture.connect()).collect();
    fixture.replica(&outlet);
    for round in 0..20 {
        let before = outlet.0.lock().sends;
        {
            // The worker blocks at the first write, until all are there.
            let _shards = fixture.engine.node.keyspace.lock(ShardSet::ALL);
            let reads = &fixture.engine.node.workers[0].reads;
            let before = reads.get();
            clients.iter().for_each(|client| client.send(&set(round)));
            let arrived = || clients.iter().filter(|client| client.has_arrived()).count() as u64;
            // In this order: what is read in between must not count twice.
            while (reads.get() - before) + arrived() < CLIENTS as u64 {
                thread::yield_now();
            }
        }
        clients.iter().for_each(|client| client.expect(b"+OK\r\n"));
        let sends = outlet.0.lock().sends - before;
        // One for the first, which was alone; one for the rest; and one more where the worker polls
        // for I/O within a turn.
        assert!((1..=3).contains(&sends), "{round}: {sends} sends for {CLIENTS} clients");
    }
    assert_eq!(outlet.0.lock().taken.len() as u64, fixture.engine.node.log.offset());
    fixture.end();
}

#[test]
fn replies_to_pipelines_go_out_once_all_ready_connections_have_run() {
    let fixture = Fixture::new();
    let [first, one, other] = [(); 3].map(|()| fixture.connect());
    let keyspace = &fixture.engine.node.keyspace;
    let shard = |key: &str| Key { bytes: &[], hash: keyspace.hash(key.as_bytes()) }.shard();
    // Three of as many shards.
    let mut keys: Vec<String> = (0..100).map(|number| format!("key:{number}")).collect();
    keys.sort_by_key(|key| shard(key));
    keys.dedup_by_key(|key| shard(key));
    let incr = |key: &str| format!("*2\r\n$4\r\nINCR\r\n${}\r\n{key}\r\n", key.len());
    let pipeline = |key: &str| incr(key).repeat(30);
    let lock = |key: &str| keyspace.lock(ShardSet::of(shard(key)));
    let (blocks_first, blocks_other) = (lock(&keys[0]), lock(&keys[2]));
    first.send(incr(&keys[0]).as_bytes());
    let wait_until_read = |client: &Socket| {
        while client.has_arrived() {
            thread::yield_now();
        }
    };
    wait_until_read(&first);
    for (client, key) in [(&one, &keys[1]), (&other, &keys[2])] {
        client.send(pipeline(key).as_bytes());
        while !client.has_arrived() {
            thread::yield_now();
        }
    }
    drop(blocks_first);
    wait_until_read(&one);
    wait_until_read(&other);
    one.0.set_nonblocking(true).expect("a socket");
    let early = one.0.peek(&mut [0]).map_err(|error| error.kind());
    assert_eq!(early, Err(ErrorKind::WouldBlock), "the other one has not run");
    one.0.set_nonblocking(false).expect("a socket");
    drop(blocks_other);
    let replies: String = (1..=30).map(|number| format!(":{number}\r\n")).collect();
    for client in [one, other] {
        client.expect(replies.as_bytes());
    }
    fixture.end();
}

#[test]
fn much_that_is_written_in_one_turn_is_handed_over_within_it() {
    const CLIENTS: usize = 60;
    let (fixture, outlet) = (Fixture::new(), Seen::default());
    let clients: Vec<Socket> = (0..CLIENTS).map(|_| fixture.connect()).collect();
    fixture.replica(&outlet);
    outlet.0.lock().node = Some(Arc::clone(&fixture.engine.node));
    let value = "v".repeat(1000);
    let set = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\n{value}\r\n").into_bytes();
    let bytes = set.repeat(50);
    {
        // The worker blocks at the first write, until all have sent something.
        let _shards = fixture.engine.node.keyspace.lock(ShardSet::ALL);
        clients.iter().for_each(|client| client.send(&bytes));
        while clients.iter().filter(|client| client.has_arrived()).count() < CLIENTS - 1 {
            thread::yield_now();
        }
    }
    clients.iter().for_each(|client| client.expect(&b"+OK\r\n".repeat(50)));
    let noted = outlet.0.lock();
    assert_eq!(noted.taken.len() as u64, fixture.engine.node.log.offset());
    // 3 MB are written in the turn; 512 KB and what the last batch adds may be behind.
    assert!(noted.behind_max < 700_000, "{} bytes were behind", noted.behind_max);
    drop(noted);
    outlet.0.lock().node = None;
    fixture.end();
}

#[test]
fn a_full_socket_to_a_replica_holds_no_reply_back() {
    let (fixture, outlet) = (Fixture::new(), Seen::default());
    let clients: Vec<Socket> = (0..10).map(|_| fixture.connect()).collect();
    fixture.replica(&outlet);
    let replicas = &fixture.engine.node.replication.replicas;
    outlet.0.lock().is_full = true;
    for round in 0..50 {
        clients.iter().for_each(|client| client.send(&set(round)));
        clients.iter().for_each(|client| client.expect(b"+OK\r\n"));
    }
    assert!(outlet.0.lock().taken.is_empty());
    assert_eq!(replicas.stats.refused.get(), outlet.0.lock().refused as u64);
    // With room again, the next write sends everything.
    outlet.0.lock().is_full = false;
    clients[0].send(&set(0));
    clients[0].expect(b"+OK\r\n");
    assert_eq!(outlet.0.lock().taken.len() as u64, fixture.engine.node.log.offset());
    fixture.end();
}

#[test]
fn replies_and_messages_come_in_the_order_that_they_have_without_replicas() {
    let (fixture, outlet) = (Fixture::new(), Seen::default());
    let script: &[u8] = b"HELLO 3\r\nSUBSCRIBE c\r\nSET k 1\r\nPUBLISH c one\r\nGET k\r\n\
        MULTI\r\nINCR k\r\nPUBLISH c two\r\nEXEC\r\nCLIENT REPLY SKIP\r\nINCR k\r\nNOSUCH\r\n\
        CLIENT REPLY OFF\r\nINCR k\r\nCLIENT REPLY ON\r\nSET k v\r\nQUIT\r\nSET k never\r\n";
    let run = |piece: usize| {
        let client = fixture.connect();
        script.chunks(piece).for_each(|piece| client.send(piece));
        let all = client.read_to_end();
        // HELLO's reply identifies the connection.
        all.split_once("mode").expect("HELLO was answered").1.to_owned()
    };
    let pieces = [1000, 300, 100, 20, 7];
    let without = pieces.map(run);
    fixture.replica(&outlet);
    assert_eq!(pieces.map(run), without);
    assert!(without[0].ends_with("+OK\r\n+OK\r\n+OK\r\n"), "{}", without[0]);
    assert!(outlet.0.lock().sends >= 5);
    fixture.end();
}

#[test]
fn wait_asks_replicas_behind_the_write() {
    let (fixture, outlet) = (Fixture::new(), Seen::default());
    let client = fixture.connect();
    let replica = fixture.replica(&outlet);
    let node = &fixture.engine.node;
    for round in 0..10 {
        client.send(&[&set(round)[..], b"WAIT 1 0\r\n"].concat());
        client.expect(b"+OK\r\n");
        // The reply to the write goes out with the question, not with the answer to it.
        assert!(outlet.0.lock().taken.ends_with(b"GETACK\r\n$1\r\n*\r\n"));
        let offset = node.log.offset();
        node.replication.replicas.acknowledge(&replica, offset, 0, 0);
        client.expect(b":1\r\n");
    }
    fixture.end();
}

/// A disk that blocks until it is released, and signals each request.
#[derive(Debug)]
struct Stalled {
    bytes: Mutex<Vec<u8>>,
    asked: Mutex<mpsc::Sender<&'static str>>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl Stalled {
    fn stall(&self, what: &'static str) {
        self.asked.lock().send(what).expect("the test listens");
        self.go_on.lock().recv().expect("the test goes on");
    }
}

impl Overflow for Stalled {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.stall("write");
        let (mut all, at) = (self.bytes.lock(), usize::try_from(at).expect("small"));
        let len = all.len().max(at + bytes.len());
        all.resize(len, 0);
        all[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.stall("read");
        let at = usize::try_from(at).expect("small");
        into.copy_from_slice(&self.bytes.lock()[at..at + into.len()]);
        Ok(())
    }
}

#[test]
fn no_connection_waits_for_the_disk_under_a_spool() {
    let (fixture, outlet) = (Fixture::new(), Seen::default());
    let node = &fixture.engine.node;
    // One replica is online, one waits for its data; both on the worker that serves the client.
    fixture.replica(&outlet);
    let (client, receiver) = (fixture.connect(), fixture.connect());
    receiver.send(b"PSYNC ? -1\r\n");
    let waiting = loop {
        // The host of this test begins no snapshot.
        let waiting = offer::due(node);
        if !waiting.is_empty() {
            break waiting;
        }
        thread::yield_now();
    };
    let ((ask, asked), (go, go_on)) = (mpsc::channel(), mpsc::channel());
    let disk =
        Stalled { bytes: Mutex::default(), asked: Mutex::new(ask), go_on: Mutex::new(go_on) };
    let disk = Mutex::new(Some(disk));
    let open =
        move || Ok(Box::new(disk.lock().take().expect("one is enough")) as Box<dyn Overflow>);
    let spool = Arc::new(Spool::new(10, Box::new(open)));
    let cut = {
        let mut shards = node.keyspace.lock(ShardSet::ALL);
        let _locked = shards.locked();
        offer::begin(node, &waiting, &spool)
    };
    let position = cut.position.expect("a replica waits, so the log is on");
    let intro = format!("+FULLRESYNC {} {}\r\n", position.id, position.offset);
    receiver.expect(intro.as_bytes());
    let serves = |round: usize| {
        client.send(&[&set(round)[..], b"GET k\r\n"].concat());
        let value = round.to_string();
        client.expect(format!("+OK\r\n${}\r\n{value}\r\n", value.len()).as_bytes());
        assert_eq!(node.replication.replicas.views().len(), 2);
    };
    thread::scope(|scope| {
        // It needs the length first, so all but the newest bytes go to the disk.
        let writer = scope.spawn(|| {
            for piece in [b"first", b"secnd", b"third"] {
                let wake = || node.replication.replicas.wake_receivers();
                assert!(spool.write(Bytes::from_static(piece), wake).is_ok());
            }
            spool.end(Ok(()));
            node.replication.replicas.wake_receivers();
            while spool.fetch_when_due() {
                node.replication.replicas.wake_receivers();
            }
        });
        assert_eq!(asked.recv(), Ok("write"));
        (0..20).for_each(serves);
        go.send(()).expect("it waits");
        receiver.expect(b"$15\r\n");
        assert_eq!(asked.recv(), Ok("read"));
        (20..40).for_each(serves);
        go.send(()).expect("it waits");
        receiver.expect(b"firstsecndthird");
        writer.join().expect("no panic");
    });
    // The stream continues where the snapshot was cut.
    receiver.expect(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
    receiver.expect(&set(0));
    fixture.end();
}
