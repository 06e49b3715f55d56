//! Strings: long ones as chunks, and one view over all the ways a string is stored.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::Freed;
use crate::number;

/// Length of every chunk but the last, in bytes.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// A long string: full chunks of [`CHUNK_BYTES`] and a last one that grows.
///
/// Cloning shares the chunks; writing to a shared chunk copies that chunk alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunks {
    chunks: Vec<Arc<Vec<u8>>>,
    len: usize,
}

impl Chunks {
    pub(crate) fn from_slice(bytes: &[u8]) -> Self {
        let chunks = bytes.chunks(CHUNK_BYTES).map(|chunk| Arc::new(chunk.to_vec())).collect();
        Self { chunks, len: bytes.len() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn chunks(&self) -> &[Arc<Vec<u8>>] {
        &self.chunks
    }

    /// The chunks as pieces for a reply, which keep them alive without a copy.
    pub(crate) fn shared(&self) -> impl Iterator<Item = Bytes> {
        self.chunks.iter().map(|chunk| Bytes::from_owner(SharedChunk(Arc::clone(chunk))))
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len);
        self.chunks.iter().for_each(|chunk| bytes.extend_from_slice(chunk));
        bytes
    }

    /// The bytes from `start` to before `end`, which are in order and within the string.
    pub(crate) fn range(&self, start: usize, end: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(end - start);
        let mut at = start;
        while at < end {
            let (index, offset) = (at / CHUNK_BYTES, at % CHUNK_BYTES);
            let take = (end - at).min(CHUNK_BYTES - offset);
            bytes.extend_from_slice(&self.chunks[index][offset..offset + take]);
            at += take;
        }
        bytes
    }

    /// The same range as pieces for a reply, which keep their chunks alive without a copy.
    pub(crate) fn shared_range(&self, start: usize, end: usize) -> impl Iterator<Item = Bytes> {
        let first = start / CHUNK_BYTES;
        self.shared().enumerate().skip(first).map_while(move |(index, chunk)| {
            let at = index * CHUNK_BYTES;
            let range = start.saturating_sub(at)..end.checked_sub(at)?.min(chunk.len());
            (!range.is_empty()).then(|| chunk.slice(range))
        })
    }

    /// Writes `bytes` at `offset`, growing the string with zeros up to there when it is shorter.
    pub(crate) fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        self.grow(offset + bytes.len());
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let (index, within) = (at / CHUNK_BYTES, at % CHUNK_BYTES);
            let take = rest.len().min(CHUNK_BYTES - within);
            let chunk = Arc::make_mut(&mut self.chunks[index]);
            chunk[within..within + take].copy_from_slice(&rest[..take]);
            (at, rest) = (at + take, &rest[take..]);
        }
    }

    /// A string of `len` bytes. `fill` is called with each chunk in order, all zeros.
    pub(crate) fn filled(len: usize, mut fill: impl FnMut(&mut [u8])) -> Self {
        let starts = (0..len).step_by(CHUNK_BYTES);
        let chunk = |start| {
            let mut chunk = vec![0; CHUNK_BYTES.min(len - start)];
            fill(&mut chunk);
            Arc::new(chunk)
        };
        Self { chunks: starts.map(chunk).collect(), len }
    }

    /// Changes the bytes as a whole, without a copy if they are one chunk that nobody shares.
    pub(crate) fn edit_whole<R>(&mut self, change: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut bytes = match self.chunks.as_mut_slice() {
            [chunk] => std::mem::take(Arc::make_mut(chunk)),
            _ => self.to_vec(),
        };
        let result = change(&mut bytes);
        self.len = bytes.len();
        match self.chunks.as_mut_slice() {
            [chunk] if bytes.len() <= CHUNK_BYTES => *Arc::make_mut(chunk) = bytes,
            _ => *self = Self::from_slice(&bytes),
        }
        result
    }

    /// Lengthens the string to `len` with zeros; never shortens it.
    pub(crate) fn grow(&mut self, len: usize) {
        while self.len < len {
            let within = self.len % CHUNK_BYTES;
            if within == 0 {
                self.chunks.push(Arc::new(Vec::new()));
            }
            let add = (len - self.len).min(CHUNK_BYTES - within);
            let last = self.chunks.last_mut().expect("pushed when the last one was full");
            Arc::make_mut(last).resize(within + add, 0);
            self.len += add;
        }
    }

    /// See [`Object::free_some`](super::Object::free_some).
    pub(super) fn free_some(&mut self, most: Freed) -> Freed {
        let mut freed = Freed::default();
        while freed.bytes < most.bytes && freed.objects < most.objects {
            let Some(chunk) = self.chunks.pop() else { break };
            freed.bytes += chunk.capacity();
            freed.objects += 1;
        }
        freed
    }

    pub(crate) fn allocated_bytes(&self) -> usize {
        let chunk = |chunk: &Arc<Vec<u8>>| chunk.capacity() + size_of::<Vec<u8>>() + 16;
        self.chunks.capacity() * size_of::<usize>() + self.chunks.iter().map(chunk).sum::<usize>()
    }
}

