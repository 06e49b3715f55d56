//! Requests: multibulk and inline, whole or in pieces.
//!
//! Rules, limits and error texts are those of Redis 7.0's `networking.c`.

use crate::number;
use crate::text::{UnbalancedQuotes, next_word};

/// An inline request or length line whose end has not arrived after this many bytes is too long. A
/// longer one that arrives whole is accepted, as in Redis.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// What a client may send before it has authenticated: arguments, and bytes of each.
const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
const UNAUTHENTICATED_BULK_BYTES_MAX: i64 = 16 * 1024;

/// Position of an argument, in bytes from the start of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Longest argument in bytes (proto-max-bulk-len).
    pub(crate) bulk_bytes_max: i64,
    pub(crate) authenticated: bool,
}

/// Why a request stream must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    InvalidMultibulkLength,
    UnauthenticatedMultibulkLength,
    TooBigMultibulkCount,
    InvalidBulkLength,
    UnauthenticatedBulkLength,
    TooBigBulkCount,
    ExpectedDollar(u8),
    TooBigInline,
    UnbalancedQuotes,
}

impl ProtocolError {
    /// Code and text, as they follow the `-`.
    pub(crate) fn text(&self) -> Vec<u8> {
        let what = match self {
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::TooBigMultibulkCount => "too big mbulk count string",
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::TooBigBulkCount => "too big bulk count string",
            Self::TooBigInline => "too big inline request",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::ExpectedDollar(got) => {
                return [b"ERR Protocol error: expected '$', got '", &[*got][..], b"'"].concat();
            }
        };
        [b"ERR Protocol error: ", what.as_bytes()].concat()
    }
}

/// A whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Its arguments are the spans that were pushed.
    Multibulk,
    /// A line to split, without its line break.
    Inline(Span),
    /// Nothing to do: an empty line or an empty multibulk.
    Empty,
}

/// Parses requests; keeps its position in an incomplete one.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// Arguments still to come; `None` before the first line is read.
    args_left: Option<i64>,
    /// Length of the argument being read.
    bulk_len: Option<usize>,
    /// How far the request has been read.
    at: usize,
    /// Arguments of an incomplete request.
    partial: Vec<Span>,
}

impl Parser {
    /// Reads one request from the start of `buffer`, pushing its arguments onto `spans`. Returns
    /// the request and its length in bytes, or `None` when more bytes are needed; then the next
    /// call must begin with the same bytes.
    ///
    /// # Errors
    /// When the stream is invalid from here on.
    #[inline]
    pub(crate) fn parse(
        &mut self,
        buffer: &[u8],
        spans: &mut Vec<Span>,
        limits: Limits,
    ) -> Result<Option<(Request, usize)>, ProtocolError> {
        if !self.partial.is_empty() {
            return self.resume(buffer, spans, limits);
        }
        let first = spans.len();
        match self.advance(buffer, spans, limits)? {
            Some(request) => Ok(Some((request, self.end_request()))),
            None => {
                self.partial.extend(spans.drain(first..));
                Ok(None)
            }
        }
    }

    /// Continues a request with arguments read before. They stay in `partial` until it is complete:
    /// there may be a million of them, and as many calls.
    #[cold]
    fn resume(
        &mut self,
        buffer: &[u8],
        spans: &mut Vec<Span>,
        limits: Limits,
    ) -> Result<Option<(Request, usize)>, ProtocolError> {
        let mut partial = std::mem::take(&mut self.partial);
        let advanced = self.advance(buffer, &mut partial, limits);
        if let Ok(Some(request)) = advanced {
            spans.append(&mut partial);
            return Ok(Some((request, self.end_request())));
        }
        self.partial = partial;
        advanced.map(|_| None)
    }

    /// Resets for the next request; returns the length of this one.
    #[inline]
    fn end_request(&mut self) -> usize {
        (self.args_left, self.bulk_len) = (None, None);
        std::mem::take(&mut self.at)
    }

