//! XCLAIM and XAUTOCLAIM: pending entries for another consumer.

use super::log::GroupLog;
use super::{
    Args, Context, Failure, Group, Handled, Key, Output, Stream, StreamId, Type, no_group,
    reply_entry, reply_id,
};
use crate::text::until_nul;
use crate::types::stream::{ConsumerNumber, Pending, parse_start};

/// Entries that XAUTOCLAIM looks at for each that it may claim.
const LOOKS_PER_ENTRY: usize = 10;
/// Entries that XAUTOCLAIM claims unless told otherwise.
const COUNT_DEFAULT: usize = 100;
/// The most that XAUTOCLAIM may be told: more, at 16 bytes an id, is no length in Redis.
const COUNT_MAX: i64 = i64::MAX / 16;
/// From here on Redis fails to allocate the ids: they would fill the address space of a process.
const COUNT_ALLOCATED_MAX: usize = 1 << (47 - 4);

/// Whom entries are given to, and how.
struct Claim<'a> {
    consumer: &'a [u8],
    min_idle_ms: i64,
    now_ms: i64,
    delivered_ms: i64,
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
}

impl Claim<'_> {
    /// The entries from an id on that have been pending for long enough, or are gone from the
    /// stream, with whether they are there; and the pending entry after the last looked at.
    fn due(
        &self,
        stream: &Stream,
        group: &Group,
        from: StreamId,
        count: usize,
    ) -> (Vec<(StreamId, bool)>, Option<StreamId>) {
        let mut pending = group.pending_from(from);
        let mut due = Vec::new();
        for (id, found) in pending.by_ref().take(count.saturating_mul(LOOKS_PER_ENTRY)) {
            let exists = stream.contains(id);
            if !exists || !self.is_early(found) {
                due.push((id, exists));
            }
            if due.len() == count {
                break;
            }
        }
        let next = pending.next().map(|(id, _)| id);
        (due, next)
    }

    /// Whether a pending entry has not been idle for long enough.
    fn is_early(&self, pending: Pending) -> bool {
        let idle_ms = self.now_ms.wrapping_sub(pending.delivered_ms);
        self.min_idle_ms > 0 && idle_ms < self.min_idle_ms
    }

    /// Whether the consumer gets an entry, which the stream has if `exists`.
    fn may_take(&self, former: Option<Pending>, exists: bool) -> bool {
        exists && former.map_or(self.force, |former| !self.is_early(former))
    }

    /// A pending entry as the consumer gets it.
    fn taken(&self, former: Option<Pending>, consumer: ConsumerNumber) -> Pending {
        // A new one counts as delivered once before.
        let before = former.map_or(1, |former| former.deliveries);
        let deliveries = match self.deliveries {
            Some(deliveries) => deliveries,
            None if self.just_id => before,
            None => before.wrapping_add(1),
        };
        Pending { consumer, delivered_ms: self.delivered_ms, deliveries }
    }
}

/// The number of the consumer that a command names, and whether it is new.
pub(super) fn consumer(group: &mut Group, name: &[u8], now_ms: i64) -> (ConsumerNumber, bool) {
    if let Some(number) = group.number(name) {
        group.see_consumer(number, now_ms);
        return (number, false);
    }
    let number = group.create_consumer(name, now_ms);
    (number.expect("there is none of this name"), true)
}

/// What a claiming command changed.
#[derive(Default)]
struct Outcome {
    /// The consumer: looked for, and made, only when it gets something.
    consumer: Option<ConsumerNumber>,
    new_consumer: bool,
    changes: u64,
    claimed: Vec<StreamId>,
    gone: Vec<StreamId>,
    /// Where XAUTOCLAIM goes on.
    next: Option<StreamId>,
}

