//! Writes an RDB stream of version 10: its header, opcodes and trailer. `encode` writes the
//! strings; the caller chooses aux fields and databases and their order.

use std::io::{self, Write};

use super::attributes::Attributes;
use super::crc64::Digest;
use super::encode::Encoder;
use super::format::{VERSION_WRITTEN, opcode};
use super::values;
use crate::lzf::Compressor;
use crate::types::ValueRef;

/// How a stream is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteOptions {
    /// Whether strings are compressed where that pays (`rdbcompression`).
    pub(crate) compression: bool,
    /// Whether the trailer holds a checksum, or 0 (`rdbchecksum`).
    pub(crate) checksum: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { compression: true, checksum: true }
    }
}

/// Writes an RDB stream, as Redis's `rdbSaveRio` does.
///
/// Many writes are of single bytes: give it a buffered sink. A stream is complete only after
/// [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct Writer<W> {
    encoder: Encoder<W>,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    ///
    /// # Errors
    ///
    /// When the sink fails; likewise for the other methods.
    pub(crate) fn new(sink: W, options: WriteOptions) -> io::Result<Self> {
        let digest = options.checksum.then(Digest::new);
        let compressor = options.compression.then(Compressor::new);
        let mut encoder = Encoder::new(sink, digest, compressor);
        encoder.raw(format!("REDIS{VERSION_WRITTEN:04}").as_bytes())?;
        Ok(Self { encoder })
    }

    /// Writes a field about the file, such as `redis-ver`. Readers expect them before the keys.
    pub(crate) fn aux(&mut self, name: &[u8], value: &[u8]) -> io::Result<()> {
        self.encoder.raw(&[opcode::AUX])?;
        self.encoder.bytes(name)?;
        self.encoder.bytes(value)
    }

    /// Writes a library of functions: its text. Readers expect them before the keys.
    pub(crate) fn library(&mut self, code: &[u8]) -> io::Result<()> {
        self.encoder.raw(&[opcode::FUNCTION2])?;
        self.encoder.bytes(code)
    }

    /// Selects the database of the keys that follow.
    pub(crate) fn select_db(&mut self, db: u64) -> io::Result<()> {
        self.encoder.raw(&[opcode::SELECTDB])?;
        self.encoder.length(db)
    }

    /// Writes how many keys the current database holds, and how many of them expire. Readers
    /// preallocate accordingly; wrong numbers do no harm.
    pub(crate) fn resize_db(&mut self, keys: u64, expires: u64) -> io::Result<()> {
        self.encoder.raw(&[opcode::RESIZEDB])?;
        self.encoder.length(keys)?;
        self.encoder.length(expires)
    }

    /// Writes a key of the current database.
    pub(crate) fn key(
        &mut self,
        key: &[u8],
        attributes: Attributes,
        value: ValueRef<'_>,
    ) -> io::Result<()> {
        if let Some(expire_at_ms) = attributes.expire_at_ms {
            self.encoder.raw(&[opcode::EXPIRETIME_MS])?;
            self.encoder.raw(&expire_at_ms.to_le_bytes())?;
        }
        if let Some(idle_s) = attributes.idle_s {
            self.encoder.raw(&[opcode::IDLE])?;
            self.encoder.length(idle_s)?;
        }
        if let Some(freq) = attributes.freq {
            self.encoder.raw(&[opcode::FREQ, freq])?;
        }
        self.encoder.raw(&[values::type_code(value)])?;
        self.encoder.bytes(key)?;
        values::write(&mut self.encoder, value)
    }

    /// Bytes written so far.
    #[cfg(test)]
    pub(crate) fn written(&self) -> u64 {
        self.encoder.written()
    }

    /// Writes the trailer, flushes the sink and returns it.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.encoder.raw(&[opcode::EOF])?;
        let checksum = self.encoder.checksum().unwrap_or(0);
        self.encoder.raw(&checksum.to_le_bytes())?;
        self.encoder.flush()?;
        Ok(self.encoder.into_parts().0)
    }
}

#[cfg(test)]
mod tests;
