//! Loads RDB streams into the keyspace: the file at startup, DEBUG RELOAD, and full resyncs.

use std::io::Read;

use super::key_delay::KeyDelay;
use crate::keyspace::access::Access;
use crate::keyspace::{Content, Key, Keyspace, Locked};
use crate::node::Node;
use crate::node::admission::Condition;
use crate::node::scripts;
use crate::rdb::{Item, KeyRecord, ReadOptions, Reader};
use crate::settings::MasterAddress;
use crate::telemetry::log::log;

mod storing;

use storing::{Found, Storing};

/// Keys between two progress reports.
const PROGRESS_KEYS: u64 = 1024;

/// Most keys without elements that a load logs by name, as in Redis.
const EMPTY_KEYS_LOGGED_MAX: u64 = 10;

/// The field of an RDB file in which a replica stores which master its data come from.
pub(crate) const SYNCED_FROM: &[u8] = b"limpid-synced-from";

/// What was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) keys: u64,
    /// Expired keys, left out; with a history, kept until their deletion is in the log.
    pub(crate) expired: u64,
    /// Keys without elements, left out.
    pub(crate) empty: u64,
    /// Length of the stream.
    pub(crate) bytes: u64,
    /// The data's position in a history.
    pub(crate) history: Option<History>,
    /// The master that the data came from.
    pub(crate) synced_from: Option<MasterAddress>,
    /// The texts of the libraries of functions.
    pub(crate) libraries: Vec<Vec<u8>>,
}

impl Loaded {
    /// Notes a key that holds nothing, and so is left out.
    fn note_empty(&mut self, key: &[u8]) {
        if self.empty < EMPTY_KEYS_LOGGED_MAX {
            log!(Warning, "rdbLoadObject skipping empty key: {}", key.escape_ascii());
        }
        self.empty += 1;
    }
}

/// A position in a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) id: String,
    pub(crate) offset: u64,
    /// The database selected there.
    pub(crate) selected: usize,
}

/// Stores a loaded key.
pub(crate) type Store<'s> = dyn FnMut(usize, KeyRecord) -> Result<(), String> + 's;

/// What becomes of a key that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum There {
    /// The load ends with an error.
    Refused,
    Replaced,
}

/// Stores a key, whose hash is known, under held locks.
pub(crate) fn store(
    locked: &mut Locked<'_>,
    (database, hash): (usize, u64),
    record: KeyRecord,
    access: Access,
    existing: There,
) -> Result<(), String> {
    let key = Key { bytes: &record.key, hash };
    if existing == There::Refused {
        check_absent(locked, database, key)?;
    }
    let bits = access.restored(record.idle_s, record.freq);
    Content::with(record.value, |content| {
        locked.store(database, key, content, record.expire_at_ms, bits)
    });
    Ok(())
}

/// Fails if the database has the key.
pub(crate) fn check_absent(
    locked: &Locked<'_>,
    database: usize,
    key: Key<'_>,
) -> Result<(), String> {
    if locked.get(database, key).is_none() {
        return Ok(());
    }
    let shown: String = key.bytes.escape_ascii().to_string().chars().take(64).collect();
    Err(format!("key \"{shown}\" stands twice in database {database}"))
}

/// What may follow the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    Anything,
    Nothing,
    /// Records of the append only file, which may prolong the life of keys that have expired.
    Records,
}

/// Reads a stream to its end, and reports the bytes read to `progress` now and then. Every key goes to
/// `store`.
///
/// # Errors
/// The offset, and what is wrong there.
pub(crate) fn load(
    node: &Node,
    source: impl Read,
    allowed_behind: Behind,
    store: &mut Store<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Loaded, String> {
    let mut keep = |Found { database, record, at }| {
        store(database, record).map_err(|reason| Found::refusal(at, &reason))
    };
    read(node, source, allowed_behind, &mut keep, progress)
}

/// The same, into a keyspace that nobody else uses.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_into(
    node: &Node,
    keyspace: &Keyspace,
    source: impl Read,
    allowed_behind: Behind,
    progress: &mut dyn FnMut(u64),
) -> Result<Loaded, String> {
    let mut storing = Storing::new(node, keyspace);
    let loaded = read(node, source, allowed_behind, &mut |found| storing.push(found), progress);
    // Also what stood before an error, which may have one of its own.
    storing.store()?;
    loaded
}

