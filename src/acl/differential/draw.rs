//! Draws rules and command lines from a seed.

use super::real::Rows;
use crate::acl::Categories;

/// splitmix64
#[derive(Debug)]
pub(super) struct Draw(pub(super) u64);

const PATTERNS: &[&str] =
    &["*", "a*", "b*", "k1", "k2", "a[1-3]", "?x", "", "a1", "ch*", "ch1", "\u{e9}*"];
const KEYS: &[&str] = &["a1", "a2", "a9", "b1", "bx", "k1", "k2", "", "z", "\u{e9}1"];
const CHANNELS: &[&str] = &["ch1", "ch2", "a1", "other", "", "*", "ch*", "a*", "k1"];
const NUMBERS: &[&str] = &["0", "1", "2", "3", "-1", "x"];
const WORDS: &[&str] =
    &["STREAMS", "STORE", "GET", "BY", "KEYS", "COUNT", "GROUP", "WITHSCORES", "LEFT", "", "*"];
const COMMON: &[&str] = &[
    "get",
    "set",
    "mget",
    "mset",
    "del",
    "select",
    "exists",
    "sort",
    "lmove",
    "copy",
    "publish",
    "subscribe",
    "psubscribe",
    "spublish",
    "ssubscribe",
    "unsubscribe",
    "config|get",
    "auth",
    "ping",
    "eval",
    "xread",
    "zunionstore",
    "getdel",
    "append",
    "debug",
    "object|encoding",
    "client|id",
    "bitfield",
    "migrate",
    "georadius",
    "rename",
    "hello",
];
const JUNK: &[&str] = &[
    "foo",
    "",
    "~a b",
    "&a\tb",
    "%~x",
    "%X~a",
    "%RR~a",
    "+nope",
    "-nope",
    "+@nope",
    "-@",
    "+",
    "-",
    "+get|",
    "+config|",
    "+config|nope",
    "+config|get|x",
    "-get|a",
    "#abc",
    "!abc",
    "<nope",
    ")",
    "()x",
    "+|",
    "~*\0x",
    "on\0y",
    "~a\0b",
    "a\r\nb",
    "%",
    "%R",
    "%w~",
    "+a|b|c",
    "(",
    "-config|",
    "!0123456789012345678901234567890123456789012345678901234567890123",
    "()",
    "( )",
    "~",
    "&",
];

