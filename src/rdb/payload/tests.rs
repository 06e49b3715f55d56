//! DUMP and RESTORE: footers, damage, and the same bytes as a real server.

use super::{PayloadChecksum, dump};
use crate::rdb::crc64::checksum;
use crate::rdb::error::{Error, ErrorKind};
use crate::real_redis::{RealRedis, Reply};
use crate::settings::{Collections, Settings};
use crate::types::{StringView, Value, ValueRef};

fn limits() -> Collections {
    Settings::default().collections
}

fn restore(payload: &[u8]) -> Result<Value, Error> {
    super::restore(payload, PayloadChecksum::Compared, &limits())
}

/// A body with a right footer.
fn payload(body: &[u8], version: u16) -> Vec<u8> {
    let mut payload = body.to_vec();
    payload.extend_from_slice(&version.to_le_bytes());
    payload.extend_from_slice(&checksum(&payload).to_le_bytes());
    payload
}

fn string(bytes: &[u8]) -> Value {
    Value::String(bytes.to_vec())
}

#[test]
fn the_payload_of_a_known_value_is_that_of_redis() {
    // redis-server 7.0.15: SET k 10, DUMP k.
    assert_eq!(dump(b"10"[..].into()), b"\x00\xc0\x0a\x0a\x00n\x9fWE\x0e\xaec\xbb");
}

#[test]
fn what_is_dumped_is_restored() {
    for bytes in [&b""[..], b"0", b"-1", b"00123", b"-0", b"hello", &[0xff; 100], &[b'a'; 100_000]]
    {
        assert_eq!(restore(&dump(bytes.into())).unwrap(), string(bytes));
    }
    let int = ValueRef::String(StringView::Int(i64::MIN));
    assert_eq!(restore(&dump(int)).unwrap(), string(b"-9223372036854775808"));
}

#[test]
fn payloads_of_older_and_known_newer_versions_are_restored() {
    for version in (0..=12).chain([80]) {
        assert_eq!(restore(&payload(b"\x00\x03abc", version)).unwrap(), string(b"abc"));
    }
}

#[test]
fn a_wrong_footer_is_told_from_a_wrong_value() {
    let mut zero = payload(b"\x00\x03abc", 10);
    let checksum_at = zero.len() - 8;
    zero[checksum_at..].fill(0);
    for footer in
        [&b""[..], b"123456789", &payload(b"\x00\x03abc", 13), &payload(b"\x00\x03abc", 81), &zero]
    {
        let error = restore(footer).unwrap_err();
        assert!(error.is_payload_footer(), "{error}");
    }
    for body in [
        &b""[..],
        b"\x00",
        b"\x00\x05abc",
        b"\x63\x03abc",
        b"\x1c\x01\x01f\x01v",
        b"\xff",
        b"\x00\xc3\x01\x00\x00",
    ] {
        let error = restore(&payload(body, 10)).unwrap_err();
        assert!(!error.is_payload_footer(), "{error}");
    }
}

#[test]
fn what_follows_the_value_is_ignored() {
    assert_eq!(restore(&payload(b"\x00\x03abcXYZ", 10)).unwrap(), string(b"abc"));
}

#[test]
fn a_wrong_checksum_is_passed_over_where_it_is_to_be_ignored() {
    let mut wrong = payload(b"\x00\x03abc", 10);
    wrong[8] ^= 1;
    let unchecked = |payload: &[u8]| super::restore(payload, PayloadChecksum::Ignored, &limits());
    assert!(restore(&wrong).unwrap_err().is_payload_footer());
    assert_eq!(unchecked(&wrong).unwrap(), string(b"abc"));
    assert!(unchecked(&payload(b"\x00\x03abc", 13)).unwrap_err().is_payload_footer());
    assert!(unchecked(b"123456789").unwrap_err().is_payload_footer());
}

