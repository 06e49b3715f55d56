//! The files of the append only file, with a delay before each write that DEBUG AOF-FLUSH-SLEEP sets.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::aof::{Barrier, FileSystem, Files, InFile, Kind, OutFile};

/// The file system, with a delay in microseconds.
#[derive(Debug)]
pub(super) struct DelayedFiles(pub(super) Arc<AtomicU64>);

/// A file being written.
#[derive(Debug)]
struct DelayedFile {
    file: Box<dyn OutFile>,
    delay_us: Arc<AtomicU64>,
}

impl OutFile for DelayedFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.delay_us.load(Ordering::Relaxed) {
            0 => {}
            delay_us => thread::sleep(Duration::from_micros(delay_us)),
        }
        self.file.write(bytes)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }

    fn sync(&self, barrier: Barrier) -> io::Result<()> {
        self.file.sync(barrier)
    }
}

impl DelayedFiles {
    fn delayed(&self, file: Box<dyn OutFile>) -> Box<dyn OutFile> {
        Box::new(DelayedFile { file, delay_us: Arc::clone(&self.0) })
    }
}

impl Files for DelayedFiles {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        FileSystem.create_folder(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn OutFile>> {
        FileSystem.create(path).map(|file| self.delayed(file))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn OutFile>> {
        FileSystem.open_append(path).map(|file| self.delayed(file))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn InFile>> {
        FileSystem.open_read(path)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        FileSystem.size(path)
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        FileSystem.kind(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        FileSystem.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        FileSystem.unlink(path)
    }

    fn sync_folder(&self, path: &Path, barrier: Barrier) -> io::Result<()> {
        FileSystem.sync_folder(path, barrier)
    }
}
