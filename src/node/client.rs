//! A client: its state, owned by its connection, and the handle by which others reach it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;

use super::acl::Acl;
use super::file::{DiskWait, FileLoad};
use super::migration::Migration;
pub(crate) use super::multi::{Multi, Queued};
pub(crate) use super::origin::Origin;
use super::pushes::Pushes;
use super::scripts::DebugMode;
use super::tracking::{OwnTracking, Tracker};
use crate::acl::User;
use crate::keyspace::{Keyspace, Waiter};
use crate::replication::{Announced, Replica};
use crate::resp::{Bookmark, Output, Protocol};
use crate::settings::ClientOutputBufferLimits;

/// A subscription's channel or pattern.
pub(crate) type Name = Box<[u8]>;

/// The mode of CLIENT REPLY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReplyMode {
    #[default]
    On,
    Off,
    /// Suppress the next command's reply.
    SkipNext,
    /// Suppress this command's reply.
    Skip,
}

/// A watched key.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) database: usize,
    pub(crate) key: Name,
    /// The key's expiry. A key that had already expired counts as missing and has none.
    pub(crate) expire_at_ms: Option<i64>,
}

impl Watched {
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.key.len()
    }
}

/// The memory of a name in one of a client's sets, without what the names share.
pub(crate) fn name_bytes(name: &[u8]) -> usize {
    // A tree's nodes are two thirds full on average.
    size_of::<Name>() * 3 / 2 + name.len()
}

/// The reply's position among the events of its command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replied {
    /// Number of events before the reply.
    pub(crate) events: usize,
    pub(crate) reply_end: Bookmark,
}

/// What a client waits for.
#[derive(Clone, Debug)]
pub(crate) enum WaitsFor {
    /// Acknowledgements of an offset by this many replicas.
    Replicas { offset: u64, needed: usize },
    /// Writes to be on disks.
    Disks(DiskWait),
    /// Keys: see `commands::blocking`.
    Keys(Arc<dyn Waiter>),
    /// The end of the process.
    Shutdown,
    /// Keys to be sent elsewhere.
    Migration(Arc<Migration>),
    /// The append only file to be loaded again.
    FileLoad(Arc<FileLoad>),
}

/// A blocked client.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) what: WaitsFor,
    /// Unix milliseconds; `None`: no timeout.
    pub(crate) deadline_ms: Option<i64>,
    /// See [`Replication::generation`](super::replication::Replication::generation).
    pub(crate) generation: u64,
    /// When the wait began, as the clock's [`nanos`](super::host::Clock::nanos).
    pub(crate) began_nanos: u64,
}

/// The engine's view of the link to a master: a client whose commands are applied as they are.
#[derive(Debug, Default)]
pub(crate) struct MasterLink {
    /// See [`Replication::generation`](super::replication::Replication::generation).
    pub(crate) generation: u64,
    /// Bytes of the stream that belong to the current command or transaction. They are logged under
    /// the same locks under which they are applied.
    pub(crate) unit: Vec<u8>,
    /// The master asked for an acknowledgement of the offset before its request.
    pub(crate) ack_wanted: Option<u64>,
}

