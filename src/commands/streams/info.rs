//! XINFO: what a stream holds, its groups, and their consumers.

use super::{
    Args, Context, Failure, Group, Handled, Output, Stream, StreamId, at_most, no_group_in,
    reply_each, reply_entry, reply_id, unknown_subcommand,
};
use crate::types::stream::{Consumer, Pending};

const CONTAINER: &str = "XINFO";
/// Entries that FULL shows of each list unless told otherwise.
const COUNT_DEFAULT: u64 = 10;

const HELP: &[&str] = &[
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
];

pub(super) fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, HELP);
    Ok(())
}

fn text(reply: &mut Output, text: &str) {
    reply.bulk(text.as_bytes());
}

fn number_or_null(reply: &mut Output, number: Option<i64>) {
    match number {
        Some(number) => reply.integer(number),
        None => reply.null(),
    }
}

pub(super) fn consumers(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (key, name) = (ctx.keys.at(args, 2), args.at(3));
    let now_ms = ctx.keys.now_ms;
    let stream = ctx.keys.read_stream(key)?.ok_or(Failure::NoSuchKey)?;
    let group = stream.groups().get(name).ok_or_else(|| no_group_in(key.bytes, name))?;
    let reply = &mut *ctx.reply;
    reply.array(group.consumers_len());
    for (_, consumer) in group.consumers() {
        reply.map(3);
        text(reply, "name");
        reply.bulk(consumer.name());
        text(reply, "pending");
        reply.count(consumer.pending_len());
        text(reply, "idle");
        reply.integer(now_ms.wrapping_sub(consumer.seen_ms).max(0));
    }
    Ok(())
}

pub(super) fn groups(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 2);
    let stream = ctx.keys.read_stream(key)?.ok_or(Failure::NoSuchKey)?;
    let reply = &mut *ctx.reply;
    reply.array(stream.groups().len());
    for (name, group) in stream.groups().iter() {
        reply.map(6);
        text(reply, "name");
        reply.bulk(name);
        text(reply, "consumers");
        reply.count(group.consumers_len());
        text(reply, "pending");
        reply.count(group.pending_len());
        progress(reply, stream, group);
    }
    Ok(())
}

/// Writes three pairs: how far a group has read.
fn progress(reply: &mut Output, stream: &Stream, group: &Group) {
    text(reply, "last-delivered-id");
    reply_id(reply, group.last_id);
    text(reply, "entries-read");
    number_or_null(reply, group.entries_read);
    text(reply, "lag");
    number_or_null(reply, group.lag(&stream.counters()));
}

/// How much of each list FULL shows; `None` without FULL.
fn full_count(args: &Args<'_>) -> Result<Option<u64>, Failure> {
    match args.len() {
        3 => return Ok(None),
        4 if args.is(3, "FULL") => return Ok(Some(COUNT_DEFAULT)),
        6 if args.is(3, "FULL") && args.is(4, "COUNT") => {}
        _ => return Err(unknown_subcommand(args, CONTAINER)),
    }
    let count = Context::integer(args.at(5))?;
    Ok(Some(u64::try_from(count).unwrap_or(COUNT_DEFAULT)))
}

pub(super) fn stream(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 2);
    let stream = ctx.keys.read_stream(key)?.ok_or(Failure::NoSuchKey)?;
    let full = full_count(args)?;
    let (reply, counters) = (&mut *ctx.reply, stream.counters());
    reply.map(if full.is_some() { 9 } else { 10 });
    text(reply, "length");
    reply.integer(counters.length.cast_signed());
    text(reply, "radix-tree-keys");
    reply.count(stream.blocks_len());
    text(reply, "radix-tree-nodes");
    reply.count(stream.radix_nodes());
    text(reply, "last-generated-id");
    reply_id(reply, counters.last_id);
    text(reply, "max-deleted-entry-id");
    reply_id(reply, counters.max_deleted_id);
    text(reply, "entries-added");
    reply.integer(counters.entries_added.cast_signed());
    text(reply, "recorded-first-entry-id");
    reply_id(reply, counters.first_id);
    match full {
        Some(count) => reply_full(reply, stream, count),
        None => reply_ends(reply, stream),
    }
    Ok(())
}

fn reply_ends(reply: &mut Output, stream: &Stream) {
    text(reply, "groups");
    reply.count(stream.groups().len());
    for (name, entry) in
        [("first-entry", stream.first_entry()), ("last-entry", stream.last_entry())]
    {
        text(reply, name);
        match entry {
            Some(entry) => reply_entry(reply, entry),
            None => reply.null(),
        }
    }
}

fn reply_full(reply: &mut Output, stream: &Stream, count: u64) {
    text(reply, "entries");
    let entries = stream.range(StreamId::MIN, StreamId::MAX);
    reply_each(reply, entries.take(at_most(count)), reply_entry);
    text(reply, "groups");
    reply.array(stream.groups().len());
    for (name, group) in stream.groups().iter() {
        reply.map(7);
        text(reply, "name");
        reply.bulk(name);
        progress(reply, stream, group);
        text(reply, "pel-count");
        reply.count(group.pending_len());
        text(reply, "pending");
        let pending = group.pending_from(StreamId::MIN).take(at_most(count));
        reply_each(reply, pending, |reply, (id, pending)| {
            reply.array(4);
            reply_id(reply, id);
            reply.bulk(group.consumer(pending.consumer).name());
            reply_delivery(reply, pending);
        });
        text(reply, "consumers");
        reply.array(group.consumers_len());
        group.consumers().for_each(|(_, consumer)| reply_consumer(reply, group, consumer, count));
    }
}

fn reply_consumer(reply: &mut Output, group: &Group, consumer: &Consumer, count: u64) {
    reply.map(4);
    text(reply, "name");
    reply.bulk(consumer.name());
    text(reply, "seen-time");
    reply.integer(consumer.seen_ms);
    text(reply, "pel-count");
    reply.count(consumer.pending_len());
    text(reply, "pending");
    let ids = consumer.pending_from(StreamId::MIN).take(at_most(count));
    reply_each(reply, ids, |reply, id| {
        let pending = group.pending(id).expect("the group has all that its consumers have");
        reply.array(3);
        reply_id(reply, id);
        reply_delivery(reply, pending);
    });
}

fn reply_delivery(reply: &mut Output, pending: Pending) {
    reply.integer(pending.delivered_ms);
    reply.integer(pending.deliveries.cast_signed());
}
