//! Replication without I/O: the one log of writes, what a master keeps of its replicas, and a
//! replica's side of the link to its master.
//!
//! ```text
//! log        the writes as replicas get them, with offsets, ids and the backlog
//! spool      a full resync's RDB bytes, between who makes them and who sends them
//! feed       what one replica gets next, and the one place from which it is sent
//! replica    an attached replica: who it is, how far it is
//! replicas   all of them, the feeding of those online, and who waits for them (WAIT)
//! timeline   when the log had which offset
//! link       the handshake with a master and what follows it, from bytes to events
//! ```
//!
//! Offsets count the bytes of the stream from 0, so an offset is also the number of bytes before
//! it. On the wire PSYNC names the first missing byte counted from 1, which is one more.

mod feed;
mod link;
mod log;
mod replica;
mod replicas;
mod spool;
mod timeline;

pub(crate) use feed::{Outlet, Sent};
pub(crate) use link::{Hello, Link, LinkError, LinkEvent};
pub(crate) use log::{Batch, Ids, Log, Resync};
pub(crate) use replica::{Announced, Peer, Phase, Replica, ReplicaView};
pub(crate) use replicas::{FeedStats, Replicas, Waiter};
pub(crate) use spool::{Overflow, Spool, Written};
