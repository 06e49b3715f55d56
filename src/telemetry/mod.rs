//! What happens, told to people and machines: the log, counters, traces. Depends on nothing else in
//! the crate.

mod collector;
pub(crate) mod counter;
pub(crate) mod crash;
pub(crate) mod log;
pub(crate) mod traces;
