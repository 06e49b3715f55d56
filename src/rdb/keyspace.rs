//! Writes entries of the keyspace in the file format.

use std::io::{self, Write};

use super::{Attributes, Writer};
use crate::keyspace::EntryRef;
use crate::keyspace::access::{Access, Aging, idle_s};

/// Writes keys of several databases in any order, selecting the database where it changes.
#[derive(Debug)]
pub(crate) struct EntryWriter<W> {
    writer: Writer<W>,
    selected: Option<usize>,
    keys: usize,
    /// Writes how keys were used, if given.
    usage: Option<Access>,
}

impl<W: Write> EntryWriter<W> {
    /// Continues after the header and the auxiliary fields.
    pub(crate) fn new(writer: Writer<W>, usage: Option<Access>) -> Self {
        Self { writer, selected: None, keys: 0, usage }
    }

    /// Begins a database with its sizes, a hint for the reader.
    ///
    /// # Errors
    /// When the sink fails.
    pub(crate) fn database(&mut self, index: usize, keys: usize, expires: usize) -> io::Result<()> {
        self.select(index)?;
        self.writer.resize_db(keys as u64, expires as u64)
    }

    fn select(&mut self, index: usize) -> io::Result<()> {
        if self.selected != Some(index) {
            self.selected = Some(index);
            self.writer.select_db(index as u64)?;
        }
        Ok(())
    }

    /// Writes one key.
    ///
    /// # Errors
    /// When the sink fails.
    pub(crate) fn entry(&mut self, database: usize, entry: EntryRef<'_>) -> io::Result<()> {
        self.select(database)?;
        self.keys = self.keys.saturating_add(1);
        let mut attributes =
            Attributes { expire_at_ms: entry.expire_at_ms(), ..Attributes::default() };
        if let Some(Access { aging, now_s }) = self.usage {
            match aging {
                Aging::Idle => attributes.idle_s = Some(idle_s(entry.access(), now_s).into()),
                Aging::Frequency(frequency) => {
                    attributes.freq = Some(frequency.counter(entry.access(), now_s));
                }
            }
        }
        self.writer.key(entry.key(), attributes, entry.value())
    }

    /// Keys written so far.
    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    /// Writes the end and the checksum.
    ///
    /// # Errors
    /// When the sink fails.
    pub(crate) fn finish(self) -> io::Result<W> {
        self.writer.finish()
    }
}
