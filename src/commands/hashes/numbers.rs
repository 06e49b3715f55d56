//! Commands on fields that hold numbers.

use super::changed;
use crate::commands::{Args, Context, Failure, Handled};
use crate::keyspace::Key;
use crate::number::{Decimal, LongDouble};
use crate::types::hash;
use crate::types::listpack::Item;
use crate::types::{Encoding, Type, ValueRef};

/// The value of a field that the command is about to change.
fn value<'k>(
    ctx: &'k mut Context<'_>,
    key: Key<'_>,
    field: &[u8],
) -> Result<Option<Item<'k>>, Failure> {
    let hash = ctx.keys.write_of(key, Type::Hash)?.and_then(ValueRef::hash);
    Ok(hash.and_then(|hash| hash.get(field)))
}

/// Sets a field of a key that holds a hash or nothing.
fn store(ctx: &mut Context<'_>, key: Key<'_>, field: &[u8], value: &[u8]) -> Handled {
    let limits = &ctx.settings.collections;
    ctx.keys.upsert(key, Encoding::HashPack, |place| {
        hash::set(place, field, value, limits);
    })
}

pub(super) fn hincrby(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let increment = Context::integer(args.at(3))?;
    let (key, field) = (ctx.keys.at(args, 1), args.at(2));
    let old = match value(ctx, key, field)? {
        Some(value) => {
            value.integer().ok_or_else(|| Failure::err("hash value is not an integer"))?
        }
        None => 0,
    };
    let new = old.checked_add(increment).ok_or(Failure::Overflow)?;
    store(ctx, key, field, Decimal::new(new).as_bytes())?;
    ctx.reply.integer(new);
    ctx.replied_before_events();
    changed(&mut ctx.keys, key, "hincrby", 1);
    Ok(())
}

pub(super) fn hincrbyfloat(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let increment = LongDouble::parse(args.at(3)).ok_or(Failure::NotFloat)?;
    if !increment.is_finite() {
        return Err(Failure::err("value is NaN or Infinity"));
    }
    let (key, field) = (ctx.keys.at(args, 1), args.at(2));
    let old = match value(ctx, key, field)? {
        Some(Item::Int(value)) => LongDouble::from(value),
        Some(Item::Bytes(bytes)) => {
            LongDouble::parse(bytes).ok_or_else(|| Failure::err("hash value is not a float"))?
        }
        None => LongDouble::from(0),
    };
    let new = old.sum(increment).ok_or(Failure::NotFinite)?.to_text();
    store(ctx, key, field, new.as_bytes())?;
    ctx.reply.bulk(new.as_bytes());
    ctx.replied_before_events();
    changed(&mut ctx.keys, key, "hincrbyfloat", 1);
    // Replicas may round differently, so they get the result.
    ctx.keys.log_instead(&[&[b"HSET", key.bytes, field, new.as_bytes()]]);
    Ok(())
}
