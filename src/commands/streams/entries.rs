//! Entries by their ids: XLEN, XRANGE, XREVRANGE, XDEL; and XSETID.

use super::{
    Args, Context, EventClasses, Failure, Handled, Stream, StreamId, reply_each, reply_entry,
};
use crate::types::stream::{parse_end, parse_start};

pub(super) fn xlen(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let len = ctx.keys.read_stream(key)?.map_or(0, Stream::len);
    ctx.reply.integer(len.cast_signed());
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
}

pub(super) fn xrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    range(ctx, args, Order::Ascending)
}

pub(super) fn xrevrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    range(ctx, args, Order::Descending)
}

fn range(ctx: &mut Context<'_>, args: &Args<'_>, order: Order) -> Handled {
    let (low, high) = if order == Order::Ascending { (2, 3) } else { (3, 2) };
    let (from, to) = (parse_start(args.at(low))?, parse_end(args.at(high))?);
    let (mut count, mut at) = (None, 4);
    while at < args.len() {
        if !args.is(at, "COUNT") || at + 1 == args.len() {
            return Err(Failure::Syntax);
        }
        count = Some(Context::integer(args.at(at + 1))?);
        at += 2;
    }
    let key = ctx.keys.at(args, 1);
    let Some(stream) = ctx.keys.read_stream(key)? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let count = match count {
        None => usize::MAX,
        Some(count) => usize::try_from(count).unwrap_or(0),
    };
    if count == 0 {
        ctx.reply.null_array();
        return Ok(());
    }
    match order {
        Order::Ascending => reply_each(ctx.reply, stream.range(from, to).take(count), reply_entry),
        Order::Descending => {
            reply_each(ctx.reply, stream.range_back(from, to).take(count), reply_entry);
        }
    }
    Ok(())
}

pub(super) fn xdel(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    if ctx.keys.write_stream(key)?.is_none() {
        ctx.reply.integer(0);
        return Ok(());
    }
    let ids = args.from(2).map(|arg| StreamId::parse_strict(arg, 0));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let deleted = ctx
        .keys
        .edit_stream(key, |stream| ids.into_iter().filter(|id| stream.delete(*id)).count() as u64);
    if deleted > 0 {
        ctx.keys.changed_for_nobody(key, EventClasses::STREAM, "xdel");
        ctx.keys.changed_much(deleted - 1);
    }
    ctx.reply.integer(deleted.cast_signed());
    Ok(())
}

/// What XSETID sets besides the last id.
#[derive(Default)]
struct Counts {
    entries_added: Option<u64>,
    max_deleted_id: StreamId,
}

impl Counts {
    fn parse(args: &Args<'_>, last_id: StreamId) -> Result<Self, Failure> {
        let (mut counts, mut at) = (Self::default(), 3);
        while at < args.len() {
            let has_more = at + 1 < args.len();
            if has_more && args.is(at, "ENTRIESADDED") {
                let entries = Context::integer(args.at(at + 1))?;
                let entries = u64::try_from(entries);
                let entries =
                    entries.map_err(|_| Failure::err("entries_added must be positive"))?;
                counts.entries_added = Some(entries);
            } else if has_more && args.is(at, "MAXDELETEDID") {
                counts.max_deleted_id = StreamId::parse_strict(args.at(at + 1), 0)?;
                if last_id < counts.max_deleted_id {
                    return Err(Failure::err(
                        "The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                    ));
                }
            } else {
                return Err(Failure::Syntax);
            }
            at += 2;
        }
        Ok(counts)
    }

    fn check(&self, stream: &Stream, last_id: StreamId) -> Handled {
        if stream.last_entry().is_some_and(|entry| last_id < entry.id) {
            return Err(Failure::err(
                "The ID specified in XSETID is smaller than the target stream top item",
            ));
        }
        if self.entries_added.is_some_and(|entries| stream.len() > entries) {
            return Err(Failure::err(
                "The entries_added specified in XSETID is smaller than the target stream length",
            ));
        }
        Ok(())
    }
}

pub(super) fn xsetid(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let id = StreamId::parse_strict(args.at(2), 0)?;
    let counts = Counts::parse(args, id)?;
    let key = ctx.keys.at(args, 1);
    let stream = ctx.keys.write_stream(key)?.ok_or(Failure::NoSuchKey)?;
    counts.check(stream, id)?;
    ctx.keys.edit_stream(key, |stream| {
        stream.set_last_id(id);
        if let Some(entries) = counts.entries_added {
            stream.set_entries_added(entries);
        }
        if counts.max_deleted_id != StreamId::MIN {
            stream.set_max_deleted_id(counts.max_deleted_id);
        }
    });
    ctx.reply.ok();
    ctx.replied_before_events();
    ctx.keys.changed_groups(key, "xsetid");
    Ok(())
}
