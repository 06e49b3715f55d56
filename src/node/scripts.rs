//! The scripts: who may use the interpreter, and what runs for long.
//!
//! Scripts run one at a time. Whoever runs one, or changes what is loaded, enters the [`Gate`] before
//! it locks any shard. A script that runs for longer than `busy-reply-threshold` is busy: until it
//! ends, nobody waits for it, and clients are told so.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};

use super::client::Client;
use crate::resp::{Output, Span};
use crate::scripting::{
    Environment, Interpreters, Loader, LogLevel, RestorePolicy, ScriptFlags, Sha,
};
use crate::telemetry::log::log;

/// How long a wait for the gate lasts before it looks whether a script is busy.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How many scripts are remembered as [wide](Scripts::is_wide).
const WIDE_MAX: usize = 100_000;

/// A buffer of a run that is longer is not kept for the next.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// What runs use one after the other.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// The client of the commands that scripts call. It acts for nobody now.
    pub(crate) client: Option<Box<Client>>,
    /// The reply to a command.
    pub(crate) output: Output,
    /// The arguments of a command.
    pub(crate) buffer: Vec<u8>,
    pub(crate) spans: Vec<Span>,
}

/// What has been loaded: scripts by their digest, and libraries of functions.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    /// Made when they are needed first.
    interpreters: Option<Interpreters>,
    /// What each interpreter offers.
    pub(crate) environment: Environment,
    /// Scripts that have used other keys than they declare.
    wide: HashSet<Box<[u8]>>,
    workspace: Workspace,
}

impl Scripts {
    /// Lends the workspace, for one run.
    pub(crate) fn take_workspace(&mut self) -> Workspace {
        std::mem::take(&mut self.workspace)
    }

    pub(crate) fn return_workspace(&mut self, mut workspace: Workspace) {
        workspace.output.clear();
        workspace.buffer.clear();
        workspace.buffer.shrink_to(KEPT_BYTES_MAX);
        workspace.spans.clear();
        workspace.spans.shrink_to(KEPT_BYTES_MAX / size_of::<Span>());
        self.workspace = workspace;
    }

    /// The interpreters.
    ///
    /// # Errors
    /// Lua's, if it has no memory.
    pub(crate) fn interpreters(&mut self) -> Result<&mut Interpreters, String> {
        if self.interpreters.is_none() {
            self.interpreters = Some(Interpreters::new(self.environment)?);
        }
        Ok(self.interpreters.as_mut().expect("just made"))
    }

    /// What a script declares that has been compiled.
    pub(crate) fn script_flags(&self, sha: &Sha) -> Option<ScriptFlags> {
        let scripts = &self.interpreters.as_ref()?.scripts;
        Some(scripts.script(scripts.find(sha)?).flags())
    }

    /// What a function declares.
    pub(crate) fn function_flags(&self, name: &[u8]) -> Option<ScriptFlags> {
        Some(self.interpreters.as_ref()?.libraries.function(name)?.flags())
    }

    /// Whether a script uses other keys than it declares.
    pub(crate) fn is_wide(&self, name: &[u8]) -> bool {
        !self.wide.is_empty() && self.wide.contains(name)
    }

    pub(crate) fn note_wide(&mut self, name: &[u8]) {
        if self.wide.len() >= WIDE_MAX {
            self.wide.clear();
        }
        self.wide.insert(name.into());
    }

    /// Makes libraries from a file the only ones.
    ///
    /// # Errors
    /// What is wrong with them; nothing has changed then.
    pub(crate) fn replace_libraries(&mut self, codes: &[Vec<u8>]) -> Result<(), String> {
        self.load_libraries(codes, RestorePolicy::Flush)
    }

    fn load_libraries(&mut self, codes: &[Vec<u8>], policy: RestorePolicy) -> Result<(), String> {
        if codes.is_empty() && self.interpreters.is_none() {
            return Ok(());
        }
        let codes = codes.iter().map(Vec::as_slice);
        let libraries = &mut self.interpreters()?.libraries;
        libraries.restore(codes, policy, &mut Unbounded).map_err(|text| {
            format!("Failed creating function library: {}", String::from_utf8_lossy(&text))
        })
    }

