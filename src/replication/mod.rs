//! Replication without I/O: the one log of writes.

mod log;

pub(crate) use log::{Batch, Log};
