//! The file operations of a save, behind a trait so that tests can make each of them fail.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// A file being written.
pub(super) trait Target: Write {
    /// Waits until written data are on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// The file operations of a save.
pub(super) trait Files: Send + Sync + fmt::Debug {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Target>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until the folder's entries are on the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system.
#[derive(Debug)]
pub(super) struct FileSystem;

impl Target for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Files for FileSystem {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Target>> {
        Ok(Box::new(File::create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}
