//! The pool that the generators draw from: few keys so that commands meet, many odd values, times
//! far from now so that both servers agree on them.

use crate::pool::{ValueType, is_typed_key};
use crate::random::Random;
use crate::support::connection::Words;

/// Number of databases in use; larger indexes occur as odd ones.
const DATABASES: usize = 3;

/// Relative times are multiples of this many seconds and above it, each drawn once: two are never
/// so close that the time of execution decides which is greater.
const TTL_STEP_SECS: i64 = 1_000;

/// Year 2096: later than now plus any relative time drawn.
pub(crate) const FAR_SECS: i64 = 4_000_000_000;

const KEYS: &[&[u8]] = &[
    b"k0",
    b"k1",
    b"k2",
    b"k3",
    b"k4",
    b"k5",
    b"k6",
    b"k7",
    b"k8",
    b"k9",
    b"K1",
    b"foo",
    b"foobar",
    b"user:{1}:a",
    b"user:{1}:b",
    b"count",
    b"float",
    b"",
    b" ",
    b"a*b",
    b"[x]?",
    b"back\\slash",
    b"\r\n",
    b"\0",
    b"\xff\xfe\0\x01",
    b"caf\xc3\xa9",
    b"\"quoted\"",
    b"12345",
    b"-1",
    b"nil",
];

const NEVER_SET: &[&[u8]] = &[b"missing", b"none"];

pub(crate) const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "10",
    "-10",
    "100",
    "9999",
    "10000",
    "10001",
    "32767",
    "-32768",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9223372036854775806",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775807",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775",
    "9223372036854776",
    "-9223372036854776",
];

pub(crate) const FLOATS: &[&str] = &[
    "0.1",
    "0.2",
    "-0.1",
    "1.5",
    "3.0",
    "3.14159265358979",
    "1e5",
    "1E5",
    "5.0e3",
    "-5.0e-3",
    "1e17",
    "1e18",
    "123456789.123456789",
    "1e-10",
    "1e-17",
    "1e-18",
    "0.00000000000000001",
    "1e400",
    "-1e400",
    "1e4000",
    "1e5000",
    "inf",
    "-inf",
    "+inf",
    "Infinity",
    "infinity",
    "INF",
    "nan",
    "NaN",
    "-nan",
    "0x1p3",
    "0xA",
    "0x1.8p1",
    "1e",
    "1e+",
    ".5",
    "5.",
    "-.5",
    ".",
    "+1.5",
    " 1.5",
    "1.5 ",
    "1,5",
    "1_000",
    "-0.0",
    "-0",
    "1.7976931348623157e308",
    "2e308",
    "4.9e-324",
    "9007199254740993",
    "0.30000000000000004",
    "99999999999999999999",
    "1.0000000000000000001",
];

const ODD_NUMBERS: &[&[u8]] = &[
    b"",
    b" ",
    b" 1",
    b"1 ",
    b"+1",
    b"+0",
    b"01",
    b"007",
    b"-01",
    b"--1",
    b"-",
    b"+",
    b"1.0",
    b"0x10",
    b"1e3",
    b"abc",
    b"12abc",
    b"1\0",
    b"\0",
    b"1\r\n",
    b"\xff",
    b"\xd9\xa1",
    b"NaN",
    b"inf",
    b"-0",
    b"1_0",
    b"1,0",
    b"(1",
    b"[1",
    b"*",
    b"$",
];

const PATTERNS: &[&[u8]] = &[
    b"*",
    b"k*",
    b"k?",
    b"k[0-4]",
    b"k[^0-4]",
    b"[a-f]*",
    b"[f-a]*",
    b"*o*",
    b"f??",
    b"",
    b"user:*",
    b"*{1}*",
    b"a\\*b",
    b"a*b",
    b"\\",
    b"back\\\\slash",
    b"[",
    b"[]",
    b"[^]",
    b"k[",
    b"k[1",
    b"k[1-",
    b"**",
    b"*?*",
    b"?",
    b"??",
    b"*a*a*a*b",
    b"\xff*",
    b"[\x80-\xff]*",
    b"\r\n",
    b"\\[x\\]\\?",
    b"[[]x]?",
    b"k\\1",
    b"K1",
    b"[\\]]",
    b"[a\\-z]*",
    b"k[0123456789]",
    b"*[!0]",
    b"foo*",
];

const CHANNELS: &[&[u8]] =
    &[b"news", b"news.art", b"news.it", b"n", b"", b"\0\xff", b"chat", b"Chat", b"a b"];

const WORDS: &[&[u8]] =
    &[b"hello", b"Hello World", b"ohmytext", b"mynewtext", b"OK", b"GET", b"nx", b"true", b"*3"];

