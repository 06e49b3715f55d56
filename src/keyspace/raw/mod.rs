//! The unsafe layer of the keyspace: entries, the slot table, reclamation and the shard cell.
//!
//! Everything of the keyspace that needs `unsafe` lives in this folder, behind safe interfaces:
//! - [`entry`]: one key with its value in one allocation;
//! - [`table`]: the slots that find an entry by its hash, readable without a lock for prefetching;
//! - [`reclaim`]: when memory that an unlocked reader may still access can be freed;
//! - [`lock`] and [`shard`]: state that only the holder of a shard's lock may touch.
//!
//! Each block says why it is sound. The folder runs under AddressSanitizer, and the unlocked
//! reads are modelled with loom (`--cfg limpid_loom`).
#![allow(
    unsafe_code,
    reason = "manual layout of entries and lock-free prefetch; see the module doc"
)]

pub(super) mod entry;
mod lock;
pub(super) mod reclaim;
pub(super) mod shard;
pub(super) mod table;

#[cfg(all(test, limpid_loom))]
mod model;
mod sync;
