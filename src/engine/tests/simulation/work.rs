//! What clients send: each command that writes, alone, in transactions, in several databases.

mod collections;

use super::random::Random;
use collections::LINES;

/// A command and its arguments.
pub(super) type Words = Vec<Vec<u8>>;

/// Changes its key, and another one that it does not declare.
const SCRIPT: &[u8] =
    b"redis.pcall('append', KEYS[1], ARGV[2]) return redis.pcall('set', ARGV[1], ARGV[2])";

/// Whether a command is among those that are drawn.
pub(super) fn draws(name: &str) -> bool {
    COMMANDS.iter().any(|(other, ..)| *other == name)
        || LINES.iter().any(|(other, ..)| *other == name)
}

/// State from which commands are drawn.
#[derive(Debug)]
pub(super) struct Draw<'r> {
    pub(super) random: &'r mut Random,
    /// The node's time, in Unix milliseconds.
    pub(super) now_ms: i64,
    /// Payloads from DUMP.
    pub(super) dumps: &'r [Vec<u8>],
    /// Whether values may be long, so that the backlog moves on.
    pub(super) long: bool,
}

type Make = fn(&mut Draw<'_>) -> Words;

/// A row for each command that writes, and some more that cause writes.
const COMMANDS: &[(&str, usize, Make)] = &[
    ("SET", 20, |d| {
        let options = *d.random.pick(&["", "NX", "XX", "GET", "KEEPTTL", "EX", "PX", "PXAT"]);
        let time = match options {
            "EX" => Some(d.random.between(1, 3).to_string()),
            "PX" => Some(d.random.between(1, 3000).to_string()),
            "PXAT" => Some(d.moment_ms().to_string()),
            _ => None,
        };
        let rest = (!options.is_empty()).then(|| options.to_owned());
        let mut words = vec![b"SET".to_vec(), d.key(), d.value()];
        words.extend(rest.into_iter().chain(time).map(String::into_bytes));
        words
    }),
    ("SETNX", 3, |d| vec![b"SETNX".to_vec(), d.key(), d.value()]),
    ("SETEX", 3, |d| vec![b"SETEX".to_vec(), d.key(), d.number(1, 3), d.value()]),
    ("PSETEX", 4, |d| vec![b"PSETEX".to_vec(), d.key(), d.number(1, 2000), d.value()]),
    ("GETEX", 4, |d| match d.random.below(4) {
        0 => vec![b"GETEX".to_vec(), d.key()],
        1 => vec![b"GETEX".to_vec(), d.key(), b"PERSIST".to_vec()],
        2 => vec![b"GETEX".to_vec(), d.key(), b"PX".to_vec(), d.number(1, 2000)],
        _ => {
            let moment = d.moment_ms().to_string().into_bytes();
            vec![b"GETEX".to_vec(), d.key(), b"PXAT".to_vec(), moment]
        }
    }),
    ("GETDEL", 3, |d| vec![b"GETDEL".to_vec(), d.key()]),
    ("GETSET", 3, |d| vec![b"GETSET".to_vec(), d.key(), d.value()]),
    ("EVAL", 4, |d| {
        vec![b"EVAL".to_vec(), SCRIPT.to_vec(), b"1".to_vec(), d.key(), d.key(), d.value()]
    }),
    ("APPEND", 6, |d| vec![b"APPEND".to_vec(), d.key(), d.value()]),
    ("SETRANGE", 3, |d| vec![b"SETRANGE".to_vec(), d.key(), d.number(0, 50), d.value()]),
    ("INCR", 6, |d| vec![b"INCR".to_vec(), d.key()]),
    ("DECR", 3, |d| vec![b"DECR".to_vec(), d.key()]),
    ("INCRBY", 3, |d| vec![b"INCRBY".to_vec(), d.key(), d.number(0, 500)]),
    ("DECRBY", 3, |d| vec![b"DECRBY".to_vec(), d.key(), d.number(0, 500)]),
    ("INCRBYFLOAT", 4, |d| vec![b"INCRBYFLOAT".to_vec(), d.key(), b"0.25".to_vec()]),
    ("MSET", 4, |d| vec![b"MSET".to_vec(), d.key(), d.value(), d.key(), d.value()]),
    ("MSETNX", 3, |d| vec![b"MSETNX".to_vec(), d.key(), d.value(), d.key(), d.value()]),
    ("DEL", 6, |d| vec![b"DEL".to_vec(), d.key(), d.key()]),
    ("UNLINK", 3, |d| vec![b"UNLINK".to_vec(), d.key(), d.key()]),
    ("RENAME", 4, |d| vec![b"RENAME".to_vec(), d.key(), d.key()]),
    ("RENAMENX", 3, |d| vec![b"RENAMENX".to_vec(), d.key(), d.key()]),
    ("COPY", 5, |d| {
        let mut words = vec![b"COPY".to_vec(), d.key(), d.key()];
        if d.random.percent(50) {
            words.extend([b"DB".to_vec(), d.database()]);
        }
        if d.random.percent(50) {
            words.push(b"REPLACE".to_vec());
        }
        words
    }),
    ("MOVE", 5, |d| vec![b"MOVE".to_vec(), d.key(), d.database()]),
    ("SWAPDB", 2, |d| vec![b"SWAPDB".to_vec(), d.database(), d.database()]),
    ("FLUSHDB", 1, |d| flush(d, "FLUSHDB")),
    ("FLUSHALL", 1, |d| flush(d, "FLUSHALL")),
    ("EXPIRE", 5, |d| vec![b"EXPIRE".to_vec(), d.key(), d.number(0, 3)]),
    ("PEXPIRE", 5, |d| {
        let mut words = vec![b"PEXPIRE".to_vec(), d.key(), d.number(0, 3000)];
        if d.random.percent(40) {
            words.push(d.random.pick(&[b"NX", b"XX", b"GT", b"LT"]).to_vec());
        }
        words
    }),
    ("EXPIREAT", 3, |d| {
        let moment = (d.moment_ms() / 1000).to_string();
        vec![b"EXPIREAT".to_vec(), d.key(), moment.into_bytes()]
    }),
    ("PEXPIREAT", 4, |d| {
        let moment = d.moment_ms().to_string();
        vec![b"PEXPIREAT".to_vec(), d.key(), moment.into_bytes()]
    }),
    ("PERSIST", 3, |d| vec![b"PERSIST".to_vec(), d.key()]),
    ("RESTORE", 5, |d| {
        if d.dumps.is_empty() {
            return vec![b"DUMP".to_vec(), d.key()];
        }
        let payload = d.random.pick(d.dumps).clone();
        let mut words = vec![b"RESTORE".to_vec(), d.key(), d.number(0, 2000), payload];
        if d.random.percent(70) {
            words.push(b"REPLACE".to_vec());
        }
        words
    }),
    ("PUBLISH", 4, |d| vec![b"PUBLISH".to_vec(), b"news".to_vec(), d.value()]),
    ("SPUBLISH", 3, |d| vec![b"SPUBLISH".to_vec(), b"shard".to_vec(), d.value()]),
    // These meet expired keys, and remove them.
    ("GET", 8, |d| vec![b"GET".to_vec(), d.key()]),
    ("EXISTS", 3, |d| vec![b"EXISTS".to_vec(), d.key(), d.key()]),
    ("KEYS", 1, |_| vec![b"KEYS".to_vec(), b"*".to_vec()]),
    ("SCAN", 1, |_| vec![b"SCAN".to_vec(), b"0".to_vec(), b"COUNT".to_vec(), b"100".to_vec()]),
    ("RANDOMKEY", 1, |_| vec![b"RANDOMKEY".to_vec()]),
    ("TOUCH", 1, |d| vec![b"TOUCH".to_vec(), d.key()]),
    ("DUMP", 4, |d| vec![b"DUMP".to_vec(), d.key()]),
];

fn flush(d: &mut Draw<'_>, name: &str) -> Words {
    let mut words = vec![name.as_bytes().to_vec()];
    match d.random.below(3) {
        0 => words.push(b"ASYNC".to_vec()),
        1 => words.push(b"SYNC".to_vec()),
        _ => {}
    }
    words
}

impl Draw<'_> {
    fn key(&mut self) -> Vec<u8> {
        if self.random.percent(25) {
            // A collection's.
            let kind = self.random.pick(&["l", "s", "h", "z", "x", "b"]);
            return format!("{kind}{}", self.random.below(4)).into_bytes();
        }
        format!("k{}", self.random.below(12)).into_bytes()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.below(10) {
            0..4 => self.random.below(1000).to_string().into_bytes(),
            4..7 => format!("v{:x}", self.random.next()).into_bytes(),
            7 if self.long => {
                let len = self.random.between(1000, 30_000);
                // Random bytes: compression must not shrink them away.
                (0..len).map(|_| self.random.next() as u8).collect()
            }
            // Bytes that look like parts of the protocol.
            8 => b"*1\r\n$4\r\nEXEC\r\n~12\r\n".to_vec(),
            _ => vec![b'x'; self.random.below(80)],
        }
    }

    fn number(&mut self, low: usize, high: usize) -> Vec<u8> {
        self.random.between(low, high).to_string().into_bytes()
    }

    pub(super) fn database(&mut self) -> Vec<u8> {
        self.random.below(super::DATABASES).to_string().into_bytes()
    }

    /// Mostly within the next seconds, sometimes just past.
    fn moment_ms(&mut self) -> i64 {
        self.now_ms + self.random.between(0, 3000) as i64 - 300
    }

    fn one(&mut self) -> Words {
        let weights = COMMANDS.iter().map(|(_, weight, _)| weight);
        let total = weights.chain(LINES.iter().map(|(_, weight, _)| weight)).sum();
        let mut at = self.random.below(total);
        for (_, weight, make) in COMMANDS {
            if at < *weight {
                return make(self);
            }
            at -= weight;
        }
        for (_, weight, line) in LINES {
            if at < *weight {
                return line.split(' ').map(|word| self.word(word)).collect();
            }
            at -= weight;
        }
        unreachable!("the place is below the sum of the weights")
    }

    /// A word of a line, with what it has a place for.
    fn word(&mut self, word: &str) -> Vec<u8> {
        let Some((before, rest)) = word.split_once('{') else { return word.as_bytes().to_vec() };
        let (place, after) = rest.split_once('}').expect("places are closed");
        let drawn = match place {
            "v" => self.value(),
            "m" => format!("m{}", self.random.below(6)).into_bytes(),
            "n" => self.number(0, 12),
            "e" => self.random.pick(&["LEFT", "RIGHT"]).as_bytes().to_vec(),
            "i" => format!("{}-{}", self.now_ms - 1, self.random.below(2)).into_bytes(),
            _ if self.random.percent(5) => self.key(),
            kind => format!("{kind}{}", self.random.below(4)).into_bytes(),
        };
        [before.as_bytes(), &drawn, after.as_bytes()].concat()
    }

    /// Commands that belong together.
    pub(super) fn some(&mut self) -> Vec<Words> {
        let word = |text: &str| vec![text.as_bytes().to_vec()];
        match self.random.below(20) {
            0..3 => {
                let mut commands = vec![word("MULTI")];
                for _ in 0..self.random.between(1, 6) {
                    if self.random.percent(15) {
                        commands.push(vec![b"SELECT".to_vec(), self.database()]);
                    }
                    commands.push(self.one());
                }
                let end = if self.random.percent(90) { "EXEC" } else { "DISCARD" };
                commands.push(word(end));
                if self.random.percent(20) {
                    commands.insert(0, vec![b"WATCH".to_vec(), self.key()]);
                }
                commands
            }
            3 | 4 => vec![vec![b"SELECT".to_vec(), self.database()]],
            5 => {
                let timeout = self.random.between(1, 500).to_string().into_bytes();
                vec![self.one(), vec![b"WAIT".to_vec(), self.number(1, 3), timeout]]
            }
            _ => vec![self.one()],
        }
    }
}

pub(super) fn encode(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
