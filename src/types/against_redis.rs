//! Compares listpacks and intsets with those of a real redis-server, through DUMP.

use super::{intset, listpack};
use crate::real_redis::{RealRedis, Reply};
use crate::types::listpack::Listpack;

const KEY: &[u8] = b"key";
const SET: u8 = 11;
const HASH: u8 = 16;
const SORTED_SET: u8 = 17;
const LIST: u8 = 18;

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    fn integer(&mut self) -> i64 {
        let bits = self.below(64);
        let value = (self.0 & (u64::MAX >> bits)).cast_signed();
        if self.below(2) == 0 { value } else { value.wrapping_neg() }
    }

    fn string(&mut self, long: usize) -> Vec<u8> {
        let len = match self.below(8) {
            0..3 => return self.integer().to_string().into_bytes(),
            3..5 => self.index(20),
            5 => 55 + self.index(20),
            6 => 115 + self.index(20),
            _ => self.index(long),
        };
        let letter = b'a' + u8::try_from(self.below(26)).unwrap();
        vec![letter; len]
    }
}

fn server() -> RealRedis {
    let mut redis = RealRedis::start(None);
    for name in ["hash-max-listpack", "zset-max-listpack"] {
        for limit in ["entries", "value"] {
            redis.ok(&[b"CONFIG", b"SET", format!("{name}-{limit}").as_bytes(), b"100000000"]);
        }
    }
    redis.ok(&[b"CONFIG", b"SET", b"rdbcompression", b"no"]);
    redis.ok(&[b"CONFIG", b"SET", b"list-max-listpack-size", b"-5"]);
    redis
}

/// The one string in the value's payload, after `prefix`.
fn stored(redis: &mut RealRedis, code: u8, prefix: &[u8]) -> Vec<u8> {
    let Reply::Bulk(payload) = redis.call(&[b"DUMP", KEY]) else { panic!("the key is there") };
    assert_eq!(payload[0], code);
    let rest = payload[1..].strip_prefix(prefix).unwrap();
    let (head, len) = match rest[0] {
        short @ 0..0x40 => (1, usize::from(short)),
        long @ 0x40..0x80 => (2, usize::from(long & 0x3f) << 8 | usize::from(rest[1])),
        _ => (5, u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize),
    };
    assert_eq!(rest.len(), head + len + 10);
    rest[head..head + len].to_vec()
}

#[test]
#[ignore = "starts a redis-server 7.0.15"]
fn hashes_are_redis_listpacks() {
    let (mut redis, mut dice, mut ours) = (server(), Dice(1), listpack::EMPTY.to_vec());
    for round in 0..3000 {
        let field = dice.string(200);
        let at = Listpack::new(&ours).find(&field, 1);
        if let (0, Some(at)) = (dice.below(4), at) {
            redis.call(&[b"HDEL", KEY, &field]);
            listpack::delete(&mut ours, at, 2);
        } else {
            let value = dice.string(20_000);
            redis.call(&[b"HSET", KEY, &field, &value]);
            if let Some(at) = at {
                let at = Listpack::new(&ours).next(at).unwrap();
                listpack::replace(&mut ours, at, &value);
            } else {
                listpack::push_back(&mut ours, &field);
                listpack::push_back(&mut ours, &value);
            }
        }
        if round % 10 == 0 && !Listpack::new(&ours).is_empty() {
            assert!(stored(&mut redis, HASH, &[]) == ours, "round {round}");
            Listpack::check(&ours).unwrap();
        }
    }
}

#[test]
#[ignore = "starts a redis-server 7.0.15"]
fn every_back_length_is_that_of_redis() {
    let mut redis = server();
    for len in
        (0..70).chain(115..135).chain(4085..4100).chain(16_370..16_390).chain(2_097_140..2_097_160)
    {
        let mut ours = listpack::EMPTY.to_vec();
        let value = vec![b'v'; len];
        listpack::push_back(&mut ours, b"f");
        listpack::push_back(&mut ours, &value);
        redis.call(&[b"DEL", KEY]);
        redis.call(&[b"HSET", KEY, b"f", &value]);
        assert!(stored(&mut redis, HASH, &[]) == ours, "{len}");
    }
}

