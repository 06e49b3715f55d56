//! A group of records on its way into the file.

use std::io;

use crate::aof::files::OutFile;

/// Blocks to write, and how far they are written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    blocks: Vec<Vec<u8>>,
    /// Local offset after the last byte.
    end: u64,
    bytes: usize,
    /// Bytes that are in the file for good.
    kept: usize,
    /// Bytes written, kept or not.
    done: usize,
}

impl Batch {
    pub(super) fn new(blocks: Vec<Vec<u8>>, end: u64) -> Self {
        let bytes = blocks.iter().map(Vec::len).sum();
        Self { blocks, end, bytes, kept: 0, done: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Bytes that this try has to write.
    pub(super) fn bytes(&self) -> usize {
        self.bytes - self.kept
    }

    /// Bytes that this try has written.
    pub(super) fn written_bytes(&self) -> usize {
        self.done - self.kept
    }

    /// Forgets what this try has written.
    pub(super) fn rewind(&mut self) {
        self.done = self.kept;
    }

    /// Keeps what this try has written.
    pub(super) fn keep_written(&mut self) {
        self.kept = self.done;
    }

    /// Writes what is left. An error leaves the position after what was written.
    pub(super) fn write_to(&mut self, file: &dyn OutFile) -> io::Result<()> {
        let mut skip = self.done;
        for block in &self.blocks {
            if skip >= block.len() {
                skip -= block.len();
                continue;
            }
            while skip < block.len() {
                match file.write(&block[skip..]) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => {
                        skip += written;
                        self.done += written;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            skip = 0;
        }
        Ok(())
    }

    pub(super) fn into_blocks(self) -> Vec<Vec<u8>> {
        self.blocks
    }
}
