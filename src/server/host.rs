//! The outer layer's services for commands.

use std::fs;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::aof;
use super::debugging;
use super::descriptors;
use super::full_resync::send;
use super::ids::Ids;
use super::listener::Listeners;
use super::loader;
use super::migrator::Migrator;
use super::proc;
use super::saver::Saver;
use super::startup;
use super::tls::Tls;
use super::worker::Workers;
use crate::aof::Mode;
use crate::engine::Engine;
use crate::engine::rdb_load::There;
use crate::heap;
use crate::keyspace::Locked;
use crate::node::Node;
use crate::node::admission::Condition;
use crate::node::client::Origin;
use crate::node::file::FileLoad;
use crate::node::host::{
    BackgroundSave, FileRewrite, Host, HostResult, Memory, Reload, SettingRefused, Shutdown, Within,
};
use crate::node::migration::Migration;
use crate::node::scripts::DebugMode;
use crate::process::oom::{Score, Scorer};
use crate::process::title;
use crate::scripting::{RestorePolicy, Terminal};
use crate::settings::{self, AppendOnly, OomScoreAdj, Rewrite, Settings, UserLine};
use crate::telemetry::crash;
use crate::telemetry::log::{self, Level, log};

/// The host of a server process.
#[derive(Debug)]
pub(super) struct ServerHost {
    node: Arc<Node>,
    pub(super) saver: Arc<Saver>,
    /// Becomes true when the process is to end.
    ending: watch::Sender<bool>,
    rewriting: Mutex<()>,
    migrator: Migrator,
    scorer: Mutex<Scorer>,
    /// Makes the link to the master check the node's role.
    look: Arc<Notify>,
    ids: Ids,
    tls: Arc<Tls>,
    listeners: Arc<Listeners>,
    /// Set once they run.
    workers: OnceLock<Arc<Workers>>,
    /// The engine has the node, which has this.
    engine: OnceLock<Weak<Engine>>,
}

impl ServerHost {
    pub(super) fn new(
        node: Arc<Node>,
        saver: Arc<Saver>,
        ending: watch::Sender<bool>,
        look: Arc<Notify>,
        ids: Ids,
        (tls, listeners): (Arc<Tls>, Arc<Listeners>),
    ) -> Self {
        Self {
            node,
            saver,
            ending,
            rewriting: Mutex::new(()),
            migrator: Migrator::default(),
            scorer: Mutex::default(),
            look,
            ids,
            tls,
            listeners,
            workers: OnceLock::new(),
            engine: OnceLock::new(),
        }
    }

    /// The users of now, as lines of a settings file.
    fn users(&self) -> Result<Vec<UserLine>, String> {
        let line = |line: Vec<u8>| {
            let text = String::from_utf8(line).map_err(|error| {
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                format!("only an ACL file can have what is no UTF-8: {text}")
            })?;
            let words = text.split(' ').skip(1).map(str::to_owned).collect();
            Ok(UserLine { place: String::new(), words })
        };
        let acl = &self.node.acl;
        acl.users().lines(acl.commands).into_iter().map(line).collect()
    }

    /// Called once, when the workers run.
    pub(super) fn set_workers(&self, engine: &Arc<Engine>, workers: Arc<Workers>) {
        assert!(self.engine.set(Arc::downgrade(engine)).is_ok(), "a process has one engine");
        assert!(self.workers.set(workers).is_ok(), "a process starts its workers once");
    }

    /// Tells the system how this node weighs in its present role.
    fn score(&self, settings: &Settings) -> std::io::Result<()> {
        let [master, replica, _] = settings.process.oom_score_adj_values.0;
        let number = if self.node.is_replica() { replica } else { master };
        let score = match settings.process.oom_score_adj {
            OomScoreAdj::No => Score::Own,
            OomScoreAdj::Yes | OomScoreAdj::Relative => Score::Relative(number),
            OomScoreAdj::Absolute => Score::Absolute(number),
        };
        self.scorer.lock().set(score)
    }
}