/// The connection's state of its client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) handle: Arc<Handle>,
    pub(crate) database: usize,
    pub(crate) protocol: Protocol,
    /// Whose rights its commands have; `None`: all rights, as the link to a master has them.
    user: Option<Arc<User>>,
    authenticated: bool,
    /// Authenticated as a user who may do everything: its commands need no check of rights.
    unrestricted: bool,
    /// The epoch of admission as of which the user is its current state.
    pub(crate) users_epoch: u64,
    pub(crate) reply_mode: ReplyMode,
    pub(crate) multi: Option<Multi>,
    /// Commands and bytes of this client's transaction, while EXEC runs it.
    pub(crate) in_exec: Option<(usize, usize)>,
    /// It is a script's: its commands are called by Lua.
    pub(crate) in_script: bool,
    /// See [`Replied`]; for the running command.
    pub(crate) replied: Option<Replied>,
    pub(crate) watched: Vec<Watched>,
    /// Set by a change of a watched key.
    pub(crate) watch_mark: Arc<AtomicBool>,
    pub(crate) channels: BTreeSet<Name>,
    pub(crate) patterns: BTreeSet<Name>,
    pub(crate) shard_channels: BTreeSet<Name>,
    /// Memory of the names of watched keys, subscriptions and prefixes.
    pub(crate) names_bytes: usize,
    /// Close after writing the replies so far.
    pub(crate) closing: bool,
    /// Set by SCRIPT DEBUG: its next script runs in the debugger.
    pub(crate) debugs: Option<DebugMode>,
    /// Commands do not count as accesses of keys.
    pub(crate) no_touch: bool,
    /// It gets a line for every command: MONITOR.
    pub(crate) monitor: bool,
    /// Set while it tracks keys.
    pub(crate) tracking: Option<Box<OwnTracking>>,
    /// The published state is outdated; updated at the end of the batch.
    pub(crate) unpublished: bool,
    /// Offset of the log after its last command: what WAIT waits for.
    pub(crate) write_offset: u64,
    /// It used WAIT after its last write, and so is likely to use it after the next.
    pub(crate) waits_for_writes: bool,
    /// Set while a command blocks the client.
    pub(crate) waiting: Option<Waiting>,
    /// What it announced with REPLCONF.
    pub(crate) announced: Announced,
    /// Set if it is a replica.
    pub(crate) replica: Option<Arc<Replica>>,
    /// Set if it is the link to this node's master.
    pub(crate) master: Option<Box<MasterLink>>,
}

impl Client {
    /// A new connection, of the default user.
    pub(crate) fn new(handle: Arc<Handle>, acl: &Acl) -> Self {
        let mut client = Self::of_nobody(handle);
        client.become_default_user(acl);
        client
    }

    /// One that runs the commands of scripts, for whom it [acts](Self::act_for).
    pub(crate) fn of_scripts() -> Self {
        let mut client = Self::of_nobody(Arc::default());
        client.in_script = true;
        // Nothing blocks, as in a transaction.
        client.in_exec = Some((0, 0));
        client
    }

    /// Runs commands in the name of the client `of` from here on, which lends its handle and its
    /// link to a master.
    pub(crate) fn act_for(&mut self, of: &mut Self) {
        self.exchange(of);
        self.user.clone_from(&of.user);
        self.users_epoch = of.users_epoch;
        self.database = of.database;
        self.protocol = Protocol::Resp2;
    }

    /// Returns what `of` has lent. Its user is as it was: what has changed of its rights meanwhile,
    /// its own next command learns.
    pub(crate) fn stop_acting_for(&mut self, of: &mut Self) {
        self.exchange(of);
        self.user = None;
    }

    fn exchange(&mut self, of: &mut Self) {
        std::mem::swap(&mut self.handle, &mut of.handle);
        std::mem::swap(&mut self.watch_mark, &mut of.watch_mark);
        std::mem::swap(&mut self.master, &mut of.master);
    }

    fn of_nobody(handle: Arc<Handle>) -> Self {
        let watch_mark = Arc::clone(&handle.watch_mark);
        Self {
            handle,
            database: 0,
            protocol: Protocol::Resp2,
            user: None,
            authenticated: false,
            unrestricted: false,
            users_epoch: 0,
            reply_mode: ReplyMode::On,
            multi: None,
            in_exec: None,
            in_script: false,
            replied: None,
            watched: Vec::new(),
            watch_mark,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            shard_channels: BTreeSet::new(),
            names_bytes: 0,
            closing: false,
            debugs: None,
            no_touch: false,
            monitor: false,
            tracking: None,
            unpublished: false,
            write_offset: 0,
            waits_for_writes: false,
            waiting: None,
            announced: Announced::default(),
            replica: None,
            master: None,
        }
    }

    /// The client that applies a master's stream. It is never plain.
    pub(crate) fn master(handle: Arc<Handle>, generation: u64) -> Self {
        let mut client = Self::of_nobody(handle);
        client.master = Some(Box::new(MasterLink { generation, ..MasterLink::default() }));
        client
    }

    /// Whether it is authenticated, or needs no authentication.
    pub(crate) fn is_trusted(&self, acl: &Acl) -> bool {
        self.authenticated || !acl.users().needs_authentication()
    }

