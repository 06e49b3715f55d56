//! Replies: what the server writes, in RESP2 or RESP3.
//!
//! One [`Output`] collects the replies of a batch. Small things are copied; long strings are kept
//! as shared pieces in between, for one vectored write.

use bytes::Bytes;

use crate::number::Decimal;

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

impl Protocol {
    pub(crate) fn version(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// Most bytes of framing around a bulk string.
const BULK_FRAME_BYTES: usize = 32;

/// The numbers below a hundred.
static TWO_DIGITS: [[u8; 2]; 100] = two_digits();

const fn two_digits() -> [[u8; 2]; 100] {
    let mut numbers = [*b"00"; 100];
    let mut rest = numbers.as_mut_slice();
    let mut digits = *b"00";
    while let [number, after @ ..] = rest {
        *number = digits;
        digits = match digits {
            [tens, b'9'] => [tens.wrapping_add(1), b'0'],
            [tens, ones] => [tens, ones.wrapping_add(1)],
        };
        rest = after;
    }
    numbers
}

/// Shorter output is copied when it must be kept.
const COPIED_BYTES_MAX: usize = 64 * 1024;
/// From this length on, sharing a string among several outputs is cheaper than copying it.
const SHARED_BYTES_MIN: usize = 4096;

/// A string that goes into several outputs.
#[derive(Clone, Debug)]
pub(crate) enum Part<'a> {
    Copied(&'a [u8]),
    Shared(Bytes),
}

impl<'a> Part<'a> {
    /// Copies a long string once, to share it from then on.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        if bytes.len() < SHARED_BYTES_MIN {
            Self::Copied(bytes)
        } else {
            Self::Shared(Bytes::copy_from_slice(bytes))
        }
    }

    /// The same for bytes that can be shared as they are.
    pub(crate) fn sharing(bytes: &'a Bytes) -> Self {
        if bytes.len() < SHARED_BYTES_MIN {
            Self::Copied(bytes)
        } else {
            Self::Shared(bytes.clone())
        }
    }
}

/// A shared piece that goes out after the first `at` bytes.
#[derive(Clone, Debug)]
struct Piece {
    at: usize,
    bytes: Bytes,
}

impl Piece {
    fn later_by(&self, bytes: usize) -> Self {
        Self { at: self.at.saturating_add(bytes), bytes: self.bytes.clone() }
    }
}

/// Replies in order.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    pub(crate) protocol: Protocol,
}

/// A position in an [`Output`] to return to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bookmark {
    bytes: usize,
    pieces: usize,
}

impl Bookmark {
    /// The same position after `inserted` was put before it.
    pub(crate) fn later_by(self, inserted: &Output) -> Self {
        Self {
            bytes: self.bytes.saturating_add(inserted.bytes.len()),
            pieces: self.pieces.saturating_add(inserted.pieces.len()),
        }
    }
}

