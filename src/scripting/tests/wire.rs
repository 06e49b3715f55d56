//! Replies as bytes, and the corpus run here or by a redis-server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use super::corpus::{Case, Kind};
use super::store::Store;
use crate::number::double::DoubleText;
use crate::scripting::{
    Counted, Environment, Input, Libraries, Loader, LogLevel, Random, ReplyWriter, Scripts,
};

/// Writes RESP2 or RESP3.
pub(super) struct Wire {
    pub(super) three: bool,
    pub(super) bytes: Vec<u8>,
    /// Whether the last error was counted before.
    pub(super) counted: Option<Counted>,
}

impl Wire {
    pub(super) fn new(three: bool) -> Self {
        Self { three, bytes: Vec::new(), counted: None }
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn len(&mut self, kind: u8, len: usize) {
        self.line(kind, len.to_string().as_bytes());
    }
}

impl ReplyWriter for Wire {
    fn bulk(&mut self, bytes: &[u8]) {
        self.len(b'$', bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn integer(&mut self, value: i64) {
        self.line(b':', value.to_string().as_bytes());
    }

    fn simple(&mut self, text: &[u8]) {
        self.line(b'+', text);
    }

    fn error(&mut self, text: &[u8], counted: Counted) {
        self.counted = Some(counted);
        self.line(b'-', text);
    }

    fn null(&mut self) {
        self.bytes.extend_from_slice(if self.three { b"_\r\n" } else { b"$-1\r\n" });
    }

    fn boolean(&mut self, value: bool) {
        match (self.three, value) {
            (true, true) => self.line(b'#', b"t"),
            (true, false) => self.line(b'#', b"f"),
            (false, value) => self.integer(i64::from(value)),
        }
    }

    fn double(&mut self, value: f64) {
        // C writes the sign of a NaN, too.
        let text = DoubleText::new(value);
        let text = match value.is_nan() && value.is_sign_negative() {
            true => &b"-nan"[..],
            false => text.as_bytes(),
        };
        if self.three { self.line(b',', text) } else { self.bulk(text) }
    }

    fn big_number(&mut self, digits: &[u8]) {
        if self.three { self.line(b'(', digits) } else { self.bulk(digits) }
    }

    fn verbatim(&mut self, format: [u8; 3], text: &[u8]) {
        if !self.three {
            return self.bulk(text);
        }
        self.len(b'=', text.len() + 4);
        self.bytes.extend_from_slice(&format);
        self.bytes.push(b':');
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn array(&mut self, len: usize) {
        self.len(b'*', len);
    }

    fn map(&mut self, pairs: usize) {
        if self.three { self.len(b'%', pairs) } else { self.len(b'*', 2 * pairs) }
    }

    fn set(&mut self, len: usize) {
        self.len(if self.three { b'~' } else { b'*' }, len);
    }
}

/// A loader without a limit.
pub(super) struct Patient;

impl Loader for Patient {
    fn expired(&mut self) -> bool {
        false
    }

    fn log(&mut self, _: LogLevel, _: &[u8]) {}
}

/// The environment under test.
pub(super) struct Ours {
    scripts: Scripts,
    libraries: Libraries,
}

impl Ours {
    pub(super) fn new() -> Self {
        let random = Rc::new(Random::new());
        let scripts = Scripts::new(Rc::clone(&random), Environment::default()).unwrap();
        Self { scripts, libraries: Libraries::new(random, Environment::default()).unwrap() }
    }

    /// The reply to EVAL, or those to FUNCTION LOAD and FCALL one after the other.
    pub(super) fn answer(&mut self, case: &Case<'_>) -> Vec<u8> {
        let mut wire = Wire::new(case.three);
        let mut store = Store::new();
        let input = Input { keys: &case.keys, args: &case.args };
        match case.kind {
            Kind::Eval => match self.scripts.load(case.body) {
                Ok(id) => self.scripts.run(id, input, &mut store, &mut wire),
                Err(text) => wire.error(&text, Counted::NotYet),
            },
            Kind::Library { function } => {
                self.libraries.flush().unwrap();
                match self.libraries.load(case.body, false, &mut Patient) {
                    Ok(name) => wire.bulk(name.as_bytes()),
                    Err(text) => wire.error(&[b"ERR ", &text[..]].concat(), Counted::NotYet),
                }
                if let Some(name) = function
                    && !self.libraries.run(name, input, &mut store, &mut wire)
                {
                    wire.error(b"ERR Function not found", Counted::NotYet);
                }
            }
        }
        wire.bytes
    }
}

/// A redis-server 7.0.15 that ends with its handle.
pub(super) struct Theirs {
    server: Child,
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Drop for Theirs {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

impl Theirs {
    pub(super) fn start(port: u16) -> Self {
        let mut server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--enable-debug-command", "yes"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = std::io::BufReader::new(server.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("Ready to accept connections") {
            line.clear();
            assert!(std::io::BufRead::read_line(&mut output, &mut line).unwrap() > 0, "no server");
        }
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut theirs = Self { server, stream, unread: Vec::new() };
        let info = theirs.request(&[b"INFO", b"server"]);
        assert!(String::from_utf8_lossy(&info).contains("redis_version:7.0.15"));
        theirs.request(&[b"DEBUG", b"SET-DISABLE-DENY-SCRIPTS", b"0"]);
        theirs
    }

    pub(super) fn answer(&mut self, case: &Case<'_>) -> Vec<u8> {
        self.request(&[b"HELLO", if case.three { b"3" } else { b"2" }]);
        self.request(&[b"FLUSHALL"]);
        let allowed: &[u8] = if case.debug { b"1" } else { b"0" };
        self.request(&[b"DEBUG", b"SET-DISABLE-DENY-SCRIPTS", allowed]);
        let count = case.keys.len().to_string();
        let mut input = vec![count.as_bytes()];
        input.extend(&case.keys);
        input.extend(&case.args);
        match case.kind {
            Kind::Eval => self.request(&[&[&b"EVAL"[..], case.body], &input[..]].concat()),
            Kind::Library { function } => {
                self.request(&[b"FUNCTION", b"FLUSH"]);
                let mut reply = self.request(&[b"FUNCTION", b"LOAD", case.body]);
                if let Some(name) = function {
                    reply.extend(self.request(&[&[&b"FCALL"[..], name], &input[..]].concat()));
                }
                reply
            }
        }
    }

    fn request(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut wire = Wire::new(false);
        wire.array(words.len());
        words.iter().for_each(|word| wire.bulk(word));
        self.stream.write_all(&wire.bytes).unwrap();
        loop {
            if let Some(len) = reply_len(&self.unread) {
                return self.unread.drain(..len).collect();
            }
            let mut piece = [0; 65536];
            let len = self.stream.read(&mut piece).unwrap();
            assert!(len > 0, "the server closed the connection at {:?}", words.last());
            self.unread.extend_from_slice(&piece[..len]);
        }
    }
}

/// Bytes of the first reply, if all of it is there.
fn reply_len(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut left) = (0, 1_usize);
    while left > 0 {
        let end = at + bytes.get(at..)?.windows(2).position(|pair| pair == b"\r\n")?;
        let number =
            std::str::from_utf8(&bytes[at + 1..end]).ok().and_then(|text| text.parse().ok());
        let count = usize::try_from(number.unwrap_or(0_i64)).unwrap_or(0);
        left -= 1;
        match bytes[at] {
            b'$' | b'=' if number != Some(-1) => at = end + 2 + count + 2,
            b'*' | b'~' => (left, at) = (left + count, end + 2),
            b'%' => (left, at) = (left + 2 * count, end + 2),
            b'|' => (left, at) = (left + 2 * count + 1, end + 2),
            _ => at = end + 2,
        }
    }
    (at <= bytes.len()).then_some(at)
}
