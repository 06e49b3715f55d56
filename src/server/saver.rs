//! Saves a snapshot, or the locked keyspace, into the RDB file.
//!
//! A file is written beside the old one under another name, synced to the disk, and renamed over
//! it; then the folder is synced. Whatever fails or dies in between, the name refers to a complete
//! file.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::files::{Files, Target};
use super::snapshots::{Snapshots, Turn};
use crate::engine::key_delay::KeyDelay;
use crate::engine::rdb_save::{self, Cut};
use crate::keyspace::snapshot::Snapshot;
use crate::keyspace::{Locked, ShardSet};
use crate::node::Node;
use crate::node::admission::Condition;
use crate::node::persistence::{Purpose, Running};
use crate::rdb::EntryWriter;
use crate::settings::Settings;
use crate::telemetry::log::log;
use crate::telemetry::traces::{in_span, work_span};

/// Bytes written to the file at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// Steps of the walk between two progress updates for INFO.
const PROGRESS_STEPS: usize = 64;

/// The saver works for this many steps (about a quarter of a millisecond), then rests as long: with
/// few cores it would otherwise delay a worker by whole slices of the scheduler.
const BREATH_STEPS: usize = 32;
const BREATH: Duration = Duration::from_micros(250);

type FileWriter = EntryWriter<BufWriter<Box<dyn Target>>>;

/// Saves a node's keys.
#[derive(Debug)]
pub(super) struct Saver {
    node: Arc<Node>,
    files: Arc<dyn Files>,
    pub(super) snapshots: Snapshots,
    /// Held around a rename, so that an older snapshot never replaces a newer file.
    commit: Mutex<()>,
    /// Why the last failed background save failed.
    last_failure: Mutex<String>,
}

impl Saver {
    /// # Errors
    /// See [`Snapshots::start`].
    pub(super) fn new(node: Arc<Node>, files: Arc<dyn Files>) -> io::Result<Self> {
        let snapshots = Snapshots::start(Arc::clone(&node))?;
        Ok(Self { node, files, snapshots, commit: Mutex::new(()), last_failure: Mutex::default() })
    }

    /// The path of the RDB file.
    pub(super) fn path(&self) -> PathBuf {
        let settings = self.node.settings.load();
        Path::new(&settings.snapshot.dir).join(&settings.snapshot.dbfilename)
    }

    fn temporary(&self, kind: &str) -> PathBuf {
        self.path().with_file_name(format!("temp-{kind}{}.rdb", self.node.identity.process_id))
    }

    /// Removes the files of unfinished saves when the process ends.
    pub(super) fn discard_unfinished(&self) {
        for kind in ["", "background-"] {
            // Mostly there is none.
            drop(self.files.remove(&self.temporary(kind)));
        }
    }

    /// Saves the locked keyspace synchronously.
    pub(super) fn save(&self, locked: &mut Locked<'_>) -> io::Result<()> {
        let (dirty, began_ms) = (self.node.dirty(), self.node.clock.unix_ms());
        let keyspace = locked.keyspace();
        let cut = rdb_save::cut(&self.node);
        let mut delay = KeyDelay::default();
        let written = self.write(&self.temporary(""), None, &cut, |writer| {
            for database in 0..keyspace.databases() {
                if keyspace.len(database) == 0 {
                    continue;
                }
                writer.database(database, keyspace.len(database), keyspace.expires(database))?;
                let mut result = Ok(());
                locked.for_each(database, |entry| {
                    if result.is_ok() {
                        result = writer.entry(database, entry);
                        delay.rest(&self.node, key_save_delay_us, 1, || false);
                    }
                });
                result?;
            }
            Ok(())
        });
        if let Err(error) = &written {
            log!(Warning, "Error trying to save the DB: {error}");
            return written;
        }
        log!(Notice, "DB saved on disk");
        self.node.persistence.update(|saving| {
            saving.saved_dirty = dirty;
            saving.saved_ms = began_ms;
        });
        self.node.admission.set(locked, Condition::SaveFailed, false);
        Ok(())
    }

    /// Cuts a snapshot and saves it in the background; false if that is impossible now.
    pub(super) fn start(self: &Arc<Self>, locked: &mut Locked<'_>) -> bool {
        let node = &self.node;
        let began = self.snapshots.try_begin(locked, Purpose::Save, || {
            let (saver, cut) = (Arc::clone(self), rdb_save::cut(node));
            move |snapshot, turn| saver.finish(snapshot, &cut, turn)
        });
        if began {
            node.persistence.update(|saving| {
                saving.tried_ms = node.clock.unix_ms();
                saving.scheduled = false;
            });
            let pid = node.identity.process_id;
            log!(Notice, "Background saving started by pid {pid}");
        }
        began
    }

