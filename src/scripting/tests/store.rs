//! A host with just enough of Redis behind it for the corpus.

use std::collections::BTreeMap;

use crate::number::parse_i64;
use crate::scripting::{CallError, Host, Interrupt, LogLevel, Propagation, Resp};

enum Item {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Hash(Vec<(Vec<u8>, Vec<u8>)>),
}

const WRONG_TYPE: &[u8] = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const NOT_AN_INTEGER: &[u8] = b"-ERR value is not an integer or out of range\r\n";

/// Name, least number of words (or, negative, the exact one), whether scripts may call it.
const COMMANDS: &[(&str, i32, bool)] = &[
    ("set", 3, true),
    ("get", -2, true),
    ("incr", -2, true),
    ("del", 2, true),
    ("exists", 2, true),
    ("append", -3, true),
    ("echo", -2, true),
    ("ping", 1, true),
    ("lpush", 3, true),
    ("rpush", 3, true),
    ("lrange", -4, true),
    ("llen", -2, true),
    ("hset", 4, true),
    ("hget", -3, true),
    ("hgetall", -2, true),
    ("mget", 2, true),
    ("type", -2, true),
    ("debug", 2, true),
    ("eval", 3, false),
    ("subscribe", 2, false),
    ("multi", -1, false),
    ("auth", 2, false),
];

