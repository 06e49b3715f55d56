//! Parts of strings: lengths, ranges, changes in place.

use crate::commands::{Args, Context, Failure, Handled};
use crate::keyspace::{Content, Key};
use crate::settings::EventClasses;
use crate::types::{CHUNK_BYTES, Chunks, Object, StringView};

pub(super) fn strlen(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let string = ctx.keys.read_string(key)?;
    ctx.reply.count(string.map_or(0, StringView::len));
    Ok(())
}

pub(super) fn getrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (start, end) = (Context::integer(args.at(2))?, Context::integer(args.at(3))?);
    let key = ctx.keys.at(args, 1);
    let Some(string) = ctx.keys.read_string(key)? else {
        ctx.reply.bulk(b"");
        return Ok(());
    };
    let (start, end) = bounds(string.len(), start, end);
    match string {
        StringView::Chunks(chunks) if end - start > CHUNK_BYTES => {
            ctx.reply.bulk_shared(end - start, chunks.shared_range(start, end));
        }
        StringView::Chunks(chunks) => ctx.reply.bulk(&chunks.range(start, end)),
        short => ctx.reply.bulk(&short.to_bytes()[start..end]),
    }
    Ok(())
}

/// A range's first byte and the one after its last, limited to `len` bytes. Negative bounds count
/// from the end.
fn bounds(len: usize, start: i64, end: i64) -> (usize, usize) {
    if start < 0 && end < 0 && start > end {
        return (0, 0);
    }
    let absolute = |bound: i64| {
        let magnitude = usize::try_from(bound.unsigned_abs()).unwrap_or(usize::MAX);
        if bound < 0 { len.saturating_sub(magnitude) } else { magnitude }
    };
    let (start, end) = (absolute(start), absolute(end).saturating_add(1).min(len));
    if start < end { (start, end) } else { (0, 0) }
}

/// Refuses a string that would be longer than a client may send.
fn check_length(ctx: &Context<'_>, len: usize, more: usize) -> Result<usize, Failure> {
    let max = ctx.node.settings.load().clients.proto_max_bulk_len_bytes;
    let total = len.checked_add(more).filter(|&total| total as u64 <= max);
    total.ok_or(Failure::StringTooLong)
}

/// A string before an in-place change: short ones are copied, since they are stored in the entry.
#[derive(Debug)]
enum Before {
    Missing,
    Short(Vec<u8>),
    /// Its length.
    Chunked(usize),
}

impl Before {
    fn look(ctx: &mut Context<'_>, key: Key<'_>) -> Result<Self, Failure> {
        Ok(match ctx.keys.write_string(key)? {
            None => Self::Missing,
            Some(StringView::Chunks(chunks)) => Self::Chunked(chunks.len()),
            Some(short) => Self::Short(short.to_bytes().into_owned()),
        })
    }

    fn len(&self) -> usize {
        match self {
            Self::Missing => 0,
            Self::Short(bytes) => bytes.len(),
            Self::Chunked(len) => *len,
        }
    }
}

pub(super) fn append(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (key, tail) = (ctx.keys.at(args, 1), args.at(2));
    let before = Before::look(ctx, key)?;
    let len = match before {
        Before::Missing => tail.len(),
        _ => check_length(ctx, before.len(), tail.len())?,
    };
    match before {
        Before::Missing => ctx.keys.store(key, Content::encode(tail), None),
        before => write(ctx, key, before, len - tail.len(), tail),
    }
    ctx.keys.changed(key, EventClasses::STRING, "append");
    ctx.reply.count(len);
    Ok(())
}

pub(super) fn setrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let offset = Context::integer(args.at(2))?;
    let offset = usize::try_from(offset).map_err(|_| Failure::NegativeOffset)?;
    let (key, part) = (ctx.keys.at(args, 1), args.at(3));
    let before = Before::look(ctx, key)?;
    let mut len = before.len();
    if !part.is_empty() {
        len = len.max(check_length(ctx, offset, part.len())?);
        write(ctx, key, before, offset, part);
        ctx.keys.changed(key, EventClasses::STRING, "setrange");
    }
    ctx.reply.count(len);
    Ok(())
}

/// Writes a part into a string, zero-padding it first where it is shorter.
fn write(ctx: &mut Context<'_>, key: Key<'_>, before: Before, offset: usize, part: &[u8]) {
    let end = offset + part.len();
    match before {
        Before::Chunked(_) => {
            ctx.keys.edit(key, |place| {
                if let Some(Object::String(chunks)) = place.object_mut() {
                    chunks.write_at(offset, part);
                }
            });
        }
        short if end > CHUNK_BYTES => {
            let mut chunks = match short {
                Before::Short(bytes) => Chunks::from_slice(&bytes),
                _ => Chunks::default(),
            };
            chunks.write_at(offset, part);
            let object = Box::new(Object::String(chunks));
            ctx.keys.store_value(key, Content::Object(object));
        }
        short => {
            let mut bytes = match short {
                Before::Short(bytes) => bytes,
                _ => Vec::new(),
            };
            bytes.resize(bytes.len().max(end), 0);
            bytes[offset..end].copy_from_slice(part);
            ctx.keys.store_value(key, Content::raw(&bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bounds;

    #[test]
    fn bounds_are_cut_to_the_string() {
        let cases = [
            (0, -1, 0..5),
            (1, 3, 1..4),
            (-3, -2, 2..4),
            (-100, 100, 0..5),
            (4, 4, 4..5),
            (5, 9, 0..0),
            (3, 2, 0..0),
            (-1, -5, 0..0),
            (0, -100, 0..1),
            (-9, -8, 0..1),
            (i64::MIN, i64::MAX, 0..5),
            (i64::MAX, i64::MAX, 0..0),
            (0, i64::MIN, 0..1),
        ];
        for (start, end, expected) in cases {
            let (from, to) = bounds(5, start, end);
            assert_eq!(from..to, expected, "{start} {end}");
        }
        assert_eq!(bounds(0, 0, -1), (0, 0));
    }
}
