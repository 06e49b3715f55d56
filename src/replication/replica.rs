//! One attached replica: its identity, its position and its [`Feed`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::feed::{Counts, Feed, FeedState, FeedTime, Outlet, Sent, Transfer};
use super::log::Log;
use super::spool::Spool;
use crate::telemetry::counter::{Distribution, SharedHistogram};

/// The connection of a replica, or of a client that waits for replicas.
pub(crate) trait Peer: Send + Sync + fmt::Debug {
    fn wake(&self);
    fn disconnect(&self);
    /// Whether it was disconnected, by whomever.
    fn is_ending(&self) -> bool;
}

/// A full resync of less than everything. Neither has keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    Nothing,
    Functions,
}

/// What a replica announced with REPLCONF before PSYNC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Announced {
    /// The port it listens on; 0: unknown.
    pub(crate) port: u16,
    /// The address it wants to be known by.
    pub(crate) ip: Option<String>,
    /// It accepts a full resync of unknown length.
    pub(crate) eof: bool,
    /// It knows that a partial resync may change the replication id.
    pub(crate) psync2: bool,
    /// It wants a full resync's data and no stream: a backup.
    pub(crate) rdb_only: bool,
    /// The parts of a full resync that it wants, if not all.
    pub(crate) filter: Option<Filter>,
    /// It is a limpid that accepts time marks between the stream's commands.
    pub(crate) marks: bool,
}

/// A replica's state, as INFO names it.
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

/// Phases by the index stored in a replica; `None` for one that has gone.
const PHASES: [Option<Phase>; 4] =
    [Some(Phase::WaitBgsave), Some(Phase::SendBulk), Some(Phase::Online), None];

/// One attached replica. Reading its state takes no lock.
#[derive(Debug)]
pub(crate) struct Replica {
    /// The client's id.
    pub(crate) id: u64,
    /// As INFO shows it: the announced address, or that of the connection.
    pub(crate) ip: String,
    pub(crate) announced: Announced,
    pub(super) peer: Arc<dyn Peer>,
    /// Held while bytes are sent, which never blocks and is bounded.
    feed: Mutex<Feed>,
    /// Index in [`PHASES`].
    phase: AtomicU8,
    /// It gets the stream and has an outlet.
    is_fed: AtomicBool,
    /// Its outlet was full, or it has just come online, and it has not caught up since.
    lags: AtomicBool,
    /// It asked with SYNC: it gets no answer before the RDB, and sends no acknowledgements.
    pub(crate) plain_sync: bool,
    /// Memory of what was taken for the outlet.
    output_bytes: AtomicUsize,
    /// Offset after the last byte handed to the outlet.
    sent: AtomicU64,
    acked: AtomicU64,
    /// Offset that its disk has, and one; 0: it has not told of any.
    durable: AtomicU64,
    acked_ms: AtomicI64,
    /// It has acknowledged something, maybe before all was sent.
    loaded: AtomicBool,
    /// A keepalive is due.
    newline: AtomicBool,
    /// When it asked for replication; Unix milliseconds.
    pub(crate) since_ms: i64,
    /// See [`Replica::active_ms`].
    active_ms: AtomicI64,
    marked_ms: AtomicI64,
    /// Time from a write to its acknowledgement.
    pub(super) propagation: SharedHistogram,
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
    /// Time from a write to its acknowledgement.
    pub(crate) propagation: Distribution,
}

