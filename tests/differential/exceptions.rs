//! Where limpid answers otherwise than Redis on purpose: one row each, with the reason. Not for
//! what two sound servers may differ in; that is the table of canonicalisers.

use crate::support::connection::Words;
use crate::support::reply::Reply;

pub(crate) struct Exception {
    /// Name of the command in lower case, with subcommand where there is one.
    command: &'static str,
    reason: &'static str,
    covers: fn(words: &Words, redis: &Reply, limpid: &Reply) -> bool,
}

pub(crate) const EXCEPTIONS: &[Exception] = &[];

pub(crate) fn is_excepted(name: &str, words: &Words, redis: &Reply, limpid: &Reply) -> bool {
    EXCEPTIONS.iter().any(|exception| {
        debug_assert!(!exception.reason.is_empty());
        exception.command == name && (exception.covers)(words, redis, limpid)
    })
}
