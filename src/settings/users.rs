//! `user` lines, kept as they are written: what rules mean depends on the commands that there are.

use std::fmt;

/// A line that declares a user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserLine {
    /// Where it stands, and the name of the parameter there: `redis.conf:3: 'user'`.
    pub place: String,
    /// The user's name, then the rules.
    pub words: Vec<String>,
}

/// The name of such lines.
pub(super) const PARAMETER: &str = "user";

impl fmt::Debug for UserLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rules have passwords.
        f.debug_struct("UserLine").field("place", &self.place).finish_non_exhaustive()
    }
}
