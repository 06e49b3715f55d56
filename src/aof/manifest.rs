//! The manifest: which files hold the data, in which order. A line per file:
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b
//! file appendonly.aof.1.incr.aof seq 1 type h
//! file appendonly.aof.2.incr.aof seq 2 type i
//! ```
//!
//! At most one base (`b`), which is loaded first; then the increments (`i`), by ascending numbers.
//! History (`h`) waits for its removal and is not loaded. Knows nothing of the disk.

mod words;

use std::fmt;

use crate::text::{UnbalancedQuotes, split_words};

/// Bytes of the longest line, its newline included.
const LINE_BYTES_MAX: usize = 1024;

/// What a base holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A snapshot in RDB format (`aof-use-rdb-preamble yes`).
    Rdb,
    /// Commands.
    Aof,
}

/// A file that the manifest lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// A name without a path.
    pub(crate) name: Vec<u8>,
    pub(crate) seq: i64,
}

/// The files, and the last number given to a base and to an increment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) base: Option<Entry>,
    /// Files to remove.
    pub(crate) history: Vec<Entry>,
    pub(crate) incr: Vec<Entry>,
    base_seq: i64,
    incr_seq: i64,
}

/// Why a manifest cannot be read, in Redis's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ManifestError {
    /// The line's number and text, where the fault is in a line's content.
    pub(crate) line: Option<(usize, String)>,
    pub(crate) what: &'static str,
}

impl ManifestError {
    /// The lines for the log, as Redis writes them.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec!["\n*** FATAL AOF MANIFEST FILE ERROR ***\n".to_owned()];
        if let Some((number, text)) = &self.line {
            lines.push(format!("Reading the manifest file, at line {number}\n"));
            lines.push(format!(">>> '{text}'\n"));
        }
        lines.push(format!("{}\n", self.what));
        lines
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.line {
            Some((number, text)) => write!(to, "{} at line {number}: '{text}'", self.what),
            None => write!(to, "{}", self.what),
        }
    }
}

impl std::error::Error for ManifestError {}

const FORMAT: &str = "Invalid AOF manifest file format";

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// In Redis's words, for all that Redis refuses.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        let mut manifest = Self::default();
        let (mut rest, mut number) = (text, 0);
        if rest.is_empty() {
            return Err(ManifestError { line: None, what: "Found an empty AOF manifest" });
        }
        while !rest.is_empty() {
            number += 1;
            let window = &rest[..rest.len().min(LINE_BYTES_MAX)];
            let newline = window.iter().position(|&byte| byte == b'\n');
            let (line, after) = rest.split_at(newline.map_or(window.len(), |at| at + 1));
            rest = after;
            if line[0] == b'#' {
                continue;
            }
            // A line that only the end of the file ends counts as too long, as in Redis.
            if newline.is_none() || line.contains(&0) {
                let what = "The AOF manifest file contains too long line";
                return Err(ManifestError { line: None, what });
            }
            let line = words::trimmed(line);
            manifest.add_line(line).map_err(|what| {
                let text = String::from_utf8_lossy(line).into_owned();
                ManifestError { line: Some((number, text)), what }
            })?;
        }
        Ok(manifest)
    }

    fn add_line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let words = split_words(line).map_err(|UnbalancedQuotes| FORMAT)?;
        // More pairs than these three may come from later versions.
        if words.len() < 6 || words.len() % 2 != 0 {
            return Err(FORMAT);
        }
        let (mut name, mut seq, mut kind) = (None, 0, 0);
        for pair in words.chunks_exact(2) {
            let (key, value) = (&pair[0], &pair[1]);
            if key.eq_ignore_ascii_case(b"file") {
                if value.iter().any(|byte| matches!(byte, b'/' | b'\\')) {
                    return Err("File can't be a path, just a filename");
                }
                name = Some(value.clone());
            } else if key.eq_ignore_ascii_case(b"seq") {
                seq = words::leading_number(value);
            } else if key.eq_ignore_ascii_case(b"type") {
                kind = value.first().copied().unwrap_or(0);
            }
        }
        let (Some(name), 1.. | ..=-1, 1..) = (name, seq, kind) else { return Err(FORMAT) };
        self.add(Entry { name, seq }, kind)
    }

    fn add(&mut self, entry: Entry, kind: u8) -> Result<(), &'static str> {
        match kind {
            b'b' if self.base.is_some() => return Err("Found duplicate base file information"),
            b'b' => {
                self.base_seq = entry.seq;
                self.base = Some(entry);
            }
            b'h' => self.history.push(entry),
            b'i' if entry.seq <= self.incr.last().map_or(0, |last| last.seq) => {
                return Err("Found a non-monotonic sequence number");
            }
            b'i' => {
                self.incr_seq = entry.seq;
                self.incr.push(entry);
            }
            _ => return Err("Unknown AOF file type"),
        }
        Ok(())
    }

    /// The text: the base, then history, then increments.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let base = self.base.iter().map(|entry| (entry, 'b'));
        let history = self.history.iter().map(|entry| (entry, 'h'));
        for (entry, kind) in base.chain(history).chain(self.incr.iter().map(|entry| (entry, 'i'))) {
            text.extend_from_slice(b"file ");
            words::quote_if_needed(&entry.name, &mut text);
            text.extend_from_slice(format!(" seq {} type {kind}\n", entry.seq).as_bytes());
        }
        text
    }

    /// The files to load, in order.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = &Entry> {
        self.base.iter().chain(&self.incr)
    }

    /// True if there is nothing to load.
    pub(crate) fn is_empty(&self) -> bool {
        self.base.is_none() && self.incr.is_empty()
    }

    /// Lists a new increment after the others.
    pub(crate) fn add_incr(&mut self, filename: &[u8]) -> Entry {
        self.incr_seq += 1;
        let entry = Entry { name: incr_name(filename, self.incr_seq), seq: self.incr_seq };
        self.incr.push(entry.clone());
        entry
    }

    /// Lists a new base in place of the old one, which becomes history.
    pub(crate) fn replace_base(&mut self, filename: &[u8], format: Format) -> Entry {
        if let Some(old) = self.base.take() {
            self.history.insert(0, old);
        }
        self.base_seq += 1;
        let suffix = match format {
            Format::Rdb => "rdb",
            Format::Aof => "aof",
        };
        let name = [filename, format!(".{}.base.{suffix}", self.base_seq).as_bytes()].concat();
        let entry = Entry { name, seq: self.base_seq };
        self.base = Some(entry.clone());
        entry
    }

    /// Lists an old single file as the base.
    pub(crate) fn adopt(&mut self, filename: &[u8]) {
        self.base = Some(Entry { name: filename.to_vec(), seq: 1 });
        self.base_seq = 1;
    }

    /// Turns increments that a new base has made superfluous into history: all but the last few.
    pub(crate) fn retire_incr(&mut self, keep: usize) {
        let retired = self.incr.len().saturating_sub(keep);
        for entry in self.incr.drain(..retired).rev() {
            self.history.insert(0, entry);
        }
    }
}

fn incr_name(filename: &[u8], seq: i64) -> Vec<u8> {
    [filename, format!(".{seq}.incr.aof").as_bytes()].concat()
}

#[cfg(test)]
mod tests;
