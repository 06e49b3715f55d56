//! Damaged payloads: RESTORE refuses each or makes a value on which every command of its type works.
//!
//! The payloads come from DUMP of values in every form, and from the old forms in RDB files; they
//! are cut, and their bytes and bits are changed. The checksum is not compared, so the reader sees
//! it all. A short run is part of the tests; `LIMPID_FUZZ_SECONDS` sets the time for each form.

use std::time::{Duration, Instant};

use super::super::fixture::Fixture;
use crate::commands::Random;
use crate::settings::{LocalAccess, Settings};

/// Commands that make a value in one form.
const FORMS: &[(&str, &[&str])] = &[
    ("string", &["SET k hello"]),
    ("integer", &["SET k 1234567"]),
    ("long string", &["SETRANGE k 9000 abcabcabcabcabcabcabcabcabcabcabcabcabcabc"]),
    ("list of one listpack", &["RPUSH k a 1 300 70000 -5000000000 hello"]),
    (
        "list of nodes",
        &["CONFIG SET list-max-listpack-size 3", "RPUSH k a b c d 1 2 3 4 5000 x y z"],
    ),
    ("intset", &["SADD k 1 2 70000 5000000000"]),
    ("set of words", &["SADD k a b c hello 17"]),
    ("set", &["CONFIG SET set-max-intset-entries 1", "SADD k 1 2 3 4 5 6 7 8 9 aaa bbb"]),
    ("hash as listpack", &["HSET k a 1 b hello c 70000"]),
    ("hash", &["CONFIG SET hash-max-listpack-entries 1", "HSET k a 1 b hello c 70000 d x"]),
    ("sorted set as listpack", &["ZADD k 1 a 2.5 b -inf c 7 17"]),
    ("sorted set", &["CONFIG SET zset-max-listpack-entries 1", "ZADD k 1 a 2.5 b -inf c 7 17"]),
    (
        "stream",
        &[
            "CONFIG SET stream-node-max-entries 3",
            "XADD k 1-1 a 1 b 2",
            "XADD k 1-2 a 3 b 4",
            "XADD k 2-1 c 5",
            "XADD k 3-1 a 1 b 2",
            "XADD k 4-1 a 1",
            "XDEL k 1-2",
            "XGROUP CREATE k g 0",
            "XREADGROUP GROUP g one COUNT 2 STREAMS k >",
            "XREADGROUP GROUP g two COUNT 1 STREAMS k >",
        ],
    ),
    ("HyperLogLog", &["PFADD k a b c d e f"]),
    ("dense HyperLogLog", &["PFADD k a b c d e f", "PFDEBUG TODENSE k"]),
];

/// Commands that read and change a value of any type; those of other types fail.
const COMMANDS: &[&str] = &[
    "TYPE k",
    "OBJECT ENCODING k",
    "MEMORY USAGE k",
    "DEBUG OBJECT k",
    "DEBUG DIGEST-VALUE k",
    "DUMP k",
    "COPY k copy REPLACE",
    "SORT k ALPHA",
    "GET k",
    "STRLEN k",
    "GETRANGE k 0 -1",
    "BITCOUNT k",
    "BITPOS k 1",
    "BITFIELD k GET u5 3 INCRBY i8 #2 5",
    "PFCOUNT k",
    "PFMERGE merged k",
    "PFADD k x y z",
    "PFDEBUG DECODE k",
    "PFDEBUG GETREG k",
    "PFDEBUG TODENSE k",
    "APPEND k x",
    "SETRANGE k 2 abc",
    "LLEN k",
    "LRANGE k 0 -1",
    "LINDEX k 2",
    "LPOS k a RANK -1",
    "LSET k 0 changed",
    "LINSERT k AFTER changed x",
    "LPUSH k a",
    "RPUSH k a",
    "LMOVE k k LEFT RIGHT",
    "LREM k 1 a",
    "LTRIM k 1 -2",
    "LPOP k",
    "RPOP k",
    "SCARD k",
    "SMEMBERS k",
    "SISMEMBER k a",
    "SRANDMEMBER k -5",
    "SSCAN k 0 COUNT 1000",
    "SINTER k k",
    "SUNIONSTORE union k k",
    "SADD k 5 new",
    "SREM k 1 a",
    "SPOP k",
    "HLEN k",
    "HGETALL k",
    "HGET k a",
    "HSCAN k 0",
    "HRANDFIELD k -5 WITHVALUES",
    "HSET k a 5 new 6",
    "HINCRBY k a 1",
    "HDEL k b",
    "ZCARD k",
    "ZRANGE k 0 -1 WITHSCORES",
    "ZRANGE k -inf +inf BYSCORE REV",
    "ZRANGEBYLEX k - +",
    "ZSCORE k a",
    "ZRANK k a",
    "ZREVRANK k b",
    "ZSCAN k 0",
    "ZUNION 2 k k",
    "ZRANDMEMBER k -5",
    "ZADD k 3 a 4 new",
    "ZINCRBY k 1 b",
    "ZREM k c",
    "ZPOPMIN k",
    "GEOPOS k a",
    "XLEN k",
    "XRANGE k - +",
    "XREVRANGE k + -",
    "XREAD STREAMS k 0",
    "XINFO STREAM k FULL",
    "XINFO GROUPS k",
    "XPENDING k g",
    "XPENDING k g - + 10",
    "XREADGROUP GROUP g one STREAMS k 0",
    "XREADGROUP GROUP g one STREAMS k >",
    "XAUTOCLAIM k g two 0 0",
    "XCLAIM k g one 0 1-1 2-1",
    "XACK k g 1-1",
    "XADD k * a 1",
    "XDEL k 2-1 3-1",
    "XTRIM k MAXLEN 1",
    "XGROUP DELCONSUMER k g one",
    "XSETID k 99999999999999-0",
    "DUMP k",
    "DEL k",
];

