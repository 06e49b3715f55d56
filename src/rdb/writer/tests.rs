//! The writer against the reader, redis-check-rdb and a real server.

use std::process::Command;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::{WriteOptions, Writer};
use crate::rdb::{Attributes, Item, KeyRecord, Reader};
use crate::real_redis::{RealRedis, Reply};
use crate::types::{Chunks, StringView, Value, ValueRef};

fn write(items: &[Item], options: WriteOptions) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), options).unwrap();
    for item in items {
        match item {
            Item::Aux { name, value } => writer.aux(name, value).unwrap(),
            Item::SelectDb(db) => writer.select_db(*db).unwrap(),
            Item::ResizeDb { keys, expires } => writer.resize_db(*keys, *expires).unwrap(),
            Item::Library(code) => writer.library(code).unwrap(),
            Item::EmptyKey(_) => unreachable!("nothing writes one"),
            Item::Key(record) => {
                let KeyRecord { key, expire_at_ms, idle_s, freq, value } = record;
                let attributes =
                    Attributes { expire_at_ms: *expire_at_ms, idle_s: *idle_s, freq: *freq };
                writer.key(key, attributes, value.view()).unwrap();
            }
        }
    }
    let written = writer.written();
    let bytes = writer.finish().unwrap();
    assert_eq!(written + 9, bytes.len() as u64);
    bytes
}

fn read(bytes: &[u8]) -> Vec<Item> {
    let mut reader = Reader::new(bytes).unwrap();
    let mut items = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        items.push(item);
    }
    assert_eq!(reader.position(), bytes.len() as u64);
    items
}