impl ServerHost {
    /// Applies changed settings of the append only file.
    fn apply_to_file(
        &self,
        locked: &mut Locked<'_>,
        old: &AppendOnly,
        new: &AppendOnly,
        within: Within,
    ) -> Result<(), SettingRefused> {
        let node = &self.node;
        let Some(file) = node.log.file().filter(|_| old != new) else { return Ok(()) };
        if new.enabled && !old.enabled {
            let begun = aof::rewrite(node, &self.saver.snapshots, locked, (new, true), within);
            match begun {
                FileRewrite::Failed => {
                    log!(
                        Warning,
                        "Redis needs to enable the AOF but can't trigger a background AOF rewrite \
                         operation. Check the above logs for more info about the error."
                    );
                    let reason = "Unable to turn on AOF. Check server logs.".to_owned();
                    return Err(SettingRefused { argument: "appendonly", reason });
                }
                FileRewrite::Scheduled => log!(
                    Notice,
                    "AOF was enabled but there is already another background operation. An AOF \
                     background was scheduled to start when possible."
                ),
                FileRewrite::Started | FileRewrite::Running => {}
            }
        } else if old.enabled && !new.enabled {
            aof::turn_off(node, locked);
        }
        file.set_policy(aof::policy(new));
        file.keep_history(new.keep_history);
        node.log.set_stamps(new.timestamps);
        file.hold_syncs(new.no_sync_on_rewrite && node.persistence.get().running.is_some());
        // Whoever waited under the settings before checks again.
        node.file_caught_up();
        Ok(())
    }
}

/// The log level of a setting.
pub(super) fn level(level: settings::LogLevel) -> Option<Level> {
    match level {
        settings::LogLevel::Debug => Some(Level::Debug),
        settings::LogLevel::Verbose => Some(Level::Verbose),
        settings::LogLevel::Notice => Some(Level::Notice),
        settings::LogLevel::Warning => Some(Level::Warning),
        settings::LogLevel::Nothing => None,
    }
}

impl ServerHost {
    /// Gives the process another title, if the template or what it names has changed.
    fn set_title(&self, old: &Settings, new: &Settings) -> Result<(), SettingRefused> {
        let file = self.node.identity.config_file.as_deref();
        let title = startup::title_of(new, file);
        if startup::title_of(old, file) == title || !new.process.set_proc_title {
            return Ok(());
        }
        title::replace(&title).map_err(|error| SettingRefused {
            argument: "proc-title-template",
            reason: format!("failed to set process title: {error}"),
        })
    }
}

impl Host for ServerHost {
    fn save(&self, locked: &mut Locked<'_>) -> HostResult {
        self.saver.save(locked).map_err(|error| error.to_string())
    }

    fn give_up_save(&self) {
        if self.saver.give_up_save() {
            log!(Notice, "All keys were removed: the background save is given up");
        }
    }

    fn background_save(&self, locked: &mut Locked<'_>) -> BackgroundSave {
        match self.saver.start(locked) {
            true => BackgroundSave::Started,
            false => BackgroundSave::Busy,
        }
    }

    fn reload(&self, locked: &mut Locked<'_>, how: Reload) -> HostResult {
        if how.save {
            self.save(locked)?;
        }
        let path = self.saver.path();
        let there = if how.merge { There::Replaced } else { There::Refused };
        if how.flush {
            loader::validate(&self.node, &path, None)?;
            for database in 0..self.node.keyspace.databases() {
                self.node.keyspace.graveyard().leave(locked.flush(database));
            }
        } else {
            let beside = (there == There::Refused).then_some(&*locked);
            loader::validate(&self.node, &path, beside)?;
        }
        let libraries = match how {
            Reload { flush: true, .. } => RestorePolicy::Flush,
            Reload { merge: true, .. } => RestorePolicy::Replace,
            _ => RestorePolicy::Append,
        };
        loader::load_locked(&self.node, &path, locked, there, libraries)?;
        log!(Warning, "DB reloaded by DEBUG RELOAD");
        Ok(())
    }

