//! A rewrite: a new base from a snapshot, beside the writes that go on.
//!
//! 1. [`Aof::prepare_rewrite`], without locks, creates the new increment and the unfinished base.
//! 2. [`Prepared::begin`], under the locks and together with the snapshot's cut, places a switch in
//!    the queue. The writer syncs the old increment, lists the new one in the manifest and goes on
//!    there. The manifest then lists the old base and all increments: nothing depends on the new base.
//! 3. The caller writes the base: a [`Rewrite`] is an [`io::Write`].
//! 4. [`Rewrite::commit`] syncs the base, gives it its name, lists it with only the new increment,
//!    and removes the files before.
//!
//! Whatever fails or dies in between, the manifest lists complete files with all records. While the
//! file is being turned on, the new increment has a temporary name that no manifest lists, since the
//! older files in the folder miss what was written in between; the commit names and lists both.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::files::{Barrier, OutFile};
use super::folder::{Folder, Persisted};
use super::handle::{Aof, Mode};
use super::host::{Level, Timed, reason};
use super::manifest::{Format, Manifest};
use super::queue::{Marker, Switch, Ticket};

/// Bytes of a base between two syncs, if it is synced while it is written.
const PACE_BYTES: u64 = 4 * 1024 * 1024;

/// Why a rewrite begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// BGREWRITEAOF or the automatic rule; if the file is off, only a base is written.
    Compact,
    /// The file is being turned on (`CONFIG SET appendonly yes`).
    TurnOn,
}

/// How a rewrite works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RewriteOptions {
    pub(crate) purpose: Purpose,
    /// What the base will hold (`aof-use-rdb-preamble`).
    pub(crate) format: Format,
    /// Whether to sync the base while it is written (`aof-rewrite-incremental-fsync`).
    pub(crate) paced: bool,
}

/// Files for a rewrite that has not begun.
#[derive(Debug)]
pub(crate) struct Prepared {
    rewrite: Rewrite,
    incr: Option<(Box<dyn OutFile>, Vec<u8>)>,
    listed: bool,
}

/// A rewrite that runs; void when dropped without [`Self::commit`].
#[derive(Debug)]
pub(crate) struct Rewrite {
    aof: Arc<Aof>,
    options: RewriteOptions,
    base: Box<dyn OutFile>,
    base_bytes: u64,
    unpaced_bytes: u64,
    /// The switch to the new increment, if there is one.
    ticket: Option<Arc<Ticket>>,
    /// The new increment has its temporary name.
    turning_on: bool,
    closings: u64,
    cut: u64,
    begun: bool,
    done: bool,
}

impl Aof {
    /// Creates the files of a rewrite. Takes no lock of the caller's.
    ///
    /// # Errors
    /// When a file cannot be created, logged here; or, with `ResourceBusy`, when a rewrite runs.
    /// Waits for the writer if it is just switching files.
    pub(crate) fn prepare_rewrite(
        self: &Arc<Self>,
        options: RewriteOptions,
    ) -> io::Result<Prepared> {
        if self.rewriting.swap(true, Ordering::AcqRel) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let last_switch = self.last_switch.lock().take();
        if let Some(ticket) = last_switch {
            // One that was given up is resolved at once, unless the writer is at it right now.
            ticket.wait().ok();
        }
        let prepared = self.create_files(options);
        if prepared.is_err() {
            self.rewriting.store(false, Ordering::Release);
            self.counters.last_rewrite_failed.store(true, Ordering::Relaxed);
        }
        prepared
    }

