//! What the generators of collections draw: keys by type, members, scores, bounds, indexes.

use crate::support::connection::Words;
use crate::world::World;

/// A type that has keys of its own, so that most commands meet a value of their type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ValueType {
    List,
    Set,
    Hash,
    SortedSet,
    Stream,
    Bits,
    HyperLogLog,
    Geo,
}

use ValueType::{Bits, Geo, Hash, HyperLogLog, List, Set, SortedSet, Stream};

/// Members that collections share: integers of every width, floats, odd texts, and texts around the
/// 64 bytes up to which a listpack holds a member.
const MEMBERS: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"e",
    b"f",
    b"g",
    b"A",
    b"aa",
    b"ab",
    b"0",
    b"1",
    b"2",
    b"3",
    b"-1",
    b"12",
    b"127",
    b"128",
    b"-4096",
    b"4095",
    b"32767",
    b"-32769",
    b"8388607",
    b"-8388609",
    b"2147483648",
    b"-9223372036854775808",
    b"9223372036854775807",
    b"9223372036854775808",
    b"1.5",
    b"1.0",
    b"01",
    b"+1",
    b"-0",
    b"1e3",
    b"3.25",
    b"inf",
    b"",
    b" ",
    b"\0",
    b"a\0b",
    b"\xff\xfe\0",
    b"\r\n",
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

/// Timeouts of blocking commands: of a few milliseconds, or refused.
pub(crate) const TIMEOUTS: &[&[u8]] =
    &[b"0.001", b"0.002", b"0.003", b"1e-3", b"-1", b"-0.1", b"abc", b"", b" 1", b"1x"];

/// Keys of each type.
const KEYS_PER_TYPE: usize = 5;

const fn prefix(of: ValueType) -> &'static str {
    match of {
        List => "list:",
        Set => "set:",
        Hash => "hash:",
        SortedSet => "zset:",
        Stream => "stream:",
        Bits => "bits:",
        HyperLogLog => "hll:",
        Geo => "geo:",
    }
}

/// Whether a word is a key that only values of one type use.
pub(crate) fn is_typed_key(word: &[u8]) -> bool {
    [List, Set, Hash, SortedSet, Stream, Bits, HyperLogLog, Geo]
        .iter()
        .any(|&of| word.starts_with(prefix(of).as_bytes()))
        || word.starts_with(b"~")
}

impl World {
    /// A key of that type's own.
    pub(crate) fn typed_key(&mut self, of: ValueType) -> Vec<u8> {
        format!("{}{}", prefix(of), self.random.below(KEYS_PER_TYPE)).into_bytes()
    }

    /// Mostly a key of that type, sometimes one of any.
    pub(crate) fn key_of(&mut self, of: ValueType) -> Vec<u8> {
        if self.random.percent(95) { self.typed_key(of) } else { self.key() }
    }

    pub(crate) fn keys_of(&mut self, of: ValueType, most: usize) -> Words {
        let count = self.random.between(1, most);
        (0..count).map(|_| self.key_of(of)).collect()
    }

    /// Like `keys_of`, preceded by their number, which is sometimes wrong.
    pub(crate) fn counted_keys_of(&mut self, of: &[ValueType], most: usize) -> Words {
        let count = self.random.between(1, most);
        let given = match self.random.below(40) {
            0 => self.number(),
            1 => (count + 1).to_string().into_bytes(),
            2 => (count - 1).to_string().into_bytes(),
            _ => count.to_string().into_bytes(),
        };
        let mut words = vec![given];
        for _ in 0..count {
            let of = *self.random.pick(of);
            words.push(self.key_of(of));
        }
        words
    }

    pub(crate) fn member(&mut self) -> Vec<u8> {
        match self.random.below(100) {
            0..55 => self.random.pick(MEMBERS).to_vec(),
            55..75 => self.random.below(40).to_string().into_bytes(),
            75..85 => self.random.below(700).to_string().into_bytes(),
            85..92 => {
                let len = self.random.below(6);
                self.random.text(len, b"abcAB")
            }
            92..95 => {
                let len = self.random.between(62, 66);
                self.random.text(len, b"yz")
            }
            95..98 => {
                let len = self.random.below(300);
                self.random.bytes(len)
            }
            _ => self.value(),
        }
    }

    pub(crate) fn members(&mut self, most: usize) -> Words {
        let count = self.random.between(1, most);
        (0..count).map(|_| self.member()).collect()
    }

