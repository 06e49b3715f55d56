//! All the replicas of a master, the feeding of the online ones, and the clients that wait for
//! their acknowledgements.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;

use super::feed::{Counts, FeedTime, Sent};
use super::log::Log;
use super::replica::{Peer, Phase, Replica, ReplicaView};
use super::timeline::Timeline;
use crate::telemetry::counter::SharedCounter;
use crate::telemetry::log::log;

/// With this many unsent bytes in the log, they are sent before the end of a worker's turn.
const UNFED_BYTES_MAX: u64 = 512 * 1024;

/// A client whose WAIT or WAITAOF is not yet satisfied.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) client: u64,
    pub(crate) offset: u64,
    pub(crate) needed: usize,
    /// It waits for disks. It looks itself whether its wait is over.
    pub(crate) on_disk: bool,
    pub(crate) peer: Arc<dyn Peer>,
}

/// What was sent to replicas.
#[derive(Debug, Default)]
pub(crate) struct FeedStats {
    pub(crate) sends: SharedCounter,
    pub(crate) bytes: SharedCounter,
    /// Sends for which a replica's socket had no room.
    pub(crate) refused: SharedCounter,
}

impl FeedStats {
    pub(crate) fn reset(&self) {
        [&self.sends, &self.bytes, &self.refused].into_iter().for_each(SharedCounter::reset);
    }
}

/// All the attached replicas, and the clients that wait for them.
#[derive(Debug, Default)]
pub(crate) struct Replicas {
    /// Read without a lock, by every batch that writes.
    list: ArcSwap<Vec<Arc<Replica>>>,
    /// Held while the list changes.
    changing: Mutex<()>,
    count: AtomicUsize,
    /// Offset up to which the online replicas that do not lag were handed the log: set after each
    /// round of [`Replicas::feed`].
    handed: AtomicU64,
    pub(crate) stats: FeedStats,
    waiters: Mutex<Vec<Waiter>>,
    waiting: AtomicUsize,
    /// A GETACK is due.
    ack_wanted: AtomicBool,
    /// The log's offset at the last GETACK: acknowledgements of it are on their way.
    asked: AtomicU64,
    /// When the last replica left; Unix milliseconds.
    left_ms: AtomicI64,
    timeline: Timeline,
    /// When the log last grew by a write; Unix milliseconds.
    written_ms: AtomicI64,
}

impl Replicas {
    pub(crate) fn add(&self, replica: Arc<Replica>) {
        let _changing = self.changing.lock();
        let mut list = Vec::clone(&self.list.load());
        list.push(replica);
        self.store(list);
    }

    fn store(&self, list: Vec<Arc<Replica>>) {
        self.count.store(list.len(), Ordering::Release);
        self.list.store(Arc::new(list));
    }

