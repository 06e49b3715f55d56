//! Regular work.
