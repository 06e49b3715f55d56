//! Waiting for keys: BLPOP and its kind.
//!
//! A command that finds nothing leaves a [`KeyWait`] with each of its keys and blocks its client.
//! Whoever changes such a key serves those who wait for it, in the order of their arrival, before
//! it unlocks. One atomic claim decides who ends a wait: that, its timeout, CLIENT UNBLOCK, a change
//! of role, or the end of the connection.
//!
//! A family says what its commands wait for by [`Serve`].

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::effects::Change;
use super::{Context, Failure, Handled, Keys};
use crate::keyspace::{Key, ShardSet, Ticket, Waiter};
use crate::node::Node;
use crate::node::client::{Handle, Waiting, WaitsFor};
use crate::number::{LongDouble, parse_i64};
use crate::resp::{Output, Protocol};

/// Whether a changed key has something for one that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// Not for this one, perhaps for those behind it.
    NotForThis,
    /// For none of its kind that waits for this key.
    Empty,
}

/// What a blocked client waits for. All of it runs under the locks of the key's shard, and of the
/// target's.
pub(crate) trait Serve: fmt::Debug + Send + Sync {
    /// Whether the key can serve the client now. Changes nothing.
    fn readiness(&self, keys: &mut Keys<'_>, key: Key<'_>) -> Readiness;

    /// Serves the client from a ready key: changes it and replies.
    ///
    /// # Errors
    /// What the client is answered instead; then nothing was changed.
    fn serve(&self, node: &Node, keys: &mut Keys<'_>, key: Key<'_>, reply: &mut Output) -> Handled;

    /// Whether changes of a key that was there serve as well, as those of streams do. In Redis,
    /// clients that wait for a list or a sorted set are only looked at when a key is added: not
    /// when one comes in the place of a key of another type.
    fn serves_any_change(&self) -> bool {
        false
    }

    /// The reply when the time is up.
    fn nothing(&self, reply: &mut Output) {
        reply.null_array();
    }

    /// The reply when the client must not be blocked.
    fn refused(&self, reply: &mut Output) {
        self.nothing(reply);
    }

    /// The key to which an element is moved.
    fn target(&self) -> Option<&[u8]> {
        None
    }
}

/// A client that waits for keys.
#[derive(Debug)]
pub(crate) struct KeyWait {
    handle: Arc<Handle>,
    database: usize,
    pub(crate) protocol: Protocol,
    keys: Vec<Box<[u8]>>,
    /// Its place at each of the keys.
    tickets: Mutex<Vec<Ticket>>,
    wanted: Box<dyn Serve>,
    /// See [`Replication::generation`](crate::node::replication::Replication::generation).
    generation: u64,
    /// It has a timeout.
    timed: bool,
    claimed: AtomicBool,
    asked: OnceLock<Asked>,
    /// Set by whoever served it: the reply, and messages that follow it.
    reply: Mutex<Option<(Output, Output)>>,
}

/// The command that waits. It is recorded when it is served, for the time that both took.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The id of its row.
    pub(crate) command: usize,
    /// As the slow log keeps them; `None` if it keeps nothing.
    pub(crate) args: Option<Vec<Vec<u8>>>,
    /// The time until it began to wait.
    pub(crate) nanos: u64,
}

impl Waiter for KeyWait {
    fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }

    fn serves_any_change(&self) -> bool {
        self.wanted.serves_any_change()
    }
}

