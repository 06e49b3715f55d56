//! The append only file in the server: what it needs around it, how it starts, and its rewrites.

mod files;

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use files::DelayedFiles;

use super::saver::{Pace, Saver, show_progress};
use super::snapshots::{Snapshots, Turn};
use crate::aof::{
    self, Aof, Format, Level, Limited, LoadOptions, Mode, Options, Place, Policy, Prepared,
    Progress, Rewrite, RewriteLimit, RewriteOptions, RewriteRule, State, Timed, Writer,
};
use crate::engine::Engine;
use crate::engine::aof_load::FileReceiver;
use crate::engine::aof_save::{self, CommandWriter};
use crate::engine::rdb_save::{self, Cut};
use crate::keyspace::snapshot::Snapshot;
use crate::keyspace::{Locked, ShardSet};
use crate::node::Node;
use crate::node::admission::Condition;
use crate::node::file::FileLoad;
use crate::node::host::{Clock, FileRewrite, Within};
use crate::node::persistence::{Loading, Purpose, Running};
use crate::settings::{AppendFsync, AppendOnly};
use crate::telemetry::log::log;
use crate::telemetry::traces::{in_span, work_span};

/// With this many bytes queued, writes wait for the disk.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;
/// Bytes written to a base at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// What the file needs from the server.
struct FileHost {
    /// The node has the file, which has this.
    node: Weak<Node>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for FileHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileHost").finish_non_exhaustive()
    }
}

impl aof::Host for FileHost {
    fn nanos(&self) -> u64 {
        self.clock.nanos()
    }

    fn log(&self, level: Level, line: fmt::Arguments<'_>) {
        match level {
            Level::Debug => log!(Debug, "{line}"),
            Level::Notice => log!(Notice, "{line}"),
            Level::Warning => log!(Warning, "{line}"),
        }
    }

    fn advanced(&self, progress: Progress) {
        if let Some(node) = self.node.upgrade() {
            node.file_released(progress.released);
            node.replication.replicas.wake_for_disk();
        }
    }

    fn room(&self) {
        if let Some(node) = self.node.upgrade() {
            node.file_caught_up();
        }
    }

    fn took(&self, what: Timed, nanos: u64) {
        // LATENCY counts in milliseconds.
        if nanos < MS {
            return;
        }
        let Some(node) = self.node.upgrade() else { return };
        let event = match what {
            Timed::Write => "aof-write-alone",
            Timed::WriteBesideSync => "aof-write-pending-fsync",
            Timed::WriteBesideRewrite => "aof-write-active-child",
            Timed::SyncAlways => "aof-fsync-always",
            Timed::Rename => "aof-rename",
        };
        node.note_spike(event, nanos);
        if matches!(what, Timed::Write | Timed::WriteBesideSync | Timed::WriteBesideRewrite) {
            node.note_spike("aof-write", nanos);
        }
    }

    fn state_changed(&self, state: &State) {
        if let State::Fatal(_) = state {
            // The reason is logged. What was not released was never acknowledged.
            std::process::exit(1);
        }
        if let Some(node) = self.node.upgrade() {
            node.file_changed(state);
        }
    }
}

pub(super) fn policy(settings: &AppendOnly) -> Policy {
    match settings.fsync {
        AppendFsync::Always => Policy::Always,
        AppendFsync::EverySec => Policy::EverySec,
        AppendFsync::No => Policy::No,
    }
}

fn format(settings: &AppendOnly) -> Format {
    if settings.rdb_preamble { Format::Rdb } else { Format::Aof }
}

/// Opens the file and starts its thread, whether it is on or not.
///
/// # Errors
/// Why the server cannot start.
pub(super) fn open(node: &Arc<Node>) -> Result<Writer, String> {
    let settings = node.settings.load();
    let host = FileHost { node: Arc::downgrade(node), clock: Arc::clone(&node.clock) };
    let options = Options {
        place: Place {
            dir: PathBuf::from(&settings.snapshot.dir),
            dirname: settings.aof.dirname.clone(),
            filename: settings.aof.filename.clone(),
        },
        policy: policy(&settings.aof),
        queue_bytes_max: QUEUE_BYTES_MAX,
    };
    let files = DelayedFiles(Arc::clone(&node.file_delay_us));
    let (file, drain) = Aof::open(Arc::new(files), Arc::new(host), options)
        .map_err(|error| error.lines().join("\n"))?;
    file.keep_history(settings.aof.keep_history);
    node.log.set_file(file);
    Writer::spawn(drain)
        .map_err(|error| format!("Cannot start the thread of the append only file: {error}"))
}

