//! SIGTERM and SIGINT: the process ends as SHUTDOWN ends it.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::engine::Engine;
use crate::keyspace::ShardSet;
use crate::node::host::Shutdown;
use crate::settings::{ShutdownFlags, ShutdownSave};
use crate::telemetry::log::log;

/// Waits for signals, and ends the process when one comes. If saving fails, it goes on serving.
pub(super) async fn run(engine: Arc<Engine>) {
    let (mut terminate, mut interrupt) = match listen() {
        Ok(signals) => signals,
        Err(error) => {
            log!(Warning, "Can't listen for signals: {error}");
            return;
        }
    };
    loop {
        let settings = engine.node.settings.load_full();
        let flags = tokio::select! {
            _ = terminate.recv() => {
                log!(Warning, "Received SIGTERM scheduling shutdown...");
                settings.process.shutdown_on_sigterm
            }
            _ = interrupt.recv() => {
                log!(Warning, "Received SIGINT scheduling shutdown...");
                settings.process.shutdown_on_sigint
            }
        };
        let mut guard = engine.node.keyspace.lock(ShardSet::ALL);
        if let Err(error) = engine.node.begin_shutdown(&mut guard.locked(), how(flags)) {
            log!(Warning, "Errors trying to shut down the server: {error}");
        }
    }
}

fn listen() -> std::io::Result<(Signal, Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
}

fn how(flags: ShutdownFlags) -> Shutdown {
    let save = match flags.save {
        ShutdownSave::Default => None,
        ShutdownSave::Always => Some(true),
        ShutdownSave::Never => Some(false),
    };
    Shutdown { save, now: flags.now, force: flags.force }
}
