//! Expiry commands.

use super::command::{Group::Generic, at_least, command, exactly, one_key};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag::*};
use crate::keyspace::EntryRef;
use crate::number::Decimal;
use crate::settings::EventClasses;
use crate::text::until_nul;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("EXPIRE", expire, at_least(3), &[Write, Fast], one_key(&[Rw, Update]), Generic)
        .docs("1.0.0", "O(1)", "key seconds [NX | XX | GT | LT]", "Has a key expire after some seconds."),
    command("EXPIREAT", expireat, at_least(3), &[Write, Fast], one_key(&[Rw, Update]), Generic)
        .docs("1.2.0", "O(1)", "key unix-time-seconds [NX | XX | GT | LT]",
            "Has a key expire at a Unix time in seconds."),
    command("EXPIRETIME", expiretime, exactly(2), &[ReadOnly, Fast], one_key(&[Ro, Access]), Generic)
        .docs("7.0.0", "O(1)", "key", "Gives the Unix time at which a key expires, in seconds."),
    command("PERSIST", persist, exactly(2), &[Write, Fast], one_key(&[Rw, Update]), Generic)
        .docs("2.2.0", "O(1)", "key", "Takes a key's expiry away."),
    command("PEXPIRE", pexpire, at_least(3), &[Write, Fast], one_key(&[Rw, Update]), Generic)
        .docs("2.6.0", "O(1)", "key milliseconds [NX | XX | GT | LT]",
            "Has a key expire after some milliseconds."),
    command("PEXPIREAT", pexpireat, at_least(3), &[Write, Fast], one_key(&[Rw, Update]), Generic)
        .docs("2.6.0", "O(1)", "key unix-time-milliseconds [NX | XX | GT | LT]",
            "Has a key expire at a Unix time in milliseconds."),
    command("PEXPIRETIME", pexpiretime, exactly(2), &[ReadOnly, Fast], one_key(&[Ro, Access]), Generic)
        .docs("7.0.0", "O(1)", "key", "Gives the Unix time at which a key expires, in milliseconds."),
    command("PTTL", pttl, exactly(2), &[ReadOnly, Fast], one_key(&[Ro, Access]), Generic)
        .docs("2.6.0", "O(1)", "key", "Gives how many milliseconds are left until a key expires.")
        .tips(&["nondeterministic_output"]),
    command("TTL", ttl, exactly(2), &[ReadOnly, Fast], one_key(&[Ro, Access]), Generic)
        .docs("1.0.0", "O(1)", "key", "Gives how many seconds are left until a key expires.")
        .tips(&["nondeterministic_output"]),
];

/// The conditions under which EXPIRE sets an expiry.
#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    /// NX: the key has none.
    none: bool,
    /// XX: it has one.
    some: bool,
    /// GT: it has an earlier one.
    later: bool,
    /// LT: it has none, or a later one.
    earlier: bool,
}

impl Conditions {
    fn parse(args: &Args<'_>) -> Result<Self, Failure> {
        let mut said = Self::default();
        for index in 3..args.len() {
            let condition = if args.is(index, "NX") {
                &mut said.none
            } else if args.is(index, "XX") {
                &mut said.some
            } else if args.is(index, "GT") {
                &mut said.later
            } else if args.is(index, "LT") {
                &mut said.earlier
            } else {
                let text = [b"ERR Unsupported option ", until_nul(args.at(index))];
                return Err(Failure::Bytes(text.concat()));
            };
            *condition = true;
        }
        if said.none && (said.some || said.later || said.earlier) {
            let text = "NX and XX, GT or LT options at the same time are not compatible";
            return Err(Failure::err(text));
        }
        if said.later && said.earlier {
            let text = "GT and LT options at the same time are not compatible";
            return Err(Failure::err(text));
        }
        Ok(said)
    }

    fn allow(self, old: Option<i64>, new: i64) -> bool {
        !(self.none && old.is_some()
            || self.some && old.is_none()
            || self.later && old.is_none_or(|old| new <= old)
            || self.earlier && old.is_some_and(|old| new >= old))
    }
}

fn expire(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let base_ms = ctx.keys.now_ms;
    expire_at(ctx, args, 1000, base_ms, "expire")
}

fn pexpire(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let base_ms = ctx.keys.now_ms;
    expire_at(ctx, args, 1, base_ms, "pexpire")
}

fn expireat(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    expire_at(ctx, args, 1000, 0, "expireat")
}

fn pexpireat(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    expire_at(ctx, args, 1, 0, "pexpireat")
}

fn expire_at(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    unit_ms: i64,
    base_ms: i64,
    name: &'static str,
) -> Handled {
    let conditions = Conditions::parse(args)?;
    let number = Context::integer(args.at(2))?;
    let at = number.checked_mul(unit_ms).and_then(|ms| ms.checked_add(base_ms));
    let at = at.ok_or(Failure::InvalidExpire(name))?;
    let (key, keys) = (ctx.keys.at(args, 1), &mut ctx.keys);
    let old = keys.write(key).map(EntryRef::expire_at_ms);
    if !old.is_some_and(|old| conditions.allow(old, at)) {
        ctx.reply.integer(0);
        return Ok(());
    }
    if keys.is_elapsed(at) {
        keys.remove(key);
        keys.changed(key, EventClasses::GENERIC, "del");
        keys.log_instead(&[&[b"DEL", key.bytes]]);
        ctx.reply.integer(1);
    } else {
        ctx.reply.integer(1);
        ctx.replied_before_events();
        let keys = &mut ctx.keys;
        keys.set_expiry(key, Some(at));
        keys.changed(key, EventClasses::GENERIC, "expire");
        if name != "pexpireat" {
            let at = Decimal::new(at);
            let head = [&b"PEXPIREAT"[..], key.bytes, at.as_bytes()];
            let logged: Vec<&[u8]> = head.into_iter().chain(args.from(3)).collect();
            keys.log_instead(&[&logged]);
        }
    }
    Ok(())
}

fn ttl(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let now_ms = ctx.keys.now_ms;
    reply_expiry(ctx, args, |at| seconds(at.saturating_sub(now_ms)))
}

fn pttl(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let now_ms = ctx.keys.now_ms;
    reply_expiry(ctx, args, |at| at.saturating_sub(now_ms).max(0))
}

fn expiretime(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    reply_expiry(ctx, args, seconds)
}

fn pexpiretime(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    reply_expiry(ctx, args, |at| at.max(0))
}

/// Milliseconds in seconds, rounded.
fn seconds(ms: i64) -> i64 {
    let ms = ms.max(0);
    ms / 1000 + i64::from(ms % 1000 >= 500)
}

/// Replies with `show` of a key's expiry, -1 if it has none, -2 if there is no key.
fn reply_expiry(ctx: &mut Context<'_>, args: &Args<'_>, show: impl Fn(i64) -> i64) -> Handled {
    let key = ctx.keys.at(args, 1);
    let expiry = ctx.keys.peek(key).map(EntryRef::expire_at_ms);
    ctx.reply.integer(match expiry {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => show(at),
    });
    Ok(())
}

fn persist(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    let expires = ctx.keys.write(key).is_some_and(|entry| entry.expire_at_ms().is_some());
    if expires {
        ctx.keys.set_expiry(key, None);
        ctx.keys.changed(key, EventClasses::GENERIC, "persist");
    }
    ctx.reply.integer(i64::from(expires));
    Ok(())
}