    fn create_files(self: &Arc<Self>, options: RewriteOptions) -> io::Result<Prepared> {
        let folder = &self.folder;
        folder.create()?;
        // Before the mode: if the file is turned off after this, the rewrite is void.
        let closings = self.closings.load(Ordering::Acquire);
        let mode = self.mode();
        let turning_on =
            mode == Mode::Waiting || (mode == Mode::Off && options.purpose == Purpose::TurnOn);
        let create = |name: &[u8]| {
            folder.create_new(&folder.file(name)).inspect_err(|error| {
                let (name, reason) = (String::from_utf8_lossy(name), reason(error));
                folder.warn(format_args!("Can't open the append-only file {name}: {reason}"));
            })
        };
        let incr = match mode {
            _ if turning_on => Some(folder.temporary_incr().into_bytes()),
            Mode::On => Some(folder.manifest().add_incr(folder.filename().as_bytes()).name),
            _ => None,
        };
        let incr = match incr {
            Some(name) => Some((create(&name)?, name)),
            None => None,
        };
        let base = create(folder.temporary_base().as_bytes()).inspect_err(|_| {
            if let Some((_, name)) = &incr {
                folder.remove(&folder.file(name));
            }
        })?;
        let rewrite = Rewrite {
            aof: Arc::clone(self),
            options,
            base,
            base_bytes: 0,
            unpaced_bytes: 0,
            ticket: None,
            turning_on,
            closings,
            cut: 0,
            begun: false,
            done: false,
        };
        Ok(Prepared { rewrite, incr, listed: mode == Mode::On })
    }
}

impl Prepared {
    /// Begins. Call it under the locks that order the log, together with the snapshot's cut: the
    /// base has to hold exactly what was appended so far. The next record must carry its SELECT.
    pub(crate) fn begin(mut self) -> Rewrite {
        let aof = Arc::clone(&self.rewrite.aof);
        aof.counters.rewrites.fetch_add(1, Ordering::Relaxed);
        aof.counters.scheduled.store(false, Ordering::Relaxed);
        self.rewrite.cut = aof.appended();
        self.rewrite.begun = true;
        if let Some((file, name)) = self.incr.take() {
            let ticket = Arc::new(Ticket::default());
            self.rewrite.ticket = Some(Arc::clone(&ticket));
            *aof.last_switch.lock() = Some(Arc::clone(&ticket));
            // Turned off since it was prepared: nothing is recorded, and the commit will refuse.
            if aof.closings.load(Ordering::Acquire) == self.rewrite.closings {
                if self.rewrite.turning_on {
                    aof.set_mode(Mode::Waiting);
                }
                let switch = Switch { file, name, listed: self.listed, ticket };
                self.rewrite.cut = aof.queue.mark(Marker::Switch(switch), true);
            } else {
                ticket.resolve(Err("the append only file was turned off".to_owned()));
            }
        }
        self.rewrite
    }
}