    /// Enough members, all of one kind, to cross a threshold of an encoding: a run of integers, or
    /// of texts.
    pub(crate) fn many_members(&mut self) -> Words {
        let count = self.random.between(20, 220);
        let from = self.random.below(500);
        let numbers = from..from + count;
        match self.random.below(10) {
            0..4 => numbers.map(|number| number.to_string().into_bytes()).collect(),
            4..7 => numbers.map(|number| format!("m{number}").into_bytes()).collect(),
            7 => numbers.map(|number| format!("{number:060}").into_bytes()).collect(),
            8 => (0..count / 8).map(|number| format!("{number:0800}").into_bytes()).collect(),
            _ => (0..count).map(|_| self.member()).collect(),
        }
    }

    /// A score as an argument; seldom none.
    pub(crate) fn score(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0..10 => (self.random.below(20) as i64 - 5).to_string().into_bytes(),
            10..14 => {
                let tenths = self.random.below(200) as f64 - 50.0;
                (tenths / 8.0).to_string().into_bytes()
            }
            14 => b"inf".to_vec(),
            15 => b"-inf".to_vec(),
            16..19 => {
                let scores: &[&[u8]] = &[
                    b"0",
                    b"-0",
                    b"1e3",
                    b"1e-7",
                    b"0.1",
                    b"0.30000000000000004",
                    b"+inf",
                    b"5.",
                    b"9007199254740993",
                    b"-1.7976931348623157e308",
                    b"1e21",
                    b"123456789012",
                    b"4.9e-324",
                    b"0x10",
                    b"3.0",
                ];
                self.random.pick(scores).to_vec()
            }
            _ => self.float(),
        }
    }

    /// A bound of a range of scores: sometimes exclusive or infinite.
    pub(crate) fn score_bound(&mut self) -> Vec<u8> {
        let open = if self.random.percent(25) { &b"("[..] } else { b"" };
        let score = match self.random.below(10) {
            0 => b"-inf".to_vec(),
            1 => b"+inf".to_vec(),
            _ => self.score(),
        };
        [open, &score].concat()
    }

    /// A lower and an upper bound, mostly in this order.
    pub(crate) fn score_bounds(&mut self) -> [Vec<u8>; 2] {
        match self.random.below(4) {
            0 => [self.score_bound(), self.score_bound()],
            1 => [b"-inf".to_vec(), b"+inf".to_vec()],
            _ => {
                let low = self.random.below(15) as i64 - 6;
                let high = low + self.random.below(12) as i64;
                let open = |w: &mut Self| if w.random.percent(30) { "(" } else { "" };
                let low = format!("{}{low}", open(self));
                let high = format!("{}{high}", open(self));
                [low.into_bytes(), high.into_bytes()]
            }
        }
    }

    pub(crate) fn lex_bound(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0..3 => b"-".to_vec(),
            3..6 => b"+".to_vec(),
            6 => self.member(),
            7..13 => [b"(", &self.member()[..]].concat(),
            _ => [b"[", &self.member()[..]].concat(),
        }
    }

    /// An index or rank: small, from the end, far off, or odd.
    pub(crate) fn index(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => self.number(),
            1 => self.random.below(600).to_string().into_bytes(),
            2..5 => b"0".to_vec(),
            5..8 => b"-1".to_vec(),
            _ => (self.random.below(30) as i64 - 12).to_string().into_bytes(),
        }
    }

    /// A count: mostly small and positive.
    pub(crate) fn count(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => self.number(),
            1 => b"0".to_vec(),
            2 => b"-1".to_vec(),
            3 => self.random.below(400).to_string().into_bytes(),
            _ => self.random.between(1, 6).to_string().into_bytes(),
        }
    }

    pub(crate) fn timeout(&mut self) -> Vec<u8> {
        match self.random.below(12) {
            0 => self.random.pick(TIMEOUTS).to_vec(),
            _ => self.random.pick(&TIMEOUTS[..4]).to_vec(),
        }
    }

    /// One of two words in most cases, or else anything.
    pub(crate) fn one_of(&mut self, words: &[&str]) -> Vec<u8> {
        if self.random.percent(3) {
            self.anything()
        } else {
            self.random.pick(words).as_bytes().to_vec()
        }
    }

    /// Whether to add an option that is taken with this probability.
    pub(crate) const fn takes(&mut self, percent: usize) -> bool {
        self.random.percent(percent)
    }
}
