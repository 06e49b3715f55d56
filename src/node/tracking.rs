//! Clients with caches: who tracks keys, and the messages about keys that changed.
//!
//! Ordinarily a client that reads a key becomes its [`Tracker`]: the keyspace names it when the key
//! changes, and forgets it with that. A broadcasting client names prefixes instead; the keys of a
//! batch that have one go out together, after the batch.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};

use super::client::{Client, Handle, Name, name_bytes};
use super::clients::Clients;
use crate::keyspace;
use crate::resp::{Output, Protocol};

/// The channel by which RESP2 clients are told.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// Which of the keys that a client reads it tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    #[default]
    All,
    /// Those of a command after CLIENT CACHING YES.
    OptIn,
    /// All but those of a command after CLIENT CACHING NO.
    OptOut,
}

/// The options of CLIENT TRACKING.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mode {
    pub(crate) broadcast: bool,
    pub(crate) choice: Choice,
    /// Not to be told of its own changes.
    pub(crate) no_loop: bool,
    /// The client that is told instead; 0: this one.
    pub(crate) redirect: u64,
}

/// A client's tracking, as its connection knows it, while it is on.
#[derive(Debug)]
pub(crate) struct OwnTracking {
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) mode: Mode,
    /// CLIENT CACHING concerns the next command.
    pub(crate) caching: bool,
    /// Of a broadcasting client.
    pub(crate) prefixes: BTreeSet<Name>,
}

impl OwnTracking {
    /// Whether the client tracks what the running command reads.
    pub(crate) fn remembers(&self) -> bool {
        let chosen = match self.mode.choice {
            Choice::All => true,
            Choice::OptIn => self.caching,
            Choice::OptOut => !self.caching,
        };
        chosen && !self.mode.broadcast
    }
}

