//! The one path of a request: parse → resolve → admission → locks → handler → effects → reply.
//!
//! Each worker has an [`Executor`], which runs batches of requests to completion on the worker's
//! thread; nothing blocks here. All executors share the [`Engine`].

mod admission;
pub(crate) mod aof_load;
pub(crate) mod aof_save;
mod apply;
mod batch;
mod call;
mod caller;
mod declared;
mod durable;
mod evict;
pub(crate) mod follow;
pub(crate) mod full_resync;
pub(crate) mod key_delay;
mod migrate;
mod monitor;
mod observe;
mod permission;
pub(crate) mod rdb_load;
pub(crate) mod rdb_save;
mod request;
mod script;
mod serve;
mod slow;
mod sweep;
mod tracking;
mod transaction;
#[cfg(test)]
mod transcript;
mod waiting;
mod write;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use apply::{Applier, ApplyError};
pub(crate) use batch::After;
pub(crate) use evict::go_on as go_on_evicting;
pub(crate) use migrate::remove_confirmed;
pub(crate) use sweep::Sweeper;
pub(crate) use tracking::fit_in_background;
pub(crate) use waiting::forget_wait;

use crate::commands::effects::Effects;
use crate::commands::registry::Registry;
use crate::commands::{Command, Random};
use crate::node::Node;
use crate::resp::{Output, Span};

/// A node with its commands.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) node: Arc<Node>,
    pub(crate) registry: Registry,
    evictor: evict::Evictor,
}

impl Engine {
    pub(crate) fn new(node: Arc<Node>, registry: Registry) -> Self {
        Self { node, registry, evictor: evict::Evictor::default() }
    }
}

/// Every row: those of commands and the engine's own.
pub(crate) fn rows() -> impl Iterator<Item = &'static Command> {
    crate::commands::all()
}

/// Runs requests on one worker.
#[derive(Debug)]
pub(crate) struct Executor {
    engine: Arc<Engine>,
    /// The worker's number: selects its statistics and its reader of the keyspace.
    index: usize,
    scratch: Scratch,
    /// Replies of the batch, to be written before the next one runs.
    pub(crate) output: Output,
    /// Database and hash of the key that was announced last.
    announced: Option<(usize, u64)>,
    /// When the last batch began and ended, as the clock's [`nanos`](crate::node::host::Clock::nanos).
    pub(crate) batch_nanos: (u64, u64),
}

/// Buffers that the commands of a batch use one after the other.
#[derive(Debug)]
struct Scratch {
    effects: Effects,
    random: Random,
    requests: Vec<batch::Pending>,
    spans: Vec<Span>,
    /// Arguments of inline requests, unquoted.
    inline: Vec<u8>,
}

impl Executor {
    /// The executor of worker `index`; `seed` is for commands that pick randomly.
    pub(crate) fn new(engine: Arc<Engine>, index: usize, seed: u64) -> Self {
        Self {
            engine,
            index,
            scratch: Scratch {
                effects: Effects::default(),
                random: Random::new(seed),
                requests: Vec::new(),
                spans: Vec::new(),
                inline: Vec::new(),
            },
            output: Output::default(),
            announced: None,
            batch_nanos: (0, 0),
        }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}
