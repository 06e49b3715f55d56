//! Records of writes on their way into the log, each with where it goes.

use std::io::Write as _;

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// Where a record goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Target {
    #[default]
    Everywhere,
    Replicas,
    /// The append only file.
    File,
}

impl Target {
    /// Whether a record for `self` goes to a sink that is `sink`.
    fn reaches(self, sink: Self) -> bool {
        self == Self::Everywhere || self == sink
    }
}

#[derive(Clone, Copy, Debug)]
struct Record {
    database: usize,
    /// In bytes.
    len: usize,
    target: Target,
}

/// Records to append as one unit.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Where the records to come go.
    pub(crate) target: Target,
    records: Vec<Record>,
    /// Encoded commands.
    bytes: Vec<u8>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Adds a command in a database.
    pub(crate) fn push<'a>(
        &mut self,
        database: usize,
        args: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        let before = self.bytes.len();
        encode(&mut self.bytes, args);
        let len = self.bytes.len() - before;
        self.records.push(Record { database, len, target: self.target });
    }

    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.bytes.clear();
        // Do not keep the memory of one huge command.
        self.bytes.shrink_to(1 << 20);
    }

    /// Passes on the bytes for a sink whose readers have `selected` selected: several records stand
    /// between MULTI and EXEC.
    pub(super) fn write(
        &self,
        sink: Target,
        selected: &mut Option<usize>,
        mut write: impl FnMut(&[u8]),
    ) {
        let reaching = |record: &&Record| record.target.reaches(sink);
        let unit = self.records.iter().filter(reaching).nth(1).is_some();
        let mut begun = false;
        let mut rest = self.bytes.as_slice();
        for record in &self.records {
            let (bytes, after) = rest.split_at(record.len);
            rest = after;
            if !record.target.reaches(sink) {
                continue;
            }
            select(selected, record.database, &mut write);
            if unit && !begun {
                write(MULTI);
            }
            begun = true;
            write(bytes);
        }
        if unit {
            write(EXEC);
        }
    }
}

fn select(selected: &mut Option<usize>, database: usize, write: &mut impl FnMut(&[u8])) {
    if *selected != Some(database) {
        *selected = Some(database);
        let mut bytes = Vec::new();
        let index = database.to_string();
        encode(&mut bytes, [&b"SELECT"[..], index.as_bytes()].into_iter());
        write(&bytes);
    }
}

/// Appends a command as an array of bulk strings.
pub(crate) fn encode<'a>(into: &mut Vec<u8>, args: impl ExactSizeIterator<Item = &'a [u8]>) {
    let line = |mark: u8, len: usize, into: &mut Vec<u8>| {
        into.push(mark);
        // Most lengths are one digit.
        match u8::try_from(len) {
            Ok(digit @ 0..10) => into.push(b'0' + digit),
            _ => write!(into, "{len}").expect("writing to memory"),
        }
        into.extend_from_slice(b"\r\n");
    };
    line(b'*', args.len(), into);
    for arg in args {
        line(b'$', arg.len(), into);
        into.extend_from_slice(arg);
        into.extend_from_slice(b"\r\n");
    }
}
