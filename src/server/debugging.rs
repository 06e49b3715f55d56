//! The connection of a debugger's session, taken from the worker that serves it, and the process of
//! a forked one.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::node::Node;
use crate::node::client::Origin;
use crate::node::scripts::DebugMode;
use crate::process;
use crate::scripting::{Received, Terminal};
use crate::telemetry::log::log;

/// How long a wait for bytes lasts before the session looks whether to go on.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// How long a peer may take nothing, in seconds, as in Redis.
const SEND_SECONDS_MAX: i64 = 5;

/// Begins a session on a client's connection; `None` in the process that goes on without it.
///
/// # Errors
/// For the client.
pub(super) fn begin(
    node: &Arc<Node>,
    origin: &Origin,
    mode: DebugMode,
) -> Result<Option<Box<dyn Terminal>>, String> {
    if origin.tls {
        return Err("a script cannot be debugged on a connection with TLS".to_owned());
    }
    let socket =
        process::duplicate(origin.fd).map_err(|error| format!("No connection: {error}"))?;
    if mode == DebugMode::Forked {
        let forked = process::fork_beside_threads(&socket)
            .map_err(|error| format!("Fork() failed: can't run EVAL in debugging mode: {error}"))?;
        if let Some(child) = forked {
            log!(Warning, "Forked for debugging eval, process {child}");
            await_end(child);
            return Ok(None);
        }
    } else {
        log!(Warning, "Synchronous debugging session of a script started");
    }
    Ok(Some(Box::new(Socket { socket, node: Arc::clone(node) })))
}

/// Has the system forget the process once it has ended.
fn await_end(child: u32) {
    let wait = move || {
        let child = i32::try_from(child).ok().and_then(Pid::from_raw);
        match waitpid(child, WaitOptions::empty()) {
            Ok(_) => log!(Warning, "The process of a debugging session has ended"),
            Err(error) => log!(Warning, "A debugging session cannot be awaited: {error}"),
        }
    };
    let thread = thread::Builder::new().name("debug session".to_owned()).spawn(wait);
    if let Err(error) = thread {
        log!(Warning, "No thread to await a debugging session: {error}");
    }
}

/// A socket of a worker's, which does not block.
#[derive(Debug)]
struct Socket {
    socket: OwnedFd,
    node: Arc<Node>,
}

impl Socket {
    /// Waits until the socket is ready; false after `limit`.
    fn wait(&self, flags: PollFlags, limit: Timespec) -> bool {
        poll(&mut [PollFd::new(&self.socket, flags)], Some(&limit)).is_ok_and(|ready| ready > 0)
    }
}

impl Terminal for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> Received {
        if !self.wait(PollFlags::IN, LOOK_EVERY) {
            return Received::Nothing;
        }
        match rustix::io::read(&self.socket, buffer) {
            Ok(0) => Received::Gone,
            Ok(len) => Received::Bytes(len),
            Err(error) if error.kind() == ErrorKind::WouldBlock || error == Errno::INTR => {
                Received::Nothing
            }
            Err(_) => Received::Gone,
        }
    }

    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match rustix::io::write(&self.socket, bytes) {
                Ok(len) => bytes = &bytes[len..],
                Err(Errno::INTR) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let limit = Timespec { tv_sec: SEND_SECONDS_MAX, tv_nsec: 0 };
                    if !self.wait(PollFlags::OUT, limit) {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    fn nanos(&self) -> u64 {
        self.node.clock.nanos()
    }
}
