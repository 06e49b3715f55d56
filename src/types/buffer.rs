//! Bytes that grow and shrink in place: a vector, or a value inside its entry.

/// A run of bytes that packed encodings are changed in.
pub(crate) trait Buffer {
    fn bytes(&self) -> &[u8];

    fn bytes_mut(&mut self) -> &mut [u8];

    /// Replaces `removed` bytes at `at` by `inserted`.
    ///
    /// # Panics
    /// If the range does not lie within the bytes.
    fn splice(&mut self, at: usize, removed: usize, inserted: &[u8]);
}

impl Buffer for Vec<u8> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }

    fn splice(&mut self, at: usize, removed: usize, inserted: &[u8]) {
        let (old_len, more) = (self.len(), inserted.len());
        if more > removed {
            self.resize(old_len + more - removed, 0);
        }
        self.copy_within(at + removed..old_len, at + more);
        self[at..at + more].copy_from_slice(inserted);
        self.truncate(old_len - removed + more);
    }
}
