//! The values that reader, writer and payload exchange, one case per supported type, and a key's
//! attributes. Does not know the format's bytes.

/// A value as it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A string, however it was encoded.
    String(Vec<u8>),
}

impl Value {
    /// The same value, borrowed for writing.
    pub fn as_value_ref(&self) -> ValueRef<'_> {
        match self {
            Self::String(bytes) => ValueRef::String(StringRef::Bytes(bytes)),
        }
    }
}

/// A value to be written.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ValueRef<'a> {
    /// A string.
    String(StringRef<'a>),
}

/// A string to be written, as the keyspace stores it. The output depends on the string alone and
/// not on how it is stored, except for `Chunks` beyond
/// [`CHUNKS_COMPRESSED_BYTES_MAX`](StringRef::CHUNKS_COMPRESSED_BYTES_MAX).
#[derive(Clone, Copy, Debug)]
pub enum StringRef<'a> {
    /// The whole string in one piece.
    Bytes(&'a [u8]),
    /// The string that is the decimal form of this number.
    Int(i64),
    /// The string in pieces, in order; empty pieces are allowed.
    Chunks(&'a [&'a [u8]]),
}

impl StringRef<'_> {
    /// The longest string in chunks, in bytes, that is joined for compression; longer ones are
    /// written uncompressed. A save should not need a second copy of a value of hundreds of
    /// megabytes, and readers accept both.
    pub const CHUNKS_COMPRESSED_BYTES_MAX: usize = 16 * 1024 * 1024;
}

impl<'a> From<&'a [u8]> for ValueRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::String(StringRef::Bytes(bytes))
    }
}

/// What is stored of a key besides its name and value.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Attributes {
    /// When it expires, in milliseconds of Unix time.
    pub expire_at_ms: Option<i64>,
    /// How long it has not been used, in seconds; for LRU policies.
    pub idle_s: Option<u64>,
    /// Its access counter, logarithmic; for LFU policies.
    pub freq: Option<u8>,
}
