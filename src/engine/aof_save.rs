//! Writes keys as the commands that make them: the base of an append only file without RDB.

use std::io::{self, Write};

use crate::keyspace::EntryRef;
use crate::keyspace::snapshot::{Snapshot, WalkStep};
use crate::number::double::DoubleText;
use crate::replication::encode;
use crate::types::ValueRef;
use crate::types::list::Direction;
use crate::types::stream::{Group, Stream, StreamId};

use super::rdb_save::{Cut, given_up};

/// Elements in one command, as in Redis.
const ELEMENTS_MAX: usize = 64;

/// A word of a command.
type Word = Vec<u8>;

/// Writes commands.
#[derive(Debug)]
pub(crate) struct CommandWriter<W> {
    sink: W,
    selected: Option<usize>,
    keys: usize,
    buffer: Vec<u8>,
}

impl<W: Write> CommandWriter<W> {
    /// Begins with the functions of a cut.
    ///
    /// # Errors
    /// When the sink fails; likewise below.
    pub(crate) fn begin(sink: W, cut: &Cut) -> io::Result<Self> {
        let mut writer = Self { sink, selected: None, keys: 0, buffer: Vec::new() };
        for library in &*cut.libraries {
            writer.command(&[b"FUNCTION", b"LOAD", library])?;
        }
        Ok(writer)
    }

    /// Keys written so far.
    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    /// Ends, and hands everything to the sink.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.sink.flush()
    }

    fn command(&mut self, words: &[&[u8]]) -> io::Result<()> {
        self.buffer.clear();
        encode(&mut self.buffer, words.iter().copied());
        self.sink.write_all(&self.buffer)
    }

    /// Writes a command for each so many elements, of one word or more each.
    fn elements(
        &mut self,
        name: &[u8],
        key: &[u8],
        elements: impl Iterator<Item = Word>,
        words_each: usize,
    ) -> io::Result<()> {
        let mut words: Vec<Word> = Vec::with_capacity(2 + ELEMENTS_MAX * words_each);
        let mut elements = elements.peekable();
        while elements.peek().is_some() {
            words.clear();
            words.extend([name.to_vec(), key.to_vec()]);
            words.extend(elements.by_ref().take(ELEMENTS_MAX * words_each));
            self.words(&words)?;
        }
        Ok(())
    }

    fn words(&mut self, words: &[Word]) -> io::Result<()> {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        self.command(&words)
    }

    /// Writes one key.
    fn entry(&mut self, database: usize, entry: EntryRef<'_>) -> io::Result<()> {
        if self.selected != Some(database) {
            self.selected = Some(database);
            self.command(&[b"SELECT", database.to_string().as_bytes()])?;
        }
        self.keys += 1;
        let key = entry.key();
        match entry.value() {
            ValueRef::String(string) => self.command(&[b"SET", key, &string.to_bytes()])?,
            ValueRef::List(list) => {
                for from in (0..list.len()).step_by(ELEMENTS_MAX) {
                    let mut words = vec![b"RPUSH".to_vec(), key.to_vec()];
                    list.visit_some(from, Direction::Forward, ELEMENTS_MAX, |item| {
                        words.push(item.with_bytes(<[u8]>::to_vec));
                    });
                    self.words(&words)?;
                }
            }
            ValueRef::Set(set) => {
                let members = set.iter().map(|member| member.with_bytes(<[u8]>::to_vec));
                self.elements(b"SADD", key, members, 1)?;
            }
            ValueRef::SortedSet(set) => {
                let pairs = set.iter_from(0).flat_map(|(member, score)| {
                    let score = DoubleText::new(score).as_bytes().to_vec();
                    [score, member.with_bytes(<[u8]>::to_vec)]
                });
                self.elements(b"ZADD", key, pairs, 2)?;
            }
            ValueRef::Hash(hash) => {
                let pairs = hash.iter().flat_map(|(field, value)| {
                    [field.with_bytes(<[u8]>::to_vec), value.with_bytes(<[u8]>::to_vec)]
                });
                self.elements(b"HMSET", key, pairs, 2)?;
            }
            ValueRef::Stream(stream) => self.stream(key, stream)?,
        }
        match entry.expire_at_ms() {
            Some(at_ms) => self.command(&[b"PEXPIREAT", key, at_ms.to_string().as_bytes()]),
            None => Ok(()),
        }
    }

    fn stream(&mut self, key: &[u8], stream: &Stream) -> io::Result<()> {
        for entry in stream.range(StreamId::MIN, StreamId::MAX) {
            let mut words = vec![b"XADD".to_vec(), key.to_vec(), entry.id.to_string().into_bytes()];
            for text in entry.fields.flat_map(|(field, value)| [field, value]) {
                words.push(text.with_bytes(<[u8]>::to_vec));
            }
            self.words(&words)?;
        }
        if stream.len() == 0 {
            // Makes a stream without entries.
            self.command(&[b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"])?;
        }
        let counters = stream.counters();
        self.command(&[
            b"XSETID",
            key,
            counters.last_id.to_string().as_bytes(),
            b"ENTRIESADDED",
            counters.entries_added.to_string().as_bytes(),
            b"MAXDELETEDID",
            counters.max_deleted_id.to_string().as_bytes(),
        ])?;
        for (name, group) in stream.groups().iter() {
            self.group(key, name, group)?;
        }
        Ok(())
    }

    fn group(&mut self, key: &[u8], name: &[u8], group: &Group) -> io::Result<()> {
        self.command(&[
            b"XGROUP",
            b"CREATE",
            key,
            name,
            group.last_id.to_string().as_bytes(),
            b"ENTRIESREAD",
            group.entries_read.unwrap_or(-1).to_string().as_bytes(),
        ])?;
        for (_, consumer) in group.consumers() {
            if consumer.pending_len() == 0 {
                self.command(&[b"XGROUP", b"CREATECONSUMER", key, name, consumer.name()])?;
            }
            for id in consumer.pending_from(StreamId::MIN) {
                let Some(pending) = group.pending(id) else { continue };
                self.command(&[
                    b"XCLAIM",
                    key,
                    name,
                    consumer.name(),
                    b"0",
                    id.to_string().as_bytes(),
                    b"TIME",
                    pending.delivered_ms.to_string().as_bytes(),
                    b"RETRYCOUNT",
                    pending.deliveries.to_string().as_bytes(),
                    b"JUSTID",
                    b"FORCE",
                ])?;
            }
        }
        Ok(())
    }
}

/// Writes all the keys of a snapshot. After each step of the walk, passes the number of written keys
/// to `rest`.
///
/// # Errors
/// When the sink fails; `Interrupted` if somebody asked to end it.
pub(crate) fn write_snapshot<W: Write>(
    snapshot: &mut Snapshot,
    writer: &mut CommandWriter<W>,
    mut rest: impl FnMut(usize),
) -> io::Result<()> {
    loop {
        let mut written = Ok(());
        let step = snapshot.step(|database, entry| {
            if written.is_ok() {
                written = writer.entry(database, entry);
            }
        });
        written?;
        let done = step.map_err(given_up)? == WalkStep::Done;
        rest(writer.keys());
        if done {
            return Ok(());
        }
    }
}