    /// Removes a replica whose connection has ended; false if it was not attached.
    pub(crate) fn remove(&self, id: u64, log: &Log, now_ms: i64) -> bool {
        let changing = self.changing.lock();
        let mut list = Vec::clone(&self.list.load());
        let Some(index) = list.iter().position(|replica| replica.id == id) else { return false };
        let replica = list.remove(index);
        self.store(list);
        self.left_ms.store(now_ms, Ordering::Relaxed);
        drop(changing);
        replica.close(log);
        true
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    pub(crate) fn all(&self) -> Guard<Arc<Vec<Arc<Replica>>>> {
        self.list.load()
    }

    pub(crate) fn views(&self) -> Vec<ReplicaView> {
        let all = self.all();
        let here = all.iter().filter(|replica| !replica.is_ending());
        here.filter_map(|replica| replica.view()).collect()
    }

    /// Memory of what was taken from the log to be sent.
    pub(crate) fn output_bytes(&self) -> usize {
        self.all().iter().map(|replica| replica.output_bytes()).sum()
    }

    /// Whether any replica gets the stream.
    #[inline]
    pub(crate) fn any_fed(&self) -> bool {
        self.len() > 0 && self.all().iter().any(|replica| replica.is_fed())
    }

    /// Sends every online replica what it lacks of the log, as far as its socket has room. Called
    /// by any thread, without locks.
    pub(crate) fn feed(&self, log: &Log, now_ms: i64) {
        let mut handed = log.feedable();
        for replica in self.all().iter().filter(|replica| replica.is_fed()) {
            match self.feed_one(replica, log, now_ms) {
                Ok(Sent::All) => {}
                Ok(Sent::Part) if !replica.lags() => handed = handed.min(replica.sent()),
                // Its connection continues: at once, or when there is room.
                Ok(Sent::Part | Sent::Full) => replica.peer.wake(),
                Err(reason) => {
                    log!(Warning, "Connection with replica {} lost: {reason}", replica.ip);
                    replica.peer.disconnect();
                }
            }
        }
        self.handed.store(handed, Ordering::Release);
    }

    /// Sends one replica what it lacks: the stream or a full resync.
    ///
    /// # Errors
    /// Why its connection must end; returned once.
    pub(crate) fn feed_one(
        &self,
        replica: &Replica,
        log: &Log,
        now_ms: i64,
    ) -> Result<Sent, String> {
        let time = FeedTime { now_ms, written_ms: self.written_ms() };
        let mut counts = Counts::default();
        let sent = replica.feed(log, &time, &mut counts);
        if counts.sends > 0 {
            self.stats.sends.add(counts.sends);
            self.stats.bytes.add(counts.bytes);
        }
        if counts.refused > 0 {
            self.stats.refused.add(counts.refused);
            log!(Debug, "The socket to replica {} is full", replica.ip);
        }
        sent
    }

    /// Whether replicas are to be fed before the replies to what the log has up to `offset`.
    #[inline]
    pub(crate) fn is_feed_due(&self, log: &Log, offset: u64) -> bool {
        // A restarted log may end before the previous one did.
        let (handed, end) = (self.handed.load(Ordering::Acquire), log.offset());
        !(offset.min(end)..=end).contains(&handed) || self.is_ack_wanted()
    }

    /// Whether too much has piled up to wait until the end of a worker's turn.
    pub(crate) fn is_feed_overdue(&self, offset: u64) -> bool {
        offset.saturating_sub(self.handed.load(Ordering::Acquire)) >= UNFED_BYTES_MAX
    }

    /// When the last one left; Unix milliseconds.
    pub(crate) fn left_ms(&self) -> i64 {
        self.left_ms.load(Ordering::Relaxed)
    }

    /// Measures the time without replicas from now on.
    pub(crate) fn note_none(&self, now_ms: i64) {
        self.left_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Wakes every replica's connection to send what it can.
    pub(crate) fn wake(&self) {
        self.all().iter().for_each(|replica| replica.peer.wake());
    }

    /// Wakes the connections of replicas in a full resync.
    pub(crate) fn wake_receivers(&self) {
        let receives = |replica: &&Arc<Replica>| replica.phase() != Some(Phase::Online);
        self.all().iter().filter(receives).for_each(|replica| replica.peer.wake());
    }

    /// Requests a keepalive for replicas that wait for a snapshot, or for its length.
    pub(crate) fn keep_alive(&self) {
        for replica in &**self.all() {
            if matches!(replica.phase(), Some(Phase::WaitBgsave | Phase::SendBulk)) {
                replica.want_newline();
                replica.peer.wake();
            }
        }
    }

    /// Ends all their connections.
    pub(crate) fn disconnect_all(&self) {
        self.note_asked(0);
        self.all().iter().for_each(|replica| replica.peer.disconnect());
    }

    pub(crate) fn disconnect(&self, replica: &Replica) {
        replica.peer.disconnect();
    }

    /// Notes that a write has grown the log to an offset.
    #[inline]
    pub(crate) fn note_write(&self, offset: u64, now_nanos: u64, now_ms: i64) {
        self.timeline.note(offset, now_nanos);
        self.written_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When the log last grew by a write; Unix milliseconds.
    pub(crate) fn written_ms(&self) -> i64 {
        self.written_ms.load(Ordering::Relaxed)
    }

    /// Age in seconds of the oldest write after offset `acked`; 0 if there is none.
    pub(crate) fn lag_seconds(&self, acked: u64, now_nanos: u64) -> f64 {
        self.timeline.age_of_next(acked, now_nanos).map_or(0.0, |nanos| nanos as f64 / 1e9)
    }

    /// Notes an acknowledgement, and wakes the clients whose WAIT it satisfies.
    pub(crate) fn acknowledge(&self, replica: &Replica, offset: u64, now_ms: i64, now_nanos: u64) {
        if let Some(nanos) = self.timeline.age_of_last(replica.acked(), offset, now_nanos) {
            replica.propagation.observe(nanos);
        }
        replica.acknowledge(offset, now_ms);
        if self.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        for waiter in &*self.waiters.lock() {
            if waiter.on_disk || self.acknowledged(waiter.offset) >= waiter.needed {
                waiter.peer.wake();
            }
        }
    }

    /// How many replicas have acknowledged an offset.
    pub(crate) fn acknowledged(&self, offset: u64) -> usize {
        let met = |replica: &&Arc<Replica>| {
            replica.phase() == Some(Phase::Online) && replica.acked() >= offset
        };
        self.all().iter().filter(met).count()
    }

    /// How many replicas have the log up to an offset on their disks.
    pub(crate) fn durable(&self, offset: u64) -> usize {
        let met = |replica: &&Arc<Replica>| {
            replica.phase() == Some(Phase::Online)
                && replica.durable().is_some_and(|durable| durable >= offset)
        };
        self.all().iter().filter(met).count()
    }

    /// Wakes the clients that wait for disks: this node's own has more.
    pub(crate) fn wake_for_disk(&self) {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        let waiters = self.waiters.lock();
        waiters.iter().filter(|waiter| waiter.on_disk).for_each(|waiter| waiter.peer.wake());
    }

    /// Whether all have acknowledged an offset; replicas still in a full resync have not.
    pub(crate) fn all_acknowledged(&self, offset: u64) -> bool {
        self.acknowledged(offset) == self.len()
    }

    /// Online replicas whose last acknowledgement is at most `lag_max_s` whole seconds old.
    pub(crate) fn good(&self, lag_max_s: i64, now_ms: i64) -> usize {
        let good = |view: &ReplicaView| {
            view.phase == Phase::Online && now_ms / 1000 - view.acked_ms / 1000 <= lag_max_s
        };
        self.views().iter().filter(|view| good(view)).count()
    }

    /// Adds a waiting client and requests a GETACK, unless the last one covers its writes: its
    /// connection sends it at the turn's end.
    pub(crate) fn wait(&self, waiter: Waiter) {
        let asked = self.asked.load(Ordering::Acquire) >= waiter.offset;
        let mut waiters = self.waiters.lock();
        waiters.push(waiter);
        self.waiting.store(waiters.len(), Ordering::Release);
        drop(waiters);
        if !asked {
            self.want_ack_soon();
        }
    }

    /// Requests a GETACK, to be sent with the next writes: for a client that is likely to ask for
    /// their acknowledgement.
    pub(crate) fn want_ack_soon(&self) {
        self.ack_wanted.store(true, Ordering::Release);
    }

    /// Notes a GETACK at an offset of the log; 0 when a new history begins.
    pub(crate) fn note_asked(&self, offset: u64) {
        self.asked.store(offset, Ordering::Release);
    }

    /// Removes a waiting client.
    pub(crate) fn stop_waiting(&self, client: u64) {
        let mut waiters = self.waiters.lock();
        waiters.retain(|waiter| waiter.client != client);
        self.waiting.store(waiters.len(), Ordering::Release);
    }

    /// How many clients wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// The waiting clients, to end their waits early.
    pub(crate) fn waiters(&self) -> Vec<u64> {
        self.waiters.lock().iter().map(|waiter| waiter.client).collect()
    }

    /// Requests a GETACK, one for all requests in the same turn.
    pub(crate) fn want_ack(&self) {
        self.ack_wanted.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether a GETACK is due.
    #[inline]
    pub(crate) fn is_ack_wanted(&self) -> bool {
        self.ack_wanted.load(Ordering::Acquire)
    }

    /// The same, and clears it; the caller then appends the GETACK to the stream, for all replicas.
    pub(crate) fn take_ack_wanted(&self) -> bool {
        self.is_ack_wanted() && self.ack_wanted.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests;