    /// Drops the position in an incomplete request: the next call begins with other bytes.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }

    /// How many of `buffered` bytes were not parsed into arguments yet.
    pub(crate) fn unparsed(&self, buffered: usize) -> usize {
        buffered.saturating_sub(self.at)
    }

    /// Bytes that the argument being read still lacks: a hint for how much to read.
    pub(crate) fn missing(&self, buffered: usize) -> usize {
        let end = self.bulk_len.map_or(0, |len| self.at.saturating_add(len).saturating_add(2));
        end.saturating_sub(buffered)
    }

    #[inline]
    fn advance(
        &mut self,
        buffer: &[u8],
        spans: &mut Vec<Span>,
        limits: Limits,
    ) -> Result<Option<Request>, ProtocolError> {
        let count = match self.args_left {
            Some(left) => left,
            None => {
                match *buffer {
                    [] => return Ok(None),
                    // Most requests have few arguments.
                    [b'*', digit @ b'1'..=b'9', b'\r', _, ..] => {
                        self.at = 4;
                        return self.bulks(
                            i64::from(digit.wrapping_sub(b'0')),
                            buffer,
                            spans,
                            limits,
                        );
                    }
                    [b'*', ..] => {}
                    _ => return self.inline(buffer),
                }
                let Some(line) = self.line(buffer, ProtocolError::TooBigMultibulkCount)? else {
                    return Ok(None);
                };
                let count = length(line.get(1..).unwrap_or_default())
                    .filter(|&count| count <= i64::from(i32::MAX))
                    .ok_or(ProtocolError::InvalidMultibulkLength)?;
                if !limits.authenticated && count > UNAUTHENTICATED_ARGS_MAX {
                    return Err(ProtocolError::UnauthenticatedMultibulkLength);
                }
                if count <= 0 {
                    return Ok(Some(Request::Empty));
                }
                count
            }
        };
        self.bulks(count, buffer, spans, limits)
    }

    /// Reads the arguments that are left.
    #[inline]
    fn bulks(
        &mut self,
        mut left: i64,
        buffer: &[u8],
        spans: &mut Vec<Span>,
        limits: Limits,
    ) -> Result<Option<Request>, ProtocolError> {
        while left > 0 {
            let span = match self.short_bulk(buffer, limits) {
                Some(span) => span,
                None => match self.bulk(buffer, limits)? {
                    Some(span) => span,
                    None => {
                        self.args_left = Some(left);
                        return Ok(None);
                    }
                },
            };
            spans.push(span);
            left = left.wrapping_sub(1);
        }
        Ok(Some(Request::Multibulk))
    }

    /// Reads what most arguments are: whole, and shorter than a hundred bytes.
    #[inline]
    fn short_bulk(&mut self, buffer: &[u8], limits: Limits) -> Option<Span> {
        let digit = |byte: u8| u32::from(byte.wrapping_sub(b'0'));
        let (line, len) = match *buffer.get(self.at..)? {
            [b'$', ones @ b'0'..=b'9', b'\r', _, ..] => (4, digit(ones)),
            [b'$', tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', _, ..] => {
                (5, digit(tens).wrapping_mul(10).wrapping_add(digit(ones)))
            }
            _ => return None,
        };
        let start = u32::try_from(self.at).ok()?.checked_add(line)?;
        let end = (start as usize).checked_add(len as usize)?.checked_add(2)?;
        if self.bulk_len.is_some() || i64::from(len) > limits.bulk_bytes_max || buffer.len() < end {
            return None;
        }
        self.at = end;
        Some(Span { start, len })
    }

