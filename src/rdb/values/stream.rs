//! Streams: types 15, 19 and 21 are read, 19 is written (`rdbSaveObject` in Redis's `rdb.c`).
//!
//! ```text
//! blocks, each: its first id (a string of 16 bytes), its listpack
//! entries, last id, [from 19 on: first id, greatest deleted id, entries ever added]
//! groups, each: name, last id, [from 19 on: entries read]
//!     pending entries, each: id (16 bytes), time of delivery, deliveries
//!     consumers, each: name, time seen, [21: time of the last success]
//!         pending entries, each: id (16 bytes)
//! ```
//!
//! Ids outside of strings and of pending entries are two lengths; times are 8 bytes, little endian.

use std::io::{self, Read, Write};

use crate::rdb::decode::Decoder;
use crate::rdb::encode::Encoder;
use crate::rdb::error::{Error, ErrorKind};
use crate::rdb::format::type_code;
use crate::types::stream::{Counters, GroupBuilder, Refusal, Stream, StreamBuilder, StreamId};
use crate::types::{Object, Value};

/// Reads a stream of this type.
pub(super) fn read<R: Read>(decoder: &mut Decoder<R>, code: u8) -> Result<Value, Error> {
    let mut builder = StreamBuilder::default();
    for _ in 0..decoder.length()? {
        let offset = decoder.position();
        let first = <[u8; 16]>::try_from(decoder.string()?).map_err(|_| {
            let kind = ErrorKind::BadCollection("a stream's block whose name is no id");
            Error::new(offset, kind)
        })?;
        let pack = decoder.string()?;
        let added = builder.block(StreamId::from_bytes(first), pack);
        added.map_err(|refusal| refused(offset, refusal))?;
    }
    let offset = decoder.position();
    let counters = read_counters(decoder, code, &builder)?;
    builder.counters(counters).map_err(|refusal| refused(offset, refusal))?;
    for _ in 0..decoder.length()? {
        let offset = decoder.position();
        let name = decoder.string()?;
        let group = read_group(decoder, code, &counters)?;
        builder.group(&name, group).map_err(|refusal| refused(offset, refusal))?;
    }
    Ok(Object::Stream(Box::new(builder.finish())).into())
}

fn read_counters<R: Read>(
    decoder: &mut Decoder<R>,
    code: u8,
    builder: &StreamBuilder,
) -> Result<Counters, Error> {
    let (length, last_id) = (decoder.length()?, read_id(decoder)?);
    if code == type_code::STREAM_LISTPACKS {
        return Ok(builder.old_counters(length, last_id));
    }
    let (first_id, max_deleted_id) = (read_id(decoder)?, read_id(decoder)?);
    let entries_added = decoder.length()?;
    Ok(Counters { length, last_id, first_id, max_deleted_id, entries_added })
}

fn read_group<R: Read>(
    decoder: &mut Decoder<R>,
    code: u8,
    counters: &Counters,
) -> Result<GroupBuilder, Error> {
    let last_id = read_id(decoder)?;
    let entries_read = match code {
        type_code::STREAM_LISTPACKS => counters.entries_up_to(last_id),
        _ => Some(decoder.length()?.cast_signed()).filter(|read| *read != -1),
    };
    let mut group = GroupBuilder::new(last_id, entries_read);
    for _ in 0..decoder.length()? {
        let offset = decoder.position();
        let id = StreamId::from_bytes(decoder.array()?);
        let (delivered_ms, deliveries) = (read_time(decoder)?, decoder.length()?);
        let added = group.pending(id, delivered_ms, deliveries);
        added.map_err(|refusal| refused(offset, refusal))?;
    }
    for _ in 0..decoder.length()? {
        let offset = decoder.position();
        let (name, seen_ms) = (decoder.string()?, read_time(decoder)?);
        if code == type_code::STREAM_LISTPACKS_3 {
            read_time(decoder)?;
        }
        group.consumer(&name, seen_ms).map_err(|refusal| refused(offset, refusal))?;
        for _ in 0..decoder.length()? {
            let offset = decoder.position();
            let id = StreamId::from_bytes(decoder.array()?);
            group.claim(id).map_err(|refusal| refused(offset, refusal))?;
        }
    }
    Ok(group)
}

fn read_id<R: Read>(decoder: &mut Decoder<R>) -> Result<StreamId, Error> {
    Ok(StreamId::new(decoder.length()?, decoder.length()?))
}

fn read_time<R: Read>(decoder: &mut Decoder<R>) -> Result<i64, Error> {
    Ok(i64::from_le_bytes(decoder.array()?))
}

fn refused(offset: u64, refusal: Refusal) -> Error {
    let kind = match refusal {
        Refusal::Block(damage) => ErrorKind::DamagedValue { form: "a stream's block", damage },
        _ => ErrorKind::BadCollection(refusal.text()),
    };
    Error::new(offset, kind)
}

/// Writes a stream as type 19.
pub(super) fn write<W: Write>(encoder: &mut Encoder<W>, stream: &Stream) -> io::Result<()> {
    write_count(encoder, stream.blocks_len())?;
    for (first, pack) in stream.blocks() {
        encoder.bytes(&first.to_bytes())?;
        encoder.bytes(pack)?;
    }
    let counters = stream.counters();
    encoder.length(counters.length)?;
    for id in [counters.last_id, counters.first_id, counters.max_deleted_id] {
        write_id(encoder, id)?;
    }
    encoder.length(counters.entries_added)?;
    write_count(encoder, stream.groups().len())?;
    for (name, group) in stream.groups().iter() {
        encoder.bytes(name)?;
        write_id(encoder, group.last_id)?;
        encoder.length(group.entries_read.unwrap_or(-1).cast_unsigned())?;
        write_count(encoder, group.pending_len())?;
        for (id, pending) in group.pending_from(StreamId::MIN) {
            encoder.raw(&id.to_bytes())?;
            encoder.raw(&pending.delivered_ms.to_le_bytes())?;
            encoder.length(pending.deliveries)?;
        }
        write_count(encoder, group.consumers_len())?;
        for (_, consumer) in group.consumers() {
            encoder.bytes(consumer.name())?;
            encoder.raw(&consumer.seen_ms.to_le_bytes())?;
            write_count(encoder, consumer.pending_len())?;
            for id in consumer.pending_from(StreamId::MIN) {
                encoder.raw(&id.to_bytes())?;
            }
        }
    }
    Ok(())
}

fn write_count<W: Write>(encoder: &mut Encoder<W>, count: usize) -> io::Result<()> {
    encoder.length(u64::try_from(count).unwrap_or(u64::MAX))
}

fn write_id<W: Write>(encoder: &mut Encoder<W>, id: StreamId) -> io::Result<()> {
    encoder.length(id.ms)?;
    encoder.length(id.seq)
}
