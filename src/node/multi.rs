//! The commands of a transaction until EXEC.

use crate::resp::Span;
use crate::scripting::ScriptFlags;

/// A queued command of a transaction.
#[derive(Debug)]
pub(crate) struct Queued {
    /// The id of the row in the registry.
    pub(crate) command: usize,
    /// What the script declared that the command runs.
    pub(crate) script: Option<ScriptFlags>,
    pub(crate) buffer: Box<[u8]>,
    pub(crate) spans: Box<[Span]>,
}

/// A transaction that is being queued.
#[derive(Debug, Default)]
pub(crate) struct Multi {
    pub(crate) queued: Vec<Queued>,
    /// A command was refused while queueing, so EXEC aborts.
    pub(crate) broken: bool,
    /// Bytes of all arguments.
    pub(crate) bytes: usize,
    /// Bytes of what says which commands these are, and where their arguments stand.
    pub(crate) overhead_bytes: usize,
}
