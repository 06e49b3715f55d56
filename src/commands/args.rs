//! The arguments of one request, read in place from their buffer.

use crate::keyspace::{Key, Keyspace};
use crate::resp::Span;

/// Arguments; the first is the command's name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args<'a> {
    buffer: &'a [u8],
    spans: &'a [Span],
    /// The index and hash of a key that was hashed while prefetching.
    hashed: Option<(usize, u64)>,
}

impl<'a> Args<'a> {
    /// Spans are relative to the start of `buffer`, and lie within it.
    #[inline]
    pub(crate) fn new(buffer: &'a [u8], spans: &'a [Span], hashed: Option<(usize, u64)>) -> Self {
        Self { buffer, spans, hashed }
    }

    /// The same, where the key at `index` has this hash.
    #[inline]
    pub(crate) fn with_hash(self, index: usize, hash: u64) -> Self {
        Self { hashed: Some((index, hash)), ..self }
    }

    /// Index and hash of a key that has been hashed, if one has.
    #[inline]
    pub(crate) fn hashed(&self) -> Option<(usize, u64)> {
        self.hashed
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The argument at `index`.
    ///
    /// # Panics
    /// If there are fewer arguments: the row's arity rules that out.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> &'a [u8] {
        let Span { start, len } = self.spans[index];
        &self.buffer[start as usize..start as usize + len as usize]
    }

    pub(crate) fn get(&self, index: usize) -> Option<&'a [u8]> {
        (index < self.len()).then(|| self.at(index))
    }

    /// The arguments from `index` on.
    pub(crate) fn from(&self, index: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        let (buffer, spans) = (self.buffer, &self.spans[index.min(self.spans.len())..]);
        spans
            .iter()
            .map(move |span| &buffer[span.start as usize..span.start as usize + span.len as usize])
    }

    /// The arguments from `index` on, as arguments of their own.
    pub(crate) fn skip(&self, index: usize) -> Self {
        Self { spans: &self.spans[index.min(self.spans.len())..], hashed: None, ..*self }
    }

    /// Whether the argument at `index` is this word, in any case.
    pub(crate) fn is(&self, index: usize, word: &str) -> bool {
        self.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The argument at `index` as a key, with its hash.
    #[inline]
    pub(crate) fn key(&self, keyspace: &Keyspace, index: usize) -> Key<'a> {
        let bytes = self.at(index);
        match self.hashed {
            Some((at, hash)) if at == index => Key { bytes, hash },
            _ => keyspace.key(bytes),
        }
    }

    /// Bytes of the request as clients send it: an array of bulk strings.
    pub(crate) fn request_bytes(&self) -> usize {
        let framed = |len: usize| 1 + len.to_string().len() + 2;
        let arguments = self.spans.iter().map(|span| span.len as usize);
        framed(self.spans.len()) + arguments.map(|len| framed(len) + len + 2).sum::<usize>()
    }

    /// Total bytes of all arguments.
    pub(crate) fn total_bytes(&self) -> usize {
        self.spans.iter().map(|span| span.len as usize).sum()
    }
}