/// Options or subcommands of some command; their case varies.
pub(crate) const OPTIONS: &[&str] = &[
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "NX",
    "XX",
    "GT",
    "LT",
    "GET",
    "KEEPTTL",
    "PERSIST",
    "REPLACE",
    "ABSTTL",
    "IDLETIME",
    "FREQ",
    "DB",
    "MATCH",
    "COUNT",
    "TYPE",
    "LEN",
    "IDX",
    "MINMATCHLEN",
    "WITHMATCHLEN",
    "ASYNC",
    "SYNC",
    "ON",
    "OFF",
    "SKIP",
    "SAMPLES",
    "STRING",
];

/// Options of commands on collections; their case varies.
pub(crate) const COLLECTION_OPTIONS: &[&str] = &[
    "WITHSCORES",
    "WITHSCORE",
    "WITHVALUES",
    "LIMIT",
    "REV",
    "BYSCORE",
    "BYLEX",
    "CH",
    "INCR",
    "NX",
    "XX",
    "GT",
    "LT",
    "WEIGHTS",
    "AGGREGATE",
    "SUM",
    "MIN",
    "MAX",
    "COUNT",
    "MATCH",
    "LEFT",
    "RIGHT",
    "BEFORE",
    "AFTER",
    "RANK",
    "MAXLEN",
    "MINID",
    "NOMKSTREAM",
    "STREAMS",
    "GROUP",
    "CREATE",
    "MKSTREAM",
    "JUSTID",
    "FORCE",
    "NOACK",
    "FULL",
    "BY",
    "STORE",
    "ALPHA",
    "ASC",
    "DESC",
    "BYTE",
    "BIT",
    "OVERFLOW",
    "WRAP",
    "SAT",
    "FAIL",
    "FROMMEMBER",
    "FROMLONLAT",
    "BYRADIUS",
    "BYBOX",
    "WITHCOORD",
    "WITHDIST",
    "WITHHASH",
    "ANY",
    "STOREDIST",
];

/// State of the generators of one run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) random: Random,
    /// The protocol that most connections of this run use.
    pub(crate) protocol: u8,
    /// DUMP payloads from the reference.
    pub(crate) dumps: Vec<Vec<u8>>,
    /// The types whose own keys occur.
    pub(crate) types: Vec<ValueType>,
    /// The milliseconds of the ids of entries of streams: they only grow.
    pub(crate) stream_clock: u64,
    ttls_drawn: i64,
}

impl World {
    pub(crate) const fn new(seed: u64, protocol: u8, types: Vec<ValueType>) -> Self {
        Self {
            random: Random::new(seed),
            protocol,
            dumps: Vec::new(),
            types,
            stream_clock: 1,
            ttls_drawn: 0,
        }
    }

    pub(crate) fn key(&mut self) -> Vec<u8> {
        match self.random.below(100) {
            0..4 => self.random.pick(NEVER_SET).to_vec(),
            4 => vec![b'L'; 1_000],
            5..25 if !self.types.is_empty() => {
                let of = *self.random.pick(&self.types);
                self.typed_key(of)
            }
            _ => self.random.pick(KEYS).to_vec(),
        }
    }

    pub(crate) fn keys(&mut self, most: usize) -> Words {
        let count = self.random.between(1, most);
        (0..count).map(|_| self.key()).collect()
    }

    /// A value of any kind, mostly short.
    pub(crate) fn value(&mut self) -> Vec<u8> {
        match self.random.below(1000) {
            0..250 => self.integer(),
            250..350 => self.float(),
            350..450 => self.random.pick(WORDS).to_vec(),
            450..650 => self.letters(),
            650..750 => {
                let len = self.random.below(40);
                self.random.bytes(len)
            }
            750..800 => Vec::new(),
            // An embstr holds 44 bytes; an integer has at most 20 characters.
            800..900 => {
                let len = *self.random.pick(&[19, 20, 21, 22, 43, 44, 45, 46, 63, 64, 65]);
                self.random.text(len, b"xyz123")
            }
            900..940 => self.random.pick(ODD_NUMBERS).to_vec(),
            940..993 => {
                let len = self.random.between(200, 2_000);
                self.long_value(len)
            }
            _ => {
                let len = self.random.between(20_000, 100_000);
                self.long_value(len)
            }
        }
    }

    /// A long value; some compress well, some do not.
    fn long_value(&mut self, len: usize) -> Vec<u8> {
        match self.random.below(3) {
            0 => self.random.bytes(len),
            1 => vec![self.random.next() as u8; len],
            _ => self.random.text(len, b"abcd"),
        }
    }

    /// A text of few different letters, so that two such texts have common parts.
    pub(crate) fn letters(&mut self) -> Vec<u8> {
        let len = self.random.below(20);
        self.random.text(len, b"abcAB")
    }

