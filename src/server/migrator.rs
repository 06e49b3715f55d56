//! The thread that migrates keys: sends them to other servers, one migration after the other, and
//! keeps the connections for a while. It starts with the first migration and sleeps between them.

mod link;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use parking_lot::Mutex;

use self::link::{Link, Trouble};
use crate::engine;
use crate::node::Node;
use crate::node::migration::Migration;
use crate::telemetry::log::log;

/// Most connections kept.
const LINKS_MAX: usize = 64;
/// How long an unused one is kept.
const KEPT: Duration = Duration::from_secs(10);

/// Hands migrations to the thread.
#[derive(Debug, Default)]
pub(super) struct Migrator(Mutex<Option<Sender<Arc<Migration>>>>);

impl Migrator {
    /// Queues a migration.
    pub(super) fn take(&self, node: &Arc<Node>, migration: Arc<Migration>) {
        let mut sender = self.0.lock();
        if sender.is_none() {
            let (new, queue) = mpsc::channel();
            let worker = Worker { node: Arc::clone(node), links: HashMap::new() };
            let thread = std::thread::Builder::new().name("migrator".into());
            if let Err(error) = thread.spawn(move || worker.run(&queue)) {
                log!(Warning, "Cannot start the thread that migrates keys: {error}");
                return migration.answer(Err(b"IOERR no thread to migrate keys".to_vec()));
            }
            *sender = Some(new);
        }
        if let Some(sender) = &*sender {
            sender.send(migration).expect("the thread runs as long as there is a sender");
        }
    }
}

/// Host and port of a target, as sent.
type Target = (Box<[u8]>, Box<[u8]>);

/// An open connection.
#[derive(Debug)]
struct Kept {
    link: Link,
    /// When it was last used, as the clock's nanoseconds.
    used_nanos: u64,
}

impl Kept {
    /// For how long it has not been used.
    fn unused(&self, now_nanos: u64) -> Duration {
        Duration::from_nanos(now_nanos.saturating_sub(self.used_nanos))
    }
}

#[derive(Debug)]
struct Worker {
    node: Arc<Node>,
    links: HashMap<Target, Kept>,
}

/// Which keys the target has confirmed, and what the client is told if not all is well.
type Sent = (Vec<bool>, Result<(), Vec<u8>>);

impl Worker {
    fn run(mut self, queue: &Receiver<Arc<Migration>>) {
        loop {
            let next = match self.until_unused() {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(left) => queue.recv_timeout(left),
            };
            match next {
                Ok(migration) => self.migrate(&migration),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.drop_unused();
        }
    }

    /// Shows how many connections are kept.
    fn note_links(&self) {
        self.node.migrations.cached.store(self.links.len(), Ordering::Relaxed);
    }

    /// For how long the next connection to go is kept; `None`: there is none. By the clock that
    /// decides: another one may be a little ahead of it.
    fn until_unused(&self) -> Option<Duration> {
        let now = self.node.clock.nanos();
        self.links.values().map(|kept| KEPT.saturating_sub(kept.unused(now))).min()
    }

    fn drop_unused(&mut self) {
        let now = self.node.clock.nanos();
        self.links.retain(|_, kept| kept.unused(now) < KEPT);
        self.note_links();
    }

    fn migrate(&mut self, migration: &Migration) {
        let (confirmed, told) = self.send(migration);
        self.note_links();
        let removed = engine::remove_confirmed(&self.node, migration, &confirmed);
        // What went wrong at the target comes first, as in Redis.
        migration.answer(told.and_then(|()| removed.map_err(|text| text.as_bytes().to_vec())));
    }

    /// Sends the keys. A connection that fails before the first confirmation is likely to be an old
    /// one that the target has closed: then once more over a new one.
    fn send(&mut self, migration: &Migration) -> Sent {
        let none = || vec![false; migration.keys.len()];
        let target = (migration.route.host.clone(), migration.route.port.clone());
        for may_retry in [true, false] {
            let kept = self.links.remove(&target).map(|kept| kept.link);
            let link = kept.map_or_else(|| Link::open(&migration.route), Ok);
            let Ok(mut link) = link else {
                let text = b"IOERR error or timeout connecting to the client";
                return (none(), Err(text.to_vec()));
            };
            let mut confirmed = none();
            match link.send(migration, &mut confirmed) {
                Ok(told) => {
                    self.keep(target, link);
                    return (confirmed, told);
                }
                Err(trouble) if may_retry && trouble.may_retry() => {}
                Err(Trouble { what, told, .. }) => {
                    let text = format!("IOERR error or timeout {what} to target instance");
                    return (confirmed, told.and_then(|()| Err(text.into_bytes())));
                }
            }
        }
        unreachable!("the second turn returns")
    }

    fn keep(&mut self, target: Target, link: Link) {
        if self.links.len() >= LINKS_MAX
            && let Some(oldest) = self.links.iter().min_by_key(|(_, kept)| kept.used_nanos)
        {
            let oldest = oldest.0.clone();
            self.links.remove(&oldest);
        }
        self.links.insert(target, Kept { link, used_nanos: self.node.clock.nanos() });
    }
}
