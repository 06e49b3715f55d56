//! What replicas get for what clients send. Each row was measured on Redis 7.0.15; where the order
//! of rows matters, it is the order of measurement.

use crate::engine::Sweeper;
use crate::engine::fixture::{Fixture, START_MS};
use crate::settings::{LocalAccess, Settings};

/// Commands, separated by ` ; `, and the resulting stream, separated by ` | `. `<+5>` is the time 5
/// ms after the start; `<dump>` the payload of a string.
type Row = (&'static str, &'static str);

const STRINGS: &[Row] = &[
    ("SET a 1", "SELECT 0 | SET a 1"),
    ("SET a 1 EX 100", "SET a 1 PXAT <+100000>"),
    ("SET a 2 PX 100000", "SET a 2 PXAT <+100000>"),
    ("SET a 3 EXAT 99999999999", "SET a 3 PXAT 99999999999000"),
    ("SET a 4 KEEPTTL", "SET a 4 KEEPTTL"),
    ("SET a 5 NX", ""),
    ("SET nx1 5 NX EX 100", "SET nx1 5 PXAT <+100000>"),
    ("SET a 6 GET", "SET a 6"),
    ("SETEX b 10 v", "SET b v PXAT <+10000>"),
    ("PSETEX b 10000 v", "SET b v PXAT <+10000>"),
    ("GETEX b EX 50", "PEXPIREAT b <+50000>"),
    ("GETEX b PERSIST", "PERSIST b"),
    ("GETEX b", ""),
    ("GETDEL b", "DEL b"),
    ("GETSET a 9", "SET a 9"),
    ("APPEND a x", "APPEND a x"),
    ("SETRANGE a 0 y", "SETRANGE a 0 y"),
    ("SET n 1 ; INCRBYFLOAT n 0.5", "SET n 1 | SET n 1.5 KEEPTTL"),
    ("INCR cnt", "INCR cnt"),
    ("SET same same ; SET same same", "SET same same | SET same same"),
];

const SCRIPTS: &[Row] = &[
    ("EVAL \"redis.call('set','a',1)\" 0", "SELECT 0 | set a 1"),
    (
        "EVAL \"redis.call('set','a',1) redis.call('incr','b')\" 0",
        "MULTI | set a 1 | incr b | EXEC",
    ),
    ("EVAL \"return redis.call('get','a')\" 0", ""),
    ("EVAL \"redis.call('set','a',1) return redis.call('nope')\" 0", "set a 1"),
    ("EVAL \"redis.set_repl(redis.REPL_NONE) redis.call('set','a',2)\" 0", ""),
    ("EVAL \"redis.call('spop','none') redis.call('expire','a',100)\" 0", "PEXPIREAT a <+100000>"),
    (
        "MULTI ; SET x 1 ; EVAL \"redis.call('set','y',2)\" 0 ; EXEC",
        "MULTI | SET x 1 | set y 2 | EXEC",
    ),
];

const KEYS: &[Row] = &[
    ("SET n 1 ; SET a 1 ; SET cnt 1", "SELECT 0 | SET n 1 | SET a 1 | SET cnt 1"),
    ("EXPIRE n 100", "PEXPIREAT n <+100000>"),
    ("PEXPIRE n 100000", "PEXPIREAT n <+100000>"),
    ("EXPIREAT n 99999999999", "PEXPIREAT n 99999999999000"),
    ("EXPIRE n -1", "DEL n"),
    ("EXPIRE nokey 10", ""),
    ("PERSIST cnt", ""),
    ("RENAME cnt cnt2", "RENAME cnt cnt2"),
    ("COPY cnt2 cnt3", "COPY cnt2 cnt3"),
    ("MOVE cnt3 1", "MOVE cnt3 1"),
    ("SELECT 1 ; SET d1 1 ; SELECT 0", "SELECT 1 | SET d1 1"),
    ("SET back 0", "SELECT 0 | SET back 0"),
    ("FLUSHDB", "FLUSHDB"),
    ("SET a 1 ; UNLINK a", "SET a 1 | UNLINK a"),
    ("DEL nokey", ""),
    ("SET a 1 ; SET b 2 ; DEL a b zz", "SET a 1 | SET b 2 | DEL a b zz"),
    ("SWAPDB 0 1", "SWAPDB 0 1"),
    ("FLUSHALL", "FLUSHALL"),
    ("FLUSHALL ASYNC", "FLUSHALL ASYNC"),
    ("RESTORE rk 100000 \\x00", ""),
    ("RESTORE d2 100000 <dump>", "RESTORE d2 <+100000> <dump> ABSTTL"),
    ("RESTORE d3 0 <dump>", "RESTORE d3 0 <dump>"),
    ("OBJECT FREQ d2", ""),
    ("TOUCH d2", ""),
    ("CONFIG SET lazyfree-lazy-user-del yes ; SET u1 1 ; DEL u1", "SET u1 1 | DEL u1"),
];