    pub(crate) fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The user; `None` for the link to a master, which may do everything.
    #[inline]
    pub(crate) fn user(&self) -> Option<&Arc<User>> {
        self.user.as_ref()
    }

    /// Has the rights of a user from here on.
    pub(crate) fn become_user(&mut self, user: Arc<User>, authenticated: bool) {
        self.handle.shown.lock().user = Some(Arc::clone(&user));
        self.authenticated = authenticated;
        self.unrestricted = authenticated && user.is_unrestricted();
        self.user = Some(user);
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len() + self.shard_channels.len()
    }

    /// In RESP2 a client with subscriptions may run few other commands.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.subscriptions() > 0
    }

    /// Whether commands need no check of this client before they run.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.unrestricted
            && self.multi.is_none()
            && self.reply_mode == ReplyMode::On
            && !self.is_subscribed()
            && !self.is_fed()
    }

    /// Whether it is a replica or a monitor, which Redis takes for a kind of replica.
    #[inline]
    pub(crate) fn is_fed(&self) -> bool {
        self.monitor || self.replica.is_some()
    }

    /// Stops watching. Takes locks, so hold none; EXEC, which holds them, does it itself.
    pub(crate) fn forget_watches(&mut self, keyspace: &Keyspace) {
        let watched = std::mem::take(&mut self.watched);
        let bytes: usize = watched.iter().map(Watched::memory_bytes).sum();
        self.names_bytes -= bytes;
        let keys = watched.iter().map(|watched| (watched.database, &*watched.key));
        keyspace.unwatch(keys, &self.watch_mark);
        self.watch_mark.store(false, Ordering::Relaxed);
    }

    /// Discards a transaction. Takes locks, so the caller must hold none.
    pub(crate) fn forget_transaction(&mut self, keyspace: &Keyspace) {
        self.multi = None;
        self.unpublished = true;
        self.forget_watches(keyspace);
    }

    /// Publishes what CLIENT LIST shows of this client, and the protocol of its messages.
    pub(crate) fn publish(&mut self) {
        self.unpublished = false;
        let multi = self.multi.as_ref().map_or(0, |multi| multi.bytes() + multi.overhead_bytes());
        self.handle.state_bytes.store(self.names_bytes + multi, Ordering::Relaxed);
        self.handle.subscribed.store(self.is_subscribed(), Ordering::Relaxed);
        let mut shown = self.handle.shown.lock();
        shown.database = self.database;
        shown.protocol = self.protocol;
        shown.channels = self.channels.len();
        shown.patterns = self.patterns.len();
        shown.shard_channels = self.shard_channels.len();
        let queued = self.multi.as_ref().map(|multi| (multi.queued.len(), multi.bytes()));
        shown.multi = queued.or(self.in_exec);
        shown.closing = self.closing;
        shown.replica = self.replica.is_some();
        shown.waiting = self.waiting.is_some();
        shown.no_touch = self.no_touch;
        shown.monitor = self.monitor;
    }
}

/// The published state of a client.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) name: Vec<u8>,
    /// `None`: the link to a master.
    pub(crate) user: Option<Arc<User>>,
    pub(crate) library_name: Vec<u8>,
    pub(crate) library_version: Vec<u8>,
    pub(crate) database: usize,
    pub(crate) protocol: Protocol,
    pub(crate) channels: usize,
    pub(crate) patterns: usize,
    pub(crate) shard_channels: usize,
    /// Number of queued commands, and their bytes.
    pub(crate) multi: Option<(usize, usize)>,
    pub(crate) closing: bool,
    pub(crate) no_touch: bool,
    pub(crate) no_evict: bool,
    pub(crate) monitor: bool,
    pub(crate) replica: bool,
    pub(crate) master: bool,
    /// Blocked in a command.
    pub(crate) waiting: bool,
}

impl Shown {
    pub(crate) fn subscriptions(&self) -> usize {
        self.channels + self.patterns + self.shard_channels
    }
}

/// A request from others to a connection.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
enum Signal {
    Pushes = 1,
    Kill = 1 << 1,
    Resume = 1 << 2,
    Look = 1 << 3,
    /// CLIENT UNBLOCK, with and without an error.
    UnblockTimeout = 1 << 4,
    UnblockError = 1 << 5,
}

