//! Values: what a key can hold. They do not know keys, databases or clients.
//!
//! Large values are chunks behind `Arc`, so that keeping an old version for a snapshot copies one
//! chunk and not the value.

mod string;

pub(crate) use string::{CHUNK_BYTES, Chunks, StringView};

/// How much of a value was freed, or may be at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freed {
    pub(crate) bytes: usize,
    /// Allocations.
    pub(crate) objects: usize,
}

/// A value too large or complex to be stored inside its entry.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    /// A long string.
    String(Chunks),
}

impl Object {
    /// The type's name, as TYPE gives it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
        }
    }

    /// The encoding's name, as OBJECT ENCODING gives it.
    pub(crate) fn encoding_name(&self) -> &'static str {
        match self {
            Self::String(_) => "raw",
        }
    }

    /// Frees part of the value, at most about `most`; returns how much, nothing at the end. The
    /// rest can only be freed as well.
    pub(crate) fn free_some(&mut self, most: Freed) -> Freed {
        match self {
            Self::String(chunks) => chunks.free_some(most),
        }
    }

    /// Bytes allocated for the value, chunks shared with a snapshot included.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let inner = match self {
            Self::String(chunks) => chunks.allocated_bytes(),
        };
        size_of::<Self>() + inner
    }
}
