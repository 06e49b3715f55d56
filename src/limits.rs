//! The limits within which collections are kept packed. Settings, with names and defaults, are made
//! of these; types and RDB know only the numbers.

/// How collections are kept: the limits within which each is packed into few bytes. `default()` is
/// empty; the settings' has Redis's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collections {
    /// Fields up to which a hash is one listpack.
    pub hash_pack_entries_max: u64,
    /// Length of its fields and values up to which it is.
    pub hash_pack_value_bytes_max: u64,
    /// Size of a list's node: elements if positive; -1 to -5: 4, 8, 16, 32 or 64 KB.
    pub list_node_size: i32,
    /// Nodes at each end of a list that stay uncompressed; 0: all do.
    pub list_compress_depth: u32,
    /// Integers up to which a set is an intset.
    pub set_intset_entries_max: u64,
    /// Members up to which a sorted set is one listpack.
    pub sorted_set_pack_entries_max: u64,
    /// Length of its members up to which it is.
    pub sorted_set_pack_value_bytes_max: u64,
    /// Length up to which a HyperLogLog is sparse.
    pub hll_sparse_bytes_max: u64,
    /// Length of a stream's node; 0: no limit.
    pub stream_node_bytes_max: u64,
    /// Entries of a stream's node; 0: no limit.
    pub stream_node_entries_max: u64,
}
