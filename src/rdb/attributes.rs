//! A key's attributes beside its value.

/// What is stored of a key besides its name and value.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Attributes {
    /// When it expires, in milliseconds of Unix time.
    pub(crate) expire_at_ms: Option<i64>,
    /// How long it has not been used, in seconds; for LRU policies.
    pub(crate) idle_s: Option<u64>,
    /// Its access counter, logarithmic; for LFU policies.
    pub(crate) freq: Option<u8>,
}
