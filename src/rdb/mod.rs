//! The RDB file format: what Redis writes to `dump.rdb`, sends at a full resync and returns from
//! DUMP. Owns the bytes of the format over [`std::io::Read`] and [`std::io::Write`]; opens no file
//! or socket and reads no clock.
//!
//! The format is that of Redis's `rdb.c` and `rdb.h`. Reads versions 1 to 12 (Redis up to 8.0) and
//! 80 (Valkey 9); writes version 10 (Redis 7.0).
//!
//! ```text
//! reader    a stream → items: keys, databases, aux fields     writer    items → a stream
//! payload   DUMP and RESTORE: one value without a key, with its own footer
//! values    a file per type: its forms in the format → a value, and back
//! decode    bytes → lengths, strings                          encode    lengths, strings → bytes
//! format    opcodes, type codes and their names
//! legacy    packed forms before 7.0                           crc64     the checksum
//! keyspace  entries as they are written
//! ```
//!
//! Input is untrusted: a file, or what a client passes to RESTORE. Any length may be false. No
//! input panics, and none makes the reader allocate out of proportion to the bytes that arrived.
// Code on untrusted bytes never indexes, truncates or adds unchecked. Tests may; the lints still
// run over everything else when the library is checked without them.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::arithmetic_side_effects
    )
)]

mod attributes;
mod crc64;
mod decode;
mod encode;
mod error;
mod format;
mod keyspace;
mod legacy;
mod payload;
mod reader;
mod values;
mod writer;

pub(crate) use attributes::Attributes;
pub(crate) use keyspace::EntryWriter;

pub(crate) use payload::{PayloadChecksum, dump, dump_libraries, restore, restore_libraries};
pub(crate) use reader::{Item, KeyRecord, ReadOptions, Reader};
pub(crate) use writer::{WriteOptions, Writer};