#[test]
fn refusals_name_the_place_and_the_reason() {
    let refusal = |payload: &[u8]| restore(payload).unwrap_err().to_string();
    assert_eq!(
        refusal(&payload(b"\x1c\x01\x01f\x01v", 10)),
        "at byte 0: the payload holds a value of a newer Redis (type 28), which this version cannot load yet"
    );
    assert_eq!(
        refusal(&payload(b"\x00\x03abc", 13)),
        "at byte 5: the payload's version is not supported: 13"
    );
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    let whole = dump(b"a string, a string, a string, a string"[..].into());
    for at in 0..whole.len() {
        assert!(restore(&whole[..at]).is_err());
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            let error = restore(&damaged).unwrap_err();
            assert!(error.is_payload_footer(), "{error}");
        }
    }
}

#[test]
fn damage_under_a_right_checksum_never_panics() {
    let whole = dump(b"a string, a string, a string, a string"[..].into());
    let body = &whole[..whole.len() - 10];
    for at in 0..body.len() {
        for value in 0..=255 {
            let mut damaged = body.to_vec();
            damaged[at] = value;
            drop(restore(&payload(&damaged, 10)));
        }
    }
}

#[test]
fn a_lying_length_under_a_right_checksum_is_refused() {
    let body = b"\x00\x81\x00\x00\x40\x00\x00\x00\x00\x00abc";
    let error = restore(&payload(body, 10)).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::UnexpectedEnd), "{error}");
}

/// A small deterministic generator: the strings are the same in every run.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn bytes(&mut self, len: usize, alphabet: &[u8]) -> Vec<u8> {
        (0..len).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }
}

/// 2,000 strings: edges of every encoding, then text, noise, repetitions and mixtures of all sizes.
fn varied_strings() -> Vec<Vec<u8>> {
    let mut strings: Vec<Vec<u8>> = [
        "",
        "0",
        "-0",
        "00123",
        "-",
        "+1",
        " 1",
        "1.0",
        "127",
        "128",
        "-128",
        "-129",
        "32767",
        "32768",
        "-32768",
        "-32769",
        "2147483647",
        "2147483648",
        "-2147483648",
        "-2147483649",
        "99999999999",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "00000000000",
        "1234567890123456789012",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    let mut random = Lcg(42);
    let binary: Vec<u8> = (0..=255).collect();
    let alphabets: [&[u8]; 5] = [b"a", b"ab", b"0123456789", b"etaoin shrdlu", &binary];
    for len in 0..300 {
        strings.push(vec![b'a'; len]);
        strings.push(random.bytes(len, b"ab"));
    }
    while strings.len() < 2000 {
        let size = [100, 1000, 10_000, 100_000][random.below(4)];
        let len = random.below(size);
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let alphabet = alphabets[random.below(5)];
            let unit_len = random.below(200) + 1;
            let unit = random.bytes(unit_len, alphabet);
            if random.below(3) == 0 && !bytes.is_empty() {
                let start = random.below(bytes.len());
                let end = bytes.len().min(start + 400);
                bytes.extend_from_within(start..end);
            }
            bytes.extend(unit.repeat(random.below(20) + 1));
        }
        bytes.truncate(len);
        strings.push(bytes);
    }
    strings
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn payloads_are_those_of_a_real_server() {
    let mut redis = RealRedis::start(None);
    for bytes in varied_strings() {
        redis.ok(&[b"SET", b"k", &bytes]);
        let Reply::Bulk(theirs) = redis.call(&[b"DUMP", b"k"]) else { panic!("DUMP gives a bulk") };
        let ours = dump(bytes[..].into());
        assert!(
            ours == theirs,
            "{} bytes: {}",
            bytes.len(),
            bytes[..bytes.len().min(80)].escape_ascii()
        );
        assert_eq!(restore(&theirs).unwrap(), string(&bytes));
        redis.ok(&[b"RESTORE", b"r", b"0", &ours, b"REPLACE"]);
        assert_eq!(redis.call(&[b"GET", b"r"]), Reply::Bulk(bytes));
    }
}
