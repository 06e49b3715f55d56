//! XREAD and XREADGROUP. Waiting is for `wait`.

use super::claim::consumer;
use super::log::GroupLog;
use super::wait::Reader;
use super::{
    Args, Context, Failure, Handled, Key, Keys, Output, Protocol, Stream, StreamId, at_most,
    no_group, reply_each, reply_entry, reply_id,
};
use crate::commands::blocking::{block, deadline_of_ms};
use crate::text::until_nul;
use crate::types::stream::Pending;

/// A consumer of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    pub(super) group: &'a [u8],
    pub(super) consumer: &'a [u8],
    /// What it gets does not become pending.
    pub(super) no_ack: bool,
}

/// The options of a request.
struct Request<'a> {
    /// If it may wait: until when, in Unix milliseconds; forever if that is `None`.
    deadline_ms: Option<Option<i64>>,
    /// Entries of each stream; 0: all.
    count: u64,
    /// Where the keys begin; as many ids follow.
    streams_at: usize,
    member: Option<Member<'a>>,
}

/// Where to read from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    After(StreamId),
    /// After all that was delivered to the group.
    New,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Read,
    ReadGroup,
}

pub(super) fn xread(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    run(ctx, args, Verb::Read)
}

pub(super) fn xreadgroup(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    run(ctx, args, Verb::ReadGroup)
}

fn run(ctx: &mut Context<'_>, args: &Args<'_>, verb: Verb) -> Handled {
    let request = Request::parse(ctx, args, verb)?;
    let streams = (args.len() - request.streams_at) / 2;
    let mut starts = Vec::with_capacity(streams);
    for key_at in request.streams_at..request.streams_at + streams {
        let key = ctx.keys.at(args, key_at);
        starts.push((key, request.start(&mut ctx.keys, key, args.at(key_at + streams))?));
    }
    let served = request.serve(ctx, &starts);
    if served {
        return Ok(());
    }
    let Some(deadline_ms) = request.deadline_ms else {
        ctx.reply.null_array();
        return Ok(());
    };
    let keys: Vec<Key<'_>> = starts.iter().map(|(key, _)| *key).collect();
    let after = starts.iter().map(|(key, start)| match start {
        Start::After(id) => (key.bytes.into(), *id),
        Start::New => (key.bytes.into(), StreamId::MAX),
    });
    let reader = Reader::new(after.collect(), request.count, request.member);
    block(ctx, &keys, deadline_ms, Box::new(reader));
    Ok(())
}

impl<'a> Request<'a> {
    fn parse(ctx: &Context<'_>, args: &Args<'a>, verb: Verb) -> Result<Self, Failure> {
        let mut request = Self { deadline_ms: None, count: 0, streams_at: 0, member: None };
        let (mut no_ack, mut at) = (false, 1);
        while at < args.len() && request.streams_at == 0 {
            let more = args.len() - at - 1;
            if args.is(at, "BLOCK") && more > 0 {
                if ctx.client.in_script {
                    let name = String::from_utf8_lossy(args.at(0)).into_owned();
                    return Err(Failure::err(format_args!(
                        "{name} command is not allowed with BLOCK option from scripts"
                    )));
                }
                request.deadline_ms = Some(deadline_of_ms(ctx.node, args.at(at + 1))?);
                at += 1;
            } else if args.is(at, "COUNT") && more > 0 {
                request.count = u64::try_from(Context::integer(args.at(at + 1))?).unwrap_or(0);
                at += 1;
            } else if args.is(at, "STREAMS") && more > 0 {
                request.streams_at = at + 1;
                if !more.is_multiple_of(2) {
                    return Err(unbalanced());
                }
            } else if args.is(at, "GROUP") && more >= 2 {
                only_for_groups(verb, "GROUP")?;
                let (group, consumer) = (args.at(at + 1), args.at(at + 2));
                request.member = Some(Member { group, consumer, no_ack: false });
                at += 2;
            } else if args.is(at, "NOACK") {
                only_for_groups(verb, "NOACK")?;
                no_ack = true;
            } else {
                return Err(Failure::Syntax);
            }
            at += 1;
        }
        if request.streams_at == 0 {
            return Err(Failure::Syntax);
        }
        match &mut request.member {
            Some(member) => member.no_ack = no_ack,
            None if verb == Verb::ReadGroup => {
                return Err(Failure::err("Missing GROUP option for XREADGROUP"));
            }
            None => {}
        }
        Ok(request)
    }

