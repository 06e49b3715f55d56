//! The outer layer of a simulated node: its clock, its ids, and snapshots for replicas, which the
//! simulation writes step by step.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use crate::engine::full_resync::offer;
use crate::engine::rdb_save::{self, Cut};
use crate::keyspace::Locked;
use crate::keyspace::snapshot::Snapshot;
use crate::node::Node;
use crate::node::host::{
    BackgroundSave, Clock, Host, HostResult, Memory, Reload, SettingRefused, Shutdown, Within,
};
use crate::node::persistence::{Purpose, Running};
use crate::replication::{Overflow, Spool};
use crate::settings::{Rewrite, Settings};

/// A manual clock. Those of two nodes may differ.
#[derive(Debug)]
pub(super) struct SimClock(AtomicI64);

impl SimClock {
    pub(super) fn new(ms: i64) -> Self {
        Self(AtomicI64::new(ms * 1000))
    }

    pub(super) fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms * 1000, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn unix_us(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn nanos(&self) -> u64 {
        self.unix_us().unsigned_abs() * 1000
    }

    fn sleep_ms(&self, ms: u64) {
        self.advance_ms(ms.cast_signed());
    }
}

/// A snapshot on its way to replicas.
#[derive(Debug)]
struct Sending {
    /// Until it is written.
    snapshot: Option<(Snapshot, Cut)>,
    /// Bytes written and not yet passed on.
    bytes: Vec<u8>,
    spool: Arc<Spool>,
}

#[derive(Debug)]
pub(super) struct SimHost {
    index: usize,
    node: OnceLock<Weak<Node>>,
    ids: AtomicU64,
    sending: Mutex<Option<Sending>>,
    /// Spools that somebody may still read.
    spools: Mutex<Vec<Weak<Spool>>>,
    looked: AtomicBool,
}

/// Holds a spool's overflow, in memory.
#[derive(Debug, Default)]
struct InMemory(Mutex<Vec<u8>>);

impl Overflow for InMemory {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut all = self.0.lock();
        let at = usize::try_from(at).expect("small");
        let len = all.len().max(at + bytes.len());
        all.resize(len, 0);
        all[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(at).expect("small");
        into.copy_from_slice(&self.0.lock()[at..at + into.len()]);
        Ok(())
    }
}

impl SimHost {
    /// `ids` is the first id, so that a restarted node repeats none.
    pub(super) fn new(index: usize, ids: u64) -> Self {
        Self {
            index,
            node: OnceLock::new(),
            ids: AtomicU64::new(ids),
            sending: Mutex::new(None),
            spools: Mutex::default(),
            looked: AtomicBool::new(false),
        }
    }

    pub(super) fn set_node(&self, node: &Arc<Node>) {
        self.node.set(Arc::downgrade(node)).expect("a host has one node");
    }

    /// Number of ids handed out.
    pub(super) fn ids(&self) -> u64 {
        self.ids.load(Ordering::Relaxed)
    }

    fn node(&self) -> Arc<Node> {
        self.node.get().and_then(Weak::upgrade).expect("the node is there")
    }

    /// Whether the role may have changed since the last call.
    pub(super) fn take_look(&self) -> bool {
        self.looked.swap(false, Ordering::Relaxed)
    }

    /// Fetches what replicas need next of their snapshots.
    pub(super) fn fetch(&self) {
        self.spools.lock().retain(|spool| {
            let Some(spool) = spool.upgrade() else { return false };
            while spool.fetch() {}
            true
        });
    }

    pub(super) fn is_sending(&self) -> bool {
        self.sending.lock().is_some()
    }

    /// Advances a snapshot: writes it, or passes on some bytes of it. `fails`: it ends without a
    /// result.
    pub(super) fn send_some(&self, bytes_max: usize, fails: bool) {
        let mut guard = self.sending.lock();
        let Some(sending) = &mut *guard else { return };
        let node = self.node();
        if let Some((mut snapshot, cut)) = sending.snapshot.take() {
            let mut writer = rdb_save::begin(&node, Vec::new(), &cut).expect("memory");
            rdb_save::write_snapshot(&mut snapshot, &mut writer, |_| {}).expect("memory");
            sending.bytes = writer.finish().expect("memory");
            return;
        }
        let take = bytes_max.min(sending.bytes.len());
        let rest = sending.bytes.split_off(take);
        let part = std::mem::replace(&mut sending.bytes, rest);
        sending.spool.write(part.into(), || {}).expect("memory");
        let ended = match (fails, sending.bytes.is_empty()) {
            (true, _) => Err("it shall fail".to_owned()),
            (_, true) => Ok(()),
            _ => {
                node.replication.replicas.wake_receivers();
                return;
            }
        };
        sending.spool.end(ended);
        *guard = None;
        drop(guard);
        node.replication.replicas.wake_receivers();
        node.persistence.update(|saving| saving.running = None);
    }
}

impl Host for SimHost {
    fn save(&self, _: &mut Locked<'_>) -> HostResult {
        Ok(())
    }

    fn background_save(&self, _: &mut Locked<'_>) -> BackgroundSave {
        BackgroundSave::Started
    }

    fn reload(&self, _: &mut Locked<'_>, _: Reload) -> HostResult {
        Ok(())
    }

    fn shutdown(&self, _: &mut Locked<'_>, _: Shutdown) -> HostResult {
        Ok(())
    }

    fn apply(
        &self,
        _: &mut Locked<'_>,
        _: &Settings,
        _: &mut Settings,
        _: (&[&'static str], Within),
    ) -> Result<(), SettingRefused> {
        Ok(())
    }

    fn rewrite_settings(&self, _: Rewrite) -> HostResult {
        Ok(())
    }

    fn new_id(&self) -> String {
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}{number:032x}", self.index + 1)
    }

    fn sync_replicas(&self, locked: &mut Locked<'_>) {
        let node = self.node();
        let waiting = offer::due(&node);
        if waiting.is_empty() {
            return;
        }
        let snapshot = Snapshot::cut(&node.keyspace, locked, usize::MAX);
        let running = Running {
            purpose: Purpose::FullSync,
            started_ms: node.clock.unix_ms(),
            dirty_at_cut: node.dirty(),
            retention: Arc::clone(snapshot.retention()),
            keys_total: 0,
            keys_saved: 0,
        };
        node.persistence.update(|saving| saving.running = Some(running));
        let open = || Ok(Box::new(InMemory::default()) as Box<dyn Overflow>);
        // Only a few bytes, so that the overflow is used as well.
        let spool = Arc::new(Spool::new(1000, Box::new(open)));
        self.spools.lock().push(Arc::downgrade(&spool));
        let cut = offer::begin(&node, &waiting, &spool);
        let snapshot = Some((snapshot, cut));
        *self.sending.lock() = Some(Sending { snapshot, bytes: Vec::new(), spool });
    }

    fn end_at_once(&self) {}
    fn relieve(&self, _: usize) {}
    fn end_relief(&self, _: usize) {}
    fn look_at_role(&self) {
        self.looked.store(true, Ordering::Relaxed);
    }

    fn processor_seconds(&self) -> [f64; 2] {
        [0.0; 2]
    }

    fn used_bytes(&self) -> u64 {
        0
    }

    fn purge(&self) -> HostResult {
        Ok(())
    }

    fn allocator_report(&self) -> Vec<u8> {
        b"no allocator".to_vec()
    }

    fn memory(&self) -> Memory {
        Memory::default()
    }
}
