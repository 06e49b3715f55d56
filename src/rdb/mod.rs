//! The RDB file format.
