//! Random rules of users: all kinds, some of them invalid.

use crate::random::Random;
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

const CATEGORIES: &[&str] = &[
    "all",
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
    "nosuch",
    "",
];

/// Patterns of keys; the keys of collections begin with a tilde.
const KEY_PATTERNS: &[&str] = &[
    "*", "k*", "k[0-4]", "k?", "foo*", "~*", "~list*", "~set*", "~z*", "~s*", "~h*", "[a-m]*",
    "user:*", "", "\\*", "[", "k0", "**", "c*t",
];

const CHANNEL_PATTERNS: &[&str] =
    &["*", "news*", "n*", "chat", "", "[nN]*", "__key*__:*", "Chat", "?", "news.art"];

const FLAGS: &[&str] = &[
    "on",
    "on",
    "on",
    "nopass",
    "nopass",
    "off",
    "resetpass",
    "skip-sanitize-payload",
    "sanitize-payload",
    "clearselectors",
    "reset",
    "resetkeys",
    "allkeys",
    "resetchannels",
    "allchannels",
    "allcommands",
    "nocommands",
    "ON",
    "AllKeys",
];

/// Passwords and hashes; the second hash is that of "one".
const PASSWORDS: &[&str] = &[
    ">one",
    ">one",
    ">two",
    "<one",
    "<two",
    ">",
    "#7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
    "!7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
    "#2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
    "#7692C3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
    "#12",
    "!zz",
];

const ODD: &[&[u8]] = &[
    b"",
    b"zzz",
    b"+",
    b"-",
    b"@all",
    b"+@",
    b"+nosuch",
    b"-nosuch",
    b"+get|",
    b"+|get",
    b"+config|get|x",
    b"-select|0",
    b"+client|nosuch",
    b"-client|nosuch",
    b"+config|",
    b"~a b",
    b"&a b",
    b"~\0",
    b"+get\0x",
    b"%R",
    b"%~a",
    b"%RR~a",
    b"%X~a",
    b"(",
    b")",
    b"()",
    b"(zzz)",
    b"((+get))",
    b"(+get) x",
    b"(on)",
    b"(~a",
    b"\xff",
    b"+GeT",
    b"+@READ",
    b"\r\n",
    b"a\r\nb",
];

fn sign(random: &mut Random) -> &'static str {
    if random.percent(50) { "+" } else { "-" }
}

/// A rule of a selector: about commands, keys or channels.
fn permission(random: &mut Random, names: &[Vec<u8>]) -> Vec<u8> {
    match random.below(10) {
        0 | 1 => format!("{}@{}", sign(random), random.pick(CATEGORIES)).into_bytes(),
        2..5 => [sign(random).as_bytes(), &random.pick(names)[..]].concat(),
        5 => {
            let first = *random.pick(&["0", "k0", "K1", "1", "get", "foo"]);
            let name = random.pick(names).clone();
            [sign(random).as_bytes(), &name, b"|", first.as_bytes()].concat()
        }
        6 | 7 => {
            let before = *random.pick(&["~", "~", "%R~", "%W~", "%RW~", "%r~", "%wr~"]);
            [before, *random.pick(KEY_PATTERNS)].concat().into_bytes()
        }
        8 => ["&", *random.pick(CHANNEL_PATTERNS)].concat().into_bytes(),
        _ => {
            let clearing = ["resetkeys", "allkeys", "resetchannels", "allchannels", "nocommands"];
            random.pick(&clearing).as_bytes().to_vec()
        }
    }
}

/// A selector in one argument or in several.
fn selector(random: &mut Random, names: &[Vec<u8>]) -> Words {
    let count = random.between(1, 4);
    let mut rules: Words = (0..count).map(|_| permission(random, names)).collect();
    if random.percent(40) {
        rules.insert(0, b"+@all".to_vec());
    }
    if random.percent(5) {
        rules[0] = [b"\"", &rules[0][..], b"\""].concat();
    }
    rules[0].insert(0, b'(');
    if let Some(last) = rules.last_mut()
        && !random.percent(3)
    {
        last.push(b')');
    }
    if random.percent(50) { rules } else { words![rules.join(&b' ')] }
}

/// One rule of any kind; a selector may be several arguments.
fn rule(random: &mut Random, names: &[Vec<u8>]) -> Words {
    match random.below(100) {
        0..60 => words![permission(random, names)],
        60..76 => words![*random.pick(FLAGS)],
        76..84 => words![*random.pick(PASSWORDS)],
        84..96 => selector(random, names),
        _ => words![*random.pick(ODD)],
    }
}

/// Rules for a user: for one with wide rights, for one with few, or changes of what there is.
pub(crate) fn rules(w: &mut World, names: &[Vec<u8>]) -> Words {
    let random = &mut w.random;
    let (mut rules, more) = match random.below(10) {
        0..4 => (words!["on", "nopass", "+@all", "~*", "&*"], random.below(4)),
        4 | 5 => {
            let keys = ["~", *random.pick(KEY_PATTERNS)].concat();
            (words!["reset", "on", "nopass", "+@all", &keys[..]], random.below(4))
        }
        6 => {
            let category = ["+@", *random.pick(CATEGORIES)].concat();
            (words!["reset", "on", ">one", &category[..], "~*"], random.between(1, 5))
        }
        _ => (Words::new(), random.between(1, 5)),
    };
    for _ in 0..more {
        rules.extend(rule(random, names));
    }
    rules
}
