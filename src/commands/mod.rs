//! Commands: one file per family, a table of rows with the handlers below it.
//!
//! To add a command, write its row and its handler in the family's file. To add a family, add
//! its file and name its table in [`all`].

mod args;
mod command;
mod context;
pub(crate) mod effects;
mod failure;
pub(crate) mod registry;

mod connection;
mod expiry;
mod keys;
mod object;
mod strings;

pub(crate) use args::Args;
pub(crate) use command::{
    Category, Command, EngineCommand, Flag, Handled, KeyFlag, KeySpec, Locks, Run,
};
pub(crate) use context::{Context, Keys, Random};
pub(crate) use failure::Failure;

/// All the rows, by family.
pub(crate) fn all() -> impl Iterator<Item = &'static Command> {
    let families = [
        strings::COMMANDS,
        keys::COMMANDS,
        expiry::COMMANDS,
        object::COMMANDS,
        connection::COMMANDS,
    ];
    families.into_iter().flatten()
}
