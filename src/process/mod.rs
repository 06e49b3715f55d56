//! The process towards its operating system: title, terminal, supervisor, limits. Knows no setting
//! and no engine, logs nothing.
//!
//! All `unsafe` of this module is in [`raw`].

pub(crate) mod daemon;
pub(crate) mod huge_pages;
pub(crate) mod limits;
pub(crate) mod oom;
mod raw;
pub(crate) mod supervisor;
pub(crate) mod title;

pub(crate) use raw::{
    allocator_cached_bytes, duplicate, end_forked, fork_beside_threads, purge_allocator,
};
