//! A client that writes continuously: every command that changes values, keys and expiries, in
//! several databases, alone and in transactions.

use crate::support::connection::{Connection, Words, encode};
use crate::support::reply::Reply;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use crate::nodes::until;

/// Number of different keys.
const KEYS: u64 = 300;
const DATABASES: u64 = 4;
/// Maximum length of a transaction.
const UNIT_MAX: u64 = 5;

/// A writing thread, stopped when dropped.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    commands: AtomicU64,
}

impl Load {
    /// Starts to write to a server.
    pub(crate) fn start(port: u16, seed: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let mut writer = Writer::new(port, seed);
        let writing = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while !writing.over.load(Ordering::Relaxed) {
                let written = writer.step();
                writing.commands.fetch_add(written, Ordering::Relaxed);
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// Waits until `more` further commands are written.
    pub(crate) fn await_commands(&self, more: u64) {
        let wanted = self.shared.commands.load(Ordering::Relaxed) + more;
        until("the writer goes on", || {
            self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
                && self.shared.commands.load(Ordering::Relaxed) >= wanted
        });
    }

    /// Stops the thread, which must have succeeded.
    pub(crate) fn stop(mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // If this failed, the test has failed already.
            drop(thread.join());
        }
    }
}

/// Marsaglia's xorshift.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A client that chooses commands at random.
#[derive(Debug)]
pub(crate) struct Writer {
    random: Random,
    port: u16,
    client: Connection,
    /// The last payload from DUMP.
    payload: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(port: u16, seed: u64) -> Self {
        Self {
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            port,
            client: Connection::tcp(port).unwrap(),
            payload: Vec::new(),
        }
    }

    /// Sends one command built from a form.
    pub(crate) fn write(&mut self, form: &str) {
        let words: Words = form.split(' ').map(|word| self.word(word)).collect();
        self.client.send_raw(&encode(&words)).unwrap();
        self.client.read_reply().unwrap();
    }

    /// Sends a pipeline and reads its replies; returns the number of commands.
    fn step(&mut self) -> u64 {
        let mut unit: Vec<Words> = Vec::new();
        let transaction = self.random.below(4) == 0;
        if transaction {
            unit.push(vec![b"MULTI".to_vec()]);
        }
        for _ in 0..=self.random.below(UNIT_MAX) {
            unit.push(self.command());
        }
        if transaction {
            unit.push(vec![b"EXEC".to_vec()]);
        }
        let any = ["K", "list:", "set:", "hash:", "zset:", "stream:"];
        let dumped = any[self.random.below(any.len() as u64) as usize];
        let dumped = self.word(dumped);
        unit.push(vec![b"DUMP".to_vec(), dumped]);
        let bytes: Vec<u8> = unit.iter().flat_map(|words| encode(words)).collect();
        self.client.send_raw(&bytes).unwrap();
        for words in &unit {
            let Ok(reply) = self.client.read_reply() else {
                // A change of role ends the connections of those that wait for keys.
                let waits =
                    |words: &Words| words[0].starts_with(b"BL") || words[0].starts_with(b"BZ");
                assert!(unit.iter().any(waits), "a connection was closed");
                self.client = Connection::tcp(self.port).unwrap();
                break;
            };
            if words[0] == b"DUMP"
                && let Reply::Bulk(payload) = reply
            {
                self.payload = payload;
            }
        }
        unit.len() as u64
    }

    fn key(&mut self) -> Vec<u8> {
        format!("key:{}", self.random.below(KEYS)).into_bytes()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.below(4) {
            0 => self.random.below(1000).to_string().into_bytes(),
            1 => b"-12.5".to_vec(),
            2 => (0..self.random.below(40)).map(|_| self.random.below(256) as u8).collect(),
            _ => vec![b'x'; self.random.below(400) as usize],
        }
    }

    /// Builds a command from its form: K is a key, `list:` and the like one for that type, E an
    /// element of few, V a value, N a number, D a database, S a short
    /// time in seconds, M one in milliseconds, A and B the same as Unix times, P a payload.
    fn command(&mut self) -> Words {
        let form = FORMS[self.random.below(FORMS.len() as u64) as usize];
        form.split(' ').map(|word| self.word(word)).collect()
    }

