//! Loads what the manifest lists: the base, then the increments, command by command.
//!
//! Holds one command at a time. A transaction is looked through to its EXEC before its first command
//! is handed on, so that one that a crash cut short is dropped as a whole. Only the last file may
//! end early; everything else that is not as it was written ends the load, with file and offset.

mod reader;

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::Ordering;

use super::files::InFile;
use super::folder::Folder;
use super::handle::Aof;
use super::host::{Level, reason};
use super::manifest::Entry;
use reader::{Fault, Item, Reader};

/// How the folder is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoadOptions {
    /// Whether a tail that is cut short is removed, rather than refused (`aof-load-truncated`).
    pub(crate) truncated: bool,
}

/// Where an RDB stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RdbPart {
    /// It is the base.
    Base,
    /// Commands may follow it in the same file, as servers before 7 wrote it.
    Preamble,
}

/// Why a command was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    UnknownCommand,
    Other(String),
}

/// What takes the data in.
pub(crate) trait Receiver {
    /// A file begins.
    fn file(&mut self, name: &str, bytes: u64);

    /// Takes an RDB stream from its first byte, and says how many bytes it has. It may read more.
    ///
    /// # Errors
    /// With the reason why it cannot be loaded.
    fn rdb(&mut self, source: &mut dyn Read, part: RdbPart) -> Result<u64, String>;

    /// Whether there is such a command: asked about each command of a transaction before the first of
    /// them is handed on.
    fn knows(&self, args: &[&[u8]]) -> bool;

    /// Takes a command that begins at this offset of the file. MULTI and EXEC come too, always both.
    ///
    /// # Errors
    /// When it is not to be executed; the load ends.
    fn command(&mut self, args: &[&[u8]], offset: u64) -> Result<(), Refusal>;
}

/// What was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// Files that held anything; none if there was no data.
    pub(crate) files: usize,
    /// Bytes in all files, after a cut.
    pub(crate) bytes: u64,
    pub(crate) commands: u64,
    /// Bytes removed from the end of the last file.
    pub(crate) truncated_bytes: u64,
}

/// Why the data cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadError {
    /// The file.
    pub(crate) file: String,
    /// Bytes before the fault.
    pub(crate) offset: u64,
    pub(crate) kind: LoadErrorKind,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoadErrorKind {
    /// It cannot be looked at; the line for the log.
    Missing(String),
    /// It cannot be read, for this reason.
    Read(String),
    /// It holds something else than commands.
    Format(String),
    /// It ends within a command or a transaction, for this reason.
    Truncated(String),
    /// It does, and others follow it.
    TruncatedWithin,
    /// Its RDB part cannot be loaded, for this reason.
    Rdb(RdbPart, String),
    UnknownCommand(String),
    /// A command was refused, for this reason.
    Command(String),
}

impl fmt::Display for LoadError {
    /// The line for the log: Redis's words, then offset and reason.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, at) = (&self.file, self.offset);
        match &self.kind {
            LoadErrorKind::Missing(line) => write!(to, "{line}"),
            LoadErrorKind::Read(reason) => write!(
                to,
                "Unrecoverable error reading the append only file {file}: {reason} (at offset {at})"
            ),
            LoadErrorKind::Format(reason) => write!(
                to,
                "Bad file format reading the append only file {file}: make a backup of your AOF \
                 file, then use ./redis-check-aof --fix <filename.manifest> (at offset {at}: \
                 {reason})"
            ),
            LoadErrorKind::Truncated(reason) => write!(
                to,
                "Unexpected end of file reading the append only file {file}. You can: 1) Make a \
                 backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>. 2) \
                 Alternatively you can set the 'aof-load-truncated' configuration option to yes \
                 and restart the server. (after offset {at}: {reason})"
            ),
            LoadErrorKind::TruncatedWithin => write!(
                to,
                "Fatal error: the truncated file is not the last file ({file}, after offset {at})"
            ),
            LoadErrorKind::Rdb(RdbPart::Base, reason) => {
                write!(to, "Error reading the RDB base file {file}, AOF loading aborted ({reason})")
            }
            LoadErrorKind::Rdb(RdbPart::Preamble, reason) => write!(
                to,
                "Error reading the RDB preamble of the AOF file {file}, AOF loading aborted \
                 ({reason})"
            ),
            LoadErrorKind::UnknownCommand(name) => write!(
                to,
                "Unknown command '{name}' reading the append only file {file} (at offset {at})"
            ),
            LoadErrorKind::Command(reason) => write!(
                to,
                "A command in the append only file {file} at offset {at} was refused: {reason}"
            ),
        }
    }
}

