//! Values in the format, a file per type: all the forms that are read, and the one that is written.
//! `decode` and `encode` handle the strings that they consist of.

mod hash;
mod list;
mod set;
mod sorted_set;
mod stream;

use std::io::{self, Read, Write};

use super::decode::Decoder;
use super::encode::Encoder;
use super::error::Error;
use super::format::type_code;
use crate::limits::Collections;
use crate::types::{Value, ValueRef};

/// Reads the value of a type; `None`, with nothing read, if the type is not supported. Collections
/// are kept as `limits` have it, whatever form they were written in.
pub(super) fn read<R: Read>(
    decoder: &mut Decoder<R>,
    code: u8,
    limits: &Collections,
) -> Result<Option<Value>, Error> {
    match code {
        type_code::STRING => decoder.string().map(Value::String),
        type_code::LIST
        | type_code::LIST_ZIPLIST
        | type_code::LIST_QUICKLIST
        | type_code::LIST_QUICKLIST_2 => list::read(decoder, code, limits),
        type_code::SET => set::read(decoder, limits),
        type_code::SET_INTSET => set::read_intset(decoder, limits),
        type_code::SET_LISTPACK => set::read_listpack(decoder, limits),
        type_code::SORTED_SET
        | type_code::SORTED_SET_2
        | type_code::SORTED_SET_ZIPLIST
        | type_code::SORTED_SET_LISTPACK => sorted_set::read(decoder, code, limits),
        type_code::STREAM_LISTPACKS
        | type_code::STREAM_LISTPACKS_2
        | type_code::STREAM_LISTPACKS_3 => stream::read(decoder, code),
        type_code::HASH
        | type_code::HASH_ZIPMAP
        | type_code::HASH_ZIPLIST
        | type_code::HASH_LISTPACK
        | type_code::HASH_2
        | type_code::HASH_METADATA
        | type_code::HASH_LISTPACK_EX => hash::read(decoder, code, limits),
        _ => return Ok(None),
    }
    .map(Some)
}

/// The type code under which [`write()`] writes this value.
pub(super) fn type_code(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::String(_) => type_code::STRING,
        ValueRef::List(_) => type_code::LIST_QUICKLIST_2,
        ValueRef::SortedSet(set) => sorted_set::type_code(set),
        ValueRef::Set(set) => set::type_code(set),
        ValueRef::Stream(_) => type_code::STREAM_LISTPACKS_2,
        ValueRef::Hash(hash) => hash::type_code(hash),
    }
}

/// Writes a value without its type.
pub(super) fn write<W: Write>(encoder: &mut Encoder<W>, value: ValueRef<'_>) -> io::Result<()> {
    match value {
        ValueRef::String(string) => encoder.string(string),
        ValueRef::List(list) => list::write(encoder, list),
        ValueRef::SortedSet(set) => sorted_set::write(encoder, set),
        ValueRef::Set(set) => set::write(encoder, set),
        ValueRef::Stream(stream) => stream::write(encoder, stream),
        ValueRef::Hash(hash) => hash::write(encoder, hash),
    }
}
