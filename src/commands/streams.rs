//! Stream commands: their rows, and what the handlers share. The files below have the handlers, one
//! for each task.

mod add;
mod claim;
mod entries;
mod groups;
mod info;
mod log;
mod pending;
mod read;
mod wait;

use super::command::{
    Begin, Find, Group::Stream as Streams, KeyPlaces, NO_KEYS, at_least, command, container,
    exactly, key_range, one_key,
};
use super::keyspec::keyword;
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag, KeyFlag::*, Keys};
use crate::keyspace::Key;
use crate::resp::{Output, Protocol};
use crate::settings::EventClasses;
use crate::text::until_nul;
use crate::types::stream::{Entry, Group, IdError, Stream, StreamId};
use crate::types::{Object, Type};

const READ_KEYS: &[KeyFlag] = &[Ro, Access];
/// Where the specifications of XREAD and XREADGROUP begin to look for STREAMS.
const FROM: i32 = 1;
const GROUP_FROM: i32 = 4;

/// The keys behind STREAMS: the first half of what follows it.
const fn streams_from(from: i32) -> KeyPlaces {
    NO_KEYS
        .and(
            READ_KEYS,
            Begin::Keyword { word: "STREAMS", from },
            Find::Range { last: -1, step: 1, limit: 2 },
        )
        .found_by(find_streams)
}

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("XACK", groups::xack, at_least(4), &[Write, Fast], one_key(&[Rw, Update]), Streams)
        .docs("5.0.0", "O(log N) for each id, where N is the number of pending entries",
            "key group ID [ID ...]", "Ends the pending of entries that a consumer has dealt with."),
    command("XADD", add::xadd, at_least(5), &[Write, DenyOom, Fast], one_key(&[Rw, Update])
            .note("UPDATE instead of INSERT because of the optional trimming feature"), Streams)
        .docs("5.0.0", "O(1) to add, and O(N) for N entries that are trimmed",
            "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] id field value [field value ...]",
            "Appends an entry to a stream, creating it when it is missing.")
        .tips(&["nondeterministic_output"]),
    command("XAUTOCLAIM", claim::xautoclaim, at_least(6), &[Write, Fast], one_key(&[Rw, Delete]), Streams)
        .docs("6.2.0", "O(N) for N entries that are looked at, at most ten times the count",
            "key group consumer min-idle-time start [COUNT count] [JUSTID]",
            "Gives a consumer the entries that have been pending for long.")
        .tips(&["nondeterministic_output"]),
    command("XCLAIM", claim::xclaim, at_least(6), &[Write, Fast], one_key(&[Rw, Update]), Streams)
        .docs("5.0.0", "O(log N) for each id, where N is the number of pending entries",
            "key group consumer min-idle-time ID [ID ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]",
            "Gives pending entries to another consumer.")
        .tips(&["nondeterministic_output"]),
    command("XDEL", entries::xdel, at_least(3), &[Write, Fast], one_key(&[Rw, Delete]), Streams)
        .docs("5.0.0", "O(log N) for each id, where N is the number of nodes", "key ID [ID ...]",
            "Deletes entries by their ids."),
    container("XGROUP", GROUP_SUBCOMMANDS, Streams)
        .docs("5.0.0", "Depends on the subcommand.", "", "Manages consumer groups."),
    container("XINFO", INFO_SUBCOMMANDS, Streams)
        .docs("5.0.0", "Depends on the subcommand.", "", "Describes streams, groups and consumers."),
    command("XLEN", entries::xlen, exactly(2), &[ReadOnly, Fast], one_key(&[Ro]), Streams)
        .docs("5.0.0", "O(1)", "key", "Gives the number of entries."),
    command("XPENDING", pending::xpending, at_least(3), &[ReadOnly], one_key(READ_KEYS), Streams)
        .docs("5.0.0", "O(N) for N entries or consumers that are looked at",
            "key group [[IDLE min-idle-time] start end count [consumer]]",
            "Tells what is pending in a group.")
        .tips(&["nondeterministic_output"]),
    command("XRANGE", entries::xrange, at_least(4), &[ReadOnly], one_key(READ_KEYS), Streams)
        .docs("5.0.0", "O(log N + M) for M entries returned", "key start end [COUNT count]",
            "Gives the entries between two ids."),
    command("XREAD", read::xread, at_least(4), &[ReadOnly, Blocking, MovableKeys], streams_from(FROM), Streams)
        .docs("5.0.0", "O(log N + M) for each stream, where M is the number of entries returned",
            "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
            "Gives entries after an id from several streams, and waits for them if there are none."),
    command("XREADGROUP", read::xreadgroup, at_least(7), &[Write, Blocking, MovableKeys], streams_from(GROUP_FROM), Streams)
        .docs("5.0.0", "O(log N + M) for each stream, where M is the number of entries returned",
            "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]",
            "Gives a consumer new entries, or its pending ones, and waits if there are none new."),
    command("XREVRANGE", entries::xrevrange, at_least(4), &[ReadOnly], one_key(READ_KEYS), Streams)
        .docs("5.0.0", "O(log N + M) for M entries returned", "key end start [COUNT count]",
            "Gives the entries between two ids, the last one first."),
    command("XSETID", entries::xsetid, at_least(3), &[Write, DenyOom, Fast], one_key(&[Rw, Update]), Streams)
        .docs("5.0.0", "O(1)", "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
            "Sets the last id of a stream; for replication."),
    command("XTRIM", add::xtrim, at_least(4), &[Write], one_key(&[Rw, Delete]), Streams)
        .docs("5.0.0", "O(N) for N entries that are trimmed",
            "key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]",
            "Removes the oldest entries, up to a length or an id.")
        .tips(&["nondeterministic_output"]),
];