impl std::error::Error for LoadError {}

impl Aof {
    /// Loads the folder, moving an old single file into it first. Sets the sizes for INFO.
    ///
    /// # Errors
    /// With the line for the log; the server must not start. Data handed on before stay handed on.
    pub(crate) fn load(
        &self,
        options: LoadOptions,
        receiver: &mut dyn Receiver,
    ) -> Result<Loaded, String> {
        self.folder.upgrade().map_err(|error| error.lines().join("\n"))?;
        let manifest = self.folder.manifest();
        let loaded = load(&self.folder, options, receiver).map_err(|error| error.to_string())?;
        let base_size = match &manifest.base {
            Some(base) => self.folder.files.size(&self.folder.file(&base.name)).unwrap_or(0),
            None => 0,
        };
        self.counters.current_size.store(loaded.bytes, Ordering::Relaxed);
        self.counters.base_size.store(base_size, Ordering::Relaxed);
        Ok(loaded)
    }
}

/// Loads the files that the folder's manifest lists.
///
/// # Errors
/// For the first fault; data handed on before stay handed on.
pub(crate) fn load(
    folder: &Folder,
    options: LoadOptions,
    receiver: &mut dyn Receiver,
) -> Result<Loaded, LoadError> {
    let manifest = folder.manifest();
    let sizes = folder.sizes(&manifest).map_err(|line| LoadError {
        file: String::new(),
        offset: 0,
        kind: LoadErrorKind::Missing(line),
    })?;
    let mut loaded = Loaded { bytes: sizes.iter().sum(), ..Loaded::default() };
    let (files, began) = (sizes.len(), folder.host.nanos());
    for (index, (entry, size)) in manifest.loaded().zip(sizes).enumerate() {
        if size == 0 {
            continue;
        }
        loaded.files += 1;
        let file = FileLoad { folder, entry, size, last: index + 1 == files, options };
        let begins = folder.host.nanos();
        file.run(receiver, &mut loaded)?;
        let kind = if manifest.base.as_ref() == Some(entry) { "base" } else { "incr" };
        let took = seconds(begins, folder.host.nanos());
        let name = file.name();
        let line = format_args!("DB loaded from {kind} file {name}: {took:.3} seconds");
        folder.host.log(Level::Notice, line);
    }
    if files > 0 {
        let took = seconds(began, folder.host.nanos());
        let line = format_args!("DB loaded from append only file: {took:.3} seconds");
        folder.host.log(Level::Notice, line);
    }
    Ok(loaded)
}

#[allow(clippy::cast_precision_loss, reason = "a line for people")]
fn seconds(from_ns: u64, to_ns: u64) -> f64 {
    to_ns.saturating_sub(from_ns) as f64 / 1e9
}

/// One file on its way in.
struct FileLoad<'a> {
    folder: &'a Folder,
    entry: &'a Entry,
    size: u64,
    last: bool,
    options: LoadOptions,
}