    /// Forgets all scripts, but not the functions.
    ///
    /// # Errors
    /// Lua's, if it has no memory.
    pub(crate) fn flush(&mut self) -> Result<(), String> {
        self.wide.clear();
        match &mut self.interpreters {
            Some(both) => both.scripts.flush().map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }
}

/// Writes a line of `redis.log`.
pub(crate) fn log_from_script(level: LogLevel, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    match level {
        LogLevel::Debug => log!(Debug, "{text}"),
        LogLevel::Verbose => log!(Verbose, "{text}"),
        LogLevel::Notice => log!(Notice, "{text}"),
        LogLevel::Warning => log!(Warning, "{text}"),
    }
}

/// For libraries that were loaded before: nothing bounds the time in which their code runs.
struct Unbounded;

impl Loader for Unbounded {
    fn expired(&mut self) -> bool {
        false
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        log_from_script(level, text);
    }
}

/// Checks that libraries from a file can be loaded.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn check_libraries(codes: &[Vec<u8>]) -> Result<(), String> {
    let mut scripts = Scripts::default();
    scripts.replace_libraries(codes)
}

/// What kind of script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// EVAL and its like.
    Script,
    Function,
}

impl Kind {
    /// The refusal of other commands while a script of this kind runs for long.
    pub(crate) fn busy_text(self) -> &'static str {
        match self {
            Self::Script => {
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN \
                 NOSAVE."
            }
            Self::Function => {
                "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN \
                 NOSAVE."
            }
        }
    }
}

/// Where a script runs that is debugged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DebugMode {
    /// In a process of its own, whose changes are lost.
    Forked,
    /// Here, while everybody else waits.
    Sync,
}

/// A script that runs for long.
#[derive(Clone, Debug)]
pub(crate) struct Busy {
    pub(crate) kind: Kind,
    /// The function's name, or the script's digest.
    pub(crate) name: String,
    /// The command that runs it.
    pub(crate) command: Vec<Box<[u8]>>,
    /// When it began, in the clock's nanoseconds.
    pub(crate) began_nanos: u64,
    /// The node's master sent it.
    pub(crate) from_master: bool,
}

/// Why a script cannot be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unkillable {
    NoneRuns,
    FromMaster,
    HasWritten,
    /// It is of the other kind, which is this.
    Other(Kind),
}

/// Figures of what is loaded.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Bytes of the interpreter of scripts, and of their texts and names.
    pub(crate) script_bytes: AtomicUsize,
    pub(crate) script_overhead_bytes: AtomicUsize,
    pub(crate) scripts: AtomicUsize,
    /// The same for functions.
    pub(crate) function_bytes: AtomicUsize,
    pub(crate) function_overhead_bytes: AtomicUsize,
    pub(crate) functions: AtomicUsize,
    pub(crate) libraries: AtomicUsize,
}

/// The one way to the scripts.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    scripts: Mutex<Scripts>,
    busy: Mutex<Option<Busy>>,
    is_busy: AtomicBool,
    /// The running script has called a command that writes.
    has_written: AtomicBool,
    killed: AtomicBool,
    /// Scripts may call commands that are not for scripts: DEBUG can allow that.
    pub(crate) allows_all: AtomicBool,
    /// The libraries' texts, for snapshots. Changes only under all the shard locks.
    libraries: ArcSwap<Vec<Box<[u8]>>>,
    pub(crate) figures: Figures,
}

