//! The end of a wait: a client in WAIT is answered when replicas have its writes, one in WAITAOF when
//! disks have them, one in BLPOP when it was served; each, when its time is up or somebody else ends it.

use std::sync::Arc;

use super::{Executor, request};
use crate::commands::blocking::KeyWait;
use crate::keyspace::Waiter;
use crate::node::Node;
use crate::node::client::{Client, Waiting, WaitsFor};
use crate::node::file::DiskWait;
use crate::node::migration::Migration;
use crate::node::stats::WorkerStats;
use crate::resp::Output;

const CHANGED_ROLE: &[u8] = b"UNBLOCKED force unblock from blocking operation, instance state \
changed (master -> replica?)";
const UNBLOCKED: &[u8] = b"UNBLOCKED client unblocked via CLIENT UNBLOCK";

impl Executor {
    /// Ends a client's wait if it is over, and answers the client. False if it still waits.
    pub(crate) fn answer_waiting(&mut self, client: &mut Client) -> bool {
        let Some(waiting) = client.waiting.take() else { return true };
        let engine = Arc::clone(&self.engine);
        let node = &*engine.node;
        let stats = &node.workers[self.index];
        self.output.begin(client.protocol);
        let start = self.output.bookmark();
        let mut messages = None;
        let over = match &waiting.what {
            WaitsFor::Shutdown => {
                let over = !node.shutdown.is_some();
                if over {
                    self.output.error(b"ERR Errors trying to SHUTDOWN. Check logs.");
                    node.shutdown.remove_client();
                }
                over
            }
            WaitsFor::Replicas { offset, needed } => {
                answer_wait(node, stats, client, &mut self.output, &waiting, (*offset, *needed))
            }
            WaitsFor::Disks(wait) => {
                answer_disk_wait(node, stats, client, &mut self.output, &waiting, *wait)
            }
            WaitsFor::Migration(migration) => {
                let over = answer_migration(stats, client, &mut self.output, migration);
                if over {
                    client.write_offset = node.log.offset();
                }
                over
            }
            WaitsFor::FileLoad(load) => {
                if load.is_done() {
                    self.output.ok();
                }
                load.is_done()
            }
            WaitsFor::Keys(waiter) => {
                let output = &mut self.output;
                let over =
                    answer_key_wait(node, stats, client, (output, &mut messages), &waiting, waiter);
                if over {
                    client.write_offset = node.log.offset();
                }
                over
            }
        };
        if over {
            request::apply_reply_mode(client, &mut self.output, start);
            if let Some(messages) = messages {
                self.output.append(&messages);
            }
            client.publish();
        } else {
            client.waiting = Some(waiting);
        }
        over
    }
}

/// Forgets what a client waits for, when it leaves.
pub(crate) fn forget_wait(node: &Node, client: &mut Client) {
    match client.waiting.take().map(|waiting| waiting.what) {
        Some(WaitsFor::Keys(waiter)) => {
            let wait = KeyWait::of(waiter);
            // Nobody may serve it any more. Whoever has, served nobody.
            wait.claim();
            wait.forget(node);
        }
        Some(WaitsFor::Replicas { .. } | WaitsFor::Disks(_)) => {
            node.replication.replicas.stop_waiting(client.handle.origin.id);
        }
        Some(WaitsFor::Shutdown) => node.shutdown.remove_client(),
        // What was sent is still removed here.
        Some(WaitsFor::Migration(_) | WaitsFor::FileLoad(_)) => {}
        None => {}
    }
}

/// Answers a client that waits with an error.
fn end_with_error(stats: &WorkerStats, client: &Client, output: &mut Output, text: &[u8]) {
    output.error(text);
    stats.failed_wait(&client.handle, text);
}

