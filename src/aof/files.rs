//! The file layer: every file operation of the append only file, behind a trait. Tests replace it by
//! a disk that loses what was not synced.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// What a sync is for. A disk that loses power keeps what these have covered; each is there since
/// without it an ordering breaks, which the tests show by leaving it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// Records, by the policy.
    Records,
    /// The last records of a file, before the manifest lists another one after it.
    Switch,
    /// The last records when the file is turned off or the server ends.
    Close,
    /// The files found at the start: readers will see what they hold.
    Opened,
    /// The folder found at the start: a killed process may have left renames in it.
    OpenedFolder,
    /// The name of a new folder, in the folder above it.
    NewFolder,
    /// Names of new files, before the manifest lists them.
    NewNames,
    /// The content of a new manifest, before it gets its name.
    Manifest,
    /// The new manifest's name.
    ManifestName,
    /// The content of a new base, before the manifest lists it.
    Base,
    /// Part of a new base, so that no later sync has gigabytes to write. Orders nothing.
    Pace,
}

/// What a path refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
}

/// A file being written at its end. One thread writes; another may sync meanwhile.
pub(crate) trait OutFile: Send + Sync + fmt::Debug {
    /// Appends some of the bytes, and says how many.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts the file; later writes append after the cut.
    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// Waits until all written bytes are on the disk.
    fn sync(&self, barrier: Barrier) -> io::Result<()>;
}

/// A file being read.
pub(crate) trait InFile: Read + Seek + Send {}

impl<T: Read + Seek + Send> InFile for T {}

/// The file operations.
pub(crate) trait Files: Send + Sync + fmt::Debug {
    /// Creates a folder if there is none.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Creates a file, or empties it.
    fn create(&self, path: &Path) -> io::Result<Box<dyn OutFile>>;

    /// Opens a file for writes at its end, or creates it.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn OutFile>>;

    /// Opens a file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn InFile>>;

    /// A file's size in bytes.
    fn size(&self, path: &Path) -> io::Result<u64>;

    /// What a path refers to, if anything that can be looked at.
    fn kind(&self, path: &Path) -> Option<Kind>;

    /// Gives a file another name, replacing the file that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Waits until a folder's names are on the disk.
    fn sync_folder(&self, path: &Path, barrier: Barrier) -> io::Result<()>;
}

/// The file system.
#[derive(Debug)]
pub(crate) struct FileSystem;

impl OutFile for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&self, _: Barrier) -> io::Result<()> {
        // It syncs the size too; times of access matter to nobody.
        self.sync_data()
    }
}

impl Files for FileSystem {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Ok(()) => Ok(()),
            Err(_) if path.is_dir() => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(io::ErrorKind::NotADirectory.into())
            }
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn OutFile>> {
        // Appending, since a cut after a short write moves no position of a descriptor.
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        file.set_len(0)?;
        Ok(Box::new(file))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn OutFile>> {
        Ok(Box::new(OpenOptions::new().create(true).append(true).open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn InFile>> {
        Ok(Box::new(File::open(path)?))
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        let metadata = fs::metadata(path).ok()?;
        match (metadata.is_file(), metadata.is_dir()) {
            (true, _) => Some(Kind::File),
            (_, true) => Some(Kind::Folder),
            _ => None,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path, _: Barrier) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}
