//! Lists: read from strings (type 1), a ziplist (10), and nodes that are ziplists (14) or listpacks
//! and lone elements (18); written as the last.

use std::io::{self, Read, Write};

use crate::limits::Collections;
use crate::rdb::decode::Decoder;
use crate::rdb::encode::Encoder;
use crate::rdb::error::{Error, ErrorKind};
use crate::rdb::format::type_code;
use crate::rdb::legacy;
use crate::types::list::{Container, Limits, List, ListRef, PACK_BYTES_MAX, PackedList, Stored};
use crate::types::listpack::Listpack;
use crate::types::{Damage, Encoding, Object, Value};

/// Redis's numbers of the containers of a node.
const PLAIN: u64 = 1;
const PACKED: u64 = 2;

/// Reads a list of one of the types above.
pub(super) fn read<R: Read>(
    decoder: &mut Decoder<R>,
    code: u8,
    limits: &Collections,
) -> Result<Value, Error> {
    let depth = usize::try_from(limits.list_compress_depth).unwrap_or(usize::MAX);
    let limits = Limits::new(i64::from(limits.list_node_size), depth);
    let offset = decoder.position();
    let value = match code {
        type_code::LIST => elements(decoder, limits)?,
        type_code::LIST_ZIPLIST => of_ziplist(decoder, limits)?,
        _ => nodes(decoder, code, limits)?,
    };
    value.ok_or_else(|| Error::new(offset, ErrorKind::EmptyCollection))
}

/// As many strings as a length says.
fn elements<R: Read>(decoder: &mut Decoder<R>, limits: Limits) -> Result<Option<Value>, Error> {
    let mut list = List::new(limits);
    for _ in 0..decoder.length()? {
        list.push_back(&decoder.string()?);
    }
    Ok(value(list))
}

/// A ziplist, whose elements are divided anew.
fn of_ziplist<R: Read>(decoder: &mut Decoder<R>, limits: Limits) -> Result<Option<Value>, Error> {
    let offset = decoder.position();
    let bytes = decoder.string()?;
    let items =
        legacy::ziplist_items(&bytes).map_err(|damage| damaged(offset, "List ziplist", damage))?;
    let mut list = List::new(limits);
    for item in items {
        item.with_bytes(|element| list.push_back(element));
    }
    Ok(value(list))
}

/// Nodes, which stay as they are.
fn nodes<R: Read>(
    decoder: &mut Decoder<R>,
    code: u8,
    limits: Limits,
) -> Result<Option<Value>, Error> {
    let mut list = List::new(limits);
    let count = decoder.length()?;
    for _ in 0..count {
        let offset = decoder.position();
        let container = match code {
            type_code::LIST_QUICKLIST => PACKED,
            _ => decoder.length()?,
        };
        let at = decoder.position();
        let (bytes, container) = match container {
            PLAIN => (decoder.string()?, Container::Plain),
            PACKED => (listpack(decoder, code)?, Container::Packed),
            _ => return Err(Error::new(offset, ErrorKind::BadCollection(NO_CONTAINER))),
        };
        if bytes.is_empty() {
            return Err(Error::new(at, ErrorKind::BadCollection(EMPTY_NODE)));
        }
        if count == 1 && container == Container::Packed && bytes.len() <= PACK_BYTES_MAX {
            let is_empty = Listpack::new(&bytes).is_empty();
            return Ok((!is_empty).then(|| packed(bytes, limits)));
        }
        list.push_node(bytes, container);
    }
    Ok(value(list))
}

const NO_CONTAINER: &str = "a list with a node that is neither a listpack nor an element";
const EMPTY_NODE: &str = "a list with a node without bytes";

/// The listpack of a node, whichever form it was written in.
fn listpack<R: Read>(decoder: &mut Decoder<R>, code: u8) -> Result<Vec<u8>, Error> {
    let offset = decoder.position();
    let bytes = decoder.string()?;
    if code == type_code::LIST_QUICKLIST {
        let items =
            legacy::ziplist_items(&bytes).map_err(|damage| damaged(offset, "Ziplist", damage))?;
        return Ok(legacy::listpack_of(items));
    }
    match Listpack::check(&bytes) {
        Ok(_) => Ok(bytes),
        Err(damage) => Err(damaged(offset, "Listpack", damage)),
    }
}

fn damaged(offset: u64, form: &'static str, damage: Damage) -> Error {
    Error::new(offset, ErrorKind::DamagedValue { form, damage })
}

/// The list as it is kept; `None` if it has no elements.
fn value(list: List) -> Option<Value> {
    if list.is_empty() {
        return None;
    }
    let pack = list.only_pack().filter(|pack| pack.bytes_len() <= PACK_BYTES_MAX);
    Some(match pack {
        Some(pack) => packed(pack.as_bytes().to_vec(), list.limits()),
        None => Value::Object(Box::new(Object::List(list))),
    })
}

fn packed(pack: Vec<u8>, limits: Limits) -> Value {
    Value::Packed(Encoding::ListPack, PackedList::made(pack, limits))
}

/// Writes a list without its type.
pub(super) fn write<W: Write>(encoder: &mut Encoder<W>, list: ListRef<'_>) -> io::Result<()> {
    encoder.length(u64::try_from(list.node_count()).unwrap_or(u64::MAX))?;
    for (container, stored) in list.nodes() {
        encoder.length(match container {
            Container::Plain => PLAIN,
            Container::Packed => PACKED,
        })?;
        match stored {
            Stored::Raw(bytes) => encoder.bytes(bytes)?,
            Stored::Compressed(bytes, expanded_bytes) => encoder.lzf(bytes, expanded_bytes)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