#[rustfmt::skip]
const GROUP_SUBCOMMANDS: &[Command] = &[
    command("CREATE", groups::create, at_least(5), &[Write, DenyOom], key_range(&[Rw, Insert], 2, 0, 1), Streams)
        .docs("5.0.0", "O(1)", "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
            "Adds a group to a stream."),
    command("CREATECONSUMER", groups::createconsumer, exactly(5), &[Write, DenyOom], key_range(&[Rw, Insert], 2, 0, 1), Streams)
        .docs("6.2.0", "O(1)", "key group consumer", "Adds a consumer to a group."),
    command("DELCONSUMER", groups::delconsumer, exactly(5), &[Write], key_range(&[Rw, Delete], 2, 0, 1), Streams)
        .docs("5.0.0", "O(N) for N entries pending for it", "key group consumer",
            "Removes a consumer with all that is pending for it."),
    command("DESTROY", groups::destroy, exactly(4), &[Write], key_range(&[Rw, Delete], 2, 0, 1), Streams)
        .docs("5.0.0", "O(N) for N entries pending in the group", "key group", "Removes a group."),
    command("HELP", groups::help, exactly(2), &[Loading, Stale], NO_KEYS, Streams)
        .docs("5.0.0", "O(1)", "", "Lists the subcommands."),
    command("SETID", groups::setid, at_least(5), &[Write], key_range(&[Rw, Update], 2, 0, 1), Streams)
        .docs("5.0.0", "O(1)", "key group <id | $> [ENTRIESREAD entries-read]",
            "Sets the last id that a group has delivered."),
];

#[rustfmt::skip]
const INFO_SUBCOMMANDS: &[Command] = &[
    command("CONSUMERS", info::consumers, exactly(4), &[ReadOnly], key_range(READ_KEYS, 2, 0, 1), Streams)
        .docs("5.0.0", "O(N) for N consumers", "key group", "Lists the consumers of a group.")
        .tips(&["nondeterministic_output"]),
    command("GROUPS", info::groups, exactly(3), &[ReadOnly], key_range(READ_KEYS, 2, 0, 1), Streams)
        .docs("5.0.0", "O(N) for N groups", "key", "Lists the groups of a stream."),
    command("HELP", info::help, exactly(2), &[Loading, Stale], NO_KEYS, Streams)
        .docs("5.0.0", "O(1)", "", "Lists the subcommands."),
    command("STREAM", info::stream, at_least(3), &[ReadOnly], key_range(READ_KEYS, 2, 0, 1), Streams)
        .docs("5.0.0", "O(N) for N nodes, and for the entries that FULL shows",
            "key [FULL [COUNT count]]", "Describes a stream."),
];

/// Finds the keys of XREAD and XREADGROUP as these parse their options: a word STREAMS may be the
/// value of another option. Where they refuse their arguments, finds what the specification says.
fn find_streams(args: &Args<'_>, each: &mut dyn FnMut(usize, &'static [KeyFlag])) {
    let from = if args.is(0, "XREADGROUP") { GROUP_FROM } else { FROM };
    let specified = || keyword(args, "STREAMS", from).map(|at| at + 1);
    let Some(at) = streams_at(args).or_else(specified) else { return };
    (at..at + (args.len() - at) / 2).for_each(|index| each(index, READ_KEYS));
}