impl Outcome {
    /// Gives an entry to the consumer, if it may have it, or forgets that it is pending if the
    /// stream has it no more. `text` is the id as the client wrote it.
    fn take(
        &mut self,
        claim: &Claim<'_>,
        (id, text, exists): (StreamId, &[u8], bool),
        group: &mut Group,
        log: &mut GroupLog<'_>,
    ) {
        let former = group.pending(id);
        if claim.may_take(former, exists) {
            let number = *self.consumer.get_or_insert_with(|| {
                let (number, is_new) = consumer(group, claim.consumer, claim.now_ms);
                self.new_consumer = is_new;
                number
            });
            let pending = claim.taken(former, number);
            group.set_pending(id, pending);
            log.claim(group, text, pending);
            self.claimed.push(id);
        } else if let (Some(former), false) = (former, exists) {
            log.claim(group, text, former);
            group.acknowledge(id);
            self.gone.push(id);
        } else {
            return;
        }
        self.changes += 1;
    }

    /// Records the changes.
    fn record(&self, ctx: &mut Context<'_>, key: Key<'_>, log: GroupLog<'_>) {
        if self.new_consumer {
            ctx.keys.changed_groups(key, "xgroup-createconsumer");
        }
        ctx.keys.changed_much(self.changes);
        ctx.keys.log_commands(log.commands);
    }

    /// Writes the claimed entries, or only their ids.
    fn reply(&self, reply: &mut Output, stream: &Stream, just_id: bool) {
        reply.array(self.claimed.len());
        for id in &self.claimed {
            if just_id {
                reply_id(reply, *id);
            } else {
                let entry = stream.entry(*id).expect("an entry is there when it is claimed");
                reply_entry(reply, entry);
            }
        }
    }
}

/// The group that a command names.
fn check_group(ctx: &Context<'_>, key: Key<'_>, is_stream: bool, group: &[u8]) -> Handled {
    let found = is_stream && ctx.keys.stream(key).groups().get(group).is_some();
    if found { Ok(()) } else { Err(no_group(key.bytes, group, "")) }
}

fn option_integer(arg: &[u8], what: &str) -> Result<i64, Failure> {
    let number = crate::number::parse_i64(arg);
    number.ok_or_else(|| Failure::err(format_args!("Invalid {what} for XCLAIM")))
}

/// The arguments of XCLAIM behind the ids.
fn claim_options<'a>(
    args: &Args<'a>,
    mut at: usize,
    mut claim: Claim<'a>,
) -> Result<(Claim<'a>, StreamId), Failure> {
    let (mut delivered_ms, mut last_id) = (None, StreamId::MIN);
    while at < args.len() {
        let value = args.get(at + 1);
        match value {
            _ if args.is(at, "FORCE") => claim.force = true,
            _ if args.is(at, "JUSTID") => claim.just_id = true,
            Some(value) => {
                if args.is(at, "IDLE") {
                    let idle_ms = option_integer(value, "IDLE option argument")?;
                    delivered_ms = Some(claim.now_ms.wrapping_sub(idle_ms));
                } else if args.is(at, "TIME") {
                    delivered_ms = Some(option_integer(value, "TIME option argument")?);
                } else if args.is(at, "RETRYCOUNT") {
                    let count = option_integer(value, "RETRYCOUNT option argument")?;
                    claim.deliveries = u64::try_from(count).ok();
                } else if args.is(at, "LASTID") {
                    last_id = StreamId::parse_strict(value, 0)?;
                } else {
                    return Err(unknown_option(args.at(at)));
                }
                at += 1;
            }
            None => return Err(unknown_option(args.at(at))),
        }
        at += 1;
    }
    // A time that cannot be is taken for now.
    let now_ms = claim.now_ms;
    claim.delivered_ms = delivered_ms.filter(|at| (0..=now_ms).contains(at)).unwrap_or(now_ms);
    Ok((claim, last_id))
}

fn unknown_option(option: &[u8]) -> Failure {
    Failure::Bytes([b"ERR Unrecognized XCLAIM option '", until_nul(option), b"'"].concat())
}