impl KeyWait {
    /// The wait behind the keyspace's name for it.
    pub(crate) fn of(waiter: Arc<dyn Waiter>) -> Arc<Self> {
        let any: Arc<dyn Any + Send + Sync> = waiter;
        any.downcast().expect("only clients wait for keys")
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Keeps what to record, under the locks of the command that waits.
    pub(crate) fn ask(&self, asked: Asked) {
        self.asked.set(asked).expect("a command waits once");
    }

    pub(crate) fn asked(&self) -> Option<&Asked> {
        self.asked.get()
    }

    fn is_over(&self) -> bool {
        self.claimed.load(Ordering::Acquire)
    }

    /// Whether a change of role ends the wait: that of a replica which was promoted goes on, that of
    /// one which follows another master does not.
    pub(crate) fn is_of_another_role(&self, node: &Node) -> bool {
        self.generation != node.replication.generation() && node.is_replica()
    }

    /// Hands the reply to the client's connection, and messages that follow it.
    pub(crate) fn answer(&self, reply: Output, messages: Output) {
        *self.reply.lock() = Some((reply, messages));
        self.handle.look();
    }

    /// The reply of whoever served the client, and messages that follow it.
    pub(crate) fn take_reply(&self) -> Option<(Output, Output)> {
        self.reply.lock().take()
    }

    /// See [`Serve::nothing`].
    pub(crate) fn nothing(&self, reply: &mut Output) {
        self.wanted.nothing(reply);
    }

    /// Forgets the wait at all its keys, once it is over. Takes locks, so hold none.
    pub(crate) fn forget(self: &Arc<Self>, node: &Node) {
        self.handle.set_key_wait(None);
        let keyspace = &node.keyspace;
        let mut set = ShardSet::default();
        self.keys.iter().for_each(|key| set.insert(keyspace.key(key).shard()));
        // While a script holds the locks for long, whoever comes to these keys removes the rest.
        let mut guard = keyspace.lock_unless_busy(set);
        for (bytes, ticket) in self.keys.iter().zip(&*self.tickets.lock()) {
            let key = keyspace.key(bytes);
            if let Some(guard) = &mut guard {
                guard.locked().stop_waiting(self.database, key, *ticket);
            }
            if let Some(target) = self.wanted.target() {
                node.blocked.remove_move(key.shard(), keyspace.key(target).shard());
            }
        }
        node.blocked.remove_client(self.timed);
    }
}

/// Blocks the client until one of the keys can serve it, or replies as after the timeout where a
/// client cannot be blocked: in a transaction, and on the link from a master.
pub(crate) fn block(
    ctx: &mut Context<'_>,
    keys: &[Key<'_>],
    deadline_ms: Option<i64>,
    wanted: Box<dyn Serve>,
) {
    let (node, client) = (ctx.node, &mut *ctx.client);
    if client.in_exec.is_some() || client.master.is_some() {
        wanted.refused(ctx.reply);
        return;
    }
    let mut names: Vec<Box<[u8]>> = Vec::with_capacity(keys.len());
    for key in keys {
        if !names.iter().any(|name| **name == *key.bytes) {
            names.push(key.bytes.into());
        }
    }
    // One that came too late for an earlier wait does not end this one.
    client.handle.take_unblocked();
    let database = ctx.keys.database;
    let wait = Arc::new(KeyWait {
        handle: Arc::clone(&client.handle),
        database,
        protocol: client.protocol,
        keys: names,
        tickets: Mutex::default(),
        wanted,
        generation: node.replication.generation(),
        timed: deadline_ms.is_some(),
        claimed: AtomicBool::new(false),
        asked: OnceLock::new(),
        reply: Mutex::default(),
    });
    for bytes in &wait.keys {
        let key = ctx.keys.key(bytes);
        let waiter: Arc<dyn Waiter> = Arc::clone(&wait) as _;
        let ticket = ctx.keys.locked.wait_for(database, key, waiter);
        wait.tickets.lock().push(ticket);
        if let Some(target) = wait.wanted.target() {
            node.blocked.add_move(key.shard(), ctx.keys.key(target).shard());
        }
    }
    node.blocked.add_client(deadline_ms.is_some());
    client.handle.set_key_wait(Some(Arc::clone(&wait) as _));
    client.waiting = Some(Waiting {
        what: WaitsFor::Keys(wait),
        deadline_ms,
        generation: node.replication.generation(),
        began_nanos: node.clock.nanos(),
    });
    client.unpublished = true;
}

/// A client that was served, with its reply.
pub(crate) struct Served {
    pub(crate) wait: Arc<KeyWait>,
    pub(crate) reply: Output,
    /// The error that the reply is.
    pub(crate) failure: Option<Failure>,
}

/// Serves the next client that waits for a changed key, if the key is ready for it. Those before
/// `from` have been found to want something else.
pub(crate) fn serve_next(
    node: &Node,
    keys: &mut Keys<'_>,
    key: Key<'_>,
    change: Change,
    from: &mut Ticket,
) -> Option<Served> {
    loop {
        let (ticket, waiter) = keys.locked.waiter(keys.database, key, *from)?;
        let wait = KeyWait::of(waiter);
        if wait.is_over() {
            keys.locked.stop_waiting(keys.database, key, ticket);
            continue;
        }
        let target = wait.wanted.target().map(|target| keys.key(target).shard());
        if target.is_some_and(|shard| !keys.locked.set().contains(shard)) {
            // A change that can only have removed the key.
            *from = ticket.next();
            continue;
        }
        if wait.is_of_another_role(node) {
            // Its connection ends it.
            *from = ticket.next();
            continue;
        }
        if change != Change::Added && !wait.wanted.serves_any_change() {
            if !keys.locked.is_any_change_awaited(key) {
                return None;
            }
            *from = ticket.next();
            continue;
        }
        match wait.wanted.readiness(keys, key) {
            // Somebody behind it may wait for the stream that was there.
            Readiness::Empty if keys.locked.is_any_change_awaited(key) => *from = ticket.next(),
            Readiness::Empty => return None,
            Readiness::NotForThis => *from = ticket.next(),
            Readiness::Ready if wait.claim() => {
                keys.effects.actor = wait.handle.origin.id;
                let mut reply = Output::new(wait.protocol);
                let start = reply.bookmark();
                let failure = wait.wanted.serve(node, keys, key, &mut reply).err();
                if let Some(failure) = &failure {
                    reply.truncate(start);
                    reply.error(&failure.text());
                }
                return Some(Served { wait, reply, failure });
            }
            Readiness::Ready => {}
        }
    }
}

/// When a timeout given in seconds ends, as Unix milliseconds; `None` for 0, which never ends.
///
/// # Errors
/// Redis's texts for what is no timeout.
pub(crate) fn deadline_of_seconds(node: &Node, arg: &[u8]) -> Result<Option<i64>, Failure> {
    let seconds = LongDouble::parse(arg);
    let seconds = seconds.ok_or_else(|| Failure::err("timeout is not a float or out of range"))?;
    // Redis converts what is too large, and so finds the least number.
    deadline(node, seconds.thousandfold_ceil().unwrap_or(i64::MIN))
}

/// The same for whole milliseconds.
///
/// # Errors
/// Redis's texts for what is no timeout.
pub(crate) fn deadline_of_ms(node: &Node, arg: &[u8]) -> Result<Option<i64>, Failure> {
    let timeout_ms = parse_i64(arg);
    let timeout_ms =
        timeout_ms.ok_or_else(|| Failure::err("timeout is not an integer or out of range"))?;
    deadline(node, timeout_ms)
}

fn deadline(node: &Node, timeout_ms: i64) -> Result<Option<i64>, Failure> {
    match timeout_ms {
        ..0 => Err(Failure::err("timeout is negative")),
        0 => Ok(None),
        // The clock counts whole milliseconds, and the current one has begun. In Redis, too, what
        // ends beyond the clock's range never ends.
        1.. => Ok(node.clock.unix_ms().saturating_add(1).checked_add(timeout_ms)),
    }
}
