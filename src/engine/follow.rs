//! Following a master, without the socket: how a replica handles each event of its link, when it
//! acknowledges, when it gives up a link, and when it retries.
//!
//! [`Link`] handles the protocol of the link, [`Applier`] the stream. The driver of a [`Session`]
//! passes in what arrives, sends its output, and loads full resyncs.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::durable::Durable;
use super::full_resync::takeover::{self, NotTaken, Offer};
use super::{Applier, ApplyError, Executor};
use crate::keyspace::{Locked, ShardSet};
use crate::node::Node;
use crate::node::client::Handle;
use crate::node::replication::{Failover, LinkState, RefusedMaster, SyncProgress};
use crate::replication::{Hello, Link, LinkError, LinkEvent};
use crate::settings::MasterAddress;
use crate::telemetry::log::log;

/// Interval between acknowledgements of freshly applied data.
const EAGER_ACK: Duration = Duration::from_millis(1);
/// Delays before a retry: after a lost link, after a failed connect, and the maximum to which the
/// delay grows while a master is refused repeatedly.
const RETRY_LOST: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Why a link ended.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The node has another role or master by now.
    Changed,
    /// The stream was invalid at an offset.
    Protocol(u64, String),
    /// The master must not be followed for now.
    Refused(String),
    Failed(String),
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<LinkError> for Lost {
    fn from(error: LinkError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<NotTaken> for Lost {
    fn from(reason: NotTaken) -> Self {
        match reason {
            NotTaken::Refused(reason) => Self::Refused(reason),
            NotTaken::NotFollowed => Self::Changed,
            NotTaken::Failed(reason) => Self::Failed(reason),
        }
    }
}

/// State kept from one link to the next.
#[derive(Debug)]
pub(crate) struct Retries {
    wait: Duration,
    /// Offset at which the stream was last invalid, and whether it was so repeatedly: the second
    /// time at one offset, a full resync is needed.
    stuck: Option<(u64, bool)>,
    /// The history that was refused last.
    refused: Option<String>,
}

impl Retries {
    pub(crate) fn new() -> Self {
        Self { wait: RETRY, stuck: None, refused: None }
    }

    /// Whether the next link requests a full resync.
    pub(crate) fn whole(&self, node: &Node) -> bool {
        self.stuck == Some((node.log.offset(), true))
    }

    /// Handles the end of a link of a generation. Returns the delay before the next link; `None`:
    /// no retry.
    pub(crate) fn after(&mut self, node: &Node, generation: u64, lost: Lost) -> Option<Duration> {
        let was_up = node.replication.link().state == LinkState::Connected;
        note_lost(node, generation);
        let changed = node.replication.generation() != generation;
        match if changed { Lost::Changed } else { lost } {
            Lost::Changed => {
                *self = Self::new();
                return None;
            }
            Lost::Protocol(offset, reason) => {
                log!(Warning, "{reason}");
                let again = self.stuck.is_some_and(|(at, _)| at == offset);
                self.stuck = Some((offset, again));
            }
            Lost::Refused(reason) => {
                log!(Warning, "Refused to synchronise: {reason}");
                let refused = node.replication.link().refused.map(|refused| refused.id);
                // A restarted master may have its data again.
                let same = refused == self.refused;
                self.wait = if same { (self.wait * 2).min(RETRY_MAX) } else { RETRY };
                self.refused = refused;
            }
            Lost::Failed(reason) => {
                if !fail_failover(node, &reason) {
                    log!(Warning, "Connection with master lost: {reason}");
                }
                if was_up {
                    self.stuck = None;
                }
                self.wait = if was_up { RETRY_LOST } else { RETRY };
            }
        }
        Some(self.wait)
    }
}

/// Marks the link down, if this generation is still the node's.
fn note_lost(node: &Node, generation: u64) {
    let mut shards = node.keyspace.lock(ShardSet::ALL);
    let locked = shards.locked();
    if node.replication.generation() != generation {
        return;
    }
    node.link_down(&locked);
}

/// Ends a failover whose target did not take over, and logs the reason: the role stays here. False
/// if there is none.
fn fail_failover(node: &Node, reason: &str) -> bool {
    let failing = matches!(node.replication.failover(), Failover::InProgress { .. });
    if failing {
        let mut shards = node.keyspace.lock(ShardSet::ALL);
        node.end_failover(&shards.locked(), reason);
    }
    failing
}

/// Completes a failover: a target that answers as a master has taken over, even by a full resync.
fn complete_failover(node: &Node, locked: &Locked<'_>) {
    if matches!(node.replication.failover(), Failover::InProgress { .. }) {
        node.end_failover(locked, "");
    }
}

/// This replica's handshake data. `whole`: request a full resync.
fn hello(node: &Node, whole: bool) -> Hello {
    let settings = node.settings.load();
    let replication = &settings.replication;
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let known = (node.log.has_backlog() && !whole).then(|| {
        let (id, have) = (node.log.ids().id, node.log.offset());
        log!(Notice, "Trying a partial resynchronization (request {id}:{}).", have + 1);
        (id, have)
    });
    if known.is_none() {
        log!(Notice, "Partial resynchronization not possible (no cached master)");
    }
    Hello {
        user: replication.masteruser.reveal().and_then(text),
        password: replication.masterauth.reveal().and_then(text),
        port: node.announced_port(),
        announce_ip: text(&replication.announce_ip),
        known,
        failover: matches!(node.replication.failover(), Failover::InProgress { .. }),
    }
}

/// What to do with a full resync.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ResyncStep<'b> {
    /// Its RDB begins, of this many bytes, if known.
    Begin {
        offer: Offer,
        len: Option<u64>,
    },
    Part(Cow<'b, [u8]>),
    /// The RDB is complete. Further input is held until it is in place: see [`Session::loaded`].
    End,
}

/// One connection to a master.
#[derive(Debug)]
pub(crate) struct Session {
    node: Arc<Node>,
    master: MasterAddress,
    generation: u64,
    link: Link,
    handle: Arc<Handle>,
    applier: Option<Applier>,
    offer: Option<Offer>,
    /// The full resync came without its length: the master waits for an acknowledgement.
    eof_form: bool,
    /// A full resync has arrived completely and is being loaded.
    loading: bool,
    /// The master wants immediate acknowledgements of what was applied: it is a limpid.
    eager: bool,
    acked: u64,
    acked_nanos: u64,
    durable: Durable,
    last_io_ms: i64,
}

impl Session {
    /// A new connection, shown to others as `handle`. `whole`: request a full resync.
    pub(crate) fn new(
        node: &Arc<Node>,
        master: &MasterAddress,
        generation: u64,
        handle: Arc<Handle>,
        whole: bool,
    ) -> Self {
        Self {
            node: Arc::clone(node),
            master: master.clone(),
            generation,
            link: Link::new(hello(node, whole)),
            handle,
            applier: None,
            offer: None,
            eof_form: false,
            loading: false,
            eager: false,
            acked: 0,
            acked_nanos: node.clock.nanos(),
            durable: Durable::default(),
            last_io_ms: node.clock.unix_ms(),
        }
    }

    /// Output to send now.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        self.link.take_output()
    }

    pub(crate) fn is_loading(&self) -> bool {
        self.loading
    }

    /// Whether the session was killed here. A load finishes first, unless the master changed: put
    /// in place later, its data would not be those of the next link.
    pub(crate) fn is_ended(&self) -> bool {
        let node = &self.node;
        let wanted = self.loading && node.replication.generation() == self.generation;
        self.handle.is_killed() && !wanted
    }

    /// Whether a part of the stream waits for the end of a pause of clients.
    pub(crate) fn holds(&self) -> bool {
        self.applier.as_ref().is_some_and(Applier::holds)
    }

    /// Goes on with the stream, if the pause is over.
    pub(crate) fn resume(&mut self, executor: &mut Executor) -> Result<(), Lost> {
        self.apply(executor, &[])
    }

    /// How long the master may send nothing, or take no bytes.
    pub(crate) fn silence_max(&self) -> Duration {
        Duration::from_secs(self.node.settings.load().replication.timeout_secs.into())
    }

    /// Records received bytes.
    pub(crate) fn note_read(&mut self, len: usize) {
        let node = &self.node;
        self.last_io_ms = node.clock.unix_ms();
        let stats = &node.workers[node.applier];
        stats.reads.add(1);
        stats.read_bytes.add(len as u64);
        stats.master_read_bytes.add(len as u64);
        self.handle.active_ms.store(self.last_io_ms, Ordering::Relaxed);
        node.replication.update_link(|link| link.last_io_ms = self.last_io_ms);
    }

    /// Called once a second.
    ///
    /// # Errors
    /// The master is silent for too long. Here and below, any error ends the link.
    pub(crate) fn tick(&mut self) -> Result<(), Lost> {
        if self.loading {
            self.link.keep_alive();
        } else if self.applier.is_some() {
            self.acknowledge();
        }
        let silent_ms = self.node.clock.unix_ms() - self.last_io_ms;
        let max_ms = i64::try_from(self.silence_max().as_millis()).unwrap_or(i64::MAX);
        if silent_ms > max_ms && !self.loading {
            return Err(Lost::Failed(self.silence().into()));
        }
        Ok(())
    }

    /// What the master's silence interrupted, in Redis's words.
    fn silence(&self) -> &'static str {
        match self.node.replication.link().state {
            LinkState::Connected => "MASTER timeout: no data nor PING received...",
            LinkState::Sync => {
                "Timeout receiving bulk data from MASTER... If the problem persists try to set the \
                 'repl-timeout' parameter in redis.conf to a larger value."
            }
            _ => "Timeout connecting to the MASTER...",
        }
    }

    /// Time until an acknowledgement of applied data is due; `None`: none is due.
    pub(crate) fn ack_due(&self) -> Option<Duration> {
        let news = self.eager && self.applier.is_some() && self.node.log.offset() > self.acked;
        let since = self.node.clock.nanos().saturating_sub(self.acked_nanos);
        news.then(|| EAGER_ACK.saturating_sub(Duration::from_nanos(since)))
    }

    pub(crate) fn acknowledge(&mut self) {
        let tells_none = matches!(self.offer, Some(None));
        if !tells_none {
            self.acked = self.node.log.offset();
            self.acked_nanos = self.node.clock.nanos();
            let durable = self.durable.offset(&self.node);
            self.link.acknowledge(self.acked, durable);
        }
    }

    /// Processes the start of `input`, up to the next step left to the caller. Leaves the unused
    /// rest in `input`; `None` when all was used.
    pub(crate) fn next<'b>(
        &mut self,
        executor: &mut Executor,
        input: &mut &'b [u8],
    ) -> Result<Option<ResyncStep<'b>>, Lost> {
        while let Some(event) = self.link.next(input)? {
            match event {
                LinkEvent::Stream(stream) => self.apply(executor, stream)?,
                LinkEvent::Payload(part) => {
                    let read = part.len() as u64;
                    self.node.replication.update_link(|link| {
                        if let Some(sync) = &mut link.sync {
                            sync.read_bytes += read;
                        }
                    });
                    return Ok(Some(ResyncStep::Part(part)));
                }
                LinkEvent::PayloadEnded => {
                    self.loading = true;
                    return Ok(Some(ResyncStep::End));
                }
                LinkEvent::Reached => {
                    log!(Notice, "Master replied to PING, replication can continue...");
                }
                LinkEvent::FullResync(offer) => self.begin_full(offer)?,
                LinkEvent::PayloadBegan(len) => return Ok(Some(self.begin_payload(len))),
                LinkEvent::Continued(id) => self.continued(id)?,
            }
        }
        if self.ack_due() == Some(Duration::ZERO) {
            self.acknowledge();
        }
        Ok(None)
    }

    fn begin_full(&mut self, offer: Offer) -> Result<(), Lost> {
        match &offer {
            Some((id, offset)) => log!(Notice, "Full resync from master: {id}:{offset}"),
            None => log!(Notice, "Retrying with SYNC..."),
        }
        takeover::check_offer(&self.node, &offer)?;
        self.offer = Some(offer);
        {
            let mut shards = self.node.keyspace.lock(ShardSet::ALL);
            if self.node.replication.generation() != self.generation {
                return Err(Lost::Changed);
            }
            complete_failover(&self.node, &shards.locked());
        }
        self.node.replication.update_link(|link| {
            link.state = LinkState::Sync;
            link.sync = Some(SyncProgress::default());
        });
        Ok(())
    }

    fn begin_payload(&mut self, len: Option<u64>) -> ResyncStep<'static> {
        match len {
            Some(len) => {
                log!(Notice, "MASTER <-> REPLICA sync: receiving {len} bytes from master");
            }
            None => {
                log!(Notice, "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF")
            }
        }
        self.eof_form = len.is_none();
        self.node.replication.update_link(|link| {
            let total_bytes = Some(len.unwrap_or(0));
            link.sync = Some(SyncProgress { total_bytes, read_bytes: 0 });
        });
        ResyncStep::Begin { offer: self.offer.clone().flatten(), len }
    }

    /// Takes note of whether a full resync's data are in place.
    pub(crate) fn loaded(&mut self, result: Result<(), NotTaken>) -> Result<(), Lost> {
        self.loading = false;
        if let Err(NotTaken::Refused(reason)) = &result {
            let id = self.offer.clone().flatten().map_or_else(String::new, |(id, _)| id);
            self.node.stats.masters_refused.add(1);
            let refused = RefusedMaster { id, reason: reason.clone() };
            self.node.replication.update_link(|link| link.refused = Some(refused));
        }
        result?;
        self.begin_stream();
        if self.eof_form {
            self.acknowledge();
        }
        Ok(())
    }

    fn begin_stream(&mut self) {
        let node = &self.node;
        let database = node.log.selected().unwrap_or(0);
        self.acked = node.log.offset();
        self.applier = Some(Applier::new(Arc::clone(&self.handle), self.generation, database));
    }

    /// A partial resync: the stream continues, maybe under another id.
    fn continued(&mut self, id: Option<String>) -> Result<(), Lost> {
        let node = &self.node;
        {
            let mut shards = node.keyspace.lock(ShardSet::ALL);
            let locked = shards.locked();
            if node.replication.generation() != self.generation {
                return Err(Lost::Changed);
            }
            let own = node.log.ids().id;
            if let Some(id) = id.filter(|id| *id != own) {
                log!(Notice, "Master replication ID changed to {id}");
                node.log.continue_history(id);
                node.replication.replicas.disconnect_all();
            }
            node.replication.set_synced_from(Some(self.master.clone()));
            node.link_up(&locked);
            complete_failover(node, &locked);
        }
        log!(Notice, "Successful partial resynchronization with master.");
        log!(Notice, "MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
        self.begin_stream();
        Ok(())
    }

    /// Applies a part of the stream.
    fn apply(&mut self, executor: &mut Executor, stream: &[u8]) -> Result<(), Lost> {
        let Some(applier) = &mut self.applier else {
            return Err(Lost::Failed("the stream began before the data".into()));
        };
        let (admission, now_ms) = (&self.node.admission, self.node.clock.unix_ms());
        // As in Redis, a pause on a replica holds back its master, too.
        if admission.is_paused_by_client() && !admission.pause_left(now_ms).is_zero() {
            applier.hold(stream);
            let read_offset = self.node.log.offset() + applier.pending() as u64;
            self.node.replication.update_link(|link| link.read_offset = read_offset);
            // If it is over by now, no time is left of it.
            admission.wait(&self.handle);
            return Ok(());
        }
        let applied = executor.apply(applier, stream).map_err(|error| match error {
            ApplyError::Protocol { offset, .. } => Lost::Protocol(offset, error.to_string()),
            ApplyError::NotFollowed => Lost::Changed,
        })?;
        if let Some(offset) = applied.ack {
            let durable = self.durable.offset(&self.node);
            self.link.acknowledge(offset, durable);
        }
        self.eager |= applied.mark.is_some();
        let now_ms = self.node.clock.unix_ms();
        let read_offset = self.node.log.offset() + applier.pending() as u64;
        self.node.replication.update_link(|link| {
            link.read_offset = read_offset;
            link.mark = applied.mark.map(|mark| (mark, now_ms)).or(link.mark);
        });
        Ok(())
    }
}