/// Access to a client from any thread.
#[derive(Debug, Default)]
pub(crate) struct Handle {
    pub(crate) origin: Origin,
    /// Index of the worker that should serve it. The connection moves there before its next read.
    pub(crate) worker: AtomicUsize,
    pub(crate) shown: Mutex<Shown>,
    /// Unix milliseconds of the last batch.
    pub(crate) active_ms: AtomicI64,
    /// Id of the last command's row plus one.
    pub(crate) last_command: AtomicUsize,
    /// Bytes read and not yet executed, how many of them are parsed, and room behind them.
    pub(crate) input_bytes: AtomicUsize,
    pub(crate) parsed_bytes: AtomicUsize,
    pub(crate) input_free_bytes: AtomicUsize,
    /// Memory of what the client has watched, subscribed to and queued.
    pub(crate) state_bytes: AtomicUsize,
    /// What [`Node::count_client`](super::Node::count_client) has counted last.
    pub(crate) counted_bytes: AtomicU64,
    /// Bytes of replies not yet written, and the number of pieces.
    pub(crate) output_bytes: AtomicUsize,
    pub(crate) output_pieces: AtomicUsize,
    /// See [`Client::watch_mark`].
    pub(crate) watch_mark: Arc<AtomicBool>,
    signals: AtomicU32,
    pushes: Mutex<Pushes>,
    /// Unwritten bytes when messages exceeded the limit; 0: they did not.
    overflow_bytes: AtomicUsize,
    /// The client has subscriptions.
    subscribed: AtomicBool,
    /// Most unwritten bytes, without and with subscriptions; 0: no limit.
    pushes_max: [AtomicUsize; 2],
    /// Set once the client tracks keys.
    pub(crate) tracker: OnceLock<Arc<Tracker>>,
    waker: Mutex<Option<Waker>>,
    /// The client's wait for keys, so that others can end it at once.
    key_wait: Mutex<Option<Arc<dyn Waiter>>>,
}

impl Handle {
    pub(crate) fn new(origin: Origin) -> Self {
        let active_ms = AtomicI64::new(origin.connected_ms);
        Self { origin, active_ms, ..Self::default() }
    }

    /// Sets the waker; the connection does so before its first wait on each worker.
    pub(crate) fn set_waker(&self, waker: Waker) {
        *self.waker.lock() = Some(waker);
    }

    fn signal(&self, signal: Signal) {
        self.signals.fetch_or(signal as u32, Ordering::AcqRel);
        if let Some(waker) = &*self.waker.lock() {
            waker.wake_by_ref();
        }
    }

    #[inline]
    fn has(&self, signal: Signal) -> bool {
        self.signals.load(Ordering::Acquire) & signal as u32 != 0
    }

    /// Sends messages outside of replies. Disconnects a client that reads too slowly.
    pub(crate) fn push(&self, messages: &Output) {
        self.push_counted(messages, None);
    }

    /// The same, and counts their memory in a total until the connection takes them.
    pub(super) fn push_counted(&self, messages: &Output, total: Option<&Arc<AtomicUsize>>) {
        if self.is_killed() {
            return;
        }
        let len = messages.len();
        let mut pushes = self.pushes.lock();
        let waiting = pushes.len() + len + self.output_bytes.load(Ordering::Relaxed);
        let (_, max) = self.push_limit();
        if max != 0 && waiting > max {
            *pushes = Pushes::default();
            drop(pushes);
            self.overflow_bytes.store(waiting, Ordering::Relaxed);
            self.kill();
            return;
        }
        pushes.add(messages, total);
        drop(pushes);
        self.signal(Signal::Pushes);
    }

    /// Sets how many unwritten bytes messages may add to.
    pub(crate) fn set_push_limits(&self, limits: &ClientOutputBufferLimits) {
        for (max, limit) in self.pushes_max.iter().zip([limits.normal, limits.pubsub]) {
            max.store(usize::try_from(limit.hard_bytes).unwrap_or(usize::MAX), Ordering::Relaxed);
        }
    }

