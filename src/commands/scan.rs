//! SCAN, and what it shares with the walks over one collection: HSCAN, SSCAN, ZSCAN.

use super::command::{Group::Generic, Locks, NO_KEYS, at_least, command};
use super::{Args, Command, Context, Failure, Flag::*, Handled};
use crate::glob;
use crate::keyspace::{Cursor, EntryRef};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("SCAN", scan, at_least(2), &[ReadOnly], NO_KEYS, Generic)
        .locking(Locks::OneByOne)
        .docs("2.8.0", "O(1) per call, O(N) for a whole walk over N keys",
            "cursor [MATCH pattern] [COUNT count] [TYPE type]",
            "Walks over the keys of the database, a few per call.")
        .tips(&["nondeterministic_output", "request_policy:special"]),
];

pub(super) fn is_alive(entry: EntryRef<'_>, now_ms: i64) -> bool {
    entry.expire_at_ms().is_none_or(|at| at >= now_ms)
}

pub(super) fn reply_keys(ctx: &mut Context<'_>, found: &[Box<[u8]>]) {
    ctx.reply.array(found.len());
    found.iter().for_each(|key| ctx.reply.bulk(key));
}

/// Options of SCAN, HSCAN, SSCAN and ZSCAN.
#[derive(Debug)]
pub(super) struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    pub(super) count: usize,
    type_name: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    /// Parses the options from the argument `first` on. Only SCAN itself takes TYPE.
    ///
    /// # Errors
    /// As Redis refuses them.
    pub(super) fn parse(args: &Args<'a>, first: usize) -> Result<Self, Failure> {
        let mut options = Self { pattern: None, count: 10, type_name: None };
        for index in (first..args.len()).step_by(2) {
            let value = args.get(index + 1).ok_or(Failure::Syntax)?;
            if args.is(index, "COUNT") {
                let count = usize::try_from(Context::integer(value)?);
                options.count = count.ok().filter(|&count| count > 0).ok_or(Failure::Syntax)?;
            } else if args.is(index, "MATCH") {
                options.pattern = (value != b"*").then_some(value);
            } else if args.is(index, "TYPE") && first == 2 {
                options.type_name = Some(value);
            } else {
                return Err(Failure::Syntax);
            }
        }
        Ok(options)
    }

    pub(super) fn matches(&self, key: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, key))
    }

    fn is_of_type(&self, entry: EntryRef<'_>) -> bool {
        let name = || entry.encoding().kind().name().as_bytes();
        self.type_name.is_none_or(|wanted| wanted.eq_ignore_ascii_case(name()))
    }
}

/// Parses a cursor like C's `strtoul`: it ends at a zero byte, a sign is allowed, and an empty
/// string is 0.
pub(super) fn cursor(arg: &[u8]) -> Result<Cursor, Failure> {
    let (negative, digits) = match arg.split(|&byte| byte == 0).next().unwrap_or_default() {
        [] => return Ok(Cursor(0)),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if !digits.first().is_some_and(u8::is_ascii_digit) {
        return Err(Failure::InvalidCursor);
    }
    let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok());
    let number = number.ok_or(Failure::InvalidCursor)?;
    Ok(Cursor(if negative { number.wrapping_neg() } else { number }))
}

fn scan(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let from = cursor(args.at(1))?;
    let options = ScanOptions::parse(args, 2)?;
    let mut found: Vec<Box<[u8]>> = Vec::new();
    let mut expired: Vec<Box<[u8]>> = Vec::new();
    let (database, now_ms) = (ctx.keys.database, ctx.keys.now_ms);
    let next = ctx.keys.locked.scan(database, from, options.count, |entry| {
        if !options.matches(entry.key()) {
            return;
        }
        if !is_alive(entry, now_ms) {
            expired.push(entry.key().into());
        } else if options.is_of_type(entry) {
            found.push(entry.key().into());
        }
    });
    ctx.keys.met_expired(expired);
    ctx.reply.array(2);
    ctx.reply.bulk(next.0.to_string().as_bytes());
    reply_keys(ctx, &found);
    Ok(())
}
