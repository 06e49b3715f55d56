//! Hashes in all their forms; the same bytes as a real server.

use super::{NO_VALUE, TWICE};
use crate::rdb::error::{Error, ErrorKind};
use crate::rdb::{PayloadChecksum, dump};
use crate::real_redis::{RealRedis, Reply};
use crate::settings::{Collections, Settings};
use crate::types::listpack::{self, Item};
use crate::types::{Encoding, Place, Value};

fn limits() -> Collections {
    Settings::default().collections
}

/// Restores a value; the checksum does not matter.
fn restored(body: &[u8], limits: &Collections) -> Result<Value, Error> {
    let payload = [body, &[10, 0], &[0; 8]].concat();
    crate::rdb::restore(&payload, PayloadChecksum::Ignored, limits)
}

fn blob(bytes: &[u8]) -> Vec<u8> {
    [&[0x80][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn pack(elements: &[&str]) -> Vec<u8> {
    let mut pack = listpack::EMPTY.to_vec();
    elements.iter().for_each(|element| listpack::push_back(&mut pack, element.as_bytes()));
    pack
}

fn string(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat()
}

/// Fields with their values, sorted.
fn fields(value: &Value) -> Vec<(String, String)> {
    let text = |item: Item<'_>| String::from_utf8(item.to_vec()).unwrap();
    let hash = value.view().hash().unwrap();
    let mut fields: Vec<_> = hash.iter().map(|(field, value)| (text(field), text(value))).collect();
    fields.sort();
    fields
}

fn kind(body: &[u8]) -> String {
    format!("{:?}", restored(body, &limits()).unwrap_err().kind)
}

/// The hash a: 1, b: two in every form.
fn all_forms() -> Vec<Vec<u8>> {
    let two = |parts: &[&[u8]]| parts.concat();
    let none = (-1_i64).to_le_bytes();
    let (a, one, b, word) = (string("a"), string("1"), string("b"), string("two"));
    let zipmap = b"\x02\x01a\x01\x001\x01b\x03\x02twoxx\xff";
    let ziplist = b"\x18\0\0\0\x12\0\0\0\x04\0\x00\x01a\x03\xf2\x02\x01b\x03\x03two\xff";
    vec![
        two(&[&[4, 2], &a, &one, &b, &word]),
        two(&[&[9], &blob(zipmap)]),
        two(&[&[13], &blob(ziplist)]),
        two(&[&[16], &blob(&pack(&["a", "1", "b", "two"]))]),
        two(&[&[22, 2], &a, &one, &none, &b, &word, &none]),
        two(&[&[24], &[0xff; 8], &[2, 0], &a, &one, &[0], &b, &word]),
        two(&[&[25], &[0xff; 8], &blob(&pack(&["a", "1", "0", "b", "two", "0"]))]),
    ]
}

#[test]
fn a_hash_is_read_from_every_form_into_what_the_limits_say() {
    let expected = [("a", "1"), ("b", "two")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    let few = Collections { hash_pack_entries_max: 1, ..limits() };
    let short = Collections { hash_pack_value_bytes_max: 2, ..limits() };
    for body in all_forms() {
        let value = restored(&body, &limits()).unwrap();
        assert_eq!((value.encoding(), &fields(&value)[..]), (Encoding::HashPack, &expected[..]));
        let value = restored(&body, &few).unwrap();
        assert_eq!((value.encoding(), &fields(&value)[..]), (Encoding::Hash, &expected[..]));
        // The strings of packed forms may be of any length, as in Redis.
        let value = restored(&body, &short).unwrap();
        let packed = matches!(body[0], 13 | 16 | 25);
        let encoding = if packed { Encoding::HashPack } else { Encoding::Hash };
        assert_eq!((value.encoding(), &fields(&value)[..]), (encoding, &expected[..]), "{body:?}");
    }
}

#[test]
fn damaged_hashes_are_refused_in_every_form() {
    for body in all_forms() {
        for len in 0..body.len() {
            assert!(restored(&body[..len], &limits()).is_err(), "{len} bytes of {body:?}");
        }
        for at in 1..body.len() {
            for byte in 0..=255 {
                let mut damaged = body.clone();
                damaged[at] = byte;
                drop(restored(&damaged, &limits()));
            }
        }
    }
}

#[test]
fn hashes_that_contradict_themselves_are_refused() {
    let (a, v) = (string("a"), string("v"));
    let none = (-1_i64).to_le_bytes();
    let many: Vec<String> = (0..40).chain([7]).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().flat_map(|number| [number, "v"]).collect();
    let twice = format!("{TWICE:?}");
    for body in [
        [&[4, 2], &a[..], &v, &a, &v].concat(),
        [&[22, 2], &a[..], &v, &none, &a, &v, &none].concat(),
        [&[9], &blob(b"\x02\x01a\x01\x001\x01a\x01\x001\xff")[..]].concat(),
        [&[16], &blob(&pack(&["a", "1", "a", "1"]))[..]].concat(),
        [&[16], &blob(&pack(&many))[..]].concat(),
        // A listpack from outside may hold a number as a string.
        [&[16], &blob(b"\x10\0\0\0\x04\0\x05\x01\x05\x01\x815\x02\x05\x01\xff")[..]].concat(),
    ] {
        assert_eq!(kind(&body), twice, "{body:?}");
        let none_packed = Collections { hash_pack_entries_max: 0, ..limits() };
        let error = restored(&body, &none_packed).unwrap_err();
        assert_eq!(format!("{:?}", error.kind), twice, "{body:?}");
    }
    let no_value = format!("{NO_VALUE:?}");
    assert_eq!(kind(&[&[16], &blob(&pack(&["a", "1", "b"]))[..]].concat()), no_value);
    assert_eq!(kind(&[&[25][..], &[0; 8], &blob(&pack(&["a", "1"]))].concat()), no_value);
    let empty = format!("{:?}", ErrorKind::EmptyCollection);
    for body in [&b"\x04\0"[..], &[&[16], &blob(listpack::EMPTY)[..]].concat(), b"\x16\0"] {
        assert_eq!(kind(body), empty);
    }
}

#[test]
fn fields_that_expire_are_refused_as_such() {
    let (a, v) = (string("a"), string("v"));
    let at = 1_700_000_000_000_i64.to_le_bytes();
    let expiring = format!("{:?}", ErrorKind::ExpiringFields);
    for body in [
        [&[22, 1], &a[..], &v, &at].concat(),
        [&[24], &at[..], &[1, 1], &a, &v].concat(),
        [&[25], &at[..], &blob(&pack(&["a", "v", "1700000000000"]))].concat(),
    ] {
        assert_eq!(kind(&body), expiring);
    }
}

#[test]
fn an_empty_hash_in_a_file_is_skipped_with_its_attributes() {
    let file = [
        &b"REDIS0010\xfe\x00\xfd\x10\0\0\0\x04\x01e\x00"[..],
        b"\x00\x01k\x01v\xff\0\0\0\0\0\0\0\0",
    ]
    .concat();
    let mut reader = crate::rdb::Reader::new(&*file).unwrap();
    let (mut keys, mut empty) = (Vec::new(), Vec::new());
    while let Some(item) = reader.next().unwrap() {
        match item {
            crate::rdb::Item::Key(record) => keys.push((record.key, record.expire_at_ms)),
            crate::rdb::Item::EmptyKey(key) => empty.push(key),
            _ => {}
        }
    }
    assert_eq!((keys, empty), (vec![(b"k".to_vec(), None)], vec![b"e".to_vec()]));
}

#[test]
#[ignore = "starts a redis-server 7.0.15"]
fn packed_hashes_are_dumped_as_by_redis_and_tables_are_restored_by_it() {
    let mut redis = RealRedis::start(None);
    let limits = limits();
    for (number, len) in [(1, 1), (3, 5), (20, 64), (512, 3), (513, 3), (600, 70)] {
        let mut ours = Value::empty(Encoding::HashPack);
        redis.call(&[b"DEL", b"h"]);
        for field in 0..number {
            let (field, value) = (format!("f{field}"), format!("{:0len$}", field * 7));
            redis.call(&[b"HSET", b"h", field.as_bytes(), value.as_bytes()]);
            crate::types::hash::set(&mut ours, field.as_bytes(), value.as_bytes(), &limits);
        }
        let Reply::Bulk(theirs) = redis.call(&[b"DUMP", b"h"]) else { panic!("it is there") };
        let theirs = &theirs[..theirs.len()];
        let payload = dump(ours.view());
        if ours.encoding() == Encoding::HashPack {
            assert_eq!(payload, theirs.strip_suffix(b"\r\n").unwrap_or(theirs));
        }
        redis.ok(&[b"RESTORE", b"ours", b"0", &payload, b"REPLACE"]);
        let digest = |redis: &mut RealRedis, key: &[u8]| redis.call(&[b"HLEN", key]);
        assert_eq!(digest(&mut redis, b"ours"), Reply::Line(format!(":{number}")));
        let back = crate::rdb::restore(&payload, PayloadChecksum::Compared, &limits).unwrap();
        assert_eq!((back.encoding(), fields(&back)), (ours.encoding(), fields(&ours)));
    }
}