/// Ends a wait for replicas that somebody else ends: a change of role, or CLIENT UNBLOCK, at which the
/// client gets the `reply` as it is by now. False if nobody does.
fn end_early(
    node: &Node,
    stats: &WorkerStats,
    client: &mut Client,
    output: &mut Output,
    waiting: &Waiting,
    reply: impl FnOnce(&mut Output),
) -> bool {
    if waiting.generation != node.replication.generation() {
        end_with_error(stats, client, output, CHANGED_ROLE);
        client.closing = true;
        return true;
    }
    match client.handle.take_unblocked() {
        Some(true) => end_with_error(stats, client, output, UNBLOCKED),
        Some(false) => reply(output),
        None => return false,
    }
    true
}

/// Whether a wait is over, `met` or by its time, which is recorded then.
fn is_over(node: &Node, waiting: &Waiting, met: bool) -> bool {
    let timed_out = waiting.deadline_ms.is_some_and(|at| at <= node.clock.unix_ms());
    if met || timed_out {
        let waits = if met { &node.stats.waits_met } else { &node.stats.waits_timed_out };
        waits.observe(node.clock.nanos().saturating_sub(waiting.began_nanos));
    }
    met || timed_out
}

/// A client in WAIT for so many replicas that have an offset.
fn answer_wait(
    node: &Node,
    stats: &WorkerStats,
    client: &mut Client,
    output: &mut Output,
    waiting: &Waiting,
    (offset, needed): (u64, usize),
) -> bool {
    let acknowledged = node.replication.replicas.acknowledged(offset);
    let reply = |output: &mut Output| output.count(acknowledged);
    if !end_early(node, stats, client, output, waiting, reply) {
        if !is_over(node, waiting, acknowledged >= needed) {
            return false;
        }
        reply(output);
    }
    node.replication.replicas.stop_waiting(client.handle.origin.id);
    true
}

/// A client in WAITAOF.
fn answer_disk_wait(
    node: &Node,
    stats: &WorkerStats,
    client: &mut Client,
    output: &mut Output,
    waiting: &Waiting,
    wait: DiskWait,
) -> bool {
    let (here, there) = wait.met(node);
    let reply = |output: &mut Output| {
        output.array(2);
        output.integer(here.into());
        output.count(there);
    };
    if !end_early(node, stats, client, output, waiting, reply) {
        if wait.local && !node.settings.load().aof.enabled {
            let text = format!("ERR {}", DiskWait::NO_FILE);
            end_with_error(stats, client, output, text.as_bytes());
        } else if is_over(node, waiting, wait.is_over((here, there))) {
            reply(output);
        } else {
            return false;
        }
    }
    node.replication.replicas.stop_waiting(client.handle.origin.id);
    true
}

/// A client whose keys are sent elsewhere.
fn answer_migration(
    stats: &WorkerStats,
    client: &Client,
    output: &mut Output,
    migration: &Migration,
) -> bool {
    // CLIENT UNBLOCK does not end it.
    client.handle.take_unblocked();
    match migration.take_outcome() {
        None => false,
        Some(Ok(())) => {
            output.ok();
            true
        }
        Some(Err(text)) => {
            end_with_error(stats, client, output, &text);
            true
        }
    }
}

/// A client that waits for keys.
fn answer_key_wait(
    node: &Node,
    stats: &WorkerStats,
    client: &mut Client,
    (output, messages): (&mut Output, &mut Option<Output>),
    waiting: &Waiting,
    waiter: &Arc<dyn Waiter>,
) -> bool {
    let wait = KeyWait::of(Arc::clone(waiter));
    if let Some((reply, after)) = wait.take_reply() {
        output.append(&reply);
        *messages = Some(after);
    } else if let Some(error) = client.handle.take_unblocked() {
        // Whoever asked for it has claimed the wait.
        if error {
            end_with_error(stats, client, output, UNBLOCKED);
        } else {
            wait.nothing(output);
        }
    } else if wait.is_of_another_role(node) {
        if !wait.claim() {
            return false;
        }
        end_with_error(stats, client, output, CHANGED_ROLE);
        client.closing = true;
    } else if waiting.deadline_ms.is_some_and(|at| at <= node.clock.unix_ms()) {
        if !wait.claim() {
            return false;
        }
        wait.nothing(output);
    } else {
        return false;
    }
    wait.forget(node);
    true
}