const TRANSACTIONS: &[Row] = &[
    ("SET x 1", "SELECT 0 | SET x 1"),
    ("MULTI ; SET x 1 ; INCR x ; EXEC", "MULTI | SET x 1 | INCR x | EXEC"),
    ("MULTI ; GET x ; EXEC", ""),
    ("MULTI ; SET x 1 ; EXEC", "SET x 1"),
    (
        "MULTI ; SET m1 1 ; SELECT 1 ; SET m2 2 ; SELECT 0 ; EXEC",
        "MULTI | SET m1 1 | SELECT 1 | SET m2 2 | EXEC",
    ),
    ("SET e1 1", "SELECT 0 | SET e1 1"),
];

const OTHERS: &[Row] = &[
    ("SET d2 1", "SELECT 0 | SET d2 1"),
    ("PUBLISH ch hello", "PUBLISH ch hello"),
    ("SPUBLISH sch hello", "SPUBLISH sch hello"),
    ("CONFIG SET save \"\"", ""),
    ("DEBUG SLEEP 0", ""),
    ("WAIT 1 10", "REPLCONF GETACK *"),
    ("SET w 1 ; WAIT 1 10", "SET w 1 | REPLCONF GETACK *"),
    ("CLIENT PAUSE 10 WRITE", ""),
    ("CONFIG RESETSTAT", ""),
];

/// Commands sent before a key with an expiry of 40 ms has expired, commands sent after, and the
/// resulting stream of the latter.
const EXPIRED: &[(&str, &str, &str)] = &[
    ("SET ex2 v PX 40", "GET ex2", "DEL ex2"),
    ("SET ex3 v PX 40", "SET ex3 w", "MULTI | DEL ex3 | SET ex3 w | EXEC"),
    ("SET ex4 1 PX 40", "INCR ex4", "MULTI | DEL ex4 | INCR ex4 | EXEC"),
    ("SET ex5 v PX 40", "EXISTS ex5", "DEL ex5"),
];

/// A node, and the offset up to which its stream was read.
struct Stream {
    fixture: Fixture,
    read: u64,
    clients: u32,
}

impl Stream {
    fn new() -> Self {
        let mut settings = Settings::default();
        settings.security.enable_debug_command = LocalAccess::Yes;
        let fixture = Fixture::with(settings, &[]);
        fixture.node().log.start(1 << 20);
        Self { fixture, read: 0, clients: 0 }
    }

    /// Sends commands, and then any GETACK that is due.
    fn send(&mut self, commands: &str) {
        for command in commands.split(" ; ") {
            let name = format!("client {}", self.clients);
            let reply = self.fixture.run(&name, &command.replace("<dump>", &quoted(DUMP)));
            if reply.ends_with("<wait>") {
                // A client blocked in WAIT stays there.
                self.clients += 1;
            }
            self.fixture.node().feed_replicas();
        }
    }

    /// The stream since the last call.
    fn look(&mut self) -> Vec<u8> {
        let log = &self.fixture.node().log;
        let bytes = log.bytes_from(self.read).expect("the log holds everything");
        self.read = log.offset();
        bytes
    }

    fn run(rows: &[Row]) {
        let mut stream = Self::new();
        for &(commands, expected) in rows {
            stream.send(commands);
            let got = stream.look();
            let expected = encoded(expected);
            let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
            assert_eq!(shown(&got), shown(&expected), "{commands}");
        }
    }
}

/// The string `1` as DUMP gives it.
const DUMP: &[u8] = b"\x00\xc0\x01\n\x00&x\xe7\xb6\xd1\x01\x11\xfc";

fn quoted(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn encoded(commands: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for command in commands.split(" | ").filter(|command| !command.is_empty()) {
        let words: Vec<&str> = command.split(' ').collect();
        bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            let moment = word.strip_prefix("<+").and_then(|word| word.strip_suffix('>'));
            let word = match moment {
                Some(ms) => (START_MS + ms.parse::<i64>().expect("a number")).to_string().into(),
                None if word == "<dump>" => DUMP.to_vec(),
                None => word.as_bytes().to_vec(),
            };
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(&word);
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes
}

#[test]
fn scripts_are_propagated_by_their_effects() {
    Stream::run(SCRIPTS);
}

#[test]
fn strings() {
    Stream::run(STRINGS);
}

#[test]
fn keys() {
    Stream::run(KEYS);
}

#[test]
fn transactions() {
    Stream::run(TRANSACTIONS);
}

#[test]
fn messages_waits_and_what_is_no_write() {
    Stream::run(OTHERS);
}

#[test]
fn keys_that_were_found_expired() {
    for &(before, after, expected) in EXPIRED {
        let mut stream = Stream::new();
        stream.send(before);
        stream.fixture.clock.advance_ms(41);
        stream.look();
        stream.send(after);
        let got = stream.look();
        assert_eq!(got.escape_ascii().to_string(), encoded(expected).escape_ascii().to_string());
    }
}

#[test]
fn a_key_that_expires_by_itself() {
    let mut stream = Stream::new();
    stream.send("SET ex1 v PX 40");
    assert_eq!(stream.look(), encoded("SELECT 0 | SET ex1 v PXAT <+40>"));
    stream.fixture.clock.advance_ms(41);
    Sweeper::default().round(&stream.fixture.engine);
    assert_eq!(stream.look(), encoded("DEL ex1"));
}
