//! Sets: members one by one (type 2), an intset (type 11), and Redis 7.2's listpack (type 20).
//! Written as Redis 7.0 writes them: an intset as it is, all else member by member.

use std::io::{self, Read, Write};

use crate::rdb::decode::Decoder;
use crate::rdb::encode::Encoder;
use crate::rdb::error::{Error, ErrorKind};
use crate::rdb::format::type_code;
use crate::settings::Collections;
use crate::types::intset::Intset;
use crate::types::listpack::{Item, Listpack};
use crate::types::members::{self, SetRef};
use crate::types::{Damage, Encoding, StringView, Value};

/// A set being read.
struct Builder<'l> {
    set: Value,
    limits: &'l Collections,
    offset: u64,
}

impl<'l> Builder<'l> {
    /// For a set that claims so many members and was found at `offset`.
    fn new(len: u64, limits: &'l Collections, offset: u64) -> Self {
        Self { set: members::empty_for(len, limits), limits, offset }
    }

    fn add(&mut self, member: &[u8]) -> Result<(), Error> {
        if members::add(&mut self.set, member, self.limits) {
            return Ok(());
        }
        Err(Error::new(self.offset, ErrorKind::BadCollection("a set with a member twice")))
    }
}

/// Reads a set that is stored member by member.
pub(super) fn read<R: Read>(
    decoder: &mut Decoder<R>,
    limits: &Collections,
) -> Result<Value, Error> {
    let offset = decoder.position();
    let len = decoder.length()?;
    if len == 0 {
        return Err(Error::new(offset, ErrorKind::EmptyCollection));
    }
    let mut builder = Builder::new(len, limits, offset);
    for _ in 0..len {
        builder.add(&decoder.string()?)?;
    }
    Ok(builder.set)
}

/// Reads an intset.
pub(super) fn read_intset<R: Read>(
    decoder: &mut Decoder<R>,
    limits: &Collections,
) -> Result<Value, Error> {
    let offset = decoder.position();
    let bytes = decoder.string()?;
    let len = Intset::check(&bytes).map_err(|damage| damaged(offset, "a set's intset", damage))?;
    if members::is_intset(len, limits) {
        return Ok(Value::Packed(Encoding::IntSet, bytes));
    }
    Ok(members::hashed_copy_of(SetRef::Ints(Intset::new(&bytes))))
}

/// Reads a set that is stored as a listpack of its members.
pub(super) fn read_listpack<R: Read>(
    decoder: &mut Decoder<R>,
    limits: &Collections,
) -> Result<Value, Error> {
    let offset = decoder.position();
    let bytes = decoder.string()?;
    let len =
        Listpack::check(&bytes).map_err(|damage| damaged(offset, "a set's listpack", damage))?;
    if len == 0 {
        return Err(Error::new(offset, ErrorKind::EmptyCollection));
    }
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    let mut builder = Builder::new(len, limits, offset);
    for (_, member) in Listpack::new(&bytes).iter() {
        member.with_bytes(|member| builder.add(member))?;
    }
    Ok(builder.set)
}

fn damaged(offset: u64, form: &'static str, damage: Damage) -> Error {
    Error::new(offset, ErrorKind::DamagedValue { form, damage })
}

pub(super) fn type_code(set: SetRef<'_>) -> u8 {
    match set {
        SetRef::Ints(_) => type_code::SET_INTSET,
        SetRef::Packed(_) | SetRef::Table(_) => type_code::SET,
    }
}

pub(super) fn write<W: Write>(encoder: &mut Encoder<W>, set: SetRef<'_>) -> io::Result<()> {
    if let SetRef::Ints(ints) = set {
        return encoder.bytes(ints.as_bytes());
    }
    encoder.length(u64::try_from(set.len()).unwrap_or(u64::MAX))?;
    for member in set.iter() {
        match member {
            Item::Int(number) => encoder.string(StringView::Int(number))?,
            Item::Bytes(bytes) => encoder.bytes(bytes)?,
        }
    }
    Ok(())
}
