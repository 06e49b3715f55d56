//! Full resyncs: threads and files. Whether and how is decided in
//! [`engine::full_resync`](crate::engine::full_resync).

pub(super) mod receive;
pub(super) mod send;
mod spool_file;