    /// A 64-bit number as text, sometimes too large.
    pub(crate) fn integer(&mut self) -> Vec<u8> {
        match self.random.below(10) {
            0..4 => self.random.pick(INTEGERS).as_bytes().to_vec(),
            4..9 => self.small().to_string().into_bytes(),
            _ => (self.random.next() as i64).to_string().into_bytes(),
        }
    }

    pub(crate) const fn small(&mut self) -> i64 {
        self.random.below(200) as i64 - 60
    }

    /// A number as an argument: mostly valid, sometimes odd.
    pub(crate) fn number(&mut self) -> Vec<u8> {
        if self.random.percent(10) { self.odd_number() } else { self.integer() }
    }

    pub(crate) fn odd_number(&mut self) -> Vec<u8> {
        self.random.pick(ODD_NUMBERS).to_vec()
    }

    pub(crate) fn float(&mut self) -> Vec<u8> {
        match self.random.below(10) {
            0..5 => self.random.pick(FLOATS).as_bytes().to_vec(),
            5..8 => {
                let digits = self.random.below(18);
                let value = (self.random.next() % 1_000_000_000) as f64 / 1_000.0;
                format!("{value:.digits$}").into_bytes()
            }
            8 => {
                let exponent = self.random.below(40) as i64 - 20;
                format!("{}e{exponent}", self.small()).into_bytes()
            }
            _ => self.number(),
        }
    }

    pub(crate) fn database(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => self.random.pick(&[&b"15"[..], b"16", b"-1", b"1000000"]).to_vec(),
            1 => self.number(),
            _ => self.random.below(DATABASES).to_string().into_bytes(),
        }
    }

    pub(crate) fn pattern(&mut self) -> Vec<u8> {
        self.random.pick(PATTERNS).to_vec()
    }

    pub(crate) fn channel(&mut self) -> Vec<u8> {
        self.random.pick(CHANNELS).to_vec()
    }

    /// A channel pattern; sometimes for keyspace events.
    pub(crate) fn channel_pattern(&mut self) -> Vec<u8> {
        let patterns: &[&[u8]] = &[
            b"news.*",
            b"n*",
            b"n?ws",
            b"[nN]*",
            b"*",
            b"",
            b"__key*__:*",
            b"__keyevent@0__:set",
            b"__keyspace@*__:k?",
            b"[",
            b"\\*",
        ];
        self.random.pick(patterns).to_vec()
    }

    pub(crate) fn channels(&mut self, most: usize) -> Words {
        let count = self.random.between(1, most);
        (0..count).map(|_| self.channel()).collect()
    }

    /// Seconds from now, far off and never drawn before.
    pub(crate) const fn ttl_secs(&mut self) -> i64 {
        // 16385 and 65536 have no common factor: all numbers below occur once, in mixed order.
        self.ttls_drawn = (self.ttls_drawn + 16_385) % 65_536;
        (self.ttls_drawn + 10) * TTL_STEP_SECS
    }

    /// A second far in the future, from few so that equal ones occur.
    pub(crate) const fn far_secs(&mut self) -> i64 {
        FAR_SECS + self.random.below(5) as i64 * 1_000_000
    }

    /// A second long past, including zero and negative ones.
    pub(crate) fn past_secs(&mut self) -> i64 {
        *self.random.pick(&[1, 1_000, 999_999_999, 0, -1, -1_000])
    }

    /// Options in any number, order and combination from `words`.
    pub(crate) fn some_of(&mut self, most: usize, words: &[&str]) -> Words {
        let count = self.random.below(most + 1);
        (0..count).map(|_| self.random.pick(words).as_bytes().to_vec()).collect()
    }

    /// An argument of any kind.
    pub(crate) fn anything(&mut self) -> Vec<u8> {
        match self.random.below(8) {
            0 | 1 => self.key(),
            2 => self.value(),
            3 => self.integer(),
            4 => self.odd_number(),
            5 => self.float(),
            6 if self.types.is_empty() => self.random.pick(OPTIONS).as_bytes().to_vec(),
            6 => self.random.pick(COLLECTION_OPTIONS).as_bytes().to_vec(),
            _ => self.pattern(),
        }
    }

    /// A word with some letters in the other case.
    pub(crate) fn mixed_case(&mut self, word: &[u8]) -> Vec<u8> {
        let lower = self.random.percent(50);
        let mut mixed = |byte: &u8| match lower || self.random.percent(50) {
            true => byte.to_ascii_lowercase(),
            false => byte.to_ascii_uppercase(),
        };
        word.iter().map(&mut mixed).collect()
    }
}

/// Whether a word is one of the keys that commands use; for reports.
pub(crate) fn is_key(word: &[u8]) -> bool {
    KEYS.contains(&word) || is_typed_key(word) || (word.len() == 1_000 && word[0] == b'L')
}