    fn fault(&self) {
        use rustix::process::{Signal, getpid, kill_process};
        if let Err(error) = kill_process(getpid(), Signal::SEGV) {
            log!(Warning, "The process cannot signal itself: {error}");
        }
    }

    fn shutdown(&self, locked: &mut Locked<'_>, how: Shutdown) -> HostResult {
        let settings = self.node.settings.load();
        if self.saver.give_up() {
            log!(Warning, "There is a child saving an .rdb. Killing it!");
        }
        if let Some(file) = self.node.log.recording_file() {
            if file.mode() == Mode::Waiting && !how.force {
                log!(Warning, "Writing initial AOF, can't exit.");
                return Err("the first append only file is being written".to_owned());
            }
            if self.node.persistence.get().running_rewrite().is_some() {
                log!(Warning, "There is a child rewriting the AOF. Killing it!");
            }
        }
        // The first half of a file being loaded must not overwrite that file.
        let loaded = !self.node.admission.has(Condition::Loading);
        let save = loaded && how.save.unwrap_or(!settings.snapshot.save.is_empty());
        if save {
            log!(Notice, "Saving the final RDB snapshot before exiting.");
            if let Err(error) = self.saver.save(locked) {
                if !how.force {
                    log!(Warning, "Error trying to save the DB, can't exit.");
                    return Err(error.to_string());
                }
                log!(Warning, "Error trying to save the DB, exiting anyway.");
            }
        }
        // From here on nothing may be acknowledged that the file lacks.
        self.node.admission.set(locked, Condition::ShuttingDown, true);
        self.ending.send_replace(true);
        Ok(())
    }

    fn end_at_once(&self) {
        log!(Warning, "User requested shutdown...");
        if let Some(file) = self.node.log.recording_file() {
            // A failure is logged.
            drop(file.begin_stop().wait());
        }
        let pidfile = &self.node.settings.load().process.pidfile;
        if !pidfile.is_empty() {
            // Somebody else may have removed it.
            drop(fs::remove_file(pidfile));
        }
        // The kernel might close clients' sockets first: they could connect once more, to nobody.
        self.listeners.close();
        log!(Warning, "Redis is now ready to exit, bye bye...");
        std::process::exit(0);
    }

    fn relieve(&self, worker: usize) {
        if let Some(workers) = self.workers.get().filter(|_| worker != self.node.applier) {
            workers.relieve(worker);
        }
    }

    fn end_relief(&self, worker: usize) {
        if let Some(workers) = self.workers.get().filter(|_| worker != self.node.applier) {
            workers.end_relief(worker);
        }
    }

    fn rewrite_file(&self, locked: &mut Locked<'_>, within: Within) -> FileRewrite {
        let settings = &self.node.settings.load().aof;
        let turning_on =
            self.node.log.file().is_some_and(|file| aof::must_turn_on(&self.node, file));
        aof::rewrite(&self.node, &self.saver.snapshots, locked, (settings, turning_on), within)
    }

    fn reload_file(&self, locked: &mut Locked<'_>, load: Arc<FileLoad>) -> HostResult {
        let engine = self.engine.get().and_then(Weak::upgrade).ok_or("the process is starting")?;
        aof::reload(&engine, locked, load).map_err(|error| error.to_string())
    }

    fn restart_file(&self, locked: &Locked<'_>) {
        aof::restart(&self.node, locked);
    }