/// Bytes that the allocator may take for a payload of a few hundred.
const ALLOCATED_BYTES_MAX: usize = 1 << 20;

/// A fixture with DEBUG, and without comparison of checksums.
fn fixture() -> Fixture {
    let mut settings = Settings::default();
    settings.security.enable_debug_command = LocalAccess::Yes;
    let mut fixture = Fixture::with(settings, &[]);
    assert_eq!(fixture.run("a", "DEBUG SET-SKIP-CHECKSUM-VALIDATION 1"), "+OK");
    fixture
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The payload of a value in one form, as the server gives it.
fn payload(form: &[&str]) -> Vec<u8> {
    let mut fixture = fixture();
    for line in form {
        let reply = fixture.run("a", line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    let node = fixture.node();
    let key = node.keyspace.key(b"k");
    let mut guard = node.keyspace.lock(crate::keyspace::ShardSet::ALL);
    crate::rdb::dump(guard.locked().get(0, key).expect("just made").value())
}

/// Changes some bytes; the type stays more often than not.
fn damage(random: &mut Random, payload: &[u8]) -> Vec<u8> {
    let mut damaged = payload.to_vec();
    let below = |random: &mut Random, bound: usize| (random.next() % bound.max(1) as u64) as usize;
    for _ in 0..1 + below(random, 4) {
        let footer = 10;
        let at = below(random, damaged.len() - footer);
        match random.next() % 8 {
            0..3 => damaged[at] ^= 1 << (random.next() % 8),
            3 | 4 => damaged[at] = random.next() as u8,
            5 => {
                damaged[at] =
                    [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xc3, 0xfe, 0xff][below(random, 10)]
            }
            6 if damaged.len() > 20 => {
                damaged.remove(at);
            }
            _ => damaged.insert(at, random.next() as u8),
        }
    }
    damaged
}

/// Tries of a form at least, on a machine however slow.
const TRIED_MIN: u64 = 11;

/// Restores damaged payloads of a form for a while; returns how many were tried and taken.
#[allow(clippy::disallowed_methods, reason = "it runs for a time")]
fn fuzz(seed: u64, form: &[&str], time: Duration) -> (u64, u64) {
    let payload = payload(form);
    let mut fixture = fixture();
    let mut random = Random::new(seed);
    let (began, mut tried, mut taken) = (Instant::now(), 0, 0);
    while tried < TRIED_MIN || began.elapsed() < time {
        let damaged = damage(&mut random, &payload);
        tried += 1;
        let reply = fixture.send("a", &request(&[b"RESTORE", b"k", b"0", &damaged, b"REPLACE"]));
        if reply != "+OK" {
            assert!(reply.starts_with("-ERR"), "{reply}");
            continue;
        }
        taken += 1;
        let node = fixture.node();
        let key = node.keyspace.key(b"k");
        let bytes = {
            let mut guard = node.keyspace.lock(crate::keyspace::ShardSet::ALL);
            guard.locked().get(0, key).map_or(0, |entry| entry.allocated_bytes())
        };
        assert!(bytes <= ALLOCATED_BYTES_MAX, "{bytes} bytes of {damaged:?}");
        for line in COMMANDS {
            fixture.run("a", line);
        }
        fixture.run("a", "FLUSHALL");
    }
    (tried, taken)
}

#[test]
fn damaged_payloads_are_refused_or_make_sound_values() {
    let seconds = std::env::var("LIMPID_FUZZ_SECONDS");
    let seconds: f64 = seconds.map_or(0.3, |seconds| seconds.parse().expect("a number"));
    let seed = std::env::var("LIMPID_FUZZ_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    for (name, form) in FORMS {
        let (tried, taken) = fuzz(seed, form, Duration::from_secs_f64(seconds));
        println!("{name}: {tried} tried, {taken} taken");
    }
}