    fn word(&mut self, word: &str) -> Vec<u8> {
        let unix_ms = chrono::Utc::now().timestamp_millis();
        let soon_ms = 1 + self.random.below(1500) as i64;
        let number = |number: i64| number.to_string().into_bytes();
        match word {
            "K" => self.key(),
            "V" => self.value(),
            "N" => number(self.random.below(200) as i64 - 100),
            "D" => number(self.random.below(DATABASES) as i64),
            "S" => number(1 + soon_ms / 1000),
            "M" => number(soon_ms),
            "A" => number((unix_ms + soon_ms) / 1000),
            "B" => number(unix_ms + soon_ms),
            "P" => self.payload.clone(),
            "E" => format!("element:{}", self.random.below(40)).into_bytes(),
            prefix if prefix.ends_with(':') => {
                format!("{prefix}{}", self.random.below(12)).into_bytes()
            }
            word => word.as_bytes().to_vec(),
        }
    }
}

/// All commands that change values, keys and expiries, and some that change nothing.
#[rustfmt::skip]
pub(crate) const FORMS: &[&str] = &[
    "SELECT D", "SELECT D", "SELECT D",
    "SET K V", "SET K V", "SET K V", "SET K V", "SET K N", "SET K N", "SET K N",
    "SET K V EX S", "SET K V PX M", "SET K V EXAT A", "SET K V PXAT B", "SET K V KEEPTTL",
    "SET K V NX", "SET K V XX", "SET K V XX GET", "SET K V NX PX M", "SET K V GET",
    "SETNX K V", "SETEX K S V", "PSETEX K M V", "GETSET K V", "GETDEL K",
    "GETEX K EX S", "GETEX K PX M", "GETEX K EXAT A", "GETEX K PXAT B", "GETEX K PERSIST",
    "APPEND K V", "SETRANGE K 3 V", "MSET K V K V K V", "MSETNX K V K V",
    "INCR K", "DECR K", "INCRBY K N", "DECRBY K N", "INCRBYFLOAT K N", "INCRBYFLOAT K 0.1",
    "DEL K K", "UNLINK K K", "RENAME K K", "RENAMENX K K", "MOVE K D", "TOUCH K",
    "COPY K K", "COPY K K REPLACE", "COPY K K DB D REPLACE",
    "EXPIRE K S", "PEXPIRE K M", "EXPIREAT K A", "PEXPIREAT K B", "PERSIST K",
    "EXPIRE K S NX", "EXPIRE K S XX", "PEXPIRE K M GT", "PEXPIRE K M LT", "EXPIRE K -1",
    "PEXPIREAT K 1", "RESTORE K 0 P", "RESTORE K M P REPLACE", "RESTORE K B P REPLACE ABSTTL",
    "GET K", "EXISTS K", "SCAN 0 COUNT 20", "PUBLISH news V", "SWAPDB D D",
    "LPUSH list: V E", "RPUSH list: V E N", "RPUSH list: E E E E E E E E", "LPUSHX list: V", "LPOP list:",
    "RPOP list: 3", "LSET list: 0 V", "LINSERT list: BEFORE E V", "LREM list: 1 E", "LTRIM list: 1 -2",
    "LMOVE list: list: LEFT RIGHT", "RPOPLPUSH list: list:", "LMPOP 2 list: list: LEFT COUNT 2",
    "BLPOP list: list: 0.001", "BLMOVE list: list: LEFT LEFT 0.001",
    "SADD set: E E N", "SADD set: N N N", "SADD set: V", "SREM set: E N", "SPOP set:", "SPOP set: 3",
    "SMOVE set: set: E", "SINTERSTORE set: set: set:", "SUNIONSTORE set: set: set:",
    "SDIFFSTORE set: set: set:",
    "HSET hash: E V E N", "HSET hash: V E", "HMSET hash: E V", "HSETNX hash: E V", "HDEL hash: E E",
    "HINCRBY hash: E N", "HINCRBYFLOAT hash: E 0.5",
    "ZADD zset: N E 1.25 E", "ZADD zset: GT CH N E", "ZADD zset: N V", "ZINCRBY zset: 0.1 E", "ZREM zset: E E",
    "ZPOPMIN zset:", "ZPOPMAX zset: 2", "ZMPOP 2 zset: zset: MIN", "BZPOPMIN zset: 0.001",
    "ZREMRANGEBYRANK zset: 0 1", "ZREMRANGEBYSCORE zset: 5 7", "ZREMRANGEBYLEX zset: [a [b",
    "ZRANGESTORE zset: zset: 0 5", "ZUNIONSTORE zset: 2 zset: set: WEIGHTS 1 2",
    "ZINTERSTORE zset: 2 zset: zset:", "ZDIFFSTORE zset: 2 zset: zset:",
    "GEOADD zset: 13.36 38.11 E 15.08 37.5 E", "GEOSEARCHSTORE zset: zset: FROMLONLAT 15 37 BYRADIUS 200 km",
    "XADD stream: * E V", "XADD stream: MAXLEN ~ 50 * E V E N", "XTRIM stream: MAXLEN 30", "XDEL stream: 1-1",
    "XGROUP CREATE stream: group 0 MKSTREAM", "XREADGROUP GROUP group E COUNT 2 STREAMS stream: >",
    "XAUTOCLAIM stream: group E 0 0 COUNT 2", "XGROUP DELCONSUMER stream: group E",
    "SETBIT bits: 77 1", "BITFIELD bits: INCRBY u8 9 3", "BITOP OR bits: bits: bits:",
    "PFADD hll: E V", "PFMERGE hll: hll: hll:", "PFCOUNT hll:", "SORT set: ALPHA STORE list:",
    "RENAME list: list:", "COPY zset: zset: REPLACE", "DEL set: hash:", "PEXPIRE hash: M",
];
