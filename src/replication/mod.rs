//! Replication without I/O: the log of writes, a master's state of its replicas, and a replica's
//! side of the link to its master.
//!
//! ```text
//! batch      records on their way into the log, each with where it goes
//! file       the append only file as the log's second sink
//! log        the writes as replicas get them, with offsets, ids and the backlog
//! spool      a full resync's RDB bytes, between their producer and their senders
//! feed       sends one replica its next bytes, from one place
//! replica    an attached replica: its identity and its position
//! replicas   all of them, feeding the online ones, and the clients that wait for them (WAIT)
//! timeline   when the log reached which offset
//! link       the handshake with a master and the stream after it, from bytes to events
//! ```
//!
//! Offsets count the bytes of the stream from 0, so an offset is also the number of bytes before
//! it. On the wire PSYNC names the first missing byte counted from 1, which is one more.

mod batch;
mod feed;
mod file;
mod link;
mod log;
mod replica;
mod replicas;
mod spool;
mod timeline;

pub(crate) use batch::{Batch, Target, encode};
pub(crate) use feed::{Outlet, Sent};
pub(crate) use file::{By, RecordTime, Unreleased};
pub(crate) use link::{Hello, Link, LinkError, LinkEvent};
pub(crate) use log::{Ids, Log, Resync};
pub(crate) use replica::{Announced, Filter, Peer, Phase, Replica, ReplicaView};
pub(crate) use replicas::{FeedStats, Replicas, Waiter};
pub(crate) use spool::{Overflow, Spool, Written};
