//! Records for tests: numbered from 0, so that a load that is not a prefix of them shows itself.

use std::io::Read;

use crate::aof::loader::{RdbPart, Receiver, Refusal};

/// A command as RESP.
pub(super) fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The record of a number, with some more bytes.
pub(super) fn record(number: u64, padding: usize) -> Vec<u8> {
    command(&[b"SET", number.to_string().as_bytes(), &vec![b'p'; padding]])
}

/// A base of all records below a number, in RDB's place: 64 bytes.
pub(super) fn rdb_base(records: u64) -> Vec<u8> {
    format!("REDIS{records:020}{:-<39}", "").into_bytes()
}

/// A base of commands.
pub(super) fn aof_base(records: u64) -> Vec<u8> {
    let number = records.to_string();
    let mut bytes = command(&[b"BASE", number.as_bytes()]);
    bytes.extend(command(&[b"DONE", number.as_bytes()]));
    bytes
}

/// Takes numbered records in; refuses gaps and wrong order.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// How many there are.
    pub(super) count: u64,
    open_base: bool,
    in_transaction: bool,
    pub(super) commands: Vec<String>,
    pub(super) offsets: Vec<u64>,
}

impl Numbers {
    fn take(&mut self, args: &[&[u8]]) -> Result<(), String> {
        let text = |index: usize| std::str::from_utf8(args[index]).unwrap();
        let number = || text(1).parse::<u64>().map_err(|error| error.to_string());
        match text(0) {
            "SET" if self.open_base => return Err("a record within a base".to_owned()),
            "SET" if number()? == self.count => self.count += 1,
            "SET" => return Err(format!("record {} after {} records", text(1), self.count)),
            "BASE" if self.count == 0 => (self.count, self.open_base) = (number()?, true),
            "DONE" if self.open_base && number()? == self.count => self.open_base = false,
            "MULTI" if !self.in_transaction => self.in_transaction = true,
            "EXEC" if self.in_transaction => self.in_transaction = false,
            other => return Err(format!("an unexpected {other}")),
        }
        Ok(())
    }

    /// Checks that nothing was left open.
    pub(super) fn finish(&self) -> Result<u64, String> {
        match (self.open_base, self.in_transaction) {
            (false, false) => Ok(self.count),
            _ => Err("a base or transaction has no end".to_owned()),
        }
    }
}

impl Receiver for Numbers {
    fn file(&mut self, _: &str, _: u64) {}

    fn rdb(&mut self, source: &mut dyn Read, _: RdbPart) -> Result<u64, String> {
        let mut bytes = [0; 64];
        source.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        if !bytes.ends_with(&[b'-'; 39]) {
            return Err("not a whole base".to_owned());
        }
        let digits = std::str::from_utf8(&bytes[5..25]).unwrap();
        self.count = digits.parse().map_err(|_| "no number".to_owned())?;
        // More than the stream, as a buffered reader does.
        source.read(&mut [0; 16]).map_err(|error| error.to_string())?;
        Ok(64)
    }

    fn knows(&self, args: &[&[u8]]) -> bool {
        [&b"SET"[..], b"BASE", b"DONE", b"MULTI", b"EXEC", b"SELECT"].contains(&args[0])
    }

    fn command(&mut self, args: &[&[u8]], offset: u64) -> Result<(), Refusal> {
        self.commands.push(String::from_utf8_lossy(args[0]).into_owned());
        self.offsets.push(offset);
        if !self.knows(args) {
            return Err(Refusal::UnknownCommand);
        }
        if args[0] == b"SELECT" {
            return Ok(());
        }
        self.take(args).map_err(Refusal::Other)
    }
}