/// A client as one that tracks keys; the same for as long as the client is connected, as keys that
/// it read before it turned tracking off and on again are still known.
#[derive(Debug)]
pub(crate) struct Tracker {
    client: u64,
    state: Mutex<State>,
    /// See [`Tracking::waiting_bytes`].
    waiting_bytes: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` while tracking is off.
    on: Option<Mode>,
    /// The client to redirect to was found missing.
    broken: bool,
    /// `None` once the client has left.
    handle: Option<Arc<Handle>>,
}

impl keyspace::Tracker for Tracker {
    fn client(&self) -> u64 {
        self.client
    }
}

/// What became invalid.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Invalid<'k> {
    Keys(&'k [&'k [u8]]),
    /// Databases were flushed.
    Everything,
}

impl Tracker {
    /// The tracker behind the keyspace's name for it.
    pub(crate) fn of(tracker: Arc<dyn keyspace::Tracker>) -> Arc<Self> {
        let any: Arc<dyn Any + Send + Sync> = tracker;
        any.downcast().expect("only clients track keys")
    }

    /// The client's number.
    pub(crate) fn client(&self) -> u64 {
        self.client
    }

    /// The options, and whether the redirection is broken; `None` while tracking is off.
    pub(crate) fn mode(&self) -> Option<(Mode, bool)> {
        let state = self.state.lock();
        state.on.map(|mode| (mode, state.broken))
    }

    /// Whether the client is told of a key that it read and now changes itself.
    pub(crate) fn is_told_of_own(&self) -> bool {
        self.mode().is_some_and(|(mode, _)| !mode.broadcast && !mode.no_loop)
    }

    /// Tells of a key that the client read, if it still tracks; `own` as for [`Tracker::tell`].
    pub(crate) fn tell_of_key(&self, clients: &Clients, key: &[u8], own: Option<&mut Output>) {
        if self.mode().is_some_and(|(mode, _)| !mode.broadcast) {
            self.tell(clients, Invalid::Keys(&[key]), own);
        }
    }

    /// Tells the client, or the one it redirects to. `own` is the output of the connection that runs
    /// this, if it is the client's own: the message is appended there.
    pub(crate) fn tell(&self, clients: &Clients, invalid: Invalid<'_>, own: Option<&mut Output>) {
        let (mode, handle) = {
            let state = self.state.lock();
            let (Some(mode), Some(handle)) = (state.on, &state.handle) else { return };
            (mode, Arc::clone(handle))
        };
        if mode.redirect == 0 {
            self.deliver(&handle, Place::Itself, invalid, own);
            return;
        }
        match clients.get(mode.redirect).filter(|target| !target.is_killed()) {
            Some(target) if target.origin.id == self.client => {
                self.deliver(&target, Place::Redirected, invalid, own);
            }
            Some(target) => self.deliver(&target, Place::Redirected, invalid, None),
            None => {
                self.state.lock().broken = true;
                tell_broken(&handle, mode.redirect, own);
            }
        }
    }

    fn deliver(
        &self,
        handle: &Handle,
        place: Place,
        invalid: Invalid<'_>,
        own: Option<&mut Output>,
    ) {
        // Held until the message is queued, so that none in the old protocol follows a HELLO.
        let shown = handle.shown.lock();
        let mut output = Output::new(shown.protocol);
        match shown.protocol {
            Protocol::Resp3 => {
                output.push(2);
                output.bulk(b"invalidate");
            }
            Protocol::Resp2 if place == Place::Redirected && shown.subscriptions() > 0 => {
                output.push(3);
                output.bulk(b"message");
                output.bulk(CHANNEL);
            }
            // RESP2 has no messages outside of subscriptions.
            Protocol::Resp2 => return,
        }
        match invalid {
            Invalid::Keys(keys) => {
                output.array(keys.len());
                keys.iter().for_each(|key| output.bulk(key));
            }
            Invalid::Everything => output.null(),
        }
        match own {
            Some(own) => own.append(&output),
            None => handle.push_counted(&output, Some(&self.waiting_bytes)),
        }
    }
}

/// Whether a client gets its own messages or another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Itself,
    Redirected,
}

fn tell_broken(handle: &Handle, redirect: u64, own: Option<&mut Output>) {
    let shown = handle.shown.lock();
    if shown.protocol == Protocol::Resp3 {
        let mut output = Output::new(shown.protocol);
        output.push(2);
        output.bulk(b"tracking-redir-broken");
        output.integer(redirect.cast_signed());
        match own {
            Some(own) => own.append(&output),
            None => handle.push(&output),
        }
    }
}

/// Keys changed by a batch that have a broadcast prefix: by prefix, with the client that changed
/// each last; 0: none did.
#[derive(Debug, Default)]
pub(crate) struct Broadcasts {
    by_prefix: BTreeMap<Name, BTreeMap<Name, u64>>,
}

impl Broadcasts {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_prefix.is_empty()
    }
}

type Trackers = BTreeMap<u64, Arc<Tracker>>;

/// All clients that track keys.
#[derive(Debug, Default)]
pub(crate) struct Tracking {
    on: Mutex<Trackers>,
    clients: AtomicUsize,
    prefixes: RwLock<BTreeMap<Name, Trackers>>,
    prefix_count: AtomicUsize,
    /// Memory of messages that the clients' connections have not taken.
    waiting_bytes: Arc<AtomicUsize>,
}

impl Tracking {
    /// The number of clients.
    #[inline]
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// The number of different prefixes.
    #[inline]
    pub(crate) fn prefixes(&self) -> usize {
        self.prefix_count.load(Ordering::Relaxed)
    }

    /// Memory of messages that the clients' connections have not taken.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes.load(Ordering::Relaxed)
    }

    /// Turns a client's tracking on, or changes its options. `prefixes` are added to those that a
    /// broadcasting client has.
    pub(crate) fn enable(&self, client: &mut Client, mode: Mode, prefixes: &[&[u8]]) {
        let handle = &client.handle;
        let tracker = handle.tracker.get_or_init(|| {
            let state = State { handle: Some(Arc::clone(handle)), ..State::default() };
            let waiting_bytes = Arc::clone(&self.waiting_bytes);
            Arc::new(Tracker { client: handle.origin.id, state: Mutex::new(state), waiting_bytes })
        });
        {
            let mut state = tracker.state.lock();
            (state.on, state.broken) = (Some(mode), false);
        }
        {
            let mut on = self.on.lock();
            on.insert(tracker.client, Arc::clone(tracker));
            self.clients.store(on.len(), Ordering::Relaxed);
        }
        let own = client.tracking.get_or_insert_with(|| {
            Box::new(OwnTracking {
                tracker: Arc::clone(tracker),
                mode,
                caching: false,
                prefixes: BTreeSet::new(),
            })
        });
        own.mode = mode;
        if mode.broadcast {
            let prefixes = if prefixes.is_empty() { &[&b""[..]] } else { prefixes };
            client.names_bytes += self.add_prefixes(own, prefixes);
        }
        client.unpublished = true;
    }

    /// Returns the memory that they take.
    fn add_prefixes(&self, own: &mut OwnTracking, prefixes: &[&[u8]]) -> usize {
        let mut added_bytes = 0;
        let mut all = self.prefixes.write();
        for &prefix in prefixes {
            let trackers = all.entry(prefix.into()).or_default();
            trackers.insert(own.tracker.client, Arc::clone(&own.tracker));
            if own.prefixes.insert(prefix.into()) {
                added_bytes += name_bytes(prefix);
            }
        }
        self.prefix_count.store(all.len(), Ordering::Relaxed);
        added_bytes
    }

    /// Turns a client's tracking off.
    pub(crate) fn disable(&self, client: &mut Client) {
        let Some(own) = client.tracking.take() else { return };
        let id = own.tracker.client;
        {
            let mut state = own.tracker.state.lock();
            (state.on, state.broken) = (None, false);
        }
        let mut on = self.on.lock();
        on.remove(&id);
        self.clients.store(on.len(), Ordering::Relaxed);
        drop(on);
        if own.prefixes.is_empty() {
            return;
        }
        client.unpublished = true;
        let mut all = self.prefixes.write();
        for prefix in &own.prefixes {
            client.names_bytes -= name_bytes(prefix);
            if let Some(trackers) = all.get_mut(prefix) {
                trackers.remove(&id);
                if trackers.is_empty() {
                    all.remove(prefix);
                }
            }
        }
        self.prefix_count.store(all.len(), Ordering::Relaxed);
    }

    /// Forgets a client that leaves.
    pub(crate) fn forget(&self, client: &mut Client) {
        self.disable(client);
        if let Some(tracker) = client.handle.tracker.get() {
            // Keys may name the tracker for long.
            tracker.state.lock().handle = None;
        }
    }

    /// Tells all clients that databases were flushed, except the one with the number `runner`.
    /// Returns whether that tracks keys, and so must be told after its reply.
    pub(crate) fn tell_of_flush(&self, clients: &Clients, runner: u64) -> bool {
        if self.clients() == 0 {
            return false;
        }
        let all: Vec<Arc<Tracker>> = self.on.lock().values().cloned().collect();
        let others = all.iter().filter(|tracker| tracker.client != runner);
        others.for_each(|tracker| tracker.tell(clients, Invalid::Everything, None));
        all.iter().any(|tracker| tracker.client == runner)
    }

    /// Adds a changed key to the broadcasts of its prefixes. `by` is the client that changed it; 0:
    /// none.
    pub(crate) fn collect(&self, broadcasts: &mut Broadcasts, key: Name, by: u64) {
        let all = self.prefixes.read();
        for prefix in all.keys().filter(|prefix| key.starts_with(prefix)) {
            match broadcasts.by_prefix.get_mut(prefix) {
                Some(keys) => keys,
                None => broadcasts.by_prefix.entry(prefix.clone()).or_default(),
            }
            .insert(key.clone(), by);
        }
    }

    /// Sends what was collected. `own`: the client that runs this, and its output.
    pub(crate) fn broadcast(
        &self,
        broadcasts: &mut Broadcasts,
        clients: &Clients,
        mut own: Option<(u64, &mut Output)>,
    ) {
        let all = self.prefixes.read();
        for (prefix, changed) in std::mem::take(&mut broadcasts.by_prefix) {
            let Some(trackers) = all.get(&prefix) else { continue };
            for tracker in trackers.values() {
                let no_loop = tracker.mode().is_some_and(|(mode, _)| mode.no_loop);
                let excluded = if no_loop { tracker.client } else { 0 };
                let keys: Vec<&[u8]> = changed
                    .iter()
                    .filter(|(_, by)| excluded == 0 || **by != excluded)
                    .map(|(key, _)| &**key)
                    .collect();
                if keys.is_empty() {
                    continue;
                }
                let own = own.as_mut().filter(|(id, _)| *id == tracker.client);
                tracker.tell(clients, Invalid::Keys(&keys), own.map(|(_, output)| &mut **output));
            }
        }
    }
}
