//! Saving: a snapshot, or the locked keyspace, into the RDB file.
//!
//! A file is written beside the old one under another name, brought to the disk, and renamed over
//! it; then the folder is brought to the disk. Whatever fails or dies in between, a whole file
//! lies under the name.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::files::{Files, Target};
use crate::engine::dump::{self, Cut};
use crate::keyspace::snapshot::Snapshot;
use crate::keyspace::{Locked, ShardSet};
use crate::node::Node;
use crate::node::admission::State;
use crate::node::persistence::Running;
use crate::rdb::EntryWriter;
use crate::telemetry::log::log;
use crate::telemetry::traces::{in_span, work_span};

/// Bytes written to the file at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// Steps of the walk between two updates of the progress that INFO shows.
const PROGRESS_STEPS: usize = 64;

/// The saver's priority as `nice` has it: the lowest.
const SAVER_NICE: i32 = 19;

/// The saver works for so many steps (some quarter of a millisecond), then rests for as long:
/// where cores are few it would else hold a worker back by whole slices of the scheduler.
const BREATH_STEPS: usize = 32;
const BREATH: Duration = Duration::from_micros(250);

type FileWriter = EntryWriter<BufWriter<Box<dyn Target>>>;

/// Saves a node's keys.
#[derive(Debug)]
pub(super) struct Saver {
    node: Arc<Node>,
    files: Arc<dyn Files>,
    /// Held around a rename, so that an older snapshot never replaces a newer file.
    commit: Mutex<()>,
}

impl Saver {
    pub(super) fn new(node: Arc<Node>, files: Arc<dyn Files>) -> Self {
        Self { node, files, commit: Mutex::new(()) }
    }

    /// Where the RDB file lies.
    pub(super) fn path(&self) -> PathBuf {
        let settings = self.node.settings.load();
        Path::new(&settings.snapshot.dir).join(&settings.snapshot.dbfilename)
    }

    fn temporary(&self, kind: &str) -> PathBuf {
        self.path().with_file_name(format!("temp-{kind}{}.rdb", self.node.identity.process_id))
    }

    /// Removes what saves under way have written, when the process ends without them.
    pub(super) fn discard_unfinished(&self) {
        for kind in ["", "background-"] {
            // There is none of it, mostly.
            drop(self.files.remove(&self.temporary(kind)));
        }
    }