fn string() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..100),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        any::<i16>().prop_map(|number| number.to_string().into_bytes()),
        (vec(any::<u8>(), 1..10), 1..3000usize).prop_map(|(unit, times)| unit.repeat(times)),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    let expire = option::of(any::<i64>().prop_filter("means none", |ms| *ms != -1));
    let attributes = (expire, option::of(any::<u64>()), option::of(any::<u8>()));
    prop_oneof![
        1 => (string(), string()).prop_map(|(name, value)| Item::Aux { name, value }),
        1 => any::<u64>().prop_map(Item::SelectDb),
        1 => any::<(u64, u64)>().prop_map(|(keys, expires)| Item::ResizeDb { keys, expires }),
        5 => (string(), attributes, string()).prop_map(|(key, (expire_at_ms, idle_s, freq), value)| {
            Item::Key(KeyRecord { key, expire_at_ms, idle_s, freq, value: Value::String(value) })
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(items in vec(item(), 0..12), compression: bool, checksum: bool) {
        let bytes = write(&items, WriteOptions { compression, checksum });
        prop_assert_eq!(read(&bytes), items);
    }
}

#[test]
fn an_empty_file_is_header_end_and_checksum() {
    let with = write(&[], WriteOptions { compression: true, checksum: true });
    assert_eq!(with, b"REDIS0010\xff\xa9\xfd7\xfe\x89\xa7~\xeb");
    let without = write(&[], WriteOptions { compression: true, checksum: false });
    assert_eq!(without, b"REDIS0010\xff\0\0\0\0\0\0\0\0");
}

#[test]
fn attributes_stand_before_the_key_in_the_order_of_redis() {
    let mut writer = Writer::new(Vec::new(), WriteOptions::default()).unwrap();
    let attributes = Attributes { expire_at_ms: Some(1), idle_s: Some(100), freq: Some(7) };
    writer.key(b"k", attributes, b"v"[..].into()).unwrap();
    let bytes = writer.finish().unwrap();
    assert_eq!(
        bytes[9..bytes.len() - 9],
        *b"\xfc\x01\0\0\0\0\0\0\0\xf8\x40\x64\xf9\x07\x00\x01k\x01v"
    );
}

#[test]
fn long_chunks_are_written_as_they_are() {
    let chunks = Chunks::from_slice(&vec![b'a'; 17 << 20]);
    let mut writer = Writer::new(Vec::new(), WriteOptions::default()).unwrap();
    let value = ValueRef::String(StringView::Chunks(&chunks));
    writer.key(b"k", Attributes::default(), value).unwrap();
    let bytes = writer.finish().unwrap();
    assert_eq!(bytes.len(), 9 + 3 + 5 + (17 << 20) + 9);
    let [Item::Key(record)] = &read(&bytes)[..] else { panic!("one key was written") };
    assert!(record.value == Value::String(vec![b'a'; 17 << 20]));
}

fn key(key: &str, expire_at_ms: Option<i64>, value: Vec<u8>) -> Item {
    let value = Value::String(value);
    Item::Key(KeyRecord { key: key.into(), expire_at_ms, idle_s: None, freq: None, value })
}

/// A file such as a server writes: 400 keys in two databases, some of which expire in 2100.
fn file_of_a_server() -> Vec<Item> {
    let aux = |name: &str, value: &str| Item::Aux { name: name.into(), value: value.into() };
    let mut items = vec![aux("redis-ver", "7.0.15"), aux("redis-bits", "64"), aux("aof-base", "0")];
    for db in [0, 9] {
        items.push(Item::SelectDb(db));
        items.push(Item::ResizeDb { keys: 200, expires: 40 });
        for n in 0..200usize {
            let expire_at_ms = n.is_multiple_of(5).then_some(4_102_444_800_123);
            let value = match n % 4 {
                0 => n.to_string().into_bytes(),
                1 => b"the same again; ".repeat(n),
                2 => (0..n * 50).map(|m| (m * m * 31 % 251) as u8).collect(),
                _ => Vec::new(),
            };
            items.push(key(&format!("key:{n}"), expire_at_ms, value));
        }
    }
    items
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn redis_check_rdb_accepts_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    for (compression, checksum) in [(true, true), (true, false), (false, true), (false, false)] {
        let path = dir.path().join("written.rdb");
        std::fs::write(&path, write(&file_of_a_server(), WriteOptions { compression, checksum }))
            .unwrap();
        let output = Command::new("redis-check-rdb").arg(&path).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("400 keys read") && text.contains("80 expires"), "{text}");
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_real_server_loads_what_is_written() {
    let items = file_of_a_server();
    let mut redis = RealRedis::start(Some(&write(&items, WriteOptions::default())));
    for item in &items {
        match item {
            Item::SelectDb(db) => redis.ok(&[b"SELECT", db.to_string().as_bytes()]),
            Item::Key(KeyRecord { key, expire_at_ms, value: Value::String(value), .. }) => {
                assert_eq!(redis.call(&[b"GET", key]), Reply::Bulk(value.clone()));
                let expire_at_ms = expire_at_ms.unwrap_or(-1);
                let line = Reply::Line(format!(":{expire_at_ms}"));
                assert_eq!(redis.call(&[b"PEXPIRETIME", key]), line);
            }
            _ => {}
        }
    }
    assert_eq!(redis.call(&[b"DBSIZE"]), Reply::Line(":200".to_owned()));
}

/// The file of a server whose items are `items` with one key, from SELECTDB to its end.
fn section(file: &[u8]) -> &[u8] {
    let start = file.windows(4).position(|bytes| bytes == b"\xfe\x03\xfb\x01").unwrap();
    &file[start..file.len() - 8]
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn the_section_of_a_key_is_what_a_real_server_saves() {
    let cases = [
        ("plain", None, b"hello".to_vec()),
        ("123456", None, b"-32769".to_vec()),
        ("expires", Some(4_102_444_800_123), b"00123".to_vec()),
        ("compressed", None, b"abcdefgh".repeat(2000)),
        ("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", Some(4_102_444_800_000), Vec::new()),
    ];
    let mut redis = RealRedis::start(None);
    redis.ok(&[b"SELECT", b"3"]);
    for (name, expire_at_ms, value) in cases {
        redis.ok(&[b"FLUSHALL"]);
        redis.ok(&[b"SET", name.as_bytes(), &value]);
        if let Some(expire_at_ms) = expire_at_ms {
            let expire_at_ms = expire_at_ms.to_string();
            let set = redis.call(&[b"PEXPIREAT", name.as_bytes(), expire_at_ms.as_bytes()]);
            assert_eq!(set, Reply::Line(":1".to_owned()));
        }
        redis.ok(&[b"SAVE"]);
        let theirs = std::fs::read(redis.dir().join("dump.rdb")).unwrap();
        let expires = u64::from(expire_at_ms.is_some());
        let resize = Item::ResizeDb { keys: 1, expires };
        let items = [Item::SelectDb(3), resize, key(name, expire_at_ms, value)];
        assert_eq!(section(&write(&items, WriteOptions::default())), section(&theirs), "{name}");
        assert!(read(&theirs).ends_with(&items), "{name}");
    }
}
