//! Commands on strings that hold numbers.

use crate::commands::{Args, Context, Failure, Handled};
use crate::keyspace::Content;
use crate::number::LongDouble;
use crate::settings::EventClasses;
use crate::types::StringView;

pub(super) fn incr(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    add(ctx, args, 1)
}

pub(super) fn decr(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    add(ctx, args, -1)
}

pub(super) fn incrby(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    add(ctx, args, Context::integer(args.at(2))?)
}

pub(super) fn decrby(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let decrement = Context::integer(args.at(2))?;
    let increment =
        decrement.checked_neg().ok_or_else(|| Failure::err("decrement would overflow"))?;
    add(ctx, args, increment)
}

fn add(ctx: &mut Context<'_>, args: &Args<'_>, increment: i64) -> Handled {
    let key = ctx.keys.at(args, 1);
    let old = match ctx.keys.write_string(key)? {
        Some(string) => string.integer().ok_or(Failure::NotInteger)?,
        None => 0,
    };
    let new = old.checked_add(increment).ok_or(Failure::Overflow)?;
    ctx.keys.store_value(key, Content::Int(new));
    ctx.keys.changed(key, EventClasses::STRING, "incrby");
    ctx.reply.integer(new);
    Ok(())
}

pub(super) fn incrbyfloat(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let old = match ctx.keys.write_string(key)? {
        None => Some(LongDouble::from(0)),
        Some(StringView::Int(value)) => Some(LongDouble::from(value)),
        Some(StringView::Bytes(bytes)) => LongDouble::parse(bytes),
        Some(StringView::Chunks(chunks)) if chunks.len() <= LongDouble::TEXT_BYTES_MAX => {
            LongDouble::parse(&chunks.to_vec())
        }
        Some(StringView::Chunks(_)) => None,
    };
    let (Some(old), Some(increment)) = (old, LongDouble::parse(args.at(2))) else {
        return Err(Failure::NotFloat);
    };
    let new = old.sum(increment).ok_or(Failure::NotFinite)?.to_text();
    ctx.keys.store_value(key, Content::unencoded(new.as_bytes()));
    ctx.keys.changed(key, EventClasses::STRING, "incrbyfloat");
    // Replicas may round differently, so they get the result.
    ctx.keys.log_instead(&[&[b"SET", key.bytes, new.as_bytes(), b"KEEPTTL"]]);
    ctx.reply.bulk(new.as_bytes());
    Ok(())
}