    /// Runs on the walking thread, to the end of the snapshot.
    fn finish(&self, snapshot: Snapshot, cut: &Cut, turn: Turn) {
        let running = &turn.running;
        let result = self.write_snapshot(snapshot, cut, running);
        let node = &self.node;
        let now_ms = node.clock.unix_ms();
        let unwanted = result.as_ref().is_err_and(was_given_up);
        match &result {
            Ok(keys) => {
                log!(Notice, "DB saved on disk");
                log!(Notice, "Background saving terminated with success ({keys} keys)");
            }
            Err(_) if unwanted => log!(Warning, "Background saving terminated: it was given up"),
            Err(error) => self.log_failure(&error.to_string()),
        }
        let mut guard = node.keyspace.lock(ShardSet::ALL);
        let locked = guard.locked();
        if !unwanted {
            node.admission.set(&locked, Condition::SaveFailed, result.is_err());
        }
        node.persistence.update(|saving| {
            saving.last_duration_ms = Some(now_ms - running.started_ms);
            if result.is_ok() {
                // A flush may have saved meanwhile.
                saving.saved_dirty = saving.saved_dirty.max(running.dirty_at_cut);
                saving.saved_ms = now_ms;
                saving.saves += 1;
            }
        });
        // Released together with the outcome, under its locks.
        drop(turn);
    }

    /// Logs why a save failed: once, until the reason changes or a save succeeds.
    fn log_failure(&self, reason: &str) {
        let mut last = self.last_failure.lock();
        let again = self.node.admission.has(Condition::SaveFailed) && *last == reason;
        if again {
            log!(Verbose, "Background saving error again: {reason}");
        } else {
            log!(Warning, "Background saving error: {reason}");
            reason.clone_into(&mut last);
        }
    }

    fn write_snapshot(
        &self,
        mut snapshot: Snapshot,
        cut: &Cut,
        running: &Running,
    ) -> io::Result<usize> {
        let mut keys = 0;
        self.write(&self.temporary("background-"), Some(running), cut, |writer| {
            let mut pace = Pace::default();
            let written = rdb_save::write_snapshot(&mut snapshot, writer, |written| {
                keys = written;
                if pace.step(&self.node, keys, || running.retention.is_given_up()) {
                    show_progress(&self.node, running, keys);
                }
            });
            show_progress(&self.node, running, keys);
            written
        })?;
        Ok(keys)
    }

    /// Writes a file and replaces the old one with it.
    fn write(
        &self,
        temporary: &Path,
        running: Option<&Running>,
        cut: &Cut,
        body: impl FnOnce(&mut FileWriter) -> io::Result<()>,
    ) -> io::Result<()> {
        let result = in_span(&work_span!("rdb.save"), || {
            self.write_temporary(temporary, cut, body)?;
            let _commit = self.commit.lock();
            if running.is_some_and(|running| running.retention.is_given_up()) {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "it was given up"));
            }
            let path = self.path();
            self.files.rename(temporary, &path)?;
            self.files.sync_folder(path.parent().unwrap_or_else(|| Path::new("/")))
        });
        if result.is_err() {
            // A partial file is useless; if it cannot be removed, the next save overwrites it.
            drop(self.files.remove(temporary));
        }
        result
    }

    fn write_temporary(
        &self,
        temporary: &Path,
        cut: &Cut,
        body: impl FnOnce(&mut FileWriter) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, self.files.create(temporary)?);
        let mut writer = rdb_save::begin(&self.node, file, cut)?;
        body(&mut writer)?;
        let mut file = writer.finish()?;
        file.flush()?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync()
    }

    /// Gives up a background save or a full resync; no file of it will replace another. False if
    /// none runs.
    pub(super) fn give_up(&self) -> bool {
        self.give_up_if(|_| true)
    }

    /// Gives up a background save; its file will not replace another. False if none runs.
    pub(super) fn give_up_save(&self) -> bool {
        self.give_up_if(|running| running.purpose == Purpose::Save)
    }

    fn give_up_if(&self, is_meant: impl Fn(&Running) -> bool) -> bool {
        let saving = self.node.persistence.get();
        let Some(running) = saving.running_save().filter(|running| is_meant(running)) else {
            return false;
        };
        running.retention.give_up();
        let _commit = self.commit.lock();
        drop(self.files.remove(&self.temporary("background-")));
        true
    }
}

/// Whether a save was told to end, which is no failure. One that fails ends its snapshot, too, so
/// that the snapshot does not tell.
fn was_given_up(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted && error.raw_os_error().is_none()
}

fn key_save_delay_us(settings: &Settings) -> i32 {
    settings.snapshot.key_save_delay_us
}

/// Paces a walk: makes it rest now and then.
#[derive(Debug, Default)]
pub(super) struct Pace {
    steps: usize,
    keys: usize,
    delay: KeyDelay,
}

impl Pace {
    /// Called after a step, with the keys walked so far; returns whether to update the progress.
    /// `is_over` says that nobody needs the walk any more.
    pub(super) fn step(&mut self, node: &Node, keys: usize, is_over: impl Fn() -> bool) -> bool {
        self.steps += 1;
        if self.steps.is_multiple_of(BREATH_STEPS) {
            std::thread::sleep(BREATH);
        }
        let new = keys.saturating_sub(self.keys) as u64;
        self.keys = keys;
        self.delay.rest(node, key_save_delay_us, new, is_over);
        self.steps.is_multiple_of(PROGRESS_STEPS)
    }
}

/// Updates a walk's progress in INFO.
pub(super) fn show_progress(node: &Node, running: &Running, keys: usize) {
    let retained = running.retention.peak_bytes();
    node.persistence.update(|saving| {
        saving.retained_peak_bytes = saving.retained_peak_bytes.max(retained);
        if let Some(running) = &mut saving.running {
            running.keys_saved = keys;
        }
    });
}

#[cfg(test)]
mod tests;