/// Loads the file into the empty keyspace, while clients are answered LOADING, and turns it on.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn load_at_start(engine: &Arc<Engine>) -> Result<(), String> {
    let node = &engine.node;
    load(engine)?;
    let settings = node.settings.load();
    let file = node.log.file().expect("opened before");
    let format = format(&settings.aof);
    let started = file.start(format, |base| write_empty(node, base, format));
    started.map_err(|error| error.lines().join("\n"))?;
    let _guard = node.keyspace.lock(ShardSet::ALL);
    node.log.begin_file(settings.aof.timestamps, || ());
    Ok(())
}

/// Loads what the file holds.
///
/// # Errors
/// As [`load_at_start`].
pub(super) fn load(engine: &Arc<Engine>) -> Result<(), String> {
    let node = &engine.node;
    let settings = node.settings.load();
    let file = node.log.file().expect("opened before");
    let folder = PathBuf::from(&settings.snapshot.dir).join(&settings.aof.dirname);
    let manifest = file.folder().manifest();
    let bytes = |name: &[u8]| {
        let path = folder.join(String::from_utf8_lossy(name).as_ref());
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    };
    let total_bytes = manifest.loaded().map(|entry| bytes(&entry.name)).sum();
    let loading = Loading { started_ms: node.clock.unix_ms(), total_bytes, loaded_bytes: 0 };
    node.persistence.update(|saving| saving.loading = Some(loading));
    let mut receiver = FileReceiver::new(engine);
    let options = LoadOptions { truncated: settings.aof.load_truncated };
    let loaded = in_span(&work_span!("aof.load", bytes = total_bytes), || {
        file.load(options, &mut receiver).map(|_| ())
    });
    let keys = receiver.keys_loaded;
    drop(receiver);
    node.persistence.update(|saving| {
        saving.loading = None;
        (saving.keys_loaded, saving.keys_expired_at_load) = (keys, 0);
    });
    loaded
}

/// Replaces the data by those of the file, on a thread of its own: DEBUG LOADAOF.
///
/// # Errors
/// The thread cannot be started; nothing has changed then.
pub(super) fn reload(
    engine: &Arc<Engine>,
    locked: &mut Locked<'_>,
    load: Arc<FileLoad>,
) -> io::Result<()> {
    let theirs = Arc::clone(engine);
    let (begin, begun) = std::sync::mpsc::channel();
    let work = move || {
        if begun.recv().is_ok() {
            end_reload(&theirs, &load);
        }
    };
    std::thread::Builder::new().name("loader".into()).spawn(work)?;
    let node = &engine.node;
    let recording = node.log.recording_file();
    // Otherwise the file lacks some of the data that the log's offset counts.
    let is_whole = recording.is_some_and(|file| file.mode() == Mode::On);
    if recording.is_some() {
        turn_off(node, locked);
    }
    node.admission.set(locked, Condition::Loading, true);
    let master = node.settings.load().replication.master.clone();
    if let Some(master) = master {
        // The link writes nothing beside the load. It begins anew afterwards, with the offset of what
        // was loaded.
        if !is_whole {
            node.log.begin_history(node.host().new_id());
            node.replication.replicas.disconnect_all();
        }
        node.follow(locked, master);
    }
    for database in 0..node.keyspace.databases() {
        node.keyspace.graveyard().leave(locked.flush(database));
        node.forget_ttl(database);
    }
    begin.send(()).map_err(io::Error::other)
}

fn end_reload(engine: &Arc<Engine>, done: &FileLoad) {
    let node = &engine.node;
    let loaded = match node.settings.load().aof.enabled {
        true => load_at_start(engine),
        false => load(engine),
    };
    if let Err(reason) = loaded {
        // Half of the data must not pass for all of them.
        log!(Warning, "{reason}");
        std::process::exit(1);
    }
    let mut guard = node.keyspace.lock(ShardSet::ALL);
    node.admission.set(&guard.locked(), Condition::Loading, false);
    let dirty = node.dirty();
    node.persistence.update(|saving| saving.saved_dirty = dirty);
    drop(guard);
    // A replica's link waits for this.
    node.host().look_at_role();
    log!(Warning, "Append Only File loaded by DEBUG LOADAOF");
    done.end();
}

/// The base of a new file: nothing was loaded.
fn write_empty(node: &Node, base: &mut dyn Write, format: Format) -> io::Result<()> {
    match format {
        Format::Rdb => {
            let cut = rdb_save::cut_for_file(node);
            rdb_save::begin(node, base, &cut)?.finish()?.flush()
        }
        Format::Aof => Ok(()),
    }
}

