//! Reads commands, as RESP arrays of bulk strings, and annotations.
//!
//! Strict where Redis's loader is lax: a length is digits and a line end, and a line end follows each
//! argument. What is not so was damaged, and what follows cannot be trusted.

use std::io::{self, BufRead, BufReader, Read, Seek};
use std::ops::Range;

/// Bytes read from the file at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// Digits of the longest length.
const DIGITS_MAX: usize = 18;
/// A command's buffer that is larger is not kept.
const KEPT_BYTES: usize = 1024 * 1024;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Command,
    Annotation,
    End,
}

/// Why nothing more can be read.
#[derive(Debug)]
pub(super) enum Fault {
    Read(io::Error),
    /// The bytes are not what was written.
    Format(&'static str),
    /// The file ends within an item that is right so far.
    Truncated(&'static str),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

const IN_A_COMMAND: Fault = Fault::Truncated("it ends within a command");

/// A file's commands, and the last one read.
#[derive(Debug)]
pub(super) struct Reader<R> {
    source: BufReader<R>,
    position: u64,
    size: u64,
    bytes: Vec<u8>,
    args: Vec<Range<usize>>,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads a source that stands at an offset, up to its size.
    pub(super) fn new(source: R, position: u64, size: u64) -> Self {
        let source = BufReader::with_capacity(BUFFER_BYTES, source);
        Self { source, position, size, bytes: Vec::new(), args: Vec::new() }
    }

    /// Offset after the last item; after a fault, the offset of the line or argument with it.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Goes to an offset.
    pub(super) fn seek(&mut self, to: u64) -> io::Result<()> {
        // Where the buffer stands, which is further than the position after a fault.
        let stands = self.source.stream_position()?;
        self.source.seek_relative(to.cast_signed() - stands.cast_signed())?;
        self.position = to;
        Ok(())
    }

    /// The last command's arguments.
    pub(super) fn args(&self) -> Vec<&[u8]> {
        self.args.iter().map(|range| &self.bytes[range.clone()]).collect()
    }

    /// True if the last command has this name, in lower case.
    pub(super) fn is_command(&self, name: &[u8]) -> bool {
        self.args.first().is_some_and(|range| self.bytes[range.clone()].eq_ignore_ascii_case(name))
    }

    /// Reads the next item.
    pub(super) fn next(&mut self) -> Result<Item, Fault> {
        self.args.clear();
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        match self.source.fill_buf()?.first() {
            None => return Ok(Item::End),
            Some(b'#') => {
                self.skip_line()?;
                return Ok(Item::Annotation);
            }
            Some(b'*') => {}
            Some(_) => return Err(Fault::Format("neither a command nor an annotation")),
        }
        let args = self.length(b'*')?;
        if args == 0 {
            return Err(Fault::Format("a command of no arguments"));
        }
        for _ in 0..args {
            let bytes = self.length(b'$')?;
            self.argument(bytes)?;
        }
        Ok(Item::Command)
    }

    /// Looks, after an argument that was cut short, for commands in what is there of it: a line that
    /// looks like a command's first, from which whole commands reach to the end of the file.
    pub(super) fn commands_follow(&mut self) -> io::Result<bool> {
        let mut at = self.position;
        loop {
            self.seek(at)?;
            let Some(found) = self.find_command()? else { return Ok(false) };
            at = found + 1;
            self.seek(found)?;
            let mut commands = 0;
            loop {
                match self.next() {
                    Ok(Item::Command) => commands += 1,
                    Ok(Item::Annotation) => {}
                    Ok(Item::End) if commands > 0 => return Ok(true),
                    Err(Fault::Truncated(_)) if commands > 0 => return Ok(true),
                    Err(Fault::Read(error)) => return Err(error),
                    Ok(Item::End) | Err(_) => break,
                }
            }
        }
    }

    /// The offset of the next `*` after a line end.
    fn find_command(&mut self) -> io::Result<Option<u64>> {
        let (mut at, mut before) = (self.position, 0);
        loop {
            let buffer = self.source.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            for (index, &byte) in buffer.iter().enumerate() {
                if byte == b'*' && before == b'\n' {
                    return Ok(Some(at + index as u64));
                }
                before = byte;
            }
            let taken = buffer.len();
            self.source.consume(taken);
            at += taken as u64;
        }
    }

    fn skip_line(&mut self) -> Result<(), Fault> {
        loop {
            let buffer = self.source.fill_buf()?;
            if buffer.is_empty() {
                return Ok(());
            }
            let newline = buffer.iter().position(|&byte| byte == b'\n');
            let taken = newline.map_or(buffer.len(), |at| at + 1);
            self.source.consume(taken);
            self.position += taken as u64;
            if newline.is_some() {
                return Ok(());
            }
        }
    }

    fn byte(&mut self) -> Result<Option<u8>, Fault> {
        let byte = self.source.fill_buf()?.first().copied();
        if byte.is_some() {
            self.source.consume(1);
        }
        Ok(byte)
    }

    /// Reads a mark, digits and a line end.
    fn length(&mut self, mark: u8) -> Result<u64, Fault> {
        if self.byte()?.ok_or(IN_A_COMMAND)? != mark {
            return Err(Fault::Format("an argument without its length"));
        }
        let (mut number, mut digits) = (0_u64, 0);
        loop {
            match self.byte()?.ok_or(IN_A_COMMAND)? {
                digit @ b'0'..=b'9' if digits < DIGITS_MAX => {
                    number = number * 10 + u64::from(digit - b'0');
                    digits += 1;
                }
                b'\r' if digits > 0 => break,
                _ => return Err(Fault::Format("a length that is no number")),
            }
        }
        if self.byte()?.ok_or(IN_A_COMMAND)? != b'\n' {
            return Err(Fault::Format("a length without its line end"));
        }
        self.position += digits as u64 + 3;
        Ok(number)
    }

    /// Reads an argument and the line end after it.
    fn argument(&mut self, bytes: u64) -> Result<(), Fault> {
        let left = self.size.saturating_sub(self.position);
        if bytes > left {
            // Do not ask for memory that a damaged length wants.
            return Err(IN_A_COMMAND);
        }
        let start = self.bytes.len();
        let read = (&mut self.source).take(bytes).read_to_end(&mut self.bytes)?;
        if (read as u64) < bytes {
            return Err(IN_A_COMMAND);
        }
        self.args.push(start..self.bytes.len());
        for expected in *b"\r\n" {
            if self.byte()?.ok_or(IN_A_COMMAND)? != expected {
                return Err(Fault::Format("an argument longer than its length"));
            }
        }
        self.position += bytes + 2;
        Ok(())
    }
}
