//! Signals. SIGTERM and SIGINT end the process like SHUTDOWN; SIGHUP, which a closing terminal
//! sends, SIGUSR1 and SIGUSR2 do nothing.
//!
//! A separate thread receives them, so that a second SIGINT ends a process whose main thread is
//! busy saving.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::saver::Saver;
use crate::engine::Engine;
use crate::keyspace::ShardSet;
use crate::node::admission::Condition;
use crate::node::host::Shutdown;
use crate::settings::{ShutdownFlags, ShutdownSave};
use crate::telemetry::log::log;

/// What asks the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Terminate,
    Interrupt,
}

/// Receives requests to end the process.
#[derive(Debug)]
pub(super) struct Signals {
    asked: mpsc::UnboundedReceiver<Asked>,
    /// One was received and not yet acted on.
    pending: Arc<AtomicBool>,
}

/// Starts to listen.
///
/// # Errors
/// The thread cannot be started, or the system refuses.
pub(super) fn listen(engine: Arc<Engine>, saver: Arc<Saver>) -> io::Result<Signals> {
    let (asking, asked) = mpsc::unbounded_channel();
    let pending = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut kinds = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::user_defined1())?,
            signal(SignalKind::user_defined2())?,
        )
    };
    let signals = Signals { asked, pending: Arc::clone(&pending) };
    let hear = async move {
        let (terminate, interrupt, hangup, first, second) = &mut kinds;
        loop {
            let (name, what) = tokio::select! {
                _ = terminate.recv() => ("SIGTERM", Some(Asked::Terminate)),
                _ = interrupt.recv() => ("SIGINT", Some(Asked::Interrupt)),
                _ = hangup.recv() => ("SIGHUP", None),
                _ = first.recv() => ("SIGUSR1", None),
                _ = second.recv() => ("SIGUSR2", None),
            };
            let Some(what) = what else {
                log!(Notice, "Received {name}, which does nothing.");
                continue;
            };
            if what == Asked::Interrupt && is_ending(&engine, &pending) {
                log!(Warning, "You insist... exiting now.");
                saver.discard_unfinished();
                std::process::exit(1);
            }
            log!(Warning, "Received {name} scheduling shutdown...");
            pending.store(true, Ordering::Relaxed);
            if asking.send(what).is_err() {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(move || runtime.block_on(hear))?;
    Ok(signals)
}

/// Whether the shutdown has begun already.
fn is_ending(engine: &Engine, pending: &AtomicBool) -> bool {
    let node = &engine.node;
    pending.load(Ordering::Relaxed)
        || node.shutdown.is_some()
        || node.admission.has(Condition::ShuttingDown)
}

/// Ends the process on a signal. If saving fails, the server keeps running.
pub(super) async fn run(engine: Arc<Engine>, mut signals: Signals) {
    while let Some(asked) = signals.asked.recv().await {
        let settings = engine.node.settings.load_full();
        let flags = match asked {
            Asked::Terminate => settings.process.shutdown_on_sigterm,
            Asked::Interrupt => settings.process.shutdown_on_sigint,
        };
        {
            // Whoever lets periodic work go on holds these locks, too.
            let mut guard = engine.node.keyspace.lock(ShardSet::ALL);
            let node = &engine.node;
            // A shutdown that waits for replicas keeps its deadline.
            let is_new = !node.shutdown.is_some();
            if is_new && node.cron_paused.load(Ordering::Relaxed) {
                node.shutdown.put_off(how(flags));
            } else if is_new
                && let Err(error) = node.begin_shutdown(&mut guard.locked(), how(flags))
            {
                log!(Warning, "Errors trying to shut down the server: {error}");
            }
        }
        signals.pending.store(false, Ordering::Relaxed);
    }
    // The signal thread is gone.
    std::future::pending().await
}

fn how(flags: ShutdownFlags) -> Shutdown {
    let save = match flags.save {
        ShutdownSave::Default => None,
        ShutdownSave::Always => Some(true),
        ShutdownSave::Never => Some(false),
    };
    Shutdown { save, now: flags.now, force: flags.force }
}
