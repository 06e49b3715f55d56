//! What happens, told to people: the log. Depends on nothing else in the crate.

pub(crate) mod counter;
pub(crate) mod log;