pub(super) fn xclaim(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (key, name) = (ctx.keys.at(args, 1), args.at(2));
    let is_stream = ctx.keys.read_stream(key)?.is_some();
    check_group(ctx, key, is_stream, name)?;
    let min_idle_ms = option_integer(args.at(4), "min-idle-time argument")?;
    let now_ms = ctx.keys.now_ms;
    let ids: Vec<StreamId> =
        args.from(5).map_while(|arg| StreamId::parse_strict(arg, 0).ok()).collect();
    let claim = Claim {
        consumer: args.at(3),
        min_idle_ms,
        now_ms,
        delivered_ms: now_ms,
        deliveries: None,
        force: false,
        just_id: false,
    };
    let (claim, last_id) = claim_options(args, 5 + ids.len(), claim)?;
    let exists: Vec<bool> = {
        let stream = ctx.keys.stream(key);
        ids.iter().map(|id| stream.contains(*id)).collect()
    };
    let mut log = GroupLog::new(key, name, ctx.keys.is_logging());
    let outcome = ctx.keys.edit_group(key, name, |group| {
        let mut outcome = Outcome::default();
        let moved = last_id > group.last_id;
        if moved {
            group.last_id = last_id;
        }
        for ((id, exists), text) in ids.iter().zip(&exists).zip(args.from(5)) {
            outcome.take(&claim, (*id, text, *exists), group, &mut log);
        }
        if moved && outcome.changes == 0 {
            log.position(group);
            outcome.changes += 1;
        }
        outcome
    });
    outcome.record(ctx, key, log);
    outcome.reply(ctx.reply, ctx.keys.stream(key), claim.just_id);
    Ok(())
}

pub(super) fn xautoclaim(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (key, name) = (ctx.keys.at(args, 1), args.at(2));
    // Redis looks the key up first, and at its type last.
    let kind = ctx.keys.read(key).map(|entry| entry.encoding().kind());
    let min_idle_ms = crate::number::parse_i64(args.at(4));
    let min_idle_ms =
        min_idle_ms.ok_or_else(|| Failure::err("Invalid min-idle-time argument for XAUTOCLAIM"))?;
    let from = parse_start(args.at(5))?;
    let (mut count, mut just_id, mut at) = (COUNT_DEFAULT, false, 6);
    while at < args.len() {
        if args.is(at, "COUNT") && at + 1 < args.len() {
            let wanted = crate::number::parse_i64(args.at(at + 1));
            let wanted = wanted.filter(|wanted| (1..=COUNT_MAX).contains(wanted));
            let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok());
            count = wanted.ok_or_else(|| Failure::err("COUNT must be > 0"))?;
            at += 1;
        } else if args.is(at, "JUSTID") {
            just_id = true;
        } else {
            return Err(Failure::Syntax);
        }
        at += 1;
    }
    if kind.is_some_and(|kind| kind != Type::Stream) {
        return Err(Failure::WrongType);
    }
    check_group(ctx, key, kind.is_some(), name)?;
    if count >= COUNT_ALLOCATED_MAX {
        return Err(Failure::err(
            "Insufficient memory, failed allocating transient memory, COUNT too high.",
        ));
    }
    let now_ms = ctx.keys.now_ms;
    let (consumer, deliveries) = (args.at(3), None);
    let claim = Claim {
        consumer,
        min_idle_ms,
        now_ms,
        delivered_ms: now_ms,
        deliveries,
        force: false,
        just_id,
    };
    let mut log = GroupLog::new(key, name, ctx.keys.is_logging());
    let outcome = claim_from(ctx, key, name, &claim, (from, count), &mut log);
    outcome.record(ctx, key, log);
    ctx.reply.array(3);
    reply_id(ctx.reply, outcome.next.unwrap_or(StreamId::MIN));
    outcome.reply(ctx.reply, ctx.keys.stream(key), just_id);
    ctx.reply.array(outcome.gone.len());
    outcome.gone.iter().for_each(|id| reply_id(ctx.reply, *id));
    Ok(())
}

/// Claims up to `count` entries from an id on.
fn claim_from(
    ctx: &mut Context<'_>,
    key: Key<'_>,
    name: &[u8],
    claim: &Claim<'_>,
    (from, count): (StreamId, usize),
    log: &mut GroupLog<'_>,
) -> Outcome {
    let stream = ctx.keys.stream(key);
    let group = stream.groups().get(name).expect("it was checked");
    let (wanted, next) = claim.due(stream, group, from, count);
    ctx.keys.edit_group(key, name, |group| {
        let mut outcome = Outcome { next, ..Outcome::default() };
        for (id, exists) in wanted {
            outcome.take(claim, (id, id.text().as_bytes(), exists), group, log);
        }
        outcome
    })
}