    /// Saves the locked keyspace here and now.
    pub(super) fn save(&self, locked: &mut Locked<'_>) -> io::Result<()> {
        let (dirty, began_ms) = (self.node.dirty(), self.node.clock.unix_ms());
        let keyspace = locked.keyspace();
        let cut = dump::cut(&self.node);
        let written = self.write(&self.temporary(""), None, cut.as_ref(), |writer| {
            for database in 0..keyspace.databases() {
                if keyspace.len(database) == 0 {
                    continue;
                }
                writer.database(database, keyspace.len(database), keyspace.expires(database))?;
                let mut result = Ok(());
                locked.for_each(database, |entry| {
                    if result.is_ok() {
                        result = writer.entry(database, entry);
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
            saving.last_ok = true;
        });
        self.node.admission.set(locked, State::SaveFailed, false);
        Ok(())
    }

    /// Cuts a snapshot and saves it on a thread of its own.
    pub(super) fn start(self: &Arc<Self>, locked: &mut Locked<'_>) -> io::Result<()> {
        let node = &self.node;
        let (snapshot, running) = begin_snapshot(node, locked);
        let cut = dump::cut(node);
        node.persistence.update(|saving| {
            saving.tried_ms = running.started_ms;
            saving.scheduled = false;
        });
        let saver = Arc::clone(self);
        let work = move || saver.finish(snapshot, cut.as_ref(), &running);
        let thread = std::thread::Builder::new().name("saver".into()).spawn(work);
        if let Err(error) = thread {
            // The snapshot went with the closure.
            node.persistence.update(|saving| saving.running = None);
            return Err(error);
        }
        let pid = node.identity.process_id;
        log!(Notice, "Background saving started by pid {pid}");
        Ok(())
    }

    /// Runs on the saver's thread, to the end of the snapshot.
    fn finish(&self, snapshot: Snapshot, cut: Option<&Cut>, running: &Running) {
        yield_to_workers();
        let result = self.write_snapshot(snapshot, cut, running);
        let node = &self.node;
        let now_ms = node.clock.unix_ms();
        match &result {
            Ok(keys) => {
                log!(Notice, "DB saved on disk");
                log!(Notice, "Background saving terminated with success ({keys} keys)");
            }
            Err(error) => log!(Warning, "Background saving error: {error}"),
        }
        let mut guard = node.keyspace.lock(ShardSet::ALL);
        let locked = guard.locked();
        node.admission.set(&locked, State::SaveFailed, result.is_err());
        node.persistence.update(|saving| {
            saving.running = None;
            saving.last_ok = result.is_ok();
            saving.last_duration_ms = Some(now_ms - running.started_ms);
            if result.is_ok() {
                saving.saved_dirty = running.dirty_at_cut;
                saving.saved_ms = now_ms;
                saving.saves += 1;
            }
        });
    }

    fn write_snapshot(
        &self,
        mut snapshot: Snapshot,
        cut: Option<&Cut>,
        running: &Running,
    ) -> io::Result<usize> {
        let mut keys = 0;
        self.write(&self.temporary("background-"), Some(running), cut, |writer| {
            let mut pace = Pace::default();
            let written = dump::write_snapshot(&mut snapshot, writer, |written| {
                keys = written;
                if pace.step() {
                    show_progress(&self.node, running, keys);
                }
            });
            show_progress(&self.node, running, keys);
            written
        })?;
        Ok(keys)
    }

    /// Writes a file and puts it in the place of the old one.
    fn write(
        &self,
        temporary: &Path,
        running: Option<&Running>,
        cut: Option<&Cut>,
        body: impl FnOnce(&mut FileWriter) -> io::Result<()>,
    ) -> io::Result<()> {
        let result = in_span(&work_span!("rdb.save"), || {
            self.write_temporary(temporary, cut, body)?;
            let _commit = self.commit.lock();
            if running.is_some_and(|running| running.retention.is_given_up()) {
                return Err(io::Error::other("it was given up"));
            }
            let path = self.path();
            self.files.rename(temporary, &path)?;
            self.files.sync_folder(path.parent().unwrap_or_else(|| Path::new("/")))
        });
        if result.is_err() {
            // What is left is of no use; if it cannot be removed, the next save overwrites it.
            drop(self.files.remove(temporary));
        }
        result
    }

    fn write_temporary(
        &self,
        temporary: &Path,
        cut: Option<&Cut>,
        body: impl FnOnce(&mut FileWriter) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, self.files.create(temporary)?);
        let mut writer = dump::begin(&self.node, file, cut)?;
        body(&mut writer)?;
        let mut file = writer.finish()?;
        file.flush()?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync()
    }

    /// Gives up a save in the background; its file will not replace another any more.
    pub(super) fn give_up(&self) {
        if let Some(running) = self.node.persistence.get().running {
            running.retention.give_up();
            let _commit = self.commit.lock();
            drop(self.files.remove(&self.temporary("background-")));
        }
    }
}

/// Cuts a snapshot and has INFO show it. One runs at a time.
pub(super) fn begin_snapshot(node: &Node, locked: &mut Locked<'_>) -> (Snapshot, Running) {
    let bytes_max = node.settings.load().snapshot.retained_max_bytes;
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let snapshot = Snapshot::cut(&node.keyspace, locked, bytes_max);
    let running = Running {
        started_ms: node.clock.unix_ms(),
        dirty_at_cut: node.dirty(),
        retention: Arc::clone(snapshot.retention()),
        keys_total: snapshot.sizes().iter().map(|size| size.keys).sum(),
        keys_saved: 0,
    };
    node.persistence.update(|saving| {
        saving.retained_peak_bytes = 0;
        saving.running = Some(running.clone());
    });
    (snapshot, running)
}

/// Makes this thread one that walks a snapshot: where cores are few, workers go first. Their
/// clients wait for them, nobody for this.
pub(super) fn yield_to_workers() {
    if let Err(error) = rustix::process::setpriority_process(None, SAVER_NICE) {
        log!(Verbose, "A snapshot is walked at the priority of the workers: {error}");
    }
}

/// The pace of a walk: now and then it rests.
#[derive(Debug, Default)]
pub(super) struct Pace(usize);

impl Pace {
    /// After a step; whether progress is worth a look.
    pub(super) fn step(&mut self) -> bool {
        self.0 += 1;
        if self.0.is_multiple_of(BREATH_STEPS) {
            std::thread::sleep(BREATH);
        }
        self.0.is_multiple_of(PROGRESS_STEPS)
    }
}

/// Has INFO show how far a walk is.
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