/// Turns the file off: all is on the disk when this returns. The file's thread takes no lock of a
/// shard, so that it can be waited for under them.
pub(super) fn turn_off(node: &Node, _: &Locked<'_>) {
    let Some(file) = node.log.file() else { return };
    give_up_rewrite(node);
    file.schedule_rewrite(false);
    let closing = node.log.end_file(|| file.begin_stop());
    // A failure is logged.
    drop(closing.wait());
    node.file_caught_up();
    node.file_released(u64::MAX);
}

/// Ends a file whose data are being replaced; the next one begins with a rewrite.
pub(super) fn restart(node: &Node, _: &Locked<'_>) {
    let Some(file) = node.log.file() else { return };
    if !node.settings.load().aof.enabled {
        return;
    }
    give_up_rewrite(node);
    // Its thread ends it; a rewrite begins once it has.
    drop(node.log.end_file(|| file.begin_stop()));
    file.schedule_rewrite(true);
}

fn give_up_rewrite(node: &Node) {
    if let Some(running) = node.persistence.get().running_rewrite() {
        let pid = node.identity.process_id;
        log!(Notice, "Killing running AOF rewrite child: {pid}");
        running.retention.give_up();
    }
}

/// Whether the settings have a file that is not on yet.
pub(super) fn must_turn_on(node: &Node, file: &Aof) -> bool {
    node.settings.load().aof.enabled && file.mode() != Mode::On
}

/// Begins a rewrite, or notes that one shall begin once it can: `within` a transaction, whose changes
/// so far are not recorded yet, it cannot.
pub(super) fn rewrite(
    node: &Arc<Node>,
    snapshots: &Snapshots,
    locked: &mut Locked<'_>,
    (settings, turning_on): (&AppendOnly, bool),
    within: Within,
) -> FileRewrite {
    let Some(file) = node.log.file() else { return FileRewrite::Failed };
    let saving = node.persistence.get();
    if saving.running_rewrite().is_some() && !turning_on {
        return FileRewrite::Running;
    }
    if saving.running.is_some() || within == Within::Transaction || file.is_closing() {
        file.schedule_rewrite(true);
        return FileRewrite::Scheduled;
    }
    let Some(ready) = prepare(node, settings, turning_on) else { return FileRewrite::Failed };
    match begin(node, snapshots, locked, ready) {
        true => FileRewrite::Started,
        false => FileRewrite::Failed,
    }
}

/// A rewrite whose files exist.
#[derive(Debug)]
pub(super) struct Ready {
    prepared: Prepared,
    format: Format,
    stamps: bool,
    turning_on: bool,
}

/// Creates the files of a rewrite. Needs no lock. `None` if that fails, which is logged.
pub(super) fn prepare(node: &Node, settings: &AppendOnly, turning_on: bool) -> Option<Ready> {
    let format = format(settings);
    let purpose = if turning_on { aof::Purpose::TurnOn } else { aof::Purpose::Compact };
    let options = RewriteOptions { purpose, format, paced: settings.paced_rewrite };
    let prepared = node.log.file()?.prepare_rewrite(options);
    let failed = |error: &io::Error| {
        log!(Warning, "Can't rewrite append only file in background: {error}");
    };
    let prepared = prepared.inspect_err(failed).ok()?;
    Some(Ready { prepared, format, stamps: settings.timestamps, turning_on })
}

/// Cuts a snapshot and begins a rewrite of it; false if that is impossible now.
pub(super) fn begin(
    node: &Arc<Node>,
    snapshots: &Snapshots,
    locked: &mut Locked<'_>,
    ready: Ready,
) -> bool {
    let Ready { prepared, format, stamps, turning_on } = ready;
    let began = snapshots.try_begin(locked, Purpose::Rewrite, || {
        let records = node.log.file().is_some_and(|file| file.mode() != Mode::Off);
        let begin = || prepared.begin();
        let rewrite =
            if records || turning_on { node.log.begin_file(stamps, begin) } else { begin() };
        let (node, cut) = (Arc::clone(node), rdb_save::cut_for_file(node));
        move |snapshot, turn| run(&node, snapshot, rewrite, (&cut, format), turn)
    });
    if began {
        let pid = node.identity.process_id;
        log!(Notice, "Background append only file rewriting started by pid {pid}");
    }
    began
}

