//! Lists in all their forms; the same bytes as a real server.

use crate::rdb::error::Error;
use crate::rdb::{PayloadChecksum, dump};
use crate::real_redis::{RealRedis, Reply};
use crate::settings::{Collections, Settings};
use crate::types::list::{Direction, Limits, push_all};
use crate::types::listpack;
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

fn elements(value: &Value) -> Vec<String> {
    let list = value.view().list().unwrap();
    let mut elements = Vec::new();
    list.visit_some(0, Direction::Forward, list.len(), |item| {
        elements.push(String::from_utf8(item.to_vec()).unwrap());
    });
    elements
}

const ZIPLIST: &[u8] = b"\x18\0\0\0\x12\0\0\0\x04\0\x00\x01a\x03\xf2\x02\x01b\x03\x03two\xff";
const EMPTY_ZIPLIST: &[u8] = b"\x0b\0\0\0\x0a\0\0\0\0\0\xff";

/// The list a, 1, b, two in every form.
fn all_forms() -> Vec<Vec<u8>> {
    let strings = ["a", "1", "b", "two"].map(string).concat();
    vec![
        [&[1, 4], &strings[..]].concat(),
        [&[10], &blob(ZIPLIST)[..]].concat(),
        [&[14, 1], &blob(ZIPLIST)[..]].concat(),
        [&[14, 2], &blob(EMPTY_ZIPLIST)[..], &blob(ZIPLIST)].concat(),
        [&[18, 1, 2], &blob(&pack(&["a", "1", "b", "two"]))[..]].concat(),
        [&[18, 2, 2], &blob(&pack(&[]))[..], &[2], &blob(&pack(&["a", "1", "b", "two"]))].concat(),
        [&[18, 2, 1], &string("a")[..], &[2], &blob(&pack(&["1", "b", "two"]))].concat(),
    ]
}

#[test]
fn a_list_is_read_from_every_form() {
    let mut encodings = Vec::new();
    for body in all_forms() {
        let value = restored(&body, &limits()).unwrap();
        assert_eq!(elements(&value), ["a", "1", "b", "two"], "{body:?}");
        encodings.push(value.encoding());
    }
    let (last, rest) = encodings.split_last().unwrap();
    assert!(rest.iter().all(|encoding| *encoding == Encoding::ListPack), "{rest:?}");
    assert_eq!(*last, Encoding::List, "one of its elements stands alone");
}

#[test]
fn elements_are_divided_by_the_limits_and_nodes_stay_as_they_are() {
    let few = Collections { list_node_size: 3, ..limits() };
    let nodes: Vec<_> = all_forms()
        .iter()
        .map(|body| restored(body, &few).unwrap().view().list().unwrap().node_count())
        .collect();
    assert_eq!(nodes, [2, 2, 1, 1, 1, 1, 2]);
}

#[test]
fn damaged_lists_are_refused_in_every_form() {
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
    for (body, reason) in [
        (vec![18, 1, 3, 1, b'a'], "neither a listpack nor an element"),
        (vec![18, 1, 1, 0], "a node without bytes"),
        (vec![18, 0], "without elements"),
        (vec![1, 0], "without elements"),
        ([&[10], &blob(EMPTY_ZIPLIST)[..]].concat(), "without elements"),
        ([&[18, 1, 2], &blob(&pack(&[]))[..]].concat(), "without elements"),
    ] {
        let error = restored(&body, &limits()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
#[ignore = "starts a redis-server 7.0.15"]
fn lists_are_dumped_as_by_redis() {
    let mut redis = RealRedis::start(None);
    for (size, depth) in [(-2, 0), (-1, 1), (4, 2), (128, 1), (-5, 0), (0, 0)] {
        redis.ok(&[b"CONFIG", b"SET", b"list-max-listpack-size", size.to_string().as_bytes()]);
        redis.ok(&[b"CONFIG", b"SET", b"list-compress-depth", depth.to_string().as_bytes()]);
        let collections =
            Collections { list_node_size: size, list_compress_depth: depth, ..limits() };
        let now = Limits::new(size.into(), depth as usize);
        for (number, len) in [(1, 1), (5, 10), (300, 30), (2000, 8), (3, 9000)] {
            let mut ours = Value::empty(Encoding::ListPack);
            redis.call(&[b"DEL", b"l"]);
            for element in 0..number {
                let element = format!("{:0len$}", element * 7);
                redis.call(&[b"RPUSH", b"l", element.as_bytes()]);
                let one = std::iter::once(element.as_bytes());
                push_all(&mut ours, Direction::Backward, one, now);
            }
            let Reply::Bulk(theirs) = redis.call(&[b"DUMP", b"l"]) else { panic!("it is there") };
            let payload = dump(ours.view());
            assert!(payload == theirs, "{number} elements of {len} bytes, limits {size} {depth}");
            let back = crate::rdb::restore(&payload, PayloadChecksum::Compared, &collections);
            let back = back.unwrap();
            assert_eq!((back.encoding(), elements(&back)), (ours.encoding(), elements(&ours)));
            assert!(dump(back.view()) == payload, "{number} elements of {len} bytes");
        }
    }
}
