//! The slow log: the latest commands slower than slowlog-log-slower-than.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Most arguments that an entry keeps, and most bytes of each, as in Redis.
const ARGS_MAX: usize = 32;
const ARG_BYTES_MAX: usize = 128;

/// One slow command.
#[derive(Clone, Debug)]
pub(crate) struct SlowCommand {
    pub(crate) id: u64,
    /// Unix time in seconds.
    pub(crate) at_s: i64,
    pub(crate) duration_us: u64,
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) address: String,
    pub(crate) client_name: Vec<u8>,
}

/// The log, newest first.
#[derive(Debug, Default)]
pub(crate) struct Slowlog {
    entries: Mutex<VecDeque<SlowCommand>>,
    next_id: AtomicU64,
}

/// Arguments as stored in an entry: long ones and long lists are truncated with a note.
pub(crate) fn shortened<'a>(args: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let count = args.len();
    let shown = if count > ARGS_MAX { ARGS_MAX - 1 } else { count };
    let cut = |arg: &[u8]| {
        let mut kept = arg[..arg.len().min(ARG_BYTES_MAX)].to_vec();
        if arg.len() > ARG_BYTES_MAX {
            let more = arg.len() - ARG_BYTES_MAX;
            kept.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
        }
        kept
    };
    let mut kept: Vec<Vec<u8>> = args.take(shown).map(cut).collect();
    if count > shown {
        kept.push(format!("... ({} more arguments)", count - shown).into_bytes());
    }
    kept
}

impl Slowlog {
    /// Adds a command and assigns its id. Keeps at most `len_max` entries.
    pub(crate) fn add(&self, mut command: SlowCommand, len_max: usize) {
        let mut entries = self.entries.lock();
        command.id = self.next_id.fetch_add(1, Ordering::Relaxed);
        entries.push_front(command);
        entries.truncate(len_max);
    }

    /// The newest entries, at most `count`.
    pub(crate) fn newest(&self, count: usize) -> Vec<SlowCommand> {
        self.entries.lock().iter().take(count).cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.lock().len()
    }

    pub(crate) fn clear(&self) {
        self.entries.lock().clear();
    }
}
