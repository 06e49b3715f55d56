//! The folder: its manifest on the disk, and the files that the manifest lists.
//!
//! # The order of what reaches the disk
//!
//! A manifest is written under another name, synced, renamed over the old one, and the folder is
//! synced. Before the rename the folder is synced too, since a manifest must not list a file whose
//! own name a power cut can still take away. So at any moment the manifest on the disk lists
//! complete files only.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::files::{Barrier, Files, Kind, OutFile};
use super::host::{Host, Level, reason};
use super::manifest::{Manifest, ManifestError};

/// Where the files are, by the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The server's folder (`dir`), where an old single file may be.
    pub(crate) dir: PathBuf,
    /// The name of the folder within it (`appenddirname`).
    pub(crate) dirname: String,
    /// What the files' names begin with (`appendfilename`).
    pub(crate) filename: String,
}

/// How a new manifest ended up.
#[derive(Debug)]
pub(super) enum Persisted {
    Durable,
    /// It has its name, but the folder could not be synced: a power cut may bring the old one back.
    /// Both must stay loadable until a sync succeeds.
    Visible(io::Error),
}

/// Why a folder cannot be opened.
#[derive(Debug)]
pub(crate) enum FolderError {
    Manifest(ManifestError),
    /// A file operation failed; the line for the log.
    Io(String),
}

impl FolderError {
    /// The lines for the log, as Redis writes them.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Manifest(error) => error.lines(),
            Self::Io(line) => vec![line.clone()],
        }
    }
}

/// The folder with its manifest.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(super) files: Arc<dyn Files>,
    pub(super) host: Arc<dyn Host>,
    place: Place,
    path: PathBuf,
    /// The folder's own name is on the disk.
    durable: AtomicBool,
    /// Held while a manifest is replaced.
    manifest: Mutex<Manifest>,
}

impl Folder {
    /// Reads the manifest, if there is one. Creates nothing.
    ///
    /// # Errors
    /// When the manifest cannot be read or is refused.
    pub(crate) fn open(
        files: Arc<dyn Files>,
        host: Arc<dyn Host>,
        place: Place,
    ) -> Result<Self, FolderError> {
        let path = place.dir.join(&place.dirname);
        let folder = Self {
            files,
            host,
            place,
            path,
            durable: AtomicBool::new(false),
            manifest: Mutex::default(),
        };
        if folder.files.kind(&folder.path) != Some(Kind::Folder) {
            let name = &folder.place.dirname;
            folder.host.log(Level::Debug, format_args!("The AOF directory {name} doesn't exist"));
            return Ok(folder);
        }
        let (name, path) = (folder.manifest_name(), folder.manifest_path());
        if folder.files.kind(&path) != Some(Kind::File) {
            folder
                .host
                .log(Level::Debug, format_args!("The AOF manifest file {name} doesn't exist"));
            return Ok(folder);
        }
        let mut text = Vec::new();
        let opened = folder.files.open_read(&path).map_err(|error| {
            let (path, reason) = (path.display(), reason(&error));
            FolderError::Io(format!(
                "Fatal error: can't open the AOF manifest file {path} for reading: {reason}"
            ))
        });
        opened?.read_to_end(&mut text).map_err(|_| {
            let what = "Read AOF manifest failed";
            FolderError::Manifest(ManifestError { line: None, what })
        })?;
        *folder.manifest.lock() = Manifest::parse(&text).map_err(FolderError::Manifest)?;
        Ok(folder)
    }

    /// What the files' names begin with.
    pub(super) fn filename(&self) -> &str {
        &self.place.filename
    }

    /// A copy of the manifest.
    pub(crate) fn manifest(&self) -> Manifest {
        self.manifest.lock().clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock()
    }

