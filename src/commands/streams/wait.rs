//! Clients that wait for entries: XREAD and XREADGROUP with BLOCK.
//!
//! All of them are served, not only the first. A consumer of a group is told when the group or the
//! stream has gone; a reader without a group waits on.

use super::log::GroupLog;
use super::read::{Member, begin_stream, begin_streams, deliver, reply_after};
use super::{Key, Keys, Output, Stream, StreamId};
use crate::commands::blocking::{Readiness, Serve};
use crate::commands::{Failure, Handled};
use crate::node::Node;

/// Entries that a client which had to wait gets at once, unless it says how many.
const COUNT_DEFAULT: u64 = 1000;

const NO_STREAM: &str = "UNBLOCKED the stream key no longer exists";
const NO_GROUP: &str = "NOGROUP the consumer group this client was blocked on no longer exists";

/// What a client waits for.
#[derive(Debug)]
pub(super) struct Reader {
    /// Each key with the last id that the client knows; of no account for a group.
    after: Vec<(Box<[u8]>, StreamId)>,
    count: u64,
    consumer: Option<Consumer>,
}

#[derive(Debug)]
struct Consumer {
    group: Box<[u8]>,
    name: Box<[u8]>,
    no_ack: bool,
}

impl Reader {
    pub(super) fn new(
        after: Vec<(Box<[u8]>, StreamId)>,
        count: u64,
        member: Option<Member<'_>>,
    ) -> Self {
        let consumer = member.map(|member| Consumer {
            group: member.group.into(),
            name: member.consumer.into(),
            no_ack: member.no_ack,
        });
        Self { after, count: if count == 0 { COUNT_DEFAULT } else { count }, consumer }
    }

    /// The last id that the client knows. The first counts where it gave a key twice.
    fn after(&self, key: Key<'_>) -> StreamId {
        let found = self.after.iter().find(|(bytes, _)| **bytes == *key.bytes);
        found.map_or(StreamId::MAX, |(_, id)| *id)
    }
}

impl Consumer {
    fn member(&self) -> Member<'_> {
        Member { group: &self.group, consumer: &self.name, no_ack: self.no_ack }
    }
}

/// The stream of a key, if it has one now.
fn find<'k>(keys: &'k mut Keys<'_>, key: Key<'_>) -> Option<&'k Stream> {
    if keys.has(key) { keys.look(key)?.value().stream() } else { None }
}

impl Serve for Reader {
    fn readiness(&self, keys: &mut Keys<'_>, key: Key<'_>) -> Readiness {
        let stream = find(keys, key);
        let is_ready = match &self.consumer {
            None => stream.is_some_and(|stream| stream.last_id() > self.after(key)),
            Some(consumer) => {
                let group = stream.and_then(|stream| stream.groups().get(&consumer.group));
                let last_id = stream.map_or(StreamId::MIN, Stream::last_id);
                group.is_none_or(|group| last_id > group.last_id)
            }
        };
        if is_ready { Readiness::Ready } else { Readiness::NotForThis }
    }

    fn serve(&self, _: &Node, keys: &mut Keys<'_>, key: Key<'_>, reply: &mut Output) -> Handled {
        let stream = find(keys, key).ok_or_else(|| Failure::Other(NO_STREAM.into()))?;
        let Some(consumer) = &self.consumer else {
            begin_streams(reply, 1);
            begin_stream(reply, key);
            reply_after(reply, stream, self.after(key), self.count);
            return Ok(());
        };
        if stream.groups().get(&consumer.group).is_none() {
            return Err(Failure::Other(NO_GROUP.into()));
        }
        begin_streams(reply, 1);
        begin_stream(reply, key);
        let mut log = GroupLog::new(key, &consumer.group, keys.is_logging());
        deliver(keys, key, consumer.member(), self.count, (reply, &mut log));
        keys.log_commands(log.commands);
        Ok(())
    }

    fn serves_any_change(&self) -> bool {
        true
    }
}