/// An empty database and what a script asked of the engine.
pub(super) struct Store {
    items: BTreeMap<Vec<u8>, Item>,
    resp: Resp,
    pub(super) propagation: Option<Propagation>,
    pub(super) logged: Vec<(LogLevel, Vec<u8>)>,
    /// Questions whether to go on until the answer is `interrupt`.
    pub(super) patience: u32,
    pub(super) interrupt: Option<Interrupt>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            items: BTreeMap::new(),
            resp: Resp::Two,
            propagation: None,
            logged: Vec::new(),
            patience: 0,
            interrupt: None,
        }
    }

    fn run(&mut self, name: &[u8], argv: &[&[u8]], out: &mut Vec<u8>) {
        match (name, argv) {
            (b"set", [_, key, value]) => {
                self.items.insert(key.to_vec(), Item::String(value.to_vec()));
                out.extend_from_slice(b"+OK\r\n");
            }
            (b"set", _) => out.extend_from_slice(b"-ERR syntax error\r\n"),
            (b"get", _) => match self.items.get(argv[1]) {
                None => self.null(out),
                Some(Item::String(value)) => bulk(out, value),
                Some(_) => out.extend_from_slice(WRONG_TYPE),
            },
            (b"incr", _) => self.incr(argv[1], out),
            (b"append", _) => self.append(argv[1], argv[2], out),
            (b"del", keys) => {
                let gone = |key: &&&[u8]| self.items.remove(**key).is_some();
                let count = keys[1..].iter().filter(gone).count();
                integer(out, count as i64);
            }
            (b"exists", keys) => {
                let count = keys[1..].iter().filter(|key| self.items.contains_key(**key)).count();
                integer(out, count as i64);
            }
            (b"echo", _) => bulk(out, argv[1]),
            (b"ping", [_]) => out.extend_from_slice(b"+PONG\r\n"),
            (b"ping", _) => bulk(out, argv[1]),
            (b"lpush" | b"rpush", _) => self.push(name == b"lpush", argv, out),
            (b"lrange", _) => self.range(argv, out),
            (b"llen", _) => match self.items.get(argv[1]) {
                None => integer(out, 0),
                Some(Item::List(list)) => integer(out, list.len() as i64),
                Some(_) => out.extend_from_slice(WRONG_TYPE),
            },
            (b"mget", keys) => {
                head(out, b'*', keys.len() - 1);
                for key in &keys[1..] {
                    match self.items.get(*key) {
                        Some(Item::String(value)) => bulk(out, value),
                        _ => self.null(out),
                    }
                }
            }
            (b"type", _) => out.extend_from_slice(match self.items.get(argv[1]) {
                None => b"+none\r\n",
                Some(Item::String(_)) => b"+string\r\n",
                Some(Item::List(_)) => b"+list\r\n",
                Some(Item::Hash(_)) => b"+hash\r\n",
            }),
            (b"hset" | b"hget" | b"hgetall", _) => self.hash(name, argv, out),
            (b"debug", [_, b"protocol", kind]) => self.protocol(kind, out),
            _ => out.extend_from_slice(b"-ERR not in this store\r\n"),
        }
    }

    fn null(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.resp == Resp::Two { b"$-1\r\n" } else { b"_\r\n" });
    }

    fn incr(&mut self, key: &[u8], out: &mut Vec<u8>) {
        let value = match self.items.get(key) {
            None => Some(0),
            Some(Item::String(value)) => parse_i64(value),
            Some(_) => return out.extend_from_slice(WRONG_TYPE),
        };
        let Some(value) = value else { return out.extend_from_slice(NOT_AN_INTEGER) };
        self.items.insert(key.to_vec(), Item::String((value + 1).to_string().into_bytes()));
        integer(out, value + 1);
    }

    fn append(&mut self, key: &[u8], more: &[u8], out: &mut Vec<u8>) {
        match self.items.entry(key.to_vec()).or_insert_with(|| Item::String(Vec::new())) {
            Item::String(value) => {
                value.extend_from_slice(more);
                integer(out, value.len() as i64);
            }
            _ => out.extend_from_slice(WRONG_TYPE),
        }
    }

    fn push(&mut self, front: bool, argv: &[&[u8]], out: &mut Vec<u8>) {
        match self.items.entry(argv[1].to_vec()).or_insert_with(|| Item::List(Vec::new())) {
            Item::List(list) => {
                for element in &argv[2..] {
                    let at = if front { 0 } else { list.len() };
                    list.insert(at, element.to_vec());
                }
                integer(out, list.len() as i64);
            }
            _ => out.extend_from_slice(WRONG_TYPE),
        }
    }

    fn range(&self, argv: &[&[u8]], out: &mut Vec<u8>) {
        let (Some(from), Some(to)) = (parse_i64(argv[2]), parse_i64(argv[3])) else {
            return out.extend_from_slice(NOT_AN_INTEGER);
        };
        let list = match self.items.get(argv[1]) {
            None => &[][..],
            Some(Item::List(list)) => list,
            Some(_) => return out.extend_from_slice(WRONG_TYPE),
        };
        let len = list.len() as i64;
        let at = |index: i64| if index < 0 { (index + len).max(0) } else { index };
        let to = if to < 0 { to + len } else { to.min(len - 1) };
        let slice = list.get(at(from) as usize..(to + 1).max(0) as usize).unwrap_or_default();
        head(out, b'*', slice.len());
        slice.iter().for_each(|element| bulk(out, element));
    }

    fn hash(&mut self, name: &[u8], argv: &[&[u8]], out: &mut Vec<u8>) {
        if name == b"hset" && argv.len() % 2 == 1 {
            return out.extend_from_slice(b"-ERR wrong number of arguments for 'hset' command\r\n");
        }
        let hash = self.items.get(argv[1]);
        if !matches!(hash, None | Some(Item::Hash(_))) {
            return out.extend_from_slice(WRONG_TYPE);
        }
        let mut fields = match self.items.remove(argv[1]) {
            Some(Item::Hash(fields)) => fields,
            _ => Vec::new(),
        };
        match name {
            b"hset" => {
                let before = fields.len();
                for pair in argv[2..].chunks_exact(2) {
                    match fields.iter_mut().find(|(field, _)| field == pair[0]) {
                        Some((_, value)) => *value = pair[1].to_vec(),
                        None => fields.push((pair[0].to_vec(), pair[1].to_vec())),
                    }
                }
                integer(out, (fields.len() - before) as i64);
            }
            b"hget" => match fields.iter().find(|(field, _)| field == argv[2]) {
                Some((_, value)) => bulk(out, value),
                None => self.null(out),
            },
            _ => {
                let three = self.resp == Resp::Three;
                let len = if three { fields.len() } else { 2 * fields.len() };
                head(out, if three { b'%' } else { b'*' }, len);
                for (field, value) in &fields {
                    bulk(out, field);
                    bulk(out, value);
                }
            }
        }
        if !fields.is_empty() {
            self.items.insert(argv[1].to_vec(), Item::Hash(fields));
        }
    }

    /// DEBUG PROTOCOL, in RESP3 or RESP2.
    fn protocol(&self, kind: &[u8], out: &mut Vec<u8>) {
        let three = self.resp == Resp::Three;
        let (new, old): (&[u8], &[u8]) = match kind {
            b"string" => (b"$11\r\nHello World\r\n", b"$11\r\nHello World\r\n"),
            b"integer" => (b":12345\r\n", b":12345\r\n"),
            b"double" => (b",3.141\r\n", b"$5\r\n3.141\r\n"),
            b"null" => (b"_\r\n", b"$-1\r\n"),
            b"array" => (b"*3\r\n:0\r\n:1\r\n:2\r\n", b"*3\r\n:0\r\n:1\r\n:2\r\n"),
            b"set" => (b"~3\r\n:0\r\n:1\r\n:2\r\n", b"*3\r\n:0\r\n:1\r\n:2\r\n"),
            b"map" => (
                b"%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n",
                b"*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n",
            ),
            b"attrib" => (
                b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n$39\r\nSome real reply following the attribute\r\n",
                b"$39\r\nSome real reply following the attribute\r\n",
            ),
            b"verbatim" => (
                b"=29\r\ntxt:This is a verbatim\nstring\r\n",
                b"$25\r\nThis is a verbatim\nstring\r\n",
            ),
            b"true" => (b"#t\r\n", b":1\r\n"),
            b"false" => (b"#f\r\n", b":0\r\n"),
            b"bignum" => (
                b"(1234567999999999999999999999999999999\r\n",
                b"$37\r\n1234567999999999999999999999999999999\r\n",
            ),
            _ => (b"-ERR not in this store\r\n", b"-ERR not in this store\r\n"),
        };
        out.extend_from_slice(if three { new } else { old });
    }
}