    /// Reads the id for a key.
    fn start(&self, keys: &mut Keys<'_>, key: Key<'_>, id: &[u8]) -> Result<Start, Failure> {
        let stream = keys.read_stream(key)?;
        if let Some(member) = self.member
            && stream.is_none_or(|stream| stream.groups().get(member.group).is_none())
        {
            let more = " in XREADGROUP with GROUP option";
            return Err(no_group(key.bytes, member.group, more));
        }
        match (until_nul(id), self.member) {
            (b"$", None) => Ok(Start::After(stream.map_or(StreamId::MIN, Stream::last_id))),
            (b"$", Some(_)) => Err(Failure::err(
                "The $ ID is meaningless in the context of XREADGROUP: you want to read the \
                 history of this consumer by specifying a proper ID, or use the > ID to get new \
                 messages. The $ ID would just return an empty result set.",
            )),
            (b">", Some(_)) => Ok(Start::New),
            (b">", None) => Err(Failure::err(
                "The > ID can be specified only when calling XREADGROUP using the GROUP <group> \
                 <consumer> option.",
            )),
            _ => match StreamId::parse_strict(id, 0)? {
                StreamId::MAX if self.member.is_some() => Ok(Start::New),
                id => Ok(Start::After(id)),
            },
        }
    }

    /// Replies with what the streams have now; false if they have nothing.
    fn serve(&self, ctx: &mut Context<'_>, starts: &[(Key<'_>, Start)]) -> bool {
        let (beginning, mut served) = (ctx.reply.bookmark(), 0);
        let mut commands = Vec::new();
        for (key, start) in starts {
            // Redis looks each key up a second time.
            if ctx.keys.read(*key).is_none() || !self.has(ctx.keys.stream(*key), *start) {
                continue;
            }
            served += 1;
            begin_stream(ctx.reply, *key);
            match (self.member, *start) {
                (None, Start::After(id)) => {
                    reply_after(ctx.reply, ctx.keys.stream(*key), id, self.count);
                }
                (None, Start::New) => unreachable!("only groups know what is new"),
                (Some(member), start) => {
                    let mut log = GroupLog::new(*key, member.group, ctx.keys.is_logging());
                    let (keys, reply) = (&mut ctx.keys, &mut *ctx.reply);
                    match start {
                        Start::New => deliver(keys, *key, member, self.count, (reply, &mut log)),
                        Start::After(id) => {
                            let after = (id, self.count);
                            deliver_again(keys, *key, member, after, (reply, &mut log));
                        }
                    }
                    ctx.keys.changed_much(1);
                    commands.append(&mut log.commands);
                }
            }
        }
        if served > 0 {
            let mut head = Output::new(ctx.reply.protocol);
            begin_streams(&mut head, served);
            ctx.reply.insert(beginning, &head);
            if self.member.is_some() {
                ctx.keys.log_commands(commands);
            }
        }
        served > 0
    }

    /// Whether a stream has something for the client now.
    fn has(&self, stream: &Stream, start: Start) -> bool {
        let after = match (start, self.member) {
            // What is pending is told even if nothing is.
            (Start::After(_), Some(_)) => return true,
            (Start::After(id), None) => id,
            (Start::New, member) => {
                let group = member.and_then(|member| stream.groups().get(member.group));
                group.map_or(StreamId::MAX, |group| group.last_id)
            }
        };
        stream.last_id() > after && stream.last_entry().is_some_and(|entry| entry.id > after)
    }
}

/// The text names XREAD for XREADGROUP, too.
fn unbalanced() -> Failure {
    Failure::err(
        "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
    )
}

