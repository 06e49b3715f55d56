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
        Refusal::Block(damage) => ErrorKind::DamagedValue { form: "Stream listpack", damage },
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rdb::decode::Checksum;
    use crate::settings::Settings;
    use crate::types::stream::BlockLimits;

    /// A stream as redis-server 7.0.15 wrote it: three entries of two nodes' fields, one of them
    /// deleted; two groups, two consumers with one pending entry each.
    const FROM_REDIS: &str = "\
        011000000000000000010000000000000001404b4b0000001900020101010201846e616d65058576616c7565\
        060001020100010001816102010105010301000101018162020201050100010101dfff020101856f74686572\
        06c12c020601ff02020001010102030201670200030200000000000000010000000000000001c673b416a201\
        00000100000000000000020000000000000000cd73b416a2010000020205616c696365c673b416a201000001\
        0000000000000001000000000000000103626f62cd73b416a201000001000000000000000200000000000000\
        000168020081ffffffffffffffff0000";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    fn read_as(code: u8, body: &[u8]) -> Result<Value, Error> {
        let limits = Settings::default().collections;
        let mut decoder = Decoder::new(body, Checksum::Ignored);
        let value =
            crate::rdb::values::read(&mut decoder, code, &limits)?.expect("a stream's type");
        assert_eq!(decoder.position(), body.len() as u64, "all of it is read");
        Ok(value)
    }

    fn written(value: &Value) -> Vec<u8> {
        assert_eq!(crate::rdb::values::type_code(value.view()), 19);
        let mut encoder = Encoder::new(Vec::new(), None, None);
        crate::rdb::values::write(&mut encoder, value.view()).unwrap();
        encoder.into_parts().0
    }

    /// The block of one entry 1-1.
    fn block() -> Vec<u8> {
        let mut stream = Stream::default();
        let limits = BlockLimits { bytes: 4096, entries: 100 };
        stream
            .append(StreamId::new(1, 1), std::iter::once((&b"f"[..], &b"v"[..])), limits)
            .unwrap();
        stream.blocks().next().unwrap().1.to_vec()
    }

    /// A stream of one entry with a group and a consumer for which it is pending, in this form.
    fn body(code: u8) -> Vec<u8> {
        let (id, block) = (StreamId::new(1, 1).to_bytes(), block());
        let mut body = vec![1, 16];
        body.extend_from_slice(&id);
        body.push(u8::try_from(block.len()).unwrap());
        body.extend_from_slice(&block);
        body.extend_from_slice(&[1, 1, 1]);
        if code != 15 {
            body.extend_from_slice(&[1, 1, 0, 0, 1]);
        }
        body.extend_from_slice(&[1, 1, b'g', 1, 1]);
        if code != 15 {
            body.push(1);
        }
        body.push(1);
        body.extend_from_slice(&id);
        body.extend_from_slice(&[5, 0, 0, 0, 0, 0, 0, 0, 3, 1, 1, b'c', 9, 0, 0, 0, 0, 0, 0, 0]);
        if code == 21 {
            body.extend_from_slice(&[8, 0, 0, 0, 0, 0, 0, 0]);
        }
        body.push(1);
        body.extend_from_slice(&id);
        body
    }

    #[test]
    fn what_redis_wrote_is_read_and_written_alike() {
        let body = bytes(FROM_REDIS);
        let value = read_as(19, &body).unwrap();
        assert_eq!(written(&value), body);
        let stream = value.view().stream().unwrap();
        assert_eq!((stream.len(), stream.groups().len()), (2, 2));
        let group = stream.groups().get(b"g").unwrap();
        assert_eq!((group.pending_len(), group.consumers_len()), (2, 2));
    }

    #[test]
    fn all_three_forms_are_read_to_the_same_stream() {
        for code in [15, 19, 21] {
            assert_eq!(written(&read_as(code, &body(code)).unwrap()), body(19), "type {code}");
        }
    }

    #[test]
    fn a_stream_without_entries_is_one() {
        let empty = [0, 0, 9, 1, 0, 0, 4, 4, 7, 0];
        assert_eq!(written(&read_as(19, &empty).unwrap()), empty);
    }

    #[test]
    fn streams_that_contradict_themselves_are_refused() {
        let good = body(19);
        let refused = |at: usize, byte: u8, why: &str| {
            let mut bad = good.clone();
            bad[at] = byte;
            let error = read_as(19, &bad).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        // The lengths: before the block, then its bytes, then the counters.
        let counters = 2 + 16 + 1 + block().len();
        refused(1, 15, "");
        refused(2 + 16 + 1, 0, "Stream listpack integrity check failed");
        refused(counters, 2, "another length");
        refused(counters + 1, 0, "an entry beyond its last id");
        let pending = counters + 8 + 5 + 2;
        refused(pending, 7, "pending for a consumer and not in its group");
        refused(good.len() - 17, 0, "for none of its consumers");
        for end in 0..good.len() {
            assert!(read_as(19, &good[..end]).is_err(), "{end} bytes");
        }
    }

    proptest! {
        #[test]
        fn damaged_bytes_never_panic(
            code in prop::sample::select(vec![15_u8, 19, 21]),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            arbitrary: Vec<u8>,
        ) {
            let limits = Settings::default().collections;
            for mut bytes in [body(code), bytes(FROM_REDIS)] {
                for (at, byte) in &changes {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                for bytes in [bytes, arbitrary.clone()] {
                    let mut decoder = Decoder::new(&bytes[..], Checksum::Ignored);
                    if let Ok(Some(value)) = crate::rdb::values::read(&mut decoder, code, &limits) {
                        // What was accepted can be walked, written and read again.
                        let stream = value.view().stream().unwrap();
                        let all = stream.range(StreamId::MIN, StreamId::MAX);
                        prop_assert_eq!(all.count() as u64, stream.len());
                        prop_assert_eq!(written(&read_as(19, &written(&value)).unwrap()), written(&value));
                    }
                }
            }
        }
    }
}
