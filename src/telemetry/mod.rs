//! Telemetry: the log, counters, traces and crash reports. Depends on nothing else in the crate.

mod collector;
pub(crate) mod counter;
pub(crate) mod crash;
pub(crate) mod log;
pub(crate) mod syslog;
pub(crate) mod traces;
