//! Errors as Lua's C libraries raise them: a text that begins with the caller's position.

use std::fmt;

use mlua::{Error, Lua};

/// An error text that a script sees as a Lua string. Complete: the position stands in front.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Raised {
    /// The text; bytes, since a message can quote what the script gave.
    pub(crate) text: Vec<u8>,
}

impl fmt::Display for Raised {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.text))
    }
}

impl std::error::Error for Raised {}

impl From<Raised> for Error {
    fn from(raised: Raised) -> Self {
        Self::external(raised)
    }
}

/// The error that `text` makes in the running function, after the position of its caller.
///
/// Call it in the function that Lua called, not in one that a callback of it runs.
#[cold]
pub(super) fn error(lua: &Lua, text: impl AsRef<[u8]>) -> Error {
    // Level 0 is the running function, level 1 its caller. A caller that is no Lua code has no line.
    let mut full = lua
        .inspect_stack(1, |caller| {
            let line = caller.current_line().filter(|line| *line > 0)?;
            Some(format!("{}:{line}: ", caller.source().short_src.as_deref().unwrap_or("?")))
        })
        .flatten()
        .unwrap_or_default()
        .into_bytes();
    full.extend_from_slice(text.as_ref());
    Raised { text: full }.into()
}

/// The error of a bad argument, `index` counted from 1; names the function as the caller did.
#[cold]
pub(super) fn argument_error(lua: &Lua, index: usize, text: impl AsRef<[u8]>) -> Error {
    let (name, is_method) = lua
        .inspect_stack(0, |function| {
            let names = function.names();
            let name = names.name.as_deref().map(str::to_owned);
            (name, names.name_what == Some("method"))
        })
        .unwrap_or((None, false));
    let name = name.unwrap_or_else(|| "?".to_owned());
    let full = match (is_method, index) {
        (true, 1) => format!("calling '{name}' on bad self ("),
        // A method call does not count the object itself.
        (true, _) => format!("bad argument #{} to '{name}' (", index as i64 - 1),
        (false, _) => format!("bad argument #{index} to '{name}' ("),
    };
    let mut full = full.into_bytes();
    full.extend_from_slice(text.as_ref());
    full.push(b')');
    error(lua, full)
}

/// A failure deep in a library, before it has a position.
#[derive(Debug)]
pub(super) enum Failure {
    /// A text to raise.
    Text(String),
    /// The stack has no room, for the given reason.
    Overflow(&'static str),
    /// An error of Lua itself, such as exhausted memory.
    Lua(Error),
}

impl Failure {
    /// The error to return from the running function.
    #[cold]
    pub(super) fn raise(self, lua: &Lua) -> Error {
        match self {
            Self::Text(text) => error(lua, text),
            Self::Overflow(reason) => error(lua, format!("stack overflow ({reason})")),
            Self::Lua(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Lua(error)
    }
}
