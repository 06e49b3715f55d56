//! Serving clients that wait for keys: by whoever changed these, under the same locks.

use super::slow;
use super::write::{Writing, settle};
use crate::commands::blocking::{Served, serve_next};
use crate::commands::effects::{Effects, Ready, Terms};
use crate::commands::{Args, Expired, Keys};
use crate::keyspace::Ticket;
use crate::node::Node;
use crate::node::stats::WorkerStats;
use crate::resp::Output;

/// The circumstances of whoever changed the keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server<'s> {
    pub(super) node: &'s Node,
    pub(super) stats: &'s WorkerStats,
    pub(super) now_ms: i64,
    pub(super) expired: Expired,
    pub(super) terms: Terms,
}

impl<'s> Server<'s> {
    /// For work that no client asked for.
    pub(super) fn background(node: &'s Node) -> Self {
        Self {
            node,
            stats: &node.background,
            now_ms: node.clock.unix_ms(),
            expired: Expired::Remove,
            terms: Terms::of(&node.settings.load()),
        }
    }

    /// Serves the clients that wait for the keys that were changed, and for those that serving
    /// changes. The effects of the change itself have been applied; each service has its own.
    #[cold]
    pub(super) fn serve_ready(self, writing: &mut Writing<'_>, effects: &mut Effects) {
        let mut at = 0;
        let mut ready = effects.take_ready();
        while at < ready.len() {
            let Ready { database, key: bytes, change } = ready[at].clone();
            at += 1;
            let mut from = Ticket::default();
            loop {
                writing.begin(effects, self.terms);
                let mut keys = Keys {
                    locked: writing.locked(),
                    database,
                    now_ms: self.now_ms,
                    touch: true,
                    expired: self.expired,
                    stats: self.stats,
                    effects,
                };
                let key = keys.key(&bytes);
                let began = self.node.clock.nanos();
                let served = serve_next(self.node, &mut keys, key, change, &mut from);
                effects.end_command(database, &Args::new(&[], &[], None), 0);
                settle(self.node, self.stats, effects);
                ready.append(&mut effects.take_ready());
                let Some(Served { wait, reply, failure }) = served else { break };
                let nanos = self.node.clock.nanos().saturating_sub(began);
                slow::served(self.node, self.stats, &wait, nanos);
                if let Some(failure) = failure {
                    self.stats.failed_wait(wait.handle(), &failure.text());
                }
                let mut messages = Output::new(wait.protocol);
                for (key, tracker) in effects.served_invalid.drain(..) {
                    tracker.tell_of_key(&self.node.clients, &key, Some(&mut messages));
                }
                wait.answer(reply, messages);
            }
        }
    }
}