    /// Reads `$<len>\r\n<bytes>\r\n` at the current place.
    #[inline]
    fn bulk(&mut self, buffer: &[u8], limits: Limits) -> Result<Option<Span>, ProtocolError> {
        let len = match self.bulk_len {
            Some(len) => len,
            None => {
                let start = self.at;
                let Some(line) = self.line(buffer, ProtocolError::TooBigBulkCount)? else {
                    return Ok(None);
                };
                let [b'$', digits @ ..] = line else {
                    let got = buffer.get(start).copied().unwrap_or_default();
                    return Err(ProtocolError::ExpectedDollar(got));
                };
                let len = length(digits)
                    .filter(|&len| len >= 0 && len <= limits.bulk_bytes_max)
                    .ok_or(ProtocolError::InvalidBulkLength)?;
                if !limits.authenticated && len > UNAUTHENTICATED_BULK_BYTES_MAX {
                    return Err(ProtocolError::UnauthenticatedBulkLength);
                }
                let len = usize::try_from(len).map_err(|_| ProtocolError::InvalidBulkLength)?;
                self.bulk_len = Some(len);
                len
            }
        };
        let end = self.at.saturating_add(len).saturating_add(2);
        if buffer.len() < end {
            return Ok(None);
        }
        let (Ok(start), Ok(len)) = (u32::try_from(self.at), u32::try_from(len)) else {
            return Err(ProtocolError::InvalidBulkLength);
        };
        self.at = end;
        self.bulk_len = None;
        Ok(Some(Span { start, len }))
    }

    /// Reads to the end of a line; like Redis, checks only the `\r`.
    #[inline]
    fn line<'b>(
        &mut self,
        buffer: &'b [u8],
        too_big: ProtocolError,
    ) -> Result<Option<&'b [u8]>, ProtocolError> {
        let rest = buffer.get(self.at..).unwrap_or_default();
        // Length lines are a few bytes: a plain loop beats a search that sets up vectors.
        match rest.iter().position(|&byte| byte == b'\r') {
            Some(end) if rest.len() > end.saturating_add(1) => {
                self.at = self.at.saturating_add(end).saturating_add(2);
                Ok(rest.get(..end))
            }
            None if rest.len() >= LINE_BYTES_MAX => Err(too_big),
            _ => Ok(None),
        }
    }

    #[cold]
    fn inline(&mut self, buffer: &[u8]) -> Result<Option<Request>, ProtocolError> {
        // The part searched before has no line end.
        let rest = buffer.get(self.at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            self.at = buffer.len();
            let too_big = buffer.len() >= LINE_BYTES_MAX;
            return if too_big { Err(ProtocolError::TooBigInline) } else { Ok(None) };
        };
        let end = self.at.saturating_add(end);
        self.at = end.saturating_add(1);
        let line = buffer.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let len = u32::try_from(line.len()).map_err(|_| ProtocolError::TooBigInline)?;
        Ok(Some(Request::Inline(Span { start: 0, len })))
    }
}

/// A length as `string2ll` reads it, with a shortcut for the usual one.
#[inline]
fn length(digits: &[u8]) -> Option<i64> {
    match digits {
        [digit @ b'0'..=b'9'] => Some(i64::from(digit.wrapping_sub(b'0'))),
        _ => number::parse_i64(digits),
    }
}

/// Splits a line into arguments as Redis's `sdssplitargs` does, appending their bytes to `arena`
/// and their spans, which are relative to the arena's `base`, to `spans`.
///
/// # Errors
/// On a quote without its partner, or one followed by something other than a space.
pub(crate) fn split_inline(
    line: &[u8],
    arena: &mut Vec<u8>,
    base: usize,
    spans: &mut Vec<Span>,
) -> Result<(), ProtocolError> {
    let mut rest = line;
    loop {
        let start = arena.len();
        let found = next_word(&mut rest, arena);
        if !found.map_err(|UnbalancedQuotes| ProtocolError::UnbalancedQuotes)? {
            return Ok(());
        }
        let span = |from: usize, to: usize| {
            let start = u32::try_from(from.checked_sub(base)?).ok()?;
            Some(Span { start, len: u32::try_from(to.checked_sub(from)?).ok()? })
        };
        spans.push(span(start, arena.len()).ok_or(ProtocolError::TooBigInline)?);
    }
}

#[cfg(test)]
#[path = "request/tests.rs"]
mod tests;