#[test]
#[ignore = "starts a redis-server 7.0.15"]
fn sorted_sets_are_redis_listpacks() {
    let (mut redis, mut dice, mut ours) = (server(), Dice(2), listpack::EMPTY.to_vec());
    for round in 0..400 {
        // A growing score: each member goes behind all others.
        let (member, score) = (dice.string(300), i64::from(round) * 977 - 30_000);
        if Listpack::new(&ours).find(&member, 1).is_some() {
            continue;
        }
        redis.call(&[b"ZADD", KEY, score.to_string().as_bytes(), &member]);
        listpack::push_back(&mut ours, &member);
        listpack::push_back_int(&mut ours, score);
        assert!(stored(&mut redis, SORTED_SET, &[]) == ours, "round {round}");
    }
}

#[test]
#[ignore = "starts a redis-server 7.0.15"]
fn lists_are_redis_listpacks() {
    let (mut redis, mut dice, mut ours) = (server(), Dice(3), listpack::EMPTY.to_vec());
    for round in 0..3000 {
        let value = dice.string(100);
        let len = Listpack::new(&ours).len();
        let index = i64::try_from(dice.index(len.max(1))).unwrap();
        let offset = Listpack::new(&ours).seek(index);
        let at = index.to_string().into_bytes();
        match (dice.below(6), offset) {
            (0, Some(offset)) => {
                redis.ok(&[b"LSET", KEY, &at, &value]);
                listpack::replace(&mut ours, offset, &value);
            }
            (1, Some(_)) if len > 300 => {
                redis.call(&[b"LPOP", KEY]);
                listpack::delete(&mut ours, 6, 1);
            }
            (2, Some(offset)) if len > 300 => {
                redis.ok(&[b"LTRIM", KEY, b"0", (index - 1).max(0).to_string().as_bytes()]);
                let offset =
                    if index == 0 { Listpack::new(&ours).next(offset).unwrap() } else { offset };
                listpack::delete(&mut ours, offset, usize::MAX);
            }
            (3, Some(offset)) => {
                let pivot = Listpack::new(&ours).get(offset).to_vec();
                let offset = Listpack::new(&ours).find(&pivot, 0).unwrap();
                redis.call(&[b"LINSERT", KEY, b"AFTER", &pivot, &value]);
                listpack::insert_after(&mut ours, offset, &value);
            }
            (4, _) => {
                redis.call(&[b"LPUSH", KEY, &value]);
                listpack::push_front(&mut ours, &value);
            }
            _ => {
                redis.call(&[b"RPUSH", KEY, &value]);
                listpack::push_back(&mut ours, &value);
            }
        }
        if round % 5 == 0 {
            assert!(stored(&mut redis, LIST, &[1, 2]) == ours, "round {round}");
        }
    }
}

#[test]
#[ignore = "starts a redis-server 7.0.15"]
fn sets_of_integers_are_redis_intsets() {
    let (mut redis, mut dice) = (server(), Dice(4));
    for bits in [6, 14, 30, 62] {
        let mut ours = intset::EMPTY.to_vec();
        redis.call(&[b"DEL", KEY]);
        for round in 0..600 {
            let value = dice.integer() >> (62 - bits);
            let text = value.to_string().into_bytes();
            if dice.below(4) == 0 {
                redis.call(&[b"SREM", KEY, &text]);
                intset::remove(&mut ours, value);
            } else {
                redis.call(&[b"SADD", KEY, &text]);
                intset::insert(&mut ours, value);
            }
            let set = intset::Intset::new(&ours);
            if set.is_empty() {
                // Redis removes the set, and begins the next one with the least width.
                ours = intset::EMPTY.to_vec();
                continue;
            }
            if set.len() > 500 {
                break;
            }
            assert!(stored(&mut redis, SET, &[]) == ours, "{bits} bits, round {round}");
        }
    }
}
