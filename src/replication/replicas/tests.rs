use std::io::{self, ErrorKind};

use super::*;
use crate::replication::{Announced, Outlet};

#[derive(Debug, Default)]
struct Connection {
    wakes: AtomicUsize,
    ends: AtomicUsize,
}

impl Peer for Connection {
    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }

    fn disconnect(&self) {
        self.ends.fetch_add(1, Ordering::Relaxed);
    }

    fn is_ending(&self) -> bool {
        self.ends.load(Ordering::Relaxed) > 0
    }
}

/// What an outlet has taken, and how much more it has room for.
#[derive(Debug, Default)]
struct Socket {
    taken: Vec<u8>,
    room: usize,
    sends: usize,
    is_broken: bool,
}

#[derive(Clone, Debug, Default)]
struct TestOutlet(Arc<Mutex<Socket>>);

impl TestOutlet {
    fn with_room(room: usize) -> Self {
        let outlet = Self::default();
        outlet.0.lock().room = room;
        outlet
    }

    fn taken(&self) -> usize {
        self.0.lock().taken.len()
    }
}

impl Outlet for TestOutlet {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.0.lock();
        socket.sends += 1;
        let len = bytes.len().min(socket.room);
        match (socket.is_broken, len) {
            (true, _) => return Err(ErrorKind::ConnectionReset.into()),
            (_, 0) => return Err(ErrorKind::WouldBlock.into()),
            _ => {}
        }
        socket.taken.extend_from_slice(&bytes[..len]);
        socket.room -= len;
        Ok(len)
    }
}

struct Master {
    log: Log,
    replicas: Replicas,
}

impl Master {
    fn new() -> Self {
        let log = Log::new("id".into());
        log.start(1 << 20);
        Self { log, replicas: Replicas::default() }
    }

    /// A replica that is online and has everything.
    fn replica(&self, outlet: &TestOutlet) -> (Arc<Replica>, Arc<Connection>) {
        let (announced, peer) = (Announced::default(), Arc::new(Connection::default()));
        let id = self.replicas.len() as u64 + 1;
        let shared = Arc::clone(&peer) as _;
        let replica = Arc::new(Replica::waiting(id, "ip".into(), announced, shared, false, 500));
        let reader = self.log.attach(self.log.offset()).expect("the log is on");
        replica.resume(reader, self.log.offset());
        replica.attach(Box::new(outlet.clone()));
        self.replicas.add(Arc::clone(&replica));
        self.replicas.feed(&self.log, 1000);
        (replica, peer)
    }

    /// Writes `bytes` bytes; returns the offset after them.
    fn write(&self, bytes: usize) -> u64 {
        self.log.append_verbatim(&vec![b'w'; bytes], 0);
        self.log.offset()
    }
}

#[test]
fn what_is_sent_to_a_replica_is_no_sign_of_its_life() {
    let (master, outlet) = (Master::new(), TestOutlet::with_room(1000));
    let (replica, _) = master.replica(&outlet);
    master.write(14);
    master.replicas.feed(&master.log, 1500);
    assert_eq!(outlet.taken(), 14);
    assert_eq!(replica.active_ms(), 500);
    replica.acknowledge(master.log.offset(), 1600);
    assert_eq!(replica.active_ms(), 1600);
}

#[test]
fn all_replicas_are_fed_once_for_all_that_was_written() {
    let (master, one, two) = (Master::new(), TestOutlet::default(), TestOutlet::default());
    [&one, &two].iter().for_each(|outlet| outlet.0.lock().room = 1 << 20);
    let _replicas = [master.replica(&one), master.replica(&two)];
    let offsets: Vec<u64> = (0..50).map(|_| master.write(30)).collect();
    let is_due = |offset: &u64| master.replicas.is_feed_due(&master.log, *offset);
    assert!(offsets.iter().all(is_due));
    master.replicas.feed(&master.log, 1000);
    assert!(!offsets.iter().any(is_due));
    for outlet in [one, two] {
        let socket = outlet.0.lock();
        assert_eq!((socket.sends, socket.taken.len()), (1, 1500));
    }
    assert_eq!(master.replicas.stats.sends.get(), 2);
    assert_eq!(master.replicas.stats.refused.get(), 0);
}