fn read(
    node: &Node,
    source: impl Read,
    allowed_behind: Behind,
    keep: &mut dyn FnMut(Found) -> Result<(), String>,
    progress: &mut dyn FnMut(u64),
) -> Result<Loaded, String> {
    let settings = node.settings.load();
    let options = ReadOptions {
        verify_checksum: settings.snapshot.rdbchecksum,
        limits: settings.collections,
    };
    // A replica keeps expired keys until its master deletes them; so does a master whose replicas
    // may resume from here, until it has propagated the deletion.
    let now_ms = node.clock.unix_ms();
    let drops_expired = !node.is_replica() && allowed_behind != Behind::Records;
    let mut reader = Reader::with_options(source, options).map_err(|error| error.to_string())?;
    let mut loaded = Loaded::default();
    let mut fields = Fields::default();
    let mut database = 0;
    let (mut delay, mut rests) = (KeyDelay::default(), settings.snapshot.key_load_delay_us != 0);
    while let Some(item) = reader.next().map_err(|error| error.to_string())? {
        if node.admission.has(Condition::ShuttingDown) {
            return Err("the process is ending".to_owned());
        }
        match item {
            Item::SelectDb(index) => {
                database = known_database(node, index)
                    .map_err(|reason| format!("at byte {}: {reason}", reader.position()))?;
            }
            Item::Aux { name, value } => {
                note(node, &name, &value);
                fields.note(&name, &value);
            }
            Item::EmptyKey(key) => loaded.note_empty(&key),
            Item::Key(record) => {
                let expired = record.expire_at_ms.is_some_and(|at| at < now_ms);
                let counts_as_expired = expired && drops_expired;
                if counts_as_expired && fields.history().is_none() {
                    loaded.expired += 1;
                    continue;
                }
                let at = reader.position();
                keep(Found { database, record, at })?;
                *(if counts_as_expired { &mut loaded.expired } else { &mut loaded.keys }) += 1;
                if rests || loaded.keys.is_multiple_of(PROGRESS_KEYS) {
                    let is_over = || node.admission.has(Condition::ShuttingDown);
                    rests = delay.rest(node, |all| all.snapshot.key_load_delay_us, 1, is_over);
                }
                if loaded.keys.is_multiple_of(PROGRESS_KEYS) {
                    progress(at);
                }
            }
            Item::Library(code) => loaded.libraries.push(code),
            _ => {}
        }
    }
    let end = reader.position();
    if allowed_behind == Behind::Nothing {
        let behind = reader.into_inner().read(&mut [0]).map_err(|error| error.to_string())?;
        if behind > 0 {
            return Err(format!("at byte {end}: there is more behind the end"));
        }
    }
    scripts::check_libraries(&loaded.libraries)?;
    loaded.bytes = end;
    loaded.history = fields.history();
    loaded.synced_from = fields.synced_from;
    Ok(loaded)
}

fn known_database(node: &Node, index: u64) -> Result<usize, String> {
    let databases = node.keyspace.databases();
    let known = usize::try_from(index).ok().filter(|&index| index < databases);
    known.ok_or_else(|| {
        format!(
            "the file has a database {index}, but there are only {databases} here (see the \
             setting databases)"
        )
    })
}

/// Replication fields of a file.
#[derive(Default)]
struct Fields {
    id: Option<String>,
    offset: Option<u64>,
    selected: usize,
    synced_from: Option<MasterAddress>,
}

impl Fields {
    fn note(&mut self, name: &[u8], value: &[u8]) {
        let text = String::from_utf8_lossy(value);
        match name {
            b"repl-id" if text.len() == 40 => self.id = Some(text.into_owned()),
            b"repl-offset" => self.offset = text.parse().ok(),
            b"repl-stream-db" => self.selected = text.parse().unwrap_or(0),
            SYNCED_FROM => {
                self.synced_from = text.rsplit_once(' ').and_then(|(host, port)| {
                    Some(MasterAddress { host: host.to_owned(), port: port.parse().ok()? })
                });
            }
            _ => {}
        }
    }

    fn history(&self) -> Option<History> {
        let (id, offset) = (self.id.clone()?, self.offset?);
        Some(History { id, offset, selected: self.selected })
    }
}

/// Logs the file's metadata, as Redis does.
fn note(node: &Node, name: &[u8], value: &[u8]) {
    let text = String::from_utf8_lossy(value);
    match name {
        b"redis-ver" => log!(Notice, "Loading RDB produced by version {text}"),
        b"ctime" => {
            let age = node.clock.unix_ms() / 1000 - text.parse().unwrap_or(0);
            log!(Notice, "RDB age {} seconds", age.max(0));
        }
        b"used-mem" => {
            let mb = text.parse::<f64>().unwrap_or(0.0) / (1024.0 * 1024.0);
            log!(Notice, "RDB memory usage when created {mb:.2} Mb");
        }
        _ => {}
    }
}
