//! The master's side: attached replicas, how far each is, what it gets next, and who waits for
//! their acknowledgements.
//!
//! A replica is a connection that sent PSYNC. The connection asks [`Replica::fill`] for bytes
//! whenever its socket takes some; everything that may change what it gets wakes it through its
//! [`Peer`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::log::Log;
use super::spool::{Next, Spool};
use super::timeline::Timeline;
use crate::telemetry::counter::{Distribution, SharedHistogram};

/// Between two time marks, in milliseconds.
const MARK_INTERVAL_MS: i64 = 50;

/// The connection of a replica, or of a client that waits for replicas.
pub(crate) trait Peer: Send + Sync + fmt::Debug {
    fn wake(&self);
    fn disconnect(&self);
}

/// What a replica said of itself before PSYNC, by REPLCONF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Announced {
    /// Where it listens; 0: unknown.
    pub(crate) port: u16,
    /// The address it wants to be known by.
    pub(crate) ip: Option<String>,
    /// It takes a full resync without knowing its length.
    pub(crate) eof: bool,
    /// It knows that a partial resync may change the replication id.
    pub(crate) psync2: bool,
    /// It wants a full resync's data and no stream: a backup.
    pub(crate) rdb_only: bool,
    /// It is a limpid that takes time marks between the stream's commands.
    pub(crate) marks: bool,
}

/// Where a replica is, in INFO's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    WaitBgsave,
    SendBulk,
    Online,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WaitBgsave => "wait_bgsave",
            Self::SendBulk => "send_bulk",
            Self::Online => "online",
        }
    }
}

/// A full resync on its way to one replica.
#[derive(Debug)]
struct Transfer {
    /// Sent before anything else: the answer to PSYNC.
    intro: Vec<u8>,
    spool: Arc<Spool>,
    reader: usize,
    /// 40 bytes around the RDB, where its length is not sent.
    mark: Option<[u8; 40]>,
    begun: bool,
    /// Where the stream goes on.
    log_reader: u64,
}

#[derive(Debug)]
enum State {
    /// For the next snapshot.
    Waiting,
    Sending(Transfer),
    /// All was sent; the stream begins when the replica acknowledges that it has loaded.
    Loading {
        log_reader: u64,
    },
    Online {
        log_reader: u64,
    },
    Gone,
}

/// When a replica is given its bytes; Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now_ms: i64,
    /// See [`Replicas::written_ms`].
    pub(crate) written_ms: i64,
}

/// What [`Replica::fill`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Bytes, which were added to what was handed in.
    Bytes,
    /// Nothing to send for now.
    Later,
    /// The connection cannot go on.
    Broken(String),
}

/// One attached replica.
#[derive(Debug)]
pub(crate) struct Replica {
    /// The client's id.
    pub(crate) id: u64,
    /// As INFO shows it: the announced address, or that of the connection.
    pub(crate) ip: String,
    pub(crate) announced: Announced,
    peer: Arc<dyn Peer>,
    state: Mutex<State>,
    /// It asked with SYNC: it gets no answer before the RDB, and sends no acknowledgements.
    pub(crate) plain_sync: bool,
    /// Offset behind the last byte handed to the connection.
    sent: AtomicU64,
    acked: AtomicU64,
    acked_ms: AtomicI64,
    /// It has acknowledged something, maybe before all was sent.
    loaded: AtomicBool,
    /// A keepalive is due.
    newline: AtomicBool,
    /// When it asked to be one; Unix milliseconds.
    pub(crate) since_ms: i64,
    /// See [`Replica::active_ms`].
    active_ms: AtomicI64,
    marked_ms: AtomicI64,
    /// From a write to its acknowledgement.
    propagation: SharedHistogram,
}

/// A replica as INFO, ROLE and the admin server show it.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaView {
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) phase: Phase,
    pub(crate) acked: u64,
    pub(crate) acked_ms: i64,
    pub(crate) sent: u64,
    /// From a write to its acknowledgement.
    pub(crate) propagation: Distribution,
}

impl Replica {
    /// A replica that waits for a snapshot, since `now_ms`.
    pub(crate) fn waiting(
        id: u64,
        ip: String,
        announced: Announced,
        peer: Arc<dyn Peer>,
        plain_sync: bool,
        now_ms: i64,
    ) -> Self {
        Self {
            id,
            ip,
            announced,
            peer,
            plain_sync,
            state: Mutex::new(State::Waiting),
            sent: AtomicU64::new(0),
            acked: AtomicU64::new(0),
            acked_ms: AtomicI64::new(now_ms),
            loaded: AtomicBool::new(false),
            newline: AtomicBool::new(false),
            since_ms: now_ms,
            active_ms: AtomicI64::new(now_ms),
            marked_ms: AtomicI64::new(0),
            propagation: SharedHistogram::default(),
        }
    }

