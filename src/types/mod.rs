//! Values: what a key can hold. They do not know keys, databases or clients.
//!
//! A small value is packed bytes, which lie in its entry; a large one is an [`Object`]. Views read
//! both alike: [`ValueRef`], with one variant per type. Both are changed through [`Place`], where
//! the value stands: an entry, or an owned [`Value`] that has none yet.
//!
//! Large values consist of nodes behind `Arc`. A clone for a snapshot shares them, and a change
//! copies the few nodes that it meets.

mod buffer;
mod damage;
pub(crate) mod hashing;
pub(crate) mod intset;
mod kind;
pub(crate) mod listpack;
mod object;
mod string;
mod value;

pub(crate) use buffer::Buffer;
pub(crate) use damage::Damage;
pub(crate) use kind::{Encoding, Type};
pub(crate) use object::{Freed, Object};
pub(crate) use string::{CHUNK_BYTES, Chunks, StringView};
pub(crate) use value::{Place, Value, ValueRef};
