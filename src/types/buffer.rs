//! Bytes that grow and shrink in place: a vector, or a value inside its entry.

/// A run of bytes that packed encodings are changed in.
pub(crate) trait Buffer {
    fn bytes(&self) -> &[u8];

    fn bytes_mut(&mut self) -> &mut [u8];

    /// Replaces `removed` bytes at `at` by `added` ones, and returns these, to be written. What they
    /// are before that is not specified.
    ///
    /// # Panics
    /// If the range does not lie within the bytes.
    fn open(&mut self, at: usize, removed: usize, added: usize) -> &mut [u8];

    /// Replaces `removed` bytes at `at` by `inserted`.
    ///
    /// # Panics
    /// If the range does not lie within the bytes.
    #[inline]
    fn splice(&mut self, at: usize, removed: usize, inserted: &[u8]) {
        self.open(at, removed, inserted.len()).copy_from_slice(inserted);
    }
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

    fn open(&mut self, at: usize, removed: usize, added: usize) -> &mut [u8] {
        let old_len = self.len();
        if added > removed {
            self.resize(old_len + added - removed, 0);
        }
        self.copy_within(at + removed..old_len, at + added);
        self.truncate(old_len - removed + added);
        &mut self[at..at + added]
    }
}