    fn apply(
        &self,
        locked: &mut Locked<'_>,
        old: &Settings,
        new: &mut Settings,
        (named, within): (&[&'static str], Within),
    ) -> Result<(), SettingRefused> {
        // What can be refused comes first: then nothing is changed.
        let prepared = self.tls.prepare(new, named)?;
        let sockets = self.listeners.prepare(old, new, named)?;
        if old.clients.maxclients != new.clients.maxclients {
            fit_descriptors(new)?;
        }
        self.score(new).map_err(|error| {
            log!(Warning, "Unable to write oom_score_adj: {}", system_text(&error));
            SettingRefused {
                argument: "oom-score-adj",
                reason: "Failed to set current oom_score_adj. Check server logs.".into(),
            }
        })?;
        if old.snapshot.dir != new.snapshot.dir {
            new.snapshot.dir = change_folder(&new.snapshot.dir)
                .map_err(|error| SettingRefused { argument: "dir", reason: system_text(&error) })?;
            self.node.standing.rewrite();
        }
        self.apply_to_file(locked, &old.aof, &new.aof, within)?;
        self.set_title(old, new)?;
        crash::set_reporting(new.process.crash_log_enabled);
        self.tls.commit(prepared, &self.node);
        self.listeners.commit(sockets);
        log::set_level(level(new.log.level));
        new.warnings.iter().for_each(|warning| log!(Warning, "{warning}"));
        let guards = |settings: &Settings| {
            (settings.security.requirepass.clone(), settings.admin.token.clone())
        };
        if guards(old) != guards(new)
            && let Some(warning) = new.admin.open_warning()
        {
            log!(Warning, "{warning}");
        }
        let limits = &new.clients.output_buffer_limits;
        if old.clients.output_buffer_limits != *limits {
            self.node.clients.all().iter().for_each(|handle| handle.set_push_limits(limits));
        }
        let limit = |settings: &Settings| {
            settings.clients.memory_max.bytes(settings.memory.maxmemory_bytes)
        };
        if limit(old) != limit(new) {
            self.node.limit_client_memory(limit(new));
        }
        if old.memory.maxmemory_bytes != new.memory.maxmemory_bytes {
            self.limit_memory(old, new.memory.maxmemory_bytes);
        }
        if old.replication.backlog_size_bytes != new.replication.backlog_size_bytes {
            let bytes = new.replication.backlog_size_bytes;
            self.node.log.resize(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    fn rewrite_settings(&self, which: Rewrite) -> HostResult {
        let Some(path) = &self.node.identity.config_file else {
            return Err("The server is running without a config file".into());
        };
        // Two at once would write one temporary file.
        let _one = self.rewriting.lock();
        let failed = |error: &dyn std::fmt::Display| format!("Rewriting config file: {error}");
        let old = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(&error)),
        };
        let mut settings = Settings::clone(&self.node.settings.load());
        settings.security.users = self.users().map_err(|reason| failed(&reason))?;
        let new = settings.rewritten(path, &old, which).map_err(|error| failed(&error))?;
        write_whole(path, &new).map_err(|error| failed(&error))
    }

    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        fs::read(path).map_err(|error| system_text(&error))
    }

    fn write_file(&self, path: &str, content: &[u8]) -> HostResult {
        let path = std::path::absolute(path).map_err(|error| system_text(&error))?;
        write_whole(&path, content).map_err(|error| system_text(&error))
    }

    fn new_id(&self) -> String {
        self.ids.next()
    }

    fn sync_replicas(&self, locked: &mut Locked<'_>) {
        send::start_if_due(&self.node, &self.saver.snapshots, locked);
    }

    fn look_at_role(&self) {
        if let Err(error) = self.score(&self.node.settings.load()) {
            log!(Warning, "Unable to write oom_score_adj: {}", system_text(&error));
        }
        self.look.notify_one();
    }

    fn migrate(&self, migration: Arc<Migration>) {
        self.migrator.take(&self.node, migration);
    }

    fn processor_seconds(&self) -> [f64; 2] {
        proc::process_seconds()
    }

    fn thread_seconds(&self) -> Vec<(String, [f64; 2])> {
        proc::thread_seconds(self.node.identity.process_id)
    }

    fn allocated(&self) -> u64 {
        use tikv_jemalloc_ctl::{epoch, stats};
        if let Err(error) = epoch::advance() {
            // What follows are then the previous figures.
            log!(Verbose, "The allocator's statistics are not fresh: {error}");
        }
        let cached = crate::process::allocator_cached_bytes().unwrap_or(0);
        stats::allocated::read().unwrap_or(0).saturating_sub(cached) as u64
    }

    fn used_bytes(&self) -> u64 {
        heap::used()
    }

    fn purge(&self) -> HostResult {
        crate::process::purge_allocator().map_err(|code| format!("mallctl: {code}"))
    }

    fn debug_session(
        &self,
        origin: &Origin,
        mode: DebugMode,
    ) -> Result<Option<Box<dyn Terminal>>, String> {
        debugging::begin(&self.node, origin, mode)
    }

    fn end_debugged(&self) {
        crate::process::end_forked()
    }

    fn allocator_report(&self) -> Vec<u8> {
        let mut report = Vec::new();
        let options = tikv_jemalloc_ctl::stats_print::Options::default();
        if let Err(error) = tikv_jemalloc_ctl::stats_print::stats_print(&mut report, options) {
            log!(Verbose, "The allocator's report is cut short: {error}");
        }
        report
    }

    fn memory(&self) -> Memory {
        use tikv_jemalloc_ctl::stats;
        let allocated = self.allocated();
        let bytes = |read: tikv_jemalloc_ctl::Result<usize>| read.unwrap_or(0) as u64;
        Memory {
            allocated,
            allocator_allocated: bytes(stats::allocated::read()),
            active: bytes(stats::active::read()),
            allocator_resident: bytes(stats::resident::read()),
            resident: proc::resident_bytes(),
            total_system: proc::total_system_bytes(),
        }
    }
}

impl ServerHost {
    /// Counts memory while there is a limit; warns of one that is exceeded.
    fn limit_memory(&self, old: &Settings, limit: u64) {
        let allocated = self.allocated();
        match (old.memory.maxmemory_bytes, limit) {
            (0, _) => heap::begin(allocated),
            (_, 0) => heap::end(),
            _ => {}
        }
        let used = allocated.saturating_sub(self.node.uncounted().bytes(&self.node));
        if limit > 0 && limit < used {
            log!(
                Warning,
                "WARNING: the new maxmemory value set via CONFIG SET ({limit}) is smaller than the \
                 current memory usage ({used}). This will result in key eviction and/or the \
                 inability to accept new write commands depending on the maxmemory-policy."
            );
        }
    }
}

/// Raises the limit of open files for a new `maxclients`.
fn fit_descriptors(new: &Settings) -> Result<(), SettingRefused> {
    let mut fitted = new.clone();
    let refused = descriptors::fit_clients(&mut fitted).err();
    let possible = fitted.clients.maxclients;
    if refused.is_none() && possible == new.clients.maxclients {
        return Ok(());
    }
    log!(
        Warning,
        "Failed applying new configuration. Possibly related to new maxclients setting. Restoring \
         previous settings."
    );
    let reason = refused.unwrap_or_else(|| {
        format!(
            "The operating system is not able to handle the specified number of clients, try with \
             {possible}"
        )
    });
    Err(SettingRefused { argument: "maxclients", reason })
}

/// Makes a folder the working folder; returns its full path.
fn change_folder(path: &str) -> std::io::Result<String> {
    std::env::set_current_dir(path)?;
    Ok(std::env::current_dir()?.to_string_lossy().into_owned())
}

/// The operating system's error text, as C programs show it.
pub(super) fn system_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Replaces a file's content with `bytes`: completely, or not at all.
pub(super) fn write_whole(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let folder = path.parent().unwrap_or_else(|| std::path::Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let write = || {
        // What is left of a process of this number, or a link that somebody put there.
        drop(fs::remove_file(&temporary));
        let mut file = fs::File::create_new(&temporary)?;
        // Who may read the secrets in it is the operator's decision.
        if let Ok(data) = fs::metadata(path) {
            file.set_permissions(data.permissions())?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        fs::File::open(folder)?.sync_all()
    };
    let written = write();
    if written.is_err() {
        drop(fs::remove_file(&temporary));
    }
    written
}