/// A chunk that a reply keeps alive.
struct SharedChunk(Arc<Vec<u8>>);

impl AsRef<[u8]> for SharedChunk {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A string as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StringView<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    Chunks(&'a Chunks),
}

impl<'a> StringView<'a> {
    /// Length in bytes of the string form.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Int(value) => number::Decimal::new(value).as_bytes().len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Chunks(chunks) => chunks.len(),
        }
    }

    /// The string in one piece.
    pub(crate) fn to_bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Int(value) => Cow::Owned(number::Decimal::new(value).as_bytes().to_vec()),
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
            Self::Chunks(chunks) => Cow::Owned(chunks.to_vec()),
        }
    }

    /// The string's bytes in pieces, in order and without a copy; `digits` keeps those of an integer.
    pub(crate) fn pieces<'p>(self, digits: &'p mut Option<number::Decimal>) -> Pieces<'p>
    where
        'a: 'p,
    {
        match self {
            Self::Int(value) => {
                Pieces::One(Some(digits.insert(number::Decimal::new(value)).as_bytes()))
            }
            Self::Bytes(bytes) => Pieces::One(Some(bytes)),
            Self::Chunks(chunks) => Pieces::Chunks(chunks.chunks.iter()),
        }
    }

    /// Copies the bytes from `at` on into `target`, up to the string's end; returns how many.
    pub(crate) fn read_at(self, at: usize, target: &mut [u8]) -> usize {
        let copy = |source: &[u8], at: usize, target: &mut [u8]| {
            let source = source.get(at..).unwrap_or_default();
            let len = source.len().min(target.len());
            target[..len].copy_from_slice(&source[..len]);
            len
        };
        match self {
            Self::Int(value) => copy(number::Decimal::new(value).as_bytes(), at, target),
            Self::Bytes(bytes) => copy(bytes, at, target),
            Self::Chunks(chunks) => {
                let mut done = 0;
                while done < target.len()
                    && let Some(chunk) = chunks.chunks.get((at + done) / CHUNK_BYTES)
                {
                    match copy(chunk, (at + done) % CHUNK_BYTES, &mut target[done..]) {
                        0 => break,
                        len => done += len,
                    }
                }
                done
            }
        }
    }

    /// The string as the integer that it spells, by Redis's strict rules.
    pub(crate) fn integer(self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(value),
            Self::Bytes(bytes) => number::parse_i64(bytes),
            Self::Chunks(_) => None,
        }
    }
}

