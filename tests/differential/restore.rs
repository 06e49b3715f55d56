//! RESTORE where limpid intentionally differs from Redis, or both behave unexpectedly: the exact
//! behaviour of each.

use crate::payload::{
    FOOTER_LEN, STRINGS, TYPE_STRING, VERSION, is_excepted, runs_into_footer, sealed,
};
use crate::session::ARGS;
use crate::subject;
use crate::support::reply::{Reply, escaped};
use crate::support::server::{Program, Server};

const ERROR_FOOTER: &str = "ERR DUMP payload version or checksum are wrong";
const ERROR_DATA: &str = "ERR Bad data format";

fn ok() -> Reply {
    Reply::Simple(b"OK".to_vec())
}

fn error(text: &str) -> Reply {
    Reply::Error(text.as_bytes().to_vec())
}

/// The reply of RESTORE, and the value after it.
fn restored(server: &Server, payload: &[u8]) -> (Reply, Reply) {
    let mut connection = server.connect();
    let mut call = |words: &[&[u8]]| connection.call(words).unwrap();
    call(&[b"DEL", b"k"]);
    (call(&[b"RESTORE", b"k", b"0", payload]), call(&[b"GET", b"k"]))
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn payloads_of_newer_servers_are_taken() {
    let (reference, subject) = (Server::redis(ARGS), Server::start(subject(), ARGS));
    for version in [11, 12, 80] {
        let payload = sealed(b"\x00\x03abc", version);
        let refused = (error(ERROR_FOOTER), Reply::NullBulk);
        assert_eq!(restored(&reference, &payload), refused, "version {version}");
        if subject.program() == Program::Limpid {
            let taken = (ok(), Reply::Bulk(b"abc".to_vec()));
            assert_eq!(restored(&subject, &payload), taken, "version {version}");
        }
    }
    for version in [13, 79, 81] {
        let payload = sealed(b"\x00\x03abc", version);
        let refused = (error(ERROR_FOOTER), Reply::NullBulk);
        assert_eq!(restored(&subject, &payload), refused, "version {version}");
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_value_does_not_run_into_the_footer_and_must_decompress() {
    let (reference, subject) = (Server::redis(ARGS), Server::start(subject(), ARGS));
    let mut taken_by_redis = 0;
    let cut: Vec<Vec<u8>> = STRINGS
        .iter()
        .flat_map(|string| (0..=string.len()).map(|len| string[..len].to_vec()))
        .collect();
    for string in cut {
        let payload = sealed(&[&[TYPE_STRING], &string[..]].concat(), VERSION);
        let shown = escaped(&payload);
        let (left, right) = (restored(&reference, &payload), restored(&subject, &payload));
        if !is_excepted(&payload) || subject.program() == Program::Redis {
            assert_eq!(left, right, "{shown}");
            continue;
        }
        assert_eq!(right, (error(ERROR_DATA), Reply::NullBulk), "{shown}");
        // A compressed one may turn out to be empty.
        if left.0 == ok() {
            taken_by_redis += 1;
        } else {
            assert_eq!(left, (error(ERROR_DATA), Reply::NullBulk), "{shown}");
        }
    }
    assert!(taken_by_redis > 10, "{taken_by_redis}");
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn redis_takes_its_own_footer_for_the_value_and_garbage_for_an_empty_one() {
    let reference = Server::redis(ARGS);
    let payload = sealed(b"\x00\x05abc", VERSION);
    assert!(runs_into_footer(&payload));
    let value = [&b"abc"[..], &VERSION.to_le_bytes()].concat();
    assert_eq!(restored(&reference, &payload), (ok(), Reply::Bulk(value)));
    // Invalid compressed bytes, of an empty string.
    let payload = sealed(b"\x00\xc3\x04\x00\x02abc", VERSION);
    assert!(is_excepted(&payload) && !runs_into_footer(&payload));
    assert_eq!(restored(&reference, &payload), (ok(), Reply::Bulk(Vec::new())));
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn checksums_are_passed_over_when_debug_says_so() {
    let servers = [Server::redis(ARGS), Server::start(subject(), ARGS)];
    let mut wrong = sealed(b"\x00\x03abc", VERSION);
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    let mut of_the_future = sealed(b"\x00\x03abc", 13);
    of_the_future[last] ^= 1;
    let short = &wrong[wrong.len() - FOOTER_LEN + 1..];
    let refused = (error(ERROR_FOOTER), Reply::NullBulk);
    let taken = (ok(), Reply::Bulk(b"abc".to_vec()));
    for server in &servers {
        let skip = |switch: &[u8]| {
            let words: &[&[u8]] = &[b"DEBUG", b"SET-SKIP-CHECKSUM-VALIDATION", switch];
            assert_eq!(server.call(words), Ok(ok()));
        };
        assert_eq!(restored(server, &wrong), refused);
        for on in [&b"1"[..], b" 1", b"2x", b"-1"] {
            skip(on);
            assert_eq!(restored(server, &wrong), taken, "{}", escaped(on));
            assert_eq!(restored(server, &of_the_future), refused);
            assert_eq!(restored(server, short), refused);
            for off in [&b"0"[..], b"x", b"", b"0x1", b"--1"] {
                skip(off);
                assert_eq!(restored(server, &wrong), refused, "{}", escaped(off));
            }
        }
    }
}
