//! The connection of a session: what it shows, and the commands that come in.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use bstr::ByteSlice;
use scoped_tls_hkt::scoped_thread_local;

/// Of a command's words, and of each of them, in bytes.
const WORDS_MAX: usize = 1024;
const WORD_MAX: usize = 1024;
/// Bytes of a command that has not come as a whole.
const INPUT_MAX: usize = 1 << 20;
/// Where values and replies are cut off by default, and at the least, in bytes.
const LEN_MAX: usize = 256;
const LEN_MAX_LEAST: usize = 60;

/// What came from the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many bytes.
    Bytes(usize),
    /// Nothing yet: it is time to look whether to go on.
    Nothing,
    /// There is nobody any more.
    Gone,
}

/// A connection on which a session waits, instead of the server's own loop.
pub(crate) trait Terminal {
    /// Waits for bytes, but not for long.
    fn read(&mut self, buffer: &mut [u8]) -> Received;
    /// Writes everything; a peer that has gone shows when it is read from.
    fn write(&mut self, bytes: &[u8]);
    /// The time since some moment, in nanoseconds.
    fn nanos(&self) -> u64;
}

scoped_thread_local!(pub(super) static mut TERMINAL: for<'a> &'a mut (dyn Terminal + 'a));

/// Why no command could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    Gone,
    Protocol,
    TooLong,
    /// The session was ended from elsewhere.
    Killed,
}

/// What a session is about to show, and the state of its calls.
#[derive(Debug)]
pub(super) struct Console {
    lines: RefCell<Vec<Vec<u8>>>,
    input: RefCell<Vec<u8>>,
    /// Calls of commands show themselves, and the next line stops.
    pub(super) shows_calls: Cell<bool>,
    /// 0: values are shown whole.
    len_max: Cell<usize>,
    has_hinted: Cell<bool>,
    /// In the terminal's nanoseconds.
    began_nanos: Cell<u64>,
    late_after_nanos: u64,
}

impl Console {
    pub(super) fn new(late_after: Duration) -> Self {
        Self {
            lines: RefCell::default(),
            input: RefCell::default(),
            shows_calls: Cell::new(true),
            len_max: Cell::new(LEN_MAX),
            has_hinted: Cell::new(false),
            began_nanos: Cell::new(0),
            late_after_nanos: u64::try_from(late_after.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// Adds a line to what is shown next.
    pub(super) fn log(&self, line: Vec<u8>) {
        self.lines.borrow_mut().push(line);
    }

    /// The same, cut off where that is wanted.
    pub(super) fn log_limited(&self, mut line: Vec<u8>) {
        let max = self.len_max.get();
        let is_cut = max > 0 && line.len() > max;
        if is_cut {
            line.truncate(max);
            line.extend_from_slice(b" ...");
        }
        self.log(line);
        if is_cut && !self.has_hinted.replace(true) {
            let hint = "<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming.";
            self.log(hint.into());
        }
    }

    /// Sets where lines are cut off, if so asked, and returns it.
    pub(super) fn len_max(&self, wanted: Option<i64>) -> usize {
        if let Some(wanted) = wanted {
            self.has_hinted.set(true);
            let wanted = usize::try_from(wanted).unwrap_or_default();
            self.len_max.set(if wanted == 0 { 0 } else { wanted.max(LEN_MAX_LEAST) });
        }
        self.len_max.get()
    }

    /// Shows the lines: an array of simple strings.
    pub(super) fn send(&self) {
        let lines = self.lines.take();
        let mut bytes = format!("*{}\r\n", lines.len()).into_bytes();
        for mut line in lines {
            line.iter_mut()
                .filter(|byte| matches!(byte, b'\r' | b'\n'))
                .for_each(|byte| *byte = b' ');
            bytes.push(b'+');
            bytes.extend_from_slice(&line);
            bytes.extend_from_slice(b"\r\n");
        }
        TERMINAL.with(|terminal| terminal.write(&bytes));
    }

    pub(super) fn restart_clock(&self) {
        self.began_nanos.set(nanos());
    }

    /// Whether the script has run for long since the last stop.
    pub(super) fn is_late(&self) -> bool {
        nanos() - self.began_nanos.get() >= self.late_after_nanos
    }

    /// Waits for a command. `goes_on` is asked from time to time whether the session does.
    pub(super) fn read(
        &self,
        mut goes_on: impl FnMut() -> bool,
    ) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut input = self.input.borrow_mut();
        loop {
            let parsed = parse(&input);
            if parsed != Err(Partial::More) {
                // As in Redis: what was sent behind a command is dropped.
                input.clear();
                return parsed.map_err(|_| ReadError::Protocol);
            }
            if input.len() > INPUT_MAX {
                input.clear();
                return Err(ReadError::TooLong);
            }
            let mut buffer = [0; 1024];
            match TERMINAL.with(|terminal| terminal.read(&mut buffer)) {
                Received::Bytes(len) => input.extend_from_slice(&buffer[..len]),
                Received::Gone => return Err(ReadError::Gone),
                Received::Nothing if goes_on() => {}
                Received::Nothing => return Err(ReadError::Killed),
            }
        }
    }
}

fn nanos() -> u64 {
    TERMINAL.with(|terminal| terminal.nanos())
}

/// Why there is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Partial {
    /// The rest has not come.
    More,
    Broken,
}

/// The line from `at` on, and where the next one begins.
fn line(bytes: &[u8], at: usize) -> Result<(&[u8], usize), Partial> {
    let len = bytes[at..].find(b"\r\n").ok_or(Partial::More)?;
    Ok((&bytes[at..at + len], at + len + 2))
}

/// A number behind its mark.
fn length(bytes: &[u8], mark: u8, max: usize) -> Result<usize, Partial> {
    let digits = bytes.strip_prefix(&[mark]).ok_or(Partial::Broken)?;
    let number = digits.to_str().ok().and_then(|text| text.parse::<usize>().ok());
    number.filter(|&number| number > 0 && number <= max).ok_or(Partial::Broken)
}

/// Reads an array of bulk strings.
fn parse(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Partial> {
    match bytes.first() {
        None => return Err(Partial::More),
        Some(b'*') => {}
        Some(_) => return Err(Partial::Broken),
    }
    let (first, mut at) = line(bytes, 0)?;
    let count = length(first, b'*', WORDS_MAX)?;
    let mut words = Vec::with_capacity(count);
    while words.len() < count {
        if at == bytes.len() {
            return Err(Partial::More);
        }
        if bytes[at] != b'$' {
            return Err(Partial::Broken);
        }
        let (head, from) = line(bytes, at)?;
        let end = from + length(head, b'$', WORD_MAX)?;
        if end + 2 > bytes.len() {
            return Err(Partial::More);
        }
        if &bytes[end..end + 2] != b"\r\n" {
            return Err(Partial::Broken);
        }
        words.push(bytes[from..end].to_vec());
        at = end + 2;
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::{Partial, parse};

    #[test]
    fn a_command_is_read_once_it_is_whole() {
        let whole = b"*2\r\n$5\r\nprint\r\n$1\r\nx\r\n";
        assert_eq!(parse(whole), Ok(vec![b"print".to_vec(), b"x".to_vec()]));
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), Err(Partial::More), "{end}");
        }
        for broken in
            ["s\r\n", "*0\r\n", "*1\r\n+s\r\n", "*1\r\n$0\r\n", "*1025\r\n", "*1\r\n$1\r\nabc"]
        {
            assert_eq!(parse(broken.as_bytes()), Err(Partial::Broken), "{broken:?}");
        }
    }
}