impl io::Write for Rewrite {
    /// Writes to the base. Small writes are for the caller to gather.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.base.write(bytes)?;
        self.base_bytes += written as u64;
        self.unpaced_bytes += written as u64;
        if self.options.paced && self.unpaced_bytes >= PACE_BYTES {
            self.unpaced_bytes = 0;
            self.base.sync(Barrier::Pace)?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Rewrite {
    /// Local offset of the cut: the base holds what was appended before it.
    #[cfg(test)]
    pub(crate) fn cut(&self) -> u64 {
        self.cut
    }

    /// True once the writer has gone on to the new increment, or cannot.
    #[cfg(test)]
    pub(crate) fn switched(&self) -> bool {
        self.ticket.as_ref().is_none_or(|ticket| ticket.outcome().is_some())
    }

    /// Puts the base in place. Waits for the writer to be past the cut: call it without locks.
    ///
    /// # Errors
    /// With the reason, logged here. The folder is as before then, with all records; while the file
    /// was being turned on, nothing is recorded any more until another rewrite begins.
    pub(crate) fn commit(mut self) -> Result<(), String> {
        let outcome = self.try_commit();
        let log = |level, line| self.aof.host.log(level, format_args!("{line}"));
        match &outcome {
            Ok(()) => {
                self.done = true;
                self.aof.counters.last_rewrite_failed.store(false, Ordering::Relaxed);
                self.aof.counters.consecutive_failures.store(0, Ordering::Relaxed);
                log(Level::Notice, "Background AOF rewrite finished successfully");
                self.aof.rewriting.store(false, Ordering::Release);
            }
            Err(reason) => {
                log(Level::Warning, "Background AOF rewrite terminated with error");
                self.aof.folder.warn(format_args!("The AOF rewrite failed: {reason}"));
                self.count_failure();
            }
        }
        outcome
    }

    /// Gives up for an error in the base's content, which counts as a failed rewrite. Dropping the
    /// rewrite gives up without that: on purpose.
    pub(crate) fn fail(self) {
        self.aof.folder.warn(format_args!("Background AOF rewrite terminated with error"));
        self.count_failure();
    }

    fn count_failure(&self) {
        self.aof.counters.last_rewrite_failed.store(true, Ordering::Relaxed);
        self.aof.counters.consecutive_failures.fetch_add(1, Ordering::Relaxed);
    }

    fn try_commit(&self) -> Result<(), String> {
        self.base.sync(Barrier::Base).map_err(|error| reason(&error))?;
        if let Some(ticket) = &self.ticket {
            ticket.wait()?;
        }
        let aof = Arc::clone(&self.aof);
        let folder = &aof.folder;
        let mut locked = folder.lock();
        if aof.closings.load(Ordering::Acquire) != self.closings {
            return Err("the append only file was turned off".to_owned());
        }
        let mut next = locked.clone();
        let incr = self.name_files(folder, &mut next)?;
        let base = next.base.clone().expect("the files were just named");
        let kept = usize::from(self.ticket.is_some());
        next.retire_incr(kept);
        let persisted = folder.replace(&mut locked, next).map_err(|error| {
            folder.remove(&folder.file(&base.name));
            if let Some(incr) = &incr {
                folder.remove(&folder.file(incr));
            }
            reason(&error)
        })?;
        if self.turning_on
            && let Persisted::Visible(error) = &persisted
        {
            // The manifest before has older data: nothing may count on the new one yet.
            return Err(reason(error));
        }
        if self.ticket.is_some() {
            let size = self.base_bytes + aof.counters.incr_size.load(Ordering::Relaxed);
            aof.counters.current_size.store(size, Ordering::Relaxed);
            aof.counters.base_size.store(size, Ordering::Relaxed);
        }
        if self.turning_on {
            aof.first_base_stands();
        }
        drop(locked);
        // A manifest that a power cut may take back needs the older files.
        if matches!(persisted, Persisted::Durable) && !aof.keep_history.load(Ordering::Relaxed) {
            folder.remove_history();
        }
        Ok(())
    }

    /// Gives the base its name, and the increment if it has a temporary one: its name is returned.
    fn name_files(&self, folder: &Folder, next: &mut Manifest) -> Result<Option<Vec<u8>>, String> {
        let filename = folder.filename().as_bytes();
        let rename = |from: &str, to: &[u8], what: &str| {
            let target = String::from_utf8_lossy(to);
            let began = folder.host.nanos();
            let renamed = folder.files.rename(&folder.file(from.as_bytes()), &folder.file(to));
            folder.host.took(Timed::Rename, folder.host.nanos().saturating_sub(began));
            match &renamed {
                Ok(()) => folder.host.log(
                    Level::Notice,
                    format_args!(
                        "Successfully renamed the temporary AOF {what} file {from} into {target}"
                    ),
                ),
                Err(error) => folder.warn(format_args!(
                    "Error trying to rename the temporary AOF {what} file {from} into {target}: {}",
                    reason(error)
                )),
            }
            renamed.map_err(|error| reason(&error))
        };
        let base = next.replace_base(filename, self.options.format);
        rename(&folder.temporary_base(), &base.name, "base")?;
        if !self.turning_on {
            return Ok(None);
        }
        let incr = next.add_incr(filename);
        let renamed = rename(&folder.temporary_incr(), &incr.name, "incr");
        renamed.inspect_err(|_| folder.remove(&folder.file(&base.name)))?;
        Ok(Some(incr.name))
    }
}

impl Drop for Rewrite {
    fn drop(&mut self) {
        if mem::replace(&mut self.done, true) {
            return;
        }
        let aof = &self.aof;
        aof.queue.abandon_switches("the rewrite was given up");
        let folder = &aof.folder;
        folder.remove(&folder.file(folder.temporary_base().as_bytes()));
        if self.turning_on {
            // What the increment holds is worth nothing without a base.
            let name = folder.temporary_incr();
            let line = format_args!("Removing the temp incr aof file {name} in the background");
            folder.host.log(Level::Notice, line);
            folder.remove(&folder.file(name.as_bytes()));
            if self.begun && aof.closings.load(Ordering::Acquire) == self.closings {
                aof.queue.mark(Marker::Discard, false);
            }
        }
        aof.rewriting.store(false, Ordering::Release);
    }
}
