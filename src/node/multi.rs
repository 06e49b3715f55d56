//! The commands of a transaction until EXEC.

use std::ops::Range;

use crate::resp::Span;
use crate::scripting::ScriptFlags;

/// Room that a transaction begins with: that of a few short commands.
const ROOM_BYTES: usize = 256;
const ROOM_SPANS: usize = 16;

/// A queued command of a transaction.
#[derive(Debug)]
pub(crate) struct Queued {
    /// The id of the row in the registry.
    pub(crate) command: usize,
    /// What the script declared that the command runs.
    pub(crate) script: Option<ScriptFlags>,
    /// Index and hash of a key among its arguments that has been hashed.
    pub(crate) hashed: Option<(usize, u64)>,
    /// Where its arguments begin among those of all.
    start: usize,
    spans: Range<usize>,
}

/// A transaction that is being queued.
#[derive(Debug, Default)]
pub(crate) struct Multi {
    pub(crate) queued: Vec<Queued>,
    /// A command was refused while queueing, so EXEC aborts.
    pub(crate) broken: bool,
    /// The arguments of all the commands.
    arguments: Vec<u8>,
    /// Where they stand, from the start of each command's.
    spans: Vec<Span>,
}

impl Multi {
    /// Queues a command.
    pub(crate) fn push<'a>(
        &mut self,
        command: usize,
        script: Option<ScriptFlags>,
        hashed: Option<(usize, u64)>,
        args: impl Iterator<Item = &'a [u8]>,
    ) {
        if self.queued.is_empty() {
            self.arguments.reserve(ROOM_BYTES);
            self.spans.reserve(ROOM_SPANS);
        }
        let (start, first) = (self.arguments.len(), self.spans.len());
        for arg in args {
            let at = u32::try_from(self.arguments.len() - start);
            let len = u32::try_from(arg.len());
            let (start, len) = at.and_then(|at| Ok((at, len?))).expect("a request's length fits");
            self.spans.push(Span { start, len });
            self.arguments.extend_from_slice(arg);
        }
        let spans = first..self.spans.len();
        self.queued.push(Queued { command, script, hashed, start, spans });
    }

    /// The arguments of a queued command, and where they stand.
    pub(crate) fn arguments(&self, queued: &Queued) -> (&[u8], &[Span]) {
        (&self.arguments[queued.start..], &self.spans[queued.spans.clone()])
    }

    /// Bytes of all arguments.
    pub(crate) fn bytes(&self) -> usize {
        self.arguments.len()
    }

    /// Bytes of what says which commands these are, and where their arguments stand.
    pub(crate) fn overhead_bytes(&self) -> usize {
        size_of_val(&self.queued[..]) + size_of_val(&self.spans[..])
    }
}
