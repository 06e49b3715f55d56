//! Bytes of a full resync that exceed the memory limit.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::replication::Overflow;

/// An unlinked file, so that it never outlives its use.
#[derive(Debug)]
pub(super) struct SpoolFile {
    file: File,
}

impl SpoolFile {
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("temp-spool-{}-{number}.rdb", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        fs::remove_file(&path)?;
        Ok(Self { file })
    }

    /// The file from its start.
    pub(super) fn into_reader(mut self) -> io::Result<File> {
        use std::io::Seek;
        self.file.rewind()?;
        Ok(self.file)
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }
}

impl Overflow for SpoolFile {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }
}