/// Runs on the walking thread, to the end of the snapshot.
fn run(
    node: &Arc<Node>,
    mut snapshot: Snapshot,
    mut rewrite: Rewrite,
    (cut, format): (&Cut, Format),
    turn: Turn,
) {
    let running = &turn.running;
    let written = in_span(&work_span!("aof.rewrite"), || {
        let sink = BufWriter::with_capacity(BUFFER_BYTES, &mut rewrite);
        match format {
            Format::Rdb => write_rdb(node, &mut snapshot, sink, cut, running),
            Format::Aof => write_commands(node, &mut snapshot, sink, cut, running),
        }
    });
    match written {
        Ok(()) if running.retention.is_given_up() => drop(rewrite),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => drop(rewrite),
        // A failure is logged.
        Ok(()) => drop(rewrite.commit()),
        Err(error) => {
            log!(Warning, "The rewrite of the append only file failed: {error}");
            rewrite.fail();
        }
    }
    let now_ms = node.clock.unix_ms();
    let retained = running.retention.peak_bytes();
    node.persistence.update(|saving| {
        saving.last_rewrite_ms = Some(now_ms - running.started_ms);
        saving.rewrite_retained_peak_bytes = retained;
    });
    drop(snapshot);
    // Only now may another begin.
    drop(turn);
}

fn write_rdb(
    node: &Node,
    snapshot: &mut Snapshot,
    sink: impl Write,
    cut: &Cut,
    running: &Running,
) -> io::Result<()> {
    let mut writer = rdb_save::begin(node, sink, cut)?;
    let mut pace = Pace::default();
    rdb_save::write_snapshot(snapshot, &mut writer, |keys| {
        if pace.step(node, keys, || running.retention.is_given_up()) {
            show_progress(node, running, keys);
        }
    })?;
    show_progress(node, running, writer.keys());
    writer.finish()?.flush()
}

fn write_commands(
    node: &Node,
    snapshot: &mut Snapshot,
    mut sink: impl Write,
    cut: &Cut,
    running: &Running,
) -> io::Result<()> {
    if node.settings.load().aof.timestamps {
        sink.write_all(aof::timestamp(running.started_ms / 1000).as_bytes())?;
    }
    let mut writer = CommandWriter::begin(sink, cut)?;
    let mut pace = Pace::default();
    aof_save::write_snapshot(snapshot, &mut writer, |keys| {
        if pace.step(node, keys, || running.retention.is_given_up()) {
            show_progress(node, running, keys);
        }
    })?;
    show_progress(node, running, writer.keys());
    writer.finish()
}

/// Begins the rewrites that nobody waits for.
#[derive(Debug, Default)]
pub(super) struct Rewrites {
    limit: RewriteLimit,
}

impl Rewrites {
    /// Begins one that is scheduled, or due by the size of the file.
    pub(super) fn round(&mut self, engine: &Engine, saver: &Saver) {
        let node = &engine.node;
        let Some(file) = node.log.file() else { return };
        if node.persistence.get().running.is_some() || node.admission.has(Condition::Loading) {
            return;
        }
        let settings = &node.settings.load().aof;
        // In this order: whoever has the file begin anew schedules a rewrite after it began to close.
        let scheduled = file.rewrite_scheduled();
        if file.is_closing() {
            return;
        }
        let turning_on = settings.enabled && file.mode() != Mode::On;
        if turning_on || scheduled {
            if !self.may_begin(node, file) {
                return;
            }
        } else if !self.is_due(node, file, settings) {
            return;
        }
        let Some(ready) = prepare(node, settings, turning_on) else { return };
        let mut guard = node.keyspace.lock(ShardSet::ALL);
        // It may be busy by now: the next round looks again.
        begin(node, &saver.snapshots, &mut guard.locked(), ready);
    }

    fn is_due(&mut self, node: &Node, file: &Aof, settings: &AppendOnly) -> bool {
        if file.mode() != Mode::On {
            return false;
        }
        let rule = RewriteRule {
            percentage: settings.rewrite_percentage.into(),
            size_min: settings.rewrite_bytes_min,
        };
        let readings = file.readings();
        let Some(growth) = rule.due(readings.current_size, readings.base_size) else {
            return false;
        };
        if !self.may_begin(node, file) {
            return false;
        }
        log!(Notice, "Starting automatic rewriting of AOF on {growth}% growth");
        true
    }

    fn may_begin(&mut self, node: &Node, file: &Aof) -> bool {
        let failures = file.readings().consecutive_failures;
        match self.limit.check(failures, node.clock.unix_ms() / 1000) {
            Limited::No => true,
            Limited::Yes => false,
            Limited::From(minutes) => {
                log!(
                    Warning,
                    "Background AOF rewrite has repeatedly failed and triggered the limit, will \
                     retry in {minutes} minutes"
                );
                false
            }
        }
    }
}
