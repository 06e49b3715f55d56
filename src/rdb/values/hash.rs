//! Hashes: read from pairs of strings (type 4), zipmaps (9), ziplists (13), listpacks (16), and from
//! the forms of later servers whose fields may expire (22, 24, 25), as long as none does. Written as
//! a listpack or as pairs.

use std::io::{self, Read, Write};

use crate::limits::Collections;
use crate::rdb::decode::Decoder;
use crate::rdb::encode::Encoder;
use crate::rdb::error::{Error, ErrorKind};
use crate::rdb::format::type_code;
use crate::rdb::legacy;
use crate::types::hash::{HashRef, Inserted, PACK_BYTES_MAX};
use crate::types::listpack::{self, Item, Listpack};
use crate::types::table::{FieldTable, MemberTable};
use crate::types::{Damage, Encoding, Object, Value};

const TWICE: ErrorKind = ErrorKind::BadCollection("a hash that has a field twice");
const NO_VALUE: ErrorKind = ErrorKind::BadCollection("a hash with a field that has no value");

/// Up to so many fields, a search through those behind each one finds a double fastest.
const SEARCHED_MAX: usize = 32;

/// The expiry of a field that has none, in type 22.
const NO_EXPIRY_MS: i64 = -1;

/// Reads a hash of one of the types above.
pub(super) fn read<R: Read>(
    decoder: &mut Decoder<R>,
    code: u8,
    limits: &Collections,
) -> Result<Value, Error> {
    let offset = decoder.position();
    let value = match code {
        type_code::HASH => return pairs(decoder, limits, Expiries::None),
        type_code::HASH_2 => return pairs(decoder, limits, Expiries::Behind),
        type_code::HASH_METADATA => {
            let _least_ms: [u8; 8] = decoder.array()?;
            return pairs(decoder, limits, Expiries::Before);
        }
        type_code::HASH_ZIPMAP => of_zipmap(&decoder.string()?, limits),
        type_code::HASH_ZIPLIST => of_ziplist(&decoder.string()?, limits),
        type_code::HASH_LISTPACK_EX => {
            let _least_ms: [u8; 8] = decoder.array()?;
            of_triples(&decoder.string()?, limits)
        }
        _ => of_listpack(decoder.string()?, limits),
    };
    value.map_err(|kind| Error::new(offset, kind))
}

/// Where a field's expiry stands among the pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiries {
    None,
    /// Before the field: a length, 0 for none.
    Before,
    /// Behind the value: milliseconds.
    Behind,
}

fn pairs<R: Read>(
    decoder: &mut Decoder<R>,
    limits: &Collections,
    expiries: Expiries,
) -> Result<Value, Error> {
    let offset = decoder.position();
    let len = decoder.length()?;
    let mut hash = Pairs::new(len, limits);
    for _ in 0..len {
        let at = decoder.position();
        let mut expires = expiries == Expiries::Before && decoder.length()? != 0;
        let (field, value) = (decoder.string()?, decoder.string()?);
        if expiries == Expiries::Behind {
            expires = i64::from_le_bytes(decoder.array()?) != NO_EXPIRY_MS;
        }
        if expires {
            return Err(Error::new(at, ErrorKind::ExpiringFields));
        }
        hash.push(&field, &value).map_err(|kind| Error::new(at, kind))?;
    }
    hash.finish().map_err(|kind| Error::new(offset, kind))
}

/// A hash that is read pair by pair.
enum Pairs<'l> {
    /// Whether a field stands twice is looked at when all are there.
    Packed(Vec<u8>, &'l Collections),
    Table(FieldTable),
}

impl<'l> Pairs<'l> {
    /// Made ready for `len` fields, as far as that can be trusted.
    fn new(len: u64, limits: &'l Collections) -> Self {
        if len > limits.hash_pack_entries_max {
            Self::Table(FieldTable::with_capacity(usize::try_from(len).unwrap_or(usize::MAX)))
        } else {
            Self::Packed(listpack::EMPTY.to_vec(), limits)
        }
    }

    fn push(&mut self, field: &[u8], value: &[u8]) -> Result<(), ErrorKind> {
        if let Self::Packed(pack, limits) = self {
            let most = usize::try_from(limits.hash_pack_value_bytes_max).unwrap_or(usize::MAX);
            let total = pack.len().saturating_add(field.len()).saturating_add(value.len());
            if field.len() <= most && value.len() <= most && total <= PACK_BYTES_MAX {
                listpack::push_back(pack, field);
                listpack::push_back(pack, value);
                return Ok(());
            }
            *self = Self::Table(table(Listpack::new(pack))?);
        }
        match self {
            Self::Table(table) => insert(table, field, value),
            Self::Packed(..) => Ok(()),
        }
    }

    fn finish(self) -> Result<Value, ErrorKind> {
        match self {
            Self::Packed(pack, limits) => of_pack(pack, limits),
            Self::Table(table) => Ok(Value::Object(Box::new(Object::Hash(table)))),
        }
    }
}

