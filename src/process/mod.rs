//! What the process is to the system that runs it: its title, its terminal, its supervisor, its
//! limits. Knows no setting and no engine, logs nothing.
//!
//! What needs `unsafe` of this is in [`raw`] alone.

pub(crate) mod daemon;
pub(crate) mod limits;
mod raw;
pub(crate) mod supervisor;
pub(crate) mod title;
