//! Sorted sets in all their forms; the same bytes as a real server.

use crate::number::double::DoubleText;
use crate::rdb::error::{Error, ErrorKind};
use crate::rdb::{PayloadChecksum, dump};
use crate::real_redis::{RealRedis, Reply};
use crate::settings::{Collections, Settings};
use crate::types::listpack;
use crate::types::{Encoding, Place, Value, sorted_set};

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

fn packed(elements: &[&str]) -> Vec<u8> {
    let mut pack = listpack::EMPTY.to_vec();
    elements.iter().for_each(|element| listpack::push_back(&mut pack, element.as_bytes()));
    [&[17][..], &blob(&pack)].concat()
}

fn string(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat()
}

fn binary(elements: &[(&str, f64)]) -> Vec<u8> {
    let mut body = vec![5, u8::try_from(elements.len()).unwrap()];
    for (member, score) in elements {
        body.extend_from_slice(&string(member));
        body.extend_from_slice(&score.to_le_bytes());
    }
    body
}

/// Members and scores in order.
fn shown(value: &Value) -> String {
    let elements = value.view().sorted_set().unwrap().iter_from(0).map(|(member, score)| {
        let (member, score) = (member.to_vec(), DoubleText::new(score));
        [member, score.as_bytes().to_vec()].map(|text| String::from_utf8(text).unwrap()).join(" ")
    });
    elements.collect::<Vec<_>>().join(" ")
}

fn kind(body: &[u8]) -> ErrorKind {
    restored(body, &limits()).unwrap_err().kind
}

fn refusal(body: &[u8]) -> String {
    kind(body).to_string()
}

#[test]
fn all_forms_hold_the_same() {
    let ziplist = b"\x19\0\0\0\x16\0\0\0\x04\0\x00\x01b\x03\x04-0.5\x06\x01a\x03\xf2\xff";
    let text = [&[3, 2][..], &string("a"), &string("1"), &string("b"), &string("-0.5")].concat();
    for body in [
        text,
        binary(&[("a", 1.0), ("b", -0.5)]),
        [&[12][..], &blob(ziplist)].concat(),
        packed(&["b", "-0.5", "a", "1"]),
        // Out of order, as no server writes it.
        packed(&["a", "1", "b", "-0.5"]),
    ] {
        let value = restored(&body, &limits()).unwrap();
        assert_eq!(
            (shown(&value).as_str(), value.encoding()),
            ("b -0.5 a 1", Encoding::SortedSetPack)
        );
        let none = Collections { sorted_set_pack_entries_max: 1, ..limits() };
        let value = restored(&body, &none).unwrap();
        assert_eq!((shown(&value).as_str(), value.encoding()), ("b -0.5 a 1", Encoding::SortedSet));
    }
}

#[test]
fn infinite_scores_are_read_from_text() {
    let body = [&[3, 2][..], &string("a"), &[254], &string("b"), &[255]].concat();
    assert_eq!(shown(&restored(&body, &limits()).unwrap()), "b -inf a inf");
}

#[test]
fn a_long_member_in_a_listpack_stays_packed_and_in_binary_does_not() {
    let long = "x".repeat(70);
    let value = restored(&packed(&[&long, "1"]), &limits()).unwrap();
    assert_eq!(value.encoding(), Encoding::SortedSetPack);
    let body = [&[5, 1, 0x40, 70][..], long.as_bytes(), &1_f64.to_le_bytes()].concat();
    assert_eq!(restored(&body, &limits()).unwrap().encoding(), Encoding::SortedSet);
}

#[test]
fn contradictions_are_refused() {
    let twice = "integrity check failed: a sorted set that has a member twice";
    assert_eq!(refusal(&binary(&[("a", 1.0), ("a", 2.0)])), twice);
    assert_eq!(refusal(&binary(&[("a", 1.0), ("a", 1.0)])), twice);
    assert_eq!(refusal(&packed(&["a", "1", "a", "2"])), twice);
    assert_eq!(refusal(&packed(&["a", "1", "a", "1"])), twice);
    let mut many: Vec<String> = (0..40).flat_map(|n| [format!("m{n}"), n.to_string()]).collect();
    many[76] = "m0".to_owned();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(refusal(&packed(&many)), twice);
    let no_number = "integrity check failed: a sorted set with a score that is no number";
    assert_eq!(refusal(&binary(&[("a", f64::NAN)])), no_number);
    assert_eq!(refusal(&[&[3, 1][..], &string("a"), &[253]].concat()), no_number);
    assert_eq!(refusal(&[&[3, 1][..], &string("a"), &string("x")].concat()), no_number);
    for score in ["", "nan", "1x", " 1"] {
        assert_eq!(refusal(&packed(&["a", score])), no_number, "{score}");
    }
    let no_score = "integrity check failed: a sorted set with a member that has no score";
    assert_eq!(refusal(&packed(&["a", "1", "b"])), no_score);
    for empty in [&[3, 0][..], &[5, 0], &packed(&[])] {
        assert!(matches!(kind(empty), ErrorKind::EmptyCollection));
    }
}

#[test]
fn damaged_packs_are_refused_by_form() {
    let damaged =
        |code: u8| refusal(&[&[code][..], &blob(b"\x09\0\0\0\x01\0\x81\xff\xff")].concat());
    assert!(damaged(17).starts_with("Zset listpack integrity check failed: "), "{}", damaged(17));
    assert!(damaged(12).starts_with("Zset ziplist integrity check failed: "), "{}", damaged(12));
}

#[test]
fn a_real_server_dumps_the_same_bytes_and_takes_ours() {
    let mut redis = RealRedis::start(None);
    let long = "long".repeat(20);
    let many: Vec<(String, String)> = (0..150)
        .map(|n| (format!("member:{n}"), (f64::from(n * 37 % 149) / 8.0 - 3.0).to_string()))
        .collect();
    let cases: Vec<Vec<(&str, &str)>> = vec![
        vec![("a", "1")],
        vec![("b", "0.1"), ("a", "0.1"), ("", "-inf"), ("17", "+inf"), ("c", "-0")],
        vec![("x", "1e17"), ("y", "4611686018427387904"), ("z", "1e300"), ("w", "3.0000000001")],
        vec![(&long, "1.5"), ("a", "-0"), ("b", "7"), ("c", "inf")],
        many.iter().map(|(member, score)| (member.as_str(), score.as_str())).collect(),
    ];
    for elements in cases {
        let mut value = Value::empty(Encoding::SortedSetPack);
        redis.call(&[b"DEL", b"z"]);
        for (member, score) in &elements {
            redis.call(&[b"ZADD", b"z", score.as_bytes(), member.as_bytes()]);
            let number = crate::number::double::parse(score.as_bytes()).unwrap();
            sorted_set::insert(&mut value, member.as_bytes(), number, &limits());
        }
        let Reply::Bulk(theirs) = redis.call(&[b"DUMP", b"z"]) else { panic!("no dump") };
        let ours = dump(value.view());
        assert_eq!(ours, theirs, "{elements:?}");
        redis.ok(&[b"RESTORE", b"other", b"0", &ours, b"REPLACE"]);
        let body = &theirs[..theirs.len() - 10];
        assert_eq!(shown(&restored(body, &limits()).unwrap()), shown(&value));
    }
}
