//! Full resyncs: threads and files. [`engine::full_resync`](crate::engine::full_resync) decides
//! whether and how.

pub(super) mod receive;
pub(super) mod send;
mod spool_file;
