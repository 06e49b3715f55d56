//! Values: what a key can hold. They do not know keys, databases or clients.
//!
//! A small value is packed bytes, which lie in its entry; a large one is an [`Object`]. Views read
//! both alike: [`ValueRef`], with one variant per type. Both are changed through [`Place`], where
//! the value stands: an entry, or an owned [`Value`] that has none yet.
//!
//! Large values consist of nodes behind `Arc`. A clone for a snapshot shares them, and a change
//! copies the few nodes that it meets.

pub(crate) mod allocation;
pub(crate) mod bits;
mod buffer;
mod damage;
pub(crate) mod geo;
pub(crate) mod hash;
pub(crate) mod hashing;
pub(crate) mod hyperloglog;
pub(crate) mod intset;
mod kind;
pub(crate) mod list;
pub(crate) mod listpack;
pub(crate) mod members;
mod object;
pub(crate) mod partial_sort;
mod remains;
pub(crate) mod sorted_set;
pub(crate) mod stream;
mod string;
pub(crate) mod table;
mod value;

#[cfg(test)]
mod against_redis;

pub(crate) use buffer::Buffer;
pub(crate) use damage::Damage;
pub(crate) use kind::{Encoding, Type};
pub(crate) use object::{Freed, Object};
pub(crate) use remains::Remains;
pub(crate) use string::{CHUNK_BYTES, Chunks, StringView};
pub(crate) use value::{Place, Value, ValueRef};

/// Most members that are read ahead of their use at the same time: the processor does not wait for
/// more memory at once.
pub(crate) const FETCHED_MAX: usize = 16;

/// A uniformly random rank below `len`, from one random number; 0 if there is none.
#[inline]
pub(crate) fn uniform(len: usize, random: &mut dyn FnMut() -> u64) -> usize {
    ((u128::from(random()) * len as u128) >> 64) as usize
}