impl Draw {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Once in `n` times.
    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    pub(super) fn channel(&mut self) -> &'static str {
        self.of(CHANNELS)
    }

    pub(super) fn channel_rule(&mut self) -> String {
        match self.below(8) {
            0 => "resetchannels".into(),
            1 => "&*".into(),
            2 => "clearselectors".into(),
            3 => format!("(&{})", self.of(PATTERNS)),
            _ => format!("&{}", self.of(PATTERNS)),
        }
    }

    fn command(&mut self, rows: &Rows) -> String {
        if self.one_in(2) {
            return self.of(COMMON).to_owned();
        }
        let index = self.below(rows.0.len());
        rows.0[index].name.clone()
    }

    /// A rule that may also stand in a selector.
    fn selector_rule(&mut self, rows: &Rows) -> String {
        match self.below(20) {
            0 => self.of(&["allkeys", "~*", "%RW~*"]).into(),
            1 => "resetkeys".into(),
            2 => self.of(&["allchannels", "&*"]).into(),
            3 => "resetchannels".into(),
            4 => self.of(&["allcommands", "+@all"]).into(),
            5 => self.of(&["nocommands", "-@all"]).into(),
            6..=8 => {
                let sign = self.of(&["~", "~", "%R~", "%W~", "%RW~", "%wr~"]);
                format!("{sign}{}", self.of(PATTERNS))
            }
            9 | 10 => format!("&{}", self.of(PATTERNS)),
            11..=13 => format!("+{}", self.command(rows)),
            14 | 15 => format!("-{}", self.command(rows)),
            16 => {
                let command = self.of(&["select", "get", "debug", "config", "SORT", "publish"]);
                format!("+{command}|{}", self.of(&["0", "a1", "A1", "get", "set", "x"]))
            }
            17 | 18 => {
                let category = self.of(Categories::all());
                format!("{}@{category}", self.of(&["+", "-"]))
            }
            _ => self.of(&["+@read", "+@write", "-@dangerous", "+@slow", "-@slow"]).into(),
        }
    }

    fn password(&mut self) -> String {
        let hash = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        match self.below(8) {
            0 => format!("#{hash}"),
            1 => format!("!{hash}"),
            2 => format!("<p{}", self.below(3)),
            3 => "<foo".into(),
            _ => format!(">p{}", self.below(3)),
        }
    }

    fn rule(&mut self, rows: &Rows) -> String {
        match self.below(24) {
            0 | 1 => "on".into(),
            2 => self.of(&["off", "skip-sanitize-payload", "sanitize-payload"]).into(),
            3 => self.of(&["nopass", "resetpass", "reset"]).into(),
            4 => "clearselectors".into(),
            5 | 6 => self.password(),
            7..=9 => self.selector(rows),
            10 if self.one_in(4) => self.of(JUNK).into(),
            _ => self.selector_rule(rows),
        }
    }

    fn selector(&mut self, rows: &Rows) -> String {
        let rules: Vec<String> = (0..self.below(4))
            .map(|_| match self.below(40) {
                0 => self.of(JUNK).to_owned(),
                1 => format!("\"~a\\x2a{}\"", self.of(PATTERNS)),
                2 => format!("'&{}'", self.of(PATTERNS)),
                3 => self.of(&["~\"x", "'a'b", "on", ">p1", "\"\""]).to_owned(),
                _ => self.selector_rule(rows),
            })
            .collect();
        format!("({})", rules.join(" "))
    }

    /// Rules of one ACL SETUSER.
    pub(super) fn rules(&mut self, rows: &Rows) -> Vec<Vec<u8>> {
        let mut rules = Vec::new();
        for _ in 0..self.below(6) {
            let mut rule = self.rule(rows);
            if self.one_in(12) && !rule.contains('>') {
                rule = rule.to_uppercase();
            }
            if rule.starts_with('(') && self.one_in(2) {
                rules.extend(rule.split(' ').map(|word| word.as_bytes().to_vec()));
            } else {
                rules.push(rule.into_bytes());
            }
        }
        rules
    }

    /// A command line, its name first.
    pub(super) fn line(&mut self, rows: &Rows) -> Vec<Vec<u8>> {
        let command = self.command(rows);
        let mut line: Vec<String> = command.split('|').map(str::to_owned).collect();
        let arity = rows.0.iter().find(|row| row.name == command).map_or(1, |row| row.arity);
        let fewest = usize::try_from(arity.abs()).unwrap();
        let extra = if arity < 0 { self.below(4) } else { 0 };
        let len = if self.one_in(20) { self.below(4) } else { fewest + extra };
        // Where a number of keys is expected, one helps.
        let number = self.one_in(3).then(|| self.below(4));
        while line.len() < len {
            let pool = match number {
                Some(index) if line.len() == index => NUMBERS,
                _ => [KEYS, KEYS, KEYS, CHANNELS, WORDS][self.below(5)],
            };
            let word = self.of(pool).to_owned();
            // Each word once, so that a key tells its place.
            line.push(if line.contains(&word) { format!("{word}{}", line.len()) } else { word });
        }
        if self.one_in(30) {
            line[0] = self.of(&["nope", "GET", "config", "a\nb"]).to_owned();
        }
        line.into_iter().map(String::into_bytes).collect()
    }

    /// A line that does no harm when it runs.
    pub(super) fn harmless_line(&mut self) -> Vec<Vec<u8>> {
        let (key, channel) = (self.of(KEYS), self.of(CHANNELS));
        let line = match self.below(8) {
            0 => vec!["GET", key],
            1 => vec!["append", key, "x"],
            2 => vec!["MGET", key, self.of(KEYS)],
            3 => vec!["PUBLISH", channel, "x"],
            4 => vec!["config", "GET", "nothing"],
            5 => vec!["CLIENT", "ID"],
            6 => vec!["EXISTS", key],
            _ => vec!["SELECT", "0"],
        };
        line.into_iter().map(|word| word.as_bytes().to_vec()).collect()
    }
}
