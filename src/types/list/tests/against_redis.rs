//! Compares the nodes of lists with those of a real redis-server, through DUMP.

use std::cell::RefCell;

use super::*;
use crate::real_redis::{RealRedis, Reply};

const KEY: &[u8] = b"key";

fn put_len(bytes: &mut Vec<u8>, len: usize) {
    match len {
        0..0x40 => bytes.push(u8::try_from(len).unwrap()),
        0x40..0x4000 => {
            bytes.extend_from_slice(&(0x4000 | u16::try_from(len).unwrap()).to_be_bytes())
        }
        _ => {
            bytes.push(0x80);
            bytes.extend_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
        }
    }
}

/// The payload of DUMP up to its footer, without compression.
fn dumped(list: &List) -> Vec<u8> {
    let mut bytes = vec![18];
    put_len(&mut bytes, list.nodes().count());
    for (container, stored) in list.nodes() {
        let Stored::Raw(node) = stored else { panic!("no node is compressed") };
        put_len(&mut bytes, if container == Container::Plain { 1 } else { 2 });
        put_len(&mut bytes, node.len());
        bytes.extend_from_slice(node);
    }
    bytes
}

fn take_len(bytes: &mut &[u8]) -> usize {
    let first = bytes[0];
    let (len, taken) = match first {
        0..0x40 => (usize::from(first), 1),
        0x40..0x80 => (usize::from(first & 0x3f) << 8 | usize::from(bytes[1]), 2),
        _ => (u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize, 5),
    };
    *bytes = &bytes[taken..];
    len
}

/// Container and length of each node in a payload, for the message of a failure.
fn layout(payload: &[u8]) -> Vec<(usize, usize)> {
    let mut rest = &payload[1..];
    let count = take_len(&mut rest);
    let node = |_| {
        let (container, len) = (take_len(&mut rest), take_len(&mut rest));
        rest = &rest[len..];
        (container, len)
    };
    (0..count).map(node).collect()
}

fn call(redis: &mut RealRedis, args: &[&[u8]]) {
    if let Reply::Line(line) = redis.call(args) {
        assert!(!line.starts_with('-'), "{line}");
    }
}

fn apply_to_redis(change: &Change, list: &List, redis: &mut RealRedis) -> Option<Change> {
    let len = list.len();
    let text = |number: usize| number.to_string().into_bytes();
    match change {
        Change::PushFront(value) => call(redis, &[b"LPUSH", KEY, value]),
        Change::PushBack(value) => call(redis, &[b"RPUSH", KEY, value]),
        Change::PushMany(values) => {
            for value in values {
                call(redis, &[b"RPUSH", KEY, value]);
            }
        }
        Change::PopFront => call(redis, &[b"LPOP", KEY]),
        Change::PopBack => call(redis, &[b"RPOP", KEY]),
        Change::Set(at, value) if len > 0 => call(redis, &[b"LSET", KEY, &text(at % len), value]),
        Change::Insert(at, side, value) if len > 0 => {
            // Redis inserts beside the first element that is the pivot.
            let pivot = list.get(at % len).unwrap();
            let at = list.find(&pivot, 0, Direction::Forward).unwrap();
            let word: &[u8] = if *side == Side::Before { b"BEFORE" } else { b"AFTER" };
            call(redis, &[b"LINSERT", KEY, word, &pivot, value]);
            return Some(Change::Insert(at, *side, value.clone()));
        }
        Change::RemoveEqual(value, most, direction) => {
            let sign = if *direction == Direction::Forward { "" } else { "-" };
            call(redis, &[b"LREM", KEY, format!("{sign}{most}").as_bytes(), value]);
        }
        Change::RemoveRange(at, count) if len > 0 => {
            // LTRIM can remove at the ends alone.
            let count = (*count).min(len);
            if at % 2 == 0 {
                call(redis, &[b"LTRIM", KEY, &text(count), b"-1"]);
                return Some(Change::RemoveRange(0, count));
            }
            let last = i64::try_from(len - count).unwrap() - 1;
            let last = if last < 0 {
                (b"1".to_vec(), b"0".to_vec())
            } else {
                (b"0".to_vec(), last.to_string().into_bytes())
            };
            call(redis, &[b"LTRIM", KEY, &last.0, &last.1]);
            return Some(Change::RemoveRange(len - count, count));
        }
        _ => return None,
    }
    Some(change.clone())
}

#[test]
#[ignore = "starts a redis-server 7.0.15"]
fn nodes_are_divided_and_merged_as_by_redis() {
    let redis = RefCell::new(RealRedis::start(None));
    redis.borrow_mut().ok(&[b"CONFIG", b"SET", b"rdbcompression", b"no"]);
    let config = ProptestConfig { cases: 3000, ..ProptestConfig::default() };
    let size = prop_oneof![1..5_i64, Just(17), Just(400), -5..0_i64];
    let plain = prop_oneof![Just(1 << 30), Just(60_u32)];
    let strategy = (size, plain, prop::collection::vec(change(), 0..100));
    let outcome = proptest::test_runner::TestRunner::new(config).run(&strategy, |case| {
        let (size, plain, changes) = case;
        let redis = &mut *redis.borrow_mut();
        call(redis, &[b"DEL", KEY]);
        redis.ok(&[b"CONFIG", b"SET", b"list-max-listpack-size", size.to_string().as_bytes()]);
        redis.ok(&[b"DEBUG", b"QUICKLIST-PACKED-THRESHOLD", format!("{plain}B").as_bytes()]);
        let limits = Limits::new(size, 0).with_plain_bytes_min(plain);
        let (mut list, mut model) = (List::new(limits), Model::new());
        for (number, change) in changes.into_iter().enumerate() {
            let Some(change) = apply_to_redis(&change, &list, redis) else { continue };
            apply(change.clone(), &mut list, &mut model);
            if list.is_empty() {
                // Redis removes the key; the next list is a new one.
                list = List::new(limits);
                prop_assert_eq!(redis.call(&[b"DUMP", KEY]), Reply::Nil);
                continue;
            }
            let Reply::Bulk(theirs) = redis.call(&[b"DUMP", KEY]) else { panic!("it is there") };
            let ours = dumped(&list);
            prop_assert!(
                theirs[..theirs.len() - 10] == ours,
                "change {}, {:?} {:?}: redis {:?}, we {:?}, list {:?}, limits {:?}",
                number,
                std::mem::discriminant(&change),
                if let Change::Insert(at, side, value) = &change {
                    Some((at, side, value.len()))
                } else {
                    None
                },
                layout(&theirs),
                layout(&ours),
                model.iter().map(Vec::len).collect::<Vec<_>>(),
                limits
            );
        }
        Ok(())
    });
    outcome.unwrap();
}