#[test]
fn a_full_outlet_holds_nobody_back_and_goes_on_where_it_was() {
    let (master, outlet) = (Master::new(), TestOutlet::with_room(100));
    let (replica, connection) = master.replica(&outlet);
    let offset = master.write(1000);
    master.replicas.feed(&master.log, 1000);
    assert!(!master.replicas.is_feed_due(&master.log, offset), "the reply may go out");
    assert_eq!((outlet.taken(), replica.sent()), (100, 100));
    assert_eq!(connection.wakes.load(Ordering::Relaxed), 1, "its connection goes on later");
    assert_eq!(master.replicas.stats.refused.get(), 1);
    // Bytes written meanwhile follow.
    master.write(70_000);
    outlet.0.lock().room = 1 << 20;
    let sent = master.replicas.feed_one(&replica, &master.log, 1000);
    assert_eq!(sent, Ok(Sent::All));
    assert_eq!((outlet.taken(), replica.sent()), (71_000, 71_000));
    assert!(!replica.lags());
}

#[test]
fn replies_wait_while_a_replica_has_room_but_not_everything() {
    let (master, outlet) = (Master::new(), TestOutlet::with_room(10 << 20));
    let (replica, _) = master.replica(&outlet);
    let offset = master.write(5 << 20);
    assert!(master.replicas.is_feed_overdue(offset));
    let mut rounds = 0;
    while master.replicas.is_feed_due(&master.log, offset) {
        let before = outlet.taken();
        master.replicas.feed(&master.log, 1000);
        assert!(outlet.taken() - before <= (1 << 20) + (64 << 10), "a round takes a short time");
        rounds += 1;
    }
    assert!(rounds >= 5 && outlet.taken() == 5 << 20, "{rounds} rounds");
    // Nobody waits for a lagging replica.
    outlet.0.lock().room = 10;
    master.write(100);
    master.replicas.feed(&master.log, 1000);
    assert!(replica.lags());
    outlet.0.lock().room = 10 << 20;
    let offset = master.write(5 << 20);
    master.replicas.feed(&master.log, 1000);
    assert!(!master.replicas.is_feed_due(&master.log, offset));
    assert!(replica.sent() < offset);
}

#[test]
fn nobody_waits_for_offsets_of_a_log_that_was_begun_anew() {
    let (master, outlet) = (Master::new(), TestOutlet::with_room(1 << 20));
    let (_replica, connection) = master.replica(&outlet);
    let offset = master.write(1000);
    master.log.adopt(master.log.ids(), 500, 1 << 20);
    master.replicas.feed(&master.log, 1000);
    assert!(!master.replicas.is_feed_due(&master.log, offset));
    assert_eq!(connection.ends.load(Ordering::Relaxed), 1, "its place in the log is lost");
    let offset = master.write(100);
    assert!(master.replicas.is_feed_due(&master.log, offset));
}

#[test]
fn a_broken_outlet_ends_the_connection_once() {
    let (master, outlet) = (Master::new(), TestOutlet::with_room(1 << 20));
    let (replica, connection) = master.replica(&outlet);
    outlet.0.lock().is_broken = true;
    for _ in 0..3 {
        master.write(10);
        master.replicas.feed(&master.log, 1000);
    }
    assert_eq!(connection.ends.load(Ordering::Relaxed), 1);
    assert!(!replica.is_fed() && !master.replicas.any_fed());
    assert!(master.replicas.remove(1, &master.log, 1000));
    assert_eq!(master.replicas.len(), 0);
}

#[test]
fn one_request_serves_all_who_wait_for_what_was_written_before_it() {
    let replicas = Replicas::default();
    let wait = |offset| {
        let peer: Arc<dyn Peer> = Arc::new(Connection::default());
        replicas.wait(Waiter { client: 1, offset, needed: 1, on_disk: false, peer });
        replicas.take_ack_wanted()
    };
    assert!(wait(100));
    replicas.note_asked(120);
    assert!(!wait(120), "its acknowledgement is on the way");
    assert!(wait(121));
    replicas.disconnect_all();
    assert!(wait(100), "those that were asked are gone");
}
