//! The append only file: records of writes on the disk, in several parts, as Redis 7 keeps them.
//!
//! A leaf: it knows no keys and no commands, only bytes, files and their order. [`Aof`] is what the
//! server holds; [`Writer`] is the thread that writes.
//!
//! ```text
//! files, host     what lies below and around: the disk, time, the log; traits
//! manifest        which files hold the data; text only
//! folder          the manifest on the disk; the order in which names reach it
//! gather          group commit under `always`
//! pace            how quick writes are
//! queue           records between the log and the writer
//! writer          writes, syncs, switches files; one step at a time
//! handle          append, wait, turn on and off, readings
//! rewrite         a new base beside the writes; when it is due
//! loader          back in
//! ```
//!
//! # Promises
//!
//! - What [`Aof::released`] covers under `always` survives a power cut. Under `everysec`, a power cut
//!   costs at most what two seconds wrote, however slow the disk is, if writers heed
//!   [`Aof::must_wait`].
//! - What it covers under the other policies survives a kill of the process, unless it says that
//!   nothing needs to wait since the file fails.
//! - Records come back in their order, and without a gap: at most the last ones are missing, with
//!   the last cut short.
//! - At every moment the manifest on the disk lists complete files; only the last may end early.

mod files;
mod folder;
mod gather;
mod handle;
mod host;
mod loader;
mod manifest;
mod pace;
mod queue;
mod rewrite;
mod rewrite_rule;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use files::{Barrier, FileSystem, Files, InFile, Kind, OutFile};
pub(crate) use folder::Place;
pub(crate) use handle::{Aof, Mode, Options, Policy, Readings};
pub(crate) use host::{Host, Level, Progress, State, Timed};
pub(crate) use loader::{LoadOptions, RdbPart, Receiver, Refusal};
pub(crate) use manifest::Format;
pub(crate) use rewrite::{Prepared, Purpose, Rewrite, RewriteOptions};
pub(crate) use rewrite_rule::{Limited, RewriteLimit, RewriteRule};
pub(crate) use writer::{Took, Writer};

/// The annotation of the records that follow (`aof-timestamp-enabled`): a Unix time in seconds.
pub(crate) fn timestamp(unix_s: i64) -> String {
    format!("#TS:{unix_s}\r\n")
}