impl Host for Store {
    fn call(&mut self, argv: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), CallError> {
        let name = argv[0].to_ascii_lowercase();
        let known = COMMANDS.iter().find(|(known, ..)| known.as_bytes() == name);
        let Some(&(_, arity, scripts)) = known else {
            return Err(CallError::Refused("Unknown Redis command called from script".into()));
        };
        let words = argv.len() as i32;
        if words < arity || arity < 0 && words != -arity {
            let text = "Wrong number of args calling Redis command from script";
            return Err(CallError::Refused(text.into()));
        }
        if !scripts {
            return Err(CallError::Refused("This Redis command is not allowed from script".into()));
        }
        self.run(&name, argv, reply);
        Ok(())
    }

    fn set_resp(&mut self, resp: Resp) {
        self.resp = resp;
    }

    fn set_repl(&mut self, propagation: Propagation) {
        self.propagation = Some(propagation);
    }

    fn acl_check_cmd(&mut self, argv: &[&[u8]]) -> Option<bool> {
        let name = argv[0].to_ascii_lowercase();
        COMMANDS.iter().any(|(known, ..)| known.as_bytes() == name).then_some(true)
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        self.logged.push((level, text.to_vec()));
    }

    fn interrupted(&mut self) -> Option<Interrupt> {
        match self.patience.checked_sub(1) {
            Some(left) => {
                self.patience = left;
                None
            }
            None => self.interrupt,
        }
    }
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    head(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(format!(":{value}\r\n").as_bytes());
}

fn head(out: &mut Vec<u8>, kind: u8, len: usize) {
    out.push(kind);
    out.extend_from_slice(format!("{len}\r\n").as_bytes());
}