fn insert(table: &mut FieldTable, field: &[u8], value: &[u8]) -> Result<(), ErrorKind> {
    match table.insert(field, value) {
        Inserted::New => Ok(()),
        Inserted::Replaced => Err(TWICE),
    }
}

/// The table of a valid listpack's pairs.
fn table(pack: Listpack<'_>) -> Result<FieldTable, ErrorKind> {
    let hash = HashRef::Packed(pack);
    let mut table = FieldTable::with_capacity(hash.len());
    for (field, value) in hash.iter() {
        field.with_bytes(|field| value.with_bytes(|value| insert(&mut table, field, value)))?;
    }
    Ok(table)
}

/// The hash of a valid listpack of pairs. The lengths of what it holds do not matter, as in Redis.
fn of_pack(pack: Vec<u8>, limits: &Collections) -> Result<Value, ErrorKind> {
    let view = Listpack::new(&pack);
    let fields = HashRef::Packed(view).len();
    if fields == 0 {
        return Err(ErrorKind::EmptyCollection);
    }
    if u64::try_from(fields).unwrap_or(u64::MAX) > limits.hash_pack_entries_max {
        return Ok(Value::Object(Box::new(Object::Hash(table(view)?))));
    }
    if has_twice(view, fields) {
        return Err(TWICE);
    }
    Ok(Value::Packed(Encoding::HashPack, pack))
}

/// Whether a field stands twice; in a sorted set's listpack, a member.
pub(super) fn has_twice(pack: Listpack<'_>, fields: usize) -> bool {
    let mut items = pack.iter().step_by(2);
    if fields > SEARCHED_MAX {
        let mut seen = MemberTable::with_capacity(fields);
        return items.any(|(_, field)| !field.with_bytes(|field| seen.insert(field)));
    }
    items.any(|(offset, field)| {
        let behind = pack.next(offset).and_then(|value| pack.next(value));
        behind.is_some_and(|behind| {
            field.with_bytes(|field| pack.find_from(behind, field, 1)).is_some()
        })
    })
}

fn of_listpack(pack: Vec<u8>, limits: &Collections) -> Result<Value, ErrorKind> {
    if !checked(&pack)?.is_multiple_of(2) {
        return Err(NO_VALUE);
    }
    of_pack(pack, limits)
}

/// Validates a listpack; returns the number of its elements.
fn checked(pack: &[u8]) -> Result<usize, ErrorKind> {
    Listpack::check(pack).map_err(|damage| damaged("Hash listpack", damage))
}

fn damaged(form: &'static str, damage: Damage) -> ErrorKind {
    ErrorKind::DamagedValue { form, damage }
}

/// A listpack of fields, values and expiries in milliseconds, 0 for none.
fn of_triples(triples: &[u8], limits: &Collections) -> Result<Value, ErrorKind> {
    if !checked(triples)?.is_multiple_of(3) {
        return Err(NO_VALUE);
    }
    let mut pack = listpack::EMPTY.to_vec();
    let mut items = Listpack::new(triples).iter().map(|(_, item)| item);
    while let (Some(field), Some(value), Some(expiry)) = (items.next(), items.next(), items.next())
    {
        if expiry != Item::Int(0) {
            return Err(ErrorKind::ExpiringFields);
        }
        listpack::push_back_item(&mut pack, field);
        listpack::push_back_item(&mut pack, value);
    }
    of_pack(pack, limits)
}

fn of_ziplist(blob: &[u8], limits: &Collections) -> Result<Value, ErrorKind> {
    let items = legacy::ziplist_items(blob).map_err(|damage| damaged("Hash ziplist", damage))?;
    if !items.len().is_multiple_of(2) {
        return Err(NO_VALUE);
    }
    of_pack(legacy::listpack_of(items), limits)
}

fn of_zipmap(blob: &[u8], limits: &Collections) -> Result<Value, ErrorKind> {
    let items = legacy::zipmap_items(blob).map_err(|damage| damaged("Zipmap", damage))?;
    let mut hash = Pairs::new(u64::try_from(items.len()).unwrap_or(u64::MAX), limits);
    for (field, value) in items {
        hash.push(field, value)?;
    }
    hash.finish()
}

/// The type code under which [`write()`] writes this hash.
pub(super) fn type_code(hash: HashRef<'_>) -> u8 {
    match hash {
        HashRef::Packed(_) => type_code::HASH_LISTPACK,
        HashRef::Table(_) => type_code::HASH,
    }
}

/// Writes a hash without its type.
pub(super) fn write<W: Write>(encoder: &mut Encoder<W>, hash: HashRef<'_>) -> io::Result<()> {
    let table = match hash {
        HashRef::Packed(pack) => return encoder.bytes(pack.as_bytes()),
        HashRef::Table(table) => table,
    };
    encoder.length(u64::try_from(table.len()).unwrap_or(u64::MAX))?;
    for (field, value) in table.iter() {
        encoder.bytes(field)?;
        encoder.bytes(value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