    /// The path of a file in the folder.
    pub(super) fn file(&self, name: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(name))
    }

    fn manifest_name(&self) -> String {
        format!("{}.manifest", self.place.filename)
    }

    /// The manifest's path.
    pub(crate) fn manifest_path(&self) -> PathBuf {
        self.path.join(self.manifest_name())
    }

    /// The name of the file that takes records until the first base stands.
    pub(super) fn temporary_incr(&self) -> String {
        format!("temp-{}.incr", self.place.filename)
    }

    /// The name of an unfinished base.
    pub(super) fn temporary_base(&self) -> String {
        format!("temp-{}.base", self.place.filename)
    }

    /// Creates the folder if it is missing.
    pub(super) fn create(&self) -> io::Result<()> {
        // Once for each process: one killed before may have left the folder's name unsynced.
        let created = self.files.create_folder(&self.path).and_then(|_| {
            if self.durable.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.files.sync_folder(&self.place.dir, Barrier::NewFolder)?;
            self.durable.store(true, Ordering::Relaxed);
            Ok(())
        });
        if let Err(error) = &created {
            let (name, reason) = (&self.place.dirname, reason(error));
            self.warn(format_args!("Can't open or create append-only dir {name}: {reason}"));
        }
        created
    }

    /// Puts a new manifest in place of the locked one, on the disk and in memory.
    ///
    /// # Errors
    /// Logged; the old manifest is in place then.
    pub(super) fn replace(
        &self,
        locked: &mut MutexGuard<'_, Manifest>,
        next: Manifest,
    ) -> io::Result<Persisted> {
        self.write_manifest(&next)?;
        **locked = next;
        Ok(match self.sync(Barrier::ManifestName) {
            Ok(()) => Persisted::Durable,
            Err(error) => Persisted::Visible(error),
        })
    }

    /// Syncs the folder's names; logs an error.
    pub(super) fn sync(&self, barrier: Barrier) -> io::Result<()> {
        let synced = self.files.sync_folder(&self.path, barrier);
        if let Err(error) = &synced {
            let (path, reason) = (self.path.display(), reason(error));
            self.warn(format_args!("Fail to fsync AOF directory {path}: {reason}."));
        }
        synced
    }

    fn write_manifest(&self, manifest: &Manifest) -> io::Result<()> {
        let name = self.manifest_name();
        let temporary_name = format!("temp-{name}");
        let temporary = self.path.join(&temporary_name);
        let failed = |error: io::Error, what: &str| {
            self.warn(format_args!("{what} {temporary_name}: {}", reason(&error)));
            error
        };
        let file = self
            .files
            .create(&temporary)
            .map_err(|error| failed(error, "Can't open the AOF manifest file"))?;
        write_all(file.as_ref(), &manifest.text()).map_err(|error| {
            failed(error, "Error trying to write the temporary AOF manifest file")
        })?;
        file.sync(Barrier::Manifest)
            .map_err(|error| failed(error, "Fail to fsync the temp AOF file"))?;
        self.sync(Barrier::NewNames)?;
        self.files.rename(&temporary, &self.manifest_path()).inspect_err(|error| {
            let reason = reason(error);
            self.warn(format_args!(
                "Error trying to rename the temporary AOF manifest file {temporary_name} into \
                 {name}: {reason}"
            ));
        })
    }

    /// Moves an old single file into the folder, as its base, where that is due: there is such a
    /// file, and nothing newer. Continues a move that was interrupted.
    ///
    /// # Errors
    /// With the line for the log.
    pub(crate) fn upgrade(&self) -> Result<(), FolderError> {
        let name = &self.place.filename;
        let old = self.place.dir.join(name);
        if self.files.kind(&old) != Some(Kind::File) || !self.upgrade_due() {
            return Ok(());
        }
        let failed =
            |error: io::Error, what: &str| FolderError::Io(format!("{what}: {}", reason(&error)));
        self.create().map_err(|error| failed(error, "Can't upgrade the old AOF file"))?;
        let mut locked = self.manifest.lock();
        let mut next = locked.clone();
        next.adopt(name.as_bytes());
        // The move must not reach the disk before the manifest that lists its target.
        let replaced = match self.replace(&mut locked, next) {
            Ok(Persisted::Durable) => Ok(()),
            Ok(Persisted::Visible(error)) | Err(error) => Err(error),
        };
        replaced.map_err(|error| failed(error, "Can't upgrade the old AOF file"))?;
        drop(locked);

        let dirname = &self.place.dirname;
        self.files.rename(&old, &self.file(name.as_bytes())).map_err(|error| {
            let what = format!("Error trying to move the old AOF file {name} into dir {dirname}");
            failed(error, &what)
        })?;
        self.host.log(
            Level::Notice,
            format_args!(
                "Successfully migrated an old-style AOF file ({name}) into the AOF directory \
                 ({dirname})."
            ),
        );
        Ok(())
    }

    fn upgrade_due(&self) -> bool {
        let name = self.place.filename.as_bytes();
        let manifest = self.manifest.lock();
        let interrupted = manifest.incr.is_empty()
            && manifest.base.as_ref().is_some_and(|base| base.name == name)
            && self.files.kind(&self.file(name)) != Some(Kind::File);
        manifest.is_empty() || interrupted
    }

    /// The sizes in bytes of the files to load.
    ///
    /// # Errors
    /// With the line for the log, for the first file that is not there.
    pub(super) fn sizes(&self, manifest: &Manifest) -> Result<Vec<u64>, String> {
        let size = |name: &[u8]| {
            self.files.size(&self.file(name)).map_err(|error| {
                let (name, reason) = (String::from_utf8_lossy(name), reason(&error));
                format!("Unable to obtain the AOF file {name} length. stat: {reason}")
            })
        };
        manifest.loaded().map(|entry| size(&entry.name)).collect()
    }

    /// Removes the files that the manifest lists as history, then their lines.
    pub(super) fn remove_history(&self) {
        let mut locked = self.manifest.lock();
        if locked.history.is_empty() {
            return;
        }
        for entry in &locked.history {
            let name = String::from_utf8_lossy(&entry.name);
            let line = format_args!("Removing the history file {name} in the background");
            self.host.log(Level::Notice, line);
            self.remove(&self.file(&entry.name));
        }
        let mut next = locked.clone();
        next.history.clear();
        // If it fails, the next rewrite tries again: a missing history file disturbs nobody.
        drop(self.replace(&mut locked, next));
    }

    /// Creates a file for records. One that an unfinished step left under this name goes first: if it
    /// were emptied instead, a power cut could bring its records back under a manifest that lists
    /// the name.
    pub(super) fn create_new(&self, path: &Path) -> io::Result<Box<dyn OutFile>> {
        match self.files.unlink(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.files.create(path),
        }
    }

    /// Removes a file that nothing lists. A failure leaves garbage, not harm.
    pub(super) fn remove(&self, path: &Path) {
        if let Err(error) = self.files.unlink(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            let (path, reason) = (path.display(), reason(&error));
            self.warn(format_args!("Can't remove {path}: {reason}"));
        }
    }

    pub(super) fn warn(&self, line: std::fmt::Arguments<'_>) {
        self.host.log(Level::Warning, line);
    }
}

/// Writes all the bytes.
pub(super) fn write_all(file: &dyn OutFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