    /// The client's class, and the most unwritten bytes that it may have; 0: no limit.
    pub(crate) fn push_limit(&self) -> (&'static str, usize) {
        let (class, index) =
            if self.subscribed.load(Ordering::Relaxed) { ("pubsub", 1) } else { ("normal", 0) };
        (class, self.pushes_max[index].load(Ordering::Relaxed))
    }

    /// Unwritten bytes when messages exceeded the limit; `None`: they did not.
    pub(crate) fn take_overflow(&self) -> Option<usize> {
        let bytes = self.overflow_bytes.swap(0, Ordering::Relaxed);
        (bytes != 0).then_some(bytes)
    }

    #[inline]
    pub(crate) fn has_pushes(&self) -> bool {
        self.has(Signal::Pushes)
    }

    /// Takes the pending messages.
    pub(crate) fn take_pushes(&self) -> Output {
        let mut pushes = self.pushes.lock();
        self.signals.fetch_and(!(Signal::Pushes as u32), Ordering::AcqRel);
        std::mem::take(&mut *pushes).into_output()
    }

    /// Memory that the client makes the server hold.
    pub(crate) fn memory_bytes(&self) -> usize {
        let load = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let names = {
            let shown = self.shown.lock();
            let names = [&shown.name, &shown.library_name, &shown.library_version];
            names.iter().map(|name| name.capacity()).sum::<usize>()
        };
        let origin = self.origin.address.capacity() + self.origin.local_address.capacity();
        let input = load(&self.input_bytes) + load(&self.input_free_bytes);
        let output = load(&self.output_bytes) + load(&self.output_pieces) * size_of::<Bytes>();
        let waiting = self.pushes.lock().len();
        let fixed = size_of::<Self>() + size_of::<Client>() + origin;
        fixed + names + input + output + waiting + load(&self.state_bytes)
    }

    /// Describes the client in CLIENT LIST's format, for the log.
    pub(crate) fn described(&self) -> String {
        let Origin { id, address, local_address, .. } = &self.origin;
        let shown = self.shown.lock();
        let name = String::from_utf8_lossy(&shown.name);
        format!("id={id} addr={address} laddr={local_address} name={name}")
    }

    /// Sets what the client waits for, or that it does not.
    pub(crate) fn set_key_wait(&self, wait: Option<Arc<dyn Waiter>>) {
        *self.key_wait.lock() = wait;
    }

    /// Claims the client's wait for keys, so that nobody serves it any more; `None` if it does not
    /// wait for keys.
    pub(crate) fn claim_key_wait(&self) -> Option<bool> {
        self.key_wait.lock().as_ref().map(|wait| wait.claim())
    }

    /// Ends the connection.
    pub(crate) fn kill(&self) {
        self.claim_key_wait();
        self.signal(Signal::Kill);
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.has(Signal::Kill)
    }

    /// Makes the connection check its output and its wait, once for all calls before the check.
    #[inline]
    pub(crate) fn look(&self) {
        if !self.has(Signal::Look) {
            self.signal(Signal::Look);
        }
    }

    /// Whether `look` was called since the last check.
    #[inline]
    pub(crate) fn take_look(&self) -> bool {
        self.take(Signal::Look)
    }

    /// Ends the client's wait, with an error or as a timeout.
    pub(crate) fn unblock(&self, error: bool) {
        self.signal(if error { Signal::UnblockError } else { Signal::UnblockTimeout });
    }

    /// Whether `unblock` was called since the last check, and if so, with an error.
    pub(crate) fn take_unblocked(&self) -> Option<bool> {
        let (error, timeout) = (self.take(Signal::UnblockError), self.take(Signal::UnblockTimeout));
        (error || timeout).then_some(error)
    }

    #[inline]
    fn take(&self, signal: Signal) -> bool {
        self.has(signal)
            && self.signals.fetch_and(!(signal as u32), Ordering::AcqRel) & signal as u32 != 0
    }

    /// Makes a paused connection check again.
    pub(crate) fn resume(&self) {
        self.signal(Signal::Resume);
    }

    /// Whether `resume` was called since the last check.
    pub(crate) fn take_resumed(&self) -> bool {
        self.take(Signal::Resume)
    }
}