impl Replica {
    /// Whether its connection was told to end, which takes a moment. For everybody else it has.
    pub(crate) fn is_ending(&self) -> bool {
        self.peer.is_ending()
    }

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
            feed: Mutex::new(Feed::new()),
            phase: AtomicU8::new(0),
            is_fed: AtomicBool::new(false),
            output_bytes: AtomicUsize::new(0),
            lags: AtomicBool::new(true),
            sent: AtomicU64::new(0),
            acked: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            acked_ms: AtomicI64::new(now_ms),
            loaded: AtomicBool::new(false),
            newline: AtomicBool::new(false),
            since_ms: now_ms,
            active_ms: AtomicI64::new(now_ms),
            marked_ms: AtomicI64::new(0),
            propagation: SharedHistogram::default(),
        }
    }

    fn set_state(&self, feed: &mut Feed, state: FeedState) {
        feed.state = state;
        self.show_state(&feed.state, feed.outlet.is_some());
    }

    /// Publishes a state to lock-free readers. Called under the feed's lock.
    pub(super) fn show_state(&self, state: &FeedState, has_outlet: bool) {
        let phase = match state {
            FeedState::Waiting => Some(Phase::WaitBgsave),
            FeedState::Sending(_) => Some(Phase::SendBulk),
            FeedState::Loading { .. } | FeedState::Online { .. } => Some(Phase::Online),
            FeedState::Gone => None,
        };
        let index = PHASES.iter().position(|&known| known == phase).unwrap_or_default();
        self.phase.store(index as u8, Ordering::Relaxed);
        let is_fed = has_outlet && matches!(state, FeedState::Online { .. });
        if is_fed && !self.is_fed.load(Ordering::Relaxed) {
            // Bytes that piled up before come first.
            self.lags.store(true, Ordering::Relaxed);
        }
        self.is_fed.store(is_fed, Ordering::Release);
    }

    /// Attaches the outlet, once the answer to PSYNC is written.
    pub(crate) fn attach(&self, outlet: Box<dyn Outlet>) {
        let mut feed = self.feed.lock();
        if !matches!(feed.state, FeedState::Gone) {
            feed.outlet = Some(outlet);
        }
        self.show_state(&feed.state, feed.outlet.is_some());
    }

    /// Continues the stream from `offset`, which the log has.
    pub(crate) fn resume(&self, log_reader: u64, offset: u64) {
        self.sent.store(offset, Ordering::Relaxed);
        self.set_state(&mut self.feed.lock(), FeedState::Online { log_reader });
    }

    /// Starts sending a new snapshot, whose stream continues from `offset`.
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
        let transfer = Transfer { intro, spool, reader, mark, begun, log_reader };
        self.set_state(&mut self.feed.lock(), FeedState::Sending(transfer));
        self.peer.wake();
    }

    /// Notes that a full resync was sent whole; returns the next state.
    pub(super) fn transferred(&self, log_reader: u64, marked: bool, time: &FeedTime) -> FeedState {
        self.acked_ms.store(time.now_ms, Ordering::Relaxed);
        self.active_ms.store(time.now_ms, Ordering::Relaxed);
        if self.announced.rdb_only || marked && !self.loaded.load(Ordering::Relaxed) {
            FeedState::Loading { log_reader }
        } else {
            FeedState::Online { log_reader }
        }
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        PHASES[usize::from(self.phase.load(Ordering::Relaxed))]
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.phase() == Some(Phase::WaitBgsave)
    }

    /// Memory of what was taken for its outlet.
    pub(super) fn output_bytes(&self) -> usize {
        self.output_bytes.load(Ordering::Relaxed)
    }

    /// Whether it gets the stream.
    #[inline]
    pub(crate) fn is_fed(&self) -> bool {
        self.is_fed.load(Ordering::Acquire)
    }

    /// Whether it lacks bytes that did not fit its outlet: nobody waits for it.
    pub(super) fn lags(&self) -> bool {
        self.lags.load(Ordering::Relaxed)
    }

    /// Notes that it sent something, or accepted a part of a full resync. Accepting the stream
    /// shows nothing: the kernel accepts bytes for a stalled process, too.
    pub(crate) fn hear(&self, now_ms: i64) {
        self.active_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When it last accepted a part of a full resync, or sent something; Unix milliseconds.
    pub(crate) fn active_ms(&self) -> i64 {
        self.active_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// Notes that its disk has the stream up to an offset.
    pub(crate) fn note_durable(&self, offset: u64) {
        self.durable.store(offset.saturating_add(1), Ordering::Relaxed);
    }

    /// The offset up to which its disk has the stream; `None`: it has told of none.
    pub(crate) fn durable(&self) -> Option<u64> {
        self.durable.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Offset after the last byte handed to its outlet.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn note_sent(&self, offset: u64) {
        self.sent.store(offset, Ordering::Relaxed);
    }

    /// Notes an acknowledgement.
    pub(super) fn acknowledge(&self, offset: u64, now_ms: i64) {
        self.acked.fetch_max(offset, Ordering::Relaxed);
        self.acked_ms.store(now_ms, Ordering::Relaxed);
        self.active_ms.store(now_ms, Ordering::Relaxed);
        if !self.loaded.swap(true, Ordering::Relaxed) {
            let mut feed = self.feed.lock();
            if let FeedState::Loading { log_reader } = feed.state {
                self.set_state(&mut feed, FeedState::Online { log_reader });
                drop(feed);
                self.peer.wake();
            }
        }
    }

    /// Sends what it lacks, as far as its outlet has room. An error ends its connection, and is
    /// returned once.
    pub(super) fn feed(
        &self,
        log: &Log,
        time: &FeedTime,
        counts: &mut Counts,
    ) -> Result<Sent, String> {
        let mut feed = self.feed.lock();
        let sent = feed.send(self, log, time, counts);
        self.output_bytes.store(feed.output_bytes(), Ordering::Relaxed);
        match sent {
            Ok(Sent::All) => self.lags.store(false, Ordering::Relaxed),
            Ok(Sent::Full) => self.lags.store(true, Ordering::Relaxed),
            Ok(Sent::Part) => {}
            Err(_) => {
                feed.outlet = None;
                self.show_state(&feed.state, false);
            }
        }
        sent
    }

    /// Requests a keepalive while it waits for its data.
    pub(super) fn want_newline(&self) {
        self.newline.store(true, Ordering::Relaxed);
    }

    pub(super) fn take_newline(&self, into: &mut Vec<u8>) {
        if self.newline.swap(false, Ordering::Relaxed) {
            into.push(b'\n');
        }
    }

    /// Appends a mark: when all of the stream before it was there, and when the last write was. It
    /// stands between commands and does not count towards the offset.
    pub(super) fn mark_time(&self, time: &FeedTime, interval_ms: i64, into: &mut Vec<u8>) {
        let FeedTime { now_ms, written_ms } = *time;
        let due = now_ms - self.marked_ms.load(Ordering::Relaxed) >= interval_ms;
        if self.announced.marks && due {
            self.marked_ms.store(now_ms, Ordering::Relaxed);
            into.extend_from_slice(format!("~{now_ms},{written_ms}\r\n").as_bytes());
        }
    }

    /// Releases what is kept for it.
    pub(super) fn close(&self, log: &Log) {
        let mut feed = self.feed.lock();
        feed.close(log);
        self.show_state(&feed.state, false);
    }

    /// Its phase as Redis shows it, where a replica that is sent a snapshot as that is made waits until
    /// it is made.
    fn shown_phase(&self) -> Option<Phase> {
        let phase = self.phase()?;
        let is_made = || match &self.feed.lock().state {
            FeedState::Sending(transfer) => transfer.spool.len().is_some(),
            _ => true,
        };
        Some(if phase == Phase::SendBulk && !is_made() { Phase::WaitBgsave } else { phase })
    }

    pub(super) fn view(&self) -> Option<ReplicaView> {
        Some(ReplicaView {
            ip: self.ip.clone(),
            port: self.announced.port,
            phase: self.shown_phase()?,
            acked: self.acked(),
            acked_ms: self.acked_ms.load(Ordering::Relaxed),
            sent: self.sent(),
            propagation: self.propagation.distribution(),
        })
    }
}