impl Output {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self { protocol, ..Self::default() }
    }

    /// Bytes that will be written.
    pub(crate) fn len(&self) -> usize {
        self.pieces
            .iter()
            .fold(self.bytes.len(), |sum, piece| sum.saturating_add(piece.bytes.len()))
    }

    /// Bytes of memory, without shared pieces.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The bytes, if there is no shared piece among them.
    pub(crate) fn plain(&self) -> Option<&[u8]> {
        self.pieces.is_empty().then_some(&self.bytes)
    }

    /// Passes everything to `each`, in order, shared pieces as they are; leaves it empty. Short
    /// output is copied, to reuse the memory; long output is moved.
    pub(crate) fn take(&mut self, mut each: impl FnMut(Bytes)) {
        let bytes = if self.bytes.len() < COPIED_BYTES_MAX {
            let copied = Bytes::copy_from_slice(&self.bytes);
            self.bytes.clear();
            copied
        } else {
            Bytes::from(std::mem::take(&mut self.bytes))
        };
        let mut done = 0;
        for piece in self.pieces.drain(..) {
            if piece.at > done {
                each(bytes.slice(done..piece.at));
            }
            done = piece.at;
            each(piece.bytes);
        }
        if bytes.len() > done {
            each(bytes.slice(done..));
        }
    }

    /// Gives everything to `to`, which is empty; its memory comes back in exchange.
    pub(crate) fn give_to(&mut self, to: &mut Vec<u8>) {
        debug_assert!(to.is_empty(), "it is for one reply");
        if self.pieces.is_empty() {
            return std::mem::swap(&mut self.bytes, to);
        }
        let mut rest = self.bytes.as_slice();
        let mut done = 0_usize;
        for piece in self.pieces.drain(..) {
            let (before, after) = rest.split_at(piece.at.saturating_sub(done));
            to.extend_from_slice(before);
            to.extend_from_slice(&piece.bytes);
            (rest, done) = (after, piece.at);
        }
        to.extend_from_slice(rest);
        self.bytes.clear();
    }

    /// Prepares for the replies to a client. Bytes left by another one, whose connection broke
    /// before they were written, must go to nobody.
    #[inline]
    pub(crate) fn begin(&mut self, protocol: Protocol) {
        self.bytes.clear();
        self.pieces.clear();
        self.protocol = protocol;
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
        // Do not keep the memory of one huge reply.
        self.bytes.shrink_to(1 << 20);
    }

    /// Frees memory for replies beyond `bytes`, if there are none now.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        self.bytes.shrink_to(bytes);
    }

    pub(crate) fn bookmark(&self) -> Bookmark {
        Bookmark { bytes: self.bytes.len(), pieces: self.pieces.len() }
    }

    /// Discards what was written since the bookmark.
    pub(crate) fn truncate(&mut self, to: Bookmark) {
        self.bytes.truncate(to.bytes);
        self.pieces.truncate(to.pieces);
    }

    /// Inserts `other` at the bookmark. Shared pieces stay shared.
    pub(crate) fn insert(&mut self, at: Bookmark, other: &Self) {
        self.bytes.splice(at.bytes..at.bytes, other.bytes.iter().copied());
        for piece in self.pieces.iter_mut().skip(at.pieces) {
            piece.at = piece.at.saturating_add(other.bytes.len());
        }
        let inserted = other.pieces.iter().map(|piece| piece.later_by(at.bytes));
        self.pieces.splice(at.pieces..at.pieces, inserted);
    }

    /// Appends `other`. Shared pieces stay shared.
    pub(crate) fn append(&mut self, other: &Self) {
        let at = self.bytes.len();
        self.pieces.extend(other.pieces.iter().map(|piece| piece.later_by(at)));
        self.raw(&other.bytes);
    }

    /// Appends bytes that are already encoded.
    #[inline]
    pub(crate) fn raw(&mut self, encoded: &[u8]) {
        self.bytes.extend_from_slice(encoded);
    }

    fn line(&mut self, kind: u8, value: i64) {
        self.bytes.push(kind);
        self.raw(Decimal::new(value).as_bytes());
        self.raw(b"\r\n");
    }

    /// A length line; lengths of what is in memory fit.
    #[inline]
    fn length(&mut self, kind: u8, len: usize) {
        // Most are short: one store of a few bytes known in advance.
        match (len, TWO_DIGITS.get(len)) {
            (0..10, Some([_, ones])) => self.raw(&[kind, *ones, b'\r', b'\n']),
            (_, Some([tens, ones])) => self.raw(&[kind, *tens, *ones, b'\r', b'\n']),
            _ => self.line(kind, i64::try_from(len).unwrap_or(i64::MAX)),
        }
    }

    pub(crate) fn simple(&mut self, text: &str) {
        self.bytes.push(b'+');
        self.raw(text.as_bytes());
        self.raw(b"\r\n");
    }

    #[inline]
    pub(crate) fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// An error with its code, e.g. `ERR syntax error`. Line breaks around it are dropped; inner
    /// ones become spaces.
    pub(crate) fn error(&mut self, text: &[u8]) {
        self.bytes.push(b'-');
        let clean = |byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte };
        let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let start = text.iter().position(|byte| !is_break(byte)).unwrap_or(text.len());
        let last = text.iter().rposition(|byte| !is_break(byte));
        let end = last.map_or(start, |last| last.saturating_add(1));
        self.bytes.extend(text.get(start..end).unwrap_or_default().iter().map(clean));
        self.raw(b"\r\n");
    }

    #[inline]
    pub(crate) fn integer(&mut self, value: i64) {
        self.line(b':', value);
    }

    /// A count of things in memory.
    pub(crate) fn count(&mut self, value: usize) {
        self.length(b':', value);
    }

    #[inline]
    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.bytes.reserve(bytes.len().saturating_add(BULK_FRAME_BYTES));
        self.length(b'$', bytes.len());
        self.raw(bytes);
        self.raw(b"\r\n");
    }

    /// Encoded bytes shared with other outputs.
    pub(crate) fn raw_part(&mut self, part: &Part<'_>) {
        match part {
            Part::Copied(bytes) => self.raw(bytes),
            Part::Shared(bytes) => {
                self.pieces.push(Piece { at: self.bytes.len(), bytes: bytes.clone() });
            }
        }
    }

    /// A bulk string shared with other outputs.
    pub(crate) fn bulk_part(&mut self, part: &Part<'_>) {
        match part {
            Part::Copied(bytes) => self.bulk(bytes),
            Part::Shared(bytes) => {
                self.bulk_shared(bytes.len(), std::iter::once(bytes.clone()));
            }
        }
    }

    /// The decimal form of an integer as a bulk string.
    pub(crate) fn bulk_integer(&mut self, value: i64) {
        self.bulk(Decimal::new(value).as_bytes());
    }

    /// A bulk string in pieces that are shared with their owner.
    pub(crate) fn bulk_shared(&mut self, len: usize, pieces: impl Iterator<Item = Bytes>) {
        self.length(b'$', len);
        let at = self.bytes.len();
        self.pieces.extend(pieces.map(|bytes| Piece { at, bytes }));
        self.raw(b"\r\n");
    }

    /// An integer of any size, in decimal: a bulk string in RESP2.
    pub(crate) fn big_number(&mut self, digits: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(digits),
            Protocol::Resp3 => {
                self.bytes.push(b'(');
                self.raw(digits);
                self.raw(b"\r\n");
            }
        }
    }

    /// An attribute of `pairs` keys and values, which follow, for the reply after it. RESP3 only.
    pub(crate) fn attribute(&mut self, pairs: usize) {
        self.length(b'|', pairs);
    }

    /// No value: a null bulk string in RESP2.
    #[inline]
    pub(crate) fn null(&mut self) {
        self.raw(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// No array: a null array in RESP2.
    pub(crate) fn null_array(&mut self) {
        self.raw(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    #[inline]
    pub(crate) fn array(&mut self, len: usize) {
        self.length(b'*', len);
    }

    /// A map of `pairs` keys and values, which follow; a flat array in RESP2.
    pub(crate) fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.length(b'*', pairs.saturating_mul(2)),
            Protocol::Resp3 => self.length(b'%', pairs),
        }
    }

    /// A set; an array in RESP2.
    pub(crate) fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.length(b'*', len),
            Protocol::Resp3 => self.length(b'~', len),
        }
    }

    /// An out-of-band message; an array in RESP2.
    pub(crate) fn push(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.length(b'*', len),
            Protocol::Resp3 => self.length(b'>', len),
        }
    }

    /// A floating point number in Redis's form: a bulk string in RESP2.
    pub(crate) fn double(&mut self, text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.bytes.push(b',');
                self.raw(text);
                self.raw(b"\r\n");
            }
        }
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        match self.protocol {
            Protocol::Resp2 => self.integer(i64::from(value)),
            Protocol::Resp3 => self.raw(if value { b"#t\r\n" } else { b"#f\r\n" }),
        }
    }

    /// Text with its format (three letters), which RESP2 leaves out.
    pub(crate) fn verbatim(&mut self, format: &[u8; 3], text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.length(b'=', text.len().saturating_add(4));
                self.raw(format);
                self.raw(b":");
                self.raw(text);
                self.raw(b"\r\n");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, write: impl Fn(&mut Output)) -> Vec<u8> {
        let mut output = Output { protocol, ..Output::default() };
        write(&mut output);
        let mut all = Vec::new();
        output.take(|bytes| all.extend_from_slice(&bytes));
        all
    }

    #[test]
    fn types_differ_by_protocol() {
        let write = |output: &mut Output| {
            output.map(1);
            output.null();
            output.null_array();
            output.boolean(true);
            output.double(b"1.5");
            output.verbatim(b"txt", b"hi");
        };
        let two = b"*2\r\n$-1\r\n*-1\r\n:1\r\n$3\r\n1.5\r\n$2\r\nhi\r\n";
        let three = b"%1\r\n_\r\n_\r\n#t\r\n,1.5\r\n=6\r\ntxt:hi\r\n";
        assert_eq!(written(Protocol::Resp2, write), two);
        assert_eq!(written(Protocol::Resp3, write), three);
    }

    #[test]
    fn errors_stay_on_their_line() {
        assert_eq!(written(Protocol::Resp2, |o| o.error(b"ERR a\r\nb")), b"-ERR a  b\r\n");
    }

    #[test]
    fn shared_pieces_keep_their_place() {
        let all = written(Protocol::Resp2, |output| {
            output.ok();
            let before = output.bookmark();
            let piece = Bytes::from_static(b"abc");
            output.bulk_shared(6, [piece.clone(), piece].into_iter());
            output.integer(7);
            let mut first = Output::default();
            first.simple("first");
            first.bulk_part(&Part::Shared(Bytes::from_static(b"xyz")));
            output.insert(before, &first);
            let behind = before.later_by(&first);
            let mut second = Output::default();
            second.simple("second");
            output.insert(behind, &second);
            output.append(&first);
        });
        let inserted = b"+OK\r\n+first\r\n$3\r\nxyz\r\n+second\r\n";
        let rest = b"$6\r\nabcabc\r\n:7\r\n+first\r\n$3\r\nxyz\r\n";
        assert_eq!(all, [&inserted[..], rest].concat());
    }

    #[test]
    fn much_output_is_given_away_and_not_copied() {
        let mut output = Output::default();
        output.raw(&vec![b'x'; COPIED_BYTES_MAX]);
        let (lies_at, mut taken) = (output.bytes.as_ptr(), None);
        output.take(|bytes| taken = Some(bytes));
        assert_eq!(taken.expect("it has some").as_ptr(), lies_at);
    }

    #[test]
    fn truncating_takes_pieces_back_too() {
        let all = written(Protocol::Resp2, |output| {
            output.ok();
            let mark = output.bookmark();
            output.bulk_shared(3, std::iter::once(Bytes::from_static(b"abc")));
            output.truncate(mark);
            output.null();
        });
        assert_eq!(all, b"+OK\r\n$-1\r\n");
    }
}
