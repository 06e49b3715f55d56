//! XPENDING: what was delivered and not acknowledged.

use super::{
    Args, Context, Failure, Group, Handled, Output, StreamId, no_group, reply_each, reply_id,
};
use crate::types::stream::{ConsumerNumber, Pending, parse_end, parse_start};

/// The entries that the long form of XPENDING asks for.
struct Wanted<'a> {
    min_idle_ms: i64,
    from: StreamId,
    to: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Wanted<'a> {
    /// Reads the arguments; `None` for the short form.
    fn parse(args: &Args<'a>) -> Result<Option<Self>, Failure> {
        match args.len() {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(Failure::Syntax),
        }
        let (mut min_idle_ms, mut at) = (0, 3);
        if args.is(at, "IDLE") {
            min_idle_ms = Context::integer(args.at(4))?;
            at = 5;
            if args.len() < 8 {
                return Err(Failure::Syntax);
            }
        }
        let count = usize::try_from(Context::integer(args.at(at + 2))?).unwrap_or(0);
        let (from, to) = (parse_start(args.at(at))?, parse_end(args.at(at + 1))?);
        Ok(Some(Self { min_idle_ms, from, to, count, consumer: args.get(at + 3) }))
    }
}

pub(super) fn xpending(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let wanted = Wanted::parse(args)?;
    let (key, name) = (ctx.keys.at(args, 1), args.at(2));
    let now_ms = ctx.keys.now_ms;
    let stream = ctx.keys.read_stream(key)?;
    let group = stream.and_then(|stream| stream.groups().get(name));
    let group = group.ok_or_else(|| no_group(key.bytes, name, ""))?;
    match wanted {
        Some(wanted) => reply_entries(ctx.reply, group, &wanted, now_ms),
        None => reply_summary(ctx.reply, group),
    }
    Ok(())
}

fn reply_summary(reply: &mut Output, group: &Group) {
    reply.array(4);
    reply.count(group.pending_len());
    let Some((first, last)) = group.pending_ends() else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(reply, first);
    reply_id(reply, last);
    let consumers = group.consumers().map(|(_, consumer)| consumer);
    let consumers = consumers.filter(|consumer| consumer.pending_len() > 0);
    reply_each(reply, consumers, |reply, consumer| {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk(consumer.pending_len().to_string().as_bytes());
    });
}

fn reply_entries(reply: &mut Output, group: &Group, wanted: &Wanted<'_>, now_ms: i64) {
    let number = match wanted.consumer.map(|name| group.number(name)) {
        Some(None) => {
            reply.array(0);
            return;
        }
        Some(number) => number,
        None => None,
    };
    let own = number.map(|number| of_consumer(group, number, wanted.from));
    let all = number.is_none().then(|| group.pending_from(wanted.from));
    let entries = own.into_iter().flatten().chain(all.into_iter().flatten());
    let idle_ms = |pending: &Pending| now_ms.wrapping_sub(pending.delivered_ms);
    let entries = entries
        .take_while(|(id, _)| *id <= wanted.to)
        .filter(|(_, pending)| wanted.min_idle_ms == 0 || idle_ms(pending) >= wanted.min_idle_ms)
        .take(wanted.count);
    reply_each(reply, entries, |reply, (id, pending)| {
        reply.array(4);
        reply_id(reply, id);
        reply.bulk(group.consumer(pending.consumer).name());
        reply.integer(idle_ms(&pending).max(0));
        reply.integer(pending.deliveries.cast_signed());
    });
}

/// What is pending for a consumer, ascending from an id on.
pub(super) fn of_consumer(
    group: &Group,
    number: ConsumerNumber,
    from: StreamId,
) -> impl Iterator<Item = (StreamId, Pending)> {
    let ids = group.consumer(number).pending_from(from);
    ids.map(|id| (id, group.pending(id).expect("the group has all that its consumers have")))
}