impl Gate {
    /// Waits for the scripts; `None` if one is busy. The caller holds no lock of a shard.
    pub(crate) fn enter(&self) -> Option<MutexGuard<'_, Scripts>> {
        loop {
            if let Some(scripts) = self.scripts.try_lock_for(LOOK_EVERY) {
                return Some(scripts);
            }
            if self.is_busy() {
                return None;
            }
        }
    }

    /// Waits for the scripts, however long one runs. The caller holds no lock of a shard.
    pub(crate) fn wait(&self) -> MutexGuard<'_, Scripts> {
        self.scripts.lock()
    }

    /// Whether a script runs for long.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire)
    }

    /// The script that runs for long.
    pub(crate) fn busy(&self) -> Option<Busy> {
        self.busy.lock().clone()
    }

    pub(crate) fn set_busy(&self, busy: Option<Busy>) {
        let mut current = self.busy.lock();
        self.killed.store(false, Ordering::Release);
        self.is_busy.store(busy.is_some(), Ordering::Release);
        *current = busy;
    }

    /// Notes whether the running script has called a command that writes.
    pub(crate) fn set_written(&self, written: bool) {
        self.has_written.store(written, Ordering::Release);
    }

    /// Ends the script that runs for long, if it is of this kind and has written nothing.
    pub(crate) fn kill(&self, kind: Kind) -> Result<(), Unkillable> {
        // The script ends by the same lock.
        let busy = self.busy.lock();
        let busy = busy.as_ref().ok_or(Unkillable::NoneRuns)?;
        if busy.from_master {
            return Err(Unkillable::FromMaster);
        }
        if self.has_written.load(Ordering::Acquire) {
            return Err(Unkillable::HasWritten);
        }
        if busy.kind != kind {
            return Err(Unkillable::Other(busy.kind));
        }
        self.killed.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether the running script must end.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Shows changed libraries to snapshots. Called under all the shard locks.
    pub(crate) fn show_libraries(&self, scripts: &Scripts) {
        let libraries = scripts.interpreters.iter().flat_map(|both| both.libraries.iter());
        self.libraries.store(Arc::new(libraries.map(|library| library.code().into()).collect()));
        self.show_figures(scripts);
        self.show_library_figures(scripts);
    }

    /// Loads libraries from a file, under all the shard locks. Where they become the only ones, those
    /// of the same texts stay as they are; otherwise this is refused while a script runs.
    ///
    /// # Errors
    /// Why that cannot be done now, or what is wrong with them; nothing has changed then.
    pub(crate) fn reload_libraries(
        &self,
        codes: &[Vec<u8>],
        policy: RestorePolicy,
    ) -> Result<(), String> {
        let replaced = policy == RestorePolicy::Flush;
        if replaced
            && self.libraries().iter().map(|code| &**code).eq(codes.iter().map(Vec::as_slice))
        {
            return Ok(());
        }
        // Whoever has the gate may wait for the locks: waiting here would never end.
        let scripts = self.scripts.try_lock();
        let mut scripts = scripts.ok_or_else(|| "A script runs or is about to".to_owned())?;
        scripts.load_libraries(codes, policy)?;
        self.show_libraries(&scripts);
        Ok(())
    }

    /// The libraries' texts.
    pub(crate) fn libraries(&self) -> Arc<Vec<Box<[u8]>>> {
        self.libraries.load_full()
    }

    /// Brings the figures up to date that a run changes; the same cost however much is loaded.
    pub(crate) fn show_figures(&self, scripts: &Scripts) {
        let (Some(both), figures) = (&scripts.interpreters, &self.figures) else { return };
        let (scripts, libraries) = (&both.scripts, &both.libraries);
        for (figure, value) in [
            (&figures.script_bytes, scripts.used_memory()),
            (&figures.script_overhead_bytes, scripts.overhead()),
            (&figures.scripts, scripts.len()),
            (&figures.function_bytes, libraries.used_memory()),
        ] {
            figure.store(value, Ordering::Relaxed);
        }
    }

    /// The same for what changes with the libraries alone: this looks at each of their functions.
    fn show_library_figures(&self, scripts: &Scripts) {
        let (Some(both), figures) = (&scripts.interpreters, &self.figures) else { return };
        let libraries = &both.libraries;
        for (figure, value) in [
            (&figures.function_overhead_bytes, libraries.overhead()),
            (&figures.functions, libraries.functions_count()),
            (&figures.libraries, libraries.libraries_count()),
        ] {
            figure.store(value, Ordering::Relaxed);
        }
    }
}
