//! The keyspace as an RDB stream: for the file and for full resyncs alike.

use std::io::{self, Write};
use std::sync::Arc;

use super::rdb_load::SYNCED_FROM;
use crate::commands::{REDIS_VERSION, access};
use crate::keyspace::snapshot::{GivenUp, Snapshot, WalkStep};
use crate::node::Node;
use crate::rdb::{EntryWriter, WriteOptions, Writer};
use crate::replication::Filter;
use crate::settings::MasterAddress;

/// What goes with the keys of a snapshot, as of its cut.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// `None` where there is no log: the written data then belong to no history.
    pub(crate) position: Option<Position>,
    /// The texts of the libraries of functions.
    pub(super) libraries: Arc<Vec<Box<[u8]>>>,
    /// What is left out.
    filter: Option<Filter>,
    /// The stream is the base of an append only file.
    is_file_base: bool,
}

/// A position in the log.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    pub(crate) id: String,
    pub(crate) offset: u64,
    selected: usize,
    synced_from: Option<MasterAddress>,
}

/// Called under all the locks.
pub(crate) fn cut(node: &Node) -> Cut {
    let position = node.log.has_backlog().then(|| Position {
        id: node.log.ids().id,
        offset: node.log.offset(),
        selected: node.log.selected().unwrap_or(0),
        synced_from: node.replication.synced_from(),
    });
    Cut { position, libraries: node.scripts.libraries(), filter: None, is_file_base: false }
}

/// The cut of a base for the append only file, which belongs to no history: what follows it there
/// has no offsets. Called under all the locks.
pub(crate) fn cut_for_file(node: &Node) -> Cut {
    let libraries = node.scripts.libraries();
    Cut { position: None, libraries, filter: None, is_file_base: true }
}

impl Cut {
    /// Leaves out what a replica does not want.
    pub(super) fn filtered(mut self, filter: Option<Filter>) -> Self {
        if filter == Some(Filter::Nothing) {
            self.libraries = Arc::default();
        }
        self.filter = filter;
        self
    }

    /// Whether the keys are part of it.
    pub(crate) fn has_keys(&self) -> bool {
        self.filter.is_none()
    }
}

/// Begins a stream: its header, its fields and the functions.
///
/// # Errors
/// When the sink fails; likewise below.
pub(crate) fn begin<W: Write>(node: &Node, sink: W, cut: &Cut) -> io::Result<EntryWriter<W>> {
    let settings = node.settings.load();
    let options = WriteOptions {
        compression: settings.snapshot.rdbcompression,
        checksum: settings.snapshot.rdbchecksum,
    };
    let mut writer = Writer::new(sink, options)?;
    let ctime = (node.clock.unix_ms() / 1000).to_string();
    let used = node.host().memory().allocated.to_string();
    writer.aux(b"redis-ver", REDIS_VERSION.as_bytes())?;
    writer.aux(b"redis-bits", b"64")?;
    writer.aux(b"ctime", ctime.as_bytes())?;
    writer.aux(b"used-mem", used.as_bytes())?;
    let position = cut.position.as_ref();
    if let Some(position) = position {
        writer.aux(b"repl-stream-db", position.selected.to_string().as_bytes())?;
        writer.aux(b"repl-id", position.id.as_bytes())?;
        writer.aux(b"repl-offset", position.offset.to_string().as_bytes())?;
    }
    writer.aux(b"aof-base", if cut.is_file_base { b"1" } else { b"0" })?;
    if let Some(master) = position.and_then(|position| position.synced_from.as_ref()) {
        writer.aux(SYNCED_FROM, master.to_string().as_bytes())?;
    }
    for library in &*cut.libraries {
        writer.library(library)?;
    }
    let policy = settings.memory.policy;
    let usage =
        (policy.is_lru() || policy.is_lfu()).then(|| access(&settings, node.clock.unix_ms()));
    Ok(EntryWriter::new(writer, usage))
}

/// Writes all the keys of a snapshot. After each step of the walk, passes the number of written
/// keys to `rest`.
///
/// # Errors
/// When the sink fails; `Interrupted` if somebody asked to end it.
pub(crate) fn write_snapshot<W: Write>(
    snapshot: &mut Snapshot,
    writer: &mut EntryWriter<W>,
    mut rest: impl FnMut(usize),
) -> io::Result<()> {
    for size in snapshot.sizes().to_vec() {
        writer.database(size.database, size.keys, size.expires)?;
    }
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

pub(super) fn given_up(reason: GivenUp) -> io::Error {
    match reason {
        GivenUp::Asked => io::Error::new(io::ErrorKind::Interrupted, "it was given up"),
        GivenUp::RetainedTooMuch(bytes) => io::Error::other(format!(
            "changed keys retained {bytes} bytes of old values, more than snapshot-retained-max \
             allows"
        )),
    }
}
