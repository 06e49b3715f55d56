//! Digests of values and of all data, equal to Redis's for the same data.

use sha1::{Digest, Sha1};

use crate::commands::{Args, Context};
use crate::keyspace::EntryRef;
use crate::number::double::DoubleText;
use crate::types::ValueRef;
use crate::types::list::Direction;
use crate::types::stream::StreamId;

pub(crate) type Hash = [u8; 20];

/// The digest of an entry's value and of whether it expires.
#[cfg(test)]
pub(crate) fn of_entry(entry: EntryRef<'_>) -> Hash {
    let mut digest = Hash::default();
    mix_value(&mut digest, entry);
    digest
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha1(bytes: &[u8]) -> Hash {
    Sha1::digest(bytes).into()
}

/// Mixes in bytes independently of their order.
fn xor(digest: &mut Hash, bytes: &[u8]) {
    for (byte, other) in digest.iter_mut().zip(sha1(bytes)) {
        *byte ^= other;
    }
}

/// Mixes in bytes in an order-dependent way.
fn mix(digest: &mut Hash, bytes: &[u8]) {
    xor(digest, bytes);
    *digest = sha1(digest);
}

/// Mixes in a value with its type and its expiry (`xorObjectDigest` in Redis's debug.c).
fn mix_value(digest: &mut Hash, entry: EntryRef<'_>) {
    // The numbers of Redis's types.
    const STRING: u32 = 0;
    const LIST: u32 = 1;
    const SET: u32 = 2;
    const SORTED_SET: u32 = 3;
    const HASH: u32 = 4;
    const STREAM: u32 = 6;
    match entry.value() {
        ValueRef::String(string) => {
            mix(digest, &STRING.to_be_bytes());
            mix(digest, &string.to_bytes());
        }
        ValueRef::List(list) => {
            mix(digest, &LIST.to_be_bytes());
            list.visit_some(0, Direction::Forward, list.len(), |item| {
                item.with_bytes(|element| mix(digest, element));
            });
        }
        ValueRef::SortedSet(set) => {
            mix(digest, &SORTED_SET.to_be_bytes());
            for (member, score) in set.iter_from(0) {
                let mut pair = Hash::default();
                member.with_bytes(|member| mix(&mut pair, member));
                mix(&mut pair, DoubleText::new(score).as_bytes());
                xor(digest, &pair);
            }
        }
        ValueRef::Set(set) => {
            mix(digest, &SET.to_be_bytes());
            set.iter().for_each(|member| member.with_bytes(|member| xor(digest, member)));
        }
        ValueRef::Stream(stream) => {
            mix(digest, &STREAM.to_be_bytes());
            for entry in stream.range(StreamId::MIN, StreamId::MAX) {
                mix(digest, format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                for text in entry.fields.flat_map(|(field, value)| [field, value]) {
                    text.with_bytes(|text| mix(digest, text));
                }
            }
        }
        ValueRef::Hash(hash) => {
            mix(digest, &HASH.to_be_bytes());
            for (field, value) in hash.iter() {
                let mut pair = Hash::default();
                field.with_bytes(|field| mix(&mut pair, field));
                value.with_bytes(|value| mix(&mut pair, value));
                xor(digest, &pair);
            }
        }
    }
    if entry.expire_at_ms().is_some() {
        xor(digest, b"!!expire!!");
    }
}

/// DEBUG DIGEST: the digest of all data, in hexadecimal (`computeDatasetDigest` in Redis's debug.c).
pub(super) fn of_all_data(ctx: &mut Context<'_>) -> String {
    let mut all = Hash::default();
    for database in 0..ctx.node.keyspace.databases() {
        if ctx.node.keyspace.len(database) == 0 {
            continue;
        }
        mix(&mut all, &(database as u32).to_be_bytes());
        ctx.keys.locked.for_each(database, |entry| {
            let mut digest = Hash::default();
            mix(&mut digest, entry.key());
            mix_value(&mut digest, entry);
            xor(&mut all, &digest);
        });
    }
    hex(&all)
}

/// DEBUG DIGEST-VALUE: the digest of each key's value.
pub(super) fn of_values(ctx: &mut Context<'_>, args: &Args<'_>) {
    ctx.reply.array(args.len() - 2);
    for index in 2..args.len() {
        let key = ctx.keys.at(args, index);
        let mut digest = Hash::default();
        // Includes expired keys; no access, no statistics.
        if let Some(entry) = ctx.keys.locked.get(ctx.keys.database, key) {
            mix_value(&mut digest, entry);
        }
        ctx.reply.simple(&hex(&digest));
    }
}
