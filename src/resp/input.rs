//! The bytes of a request stream that have arrived and are not yet processed.
//!
//! Processed bytes are skipped, and the rest moves only if at least as much was skipped before, or
//! if the memory grows by as much as there is. So a byte is copied a bounded number of times,
//! however many pieces a request arrives in. Memory grows with the bytes that have arrived, never
//! with what a length line alone promises.

use bytes::BufMut;
use bytes::buf::Limit;

/// Most memory that an empty input keeps: an idle connection holds little.
const KEPT_BYTES_MAX: usize = 512;
/// Bounds on the bytes that one read may bring; less if fewer are wanted.
const ROOM_BYTES_MIN: usize = 1024;
const ROOM_BYTES_MAX: usize = 256 * 1024;
/// Room after a large argument for the rest of its request.
const SLACK_BYTES: usize = 4096;

/// Bytes that wait to be executed.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    /// Processed bytes at the start.
    done: usize,
    /// Bytes that were copied to make room.
    #[cfg(test)]
    pub(crate) moved: usize,
}

impl Input {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.done)
    }

    /// Memory that holds none of these bytes.
    pub(crate) fn free_bytes(&self) -> usize {
        self.bytes.capacity().saturating_sub(self.len())
    }

    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        self.bytes.get(self.done..).unwrap_or_default()
    }

    /// Marks the next `len` bytes as processed.
    #[inline]
    pub(crate) fn consume(&mut self, len: usize) {
        self.done = self.done.saturating_add(len);
        if self.done >= self.bytes.len() {
            self.done = 0;
            if self.bytes.capacity() > KEPT_BYTES_MAX {
                self.bytes = Vec::new();
            } else {
                self.bytes.clear();
            }
        }
    }

    /// Appends bytes that arrived elsewhere.
    #[inline]
    pub(crate) fn push(&mut self, more: &[u8]) {
        if self.bytes.capacity().saturating_sub(self.bytes.len()) < more.len() {
            self.make_room(more.len(), usize::MAX);
        }
        self.bytes.extend_from_slice(more);
    }

    /// The buffer for one read. `missing` is how much the argument being read still lacks, 0 if
    /// unknown: the read ends with the argument.
    pub(crate) fn room(&mut self, missing: usize) -> Limit<&mut Vec<u8>> {
        let wanted = if missing == 0 { ROOM_BYTES_MAX } else { missing.min(ROOM_BYTES_MAX) };
        let most = if missing == 0 { usize::MAX } else { missing.saturating_add(SLACK_BYTES) };
        self.make_room(wanted.min(ROOM_BYTES_MIN), most);
        let spare = self.bytes.capacity().saturating_sub(self.bytes.len());
        (&mut self.bytes).limit(spare.min(wanted))
    }

    /// Ensures room for `least` bytes. Memory grows by as much as there is, or by three times that
    /// up to `most` bytes.
    #[cold]
    fn make_room(&mut self, least: usize, most: usize) {
        let (len, capacity) = (self.len(), self.bytes.capacity());
        let fits = |used: usize| capacity.saturating_sub(used) >= least;
        if fits(self.bytes.len()) {
            return;
        }
        if self.done >= len && self.done > 0 {
            // At least as many bytes were skipped as move.
            self.bytes.drain(..self.done);
            self.done = 0;
            self.count_moved(len);
            if fits(len) {
                return;
            }
        }
        // If the missing length is known, few and large steps: each costs a copy.
        let step = if most == usize::MAX { len } else { len.saturating_mul(3) };
        let more = step.max(KEPT_BYTES_MAX / 2).min(most).max(least);
        if self.done > 0 {
            self.bytes.drain(..self.done);
            self.done = 0;
            self.count_moved(len);
        }
        // The allocator may have room after the present bytes.
        self.bytes.reserve_exact(more);
        self.count_moved(len);
    }

    #[cfg(test)]
    fn count_moved(&mut self, len: usize) {
        self.moved += len;
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "counted in tests")]
    fn count_moved(&mut self, _: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Limits, Parser, Request};

    const LIMITS: Limits = Limits { bulk_bytes_max: 512 << 20, authenticated: true };

    /// Reads a stream as a connection does, `piece` bytes at a time; returns the requests in it.
    fn read(input: &mut Input, stream: &[u8], piece: usize) -> usize {
        let (mut parser, mut spans, mut requests) = (Parser::default(), Vec::new(), 0);
        let mut left = stream;
        while !left.is_empty() {
            let mut room = input.room(parser.missing(input.len()));
            let take = left.len().min(piece).min(room.remaining_mut());
            room.put_slice(&left[..take]);
            left = &left[take..];
            while let Some((request, len)) =
                parser.parse(input.unread(), &mut spans, LIMITS).expect("it makes sense")
            {
                assert_eq!(request, Request::Multibulk);
                input.consume(len);
                spans.clear();
                requests += 1;
            }
        }
        requests
    }

    fn set(len: usize) -> Vec<u8> {
        let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${len}\r\n");
        [head.as_bytes(), &vec![b'v'; len], b"\r\n"].concat()
    }

    #[test]
    fn one_large_argument_is_copied_a_bounded_number_of_times() {
        for megabytes in [1, 8, 32] {
            let mut input = Input::default();
            let stream = set(megabytes << 20);
            assert_eq!(read(&mut input, &stream, 16 * 1024), 1);
            assert!(input.moved <= 2 * stream.len(), "{} of {}", input.moved, stream.len());
            assert_eq!(input.bytes.capacity(), 0, "nothing of it stays");
        }
    }

    #[test]
    fn memory_grows_with_what_has_arrived() {
        let mut input = Input::default();
        let stream = set(500 << 20);
        let mut parser = Parser::default();
        for piece in stream[..4 << 20].chunks(10_000) {
            let mut room = input.room(parser.missing(input.len()));
            assert!(room.remaining_mut() > 0);
            let take = piece.len().min(room.remaining_mut());
            room.put_slice(&piece[..take]);
            input.push(&piece[take..]);
            assert_eq!(parser.parse(input.unread(), &mut Vec::new(), LIMITS), Ok(None));
            assert!(input.bytes.capacity() <= 4 * input.len() + (64 << 10));
        }
    }

    #[test]
    fn a_long_pipeline_is_consumed_where_it_lies() {
        let mut input = Input::default();
        let stream = set(100).repeat(100_000);
        assert_eq!(read(&mut input, &stream, 50_000), 100_000);
        assert!(input.moved <= stream.len(), "{} of {}", input.moved, stream.len());
        // All of it is there, and then taken in small parts.
        input.moved = 0;
        input.push(&stream);
        for part in stream.chunks(131) {
            assert_eq!(&input.unread()[..part.len()], part);
            input.consume(part.len());
        }
        assert_eq!((input.moved, input.len()), (0, 0));
    }
}