/// The pieces that a string is stored in; see [`StringView::pieces`].
#[derive(Clone, Debug)]
pub(crate) enum Pieces<'a> {
    One(Option<&'a [u8]>),
    Chunks(std::slice::Iter<'a, Arc<Vec<u8>>>),
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Self::One(piece) => piece.take(),
            Self::Chunks(chunks) => chunks.next().map(|chunk| chunk.as_slice()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_into_a_clone_leaves_the_original_alone() {
        let original = Chunks::from_slice(&vec![1; 3 * CHUNK_BYTES + 5]);
        let mut changed = original.clone();
        changed.write_at(CHUNK_BYTES - 2, &[9; 4]);
        changed.write_at(changed.len(), b"end");
        assert_eq!(original.to_vec(), vec![1; 3 * CHUNK_BYTES + 5]);
        assert_eq!(changed.range(CHUNK_BYTES - 3, CHUNK_BYTES + 3), [1, 9, 9, 9, 9, 1]);
        assert_eq!(changed.len(), original.len() + 3);
        assert!(Arc::ptr_eq(&changed.chunks()[2], &original.chunks()[2]));
    }

    #[test]
    fn a_range_is_the_same_copied_or_shared() {
        let bytes: Vec<u8> = (0..2 * CHUNK_BYTES + 9).map(|i| (i % 251) as u8).collect();
        let chunks = Chunks::from_slice(&bytes);
        let edges =
            [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, bytes.len()];
        for start in edges {
            for end in edges.into_iter().filter(|&end| end >= start) {
                let shared: Vec<Bytes> = chunks.shared_range(start, end).collect();
                assert_eq!(shared.concat(), bytes[start..end], "{start}..{end}");
                assert_eq!(chunks.range(start, end), bytes[start..end], "{start}..{end}");
            }
        }
    }

    #[test]
    fn writing_past_the_end_fills_with_zeros() {
        let mut chunks = Chunks::from_slice(b"abc");
        chunks.write_at(2 * CHUNK_BYTES + 1, b"z");
        let mut expected = vec![0; 2 * CHUNK_BYTES + 1];
        expected[..3].copy_from_slice(b"abc");
        expected.push(b'z');
        assert_eq!(chunks.to_vec(), expected);
    }

    #[test]
    fn pieces_and_short_reads_are_the_string() {
        let bytes: Vec<u8> = (0..2 * CHUNK_BYTES + 9).map(|i| (i % 251) as u8).collect();
        let chunks = Chunks::from_slice(&bytes);
        let views = [
            (StringView::Int(-120), b"-120".to_vec()),
            (StringView::Bytes(b"abc"), b"abc".to_vec()),
            (StringView::Chunks(&chunks), bytes),
        ];
        for (view, bytes) in views {
            assert_eq!(view.pieces(&mut None).flatten().copied().collect::<Vec<u8>>(), bytes);
            for at in [0, 1, 3, CHUNK_BYTES - 4, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 9, 1 << 40] {
                let mut target = [0; 9];
                let len = view.read_at(at, &mut target);
                let expected = bytes.get(at..).unwrap_or_default();
                assert_eq!(target[..len], expected[..expected.len().min(9)], "at {at}");
            }
        }
    }

    #[test]
    fn a_whole_edit_keeps_shared_chunks_and_fits_the_rest_into_chunks() {
        for len in [0, 5, CHUNK_BYTES, CHUNK_BYTES + 1] {
            let original = Chunks::from_slice(&vec![1; len]);
            for added in [0, 1, CHUNK_BYTES + 1] {
                let mut changed = original.clone();
                changed.edit_whole(|bytes| bytes.resize(len + added, 2));
                let expected = [vec![1; len], vec![2; added]].concat();
                assert_eq!((changed.to_vec(), changed.len()), (expected, len + added));
                assert!(changed.chunks().iter().all(|chunk| chunk.len() <= CHUNK_BYTES));
            }
            assert_eq!(original.to_vec(), vec![1; len]);
        }
    }

    #[test]
    fn a_filled_string_is_filled_in_order() {
        let mut filled = 0;
        let chunks = Chunks::filled(CHUNK_BYTES + 3, |chunk| {
            filled += 1;
            chunk.fill(filled);
        });
        assert_eq!(chunks.to_vec(), [vec![1; CHUNK_BYTES], vec![2; 3]].concat());
        assert_eq!(chunks.len(), CHUNK_BYTES + 3);
    }
}