fn only_for_groups(verb: Verb, option: &str) -> Handled {
    match verb {
        Verb::ReadGroup => Ok(()),
        Verb::Read => Err(Failure::err(format_args!(
            "The {option} option is only supported by XREADGROUP. You called XREAD instead."
        ))),
    }
}

/// Begins the reply of several streams: a map, or pairs in RESP2.
pub(super) fn begin_streams(reply: &mut Output, streams: usize) {
    match reply.protocol {
        Protocol::Resp2 => reply.array(streams),
        Protocol::Resp3 => reply.map(streams),
    }
}

/// Begins the reply of one of them; its entries follow.
pub(super) fn begin_stream(reply: &mut Output, key: Key<'_>) {
    if reply.protocol == Protocol::Resp2 {
        reply.array(2);
    }
    reply.bulk(key.bytes);
}

/// Writes the entries after an id.
pub(super) fn reply_after(reply: &mut Output, stream: &Stream, id: StreamId, count: u64) {
    let entries = id.successor().into_iter().flat_map(|from| stream.range(from, StreamId::MAX));
    reply_each(reply, entries.take(at_most(count)), reply_entry);
}

/// Writes a group's new entries, which become pending for a consumer.
pub(super) fn deliver(
    keys: &mut Keys<'_>,
    key: Key<'_>,
    member: Member<'_>,
    count: u64,
    (reply, log): (&mut Output, &mut GroupLog<'_>),
) {
    let now_ms = keys.now_ms;
    let is_new_consumer = keys.edit_stream(key, |stream| {
        let counters = stream.counters();
        let group = stream.groups().get(member.group).expect("it was found to be there");
        let from = group.last_id.successor();
        let entries = from.into_iter().flat_map(|from| stream.range(from, StreamId::MAX));
        let mut ids = Vec::new();
        reply_each(reply, entries.take(at_most(count)), |reply, entry| {
            ids.push(entry.id);
            reply_entry(reply, entry);
        });
        let changed = stream.groups_mut().update(member.group, |group| {
            let (number, is_new) = consumer(group, member.consumer, now_ms);
            if is_new && member.no_ack {
                log.consumer(member.consumer);
            }
            let mut has_moved = false;
            for id in ids {
                has_moved |= group.advance(&counters, id);
                if !member.no_ack {
                    let pending = Pending { consumer: number, delivered_ms: now_ms, deliveries: 1 };
                    group.set_pending(id, pending);
                    log.claim(group, id.text().as_bytes(), pending);
                }
            }
            if member.no_ack && has_moved {
                log.position(group);
            }
            is_new
        });
        changed.expect("it was found above")
    });
    if is_new_consumer {
        keys.changed_groups(key, "xgroup-createconsumer");
    }
}

/// Writes what is pending for a consumer after an id; entries that are gone without their fields.
fn deliver_again(
    keys: &mut Keys<'_>,
    key: Key<'_>,
    member: Member<'_>,
    (after, count): (StreamId, u64),
    (reply, log): (&mut Output, &mut GroupLog<'_>),
) {
    let now_ms = keys.now_ms;
    let from = after.successor().expect("the last id stands for new entries");
    let (is_new_consumer, ids) = keys.edit_group(key, member.group, |group| {
        let (number, is_new) = consumer(group, member.consumer, now_ms);
        let ids = group.consumer(number).pending_from(from).take(at_most(count));
        (is_new, ids.collect::<Vec<_>>())
    });
    let stream = keys.stream(key);
    reply.array(ids.len());
    for id in &ids {
        match stream.entry(*id) {
            Some(entry) => reply_entry(reply, entry),
            None => {
                reply.array(2);
                reply_id(reply, *id);
                reply.null_array();
            }
        }
    }
    let ids: Vec<StreamId> = ids.into_iter().filter(|id| stream.contains(*id)).collect();
    keys.edit_group(key, member.group, |group| {
        ids.into_iter().for_each(|id| group.deliver_again(id, now_ms));
    });
    if is_new_consumer {
        if member.no_ack {
            log.consumer(member.consumer);
        }
        keys.changed_groups(key, "xgroup-createconsumer");
    }
}