impl FileLoad<'_> {
    fn name(&self) -> String {
        String::from_utf8_lossy(&self.entry.name).into_owned()
    }

    fn error(&self, offset: u64, kind: LoadErrorKind) -> LoadError {
        LoadError { file: self.name(), offset, kind }
    }

    fn read_error(&self, offset: u64, error: &io::Error) -> LoadError {
        self.error(offset, LoadErrorKind::Read(reason(error)))
    }

    fn run(&self, receiver: &mut dyn Receiver, loaded: &mut Loaded) -> Result<(), LoadError> {
        receiver.file(&self.name(), self.size);
        let path = self.folder.file(&self.entry.name);
        let mut file =
            self.folder.files.open_read(&path).map_err(|error| self.read_error(0, &error))?;
        let begins = self.rdb(file.as_mut(), receiver)?;
        file.seek(SeekFrom::Start(begins)).map_err(|error| self.read_error(begins, &error))?;
        let mut reader = Reader::new(file, begins, self.size);
        let fault = self.commands(&mut reader, receiver, loaded)?;
        match fault {
            None => Ok(()),
            Some((valid, reason)) => self.cut(valid, reason, loaded),
        }
    }

    /// Hands on the RDB stream that the file may begin with; returns the offset after it.
    fn rdb(&self, file: &mut dyn InFile, receiver: &mut dyn Receiver) -> Result<u64, LoadError> {
        let mut magic = Vec::new();
        file.take(5).read_to_end(&mut magic).map_err(|error| self.read_error(0, &error))?;
        if magic != b"REDIS" {
            return Ok(0);
        }
        let old_style = self.entry.name == self.folder.filename().as_bytes();
        let part = if old_style { RdbPart::Preamble } else { RdbPart::Base };
        let line = match part {
            RdbPart::Preamble => "Reading RDB preamble from AOF file...",
            RdbPart::Base => "Reading RDB base file on AOF loading...",
        };
        self.folder.host.log(Level::Notice, format_args!("{line}"));
        file.seek(SeekFrom::Start(0)).map_err(|error| self.read_error(0, &error))?;
        let taken = receiver
            .rdb(&mut &mut *file, part)
            .map_err(|reason| self.error(0, LoadErrorKind::Rdb(part, reason)))?;
        if old_style {
            let line = format_args!("Reading the remaining AOF tail...");
            self.folder.host.log(Level::Notice, line);
        }
        Ok(taken)
    }

    /// Hands on the commands. Where the file ends early, returns the offset up to which it is whole,
    /// and the reason.
    fn commands(
        &self,
        reader: &mut Reader<Box<dyn InFile>>,
        receiver: &mut dyn Receiver,
        loaded: &mut Loaded,
    ) -> Result<Option<(u64, &'static str)>, LoadError> {
        let mut valid = reader.position();
        // Offset after the EXEC of the transaction that is being handed on.
        let mut transaction_end = None;
        loop {
            let at = reader.position();
            match reader.next() {
                Ok(Item::End) => return Ok(None),
                Ok(Item::Annotation) => continue,
                Ok(Item::Command) => {}
                Err(Fault::Truncated(reason)) => {
                    self.refuse_damage(reader)?;
                    return Ok(Some((valid, reason)));
                }
                Err(fault) => return Err(self.fault(reader.position(), fault)),
            }
            if transaction_end.is_none() {
                if reader.is_command(b"exec") {
                    let what = "Unexpected EXEC".to_owned();
                    return Err(self.error(at, LoadErrorKind::Format(what)));
                }
                if reader.is_command(b"multi") {
                    match self.find_exec(reader, at, receiver)? {
                        Some(end) => transaction_end = Some(end),
                        None => {
                            let line = format_args!(
                                "Revert incomplete MULTI/EXEC transaction in AOF file {}",
                                self.name()
                            );
                            self.folder.host.log(Level::Warning, line);
                            return Ok(Some((valid, "it ends within a transaction")));
                        }
                    }
                }
            }
            self.hand_on(reader, at, receiver)?;
            loaded.commands += 1;
            if transaction_end.is_none_or(|end| reader.position() >= end) {
                transaction_end = None;
                valid = reader.position();
            }
        }
    }

    fn hand_on(
        &self,
        reader: &Reader<Box<dyn InFile>>,
        at: u64,
        receiver: &mut dyn Receiver,
    ) -> Result<(), LoadError> {
        let args = reader.args();
        receiver.command(&args, at).map_err(|refusal| match refusal {
            Refusal::UnknownCommand => self.unknown(at, args[0]),
            Refusal::Other(reason) => self.error(at, LoadErrorKind::Command(reason)),
        })
    }

    fn unknown(&self, at: u64, name: &[u8]) -> LoadError {
        self.error(at, LoadErrorKind::UnknownCommand(String::from_utf8_lossy(name).into_owned()))
    }

    /// Looks for the EXEC of the MULTI that was just read, and goes back behind that MULTI. Returns
    /// the offset after the EXEC; `None` where the file ends before it.
    fn find_exec(
        &self,
        reader: &mut Reader<Box<dyn InFile>>,
        multi_at: u64,
        receiver: &dyn Receiver,
    ) -> Result<Option<u64>, LoadError> {
        let found = loop {
            let at = reader.position();
            match reader.next() {
                Ok(Item::End) => break None,
                Err(Fault::Truncated(_)) => {
                    self.refuse_damage(reader)?;
                    break None;
                }
                Ok(Item::Annotation) => {}
                Ok(Item::Command) if reader.is_command(b"exec") => break Some(reader.position()),
                Ok(Item::Command) if reader.is_command(b"multi") => {
                    let what = "Unexpected MULTI".to_owned();
                    return Err(self.error(at, LoadErrorKind::Format(what)));
                }
                // A damaged EXEC must not make the rest of the file one incomplete transaction.
                Ok(Item::Command) if !receiver.knows(&reader.args()) => {
                    return Err(self.unknown(at, reader.args()[0]));
                }
                Ok(Item::Command) => {}
                Err(fault) => return Err(self.fault(reader.position(), fault)),
            }
        };
        let back = reader.seek(multi_at).and_then(|()| match found {
            Some(_) => reader.next().map(drop).map_err(|_| io::ErrorKind::InvalidData.into()),
            None => Ok(()),
        });
        back.map_err(|error| self.read_error(multi_at, &error))?;
        Ok(found)
    }

    /// A length beyond the file's end is a tail that was cut short, unless whole commands follow:
    /// then the length was damaged, and a cut would remove them.
    fn refuse_damage(&self, reader: &mut Reader<Box<dyn InFile>>) -> Result<(), LoadError> {
        let at = reader.position();
        let follows = reader.commands_follow().map_err(|error| self.read_error(at, &error))?;
        match follows {
            true => {
                let what = "a length beyond the end, with whole commands after it".to_owned();
                Err(self.error(at, LoadErrorKind::Format(what)))
            }
            false => Ok(()),
        }
    }

    fn fault(&self, offset: u64, fault: Fault) -> LoadError {
        match fault {
            Fault::Read(error) => self.read_error(offset, &error),
            Fault::Format(reason) => self.error(offset, LoadErrorKind::Format(reason.to_owned())),
            Fault::Truncated(reason) => {
                self.error(offset, LoadErrorKind::Truncated(reason.to_owned()))
            }
        }
    }

    /// Removes what is not whole from the end of the last file.
    fn cut(&self, valid: u64, why: &str, loaded: &mut Loaded) -> Result<(), LoadError> {
        if !self.last {
            return Err(self.error(valid, LoadErrorKind::TruncatedWithin));
        }
        let truncated = || self.error(valid, LoadErrorKind::Truncated(why.to_owned()));
        if !self.options.truncated {
            return Err(truncated());
        }
        let (name, path) = (self.name(), self.folder.file(&self.entry.name));
        let removed = self.size - valid;
        let warn = |line: fmt::Arguments<'_>| self.folder.warn(line);
        warn(format_args!("!!! Warning: short read while loading the AOF file {name}!!!"));
        warn(format_args!("!!! Truncating the AOF {name} at offset {valid} !!!"));
        // The start syncs the file before anything is appended to it.
        let file = self.folder.files.open_append(&path);
        let cut = file.and_then(|file| file.truncate(valid));
        if let Err(error) = cut {
            warn(format_args!("Error truncating the AOF file {name}: {}", reason(&error)));
            return Err(truncated());
        }
        warn(format_args!(
            "AOF {name} loaded anyway because aof-load-truncated is enabled ({removed} bytes \
             removed)"
        ));
        loaded.truncated_bytes = removed;
        loaded.bytes -= removed;
        Ok(())
    }
}
