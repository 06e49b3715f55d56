//! Access control lists as in Redis 7.0: users, the rules that make them, and the checks by them.
//!
//! No I/O, no clients, no clock: text, time and randomness come in as arguments, and texts and
//! verdicts go out. [`Commands`] compiles a [`Catalog`] of commands once. [`Users`] is an immutable
//! table: a change makes another one, which the caller publishes. A connection holds an
//! `Arc<User>`; after a change it asks [`Users::current`] for its successor, and ends if there is
//! none. Then [`Revoked`] says which subscriptions end their connections.
//!
//! ```text
//! categories   the names of the categories
//! commands     the catalog, compiled; sets of commands
//! rules        why a rule is refused; how arguments become rules
//! selector     what one set of rules permits, and the rules that change it
//! user         flags, passwords and selectors
//! describe     the rules that a user amounts to: ACL LIST, ACL GETUSER
//! check        whether a user may run a command, and what to say if not
//! channels     which subscriptions a changed user loses
//! users        the table of users
//! file         the ACL file
//! declared     `user` lines of a configuration file
//! log          ACL LOG
//! ```

mod categories;
mod channels;
mod check;
mod commands;
mod declared;
mod describe;
#[cfg(test)]
mod differential;
mod file;
mod log;
mod password;
mod rules;
mod selector;
mod user;
mod users;

pub(crate) use categories::Categories;
pub(crate) use channels::{ChannelKind, ChannelPlaces, Revoked};
pub(crate) use check::{Denial, Request, no_such_command, no_such_user};
pub(crate) use commands::{Catalog, Commands};
pub(crate) use declared::Declarations;
pub(crate) use describe::SelectorFields;
pub(crate) use file::{load, save};
pub(crate) use log::{Context, Happening, Log, Reason};
pub(crate) use password::generated_password;
pub(crate) use rules::{Basis, PubsubDefault};
pub(crate) use selector::Access;
pub(crate) use user::User;
pub(crate) use users::{NO_PASSWORD_SET, Users, WRONG_PASSWORD};
