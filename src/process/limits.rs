//! The limit of open files.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit before and after raising it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenFiles {
    pub(crate) before: u64,
    pub(crate) now: u64,
    /// Why `now` is less than requested.
    pub(crate) refused: Option<Errno>,
}

/// Raises the limit to `wanted`, or as far as the system allows. Never lowers it.
pub(crate) fn raise_open_files(wanted: u64) -> OpenFiles {
    let limit = getrlimit(Resource::Nofile);
    // `None` means unlimited.
    let before = limit.current.unwrap_or(u64::MAX);
    if before >= wanted {
        return OpenFiles { before, now: before, refused: None };
    }
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let set = |current: u64, maximum: Option<u64>| {
        setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum })
    };
    if hard >= wanted {
        let raised = set(wanted, limit.maximum);
        return OpenFiles {
            before,
            now: if raised.is_ok() { wanted } else { before },
            refused: raised.err(),
        };
    }
    // A privileged process may raise the hard limit as well.
    match set(wanted, Some(wanted)) {
        Ok(()) => OpenFiles { before, now: wanted, refused: None },
        Err(errno) => {
            let now = if set(hard, limit.maximum).is_ok() { hard } else { before };
            OpenFiles { before, now, refused: Some(errno) }
        }
    }
}