/// Where the keys of XREAD and XREADGROUP begin.
fn streams_at(args: &Args<'_>) -> Option<usize> {
    let mut at = 1;
    while at < args.len() {
        if args.is(at, "STREAMS") {
            return (at + 1 < args.len()).then_some(at + 1);
        }
        at += match () {
            () if args.is(at, "BLOCK") || args.is(at, "COUNT") => 2,
            () if args.is(at, "GROUP") => 3,
            () if args.is(at, "NOACK") => 1,
            () => return None,
        };
    }
    None
}

impl From<IdError> for Failure {
    fn from(error: IdError) -> Self {
        Self::err(error.text())
    }
}

impl Keys<'_> {
    /// The stream of a key that was found to have one.
    fn stream(&self, key: Key<'_>) -> &Stream {
        let stream = self.look(key).and_then(|entry| entry.value().stream());
        stream.expect("found to be a stream under the same lock")
    }

    /// Whether a key that the command reads is there; it must have a stream.
    fn read_stream(&mut self, key: Key<'_>) -> Result<Option<&Stream>, Failure> {
        Ok(self.read_of(key, Type::Stream)?.and_then(|value| value.stream()))
    }

    /// The same for a key that the command is about to change.
    fn write_stream(&mut self, key: Key<'_>) -> Result<Option<&Stream>, Failure> {
        Ok(self.write_of(key, Type::Stream)?.and_then(|value| value.stream()))
    }

    /// Changes the stream of a key that was found to have one.
    fn edit_stream<R>(&mut self, key: Key<'_>, change: impl FnOnce(&mut Stream) -> R) -> R {
        self.edit(key, |place| match place.object_mut() {
            Some(Object::Stream(stream)) => change(stream),
            _ => unreachable!("found to be a stream under the same lock"),
        })
    }

    /// The same for one of its groups, which was found, too.
    fn edit_group<R>(
        &mut self,
        key: Key<'_>,
        group: &[u8],
        change: impl FnOnce(&mut Group) -> R,
    ) -> R {
        let changed = self.edit_stream(key, |stream| stream.groups_mut().update(group, change));
        changed.expect("the group was found under the same lock")
    }

    /// Records a change of a stream's groups: it is no change of the key to those who watch it.
    fn changed_groups(&mut self, key: Key<'_>, event: &'static str) {
        self.changed_much(1);
        self.event(key, EventClasses::STREAM, event);
    }
}

/// The error for a key without stream, or a stream without the group; `more` follows.
fn no_group(key: &[u8], group: &[u8], more: &str) -> Failure {
    let (key, group) = (until_nul(key), until_nul(group));
    let parts = [b"NOGROUP No such key '", key, b"' or consumer group '", group, b"'"];
    Failure::Bytes([&parts.concat(), more.as_bytes()].concat())
}

/// The error for an existing stream without the group.
fn no_group_in(key: &[u8], group: &[u8]) -> Failure {
    let (key, group) = (until_nul(key), until_nul(group));
    let parts = [b"NOGROUP No such consumer group '", group, b"' for key name '", key, b"'"];
    Failure::Bytes(parts.concat())
}

fn unknown_subcommand(args: &Args<'_>, container: &'static str) -> Failure {
    Failure::UnknownSubcommandOrArity { sent: args.at(1).to_vec(), container }
}

fn reply_id(reply: &mut Output, id: StreamId) {
    reply.bulk(id.text().as_bytes());
}

/// Writes an entry as an array of its id and its fields with values.
fn reply_entry(reply: &mut Output, entry: Entry<'_>) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply.array(2 * entry.fields.len());
    for (field, value) in entry.fields {
        Context::reply_item(reply, field);
        Context::reply_item(reply, value);
    }
}

/// Writes an array of as many items as `write` makes of the iterator's.
fn reply_each<T>(
    reply: &mut Output,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Output, T),
) {
    let (start, mut count) = (reply.bookmark(), 0);
    for item in items {
        write(reply, item);
        count += 1;
    }
    let mut head = Output::new(reply.protocol);
    head.array(count);
    reply.insert(start, &head);
}

/// A number of items where 0 stands for all.
fn at_most(count: u64) -> usize {
    if count == 0 { usize::MAX } else { usize::try_from(count).unwrap_or(usize::MAX) }
}