    /// The stream goes on from `offset`, which the log has.
    pub(crate) fn resume(&self, log_reader: u64, offset: u64) {
        self.sent.store(offset, Ordering::Relaxed);
        *self.state.lock() = State::Online { log_reader };
    }

    /// A snapshot was begun whose stream goes on from `offset`.
    pub(crate) fn begin_transfer(
        &self,
        intro: Vec<u8>,
        spool: &Arc<Spool>,
        mark: Option<[u8; 40]>,
        log_reader: u64,
        offset: u64,
    ) {
        let (spool, reader) = (Arc::clone(spool), spool.attach());
        let begun = false;
        self.sent.store(offset, Ordering::Relaxed);
        *self.state.lock() =
            State::Sending(Transfer { intro, spool, reader, mark, begun, log_reader });
        self.peer.wake();
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        match *self.state.lock() {
            State::Waiting => Some(Phase::WaitBgsave),
            State::Sending(_) => Some(Phase::SendBulk),
            State::Loading { .. } | State::Online { .. } => Some(Phase::Online),
            State::Gone => None,
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(*self.state.lock(), State::Waiting)
    }

    /// Something came from it. What goes to it shows nothing: the system takes that for a process
    /// that stands still, too.
    pub(crate) fn hear(&self, now_ms: i64) {
        self.active_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When it last took a part of a full resync, or was last heard; Unix milliseconds.
    pub(crate) fn active_ms(&self) -> i64 {
        self.active_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// Offset behind the last byte handed to the connection.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Notes an acknowledgement.
    fn acknowledge(&self, offset: u64, now_ms: i64) {
        self.acked.fetch_max(offset, Ordering::Relaxed);
        self.acked_ms.store(now_ms, Ordering::Relaxed);
        self.active_ms.store(now_ms, Ordering::Relaxed);
        if !self.loaded.swap(true, Ordering::Relaxed) {
            let mut state = self.state.lock();
            if let State::Loading { log_reader } = *state {
                *state = State::Online { log_reader };
                drop(state);
                self.peer.wake();
            }
        }
    }

    /// The next bytes for the replica, about `bytes_max` of them.
    pub(crate) fn fill(
        &self,
        log: &Log,
        moment: &Moment,
        bytes_max: usize,
        into: &mut Vec<u8>,
    ) -> Fill {
        let now_ms = moment.now_ms;
        let before = into.len();
        let mut state = self.state.lock();
        let broken = match &mut *state {
            State::Waiting => {
                self.keepalive(into);
                None
            }
            State::Sending(transfer) => match transfer.fill(bytes_max, into) {
                Next::Bytes => None,
                Next::Later => {
                    if !transfer.begun {
                        self.keepalive(into);
                    }
                    None
                }
                Next::Failed(reason) => Some(reason),
                Next::Done => {
                    let log_reader = transfer.log_reader;
                    let awaits = self.announced.rdb_only
                        || transfer.mark.is_some() && !self.loaded.load(Ordering::Relaxed);
                    self.acked_ms.store(now_ms, Ordering::Relaxed);
                    self.active_ms.store(now_ms, Ordering::Relaxed);
                    *state = if awaits {
                        State::Loading { log_reader }
                    } else {
                        State::Online { log_reader }
                    };
                    None
                }
            },
            State::Loading { .. } if self.announced.rdb_only => {
                Some("it has the data that it wanted".to_owned())
            }
            State::Loading { .. } => None,
            State::Online { log_reader } => {
                let read = log.read(*log_reader, bytes_max, into);
                match read {
                    Some(at) => {
                        self.sent.store(at, Ordering::Relaxed);
                        self.mark_time(at == log.offset(), moment, into);
                        None
                    }
                    None => Some("its place in the stream is no longer kept".to_owned()),
                }
            }
            State::Gone => Some("it was let go".to_owned()),
        };
        if let Some(reason) = broken {
            return Fill::Broken(reason);
        }
        if into.len() == before {
            return Fill::Later;
        }
        // Who is online has to acknowledge: a socket takes bytes long after the other end has gone.
        if self.plain_sync || !matches!(*state, State::Online { .. }) {
            self.active_ms.store(now_ms, Ordering::Relaxed);
        }
        Fill::Bytes
    }

    fn keepalive(&self, into: &mut Vec<u8>) {
        if self.newline.swap(false, Ordering::Relaxed) {
            into.push(b'\n');
        }
    }

    /// A mark says when all of the stream before it was there, and when the last write was. It
    /// stands where a command could begin, and does not count towards the offset.
    fn mark_time(&self, caught_up: bool, moment: &Moment, into: &mut Vec<u8>) {
        let Moment { now_ms, written_ms } = *moment;
        let due = now_ms - self.marked_ms.load(Ordering::Relaxed) >= MARK_INTERVAL_MS;
        if self.announced.marks && caught_up && due {
            self.marked_ms.store(now_ms, Ordering::Relaxed);
            into.extend_from_slice(format!("~{now_ms},{written_ms}\r\n").as_bytes());
        }
    }

    /// Takes back what is kept for it.
    fn close(&self, log: &Log) {
        match std::mem::replace(&mut *self.state.lock(), State::Gone) {
            State::Waiting | State::Gone => {}
            State::Sending(transfer) => {
                transfer.spool.detach(transfer.reader);
                log.detach(transfer.log_reader);
            }
            State::Loading { log_reader } | State::Online { log_reader } => log.detach(log_reader),
        }
    }

    fn view(&self) -> Option<ReplicaView> {
        Some(ReplicaView {
            ip: self.ip.clone(),
            port: self.announced.port,
            phase: self.phase()?,
            acked: self.acked(),
            acked_ms: self.acked_ms.load(Ordering::Relaxed),
            sent: self.sent(),
            propagation: self.propagation.distribution(),
        })
    }
}

impl Transfer {
    fn fill(&mut self, bytes_max: usize, into: &mut Vec<u8>) -> Next {
        if !self.intro.is_empty() {
            into.append(&mut self.intro);
            return Next::Bytes;
        }
        if !self.begun {
            let header = match (&self.mark, self.spool.len()) {
                (_, Some(Err(reason))) => return Next::Failed(reason),
                (Some(mark), _) => [b"$EOF:", &mark[..], b"\r\n"].concat(),
                (None, Some(Ok(len))) => format!("${len}\r\n").into_bytes(),
                (None, None) => return Next::Later,
            };
            self.begun = true;
            into.extend_from_slice(&header);
            return Next::Bytes;
        }
        let next = self.spool.read(self.reader, bytes_max, into);
        if next == Next::Done
            && let Some(mark) = &self.mark
        {
            into.extend_from_slice(mark);
        }
        next
    }
}

/// A client whose WAIT has not been met.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) client: u64,
    pub(crate) offset: u64,
    pub(crate) needed: usize,
    pub(crate) peer: Arc<dyn Peer>,
}

/// All the attached replicas, and who waits for them.
#[derive(Debug, Default)]
pub(crate) struct Replicas {
    list: Mutex<Vec<Arc<Replica>>>,
    count: AtomicUsize,
    waiters: Mutex<Vec<Waiter>>,
    waiting: AtomicUsize,
    /// A GETACK is due.
    ack_wanted: AtomicBool,
    /// When the last replica left; Unix milliseconds.
    left_ms: AtomicI64,
    timeline: Timeline,
    /// When the log last grew by a write; Unix milliseconds.
    written_ms: AtomicI64,
}

impl Replicas {
    pub(crate) fn add(&self, replica: Arc<Replica>) {
        let mut list = self.list.lock();
        list.push(replica);
        self.count.store(list.len(), Ordering::Release);
    }

    /// A replica's connection has ended; false if it was not among them.
    pub(crate) fn remove(&self, id: u64, log: &Log, now_ms: i64) -> bool {
        let mut list = self.list.lock();
        let Some(index) = list.iter().position(|replica| replica.id == id) else { return false };
        let replica = list.remove(index);
        self.count.store(list.len(), Ordering::Release);
        self.left_ms.store(now_ms, Ordering::Relaxed);
        drop(list);
        replica.close(log);
        true
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Replica>> {
        self.list.lock().clone()
    }

    pub(crate) fn views(&self) -> Vec<ReplicaView> {
        self.list.lock().iter().filter_map(|replica| replica.view()).collect()
    }

    /// When the last one left; Unix milliseconds.
    pub(crate) fn left_ms(&self) -> i64 {
        self.left_ms.load(Ordering::Relaxed)
    }

    /// Counts the time without replicas from now on.
    pub(crate) fn note_none(&self, now_ms: i64) {
        self.left_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Has every replica look for new bytes.
    #[inline]
    pub(crate) fn wake(&self) {
        if self.len() > 0 {
            self.list.lock().iter().for_each(|replica| replica.peer.wake());
        }
    }

    /// Has replicas that wait for a snapshot, or for its length, get a sign of life.
    pub(crate) fn keep_alive(&self) {
        for replica in &*self.list.lock() {
            if matches!(*replica.state.lock(), State::Waiting | State::Sending(_)) {
                replica.newline.store(true, Ordering::Relaxed);
                replica.peer.wake();
            }
        }
    }

    /// Ends the connections of all.
    pub(crate) fn disconnect_all(&self) {
        self.list.lock().iter().for_each(|replica| replica.peer.disconnect());
    }

    pub(crate) fn disconnect(&self, replica: &Replica) {
        replica.peer.disconnect();
    }

    /// The log was written to, up to an offset.
    #[inline]
    pub(crate) fn note_write(&self, offset: u64, now_nanos: u64, now_ms: i64) {
        self.timeline.note(offset, now_nanos);
        self.written_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When the log last grew by a write; Unix milliseconds.
    pub(crate) fn written_ms(&self) -> i64 {
        self.written_ms.load(Ordering::Relaxed)
    }

    /// Seconds since the oldest write that one who has acknowledged `acked` lacks; 0 if it lacks
    /// none.
    pub(crate) fn lag_seconds(&self, acked: u64, now_nanos: u64) -> f64 {
        self.timeline.age_of_next(acked, now_nanos).map_or(0.0, |nanos| nanos as f64 / 1e9)
    }

    /// Notes what a replica acknowledged, and wakes those whose WAIT that meets.
    pub(crate) fn acknowledge(&self, replica: &Replica, offset: u64, now_ms: i64, now_nanos: u64) {
        if let Some(nanos) = self.timeline.age_of_last(replica.acked(), offset, now_nanos) {
            replica.propagation.observe(nanos);
        }
        replica.acknowledge(offset, now_ms);
        if self.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        for waiter in &*self.waiters.lock() {
            if self.acknowledged(waiter.offset) >= waiter.needed {
                waiter.peer.wake();
            }
        }
    }

    /// How many have acknowledged an offset.
    pub(crate) fn acknowledged(&self, offset: u64) -> usize {
        let list = self.list.lock();
        let met = |replica: &&Arc<Replica>| {
            replica.phase() == Some(Phase::Online) && replica.acked() >= offset
        };
        list.iter().filter(met).count()
    }

    /// Whether all have acknowledged an offset; those that are still being synchronised have not.
    pub(crate) fn all_acknowledged(&self, offset: u64) -> bool {
        self.acknowledged(offset) == self.len()
    }

    /// Online replicas whose last acknowledgement is at most so many whole seconds old.
    pub(crate) fn good(&self, lag_max_s: i64, now_ms: i64) -> usize {
        let good = |view: &ReplicaView| {
            view.phase == Phase::Online && now_ms / 1000 - view.acked_ms / 1000 <= lag_max_s
        };
        self.views().iter().filter(|view| good(view)).count()
    }

    /// Adds a client that waits, and has a GETACK sent.
    pub(crate) fn wait(&self, waiter: Waiter) {
        let mut waiters = self.waiters.lock();
        waiters.push(waiter);
        self.waiting.store(waiters.len(), Ordering::Release);
        drop(waiters);
        self.want_ack();
    }

    /// The client waits no more.
    pub(crate) fn stop_waiting(&self, client: u64) {
        let mut waiters = self.waiters.lock();
        waiters.retain(|waiter| waiter.client != client);
        self.waiting.store(waiters.len(), Ordering::Release);
    }

    /// Clients that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// The clients that wait, to be told that they wait in vain.
    pub(crate) fn waiters(&self) -> Vec<u64> {
        self.waiters.lock().iter().map(|waiter| waiter.client).collect()
    }

    /// Has replicas asked for an acknowledgement, once for all who want it in the same turn.
    pub(crate) fn want_ack(&self) {
        self.ack_wanted.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether a GETACK is due; who is told so puts it into the stream, for all replicas.
    pub(crate) fn take_ack_wanted(&self) -> bool {
        self.ack_wanted.load(Ordering::Acquire) && self.ack_wanted.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl Peer for Nobody {
        fn wake(&self) {}

        fn disconnect(&self) {}
    }

    #[test]
    fn what_is_sent_to_a_replica_is_no_sign_of_its_life() {
        let (announced, peer) = (Announced::default(), Arc::new(Nobody));
        let replica = Replica::waiting(1, "ip".into(), announced, peer, false, 500);
        let log = Log::new("id".into());
        log.start(1 << 20);
        replica.resume(log.attach(log.offset()).expect("the log is on"), log.offset());
        log.append_bare(&[b"PING"]);
        let (moment, mut sent) = (Moment { now_ms: 1500, written_ms: 0 }, Vec::new());
        assert_eq!(replica.fill(&log, &moment, 100, &mut sent), Fill::Bytes);
        assert_eq!(replica.active_ms(), 500);
        replica.acknowledge(log.offset(), 1600);
        assert_eq!(replica.active_ms(), 1600);
    }
}
