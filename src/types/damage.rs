//! Why the bytes of a packed encoding were refused.

use std::fmt;

/// What is wrong with packed bytes from outside, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Damage {
    /// Bytes from the start of the packed value to the element or field that is wrong.
    pub(crate) offset: usize,
    /// What is wrong there.
    pub(crate) what: &'static str,
}

impl Damage {
    #[cold]
    pub(crate) fn new(offset: usize, what: &'static str) -> Self {
        Self { offset, what }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at its byte {}", self.what, self.offset)
    }
}
